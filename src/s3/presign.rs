//! Presigned URLs: whoever has one may send that one request until it expires, with no credentials of their own.

use std::time::Duration;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::classify::failed;
use super::client::Client;
use super::error::{S3Error, S3ErrorKind};
use super::object::ObjectRef;
use super::operation::Operation;

/// A request that is signed, but not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presigned {
    pub url: String,
    /// Headers that the signature covers: they must be sent with the request, as they are here.
    pub headers: Vec<(String, String)>,
}

impl Client {
    /// Presigns a GET of an object. Sends no request; needs valid credentials.
    ///
    /// # Errors
    /// [`S3Error`]: kind [`S3ErrorKind::Credentials`] without credentials, [`S3ErrorKind::InvalidRequest`] if
    /// `lifetime` is longer than a week.
    pub async fn presign_get(&self, object: &ObjectRef, lifetime: Duration) -> Result<Presigned, S3Error> {
        let operation = Operation::GetObject;
        let config = expires_in(operation, object, lifetime)?;
        let request = self.sdk.get_object().bucket(&object.bucket).key(&object.key);
        let request = request.set_expected_bucket_owner(self.buckets.owner.clone());
        presigned(operation, object, request.presigned(config).await)
    }

    /// Presigns the upload of one part of an open multipart upload; parts count from 1.
    ///
    /// # Errors
    /// As for [`Client::presign_get`].
    pub async fn presign_upload_part(
        &self,
        object: &ObjectRef,
        upload_id: &str,
        number: u16,
        lifetime: Duration,
    ) -> Result<Presigned, S3Error> {
        let operation = Operation::UploadPart;
        let config = expires_in(operation, object, lifetime)?;
        let request = self.sdk.upload_part().bucket(&object.bucket).key(&object.key).upload_id(upload_id);
        let request = request.part_number(number.into()).set_expected_bucket_owner(self.buckets.owner.clone());
        presigned(operation, object, request.presigned(config).await)
    }
}

fn expires_in(operation: Operation, object: &ObjectRef, lifetime: Duration) -> Result<PresigningConfig, S3Error> {
    let invalid = |error| S3Error::new(operation, object, S3ErrorKind::InvalidRequest).with_source(error);
    PresigningConfig::expires_in(lifetime).map_err(invalid)
}

fn presigned<E>(
    operation: Operation,
    object: &ObjectRef,
    signed: Result<PresignedRequest, SdkError<E, HttpResponse>>,
) -> Result<Presigned, S3Error>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let request = signed.map_err(|error| failed(operation, object, error))?;
    let headers = request.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Ok(Presigned { url: request.uri().to_owned(), headers })
}
