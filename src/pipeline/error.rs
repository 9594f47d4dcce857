//! All errors of one object, each classified by who can act on it.

use std::path::PathBuf;
use std::{fmt, io};

use super::job::EventError;
use super::location::Location;
use crate::optimize::ImageError;
use crate::report::reason::{code_of_file, code_of_image};
use crate::report::{Failure, FailureClass, Report, Skip};
use crate::s3::{Operation, S3Error, S3ErrorKind};

/// Error while processing one object.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error(transparent)]
    S3(#[from] S3Error),
    #[error(transparent)]
    Event(#[from] EventError),
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The object is not ours to process, or no longer.
    #[error("{0}")]
    Skip(Skip),
    /// An error of a local side.
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    /// A thread ended without a result.
    #[error("{0}")]
    Lost(String),
    #[error("out of time while {step}: raise the function's timeout")]
    OutOfTime { step: Step },
}

/// Why a result has no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    #[error(
        "{source_object}: the destination's key has {bytes} bytes, S3 allows {MAX_KEY_BYTES}; shorten \
         KARUI_DESTINATION_PREFIX, KARUI_DESTINATION_KEY or the key"
    )]
    KeyTooLong { source_object: Location, bytes: usize },
}

/// Longest key in bytes of UTF-8:
pub(super) const MAX_KEY_BYTES: usize = 1024;

/// A part of a job that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// HEAD of the destination.
    Head,
    /// GET of the source and its tags, the wait for memory included.
    Get,
    Optimize,
    /// PUT, copy or relay.
    Store,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Head => "looking at the destination",
            Self::Get => "reading",
            Self::Optimize => "optimizing",
            Self::Store => "storing",
        })
    }
}

/// Who can act on an error. Decides the answer to Lambda.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// No error: the object is skipped. A success.
    Skip(Skip),
    /// A retry cannot repair the image. A success, after the original was copied.
    Permanent,
    /// The record fails: Lambda retries the event, and finally sends it to the failure queue, so that events outlive
    /// configuration errors.
    Retryable,
}

impl Error {
    /// Returns who can act on the error.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Image(error) => match error {
                ImageError::Malformed { .. } | ImageError::LimitExceeded { .. } | ImageError::CodecPanic(_) => {
                    Class::Permanent
                }
            },
            Self::S3(error) => class_of_s3(error),
            Self::Skip(skip) => Class::Skip(*skip),
            // A retry cannot repair faults of events, but a person can, and finds the event in the failure queue.
            Self::Event(EventError::NotAnEvent { .. } | EventError::Field { .. } | EventError::Key { .. })
            | Self::Plan(PlanError::KeyTooLong { .. })
            | Self::File { .. }
            | Self::Lost(_)
            | Self::OutOfTime { .. } => Class::Retryable,
        }
    }

    /// Stable code, beside the sentence.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Image(error) => code_of_image(error),
            Self::S3(error) => code_of_s3(&error.kind),
            Self::Event(EventError::NotAnEvent { .. }) => "event-unknown",
            Self::Event(EventError::Field { .. }) => "event-field",
            Self::Event(EventError::Key { .. }) => "event-key",
            Self::Plan(PlanError::KeyTooLong { .. }) => "key-too-long",
            Self::Skip(_) => "skipped",
            Self::File { error, .. } => code_of_file(error),
            Self::Lost(_) => "task-lost",
            Self::OutOfTime { .. } => "out-of-time",
        }
    }

    /// The error as a report names it, whatever its class.
    #[cfg(feature = "transfer")]
    pub(crate) fn failure(&self) -> Failure {
        Failure::retryable(self.code(), self.to_string())
    }

    /// Report of an object that met this error.
    #[must_use]
    pub fn report(&self) -> Report {
        let failure = |class| Report::failed(Failure { class, code: self.code(), sentence: self.to_string() });
        match self.class() {
            Class::Skip(skip) => Report::skipped(skip),
            Class::Permanent => failure(FailureClass::Permanent),
            Class::Retryable => failure(FailureClass::Retryable),
        }
    }
}

