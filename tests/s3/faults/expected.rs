//! The specification: what one fault of one request leads to, where nothing is repeated.

use Expected::{Done, Fails, Harmless, Orphaned, StaysOpen};
use Operation::{
    AbortMultipartUpload, CompleteMultipartUpload, CopyObject, CreateMultipartUpload, DeleteObject, GetObject,
    GetObjectTagging, HeadObject, ListMultipartUploads, ListObjectsV2, PutObject, UploadPart, UploadPartCopy,
};
use karui::s3::{Operation, S3ErrorKind};

use super::task::Task;
use crate::support::faults::{Fault, INTERNAL_ERROR, SLOW_DOWN};

/// All failures are retryable. Whatever happens, the old object or the new one is at the destination, whole, and the same
/// again succeeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// It fails, the old object is there still, and no upload stays open.
    Fails,
    /// It fails, though the new object is there: the same again finds that out.
    Done,
    /// It succeeds: there was nothing to lose.
    Harmless,
    /// It fails, and an upload stays open whose ID never arrived: a lifecycle rule of the bucket ends it, and nobody else
    /// could tell it from another's.
    Orphaned,
    /// It fails, and its upload stays open, since the abort is what failed: the SDK's repeats are what ends it.
    StaysOpen,
}

/// The columns of [`expected`], and how a failure is told.
pub const FAULTS: [(Fault, S3ErrorKind); 7] = [
    (SLOW_DOWN, S3ErrorKind::Throttled),
    (INTERNAL_ERROR, S3ErrorKind::Unavailable),
    (Fault::Reset, S3ErrorKind::Connection),
    (Fault::AnswerLost, S3ErrorKind::Connection),
    (Fault::Cut(50), S3ErrorKind::Unavailable),
    (Fault::ErrorInside200("InternalError"), S3ErrorKind::Unavailable),
    (Fault::Hang, S3ErrorKind::Timeout),
];

/// A row for every operation. Bodies to cut or to hold an error come with what XML answers and with GET: a HEAD, a put, a
/// part, a delete and an abort have none. An abort strikes in a transfer that fails already.
#[rustfmt::skip]
#[expect(clippy::match_same_arms, reason = "a row for every operation")]
pub fn expected(operation: Operation) -> [Expected; FAULTS.len()] {
    match operation {
        //                           503        500        reset      lost       cut        error 200  hang
        HeadObject              => [Fails,     Fails,     Fails,     Fails,     Harmless,  Fails,     Fails],
        GetObject               => [Fails,     Fails,     Fails,     Fails,     Fails,     Fails,     Fails],
        GetObjectTagging        => [Fails,     Fails,     Fails,     Fails,     Fails,     Fails,     Fails],
        PutObject               => [Fails,     Fails,     Fails,     Done,      Harmless,  Fails,     Fails],
        CopyObject              => [Fails,     Fails,     Fails,     Done,      Done,      Fails,     Fails],
        CreateMultipartUpload   => [Fails,     Fails,     Fails,     Orphaned,  Orphaned,  Fails,     Fails],
        UploadPart              => [Fails,     Fails,     Fails,     Fails,     Harmless,  Fails,     Fails],
        UploadPartCopy          => [Fails,     Fails,     Fails,     Fails,     Fails,     Fails,     Fails],
        CompleteMultipartUpload => [Fails,     Fails,     Fails,     Done,      Done,      Fails,     Fails],
        AbortMultipartUpload    => [StaysOpen, StaysOpen, StaysOpen, Fails,     Fails,     StaysOpen, StaysOpen],
        ListObjectsV2           => [Fails,     Fails,     Fails,     Fails,     Fails,     Fails,     Fails],
        ListMultipartUploads    => [Fails,     Fails,     Fails,     Fails,     Fails,     Fails,     Fails],
        DeleteObject            => [Fails,     Fails,     Fails,     Done,      Harmless,  Fails,     Fails],
    }
}

/// Expected results of one task whose copy is checked after it is made, and stays if the check fails.
pub fn expected_of(task: Task, operation: Operation) -> [Expected; FAULTS.len()] {
    match (task, operation) {
        (Task::Copy, HeadObject) => expected(HeadObject).map(|of_head| if of_head == Fails { Done } else { of_head }),
        _ => expected(operation),
    }
}

/// The kind of a failure, where it is not the fault's own.
pub fn told(operation: Operation, fault: &Fault, own: S3ErrorKind) -> S3ErrorKind {
    match operation {
        // It has no body to say `SlowDown` in.
        HeadObject if *fault == SLOW_DOWN => S3ErrorKind::Unavailable,
        // The figures do not count here.
        GetObject if matches!(fault, Fault::Cut(_)) => S3ErrorKind::Truncated { expected: 0, got: 0 },
        // The error of the parts, which is the one reported.
        AbortMultipartUpload => S3ErrorKind::Unavailable,
        HeadObject
        | GetObject
        | GetObjectTagging
        | PutObject
        | CopyObject
        | CreateMultipartUpload
        | UploadPart
        | UploadPartCopy
        | CompleteMultipartUpload
        | ListObjectsV2
        | ListMultipartUploads
        | DeleteObject => own,
    }
}

impl Expected {
    pub fn succeeds(self) -> bool {
        match self {
            Harmless => true,
            Fails | Done | Orphaned | StaysOpen => false,
        }
    }

    /// Whether the new object is there, if one was to be written.
    pub fn is_done(self) -> bool {
        match self {
            Done | Harmless => true,
            Fails | Orphaned | StaysOpen => false,
        }
    }

    pub fn open_uploads(self) -> usize {
        match self {
            Orphaned | StaysOpen => 1,
            Fails | Done | Harmless => 0,
        }
    }
}
