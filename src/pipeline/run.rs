//! Moves one object, step by step. Reads and writes only through `read` and `write`;
//! decisions are made in the pure modules.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::deadline::Deadline;
use super::error::{Error, Step};
use super::findings::{Findings, Moved};
use super::inspect;
use super::job::{Job, Move, Task};
use super::location::Location;
use super::marker::options_hash;
use super::plan::{plan, plan_move};
use super::policy::{Policy, TagPolicy, Unstrippable};
use super::read::{Content, Source};
use super::tags::{TagReader, Tags};
use super::write::{Tagging, Write};
use crate::memory::{MemoryBudget, Permit};
use crate::optimize::{self, Budget, Format, ImageError, MetadataPolicy, MetadataState, Options};
use crate::report::{Body, CopyReason, Report, Skip};
use crate::s3::{Attributes, Head, Pair, UploadTracker};

/// Bytes up to which an object that is not optimized is held whole, if that takes one request. Larger ones take this much
/// memory at a time, regardless of their size.
const MOST_HELD: u64 = 32 << 20;

/// Moves objects by one policy.
pub struct Pipeline {
    pub(super) store: Pair,
    pub(super) policy: Policy,
    pub(super) options_hash: String,
    tags: TagReader,
    memory: Arc<MemoryBudget>,
    uploads: UploadTracker,
    /// Folder below which files are written; links below it are refused.
    pub(super) root: PathBuf,
    /// Threads of the engine for one image.
    threads: usize,
    /// Whether an object that S3 may not copy is relayed.
    pub(super) relays: bool,
}

/// How the bytes get to the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Through the engine.
    Engine,
    /// Held whole.
    Whole,
    /// In parts.
    Parts,
    /// S3 copies them.
    OnServer,
}

/// A source's bytes as far as they are needed now, and the permit of the memory that they take.
pub(super) struct Read {
    pub content: Content,
    pub permit: Option<Permit>,
}

impl Pipeline {
    #[must_use]
    pub fn new(mut store: Pair, policy: Policy) -> Self {
        let uploads = UploadTracker::default();
        store.destination = store.destination.with_upload_tracker(&uploads);
        Self {
            options_hash: options_hash(&policy.options),
            tags: TagReader::new(store.source.clone()),
            memory: Arc::new(MemoryBudget::new(policy.options.limits.memory)),
            root: PathBuf::new(),
            threads: std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
            relays: true,
            store,
            policy,
            uploads,
        }
    }

    /// Shares a memory budget with other work of this process.
    #[must_use]
    pub fn with_memory_budget(self, memory: Arc<MemoryBudget>) -> Self {
        Self { memory, ..self }
    }

    /// Sets the folder below which files are written.
    #[must_use]
    pub fn with_root(self, root: PathBuf) -> Self {
        Self { root, ..self }
    }

    /// Sets how many threads work on one image.
    #[must_use]
    pub fn with_threads(self, threads: usize) -> Self {
        Self { threads, ..self }
    }

    /// Leaves it at S3's refusal to copy an object.
    #[must_use]
    pub fn without_relay(self) -> Self {
        Self { relays: false, ..self }
    }

    /// Uploads that are open.
    #[must_use]
    pub fn uploads(&self) -> &UploadTracker {
        &self.uploads
    }

    /// Processes one object: optimizes it if possible, else copies it to the destination.
    pub async fn run(&self, job: &Job, deadline: Option<Instant>) -> Report {
        match plan(job, &self.policy) {
            Ok((moving, known)) => self.run_planned(&moving, Ok(known), deadline).await.report,
            Err(error) => {
                let source = Location::S3(job.source.clone());
                Findings::new(Deadline::before(deadline)).report(&source, Some(&error))
            }
        }
    }

    /// Moves one object from any side to any side, without a deadline.
    pub async fn run_move(&self, moving: &Move) -> Moved {
        self.run_planned(moving, plan_move(moving, &self.policy, self.store.is_cross_store()), None).await
    }

    async fn run_planned(
        &self,
        moving: &Move,
        known: Result<Option<CopyReason>, Error>,
        deadline: Option<Instant>,
    ) -> Moved {
        let mut found = Findings::new(Deadline::before(deadline));
        // Boxed, since the compiler cannot handle futures nested this deeply.
        let result = Box::pin(self.process(moving, known, &mut found)).await;
        if let Err(Error::OutOfTime { .. }) = result {
            self.abort_uploads(found.deadline).await;
        }
        found.moved(moving, result.err().as_ref())
    }

