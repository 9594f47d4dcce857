//! Bytes of a file or of stdin, read a piece at a time on their way up.

use std::fs::Metadata;
use std::io;
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt, Stdin};

/// Bytes that are read at a time.
const CHUNK: usize = 1 << 20;

/// What is read to its end.
pub trait Source: Send {
    fn reader(&mut self) -> &mut (impl AsyncRead + Send + Unpin);

    /// At its end: whether all that was read is of one state.
    fn settled(&self) -> impl Future<Output = io::Result<()>> + Send;
}

impl Source for Stdin {
    fn reader(&mut self) -> &mut (impl AsyncRead + Send + Unpin) {
        self
    }

    async fn settled(&self) -> io::Result<()> {
        Ok(())
    }
}

/// A file that nobody may write to meanwhile: its object would be one that the file never was, and look like its newest.
pub struct Unchanging {
    pub file: File,
    pub state: State,
}

/// What tells that a file was written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// `None` of what is no regular file, such as a pipe.
    pub length: Option<u64>,
    modified: Option<SystemTime>,
}

impl State {
    pub fn of(metadata: &Metadata) -> Self {
        let regular = metadata.is_file();
        Self { length: regular.then_some(metadata.len()), modified: metadata.modified().ok().filter(|_| regular) }
    }

    /// Whether it is that of a file still.
    ///
    /// # Errors
    /// That it is not.
    pub fn holds(self, now: &Metadata) -> io::Result<()> {
        let written_to = || io::Error::other("the file was written to while it was read: try again");
        if Self::of(now) == self { Ok(()) } else { Err(written_to()) }
    }
}

impl Source for Unchanging {
    fn reader(&mut self) -> &mut (impl AsyncRead + Send + Unpin) {
        &mut self.file
    }

    async fn settled(&self) -> io::Result<()> {
        self.state.holds(&self.file.metadata().await?)
    }
}

/// All of it. An error at the end says that it was no single state.
pub fn chunks(source: impl Source) -> impl Stream<Item = io::Result<Bytes>> + Send {
    stream::try_unfold(source, |mut source| async move {
        let mut chunk = BytesMut::with_capacity(CHUNK);
        while chunk.len() < CHUNK && source.reader().read_buf(&mut chunk).await? > 0 {}
        if chunk.is_empty() {
            source.settled().await?;
            return Ok(None);
        }
        Ok(Some((chunk.freeze(), source)))
    })
}
