//! Compares the contents of both sides, and detects a source that changed while it was copied.

use std::io;

use super::copier::{Copier, CopyError, CopyTask, on_disk};
use super::local;
use super::location::Location;
use crate::local::state::FileState;
use crate::pipeline::marker;
use crate::pipeline::{Job, Task as PipelineTask};
use crate::s3::{ETag, Existing, Head, S3Error};

/// Version of a source that was copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceVersion {
    Object(ETag),
    File(FileState),
    /// The source changed before all of it was read.
    Changed,
}

impl Copier {
    /// Whether the destination has the source's content; for optimized results, the marker decides. `None` if nothing
    /// can tell.
    pub async fn destination_matches(&self, task: &CopyTask) -> Result<Option<bool>, CopyError> {
        let listed = task.entry.as_ref().and_then(|entry| entry.etag.clone());
        match (&task.from, &task.to) {
            (from, Location::S3(to)) if self.options.is_some() => {
                let etag = match from {
                    Location::Local(path) => Some(on_disk(path.clone(), local::etag_of_file).await?),
                    Location::S3(_) | Location::Stream => listed,
                };
                let there = match Existing::from_head(self.store.destination.head(to).await)? {
                    Existing::Present(there) => there,
                    Existing::Absent => return Ok(Some(false)),
                    Existing::Unknown => return Ok(None),
                };
                let (source, task) = (to.clone(), PipelineTask::Optimize);
                let job = Job { source, etag, size: None, sequencer: None, task };
                Ok(Some(marker::answers(&there.attributes.metadata, &job, &self.options_hash)))
            }
            (Location::S3(from), Location::S3(to)) => {
                let (here, there) = tokio::join!(self.store.source.head(from), self.store.destination.head(to));
                Ok(match (Existing::from_head(here)?, Existing::from_head(there)?) {
                    (Existing::Present(here), Existing::Present(there)) => here.has_same_bytes(&there),
                    (Existing::Absent, _) | (_, Existing::Absent) => Some(false),
                    (Existing::Unknown, _) | (_, Existing::Unknown) => None,
                })
            }
            (Location::Local(file), Location::S3(object)) => {
                let head = self.store.destination.head(object);
                has_file(file, listed, head).await
            }
            (Location::S3(object), Location::Local(file)) => {
                let head = self.store.source.head(object);
                has_file(file, listed, head).await
            }
            (..) => Ok(None),
        }
    }

    /// Whether the source has changed since it was copied. The copy is newer than that change, so that no later listing
    /// would show the difference.
    pub async fn source_has_changed(&self, source: &Location, copied: &SourceVersion) -> Result<bool, CopyError> {
        Ok(match (source, copied) {
            (_, SourceVersion::Changed) => true,
            (Location::S3(object), SourceVersion::Object(etag)) => {
                let now = self.store.source.head(object).await?;
                now.is_some_and(|now| now.etag != *etag)
            }
            (Location::Local(path), SourceVersion::File(state)) => match tokio::fs::metadata(path).await {
                Ok(now) => FileState::of(&now) != *state,
                Err(error) if error.kind() == io::ErrorKind::NotFound => false,
                Err(error) => return Err(CopyError::Io { path: path.clone(), error }),
            },
            (..) => false,
        })
    }
}

/// Whether a file has an object's bytes: by its `ETag` if that is an MD5, else by its checksum.
async fn has_file(
    file: &std::path::Path,
    etag: Option<ETag>,
    head: impl Future<Output = Result<Option<Head>, S3Error>>,
) -> Result<Option<bool>, CopyError> {
    let etag = etag.filter(ETag::is_digest);
    if let Some(etag) = &etag
        && on_disk(file.to_owned(), local::etag_of_file).await? == *etag
    {
        return Ok(Some(true));
    }
    // With SSE-KMS an ETag looks like an MD5 but is none.
    let checksum = match Existing::from_head(head.await)? {
        Existing::Present(head) => head.checksum,
        Existing::Absent => return Ok(Some(false)),
        Existing::Unknown => None,
    };
    if let Some(checksum) = checksum {
        let proven = on_disk(file.to_owned(), move |path| checksum.verify_reader(std::fs::File::open(path)?)).await?;
        if proven.is_some() {
            return Ok(proven);
        }
    }
    Ok(etag.map(|_| false))
}