    async fn process(
        &self,
        moving: &Move,
        known: Result<Option<CopyReason>, Error>,
        found: &mut Findings,
    ) -> Result<(), Error> {
        let known = known?;
        found.destination = Some(moving.to.clone());
        let existing = found.step(Step::Head, Box::pin(self.look_at(moving))).await?;

        let opening = Source::open(&self.store.source, moving, self.may_copy_on_server(moving));
        let source = found.step(Step::Get, Box::pin(opening)).await?;
        found.add_source(&source);
        moving.progress.expect(source.head.size);
        let (head, format) = (source.head.clone(), source.format);
        let reason = known.or_else(|| self.reason_to_copy(moving, &source));
        let way = self.way(moving, reason.as_ref(), &source);
        let read = found.step(Step::Get, Box::pin(self.read(source, way))).await?;
        let (tags, tagging, warning) = found.step(Step::Get, Box::pin(self.read_tags(moving, &head, way))).await?;
        found.warnings.extend(warning);

        let budget = found.deadline.budget().on(self.threads);
        let (body, read) = found.step(Step::Optimize, self.optimize(moving, read, reason, budget)).await?;
        let Read { content, permit: _permit } = read;
        found.body.clone_from(&body);
        self.check_metadata(body.as_ref())?;

        let attributes = self.attributes(moving, &head, format, body.as_ref(), tags);
        let write = Write { content, attributes, tags: tagging, condition: self.condition(&existing) };
        let committing = self.commit(moving, &head, found.version.clone(), write);
        found.written = found.step(Step::Store, Box::pin(committing)).await?;
        Ok(())
    }

    /// Waits until the uploads are aborted whose steps the deadline has dropped.
    async fn abort_uploads(&self, deadline: Deadline) {
        for (id, object) in self.uploads.wait_for_all(deadline.time_to_abort()).await {
            tracing::warn!(upload_id = id, "{object}: its upload may still be open; a lifecycle rule then aborts it");
        }
    }

    /// Whether no byte needs to pass through this process, unless the object is optimized.
    fn may_copy_on_server(&self, moving: &Move) -> bool {
        moving.from.is_s3() && moving.to.is_s3() && !self.store.is_cross_store()
    }

    /// Returns the reason to leave an object as it is, if headers or first bytes give one.
    fn reason_to_copy(&self, moving: &Move, source: &Source) -> Option<CopyReason> {
        if moving.task == Task::Transfer {
            return None;
        }
        inspect::from_first_bytes(&source.head, source.format, &self.policy.options.limits)
    }

    fn way(&self, moving: &Move, reason: Option<&CopyReason>, source: &Source) -> Way {
        let most_held = MOST_HELD.max(self.store.destination.multipart_threshold());
        match moving.task {
            Task::Optimize if reason.is_none() => Way::Engine,
            _ if self.may_copy_on_server(moving) => Way::OnServer,
            _ if source.is_downloading() && source.head.size <= most_held => Way::Whole,
            _ => Way::Parts,
        }
    }

    /// Waits for the memory that the bytes take, and reads those that are held.
    pub(super) async fn read(&self, mut source: Source, way: Way) -> Result<Read, Error> {
        let bytes = match way {
            Way::Engine => source.memory().await?,
            Way::Whole => source.head.size,
            Way::Parts => source.size().unwrap_or(MOST_HELD).min(MOST_HELD),
            Way::OnServer => return Ok(Read { content: Content::OnServer, permit: None }),
        };
        // If S3 closes the connection meanwhile, the rest is requested again.
        let permit = Some(self.memory.acquire(bytes).await);
        let content = match way {
            Way::Engine | Way::Whole => Content::Bytes(source.read_all().await?),
            Way::Parts | Way::OnServer => source.into_parts(),
        };
        Ok(Read { content, permit })
    }

