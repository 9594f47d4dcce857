//! Bytes that pass through here in bounded memory: a stream, whether its length is known or not, and a copy that S3 refuses
//! to make because no principal may both read the one and write the other.

use std::error::Error;
use std::pin::Pin;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::stream::Fuse;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};

use super::error::{Kind, Operation, S3Error};
use super::multipart::Upload;
use super::object::{Attributes, Condition, Head, ObjectRef};
use super::parts::{MAX_PARTS, PartPlan, growing};
use super::{SINGLE_REQUEST_LIMIT, Store};

impl Store {
    /// Stores what a stream brings: at once if it is small, else in parts, the first as soon as it is full. Takes the memory
    /// of as many parts as are in flight. Where its `length` is known, in bytes, the parts are even, and a stream of any
    /// other length stores nothing. Where it is not, what ends within a part's size is small, and behind the thousandth each
    /// part is a little longer than the one before it, so that 10,000 of them reach 5 TiB.
    ///
    /// # Errors
    /// [`S3Error`] as of [`Store::put`], the stream's own if it fails with one, else of kind [`Kind::Connection`] if it
    /// fails or has another length; nothing is stored then.
    pub async fn put_stream<S, E>(
        &self,
        to: &ObjectRef,
        body: S,
        length: Option<u64>,
        attributes: &Attributes,
        condition: &Condition,
    ) -> Result<(), S3Error>
    where
        S: Stream<Item = Result<Bytes, E>> + Send,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let part_size = self.transfer.part_size;
        let threshold = self.transfer.multipart_threshold.min(SINGLE_REQUEST_LIMIT);
        let too_large = || S3Error::new(Operation::CreateMultipartUpload, to, Kind::TooLarge);
        let plan = match length {
            Some(length) if length <= threshold => Some(PartPlan::at_once(length)),
            Some(length) => Some(PartPlan::new(length, part_size).ok_or_else(too_large)?),
            None => None,
        };
        let body = Box::pin(body.fuse());
        let mut cutter = Cutter { body, rest: Bytes::new(), number: 0, plan, part_size, to: to.clone() };
        let first = cutter.next().await?.map(|(_, bytes)| bytes).unwrap_or_default();
        if length.map_or((first.len() as u64) < growing(1, part_size), |length| length <= threshold) {
            cutter.next().await?;
            return self.put_at_once(to, first, attributes, condition).await;
        }
        let upload = Upload::create(self, to, attributes).await?;
        let further =
            stream::try_unfold(cutter, |mut cutter| async move { Ok(cutter.next().await?.map(|part| (part, cutter))) });
        let sending = &upload;
        let sent = stream::iter([Ok((1, first))])
            .chain(further)
            .map_ok(|(number, bytes)| async move {
                let length = bytes.len() as u64;
                Ok((sending.send(number, bytes).await?, length))
            })
            .try_buffer_unordered(self.transfer.concurrency.max(1))
            .try_collect::<Vec<_>>()
            .await;
        match sent {
            Ok(sent) => {
                let (parts, lengths): (Vec<_>, Vec<u64>) = sent.into_iter().unzip();
                upload.complete(parts, lengths.iter().sum(), None, attributes, condition).await.map(drop)
            }
            Err(error) => Err(upload.abort(error).await),
        }
    }

    /// Copies an object as it was when `head` was seen through here: part n of the upload is range n of the source, each
    /// repeated by itself. For where [`Store::copy`] is refused, and yet one side may be read and the other written. Takes
    /// the memory of as many parts as are in flight, coming and going.
    ///
    /// # Errors
    /// [`S3Error`]: of kind [`Kind::PreconditionFailed`] with the source's name if it is another one by now, with the
    /// destination's if `condition` does not hold; [`Kind::Corrupted`], with the source's name, if its checksum is not that
    /// of what came.
    pub async fn relay(
        &self,
        from: &ObjectRef,
        head: &Head,
        to: &ObjectRef,
        attributes: &Attributes,
        condition: &Condition,
    ) -> Result<(), S3Error> {
        if head.size <= self.transfer.multipart_threshold {
            let body = self.get(from, Some(&head.etag)).await?.read_all().await?;
            return self.put_at_once(to, body, attributes, condition).await;
        }
        // What is sent takes longer than what is read: few parts need to be read ahead, and each takes memory.
        let parts = self.parts_of(from, head, self.transfer.download_concurrency / 4);
        self.put_stream(to, parts, Some(head.size), attributes, condition).await
    }
}

/// Cuts a stream into the parts of an upload.
struct Cutter<S> {
    body: Pin<Box<Fuse<S>>>,
    /// Of the last chunk, what its part had no room for.
    rest: Bytes,
    /// Of the last part.
    number: u16,
    /// Where the length is known.
    plan: Option<PartPlan>,
    part_size: u64,
    to: ObjectRef,
}

impl<S, E> Cutter<S>
where
    S: Stream<Item = Result<Bytes, E>>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    /// The next part; only the last one is short.
    async fn next(&mut self) -> Result<Option<(u16, Bytes)>, S3Error> {
        let number = self.number + 1;
        let length = self.plan.map_or_else(|| growing(number, self.part_size), |plan| plan.length(number));
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let part = self.take(number, length).await?;
        if self.plan.is_some() && part.len() < length {
            return Err(self.broken_off().saying("what was to be written is shorter than it was said to be"));
        }
        if length == 0 && (!self.rest.is_empty() || self.more().await?) {
            return Err(self.broken_off().saying("what was to be written is longer than it was said to be"));
        }
        if part.is_empty() {
            return Ok(None);
        }
        if u64::from(number) > MAX_PARTS {
            return Err(S3Error::new(Operation::UploadPart, &self.to, Kind::TooLarge));
        }
        self.number = number;
        Ok(Some((number, part)))
    }

    /// So many bytes, or as many as there are.
    async fn take(&mut self, number: u16, length: usize) -> Result<Bytes, S3Error> {
        // What is small is no part, and should not take the memory of one.
        let mut part = if number == 1 { BytesMut::new() } else { BytesMut::with_capacity(length) };
        while part.len() < length && (!self.rest.is_empty() || self.more().await?) {
            if part.is_empty() && self.rest.len() >= length {
                return Ok(self.rest.split_to(length));
            }
            let taken = self.rest.len().min(length - part.len());
            part.extend_from_slice(&self.rest[..taken]);
            self.rest.advance(taken);
        }
        Ok(part.freeze())
    }

    /// Waits for the next bytes; whether there are any.
    async fn more(&mut self) -> Result<bool, S3Error> {
        while self.rest.is_empty() {
            match self.body.next().await {
                Some(Ok(chunk)) => self.rest = chunk,
                Some(Err(cause)) => {
                    let cause: Box<dyn Error + Send + Sync> = cause.into();
                    return Err(match cause.downcast::<S3Error>() {
                        Ok(error) => *error,
                        Err(cause) => {
                            let why = format!("what was to be written broke off: {cause}");
                            self.broken_off().saying(why).caused_by(cause)
                        }
                    });
                }
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    fn broken_off(&self) -> S3Error {
        S3Error::new(Operation::UploadPart, &self.to, Kind::Connection)
    }
}
