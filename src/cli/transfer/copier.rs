//! Copies or deletes one object, and reports it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::args::Request;
use super::compare::destination_matches;
use super::decide::Decision;
use super::task::CopyTask;
use crate::cli::row::{Action, Row};
use crate::local::write;
use crate::optimize::Options;
use crate::pipeline::files::on_disk;
use crate::pipeline::marker::options_hash;
use crate::pipeline::{Error, Location, Moved, Overwrite, Pipeline, Policy, SourceNow, SourceVersion, Task};
use crate::report::{Failure, Method, Outcome, Reason, Report, Skip, TransferReason, millis};
use crate::s3::{Pair, UploadTracker};

/// Attempts to copy an object that keeps changing.
const MAX_COPIES: u32 = 3;

/// Copies objects between the two sides. Shared by all concurrent copies.
pub struct Copier {
    pipeline: Pipeline,
    pub store: Pair,
    task: Task,
    /// `None` in a plain copy.
    options_hash: Option<String>,
    both_s3: bool,
    /// Root of local files; links below it are refused.
    root: PathBuf,
}

impl Copier {
    /// `root` is the folder that files are written to.
    pub fn new(request: &Request, store: Pair, root: PathBuf) -> Arc<Self> {
        let Request { options, source, destination, source_client, destination_client, jobs, .. } = request;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        let mut pipeline = Pipeline::new(store.clone(), policy(options.clone()))
            .with_root(root.clone())
            .with_threads(cores.div_ceil(*jobs));
        if options.is_none() && source_client == destination_client {
            // One principal gains nothing by it.
            pipeline = pipeline.without_relay();
        }
        Arc::new(Self {
            pipeline,
            store,
            task: if options.is_some() { Task::Optimize } else { Task::Transfer },
            options_hash: options.as_ref().map(options_hash),
            both_s3: source.is_s3() && destination.is_s3(),
            root,
        })
    }

    /// Uploads that are open.
    pub fn uploads(&self) -> UploadTracker {
        self.pipeline.uploads().clone()
    }

    /// Copies the object, or in a dry run reports what would be done.
    pub async fn copy_or_plan(&self, task: &CopyTask, dry_run: bool) -> Row {
        if dry_run { Box::pin(self.plan(task)).await } else { self.copy_object(task).await }
    }

    /// Copies the object. A source that changes meanwhile is copied again: the copy is newer than the change, so that
    /// no later listing would show the difference.
    async fn copy_object(&self, task: &CopyTask) -> Row {
        let started = Instant::now();
        let again = task.because(TransferReason::Newer);
        let (mut done, mut copied) = self.copy_once(task).await;
        let mut arrived = false;
        for attempt in 1..=MAX_COPIES {
            let Some(version) = copied.take() else { break };
            match version.compare(&self.store.source, &task.from).await {
                Ok(SourceNow::Unchanged | SourceNow::Gone) => break,
                Ok(SourceNow::Changed) => {}
                Err(error) => {
                    done = done.warning(format!("unknown whether the source changed meanwhile: {error}"));
                    break;
                }
            }
            arrived |= matches!(done.action, Action::Optimized | Action::Copied);
            if attempt < MAX_COPIES {
                task.progress.reset();
                (done, copied) = self.copy_once(&again).await;
            } else {
                let sentence = "the source keeps changing: run again when it is stable";
                done = task.row(Action::Failed).failed(Failure::retryable("source-changing", sentence));
            }
        }
        if arrived && let Some(Reason::Failed(failure)) = &mut done.report.reason {
            // By their dates, both sides now look the same.
            failure.sentence.push_str("; an older version was copied, which `karui sync --exact` or `cp` replaces");
        }
        done.taking(millis(started.elapsed()))
    }

    async fn copy_once(&self, task: &CopyTask) -> (Row, Option<SourceVersion>) {
        // Between S3 sides, the pipeline itself asks the destination's marker.
        let asks_itself = self.both_s3 && self.task == Task::Optimize;
        let differs = if asks_itself { Ok(None) } else { self.difference(task).await.map(Some) };
        let task = match differs {
            Ok(None) => task.clone(),
            Ok(Some(Some(why))) => task.because(why),
            Ok(Some(None)) => return (task.row(Action::Same), None),
            Err(error) => return (task.row(Action::Failed).failed(error.failure()), None),
        };
        let moved = self.pipeline.run_move(&task.to_move(self.task)).await;
        let version = moved.version.clone();
        (self.row(&task, moved), version)
    }

