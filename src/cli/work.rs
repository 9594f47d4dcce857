//! One file from its bytes to its result, and many of them at once.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Instant;

use super::args::{Output, Request};
use super::memory::{self, Gate};
use super::report::Row;
use super::walk::{Job, Unreadable};
use super::write;
use crate::optimize::format::SNIFF_BYTES;
use crate::optimize::{Format, ImageError, Limit, Limits, MetadataState, Outcome, Reason, Unchanged, optimize};

/// Works on all jobs, as many at once as the request says, and hands each row to `done` as soon as it is there.
pub fn run(jobs: Vec<Result<Job, Unreadable>>, request: &Request, mut done: impl FnMut(Row)) {
    let workers = request.threads.min(jobs.len());
    let threads = request.threads / workers.max(1);
    let queue = Mutex::new(jobs.into_iter());
    let gate = Gate::new(request.options.limits.memory);
    let (send, rows) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..workers {
            let (send, queue, gate) = (send.clone(), &queue, &gate);
            scope.spawn(move || {
                let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                while let Some(item) = next() {
                    // The receiver lives until all senders are gone.
                    let _ = send.send(process(item, request, threads, gate));
                }
            });
        }
        drop(send);
        rows.iter().for_each(&mut done);
    });
}

fn process(item: Result<Job, Unreadable>, request: &Request, threads: usize, gate: &Gate) -> Row {
    let started = Instant::now();
    let row = match item {
        Ok(job) => attempt(&job, request, threads, gate).unwrap_or_else(|error| Row::failed(&job.source, &error)),
        Err(Unreadable { path, error }) => Row::failed(&path, &error),
    };
    Row { millis: started.elapsed().as_millis(), ..row }
}

fn attempt(job: &Job, request: &Request, threads: usize, gate: &Gate) -> io::Result<Row> {
    let mut file = File::open(&job.source)?;
    let about = file.metadata()?;
    let format = sniff(&mut file)?;
    let outcome = if let Some(answer) = refuse_unread(format, about.len(), &request.options.limits) {
        answer
    } else {
        let _permit = gate.enter(memory::need(&mut file, about.len())?);
        optimize(&read(&mut file, about.len())?, &request.options, request.budget(threads))
    };
    let row = Row::new(&job.source, about.len(), format, &outcome);
    let Some(target) = job.target.as_ref().filter(|_| !request.dry_run) else { return Ok(row) };
    match outcome {
        Ok(Outcome::Optimized(encoded)) => {
            let now = job.source.metadata()?;
            if now.len() != about.len() || now.modified()? != about.modified()? {
                return Err(io::Error::other("changed while it was worked on"));
            }
            write::replace(target, &encoded.bytes, &about)?;
        }
        Ok(Outcome::Unchanged(_)) | Err(_) if request.output == Output::InPlace => {}
        Ok(Outcome::Unchanged(_)) | Err(_) => {
            file.seek(SeekFrom::Start(0))?;
            write::copy(file, target)?;
        }
    }
    Ok(row)
}

/// The format by the first bytes; leaves the file at its start.
fn sniff(file: &mut File) -> io::Result<Option<Format>> {
    let mut head = Vec::with_capacity(SNIFF_BYTES);
    file.take(SNIFF_BYTES as u64).read_to_end(&mut head)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(Format::sniff(&head))
}

/// What needs no reading: a film must not be loaded into memory to learn that it is none of our business.
fn refuse_unread(format: Option<Format>, length: u64, limits: &Limits) -> Option<Result<Outcome, ImageError>> {
    if format.is_none() {
        let reason = if length == 0 { Reason::Empty } else { Reason::NotAnImage };
        return Some(Ok(Outcome::Unchanged(Unchanged {
            reason,
            info: None,
            metadata: MetadataState::Kept,
            budget_cut: false,
        })));
    }
    Limits::check(Limit::Bytes, length, limits.bytes).err().map(Err)
}

fn read(file: &mut File, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}
