//! The story of one object, and its steps. Talks to S3 through [`Store`] only; what it decides is decided elsewhere.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::SemaphorePermit;

use super::body::{Cause, Verdict};
use super::marker::{self, options_hash};
use super::plan::plan_to;
use super::report::{Route, millis, timed};
use super::room::Room;
use super::tags::TagReader;
use super::{Ending, Job, Overwrite, Plan, PlanError, Policy, Report, Skip, TagPolicy, Unstrippable, plan};
use crate::error::Error;
use crate::optimize::format::SNIFF_BYTES;
use crate::optimize::{self, Budget, Format, ImageError, MetadataPolicy, MetadataState, Options};
use crate::s3::{Attributes, Condition, CopyTags, Existing, Head, ObjectRef, S3Error, S3ErrorKind, Store};

/// How often a result is written that another one overtakes, before its event has to come back.
const ROUNDS: u32 = 3;
/// Kept before the deadline for an upload to be aborted, if it is not a tenth of what is left.
const ABORT: Duration = Duration::from_secs(2);

/// Does jobs, one policy for all.
pub struct Pipeline {
    store: Store,
    policy: Policy,
    options_hash: String,
    tags: TagReader,
    /// `None` where jobs come one at a time.
    room: Option<Room>,
}

/// The source as it was read.
struct Source<'a> {
    head: Head,
    format: Option<Format>,
    body: Body,
    /// Of [`Pipeline::room`].
    permit: Option<SemaphorePermit<'a>>,
}

enum Body {
    Image(Bytes),
    Unread(Cause),
}

/// How a write ended that did not fail.
enum Settled {
    Stored(Route),
    Skipped(Skip),
}

/// One write at the destination.
#[derive(Clone)]
struct Delivery<'a> {
    from: &'a ObjectRef,
    head: &'a Head,
    to: &'a ObjectRef,
    /// `None`: the source's own bytes, by server-side copy.
    body: Option<Bytes>,
    attributes: Attributes,
    tags: CopyTags,
    condition: Condition,
}

impl Pipeline {
    #[must_use]
    pub fn new(store: Store, policy: Policy) -> Self {
        let options_hash = options_hash(&policy.options);
        let tags = TagReader::new(store.clone());
        Self { store, policy, options_hash, tags, room: None }
    }

    /// Images that are worked on at the same time share this.
    #[must_use]
    pub fn within(self, room: Room) -> Self {
        Self { room: Some(room), ..self }
    }

    /// Brings one object to its destination, lighter where that is possible.
    pub async fn run(&self, job: &Job, deadline: Option<Instant>) -> Report {
        self.run_planned(job, plan(job, &self.policy), deadline).await
    }

    /// The same, to this very place.
    pub async fn run_to(&self, job: &Job, target: ObjectRef) -> Report {
        self.run_planned(job, plan_to(job, target, &self.policy), None).await
    }

    async fn run_planned(&self, job: &Job, plan: Result<Plan, PlanError>, deadline: Option<Instant>) -> Report {
        let start = Instant::now();
        let mut report = Report::begun(Some(&job.source));
        // On the heap, since the compiler gives up on so deep a nest of futures.
        let ending = Box::pin(self.story(job, plan, deadline, &mut report)).await;
        report.millis.total = millis(start.elapsed());
        report.ended(ending.as_ref().copied())
    }

    async fn story(
        &self,
        job: &Job,
        plan: Result<Plan, PlanError>,
        deadline: Option<Instant>,
        report: &mut Report,
    ) -> Result<Ending, Error> {
        let (target, known) = match plan? {
            Plan::Process(target) => (target, None),
            Plan::Copy(target, cause) => (target, Some(cause)),
            Plan::Skip(skip) => return Ok(Ending::Skipped(skip)),
        };
        report.destination = Some(target.to_string());

        let seen = timed(&mut report.millis.head, self.look_at(&target)).await?;
        if let Some(skip) = self.suffices(&seen, job) {
            return Ok(Ending::Skipped(skip));
        }
        let Source { head, format, body, permit: _permit } =
            timed(&mut report.millis.get, self.fetch(job, known)).await?;
        report.found(&head, format);
        let required = self.policy.tags == TagPolicy::Require;
        let (tags, warning) = timed(&mut report.millis.get, self.tags.read(&job.source, &head, required)).await?;
        report.warnings.extend(warning);

        let verdict = timed(&mut report.millis.optimize, self.judge(body, deadline)).await;
        report.judge(&verdict);
        if self.withholds(&verdict) {
            return Ok(Ending::Skipped(Skip::Withheld));
        }
        let delivery = Delivery {
            from: &job.source,
            to: &target,
            tags: if tags.is_some() { CopyTags::Copy } else { CopyTags::Drop },
            attributes: self.attributes(job, &head, format, tags.unwrap_or_default(), &verdict),
            body: verdict.into_bytes(),
            condition: self.condition(&seen),
            head: &head,
        };
        let settled = before(deadline, Box::pin(self.settle(job, delivery, &mut report.warnings)));
        match timed(&mut report.millis.store, settled).await? {
            Settled::Stored(route) => report.arrived_by(route),
            Settled::Skipped(skip) => return Ok(Ending::Skipped(skip)),
        }
        Ok(Ending::Stored)
    }

