//! Copies one object from its source to its destination, on the server or via the client.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::args::Request;
use super::compare::SourceVersion;
use super::decide::{Decision, Entry, TransferReason};
use super::location::Location;
use super::report::{Action, ProgressHandle, TransferRow};
use crate::local;
use crate::memory::MemoryBudget;
use crate::optimize::Options;
use crate::pipeline::error::code_of_s3;
use crate::pipeline::marker::options_hash;
use crate::pipeline::tags::TagReader;
use crate::pipeline::write::{Content, Fallbacks, Write, Written, write};
use crate::pipeline::{Job, Pipeline, Policy, Task as PipelineTask};
use crate::report::{Failure, Method, Outcome, Reason, Report, Skip, millis};
use crate::s3::{Attributes, Condition, CopyTags, ETag, Head, ObjectRef, Pair, S3Error, S3ErrorKind};

/// Least value of [`Copier::whole`], in bytes.
const WHOLE: u64 = 32 << 20;
/// Attempts to copy an object that keeps changing.
const MAX_COPIES: u32 = 3;

/// Why an object was not copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error(transparent)]
    S3(#[from] S3Error),
    #[error("{}: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("{0}: no such object")]
    Missing(ObjectRef),
    #[error("{0}")]
    Lost(String),
}

impl CopyError {
    pub fn failure(&self) -> Failure {
        let sentence = self.to_string();
        match self {
            Self::S3(error) => Failure::retryable(code_of_s3(&error.kind), sentence),
            Self::Io { error, .. } => Failure::of_file(error, sentence),
            Self::Missing(_) => Failure::retryable("source-gone", sentence),
            Self::Lost(_) => Failure::retryable("task-lost", sentence),
        }
    }

    /// Whether the error says that the source changed before all of it was read.
    fn is_changed_source(&self, source: &Location) -> bool {
        matches!((self, source), (Self::S3(S3Error { kind: S3ErrorKind::PreconditionFailed, object, .. }), Location::S3(source))
            if object == source)
    }
}

/// One object to copy.
#[derive(Debug, Clone)]
pub struct CopyTask {
    pub from: Location,
    pub to: Location,
    /// Entry of the listing; `None` for an object named on the command line.
    pub entry: Option<Entry>,
    pub decision: Decision,
    pub progress: ProgressHandle,
}

/// Copies objects between the two sides. Shared by all concurrent copies.
pub struct Copier {
    pub store: Pair,
    /// Whether both sides use the same principal.
    one_principal: bool,
    pub options: Option<Options>,
    pub options_hash: String,
    tags: TagReader,
    /// The function's pipeline, if both sides are S3 and images are optimized.
    pipeline: Option<Pipeline>,
    /// Root of local files; links below it are refused.
    pub root: PathBuf,
    pub threads: usize,
    /// Memory budget of objects that pass through this machine, shared with the pipeline.
    pub memory: Arc<MemoryBudget>,
    /// Objects up to this size are held whole; larger ones need this much memory at a time, regardless of their size.
    pub whole: u64,
}

impl Copier {
    /// `root` is the folder that files are written to.
    pub fn new(request: &Request, store: Pair, root: PathBuf) -> Arc<Self> {
        let both_s3 = request.source.is_s3() && request.destination.is_s3();
        let options = request.options.clone();
        let policy = options.clone().map(|options| Policy { options, ..Policy::to_bucket("") });
        let memory = Arc::new(MemoryBudget::new(options.clone().unwrap_or_default().limits.memory));
        let pipeline = policy
            .filter(|_| both_s3)
            .map(|policy| Pipeline::new(store.clone(), policy).with_memory_budget(Arc::clone(&memory)));
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        Arc::new(Self {
            tags: TagReader::new(store.source.clone()),
            whole: WHOLE.max(store.destination.multipart_threshold()),
            store,
            one_principal: request.source_client == request.destination_client,
            options_hash: options_hash(&options.clone().unwrap_or_default()),
            options,
            pipeline,
            root,
            threads: cores.div_ceil(request.jobs),
            memory,
        })
    }

    /// Copies the object, or in a dry run reports what would be done.
    pub async fn copy_or_plan(&self, task: &CopyTask, dry_run: bool) -> TransferRow {
        if dry_run { Box::pin(self.plan(task)).await } else { self.copy_object(task).await }
    }

