//! Merges the listings of both sides in key order; neither listing is held whole.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use tokio::sync::mpsc;

use super::decide::Entry;
use crate::local;
use crate::local::walk::Walked;
use crate::s3::{self, S3Error};

/// Entries of a folder that are buffered.
const AHEAD: usize = 1024;

/// One side's keys below its root, in byte order.
#[derive(Debug)]
pub enum Listing {
    S3 {
        objects: Box<s3::Listing>,
        root: String,
    },
    Folder(mpsc::Receiver<Item>),
    /// Not listed, or missing.
    Empty,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    Entry(Entry),
    Skipped(SkippedEntry),
}

/// An entry of a folder whose content is unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SkippedEntry {
    /// Ignored. The source may have anything at its key, or below it.
    Ignored { key: String, path: PathBuf, reason: &'static str },
    /// Unreadable, or with a name that cannot be a key.
    Unreadable { path: PathBuf, reason: String },
}

impl Listing {
    /// Lists the regular files of a folder. Links are not followed, so nothing outside is read.
    pub fn of_folder(root: PathBuf) -> Self {
        let (send, receive) = mpsc::channel(AHEAD);
        tokio::task::spawn_blocking(move || walk(&root, |item| send.blocking_send(item).is_ok()));
        Self::Folder(receive)
    }

    async fn next(&mut self) -> Result<Option<Item>, S3Error> {
        match self {
            Self::Folder(items) => Ok(items.recv().await),
            Self::Empty => Ok(None),
            Self::S3 { objects, root } => loop {
                let Some(listed) = objects.next().await? else { return Ok(None) };
                let s3::Listed { key, size, etag, modified } = listed;
                match key.strip_prefix(root.as_str()) {
                    // The folder marker of the root itself.
                    None | Some("") => {}
                    Some(key) => {
                        return Ok(Some(Item::Entry(Entry {
                            key: key.to_owned(),
                            size,
                            modified,
                            etag: Some(etag).filter(|etag| !etag.as_str().is_empty()),
                        })));
                    }
                }
            },
        }
    }
}

/// Passes every file and skipped entry to `take`, until it returns false.
fn walk(root: &Path, take: impl FnMut(Item) -> bool) {
    let _ended = local::walk::walk(root, |_| false).map(|walked| item(root, walked)).all(take);
}

fn item(root: &Path, walked: Walked) -> Item {
    let unreadable = |path, reason| Item::Skipped(SkippedEntry::Unreadable { path, reason });
    let (path, entry) = match walked {
        Walked::Unreadable { path, error } => return unreadable(path, error.to_string()),
        Walked::Ignored { path, reason } => (path, Err(reason)),
        Walked::File(entry) => (entry.path().to_owned(), Ok(entry)),
    };
    let segments = path.strip_prefix(root).ok().map(|inside| inside.iter().map(|segment| segment.to_str()));
    let Some(segments) = segments.and_then(Iterator::collect::<Option<Vec<_>>>) else {
        return unreadable(path, "its name is not UTF-8, as keys must be: rename it".into());
    };
    let key = segments.join("/");
    match entry.map(|entry| entry.metadata()) {
        Err(reason) => Item::Skipped(SkippedEntry::Ignored { key, path, reason }),
        Ok(Ok(about)) => {
            let modified = about.modified().map_or(0, local::write::seconds);
            Item::Entry(Entry { key, size: about.len(), modified, etag: None })
        }
        Ok(Err(error)) => unreadable(path, error.to_string()),
    }
}

/// A key, and what both sides have of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pair {
    Entries {
        source: Option<Entry>,
        destination: Option<Entry>,
    },
    /// An entry skipped at the source. Destination keys at or below a skipped source path are not yielded. After an
    /// unreadable entry, a missing source key is no proof of absence.
    Skipped(SkippedEntry),
}

/// Two listings merged into one.
#[derive(Debug)]
pub struct Merge {
    source: Peeked,
    destination: Peeked,
    /// Skipped source keys that the destination's listing has not passed yet.
    skipped: Vec<String>,
}

