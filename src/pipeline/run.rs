//! Processes one object, step by step. Reaches S3 only through [`Pair`]; decisions are made in the pure modules.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::deadline::Deadline;
use super::error::{Error, Step};
use super::inspect;
use super::marker::{self, options_hash};
use super::plan::plan_to;
use super::tags::{TagReader, Tags};
use super::write::{Content, Fallbacks, Write, Written, write};
use super::{Job, Overwrite, Plan, PlanError, Policy, TagPolicy, Unstrippable, plan};
use crate::memory::{MemoryBudget, Permit};
use crate::optimize::format::SNIFF_BYTES;
use crate::optimize::{self, Budget, Format, ImageError, MetadataPolicy, MetadataState, Options, PROBE_BYTES};
use crate::report::{Body, CopyReason, Method, Millis, Report, Skip, Time, millis};
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
struct Source {
    head: Head,
    format: Option<Format>,
    read: Read,
}

enum Read {
    Image(Bytes, Permit),
    Unread(CopyReason),
}

/// What the steps have found out so far, for the report.
struct Findings {
    deadline: Deadline,
    destination: Option<ObjectRef>,
    source: Option<(Head, Option<Format>)>,
    body: Option<Body>,
    /// Whether the bytes were relayed.
    relayed: bool,
    warnings: Vec<String>,
    millis: Millis,
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
        let start = Instant::now();
        let mut found = Findings::new(Deadline::before(deadline));
        // Boxed, since the compiler cannot handle futures nested this deeply.
        let result = Box::pin(self.process(job, plan, &mut found)).await;
        if let Err(Error::OutOfTime { .. }) = result {
            self.abort_uploads(found.deadline).await;
        }
        found.millis.total = millis(start.elapsed());
        found.report(job, result.err().as_ref())
    }

    async fn process(&self, job: &Job, plan: Result<Plan, PlanError>, found: &mut Findings) -> Result<(), Error> {
        let (target, known) = match plan? {
            Plan::Process(target) => (target, None),
            Plan::Copy(target, reason) => (target, Some(reason)),
            Plan::Skip(skip) => return Err(Error::Skip(skip)),
        };
        found.destination = Some(target.clone());
        let existing = found.step(Step::Head, Box::pin(self.look_at(job, &target))).await?;

        let source = found.step(Step::Get, Box::pin(self.read_source(job, known))).await?;
        let Source { head, format, read } = source;
        found.source = Some((head.clone(), format));
        let (tags, warning) = found.step(Step::Get, Box::pin(self.read_tags(job, &head))).await?;
        found.warnings.extend(warning);

        let budget = found.deadline.budget();
        let (body, _permit) = found.step(Step::Optimize, self.optimize(read, budget)).await?;
        found.body = Some(body.clone());
        self.check_metadata(&body)?;

        let write = self.pending_write(job, &head, format, &target, tags, &body, &existing);
        let written = found.step(Step::Store, Box::pin(self.commit(job, &head, write))).await?;
        found.relayed = written.relayed.is_some();
        found.warnings.extend(written.warning);
        Ok(())
    }

    /// Waits until the uploads are aborted whose steps the deadline has dropped.
    async fn abort_uploads(&self, deadline: Deadline) {
        for (id, object) in self.uploads.wait_for_all(deadline.time_to_abort()).await {
            tracing::warn!(upload_id = id, "{object}: its upload may still be open; a lifecycle rule then aborts it");
        }
    }

    /// Looks at the destination, and skips the job if nothing needs to be written.
    async fn look_at(&self, job: &Job, target: &ObjectRef) -> Result<Existing, Error> {
        let existing = self.head_destination(target).await?;
        self.already_done(&existing, job).map_or(Ok(existing), |skip| Err(Error::Skip(skip)))
    }

    async fn read_tags(&self, job: &Job, head: &Head) -> Result<(Option<Tags>, Option<String>), S3Error> {
        self.tags.read(&job.source, head, self.policy.tags == TagPolicy::Require).await
    }

    /// Skips the job if the result would contain metadata that the policy removes, and must be withheld.
    fn check_metadata(&self, body: &Body) -> Result<(), Error> {
        let removes = self.policy.options.metadata != MetadataPolicy::All;
        let withholds = removes && self.policy.unstrippable == Unstrippable::Withhold;
        if withholds && body.metadata() == MetadataState::Kept { Err(Error::Skip(Skip::Withheld)) } else { Ok(()) }
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
    async fn read_source(&self, job: &Job, known: Option<CopyReason>) -> Result<Source, Error> {
        let mut download = self.store.source.get(&job.source, job.etag.as_ref()).await?;
        let head = download.head.clone();
        let format = Format::sniff(download.peek(SNIFF_BYTES).await?);
        if let Some(reason) = known.or_else(|| inspect::from_first_bytes(&head, format, &self.policy.options.limits)) {
            // Dropping the download ends it.
            return Ok(Source { head, format, read: Read::Unread(reason) });
        }
        let probe = optimize::probe(download.peek(PROBE_BYTES).await?, head.size);
        // If S3 closes the connection meanwhile, the rest is requested again.
        let permit = self.memory.acquire(probe.map_or(0, |probe| probe.memory)).await;
        let read = Read::Image(download.read_all().await?, permit);
        Ok(Source { head, format, read })
    }

    /// Returns the body to store, and the permit of the memory that it takes.
    async fn optimize(&self, read: Read, budget: Budget) -> Result<(Body, Option<Permit>), Error> {
        let (bytes, permit) = match read {
            Read::Image(bytes, permit) => (bytes, permit),
            Read::Unread(reason) => return Ok((Body::unread(reason), None)),
        };
        let options = self.policy.options.clone();
        let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Ok(optimize_blocking(bytes, permit, options, budget.on(threads)).await)
    }

    #[expect(clippy::too_many_arguments, reason = "each is the result of a step")]
    fn pending_write<'a>(
        &self,
        job: &'a Job,
        head: &'a Head,
        format: Option<Format>,
        to: &'a ObjectRef,
        tags: Option<Tags>,
        body: &Body,
        existing: &Existing,
    ) -> Write<'a> {
        let copied = if tags.is_some() { CopyTags::Copy } else { CopyTags::Drop };
        let cross_store = self.store.is_cross_store();
        let content = match body.bytes() {
            Some(bytes) => Content::Bytes(bytes.clone()),
            None if cross_store => Content::Relay { from: &job.source, head },
            None => Content::Copy { from: &job.source, head, tags: copied },
        };
        let arriving = inspect::attributes(body, head, format, &self.options_hash, job.sequencer.as_deref());
        let Policy { storage_class, cache_control, .. } = &self.policy;
        let attributes = Attributes {
            tags: tags.unwrap_or_default(),
            // The names of storage classes belong to one store.
            storage_class: storage_class.clone().or(arriving.storage_class.filter(|_| !cross_store)),
            cache_control: cache_control.clone().or(arriving.cache_control),
            ..arriving
        };
        Write { content, to, attributes, condition: self.condition(existing) }
    }

    /// Writes the result. A write that loses to a concurrent one re-reads both sides and decides again.
    async fn commit(&self, job: &Job, head: &Head, mut pending: Write<'_>) -> Result<Written, Error> {
        let fallbacks = Fallbacks { drop_tags: self.policy.tags == TagPolicy::Copy, relay: true };
        let mut writes = 1;
        loop {
            let error = match Box::pin(write(&self.store, pending.clone(), fallbacks)).await {
                Ok(written) => return Ok(written),
                Err(error) if lost_to_concurrent_write(&error, pending.to) => error,
                Err(error) => return Err(error.into()),
            };
            let existing = self.look_at(job, pending.to).await?;
            // The existing object may be invisible to HEAD.
            if self.policy.overwrite == Overwrite::Never && error.kind == S3ErrorKind::PreconditionFailed {
                return Err(Error::Skip(Skip::NotOverwritten));
            }
            // If the source is unchanged, this job is the newer one, and the other write is replaced.
            match self.store.source.head(&job.source).await? {
                Some(now) if now.etag == head.etag => {}
                Some(_) => return Err(Error::Skip(Skip::SourceReplaced)),
                None => return Err(Error::Skip(Skip::SourceGone)),
            }
            if writes == MAX_WRITES {
                return Err(error.into());
            }
            writes += 1;
            pending.condition = self.condition(&existing);
        }
    }
}

