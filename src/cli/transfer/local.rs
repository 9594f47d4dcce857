//! Local files: read whole, written atomically.

use std::fs::{File, FileTimes};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use md5::{Digest, Md5};
use tempfile::NamedTempFile;

use crate::cli::write::TEMPORARY_PREFIX;
use crate::optimize::Format;
use crate::s3::ETag;

/// Many tasks may create folders and files in them, or one task may remove empty folders. Otherwise a folder could be
/// removed after it was created for a file and before the file is in it.
static FOLDER_LOCK: RwLock<()> = RwLock::new(());

/// Converts a time to whole seconds since 1970, as in S3.
pub fn seconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_secs()).unwrap_or(i64::MAX),
    }
}

/// Content-Type of a file: by its bytes for an image, else by its name.
pub fn content_type(path: &Path, bytes: &[u8]) -> String {
    let image = Format::sniff(bytes).map(Format::mime);
    let mime = image.or_else(|| mime_guess::from_path(path).first_raw());
    mime.unwrap_or("application/octet-stream").to_owned()
}

/// Computes the `ETag` that S3 gives a file uploaded in one request without a KMS key.
///
/// # Errors
/// Those of the file.
pub fn etag_of_file(path: &Path) -> io::Result<ETag> {
    etag_of(&mut File::open(path)?)
}

/// Computes the same `ETag` of an open file, from its beginning.
///
/// # Errors
/// Those of the file.
pub fn etag_of(file: &mut File) -> io::Result<ETag> {
    let mut digest = Md5::new();
    file.rewind()?;
    io::copy(file, &mut DigestWriter(&mut digest))?;
    Ok(ETag::new(&hex(&digest.finalize())))
}