#[derive(Debug)]
struct Peeked {
    listing: Listing,
    head: Option<Item>,
}

impl Peeked {
    async fn fill(&mut self) -> Result<(), S3Error> {
        if self.head.is_none() {
            self.head = self.listing.next().await?;
            if self.head.is_none() {
                self.listing = Listing::Empty;
            }
        }
        Ok(())
    }

    fn entry(&self) -> Option<&Entry> {
        match &self.head {
            Some(Item::Entry(entry)) => Some(entry),
            Some(Item::Skipped(_)) | None => None,
        }
    }

    fn take(&mut self) -> Option<Entry> {
        match self.head.take() {
            Some(Item::Entry(entry)) => Some(entry),
            Some(Item::Skipped(_)) | None => None,
        }
    }
}

impl Merge {
    pub fn new(source: Listing, destination: Listing) -> Self {
        let peeked = |listing| Peeked { listing, head: None };
        Self { source: peeked(source), destination: peeked(destination), skipped: Vec::new() }
    }

    /// Whether the source has no keys; known after the first [`Merge::next`].
    pub fn source_is_empty(&self) -> bool {
        matches!(self.source.listing, Listing::Empty) && self.source.head.is_none()
    }

    /// Returns the next pair; `None` after the last.
    ///
    /// # Errors
    /// [`S3Error`] if a listing breaks off: then no later key is known to be missing.
    pub async fn next(&mut self) -> Result<Option<Pair>, S3Error> {
        loop {
            let (source, destination) = tokio::join!(self.source.fill(), self.destination.fill());
            source?;
            destination?;
            // A destination entry that is no file is ignored: a write to it fails with its name.
            if self.destination.head.take_if(|item| !matches!(item, Item::Entry(_))).is_some() {
                continue;
            }
            let there = self.destination.entry().map(|entry| entry.key.as_str());
            if let Some(Item::Skipped(skipped)) = self.source.head.take_if(|item| item.comes_before(there)) {
                if let SkippedEntry::Ignored { key, .. } = &skipped {
                    self.skipped.push(key.clone());
                }
                return Ok(Some(Pair::Skipped(skipped)));
            }
            match self.destination.entry() {
                Some(entry) if may_exist_at_source(&mut self.skipped, &entry.key) => self.destination.head = None,
                Some(_) | None => return Ok(self.pair()),
            }
        }
    }

    fn pair(&mut self) -> Option<Pair> {
        let (source, destination) = match (self.source.entry(), self.destination.entry()) {
            (None, None) => return None,
            (Some(_), None) => (true, false),
            (None, Some(_)) => (false, true),
            (Some(source), Some(destination)) => match source.key.cmp(&destination.key) {
                Ordering::Less => (true, false),
                Ordering::Equal => (true, true),
                Ordering::Greater => (false, true),
            },
        };
        Some(Pair::Entries {
            source: if source { self.source.take() } else { None },
            destination: if destination { self.destination.take() } else { None },
        })
    }
}

/// Whether the source may have this key at or below a skipped entry.
fn may_exist_at_source(skipped: &mut Vec<String>, key: &str) -> bool {
    // Keys with a common prefix are adjacent: a skipped key that is no prefix of this one has been passed.
    skipped.retain(|over| key.starts_with(over.as_str()));
    skipped.iter().any(|over| matches!(key.as_bytes().get(over.len()), None | Some(b'/')))
}

