//! What can go wrong between us and S3: which request, about which object, of which kind, and what to do about it.

use std::error::Error;
use std::fmt;

use super::grants;
use super::object::ObjectRef;

/// A request to S3 that failed, after the SDK's own repeats.
#[derive(Debug)]
pub struct S3Error {
    pub operation: Operation,
    /// The object the error is about: of a copy, the source where the source is at fault.
    pub object: ObjectRef,
    /// The source of a copy.
    pub copied_from: Option<Box<ObjectRef>>,
    pub kind: Kind,
    /// S3's own words.
    pub message: Option<Box<str>>,
    pub(super) source: Option<Box<dyn Error + Send + Sync>>,
}

/// A request of the S3 API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    HeadObject,
    GetObject,
    GetObjectTagging,
    PutObject,
    CopyObject,
    CreateMultipartUpload,
    UploadPart,
    UploadPartCopy,
    CompleteMultipartUpload,
    AbortMultipartUpload,
    ListObjectsV2,
    ListMultipartUploads,
    DeleteObject,
}

/// Who can do what about a failed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// No such object.
    NotFound,
    NoSuchBucket,
    /// The multipart upload was aborted or completed by somebody else, or by an earlier attempt.
    NoSuchUpload,
    /// The object is not the one that If-Match named, or is there against If-None-Match.
    PreconditionFailed,
    /// Another write to the same key is under way: worth a retry.
    Conflict,
    AccessDenied,
    /// The credentials themselves are refused: expired, unknown, or signed by a wrong clock.
    Credentials,
    WrongRegion {
        /// Where S3 says the bucket is.
        bucket_region: Option<Box<str>>,
    },
    /// The object must be restored before it can be read.
    Archived {
        storage_class: Option<Box<str>>,
    },
    /// Encrypted with a key that only the uploader has (SSE-C).
    CustomerKey,
    /// The KMS key may not be used, or cannot be.
    KmsDenied,
    /// 503 `SlowDown` and the like.
    Throttled,
    /// Another 5xx, or an answer that makes no sense.
    Unavailable,
    Timeout,
    /// No connection, no credentials to sign with, or the connection broke.
    Connection,
    /// The body ended early.
    Truncated {
        /// Bytes.
        expected: u64,
        /// Bytes.
        got: u64,
    },
    /// The bytes that came are not those that were sent: a checksum says so.
    Corrupted,
    /// The store has no such feature (501, 405).
    NotSupported,
    /// More than S3, or our memory, takes.
    TooLarge,
    /// S3 refuses the request as it is; a retry would not help.
    InvalidRequest,
}

impl S3Error {
    pub(super) fn new(operation: Operation, object: &ObjectRef, kind: Kind) -> Self {
        Self { operation, object: object.clone(), copied_from: None, kind, message: None, source: None }
    }

    pub(super) fn saying(self, message: impl Into<Box<str>>) -> Self {
        Self { message: Some(message.into()), ..self }
    }

    /// S3 says no more than that access is denied where a bucket does not belong to whom it should.
    pub(super) fn expecting(self, owner: Option<&String>) -> Self {
        let (Kind::AccessDenied, Some(owner)) = (&self.kind, owner) else { return self };
        let said = self.message.as_deref().map(|message| format!("{message}; ")).unwrap_or_default();
        self.saying(format!("{said}or the bucket does not belong to account {owner}, as was told"))
    }

