//! One multipart upload, from its creation to its completion, or to its abort on any error.
//!
//! If the response to its creation is lost, its ID is unknown. A lifecycle rule of the bucket
//! (`AbortIncompleteMultipartUpload`) then ends the upload.

use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;

use super::checksum::{Checksum, StoredChecksum};
use super::classify::failed;
use super::client::Client;
use super::error::{S3Error, S3ErrorKind};
use super::lost_response::Written;
use super::object::{Attributes, Condition, ETag, ObjectRef};
use super::operation::Operation;
use super::request::{with_attributes, with_checksum, with_expires, with_protection};

/// An open upload. Dropping it aborts it.
#[derive(Debug)]
pub(super) struct Upload {
    pub client: Client,
    pub object: ObjectRef,
    pub id: String,
    open: bool,
}

/// An uploaded or copied part.
#[derive(Debug)]
pub(super) struct SentPart {
    pub number: u16,
    pub etag: Option<String>,
    /// Checksum that was sent, or that S3 answered.
    pub checksum: Option<StoredChecksum>,
    /// Checksum of bytes that passed through this process.
    pub sum: Option<Checksum>,
}

impl Upload {
    /// Creates the upload in a task of its own: if the caller is dropped before S3 has answered, the task still
    /// receives the response, and drops (aborts) the upload.
    pub(super) async fn create(client: &Client, object: &ObjectRef, attributes: &Attributes) -> Result<Self, S3Error> {
        let creation = create(client.clone(), object.clone(), attributes.clone());
        let created = tokio::spawn(creation).await;
        created.unwrap_or_else(|gone| {
            Err(S3Error::new(Operation::CreateMultipartUpload, object, S3ErrorKind::Connection).with_source(gone))
        })
    }

    /// Uploads a part with its checksum.
    pub(super) async fn send(&self, number: u16, bytes: Bytes) -> Result<SentPart, S3Error> {
        let (sum, length) = (self.client.transfer.checksum.of(&bytes), bytes.len() as u64);
        let checksum = sum.stored();
        self.client.wait_for_bytes(length).await;
        let request =
            self.client.sdk.upload_part().bucket(&self.object.bucket).key(&self.object.key).upload_id(&self.id);
        let sent = with_checksum!(request, checksum.as_ref())
            .set_content_md5(sum.md5())
            .set_expected_bucket_owner(self.client.buckets.owner.clone())
            .part_number(number.into())
            .body(bytes.into())
            .send()
            .await;
        let output = sent.map_err(|error| failed(Operation::UploadPart, &self.object, error))?;
        self.client.progress.add(length);
        Ok(SentPart { number, etag: output.e_tag, checksum, sum: Some(sum) })
    }

    /// Checksum of all parts, if all of them passed through this process.
    fn sum_of(&self, parts: &mut [SentPart]) -> Option<StoredChecksum> {
        parts.sort_unstable_by_key(|part| part.number);
        let sums: Option<Vec<Checksum>> = parts.iter().map(|part| part.sum.clone()).collect();
        self.client.transfer.checksum.of_parts(&sums?)
    }

