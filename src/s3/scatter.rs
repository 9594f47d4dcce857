//! A large object in no order: no byte waits for those before it.

use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::sync::Arc;

use aws_sdk_s3::primitives::ByteStream;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::Store;
use super::checksum::{PartProof, Stored};
use super::download::Download;
use super::error::{Kind, S3Error};
use super::object::{Head, ObjectRef};
use super::parts::PartPlan;

/// Bytes that are gathered for one write: what the socket has at a time is less, and a write costs a file system more than the
/// copy.
const WRITTEN_AT_ONCE: usize = 256 << 10;

/// Why not every byte is in its place.
#[derive(Debug, thiserror::Error)]
pub enum ScatterError {
    #[error(transparent)]
    S3(#[from] S3Error),
    /// Of the place itself.
    #[error(transparent)]
    Place(#[from] io::Error),
}

impl Store {
    /// Brings the object as it was when `head` was seen, by several requests at once, each to a writer of its own, which
    /// `open` gives for its offset in bytes. Verifies the checksum where S3 has a CRC of the whole; any other, such as a
    /// SHA-256, takes bytes in order only ([`Store::pieces`]).
    ///
    /// # Errors
    /// [`ScatterError`]; by then any of the bytes may be in their places.
    pub async fn scatter<O, W>(&self, object: &ObjectRef, head: &Head, open: O) -> Result<(), ScatterError>
    where
        O: Fn(u64) -> io::Result<W> + Send + Sync + 'static,
        W: Write + Send + 'static,
    {
        let source = Arc::new(Download::new(self, object, head.clone(), ByteStream::default()));
        let (open, proof) = (Arc::new(open), head.checksum.as_ref().and_then(Stored::proof_by_parts));
        let plan = PartPlan::new(head.size, self.transfer.part_size);
        let ranges = plan.into_iter().flat_map(PartPlan::parts).map(|part| part.range);
        let done = stream::iter(ranges).map(|range| {
            let (source, open, progress) = (Arc::clone(&source), Arc::clone(&open), self.progress.clone());
            let mut sum = proof.as_ref().map(PartProof::begin);
            async move {
                let start = range.start;
                let reading = Arc::clone(&source);
                let work = async move {
                    let mut place = BufWriter::with_capacity(WRITTEN_AT_ONCE, open(start)?);
                    let put = |chunk: &[u8]| {
                        if let Some(sum) = &mut sum {
                            sum.update(chunk);
                        }
                        place.write_all(chunk)?;
                        progress.add(chunk.len() as u64);
                        Ok(())
                    };
                    reading.scatter_range(range, put).await?;
                    place.flush()?;
                    Ok::<_, ScatterError>((start, sum))
                };
                source.on_its_own(work).await
            }
        });
        let mut sums: Vec<_> = done.buffer_unordered(self.transfer.download_concurrency.max(1)).try_collect().await?;
        sums.sort_unstable_by_key(|(start, _)| *start);
        let sums = sums.into_iter().filter_map(|(_, sum)| sum);
        if proof.is_some_and(|proof| !proof.holds(sums)) {
            return Err(source.error(Kind::Corrupted).into());
        }
        Ok(())
    }
}

impl Download {
    /// What breaks off is asked for again from there.
    async fn scatter_range(
        &self,
        range: Range<u64>,
        mut put: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), ScatterError> {
        let (mut at, mut repeats) = (range.start, self.repeats);
        let mut body = self.ask(range.clone()).await?;
        while at < range.end {
            let cause = match body.try_next().await {
                Ok(Some(chunk)) => {
                    let left = usize::try_from(range.end - at).unwrap_or(usize::MAX);
                    let chunk = &chunk[..chunk.len().min(left)];
                    put(chunk)?;
                    at += chunk.len() as u64;
                    continue;
                }
                Ok(None) => None,
                Err(cause) => Some(cause),
            };
            body = self.ask_again(at..range.end, &mut repeats, cause).await?;
        }
        Ok(())
    }
}
