//! Optimizes one file, and many of them in parallel.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Instant;

use super::args::{Output, Request};
use super::row::{Action, Row};
use super::walk::{FileJob, Unreadable};
use crate::local::beginning::first_bytes;
use crate::local::state::FileState;
use crate::local::write;
use crate::memory::MemoryBudget;
use crate::optimize::{Outcome, PROBE_BYTES, decide_unread, optimize, probe};
use crate::report::{Body, Report, millis};

/// Processes all jobs in parallel, and passes each row to `done` as soon as it is complete.
pub fn run(jobs: Vec<Result<FileJob, Unreadable>>, request: &Request, mut done: impl FnMut(Row)) {
    let workers = request.threads.min(jobs.len());
    let threads = request.threads / workers.max(1);
    let queue = Mutex::new(jobs.into_iter());
    let memory_budget = Arc::new(MemoryBudget::new(request.options.limits.memory));
    let (send, rows) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..workers {
            let (send, queue, memory_budget) = (send.clone(), &queue, &memory_budget);
            scope.spawn(move || {
                let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                while let Some(item) = next() {
                    // The receiver outlives all senders.
                    let _ = send.send(process(item, request, threads, memory_budget));
                }
            });
        }
        drop(send);
        rows.iter().for_each(&mut done);
    });
}

fn process(
    item: Result<FileJob, Unreadable>,
    request: &Request,
    threads: usize,
    memory_budget: &Arc<MemoryBudget>,
) -> Row {
    let started = Instant::now();
    let row = match item {
        Ok(job) => optimize_file(&job, request, threads, memory_budget)
            .unwrap_or_else(|error| Row::failed_file(&job.source, &error)),
        Err(Unreadable { path, error }) => Row::failed_file(&path, &error),
    };
    Row { dry_run: request.dry_run, ..row.taking(millis(started.elapsed())) }
}

fn optimize_file(
    job: &FileJob,
    request: &Request,
    threads: usize,
    memory_budget: &Arc<MemoryBudget>,
) -> io::Result<Row> {
    let mut file = File::open(&job.source)?;
    let about = file.metadata()?;
    let probe = probe(&first_bytes(&mut file, PROBE_BYTES)?, about.len());
    let format = probe.map(|probe| probe.format);
    let outcome = if let Some(answer) = decide_unread(format, about.len(), &request.options.limits) {
        answer.map(Outcome::Unchanged)
    } else {
        let _permit = memory_budget.acquire_blocking(probe.map_or(0, |probe| probe.memory));
        optimize(&read(&mut file, about.len())?, &request.options, request.budget(threads))
    };
    let body = Body::from_engine(outcome);
    let action = match &body {
        Body::Optimized { .. } => Action::Optimized,
        Body::Copied { .. } if request.output == Output::InPlace => Action::Same,
        Body::Copied { .. } => Action::Copied,
    };
    let report = Report::of_body(&body, about.len(), format);
    let destination = job.target.as_ref().map(|target| target.display().to_string());
    let row = Row::of_file(&job.source, action, Report { destination, ..report });
    let Some(target) = job.target.as_ref().filter(|_| !request.dry_run) else { return Ok(row) };
    match (body, action) {
        (Body::Optimized { bytes, .. }, _) => {
            if FileState::of(&job.source.metadata()?) != FileState::of(&about) {
                return Err(io::Error::other("the file changed while it was optimized"));
            }
            write::replace(target, &bytes, &about)?;
        }
        (Body::Copied { .. }, Action::Same) => {}
        (Body::Copied { .. }, _) => {
            file.seek(SeekFrom::Start(0))?;
            write::copy(file, target)?;
        }
    }
    Ok(row)
}

fn read(file: &mut File, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}
