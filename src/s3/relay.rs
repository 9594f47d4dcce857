//! Copies an object through this process, for when no principal may both read the source and write the destination.

use super::error::S3Error;
use super::object::{Attributes, Condition, Head, ObjectRef};
use super::pair::Pair;

impl Pair {
    /// Copies the version that `head` describes through this process: part n of the upload is range n of the source,
    /// and each part is retried by itself. For use where [`Pair::copy`] is refused, although one side may be read and
    /// the other written. Needs the memory of the parts in flight on both sides.
    ///
    /// # Errors
    /// [`S3Error`]: kind [`PreconditionFailed`](super::S3ErrorKind::PreconditionFailed) with the source's name if the
    /// source has changed, with the destination's name if `condition` does not hold;
    /// [`Corrupted`](super::S3ErrorKind::Corrupted) with the source's name if the bytes do not match its checksum.
    pub async fn relay(
        &self,
        from: &ObjectRef,
        head: &Head,
        to: &ObjectRef,
        attributes: &Attributes,
        condition: &Condition,
    ) -> Result<(), S3Error> {
        let Self { source, destination, .. } = self;
        if head.size <= destination.transfer.multipart_threshold {
            let body = source.get(from, Some(&head.etag)).await?.read_all().await?;
            return destination.put_object(to, body, attributes, condition).await;
        }
        // Sending takes longer than reading: few parts need to be read ahead, and each takes memory.
        let parts = source.read_parts(from, head, source.transfer.download_concurrency / 4);
        destination.put_stream(to, parts, Some(head.size), attributes, condition).await
    }
}