    pub(super) fn caused_by(self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..self }
    }

    /// Whether the same without tags may do: a permission is missing, or the store knows nothing of them.
    #[must_use]
    pub fn may_be_for_tags(&self) -> bool {
        matches!(self.kind, Kind::AccessDenied | Kind::NotSupported)
    }

    /// Whether a copy that is refused may do as a reading and a writing, each by the principal of its side: to decrypt the
    /// one, or to encrypt the other, is a part of it.
    #[must_use]
    pub fn may_be_for_two(&self) -> bool {
        matches!(self.kind, Kind::AccessDenied | Kind::KmsDenied)
    }

    /// What an IAM policy has to grant for this request, and on what.
    #[must_use]
    pub fn permissions(&self) -> String {
        let source = self.copied_from.as_deref().unwrap_or(&self.object);
        grants::in_words(self.operation, &source.bucket, &self.object.bucket)
    }

    fn explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bucket = &self.object.bucket;
        match &self.kind {
            Kind::NotFound => f.write_str("no such object"),
            Kind::NoSuchBucket => write!(f, "there is no bucket {bucket}; check its name, or create it"),
            Kind::NoSuchUpload => f.write_str("the multipart upload is gone"),
            Kind::PreconditionFailed => f.write_str("the object is another one by now"),
            Kind::Conflict => f.write_str("another write to this key is under way"),
            Kind::AccessDenied => write!(f, "access denied; grant {}", self.permissions()),
            Kind::Credentials => f.write_str("no valid credentials; check the role, the profile, or AWS_ACCESS_KEY_ID"),
            Kind::WrongRegion { bucket_region: Some(region) } => {
                write!(
                    f,
                    "bucket {bucket} is in {region}; run there (AWS_REGION={region}), or name a bucket of this region"
                )
            }
            Kind::WrongRegion { bucket_region: None } => {
                write!(f, "bucket {bucket} is in another region; run there, or name a bucket of this region")
            }
            Kind::Archived { storage_class } => {
                write!(
                    f,
                    "archived ({}); restore it first",
                    storage_class.as_deref().unwrap_or("storage class unknown")
                )
            }
            Kind::CustomerKey => f.write_str("encrypted with a customer's key (SSE-C), which only its uploader has"),
            Kind::KmsDenied => f.write_str("KMS refuses the key; grant kms:Decrypt and kms:GenerateDataKey on it"),
            Kind::Throttled => f.write_str("S3 asks to slow down"),
            Kind::Unavailable => f.write_str("S3 failed to answer as it should"),
            Kind::Timeout => f.write_str("no answer in time"),
            Kind::Connection => f.write_str("no connection to S3"),
            Kind::Truncated { expected, got } => write!(f, "only {got} of {expected} bytes came"),
            Kind::Corrupted => f.write_str("the bytes that came are not those that were sent"),
            Kind::NotSupported => f.write_str("not supported by this store"),
            Kind::TooLarge => f.write_str("too large"),
            Kind::InvalidRequest => f.write_str("refused"),
        }
    }
}

impl fmt::Display for S3Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}: ", self.operation, self.object)?;
        self.explain(f)?;
        match &self.message {
            Some(message) => write!(f, " ({message})"),
            None => Ok(()),
        }
    }
}

impl Error for S3Error {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(operation: Operation, kind: Kind) -> S3Error {
        S3Error::new(operation, &ObjectRef::new("photos", "a b.jpg"), kind)
    }

    #[test]
    fn access_denied_names_what_to_grant() {
        assert_eq!(
            error(Operation::GetObject, Kind::AccessDenied).to_string(),
            "GetObject s3://photos/a b.jpg: access denied; grant s3:GetObject on arn:aws:s3:::photos/*"
        );
        let mut copy = error(Operation::CopyObject, Kind::AccessDenied);
        copy.copied_from = Some(Box::new(ObjectRef::new("originals", "x")));
        assert_eq!(
            copy.saying("Access Denied").to_string(),
            "CopyObject s3://photos/a b.jpg: access denied; grant s3:GetObject (and, for tags, s3:GetObjectTagging) on \
             arn:aws:s3:::originals/* and s3:PutObject (and, for tags, s3:PutObjectTagging) on arn:aws:s3:::photos/* \
             (Access Denied)"
        );
    }

    #[test]
    fn a_wrong_region_names_both_ways_out() {
        let kind = Kind::WrongRegion { bucket_region: Some("eu-west-1".into()) };
        assert_eq!(
            error(Operation::HeadObject, kind).to_string(),
            "HeadObject s3://photos/a b.jpg: bucket photos is in eu-west-1; run there (AWS_REGION=eu-west-1), or name a \
             bucket of this region"
        );
    }

    #[test]
    fn results_stay_small() {
        assert!(size_of::<S3Error>() < 128, "{}", size_of::<S3Error>());
    }
}
