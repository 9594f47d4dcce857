//! A large object in order, a piece at a time: in the memory of a few pieces, however large it is.

use std::sync::Arc;

use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};

use super::Store;
use super::download::Download;
use super::error::S3Error;
use super::object::{Head, ObjectRef};

impl Store {
    /// The object as it was when `head` was seen, from its first byte to its last. Several requests run ahead of what is
    /// taken; what they bring is in memory.
    pub fn pieces(&self, object: &ObjectRef, head: &Head) -> impl Stream<Item = Result<Bytes, S3Error>> + Send + use<> {
        let source = Arc::new(Download::new(self, object, head.clone(), ByteStream::default()));
        let progress = self.progress.clone();
        let (size, step) = (head.size, self.transfer.part_size.max(1));
        let ranges = (0..size.div_ceil(step)).map(move |n| n * step..size.min((n + 1) * step));
        let requests = ranges.map(move |range| {
            let (source, progress) = (Arc::clone(&source), progress.clone());
            async move {
                let piece = source.read_range(range).await?;
                progress.add(piece.len() as u64);
                Ok(piece)
            }
        });
        stream::iter(requests).buffered(self.transfer.download_concurrency.max(1))
    }
}
