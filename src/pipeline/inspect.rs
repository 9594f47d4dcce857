//! Decides by an object's headers and first bytes whether to copy it unread, and with which attributes. Pure.

use super::marker::Marker;
use crate::optimize::{Format, Limits, decide_unread};
use crate::report::{Body, CopyReason};
use crate::s3::{Attributes, Head};

/// Returns a reason to copy an object unread if headers or first bytes forbid rewriting.
pub(crate) fn from_first_bytes(head: &Head, format: Option<Format>, limits: &Limits) -> Option<CopyReason> {
    if has_encoding(&head.attributes) {
        return Some(CopyReason::ContentEncoding);
    }
    match decide_unread(format, head.size, limits) {
        Some(Ok(unchanged)) => Some(CopyReason::Unchanged(unchanged.reason)),
        Some(Err(error)) => Some(CopyReason::Image(error)),
        None => CopyReason::from_size(head.size, limits),
    }
}

/// Attributes of the result: the source's headers, with the true Content-Type of a recognized image, and the marker.
pub(crate) fn attributes(
    body: &Body,
    source: &Head,
    format: Option<Format>,
    options_hash: &str,
    sequencer: Option<&str>,
) -> Attributes {
    let (score, method) = match body {
        Body::Optimized { encoded, .. } => (encoded.score, encoded.method.to_string()),
        Body::Copied { .. } => (None, "copy".into()),
    };
    let marker = Marker {
        source_etag: &source.etag,
        options: depends_on_options(body).then_some(options_hash),
        original_size: source.size,
        score,
        method: &method,
        sequencer,
    };
    let metadata = marker.added_to(&source.attributes.metadata);
    Attributes { metadata, ..with_true_type(&source.attributes, format) }
}

/// Whether the result is what these options give. A copy of what ended the function says nothing of them.
fn depends_on_options(body: &Body) -> bool {
    !matches!(body, Body::Copied { reason: CopyReason::EndedTheFunction, .. })
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
    use crate::optimize::{ImageError, Limit, Reason};
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
        from_first_bytes(&head(size, encoding), format, &Limits { bytes: 1000, ..Limits::default() })
    }

    #[test]
    fn first_bytes_of_other_formats_give_a_copy_reason() {
        assert_eq!(reason(9, None, Some(Format::Jpeg)), None);
        assert_eq!(reason(9, None, Some(Format::Png)), None);
        assert_eq!(reason(9, None, Some(Format::Gif)), None);
        assert_eq!(reason(9, None, Some(Format::WebP)), None);
        assert_eq!(reason(9, None, Some(Format::Tiff)), Some(CopyReason::Unchanged(Reason::FormatNotRewritten)));
        assert_eq!(reason(9, None, None), Some(CopyReason::Unchanged(Reason::NotAnImage)));
        assert_eq!(reason(1001, None, None), Some(CopyReason::Unchanged(Reason::NotAnImage)));
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
}
