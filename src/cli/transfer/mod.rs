//! `karui cp`, `karui sync`, `karui policy` and `karui uploads`: S3 and folders, as a person with credentials uses them.
//!
//! What is to be done is decided purely (`decide`, `filter`, `location`) over two listings that are never held
//! whole (`listing`); `carry` brings one object over, `run` many at once.

mod args;
mod carry;
mod compare;
mod decide;
mod filter;
mod listing;
mod local;
mod location;
mod policy;
mod report;
mod run;
mod source;
mod through;
mod uploads;

use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Duration;

use tokio::runtime::Builder;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::cli::{FAILED, WRONG_USAGE};
use crate::config;
use crate::s3::{Buckets, RateLimits, TransferConfig};
use location::Location;
use run::Ended;

/// As a shell names the end by SIGINT.
const INTERRUPTED: u8 = 130;

/// After Ctrl-C, for files that are being written to arrive or be removed.
const PATIENCE: Duration = Duration::from_secs(5);

/// The commands.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    Cp(args::CpArgs),
    Sync(args::SyncArgs),
    Policy(policy::PolicyArgs),
    Uploads(uploads::UploadsArgs),
}

/// Runs a command and says how it went: 0, 1 where something failed, 2 for wrong usage, 130 after Ctrl-C.
#[must_use]
pub fn run(command: Command) -> ExitCode {
    match command {
        Command::Cp(args) => transfer("cp", args.resolve()),
        Command::Sync(args) => transfer("sync", args.resolve()),
        Command::Policy(args) => match policy::print(&args) {
            Ok(()) => ExitCode::SUCCESS,
            Err(usage) => wrong_usage("policy", &usage),
        },
        Command::Uploads(args) => match within_runtime(uploads::run(args), |_| Duration::ZERO) {
            Ok(Ok(true)) => ExitCode::SUCCESS,
            Ok(Ok(false)) | Err(Broken) => ExitCode::from(FAILED),
            Ok(Err(usage)) => wrong_usage("uploads", &usage),
        },
    }
}

fn transfer(name: &str, request: Result<args::Request, String>) -> ExitCode {
    let ended = match request {
        Ok(request) => {
            let writes_files = matches!(request.destination, Location::Local(_));
            within_runtime(run::run(request), |ended| match ended {
                Ok(Ended::Interrupted) if writes_files => PATIENCE,
                _ => Duration::ZERO,
            })
        }
        Err(usage) => Ok(Err(usage)),
    };
    match ended {
        Ok(Ok(Ended::Well)) => ExitCode::SUCCESS,
        Ok(Ok(Ended::WithFailures)) | Err(Broken) => ExitCode::from(FAILED),
        Ok(Ok(Ended::Interrupted)) => ExitCode::from(INTERRUPTED),
        Ok(Err(usage)) => wrong_usage(name, &usage),
    }
}

fn wrong_usage(name: &str, usage: &str) -> ExitCode {
    eprintln!("error: {usage}\n\nFor more information, try 'karui {name} --help'.");
    ExitCode::from(WRONG_USAGE)
}

/// What is about bytes on their way, by this process's environment.
fn settings() -> Result<(TransferConfig, RateLimits, Buckets), String> {
    config::transfer(config::readable(std::env::vars_os())).map_err(|faults| faults.to_string())
}

/// No runtime, which has been told of.
struct Broken;

/// `patience` is how long what is on a thread of its own is waited for at the end: never an image on its way to S3, or a
/// read of stdin, which may not end.
fn within_runtime<T>(work: impl Future<Output = T>, patience: impl FnOnce(&T) -> Duration) -> Result<T, Broken> {
    // What the SDK warns of comes back as an error, and is told once.
    let ours = Targets::new().with_target(env!("CARGO_PKG_NAME"), LevelFilter::WARN);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).without_time();
    tracing_subscriber::registry().with(lines.with_filter(ours)).init();
    // Most of a transfer is the kernel's work, for which the other half of the cores stays: with a worker on each, a download takes
    // a tenth more CPU for waking them, and not less time.
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let runtime = Builder::new_multi_thread().worker_threads(cores.div_ceil(2)).enable_all().build();
    let runtime = runtime.map_err(|error| {
        eprintln!("error: tokio: {error}");
        Broken
    })?;
    let done = runtime.block_on(work);
    runtime.shutdown_timeout(patience(&done));
    Ok(done)
}
