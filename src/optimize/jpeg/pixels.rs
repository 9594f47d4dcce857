//! The pixel domain: decode, encode with mozjpeg, for images whose coefficients cannot be requantized.

use std::ops::RangeInclusive;

use super::libjpeg::{self, Fault, Planes};
use super::target::Encoder;

/// Half steps of libjpeg's quality: 196 is quality 98, 24 is quality 12.
const COARSEST: i32 = 24;
const FINEST: i32 = 196;

impl Encoder for &Planes {
    const STEPS: RangeInclusive<i32> = COARSEST..=FINEST;
    /// Measured on photographs.
    const SLOPE: f64 = 0.3;

    /// From the target alone: the median over photographs.
    fn first_step(&self, target: f64) -> i32 {
        (142.0 + (target - 75.0) * 2.4).round() as i32
    }

    fn encode(&self, step: i32) -> Result<Vec<u8>, Fault> {
        libjpeg::encode(self, scale_of(step))
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
