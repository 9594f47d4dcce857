//! Parses the command lines of `karui cp` and `karui sync`. Touches no file and no network.

use std::ffi::OsString;
use std::num::NonZeroUsize;

use super::filter::Filters;
use crate::optimize::{MetadataPolicy, Options, Quality};
use crate::pipeline::Location;
use crate::s3::ClientConfig;

/// Default number of objects copied at the same time.
const JOBS: usize = 16;

/// Copy one object or file, or with --recursive everything under a prefix or folder
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_long_help = "SRC and DST are s3://bucket/key, a path, or `-` for stdin and stdout. Between two S3 sides, S3 \
copies. A destination that ends with / takes the source's name. One object requires only s3:GetObject of the bucket's \
policy; --recursive also requires s3:ListBucket.\n\nExit status: 0, 1 if an object failed, 2 for wrong \
usage, 130 after Ctrl-C, which leaves no open upload."
)]
pub struct CpArgs {
    /// Copy everything under SRC, regardless of what exists at DST
    #[arg(long, short)]
    recursive: bool,
    #[command(flatten)]
    common: CommonArgs,
}

/// Copy new and newer objects under a prefix or folder
#[derive(Debug, Clone, clap::Args)]
#[command(after_long_help = "SRC and DST are s3://bucket/prefix or a folder. Both sides are listed (s3:ListBucket). \
Objects are copied if they are missing at DST, older there than at SRC or, without --optimize, of another size. Nothing is \
deleted without --delete.\n\nExit status: 0, 1 if an object failed, 2 for wrong usage, 130 after Ctrl-C, which leaves no open \
upload.")]
pub struct SyncArgs {
    /// Delete keys at DST that SRC does not have; keys that filters exclude are kept
    #[arg(long)]
    delete: bool,
    /// Compare contents: entity tags if they are equal, else a HEAD of both sides and checksums; with --optimize, Karui's
    /// marker. If s3:GetObject is missing and nothing else decides, compare dates
    #[arg(long)]
    exact: bool,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Debug, Clone, clap::Args)]
struct CommonArgs {
    /// Optimize images; everything else is copied unchanged
    #[arg(long)]
    optimize: bool,
    /// With --optimize: SSIMULACRA2 score that no image falls below, as in `karui optimize`
    #[arg(long, value_name = "N|NAME", default_value_t = Quality::DEFAULT, requires = "optimize")]
    quality: Quality,
    /// With --optimize: metadata to keep: safe, all, or none
    #[arg(long, value_name = "safe|all|none", default_value_t = MetadataPolicy::Safe, requires = "optimize")]
    metadata: MetadataPolicy,
    #[command(flatten)]
    filters: Filters,
    /// Report what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Objects copied at the same time
    #[arg(long, value_name = "N", default_value_t = NonZeroUsize::new(JOBS).unwrap_or(NonZeroUsize::MIN))]
    jobs: NonZeroUsize,
    /// Print one JSON object per object copied, deleted or failed, and a summary at the end
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    destination: DestinationArgs,
    #[arg(value_name = "SRC", help = "Source: s3://bucket/key or a path")]
    from: OsString,
    #[arg(value_name = "DST", help = "Destination: s3://bucket/key or a path")]
    to: OsString,
}

#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Source credentials and location")]
struct SourceArgs {
    /// Profile in ~/.aws/config, SSO and role chains included
    #[arg(long, value_name = "NAME")]
    source_profile: Option<String>,
    /// ARN of a role to assume
    #[arg(long, value_name = "ARN")]
    source_role: Option<String>,
    /// External ID that the role's trust policy requires
    #[arg(long, value_name = "ID", requires = "source_role")]
    source_external_id: Option<String>,
    /// Region of the bucket
    #[arg(long, value_name = "REGION")]
    source_region: Option<String>,
    /// URL of an S3-compatible store
    #[arg(long, value_name = "URL")]
    source_endpoint: Option<String>,
}

#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Destination credentials and location (also used for server-side copies)")]
struct DestinationArgs {
    /// Profile in ~/.aws/config, SSO and role chains included
    #[arg(long, value_name = "NAME")]
    destination_profile: Option<String>,
    /// ARN of a role to assume
    #[arg(long, value_name = "ARN")]
    destination_role: Option<String>,
    /// External ID that the role's trust policy requires
    #[arg(long, value_name = "ID", requires = "destination_role")]
    destination_external_id: Option<String>,
    /// Region of the bucket
    #[arg(long, value_name = "REGION")]
    destination_region: Option<String>,
    /// URL of an S3-compatible store
    #[arg(long, value_name = "URL")]
    destination_endpoint: Option<String>,
}

impl From<SourceArgs> for ClientConfig {
    fn from(args: SourceArgs) -> Self {
        Self {
            profile: args.source_profile,
            region: args.source_region,
            endpoint: args.source_endpoint,
            role: args.source_role,
            external_id: args.source_external_id,
        }
    }
}

impl From<DestinationArgs> for ClientConfig {
    fn from(args: DestinationArgs) -> Self {
        Self {
            profile: args.destination_profile,
            region: args.destination_region,
            endpoint: args.destination_endpoint,
            role: args.destination_role,
            external_id: args.destination_external_id,
        }
    }
}

