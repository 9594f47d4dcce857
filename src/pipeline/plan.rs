//! What to do with a job, as far as the event alone tells. Pure.

use std::fmt;

use super::body::Cause;
use super::{Job, Policy, Task};
use crate::s3::ObjectRef;

/// What is to be done.
#[derive(Debug, PartialEq)]
pub enum Plan {
    /// Read it, and decide by its bytes.
    Process(ObjectRef),
    /// Not worth reading, yet it has to arrive.
    Copy(ObjectRef, Cause),
    Skip(Skip),
}

/// Why an object is not ours to do; a success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    /// The result would be stored where the source is: an endless loop.
    DestinationIsSource,
    /// The destination's marker answers the event.
    AlreadyStored,
    /// Something is at the destination, and `KARUI_OVERWRITE=never`.
    NotOverwritten,
    /// A newer object is at the source, and has its own event.
    SourceReplaced,
    SourceGone,
    /// The metadata could not be removed, and `KARUI_UNSTRIPPABLE=withhold`.
    Withheld,
    /// The record does not tell of a creation.
    NotACreation,
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DestinationIsSource => "destination-is-source",
            Self::AlreadyStored => "already-stored",
            Self::NotOverwritten => "not-overwritten",
            Self::SourceReplaced => "source-replaced",
            Self::SourceGone => "source-gone",
            Self::Withheld => "withheld",
            Self::NotACreation => "not-a-creation",
        })
    }
}

/// Why a job cannot be done at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    #[error(
        "{source_object}: the destination's key has {bytes} bytes, S3 allows {MAX_KEY_BYTES}; shorten \
         KARUI_DESTINATION_PREFIX, KARUI_DESTINATION_KEY or the key"
    )]
    KeyTooLong { source_object: ObjectRef, bytes: usize },
}

/// Of a key, in UTF-8: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html>.
const MAX_KEY_BYTES: usize = 1024;

/// Where a job's result belongs, and whether its object is worth reading.
///
/// # Errors
/// [`PlanError`] where the destination's key cannot exist.
pub fn plan(job: &Job, policy: &Policy) -> Result<Plan, PlanError> {
    let Policy { destination_bucket: bucket, destination_key: template, .. } = policy;
    // Also what could be a result in the same bucket: it is one, or its result's result would never end.
    if job.source.bucket == *bucket && template.makes(&job.source.key) {
        return Ok(Plan::Skip(Skip::DestinationIsSource));
    }
    let target = ObjectRef { bucket: bucket.clone(), key: template.render(&job.source.key) };
    plan_to(job, target, policy)
}

/// The same, where the result belongs to this very place.
///
/// # Errors
/// As [`plan`].
pub fn plan_to(job: &Job, target: ObjectRef, policy: &Policy) -> Result<Plan, PlanError> {
    if job.source == target {
        return Ok(Plan::Skip(Skip::DestinationIsSource));
    }
    if target.key.len() > MAX_KEY_BYTES {
        return Err(PlanError::KeyTooLong { source_object: job.source.clone(), bytes: target.key.len() });
    }
    let cause = match job.task {
        Task::Copy => Some(Cause::EndedTheFunction),
        Task::Optimize => job.size.and_then(|size| Cause::of_size(size, &policy.options.limits)),
    };
    Ok(match cause {
        Some(cause) => Plan::Copy(target, cause),
        None => Plan::Process(target),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimize::{ImageError, Limit, Reason};
    use crate::pipeline::KeyTemplate;

    fn job(bucket: &str, key: &str, size: Option<u64>) -> Job {
        Job { source: ObjectRef::new(bucket, key), etag: None, size, sequencer: None, task: Task::Optimize }
    }

    fn under(prefix: &str) -> Policy {
        Policy { destination_key: KeyTemplate::under(prefix), ..Policy::to_bucket("light") }
    }

    fn target(key: &str) -> ObjectRef {
        ObjectRef::new("light", key)
    }

    #[test]
    fn the_result_keeps_its_key_under_the_prefix() {
        assert_eq!(plan(&job("in", "a.jpg", Some(1)), &under("")), Ok(Plan::Process(target("a.jpg"))));
        assert_eq!(plan(&job("in", "a.jpg", None), &under("small/")), Ok(Plan::Process(target("small/a.jpg"))));
        assert_eq!(plan(&job("in", "..//a", Some(1)), &under("x/")), Ok(Plan::Process(target("x/..//a"))));
    }

    #[test]
    fn a_result_is_no_source() {
        let skip = || Ok(Plan::Skip(Skip::DestinationIsSource));
        assert_eq!(plan(&job("light", "a.jpg", Some(1)), &under("")), skip());
        assert_eq!(plan(&job("light", "small/a.jpg", Some(1)), &under("small/")), skip());
        assert_eq!(
            plan(&job("light", "photos/a.jpg", Some(1)), &under("small/")),
            Ok(Plan::Process(target("small/photos/a.jpg")))
        );
        let beside = Policy { destination_key: "{dir}{stem}-light{ext}".parse().unwrap(), ..under("") };
        assert_eq!(plan(&job("light", "a-light.jpg", Some(1)), &beside), skip());
        assert_eq!(plan(&job("light", "a.jpg", Some(1)), &beside), Ok(Plan::Process(target("a-light.jpg"))));
    }

    #[test]
    fn nothing_to_read_is_copied() {
        let empty = |key: &str| Ok(Plan::Copy(target(key), Cause::Unchanged(Reason::Empty)));
        assert_eq!(plan(&job("in", "a.jpg", Some(0)), &under("")), empty("a.jpg"));
        assert_eq!(plan(&job("in", "folder/", Some(0)), &under("")), empty("folder/"));
        assert_eq!(plan(&job("in", "folder/", Some(3)), &under("")), Ok(Plan::Process(target("folder/"))));
    }

    #[test]
    fn what_is_over_a_limit_is_copied() {
        let mut policy = under("");
        policy.options.limits.bytes = 100;
        let over = ImageError::LimitExceeded { limit: Limit::Bytes, value: 101, max: 100 };
        assert_eq!(plan(&job("in", "a", Some(100)), &policy), Ok(Plan::Process(target("a"))));
        assert_eq!(plan(&job("in", "a", Some(101)), &policy), Ok(Plan::Copy(target("a"), Cause::Image(over))));
        policy.options.limits.memory = 50;
        let over = ImageError::LimitExceeded { limit: Limit::Memory, value: 51, max: 50 };
        assert_eq!(plan(&job("in", "a", Some(51)), &policy), Ok(Plan::Copy(target("a"), Cause::Image(over))));
    }

    #[test]
    fn what_ended_the_function_is_copied() {
        let job = Job { task: Task::Copy, ..job("in", "a.png", Some(1)) };
        assert_eq!(plan(&job, &under("")), Ok(Plan::Copy(target("a.png"), Cause::EndedTheFunction)));
    }

    #[test]
    fn a_key_of_1024_bytes_leaves_no_room_for_a_prefix() {
        let key = "あ".repeat(341) + "a";
        assert_eq!(plan(&job("in", &key, Some(1)), &under("")), Ok(Plan::Process(target(&key))));
        let error = plan(&job("in", &key, Some(1)), &under("s/")).unwrap_err();
        assert!(error.to_string().contains("has 1026 bytes, S3 allows 1024"), "{error}");
    }
}
