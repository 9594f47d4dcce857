//! What an object is to us: where it lies, what arrives with it. Pure.

use std::collections::BTreeMap;
use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::checksum::Stored;
use super::error::{Kind, S3Error};

/// A bucket and a key, the key as it is (not URL-encoded).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectRef {
    pub bucket: String,
    pub key: String,
}

/// What RFC 3986, 2.3 leaves as it is; `/` stays, since it divides a key into its segments.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');
const QUERY: &AsciiSet = &PATH.add(b'/');

impl ObjectRef {
    pub fn new(bucket: impl Into<String>, key: impl Into<String>) -> Self {
        Self { bucket: bucket.into(), key: key.into() }
    }

    /// The value of `x-amz-copy-source`, which unlike a path is nobody's to encode but ours.
    pub(super) fn copy_source(&self) -> String {
        format!("{}/{}", self.bucket, utf8_percent_encode(&self.key, PATH))
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}

/// An entity tag: names the bytes of one version of an object. Events write it without quotes, headers with them; both
/// are the same tag.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ETag(String);

impl ETag {
    /// Takes the tag with or without its quotes.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let bare = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
        Self(bare.to_owned())
    }

    /// Without quotes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it can be the MD5 of its object: with SSE-KMS it looks the same, and is not.
    #[must_use]
    pub fn is_digest(&self) -> bool {
        self.0.len() == 32 && self.0.bytes().all(|byte| byte.is_ascii_hexdigit())
    }

    /// As a header has it.
    pub(super) fn quoted(&self) -> String {
        format!("\"{}\"", self.0)
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Everything that arrives with an object's bytes, by `PutObject`, multipart upload and copy alike.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    pub content_type: Option<String>,
    pub cache_control: Option<String>,
    pub content_disposition: Option<String>,
    pub content_language: Option<String>,
    /// Without `aws-chunked`, which is of the transport.
    pub content_encoding: Option<String>,
    /// As it was written: S3 keeps what is no date, too.
    pub expires: Option<String>,
    pub website_redirect: Option<String>,
    /// `None` for STANDARD, as S3 itself answers.
    pub storage_class: Option<String>,
    /// User metadata without its `x-amz-meta-`. What is not ASCII comes from S3 as RFC 2047 words, and goes back so.
    pub metadata: BTreeMap<String, String>,
    pub tags: Vec<(String, String)>,
}

impl Attributes {
    /// The value of `x-amz-tagging`; `None` without tags.
    pub(super) fn tagging(&self) -> Option<String> {
        let pair = |(key, value): &(String, String)| {
            format!("{}={}", utf8_percent_encode(key, QUERY), utf8_percent_encode(value, QUERY))
        };
        let pairs: Vec<String> = self.tags.iter().map(pair).collect();
        (!pairs.is_empty()).then(|| pairs.join("&"))
    }
}

/// What HEAD and GET say of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub etag: ETag,
    /// Bytes.
    pub size: u64,
    /// Without the tags, which have a request of their own.
    pub attributes: Attributes,
    /// How many tags there are; 0 also where the permission to read them is missing.
    pub tag_count: u32,
    /// As S3 keeps it beside the object, if it does.
    pub checksum: Option<Stored>,
    /// When it was written, in seconds since 1970.
    pub modified: Option<i64>,
}

impl Head {
    /// Whether [`Store::scatter`](super::Store::scatter) verifies the object as well as one in order would.
    #[must_use]
    pub fn comes_in_any_order(&self) -> bool {
        self.checksum.as_ref().is_none_or(Stored::takes_any_order)
    }

    /// Whether two objects have the same bytes; `None` where what S3 tells of them cannot say: that two were written in parts
    /// of different sizes says nothing.
    #[must_use]
    pub fn has_bytes_of(&self, other: &Self) -> Option<bool> {
        if self.size != other.size {
            return Some(false);
        }
        if self.etag == other.etag {
            return Some(true);
        }
        let (here, there) = (self.checksum.as_ref(), other.checksum.as_ref());
        let of_the_whole = here.is_some_and(Stored::is_of_the_whole);
        match here.zip(there).and_then(|(here, there)| here.agrees(there)) {
            Some(agrees) if agrees || of_the_whole => Some(agrees),
            // With SSE-KMS neither is, and what has no checksum either is then taken for another.
            Some(_) | None => (self.etag.is_digest() && other.etag.is_digest()).then_some(false),
        }
    }
}

