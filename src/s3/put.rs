//! Writes an object by one `PutObject`.

use bytes::Bytes;

use super::classify::failed;
use super::client::Client;
use super::error::S3Error;
use super::lost_response::Written;
use super::object::{Attributes, Condition, ObjectRef};
use super::operation::Operation;
use super::request::{with_attributes, with_checksum, with_expires, with_protection};

impl Client {
    pub(super) async fn put_object(
        &self,
        object: &ObjectRef,
        body: Bytes,
        attributes: &Attributes,
        condition: &Condition,
    ) -> Result<(), S3Error> {
        let size = body.len() as u64;
        let owner = self.buckets.owner.as_ref();
        let sum = self.transfer.checksum.of(&body);
        let checksum = sum.stored();
        self.wait_for_bytes(size).await;
        let request = self.sdk.put_object().bucket(&object.bucket).key(&object.key).body(body.into());
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
        if written.succeeded_despite(&error, self, object).await { Ok(()) } else { Err(error) }
    }
}
