//! Maps the SDK's errors to [`S3Error`]. If S3 gives a code, the code decides; else the status, since a HEAD has no
//! body.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::error::{S3Error, S3ErrorKind};
use super::object::ObjectRef;
use super::operation::Operation;

/// Converts an SDK error to an [`S3Error`].
pub(super) fn failed<E>(operation: Operation, object: &ObjectRef, error: SdkError<E, HttpResponse>) -> S3Error
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let (kind, message) = match &error {
        SdkError::ServiceError(service) => {
            let answer = ErrorResponse::of(operation, service.err(), service.raw());
            // Some stores send only a code.
            (answer.kind(), service.err().message().or(answer.code).map(Box::from))
        }
        SdkError::TimeoutError(_) => (S3ErrorKind::Timeout, None),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => (S3ErrorKind::Timeout, None),
        SdkError::DispatchFailure(failure) if failure.is_user() => {
            (S3ErrorKind::InvalidRequest, Some(error_chain(&error)))
        }
        SdkError::DispatchFailure(_) => match missing_credentials(&error) {
            Some(why) => (S3ErrorKind::Credentials, Some(why)),
            None => (S3ErrorKind::Connection, Some(error_chain(&error))),
        },
        SdkError::ConstructionFailure(_) => (S3ErrorKind::InvalidRequest, Some(error_chain(&error))),
        // A ResponseError (invalid response); the SDK's enum is non-exhaustive.
        _ => (S3ErrorKind::Unavailable, Some(error_chain(&error))),
    };
    S3Error { message, ..S3Error::new(operation, object, kind).with_source(error) }
}

/// Reason for missing credentials: no profile, no environment, or a role that may not be assumed.
fn missing_credentials(error: &(dyn Error + 'static)) -> Option<Box<str>> {
    if error.is::<CredentialsError>() { Some(error_chain(error)) } else { missing_credentials(error.source()?) }
}

fn error_chain(error: &(dyn Error + 'static)) -> Box<str> {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += ": ";
        text += &error.to_string();
        cause = error.source();
    }
    text.into()
}

/// The parts of an S3 error response that decide its kind.
struct ErrorResponse<'a> {
    operation: Operation,
    status: u16,
    code: Option<&'a str>,
    message: &'a str,
    /// From the header `x-amz-bucket-region`, or the body.
    bucket_region: Option<Box<str>>,
    storage_class: Option<Box<str>>,
}

impl<'a> ErrorResponse<'a> {
    fn of(operation: Operation, error: &'a impl ProvideErrorMetadata, response: &HttpResponse) -> Self {
        let body = response.body().bytes().and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default();
        let header = response.headers().get("x-amz-bucket-region").map(Box::from);
        Self {
            operation,
            status: response.status().as_u16(),
            code: error.code(),
            message: error.message().unwrap_or_default(),
            bucket_region: header.or_else(|| element(body, "Region")),
            storage_class: element(body, "StorageClass"),
        }
    }

    /// Codes: <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList>
    fn kind(&self) -> S3ErrorKind {
        match self.code {
            Some("NoSuchKey" | "NotFound" | "NoSuchVersion") => self.missing(),
            Some("NoSuchBucket") => S3ErrorKind::NoSuchBucket,
            Some("NoSuchUpload") => S3ErrorKind::NoSuchUpload,
            Some("PreconditionFailed") => S3ErrorKind::PreconditionFailed,
            Some("ConditionalRequestConflict" | "OperationAborted") => S3ErrorKind::Conflict,
            Some("AccessDenied") if self.message.contains("kms:") => S3ErrorKind::KmsDenied,
            Some("AccessDenied" | "AllAccessDisabled" | "AccountProblem") => S3ErrorKind::AccessDenied,
            Some(
                "InvalidAccessKeyId"
                | "SignatureDoesNotMatch"
                | "ExpiredToken"
                | "InvalidToken"
                | "TokenRefreshRequired"
                | "RequestTimeTooSkewed",
            ) => S3ErrorKind::Credentials,
            Some(
                "PermanentRedirect"
                | "TemporaryRedirect"
                | "Redirect"
                | "AuthorizationHeaderMalformed"
                | "IllegalLocationConstraintException",
            ) => self.wrong_region(),
            Some("InvalidObjectState" | "ObjectNotInActiveTierError") => self.archived(),
            Some(code) if code.starts_with("KMS") => S3ErrorKind::KmsDenied,
            Some("SlowDown" | "Throttling" | "ThrottlingException" | "RequestLimitExceeded" | "TooManyRequests") => {
                S3ErrorKind::Throttled
            }
            Some("InternalError" | "ServiceUnavailable" | "ServiceFailure") => S3ErrorKind::Unavailable,
            Some("RequestTimeout") => S3ErrorKind::Timeout,
            Some(
                "BadDigest"
                | "InvalidDigest"
                | "IncompleteBody"
                | "XAmzContentChecksumMismatch"
                | "XAmzContentSHA256Mismatch",
            ) => S3ErrorKind::Corrupted,
            Some("EntityTooLarge" | "MaxMessageLengthExceeded") => S3ErrorKind::TooLarge,
            Some("NotImplemented" | "MethodNotAllowed") => S3ErrorKind::NotSupported,
            Some("InvalidRequest") => self.invalid_request(),
            Some(_) | None => self.kind_of_status(),
        }
    }

    fn kind_of_status(&self) -> S3ErrorKind {
        match self.status {
            301 | 307 | 308 => self.wrong_region(),
            400 if self.operation == Operation::HeadObject => self.bad_head(),
            401 | 403 => S3ErrorKind::AccessDenied,
            404 => self.missing(),
            405 | 501 => S3ErrorKind::NotSupported,
            408 => S3ErrorKind::Timeout,
            409 => S3ErrorKind::Conflict,
            412 => S3ErrorKind::PreconditionFailed,
            413 => S3ErrorKind::TooLarge,
            429 => S3ErrorKind::Throttled,
            // An error inside a 200 is S3's own, unless its code says otherwise.
            200..=299 | 500..=599 => S3ErrorKind::Unavailable,
            _ => S3ErrorKind::InvalidRequest,
        }
    }

