//! Expected result of a cell: in the requests, and at the destination.

use bytes::Bytes;
use percent_encoding::percent_decode_str;

use super::rows::{LEFT_BEHIND, Proof, Server, Way};
use super::world::{PART, Tags, World};
use crate::support::recorder::{Asked, Headers};

/// The headers that are attributes, besides user metadata.
const ATTRIBUTES: [&str; 8] = [
    "content-type",
    "cache-control",
    "content-disposition",
    "content-language",
    "content-encoding",
    "expires",
    "x-amz-website-redirect-location",
    "x-amz-storage-class",
];
const METADATA: &str = "x-amz-meta-";
const MARKER: &str = "x-amz-meta-karui-";
/// Limit of user metadata: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html#UserMetadata>.
const MAX_METADATA_BYTES: usize = 2048;

/// Expected result of a cell with this server.
pub struct Expected {
    pub server: Server,
    pub way: Way,
    pub headers: Headers,
    pub tags: Tags,
    pub body: Bytes,
    pub marker: bool,
}

pub fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

impl Expected {
    pub async fn check(&self, world: &World) -> Result<(), String> {
        self.check_requests(world)?;
        let headers = world.arrived().await?;
        self.check_headers("arrived", &headers)?;
        let length = self.body.len().to_string();
        ensure(headers.get("content-length") == Some(&length), || format!("{length} bytes wanted: {headers:?}"))?;
        if self.server == Server::MiniStack {
            self.check_tags(&world.arrived_tags().await?)?;
        }
        ensure(world.arrived_bytes().await? == self.body, || "other bytes arrived".into())
    }

    /// That it went this way, and that the attributes were asked for, and not just inherited from the source.
    fn check_requests(&self, world: &World) -> Result<(), String> {
        let writes = world.writes();
        // Even ones, none below that size.
        let parts = (self.body.len() / PART).max(1);
        let in_parts =
            |part| [vec!["CreateMultipartUpload"], vec![part; parts], vec!["CompleteMultipartUpload"]].concat();
        let wanted = match self.way {
            Way::Put | Way::Relay => vec!["PutObject"],
            Way::Multipart | Way::MultipartRelay => in_parts("UploadPart"),
            Way::Copy => vec!["CopyObject"],
            Way::MultipartCopy => in_parts("UploadPartCopy"),
        };
        let went: Vec<&str> = writes.iter().map(|asked| asked.operation.as_str()).collect();
        ensure(went == wanted, || format!("went by {went:?}"))?;
        never_sent(world)?;
        self.check_tagging(&writes[0].headers)?;
        self.check_headers("asked for", &writes[0].headers)
    }

    /// `CopyObject` takes tags along inside S3, all other ways write them.
    fn check_tagging(&self, headers: &Headers) -> Result<(), String> {
        let header = headers.get("x-amz-tagging").map(String::as_str).unwrap_or_default();
        let asked = header.split('&').filter_map(|pair| pair.split_once('='));
        let asked: Tags = asked.map(|(key, value)| (decoded(key), decoded(value))).collect();
        let wanted = if self.way == Way::Copy { &Vec::new() } else { &self.tags };
        ensure(sorted(&asked) == sorted(wanted), || format!("tags asked for: {asked:?}\n    wanted: {wanted:?}"))
    }

    fn check_tags(&self, arrived: &Tags) -> Result<(), String> {
        // It does not look at the tags of an upload in parts: there the request is all the proof.
        let wanted = if self.way.is_in_parts() { &Vec::new() } else { &self.tags };
        ensure(sorted(arrived) == sorted(wanted), || format!("tags arrived: {arrived:?}\n    wanted: {wanted:?}"))
    }

    fn check_headers(&self, what: &str, headers: &Headers) -> Result<(), String> {
        let mut found = headers.clone();
        found.retain(|name, _| ATTRIBUTES.contains(&name.as_str()) || name.starts_with(METADATA));
        let metadata = found.iter().filter_map(|(name, value)| Some(name.strip_prefix(METADATA)?.len() + value.len()));
        let bytes: usize = metadata.sum();
        ensure(bytes <= MAX_METADATA_BYTES, || format!("{what}: {bytes} bytes of user metadata"))?;
        let before = found.len();
        found.retain(|name, _| !name.starts_with(MARKER));
        ensure((found.len() < before) == self.marker, || format!("{what}, marker: {headers:?}"))?;
        ensure(found == self.headers, || format!("{what}: {found:?}\n    wanted: {:?}", self.headers))
    }
}

/// No request may have a header that must not be copied.
pub fn never_sent(world: &World) -> Result<(), String> {
    let sent = |asked: Asked| {
        let header = never().find(|never| asked.headers.keys().any(|name| name.starts_with(never)))?;
        Some(format!("{} sent {header}", asked.operation))
    };
    world.recorder.asked().into_iter().find_map(sent).map_or(Ok(()), Err)
}

pub fn never() -> impl Iterator<Item = &'static str> {
    let headers = |proof| if let Proof::NeverSent(headers) = proof { headers } else { &[] };
    LEFT_BEHIND.iter().flat_map(move |left| headers(left.proof)).copied()
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8().unwrap().into_owned()
}

fn sorted(tags: &Tags) -> Tags {
    let mut tags = tags.clone();
    tags.sort();
    tags
}
