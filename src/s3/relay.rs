//! Bytes that pass through here in bounded memory: a stream whose length nobody knows yet, and a copy that S3 refuses to
//! make because no principal may both read the one and write the other.

use std::error::Error;
use std::pin::Pin;

use aws_sdk_s3::primitives::ByteStream;
use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};

use super::Store;
use super::download::Download;
use super::error::{Kind, Operation, S3Error};
use super::multipart::Upload;
use super::object::{Attributes, Condition, Head, ObjectRef};
use super::parts::{MAX_PARTS, Part, PartPlan, growing};

impl Store {
    /// Stores what a stream brings, beginning before its end is known: at once if it ends within a part's size, else in
    /// parts. Takes the memory of as many parts as are in flight. Behind the thousandth each
    /// is a little longer than the one before it, so that 10,000 of them reach 5 TiB.
    ///
    /// # Errors
    /// [`S3Error`] as of [`Store::put`], or of kind [`Kind::Connection`] if the stream fails; nothing is stored then.
    pub async fn put_stream<S, E>(
        &self,
        to: &ObjectRef,
        body: S,
        attributes: &Attributes,
        condition: &Condition,
    ) -> Result<(), S3Error>
    where
        S: Stream<Item = Result<Bytes, E>> + Send,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let mut cutter = Cutter {
            body: Box::pin(body),
            rest: Bytes::new(),
            number: 0,
            part_size: self.transfer.part_size,
            to: to.clone(),
        };
        let first = cutter.next().await?.map(|(_, bytes)| bytes).unwrap_or_default();
        if (first.len() as u64) < growing(1, self.transfer.part_size) {
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
    /// repeated by itself. For where [`Store::copy`] is of kind [`Kind::AccessDenied`], and yet one side may be read and the
    /// other written. Takes the memory of as many parts as are in flight.
    ///
    /// # Errors
    /// [`S3Error`]: of kind [`Kind::PreconditionFailed`] with the source's name if it is another one by now, with the
    /// destination's if `condition` does not hold; [`Kind::Corrupted`], with the
    /// source's name, if its checksum is not that of what came.
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
        let plan = PartPlan::new(head.size, self.transfer.part_size)
            .ok_or_else(|| S3Error::new(Operation::CreateMultipartUpload, to, Kind::TooLarge))?;
        let source = Download::new(self, from, head.clone(), ByteStream::default());
        let upload = Upload::create(self, to, attributes).await?;
        let (reading, sending) = (&source, &upload);
        let sent = stream::iter(plan.parts())
            .map(|Part { number, range }| async move { sending.send(number, reading.read_range(range).await?).await })
            .buffer_unordered(self.transfer.concurrency.max(1))
            .try_collect::<Vec<_>>()
            .await;
        let mut parts = match sent {
            Ok(parts) => parts,
            Err(error) => return Err(upload.abort(error).await),
        };
        let sums = upload.sum_of(&mut parts).zip(head.checksum.as_ref());
        if sums.and_then(|(ours, theirs)| ours.agrees(theirs)) == Some(false) {
            return Err(upload.abort(S3Error::new(Operation::GetObject, from, Kind::Corrupted)).await);
        }
        upload.complete(parts, head.size, None, attributes, condition).await.map(drop)
    }
}

/// Cuts a stream into the parts of an upload.
struct Cutter<S> {
    body: Pin<Box<S>>,
    /// Of the last chunk, what its part had no room for.
    rest: Bytes,
    /// Of the last part.
    number: u16,
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
        let size = usize::try_from(growing(number, self.part_size)).unwrap_or(usize::MAX);
        // What is small is no part, and should not take the memory of one.
        let mut part = if number == 1 { BytesMut::new() } else { BytesMut::with_capacity(size) };
        loop {
            let taken = self.rest.len().min(size - part.len());
            part.extend_from_slice(&self.rest[..taken]);
            self.rest.advance(taken);
            if part.len() == size {
                break;
            }
            match self.body.next().await {
                Some(Ok(chunk)) => self.rest = chunk,
                Some(Err(cause)) => {
                    let error = S3Error::new(Operation::UploadPart, &self.to, Kind::Connection);
                    return Err(error.saying("what was to be written broke off").caused_by(cause));
                }
                None if part.is_empty() => return Ok(None),
                None => break,
            }
        }
        if u64::from(number) > MAX_PARTS {
            return Err(S3Error::new(Operation::UploadPart, &self.to, Kind::TooLarge));
        }
        self.number = number;
        Ok(Some((number, part.freeze())))
    }
}
