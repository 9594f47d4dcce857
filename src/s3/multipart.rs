//! One multipart upload, from its creation to its end: completed, or aborted whatever happens in between.
//!
//! Where the answer to its creation is lost nobody knows its ID. A lifecycle rule of the bucket
//! (`AbortIncompleteMultipartUpload`) is what ends such an upload.

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;

use super::Store;
use super::checksum::{Checksum, Stored, Sum};
use super::classify::failed;
use super::client::patient;
use super::error::{Kind, Operation, S3Error};
use super::get::Written;
use super::object::{Attributes, Condition, ETag, ObjectRef};
use super::pace::Pace;
use super::progress::Progress;

/// An upload that is open. Dropped, it is aborted.
#[derive(Debug)]
pub(super) struct Upload {
    pub client: Client,
    pub object: ObjectRef,
    pub id: String,
    /// The account that the bucket must belong to.
    pub owner: Option<String>,
    checksum: Checksum,
    progress: Progress,
    pace: Option<Pace>,
    open: bool,
}

/// A part that S3 has.
#[derive(Debug)]
pub(super) struct SentPart {
    pub number: u16,
    pub etag: Option<String>,
    /// As S3 was given it, or has answered.
    pub checksum: Option<Stored>,
    /// Of bytes that passed through here.
    pub sum: Option<Sum>,
}

impl Upload {
    /// In a task of its own: where the caller is dropped before S3 has answered, the answer still arrives, and is
    /// dropped, here.
    pub(super) async fn create(store: &Store, object: &ObjectRef, attributes: &Attributes) -> Result<Self, S3Error> {
        let creation = create(store.clone(), object.clone(), attributes.clone());
        let created = tokio::spawn(creation).await;
        created.unwrap_or_else(|gone| {
            Err(S3Error::new(Operation::CreateMultipartUpload, object, Kind::Connection).caused_by(gone))
        })
    }

    /// Sends a part, with its checksum.
    pub(super) async fn send(&self, number: u16, bytes: Bytes) -> Result<SentPart, S3Error> {
        let (sum, length) = (self.checksum.of(&bytes), bytes.len() as u64);
        let checksum = sum.stored();
        if let Some(pace) = &self.pace {
            pace.bytes(length).await;
        }
        let request = self.client.upload_part().bucket(&self.object.bucket).key(&self.object.key).upload_id(&self.id);
        let sent = with_checksum!(request, checksum.as_ref())
            .set_content_md5(sum.md5())
            .set_expected_bucket_owner(self.owner.clone())
            .part_number(number.into())
            .body(bytes.into())
            .send()
            .await;
        let output = sent.map_err(|error| failed(Operation::UploadPart, &self.object, error))?;
        self.progress.add(length);
        Ok(SentPart { number, etag: output.e_tag, checksum, sum: Some(sum) })
    }

    /// The checksum of all the parts, where they passed through here.
    fn sum_of(&self, parts: &mut [SentPart]) -> Option<Stored> {
        parts.sort_unstable_by_key(|part| part.number);
        let sums: Option<Vec<Sum>> = parts.iter().map(|part| part.sum.clone()).collect();
        self.checksum.of_parts(&sums?)
    }

    /// Makes the parts the object of `size` bytes. Its checksum is theirs, else `whole`, where either is known. Answers its
    /// `ETag`, unless that answer was lost.
    pub(super) async fn complete(
        mut self,
        mut parts: Vec<SentPart>,
        size: u64,
        whole: Option<Stored>,
        attributes: &Attributes,
        condition: &Condition,
    ) -> Result<Option<ETag>, S3Error> {
        let whole = self.sum_of(&mut parts).or(whole.filter(|whole| whole.is_of_a_copy(self.checksum)));
        let parts = parts.into_iter().map(completed).collect();
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let request = self.client.complete_multipart_upload().bucket(&self.object.bucket).key(&self.object.key);
        let sent = with_checksum!(request, whole.as_ref())
            .set_checksum_type(self.checksum.kept())
            .set_mpu_object_size(i64::try_from(size).ok())
            .upload_id(&self.id)
            .set_expected_bucket_owner(self.owner.clone())
            .multipart_upload(parts)
            .set_if_match(condition.if_match())
            .set_if_none_match(condition.if_none_match())
            .customize()
            .config_override(patient(&self.client))
            .send()
            .await;
        let error = match sent.map(|output| output.e_tag) {
            Ok(Some(etag)) => {
                self.open = false;
                return Ok(Some(ETag::new(&etag)));
            }
            Ok(None) => S3Error::new(Operation::CompleteMultipartUpload, &self.object, Kind::Unavailable)
                .saying("an answer without ETag"),
            Err(error) => failed(Operation::CompleteMultipartUpload, &self.object, error),
        };
        let written = Written { size, checksum: whole.as_ref(), attributes, condition };
        let written = written.explains(&error, &self.client, &self.object, self.owner.as_ref()).await;
        let error = self.abort(error).await;
        if written { Ok(None) } else { Err(error) }
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

async fn create(store: Store, object: ObjectRef, attributes: Attributes) -> Result<Upload, S3Error> {
    let Store { client, buckets, transfer, progress, pace, .. } = store;
    let (operation, checksum) = (Operation::CreateMultipartUpload, transfer.checksum);
    let owner = buckets.destination_owner.clone();
    let request = client.create_multipart_upload().bucket(&object.bucket).key(&object.key);
    let request = with_protection!(with_attributes!(request, attributes), buckets)
        .set_expected_bucket_owner(owner.clone())
        .set_tagging(attributes.tagging())
        .set_checksum_algorithm(checksum.named())
        .set_checksum_type(checksum.kept());
    let sent = with_expires!(request, attributes).send().await;
    let output = sent.map_err(|error| failed(operation, &object, error).expecting(owner.as_ref()))?;
    match output.upload_id {
        Some(id) => Ok(Upload { client, object, id, owner, checksum, progress, pace, open: true }),
        None => Err(S3Error::new(operation, &object, Kind::Unavailable).saying("an answer without UploadId")),
    }
}

fn completed(part: SentPart) -> CompletedPart {
    let list = CompletedPart::builder().part_number(part.number.into()).set_e_tag(part.etag);
    with_checksum!(list, part.checksum.as_ref()).build()
}

async fn abort(client: &Client, object: &ObjectRef, id: &str, owner: Option<String>) {
    if let Err(error) = end(client, object, id, owner).await {
        tracing::warn!(upload_id = id, "{error}; its parts cost storage until a lifecycle rule removes them");
    }
}

/// Frees the parts of an upload, unless it has ended.
pub(super) async fn end(client: &Client, object: &ObjectRef, id: &str, owner: Option<String>) -> Result<(), S3Error> {
    let request = client.abort_multipart_upload().bucket(&object.bucket).key(&object.key).upload_id(id);
    match request.set_expected_bucket_owner(owner.clone()).send().await {
        Ok(_) => Ok(()),
        Err(error) => match failed(Operation::AbortMultipartUpload, object, error) {
            S3Error { kind: Kind::NoSuchUpload, .. } => Ok(()),
            error => Err(error.expecting(owner.as_ref())),
        },
    }
}
