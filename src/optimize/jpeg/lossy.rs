//! The lossy ways, best first: requantize with chroma halved, with every grid kept, or encode decoded planes.

use super::coefficients::Coefficients;
use super::libjpeg::{self, Fault};
use super::mosaic;
use super::recompress::{Chroma, Recompressor, judge_of};
use super::target::{Aim, Encoded, Judge, Sample, UPRIGHT, WHOLE_PIXELS, encode_once, encode_to_target};
use crate::optimize::{Budget, Method};

/// A source, decoded without a fault.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    pub file: &'a [u8],
    pub coefficients: &'a Coefficients,
    pub max_scans: u32,
    /// Bytes that the coded image takes losslessly.
    pub bytes: usize,
    /// EXIF's.
    pub orientation: u8,
}

impl Source<'_> {
    fn bits_per_pixel(&self) -> f64 {
        let layout = &self.coefficients.layout;
        8.0 * self.bytes as f64 / (layout.width * layout.height).max(1) as f64
    }
}

/// One encoding at the first guess; no score is measured.
///
/// # Errors
/// [`Fault`] of the codec.
pub fn once(source: Source<'_>, target: f64) -> Result<(Method, Encoded), Fault> {
    let coefficients = source.coefficients;
    let recompressor = |chroma| Recompressor::new(coefficients, chroma, source.bits_per_pixel());
    if let Some(recompressor) = recompressor(Chroma::Halved).or_else(|| recompressor(Chroma::Kept)) {
        return Ok((Method::JpegCoefficients, encode_once(&recompressor, target)?));
    }
    let planes = libjpeg::decode_planes(source.file, source.max_scans)?;
    Ok((Method::JpegPixels, encode_once(&&planes, target)?))
}

/// The lightest encoding found that reaches the target; `None` where none below the ceiling does.
///
/// # Errors
/// [`Fault`] of the codec, or of the metric.
pub fn to_target(source: Source<'_>, aim: Aim, budget: Budget) -> Result<Option<(Method, Encoded)>, Fault> {
    let bits_per_pixel = source.bits_per_pixel();
    let picture = libjpeg::decode_rgb(source.file, source.max_scans)?;
    let large = picture.width * picture.height > WHOLE_PIXELS;
    let Some(keeping) = Recompressor::new(source.coefficients, Chroma::Kept, bits_per_pixel) else {
        let planes = libjpeg::decode_planes(source.file, source.max_scans)?;
        let tiles = if large { mosaic::of_planes(&planes, &picture) } else { None };
        let judge = Judge::new(picture, source.orientation)?;
        let tiles = tiles.map(|(planes, picture)| Ok((planes, Judge::new(picture, UPRIGHT)?))).transpose()?;
        let sample = tiles.as_ref().map(|(planes, judge)| Sample { encoder: planes, judge });
        let encoded = encode_to_target(&&planes, &judge, sample.as_ref(), aim, budget)?;
        return Ok(encoded.map(|encoded| (Method::JpegPixels, encoded)));
    };
    let judge = Judge::new(picture, source.orientation)?;
    let tiles = if large { mosaic::of_coefficients(source.coefficients) } else { None };
    let tiles = tiles.as_ref().map(|tiles| Ok((tiles, judge_of(tiles)?))).transpose()?;
    let search = |recompressor: &Recompressor<'_>, chroma| {
        let encoder =
            tiles.as_ref().and_then(|(tiles, judge)| Some((Recompressor::new(tiles, chroma, bits_per_pixel)?, judge)));
        let sample = encoder.map(|(encoder, judge)| Sample { encoder, judge });
        encode_to_target(recompressor, &judge, sample.as_ref(), aim, budget)
    };
    let mut encoded = None;
    if let Some(halving) = Recompressor::new(source.coefficients, Chroma::Halved, bits_per_pixel) {
        encoded = search(&halving, Chroma::Halved)?;
    }
    if encoded.is_none() {
        encoded = search(&keeping, Chroma::Kept)?;
    }
    Ok(encoded.map(|encoded| (Method::JpegCoefficients, encoded)))
}
