//! The pixel domain: decode, encode with mozjpeg, for images whose coefficients cannot be requantized.

use super::about::About;
use super::libjpeg::{self, Fault, Planes};
use super::recompress::MAX_DRIFT;
use super::target::Aim;
use crate::optimize::picture::Rgb;
use crate::optimize::quality::score::{Score, judge};

/// Half steps of libjpeg's quality: 196 is quality 98, 24 is quality 12.
const COARSEST: i32 = 24;
const FINEST: i32 = 196;
/// Points of score that one step brings, measured on photographs.
const SLOPE: f64 = 0.3;

/// An image decoded to its planes, and to colours that files of it are judged by.
pub struct Pixels<'a> {
    planes: Planes,
    picture: Rgb,
    about: About<'a>,
}

impl<'a> Pixels<'a> {
    /// # Errors
    /// [`Fault`] on the first error or warning, or past the limit of scans.
    pub fn decode(about: About<'a>) -> Result<Self, Fault> {
        let picture = shown(about.file, about.max_scans, about)?;
        Ok(Self { planes: libjpeg::decode_planes(about.file, about.max_scans)?, picture, about })
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
        let decoded = self.encode(step).and_then(|file| shown(&file, u32::MAX, self.about));
        decoded.ok().and_then(|picture| judge(&self.picture, &picture, MAX_DRIFT)).unwrap_or(Score::REFUSED)
    }
}

/// The picture of a file as viewers show one like the source.
fn shown(file: &[u8], max_scans: u32, about: About<'_>) -> Result<Rgb, Fault> {
    let mut picture = libjpeg::decode_rgb(file, max_scans)?;
    if let Some(to_srgb) = about.to_srgb {
        to_srgb.picture(&mut picture);
    }
    Ok(picture.upright(about.orientation))
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
