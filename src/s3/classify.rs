//! From the SDK's errors to ours. Where S3 gives a code, the code decides, else the status: a HEAD has no body.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::error::{Kind, Operation, S3Error};
use super::object::ObjectRef;

/// What failed, in the words of [`S3Error`].
pub(super) fn failed<E>(operation: Operation, object: &ObjectRef, error: SdkError<E, HttpResponse>) -> S3Error
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let (kind, message) = match &error {
        SdkError::ServiceError(service) => {
            let answer = Answer::of(operation, service.err(), service.raw());
            // Some say no more than their code.
            (answer.kind(), service.err().message().or(answer.code).map(Box::from))
        }
        SdkError::TimeoutError(_) => (Kind::Timeout, None),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => (Kind::Timeout, None),
        SdkError::DispatchFailure(failure) if failure.is_user() => (Kind::InvalidRequest, Some(in_full(&error))),
        SdkError::DispatchFailure(_) => match without_credentials(&error) {
            Some(why) => (Kind::Credentials, Some(why)),
            None => (Kind::Connection, Some(in_full(&error))),
        },
        SdkError::ConstructionFailure(_) => (Kind::InvalidRequest, Some(in_full(&error))),
        // A ResponseError, whose answer makes no sense; and the SDK's enum is open to more.
        _ => (Kind::Unavailable, Some(in_full(&error))),
    };
    S3Error { message, ..S3Error::new(operation, object, kind).caused_by(error) }
}

/// Why there was nothing to sign with: no profile, no environment, or a role that may not be assumed.
fn without_credentials(error: &(dyn Error + 'static)) -> Option<Box<str>> {
    if error.is::<CredentialsError>() { Some(in_full(error)) } else { without_credentials(error.source()?) }
}

fn in_full(error: &(dyn Error + 'static)) -> Box<str> {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += ": ";
        text += &error.to_string();
        cause = error.source();
    }
    text.into()
}

/// What of S3's answer tells its meaning.
struct Answer<'a> {
    operation: Operation,
    status: u16,
    code: Option<&'a str>,
    message: &'a str,
    /// From the header `x-amz-bucket-region`, or the body.
    bucket_region: Option<Box<str>>,
    storage_class: Option<Box<str>>,
}

impl<'a> Answer<'a> {
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
    fn kind(&self) -> Kind {
        match self.code {
            Some("NoSuchKey" | "NotFound" | "NoSuchVersion") => self.missing(),
            Some("NoSuchBucket") => Kind::NoSuchBucket,
            Some("NoSuchUpload") => Kind::NoSuchUpload,
            Some("PreconditionFailed") => Kind::PreconditionFailed,
            Some("ConditionalRequestConflict" | "OperationAborted") => Kind::Conflict,
            Some("AccessDenied") if self.message.contains("kms:") => Kind::KmsDenied,
            Some("AccessDenied" | "AllAccessDisabled" | "AccountProblem") => Kind::AccessDenied,
            Some(
                "InvalidAccessKeyId"
                | "SignatureDoesNotMatch"
                | "ExpiredToken"
                | "InvalidToken"
                | "TokenRefreshRequired"
                | "RequestTimeTooSkewed",
            ) => Kind::Credentials,
            Some(
                "PermanentRedirect"
                | "TemporaryRedirect"
                | "Redirect"
                | "AuthorizationHeaderMalformed"
                | "IllegalLocationConstraintException",
            ) => self.wrong_region(),
            Some("InvalidObjectState" | "ObjectNotInActiveTierError") => self.archived(),
            Some(code) if code.starts_with("KMS") => Kind::KmsDenied,
            Some("SlowDown" | "Throttling" | "ThrottlingException" | "RequestLimitExceeded" | "TooManyRequests") => {
                Kind::Throttled
            }
            Some("InternalError" | "ServiceUnavailable" | "ServiceFailure") => Kind::Unavailable,
            Some("RequestTimeout") => Kind::Timeout,
            Some(
                "BadDigest"
                | "InvalidDigest"
                | "IncompleteBody"
                | "XAmzContentChecksumMismatch"
                | "XAmzContentSHA256Mismatch",
            ) => Kind::Corrupted,
            Some("EntityTooLarge" | "MaxMessageLengthExceeded") => Kind::TooLarge,
            Some("NotImplemented" | "MethodNotAllowed") => Kind::NotSupported,
            Some("InvalidRequest") => self.invalid_request(),
            Some(_) | None => self.kind_of_status(),
        }
    }

    fn kind_of_status(&self) -> Kind {
        match self.status {
            301 | 307 | 308 => self.wrong_region(),
            400 if self.operation == Operation::HeadObject => self.bad_head(),
            401 | 403 => Kind::AccessDenied,
            404 => self.missing(),
            405 | 501 => Kind::NotSupported,
            408 => Kind::Timeout,
            409 => Kind::Conflict,
            412 => Kind::PreconditionFailed,
            413 => Kind::TooLarge,
            429 => Kind::Throttled,
            // An error inside a 200 is S3's own, unless its code says otherwise.
            200..=299 | 500..=599 => Kind::Unavailable,
            _ => Kind::InvalidRequest,
        }
    }

