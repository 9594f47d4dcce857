//! `karui optimize` and `karui score`: runs the engine on files and folders. Parses arguments, walks folders, writes
//! files and prints results; makes no decisions about images.
//!
//! stdout carries only results (a score, JSON lines, or the image for `-`); messages for people go to stderr.

mod args;
mod report;
mod row;
mod score;
mod stream;
mod table;
mod walk;
mod work;

#[cfg(any(feature = "dev", feature = "transfer"))]
mod interrupt;
#[cfg(feature = "transfer")]
pub mod transfer;

use std::process::ExitCode;

pub use args::OptimizeArgs;
#[cfg(any(feature = "dev", feature = "transfer"))]
pub(crate) use interrupt::interrupted;
pub use score::{ScoreArgs, score};
pub use table::Table;

/// A file failed, or a result could not be written.
const FAILED: u8 = 1;
/// The command line makes no sense.
const WRONG_USAGE: u8 = 2;

/// Runs `karui optimize`. Returns 0, 1 if a file failed, or 2 for wrong usage.
#[must_use]
pub fn optimize(args: OptimizeArgs) -> ExitCode {
    match args.resolve().and_then(|request| run(&request)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FAILED),
        Err(usage) => {
            eprintln!("error: {usage}\n\nFor more information, try 'karui optimize --help'.");
            ExitCode::from(WRONG_USAGE)
        }
    }
}

/// Returns whether all files succeeded; `Err` is wrong usage that only the file system could reveal.
fn run(request: &args::Request) -> Result<bool, String> {
    let args::Input::Paths(paths) = &request.input else {
        return Ok(stream::run(request));
    };
    let jobs = walk::collect(paths, &request.output)?;
    let mut printer = report::Printer::new(jobs.len(), request.json);
    work::run(jobs, request, |row| printer.add(row));
    Ok(printer.finish())
}
