//! Reading: HEAD, GET and tags.

use std::collections::BTreeMap;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;

use super::Store;
use super::classify::failed;
use super::error::{Kind, Operation, S3Error};
use super::object::{Attributes, ETag, Head, ObjectRef, own_encoding};

/// The outputs of HEAD and GET have the same fields, and no type in common.
macro_rules! head_of {
    ($operation:expr, $object:expr, $output:expr) => {{
        let output = &$output;
        let attributes = Attributes {
            content_type: output.content_type.clone(),
            cache_control: output.cache_control.clone(),
            content_disposition: output.content_disposition.clone(),
            content_language: output.content_language.clone(),
            content_encoding: output.content_encoding.as_deref().and_then(own_encoding),
            expires: output.expires_string.clone(),
            website_redirect: output.website_redirect_location.clone(),
            storage_class: output.storage_class.as_ref().map(|class| class.as_str().to_owned()),
            metadata: output.metadata.clone().map(BTreeMap::from_iter).unwrap_or_default(),
            tags: Vec::new(),
        };
        head($operation, $object, output.e_tag.as_deref(), output.content_length, output.tag_count, attributes)
    }};
}

impl Store {
    /// What is there; `None` where nothing is. A store that hides missing objects from who may not list them answers
    /// [`Kind::AccessDenied`] instead.
    ///
    /// # Errors
    /// [`S3Error`] of any kind but [`Kind::NotFound`].
    pub async fn head(&self, object: &ObjectRef) -> Result<Option<Head>, S3Error> {
        head_object(&self.client, object, self.buckets.destination_owner.as_ref()).await
    }

    /// The same of an object that is read from.
    pub(super) async fn head_source(&self, object: &ObjectRef) -> Result<Option<Head>, S3Error> {
        head_object(&self.client, object, self.buckets.source_owner.as_ref()).await
    }

    /// Begins to read an object; its bytes come with [`Download`]. With `if_match`, only if it still is that one.
    ///
    /// # Errors
    /// [`S3Error`]: of kind [`Kind::PreconditionFailed`] if the object is another one by now, [`Kind::NotFound`] if it
    /// is gone.
    pub async fn get(&self, object: &ObjectRef, if_match: Option<&ETag>) -> Result<Download, S3Error> {
        let (head, body) = self.begin_get(object, if_match).await?;
        let attempts = self.client.config().retry_config().map_or(1, RetryConfig::max_attempts);
        Ok(Download {
            head,
            store: self.clone(),
            object: object.clone(),
            body,
            buffer: Vec::new(),
            ended: false,
            repeats_left: attempts.saturating_sub(1),
        })
    }

    async fn begin_get(&self, object: &ObjectRef, if_match: Option<&ETag>) -> Result<(Head, ByteStream), S3Error> {
        let operation = Operation::GetObject;
        let owner = self.buckets.source_owner.as_ref();
        let request = self.client.get_object().bucket(&object.bucket).key(&object.key);
        let output = request
            .set_if_match(if_match.map(ETag::quoted))
            .set_expected_bucket_owner(owner.cloned())
            .send()
            .await
            .map_err(|error| failed(operation, object, error).expecting(owner))?;
        Ok((head_of!(operation, object, output)?, output.body))
    }

    /// The object's tags.
    ///
    /// # Errors
    /// [`S3Error`]: of kind [`Kind::NotSupported`] where the store knows no tags.
    pub async fn tags(&self, object: &ObjectRef) -> Result<Vec<(String, String)>, S3Error> {
        let owner = self.buckets.source_owner.as_ref();
        let request = self.client.get_object_tagging().bucket(&object.bucket).key(&object.key);
        let sent = request.set_expected_bucket_owner(owner.cloned()).send().await;
        let output = sent.map_err(|error| failed(Operation::GetObjectTagging, object, error).expecting(owner))?;
        Ok(output.tag_set.into_iter().map(|tag| (tag.key, tag.value)).collect())
    }
}

fn head(
    operation: Operation,
    object: &ObjectRef,
    etag: Option<&str>,
    length: Option<i64>,
    tag_count: Option<i32>,
    attributes: Attributes,
) -> Result<Head, S3Error> {
    let missing = |what| S3Error::new(operation, object, Kind::Unavailable).saying(what);
    let storage_class = attributes.storage_class.filter(|class| class != "STANDARD");
    Ok(Head {
        etag: ETag::new(etag.ok_or_else(|| missing("an answer without ETag"))?),
        size: length.and_then(|n| u64::try_from(n).ok()).ok_or_else(|| missing("an answer without Content-Length"))?,
        attributes: Attributes { storage_class, ..attributes },
        tag_count: tag_count.and_then(|n| u32::try_from(n).ok()).unwrap_or(0),
    })
}

