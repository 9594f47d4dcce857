//! Processes one object, step by step. Reaches S3 only through [`Pair`]; decisions are made in the pure modules.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::deadline::Deadline;
use super::error::{Error, Step};
use super::inspect::{BodyOutcome, CopyReason};
use super::marker::{self, options_hash};
use super::plan::plan_to;
use super::report::{Route, millis, timed};
use super::tags::TagReader;
use super::{Job, JobOutcome, Overwrite, Plan, PlanError, Policy, Report, Skip, TagPolicy, Unstrippable, plan};
use crate::memory::{MemoryBudget, Permit};
use crate::optimize::format::SNIFF_BYTES;
use crate::optimize::{self, Budget, Format, ImageError, MetadataPolicy, MetadataState, Options, PROBE_BYTES};
use crate::s3::{
    Attributes, Condition, CopyTags, Existing, Head, ObjectRef, Pair, S3Error, S3ErrorKind, UploadTracker,
};

/// Attempts to write a result that loses to concurrent writes, before the event fails and is retried.
const MAX_WRITES: u32 = 3;

/// Processes jobs by one policy.
pub struct Pipeline {
    store: Pair,
    policy: Policy,
    options_hash: String,
    tags: TagReader,
    memory: Arc<MemoryBudget>,
    uploads: UploadTracker,
}

/// One version of the source, as read.
struct Source<'a> {
    head: Head,
    format: Option<Format>,
    body: Body,
    /// Permit of [`Pipeline::memory`].
    permit: Option<Permit<'a>>,
}

enum Body {
    Image(Bytes),
    Unread(CopyReason),
}

/// Outcome of a write that did not fail.
enum WriteOutcome {
    Stored(Route),
    Skipped(Skip),
}

/// One write at the destination.
#[derive(Clone)]
struct PendingWrite<'a> {
    from: &'a ObjectRef,
    head: &'a Head,
    to: &'a ObjectRef,
    /// Bytes to upload; `None` for a server-side copy of the source.
    body: Option<Bytes>,
    attributes: Attributes,
    tags: CopyTags,
    condition: Condition,
}

impl Pipeline {
    #[must_use]
    pub fn new(mut store: Pair, policy: Policy) -> Self {
        let options_hash = options_hash(&policy.options);
        let tags = TagReader::new(store.source.clone());
        let memory = Arc::new(MemoryBudget::new(policy.options.limits.memory));
        let uploads = UploadTracker::default();
        store.destination = store.destination.with_upload_tracker(&uploads);
        Self { store, policy, options_hash, tags, memory, uploads }
    }

    /// Shares a memory budget with other work of this process.
    #[must_use]
    pub fn with_memory_budget(self, memory: Arc<MemoryBudget>) -> Self {
        Self { memory, ..self }
    }

    /// Processes one object: optimizes it if possible, else copies it to the destination.
    pub async fn run(&self, job: &Job, deadline: Option<Instant>) -> Report {
        self.run_planned(job, plan(job, &self.policy), deadline).await
    }

    /// Like [`Self::run`], with a given target and no deadline.
    pub async fn run_to(&self, job: &Job, target: ObjectRef) -> Report {
        self.run_planned(job, plan_to(job, target, &self.policy), None).await
    }

    async fn run_planned(&self, job: &Job, plan: Result<Plan, PlanError>, deadline: Option<Instant>) -> Report {
        let (start, deadline) = (Instant::now(), Deadline::before(deadline));
        let mut report = Report::new(Some(&job.source));
        // Boxed, since the compiler cannot handle futures nested this deeply.
        let outcome = Box::pin(self.process(job, plan, deadline, &mut report)).await;
        if let Err(Error::OutOfTime { .. }) = outcome {
            self.abort_uploads(deadline).await;
        }
        report.millis.total = millis(start.elapsed());
        report.finish(outcome.as_ref().copied())
    }

