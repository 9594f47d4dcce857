//! Every way an object can fail, and who can act on it: decided once, on the type.

use crate::optimize::ImageError;
use crate::pipeline::{EventError, PlanError, Skip};
use crate::s3::{Operation, S3Error, S3ErrorKind};

/// What can go wrong with one object.
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
}

/// Who can act on an error, and so what Lambda is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Nothing is wrong: not ours to do. A success.
    Skip(Skip),
    /// The image will not get any better. A success, after the original was copied.
    Permanent,
    /// The record fails: Lambda tries again, and in the end hands the event to the queue of failures, so that it
    /// outlives a fault in the setup as well.
    Retryable,
}

impl Error {
    /// Who can act on it.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Image(error) => match error {
                ImageError::Malformed { .. } | ImageError::LimitExceeded { .. } | ImageError::CodecPanic(_) => {
                    Class::Permanent
                }
            },
            Self::S3(error) => class_of_s3(error),
            // No retry mends these, yet only a person can, and finds the event in the queue of failures.
            Self::Event(EventError::NotAnEvent { .. } | EventError::Field { .. } | EventError::Key { .. })
            | Self::Plan(PlanError::KeyTooLong { .. }) => Class::Retryable,
        }
    }
}

/// Everything about S3 is worth a retry, down to what only a person can mend (a permission, a bucket's name, an archived
/// or encrypted source): the event then waits in the queue of failures. But a source that is another one by now, or
/// gone, is nobody's fault.
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

/// Whether it was met while reading: of a copy, the store says which end it was.
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
    fn an_image_does_not_mend_itself() {
        let malformed = ImageError::Malformed { format: Format::Jpeg, detail: "truncated".into() };
        assert_eq!(image(malformed), Class::Permanent);
        assert_eq!(image(ImageError::LimitExceeded { limit: Limit::Scans, value: 883, max: 100 }), Class::Permanent);
        assert_eq!(image(ImageError::CodecPanic("index".into())), Class::Permanent);
    }

    #[test]
    fn what_only_a_person_can_mend_is_kept_for_one() {
        let event = EventError::NotAnEvent { seen: "null".into() };
        assert_eq!(Error::from(event).class(), Class::Retryable);
        let plan = PlanError::KeyTooLong { source_object: ObjectRef::new("b", "k"), bytes: 1025 };
        assert_eq!(Error::from(plan).class(), Class::Retryable);
    }
}
