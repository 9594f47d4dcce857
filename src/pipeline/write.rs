//! Writes one object to any side: by PUT, by a copy inside S3, through this process in parts, or to a file. The only
//! place that writes objects.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::TryStreamExt;
use tokio::fs::File;

use super::error::Error;
use super::files::{self, file_error};
use super::job::Move;
use super::location::Location;
use super::read::Content;
use crate::local::read::{ChangeCheckedFile, chunks};
use crate::local::state::FileState;
use crate::s3::{Attributes, Condition, CopyTags, Head, ObjectRef, Pair, S3Error};

/// Writes the objects of one move.
pub(super) struct Writer<'a> {
    /// Reports the progress of the move.
    pub store: &'a Pair,
    /// Folder below which links are refused.
    pub root: &'a Path,
    /// Whether tags may be dropped if S3 refuses them.
    pub drops_tags: bool,
    pub moving: &'a Move,
    pub head: &'a Head,
}

/// One write at the destination.
#[derive(Clone)]
pub(super) struct Write {
    pub content: Content,
    pub attributes: Attributes,
    pub tags: Tagging,
    pub condition: Condition,
}

/// What becomes of the source's tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tagging {
    /// They are among the attributes.
    Known,
    /// S3 copies them; nobody has read them.
    Unread,
    Dropped,
}

/// How an object was written.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// Which tags were dropped, and why.
    pub warnings: Vec<String>,
    /// Why S3 did not copy, if the bytes were relayed.
    pub relayed: Option<S3Error>,
    /// Bytes of a stream, which has no size before its end.
    pub streamed: Option<u64>,
}

impl Writer<'_> {
    /// Writes with tags, or without them and with a warning if S3 refuses and they may be dropped.
    ///
    /// # Errors
    /// Those of either side.
    pub async fn write(&self, mut write: Write) -> Result<Written, Error> {
        let tags = write.tags;
        match self.write_once(&write).await {
            // If this is refused too, the reason was not the tags.
            Err(Error::S3(error)) if self.drops_tags && error.may_be_about_tags() && write.drop_tags() => {
                let perhaps = if tags == Tagging::Unread { ", if there were any" } else { "" };
                let written = self.write_once(&write).await?;
                Ok(Written { warnings: vec![format!("tags dropped{perhaps}: {error}")], ..written })
            }
            written => written,
        }
    }

    async fn write_once(&self, write: &Write) -> Result<Written, Error> {
        let Write { content, attributes, tags, condition } = write;
        let Self { store, root, moving: Move { from, to, .. }, head, .. } = self;
        match (content, from, to) {
            (Content::Bytes(bytes), _, Location::S3(to)) => {
                store.destination.put(to, bytes.clone(), attributes, condition).await?;
            }
            (Content::OnServer, Location::S3(from), Location::S3(to)) => {
                let tags = if *tags == Tagging::Dropped { CopyTags::Drop } else { CopyTags::Copy };
                store.copy(from, head, to, attributes, tags, condition).await?;
            }
            (Content::Object, Location::S3(from), Location::S3(to)) => {
                Box::pin(store.relay(from, head, to, attributes, condition)).await?;
            }
            (Content::File(state), Location::Local(from), Location::S3(to)) => {
                self.upload_file(from, *state, to, write).await?;
            }
            (Content::Stream(stream), _, Location::S3(to)) => {
                let sent = Arc::new(AtomicU64::new(0));
                let count = Arc::clone(&sent);
                let chunks = stream.take().inspect_ok(move |chunk| {
                    count.fetch_add(chunk.len() as u64, Ordering::Relaxed);
                });
                store.destination.put_stream(to, chunks, None, attributes, condition).await?;
                return Ok(Written { streamed: Some(sent.load(Ordering::Relaxed)), ..Written::default() });
            }
            (Content::Bytes(bytes), _, to) => files::write_bytes(root, to, bytes, head.modified).await?,
            (Content::Object, Location::S3(from), to) => {
                files::write_object(&store.source, from, head, root, to).await?;
            }
            (_, _, to) => return Err(files::unsupported(to)),
        }
        Ok(Written::default())
    }

    /// Uploads a file: the first part as soon as it is full, in the memory of a few parts.
    async fn upload_file(&self, from: &Path, state: FileState, to: &ObjectRef, write: &Write) -> Result<(), Error> {
        let file = File::open(from).await.map_err(|error| file_error(from, error))?;
        let body = chunks(ChangeCheckedFile { file, state });
        let Write { attributes, condition, .. } = write;
        Ok(self.store.destination.put_stream(to, body, state.length, attributes, condition).await?)
    }
}

impl Write {
    /// Drops the tags. Returns whether there may have been any: a copy includes tags that we may not read.
    fn drop_tags(&mut self) -> bool {
        let before = std::mem::replace(&mut self.tags, Tagging::Dropped);
        let had_tags = !std::mem::take(&mut self.attributes.tags).is_empty();
        match self.content {
            Content::OnServer => before != Tagging::Dropped,
            Content::Bytes(_) | Content::Object | Content::File(_) | Content::Stream(_) => had_tags,
        }
    }
}
