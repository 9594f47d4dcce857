//! Opens a source on any side, and reads it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::error::Error;
use super::files::{self, file_error, on_disk};
use super::job::{Move, Task};
use super::location::Location;
use super::version::SourceVersion;
use crate::local::beginning::first_bytes;
use crate::local::read::{ChangeCheckedFile, chunks};
use crate::local::state::FileState;
use crate::optimize::format::SNIFF_BYTES;
use crate::optimize::{self, Format, PROBE_BYTES};
use crate::report::Skip;
use crate::s3::{Attributes, Client, Download, ETag, Head, ObjectRef};

/// Content-Type of a file of which nothing is known.
const UNKNOWN_TYPE: &str = "application/octet-stream";

/// One version of a source, opened.
pub(super) struct Source {
    /// Its description; for a file or stdin, what S3 would say of it.
    pub head: Head,
    /// By its first bytes, as far as they were looked at.
    pub format: Option<Format>,
    /// `None` for what cannot change, such as stdin.
    pub version: Option<SourceVersion>,
    unread: Unread,
}

/// The bytes of a source, of which nothing or little was read.
enum Unread {
    /// An object that was only described.
    Object,
    Download(Box<Download>),
    File {
        path: PathBuf,
        file: File,
        state: FileState,
    },
    /// Stdin or a pipe.
    Stream(Streamed),
}

