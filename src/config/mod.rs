//! The function's settings: parses the environment by one table ([`VARS`]) into typed, validated values.
//!
//! Owns names, defaults and their rules. Pure: receives names and values, never reads `std::env`.

mod vars;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;

use tracing::level_filters::LevelFilter;

use crate::pipeline::Policy;
use crate::s3::{BucketConfig, ClientConfig, RateLimits, TransferConfig};

pub use vars::{VARS, Var, markdown};

/// The function's validated settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Configuration of the pipeline.
    pub policy: Policy,
    /// Part sizes, concurrency and checksums of transfers.
    pub transfer: TransferConfig,
    /// Limits on requests and bytes per second.
    pub rate_limits: RateLimits,
    /// Expected owner of source buckets.
    pub source_buckets: BucketConfig,
    /// Expected owner of destination buckets, and encryption and ACL of results.
    pub destination_buckets: BucketConfig,
    /// Identity that reads sources.
    pub source_client: ClientConfig,
    /// Identity and region for the destination.
    pub destination_client: ClientConfig,
    /// Bucket whose events arrive; `None` if not configured.
    pub source_bucket: Option<String>,
    /// Prefix that the trigger filters on.
    pub source_prefix: String,
    pub log: LevelFilter,
}

/// Set by Lambda itself, in MB: <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html>.
const MEMORY_VAR: &str = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE";

/// Bytes that the process itself needs: code, runtime, TLS, parts in flight.
const PROCESS_RESERVE: u64 = 64 << 20;

/// Variables about transfers, which also apply to `karui cp` and `karui sync`.
const TRANSFER_VARS: [&str; 12] = [
    "KARUI_SOURCE_OWNER",
    "KARUI_DESTINATION_OWNER",
    "KARUI_DESTINATION_KMS_KEY",
    "KARUI_DESTINATION_ENCRYPTION",
    "KARUI_ACL",
    "KARUI_MULTIPART_THRESHOLD",
    "KARUI_PART_SIZE",
    "KARUI_UPLOAD_CONCURRENCY",
    "KARUI_DOWNLOAD_CONCURRENCY",
    "KARUI_CHECKSUM",
    "KARUI_MAX_REQUESTS_PER_SECOND",
    "KARUI_MAX_BYTES_PER_SECOND",
];

/// Converts an environment to text. A value that is not UTF-8 stays present, as an invalid value.
pub fn readable(environment: impl IntoIterator<Item = (OsString, OsString)>) -> impl Iterator<Item = (String, String)> {
    let named = environment.into_iter().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    named.map(|(name, value)| (name, value.to_string_lossy().into_owned()))
}

