//! Objects: their address, attributes, versions and write conditions. Pure.

use std::collections::BTreeMap;
use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::checksum::StoredChecksum;

/// A bucket and a key. The key is not URL-encoded.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectRef {
    pub bucket: String,
    pub key: String,
}

/// Characters that RFC 3986, 2.3 leaves unencoded; `/` stays, since it separates the segments of a key.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');
const QUERY: &AsciiSet = &PATH.add(b'/');

impl ObjectRef {
    pub fn new(bucket: impl Into<String>, key: impl Into<String>) -> Self {
        Self { bucket: bucket.into(), key: key.into() }
    }

    /// Value of `x-amz-copy-source`. The SDK does not encode it, unlike a path.
    pub(super) fn copy_source(&self) -> String {
        format!("{}/{}", self.bucket, utf8_percent_encode(&self.key, PATH))
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}

/// An entity tag: identifies the bytes of one version of an object. Events write it without quotes, headers with
/// quotes; both are equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ETag(String);

impl ETag {
    /// Accepts the tag with or without quotes.
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

    /// Whether it may be the MD5 of its object. With SSE-KMS an ETag looks the same but is no MD5.
    #[must_use]
    pub fn is_digest(&self) -> bool {
        self.0.len() == 32 && self.0.bytes().all(|byte| byte.is_ascii_hexdigit())
    }

    /// Returns it as headers write it.
    pub(super) fn quoted(&self) -> String {
        format!("\"{}\"", self.0)
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Everything that is stored with an object's bytes, alike for `PutObject`, multipart upload and copy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    pub content_type: Option<String>,
    pub cache_control: Option<String>,
    pub content_disposition: Option<String>,
    pub content_language: Option<String>,
    /// Without `aws-chunked`, which belongs to the transport.
    pub content_encoding: Option<String>,
    /// As stored. S3 also keeps text that is no date.
    pub expires: Option<String>,
    pub website_redirect: Option<String>,
    /// `None` for STANDARD, as in S3's responses.
    pub storage_class: Option<String>,
    /// User metadata without the prefix `x-amz-meta-`. S3 returns non-ASCII values as RFC 2047 words; they are written
    /// back unchanged.
    pub metadata: BTreeMap<String, String>,
    pub tags: Vec<(String, String)>,
}

impl Attributes {
    /// Value of `x-amz-tagging`; `None` without tags.
    pub(super) fn tagging(&self) -> Option<String> {
        let pair = |(key, value): &(String, String)| {
            format!("{}={}", utf8_percent_encode(key, QUERY), utf8_percent_encode(value, QUERY))
        };
        let pairs: Vec<String> = self.tags.iter().map(pair).collect();
        (!pairs.is_empty()).then(|| pairs.join("&"))
    }
}

/// Description of one version of an object, from HEAD or GET.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub etag: ETag,
    /// Bytes.
    pub size: u64,
    /// Without tags, which need a request of their own.
    pub attributes: Attributes,
    /// Number of tags; also 0 without permission to read them.
    pub tag_count: u32,
    /// Checksum that S3 keeps with the object, if any.
    pub checksum: Option<StoredChecksum>,
    /// Last-Modified in seconds since 1970.
    pub modified: Option<i64>,
}

impl Head {
    /// Whether [`Client::read_unordered`](super::Client::read_unordered) can verify the object as well as an ordered
    /// download.
    #[must_use]
    pub fn can_read_unordered(&self) -> bool {
        self.checksum.as_ref().is_none_or(StoredChecksum::supports_unordered)
    }

    /// Whether two objects have the same bytes; `None` if S3's answers cannot decide. Differing part sizes decide
    /// nothing.
    #[must_use]
    pub fn has_same_bytes(&self, other: &Self) -> Option<bool> {
        if self.size != other.size {
            return Some(false);
        }
        if self.etag == other.etag {
            return Some(true);
        }
        let (here, there) = (self.checksum.as_ref(), other.checksum.as_ref());
        let of_the_whole = here.is_some_and(StoredChecksum::is_full_object);
        match here.zip(there).and_then(|(here, there)| here.matches(there)) {
            Some(agrees) if agrees || of_the_whole => Some(agrees),
            // With SSE-KMS an ETag is no MD5; without a checksum the two objects then count as different.
            Some(_) | None => (self.etag.is_digest() && other.etag.is_digest()).then_some(false),
        }
    }
}

/// Precondition of a write at the destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    None,
    /// The object does not exist.
    Absent,
    /// The object still has this ETag.
    Unmodified(ETag),
}

impl Condition {
    /// Value of If-Match.
    pub(super) fn if_match(&self) -> Option<String> {
        match self {
            Self::Unmodified(etag) => Some(etag.quoted()),
            Self::None | Self::Absent => None,
        }
    }

    /// Value of If-None-Match.
    pub(super) fn if_none_match(&self) -> Option<String> {
        match self {
            Self::Absent => Some("*".to_owned()),
            Self::None | Self::Unmodified(_) => None,
        }
    }
}

/// Content-Encoding of the object itself: S3 returns the `aws-chunked` of some clients' uploads.
pub(super) fn own_encoding(header: &str) -> Option<String> {
    let own: Vec<&str> =
        header.split(',').map(str::trim).filter(|part| !part.is_empty() && *part != "aws-chunked").collect();
    (!own.is_empty()).then(|| own.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn etag_with_and_without_quotes_is_equal() {
        assert_eq!(ETag::new("\"abc-2\""), ETag::new("abc-2"));
        assert_eq!(ETag::new("abc-2").quoted(), "\"abc-2\"");
        assert_eq!(ETag::new("\"").as_str(), "\"");
    }

    #[test]
    fn copy_source_is_percent_encoded() {
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
    fn own_encoding_drops_aws_chunked() {
        assert_eq!(own_encoding("aws-chunked"), None);
        assert_eq!(own_encoding("gzip, aws-chunked"), Some("gzip".into()));
        assert_eq!(own_encoding("br,gzip"), Some("br,gzip".into()));
        assert_eq!(own_encoding(""), None);
    }

    #[test]
    fn condition_maps_to_headers() {
        let headers = |condition: Condition| (condition.if_match(), condition.if_none_match());
        assert_eq!(headers(Condition::None), (None, None));
        assert_eq!(headers(Condition::Absent), (None, Some("*".into())));
        assert_eq!(headers(Condition::Unmodified(ETag::new("e"))), (Some("\"e\"".into()), None));
    }
}
