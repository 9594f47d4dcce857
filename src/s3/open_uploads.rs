//! Lists and aborts the open multipart uploads of a bucket. Only CLI commands use it, never the function.

use aws_sdk_s3::types::{EncodingType, MultipartUpload};

use super::classify::failed;
use super::client::Client;
use super::error::{S3Error, S3ErrorKind};
use super::list::decoded;
use super::multipart::abort_upload;
use super::object::ObjectRef;
use super::operation::Operation;

/// An upload that was neither completed nor aborted: its parts cost storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenUpload {
    pub object: ObjectRef,
    pub id: String,
    /// Time of creation in seconds since 1970.
    pub initiated: i64,
}

impl Client {
    /// Lists all open uploads whose keys begin with `prefix.key`.
    ///
    /// # Errors
    /// [`S3Error`] of any kind.
    pub async fn open_uploads(&self, prefix: &ObjectRef) -> Result<Vec<OpenUpload>, S3Error> {
        let (operation, owner) = (Operation::ListMultipartUploads, self.buckets.owner.as_ref());
        let (mut found, mut key_marker, mut id_marker) = (Vec::new(), None, None);
        loop {
            let request = self.sdk.list_multipart_uploads().bucket(&prefix.bucket);
            let sent = request
                .set_prefix(Some(prefix.key.clone()).filter(|prefix| !prefix.is_empty()))
                .set_key_marker(key_marker)
                .set_upload_id_marker(id_marker)
                .set_expected_bucket_owner(owner.cloned())
                .encoding_type(EncodingType::Url)
                .send()
                .await;
            let output = sent.map_err(|error| failed(operation, prefix, error).with_expected_owner(owner))?;
            let encoded = output.encoding_type == Some(EncodingType::Url);
            for upload in output.uploads.into_iter().flatten() {
                let nonsense = || {
                    S3Error::new(operation, prefix, S3ErrorKind::Unavailable)
                        .with_message("a list entry without an upload ID")
                };
                found.push(open_upload(&prefix.bucket, upload, encoded).ok_or_else(nonsense)?);
            }
            if output.is_truncated != Some(true) {
                return Ok(found);
            }
            key_marker = output.next_key_marker.and_then(|marker| decoded(marker, encoded));
            id_marker = output.next_upload_id_marker;
            if key_marker.is_none() {
                return Err(S3Error::new(operation, prefix, S3ErrorKind::Unavailable)
                    .with_message("a truncated list without a marker"));
            }
        }
    }

    /// Aborts an upload, which frees its parts. An upload that has already ended is no error.
    ///
    /// # Errors
    /// [`S3Error`] of any kind but [`S3ErrorKind::NoSuchUpload`].
    pub async fn abort_upload(&self, upload: &OpenUpload) -> Result<(), S3Error> {
        abort_upload(self, &upload.object, &upload.id).await
    }
}

fn open_upload(bucket: &str, upload: MultipartUpload, encoded: bool) -> Option<OpenUpload> {
    let initiated = upload.initiated.map(|time| time.secs())?;
    let object = ObjectRef::new(bucket, decoded(upload.key?, encoded)?);
    Some(OpenUpload { object, id: upload.upload_id?, initiated })
}
