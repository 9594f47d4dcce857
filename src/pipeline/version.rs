//! Notices that a source has changed since it was read.

use std::io::ErrorKind;

use super::error::Error;
use super::files::file_error;
use super::location::Location;
use crate::local::state::FileState;
use crate::report::Skip;
use crate::s3::{Client, ETag};

/// Version of a source that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceVersion {
    Object(ETag),
    File(FileState),
    /// The source changed before all of it was read.
    Replaced,
}

/// What the source is now, compared with a version of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceNow {
    Unchanged,
    Changed,
    Gone,
}

impl SourceNow {
    /// Skips a source that has changed: the newer one has its own event, or its own run.
    ///
    /// # Errors
    /// [`Error::Skip`].
    pub(super) fn check(self) -> Result<(), Error> {
        match self {
            Self::Unchanged => Ok(()),
            Self::Changed => Err(Error::Skip(Skip::SourceReplaced)),
            Self::Gone => Err(Error::Skip(Skip::SourceGone)),
        }
    }
}

impl SourceVersion {
    /// ETag of an object.
    pub(super) fn etag(&self) -> Option<String> {
        if let Self::Object(etag) = self { Some(etag.as_str().to_owned()) } else { None }
    }

    /// Compares the source with this version of it.
    ///
    /// # Errors
    /// Those of the source.
    pub async fn compare(&self, client: &Client, source: &Location) -> Result<SourceNow, Error> {
        let is_same = match (source, self) {
            (_, Self::Replaced) => false,
            (Location::S3(object), Self::Object(etag)) => match client.head(object).await? {
                Some(now) => now.etag == *etag,
                None => return Ok(SourceNow::Gone),
            },
            (Location::Local(path), Self::File(state)) => match tokio::fs::metadata(path).await {
                Ok(now) => FileState::of(&now) == *state,
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(SourceNow::Gone),
                Err(error) => return Err(file_error(path, error)),
            },
            (_, Self::Object(_) | Self::File(_)) => true,
        };
        Ok(if is_same { SourceNow::Unchanged } else { SourceNow::Changed })
    }
}
