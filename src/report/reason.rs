//! Reasons of an outcome: each has a stable code for programs, and a text for a person. Pure.

use std::fmt;
use std::io::{self, ErrorKind};

use crate::optimize::{self, ImageError, Limit, Limits};

/// Why an object has its outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// It was copied unchanged.
    Copied(CopyReason),
    /// It was not processed.
    Skipped(Skip),
    Failed(Failure),
    /// It was transferred, for a reason that both sides give.
    Transferred(TransferReason),
    /// An entry of a folder or a listing was passed over.
    Ignored(String),
}

/// Reason why an object is copied instead of rewritten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyReason {
    /// The engine, or the format check, found nothing to do.
    Unchanged(optimize::Reason),
    /// The body has a content coding such as gzip, so it is no image until it is decoded.
    ContentEncoding,
    /// An earlier attempt ended the function by memory, time or a crash.
    EndedTheFunction,
    /// The image is malformed or exceeds a limit.
    Image(ImageError),
}

/// Reason to skip an object; counts as success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    /// The result would overwrite its source: an endless loop.
    DestinationIsSource,
    /// The destination already holds the result of this event.
    AlreadyStored,
    /// The destination exists, and `KARUI_OVERWRITE=never`.
    NotOverwritten,
    /// The source has been replaced; the newer object has its own event.
    SourceReplaced,
    SourceGone,
    /// Metadata could not be removed, and `KARUI_UNSTRIPPABLE=withhold`.
    Withheld,
    /// The record is not about a created object.
    NotACreation,
}

/// Why `cp` or `sync` transfers an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferReason {
    /// Requested explicitly.
    Asked,
    Missing,
    Newer,
    Size,
    Content,
}

/// An error that ended the work on an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub class: FailureClass,
    /// Stable, such as `s3-access-denied`.
    pub code: &'static str,
    /// For a person.
    pub sentence: String,
}

/// Whether a retry may succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureClass {
    Permanent,
    Retryable,
}

impl Reason {
    /// Stable code, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Copied(reason) => reason.code(),
            Self::Skipped(skip) => skip.code(),
            Self::Failed(failure) => failure.code,
            Self::Transferred(reason) => reason.code(),
            Self::Ignored(_) => "ignored",
        }
    }

    /// Class of the error, if there was one.
    #[must_use]
    pub fn class(&self) -> Option<FailureClass> {
        match self {
            Self::Copied(CopyReason::Image(_)) => Some(FailureClass::Permanent),
            Self::Failed(failure) => Some(failure.class),
            Self::Copied(_) | Self::Skipped(_) | Self::Transferred(_) | Self::Ignored(_) => None,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Copied(reason) => reason.fmt(f),
            Self::Skipped(skip) => skip.fmt(f),
            Self::Failed(failure) => f.write_str(&failure.sentence),
            Self::Transferred(reason) => f.write_str(reason.words()),
            Self::Ignored(why) => f.write_str(why),
        }
    }
}

impl CopyReason {
    /// Returns a reason if the size alone forbids reading. The buffer is part of the working memory, so that limit
    /// counts too.
    #[must_use]
    pub fn from_size(size: u64, limits: &Limits) -> Option<Self> {
        if size == 0 {
            return Some(Self::Unchanged(optimize::Reason::Empty));
        }
        Limits::check(Limit::Bytes, size, limits.bytes)
            .and_then(|()| Limits::check(Limit::Memory, size, limits.memory))
            .err()
            .map(Self::Image)
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Unchanged(reason) => code_of_unchanged(*reason),
            Self::ContentEncoding => "content-encoding",
            Self::EndedTheFunction => "ended-the-function",
            Self::Image(error) => code_of_image(error),
        }
    }
}

impl fmt::Display for CopyReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(error) => error.fmt(f),
            Self::Unchanged(_) | Self::ContentEncoding | Self::EndedTheFunction => f.write_str(self.code()),
        }
    }
}

