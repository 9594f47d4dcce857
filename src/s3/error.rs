//! Errors of S3 requests: which request failed, for which object, of which kind, and what to do about it.

use std::error::Error;
use std::fmt;

use super::object::ObjectRef;
use super::operation::Operation;
use super::permissions;

/// A request to S3 that failed after the SDK's retries.
#[derive(Debug)]
pub struct S3Error {
    pub operation: Operation,
    /// The object that the error is about. For a copy, the source if the source is at fault.
    pub object: ObjectRef,
    /// Source of a copy.
    pub copied_from: Option<Box<ObjectRef>>,
    pub kind: S3ErrorKind,
    /// Message from S3.
    pub message: Option<Box<str>>,
    pub(super) source: Option<Box<dyn Error + Send + Sync>>,
}

/// Kind of a failed request, by who can act on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum S3ErrorKind {
    /// No such object.
    NotFound,
    NoSuchBucket,
    /// Somebody else, or an earlier attempt, aborted or completed the multipart upload.
    NoSuchUpload,
    /// The object does not match If-Match, or exists although If-None-Match was sent.
    PreconditionFailed,
    /// Another write to the same key is in progress: worth a retry.
    Conflict,
    AccessDenied,
    /// The credentials are refused: expired, unknown, or signed with a wrong clock.
    Credentials,
    WrongRegion {
        /// Region of the bucket, if S3 names it.
        bucket_region: Option<Box<str>>,
    },
    /// The object must be restored before it can be read.
    Archived {
        storage_class: Option<Box<str>>,
    },
    /// Encrypted with a key that only the uploader has (SSE-C).
    CustomerKey,
    /// The KMS key may not or cannot be used.
    KmsDenied,
    /// 503 `SlowDown` and the like.
    Throttled,
    /// Another 5xx status, or an invalid response.
    Unavailable,
    Timeout,
    /// The connection failed or broke.
    Connection,
    /// The body ended early.
    Truncated {
        /// Bytes.
        expected: u64,
        /// Bytes.
        got: u64,
    },
    /// The bytes received do not match their checksum.
    Corrupted,
    /// The store has no such feature (501, 405).
    NotSupported,
    /// Larger than S3 or the available memory allows.
    TooLarge,
    /// S3 refuses the request; a retry would not help.
    InvalidRequest,
}

impl S3Error {
    pub(super) fn new(operation: Operation, object: &ObjectRef, kind: S3ErrorKind) -> Self {
        Self { operation, object: object.clone(), copied_from: None, kind, message: None, source: None }
    }

    pub(super) fn with_message(self, message: impl Into<Box<str>>) -> Self {
        Self { message: Some(message.into()), ..self }
    }

    /// Adds the expected owner to "access denied": S3 gives no other hint that the bucket belongs to another account.
    pub(super) fn with_expected_owner(self, owner: Option<&String>) -> Self {
        let (S3ErrorKind::AccessDenied, Some(owner)) = (&self.kind, owner) else { return self };
        let said = self.message.as_deref().map(|message| format!("{message}; ")).unwrap_or_default();
        self.with_message(format!("{said}or the bucket does not belong to the expected account {owner}"))
    }

