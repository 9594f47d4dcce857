//! Whether the two sides have the same, by what is in them; and whether the source still has what was carried.

use super::carry::{Carrier, Failure, Load, on_disk};
use super::local;
use super::location::Location;
use super::source::State;
use crate::pipeline::marker;
use crate::pipeline::{Job, Task as PipelineTask};
use crate::s3::{ETag, Head, Kind, S3Error};

/// What a source was when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    Object(ETag),
    File(State),
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
                let Some(there) = self.store.head(to).await? else { return Ok(Some(false)) };
                let (source, task) = (to.clone(), PipelineTask::Optimize);
                let job = Job { source, etag, size: None, sequencer: None, task };
                Ok(Some(marker::answers(&there.attributes.metadata, &job, &self.options_hash)))
            }
            (Location::S3(from), Location::S3(to)) => {
                let (here, there) = tokio::join!(self.store.head_source(from), self.store.head(to));
                Ok(seen(here)?.zip(seen(there)?).and_then(|(here, there)| here.has_bytes_of(&there)))
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
    pub async fn is_replaced(&self, source: &Location, carried: &Seen) -> bool {
        match (source, carried) {
            (Location::S3(object), Seen::Object(etag)) => {
                let now = self.store.head_source(object).await;
                now.is_ok_and(|now| now.is_some_and(|now| now.etag != *etag))
            }
            (Location::Local(path), Seen::File(state)) => {
                let now = tokio::fs::metadata(path).await;
                now.is_ok_and(|now| State::of(&now) != *state)
            }
            (..) => false,
        }
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
    if let Some(checksum) = seen(head.await)?.and_then(|head| head.checksum) {
        let proven = on_disk(file.to_owned(), move |path| checksum.proves_all(std::fs::File::open(path)?)).await?;
        if proven.is_some() {
            return Ok(proven);
        }
    }
    Ok(etag.map(|_| false))
}

/// What may not be looked at tells nothing.
fn seen(head: Result<Option<Head>, S3Error>) -> Result<Option<Head>, S3Error> {
    match head {
        Err(S3Error { kind: Kind::AccessDenied, .. }) => Ok(None),
        head => head,
    }
}
