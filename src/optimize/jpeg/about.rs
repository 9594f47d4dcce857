//! Facts about a JPEG source that its coefficients do not tell.

use std::sync::Arc;

use super::dct::coefficients::Blocks;
use crate::optimize::color::ToSrgb;

/// What is known of a source beside its coefficients.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    pub file: &'a [u8],
    pub max_scans: u32,
    /// Bytes that the coded image takes, without metadata.
    pub bytes: usize,
    /// Orientation by EXIF, 1 to 8.
    pub orientation: u8,
    /// How colours are shown, where it is not as sRGB.
    pub to_srgb: Option<&'a Arc<ToSrgb>>,
}

impl About<'_> {
    pub fn bits_per_pixel(&self, source: &dyn Blocks) -> f64 {
        let layout = source.layout();
        8.0 * self.bytes as f64 / (layout.width * layout.height).max(1) as f64
    }
}
