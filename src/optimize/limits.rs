//! What is refused from the header alone, before any pixel is decoded.

use super::error::{ImageError, Limit};

/// Bounds on what one image may cost. An image over a limit is left as it is, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the source file.
    pub bytes: u64,
    /// Width × height, in pixels.
    pub pixels: u64,
    /// Scans of a progressive JPEG: each costs a pass over all coefficients, so a small file can cost seconds.
    pub scans: u32,
    /// Frames of an animation.
    pub frames: u32,
    /// Bytes of working memory an image may be expected to need, source and result included.
    pub memory: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 512 << 20, pixels: 150_000_000, scans: 100, frames: 1_000, memory: 2 << 30 }
    }
}

impl Limits {
    /// # Errors
    /// [`ImageError::LimitExceeded`] where `value` is greater than `max`.
    pub fn check(limit: Limit, value: u64, max: u64) -> Result<(), ImageError> {
        if value > max { Err(ImageError::LimitExceeded { limit, value, max }) } else { Ok(()) }
    }
}
