//! The specification: every attribute of an object that arrives, and what does not.

use crate::support::recorder::Headers;

/// How an object reaches the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Put,
    Multipart,
    Copy,
    MultipartCopy,
    Relay,
    MultipartRelay,
}

impl Way {
    pub const ALL: [Self; 6] =
        [Self::Put, Self::Multipart, Self::Copy, Self::MultipartCopy, Self::Relay, Self::MultipartRelay];
    /// Relayed is what S3 refuses to copy, and these servers refuse nothing.
    pub const OF_THE_PIPELINE: [Self; 4] = [Self::Put, Self::Multipart, Self::Copy, Self::MultipartCopy];

    pub fn name(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Multipart => "multipart",
            Self::Copy => "copy",
            Self::MultipartCopy => "multipart copy",
            Self::Relay => "relay",
            Self::MultipartRelay => "multipart relay",
        }
    }

    /// Whether the way is used for optimized images.
    pub fn is_of_images(self) -> bool {
        matches!(self, Self::Put | Self::Multipart)
    }

    pub fn is_in_parts(self) -> bool {
        matches!(self, Self::Multipart | Self::MultipartCopy | Self::MultipartRelay)
    }

    /// That of an image which is not rewritten.
    pub fn without_rewriting(self) -> Self {
        if self.is_in_parts() { Self::MultipartCopy } else { Self::Copy }
    }
}

/// How an attribute differs if the object is an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Image {
    /// The attribute arrives as on anything else.
    Usual,
    /// Its own type arrives, whatever the source says.
    TrueType,
    /// It is copied and not rewritten.
    Copied,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    MiniStack,
    /// `s3s-fs`, in this process.
    Folder,
}

/// One line of the table.
#[derive(Debug, Clone)]
pub struct Row {
    pub attribute: &'static str,
    /// Headers of source and destination.
    pub headers: Headers,
    pub tags: Vec<(String, String)>,
    /// Whether its bytes fill more than two parts.
    pub large: bool,
    pub image: Image,
    /// Whether the marker fits beside the metadata.
    pub marker: bool,
    pub servers: &'static [Server],
    pub note: &'static str,
}

/// S3's own default.
const NO_TYPE: &str = "binary/octet-stream";

fn row(attribute: &'static str) -> Row {
    let headers = [("content-type".to_owned(), NO_TYPE.to_owned())].into();
    Row {
        attribute,
        headers,
        tags: Vec::new(),
        large: false,
        image: Image::Usual,
        marker: true,
        servers: &[Server::MiniStack, Server::Folder],
        note: "",
    }
}

impl Row {
    fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_owned(), value.to_owned());
        self
    }

    /// One entry of so many bytes, its name included.
    fn metadata_of(self, bytes: usize) -> Self {
        let name = "note";
        self.header("x-amz-meta-note", &"n".repeat(bytes - name.len()))
    }

    fn tag(mut self, key: &str, value: &str) -> Self {
        self.tags.push((key.to_owned(), value.to_owned()));
        self.on_ministack()
    }

    fn large(self) -> Self {
        Self { large: true, ..self }
    }

    fn of_images(self, image: Image) -> Self {
        Self { image, ..self }
    }

    fn without_marker(self) -> Self {
        Self { marker: false, ..self }
    }

    /// The folder has no such attribute.
    fn on_ministack(self) -> Self {
        Self { servers: &[Server::MiniStack], ..self }
    }

    fn note(self, note: &'static str) -> Self {
        Self { note, ..self }
    }
}

