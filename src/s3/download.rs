//! Downloads an object into one buffer: one request begins it; large objects take several.
//!
//! The first request asks for the whole object, since its response has size and checksum, and S3 refuses a range of an
//! empty object. Its body is read from the front; ranges are requested from the back until both meet.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::primitives::{ByteStream, ByteStreamError};
use bytes::{Buf, Bytes, BytesMut};
use futures_util::future::{try_join, try_join_all};
use tokio::task::JoinSet;

use super::client::Client;
use super::error::{S3Error, S3ErrorKind};
use super::object::{ETag, Head, ObjectRef};
use super::operation::Operation;
use super::parts::PartPlan;

/// Objects up to this size are verified on the current thread, without waiting for another one.
const VERIFIED_INLINE: usize = 1 << 20;

/// An object being downloaded. Dropped early, it costs only what has arrived.
#[derive(Debug)]
pub struct Download {
    pub head: Head,
    client: Client,
    object: ObjectRef,
    body: Body,
    /// Retries of bodies that break off: the SDK retries only requests.
    pub(super) repeats: u32,
}

/// Rest of a response body.
#[derive(Debug, Default)]
struct Body {
    /// Bytes received but not consumed.
    ready: BytesMut,
    stream: ByteStream,
    /// Offset in the object at which the body ends.
    end: u64,
}

/// A byte range of the object, and its part of the buffer.
#[derive(Debug)]
struct Segment {
    range: Range<u64>,
    buffer: BytesMut,
}

impl Client {
    /// Begins to read an object; [`Download`] yields its bytes. With `if_match`, only that version.
    ///
    /// # Errors
    /// [`S3Error`]: kind [`S3ErrorKind::PreconditionFailed`] if the object has changed, [`S3ErrorKind::NotFound`] if it
    /// is gone.
    pub async fn get(&self, object: &ObjectRef, if_match: Option<&ETag>) -> Result<Download, S3Error> {
        let (head, body) = self.get_object(object, if_match).await?;
        Ok(Download::new(self, object, head, body))
    }
}

impl Download {
    pub(super) fn new(client: &Client, object: &ObjectRef, head: Head, stream: ByteStream) -> Self {
        let attempts = client.sdk.config().retry_config().map_or(1, RetryConfig::max_attempts);
        let body = Body { ready: BytesMut::new(), stream, end: head.size };
        Self { head, client: client.clone(), object: object.clone(), body, repeats: attempts.saturating_sub(1) }
    }

    /// Returns the first `n` bytes, or fewer if the object is smaller.
    ///
    /// # Errors
    /// [`S3Error`] if they do not arrive, as for [`Download::read_all`].
    pub async fn peek(&mut self, n: usize) -> Result<&[u8], S3Error> {
        let wanted = n.min(usize::try_from(self.head.size).unwrap_or(n));
        let mut repeats = self.repeats;
        while self.body.ready.len() < wanted {
            if let Err(cause) = self.body.read_more().await {
                let got = self.body.ready.len() as u64;
                self.body.stream = self.ask_again(got..self.head.size, &mut repeats, cause).await?;
            }
        }
        Ok(&self.body.ready[..wanted])
    }

    /// Returns the whole object in one buffer of its size. Verifies the length and, if S3 has one, the checksum. Takes
    /// one request up to the multipart threshold, several concurrent requests above. A body that breaks off is
    /// requested again, a range of a large object by itself.
    ///
    /// # Errors
    /// [`S3Error`] as for [`Client::get`], and: kind [`S3ErrorKind::Truncated`] if a body ends early in every attempt,
    /// [`S3ErrorKind::Corrupted`] if the checksum does not match, [`S3ErrorKind::TooLarge`] if there is not enough
    /// memory.
    pub async fn read_all(mut self) -> Result<Bytes, S3Error> {
        let buffer = self.allocate()?;
        let pieces = Mutex::new(split_buffer(buffer, self.ranges()));
        let body = std::mem::take(&mut self.body);
        let others = (1..self.client.transfer.download_concurrency).map(|_| self.read_from_back(&pieces));
        let (front, back) = try_join(self.read_from_front(&pieces, body), try_join_all(others)).await?;
        self.verify(join_segments(front.into_iter().chain(back.into_iter().flatten()).collect())).await
    }

