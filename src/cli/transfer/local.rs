//! Files at either end: read whole, written whole or not at all.

use std::fs::{File, FileTimes};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use md5::{Digest, Md5};
use tempfile::NamedTempFile;

use crate::cli::write::TEMPORARY;
use crate::optimize::Format;
use crate::s3::ETag;

/// Many make folders and put something into them at once, or one removes folders that have become empty: else one that was
/// just made for a file could be gone before the file is in it.
static FOLDERS: RwLock<()> = RwLock::new(());

/// Whole seconds since 1970, as S3 counts them.
pub fn seconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_secs()).unwrap_or(i64::MAX),
    }
}

/// What a browser is told of a file: an image by its bytes, all else by its name.
pub fn content_type(path: &Path, bytes: &[u8]) -> String {
    let image = Format::sniff(bytes).map(Format::mime);
    let mime = image.or_else(|| mime_guess::from_path(path).first_raw());
    mime.unwrap_or("application/octet-stream").to_owned()
}

/// The `ETag` that S3 gives a file where it comes in one request, and no KMS key is at work.
///
/// # Errors
/// Those of the file.
pub fn etag_of_file(path: &Path) -> io::Result<ETag> {
    etag_of(&mut File::open(path)?)
}

/// The same of a file that is open, from its beginning.
///
/// # Errors
/// Those of the file.
pub fn etag_of(file: &mut File) -> io::Result<ETag> {
    let mut digest = Md5::new();
    file.rewind()?;
    io::copy(file, &mut Digesting(&mut digest))?;
    Ok(ETag::new(&hex(&digest.finalize())))
}

/// The first `n` bytes of a file that was just opened, or as many as there are.
///
/// # Errors
/// Those of the file.
pub fn beginning(file: &mut File, n: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(n);
    file.take(n as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

struct Digesting<'a>(&'a mut Md5);

impl Write for Digesting<'_> {
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

/// A file on its way to its place below `root`, which must not be left by a link.
#[derive(Debug)]
pub struct Arrival {
    target: PathBuf,
    staged: Staged,
}

#[derive(Debug)]
enum Staged {
    /// Beside the target, which it will be.
    New(NamedTempFile),
    /// The target itself: a device or a pipe takes bytes as they come, and stays what it is.
    Special,
}

impl Arrival {
    /// Makes the folders on the way, and a file beside the target: only within one file system a rename is one step.
    ///
    /// # Errors
    /// Any of the file system; a folder on the way that is a file or a link.
    pub fn begin(root: &Path, target: &Path) -> io::Result<Self> {
        let folder = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        stay_inside(root, folder)?;
        let is_link = target.symlink_metadata().is_ok_and(|about| about.is_symlink());
        if target.metadata().is_ok_and(|about| !about.is_file() && !about.is_dir()) {
            return Ok(Self { target: target.to_owned(), staged: Staged::Special });
        }
        if is_link {
            let path = target.display();
            return Err(io::Error::other(format!(
                "{path} is a link, and stands where a file belongs: name what it leads to"
            )));
        }
        let mut builder = tempfile::Builder::new();
        builder.prefix(TEMPORARY);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // What the umask leaves of it, as with any new file.
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let _made = FOLDERS.read().unwrap_or_else(PoisonError::into_inner);
        std::fs::create_dir_all(folder)?;
        Ok(Self { target: target.to_owned(), staged: Staged::New(builder.tempfile_in(folder)?) })
    }

    /// Takes its bytes one after the other, from the first on. A pipe makes wait until it is read from.
    ///
    /// # Errors
    /// Those of the file.
    pub fn open(&self) -> io::Result<File> {
        match &self.staged {
            Staged::New(file) => file.as_file().try_clone(),
            Staged::Special => File::options().write(true).open(&self.target),
        }
    }

    /// Where its bytes may be put in any order; `None` where they must come one after the other.
    pub fn places(&self) -> Option<Places> {
        match &self.staged {
            Staged::New(file) => Some(Places(file.path().to_owned())),
            Staged::Special => None,
        }
    }

    /// Puts the file where it belongs, with this time of modification, in seconds since 1970.
    ///
    /// # Errors
    /// Any of the file system; the target is then as it was.
    pub fn settle(self, modified: Option<i64>) -> io::Result<()> {
        let Staged::New(file) = self.staged else { return Ok(()) };
        if let Some(modified) = modified.and_then(|seconds| u64::try_from(seconds).ok()) {
            let time = UNIX_EPOCH + Duration::from_secs(modified);
            file.as_file().set_times(FileTimes::new().set_modified(time))?;
        }
        // Not forced to the disk: what a machine loses that loses its power is still in S3.
        file.persist(&self.target)?;
        Ok(())
    }
}

/// A file that takes bytes at any place.
#[derive(Debug)]
pub struct Places(PathBuf);

impl Places {
    /// What writes from this offset on, in bytes.
    ///
    /// # Errors
    /// Those of the file.
    pub fn from(&self, at: u64) -> io::Result<File> {
        let mut file = File::options().write(true).open(&self.0)?;
        file.seek(SeekFrom::Start(at))?;
        Ok(file)
    }
}

/// Puts bytes at `target` at once.
///
/// # Errors
/// As [`Arrival`].
pub fn write(root: &Path, target: &Path, bytes: &Bytes, modified: Option<i64>) -> io::Result<()> {
    let arrival = Arrival::begin(root, target)?;
    arrival.open()?.write_all(bytes)?;
    arrival.settle(modified)
}

/// Deletes a file below `root`, and the folders up to there that were made for it alone: an object may come that is named
/// like one of them.
///
/// # Errors
/// As [`Arrival::begin`].
pub fn delete(root: &Path, target: &Path) -> io::Result<()> {
    stay_inside(root, target.parent().unwrap_or(root))?;
    std::fs::remove_file(target)?;
    let _emptied = FOLDERS.write().unwrap_or_else(PoisonError::into_inner);
    let folders = target.ancestors().skip(1).take_while(|folder| folder.starts_with(root) && *folder != root);
    // One that is not empty stays, and so do those above it.
    for folder in folders {
        if std::fs::remove_dir(folder).is_err() {
            break;
        }
    }
    Ok(())
}

/// No folder between `root` and `folder` may be a link, which would lead what is written there elsewhere, or a file.
fn stay_inside(root: &Path, folder: &Path) -> io::Result<()> {
    let Ok(inside) = folder.strip_prefix(root) else { return Ok(()) };
    let mut path = root.to_owned();
    for segment in inside.components() {
        let Component::Normal(segment) = segment else { continue };
        path.push(segment);
        let refuse =
            |what| Err(io::Error::other(format!("{} is {what}, and stands where a folder belongs", path.display())));
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
    fn a_file_arrives_whole_with_its_time() {
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
    fn a_pipe_stays_a_pipe() {
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
    fn no_link_leads_out() {
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
    fn a_folder_goes_with_its_last_file() {
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
    fn a_folder_that_is_needed_again_is_there() {
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
    fn images_have_the_type_of_their_bytes() {
        let of = |name: &str, bytes: &[u8]| content_type(Path::new(name), bytes);
        assert_eq!(of("a.txt", b"\xff\xd8\xff\xe0"), "image/jpeg");
        assert_eq!(of("a.css", b"body {}"), "text/css");
        assert_eq!(of("a.unheard-of", b"?"), "application/octet-stream");
    }

    #[test]
    fn digests_are_s3s() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "abc").unwrap();
        assert_eq!(etag_of_file(file.path()).unwrap(), ETag::new("900150983cd24fb0d6963f7d28e17f72"));
    }
}
