//! The story of one object, and its steps. Talks to S3 through [`Store`] only; what it decides is decided elsewhere.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::body::{Cause, Verdict, arriving};
use super::marker::{self, Marker, options_hash};
use super::report::{millis, timed};
use super::{Ending, Job, Plan, Policy, Report, Skip, TagPolicy, Unstrippable, plan};
use crate::error::Error;
use crate::optimize::format::SNIFF_BYTES;
use crate::optimize::{self, Budget, Format, ImageError, MetadataPolicy, MetadataState};
use crate::s3::{Attributes, Condition, CopyTags, Head, Kind, ObjectRef, S3Error, Store};

/// Does jobs, one policy for all.
pub struct Pipeline {
    store: Store,
    policy: Policy,
    options_hash: String,
    /// Buckets whose tags could be read once: S3 hides their very number from those who may not.
    tags_seen: Mutex<HashSet<String>>,
}

/// What lies at the destination before the work.
enum Seen {
    /// It may not be looked at.
    Unknown,
    Nothing,
    Object(Box<Head>),
}

/// The source as it was read.
struct Source {
    head: Head,
    format: Option<Format>,
    body: Body,
}

enum Body {
    Image(Bytes),
    Unread(Cause),
}

/// One write at the destination.
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
        Self { store, policy, options_hash, tags_seen: Mutex::default() }
    }

    /// Brings one object to its destination, lighter where that is possible.
    pub async fn run(&self, job: &Job, deadline: Option<Instant>) -> Report {
        let start = Instant::now();
        let mut report = Report::begun(Some(&job.source));
        // On the heap, since the compiler gives up on so deep a nest of futures.
        let ending = Box::pin(self.story(job, deadline, &mut report)).await;
        report.millis.total = millis(start.elapsed());
        report.ended(ending.as_ref().copied())
    }

    async fn story(&self, job: &Job, deadline: Option<Instant>, report: &mut Report) -> Result<Ending, Error> {
        let (target, known) = match plan(job, &self.policy)? {
            Plan::Process(target) => (target, None),
            Plan::Copy(target, cause) => (target, Some(cause)),
            Plan::Skip(skip) => return Ok(Ending::Skipped(skip)),
        };
        report.destination = Some(target.to_string());

        let seen = timed(&mut report.millis.head, self.look_at(&target)).await?;
        if self.answers(&seen, job) {
            return Ok(Ending::Skipped(Skip::AlreadyStored));
        }
        let Source { head, format, body } = timed(&mut report.millis.get, self.fetch(job, known)).await?;
        report.found(head.size, format);
        let tags = timed(&mut report.millis.get, self.tags(&job.source, &head, &mut report.warnings)).await?;

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
            condition: seen.condition(),
            head: &head,
        };
        timed(&mut report.millis.store, Box::pin(self.deliver(delivery, &mut report.warnings))).await?;
        Ok(Ending::Stored)
    }

    /// Whether what arrives would hold what the policy removes, and must not.
    fn withholds(&self, verdict: &Verdict) -> bool {
        let removes = self.policy.options.metadata != MetadataPolicy::All;
        removes && self.policy.unstrippable == Unstrippable::Withhold && verdict.metadata() == MetadataState::Kept
    }

    async fn look_at(&self, target: &ObjectRef) -> Result<Seen, Error> {
        match self.store.head(target).await {
            Ok(Some(head)) => Ok(Seen::Object(Box::new(head))),
            Ok(None) => Ok(Seen::Nothing),
            // Without s3:ListBucket a missing key answers AccessDenied; what SSE-C hides may still be replaced.
            Err(S3Error { kind: Kind::AccessDenied | Kind::CustomerKey, .. }) => Ok(Seen::Unknown),
            Err(error) => Err(error.into()),
        }
    }

    fn answers(&self, seen: &Seen, job: &Job) -> bool {
        match seen {
            Seen::Object(head) => marker::answers(&head.attributes.metadata, job, &self.options_hash),
            Seen::Nothing | Seen::Unknown => false,
        }
    }

    /// Reads what the event speaks of, and never a newer object: a stale event's GET fails, and is a skip by its class.
    async fn fetch(&self, job: &Job, known: Option<Cause>) -> Result<Source, Error> {
        let mut download = self.store.get(&job.source, job.etag.as_ref()).await?;
        let head = download.head.clone();
        let format = Format::sniff(download.peek(SNIFF_BYTES).await?);
        let body = match known.or_else(|| Cause::of_beginning(&head, format, &self.policy.options.limits)) {
            // The download is dropped, which ends it.
            Some(cause) => Body::Unread(cause),
            None => Body::Image(download.read_all().await?),
        };
        Ok(Source { head, format, body })
    }

    /// The source's tags; `None` where they may not be read, and need not.
    async fn tags(
        &self,
        source: &ObjectRef,
        head: &Head,
        warnings: &mut Vec<String>,
    ) -> Result<Option<Vec<(String, String)>>, Error> {
        let required = self.policy.tags == TagPolicy::Require;
        // A zero is believed only of a bucket that shows its tags, and where nothing hangs on it.
        if head.tag_count == 0 && !required && self.shows_tags(&source.bucket) {
            return Ok(Some(Vec::new()));
        }
        let tags = match self.store.tags(source).await {
            // A store that knows no tags has none to lose.
            Err(S3Error { kind: Kind::NotSupported, .. }) if head.tag_count == 0 && !required => Vec::new(),
            Err(error) if is_refused(&error) && !required => {
                warnings.push(format!("tags dropped, if there were any: {error}"));
                return Ok(None);
            }
            answer => answer?,
        };
        if let Ok(mut seen) = self.tags_seen.lock() {
            seen.insert(source.bucket.clone());
        }
        Ok(Some(tags))
    }

    fn shows_tags(&self, bucket: &str) -> bool {
        self.tags_seen.lock().is_ok_and(|seen| seen.contains(bucket))
    }

    async fn judge(&self, body: Body, deadline: Option<Instant>) -> Verdict {
        let bytes = match body {
            Body::Image(bytes) => bytes,
            Body::Unread(cause) => return Verdict::unread(cause),
        };
        let options = self.policy.options.clone();
        let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let budget = deadline.map_or(Budget::UNLIMITED, |deadline| Budget::lasting(time_to_work(deadline)));
        let work = tokio::task::spawn_blocking(move || optimize::optimize(&bytes, &options, budget.on(threads)));
        let answer = work.await.unwrap_or_else(|lost| Err(ImageError::CodecPanic(lost.to_string())));
        Verdict::of(answer)
    }

    fn attributes(
        &self,
        job: &Job,
        head: &Head,
        format: Option<Format>,
        tags: Vec<(String, String)>,
        verdict: &Verdict,
    ) -> Attributes {
        let marker = Marker {
            source_etag: &head.etag,
            options: &self.options_hash,
            original_size: head.size,
            score: verdict.score(),
            method: &verdict.method(),
            sequencer: job.sequencer.as_deref(),
        };
        let metadata = marker.added_to(&head.attributes.metadata);
        Attributes { metadata, ..arriving(&head.attributes, format, tags) }
    }

    async fn deliver(&self, mut delivery: Delivery<'_>, warnings: &mut Vec<String>) -> Result<(), Error> {
        let mut result = self.write(&delivery).await;
        if let Err(error) = &result
            && is_refused(error)
            && self.policy.tags == TagPolicy::Copy
            && delivery.drop_tags()
        {
            let warning = format!("tags dropped: {error}");
            result = self.write(&delivery).await;
            warnings.extend(result.is_ok().then_some(warning));
        }
        Ok(result?)
    }

    async fn write(&self, delivery: &Delivery<'_>) -> Result<(), S3Error> {
        let Delivery { from, head, to, body, attributes, tags, condition } = delivery;
        match body {
            Some(bytes) => self.store.put(to, bytes.clone(), attributes, condition).await,
            None => self.store.copy(from, head, to, attributes, *tags, condition).await,
        }
    }
}

impl Seen {
    /// What must still be so when the result is written: of two at work on one key, the slower one tries again.
    fn condition(&self) -> Condition {
        match self {
            Self::Unknown => Condition::None,
            Self::Nothing => Condition::Absent,
            Self::Object(head) => Condition::Unmodified(head.etag.clone()),
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

/// For the permission, or since the store knows nothing of tags.
fn is_refused(error: &S3Error) -> bool {
    matches!(error.kind, Kind::AccessDenied | Kind::NotSupported)
}

/// A fifth of what is left stays for the upload.
fn time_to_work(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now()) * 4 / 5
}