impl Skip {
    fn code(self) -> &'static str {
        match self {
            Self::DestinationIsSource => "destination-is-source",
            Self::AlreadyStored => "already-stored",
            Self::NotOverwritten => "not-overwritten",
            Self::SourceReplaced => "source-replaced",
            Self::SourceGone => "source-gone",
            Self::Withheld => "withheld",
            Self::NotACreation => "not-a-creation",
        }
    }
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl TransferReason {
    fn code(self) -> &'static str {
        match self {
            Self::Asked => "asked-for",
            Self::Missing => "missing",
            Self::Newer => "newer",
            Self::Size => "other-size",
            Self::Content => "other-content",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Asked => "asked for",
            Self::Missing => "missing",
            Self::Newer => "newer",
            Self::Size => "of another size",
            Self::Content => "of other content",
        }
    }
}

impl Failure {
    /// An error that another attempt may not meet.
    pub fn retryable(code: &'static str, sentence: impl Into<String>) -> Self {
        Self { class: FailureClass::Retryable, code, sentence: sentence.into() }
    }

    /// An error of the file system.
    #[must_use]
    pub fn of_file(error: &io::Error, sentence: impl Into<String>) -> Self {
        Self::retryable(code_of_file(error), sentence)
    }
}

impl FailureClass {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Permanent => "permanent",
            Self::Retryable => "retryable",
        }
    }
}

fn code_of_unchanged(reason: optimize::Reason) -> &'static str {
    match reason {
        optimize::Reason::Empty => "empty",
        optimize::Reason::NotAnImage => "not-an-image",
        optimize::Reason::FormatNotRewritten => "format-not-rewritten",
        optimize::Reason::CodingNotRewritten => "coding-not-rewritten",
        optimize::Reason::NoGain => "no-gain",
        optimize::Reason::Signed => "signed",
        optimize::Reason::TrailingData => "trailing-data",
    }
}

/// Stable code of a file system's error.
pub(crate) fn code_of_file(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::NotFound => "file-not-found",
        ErrorKind::PermissionDenied => "file-permission-denied",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "file-storage-full",
        _ => "file-error",
    }
}

/// Stable code of an image's error.
pub(crate) fn code_of_image(error: &ImageError) -> &'static str {
    match error {
        ImageError::Malformed { truncated: true, .. } => "image-truncated",
        ImageError::Malformed { .. } => "image-malformed",
        ImageError::CodecPanic(_) => "image-codec-panic",
        ImageError::LimitExceeded { limit, .. } => match limit {
            Limit::Bytes => "image-over-bytes",
            Limit::Pixels => "image-over-pixels",
            Limit::Scans => "image-over-scans",
            Limit::Frames => "image-over-frames",
            Limit::Memory => "image-over-memory",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimize::Format;

    #[test]
    fn code_of_unchanged_is_the_engines_word() {
        use optimize::Reason;
        for reason in [
            Reason::Empty,
            Reason::NotAnImage,
            Reason::FormatNotRewritten,
            Reason::CodingNotRewritten,
            Reason::NoGain,
            Reason::Signed,
            Reason::TrailingData,
        ] {
            assert_eq!(code_of_unchanged(reason), reason.to_string());
        }
    }

    #[test]
    fn malformed_image_has_code_class_and_sentence() {
        let error = ImageError::malformed(Format::Jpeg, "no scan");
        let reason = Reason::Copied(CopyReason::Image(error));
        assert_eq!((reason.code(), reason.class()), ("image-malformed", Some(FailureClass::Permanent)));
        assert_eq!(reason.to_string(), "malformed jpeg: no scan");
        assert_eq!(Reason::Skipped(Skip::Withheld).class(), None);
    }

    #[test]
    fn truncated_image_has_a_code_of_its_own() {
        use optimize::{Budget, Options, optimize};
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
        let half = |file: &str| {
            let whole = std::fs::read(format!("{folder}/{file}")).unwrap();
            whole[..whole.len() / 2].to_vec()
        };
        let webp = b"RIFF\x40\0\0\0WEBPVP8 \xff\0\0\0".to_vec();
        for cut in [half("photo-420.jpg"), half("photo.png"), half("animated.gif"), webp] {
            let error = optimize(&cut, &Options::default(), Budget::UNLIMITED).unwrap_err();
            assert_eq!(code_of_image(&error), "image-truncated", "{error}");
        }
    }
}
