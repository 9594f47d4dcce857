//! `karui optimize -`: one image from stdin, the result (or the image as it came) to stdout.

use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Instant;

use super::args::Request;
use super::report::Row;
use crate::optimize::{Format, Outcome, optimize};

/// Whether all bytes arrived; what went wrong stands on stderr.
pub fn run(request: &Request) -> bool {
    let started = Instant::now();
    let path = Path::new("-");
    let row = pass(request, path).unwrap_or_else(|error| Row::failed(path, &error));
    let row = Row { millis: started.elapsed().as_millis(), ..row };
    if request.json {
        eprintln!("{}", row.json());
    } else if let Some(complaint) = row.complaint() {
        eprintln!("{complaint}");
    }
    !row.is_failed()
}

fn pass(request: &Request, path: &Path) -> io::Result<Row> {
    let mut stdin = io::stdin().lock();
    let mut stdout = io::stdout().lock();
    let mut source = Vec::new();
    // One byte over the limit is enough for the engine to refuse; the rest then flows through.
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
    Ok(Row::new(path, length, Format::sniff(&source), &outcome))
}