    /// Completes the object of `size` bytes. Its checksum is that of the parts, else `whole`, if either is known.
    /// Returns its `ETag`, or `None` if the response was lost.
    pub(super) async fn complete(
        mut self,
        mut parts: Vec<SentPart>,
        size: u64,
        whole: Option<StoredChecksum>,
        attributes: &Attributes,
        condition: &Condition,
    ) -> Result<Option<ETag>, S3Error> {
        let whole = self
            .sum_of(&mut parts)
            .or(whole.filter(|whole| whole.survives_multipart_copy(self.client.transfer.checksum)));
        let parts = parts.into_iter().map(completed).collect();
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let request = self.client.sdk.complete_multipart_upload().bucket(&self.object.bucket).key(&self.object.key);
        let sent = with_checksum!(request, whole.as_ref())
            .set_checksum_type(self.client.transfer.checksum.checksum_type())
            .set_mpu_object_size(i64::try_from(size).ok())
            .upload_id(&self.id)
            .set_expected_bucket_owner(self.client.buckets.owner.clone())
            .multipart_upload(parts)
            .set_if_match(condition.if_match())
            .set_if_none_match(condition.if_none_match())
            .customize()
            .config_override(self.client.long_timeout())
            .send()
            .await;
        let error = match sent.map(|output| output.e_tag) {
            Ok(Some(etag)) => {
                self.open = false;
                return Ok(Some(ETag::new(&etag)));
            }
            Ok(None) => S3Error::new(Operation::CompleteMultipartUpload, &self.object, S3ErrorKind::Unavailable)
                .with_message("a response without ETag"),
            Err(error) => failed(Operation::CompleteMultipartUpload, &self.object, error),
        };
        let written = Written { size, checksum: whole.as_ref(), attributes, condition };
        let written = written.succeeded_despite(&error, &self.client, &self.object).await;
        let error = self.abort(error).await;
        if written { Ok(None) } else { Err(error) }
    }

    /// Aborts the upload because of `error`, and returns `error`.
    pub(super) async fn abort(mut self, error: S3Error) -> S3Error {
        abort_or_warn(&self.client, &self.object, &self.id).await;
        self.open = false;
        error
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let runtime = tokio::runtime::Handle::try_current();
        if let (true, Ok(runtime)) = (self.open, runtime) {
            let (client, object, id) = (self.client.clone(), self.object.clone(), std::mem::take(&mut self.id));
            runtime.spawn(async move { abort_or_warn(&client, &object, &id).await });
        }
    }
}

async fn create(client: Client, object: ObjectRef, attributes: Attributes) -> Result<Upload, S3Error> {
    let (operation, checksum) = (Operation::CreateMultipartUpload, client.transfer.checksum);
    let owner = client.buckets.owner.as_ref();
    let request = client.sdk.create_multipart_upload().bucket(&object.bucket).key(&object.key);
    let request = with_protection!(with_attributes!(request, attributes), client.buckets)
        .set_expected_bucket_owner(owner.cloned())
        .set_tagging(attributes.tagging())
        .set_checksum_algorithm(checksum.algorithm())
        .set_checksum_type(checksum.checksum_type());
    let sent = with_expires!(request, attributes).send().await;
    let output = sent.map_err(|error| failed(operation, &object, error).with_expected_owner(owner))?;
    match output.upload_id {
        Some(id) => Ok(Upload { client, object, id, open: true }),
        None => {
            Err(S3Error::new(operation, &object, S3ErrorKind::Unavailable).with_message("a response without UploadId"))
        }
    }
}

fn completed(part: SentPart) -> CompletedPart {
    let list = CompletedPart::builder().part_number(part.number.into()).set_e_tag(part.etag);
    with_checksum!(list, part.checksum.as_ref()).build()
}

async fn abort_or_warn(client: &Client, object: &ObjectRef, id: &str) {
    if let Err(error) = abort_upload(client, object, id).await {
        tracing::warn!(upload_id = id, "{error}; its parts cost storage until a lifecycle rule removes them");
    }
}

/// Aborts an upload, which frees its parts. An upload that has already ended is no error.
pub(super) async fn abort_upload(client: &Client, object: &ObjectRef, id: &str) -> Result<(), S3Error> {
    let owner = client.buckets.owner.as_ref();
    let request = client.sdk.abort_multipart_upload().bucket(&object.bucket).key(&object.key).upload_id(id);
    match request.set_expected_bucket_owner(owner.cloned()).send().await {
        Ok(_) => Ok(()),
        Err(error) => match failed(Operation::AbortMultipartUpload, object, error) {
            S3Error { kind: S3ErrorKind::NoSuchUpload, .. } => Ok(()),
            error => Err(error.with_expected_owner(owner)),
        },
    }
}