/// What a HEAD tells of a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It may not be looked at: without `s3:ListBucket` a missing key answers `AccessDenied`, and SSE-C hides an object.
    Unknown,
    Nothing,
    Object(Box<Head>),
}

impl Seen {
    /// # Errors
    /// [`S3Error`] of any other kind.
    pub fn of(answer: Result<Option<Head>, S3Error>) -> Result<Self, S3Error> {
        match answer {
            Ok(Some(head)) => Ok(Self::Object(Box::new(head))),
            Ok(None) => Ok(Self::Nothing),
            Err(S3Error { kind: Kind::AccessDenied | Kind::CustomerKey, .. }) => Ok(Self::Unknown),
            Err(error) => Err(error),
        }
    }
}

/// What must hold at the destination for a write to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    None,
    /// Nothing is there yet.
    Absent,
    /// This is still there.
    Unmodified(ETag),
}

impl Condition {
    /// The value of If-Match.
    pub(super) fn if_match(&self) -> Option<String> {
        match self {
            Self::Unmodified(etag) => Some(etag.quoted()),
            Self::None | Self::Absent => None,
        }
    }

    /// The value of If-None-Match.
    pub(super) fn if_none_match(&self) -> Option<String> {
        match self {
            Self::Absent => Some("*".to_owned()),
            Self::None | Self::Unmodified(_) => None,
        }
    }
}

/// The Content-Encoding of the object itself: S3 gives back the `aws-chunked` of some clients' uploads.
pub(super) fn own_encoding(header: &str) -> Option<String> {
    let own: Vec<&str> =
        header.split(',').map(str::trim).filter(|part| !part.is_empty() && *part != "aws-chunked").collect();
    (!own.is_empty()).then(|| own.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn etags_are_the_same_with_and_without_quotes() {
        assert_eq!(ETag::new("\"abc-2\""), ETag::new("abc-2"));
        assert_eq!(ETag::new("abc-2").quoted(), "\"abc-2\"");
        assert_eq!(ETag::new("\"").as_str(), "\"");
    }

    #[test]
    fn copy_sources_are_percent_encoded() {
        let source = |key: &str| ObjectRef::new("b", key).copy_source();
        assert_eq!(source("a b+c/100%.jpg"), "b/a%20b%2Bc/100%25.jpg");
        assert_eq!(source("/日/../x?y#z"), "b//%E6%97%A5/../x%3Fy%23z");
        assert_eq!(source("a-b_c.d~e(1)"), "b/a-b_c.d~e%281%29");
    }

    #[test]
    fn tags_are_form_encoded() {
        let tags = vec![("a b".to_owned(), "1&2/+".to_owned()), ("é".to_owned(), String::new())];
        assert_eq!(
            Attributes { tags, ..Attributes::default() }.tagging().as_deref(),
            Some("a%20b=1%262%2F%2B&%C3%A9=")
        );
        assert_eq!(Attributes::default().tagging(), None);
    }

    #[test]
    fn aws_chunked_is_no_encoding_of_the_object() {
        assert_eq!(own_encoding("aws-chunked"), None);
        assert_eq!(own_encoding("gzip, aws-chunked"), Some("gzip".into()));
        assert_eq!(own_encoding("br,gzip"), Some("br,gzip".into()));
        assert_eq!(own_encoding(""), None);
    }

    #[test]
    fn conditions_become_headers() {
        let headers = |condition: Condition| (condition.if_match(), condition.if_none_match());
        assert_eq!(headers(Condition::None), (None, None));
        assert_eq!(headers(Condition::Absent), (None, Some("*".into())));
        assert_eq!(headers(Condition::Unmodified(ETag::new("e"))), (Some("\"e\"".into()), None));
    }
}