/// Reads the transfer settings, rate limits and bucket options (source, destination) from the environment. Ignores all other variables.
///
/// # Errors
/// [`Faults`], all at once.
pub fn transfer(
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<(TransferConfig, RateLimits, [BucketConfig; 2]), Faults> {
    let given: BTreeMap<_, _> = environment.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    let mut settings = Settings::unset();
    let vars = VARS.iter().filter(|var| TRANSFER_VARS.contains(&var.name));
    let faults: Vec<_> =
        vars.filter_map(|var| var.apply(&mut settings, given.get(var.name).map(String::as_str)).err()).collect();
    let Settings { transfer, rate_limits, source_buckets, destination_buckets, .. } = settings;
    if faults.is_empty() {
        Ok((transfer, rate_limits, [source_buckets, destination_buckets]))
    } else {
        Err(Faults(faults))
    }
}

impl Settings {
    /// Parses the environment; ignores names that are neither `KARUI_*` nor Lambda's memory size. An empty value counts
    /// as unset, as an empty template parameter means.
    ///
    /// # Errors
    /// [`Faults`], all at once.
    pub fn parse(environment: impl IntoIterator<Item = (String, String)>) -> Result<Self, Faults> {
        let given: BTreeMap<_, _> = environment.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        let mut settings = Self::unset();
        let mut faults = unknown_names(&given);
        for var in VARS {
            let value = given.get(var.name).map(String::as_str);
            faults.extend(var.apply(&mut settings, value).err());
        }
        match given.get(MEMORY_VAR).map(|text| memory_limit(text)) {
            Some(Ok(bytes)) => settings.policy.options.limits.memory = bytes,
            Some(Err(fault)) => faults.push(fault),
            None => {}
        }
        faults.extend(settings.contradictions());
        if faults.is_empty() { Ok(settings) } else { Err(Faults(faults)) }
    }

    /// Placeholder values; the table sets every field, and a missing required variable is a fault.
    fn unset() -> Self {
        Self {
            policy: Policy::to_bucket(""),
            transfer: TransferConfig::default(),
            rate_limits: RateLimits::default(),
            source_buckets: BucketConfig::default(),
            destination_buckets: BucketConfig::default(),
            source_client: ClientConfig::default(),
            destination_client: ClientConfig::default(),
            source_bucket: None,
            source_prefix: String::new(),
            log: LevelFilter::INFO,
        }
    }

    /// Checks rules that involve several variables.
    fn contradictions(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.source_bucket.is_none() && !self.source_prefix.is_empty() {
            faults.push("KARUI_SOURCE_PREFIX: set without KARUI_SOURCE_BUCKET, want both or neither".into());
        }
        if self.would_loop() {
            faults.push(format!(
                "KARUI_DESTINATION_BUCKET: results in s3://{bucket}/{destination} would trigger events of \
                 s3://{bucket}/{source}, want another bucket, or a prefix that the trigger does not listen to",
                bucket = self.policy.destination_bucket,
                destination = self.policy.destination_key,
                source = self.source_prefix,
            ));
        }
        for (side, client) in [("SOURCE", &self.source_client), ("DESTINATION", &self.destination_client)] {
            if client.external_id.is_some() && client.role.is_none() {
                let (id, role) = (format!("KARUI_{side}_EXTERNAL_ID"), format!("KARUI_{side}_ROLE_ARN"));
                faults.push(format!("{id}: set without {role}, want both or neither"));
            }
        }
        faults
    }

    /// Whether results would trigger the function again.
    fn would_loop(&self) -> bool {
        self.source_bucket.as_ref() == Some(&self.policy.destination_bucket)
            && self.policy.destination_key.may_write_under(&self.source_prefix)
    }
}

/// All faults of the environment, in one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(pub Vec<String>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, plural) = (self.0.len(), if self.0.len() == 1 { "" } else { "s" });
        write!(f, "Karui's configuration has {count} fault{plural}:")?;
        self.0.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl std::error::Error for Faults {}

fn memory_limit(text: &str) -> Result<u64, String> {
    match text.parse::<u64>() {
        Ok(megabytes) if megabytes > 0 => Ok((megabytes << 20).saturating_sub(PROCESS_RESERVE).max(1)),
        _ => Err(format!("{MEMORY_VAR}: got {text:?}, want the function's memory in MB")),
    }
}

/// Rejects unknown names: a misspelt variable would silently leave the default.
fn unknown_names(given: &BTreeMap<String, String>) -> Vec<String> {
    let unknown = |name: &&String| name.starts_with("KARUI_") && !VARS.iter().any(|var| var.name == *name);
    given.keys().filter(unknown).map(|name| format!("{name}: unknown{}", suggestion(name))).collect()
}

fn suggestion(name: &str) -> String {
    let nearest = VARS.iter().map(|var| (distance(name, var.name), var.name)).min();
    match nearest {
        Some((edits, known)) if edits <= 4 => format!(", did you mean {known}?"),
        _ => String::new(),
    }
}

/// Levenshtein distance, in bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimize::{Effort, MetadataPolicy, Options, Quality};
    use crate::pipeline::{KeyTemplate, Overwrite, TagPolicy, Unstrippable};
    use crate::s3::{Encryption, UploadChecksum};

    fn parse(vars: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
        Settings::parse(vars.iter().map(|(name, value)| ((*name).to_string(), (*value).to_string())))
            .map_err(|Faults(faults)| faults)
    }

    fn with(name: &str, value: &str) -> Result<Settings, Vec<String>> {
        parse(&[("KARUI_DESTINATION_BUCKET", "light-images"), (name, value)])
    }

    fn fault(name: &str, value: &str) -> String {
        let faults = with(name, value).expect_err(value);
        assert_eq!(faults.len(), 1, "{faults:?}");
        faults[0].clone()
    }

    const KEY: &str = "arn:aws:kms:eu-west-1:222222222222:key/1234abcd-12ab-34cd-56ef-1234567890ab";

    #[test]
    fn documented_defaults_match_the_code() {
        let settings = parse(&[("KARUI_DESTINATION_BUCKET", "light-images"), ("PATH", "/bin")]).unwrap();
        assert_eq!(settings.policy.options, Options::default());
        assert_eq!(settings.transfer, TransferConfig::default());
        assert_eq!(settings.rate_limits, RateLimits::default());
        assert_eq!(settings.source_buckets, BucketConfig::default());
        assert_eq!(settings.destination_buckets, BucketConfig::default());
        assert_eq!(settings.policy.destination_bucket, "light-images");
        assert_eq!(settings.policy, Policy::to_bucket("light-images"));
        assert_eq!(
            (settings.source_client, settings.destination_client),
            (ClientConfig::default(), ClientConfig::default())
        );
        assert_eq!(settings.policy.unstrippable, Unstrippable::Copy);
        assert_eq!(settings.policy.tags, TagPolicy::Copy);
        assert_eq!(settings.log, LevelFilter::INFO);
        assert_eq!(settings.source_bucket, None);
    }

    #[test]
    fn transfer_reads_only_transfer_variables() {
        use std::num::NonZeroU32;

        let parse = |vars: &[(&str, &str)]| {
            transfer(vars.iter().map(|(name, value)| ((*name).to_string(), (*value).to_string())))
        };
        let defaults = (TransferConfig::default(), RateLimits::default(), <[BucketConfig; 2]>::default());
        assert_eq!(parse(&[("KARUI_QUALITY", "!"), ("KARUI_X", "")]), Ok(defaults));
        let (transfer, limits, [source, destination]) = parse(&[
            ("KARUI_SOURCE_OWNER", "111111111111"),
            ("KARUI_DESTINATION_OWNER", "222222222222"),
            ("KARUI_MULTIPART_THRESHOLD", "32MiB"),
            ("KARUI_PART_SIZE", "16MiB"),
            ("KARUI_UPLOAD_CONCURRENCY", "2"),
            ("KARUI_DOWNLOAD_CONCURRENCY", "3"),
            ("KARUI_CHECKSUM", "md5"),
            ("KARUI_MAX_REQUESTS_PER_SECOND", "500"),
            ("KARUI_MAX_BYTES_PER_SECOND", "3MiB"),
        ])
        .unwrap();
        let wanted = TransferConfig {
            multipart_threshold: 32 << 20,
            part_size: 16 << 20,
            concurrency: 2,
            download_concurrency: 3,
            checksum: UploadChecksum::Md5,
        };
        assert_eq!(transfer, wanted);
        let wanted = RateLimits { requests_per_second: NonZeroU32::new(500), kib_per_second: NonZeroU32::new(3 << 10) };
        assert_eq!(limits, wanted);
        assert_eq!(source.owner.as_deref(), Some("111111111111"));
        assert_eq!(destination.owner.as_deref(), Some("222222222222"));
        let Faults(faults) = parse(&[("KARUI_CHECKSUM", "crc"), ("KARUI_PART_SIZE", "1")]).unwrap_err();
        assert_eq!(faults.len(), 2, "{faults:?}");
    }

    #[test]
    fn parse_sets_every_variable() {
        let settings = parse(&[
            ("KARUI_DESTINATION_BUCKET", "light-images"),
            ("KARUI_DESTINATION_PREFIX", "small/"),
            ("KARUI_SOURCE_BUCKET", "camera-uploads"),
            ("KARUI_SOURCE_PREFIX", "photos/"),
            ("KARUI_SOURCE_OWNER", "111111111111"),
            ("KARUI_DESTINATION_OWNER", "222222222222"),
            ("KARUI_DESTINATION_KMS_KEY", KEY),
            ("KARUI_SOURCE_ROLE_ARN", "arn:aws:iam::111111111111:role/path/reader"),
            ("KARUI_SOURCE_EXTERNAL_ID", "karui+1"),
            ("KARUI_DESTINATION_ROLE_ARN", "arn:aws-cn:iam::222222222222:role/writer"),
            ("KARUI_DESTINATION_EXTERNAL_ID", "karui:2"),
            ("KARUI_DESTINATION_REGION", "eu-west-1"),
            ("KARUI_ACL", "bucket-owner-full-control"),
            ("KARUI_STORAGE_CLASS", "GLACIER_IR"),
            ("KARUI_CACHE_CONTROL", "max-age=60"),
            ("KARUI_OVERWRITE", "never"),
            ("KARUI_QUALITY", "very-high"),
            ("KARUI_METADATA", "none"),
            ("KARUI_EFFORT", "fast"),
            ("KARUI_MIN_SAVINGS", "5.5"),
            ("KARUI_UNSTRIPPABLE", "withhold"),
            ("KARUI_TAGS", "require"),
            ("KARUI_MAX_BYTES", "1GiB"),
            ("KARUI_MAX_PIXELS", "1000000"),
            ("KARUI_MAX_SCANS", "20"),
            ("KARUI_MAX_FRAMES", "30"),
            ("KARUI_MULTIPART_THRESHOLD", "32MiB"),
            ("KARUI_PART_SIZE", "10485760"),
            ("KARUI_UPLOAD_CONCURRENCY", "2"),
            ("KARUI_DOWNLOAD_CONCURRENCY", "3"),
            ("KARUI_CHECKSUM", "md5"),
            ("KARUI_MAX_REQUESTS_PER_SECOND", "500"),
            ("KARUI_MAX_BYTES_PER_SECOND", "3MiB"),
            ("KARUI_LOG", "debug"),
        ])
        .unwrap();
        let options = &settings.policy.options;
        assert_eq!(settings.policy.destination_key, KeyTemplate::under("small/"));
        assert_eq!(settings.source_bucket.as_deref(), Some("camera-uploads"));
        assert_eq!(settings.source_prefix, "photos/");
        let source_buckets = BucketConfig { owner: Some("111111111111".into()), ..BucketConfig::default() };
        let destination_buckets = BucketConfig {
            owner: Some("222222222222".into()),
            encryption: Some(Encryption::Kms(KEY.into())),
            acl: Some("bucket-owner-full-control".into()),
        };
        assert_eq!((settings.source_buckets, settings.destination_buckets), (source_buckets, destination_buckets));
        let access = |role: &str, external_id: &str, region: Option<&str>| ClientConfig {
            role: Some(role.into()),
            external_id: Some(external_id.into()),
            region: region.map(Into::into),
            ..ClientConfig::default()
        };
        assert_eq!(settings.source_client, access("arn:aws:iam::111111111111:role/path/reader", "karui+1", None));
        let writer = access("arn:aws-cn:iam::222222222222:role/writer", "karui:2", Some("eu-west-1"));
        assert_eq!(settings.destination_client, writer);
        assert_eq!(settings.policy.storage_class.as_deref(), Some("GLACIER_IR"));
        assert_eq!(settings.policy.cache_control.as_deref(), Some("max-age=60"));
        assert_eq!(settings.policy.overwrite, Overwrite::Never);
        assert_eq!(options.quality, Quality::Target(80.0));
        assert_eq!(options.metadata, MetadataPolicy::None);
        assert_eq!(options.effort, Effort::Fast);
        assert!((options.min_savings - 5.5).abs() < f64::EPSILON);
        assert_eq!(settings.policy.unstrippable, Unstrippable::Withhold);
        assert_eq!(settings.policy.tags, TagPolicy::Require);
        assert_eq!(options.limits.bytes, 1 << 30);
        assert_eq!(options.limits.pixels, 1_000_000);
        assert_eq!(options.limits.scans, 20);
        assert_eq!(options.limits.frames, 30);
        let transfer = TransferConfig {
            multipart_threshold: 32 << 20,
            part_size: 10 << 20,
            concurrency: 2,
            download_concurrency: 3,
            checksum: UploadChecksum::Md5,
        };
        assert_eq!(settings.transfer, transfer);
        let limits = RateLimits { requests_per_second: 500.try_into().ok(), kib_per_second: 3072.try_into().ok() };
        assert_eq!(settings.rate_limits, limits);
        assert_eq!(settings.log, LevelFilter::DEBUG);
    }

    #[test]
    fn parse_reports_all_faults_at_once() {
        let faults = parse(&[
            ("KARUI_QUALITY", "high!"),
            ("KARUI_PART_SIZE", "4MiB"),
            ("KARUI_QUALTY", "80"),
            ("KARUI_SOURCE_PREFIX", "photos/"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "much"),
        ])
        .unwrap_err();
        assert_eq!(
            faults,
            [
                "KARUI_QUALTY: unknown, did you mean KARUI_QUALITY?",
                "KARUI_DESTINATION_BUCKET: missing, want a bucket name (3 to 63 of a-z, 0-9, \".\" and \"-\")",
                "KARUI_QUALITY: got \"high!\", want a score from 30 to 100 or one of medium, high, very-high, \
                 visually-lossless, lossless",
                "KARUI_PART_SIZE: got \"4MiB\", want a size from 5MiB to 5GiB",
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE: got \"much\", want the function's memory in MB",
                "KARUI_SOURCE_PREFIX: set without KARUI_SOURCE_BUCKET, want both or neither",
            ]
        );
        let message = Faults(faults).to_string();
        assert!(message.starts_with("Karui's configuration has 6 faults:\n  KARUI_QUALTY"), "{message}");
    }

    #[test]
    fn parse_value_out_of_range_is_a_fault() {
        for (name, value) in [
            ("KARUI_SOURCE_OWNER", "12345678901"),
            ("KARUI_DESTINATION_OWNER", "a12345678901"),
            ("KARUI_DESTINATION_KMS_KEY", "1234abcd-12ab-34cd-56ef-1234567890ab"),
            ("KARUI_DESTINATION_KMS_KEY", "arn:aws:kms:eu-west-1:222222222222:key/"),
            ("KARUI_DESTINATION_KMS_KEY", "arn:aws:s3:eu-west-1:222222222222:key/1"),
            ("KARUI_DESTINATION_ENCRYPTION", "aes"),
            ("KARUI_DESTINATION_KEY", "small/{stem}{ext}"),
            ("KARUI_DESTINATION_REGION", "Frankfurt"),
            ("KARUI_SOURCE_ROLE_ARN", "arn:aws:iam::111111111111:user/reader"),
            ("KARUI_DESTINATION_ROLE_ARN", "writer"),
            ("KARUI_SOURCE_EXTERNAL_ID", "a b"),
            ("KARUI_DESTINATION_EXTERNAL_ID", "x"),
            ("KARUI_ACL", "mine"),
            ("KARUI_STORAGE_CLASS", "glacier"),
            ("KARUI_CACHE_CONTROL", "a\nb"),
            ("KARUI_OVERWRITE", "yes"),
            ("KARUI_QUALITY", "29"),
            ("KARUI_METADATA", "Safe"),
            ("KARUI_EFFORT", "max"),
            ("KARUI_MIN_SAVINGS", "-1"),
            ("KARUI_MIN_SAVINGS", "100"),
            ("KARUI_MIN_SAVINGS", "NaN"),
            ("KARUI_UNSTRIPPABLE", "drop"),
            ("KARUI_TAGS", "no"),
            ("KARUI_MAX_BYTES", "0"),
            ("KARUI_MAX_BYTES", "16 apples"),
            ("KARUI_MAX_BYTES", "99999999999GiB"),
            ("KARUI_MAX_PIXELS", "-4"),
            ("KARUI_MAX_SCANS", "0"),
            ("KARUI_MAX_FRAMES", "4294967296"),
            ("KARUI_MULTIPART_THRESHOLD", "6GiB"),
            ("KARUI_UPLOAD_CONCURRENCY", "0"),
            ("KARUI_DOWNLOAD_CONCURRENCY", "65"),
            ("KARUI_CHECKSUM", "crc32"),
            ("KARUI_MAX_REQUESTS_PER_SECOND", "0"),
            ("KARUI_MAX_BYTES_PER_SECOND", "63KiB"),
            ("KARUI_LOG", "loud"),
        ] {
            let fault = fault(name, value);
            assert!(fault.starts_with(&format!("{name}: got {value:?}, want ")), "{fault}");
        }
    }

    #[test]
    fn parse_external_id_without_role_is_a_fault() {
        assert_eq!(
            fault("KARUI_SOURCE_EXTERNAL_ID", "karui"),
            "KARUI_SOURCE_EXTERNAL_ID: set without KARUI_SOURCE_ROLE_ARN, want both or neither"
        );
    }

    #[test]
    fn parse_exclusive_variables_is_a_fault() {
        let both = |vars: [(&str, &str); 2]| parse(&[("KARUI_DESTINATION_BUCKET", "light-images"), vars[0], vars[1]]);
        let template = ("KARUI_DESTINATION_KEY", "small/{dir}{stem}-light{ext}");
        assert_eq!(
            with(template.0, template.1).unwrap().policy.destination_key.render("a/b.png"),
            "small/a/b-light.png"
        );
        let fault = &both([("KARUI_DESTINATION_PREFIX", "small/"), template]).unwrap_err()[0];
        assert!(fault.contains("no KARUI_DESTINATION_PREFIX"), "{fault}");

        let sse_s3 = ("KARUI_DESTINATION_ENCRYPTION", "sse-s3");
        assert_eq!(with(sse_s3.0, sse_s3.1).unwrap().destination_buckets.encryption, Some(Encryption::SseS3));
        let fault = &both([("KARUI_DESTINATION_KMS_KEY", KEY), sse_s3]).unwrap_err()[0];
        assert!(fault.contains("no KARUI_DESTINATION_KMS_KEY"), "{fault}");
    }

    #[test]
    fn parse_validates_bucket_names() {
        for bad in
            ["ab", "Upper", "under_score", "-dash", "dash-", "a..b", "192.168.0.1", "s3://bucket", &"a".repeat(64)]
        {
            assert!(fault("KARUI_SOURCE_BUCKET", bad).contains("want a bucket name"), "{bad}");
        }
        for good in ["abc", "my.bucket-1", &"a".repeat(63)] {
            assert_eq!(with("KARUI_SOURCE_BUCKET", good).unwrap().source_bucket.as_deref(), Some(good));
        }
    }

    #[test]
    fn unknown_name_without_neighbour_has_no_suggestion() {
        assert_eq!(fault("KARUI_ZZZZZZZZZZZZ", "1"), "KARUI_ZZZZZZZZZZZZ: unknown");
    }

    #[test]
    fn parse_empty_value_is_unset() {
        assert_eq!(with("KARUI_QUALITY", "").unwrap().policy.options.quality, Quality::DEFAULT);
        assert!(parse(&[("KARUI_DESTINATION_BUCKET", "")]).unwrap_err()[0].contains("missing"));
    }

    #[test]
    fn parse_sets_memory_limit_from_function_memory() {
        let memory = |mb| with(MEMORY_VAR, mb).unwrap().policy.options.limits.memory;
        assert_eq!(memory("1769"), (1769 - 64) << 20);
        assert_eq!(memory("64"), 1);
    }

    #[test]
    fn parse_loop_is_a_fault() {
        let looping = |destination: &str, source: &str| {
            let faults = parse(&[
                ("KARUI_DESTINATION_BUCKET", "one-bucket"),
                ("KARUI_SOURCE_BUCKET", "one-bucket"),
                ("KARUI_DESTINATION_PREFIX", destination),
                ("KARUI_SOURCE_PREFIX", source),
            ]);
            faults.is_err_and(|faults| faults[0].contains("would trigger events"))
        };
        assert!(looping("", ""));
        assert!(looping("small/", ""));
        assert!(looping("", "photos/"));
        assert!(looping("photos/small/", "photos/"));
        assert!(!looping("small/", "photos/"));
        assert!(with("KARUI_SOURCE_BUCKET", "other-bucket").is_ok());
    }

    #[test]
    fn markdown_has_a_row_per_variable() {
        let table = markdown();
        assert_eq!(table.lines().count(), VARS.len() + 2);
        assert!(table.contains("| `KARUI_PART_SIZE` | a size from 5MiB to 5GiB | `8MiB` |"), "{table}");
        assert!(table.contains("| `KARUI_DESTINATION_BUCKET` |"), "{table}");
    }
}
