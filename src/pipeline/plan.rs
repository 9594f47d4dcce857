//! Decides by the event alone what to do with a job. Pure.

use super::error::{Error, MAX_KEY_BYTES, PlanError};
use super::job::{Job, Move, Task};
use super::location::Location;
use super::policy::Policy;
use crate::report::{CopyReason, Skip};
use crate::s3::ObjectRef;

/// Decides where a job's result goes, and whether its object is read: returns the reason to copy it unread, if there is
/// one.
///
/// # Errors
/// [`Error::Skip`], or [`PlanError`] if the destination key is impossible.
pub(super) fn plan(job: &Job, policy: &Policy) -> Result<(Move, Option<CopyReason>), Error> {
    let Policy { destination_bucket: bucket, destination_key: template, .. } = policy;
    // Also skips any key in the same bucket that could be a result: its own result would trigger without end.
    if job.source.bucket == *bucket && template.is_result(&job.source.key) {
        return Err(Error::Skip(Skip::DestinationIsSource));
    }
    let moving = job.to(ObjectRef { bucket: bucket.clone(), key: template.render(&job.source.key) });
    let reason = plan_move(&moving, policy, false)?;
    Ok((moving, reason))
}

/// Like [`plan`], for a given destination. In another store, it may have the source's name.
///
/// # Errors
/// As [`plan`].
pub(super) fn plan_move(moving: &Move, policy: &Policy, is_cross_store: bool) -> Result<Option<CopyReason>, Error> {
    let Move { from, to, size, task, .. } = moving;
    if from == to && !is_cross_store {
        return Err(Error::Skip(Skip::DestinationIsSource));
    }
    match to {
        Location::S3(target) if target.key.len() > MAX_KEY_BYTES => {
            Err(PlanError::KeyTooLong { source_object: from.clone(), bytes: target.key.len() }.into())
        }
        _ => Ok(match task {
            Task::Copy => Some(CopyReason::EndedTheFunction),
            Task::Optimize => size.and_then(|size| CopyReason::from_size(size, &policy.options.limits)),
            Task::Transfer => None,
        }),
    }
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

    /// What is planned for a key of the destination bucket, or why nothing is.
    #[derive(Debug, PartialEq)]
    enum Planned {
        Process(Location),
        Copy(Location, CopyReason),
        Error(String),
    }

    fn planned(job: &Job, policy: &Policy) -> Planned {
        match plan(job, policy) {
            Ok((moving, None)) => Planned::Process(moving.to),
            Ok((moving, Some(reason))) => Planned::Copy(moving.to, reason),
            Err(error) => Planned::Error(error.to_string()),
        }
    }

    fn copy(key: &str, reason: CopyReason) -> Planned {
        Planned::Copy(Location::S3(ObjectRef::new("light", key)), reason)
    }

    fn process(key: &str) -> Planned {
        Planned::Process(Location::S3(ObjectRef::new("light", key)))
    }

    #[test]
    fn plan_puts_the_key_under_the_prefix() {
        assert_eq!(planned(&job("in", "a.jpg", Some(1)), &under("")), process("a.jpg"));
        assert_eq!(planned(&job("in", "a.jpg", None), &under("small/")), process("small/a.jpg"));
        assert_eq!(planned(&job("in", "..//a", Some(1)), &under("x/")), process("x/..//a"));
    }

    #[test]
    fn plan_of_a_result_is_skip() {
        let skip = || Planned::Error("destination-is-source".into());
        assert_eq!(planned(&job("light", "a.jpg", Some(1)), &under("")), skip());
        assert_eq!(planned(&job("light", "small/a.jpg", Some(1)), &under("small/")), skip());
        assert_eq!(planned(&job("light", "photos/a.jpg", Some(1)), &under("small/")), process("small/photos/a.jpg"));
        let beside = Policy { destination_key: "{dir}{stem}-light{ext}".parse().unwrap(), ..under("") };
        assert_eq!(planned(&job("light", "a-light.jpg", Some(1)), &beside), skip());
        assert_eq!(planned(&job("light", "a.jpg", Some(1)), &beside), process("a-light.jpg"));
    }

    #[test]
    fn plan_of_empty_object_is_copy() {
        let empty = |key: &str| copy(key, CopyReason::Unchanged(Reason::Empty));
        assert_eq!(planned(&job("in", "a.jpg", Some(0)), &under("")), empty("a.jpg"));
        assert_eq!(planned(&job("in", "folder/", Some(0)), &under("")), empty("folder/"));
        assert_eq!(planned(&job("in", "folder/", Some(3)), &under("")), process("folder/"));
    }

    #[test]
    fn plan_of_object_over_a_limit_is_copy() {
        let mut policy = under("");
        policy.options.limits.bytes = 100;
        let over = ImageError::LimitExceeded { limit: Limit::Bytes, value: 101, max: 100 };
        assert_eq!(planned(&job("in", "a", Some(100)), &policy), process("a"));
        assert_eq!(planned(&job("in", "a", Some(101)), &policy), copy("a", CopyReason::Image(over)));
        policy.options.limits.memory = 50;
        let over = ImageError::LimitExceeded { limit: Limit::Memory, value: 51, max: 50 };
        assert_eq!(planned(&job("in", "a", Some(51)), &policy), copy("a", CopyReason::Image(over)));
    }

    #[test]
    fn plan_of_copy_task_is_copy() {
        let job = Job { task: Task::Copy, ..job("in", "a.png", Some(1)) };
        assert_eq!(planned(&job, &under("")), copy("a.png", CopyReason::EndedTheFunction));
    }

    #[test]
    fn plan_of_key_over_1024_bytes_is_an_error() {
        let key = "あ".repeat(341) + "a";
        assert_eq!(planned(&job("in", &key, Some(1)), &under("")), process(&key));
        let error = plan(&job("in", &key, Some(1)), &under("s/")).unwrap_err();
        assert!(error.to_string().contains("has 1026 bytes, S3 allows 1024"), "{error}");
    }
}
