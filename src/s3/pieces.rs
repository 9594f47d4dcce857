//! A large object in order, a piece at a time: in the memory of a few pieces, however large it is.

use std::sync::Arc;

use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};

use super::Store;
use super::checksum::{Proof, Stored};
use super::download::Download;
use super::error::{Kind, Operation, S3Error};
use super::object::{Head, ObjectRef};
use super::parts::PartPlan;

impl Store {
    /// The object as it was when `head` was seen, from its first byte to its last. Several requests run ahead of what is
    /// taken; what they bring is in memory. Where S3 has a checksum of the whole, an error of kind [`Kind::Corrupted`]
    /// comes at the end if these are not its bytes.
    pub fn pieces(&self, object: &ObjectRef, head: &Head) -> impl Stream<Item = Result<Bytes, S3Error>> + Send + use<> {
        let progress = self.progress.clone();
        self.parts_of(object, head, self.transfer.download_concurrency)
            .inspect_ok(move |piece| progress.add(piece.len() as u64))
    }

    /// The same, divided as an upload of the object is, and not told of; so many requests run ahead.
    pub(super) fn parts_of(
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
                source.on_its_own(async move { reading.read_range(part.range).await }).await
            }
        });
        let pieces = stream::iter(requests).buffered(ahead.max(1));
        let corrupted = S3Error::new(Operation::GetObject, object, Kind::Corrupted);
        let begin = (pieces, head.checksum.as_ref().and_then(Stored::proof), corrupted);
        stream::try_unfold(begin, |(mut pieces, mut proof, corrupted)| async move {
            match pieces.try_next().await? {
                Some(piece) => {
                    if let Some(proof) = &mut proof {
                        proof.update(&piece);
                    }
                    Ok(Some((piece, (pieces, proof, corrupted))))
                }
                None if proof.is_none_or(Proof::holds) => Ok(None),
                None => Err(corrupted),
            }
        })
    }
}
