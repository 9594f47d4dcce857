//! What an object's first bytes and headers decide, and what was decided about its whole. Pure.

use std::fmt;

use bytes::Bytes;

use super::marker::Marker;
use crate::optimize::{Encoded, Format, ImageError, ImageInfo, Limit, Limits, MetadataState, Outcome, Reason};
use crate::s3::{Attributes, Head};

/// Why an object is copied and not rewritten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The engine, or its first glance, found nothing to do.
    Unchanged(Reason),
    /// The body is gzip or the like, and no image before it is unpacked.
    ContentEncoding,
    /// Working on it has ended the function before: by its memory, its time, a crash.
    EndedTheFunction,
    /// A fault of the image.
    Image(ImageError),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unchanged(reason) => reason.fmt(f),
            Self::ContentEncoding => f.write_str("content-encoding"),
            Self::EndedTheFunction => f.write_str("ended-the-function"),
            Self::Image(error) => error.fmt(f),
        }
    }
}

impl Cause {
    /// Whether the size alone forbids reading. The buffer is a part of the working memory, so that counts as well.
    pub(super) fn of_size(size: u64, limits: &Limits) -> Option<Self> {
        if size == 0 {
            return Some(Self::Unchanged(Reason::Empty));
        }
        Limits::check(Limit::Bytes, size, limits.bytes)
            .and_then(|()| Limits::check(Limit::Memory, size, limits.memory))
            .err()
            .map(Self::Image)
    }

    /// Whether headers and first bytes forbid rewriting.
    pub(crate) fn of_beginning(head: &Head, format: Option<Format>, limits: &Limits) -> Option<Self> {
        if has_encoding(&head.attributes) {
            return Some(Self::ContentEncoding);
        }
        Self::of_size(head.size, limits).or(match format {
            None => Some(Self::Unchanged(Reason::NotAnImage)),
            Some(Format::Jpeg | Format::Png | Format::Gif | Format::WebP) => None,
            Some(_) => Some(Self::Unchanged(Reason::FormatNotRewritten)),
        })
    }
}

/// What reaches the destination.
#[derive(Debug)]
pub enum Verdict {
    Lighter(Encoded),
    AsItIs { cause: Cause, info: Option<ImageInfo>, metadata: MetadataState, budget_cut: bool },
}

impl Verdict {
    /// Whatever the engine did not look into. Only nothing is known to hold nothing.
    pub(crate) fn unread(cause: Cause) -> Self {
        let empty = cause == Cause::Unchanged(Reason::Empty);
        let metadata = if empty { MetadataState::Clean } else { MetadataState::Kept };
        Self::AsItIs { cause, info: None, metadata, budget_cut: false }
    }

    /// The engine's.
    pub(crate) fn of(answer: Result<Outcome, ImageError>) -> Self {
        match answer {
            Ok(Outcome::Optimized(encoded)) => Self::Lighter(encoded),
            Ok(Outcome::Unchanged(unchanged)) => Self::AsItIs {
                cause: Cause::Unchanged(unchanged.reason),
                info: unchanged.info,
                metadata: unchanged.metadata,
                budget_cut: unchanged.budget_cut,
            },
            Err(error) => Self::unread(Cause::Image(error)),
        }
    }

    /// What is left of the metadata that the policy removes.
    pub(crate) fn metadata(&self) -> MetadataState {
        match self {
            Self::Lighter(Encoded { metadata, .. }) | Self::AsItIs { metadata, .. } => *metadata,
        }
    }

    /// The score of the worst window of what was made, where it was measured.
    #[cfg(feature = "transfer")]
    pub(crate) fn worst(&self) -> Option<f64> {
        match self {
            Self::Lighter(encoded) => encoded.worst,
            Self::AsItIs { .. } => None,
        }
    }

    /// The score of what was made, where it was measured.
    pub(crate) fn score(&self) -> Option<f64> {
        match self {
            Self::Lighter(encoded) => encoded.score,
            Self::AsItIs { .. } => None,
        }
    }

    /// As the marker tells it.
    fn method(&self) -> String {
        match self {
            Self::Lighter(encoded) => encoded.method.to_string(),
            Self::AsItIs { .. } => "copy".into(),
        }
    }

