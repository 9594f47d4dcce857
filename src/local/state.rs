//! Notices that a file changed.

use std::fs::Metadata;
use std::io;
use std::time::SystemTime;

/// Size and modification time, which show that a file changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileState {
    /// `None` for other than regular files, such as pipes.
    pub length: Option<u64>,
    modified: Option<SystemTime>,
}

impl FileState {
    /// Reads the state from a file's metadata.
    #[must_use]
    pub fn of(metadata: &Metadata) -> Self {
        let regular = metadata.is_file();
        Self { length: regular.then_some(metadata.len()), modified: metadata.modified().ok().filter(|_| regular) }
    }

    /// Fails if the file has changed.
    ///
    /// # Errors
    /// If the file has changed.
    pub fn check_unchanged(self, now: &Metadata) -> io::Result<()> {
        let changed = || io::Error::other("the file changed while it was read: try again");
        if Self::of(now) == self { Ok(()) } else { Err(changed()) }
    }
}
