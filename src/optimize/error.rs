//! Why an image could not be worked on. Every variant ends with the original copied through, never lost.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::format::Format;

/// A fault of the image itself, never of the caller or the network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The file breaks its format: truncated, corrupt, contradictory.
    #[error("malformed {format}: {detail}")]
    Malformed {
        /// The format that its first bytes announce.
        format: Format,
        /// What is wrong, for a person.
        detail: String,
        /// Whether the file ends too early: a whole copy may be elsewhere.
        truncated: bool,
    },
    /// The header asks for more than [`Limits`](super::limits::Limits) allow.
    #[error("{limit} limit exceeded: {value}, allowed {max}")]
    LimitExceeded {
        /// Which limit.
        limit: Limit,
        /// What the image asks for.
        value: u64,
        /// What is allowed.
        max: u64,
    },
    /// A codec panicked; the message is its own.
    #[error("codec panicked: {0}")]
    CodecPanic(String),
}

impl ImageError {
    pub(crate) fn malformed(format: Format, detail: impl Into<String>) -> Self {
        Self::Malformed { format, detail: detail.into(), truncated: false }
    }

    pub(crate) fn truncated(format: Format, detail: impl Into<String>) -> Self {
        Self::Malformed { format, detail: detail.into(), truncated: true }
    }
}

/// Which bound of [`Limits`](super::limits::Limits) was passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// Bytes of the file.
    Bytes,
    /// Width × height.
    Pixels,
    /// Scans of a progressive JPEG.
    Scans,
    /// Frames of an animation.
    Frames,
    /// Bytes of working memory.
    Memory,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bytes => "bytes",
            Self::Pixels => "pixels",
            Self::Scans => "scans",
            Self::Frames => "frames",
            Self::Memory => "memory",
        })
    }
}

/// Runs a codec. One that panics fails its own image and nothing else.
pub(super) fn guarded<T, E: From<ImageError>>(work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        let message = payload.downcast_ref::<String>().map(String::as_str);
        let message = message.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no message");
        Err(ImageError::CodecPanic(message.to_owned()).into())
    })
}