pub fn rows() -> Vec<Row> {
    vec![
        row("bytes and size").large().note("three parts; what is copied arrives to the byte"),
        row("Content-Type")
            .header("content-type", "text/csv; charset=utf-8")
            .of_images(Image::TrueType)
            .note("a recognized image says what it is, whatever the source says"),
        row("Cache-Control").header("cache-control", "public, max-age=31536000, immutable"),
        row("Content-Disposition")
            .header("content-disposition", "attachment; filename=\"a b.jpg\"; filename*=UTF-8''%E8%BB%BD.jpg"),
        row("Content-Language").header("content-language", "ja, de"),
        row("Content-Encoding, `identity`").header("content-encoding", "identity"),
        row("Content-Encoding, any other")
            .header("content-encoding", "gzip")
            .of_images(Image::Copied)
            .note("an encoded body is no image before it is unpacked, so it is copied"),
        row("Expires, a date").header("expires", "Wed, 21 Oct 2026 07:28:00 GMT"),
        row("Expires, any other text")
            .header("expires", "0")
            .on_ministack()
            .note("S3 keeps what is no date, so it arrives"),
        row("website redirect").header("x-amz-website-redirect-location", "/elsewhere.html"),
        row("user metadata")
            .header("x-amz-meta-artist", "Ueda Bin")
            .header("x-amz-meta-x.y_z-1", "~!@#$%^&*()[]{}|;:,<.>/?\"'\\"),
        row("user metadata, an empty value").header("x-amz-meta-empty", ""),
        row("user metadata, RFC 2047 words")
            .header("x-amz-meta-title", "=?UTF-8?B?6Lu944GE?=")
            .note("as S3 answers what is not ASCII"),
        row("user metadata, 1,700 bytes").metadata_of(1700).note("the marker fits beside it"),
        row("user metadata, 2,048 bytes")
            .metadata_of(2048)
            .without_marker()
            .note("S3's limit: the marker is left out, and a repeated event is processed again"),
        row("tags, one").tag("project", "karui"),
        row("tags, an empty value").tag("empty", ""),
        odd_tags(row("tags, ten with odd characters")).note("`+ - = . _ : / @`, space and letters of any script"),
        long_tags(row("tags, ten of full length"))
            .note("128 letters and 256; see below for letters that are not ASCII"),
        row("storage class, STANDARD_IA").header("x-amz-storage-class", "STANDARD_IA").on_ministack(),
        row("storage class, GLACIER_IR").header("x-amz-storage-class", "GLACIER_IR").on_ministack(),
        row("storage class, INTELLIGENT_TIERING").header("x-amz-storage-class", "INTELLIGENT_TIERING").on_ministack(),
        everything(row("all of these at once")).note("three parts"),
        row("none of these").note("nothing is added but the marker"),
    ]
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html>
fn long_tags(row: Row) -> Row {
    (0..10).fold(row, |row, n| row.tag(&format!("{n}{}", "k".repeat(127)), &"v".repeat(256)))
}

/// S3's limit is ten.
fn odd_tags(row: Row) -> Row {
    let row = row.tag("a b", "1 + 2 = 3").tag("path/to", "a/b//c").tag("e:mail", "a@b.example").tag("é", "軽い");
    let row = row.tag("+", "+").tag("=", "=").tag("-._", "._-").tag("x = y", "y = x").tag("12", "٣");
    row.tag("no", "")
}

pub fn everything(row: Row) -> Row {
    let row = row.header("cache-control", "no-store").header("content-disposition", "inline");
    let row = row
        .header("content-language", "en")
        .header("content-encoding", "identity")
        .header("expires", "Thu, 01 Jan 1970 00:00:00 GMT");
    let row = row.header("x-amz-website-redirect-location", "https://example.org/");
    let row = row.header("x-amz-meta-artist", "Ueda Bin").header("x-amz-meta-empty", "");
    odd_tags(row).header("x-amz-storage-class", "ONEZONE_IA").large()
}

/// How a test shows that an attribute is dropped.
#[derive(Debug, Clone, Copy)]
pub enum Proof {
    /// No request has a header that begins so, and neither has the destination.
    NeverSent(&'static [&'static str]),
    /// The destination has none, by this header.
    Absent(&'static str),
    /// S3 decides it.
    S3Own,
}

/// Attributes of a source that its result does not get.
pub struct LeftBehind {
    pub what: &'static str,
    pub why: &'static str,
    pub proof: Proof,
}

pub const LEFT_BEHIND: &[LeftBehind] = &[
    LeftBehind {
        what: "ACL",
        why: "buckets own their objects: where they do (S3's default) a request with an ACL fails, and elsewhere a \
              public source would make its result public without anybody's decision; `KARUI_ACL` is that decision",
        proof: Proof::NeverSent(&["x-amz-acl", "x-amz-grant-"]),
    },
    LeftBehind {
        what: "server-side encryption",
        why: "the destination bucket's own applies, or `KARUI_DESTINATION_ENCRYPTION` or `KARUI_DESTINATION_KMS_KEY`: the \
              source's key may not be known there, nor be ours to use",
        proof: Proof::NeverSent(&["x-amz-server-side-encryption"]),
    },
    LeftBehind {
        what: "Object Lock: retention, legal hold",
        why: "a lock is put on a record, and the result is none; the destination bucket's default retention applies",
        proof: Proof::NeverSent(&["x-amz-object-lock-"]),
    },
    LeftBehind {
        what: "annotations",
        why: "up to 1,000 of 1 MiB each, with permissions and requests of their own, that only CopyObject could take \
              along: it is told not to, so that every way does the same and none needs those permissions",
        proof: Proof::Absent("annotations"),
    },
    LeftBehind {
        what: "another's `x-amz-meta-karui-…`",
        why: "the marker is Karui's own word about the object beside it; anyone may have written it at the source",
        proof: Proof::Absent("x-amz-meta-karui-forged"),
    },
    LeftBehind {
        what: "version ID",
        why: "the destination's versions are its own; the source's newest one is what is read",
        proof: Proof::Absent("x-amz-version-id"),
    },
    LeftBehind {
        what: "ETag",
        why: "S3 makes it of what is stored; the source's is in `x-amz-meta-karui-source-etag`",
        proof: Proof::S3Own,
    },
    LeftBehind { what: "Last-Modified", why: "S3 writes when the result was stored", proof: Proof::S3Own },
    LeftBehind {
        what: "checksum",
        why: "the result has one of its own (`KARUI_CHECKSUM`, CRC64NVME by default); of a copy S3 makes it",
        proof: Proof::S3Own,
    },
    LeftBehind {
        what: "owner, replication status, restore status, expiration",
        why: "the destination bucket's account and rules decide them",
        proof: Proof::S3Own,
    },
];