    /// A conditional write with If-Match answers 404 if the object is missing.
    fn missing(&self) -> S3ErrorKind {
        match self.operation {
            Operation::PutObject | Operation::CompleteMultipartUpload => S3ErrorKind::PreconditionFailed,
            Operation::UploadPart | Operation::AbortMultipartUpload => S3ErrorKind::NoSuchUpload,
            Operation::HeadObject
            | Operation::GetObject
            | Operation::GetObjectTagging
            | Operation::CopyObject
            | Operation::CreateMultipartUpload
            | Operation::UploadPartCopy
            | Operation::ListObjectsV2
            | Operation::ListMultipartUploads
            | Operation::DeleteObject => S3ErrorKind::NotFound,
        }
    }

    /// HEAD of an SSE-C object without the key answers 400 and nothing else; so does a HEAD to another region, with a
    /// header.
    fn bad_head(&self) -> S3ErrorKind {
        if self.bucket_region.is_some() { self.wrong_region() } else { S3ErrorKind::CustomerKey }
    }

    /// S3 uses this code for many faults, which only the message tells apart.
    fn invalid_request(&self) -> S3ErrorKind {
        if self.message.contains("Server Side Encryption") {
            S3ErrorKind::CustomerKey
        } else if self.message.contains("larger than the maximum") {
            S3ErrorKind::TooLarge
        } else {
            S3ErrorKind::InvalidRequest
        }
    }

    fn wrong_region(&self) -> S3ErrorKind {
        S3ErrorKind::WrongRegion { bucket_region: self.bucket_region.clone() }
    }

    fn archived(&self) -> S3ErrorKind {
        S3ErrorKind::Archived { storage_class: self.storage_class.clone() }
    }
}

/// Text of the first such element in S3's short error documents.
fn element(xml: &str, name: &str) -> Option<Box<str>> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once("</")?;
    Some(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(operation: Operation, status: u16, code: Option<&str>, message: &str) -> S3ErrorKind {
        ErrorResponse { operation, status, code, message, bucket_region: None, storage_class: None }.kind()
    }

    #[test]
    fn kind_of_error_with_code_follows_code() {
        let get = |status, code, message| kind(Operation::GetObject, status, Some(code), message);
        assert_eq!(get(404, "NoSuchKey", ""), S3ErrorKind::NotFound);
        assert_eq!(get(404, "NoSuchBucket", ""), S3ErrorKind::NoSuchBucket);
        assert_eq!(get(403, "AccessDenied", "Access Denied"), S3ErrorKind::AccessDenied);
        assert_eq!(get(403, "AccessDenied", "not authorized to perform: kms:Decrypt on"), S3ErrorKind::KmsDenied);
        assert_eq!(get(400, "KMS.DisabledException", ""), S3ErrorKind::KmsDenied);
        assert_eq!(get(403, "InvalidObjectState", ""), S3ErrorKind::Archived { storage_class: None });
        assert_eq!(get(412, "PreconditionFailed", ""), S3ErrorKind::PreconditionFailed);
        assert_eq!(get(503, "SlowDown", ""), S3ErrorKind::Throttled);
        assert_eq!(get(500, "InternalError", ""), S3ErrorKind::Unavailable);
        assert_eq!(get(301, "PermanentRedirect", ""), S3ErrorKind::WrongRegion { bucket_region: None });
        assert_eq!(get(501, "NotImplemented", ""), S3ErrorKind::NotSupported);
        assert_eq!(get(400, "ExpiredToken", ""), S3ErrorKind::Credentials);
        assert_eq!(get(400, "BadDigest", ""), S3ErrorKind::Corrupted);
        assert_eq!(get(400, "InvalidArgument", ""), S3ErrorKind::InvalidRequest);
        let ssec =
            "The object was stored using a form of Server Side Encryption. The correct parameters must be provided";
        assert_eq!(get(400, "InvalidRequest", ssec), S3ErrorKind::CustomerKey);
        let large = "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120";
        assert_eq!(kind(Operation::CopyObject, 400, Some("InvalidRequest"), large), S3ErrorKind::TooLarge);
    }

    #[test]
    fn kind_of_error_without_code_follows_status() {
        let head = |status| kind(Operation::HeadObject, status, None, "");
        assert_eq!(head(400), S3ErrorKind::CustomerKey);
        assert_eq!(head(403), S3ErrorKind::AccessDenied);
        assert_eq!(head(404), S3ErrorKind::NotFound);
        assert_eq!(head(503), S3ErrorKind::Unavailable);
        assert_eq!(kind(Operation::PutObject, 409, None, ""), S3ErrorKind::Conflict);
        assert_eq!(kind(Operation::CopyObject, 200, Some("SomethingNew"), ""), S3ErrorKind::Unavailable);
    }

    #[test]
    fn kind_of_404_to_conditional_write_is_precondition_failed() {
        assert_eq!(kind(Operation::PutObject, 404, Some("NoSuchKey"), ""), S3ErrorKind::PreconditionFailed);
        assert_eq!(kind(Operation::UploadPart, 404, Some("NoSuchUpload"), ""), S3ErrorKind::NoSuchUpload);
    }

    #[test]
    fn element_of_error_body_is_found() {
        let xml = "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region></Error>";
        assert_eq!(element(xml, "Region").as_deref(), Some("eu-west-1"));
        assert_eq!(element(xml, "StorageClass"), None);
    }
}
