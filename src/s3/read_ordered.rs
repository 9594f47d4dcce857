//! Ordered ranged download of a large object: yields its bytes from first to last, in the memory of a few parts.

use std::sync::Arc;

use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};

use super::checksum::{StoredChecksum, Verifier};
use super::client::Client;
use super::download::Download;
use super::error::{S3Error, S3ErrorKind};
use super::object::{Head, ObjectRef};
use super::operation::Operation;
use super::parts::PartPlan;

impl Client {
    /// Downloads the version of the object that `head` describes, first byte to last. Several requests run ahead of the
    /// consumer; their bytes are held in memory. If S3 has a checksum of the whole object and the bytes do not match
    /// it, the last item is an error of kind [`S3ErrorKind::Corrupted`].
    pub fn read_ordered(
        &self,
        object: &ObjectRef,
        head: &Head,
    ) -> impl Stream<Item = Result<Bytes, S3Error>> + Send + use<> {
        let progress = self.progress.clone();
        self.read_parts(object, head, self.transfer.download_concurrency)
            .inspect_ok(move |piece| progress.add(piece.len() as u64))
    }

    /// Downloads the object in the parts that an upload of it would have, with `ahead` requests at a time. Reports no
    /// progress.
    pub(super) fn read_parts(
        &self,
        object: &ObjectRef,
        head: &Head,
        ahead: usize,
    ) -> impl Stream<Item = Result<Bytes, S3Error>> + Send + use<> {
        let source = Arc::new(Download::new(self, object, head.clone(), ByteStream::default()));
        let plan = PartPlan::new(head.size, self.transfer.part_size);
        let requests = plan.into_iter().flat_map(PartPlan::parts).map(move |part| {
            let source = Arc::clone(&source);
            async move {
                let reading = Arc::clone(&source);
                source.in_own_task(async move { reading.read_range(part.range).await }).await
            }
        });
        let pieces = stream::iter(requests).buffered(ahead.max(1));
        let corrupted = S3Error::new(Operation::GetObject, object, S3ErrorKind::Corrupted);
        let begin = (pieces, head.checksum.as_ref().and_then(StoredChecksum::verifier), corrupted);
        stream::try_unfold(begin, |(mut pieces, mut verifier, corrupted)| async move {
            match pieces.try_next().await? {
                Some(piece) => {
                    if let Some(verifier) = &mut verifier {
                        verifier.update(&piece);
                    }
                    Ok(Some((piece, (pieces, verifier, corrupted))))
                }
                None if verifier.is_none_or(Verifier::verify) => Ok(None),
                None => Err(corrupted),
            }
        })
    }
}
