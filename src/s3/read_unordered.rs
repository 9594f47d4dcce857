//! Unordered ranged download of a large object: no byte waits for those before it.

use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::sync::Arc;

use aws_sdk_s3::primitives::ByteStream;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::checksum::{PartsVerifier, StoredChecksum};
use super::client::Client;
use super::download::Download;
use super::error::{S3Error, S3ErrorKind};
use super::object::{Head, ObjectRef};
use super::parts::PartPlan;

/// Bytes buffered for one write: a socket yields less at a time, and a write costs the file system more than the copy.
const WRITE_BUFFER: usize = 256 << 10;

/// Why an unordered download failed.
#[derive(Debug, thiserror::Error)]
pub enum UnorderedReadError {
    #[error(transparent)]
    S3(#[from] S3Error),
    /// The writer failed.
    #[error(transparent)]
    Write(#[from] io::Error),
}

impl Client {
    /// Downloads the version of the object that `head` describes by several concurrent requests. Each writes to a
    /// writer of its own, which `open` returns for an offset in bytes. Verifies the checksum if S3 has a CRC of the
    /// whole object. Other checksums, such as SHA-256, need the bytes in order ([`Client::read_ordered`]).
    ///
    /// # Errors
    /// [`UnorderedReadError`]; any part of the bytes may have been written by then.
    pub async fn read_unordered<O, W>(&self, object: &ObjectRef, head: &Head, open: O) -> Result<(), UnorderedReadError>
    where
        O: Fn(u64) -> io::Result<W> + Send + Sync + 'static,
        W: Write + Send + 'static,
    {
        let source = Arc::new(Download::new(self, object, head.clone(), ByteStream::default()));
        let (open, verifier) = (Arc::new(open), head.checksum.as_ref().and_then(StoredChecksum::parts_verifier));
        let plan = PartPlan::new(head.size, self.transfer.part_size);
        let ranges = plan.into_iter().flat_map(PartPlan::parts).map(|part| part.range);
        let done = stream::iter(ranges).map(|range| {
            let (source, open, progress) = (Arc::clone(&source), Arc::clone(&open), self.progress.clone());
            let mut sum = verifier.as_ref().map(PartsVerifier::begin);
            async move {
                let start = range.start;
                let reading = Arc::clone(&source);
                let work = async move {
                    let mut place = BufWriter::with_capacity(WRITE_BUFFER, open(start)?);
                    let put = |chunk: &[u8]| {
                        if let Some(sum) = &mut sum {
                            sum.update(chunk);
                        }
                        place.write_all(chunk)?;
                        progress.add(chunk.len() as u64);
                        Ok(())
                    };
                    reading.read_range_into(range, put).await?;
                    place.flush()?;
                    Ok::<_, UnorderedReadError>((start, sum))
                };
                source.in_own_task(work).await
            }
        });
        let mut sums: Vec<_> = done.buffer_unordered(self.transfer.download_concurrency.max(1)).try_collect().await?;
        sums.sort_unstable_by_key(|(start, _)| *start);
        let sums = sums.into_iter().filter_map(|(_, sum)| sum);
        if verifier.is_some_and(|verifier| !verifier.verify(sums)) {
            return Err(source.error(S3ErrorKind::Corrupted).into());
        }
        Ok(())
    }
}

impl Download {
    /// Reads a range into `put`. Requests the rest again if the body breaks off.
    async fn read_range_into(
        &self,
        range: Range<u64>,
        mut put: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), UnorderedReadError> {
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
