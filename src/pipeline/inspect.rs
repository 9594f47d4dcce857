//! Decides by an object's headers and first bytes whether to copy it unread, and holds what the engine decided. Pure.

use std::fmt;

use bytes::Bytes;

use super::marker::Marker;
use crate::optimize::{Encoded, Format, ImageError, ImageInfo, Limit, Limits, MetadataState, Outcome, Reason};
use crate::s3::{Attributes, Head};

/// Reason why an object is copied instead of rewritten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyReason {
    /// The engine, or the format check, found nothing to do.
    Unchanged(Reason),
    /// The body has a content coding such as gzip, so it is no image until it is decoded.
    ContentEncoding,
    /// An earlier attempt ended the function by memory, time or a crash.
    EndedTheFunction,
    /// The image is malformed or exceeds a limit.
    Image(ImageError),
}

impl fmt::Display for CopyReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unchanged(reason) => reason.fmt(f),
            Self::ContentEncoding => f.write_str("content-encoding"),
            Self::EndedTheFunction => f.write_str("ended-the-function"),
            Self::Image(error) => error.fmt(f),
        }
    }
}

impl CopyReason {
    /// Returns a reason if the size alone forbids reading. The buffer is part of the working memory, so that limit
    /// counts too.
    pub(super) fn from_size(size: u64, limits: &Limits) -> Option<Self> {
        if size == 0 {
            return Some(Self::Unchanged(Reason::Empty));
        }
        Limits::check(Limit::Bytes, size, limits.bytes)
            .and_then(|()| Limits::check(Limit::Memory, size, limits.memory))
            .err()
            .map(Self::Image)
    }

    /// Returns a reason if headers or first bytes forbid rewriting.
    pub(crate) fn from_first_bytes(head: &Head, format: Option<Format>, limits: &Limits) -> Option<Self> {
        if has_encoding(&head.attributes) {
            return Some(Self::ContentEncoding);
        }
        Self::from_size(head.size, limits).or(match format {
            None => Some(Self::Unchanged(Reason::NotAnImage)),
            Some(Format::Jpeg | Format::Png | Format::Gif | Format::WebP) => None,
            Some(_) => Some(Self::Unchanged(Reason::FormatNotRewritten)),
        })
    }
}

/// What is stored at the destination.
#[derive(Debug)]
pub enum BodyOutcome {
    Optimized(Encoded),
    Copied { reason: CopyReason, info: Option<ImageInfo>, metadata: MetadataState, budget_cut: bool },
}

impl BodyOutcome {
    /// An object that the engine did not read. Only an empty object surely contains no metadata.
    pub(crate) fn unread(reason: CopyReason) -> Self {
        let empty = reason == CopyReason::Unchanged(Reason::Empty);
        let metadata = if empty { MetadataState::Clean } else { MetadataState::Kept };
        Self::Copied { reason, info: None, metadata, budget_cut: false }
    }

    /// Converts the engine's result.
    pub(crate) fn from_engine(answer: Result<Outcome, ImageError>) -> Self {
        match answer {
            Ok(Outcome::Optimized(encoded)) => Self::Optimized(encoded),
            Ok(Outcome::Unchanged(unchanged)) => Self::Copied {
                reason: CopyReason::Unchanged(unchanged.reason),
                info: unchanged.info,
                metadata: unchanged.metadata,
                budget_cut: unchanged.budget_cut,
            },
            Err(error) => Self::unread(CopyReason::Image(error)),
        }
    }

    /// State of the metadata that the policy removes.
    pub(crate) fn metadata(&self) -> MetadataState {
        match self {
            Self::Optimized(Encoded { metadata, .. }) | Self::Copied { metadata, .. } => *metadata,
        }
    }

    /// Score of the worst window of the result, if it was measured.
    #[cfg(feature = "transfer")]
    pub(crate) fn worst(&self) -> Option<f64> {
        match self {
            Self::Optimized(encoded) => encoded.worst,
            Self::Copied { .. } => None,
        }
    }

    /// Score of the result, if it was measured.
    pub(crate) fn score(&self) -> Option<f64> {
        match self {
            Self::Optimized(encoded) => encoded.score,
            Self::Copied { .. } => None,
        }
    }

