//! One object from its source to its destination, by whichever way there is between the two.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{Semaphore, SemaphorePermit};

use super::args::Request;
use super::decide::{Decision, Entry};
use super::local;
use super::location::Location;
use super::report::{Action, Meter, Row};
use super::through::WHOLE;
use crate::optimize::Options;
use crate::pipeline::marker::options_hash;
use crate::pipeline::report::Outcome;
use crate::pipeline::{Job, Pipeline, Policy, Report, Skip, Task as PipelineTask};
use crate::s3::{Condition, CopyTags, Head, ObjectRef, S3Error, Store};

/// Bytes of memory that an image may need for each byte of its file, as dense a PNG as there is.
const BYTES_PER_FILE_BYTE: u64 = 22;
/// Bytes of a permit of [`Carrier::memory`].
const PERMIT: u64 = 1 << 20;
/// Why an object did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    S3(#[from] S3Error),
    #[error("{}: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("{0}: no such object")]
    Missing(ObjectRef),
    #[error("{0}")]
    Lost(String),
}

/// One object to be carried.
#[derive(Debug, Clone)]
pub struct Load {
    pub from: Location,
    pub to: Location,
    /// As listed; `None` of the one that was named.
    pub entry: Option<Entry>,
    pub decision: Decision,
    pub meter: Meter,
}

/// Knows both sides, and the ways between them. Shared by all that is on its way.
pub struct Carrier {
    pub store: Store,
    /// Whether one and the same speaks to both ends.
    one_principal: bool,
    pub options: Option<Options>,
    pub options_hash: String,
    /// The function's own story, where both ends are S3 and images are made light.
    pipeline: Option<Pipeline>,
    /// Below which a link must lead nowhere.
    pub root: PathBuf,
    pub threads: usize,
    /// In MiB.
    memory: Semaphore,
    capacity: u32,
}

impl Carrier {
    /// `root` is the folder that files arrive in.
    pub fn new(request: &Request, store: Store, root: PathBuf) -> Arc<Self> {
        let both_s3 = request.source.is_s3() && request.destination.is_s3();
        let options = request.options.clone();
        let policy = options.clone().map(|options| Policy { options, ..Policy::to_bucket("") });
        let pipeline =
            policy.filter(|_| both_s3 && !store.is_apart()).map(|policy| Pipeline::new(store.clone(), policy));
        let limits = options.clone().unwrap_or_default().limits;
        let capacity = u32::try_from(limits.memory / PERMIT).unwrap_or(u32::MAX).max(1);
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        Arc::new(Self {
            store,
            one_principal: request.source_access == request.destination_access,
            options_hash: options_hash(&options.clone().unwrap_or_default()),
            options,
            pipeline,
            root,
            threads: cores.div_ceil(request.jobs),
            memory: Semaphore::new(capacity as usize),
            capacity,
        })
    }