    /// Whether what arrives would hold what the policy removes, and must not.
    fn withholds(&self, verdict: &Verdict) -> bool {
        let removes = self.policy.options.metadata != MetadataPolicy::All;
        removes && self.policy.unstrippable == Unstrippable::Withhold && verdict.metadata() == MetadataState::Kept
    }

    async fn look_at(&self, target: &ObjectRef) -> Result<Existing, Error> {
        if self.policy.overwrite == Overwrite::Always {
            return Ok(Existing::Unknown);
        }
        // What may not be looked at may still be replaced.
        Ok(Existing::from_head(self.store.head(target).await)?)
    }

    /// Why nothing need be written, if so.
    fn suffices(&self, seen: &Existing, job: &Job) -> Option<Skip> {
        let Existing::Present(head) = seen else { return None };
        if marker::answers(&head.attributes.metadata, job, &self.options_hash) {
            return Some(Skip::AlreadyStored);
        }
        (self.policy.overwrite == Overwrite::Never).then_some(Skip::NotOverwritten)
    }

    /// What must still be so when the result is written: of two at work on one key, the slower one decides again.
    fn condition(&self, seen: &Existing) -> Condition {
        match (self.policy.overwrite, seen) {
            (Overwrite::Never, _) | (Overwrite::IfOlder | Overwrite::Always, Existing::Absent) => Condition::Absent,
            (Overwrite::IfOlder | Overwrite::Always, Existing::Unknown) => Condition::None,
            (Overwrite::IfOlder | Overwrite::Always, Existing::Present(head)) => {
                Condition::Unmodified(head.etag.clone())
            }
        }
    }

