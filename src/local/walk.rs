//! Walks a folder in the order of S3 keys. The only place that does.

use std::cmp::Ordering;
use std::io;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use super::write::TEMPORARY_PREFIX;

/// An entry that is no folder.
#[derive(Debug)]
pub enum Walked {
    File(DirEntry),
    /// Links are not followed, so nothing outside is read.
    Ignored {
        path: PathBuf,
        reason: &'static str,
    },
    Unreadable {
        path: PathBuf,
        error: io::Error,
    },
}

/// Returns everything below `root` but folders, and nothing of the folders for which `skips` holds. The root itself may
/// be a link, since the user named it.
pub fn walk<F: Fn(&Path) -> bool>(root: &Path, skips: F) -> impl Iterator<Item = Walked> + use<F> {
    let root = root.to_owned();
    let entries = WalkDir::new(&root).min_depth(1).sort_by(by_key).into_iter();
    let entries = entries.filter_entry(move |entry| !(entry.file_type().is_dir() && skips(entry.path())));
    entries.filter_map(move |entry| match entry {
        Ok(entry) if entry.file_type().is_dir() => None,
        Ok(entry) => Some(match skip_reason(&entry) {
            Some(reason) => Walked::Ignored { path: entry.into_path(), reason },
            None => Walked::File(entry),
        }),
        Err(error) => {
            let path = error.path().unwrap_or(&root).to_owned();
            Some(Walked::Unreadable { path, error: error.into() })
        }
    })
}

/// A folder sorts as if its name ended with `/`, so that `a.b` comes before the files in `a`.
fn by_key(a: &DirEntry, b: &DirEntry) -> Ordering {
    let name = |entry: &DirEntry| {
        let mut name = entry.file_name().as_encoded_bytes().to_vec();
        name.extend(entry.file_type().is_dir().then_some(b'/'));
        name
    };
    name(a).cmp(&name(b))
}

/// Returns the reason to skip an entry that is no folder.
fn skip_reason(entry: &DirEntry) -> Option<&'static str> {
    let kind = entry.file_type();
    if kind.is_symlink() {
        Some("a link, which is not followed")
    } else if !kind.is_file() {
        Some("neither a file nor a folder")
    } else if entry.file_name().as_encoded_bytes().starts_with(TEMPORARY_PREFIX.as_bytes()) {
        Some("a temporary file of Karui: delete it if no Karui is running")
    } else {
        None
    }
}
