//! The pixel domain: decode, encode with mozjpeg, for images whose coefficients cannot be requantized.

use super::libjpeg::{self, Fault, Planes};
use super::recompress::MAX_DRIFT;
use super::target::Aim;
use crate::optimize::score::{Rgb, Score, judge};

/// Half steps of libjpeg's quality: 196 is quality 98, 24 is quality 12.
const COARSEST: i32 = 24;
const FINEST: i32 = 196;
/// Points of score that one step brings, measured on photographs.
const SLOPE: f64 = 0.3;

/// An image decoded to its planes, and to colours that files of it are judged by.
pub struct Pixels {
    planes: Planes,
    picture: Rgb,
    orientation: u8,
}

impl Pixels {
    /// # Errors
    /// [`Fault`] on the first error or warning, or past `max_scans`.
    pub fn decode(file: &[u8], max_scans: u32, orientation: u8) -> Result<Self, Fault> {
        let picture = libjpeg::decode_rgb(file, max_scans)?.upright(orientation);
        Ok(Self { planes: libjpeg::decode_planes(file, max_scans)?, picture, orientation })
    }

    /// From the target alone: the median over photographs.
    #[must_use]
    pub fn first_step(target: f64) -> i32 {
        ((142.0 + (target - 75.0) * 2.4).round() as i32).clamp(COARSEST, FINEST)
    }

    #[must_use]
    pub fn aim(&self, target: f64) -> Aim {
        let first = Self::first_step(target);
        Aim { target, steps: COARSEST..=FINEST, slope: SLOPE, first, pixels: self.planes.width * self.planes.height }
    }

    /// # Errors
    /// [`Fault`] of the encoder.
    pub fn encode(&self, step: i32) -> Result<Vec<u8>, Fault> {
        libjpeg::encode(&self.planes, scale_of(step))
    }

    /// The score of a step's file; refused where it cannot be made or judged.
    #[must_use]
    pub fn score(&self, step: i32) -> Score {
        let decoded = self.encode(step).and_then(|file| libjpeg::decode_rgb(&file, u32::MAX));
        let decoded = decoded.map(|picture| picture.upright(self.orientation));
        decoded.ok().and_then(|picture| judge(&self.picture, &picture, MAX_DRIFT)).unwrap_or(Score::REFUSED)
    }
}

/// The table scale, in percent, of a step (jcparam.c, `jpeg_quality_scaling`, at half a quality's grain).
fn scale_of(step: i32) -> u16 {
    let scale = if step < 100 { 10_000 / step } else { 200 - step };
    (scale as u16).clamp(libjpeg::FINEST_SCALE, libjpeg::COARSEST_SCALE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_fall_as_steps_rise() {
        assert_eq!((scale_of(100), scale_of(150), scale_of(COARSEST), scale_of(FINEST)), (100, 50, 400, 4));
        assert!((COARSEST..FINEST).all(|step| scale_of(step) >= scale_of(step + 1)));
    }
}
