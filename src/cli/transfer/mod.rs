//! `karui cp`, `karui sync`, `karui policy` and `karui uploads`: transfers between S3 and folders with a person's
//! credentials.
//!
//! Decisions are pure (`decide`, `filter`). Two listings are merged and never held whole (`listing`). `copier` has the
//! pipeline copy one object, `run` copies many in parallel.

mod args;
mod compare;
mod copier;
mod decide;
mod filter;
mod listing;
mod policy;
mod report;
mod run;
mod settings;
mod task;
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
use crate::pipeline::Location;
use run::RunResult;

/// Exit status of shells for SIGINT.
const INTERRUPTED: u8 = 130;

/// Time after Ctrl-C for files in progress to be completed or removed.
const WRITE_GRACE: Duration = Duration::from_secs(5);

/// The commands.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    Cp(args::CpArgs),
    Sync(args::SyncArgs),
    Policy(policy::PolicyArgs),
    Uploads(uploads::UploadsArgs),
}

/// Runs a command. Returns 0, 1 if something failed, 2 for wrong usage, or 130 after Ctrl-C.
#[must_use]
pub fn run(command: Command) -> ExitCode {
    match command {
        Command::Cp(args) => transfer("cp", args.resolve()),
        Command::Sync(args) => transfer("sync", args.resolve()),
        Command::Policy(args) => match policy::print(&args) {
            Ok(()) => ExitCode::SUCCESS,
            Err(usage) => wrong_usage("policy", &usage),
        },
        Command::Uploads(args) => match block_on_runtime(uploads::run(args), |_| Duration::ZERO) {
            Ok(Ok(true)) => ExitCode::SUCCESS,
            Ok(Ok(false)) | Err(RuntimeFailed) => ExitCode::from(FAILED),
            Ok(Err(usage)) => wrong_usage("uploads", &usage),
        },
    }
}

fn transfer(name: &str, request: Result<args::Request, String>) -> ExitCode {
    let ended = match request {
        Ok(request) => {
            let writes_files = matches!(request.destination, Location::Local(_));
            block_on_runtime(run::run(request), |ended| match ended {
                Ok(RunResult::Interrupted) if writes_files => WRITE_GRACE,
                _ => Duration::ZERO,
            })
        }
        Err(usage) => Ok(Err(usage)),
    };
    match ended {
        Ok(Ok(RunResult::Success)) => ExitCode::SUCCESS,
        Ok(Ok(RunResult::WithFailures)) | Err(RuntimeFailed) => ExitCode::from(FAILED),
        Ok(Ok(RunResult::Interrupted)) => ExitCode::from(INTERRUPTED),
        Ok(Err(usage)) => wrong_usage(name, &usage),
    }
}

fn wrong_usage(name: &str, usage: &str) -> ExitCode {
    eprintln!("error: {usage}\n\nFor more information, try 'karui {name} --help'.");
    ExitCode::from(WRONG_USAGE)
}

/// The runtime could not start; this was already reported.
struct RuntimeFailed;

/// `grace` is how long blocking threads are waited for at the end: never for an image on its way to S3, or for a read
/// of stdin, which may not end.
fn block_on_runtime<T>(work: impl Future<Output = T>, grace: impl FnOnce(&T) -> Duration) -> Result<T, RuntimeFailed> {
    // The SDK's warnings are returned as errors, and reported once.
    let ours = Targets::new().with_target(env!("CARGO_PKG_NAME"), LevelFilter::WARN);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).without_time();
    tracing_subscriber::registry().with(lines.with_filter(ours)).init();
    // Most of a transfer is the kernel's work, which needs the other half of the cores: with a worker on each core, a
    // download takes a tenth more CPU for wake-ups, and no less time.
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let runtime = Builder::new_multi_thread().worker_threads(cores.div_ceil(2)).enable_all().build();
    let runtime = runtime.map_err(|error| {
        eprintln!("error: tokio: {error}");
        RuntimeFailed
    })?;
    let done = runtime.block_on(work);
    runtime.shutdown_timeout(grace(&done));
    Ok(done)
}