async fn head_object(client: &Client, object: &ObjectRef, owner: Option<&String>) -> Result<Option<Head>, S3Error> {
    let operation = Operation::HeadObject;
    let request = client.head_object().bucket(&object.bucket).key(&object.key);
    match request.set_expected_bucket_owner(owner.cloned()).send().await {
        Ok(output) => head_of!(operation, object, output).map(Some),
        Err(error) => match failed(operation, object, error) {
            S3Error { kind: Kind::NotFound, .. } => Ok(None),
            error => Err(error.expecting(owner)),
        },
    }
}

/// Whether an earlier attempt, whose answer was lost, has written this already: the next one finds its upload gone, or its
/// condition broken by its own work. Without metadata of its own (the marker) there is no telling.
pub(super) async fn is_written(
    client: &Client,
    object: &ObjectRef,
    owner: Option<&String>,
    size: u64,
    attributes: &Attributes,
) -> bool {
    let head = head_object(client, object, owner).await.ok().flatten();
    !attributes.metadata.is_empty()
        && head.is_some_and(|head| head.size == size && head.attributes.metadata == attributes.metadata)
}

/// An object on its way. Dropped early, it costs what has come so far.
#[derive(Debug)]
pub struct Download {
    pub head: Head,
    store: Store,
    object: ObjectRef,
    body: ByteStream,
    buffer: Vec<u8>,
    ended: bool,
    /// The SDK repeats requests, and not what breaks off once their answer has begun.
    repeats_left: u32,
}

impl Download {
    /// The first `n` bytes, or as many as there are.
    ///
    /// # Errors
    /// [`S3Error`] if they do not come, as for [`Download::read_all`].
    pub async fn peek(&mut self, n: usize) -> Result<&[u8], S3Error> {
        while self.buffer.len() < n && self.read_chunk().await? {}
        Ok(&self.buffer[..n.min(self.buffer.len())])
    }

    /// The whole object, in one buffer of its size, its length and (where S3 has one) its checksum verified.
    ///
    /// # Errors
    /// [`S3Error`]: of kind [`Kind::Truncated`] if the body ends early time and again, [`Kind::Corrupted`] if its checksum
    /// is wrong, [`Kind::TooLarge`] if there is no memory for it; of any kind that [`Store::get`] knows, for a body that
    /// broke off is read again from its beginning.
    pub async fn read_all(mut self) -> Result<Bytes, S3Error> {
        let left = usize::try_from(self.head.size).ok().map(|size| size.saturating_sub(self.buffer.len()));
        if left.and_then(|left| self.buffer.try_reserve_exact(left).ok()).is_none() {
            return Err(self.error(Kind::TooLarge));
        }
        while self.read_chunk().await? {}
        if self.got() == self.head.size { Ok(self.buffer.into()) } else { Err(self.error(self.truncated())) }
    }

    /// Whether there may be one more.
    async fn read_chunk(&mut self) -> Result<bool, S3Error> {
        if self.ended {
            return Ok(false);
        }
        match self.body.try_next().await {
            Ok(Some(chunk)) => {
                self.buffer.extend_from_slice(&chunk);
                Ok(true)
            }
            Ok(None) => {
                self.ended = true;
                Ok(false)
            }
            // The checksum is compared when the last byte has come.
            Err(error) if self.got() == self.head.size => Err(self.error(Kind::Corrupted).caused_by(error)),
            // On the heap: it is large, and seldom needed.
            Err(_) if self.repeats_left > 0 => Box::pin(self.begin_again()).await.map(|()| true),
            Err(error) => Err(self.error(self.truncated()).caused_by(error)),
        }
    }

    /// From the first byte, since S3 has no checksum of a range.
    async fn begin_again(&mut self) -> Result<(), S3Error> {
        self.repeats_left -= 1;
        (_, self.body) = self.store.begin_get(&self.object, Some(&self.head.etag)).await?;
        self.buffer.clear();
        Ok(())
    }

    fn got(&self) -> u64 {
        self.buffer.len() as u64
    }

    fn truncated(&self) -> Kind {
        Kind::Truncated { expected: self.head.size, got: self.got() }
    }

    fn error(&self, kind: Kind) -> S3Error {
        S3Error::new(Operation::GetObject, &self.object, kind)
    }
}