/// The parsed command line.
#[derive(Debug, Clone)]
pub struct Request {
    pub source: Location,
    pub destination: Location,
    pub source_client: ClientConfig,
    pub destination_client: ClientConfig,
    pub scope: Scope,
    /// Options for optimizing images; `None` in a plain copy.
    pub options: Option<Options>,
    pub filters: Filters,
    /// Delete at the destination what the source does not have.
    pub delete: bool,
    pub dry_run: bool,
    pub jobs: usize,
    pub json: bool,
}

/// Which objects are copied, and by what rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    One,
    /// Everything under a prefix or folder, without listing the destination.
    All,
    /// Decided by the two listings.
    Newer,
    /// Decided by the contents.
    Different,
}

impl CpArgs {
    /// # Errors
    /// Describes what makes no sense, and what to type instead.
    pub fn resolve(self) -> Result<Request, String> {
        let scope = if self.recursive { Scope::All } else { Scope::One };
        if scope == Scope::One && !self.common.filters.is_empty() {
            return Err("--include and --exclude select among many objects: add --recursive".into());
        }
        self.common.resolve(scope, false)
    }
}

impl SyncArgs {
    /// # Errors
    /// Describes what makes no sense, and what to type instead.
    pub fn resolve(self) -> Result<Request, String> {
        let scope = if self.exact { Scope::Different } else { Scope::Newer };
        self.common.resolve(scope, self.delete)
    }
}

impl CommonArgs {
    fn resolve(self, scope: Scope, delete: bool) -> Result<Request, String> {
        let (source, destination) = (Location::parse(&self.from)?, Location::parse(&self.to)?);
        if !source.is_s3() && !destination.is_s3() {
            return Err("neither side is s3://: use `karui optimize --out DIR` for folders".into());
        }
        if scope != Scope::One && (source == Location::Stream || destination == Location::Stream) {
            return Err("`-` is one stream: leave out --recursive, or use `karui cp`".into());
        }
        if self.optimize && source == Location::Stream {
            return Err("a stream is copied unchanged: pipe it through `karui optimize -` first".into());
        }
        let options =
            self.optimize.then(|| Options { quality: self.quality, metadata: self.metadata, ..Options::default() });
        Ok(Request {
            source,
            destination,
            source_client: self.source.into(),
            destination_client: self.destination.into(),
            scope,
            options,
            filters: self.filters,
            delete,
            dry_run: self.dry_run,
            jobs: self.jobs.get(),
            json: self.json,
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(clap::Parser)]
    enum Program {
        Cp(CpArgs),
        Sync(SyncArgs),
    }

    fn resolve(line: &str) -> Result<Request, String> {
        let words = std::iter::once("karui").chain(line.split_whitespace());
        match Program::try_parse_from(words).map_err(|e| e.to_string())? {
            Program::Cp(args) => args.resolve(),
            Program::Sync(args) => args.resolve(),
        }
    }

    #[test]
    fn resolve_passes_every_option() {
        let request = resolve(
            "sync --optimize --quality 80 --metadata all --delete --exact --dry-run --json --jobs 3 --exclude * \
             --include *.jpg --source-profile a --source-role r --source-external-id i --source-region eu-west-1 --source-endpoint http://s \
             --destination-profile b s3://in/photos out",
        )
        .unwrap();
        let options = request.options.unwrap();
        assert_eq!((options.quality, options.metadata), (Quality::Target(80.0), MetadataPolicy::All));
        assert_eq!((request.scope, request.delete, request.jobs), (Scope::Different, true, 3));
        assert!(request.dry_run && request.json);
        assert!(request.filters.includes("a.jpg") && !request.filters.includes("a.png"));
        let access = request.source_client;
        assert_eq!((access.profile.as_deref(), access.role.as_deref()), (Some("a"), Some("r")));
        assert_eq!(access.external_id.as_deref(), Some("i"));
        assert_eq!((access.region.as_deref(), access.endpoint.as_deref()), (Some("eu-west-1"), Some("http://s")));
        assert_eq!(request.destination_client, ClientConfig { profile: Some("b".into()), ..ClientConfig::default() });
    }

    #[test]
    fn resolve_takes_scope_from_the_command() {
        let scope = |line| resolve(line).unwrap().scope;
        assert_eq!(scope("cp s3://a/k f"), Scope::One);
        assert_eq!(scope("cp -r s3://a/k f"), Scope::All);
        assert_eq!(scope("sync s3://a/k f"), Scope::Newer);
    }

    #[test]
    fn resolve_of_wrong_usage_names_the_remedy() {
        for (line, remedy) in [
            ("cp a b", "karui optimize"),
            ("cp -r - s3://b/k", "leave out --recursive"),
            ("cp --optimize - s3://b/k", "karui optimize -"),
            ("cp --exclude x s3://b/k f", "--recursive"),
            ("cp --quality 80 s3://b/k f", "--optimize"),
            ("sync --jobs 0 s3://b/k f", "invalid value"),
            ("cp s3:///k f", "s3://bucket"),
            ("sync s3://b/k", "required"),
        ] {
            let message = resolve(line).unwrap_err();
            assert!(message.contains(remedy), "{line}: {message}");
        }
    }
}
