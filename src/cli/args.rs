//! Parses the command line of `karui optimize`. Touches no file.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use crate::optimize::{Budget, Effort, MetadataPolicy, Options, Quality};

/// Optimize JPEG, PNG, WebP and GIF files down to a target quality
#[derive(Debug, Clone, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line are just that")]
#[command(
    after_long_help = "A file is written to --out under its own name; the files of a folder keep their paths below \
that folder. Unchanged files are copied. Symbolic links inside folders are not followed. With `-`, --json goes to stderr.\n\nExit status: 0, 1 if a file failed, 2 for wrong usage."
)]
pub struct OptimizeArgs {
    /// Write results into this folder, unchanged files included
    #[arg(long, value_name = "DIR", conflicts_with = "in_place")]
    out: Option<PathBuf>,
    /// Replace each file atomically
    #[arg(long)]
    in_place: bool,
    /// SSIMULACRA2 score that no result falls below: 30 to 100, or medium, high, very-high, visually-lossless, lossless
    #[arg(long, value_name = "N|NAME", default_value_t = Quality::DEFAULT)]
    quality: Quality,
    /// Change no pixel; same as --quality lossless
    #[arg(long, conflicts_with = "quality")]
    lossless: bool,
    /// fast (one encode at the first guess, no score) or default (search until the score holds)
    #[arg(long, value_name = "fast|default", default_value_t = Effort::Default)]
    effort: Effort,
    /// Time limit of the search per image in milliseconds; the best result found by then is kept, and the report says
    /// so
    #[arg(long, value_name = "MS")]
    max_millis: Option<u64>,
    /// Metadata to keep: safe (removes location, thumbnails, edit history), all, or none
    #[arg(long, value_name = "safe|all|none", default_value_t = MetadataPolicy::Safe)]
    metadata: MetadataPolicy,
    /// Savings in percent below which a file is left unchanged
    #[arg(long, value_name = "P", default_value_t = Options::DEFAULT_MIN_SAVINGS, value_parser = percent)]
    min_savings: f64,
    /// Files processed at the same time; threads per file if there are fewer files [default: the available cores]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Report what would be done, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object per file
    #[arg(long)]
    json: bool,
    /// Files and folders, or `-` for stdin to stdout
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

/// The parsed command line.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    pub input: Input,
    pub output: Output,
    pub options: Options,
    /// Time limit of the search on one image.
    pub max_time: Option<Duration>,
    pub threads: usize,
    pub dry_run: bool,
    pub json: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Reads stdin, and writes the result to stdout.
    Stdin,
    Paths(Vec<PathBuf>),
}

/// Where results go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    Folder(PathBuf),
    InPlace,
    /// No destination: stdout, or a dry run.
    Unnamed,
}

impl Request {
    /// Returns the budget of an image that starts now.
    pub fn budget(&self, threads: usize) -> Budget {
        self.max_time.map_or(Budget::UNLIMITED, Budget::lasting).on(threads)
    }
}

impl OptimizeArgs {
    /// # Errors
    /// Describes the invalid combination, and what to type instead.
    pub fn resolve(self) -> Result<Request, String> {
        let stdin = self.paths.iter().any(|path| path.as_os_str() == "-");
        if stdin && self.paths.len() > 1 {
            return Err(
                "`-` cannot be combined with paths: it reads one image from stdin (a file of that name is ./-)".into(),
            );
        }
        let output = match self.out {
            Some(folder) => Output::Folder(folder),
            None if self.in_place => Output::InPlace,
            None => Output::Unnamed,
        };
        if stdin && output != Output::Unnamed {
            return Err("`-` writes to stdout: leave out --out and --in-place".into());
        }
        if !stdin && output == Output::Unnamed && !self.dry_run {
            return Err("no destination: give --out DIR or --in-place, or --dry-run to see what would be done".into());
        }
        let quality = if self.lossless { Quality::Lossless } else { self.quality };
        Ok(Request {
            input: if stdin { Input::Stdin } else { Input::Paths(self.paths) },
            output,
            options: Options {
                quality,
                metadata: self.metadata,
                effort: self.effort,
                min_savings: self.min_savings,
                ..Options::default()
            },
            max_time: self.max_millis.map(Duration::from_millis),
            threads: self.threads.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get),
            dry_run: self.dry_run,
            json: self.json,
        })
    }
}

fn percent(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.0..=100.0).contains(&value) => Ok(value),
        _ => Err("want a percentage from 0 to 100".into()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(clap::Parser)]
    struct Program {
        #[command(flatten)]
        args: OptimizeArgs,
    }

    fn resolve(line: &str) -> Result<Request, String> {
        let words = std::iter::once("karui").chain(line.split_whitespace());
        Program::try_parse_from(words).map_err(|e| e.to_string())?.args.resolve()
    }

    #[test]
    fn resolve_defaults_are_the_engines() {
        let request = resolve("--out o a.jpg").unwrap();
        assert_eq!(request.options, Options::default());
        assert_eq!(request.output, Output::Folder("o".into()));
        assert!(request.threads >= 1);
    }

    #[test]
    fn resolve_passes_every_option() {
        let line = "--in-place --quality very-high --effort fast --metadata none --min-savings 0 --threads 3 --max-millis 500 --json a b";
        let request = resolve(line).unwrap();
        assert_eq!(request.options.quality, Quality::Target(80.0));
        assert_eq!(request.options.effort, Effort::Fast);
        assert_eq!(request.options.metadata, MetadataPolicy::None);
        assert!(request.options.min_savings.abs() < f64::EPSILON);
        assert_eq!((request.threads, request.json, request.dry_run), (3, true, false));
        assert_eq!(request.max_time, Some(Duration::from_millis(500)));
        assert_eq!(request.input, Input::Paths(vec!["a".into(), "b".into()]));
        assert_eq!(resolve("--lossless --dry-run a").unwrap().options.quality, Quality::Lossless);
    }

    #[test]
    fn resolve_stdin_writes_to_stdout() {
        let request = resolve("-").unwrap();
        assert_eq!((request.input, request.output), (Input::Stdin, Output::Unnamed));
    }

    #[test]
    fn resolve_of_wrong_usage_names_the_remedy() {
        for (line, remedy) in [
            ("a.jpg", "--in-place"),
            ("- a.jpg", "./-"),
            ("--out o -", "leave out --out"),
            ("--in-place -", "leave out --out"),
            ("--out o --in-place a", "cannot be used with"),
            ("--lossless --quality 80 --dry-run a", "cannot be used with"),
            ("--quality high! --dry-run a", "want a score from 30 to 100"),
            ("--min-savings 101 --dry-run a", "want a percentage"),
            ("--threads 0 --dry-run a", "invalid value"),
            ("--dry-run", "required"),
        ] {
            let message = resolve(line).unwrap_err();
            assert!(message.contains(remedy), "{line}: {message}");
        }
    }
}
