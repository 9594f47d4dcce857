//! The tags of a source, where they may be read.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use crate::s3::{Head, ObjectRef, S3Error, S3ErrorKind, Store};

type Tags = Vec<(String, String)>;

/// Knows the buckets whose tags it could read once: S3 hides their very number from those who may not.
pub(crate) struct TagReader {
    store: Store,
    seen: Mutex<HashSet<String>>,
}

impl TagReader {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, seen: Mutex::default() }
    }

    /// The tags; `None`, and why, where they may not be read and are not `required`.
    ///
    /// # Errors
    /// [`S3Error`] of any kind.
    pub(crate) async fn read(
        &self,
        source: &ObjectRef,
        head: &Head,
        required: bool,
    ) -> Result<(Option<Tags>, Option<String>), S3Error> {
        // A zero is believed only of a bucket that shows its tags, and where nothing hangs on it.
        if head.tag_count == 0 && !required && self.seen().contains(&source.bucket) {
            return Ok((Some(Tags::new()), None));
        }
        let tags = match self.store.tags(source).await {
            // A store that knows no tags has none to lose.
            Err(S3Error { kind: S3ErrorKind::NotSupported, .. }) if head.tag_count == 0 && !required => Tags::new(),
            Err(error) if error.may_be_about_tags() && !required => {
                return Ok((None, Some(format!("tags dropped, if there were any: {error}"))));
            }
            answer => answer?,
        };
        self.seen().insert(source.bucket.clone());
        Ok((Some(tags), None))
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
