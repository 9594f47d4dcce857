//! Writing bytes: `PutObject`, or an upload in parts.

use bytes::Bytes;
use futures_util::stream;

use super::Store;
use super::classify::failed;
use super::error::{Operation, S3Error};
use super::get::Written;
use super::object::{Attributes, Condition, ObjectRef};

impl Store {
    /// Stores an object, or leaves the previous one in place: by one request up to the multipart threshold, in parts
    /// above.
    ///
    /// # Errors
    /// [`S3Error`]: kind [`PreconditionFailed`](super::S3ErrorKind::PreconditionFailed) if `condition` does not hold,
    /// [`Conflict`](super::S3ErrorKind::Conflict) if another write was in progress.
    pub async fn put(
        &self,
        object: &ObjectRef,
        body: Bytes,
        attributes: &Attributes,
        condition: &Condition,
    ) -> Result<(), S3Error> {
        let length = body.len() as u64;
        // One chunk; splitting it moves no byte.
        let whole = stream::iter([Ok::<_, S3Error>(body)]);
        self.put_stream(object, whole, Some(length), attributes, condition).await
    }

    pub(super) async fn put_object(
        &self,
        object: &ObjectRef,
        body: Bytes,
        attributes: &Attributes,
        condition: &Condition,
    ) -> Result<(), S3Error> {
        let size = body.len() as u64;
        let owner = self.buckets.destination_owner.as_ref();
        let sum = self.transfer.checksum.of(&body);
        let checksum = sum.stored();
        if let Some(limiter) = &self.rate_limiter {
            limiter.wait_for_bytes(size).await;
        }
        let request = self.client.put_object().bucket(&object.bucket).key(&object.key).body(body.into());
        let request = with_checksum!(request, checksum.as_ref()).set_content_md5(sum.md5());
        let request = with_protection!(with_attributes!(request, attributes), self.buckets)
            .set_expected_bucket_owner(owner.cloned())
            .set_tagging(attributes.tagging())
            .set_if_match(condition.if_match())
            .set_if_none_match(condition.if_none_match());
        let sent = with_expires!(request, attributes).send().await;
        let Err(error) = sent else { return Ok(()) };
        let error = failed(Operation::PutObject, object, error).with_expected_owner(owner);
        let written = Written { size, checksum: checksum.as_ref(), attributes, condition };
        if written.succeeded_despite(&error, &self.client, object, owner).await { Ok(()) } else { Err(error) }
    }
}
