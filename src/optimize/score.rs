//! The perceptual score: SSIMULACRA2 by `fast-ssim2`, on 8-bit sRGB samples as they are stored.
//!
//! Source: <https://github.com/cloudinary/ssimulacra2>. 100 is identical, 90 visually lossless, 70 high quality.

use fast_ssim2::{
    PixelDescriptor, PixelSlice, Ssimulacra2Config, Ssimulacra2Reference, compute_ssimulacra2_with_config,
};

/// A picture of 8-bit red, green, blue samples, row by row without padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rgb {
    /// Pixels.
    pub width: usize,
    pub height: usize,
    pub samples: Vec<u8>,
}

/// The score of two identical pictures.
pub const IDENTICAL: f64 = 100.0;

/// Up to this many pixels the reference's half of the metric is computed once and kept, for 100 bytes a pixel.
const CACHED_PIXELS: usize = 3_000_000;
/// Above that the metric runs over strips of so many rows, for 27 bytes a pixel.
const STRIP_ROWS: usize = 512;
/// Bytes per pixel that scoring needs at its peak, both pictures included, measured.
const CACHED_BYTES_PER_PIXEL: u64 = 150;
const STRIPS_BYTES_PER_PIXEL: u64 = 34;

/// Bytes of working memory that scoring a picture of so many pixels needs.
#[must_use]
pub fn memory(pixels: u64) -> u64 {
    pixels * if pixels <= CACHED_PIXELS as u64 { CACHED_BYTES_PER_PIXEL } else { STRIPS_BYTES_PER_PIXEL }
}

/// The picture that others are scored against.
pub enum Reference {
    Cached(Box<Ssimulacra2Reference>),
    Pixels(Rgb),
}

/// The metric refused a picture; its own words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot be scored: {0}")]
pub struct ScoreError(String);

impl Reference {
    /// # Errors
    /// [`ScoreError`] for an empty picture, or one beyond what the metric can hold.
    pub fn new(picture: Rgb) -> Result<Self, ScoreError> {
        if picture.width * picture.height > CACHED_PIXELS {
            return Ok(Self::Pixels(picture));
        }
        Ok(Self::Cached(Box::new(Ssimulacra2Reference::new(&slice(&picture)?).map_err(refused)?)))
    }

    /// The score of `picture` against this reference.
    ///
    /// # Errors
    /// [`ScoreError`] where the sizes differ.
    pub fn score(&self, picture: &Rgb) -> Result<f64, ScoreError> {
        match self {
            Self::Cached(reference) => reference.compare(&slice(picture)?).map_err(refused),
            Self::Pixels(reference) => {
                let config = Ssimulacra2Config::strips(STRIP_ROWS);
                compute_ssimulacra2_with_config(&slice(reference)?, &slice(picture)?, &config).map_err(refused)
            }
        }
    }
}

/// The score of one picture against another.
///
/// # Errors
/// [`ScoreError`] where the sizes differ, or the metric cannot hold them.
pub fn score(reference: Rgb, distorted: &Rgb) -> Result<f64, ScoreError> {
    Reference::new(reference)?.score(distorted)
}

fn slice(picture: &Rgb) -> Result<PixelSlice<'_>, ScoreError> {
    let (width, height) = (picture.width as u32, picture.height as u32);
    PixelSlice::new(&picture.samples, width, height, picture.width * 3, PixelDescriptor::RGB8_SRGB)
        .map_err(|error| ScoreError(format!("{error:?}")))
}

fn refused(error: impl std::fmt::Display) -> ScoreError {
    ScoreError(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waves(width: usize, height: usize, noise: u8) -> Rgb {
        let sample = |i: usize| {
            let smooth = 128.0 + 100.0 * ((i / 3 % width) as f64 / 9.0).sin();
            (smooth as u8).saturating_add(if (i * 2_654_435_761) >> 7 & 1 == 1 { noise } else { 0 })
        };
        Rgb { width, height, samples: (0..width * height * 3).map(sample).collect() }
    }

    #[test]
    fn a_picture_is_identical_to_itself_and_noise_costs() {
        for (width, height) in [(64, 48), (8, 8), (1, 1), (5, 300)] {
            let reference = Reference::new(waves(width, height, 0)).unwrap();
            assert!((reference.score(&waves(width, height, 0)).unwrap() - IDENTICAL).abs() < 1e-6);
        }
        let reference = Reference::new(waves(64, 48, 0)).unwrap();
        let little = reference.score(&waves(64, 48, 3)).unwrap();
        let much = reference.score(&waves(64, 48, 30)).unwrap();
        assert!(IDENTICAL > little && little > much, "{little} {much}");
    }

    #[test]
    fn other_dimensions_are_refused() {
        let reference = Reference::new(waves(64, 48, 0)).unwrap();
        assert!(reference.score(&waves(48, 64, 0)).is_err());
    }
}
