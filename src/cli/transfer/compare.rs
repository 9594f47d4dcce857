//! Whether the two sides have the same, by what is in them; and whether the source still has what was carried.

use std::io;

use super::carry::{Carrier, Failure, Load, on_disk};
use super::local;
use super::location::Location;
use super::source::State;
use crate::pipeline::marker;
use crate::pipeline::{Job, Task as PipelineTask};
use crate::s3::{ETag, Existing, Head, S3Error};

/// What a source was when it was carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Carried {
    Object(ETag),
    File(State),
    /// Another one before all of it was read.
    Nothing,
}

impl Carrier {
    /// Whether the destination has it: where it is made light, its marker says so. `None` where nothing can tell.
    pub async fn is_there(&self, load: &Load) -> Result<Option<bool>, Failure> {
        let listed = load.entry.as_ref().and_then(|entry| entry.etag.clone());
        match (&load.from, &load.to) {
            (from, Location::S3(to)) if self.options.is_some() => {
                let etag = match from {
                    Location::Local(path) => Some(on_disk(path.clone(), local::etag_of_file).await?),
                    Location::S3(_) | Location::Stream => listed,
                };
                let there = match Existing::from_head(self.store.head(to).await)? {
                    Existing::Present(there) => there,
                    Existing::Absent => return Ok(Some(false)),
                    Existing::Unknown => return Ok(None),
                };
                let (source, task) = (to.clone(), PipelineTask::Optimize);
                let job = Job { source, etag, size: None, sequencer: None, task };
                Ok(Some(marker::answers(&there.attributes.metadata, &job, &self.options_hash)))
            }
            (Location::S3(from), Location::S3(to)) => {
                let (here, there) = tokio::join!(self.store.head_source(from), self.store.head(to));
                Ok(match (Existing::from_head(here)?, Existing::from_head(there)?) {
                    (Existing::Present(here), Existing::Present(there)) => here.has_same_bytes(&there),
                    (Existing::Absent, _) | (_, Existing::Absent) => Some(false),
                    (Existing::Unknown, _) | (_, Existing::Unknown) => None,
                })
            }
            (Location::Local(file), Location::S3(object)) => {
                let head = self.store.head(object);
                has_file(file, listed, head).await
            }
            (Location::S3(object), Location::Local(file)) => {
                let head = self.store.head_source(object);
                has_file(file, listed, head).await
            }
            (..) => Ok(None),
        }
    }

    /// Whether the source is another one by now than was carried: what arrived is newer than that, and looks like it in any
    /// listing.
    pub async fn is_replaced(&self, source: &Location, carried: &Carried) -> Result<bool, Failure> {
        Ok(match (source, carried) {
            (_, Carried::Nothing) => true,
            (Location::S3(object), Carried::Object(etag)) => {
                let now = self.store.head_source(object).await?;
                now.is_some_and(|now| now.etag != *etag)
            }
            (Location::Local(path), Carried::File(state)) => match tokio::fs::metadata(path).await {
                Ok(now) => State::of(&now) != *state,
                Err(error) if error.kind() == io::ErrorKind::NotFound => false,
                Err(error) => return Err(Failure::Io { path: path.clone(), error }),
            },
            (..) => false,
        })
    }
}

/// Whether a file has an object's bytes: by its `ETag`, where that is their MD5, else by its checksum.
async fn has_file(
    file: &std::path::Path,
    etag: Option<ETag>,
    head: impl Future<Output = Result<Option<Head>, S3Error>>,
) -> Result<Option<bool>, Failure> {
    let etag = etag.filter(ETag::is_digest);
    if let Some(etag) = &etag
        && on_disk(file.to_owned(), local::etag_of_file).await? == *etag
    {
        return Ok(Some(true));
    }
    // With SSE-KMS an ETag looks like an MD5, and is none.
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
