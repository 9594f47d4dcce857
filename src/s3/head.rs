//! HEAD: the description of an object without its bytes.

use std::collections::BTreeMap;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode};

use super::checksum::StoredChecksum;
use super::classify::failed;
use super::client::Client;
use super::error::{S3Error, S3ErrorKind};
use super::object::{Attributes, ETag, Head, ObjectRef, own_encoding};
use super::operation::Operation;

/// A macro, since the outputs of HEAD and GET have the same fields but share no trait.
macro_rules! head_of {
    ($operation:expr, $object:expr, $output:expr) => {{
        let output = $output;
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

/// What HEAD tells about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Existing {
    /// HEAD is not permitted. Without `s3:ListBucket` a missing key answers `AccessDenied`; SSE-C hides an object.
    Unknown,
    Absent,
    Present(Box<Head>),
}

impl Existing {
    /// Tells a HEAD that is not permitted from a missing object.
    ///
    /// # Errors
    /// [`S3Error`] of any other kind.
    pub fn from_head(answer: Result<Option<Head>, S3Error>) -> Result<Self, S3Error> {
        match answer {
            Ok(Some(head)) => Ok(Self::Present(Box::new(head))),
            Ok(None) => Ok(Self::Absent),
            Err(S3Error { kind: S3ErrorKind::AccessDenied | S3ErrorKind::CustomerKey, .. }) => Ok(Self::Unknown),
            Err(error) => Err(error),
        }
    }
}

impl Client {
    /// Sends HEAD for an object; `None` if it does not exist. Without permission to list, a missing object answers
    /// [`S3ErrorKind::AccessDenied`] instead.
    ///
    /// # Errors
    /// [`S3Error`] of any kind but [`S3ErrorKind::NotFound`].
    pub async fn head(&self, object: &ObjectRef) -> Result<Option<Head>, S3Error> {
        let (operation, owner) = (Operation::HeadObject, self.buckets.owner.as_ref());
        let request = self.sdk.head_object().bucket(&object.bucket).key(&object.key);
        let request = request.checksum_mode(ChecksumMode::Enabled).set_expected_bucket_owner(owner.cloned());
        match request.send().await {
            Ok(output) => head_of!(operation, object, &output).map(Some),
            Err(error) => match failed(operation, object, error) {
                S3Error { kind: S3ErrorKind::NotFound, .. } => Ok(None),
                error if error.kind == S3ErrorKind::CustomerKey => {
                    Err(self.error_of_get(object).await.unwrap_or(error))
                }
                error => Err(error.with_expected_owner(owner)),
            },
        }
    }

    /// Finds the reason for a HEAD's 400, which has no body, by a GET: a customer's key, or expired credentials.
    async fn error_of_get(&self, object: &ObjectRef) -> Option<S3Error> {
        let request = self.sdk.get_object().bucket(&object.bucket).key(&object.key).range("bytes=0-0");
        let error = request.set_expected_bucket_owner(self.buckets.owner.clone()).send().await.err()?;
        Some(failed(Operation::HeadObject, object, error))
    }
}

/// Describes the object by the response to a GET.
pub(super) fn head_of_get(object: &ObjectRef, output: &GetObjectOutput) -> Result<Head, S3Error> {
    head_of!(Operation::GetObject, object, output)
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
