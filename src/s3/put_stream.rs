//! Writes bytes that are in memory, or a stream in bounded memory: by one PUT, or in parts.

use std::error::Error;
use std::pin::Pin;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::stream::Fuse;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};

use super::client::Client;
use super::error::{S3Error, S3ErrorKind};
use super::multipart::Upload;
use super::object::{Attributes, Condition, ObjectRef};
use super::operation::Operation;
use super::parts::{MAX_PARTS, PartPlan, SINGLE_REQUEST_LIMIT, growing_part};

impl Client {
    /// Stores an object, or leaves the previous one in place: by one request up to the multipart threshold, in parts
    /// above.
    ///
    /// # Errors
    /// [`S3Error`]: kind [`PreconditionFailed`](super::S3ErrorKind::PreconditionFailed) if `condition` does not hold,
    /// [`Conflict`](super::S3ErrorKind::Conflict) if another write was in progress.
    pub async fn put(
        &self,
        object: &ObjectRef,
        body: Bytes,
        attributes: &Attributes,
        condition: &Condition,
    ) -> Result<(), S3Error> {
        let length = body.len() as u64;
        // One chunk; splitting it moves no byte.
        let whole = stream::iter([Ok::<_, S3Error>(body)]);
        self.put_stream(object, whole, Some(length), attributes, condition).await
    }

    /// Uploads a stream: by one PUT if it is small, else in parts, the first as soon as it is full. Needs the memory of
    /// the parts in flight.
    ///
    /// Known `length` (bytes): the parts are equal, and a stream of another length stores nothing. Unknown length:
    /// below one part size this is a single PUT; above, parts grow after part 1,000, so that 10,000 parts hold 5 TiB.
    ///
    /// # Errors
    /// [`S3Error`] as for [`Client::put`]. If the stream fails: its own [`S3Error`], else kind
    /// [`S3ErrorKind::Connection`], which also reports a wrong length. Nothing is stored then.
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
        let too_large = || S3Error::new(Operation::CreateMultipartUpload, to, S3ErrorKind::TooLarge);
        let plan = match length {
            Some(length) if length <= threshold => Some(PartPlan::single(length)),
            Some(length) => Some(PartPlan::new(length, part_size).ok_or_else(too_large)?),
            None => None,
        };
        let body = Box::pin(body.fuse());
        let mut cutter = PartCutter { body, rest: Bytes::new(), number: 0, plan, part_size, to: to.clone() };
        let first = cutter.next().await?.map(|(_, bytes)| bytes).unwrap_or_default();
        if length.map_or((first.len() as u64) < growing_part(1, part_size), |length| length <= threshold) {
            cutter.next().await?;
            return self.put_object(to, first, attributes, condition).await;
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
}

/// Cuts a stream into the parts of an upload.
struct PartCutter<S> {
    body: Pin<Box<Fuse<S>>>,
    /// Rest of the last chunk that did not fit into its part.
    rest: Bytes,
    /// Number of the last part.
    number: u16,
    /// Set if the length is known.
    plan: Option<PartPlan>,
    part_size: u64,
    to: ObjectRef,
}

impl<S, E> PartCutter<S>
where
    S: Stream<Item = Result<Bytes, E>>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    /// Returns the next part. Only the last one is short.
    async fn next(&mut self) -> Result<Option<(u16, Bytes)>, S3Error> {
        let number = self.number + 1;
        let length = self.plan.map_or_else(|| growing_part(number, self.part_size), |plan| plan.length(number));
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let part = self.take(number, length).await?;
        if self.plan.is_some() && part.len() < length {
            return Err(self.stream_error().with_message("the data is shorter than its stated length"));
        }
        if length == 0 && (!self.rest.is_empty() || self.more().await?) {
            return Err(self.stream_error().with_message("the data is longer than its stated length"));
        }
        if part.is_empty() {
            return Ok(None);
        }
        if u64::from(number) > MAX_PARTS {
            return Err(S3Error::new(Operation::UploadPart, &self.to, S3ErrorKind::TooLarge));
        }
        self.number = number;
        Ok(Some((number, part)))
    }

    /// Returns `length` bytes, or fewer at the end of the stream.
    async fn take(&mut self, number: u16, length: usize) -> Result<Bytes, S3Error> {
        // A small stream should not take the memory of a whole part.
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

    /// Waits for the next bytes. Returns whether there are any.
    async fn more(&mut self) -> Result<bool, S3Error> {
        while self.rest.is_empty() {
            match self.body.next().await {
                Some(Ok(chunk)) => self.rest = chunk,
                Some(Err(cause)) => {
                    let cause: Box<dyn Error + Send + Sync> = cause.into();
                    return Err(match cause.downcast::<S3Error>() {
                        Ok(error) => *error,
                        Err(cause) => {
                            let why = format!("the data broke off: {cause}");
                            self.stream_error().with_message(why).with_source(cause)
                        }
                    });
                }
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    fn stream_error(&self) -> S3Error {
        S3Error::new(Operation::UploadPart, &self.to, S3ErrorKind::Connection)
    }
}
