//! Writes files atomically, and deletes them. The only place that does.

use std::fs::{File, FileTimes, Metadata};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tempfile::NamedTempFile;

/// Prefix of temporary files. A killed process may leave some behind.
pub const TEMPORARY_PREFIX: &str = ".karui-";

/// Many tasks may create folders and files in them, or one task may remove empty folders. Otherwise a folder could be
/// removed after it was created for a file and before the file is in it.
static FOLDER_LOCK: RwLock<()> = RwLock::new(());

/// Converts a time to whole seconds since 1970, as in S3.
#[must_use]
pub fn seconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_secs()).unwrap_or(i64::MAX),
    }
}

/// A file that appears at its target when it is complete.
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
    /// Creates missing folders, and a temporary file next to the target that only this user may read until it is
    /// committed.
    ///
    /// # Errors
    /// Any of the file system.
    pub fn create(target: &Path) -> io::Result<Self> {
        Self::stage(target, &tempfile::Builder::new())
    }

    /// Creates the file for a place below `root`, with the permissions of any new file. Links below `root` are refused;
    /// a device or pipe is written to.
    ///
    /// # Errors
    /// Any of the file system; also if a folder of the path is a file or a link.
    pub fn create_below(root: &Path, target: &Path) -> io::Result<Self> {
        refuse_links(root, folder_of(target))?;
        let is_link = target.symlink_metadata().is_ok_and(|about| about.is_symlink());
        if target.metadata().is_ok_and(|about| !about.is_file() && !about.is_dir()) {
            return Ok(Self { target: target.to_owned(), staged: StagedFile::Special });
        }
        if is_link {
            let path = target.display();
            return Err(io::Error::other(format!("{path} is a link in place of a file: name its target instead")));
        }
        #[cfg_attr(not(unix), expect(unused_mut, reason = "only Unix has modes"))]
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // The umask applies, as with any new file.
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        Self::stage(target, &builder)
    }

    /// Next to the target, since a rename is atomic only within one file system.
    fn stage(target: &Path, builder: &tempfile::Builder<'_, '_>) -> io::Result<Self> {
        let mut builder = builder.clone();
        let folder = folder_of(target);
        let _made = FOLDER_LOCK.read().unwrap_or_else(PoisonError::into_inner);
        std::fs::create_dir_all(folder)?;
        let file = builder.prefix(TEMPORARY_PREFIX).tempfile_in(folder)?;
        Ok(Self { target: target.to_owned(), staged: StagedFile::New(file) })
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
    #[must_use]
    pub fn offset_writer(&self) -> Option<OffsetWriter> {
        match &self.staged {
            StagedFile::New(file) => Some(OffsetWriter(file.path().to_owned())),
            StagedFile::Special => None,
        }
    }

    /// Sets the modification time.
    ///
    /// # Errors
    /// Those of the file.
    pub fn set_modified(&self, time: SystemTime) -> io::Result<()> {
        let StagedFile::New(file) = &self.staged else { return Ok(()) };
        file.as_file().set_times(FileTimes::new().set_modified(time))
    }

    /// Takes over owner and permissions of another file, and syncs the bytes to disk: the file replaces the only copy.
    ///
    /// # Errors
    /// Those of the file.
    pub fn replace_like(&self, other: &Metadata) -> io::Result<()> {
        let StagedFile::New(file) = &self.staged else { return Ok(()) };
        keep_owner(file.as_file(), other);
        file.as_file().set_permissions(other.permissions())?;
        file.as_file().sync_all()
    }

    /// Moves the file to its target.
    ///
    /// # Errors
    /// Any of the file system; the target is then unchanged.
    pub fn commit(self) -> io::Result<()> {
        let StagedFile::New(file) = self.staged else { return Ok(()) };
        file.persist(&self.target)?;
        Ok(())
    }

    /// Moves the file to its target, with this modification time in seconds since 1970. It is not synced to disk: after
    /// a power failure the object is still in S3.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub fn commit_modified(self, modified: Option<i64>) -> io::Result<()> {
        if let Some(seconds) = modified.and_then(|seconds| u64::try_from(seconds).ok()) {
            self.set_modified(UNIX_EPOCH + Duration::from_secs(seconds))?;
        }
        self.commit()
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

/// Atomically replaces `target` with `bytes`, keeping owner and permissions of the source file. Creates missing
/// folders.
///
/// # Errors
/// Any of the file system; `target` is then unchanged.
pub fn replace(target: &Path, bytes: &[u8], source: &Metadata) -> io::Result<()> {
    let file = AtomicFile::create(target)?;
    file.open()?.write_all(bytes)?;
    file.replace_like(source)?;
    file.commit()
}

/// Atomically copies `source` to `target`, with its owner, permissions and modification time.
///
/// # Errors
/// Any of the file system; `target` is then unchanged.
pub fn copy(mut source: File, target: &Path) -> io::Result<()> {
    let about = source.metadata()?;
    let file = AtomicFile::create(target)?;
    io::copy(&mut source, &mut file.open()?)?;
    file.set_modified(about.modified()?)?;
    file.replace_like(&about)?;
    file.commit()
}

/// Atomically writes bytes to a place below `root`.
///
/// # Errors
/// Those of [`AtomicFile::create_below`].
pub fn write(root: &Path, target: &Path, bytes: &[u8], modified: Option<i64>) -> io::Result<()> {
    let file = AtomicFile::create_below(root, target)?;
    file.open()?.write_all(bytes)?;
    file.commit_modified(modified)
}

/// Deletes a file below `root`, and its parent folders that become empty: an object may come that has the name of one
/// of them.
///
/// # Errors
/// Those of [`AtomicFile::create_below`].
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

fn folder_of(target: &Path) -> &Path {
    match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
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

/// Only root may change a file's owner; for everyone else the owner is already right, and a foreign group is lost.
#[cfg(unix)]
fn keep_owner(file: &File, source: &Metadata) {
    use std::os::unix::fs::{MetadataExt, fchown};
    let _ = fchown(file, Some(source.uid()), Some(source.gid())).or_else(|_| fchown(file, None, Some(source.gid())));
}

#[cfg(not(unix))]
fn keep_owner(_file: &File, _source: &Metadata) {}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn copy_keeps_bytes_and_modification_time() {
        let root = tempfile::tempdir().unwrap();
        let (source, target) = (root.path().join("a"), root.path().join("deep/er/b"));
        fs::write(&source, "as it is").unwrap();
        let before = source.metadata().unwrap();
        copy(File::open(&source).unwrap(), &target).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"as it is");
        assert_eq!(target.metadata().unwrap().modified().unwrap(), before.modified().unwrap());
    }

    #[test]
    #[cfg(unix)]
    fn replace_keeps_permissions() {
        use std::os::unix::fs::PermissionsExt;
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("a");
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        replace(&file, b"new", &file.metadata().unwrap()).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o640);
    }

    #[test]
    fn failed_replace_leaves_no_temporary_file() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("taken");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("inside"), "").unwrap();
        let about = folder.join("inside").metadata().unwrap();
        assert!(replace(&folder, b"new", &about).is_err());
        let left: Vec<_> = fs::read_dir(root.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["taken"]);
    }

    #[test]
    fn write_sets_time_and_leaves_no_temporary_file() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("a/b.txt");
        write(root.path(), &target, b"new", Some(1_700_000_000)).unwrap();
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
        write(root.path(), &pipe, b"new", Some(1)).unwrap();
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
        let bytes = b"new";
        for (name, what) in [("link/x", "a link"), ("file/x", "a file")] {
            let target = root.path().join(name);
            let error = write(root.path(), &target, bytes, None).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
            assert!(delete(root.path(), &target).is_err());
        }
        let target = root.path().join("to-x");
        for to in [outside.path().join("x"), outside.path().join("nothing")] {
            std::os::unix::fs::symlink(to, &target).unwrap();
            let error = write(root.path(), &target, bytes, None).unwrap_err().to_string();
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
            write(root.path(), &path(name), b"", None).unwrap();
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
                        write(root, &target, b"", None).unwrap();
                        delete(root, &target).unwrap();
                    }
                });
            }
        });
    }
}
