//! Writes results to disk atomically.

use std::fs::{File, FileTimes, Metadata};
use std::io::{self, Write};
use std::path::Path;

use tempfile::NamedTempFile;

/// Prefix of temporary files. A killed process may leave some behind.
pub const TEMPORARY_PREFIX: &str = ".karui-";

/// Atomically replaces `target` with `bytes`, keeping owner and permissions of the source file. Creates missing
/// folders.
///
/// # Errors
/// Any of the file system; `target` is then unchanged.
pub fn replace(target: &Path, bytes: &[u8], source: &Metadata) -> io::Result<()> {
    let mut staged = stage(target)?;
    staged.write_all(bytes)?;
    persist(staged, target, source)
}

/// Atomically copies `source` to `target`, with its owner, permissions and modification time.
///
/// # Errors
/// Any of the file system; `target` is then unchanged.
pub fn copy(mut source: File, target: &Path) -> io::Result<()> {
    let about = source.metadata()?;
    let mut staged = stage(target)?;
    io::copy(&mut source, &mut staged)?;
    staged.as_file().set_times(FileTimes::new().set_modified(about.modified()?))?;
    persist(staged, target, &about)
}

/// Creates a temporary file next to the target, since a rename is atomic only within one file system.
fn stage(target: &Path) -> io::Result<NamedTempFile> {
    let folder = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(folder)?;
    tempfile::Builder::new().prefix(TEMPORARY_PREFIX).tempfile_in(folder)
}

fn persist(staged: NamedTempFile, target: &Path, source: &Metadata) -> io::Result<()> {
    keep_owner(staged.as_file(), source);
    staged.as_file().set_permissions(source.permissions())?;
    staged.as_file().sync_all()?;
    staged.persist(target)?;
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
}