    /// Reads a byte range by a request of its own.
    pub(super) async fn read_range(&self, range: Range<u64>) -> Result<Bytes, S3Error> {
        let length = usize::try_from(range.end - range.start).map_err(|_| self.error(S3ErrorKind::TooLarge))?;
        let piece = Segment { range, buffer: BytesMut::with_capacity(length) };
        Ok(self.fill(piece, None).await?.0.buffer.freeze())
    }

    /// Runs `work` in a task, which makes progress while nobody polls this future, and is aborted when it is dropped.
    pub(super) async fn in_own_task<T, E>(
        &self,
        work: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<S3Error> + Send + 'static,
    {
        let mut task = JoinSet::new();
        task.spawn(work);
        match task.join_next().await {
            Some(Ok(done)) => done,
            Some(Err(lost)) => Err(self.error(S3ErrorKind::Connection).with_source(lost).into()),
            None => Err(self.error(S3ErrorKind::Connection).into()),
        }
    }

    /// Allocates the buffer. A large object may exceed the memory; the system then refuses, if it can.
    fn allocate(&self) -> Result<BytesMut, S3Error> {
        let size = usize::try_from(self.head.size).map_err(|_| self.error(S3ErrorKind::TooLarge))?;
        // BytesMut would abort the process.
        Vec::<u8>::new().try_reserve_exact(size).map_err(|_| self.error(S3ErrorKind::TooLarge))?;
        Ok(BytesMut::with_capacity(size))
    }

    fn ranges(&self) -> Vec<Range<u64>> {
        let transfer = &self.client.transfer;
        let in_parts = self.head.size > transfer.multipart_threshold && transfer.download_concurrency > 1;
        match PartPlan::new(self.head.size, transfer.part_size) {
            Some(plan) if in_parts => plan.parts().map(|part| part.range).collect(),
            _ => std::iter::once(0..self.head.size).collect(),
        }
    }

    async fn read_from_front(&self, pieces: &Mutex<VecDeque<Segment>>, body: Body) -> Result<Vec<Segment>, S3Error> {
        let (mut done, mut body) = (Vec::new(), Some(body));
        while let Some(piece) = next(pieces, VecDeque::pop_front) {
            let (piece, rest) = self.fill(piece, body.take()).await?;
            done.push(piece);
            body = Some(rest);
        }
        Ok(done)
    }

    async fn read_from_back(&self, pieces: &Mutex<VecDeque<Segment>>) -> Result<Vec<Segment>, S3Error> {
        let mut done = Vec::new();
        while let Some(piece) = next(pieces, VecDeque::pop_back) {
            done.push(self.fill(piece, None).await?.0);
        }
        Ok(done)
    }

    /// Fills the segment from `body`, which starts at the segment. Without a body, or if it breaks off, requests what
    /// is missing.
    async fn fill(&self, mut piece: Segment, body: Option<Body>) -> Result<(Segment, Body), S3Error> {
        let mut repeats = self.repeats;
        let mut body = match body {
            Some(body) => body,
            None => Body::of(self.ask(piece.missing()).await?, piece.range.end),
        };
        while let Err(cause) = piece.take_from(&mut body).await {
            let missing = piece.missing().start..body.end;
            body = Body::of(self.ask_again(missing, &mut repeats, cause).await?, body.end);
        }
        Ok((piece, body))
    }

    pub(super) async fn ask(&self, range: Range<u64>) -> Result<ByteStream, S3Error> {
        // Boxed: a request is large, and one future holds several.
        Box::pin(self.client.get_range(&self.object, &self.head.etag, range)).await
    }

    pub(super) async fn ask_again(
        &self,
        missing: Range<u64>,
        repeats: &mut u32,
        cause: BodyError,
    ) -> Result<ByteStream, S3Error> {
        if *repeats == 0 {
            let kind = S3ErrorKind::Truncated { expected: self.head.size, got: missing.start };
            let error = self.error(kind);
            return Err(match cause {
                Some(cause) => error.with_source(cause),
                None => error,
            });
        }
        *repeats -= 1;
        self.ask(missing).await
    }

    async fn verify(&self, bytes: Bytes) -> Result<Bytes, S3Error> {
        let Some(stored) = self.head.checksum.clone() else { return Ok(bytes) };
        let data = bytes.clone();
        let verifier = if data.len() <= VERIFIED_INLINE {
            stored.verify_bytes(&data)
        } else {
            let work = tokio::task::spawn_blocking(move || stored.verify_bytes(&data));
            work.await.map_err(|lost| self.error(S3ErrorKind::Corrupted).with_source(lost))?
        };
        if verifier == Some(false) { Err(self.error(S3ErrorKind::Corrupted)) } else { Ok(bytes) }
    }

    pub(super) fn error(&self, kind: S3ErrorKind) -> S3Error {
        S3Error::new(Operation::GetObject, &self.object, kind)
    }
}

/// Error with which a body broke off, if it gave one.
pub(super) type BodyError = Option<ByteStreamError>;

impl Body {
    fn of(stream: ByteStream, end: u64) -> Self {
        Self { ready: BytesMut::new(), stream, end }
    }