    pub(super) fn with_source(self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..self }
    }

    /// Whether the request may succeed without tags: a permission is missing, or the store has no tags.
    #[must_use]
    pub fn may_be_about_tags(&self) -> bool {
        matches!(self.kind, S3ErrorKind::AccessDenied | S3ErrorKind::NotSupported)
    }

    /// Whether a refused copy may succeed as a read and a write, each by the principal of its side. Also true if KMS
    /// refused: decrypting and encrypting are part of a copy.
    #[must_use]
    pub fn may_be_cross_principal(&self) -> bool {
        matches!(self.kind, S3ErrorKind::AccessDenied | S3ErrorKind::KmsDenied)
    }

    /// Describes what an IAM policy must grant for this request, and on which resource.
    #[must_use]
    pub fn permissions(&self) -> String {
        let source = self.copied_from.as_deref().unwrap_or(&self.object);
        permissions::describe(self.operation, &source.bucket, &self.object.bucket)
    }

    fn explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bucket = &self.object.bucket;
        match &self.kind {
            S3ErrorKind::NotFound => f.write_str("no such object"),
            S3ErrorKind::NoSuchBucket => write!(f, "there is no bucket {bucket}; check its name, or create it"),
            S3ErrorKind::NoSuchUpload => f.write_str("the multipart upload is gone"),
            S3ErrorKind::PreconditionFailed => f.write_str("the object has changed"),
            S3ErrorKind::Conflict => f.write_str("another write to this key is in progress"),
            S3ErrorKind::AccessDenied => write!(f, "access denied; grant {}", self.permissions()),
            S3ErrorKind::Credentials => {
                f.write_str("no valid credentials; check the role, the profile, or AWS_ACCESS_KEY_ID")
            }
            S3ErrorKind::WrongRegion { bucket_region: Some(region) } => {
                write!(
                    f,
                    "bucket {bucket} is in {region}; run there (AWS_REGION={region}), or name a bucket of this region"
                )
            }
            S3ErrorKind::WrongRegion { bucket_region: None } => {
                write!(f, "bucket {bucket} is in another region; run there, or name a bucket of this region")
            }
            S3ErrorKind::Archived { storage_class } => {
                write!(
                    f,
                    "archived ({}); restore it first",
                    storage_class.as_deref().unwrap_or("storage class unknown")
                )
            }
            S3ErrorKind::CustomerKey => {
                f.write_str("encrypted with a customer's key (SSE-C), which only its uploader has")
            }
            S3ErrorKind::KmsDenied => {
                f.write_str("KMS refuses the key; grant kms:Decrypt and kms:GenerateDataKey on it")
            }
            S3ErrorKind::Throttled => f.write_str("S3 asks to slow down"),
            S3ErrorKind::Unavailable => f.write_str("S3 failed, or sent an invalid response"),
            S3ErrorKind::Timeout => f.write_str("no answer in time"),
            S3ErrorKind::Connection => f.write_str("no connection to S3"),
            S3ErrorKind::Truncated { expected, got } => write!(f, "only {got} of {expected} bytes arrived"),
            S3ErrorKind::Corrupted => f.write_str("the bytes do not match their checksum"),
            S3ErrorKind::NotSupported => f.write_str("not supported by this store"),
            S3ErrorKind::TooLarge => f.write_str("too large"),
            S3ErrorKind::InvalidRequest => f.write_str("refused"),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn error(operation: Operation, kind: S3ErrorKind) -> S3Error {
        S3Error::new(operation, &ObjectRef::new("photos", "a b.jpg"), kind)
    }

    #[test]
    fn access_denied_names_missing_permissions() {
        assert_eq!(
            error(Operation::GetObject, S3ErrorKind::AccessDenied).to_string(),
            "GetObject s3://photos/a b.jpg: access denied; grant s3:GetObject on arn:aws:s3:::photos/*"
        );
        let mut copy = error(Operation::CopyObject, S3ErrorKind::AccessDenied);
        copy.copied_from = Some(Box::new(ObjectRef::new("originals", "x")));
        assert_eq!(
            copy.with_message("Access Denied").to_string(),
            "CopyObject s3://photos/a b.jpg: access denied; grant s3:GetObject (and, for tags, s3:GetObjectTagging) on \
             arn:aws:s3:::originals/* and s3:PutObject (and, for tags, s3:PutObjectTagging) on arn:aws:s3:::photos/* \
             (Access Denied)"
        );
    }

    #[test]
    fn wrong_region_names_both_remedies() {
        let kind = S3ErrorKind::WrongRegion { bucket_region: Some("eu-west-1".into()) };
        assert_eq!(
            error(Operation::HeadObject, kind).to_string(),
            "HeadObject s3://photos/a b.jpg: bucket photos is in eu-west-1; run there (AWS_REGION=eu-west-1), or name a \
             bucket of this region"
        );
    }

    #[test]
    fn s3_error_is_small() {
        assert!(size_of::<S3Error>() < 128, "{}", size_of::<S3Error>());
    }
}
