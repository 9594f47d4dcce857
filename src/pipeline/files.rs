//! Files, stdin and stdout as sides of a transfer.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::pin::pin;

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use md5::{Digest, Md5};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::error::Error;
use super::location::Location;
use crate::local::state::FileState;
use crate::local::write::{self, AtomicFile};
use crate::s3::{Client, ETag, Head, ObjectRef, S3Error, UnorderedReadError};

/// Runs file system work on a blocking thread.
pub(crate) async fn on_disk<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> Result<T, Error> {
    let path = path.to_owned();
    let worked = tokio::task::spawn_blocking(move || work(&path).map_err(|error| file_error(path, error))).await;
    worked.unwrap_or_else(|lost| Err(Error::Lost(lost.to_string())))
}

/// An error of a file, named by its path.
pub(crate) fn file_error(path: impl Into<PathBuf>, error: io::Error) -> Error {
    Error::File { path: path.into(), error }
}

/// Computes the `ETag` that S3 gives a file uploaded in one request without a KMS key.
///
/// # Errors
/// Those of the file.
#[cfg(feature = "transfer")]
pub(crate) fn etag_of_file(path: &Path) -> io::Result<ETag> {
    etag_of(&mut File::open(path)?)
}

/// Computes the same `ETag` of an open file, from its beginning.
///
/// # Errors
/// Those of the file.
pub(super) fn etag_of(file: &mut File) -> io::Result<ETag> {
    let mut digest = Md5::new();
    file.rewind()?;
    io::copy(file, &mut DigestWriter(&mut digest))?;
    Ok(ETag::new(&hex(&digest.finalize())))
}

/// Returns all of a file, which must not change meanwhile.
///
/// # Errors
/// Those of the file; also if it has changed.
pub(super) fn read_all(file: &mut File, state: FileState) -> io::Result<Bytes> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    state.check_unchanged(&file.metadata()?)?;
    Ok(bytes.into())
}

/// Writes bytes to a file below `root`, or to stdout.
pub(super) async fn write_bytes(root: &Path, to: &Location, bytes: &Bytes, modified: Option<i64>) -> Result<(), Error> {
    match to {
        Location::Local(path) => {
            let (root, bytes) = (root.to_owned(), bytes.clone());
            on_disk(path, move |path| write::write(&root, path, &bytes, modified)).await
        }
        Location::Stream => {
            let mut stdout = tokio::io::stdout();
            let written = async {
                stdout.write_all(bytes).await?;
                stdout.flush().await
            };
            written.await.map_err(|error| file_error("stdout", error))
        }
        Location::S3(_) => Err(unsupported(to)),
    }
}

/// Downloads a large object into a file below `root` that appears when it is complete, each part at its offset; or
/// sequentially to stdout or a pipe.
pub(super) async fn write_object(
    client: &Client,
    from: &ObjectRef,
    head: &Head,
    root: &Path,
    to: &Location,
) -> Result<(), Error> {
    let Location::Local(path) = to else {
        return write_stream(tokio::io::stdout(), client.read_ordered(from, head), Path::new("stdout")).await;
    };
    let root = root.to_owned();
    let mut target = on_disk(path, move |path| AtomicFile::create_below(&root, path)).await?;
    if let Some(writer) = target.offset_writer().filter(|_| head.can_read_unordered()) {
        let written = client.read_unordered(from, head, move |at| writer.open_at(at)).await;
        written.map_err(|error| match error {
            UnorderedReadError::S3(error) => Error::S3(error),
            UnorderedReadError::Write(error) => file_error(path, error),
        })?;
    } else {
        let file;
        (file, target) = on_disk(path, move |_| Ok((target.open()?, target))).await?;
        write_stream(tokio::fs::File::from_std(file), client.read_ordered(from, head), path).await?;
    }
    let modified = head.modified;
    on_disk(path, move |_| target.commit_modified(modified)).await
}

async fn write_stream(
    mut into: impl AsyncWrite + Unpin,
    chunks: impl Stream<Item = Result<Bytes, S3Error>>,
    name: &Path,
) -> Result<(), Error> {
    let failure = |error| file_error(name, error);
    let mut chunks = pin!(chunks);
    while let Some(chunk) = chunks.try_next().await? {
        into.write_all(&chunk).await.map_err(failure)?;
    }
    into.flush().await.map_err(failure)
}

/// The error of a combination of sides or options that no command allows.
pub(super) fn unsupported(side: &Location) -> Error {
    file_error(side.to_string(), ErrorKind::Unsupported.into())
}

struct DigestWriter<'a>(&'a mut Md5);

impl Write for DigestWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(feature = "transfer")]
    fn etag_of_file_is_its_md5() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "abc").unwrap();
        assert_eq!(etag_of_file(file.path()).unwrap(), ETag::new("900150983cd24fb0d6963f7d28e17f72"));
    }
}