    /// Returns the tags to write, and whether S3 copies them. A copy of one request takes them along unread.
    pub(super) async fn read_tags(
        &self,
        moving: &Move,
        head: &Head,
        way: Way,
    ) -> Result<(Tags, Tagging, Option<String>), Error> {
        let (Location::S3(from), Location::S3(_)) = (&moving.from, &moving.to) else {
            return Ok((Tags::new(), Tagging::Known, None));
        };
        if moving.task == Task::Transfer && way == Way::OnServer && self.store.fits_single_copy(head.size) {
            return Ok((Tags::new(), Tagging::Unread, None));
        }
        let (tags, warning) = self.tags.read(from, head, self.policy.tags == TagPolicy::Require).await?;
        let tagging = if tags.is_some() { Tagging::Known } else { Tagging::Dropped };
        Ok((tags.unwrap_or_default(), tagging, warning))
    }

    /// Returns what is stored, unless it is moved as it is, and the bytes to write.
    async fn optimize(
        &self,
        moving: &Move,
        read: Read,
        reason: Option<CopyReason>,
        budget: Budget,
    ) -> Result<(Option<Body>, Read), Error> {
        let (bytes, permit) = match (read, reason) {
            (read, Some(reason)) => return Ok((Some(Body::unread(reason)), read)),
            (Read { content: Content::Bytes(bytes), permit }, None) if moving.task == Task::Optimize => (bytes, permit),
            (read, None) => return Ok((None, read)),
        };
        let kept = (!self.may_copy_on_server(moving)).then(|| bytes.clone());
        let (body, permit) = optimize_blocking(bytes, permit, self.policy.options.clone(), budget).await;
        let read = match body.bytes().cloned().or(kept) {
            Some(bytes) => Read { content: Content::Bytes(bytes), permit },
            // Its memory is free again, for a relay too.
            None => Read { content: Content::OnServer, permit: None },
        };
        Ok((Some(body), read))
    }

    /// Skips the object if the result would contain metadata that the policy removes, and must be withheld.
    fn check_metadata(&self, body: Option<&Body>) -> Result<(), Error> {
        let removes = self.policy.options.metadata != MetadataPolicy::All;
        let withholds = removes && self.policy.unstrippable == Unstrippable::Withhold;
        let is_kept = body.is_some_and(|body| body.metadata() == MetadataState::Kept);
        if withholds && is_kept { Err(Error::Skip(Skip::Withheld)) } else { Ok(()) }
    }

    fn attributes(
        &self,
        moving: &Move,
        head: &Head,
        format: Option<Format>,
        body: Option<&Body>,
        tags: Tags,
    ) -> Attributes {
        let arriving = match body {
            Some(body) => inspect::attributes(body, head, format, &self.options_hash, moving.sequencer.as_deref()),
            None => head.attributes.clone(),
        };
        let Policy { storage_class, cache_control, .. } = &self.policy;
        // The names of storage classes belong to one store.
        let inherited = arriving.storage_class.filter(|_| !self.store.is_cross_store());
        Attributes {
            tags,
            storage_class: storage_class.clone().or(inherited),
            cache_control: cache_control.clone().or(arriving.cache_control),
            ..arriving
        }
    }
}

/// Runs the engine on a blocking thread. The permit goes with it: if nobody waits for the thread any longer, it still
/// takes its memory until it ends.
async fn optimize_blocking(
    bytes: Bytes,
    permit: Option<Permit>,
    options: Options,
    budget: Budget,
) -> (Body, Option<Permit>) {
    let work = tokio::task::spawn_blocking(move || (optimize::optimize(&bytes, &options, budget), permit));
    match work.await {
        Ok((answer, permit)) => (Body::from_engine(answer), permit),
        Err(lost) => (Body::from_engine(Err(ImageError::CodecPanic(lost.to_string()))), None),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn permit_is_held_until_the_engine_ends() {
        let photo = include_bytes!("../../tests/fixtures/photo-420.jpg");
        let memory = Arc::new(MemoryBudget::new(10));
        let permit = Some(memory.acquire(10).await);
        let work = optimize_blocking(Bytes::from_static(photo), permit, Options::default(), Budget::UNLIMITED);
        let soon = Duration::from_millis(1);
        assert!(timeout(soon, work).await.is_err(), "nobody waits for it any longer");
        let mut next = memory.acquire(10);
        assert!(timeout(soon, &mut next).await.is_err());
        next.await;
    }
}
