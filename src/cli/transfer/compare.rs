//! Compares the contents of both sides.

use std::path::Path;

use super::task::CopyTask;
use crate::pipeline::files::{etag_of_file, on_disk};
use crate::pipeline::marker;
use crate::pipeline::{Error, Location, Move, Task};
use crate::s3::{ETag, Existing, Head, Pair, S3Error};

/// Whether the destination has the source's content; for results of options with this hash, the marker decides. `None` if
/// nothing can tell.
pub async fn destination_matches(
    store: &Pair,
    options_hash: Option<&str>,
    task: &CopyTask,
) -> Result<Option<bool>, Error> {
    let listed = task.entry.as_ref().and_then(|entry| entry.etag.clone());
    match (&task.from, &task.to, options_hash) {
        (from, Location::S3(to), Some(options_hash)) => {
            let etag = match from {
                Location::Local(path) => Some(on_disk(path, etag_of_file).await?),
                Location::S3(_) | Location::Stream => listed,
            };
            let there = match Existing::from_head(store.destination.head(to).await)? {
                Existing::Present(there) => there,
                Existing::Absent => return Ok(Some(false)),
                Existing::Unknown => return Ok(None),
            };
            let moving = Move { etag, ..Move::new(from.clone(), task.to.clone(), Task::Optimize) };
            Ok(Some(marker::answers(&there.attributes.metadata, &moving, options_hash)))
        }
        (Location::S3(from), Location::S3(to), None) => {
            let (here, there) = tokio::join!(store.source.head(from), store.destination.head(to));
            Ok(match (Existing::from_head(here)?, Existing::from_head(there)?) {
                (Existing::Present(here), Existing::Present(there)) => here.has_same_bytes(&there),
                (Existing::Absent, _) | (_, Existing::Absent) => Some(false),
                (Existing::Unknown, _) | (_, Existing::Unknown) => None,
            })
        }
        (Location::Local(file), Location::S3(object), None) => {
            has_file(file, listed, store.destination.head(object)).await
        }
        (Location::S3(object), Location::Local(file), _) => has_file(file, listed, store.source.head(object)).await,
        (..) => Ok(None),
    }
}

/// Whether a file has an object's bytes: by its `ETag` if that is an MD5, else by its checksum.
async fn has_file(
    file: &Path,
    etag: Option<ETag>,
    head: impl Future<Output = Result<Option<Head>, S3Error>>,
) -> Result<Option<bool>, Error> {
    let etag = etag.filter(ETag::is_digest);
    if let Some(etag) = &etag
        && on_disk(file, etag_of_file).await? == *etag
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
        let proven = on_disk(file, move |path| checksum.verify_reader(std::fs::File::open(path)?)).await?;
        if proven.is_some() {
            return Ok(proven);
        }
    }
    Ok(etag.map(|_| false))
}