    /// Copies the object. A source that changes meanwhile is copied again: the copy is newer than the change, so that
    /// no later listing would show the difference.
    async fn copy_object(&self, task: &CopyTask) -> TransferRow {
        let started = Instant::now();
        let again = CopyTask { decision: Decision::Transfer(TransferReason::Newer), ..task.clone() };
        let (mut arrived, mut done) = (false, self.copy_once(task).await);
        for attempt in 1..=MAX_COPIES {
            let Some(copied) = done.copied_version.take() else { break };
            match self.source_has_changed(&task.from, &copied).await {
                Ok(false) => break,
                Ok(true) => {}
                Err(failure) => {
                    done = done.warning(format!("unknown whether the source changed meanwhile: {failure}"));
                    break;
                }
            }
            arrived |= matches!(done.row.action, Action::Optimized | Action::Copied);
            done = if attempt < MAX_COPIES {
                task.progress.reset();
                self.copy_once(&again).await
            } else {
                let sentence = "the source keeps changing: run again when it is stable";
                row(task, Action::Failed).failed(Failure::retryable("source-changing", sentence))
            };
        }
        if arrived && let Some(Reason::Failed(failure)) = &mut done.row.report.reason {
            // By their dates, both sides now look the same.
            failure.sentence.push_str("; an older version was copied, which `karui sync --exact` or `cp` replaces");
        }
        TransferRow { row: done.row.taking(millis(started.elapsed())), ..done }
    }

    async fn copy_once(&self, task: &CopyTask) -> TransferRow {
        let copied = match (&task.from, &task.to, &self.pipeline) {
            (Location::S3(from), Location::S3(to), Some(pipeline)) => {
                Ok(self.by_pipeline(pipeline, task, from, to).await)
            }
            (..) => Box::pin(self.copy_if_different(task)).await,
        };
        copied.unwrap_or_else(|failure| {
            let row = row(task, Action::Failed).failed(failure.failure());
            if failure.is_changed_source(&task.from) { row.with_version(SourceVersion::Changed) } else { row }
        })
    }

    async fn copy_if_different(&self, task: &CopyTask) -> Result<TransferRow, CopyError> {
        let Some(why) = self.difference(task).await? else { return Ok(row(task, Action::Same)) };
        let task = &CopyTask { decision: Decision::Transfer(why), ..task.clone() };
        match (&task.from, &task.to) {
            (Location::S3(from), Location::S3(to)) if self.options.is_none() => {
                self.copy_on_server(task, from, to).await
            }
            (..) => self.copy_via_client(task).await,
        }
    }

    async fn plan(&self, task: &CopyTask) -> TransferRow {
        let row = |action| row(task, action).in_dry_run();
        match self.difference(task).await {
            Ok(Some(why)) => {
                let mut done = row(Action::Copied).because(Reason::Transferred(why));
                done.row.report.bytes_in = task.entry.as_ref().map(|entry| entry.size);
                done
            }
            Ok(None) => row(Action::Same),
            Err(failure) => row(Action::Failed).failed(failure.failure()),
        }
    }

    /// Returns the reason to transfer the object, if there is one.
    async fn difference(&self, task: &CopyTask) -> Result<Option<TransferReason>, CopyError> {
        Ok(match task.decision {
            Decision::Transfer(why) => Some(why),
            Decision::Compare(otherwise) => match Box::pin(self.destination_matches(task)).await? {
                Some(true) => None,
                Some(false) => Some(TransferReason::Content),
                None => otherwise,
            },
            Decision::Same | Decision::Delete | Decision::Keep => None,
        })
    }

    /// Deletes a key that only the destination has.
    pub async fn delete(&self, place: Location) -> TransferRow {
        let deleted = match &place {
            Location::S3(object) => self.store.destination.delete(object).await.map_err(CopyError::from),
            Location::Local(path) => self.delete_file(path.clone()).await,
            Location::Stream => Ok(()),
        };
        match deleted {
            Ok(()) => TransferRow::new(Action::Deleted, None, Some(&place)),
            Err(failure) => TransferRow::new(Action::Failed, None, Some(&place)).failed(failure.failure()),
        }
    }

    async fn delete_file(&self, path: PathBuf) -> Result<(), CopyError> {
        let root = self.root.clone();
        on_disk(path, move |path| local::write::delete(&root, path)).await
    }

    async fn by_pipeline(&self, pipeline: &Pipeline, task: &CopyTask, from: &ObjectRef, to: &ObjectRef) -> TransferRow {
        let entry = task.entry.as_ref();
        // A newer or explicitly requested source is processed whatever the marker says, since its attributes may
        // differ.
        let listed = entry.filter(|_| matches!(task.decision, Decision::Compare(_)));
        let job = Job {
            source: from.clone(),
            etag: listed.and_then(|entry| entry.etag.clone()),
            size: entry.map(|entry| entry.size),
            sequencer: None,
            task: PipelineTask::Optimize,
        };
        let report = pipeline.run_to(&job, to.clone()).await;
        row_from_report(task, report)
    }

