//! Bringing an object here: one request begins it, several end it where it is large, all into one buffer.
//!
//! The first request asks for the whole object, since its answer tells size and checksum at once, and a store answers no
//! range of what is empty. It is read from the front; ranges are asked for from the back; where they meet, all is there.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::primitives::{ByteStream, ByteStreamError};
use bytes::{Buf, Bytes, BytesMut};
use futures_util::future::{try_join, try_join_all};
use tokio::task::JoinSet;

use super::Store;
use super::error::{Kind, Operation, S3Error};
use super::object::{Head, ObjectRef};
use super::parts::PartPlan;

/// Smaller objects are checked where they are, without a thread that may wait.
const CHECKED_AT_ONCE: usize = 1 << 20;

/// An object on its way. Dropped early, it costs what has come so far.
#[derive(Debug)]
pub struct Download {
    pub head: Head,
    store: Store,
    object: ObjectRef,
    body: Body,
    /// The SDK repeats requests, and not what breaks off once their answer has begun.
    pub(super) repeats: u32,
}

/// What an answer still has to give.
#[derive(Debug, Default)]
struct Body {
    /// What came, and was not used yet.
    ready: BytesMut,
    stream: ByteStream,
    /// Where in the object it ends.
    end: u64,
}

/// A stretch of the object, and its own stretch of the one buffer.
#[derive(Debug)]
struct Piece {
    range: Range<u64>,
    buffer: BytesMut,
}

impl Download {
    pub(super) fn new(store: &Store, object: &ObjectRef, head: Head, stream: ByteStream) -> Self {
        let attempts = store.source.config().retry_config().map_or(1, RetryConfig::max_attempts);
        let body = Body { ready: BytesMut::new(), stream, end: head.size };
        Self { head, store: store.clone(), object: object.clone(), body, repeats: attempts.saturating_sub(1) }
    }

    /// The first `n` bytes, or as many as there are.
    ///
    /// # Errors
    /// [`S3Error`] if they do not come, as for [`Download::read_all`].
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

    /// The whole object, in one buffer of its size, its length and (where S3 has one) its checksum verified: up to the
    /// multipart threshold in one request, above it in several at once.
    ///
    /// # Errors
    /// [`S3Error`]: of kind [`Kind::Truncated`] if a body ends early time and again, [`Kind::Corrupted`] if the checksum is
    /// wrong, [`Kind::TooLarge`] if there is no memory for it; of any kind that [`Store::get`] knows, for what broke off is
    /// asked for again, and a part of a large object for itself.
    pub async fn read_all(mut self) -> Result<Bytes, S3Error> {
        let buffer = self.allocate()?;
        let pieces = Mutex::new(divide(buffer, self.ranges()));
        let body = std::mem::take(&mut self.body);
        let others = (1..self.store.transfer.download_concurrency).map(|_| self.back(&pieces));
        let (front, back) = try_join(self.front(&pieces, body), try_join_all(others)).await?;
        self.verified(unite(front.into_iter().chain(back.into_iter().flatten()).collect())).await
    }

    /// Some of its bytes, asked for by themselves.
    pub(super) async fn read_range(&self, range: Range<u64>) -> Result<Bytes, S3Error> {
        let length = usize::try_from(range.end - range.start).map_err(|_| self.error(Kind::TooLarge))?;
        let piece = Piece { range, buffer: BytesMut::with_capacity(length) };
        Ok(self.fill(piece, None).await?.0.buffer.freeze())
    }

