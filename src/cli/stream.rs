//! `karui optimize -`: optimizes one image from stdin to stdout, or passes it through unchanged.

use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Instant;

use super::args::Request;
use super::report::FileRow;
use crate::optimize::{Format, Outcome, optimize};

/// Returns whether all bytes were written; reports errors on stderr.
pub fn run(request: &Request) -> bool {
    let started = Instant::now();
    let path = Path::new("-");
    let row = optimize_stdin(request, path).unwrap_or_else(|error| FileRow::failed(path, &error));
    let row = FileRow { millis: started.elapsed().as_millis(), ..row };
    if request.json {
        eprintln!("{}", row.json());
    } else if let Some(message) = row.message() {
        eprintln!("{message}");
    }
    !row.is_failed()
}

fn optimize_stdin(request: &Request, path: &Path) -> io::Result<FileRow> {
    let mut stdin = io::stdin().lock();
    let mut stdout = io::stdout().lock();
    let mut source = Vec::new();
    // One byte over the limit makes the engine refuse; the rest is then passed through.
    stdin.by_ref().take(request.options.limits.bytes.saturating_add(1)).read_to_end(&mut source)?;
    let outcome = optimize(&source, &request.options, request.budget(request.threads));
    let mut length = source.len() as u64;
    if !request.dry_run {
        match &outcome {
            Ok(Outcome::Optimized(encoded)) => stdout.write_all(&encoded.bytes)?,
            Ok(Outcome::Unchanged(_)) | Err(_) => {
                stdout.write_all(&source)?;
                length += io::copy(&mut stdin, &mut stdout)?;
            }
        }
        stdout.flush()?;
    }
    Ok(FileRow::new(path, length, Format::sniff(&source), &outcome))
}
