//! Server-side copy: no byte passes through this process.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::{AnnotationDirective, ChecksumAlgorithm, MetadataDirective, TaggingDirective};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::checksum::StoredChecksum;
use super::classify::failed;
use super::error::{S3Error, S3ErrorKind};
use super::lost_response::Written;
use super::multipart::{SentPart, Upload};
use super::object::{Attributes, Condition, ETag, Head, ObjectRef};
use super::operation::Operation;
use super::pair::Pair;
use super::parts::{Part, PartPlan};
use super::request::{with_attributes, with_expires, with_protection};

/// What happens to the source's tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyTags {
    /// Copied. A multipart copy takes them from [`Attributes::tags`], since S3 does not copy them.
    Copy,
    /// Dropped.
    Drop,
}

/// Target number of parts of a multipart copy. S3 moves the bytes, so large parts cost nothing.
const COPY_PARTS: u64 = 100;

impl Pair {
    /// Copies the version that `head` describes, with new attributes: by one request up to 5 GiB, in parts above. Then
    /// sends HEAD for the copy, if that is allowed, and compares it with the source.
    ///
    /// # Errors
    /// [`S3Error`], with the source's name if the source is at fault: kind [`S3ErrorKind::PreconditionFailed`] if it
    /// has changed, [`S3ErrorKind::NotFound`] if it is gone, [`S3ErrorKind::Archived`]. With the destination's name,
    /// [`S3ErrorKind::PreconditionFailed`] means that `condition` does not hold, [`S3ErrorKind::Conflict`] that the
    /// copy is already gone or replaced, [`S3ErrorKind::Corrupted`] that its bytes differ from the source's.
    pub async fn copy(
        &self,
        from: &ObjectRef,
        head: &Head,
        to: &ObjectRef,
        attributes: &Attributes,
        tags: CopyTags,
        condition: &Condition,
    ) -> Result<(), S3Error> {
        let copied = if self.fits_single_copy(head.size) {
            self.copy_object(from, head, to, attributes, tags, condition).await
        } else {
            self.copy_multipart(from, head, to, attributes, tags, condition).await
        };
        let etag = match copied {
            Ok(etag) => etag,
            Err(error) => {
                let error = self.find_culprit(error, from, head).await;
                let written = Written { size: head.size, checksum: head.checksum.as_ref(), attributes, condition };
                if error.object != *to || !written.succeeded_despite(&error, &self.destination, to).await {
                    return Err(error);
                }
                None
            }
        };
        self.compare(head, to, etag.as_ref()).await
    }

    /// Compares the finished copy with its source by HEAD.
    async fn compare(&self, source: &Head, to: &ObjectRef, etag: Option<&ETag>) -> Result<(), S3Error> {
        let found = match self.destination.head(to).await {
            // Without permission to send HEAD, S3's answer is trusted.
            Err(S3Error { kind: S3ErrorKind::AccessDenied, .. }) => return Ok(()),
            found => found?,
        };
        let wrong = |kind| Err(S3Error::new(Operation::HeadObject, to, kind));
        let Some(copy) = found.filter(|copy| etag.is_none_or(|etag| copy.etag == *etag)) else {
            return wrong(S3ErrorKind::Conflict);
        };
        let sums = source.checksum.as_ref().zip(copy.checksum.as_ref());
        let differ = copy.size != source.size || sums.and_then(|(ours, theirs)| ours.matches(theirs)) == Some(false);
        if differ { wrong(S3ErrorKind::Corrupted) } else { Ok(()) }
    }

    async fn copy_object(
        &self,
        from: &ObjectRef,
        head: &Head,
        to: &ObjectRef,
        attributes: &Attributes,
        tags: CopyTags,
        condition: &Condition,
    ) -> Result<Option<ETag>, S3Error> {
        let directive = match tags {
            CopyTags::Copy => TaggingDirective::Copy,
            CopyTags::Drop => TaggingDirective::Replace,
        };
        let Self { source, destination, .. } = self;
        let request = destination.sdk.copy_object().bucket(&to.bucket).key(&to.key).copy_source(from.copy_source());
        let request = with_protection!(with_attributes!(request, attributes), destination.buckets)
            .set_expected_source_bucket_owner(source.buckets.owner.clone())
            .set_expected_bucket_owner(destination.buckets.owner.clone())
            .copy_source_if_match(head.etag.quoted())
            .metadata_directive(MetadataDirective::Replace)
            .tagging_directive(directive)
            // No other way of writing copies annotations, and by default they need permissions of their own.
            .annotation_directive(AnnotationDirective::Exclude)
            .set_if_match(condition.if_match())
            .set_if_none_match(condition.if_none_match());
        let sent = with_expires!(request, attributes).config_override(destination.long_timeout()).send().await;
        let output = sent.map_err(|error| self.failed_copy(Operation::CopyObject, to, error))?;
        match output.copy_object_result.and_then(|result| result.e_tag) {
            Some(etag) => Ok(Some(ETag::new(&etag))),
            None => Err(S3Error::new(Operation::CopyObject, to, S3ErrorKind::Unavailable)
                .with_message("a response without ETag")),
        }
    }

