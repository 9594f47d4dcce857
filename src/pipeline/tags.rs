//! Reads the tags of sources, if that is permitted.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use crate::s3::{Client, Head, ObjectRef, S3Error, S3ErrorKind};

pub(crate) type Tags = Vec<(String, String)>;

/// Remembers the buckets whose tags it could read once: without permission, S3 reports a tag count of 0.
pub(crate) struct TagReader {
    client: Client,
    seen: Mutex<HashSet<String>>,
}

impl TagReader {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, seen: Mutex::default() }
    }

    /// Returns the tags, or `None` and a warning if they may not be read and are not `required`.
    ///
    /// # Errors
    /// [`S3Error`] of any kind.
    pub(crate) async fn read(
        &self,
        source: &ObjectRef,
        head: &Head,
        required: bool,
    ) -> Result<(Option<Tags>, Option<String>), S3Error> {
        // Trusts a tag count of 0 only in a bucket whose tags could be read, and if tags are not required.
        if head.tag_count == 0 && !required && self.seen().contains(&source.bucket) {
            return Ok((Some(Tags::new()), None));
        }
        let tags = match self.client.tags(source).await {
            // A store without tags has none to lose.
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
