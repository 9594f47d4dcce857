//! `karui optimize -`: optimizes one image from stdin to stdout, or passes it through unchanged.

use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Instant;

use super::args::Request;
use super::report::message;
use super::row::{Action, Row};
use crate::optimize::{Format, optimize};
use crate::report::{Body, Report, millis};

/// Returns whether all bytes were written; reports errors on stderr.
pub fn run(request: &Request) -> bool {
    let started = Instant::now();
    let path = Path::new("-");
    let row = optimize_stdin(request, path).unwrap_or_else(|error| Row::failed_file(path, &error));
    let row = Row { dry_run: request.dry_run, ..row.taking(millis(started.elapsed())) };
    if request.json {
        eprintln!("{}", row.json());
    } else if let Some(message) = message(&row) {
        eprintln!("{message}");
    }
    !row.is_failed()
}

fn optimize_stdin(request: &Request, path: &Path) -> io::Result<Row> {
    let mut stdin = io::stdin().lock();
    let mut stdout = io::stdout().lock();
    let mut source = Vec::new();
    // One byte over the limit makes the engine refuse; the rest is then passed through.
    stdin.by_ref().take(request.options.limits.bytes.saturating_add(1)).read_to_end(&mut source)?;
    let body = Body::from_engine(optimize(&source, &request.options, request.budget(request.threads)));
    let mut length = source.len() as u64;
    if !request.dry_run {
        match &body {
            Body::Optimized { bytes, .. } => stdout.write_all(bytes)?,
            Body::Copied { .. } => {
                stdout.write_all(&source)?;
                length += io::copy(&mut stdin, &mut stdout)?;
            }
        }
        stdout.flush()?;
    }
    let action = if body.bytes().is_some() { Action::Optimized } else { Action::Copied };
    Ok(Row::of_file(path, action, Report::of_body(&body, length, Format::sniff(&source))))
}
