//! Reads objects: HEAD, GET and tags.

use std::collections::BTreeMap;
use std::ops::Range;

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode};

use super::Store;
use super::checksum::StoredChecksum;
use super::classify::failed;
use super::download::Download;
use super::error::{Operation, S3Error, S3ErrorKind};
use super::object::{Attributes, Condition, ETag, Head, ObjectRef, own_encoding};

/// A macro, since the outputs of HEAD and GET have the same fields but share no trait.
macro_rules! head_of {
    ($operation:expr, $object:expr, $output:expr) => {{
        let output = &$output;
        let attributes = Attributes {
            content_type: output.content_type.clone(),
            cache_control: output.cache_control.clone(),
            content_disposition: output.content_disposition.clone(),
            content_language: output.content_language.clone(),
            content_encoding: output.content_encoding.as_deref().and_then(own_encoding),
            expires: output.expires_string.clone(),
            website_redirect: output.website_redirect_location.clone(),
            storage_class: output.storage_class.as_ref().map(|class| class.as_str().to_owned()),
            metadata: output.metadata.clone().map(BTreeMap::from_iter).unwrap_or_default(),
            tags: Vec::new(),
        };
        // Fastest first.
        let checksum = StoredChecksum::first([
            (ChecksumAlgorithm::Crc64Nvme, output.checksum_crc64_nvme.as_deref()),
            (ChecksumAlgorithm::Crc32C, output.checksum_crc32_c.as_deref()),
            (ChecksumAlgorithm::Crc32, output.checksum_crc32.as_deref()),
            (ChecksumAlgorithm::Sha1, output.checksum_sha1.as_deref()),
            (ChecksumAlgorithm::Sha256, output.checksum_sha256.as_deref()),
        ]);
        let (etag, length) = (output.e_tag.as_deref(), output.content_length);
        let modified = output.last_modified.map(|time| time.secs());
        head($operation, $object, etag, length, output.tag_count, attributes).map(|head| Head {
            checksum,
            modified,
            ..head
        })
    }};
}

impl Store {
    /// Sends HEAD for an object at the destination; `None` if it does not exist. Without permission to list, a missing
    /// object answers [`S3ErrorKind::AccessDenied`] instead.
    ///
    /// # Errors
    /// [`S3Error`] of any kind but [`S3ErrorKind::NotFound`].
    pub async fn head(&self, object: &ObjectRef) -> Result<Option<Head>, S3Error> {
        head_object(&self.client, object, self.buckets.destination_owner.as_ref()).await
    }

    /// Sends HEAD for an object at the source, with the source's client.
    ///
    /// # Errors
    /// As for [`Store::head`].
    pub async fn head_source(&self, object: &ObjectRef) -> Result<Option<Head>, S3Error> {
        head_object(&self.source, object, self.buckets.source_owner.as_ref()).await
    }

    /// Begins to read an object; [`Download`] yields its bytes. With `if_match`, only that version.
    ///
    /// # Errors
    /// [`S3Error`]: kind [`S3ErrorKind::PreconditionFailed`] if the object has changed, [`S3ErrorKind::NotFound`] if it
    /// is gone.
    pub async fn get(&self, object: &ObjectRef, if_match: Option<&ETag>) -> Result<Download, S3Error> {
        let operation = Operation::GetObject;
        let output = self.send_get(object, if_match, None).await?;
        Ok(Download::new(self, object, head_of!(operation, object, output)?, output.body))
    }

    /// Reads a byte range of one version of an object.
    pub(super) async fn get_range(
        &self,
        object: &ObjectRef,
        etag: &ETag,
        range: Range<u64>,
    ) -> Result<ByteStream, S3Error> {
        let operation = Operation::GetObject;
        let output = self.send_get(object, Some(etag), Some(&range)).await?;
        // Some stores ignore If-Match, and some ignore the range.
        if output.e_tag.as_deref().map(ETag::new).as_ref() != Some(etag) {
            return Err(S3Error::new(operation, object, S3ErrorKind::PreconditionFailed));
        }
        let length = output.content_length.and_then(|n| u64::try_from(n).ok());
        if length != Some(range.end - range.start) {
            return Err(S3Error::new(operation, object, S3ErrorKind::NotSupported)
                .with_message("the response is not the requested range"));
        }
        Ok(output.body)
    }

    async fn send_get(
        &self,
        object: &ObjectRef,
        if_match: Option<&ETag>,
        range: Option<&Range<u64>>,
    ) -> Result<GetObjectOutput, S3Error> {
        let owner = self.buckets.source_owner.as_ref();
        let request = self.source.get_object().bucket(&object.bucket).key(&object.key);
        let request = request
            .set_if_match(if_match.map(ETag::quoted))
            .set_expected_bucket_owner(owner.cloned())
            .set_range(range.map(|range| format!("bytes={}-{}", range.start, range.end - 1)))
            .customize()
            // With the setter, the SDK would also compute the checksum.
            .mutate_request(|request| _ = request.headers_mut().insert("x-amz-checksum-mode", "ENABLED"));
        let sent = request.send().await;
        sent.map_err(|error| failed(Operation::GetObject, object, error).with_expected_owner(owner))
    }