/// Stable code of an S3 error.
fn code_of_s3(kind: &S3ErrorKind) -> &'static str {
    match kind {
        S3ErrorKind::NotFound => "s3-not-found",
        S3ErrorKind::NoSuchBucket => "s3-no-such-bucket",
        S3ErrorKind::NoSuchUpload => "s3-no-such-upload",
        S3ErrorKind::PreconditionFailed => "s3-precondition-failed",
        S3ErrorKind::Conflict => "s3-conflict",
        S3ErrorKind::AccessDenied => "s3-access-denied",
        S3ErrorKind::Credentials => "s3-credentials",
        S3ErrorKind::WrongRegion { .. } => "s3-wrong-region",
        S3ErrorKind::Archived { .. } => "s3-archived",
        S3ErrorKind::CustomerKey => "s3-customer-key",
        S3ErrorKind::KmsDenied => "s3-kms-denied",
        S3ErrorKind::Throttled => "s3-throttled",
        S3ErrorKind::Unavailable => "s3-unavailable",
        S3ErrorKind::Timeout => "s3-timeout",
        S3ErrorKind::Connection => "s3-connection",
        S3ErrorKind::Truncated { .. } => "s3-truncated",
        S3ErrorKind::Corrupted => "s3-corrupted",
        S3ErrorKind::NotSupported => "s3-not-supported",
        S3ErrorKind::TooLarge => "s3-too-large",
        S3ErrorKind::InvalidRequest => "s3-invalid-request",
    }
}

/// Every S3 error is retryable, even if only a person can repair it (a permission, a bucket name, an archived or
/// encrypted source): the event then waits in the failure queue. A source that was replaced or deleted is a skip.
fn class_of_s3(error: &S3Error) -> Class {
    match error.kind {
        S3ErrorKind::NotFound if is_about_source(error) => Class::Skip(Skip::SourceGone),
        S3ErrorKind::PreconditionFailed if is_about_source(error) => Class::Skip(Skip::SourceReplaced),
        S3ErrorKind::NotFound
        | S3ErrorKind::PreconditionFailed
        | S3ErrorKind::NoSuchBucket
        | S3ErrorKind::NoSuchUpload
        | S3ErrorKind::Conflict
        | S3ErrorKind::AccessDenied
        | S3ErrorKind::Credentials
        | S3ErrorKind::WrongRegion { .. }
        | S3ErrorKind::Archived { .. }
        | S3ErrorKind::CustomerKey
        | S3ErrorKind::KmsDenied
        | S3ErrorKind::Throttled
        | S3ErrorKind::Unavailable
        | S3ErrorKind::Timeout
        | S3ErrorKind::Connection
        | S3ErrorKind::Truncated { .. }
        | S3ErrorKind::Corrupted
        | S3ErrorKind::NotSupported
        | S3ErrorKind::TooLarge
        | S3ErrorKind::InvalidRequest => Class::Retryable,
    }
}

/// Whether the error is about the source. For a copy, the store layer has named the object at fault.
fn is_about_source(error: &S3Error) -> bool {
    match error.operation {
        Operation::GetObject | Operation::GetObjectTagging => true,
        Operation::CopyObject | Operation::UploadPartCopy => error.copied_from.as_deref() == Some(&error.object),
        Operation::HeadObject
        | Operation::PutObject
        | Operation::CreateMultipartUpload
        | Operation::UploadPart
        | Operation::CompleteMultipartUpload
        | Operation::AbortMultipartUpload
        | Operation::ListObjectsV2
        | Operation::ListMultipartUploads
        | Operation::DeleteObject => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimize::{Format, Limit};
    use crate::s3::ObjectRef;

    fn image(error: ImageError) -> Class {
        Error::from(error).class()
    }

    #[test]
    fn class_of_image_error_is_permanent() {
        let malformed = ImageError::truncated(Format::Jpeg, "cut short");
        assert_eq!(image(malformed), Class::Permanent);
        assert_eq!(image(ImageError::LimitExceeded { limit: Limit::Scans, value: 883, max: 100 }), Class::Permanent);
        assert_eq!(image(ImageError::CodecPanic("index".into())), Class::Permanent);
    }

    #[test]
    fn class_of_event_and_plan_errors_is_retryable() {
        let event = EventError::NotAnEvent { seen: "null".into() };
        assert_eq!(Error::from(event).class(), Class::Retryable);
        let plan = PlanError::KeyTooLong { source_object: Location::S3(ObjectRef::new("b", "k")), bytes: 1025 };
        assert_eq!(Error::from(plan).class(), Class::Retryable);
        assert_eq!(Error::OutOfTime { step: Step::Store }.class(), Class::Retryable);
    }
}
