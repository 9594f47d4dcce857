//! Reads a file or stdin in chunks, and notices a file that changes meanwhile.

use std::io;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt, Stdin};

use super::state::FileState;

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