    /// Reads the object's tags.
    ///
    /// # Errors
    /// [`S3Error`]: kind [`S3ErrorKind::NotSupported`] if the store has no tags.
    pub async fn tags(&self, object: &ObjectRef) -> Result<Vec<(String, String)>, S3Error> {
        let owner = self.buckets.source_owner.as_ref();
        let request = self.source.get_object_tagging().bucket(&object.bucket).key(&object.key);
        let sent = request.set_expected_bucket_owner(owner.cloned()).send().await;
        let output =
            sent.map_err(|error| failed(Operation::GetObjectTagging, object, error).with_expected_owner(owner))?;
        Ok(output.tag_set.into_iter().map(|tag| (tag.key, tag.value)).collect())
    }
}

fn head(
    operation: Operation,
    object: &ObjectRef,
    etag: Option<&str>,
    length: Option<i64>,
    tag_count: Option<i32>,
    attributes: Attributes,
) -> Result<Head, S3Error> {
    let missing = |what| S3Error::new(operation, object, S3ErrorKind::Unavailable).with_message(what);
    let storage_class = attributes.storage_class.filter(|class| class != "STANDARD");
    Ok(Head {
        etag: ETag::new(etag.ok_or_else(|| missing("a response without ETag"))?),
        size: length.and_then(|n| u64::try_from(n).ok()).ok_or_else(|| missing("a response without Content-Length"))?,
        attributes: Attributes { storage_class, ..attributes },
        tag_count: tag_count.and_then(|n| u32::try_from(n).ok()).unwrap_or(0),
        checksum: None,
        modified: None,
    })
}

async fn head_object(client: &Client, object: &ObjectRef, owner: Option<&String>) -> Result<Option<Head>, S3Error> {
    let operation = Operation::HeadObject;
    let request = client.head_object().bucket(&object.bucket).key(&object.key).checksum_mode(ChecksumMode::Enabled);
    match request.set_expected_bucket_owner(owner.cloned()).send().await {
        Ok(output) => head_of!(operation, object, output).map(Some),
        Err(error) => match failed(operation, object, error) {
            S3Error { kind: S3ErrorKind::NotFound, .. } => Ok(None),
            error if error.kind == S3ErrorKind::CustomerKey => {
                Err(error_of_get(client, object, owner).await.unwrap_or(error))
            }
            error => Err(error.with_expected_owner(owner)),
        },
    }
}

/// Finds the reason for a HEAD's 400, which has no body, by a GET: a customer's key, or expired credentials.
async fn error_of_get(client: &Client, object: &ObjectRef, owner: Option<&String>) -> Option<S3Error> {
    let request = client.get_object().bucket(&object.bucket).key(&object.key).range("bytes=0-0");
    let error = request.set_expected_bucket_owner(owner.cloned()).send().await.err()?;
    Some(failed(Operation::HeadObject, object, error))
}

/// The object that a write should have stored.
pub(super) struct Written<'a> {
    pub size: u64,
    /// If it is known.
    pub checksum: Option<&'a StoredChecksum>,
    pub attributes: &'a Attributes,
    pub condition: &'a Condition,
}

impl Written<'_> {
    /// Detects a write that succeeded though its response was lost: the retry then finds its upload gone, or its
    /// condition broken by its own write. Compares size, metadata and checksum; without a checksum, also that the ETag
    /// changed, since the previous object may have the same size and metadata.
    pub(super) async fn succeeded_despite(
        &self,
        error: &S3Error,
        client: &Client,
        object: &ObjectRef,
        owner: Option<&String>,
    ) -> bool {
        let of_a_write = matches!(
            (error.operation, &error.kind),
            (Operation::PutObject | Operation::CopyObject, S3ErrorKind::PreconditionFailed)
                | (Operation::CompleteMultipartUpload, S3ErrorKind::PreconditionFailed | S3ErrorKind::NoSuchUpload)
        );
        let known = !self.attributes.metadata.is_empty();
        if !of_a_write || !(known || error.kind == S3ErrorKind::NoSuchUpload && self.checksum.is_some()) {
            return false;
        }
        let Some(head) = head_object(client, object, owner).await.ok().flatten() else { return false };
        let same_bytes = head.checksum.as_ref().zip(self.checksum).and_then(|(theirs, ours)| ours.matches(theirs));
        let is_new = match self.condition {
            Condition::None => false,
            Condition::Absent => true,
            Condition::Unmodified(before) => head.etag != *before,
        };
        head.size == self.size
            && head.attributes.metadata == self.attributes.metadata
            && same_bytes.unwrap_or(known && is_new)
    }
}