    async fn plan(&self, task: &CopyTask) -> Row {
        let row = |action| task.row(action).in_dry_run();
        match self.difference(task).await {
            Ok(Some(why)) => {
                let mut row = row(Action::Copied).because(Reason::Transferred(why));
                row.report.bytes_in = task.entry.as_ref().map(|entry| entry.size);
                row
            }
            Ok(None) => row(Action::Same),
            Err(error) => row(Action::Failed).failed(error.failure()),
        }
    }

    /// Returns the reason to transfer the object, if there is one.
    async fn difference(&self, task: &CopyTask) -> Result<Option<TransferReason>, Error> {
        Ok(match task.decision {
            Decision::Transfer(why) => Some(why),
            Decision::Compare(otherwise) => {
                let comparing = destination_matches(&self.store, self.options_hash.as_deref(), task);
                match Box::pin(comparing).await? {
                    Some(true) => None,
                    Some(false) => Some(TransferReason::Content),
                    None => otherwise,
                }
            }
            Decision::Same | Decision::Delete | Decision::Keep => None,
        })
    }

    /// Deletes a key that only the destination has.
    pub async fn delete(&self, place: Location) -> Row {
        let deleted = match &place {
            Location::S3(object) => self.store.destination.delete(object).await.map_err(Error::from),
            Location::Local(path) => {
                let root = self.root.clone();
                on_disk(path, move |path| write::delete(&root, path)).await
            }
            Location::Stream => Ok(()),
        };
        match deleted {
            Ok(()) => Row::between(Action::Deleted, None, Some(&place)),
            Err(error) => Row::between(Action::Failed, None, Some(&place)).failed(error.failure()),
        }
    }

    fn row(&self, task: &CopyTask, Moved { report, relayed, .. }: Moved) -> Row {
        let row = match (report.outcome, &report.reason) {
            (Outcome::Skipped, Some(Reason::Skipped(Skip::SourceGone))) if self.task == Task::Transfer => {
                let sentence = format!("{}: no such object", task.from);
                return task.row(Action::Failed).failed(Failure::retryable("source-gone", sentence));
            }
            (Outcome::Optimized, _) => task.row(Action::Optimized),
            (Outcome::Unchanged, _) => task.row(Action::Copied),
            (Outcome::Skipped, Some(Reason::Skipped(Skip::AlreadyStored))) => task.row(Action::Same),
            (Outcome::Skipped, _) => task.row(Action::Skipped),
            (Outcome::Deleted, _) => task.row(Action::Deleted),
            (Outcome::Failed, _) => task.row(Action::Failed),
        };
        let Report { source, destination, reason, .. } = row.report;
        let report = Report { reason: report.reason.clone().or(reason), source, destination, ..report };
        let row = Row { report, ..row };
        match relayed {
            Some(refusal) => relayed_row(row, &refusal),
            None if self.is_always_relayed() && row.action == Action::Copied => {
                relayed_row(row, &"the sides are different stores")
            }
            None => row,
        }
    }

    /// Whether S3 would copy, were both sides in one store.
    fn is_always_relayed(&self) -> bool {
        self.both_s3 && self.task == Task::Transfer && self.store.is_cross_store()
    }
}

/// A plain copy replaces what there is; a result only what has not changed meanwhile.
fn policy(options: Option<Options>) -> Policy {
    let overwrite = if options.is_some() { Overwrite::IfOlder } else { Overwrite::Always };
    Policy { overwrite, options: options.unwrap_or_default(), ..Policy::to_bucket("") }
}

/// Marks the row as relayed, with the reason why S3 did not copy.
fn relayed_row(mut row: Row, why: &dyn fmt::Display) -> Row {
    row.report.method.get_or_insert(Method::Relay);
    row.warning(format!("copied via this machine: {why}"))
}
