//! Writes that succeed although their response is lost.

use super::checksum::StoredChecksum;
use super::client::Client;
use super::error::{S3Error, S3ErrorKind};
use super::object::{Attributes, Condition, ObjectRef};
use super::operation::Operation;

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
    pub(super) async fn succeeded_despite(&self, error: &S3Error, client: &Client, object: &ObjectRef) -> bool {
        let of_a_write = matches!(
            (error.operation, &error.kind),
            (Operation::PutObject | Operation::CopyObject, S3ErrorKind::PreconditionFailed)
                | (Operation::CompleteMultipartUpload, S3ErrorKind::PreconditionFailed | S3ErrorKind::NoSuchUpload)
        );
        let known = !self.attributes.metadata.is_empty();
        if !of_a_write || !(known || error.kind == S3ErrorKind::NoSuchUpload && self.checksum.is_some()) {
            return false;
        }
        let Some(head) = client.head(object).await.ok().flatten() else { return false };
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