    /// Carries it, and says how that went.
    pub async fn carry(&self, load: &Load) -> Row {
        let begun = Instant::now();
        let carried = match (&load.from, &load.to, &self.pipeline) {
            (Location::S3(from), Location::S3(to), Some(pipeline)) => {
                let _permit = self.room_for(load).await;
                Ok(self.by_pipeline(pipeline, load, from, to).await)
            }
            (Location::S3(from), Location::S3(to), None) if self.options.is_none() => {
                Box::pin(self.copy(load, from, to)).await
            }
            (..) => Box::pin(self.through_here(load)).await,
        };
        let row = carried.unwrap_or_else(|failure| row(load, Action::Failed).because(failure.to_string()));
        Row { millis: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX), ..row }
    }

    /// Deletes what only the destination has.
    pub async fn delete(&self, place: Location) -> Row {
        let deleted = match &place {
            Location::S3(object) => self.store.delete(object).await.map_err(Failure::from),
            Location::Local(path) => self.delete_file(path.clone()).await,
            Location::Stream => Ok(()),
        };
        match deleted {
            Ok(()) => Row::new(Action::Deleted, None, Some(&place)),
            Err(failure) => Row::new(Action::Failed, None, Some(&place)).because(failure.to_string()),
        }
    }

    async fn delete_file(&self, path: PathBuf) -> Result<(), Failure> {
        let root = self.root.clone();
        on_disk(path, move |path| local::delete(&root, path)).await
    }

    async fn by_pipeline(&self, pipeline: &Pipeline, load: &Load, from: &ObjectRef, to: &ObjectRef) -> Row {
        let entry = load.entry.as_ref();
        let job = Job {
            source: from.clone(),
            etag: entry.and_then(|entry| entry.etag.clone()),
            size: entry.map(|entry| entry.size),
            sequencer: None,
            task: PipelineTask::Optimize,
        };
        let report = pipeline.run_to(&job, to.clone()).await;
        of_report(load, report)
    }

    /// Inside S3, as it is; through here where the destination's principal may not read, or the two are different stores.
    async fn copy(&self, load: &Load, from: &ObjectRef, to: &ObjectRef) -> Result<Row, Failure> {
        if self.store.is_apart() {
            let row = self.through_here(load).await?;
            return Ok(passed(row, &"the two are different stores"));
        }
        let head = self.store.head_source(from).await?.ok_or_else(|| Failure::Missing(from.clone()))?;
        load.meter.expect(head.size);
        let copied = match self.copy_inside(load, from, &head, to).await {
            Err(error) if error.may_be_for_two() && !self.one_principal => {
                let row = self.through_here(load).await?;
                return Ok(passed(row, &error));
            }
            copied => copied?,
        };
        let row = Row { bytes_in: Some(head.size), bytes_out: Some(head.size), ..row(load, Action::Copied) };
        Ok(copied.into_iter().fold(row, Row::warning))
    }

    /// A warning, if there is one: tags that may not be copied are dropped, as the function drops them.
    async fn copy_inside(
        &self,
        load: &Load,
        from: &ObjectRef,
        head: &Head,
        to: &ObjectRef,
    ) -> Result<Option<String>, S3Error> {
        let mut attributes = head.attributes.clone();
        let (mut tags, mut warning) = (CopyTags::Copy, None);
        if !self.store.copies_at_once(head.size) {
            (attributes.tags, warning) = self.tags(from, head).await?;
        }
        let store = self.store.clone().telling(load.meter.progress());
        let copy = async |tags| store.copy(from, head, to, &attributes, tags, &Condition::None).await;
        match copy(tags).await {
            Err(error) if error.may_be_for_tags() => {
                tags = CopyTags::Drop;
                // Where this is refused as well, it is not about the tags.
                copy(tags).await.map(|()| Some(format!("tags dropped, if there were any: {error}")))
            }
            copied => copied.map(|()| warning),
        }
    }

    /// The source's tags; none, with a warning, where they may not be read.
    pub async fn tags(
        &self,
        from: &ObjectRef,
        head: &Head,
    ) -> Result<(Vec<(String, String)>, Option<String>), S3Error> {
        if head.tag_count == 0 && self.store.copies_at_once(head.size) {
            return Ok((Vec::new(), None));
        }
        match self.store.tags(from).await {
            Ok(tags) => Ok((tags, None)),
            Err(error) if error.may_be_for_tags() => {
                Ok((Vec::new(), (head.tag_count > 0).then(|| format!("tags dropped: {error}"))))
            }
            Err(error) => Err(error),
        }
    }

    /// Waits until the object's bytes, and the work on them, have room beside all the others'.
    pub async fn room_for(&self, load: &Load) -> Option<SemaphorePermit<'_>> {
        let size = load.entry.as_ref().map_or(0, |entry| entry.size);
        let limit = self.options.as_ref().map_or(0, |options| options.limits.bytes);
        let need = if size <= limit { size.saturating_mul(BYTES_PER_FILE_BYTE) } else { size.min(WHOLE) };
        let permits = u32::try_from(need.div_ceil(PERMIT)).unwrap_or(u32::MAX).min(self.capacity);
        self.memory.acquire_many(permits).await.ok()
    }
}

pub fn row(load: &Load, action: Action) -> Row {
    let row = Row::new(action, Some(&load.from), Some(&load.to));
    match load.decision {
        Decision::Transfer(why) => row.because(why.word()),
        Decision::Same | Decision::Look | Decision::Delete | Decision::Leave => row,
    }
}

/// Since S3 did not copy it, for this reason.
fn passed(row: Row, why: &dyn fmt::Display) -> Row {
    let row = Row { method: row.method.or(Some("relay".into())), ..row };
    row.warning(format!("copied through this machine: {why}"))
}

fn of_report(load: &Load, report: Report) -> Row {
    let action = match report.outcome {
        Outcome::Optimized => Action::Optimized,
        Outcome::Unchanged => Action::Copied,
        Outcome::Skipped if report.reason.as_deref() == Some(&Skip::AlreadyStored.to_string()) => Action::Same,
        Outcome::Skipped => Action::Skipped,
        Outcome::Failed => Action::Failed,
    };
    let Report { reason, bytes_in, bytes_out, method, score, metadata, warnings, .. } = report;
    let row = row(load, action);
    Row { reason: reason.or(row.reason), bytes_in, bytes_out, method, score, metadata, warnings, ..row }
}

/// Waits for the file system on a thread of its own.
pub async fn on_disk<T: Send + 'static>(
    path: PathBuf,
    work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    let worked = tokio::task::spawn_blocking(move || work(&path).map_err(|error| Failure::Io { path, error })).await;
    worked.unwrap_or_else(|lost| Err(Failure::Lost(lost.to_string())))
}
