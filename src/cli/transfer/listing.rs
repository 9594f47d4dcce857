//! Both sides' keys in one order, a pair at a time: neither listing is ever held whole.

use std::cmp::Ordering;
use std::path::PathBuf;

use tokio::sync::mpsc;
use walkdir::{DirEntry, WalkDir};

use super::decide::Entry;
use crate::cli::write::TEMPORARY;
use crate::s3::{self, S3Error};

/// Entries of a folder that wait to be looked at.
const AHEAD: usize = 1024;

/// One side's keys below its root, in the order of their bytes.
#[derive(Debug)]
pub enum Listing {
    S3 {
        objects: Box<s3::Listing>,
        root: String,
    },
    Folder(mpsc::Receiver<Item>),
    /// Not looked at, or not there.
    Nothing,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    Entry(Entry),
    Veiled(Veiled),
}

/// Something in a folder of which it is not known what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Veiled {
    /// It is not looked at: all that has its key, or a key below it, may be there.
    PassedOver { key: String, path: PathBuf, reason: &'static str },
    /// It cannot be looked at, or has a name that no key can have.
    Unreadable { path: PathBuf, reason: String },
}

impl Listing {
    /// The regular files of a folder. Links are not followed, so nothing outside is read.
    pub fn of_folder(root: PathBuf) -> Self {
        let (send, receive) = mpsc::channel(AHEAD);
        tokio::task::spawn_blocking(move || walk(&root, |item| send.blocking_send(item).is_ok()));
        Self::Folder(receive)
    }

    async fn next(&mut self) -> Result<Option<Item>, S3Error> {
        match self {
            Self::Folder(items) => Ok(items.recv().await),
            Self::Nothing => Ok(None),
            Self::S3 { objects, root } => loop {
                let Some(listed) = objects.next().await? else { return Ok(None) };
                let s3::Listed { key, size, etag, modified } = listed;
                match key.strip_prefix(root.as_str()) {
                    // The root's own folder marker.
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

/// Hands over every file, and what is passed over, until nobody takes them.
fn walk(root: &std::path::Path, mut take: impl FnMut(Item) -> bool) {
    // The root itself may be a link, since it was named.
    for entry in WalkDir::new(root).min_depth(1).sort_by(by_key) {
        let item = match entry {
            Ok(entry) if entry.file_type().is_dir() => continue,
            Ok(entry) => item(root, &entry),
            Err(error) => {
                let path = error.path().unwrap_or(root).to_owned();
                Item::Veiled(Veiled::Unreadable { path, reason: error.to_string() })
            }
        };
        if !take(item) {
            return;
        }
    }
}

/// A folder's key goes on with a `/`, and so `a.b` comes before what is in `a`.
fn by_key(a: &DirEntry, b: &DirEntry) -> Ordering {
    let name = |entry: &DirEntry| {
        let mut name = entry.file_name().as_encoded_bytes().to_vec();
        name.extend(entry.file_type().is_dir().then_some(b'/'));
        name
    };
    name(a).cmp(&name(b))
}

fn item(root: &std::path::Path, entry: &DirEntry) -> Item {
    let path = entry.path().to_owned();
    let segments = path.strip_prefix(root).ok().map(|inside| inside.iter().map(|segment| segment.to_str()));
    let Some(segments) = segments.and_then(Iterator::collect::<Option<Vec<_>>>) else {
        let reason = "its name is no UTF-8, and keys are: rename it".into();
        return Item::Veiled(Veiled::Unreadable { path, reason });
    };
    let key = segments.join("/");
    if let Some(reason) = passed_over(entry) {
        return Item::Veiled(Veiled::PassedOver { key, path, reason });
    }
    match entry.metadata() {
        Ok(about) => {
            let modified = about.modified().map_or(0, super::local::seconds);
            Item::Entry(Entry { key, size: about.len(), modified, etag: None })
        }
        Err(error) => Item::Veiled(Veiled::Unreadable { path, reason: error.to_string() }),
    }
}

/// Why what is no folder is not looked at.
fn passed_over(entry: &DirEntry) -> Option<&'static str> {
    let kind = entry.file_type();
    if kind.is_symlink() {
        Some("a link, which is not followed")
    } else if !kind.is_file() {
        Some("neither a file nor a folder")
    } else if entry.file_name().as_encoded_bytes().starts_with(TEMPORARY.as_bytes()) {
        Some("a temporary file of Karui's: delete it, if none is writing there")
    } else {
        None
    }
}

/// A key, and what lies there at either side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pair {
    Entries {
        source: Option<Entry>,
        destination: Option<Entry>,
    },
    /// At the source. What the destination has of a key that was passed over, or below it, comes in no pair; what is missing
    /// after something unreadable may be there all the same.
    Veiled(Veiled),
}

/// Two listings as one.
#[derive(Debug)]
pub struct Merge {
    source: Peeked,
    destination: Peeked,
    /// The keys that were passed over, and that the destination is not beyond.
    veiled: Vec<String>,
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
                self.listing = Listing::Nothing;
            }
        }
        Ok(())
    }