impl Item {
    /// Whether it is a skipped entry that is due while the destination is at this key.
    fn comes_before(&self, there: Option<&str>) -> bool {
        match self {
            Self::Entry(_) => false,
            Self::Skipped(SkippedEntry::Ignored { key, .. }) => there.is_none_or(|there| key.as_str() <= there),
            Self::Skipped(SkippedEntry::Unreadable { .. }) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, file).unwrap();
        }
        root
    }

    #[test]
    fn walk_yields_files_in_key_order() {
        let names = ["a.b", "a/b", "a/c/d", "a-b", "a0", "Z", "日", "a/c.d"];
        let root = tree(&names);
        let mut keys = Vec::new();
        walk(root.path(), |item| {
            let Item::Entry(Entry { key, size, modified, etag: None }) = item else { panic!("{item:?}") };
            assert!(size == key.len() as u64 && modified > 1_700_000_000);
            keys.push(key);
            true
        });
        let mut sorted = names.map(str::to_owned).to_vec();
        sorted.sort();
        assert_eq!(keys, sorted);
    }

    #[test]
    #[cfg(unix)]
    fn walk_skips_links_and_reports_names_not_utf8() {
        use std::os::unix::ffi::OsStrExt;
        let root = tree(&["inside/x"]);
        let outside = tree(&["secret"]);
        std::os::unix::fs::symlink(outside.path(), root.path().join("folder")).unwrap();
        std::os::unix::fs::symlink(outside.path().join("secret"), root.path().join("file")).unwrap();
        std::fs::write(root.path().join(std::ffi::OsStr::from_bytes(b"\xff")), "").unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(root.path().join("inside/socket")).unwrap();
        let named = outside.path().join("root");
        std::os::unix::fs::symlink(root.path(), &named).unwrap();
        for root in [root.path(), &named] {
            let mut items = Vec::new();
            walk(root, |item| {
                items.push(item);
                true
            });
            assert_eq!(items.len(), 5, "{items:?}");
            for (item, name, why) in [
                (&items[0], "file", "a link"),
                (&items[1], "folder", "a link"),
                (&items[2], "inside/socket", "neither"),
            ] {
                let Item::Skipped(SkippedEntry::Ignored { key, reason, .. }) = item else { panic!("{item:?}") };
                assert!(key == name && reason.contains(why), "{item:?}");
            }
            assert!(matches!(&items[3], Item::Entry(entry) if entry.key == "inside/x"));
            assert!(
                matches!(&items[4], Item::Skipped(SkippedEntry::Unreadable { reason, .. }) if reason.contains("UTF-8"))
            );
        }
    }

    #[tokio::test]
    #[cfg(unix)]
    async fn merge_hides_destination_keys_below_a_link() {
        let (left, right) = (tree(&["a.b", "c"]), tree(&["a-b", "a.b", "a/x", "a0", "b", "c/x", "l/y/z", "m"]));
        for name in ["a", "l"] {
            std::os::unix::fs::symlink("/", left.path().join(name)).unwrap();
        }
        let mut merge = Merge::new(Listing::of_folder(left.path().into()), Listing::of_folder(right.path().into()));
        let (mut passed, mut alone) = (Vec::new(), Vec::new());
        while let Some(pair) = merge.next().await.unwrap() {
            match pair {
                Pair::Skipped(SkippedEntry::Ignored { key, .. }) => passed.push(key),
                Pair::Entries { source: None, destination: Some(entry) } => alone.push(entry.key),
                Pair::Entries { .. } => {}
                Pair::Skipped(unreadable) => panic!("{unreadable:?}"),
            }
        }
        assert_eq!(
            (passed, alone),
            (vec!["a".into(), "l".into()], ["a-b", "a0", "b", "c/x", "m"].map(String::from).into())
        );
    }

    #[tokio::test]
    async fn merge_pairs_equal_keys() {
        let (left, right) = (tree(&["a", "b/x", "d"]), tree(&["b.x", "b/x", "c", "e"]));
        let mut merge = Merge::new(Listing::of_folder(left.path().into()), Listing::of_folder(right.path().into()));
        let mut seen = Vec::new();
        while let Some(Pair::Entries { source, destination }) = merge.next().await.unwrap() {
            let key = source.as_ref().or(destination.as_ref()).unwrap().key.clone();
            seen.push((key, source.is_some(), destination.is_some()));
        }
        let expected = [("a", true, false), ("b.x", false, true), ("b/x", true, true), ("c", false, true)];
        let expected = expected.into_iter().chain([("d", true, false), ("e", false, true)]);
        assert_eq!(seen, expected.map(|(key, a, b)| (key.to_owned(), a, b)).collect::<Vec<_>>());
    }
}
