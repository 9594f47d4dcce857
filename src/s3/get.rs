//! GET of an object, a range of it, or its tags.

use std::ops::Range;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;

use super::classify::failed;
use super::client::Client;
use super::error::{S3Error, S3ErrorKind};
use super::head::head_of_get;
use super::object::{ETag, Head, ObjectRef};
use super::operation::Operation;

impl Client {
    /// Requests an object: its description, and its bytes as they arrive. With `if_match`, only that version.
    pub(super) async fn get_object(
        &self,
        object: &ObjectRef,
        if_match: Option<&ETag>,
    ) -> Result<(Head, ByteStream), S3Error> {
        let output = self.send_get(object, if_match, None).await?;
        Ok((head_of_get(object, &output)?, output.body))
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
        let owner = self.buckets.owner.as_ref();
        let request = self.sdk.get_object().bucket(&object.bucket).key(&object.key);
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
        let owner = self.buckets.owner.as_ref();
        let request = self.sdk.get_object_tagging().bucket(&object.bucket).key(&object.key);
        let sent = request.set_expected_bucket_owner(owner.cloned()).send().await;
        let output =
            sent.map_err(|error| failed(Operation::GetObjectTagging, object, error).with_expected_owner(owner))?;
        Ok(output.tag_set.into_iter().map(|tag| (tag.key, tag.value)).collect())
    }
}