    fn entry(&self) -> Option<&Entry> {
        match &self.head {
            Some(Item::Entry(entry)) => Some(entry),
            Some(Item::Veiled(_)) | None => None,
        }
    }

    fn take(&mut self) -> Option<Entry> {
        match self.head.take() {
            Some(Item::Entry(entry)) => Some(entry),
            Some(Item::Veiled(_)) | None => None,
        }
    }
}

impl Merge {
    pub fn new(source: Listing, destination: Listing) -> Self {
        let peeked = |listing| Peeked { listing, head: None };
        Self { source: peeked(source), destination: peeked(destination), veiled: Vec::new() }
    }

    /// Whether the source has no more keys; known after the first [`Merge::next`].
    pub fn source_is_empty(&self) -> bool {
        matches!(self.source.listing, Listing::Nothing) && self.source.head.is_none()
    }

    /// The next key; `None` after the last.
    ///
    /// # Errors
    /// [`S3Error`] where a listing breaks off: no key after that is known to be missing.
    pub async fn next(&mut self) -> Result<Option<Pair>, S3Error> {
        loop {
            let (source, destination) = tokio::join!(self.source.fill(), self.destination.fill());
            source?;
            destination?;
            // What is no file at the destination is in nobody's way but its own: a write to it fails by name.
            if self.destination.head.take_if(|item| !matches!(item, Item::Entry(_))).is_some() {
                continue;
            }
            let there = self.destination.entry().map(|entry| entry.key.as_str());
            if let Some(Item::Veiled(veiled)) = self.source.head.take_if(|item| item.is_told_before(there)) {
                if let Veiled::PassedOver { key, .. } = &veiled {
                    self.veiled.push(key.clone());
                }
                return Ok(Some(Pair::Veiled(veiled)));
            }
            match self.destination.entry() {
                Some(entry) if is_veiled(&mut self.veiled, &entry.key) => self.destination.head = None,
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

/// Whether the destination's key may be at the source all the same, behind what was passed over there.
fn is_veiled(veiled: &mut Vec<String>, key: &str) -> bool {
    // Keys that begin alike lie together: what this one does not begin with is behind.
    veiled.retain(|over| key.starts_with(over.as_str()));
    veiled.iter().any(|over| matches!(key.as_bytes().get(over.len()), None | Some(b'/')))
}

impl Item {
    /// Whether it is in no pair, and has its turn while the destination is at this key.
    fn is_told_before(&self, there: Option<&str>) -> bool {
        match self {
            Self::Entry(_) => false,
            Self::Veiled(Veiled::PassedOver { key, .. }) => there.is_none_or(|there| key.as_str() <= there),
            Self::Veiled(Veiled::Unreadable { .. }) => true,
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
    fn files_come_in_the_order_of_their_keys() {
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
    fn links_are_passed_over_and_names_that_are_no_utf8_are_told_of() {
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
                let Item::Veiled(Veiled::PassedOver { key, reason, .. }) = item else { panic!("{item:?}") };
                assert!(key == name && reason.contains(why), "{item:?}");
            }
            assert!(matches!(&items[3], Item::Entry(entry) if entry.key == "inside/x"));
            assert!(matches!(&items[4], Item::Veiled(Veiled::Unreadable { reason, .. }) if reason.contains("UTF-8")));
        }
    }

    #[tokio::test]
    #[cfg(unix)]
    async fn what_may_be_behind_a_link_is_in_no_pair() {
        let (left, right) = (tree(&["a.b", "c"]), tree(&["a-b", "a.b", "a/x", "a0", "b", "c/x", "l/y/z", "m"]));
        for name in ["a", "l"] {
            std::os::unix::fs::symlink("/", left.path().join(name)).unwrap();
        }
        let mut merge = Merge::new(Listing::of_folder(left.path().into()), Listing::of_folder(right.path().into()));
        let (mut passed, mut alone) = (Vec::new(), Vec::new());
        while let Some(pair) = merge.next().await.unwrap() {
            match pair {
                Pair::Veiled(Veiled::PassedOver { key, .. }) => passed.push(key),
                Pair::Entries { source: None, destination: Some(entry) } => alone.push(entry.key),
                Pair::Entries { .. } => {}
                Pair::Veiled(unreadable) => panic!("{unreadable:?}"),
            }
        }
        assert_eq!(
            (passed, alone),
            (vec!["a".into(), "l".into()], ["a-b", "a0", "b", "c/x", "m"].map(String::from).into())
        );
    }

    #[tokio::test]
    async fn two_listings_meet_at_their_keys() {
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