    async fn process(
        &self,
        job: &Job,
        plan: Result<Plan, PlanError>,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<JobOutcome, Error> {
        let (target, known) = match plan? {
            Plan::Process(target) => (target, None),
            Plan::Copy(target, reason) => (target, Some(reason)),
            Plan::Skip(skip) => return Ok(JobOutcome::Skipped(skip)),
        };
        report.destination = Some(target.to_string());

        let existing =
            timed(&mut report.millis.head, deadline.limit(Step::Head, Box::pin(self.head_destination(&target))))
                .await?;
        if let Some(skip) = self.already_done(&existing, job) {
            return Ok(JobOutcome::Skipped(skip));
        }
        let Source { head, format, body, permit: _permit } =
            timed(&mut report.millis.get, deadline.limit(Step::Get, Box::pin(self.read_source(job, known)))).await?;
        report.record_source(&head, format);
        let required = self.policy.tags == TagPolicy::Require;
        let reading = deadline.limit(Step::Get, Box::pin(self.tags.read(&job.source, &head, required)));
        let (tags, warning) = timed(&mut report.millis.get, reading).await?;
        report.warnings.extend(warning);

        let optimizing = async { Ok::<_, Error>(self.optimize(body, deadline.budget()).await) };
        let outcome = timed(&mut report.millis.optimize, deadline.limit(Step::Optimize, optimizing)).await?;
        report.record_body(&outcome);
        if self.withholds(&outcome) {
            return Ok(JobOutcome::Skipped(Skip::Withheld));
        }
        let write = PendingWrite {
            from: &job.source,
            to: &target,
            tags: if tags.is_some() { CopyTags::Copy } else { CopyTags::Drop },
            attributes: self.attributes(job, &head, format, tags.unwrap_or_default(), &outcome),
            body: outcome.into_bytes(),
            condition: self.condition(&existing),
            head: &head,
        };
        let writing = deadline.limit(Step::Store, Box::pin(self.commit(job, write, &mut report.warnings)));
        match timed(&mut report.millis.store, writing).await? {
            WriteOutcome::Stored(route) => report.record_route(route),
            WriteOutcome::Skipped(skip) => return Ok(JobOutcome::Skipped(skip)),
        }
        Ok(JobOutcome::Stored)
    }

    /// Waits until the uploads are aborted whose steps the deadline has dropped.
    async fn abort_uploads(&self, deadline: Deadline) {
        for (id, object) in self.uploads.wait_for_all(deadline.time_to_abort()).await {
            tracing::warn!(upload_id = id, "{object}: its upload may still be open; a lifecycle rule then aborts it");
        }
    }

    /// Whether the result would contain metadata that the policy removes, and must be withheld.
    fn withholds(&self, outcome: &BodyOutcome) -> bool {
        let removes = self.policy.options.metadata != MetadataPolicy::All;
        removes && self.policy.unstrippable == Unstrippable::Withhold && outcome.metadata() == MetadataState::Kept
    }

    async fn head_destination(&self, target: &ObjectRef) -> Result<Existing, Error> {
        if self.policy.overwrite == Overwrite::Always {
            return Ok(Existing::Unknown);
        }
        // Without permission for HEAD, the object may still be replaced.
        Ok(Existing::from_head(self.store.destination.head(target).await)?)
    }

    /// Returns the reason why nothing needs to be written, if there is one.
    fn already_done(&self, existing: &Existing, job: &Job) -> Option<Skip> {
        let Existing::Present(head) = existing else { return None };
        if marker::answers(&head.attributes.metadata, job, &self.options_hash) {
            return Some(Skip::AlreadyStored);
        }
        (self.policy.overwrite == Overwrite::Never).then_some(Skip::NotOverwritten)
    }

    /// Returns the condition of the write. Of two concurrent jobs on one key, the slower one fails it and decides
    /// again.
    fn condition(&self, existing: &Existing) -> Condition {
        match (self.policy.overwrite, existing) {
            (Overwrite::Never, _) | (Overwrite::IfOlder | Overwrite::Always, Existing::Absent) => Condition::Absent,
            (Overwrite::IfOlder | Overwrite::Always, Existing::Unknown) => Condition::None,
            (Overwrite::IfOlder | Overwrite::Always, Existing::Present(head)) => {
                Condition::Unmodified(head.etag.clone())
            }
        }
    }

    /// Reads the version that the event names, never a newer one: a stale event's GET fails, and is skipped by its
    /// class.
    async fn read_source(&self, job: &Job, known: Option<CopyReason>) -> Result<Source<'_>, Error> {
        let mut download = self.store.source.get(&job.source, job.etag.as_ref()).await?;
        let head = download.head.clone();
        let format = Format::sniff(download.peek(SNIFF_BYTES).await?);
        if let Some(reason) = known.or_else(|| CopyReason::from_first_bytes(&head, format, &self.policy.options.limits))
        {
            // Dropping the download ends it.
            return Ok(Source { head, format, body: Body::Unread(reason), permit: None });
        }
        let probe = optimize::probe(download.peek(PROBE_BYTES).await?, head.size);
        // If S3 closes the connection meanwhile, the rest is requested again.
        let permit = self.memory.acquire(probe.map_or(0, |probe| probe.memory)).await;
        let body = Body::Image(download.read_all().await?);
        Ok(Source { head, format, body, permit: Some(permit) })
    }

    async fn optimize(&self, body: Body, budget: Budget) -> BodyOutcome {
        let bytes = match body {
            Body::Image(bytes) => bytes,
            Body::Unread(reason) => return BodyOutcome::unread(reason),
        };
        let options = self.policy.options.clone();
        let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        optimize_blocking(bytes, options, budget.on(threads)).await
    }

    fn attributes(
        &self,
        job: &Job,
        head: &Head,
        format: Option<Format>,
        tags: Vec<(String, String)>,
        outcome: &BodyOutcome,
    ) -> Attributes {
        let arriving = outcome.attributes(head, format, &self.options_hash, job.sequencer.as_deref());
        let Policy { storage_class, cache_control, .. } = &self.policy;
        Attributes {
            tags,
            storage_class: storage_class.clone().or(arriving.storage_class),
            cache_control: cache_control.clone().or(arriving.cache_control),
            ..arriving
        }
    }