    /// Copies on the server; via the client if the destination's principal may not read the source, or if the stores
    /// differ.
    async fn copy_on_server(
        &self,
        task: &CopyTask,
        from: &ObjectRef,
        to: &ObjectRef,
    ) -> Result<TransferRow, CopyError> {
        if self.store.is_cross_store() {
            let row = self.copy_via_client(task).await?;
            return Ok(relayed(row, &"the sides are different stores"));
        }
        let head = self.store.source.head(from).await?.ok_or_else(|| CopyError::Missing(from.clone()))?;
        task.progress.expect(head.size);
        match self.copy_with_tags(task, from, &head, to).await {
            Err(error) if error.may_be_cross_principal() && !self.one_principal => {
                let row = self.copy_via_client(task).await?;
                Ok(relayed(row, &error))
            }
            Err(error) => Err(error.into()),
            Ok(warnings) => {
                let row = row(task, Action::Copied).with_all_bytes(head.size);
                let row = row.with_version(SourceVersion::Object(head.etag));
                Ok(warnings.into_iter().fold(row, TransferRow::warning))
            }
        }
    }

    /// Copies with tags, or without them and with a warning if tags may not be copied.
    async fn copy_with_tags(
        &self,
        task: &CopyTask,
        from: &ObjectRef,
        head: &Head,
        to: &ObjectRef,
    ) -> Result<Vec<String>, S3Error> {
        let mut attributes = head.attributes.clone();
        let mut unread = None;
        if !self.store.fits_single_copy(head.size) {
            (attributes.tags, unread) = self.tags(from, head).await?;
        }
        let content = Content::Copy { from, head, tags: CopyTags::Copy };
        let dropped = self.write(task, content, to, attributes).await?;
        Ok(unread.into_iter().chain(dropped).collect())
    }

    /// Writes with tags, or without them and with a warning if tags may not be written or the store has none.
    pub async fn write(
        &self,
        task: &CopyTask,
        content: Content<'_>,
        to: &ObjectRef,
        attributes: Attributes,
    ) -> Result<Option<String>, S3Error> {
        let store = match content {
            // Counted when it is done.
            Content::Bytes(_) => self.store.clone(),
            Content::Copy { .. } | Content::Relay { .. } => self.store.clone().with_progress(task.progress.counter()),
        };
        let pending = Write { content, to, attributes, condition: Condition::None };
        let Written { warning, .. } = write(&store, pending, Fallbacks { drop_tags: true, relay: false }).await?;
        Ok(warning)
    }

    /// Returns the source's tags, or none and a warning if they may not be read.
    pub async fn tags(
        &self,
        from: &ObjectRef,
        head: &Head,
    ) -> Result<(Vec<(String, String)>, Option<String>), S3Error> {
        let (tags, warning) = self.tags.read(from, head, false).await?;
        Ok((tags.unwrap_or_default(), warning))
    }
}

pub fn row(task: &CopyTask, action: Action) -> TransferRow {
    let row = TransferRow::new(action, Some(&task.from), Some(&task.to));
    match task.decision {
        Decision::Transfer(why) => row.because(Reason::Transferred(why)),
        Decision::Same | Decision::Compare(_) | Decision::Delete | Decision::Keep => row,
    }
}

/// Marks the row as relayed, with the reason why S3 did not copy.
fn relayed(mut done: TransferRow, why: &dyn fmt::Display) -> TransferRow {
    done.row.report.method.get_or_insert(Method::Relay);
    done.warning(format!("copied via this machine: {why}"))
}

fn row_from_report(task: &CopyTask, report: Report) -> TransferRow {
    let action = match (report.outcome, &report.reason) {
        (Outcome::Optimized, _) => Action::Optimized,
        (Outcome::Unchanged, _) => Action::Copied,
        (Outcome::Skipped, Some(Reason::Skipped(Skip::AlreadyStored))) => Action::Same,
        (Outcome::Skipped, _) => Action::Skipped,
        (Outcome::Deleted, _) => Action::Deleted,
        (Outcome::Failed, _) => Action::Failed,
    };
    let copied_version = match (action, &report.reason) {
        (Action::Optimized | Action::Copied, _) => {
            report.source_etag.as_deref().map(|etag| SourceVersion::Object(ETag::new(etag)))
        }
        (_, Some(Reason::Skipped(Skip::SourceReplaced))) => Some(SourceVersion::Changed),
        (_, _) => None,
    };
    let mut done = row(task, action);
    let Report { source, destination, reason, .. } = done.row.report;
    done.row.report = Report { reason: report.reason.clone().or(reason), source, destination, ..report };
    TransferRow { copied_version, ..done }
}

/// Runs file system work on a blocking thread.
pub async fn on_disk<T: Send + 'static>(
    path: PathBuf,
    work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> Result<T, CopyError> {
    let worked = tokio::task::spawn_blocking(move || work(&path).map_err(|error| CopyError::Io { path, error })).await;
    worked.unwrap_or_else(|lost| Err(CopyError::Lost(lost.to_string())))
}