/// Returns the first `n` bytes of a newly opened file, or fewer if it is smaller.
///
/// # Errors
/// Those of the file.
pub fn first_bytes(file: &mut File, n: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(n);
    file.take(n as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
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

/// A file written atomically to a place below `root`. Links below `root` are refused.
#[derive(Debug)]
pub struct AtomicFile {
    target: PathBuf,
    staged: StagedFile,
}

#[derive(Debug)]
enum StagedFile {
    /// A temporary file next to the target, renamed to it at the end.
    New(NamedTempFile),
    /// The target itself: a device or pipe takes bytes in order, and is not replaced.
    Special,
}

impl AtomicFile {
    /// Creates missing folders, and a temporary file next to the target, since a rename is atomic only within one file
    /// system.
    ///
    /// # Errors
    /// Any of the file system; also if a folder of the path is a file or a link.
    pub fn create(root: &Path, target: &Path) -> io::Result<Self> {
        let folder = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        refuse_links(root, folder)?;
        let is_link = target.symlink_metadata().is_ok_and(|about| about.is_symlink());
        if target.metadata().is_ok_and(|about| !about.is_file() && !about.is_dir()) {
            return Ok(Self { target: target.to_owned(), staged: StagedFile::Special });
        }
        if is_link {
            let path = target.display();
            return Err(io::Error::other(format!("{path} is a link in place of a file: name its target instead")));
        }
        let mut builder = tempfile::Builder::new();
        builder.prefix(TEMPORARY_PREFIX);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // The umask applies, as with any new file.
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let _made = FOLDER_LOCK.read().unwrap_or_else(PoisonError::into_inner);
        std::fs::create_dir_all(folder)?;
        Ok(Self { target: target.to_owned(), staged: StagedFile::New(builder.tempfile_in(folder)?) })
    }

    /// Opens the file for sequential writing. Opening a pipe waits for its reader.
    ///
    /// # Errors
    /// Those of the file.
    pub fn open(&self) -> io::Result<File> {
        match &self.staged {
            StagedFile::New(file) => file.as_file().try_clone(),
            StagedFile::Special => File::options().write(true).open(&self.target),
        }
    }

    /// Returns a writer for bytes in any order; `None` if they must come in order.
    pub fn offset_writer(&self) -> Option<OffsetWriter> {
        match &self.staged {
            StagedFile::New(file) => Some(OffsetWriter(file.path().to_owned())),
            StagedFile::Special => None,
        }
    }

    /// Moves the file to its target, with this modification time in seconds since 1970.
    ///
    /// # Errors
    /// Any of the file system; the target is then unchanged.
    pub fn commit(self, modified: Option<i64>) -> io::Result<()> {
        let StagedFile::New(file) = self.staged else { return Ok(()) };
        if let Some(modified) = modified.and_then(|seconds| u64::try_from(seconds).ok()) {
            let time = UNIX_EPOCH + Duration::from_secs(modified);
            file.as_file().set_times(FileTimes::new().set_modified(time))?;
        }
        // Not synced to disk: after a power failure the object is still in S3.
        file.persist(&self.target)?;
        Ok(())
    }
}

/// Writes to a file at any offset.
#[derive(Debug)]
pub struct OffsetWriter(PathBuf);

impl OffsetWriter {
    /// Opens a writer at this offset, in bytes.
    ///
    /// # Errors
    /// Those of the file.
    pub fn open_at(&self, at: u64) -> io::Result<File> {
        let mut file = File::options().write(true).open(&self.0)?;
        file.seek(SeekFrom::Start(at))?;
        Ok(file)
    }
}

/// Writes bytes to `target` atomically.
///
/// # Errors
/// Those of [`AtomicFile`].
pub fn write(root: &Path, target: &Path, bytes: &Bytes, modified: Option<i64>) -> io::Result<()> {
    let file = AtomicFile::create(root, target)?;
    file.open()?.write_all(bytes)?;
    file.commit(modified)
}

/// Deletes a file below `root`, and its parent folders that become empty: an object may come that has the name of one
/// of them.
///
/// # Errors
/// Those of [`AtomicFile::create`].
pub fn delete(root: &Path, target: &Path) -> io::Result<()> {
    refuse_links(root, target.parent().unwrap_or(root))?;
    std::fs::remove_file(target)?;
    let _emptied = FOLDER_LOCK.write().unwrap_or_else(PoisonError::into_inner);
    let folders = target.ancestors().skip(1).take_while(|folder| folder.starts_with(root) && *folder != root);
    // A folder that is not empty stays, and so do its parents.
    for folder in folders {
        if std::fs::remove_dir(folder).is_err() {
            break;
        }
    }
    Ok(())
}

/// Refuses a path below `root` with a link or a file in place of a folder: a link would lead the write elsewhere.
fn refuse_links(root: &Path, folder: &Path) -> io::Result<()> {
    let Ok(inside) = folder.strip_prefix(root) else { return Ok(()) };
    let mut path = root.to_owned();
    for segment in inside.components() {
        let Component::Normal(segment) = segment else { continue };
        path.push(segment);
        let refuse = |what| Err(io::Error::other(format!("{} is {what} in place of a folder", path.display())));
        match path.symlink_metadata() {
            Ok(about) if about.is_symlink() => return refuse("a link"),
            Ok(about) if !about.is_dir() => return refuse("a file"),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn write_sets_time_and_leaves_no_temporary_file() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("a/b.txt");
        write(root.path(), &target, &Bytes::from_static(b"new"), Some(1_700_000_000)).unwrap();
        let about = target.metadata().unwrap();
        assert_eq!(
            (std::fs::read(&target).unwrap(), seconds(about.modified().unwrap())),
            (b"new".into(), 1_700_000_000)
        );
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::write(root.path().join("any"), "").unwrap();
            let any = root.path().join("any").metadata().unwrap();
            assert_eq!(about.permissions().mode(), any.permissions().mode(), "what the umask says");
        }
        let left: Vec<_> = std::fs::read_dir(root.path().join("a")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["b.txt"]);
    }

    #[test]
    #[cfg(unix)]
    fn write_to_pipe_keeps_the_pipe() {
        use std::os::unix::fs::FileTypeExt;
        let root = tempfile::tempdir().unwrap();
        let pipe = root.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || std::fs::read(pipe).unwrap()
        });
        write(root.path(), &pipe, &Bytes::from_static(b"new"), Some(1)).unwrap();
        assert_eq!(reader.join().unwrap(), b"new");
        assert!(pipe.metadata().unwrap().file_type().is_fifo());
    }

    #[test]
    #[cfg(unix)]
    fn write_through_link_is_an_error() {
        let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::os::unix::fs::symlink(outside.path(), root.path().join("link")).unwrap();
        std::fs::write(root.path().join("file"), "").unwrap();
        std::fs::write(outside.path().join("x"), "").unwrap();
        let bytes = Bytes::from_static(b"new");
        for (name, what) in [("link/x", "a link"), ("file/x", "a file")] {
            let target = root.path().join(name);
            let error = write(root.path(), &target, &bytes, None).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
            assert!(delete(root.path(), &target).is_err());
        }
        let target = root.path().join("to-x");
        for to in [outside.path().join("x"), outside.path().join("nothing")] {
            std::os::unix::fs::symlink(to, &target).unwrap();
            let error = write(root.path(), &target, &bytes, None).unwrap_err().to_string();
            assert!(error.contains("a link"), "{error}");
            std::fs::remove_file(&target).unwrap();
        }
        assert_eq!(std::fs::read(outside.path().join("x")).unwrap(), b"");
    }

    #[test]
    fn delete_removes_folders_left_empty() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        for name in ["a/b/c/x", "a/b/c/y", "a/z"] {
            write(root.path(), &path(name), &Bytes::new(), None).unwrap();
        }
        delete(root.path(), &path("a/b/c/x")).unwrap();
        assert!(path("a/b/c/y").exists());
        delete(root.path(), &path("a/b/c/y")).unwrap();
        assert!(!path("a/b").exists() && path("a/z").exists());
        delete(root.path(), &path("a/z")).unwrap();
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0, "the root stays");
    }

    #[test]
    fn write_and_delete_in_parallel_succeed() {
        let root = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for name in ["a/b/x", "a/b/y", "a/z"] {
                let (root, target) = (root.path(), root.path().join(name));
                scope.spawn(move || {
                    for _ in 0..200 {
                        write(root, &target, &Bytes::new(), None).unwrap();
                        delete(root, &target).unwrap();
                    }
                });
            }
        });
    }

    #[test]
    fn content_type_of_image_follows_bytes() {
        let of = |name: &str, bytes: &[u8]| content_type(Path::new(name), bytes);
        assert_eq!(of("a.txt", b"\xff\xd8\xff\xe0"), "image/jpeg");
        assert_eq!(of("a.css", b"body {}"), "text/css");
        assert_eq!(of("a.unheard-of", b"?"), "application/octet-stream");
    }

    #[test]
    fn etag_of_file_is_its_md5() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "abc").unwrap();
        assert_eq!(etag_of_file(file.path()).unwrap(), ETag::new("900150983cd24fb0d6963f7d28e17f72"));
    }
}