    /// Reads what the event speaks of, and never a newer object: a stale event's GET fails, and is a skip by its class.
    async fn fetch(&self, job: &Job, known: Option<Cause>) -> Result<Source<'_>, Error> {
        let mut download = self.store.get(&job.source, job.etag.as_ref()).await?;
        let head = download.head.clone();
        let format = Format::sniff(download.peek(SNIFF_BYTES).await?);
        if let Some(cause) = known.or_else(|| Cause::of_beginning(&head, format, &self.policy.options.limits)) {
            // The download is dropped, which ends it.
            return Ok(Source { head, format, body: Body::Unread(cause), permit: None });
        }
        let permit = match &self.room {
            // What the store ends meanwhile is asked for again from there.
            Some(room) => room.take_for_image(head.size).await,
            None => None,
        };
        let body = Body::Image(download.read_all().await?);
        Ok(Source { head, format, body, permit })
    }

    async fn judge(&self, body: Body, deadline: Option<Instant>) -> Verdict {
        let bytes = match body {
            Body::Image(bytes) => bytes,
            Body::Unread(cause) => return Verdict::unread(cause),
        };
        let options = self.policy.options.clone();
        let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let budget = deadline.map_or(Budget::UNLIMITED, |deadline| Budget::lasting(time_to_work(deadline)));
        judge(bytes, options, budget.on(threads)).await
    }

    fn attributes(
        &self,
        job: &Job,
        head: &Head,
        format: Option<Format>,
        tags: Vec<(String, String)>,
        verdict: &Verdict,
    ) -> Attributes {
        let arriving = verdict.attributes(head, format, &self.options_hash, job.sequencer.as_deref());
        let Policy { storage_class, cache_control, .. } = &self.policy;
        Attributes {
            tags,
            storage_class: storage_class.clone().or(arriving.storage_class),
            cache_control: cache_control.clone().or(arriving.cache_control),
            ..arriving
        }
    }

    /// Writes what is to be written, unless another one's write came before it that is as good: then it decides again.
    async fn settle(
        &self,
        job: &Job,
        mut delivery: Delivery<'_>,
        warnings: &mut Vec<String>,
    ) -> Result<Settled, Error> {
        let mut rounds = 1;
        loop {
            let error = match Box::pin(self.deliver(delivery.clone(), warnings)).await {
                Ok(route) => return Ok(Settled::Stored(route)),
                Err(Error::S3(error)) if is_overtaken(&error, delivery.to) => error,
                Err(error) => return Err(error),
            };
            let seen = self.look_at(delivery.to).await?;
            if let Some(skip) = self.suffices(&seen, job) {
                return Ok(Settled::Skipped(skip));
            }
            // What may not be seen is there all the same.
            if self.policy.overwrite == Overwrite::Never && error.kind == S3ErrorKind::PreconditionFailed {
                return Ok(Settled::Skipped(Skip::NotOverwritten));
            }
            // Whose source is still there is the newer one: the other was put, and is replaced, before.
            match self.store.head_source(&job.source).await? {
                Some(now) if now.etag == delivery.head.etag => {}
                Some(_) => return Ok(Settled::Skipped(Skip::SourceReplaced)),
                None => return Ok(Settled::Skipped(Skip::SourceGone)),
            }
            if rounds == ROUNDS {
                return Err(error.into());
            }
            rounds += 1;
            delivery.condition = self.condition(&seen);
        }
    }

    async fn deliver(&self, mut delivery: Delivery<'_>, warnings: &mut Vec<String>) -> Result<Route, Error> {
        let tagged = delivery.clone();
        let mut result = self.write(&delivery).await;
        if let Err(error) = &result
            && error.may_be_about_tags()
            && self.policy.tags == TagPolicy::Copy
            && delivery.drop_tags()
        {
            let warning = format!("tags dropped: {error}");
            result = self.write(&delivery).await;
            warnings.extend(result.is_ok().then_some(warning));
        }
        match result {
            Ok(()) => Ok(Route::Direct),
            Err(error) if delivery.body.is_none() && error.may_be_cross_principal() => {
                self.relay(tagged, error, warnings).await
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Where no principal may read the one and write the other in one request, the bytes pass through here.
    async fn relay(
        &self,
        mut delivery: Delivery<'_>,
        refusal: S3Error,
        warnings: &mut Vec<String>,
    ) -> Result<Route, Error> {
        let mut result = self.write_through(&delivery).await;
        if let Err(error) = &result
            && error.may_be_about_tags()
            && self.policy.tags == TagPolicy::Copy
            && !std::mem::take(&mut delivery.attributes.tags).is_empty()
        {
            let warning = format!("tags dropped: {error}");
            result = self.write_through(&delivery).await;
            warnings.extend(result.is_ok().then_some(warning));
        }
        match result {
            Ok(()) => Ok(Route::Relay),
            // The copy says what to grant on either side.
            Err(error) if error.may_be_cross_principal() => Err(refusal.into()),
            Err(error) => Err(error.into()),
        }
    }

    async fn write_through(&self, delivery: &Delivery<'_>) -> Result<(), S3Error> {
        let Delivery { from, head, to, attributes, condition, .. } = delivery;
        Box::pin(self.store.relay(from, head, to, attributes, condition)).await
    }

    async fn write(&self, delivery: &Delivery<'_>) -> Result<(), S3Error> {
        let Delivery { from, head, to, body, attributes, tags, condition } = delivery;
        match body {
            Some(bytes) => self.store.put(to, bytes.clone(), attributes, condition).await,
            None => self.store.copy(from, head, to, attributes, *tags, condition).await,
        }
    }
}

impl Delivery<'_> {
    /// Whether there were any, as far as is known: a copy takes along what may be hidden from us.
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

/// The engine's, on a thread of its own.
pub(crate) async fn judge(bytes: Bytes, options: Options, budget: Budget) -> Verdict {
    let work = tokio::task::spawn_blocking(move || optimize::optimize(&bytes, &options, budget));
    let answer = work.await.unwrap_or_else(|lost| Err(ImageError::CodecPanic(lost.to_string())));
    Verdict::of(answer)
}

/// Whether something came to, or left, the destination after it was looked at.
fn is_overtaken(error: &S3Error, target: &ObjectRef) -> bool {
    matches!(error.kind, S3ErrorKind::PreconditionFailed | S3ErrorKind::Conflict) && error.object == *target
}

/// Shortly before the deadline the work is dropped, which aborts its upload: what Lambda kills aborts nothing.
async fn before<T>(deadline: Option<Instant>, work: impl Future<Output = T>) -> T {
    let Some(deadline) = deadline else { return work.await };
    let left = deadline.saturating_duration_since(Instant::now());
    if let Ok(done) = tokio::time::timeout(left.saturating_sub(ABORT.min(left / 10)), work).await {
        return done;
    }
    tracing::error!("out of time while storing: the upload is aborted; raise the function's timeout");
    // As without us: the event comes back, and is known for one that ended the function.
    std::future::pending().await
}

/// A fifth of what is left stays for the upload.
fn time_to_work(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now()) * 4 / 5
}