    /// Writes the result. A write that loses to a concurrent one re-reads both sides and decides again.
    async fn commit(
        &self,
        job: &Job,
        mut write: PendingWrite<'_>,
        warnings: &mut Vec<String>,
    ) -> Result<WriteOutcome, Error> {
        let mut writes = 1;
        loop {
            let error = match Box::pin(self.write_or_relay(write.clone(), warnings)).await {
                Ok(route) => return Ok(WriteOutcome::Stored(route)),
                Err(Error::S3(error)) if lost_to_concurrent_write(&error, write.to) => error,
                Err(error) => return Err(error),
            };
            let existing = self.head_destination(write.to).await?;
            if let Some(skip) = self.already_done(&existing, job) {
                return Ok(WriteOutcome::Skipped(skip));
            }
            // The existing object may be invisible to HEAD.
            if self.policy.overwrite == Overwrite::Never && error.kind == S3ErrorKind::PreconditionFailed {
                return Ok(WriteOutcome::Skipped(Skip::NotOverwritten));
            }
            // If the source is unchanged, this job is the newer one, and the other write is replaced.
            match self.store.source.head(&job.source).await? {
                Some(now) if now.etag == write.head.etag => {}
                Some(_) => return Ok(WriteOutcome::Skipped(Skip::SourceReplaced)),
                None => return Ok(WriteOutcome::Skipped(Skip::SourceGone)),
            }
            if writes == MAX_WRITES {
                return Err(error.into());
            }
            writes += 1;
            write.condition = self.condition(&existing);
        }
    }

    async fn write_or_relay(&self, mut write: PendingWrite<'_>, warnings: &mut Vec<String>) -> Result<Route, Error> {
        let tagged = write.clone();
        let mut result = self.write(&write).await;
        if let Err(error) = &result
            && error.may_be_about_tags()
            && self.policy.tags == TagPolicy::Copy
            && write.drop_tags()
        {
            let warning = format!("tags dropped: {error}");
            result = self.write(&write).await;
            warnings.extend(result.is_ok().then_some(warning));
        }
        match result {
            Ok(()) => Ok(Route::Direct),
            Err(error) if write.body.is_none() && error.may_be_cross_principal() => {
                self.relay(tagged, error, warnings).await
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Relays the bytes through this process, since no principal may read the source and write the destination in one
    /// request.
    async fn relay(
        &self,
        mut write: PendingWrite<'_>,
        refusal: S3Error,
        warnings: &mut Vec<String>,
    ) -> Result<Route, Error> {
        let mut result = self.write_by_relay(&write).await;
        if let Err(error) = &result
            && error.may_be_about_tags()
            && self.policy.tags == TagPolicy::Copy
            && !std::mem::take(&mut write.attributes.tags).is_empty()
        {
            let warning = format!("tags dropped: {error}");
            result = self.write_by_relay(&write).await;
            warnings.extend(result.is_ok().then_some(warning));
        }
        match result {
            Ok(()) => Ok(Route::Relay),
            // The copy's error names the permissions of both sides.
            Err(error) if error.may_be_cross_principal() => Err(refusal.into()),
            Err(error) => Err(error.into()),
        }
    }

    async fn write_by_relay(&self, write: &PendingWrite<'_>) -> Result<(), S3Error> {
        let PendingWrite { from, head, to, attributes, condition, .. } = write;
        Box::pin(self.store.relay(from, head, to, attributes, condition)).await
    }

    async fn write(&self, write: &PendingWrite<'_>) -> Result<(), S3Error> {
        let PendingWrite { from, head, to, body, attributes, tags, condition } = write;
        match body {
            Some(bytes) => self.store.destination.put(to, bytes.clone(), attributes, condition).await,
            None => self.store.copy(from, head, to, attributes, *tags, condition).await,
        }
    }
}

impl PendingWrite<'_> {
    /// Drops the tags. Returns whether there may have been any: a copy includes tags that we may not read.
    fn drop_tags(&mut self) -> bool {
        let had_tags = match self.body {
            Some(_) => !self.attributes.tags.is_empty(),
            None => self.tags == CopyTags::Copy,
        };
        self.attributes.tags.clear();
        self.tags = CopyTags::Drop;
        had_tags
    }
}

/// Runs the engine on a blocking thread.
pub(crate) async fn optimize_blocking(bytes: Bytes, options: Options, budget: Budget) -> BodyOutcome {
    let work = tokio::task::spawn_blocking(move || optimize::optimize(&bytes, &options, budget));
    let answer = work.await.unwrap_or_else(|lost| Err(ImageError::CodecPanic(lost.to_string())));
    BodyOutcome::from_engine(answer)
}

/// Whether the destination changed after the HEAD.
fn lost_to_concurrent_write(error: &S3Error, target: &ObjectRef) -> bool {
    matches!(error.kind, S3ErrorKind::PreconditionFailed | S3ErrorKind::Conflict) && error.object == *target
}
