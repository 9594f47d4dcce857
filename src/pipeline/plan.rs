//! Decides by the event alone what to do with a job. Pure.

use super::{Job, Policy, Task};
use crate::report::{CopyReason, Skip};
use crate::s3::ObjectRef;

/// What to do with a job.
#[derive(Debug, PartialEq)]
pub enum Plan {
    /// Read the object, and decide by its bytes.
    Process(ObjectRef),
    /// Copy the object without reading it.
    Copy(ObjectRef, CopyReason),
    Skip(Skip),
}

/// Why a job is impossible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    #[error(
        "{source_object}: the destination's key has {bytes} bytes, S3 allows {MAX_KEY_BYTES}; shorten \
         KARUI_DESTINATION_PREFIX, KARUI_DESTINATION_KEY or the key"
    )]
    KeyTooLong { source_object: ObjectRef, bytes: usize },
}

/// Longest key in bytes of UTF-8:
const MAX_KEY_BYTES: usize = 1024;

/// Decides where a job's result goes, and whether its object is read.
///
/// # Errors
/// [`PlanError`] if the destination key is impossible.
pub fn plan(job: &Job, policy: &Policy) -> Result<Plan, PlanError> {
    let Policy { destination_bucket: bucket, destination_key: template, .. } = policy;
    // Also skips any key in the same bucket that could be a result: its own result would trigger without end.
    if job.source.bucket == *bucket && template.is_result(&job.source.key) {
        return Ok(Plan::Skip(Skip::DestinationIsSource));
    }
    let target = ObjectRef { bucket: bucket.clone(), key: template.render(&job.source.key) };
    plan_to(job, target, policy)
}

/// Like [`plan`], for a given target.
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
    let reason = match job.task {
        Task::Copy => Some(CopyReason::EndedTheFunction),
        Task::Optimize => job.size.and_then(|size| CopyReason::from_size(size, &policy.options.limits)),
    };
    Ok(match reason {
        Some(reason) => Plan::Copy(target, reason),
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
    fn plan_puts_the_key_under_the_prefix() {
        assert_eq!(plan(&job("in", "a.jpg", Some(1)), &under("")), Ok(Plan::Process(target("a.jpg"))));
        assert_eq!(plan(&job("in", "a.jpg", None), &under("small/")), Ok(Plan::Process(target("small/a.jpg"))));
        assert_eq!(plan(&job("in", "..//a", Some(1)), &under("x/")), Ok(Plan::Process(target("x/..//a"))));
    }

    #[test]
    fn plan_of_a_result_is_skip() {
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
    fn plan_of_empty_object_is_copy() {
        let empty = |key: &str| Ok(Plan::Copy(target(key), CopyReason::Unchanged(Reason::Empty)));
        assert_eq!(plan(&job("in", "a.jpg", Some(0)), &under("")), empty("a.jpg"));
        assert_eq!(plan(&job("in", "folder/", Some(0)), &under("")), empty("folder/"));
        assert_eq!(plan(&job("in", "folder/", Some(3)), &under("")), Ok(Plan::Process(target("folder/"))));
    }

    #[test]
    fn plan_of_object_over_a_limit_is_copy() {
        let mut policy = under("");
        policy.options.limits.bytes = 100;
        let over = ImageError::LimitExceeded { limit: Limit::Bytes, value: 101, max: 100 };
        assert_eq!(plan(&job("in", "a", Some(100)), &policy), Ok(Plan::Process(target("a"))));
        assert_eq!(plan(&job("in", "a", Some(101)), &policy), Ok(Plan::Copy(target("a"), CopyReason::Image(over))));
        policy.options.limits.memory = 50;
        let over = ImageError::LimitExceeded { limit: Limit::Memory, value: 51, max: 50 };
        assert_eq!(plan(&job("in", "a", Some(51)), &policy), Ok(Plan::Copy(target("a"), CopyReason::Image(over))));
    }

    #[test]
    fn plan_of_copy_task_is_copy() {
        let job = Job { task: Task::Copy, ..job("in", "a.png", Some(1)) };
        assert_eq!(plan(&job, &under("")), Ok(Plan::Copy(target("a.png"), CopyReason::EndedTheFunction)));
    }

    #[test]
    fn plan_of_key_over_1024_bytes_is_an_error() {
        let key = "あ".repeat(341) + "a";
        assert_eq!(plan(&job("in", &key, Some(1)), &under("")), Ok(Plan::Process(target(&key))));
        let error = plan(&job("in", &key, Some(1)), &under("s/")).unwrap_err();
        assert!(error.to_string().contains("has 1026 bytes, S3 allows 1024"), "{error}");
    }
}
