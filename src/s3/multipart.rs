//! One multipart upload, from its creation to its end: completed, or aborted whatever happens in between.
//!
//! Where the answer to its creation is lost nobody knows its ID. A lifecycle rule of the bucket
//! (`AbortIncompleteMultipartUpload`) is what ends such an upload.

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};

use super::Buckets;
use super::classify::failed;
use super::client::patient;
use super::error::{Kind, Operation, S3Error};
use super::get::is_written;
use super::object::{Attributes, Condition, ObjectRef};

/// An upload that is open. Dropped, it is aborted.
#[derive(Debug)]
pub(super) struct Upload {
    pub client: Client,
    pub object: ObjectRef,
    pub id: String,
    /// The account that the bucket must belong to.
    pub owner: Option<String>,
    open: bool,
}

impl Upload {
    /// In a task of its own: where the caller is dropped before S3 has answered, the answer still arrives, and is
    /// dropped, here.
    pub(super) async fn create(
        client: &Client,
        buckets: &Buckets,
        object: &ObjectRef,
        attributes: &Attributes,
    ) -> Result<Self, S3Error> {
        let creation = create(client.clone(), buckets.clone(), object.clone(), attributes.clone());
        let created = tokio::spawn(creation).await;
        created.unwrap_or_else(|gone| {
            Err(S3Error::new(Operation::CreateMultipartUpload, object, Kind::Connection).caused_by(gone))
        })
    }

    /// Makes the parts the object of `size` bytes.
    pub(super) async fn complete(
        mut self,
        mut parts: Vec<CompletedPart>,
        size: u64,
        attributes: &Attributes,
        condition: &Condition,
    ) -> Result<(), S3Error> {
        parts.sort_unstable_by_key(CompletedPart::part_number);
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let request = self.client.complete_multipart_upload().bucket(&self.object.bucket).key(&self.object.key);
        let sent = request
            .upload_id(&self.id)
            .set_expected_bucket_owner(self.owner.clone())
            .multipart_upload(parts)
            .set_if_match(condition.if_match())
            .set_if_none_match(condition.if_none_match())
            .customize()
            .config_override(patient(&self.client))
            .send()
            .await;
        let error = match sent {
            Ok(output) if output.e_tag.is_some() => {
                self.open = false;
                return Ok(());
            }
            Ok(_) => S3Error::new(Operation::CompleteMultipartUpload, &self.object, Kind::Unavailable)
                .saying("an answer without ETag"),
            Err(error) => failed(Operation::CompleteMultipartUpload, &self.object, error),
        };
        let repeated = matches!(error.kind, Kind::NoSuchUpload | Kind::PreconditionFailed);
        let owner = self.owner.as_ref();
        let written = repeated && is_written(&self.client, &self.object, owner, size, attributes).await;
        let error = self.abort(error).await;
        if written { Ok(()) } else { Err(error) }
    }

    /// Ends the upload because of `error`, and gives that back.
    pub(super) async fn abort(mut self, error: S3Error) -> S3Error {
        abort(&self.client, &self.object, &self.id, self.owner.take()).await;
        self.open = false;
        error
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let runtime = tokio::runtime::Handle::try_current();
        if let (true, Ok(runtime)) = (self.open, runtime) {
            let (client, object) = (self.client.clone(), self.object.clone());
            let (id, owner) = (std::mem::take(&mut self.id), self.owner.take());
            runtime.spawn(async move { abort(&client, &object, &id, owner).await });
        }
    }
}

async fn create(
    client: Client,
    buckets: Buckets,
    object: ObjectRef,
    attributes: Attributes,
) -> Result<Upload, S3Error> {
    let (operation, owner) = (Operation::CreateMultipartUpload, buckets.destination_owner);
    let request = client.create_multipart_upload().bucket(&object.bucket).key(&object.key);
    let request = with_key!(with_attributes!(request, attributes), buckets.destination_key)
        .set_expected_bucket_owner(owner.clone())
        .set_tagging(attributes.tagging())
        .checksum_algorithm(ChecksumAlgorithm::Crc32);
    let sent = with_expires!(request, attributes).send().await;
    let output = sent.map_err(|error| failed(operation, &object, error).expecting(owner.as_ref()))?;
    match output.upload_id {
        Some(id) => Ok(Upload { client, object, id, owner, open: true }),
        None => Err(S3Error::new(operation, &object, Kind::Unavailable).saying("an answer without UploadId")),
    }
}

async fn abort(client: &Client, object: &ObjectRef, id: &str, owner: Option<String>) {
    let request = client.abort_multipart_upload().bucket(&object.bucket).key(&object.key).upload_id(id);
    if let Err(error) = request.set_expected_bucket_owner(owner).send().await {
        let error = failed(Operation::AbortMultipartUpload, object, error);
        if error.kind != Kind::NoSuchUpload {
            tracing::warn!(upload_id = id, "{error}; its parts cost storage until a lifecycle rule removes them");
        }
    }
}