/// Bytes that can be read once.
#[derive(Clone)]
pub(super) struct Streamed(Arc<Mutex<Option<BoxStream<'static, std::io::Result<Bytes>>>>>);

/// A source's unchanged bytes, on their way.
#[derive(Clone)]
pub(super) enum Content {
    /// Held in memory.
    Bytes(Bytes),
    /// S3 copies the object.
    OnServer,
    /// The object passes through this process in parts.
    Object,
    File(FileState),
    Stream(Streamed),
}

impl Source {
    /// Opens the source of a move. With `on_server`, S3 is to copy the object, and its bytes may stay unread.
    ///
    /// # Errors
    /// Those of the source; [`Skip::SourceGone`] if there is none.
    pub async fn open(client: &Client, moving: &Move, on_server: bool) -> Result<Self, Error> {
        match (&moving.from, moving.task) {
            (Location::S3(object), Task::Transfer) if on_server => Self::describe(client, object).await,
            (Location::S3(object), task) => Self::download(client, object, moving.etag.as_ref(), task).await,
            (Location::Local(path), task) => Self::open_file(path, moving, task).await,
            (Location::Stream, Task::Transfer) => {
                Self::open_stream(Box::pin(chunks(tokio::io::stdin())), Path::new("stdin"), moving).await
            }
            // It could be optimized only after its end, however far that is.
            (Location::Stream, _) => Err(files::unsupported(&moving.from)),
        }
    }

    async fn describe(client: &Client, object: &ObjectRef) -> Result<Self, Error> {
        let head = client.head(object).await?.ok_or(Error::Skip(Skip::SourceGone))?;
        Ok(Self::described(head))
    }

    /// A version of an object of which no byte was read.
    pub fn described(head: Head) -> Self {
        Self::of_object(head, None, Unread::Object)
    }

    /// Reads the version that is asked for, never a newer one: a stale event's GET fails, and is skipped by its class.
    async fn download(client: &Client, object: &ObjectRef, etag: Option<&ETag>, task: Task) -> Result<Self, Error> {
        let mut download = client.get(object, etag).await?;
        let format = match task {
            Task::Transfer => None,
            Task::Optimize | Task::Copy => Format::sniff(download.peek(SNIFF_BYTES).await?),
        };
        Ok(Self::of_object(download.head.clone(), format, Unread::Download(Box::new(download))))
    }

    fn of_object(head: Head, format: Option<Format>, unread: Unread) -> Self {
        Self { version: Some(SourceVersion::Object(head.etag.clone())), head, format, unread }
    }

    async fn open_file(path: &Path, moving: &Move, task: Task) -> Result<Self, Error> {
        let opened = on_disk(path, move |path| {
            let mut file = File::open(path)?;
            let state = FileState::of(&file.metadata()?);
            if state.length.is_none() {
                return Ok((file, state, Vec::new(), None));
            }
            let beginning = first_bytes(&mut file, SNIFF_BYTES)?;
            // Only a marker needs it.
            let etag = if task == Task::Transfer { None } else { Some(files::etag_of(&mut file)?) };
            Ok((file, state, beginning, etag))
        });
        let (file, state, beginning, etag) = opened.await?;
        let Some(size) = state.length else {
            let file = ChangeCheckedFile { file: tokio::fs::File::from_std(file), state };
            return Self::open_stream(Box::pin(chunks(file)), path, moving).await;
        };
        let format = Format::sniff(&beginning);
        Ok(Self {
            head: head_of_file(size, etag, format, moving),
            format,
            version: Some(SourceVersion::File(state)),
            unread: Unread::File { path: path.to_owned(), file, state },
        })
    }

    async fn open_stream(
        mut chunks: BoxStream<'static, std::io::Result<Bytes>>,
        name: &Path,
        moving: &Move,
    ) -> Result<Self, Error> {
        let first = chunks.try_next().await.map_err(|error| file_error(name, error))?.unwrap_or_default();
        let format = Format::sniff(&first);
        let all = stream::iter([Ok(first)]).chain(chunks).boxed();
        let unread = Unread::Stream(Streamed(Arc::new(Mutex::new(Some(all)))));
        Ok(Self { head: head_of_file(0, None, format, moving), format, version: None, unread })
    }

    /// Bytes of the source, unless it is a stream.
    pub fn size(&self) -> Option<u64> {
        (!matches!(self.unread, Unread::Stream(_))).then_some(self.head.size)
    }

    /// Memory in bytes that optimizing it takes.
    ///
    /// # Errors
    /// Those of reading.
    pub async fn memory(&mut self) -> Result<u64, Error> {
        let size = self.head.size;
        let probe = match &mut self.unread {
            Unread::Download(download) => optimize::probe(download.peek(PROBE_BYTES).await?, size),
            Unread::File { path, file, .. } => {
                let mut file = file.try_clone().map_err(|error| file_error(&*path, error))?;
                let bytes = on_disk(path, move |_| first_bytes(&mut file, PROBE_BYTES)).await?;
                optimize::probe(&bytes, size)
            }
            Unread::Object | Unread::Stream(_) => None,
        };
        Ok(probe.map_or(0, |probe| probe.memory))
    }

    /// Whether reading all of it at once costs no further request.
    pub fn is_downloading(&self) -> bool {
        matches!(self.unread, Unread::Download(_))
    }

    /// Reads all of it into memory.
    ///
    /// # Errors
    /// Those of reading; also if a file has changed.
    pub async fn read_all(self) -> Result<Bytes, Error> {
        match self.unread {
            Unread::Download(download) => Ok(download.read_all().await?),
            Unread::File { path, mut file, state } => on_disk(&path, move |_| files::read_all(&mut file, state)).await,
            // Never asked for: they are copied or streamed.
            Unread::Object | Unread::Stream(_) => Err(files::unsupported(&Location::Stream)),
        }
    }

    /// Leaves the bytes to be read in parts while they are written.
    pub fn into_parts(self) -> Content {
        match self.unread {
            // Dropping a download ends it.
            Unread::Object | Unread::Download(_) => Content::Object,
            Unread::File { state, .. } => Content::File(state),
            Unread::Stream(stream) => Content::Stream(stream),
        }
    }
}

impl Streamed {
    /// Returns the bytes the first time, and none later.
    pub fn take(&self) -> BoxStream<'static, std::io::Result<Bytes>> {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        taken.unwrap_or_else(|| stream::empty().boxed())
    }
}

/// What S3 would say of a file, were it uploaded.
fn head_of_file(size: u64, etag: Option<ETag>, format: Option<Format>, moving: &Move) -> Head {
    let by_bytes = format.map(|format| format.mime().to_owned());
    let content_type = by_bytes.or_else(|| moving.content_type.clone()).unwrap_or_else(|| UNKNOWN_TYPE.to_owned());
    let attributes = Attributes { content_type: Some(content_type), ..Attributes::default() };
    let etag = etag.unwrap_or_else(|| ETag::new(""));
    Head { etag, size, attributes, tag_count: 0, checksum: None, modified: None }
}