    async fn read_more(&mut self) -> Result<(), BodyError> {
        match self.stream.try_next().await {
            Ok(Some(chunk)) if self.ready.is_empty() => self.ready = BytesMut::from(chunk),
            Ok(Some(chunk)) => self.ready.extend_from_slice(&chunk),
            Ok(None) => return Err(None),
            Err(cause) => return Err(Some(cause)),
        }
        Ok(())
    }
}

impl Segment {
    /// Byte range that is still missing.
    fn missing(&self) -> Range<u64> {
        self.range.start + self.buffer.len() as u64..self.range.end
    }

    async fn take_from(&mut self, body: &mut Body) -> Result<(), BodyError> {
        loop {
            let missing = self.missing();
            let left = usize::try_from(missing.end - missing.start).unwrap_or(usize::MAX);
            let taken = left.min(body.ready.len());
            self.buffer.extend_from_slice(&body.ready[..taken]);
            body.ready.advance(taken);
            if taken == left {
                return Ok(());
            }
            body.read_more().await?;
        }
    }
}

fn next(pieces: &Mutex<VecDeque<Segment>>, pop: fn(&mut VecDeque<Segment>) -> Option<Segment>) -> Option<Segment> {
    pop(&mut pieces.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Splits one buffer into segments; [`join_segments`] joins them again without moving a byte.
fn split_buffer(mut buffer: BytesMut, ranges: Vec<Range<u64>>) -> VecDeque<Segment> {
    let mut pieces: VecDeque<Segment> = ranges
        .into_iter()
        .rev()
        .map(|range| Segment { buffer: buffer.split_off(usize::try_from(range.start).unwrap_or(usize::MAX)), range })
        .collect();
    pieces.make_contiguous().reverse();
    pieces
}

fn join_segments(mut pieces: Vec<Segment>) -> Bytes {
    pieces.sort_unstable_by_key(|piece| piece.range.start);
    let mut whole = BytesMut::new();
    for piece in pieces {
        whole.unsplit(piece.buffer);
    }
    whole.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_join_without_moving_bytes() {
        let buffer = BytesMut::with_capacity(10);
        let place = buffer.as_ptr();
        let mut pieces: Vec<Segment> = split_buffer(buffer, vec![0..4, 4..7, 7..10]).into();
        pieces.reverse();
        for Segment { range, buffer } in &mut pieces {
            let bytes: Vec<u8> = range.clone().map(|n| n as u8).collect();
            buffer.extend_from_slice(&bytes);
        }
        let whole = join_segments(pieces);
        assert_eq!(whole[..], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(whole.as_ptr(), place, "nothing was moved");
    }
}
