//! Reads a file or stdin in chunks, for an upload.

use std::fs::Metadata;
use std::io;
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt, Stdin};

/// Bytes read at a time.
const CHUNK: usize = 1 << 20;

/// A source that is read to its end.
pub trait Source: Send {
    fn reader(&mut self) -> &mut (impl AsyncRead + Send + Unpin);

    /// Called at the end: fails if the source changed while it was read.
    fn check_unchanged(&self) -> impl Future<Output = io::Result<()>> + Send;
}

impl Source for Stdin {
    fn reader(&mut self) -> &mut (impl AsyncRead + Send + Unpin) {
        self
    }

    async fn check_unchanged(&self) -> io::Result<()> {
        Ok(())
    }
}

/// A file that must not change while it is read: the object would have a state that the file never had, and look newer
/// than it.
pub struct ChangeCheckedFile {
    pub file: File,
    pub state: FileState,
}

/// Size and modification time, which show that a file changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileState {
    /// `None` for other than regular files, such as pipes.
    pub length: Option<u64>,
    modified: Option<SystemTime>,
}

impl FileState {
    pub fn of(metadata: &Metadata) -> Self {
        let regular = metadata.is_file();
        Self { length: regular.then_some(metadata.len()), modified: metadata.modified().ok().filter(|_| regular) }
    }

    /// Fails if the file has changed.
    ///
    /// # Errors
    /// If the file has changed.
    pub fn check_unchanged(self, now: &Metadata) -> io::Result<()> {
        let changed = || io::Error::other("the file changed while it was read: try again");
        if Self::of(now) == self { Ok(()) } else { Err(changed()) }
    }
}

impl Source for ChangeCheckedFile {
    fn reader(&mut self) -> &mut (impl AsyncRead + Send + Unpin) {
        &mut self.file
    }

    async fn check_unchanged(&self) -> io::Result<()> {
        self.state.check_unchanged(&self.file.metadata().await?)
    }
}

/// Returns all bytes in chunks. Ends with an error if the source changed meanwhile.
pub fn chunks(source: impl Source) -> impl Stream<Item = io::Result<Bytes>> + Send {
    stream::try_unfold(source, |mut source| async move {
        let mut chunk = BytesMut::with_capacity(CHUNK);
        while chunk.len() < CHUNK && source.reader().read_buf(&mut chunk).await? > 0 {}
        if chunk.is_empty() {
            source.check_unchanged().await?;
            return Ok(None);
        }
        Ok(Some((chunk.freeze(), source)))
    })
}