impl Findings {
    fn new(deadline: Deadline) -> Self {
        Self {
            deadline,
            destination: None,
            source: None,
            body: None,
            relayed: false,
            warnings: Vec::new(),
            millis: Millis::default(),
        }
    }

    /// Runs a step within the deadline, and adds its wall time.
    async fn step<T, E>(&mut self, step: Step, work: impl Future<Output = Result<T, E>>) -> Result<T, Error>
    where
        Error: From<E>,
    {
        let start = Instant::now();
        let result = self.deadline.limit(step, work).await;
        let clock = match step {
            Step::Head => &mut self.millis.head,
            Step::Get => &mut self.millis.get,
            Step::Optimize => &mut self.millis.optimize,
            Step::Store => &mut self.millis.store,
        };
        *clock += millis(start.elapsed());
        result
    }

    /// Builds the report: what was found, and the error or skip that ended the job, if any.
    fn report(self, job: &Job, end: Option<&Error>) -> Report {
        let (head, format) = self.source.unzip();
        let (size, format) = (head.as_ref().map(|head| head.size), format.flatten());
        let report = match (end, &self.body) {
            (None, Some(body)) => Report::of_body(body, size.unwrap_or_default(), format),
            (None, None) => Report::new(crate::report::Outcome::Unchanged, None),
            (Some(error), _) => Report { bytes_in: size, format, ..error.report() },
        };
        let report = self.body.iter().fold(report, Report::with_facts);
        Report {
            source: Some(job.source.to_string()),
            destination: self.destination.map(|target| target.to_string()),
            source_etag: head.map(|head| head.etag.as_str().to_owned()),
            method: if self.relayed { Some(Method::Relay) } else { report.method },
            warnings: self.warnings,
            millis: Time::Steps(self.millis),
            ..report
        }
    }
}

/// Runs the engine on a blocking thread. The permit goes with it: if nobody waits for the thread any longer, it still
/// takes its memory until it ends.
pub(crate) async fn optimize_blocking(
    bytes: Bytes,
    permit: Permit,
    options: Options,
    budget: Budget,
) -> (Body, Option<Permit>) {
    let work = tokio::task::spawn_blocking(move || (optimize::optimize(&bytes, &options, budget), permit));
    match work.await {
        Ok((answer, permit)) => (Body::from_engine(answer), Some(permit)),
        Err(lost) => (Body::from_engine(Err(ImageError::CodecPanic(lost.to_string()))), None),
    }
}

/// Whether the destination changed after the HEAD.
fn lost_to_concurrent_write(error: &S3Error, target: &ObjectRef) -> bool {
    matches!(error.kind, S3ErrorKind::PreconditionFailed | S3ErrorKind::Conflict) && error.object == *target
}
