//! One object to process, and why an event may name none. Pure.

use super::location::Location;
use crate::s3::{ETag, ObjectRef, Progress};

/// One object to process, as an event names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    pub source: ObjectRef,
    /// ETag of the version that the event names; the object may have changed since.
    pub etag: Option<ETag>,
    /// Bytes.
    pub size: Option<u64>,
    /// Orders the events of one key; hex digits of either case.
    pub sequencer: Option<String>,
    pub task: Task,
}

/// How to bring an object to its destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Optimize it if possible.
    Optimize,
    /// Copy it unread: an earlier attempt ended the function.
    Copy,
    /// Move it as it is, without a marker.
    Transfer,
}

/// One object to move from any side to any side.
#[derive(Debug, Clone)]
pub struct Move {
    pub from: Location,
    pub to: Location,
    /// ETag of the version to move; `None` for whichever there is.
    pub etag: Option<ETag>,
    /// Bytes, if known.
    pub size: Option<u64>,
    /// As in [`Job`].
    pub sequencer: Option<String>,
    pub task: Task,
    /// Content-Type of a file or stream that is no image.
    pub content_type: Option<String>,
    pub progress: Progress,
}

impl Move {
    /// Moves what there is.
    #[must_use]
    pub fn new(from: Location, to: Location, task: Task) -> Self {
        Self {
            from,
            to,
            etag: None,
            size: None,
            sequencer: None,
            task,
            content_type: None,
            progress: Progress::default(),
        }
    }
}

impl Job {
    /// Brings the job's object to `target`.
    #[must_use]
    pub fn to(&self, target: ObjectRef) -> Move {
        let Self { source, etag, size, sequencer, task } = self.clone();
        Move { etag, size, sequencer, ..Move::new(Location::S3(source), Location::S3(target), task) }
    }
}

/// Why an event or one of its records names no object. Such events are kept for a person, never dropped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    #[error("not an S3 event: got {seen}, want an S3 notification, {{\"Records\": [...]}}")]
    NotAnEvent { seen: String },
    #[error("record {index}: {field} is {seen}, want {want}")]
    Field { index: usize, field: &'static str, seen: String, want: &'static str },
    #[error("record {index}: key {key:?} is not UTF-8 once decoded")]
    Key { index: usize, key: String },
}

/// Whether a text has only hex digits, as a sequencer has.
pub(crate) fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