    /// What the result arrives with: the source's headers, with the true Content-Type of a recognized image, and the marker.
    pub(crate) fn attributes(
        &self,
        source: &Head,
        format: Option<Format>,
        options_hash: &str,
        sequencer: Option<&str>,
    ) -> Attributes {
        let marker = Marker {
            source_etag: &source.etag,
            options: options_hash,
            original_size: source.size,
            score: self.score(),
            method: &self.method(),
            sequencer,
        };
        let metadata = marker.added_to(&source.attributes.metadata);
        Attributes { metadata, ..with_true_type(&source.attributes, format) }
    }

    /// What is to be uploaded, if anything.
    pub(crate) fn into_bytes(self) -> Option<Bytes> {
        match self {
            Self::Lighter(encoded) => Some(encoded.bytes.into()),
            Self::AsItIs { .. } => None,
        }
    }
}

/// The source's headers, with the true Content-Type of a recognized image.
fn with_true_type(source: &Attributes, format: Option<Format>) -> Attributes {
    let mime = format.filter(|_| !has_encoding(source)).map(|format| format.mime().to_string());
    Attributes { content_type: mime.or_else(|| source.content_type.clone()), ..source.clone() }
}

/// `identity` is the one coding that changes nothing.
fn has_encoding(attributes: &Attributes) -> bool {
    let header = attributes.content_encoding.as_deref().unwrap_or_default();
    header.split(',').map(str::trim).any(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("identity"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::ETag;

    fn head(size: u64, encoding: Option<&str>) -> Head {
        let attributes = Attributes {
            content_type: Some("binary/octet-stream".into()),
            content_encoding: encoding.map(Into::into),
            ..Attributes::default()
        };
        Head { etag: ETag::new("e"), size, attributes, tag_count: 0, checksum: None, modified: None }
    }

    fn cause(size: u64, encoding: Option<&str>, format: Option<Format>) -> Option<Cause> {
        Cause::of_beginning(&head(size, encoding), format, &Limits { bytes: 1000, ..Limits::default() })
    }

    #[test]
    fn only_what_the_engine_rewrites_is_read() {
        assert_eq!(cause(9, None, Some(Format::Jpeg)), None);
        assert_eq!(cause(9, None, Some(Format::Png)), None);
        assert_eq!(cause(9, None, Some(Format::Gif)), None);
        assert_eq!(cause(9, None, Some(Format::WebP)), None);
        assert_eq!(cause(9, None, Some(Format::Tiff)), Some(Cause::Unchanged(Reason::FormatNotRewritten)));
        assert_eq!(cause(9, None, None), Some(Cause::Unchanged(Reason::NotAnImage)));
        assert_eq!(cause(0, None, None), Some(Cause::Unchanged(Reason::Empty)));
        let over = ImageError::LimitExceeded { limit: Limit::Bytes, value: 1001, max: 1000 };
        assert_eq!(cause(1001, None, Some(Format::Png)), Some(Cause::Image(over)));
    }

    #[test]
    fn an_encoding_of_its_own_forbids_reading() {
        for header in ["gzip", "br", "gzip,br", "identity, GZIP"] {
            assert_eq!(cause(9, Some(header), Some(Format::Jpeg)), Some(Cause::ContentEncoding), "{header}");
        }
        for header in ["", "identity", "Identity"] {
            assert_eq!(cause(9, Some(header), Some(Format::Jpeg)), None, "{header}");
        }
    }

    #[test]
    fn a_recognized_image_gets_its_true_type() {
        let arrives = |encoding, format| with_true_type(&head(9, encoding).attributes, format).content_type.unwrap();
        assert_eq!(arrives(None, Some(Format::Png)), "image/png");
        assert_eq!(arrives(None, None), "binary/octet-stream");
        assert_eq!(arrives(Some("gzip"), Some(Format::Png)), "binary/octet-stream");
    }

    #[test]
    fn what_is_not_looked_into_keeps_its_metadata() {
        let unread = |reason| Verdict::unread(Cause::Unchanged(reason)).metadata();
        assert_eq!(unread(Reason::NotAnImage), MetadataState::Kept);
        assert_eq!(unread(Reason::Empty), MetadataState::Clean);
    }
}