    async fn copy_multipart(
        &self,
        from: &ObjectRef,
        head: &Head,
        to: &ObjectRef,
        attributes: &Attributes,
        tags: CopyTags,
        condition: &Condition,
    ) -> Result<Option<ETag>, S3Error> {
        let plan = PartPlan::new(head.size, self.destination.transfer.part_size.max(head.size.div_ceil(COPY_PARTS)))
            .ok_or_else(|| S3Error::new(Operation::CreateMultipartUpload, to, S3ErrorKind::TooLarge))?;
        let untagged = Attributes { tags: Vec::new(), ..attributes.clone() };
        let attributes = if tags == CopyTags::Copy { attributes } else { &untagged };
        let upload = Upload::create(&self.destination, to, attributes).await?;
        let parts = stream::iter(plan.parts())
            .map(|part| self.copy_part(&upload, part, from, head))
            .buffer_unordered(self.destination.transfer.concurrency.max(1))
            .try_collect()
            .await;
        match parts {
            Ok(parts) => upload.complete(parts, head.size, head.checksum.clone(), attributes, condition).await,
            Err(error) => Err(upload.abort(error).await),
        }
    }

    /// Finds out by HEAD whether a copy's 404 or 412 means the source or the destination, since S3 does not say.
    async fn find_culprit(&self, mut error: S3Error, from: &ObjectRef, head: &Head) -> S3Error {
        if matches!(error.operation, Operation::CopyObject | Operation::UploadPartCopy) {
            error.copied_from = Some(Box::new(from.clone()));
            match error.kind {
                S3ErrorKind::Archived { .. } | S3ErrorKind::CustomerKey => error.object = from.clone(),
                S3ErrorKind::NotFound | S3ErrorKind::PreconditionFailed => match self.source.head(from).await {
                    Ok(None) => (error.object, error.kind) = (from.clone(), S3ErrorKind::NotFound),
                    Ok(Some(now)) if now.etag != head.etag => {
                        (error.object, error.kind) = (from.clone(), S3ErrorKind::PreconditionFailed);
                    }
                    Ok(Some(_)) => error.kind = S3ErrorKind::PreconditionFailed,
                    Err(_) => {}
                },
                _ => {}
            }
        }
        error
    }

    async fn copy_part(&self, upload: &Upload, part: Part, from: &ObjectRef, head: &Head) -> Result<SentPart, S3Error> {
        let operation = Operation::UploadPartCopy;
        let request = upload.client.sdk.upload_part_copy().bucket(&upload.object.bucket).key(&upload.object.key);
        let sent = request
            .upload_id(&upload.id)
            .set_expected_source_bucket_owner(self.source.buckets.owner.clone())
            .set_expected_bucket_owner(upload.client.buckets.owner.clone())
            .part_number(part.number.into())
            .copy_source(from.copy_source())
            .copy_source_range(format!("bytes={}-{}", part.range.start, part.range.end - 1))
            .copy_source_if_match(head.etag.quoted())
            .customize()
            .config_override(upload.client.long_timeout())
            .send()
            .await;
        let output = sent.map_err(|error| self.failed_copy(operation, &upload.object, error))?;
        let Some(result) = output.copy_part_result.filter(|result| result.e_tag.is_some()) else {
            return Err(S3Error::new(operation, &upload.object, S3ErrorKind::Unavailable)
                .with_message("a response without ETag"));
        };
        let checksum = StoredChecksum::first([
            (ChecksumAlgorithm::Crc64Nvme, result.checksum_crc64_nvme.as_deref()),
            (ChecksumAlgorithm::Crc32C, result.checksum_crc32_c.as_deref()),
            (ChecksumAlgorithm::Sha256, result.checksum_sha256.as_deref()),
        ]);
        self.destination.progress.add(part.range.end - part.range.start);
        Ok(SentPart { number: part.number, etag: result.e_tag, checksum, sum: None })
    }

    /// Names both expected owners, since S3 does not say which one differs.
    fn failed_copy<E>(&self, operation: Operation, to: &ObjectRef, error: SdkError<E, HttpResponse>) -> S3Error
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let owners = [&self.source, &self.destination].map(|side| side.buckets.owner.as_ref());
        owners.into_iter().fold(failed(operation, to, error), S3Error::with_expected_owner)
    }
}
