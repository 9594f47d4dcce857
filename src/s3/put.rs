//! Writing bytes: `PutObject`, or an upload in parts.

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::classify::failed;
use super::error::{Kind, Operation, S3Error};
use super::get::Written;
use super::multipart::{SentPart, Upload};
use super::object::{Attributes, Condition, ObjectRef};
use super::parts::{Part, PartPlan};
use super::{SINGLE_REQUEST_LIMIT, Store};

impl Store {
    /// Stores an object whole, or leaves what was there: in one request up to the multipart threshold, in parts above.
    ///
    /// # Errors
    /// [`S3Error`]: of kind [`Kind::PreconditionFailed`] if `condition` does not hold, [`Kind::Conflict`] if another
    /// write was under way.
    pub async fn put(
        &self,
        object: &ObjectRef,
        body: Bytes,
        attributes: &Attributes,
        condition: &Condition,
    ) -> Result<(), S3Error> {
        if body.len() as u64 <= self.transfer.multipart_threshold.min(SINGLE_REQUEST_LIMIT) {
            self.put_at_once(object, body, attributes, condition).await
        } else {
            self.put_in_parts(object, body, attributes, condition).await
        }
    }

    pub(super) async fn put_at_once(
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
        if let Some(pace) = &self.pace {
            pace.bytes(size).await;
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
        let error = failed(Operation::PutObject, object, error).expecting(owner);
        let written = Written { size, checksum: checksum.as_ref(), attributes, condition };
        if written.explains(&error, &self.client, object, owner).await { Ok(()) } else { Err(error) }
    }

    async fn put_in_parts(
        &self,
        object: &ObjectRef,
        body: Bytes,
        attributes: &Attributes,
        condition: &Condition,
    ) -> Result<(), S3Error> {
        let size = body.len() as u64;
        let plan = PartPlan::new(size, self.transfer.part_size)
            .ok_or_else(|| S3Error::new(Operation::CreateMultipartUpload, object, Kind::TooLarge))?;
        let upload = Upload::create(self, object, attributes).await?;
        let parts = stream::iter(plan.parts())
            .map(|part| upload_part(&upload, part, &body))
            .buffer_unordered(self.transfer.concurrency.max(1))
            .try_collect()
            .await;
        match parts {
            Ok(parts) => upload.complete(parts, size, None, attributes, condition).await.map(drop),
            Err(error) => Err(upload.abort(error).await),
        }
    }
}

async fn upload_part(upload: &Upload, part: Part, body: &Bytes) -> Result<SentPart, S3Error> {
    let Part { number, range } = part;
    let bytes = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
    upload.send(number, bytes.map(|(start, end)| body.slice(start..end)).unwrap_or_default()).await
}