    /// A conditional write finds nothing where If-Match expects something.
    fn missing(&self) -> Kind {
        match self.operation {
            Operation::PutObject | Operation::CompleteMultipartUpload => Kind::PreconditionFailed,
            Operation::UploadPart | Operation::AbortMultipartUpload => Kind::NoSuchUpload,
            Operation::HeadObject
            | Operation::GetObject
            | Operation::GetObjectTagging
            | Operation::CopyObject
            | Operation::CreateMultipartUpload
            | Operation::UploadPartCopy
            | Operation::ListObjectsV2
            | Operation::ListMultipartUploads
            | Operation::DeleteObject => Kind::NotFound,
        }
    }

    /// A HEAD without the customer's key answers 400 and nothing else; so does one to another region, with a header.
    fn bad_head(&self) -> Kind {
        if self.bucket_region.is_some() { self.wrong_region() } else { Kind::CustomerKey }
    }

    /// S3 has one code for many faults, and tells them apart in words only.
    fn invalid_request(&self) -> Kind {
        if self.message.contains("Server Side Encryption") {
            Kind::CustomerKey
        } else if self.message.contains("larger than the maximum") {
            Kind::TooLarge
        } else {
            Kind::InvalidRequest
        }
    }

    fn wrong_region(&self) -> Kind {
        Kind::WrongRegion { bucket_region: self.bucket_region.clone() }
    }

    fn archived(&self) -> Kind {
        Kind::Archived { storage_class: self.storage_class.clone() }
    }
}

/// The text of the first such element of S3's short error documents.
fn element(xml: &str, name: &str) -> Option<Box<str>> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once("</")?;
    Some(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(operation: Operation, status: u16, code: Option<&str>, message: &str) -> Kind {
        Answer { operation, status, code, message, bucket_region: None, storage_class: None }.kind()
    }

    #[test]
    fn codes_decide() {
        let get = |status, code, message| kind(Operation::GetObject, status, Some(code), message);
        assert_eq!(get(404, "NoSuchKey", ""), Kind::NotFound);
        assert_eq!(get(404, "NoSuchBucket", ""), Kind::NoSuchBucket);
        assert_eq!(get(403, "AccessDenied", "Access Denied"), Kind::AccessDenied);
        assert_eq!(get(403, "AccessDenied", "not authorized to perform: kms:Decrypt on"), Kind::KmsDenied);
        assert_eq!(get(400, "KMS.DisabledException", ""), Kind::KmsDenied);
        assert_eq!(get(403, "InvalidObjectState", ""), Kind::Archived { storage_class: None });
        assert_eq!(get(412, "PreconditionFailed", ""), Kind::PreconditionFailed);
        assert_eq!(get(503, "SlowDown", ""), Kind::Throttled);
        assert_eq!(get(500, "InternalError", ""), Kind::Unavailable);
        assert_eq!(get(301, "PermanentRedirect", ""), Kind::WrongRegion { bucket_region: None });
        assert_eq!(get(501, "NotImplemented", ""), Kind::NotSupported);
        assert_eq!(get(400, "ExpiredToken", ""), Kind::Credentials);
        assert_eq!(get(400, "BadDigest", ""), Kind::Corrupted);
        assert_eq!(get(400, "InvalidArgument", ""), Kind::InvalidRequest);
        let ssec =
            "The object was stored using a form of Server Side Encryption. The correct parameters must be provided";
        assert_eq!(get(400, "InvalidRequest", ssec), Kind::CustomerKey);
        let large = "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120";
        assert_eq!(kind(Operation::CopyObject, 400, Some("InvalidRequest"), large), Kind::TooLarge);
    }

    #[test]
    fn statuses_decide_where_there_is_no_code() {
        let head = |status| kind(Operation::HeadObject, status, None, "");
        assert_eq!(head(400), Kind::CustomerKey);
        assert_eq!(head(403), Kind::AccessDenied);
        assert_eq!(head(404), Kind::NotFound);
        assert_eq!(head(503), Kind::Unavailable);
        assert_eq!(kind(Operation::PutObject, 409, None, ""), Kind::Conflict);
        assert_eq!(kind(Operation::CopyObject, 200, Some("SomethingNew"), ""), Kind::Unavailable);
    }

    #[test]
    fn a_conditional_write_to_a_missing_key_has_lost_its_object() {
        assert_eq!(kind(Operation::PutObject, 404, Some("NoSuchKey"), ""), Kind::PreconditionFailed);
        assert_eq!(kind(Operation::UploadPart, 404, Some("NoSuchUpload"), ""), Kind::NoSuchUpload);
    }

    #[test]
    fn the_region_is_found_in_the_body() {
        let xml = "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region></Error>";
        assert_eq!(element(xml, "Region").as_deref(), Some("eu-west-1"));
        assert_eq!(element(xml, "StorageClass"), None);
    }
}