    /// By a task, which goes on while nobody waits for it, and ends when this is dropped.
    pub(super) async fn on_its_own<T, E>(
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
            Some(Err(lost)) => Err(self.error(Kind::Connection).caused_by(lost).into()),
            None => Err(self.error(Kind::Connection).into()),
        }
    }

    /// A large object may be more than there is memory, and the system then says no, where it can.
    fn allocate(&self) -> Result<BytesMut, S3Error> {
        let size = usize::try_from(self.head.size).map_err(|_| self.error(Kind::TooLarge))?;
        // BytesMut itself could but abort.
        Vec::<u8>::new().try_reserve_exact(size).map_err(|_| self.error(Kind::TooLarge))?;
        Ok(BytesMut::with_capacity(size))
    }

    fn ranges(&self) -> Vec<Range<u64>> {
        let transfer = &self.store.transfer;
        let in_parts = self.head.size > transfer.multipart_threshold && transfer.download_concurrency > 1;
        match PartPlan::new(self.head.size, transfer.part_size) {
            Some(plan) if in_parts => plan.parts().map(|part| part.range).collect(),
            _ => std::iter::once(0..self.head.size).collect(),
        }
    }

    async fn front(&self, pieces: &Mutex<VecDeque<Piece>>, body: Body) -> Result<Vec<Piece>, S3Error> {
        let (mut done, mut body) = (Vec::new(), Some(body));
        while let Some(piece) = next(pieces, VecDeque::pop_front) {
            let (piece, rest) = self.fill(piece, body.take()).await?;
            done.push(piece);
            body = Some(rest);
        }
        Ok(done)
    }

    async fn back(&self, pieces: &Mutex<VecDeque<Piece>>) -> Result<Vec<Piece>, S3Error> {
        let mut done = Vec::new();
        while let Some(piece) = next(pieces, VecDeque::pop_back) {
            done.push(self.fill(piece, None).await?.0);
        }
        Ok(done)
    }

    /// Out of `body`, which begins with the piece; else, and where that breaks off, by a request for what is missing.
    async fn fill(&self, mut piece: Piece, body: Option<Body>) -> Result<(Piece, Body), S3Error> {
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
        // On the heap: a request is large, and there are several in one future.
        Box::pin(self.store.get_range(&self.object, &self.head.etag, range)).await
    }

    pub(super) async fn ask_again(
        &self,
        missing: Range<u64>,
        repeats: &mut u32,
        cause: Cause,
    ) -> Result<ByteStream, S3Error> {
        if *repeats == 0 {
            let kind = Kind::Truncated { expected: self.head.size, got: missing.start };
            let error = self.error(kind);
            return Err(match cause {
                Some(cause) => error.caused_by(cause),
                None => error,
            });
        }
        *repeats -= 1;
        self.ask(missing).await
    }

    async fn verified(&self, bytes: Bytes) -> Result<Bytes, S3Error> {
        let Some(stored) = self.head.checksum.clone() else { return Ok(bytes) };
        let data = bytes.clone();
        let proof = if data.len() <= CHECKED_AT_ONCE {
            stored.proves(&data)
        } else {
            let work = tokio::task::spawn_blocking(move || stored.proves(&data));
            work.await.map_err(|lost| self.error(Kind::Corrupted).caused_by(lost))?
        };
        if proof == Some(false) { Err(self.error(Kind::Corrupted)) } else { Ok(bytes) }
    }

    pub(super) fn error(&self, kind: Kind) -> S3Error {
        S3Error::new(Operation::GetObject, &self.object, kind)
    }
}

/// Why a body ended early, where it said so.
pub(super) type Cause = Option<ByteStreamError>;

impl Body {
    fn of(stream: ByteStream, end: u64) -> Self {
        Self { ready: BytesMut::new(), stream, end }
    }

    async fn read_more(&mut self) -> Result<(), Cause> {
        match self.stream.try_next().await {
            Ok(Some(chunk)) if self.ready.is_empty() => self.ready = BytesMut::from(chunk),
            Ok(Some(chunk)) => self.ready.extend_from_slice(&chunk),
            Ok(None) => return Err(None),
            Err(cause) => return Err(Some(cause)),
        }
        Ok(())
    }
}

impl Piece {
    /// What is still to come.
    fn missing(&self) -> Range<u64> {
        self.range.start + self.buffer.len() as u64..self.range.end
    }

    async fn take_from(&mut self, body: &mut Body) -> Result<(), Cause> {
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

fn next(pieces: &Mutex<VecDeque<Piece>>, pop: fn(&mut VecDeque<Piece>) -> Option<Piece>) -> Option<Piece> {
    pop(&mut pieces.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Stretches of the one buffer, which they are until [`unite`] joins them, without a byte being moved.
fn divide(mut buffer: BytesMut, ranges: Vec<Range<u64>>) -> VecDeque<Piece> {
    let mut pieces: VecDeque<Piece> = ranges
        .into_iter()
        .rev()
        .map(|range| Piece { buffer: buffer.split_off(usize::try_from(range.start).unwrap_or(usize::MAX)), range })
        .collect();
    pieces.make_contiguous().reverse();
    pieces
}

fn unite(mut pieces: Vec<Piece>) -> Bytes {
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
    fn pieces_are_filled_in_place() {
        let buffer = BytesMut::with_capacity(10);
        let place = buffer.as_ptr();
        let mut pieces: Vec<Piece> = divide(buffer, vec![0..4, 4..7, 7..10]).into();
        pieces.reverse();
        for Piece { range, buffer } in &mut pieces {
            let bytes: Vec<u8> = range.clone().map(|n| n as u8).collect();
            buffer.extend_from_slice(&bytes);
        }
        let whole = unite(pieces);
        assert_eq!(whole[..], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(whole.as_ptr(), place, "nothing was moved");
    }
}
