//! Writes one object: by PUT, by a copy inside S3, or relayed through this process. The only place that writes objects
//! for the pipeline and for transfers.

use bytes::Bytes;

use crate::s3::{Attributes, Condition, CopyTags, Head, ObjectRef, Pair, S3Error};

/// One write at the destination.
#[derive(Debug, Clone)]
pub(crate) struct Write<'a> {
    pub content: Content<'a>,
    pub to: &'a ObjectRef,
    pub attributes: Attributes,
    pub condition: Condition,
}

/// Where the bytes come from.
#[derive(Debug, Clone)]
pub(crate) enum Content<'a> {
    Bytes(Bytes),
    /// This version of an object, copied by S3.
    Copy {
        from: &'a ObjectRef,
        head: &'a Head,
        tags: CopyTags,
    },
    /// This version of an object, which passes through this process.
    Relay {
        from: &'a ObjectRef,
        head: &'a Head,
    },
}

/// What may be done if S3 refuses a write.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fallbacks {
    /// Write without tags.
    pub drop_tags: bool,
    /// Relay a copy.
    pub relay: bool,
}

/// How an object was written.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// Why tags were dropped, if they were.
    pub warning: Option<String>,
    /// Why S3 did not copy, if the bytes were relayed.
    pub relayed: Option<S3Error>,
}

/// Writes an object, by the allowed fallbacks if S3 refuses.
///
/// # Errors
/// [`S3Error`]: if a relay is refused too, that of the copy, which names the permissions of both sides.
pub(crate) async fn write(store: &Pair, write: Write<'_>, fallbacks: Fallbacks) -> Result<Written, S3Error> {
    let Content::Copy { from, head, .. } = write.content else {
        let warning = write_or_drop_tags(store, write, fallbacks.drop_tags).await?;
        return Ok(Written { warning, relayed: None });
    };
    let relay = Write { content: Content::Relay { from, head }, ..write.clone() };
    match write_or_drop_tags(store, write, fallbacks.drop_tags).await {
        Ok(warning) => Ok(Written { warning, relayed: None }),
        Err(refusal) if fallbacks.relay && refusal.may_be_cross_principal() => {
            match write_or_drop_tags(store, relay, fallbacks.drop_tags).await {
                Ok(warning) => Ok(Written { warning, relayed: Some(refusal) }),
                Err(error) if error.may_be_cross_principal() => Err(refusal),
                Err(error) => Err(error),
            }
        }
        Err(error) => Err(error),
    }
}

/// Writes with tags, or without them and with a warning if S3 refuses and they may be dropped.
async fn write_or_drop_tags(store: &Pair, mut write: Write<'_>, may_drop: bool) -> Result<Option<String>, S3Error> {
    match write_once(store, &write).await {
        // If this is refused too, the reason was not the tags.
        Err(error) if may_drop && error.may_be_about_tags() && write.drop_tags() => {
            write_once(store, &write).await.map(|()| Some(format!("tags dropped: {error}")))
        }
        written => written.map(|()| None),
    }
}

async fn write_once(store: &Pair, write: &Write<'_>) -> Result<(), S3Error> {
    let Write { content, to, attributes, condition } = write;
    match content {
        Content::Bytes(bytes) => store.destination.put(to, bytes.clone(), attributes, condition).await,
        Content::Copy { from, head, tags } => store.copy(from, head, to, attributes, *tags, condition).await,
        Content::Relay { from, head } => Box::pin(store.relay(from, head, to, attributes, condition)).await,
    }
}

impl Write<'_> {
    /// Drops the tags. Returns whether there may have been any: a copy includes tags that we may not read.
    fn drop_tags(&mut self) -> bool {
        let had_tags = !std::mem::take(&mut self.attributes.tags).is_empty();
        match &mut self.content {
            Content::Copy { tags, .. } => std::mem::replace(tags, CopyTags::Drop) == CopyTags::Copy,
            Content::Bytes(_) | Content::Relay { .. } => had_tags,
        }
    }
}