    /// Method as written to the marker.
    fn method(&self) -> String {
        match self {
            Self::Optimized(encoded) => encoded.method.to_string(),
            Self::Copied { .. } => "copy".into(),
        }
    }

    /// Whether the result is what these options give. A copy of what ended the function says nothing of them.
    fn depends_on_options(&self) -> bool {
        !matches!(self, Self::Copied { reason: CopyReason::EndedTheFunction, .. })
    }

    /// Attributes of the result: the source's headers, with the true Content-Type of a recognized image, and the
    /// marker.
    pub(crate) fn attributes(
        &self,
        source: &Head,
        format: Option<Format>,
        options_hash: &str,
        sequencer: Option<&str>,
    ) -> Attributes {
        let marker = Marker {
            source_etag: &source.etag,
            options: self.depends_on_options().then_some(options_hash),
            original_size: source.size,
            score: self.score(),
            method: &self.method(),
            sequencer,
        };
        let metadata = marker.added_to(&source.attributes.metadata);
        Attributes { metadata, ..with_true_type(&source.attributes, format) }
    }

    /// Returns the bytes to upload, if any.
    pub(crate) fn into_bytes(self) -> Option<Bytes> {
        match self {
            Self::Optimized(encoded) => Some(encoded.bytes.into()),
            Self::Copied { .. } => None,
        }
    }
}

/// Returns the source's headers, with the true Content-Type of a recognized image.
fn with_true_type(source: &Attributes, format: Option<Format>) -> Attributes {
    let mime = format.filter(|_| !has_encoding(source)).map(|format| format.mime().to_string());
    Attributes { content_type: mime.or_else(|| source.content_type.clone()), ..source.clone() }
}

/// `identity` is the only coding that changes nothing.
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

    fn reason(size: u64, encoding: Option<&str>, format: Option<Format>) -> Option<CopyReason> {
        CopyReason::from_first_bytes(&head(size, encoding), format, &Limits { bytes: 1000, ..Limits::default() })
    }

    #[test]
    fn first_bytes_of_other_formats_give_a_copy_reason() {
        assert_eq!(reason(9, None, Some(Format::Jpeg)), None);
        assert_eq!(reason(9, None, Some(Format::Png)), None);
        assert_eq!(reason(9, None, Some(Format::Gif)), None);
        assert_eq!(reason(9, None, Some(Format::WebP)), None);
        assert_eq!(reason(9, None, Some(Format::Tiff)), Some(CopyReason::Unchanged(Reason::FormatNotRewritten)));
        assert_eq!(reason(9, None, None), Some(CopyReason::Unchanged(Reason::NotAnImage)));
        assert_eq!(reason(0, None, None), Some(CopyReason::Unchanged(Reason::Empty)));
        let over = ImageError::LimitExceeded { limit: Limit::Bytes, value: 1001, max: 1000 };
        assert_eq!(reason(1001, None, Some(Format::Png)), Some(CopyReason::Image(over)));
    }

    #[test]
    fn content_encoding_gives_a_copy_reason() {
        for header in ["gzip", "br", "gzip,br", "identity, GZIP"] {
            assert_eq!(reason(9, Some(header), Some(Format::Jpeg)), Some(CopyReason::ContentEncoding), "{header}");
        }
        for header in ["", "identity", "Identity"] {
            assert_eq!(reason(9, Some(header), Some(Format::Jpeg)), None, "{header}");
        }
    }

    #[test]
    fn recognized_image_gets_its_true_content_type() {
        let arrives = |encoding, format| with_true_type(&head(9, encoding).attributes, format).content_type.unwrap();
        assert_eq!(arrives(None, Some(Format::Png)), "image/png");
        assert_eq!(arrives(None, None), "binary/octet-stream");
        assert_eq!(arrives(Some("gzip"), Some(Format::Png)), "binary/octet-stream");
    }

    #[test]
    fn unread_body_counts_as_keeping_its_metadata() {
        let unread = |reason| BodyOutcome::unread(CopyReason::Unchanged(reason)).metadata();
        assert_eq!(unread(Reason::NotAnImage), MetadataState::Kept);
        assert_eq!(unread(Reason::Empty), MetadataState::Clean);
    }
}
