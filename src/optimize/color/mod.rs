//! How viewers show a file's samples: as sRGB, or by a profile that is far from sRGB and is converted for scoring.
//!
//! Scores and limits on drift are of sRGB. Owns the decision which profiles matter to them, and the conversion of 8-bit
//! samples. File formats find the profile; [`score`](super::quality::score) and [`backgrounds`](super::quality::backgrounds) convert with it.

mod icc;
#[cfg(test)]
pub mod tests;

use std::sync::{Arc, LazyLock};

use rgb::RGBA8;

use super::picture::{Pixels, Rgb, Row};
use icc::{Curve, Icc, Matrix};

/// What a file's samples mean.
#[derive(Debug, Clone)]
pub enum ColorSpace {
    /// No profile, one that browsers ignore, or one so near that a score of the samples is the score as shown.
    Srgb,
    Converted(Arc<ToSrgb>),
    /// A profile of tables, PQ or HLG: nothing can be promised of changed samples.
    Unknown,
}

/// Converts samples to sRGB, colours beyond it clipped.
#[derive(Debug)]
pub struct ToSrgb {
    conversion: Conversion,
    is_far: bool,
}

#[derive(Debug)]
enum Conversion {
    /// Of gray.
    Curve(Box<[u8; 256]>),
    Matrix {
        /// What each sample of red, green and blue adds to the three channels' linear light, in [`LIGHT_STEPS`] with
        /// [`FRACTION`]; the fourth number makes it one register.
        parts: Box<[[[i32; 4]; 256]; 3]>,
        /// sRGB's level for each step of light, from `-LEAST_LIGHT`.
        encoded: &'static [u8; TABLE_STEPS],
    },
}

/// Levels of 255 by which a sample may be shown lighter or darker than sRGB would: rounding of tables. Gamma 2.2 is off by
/// up to 6, and costs a point of score.
const NEAR_LEVELS: f32 = 1.5;
/// How far any number of the matrix from linear RGB to linear sRGB may be off the identity: rounding of primaries. Display
/// P3 is off by 0.23: of 24 files that scored 75 as sRGB 13 were below as shown, by up to 2.3 points.
const NEAR_MATRIX: f32 = 0.02;
/// Beyond these a score of the samples is off by more than three points: Adobe RGB's matrix is off by 0.40, that of
/// ROMM RGB (`ProPhoto`) by 1.0; gamma 1.8 is off by 19 levels.
const FAR_LEVELS: f32 = 7.0;
const FAR_MATRIX: f32 = 0.45;
/// XYZ at D50 to linear sRGB: the inverse of the matrix of ICC's sRGB profiles.
const XYZ_TO_SRGB: Matrix =
    [[3.134_137, -1.617_386, -0.490_662], [-0.978_796, 1.916_254, 0.033_443], [0.071_955, -0.228_977, 1.405_386]];
/// Steps of linear light from black to white: in the darkest part a fifth of a level.
const LIGHT_STEPS: usize = 1 << 14;
const LAST_STEP: f32 = (LIGHT_STEPS - 1) as f32;
/// Light that a table of steps covers, so that no sum needs to be clamped: `ProPhoto` RGB's reaches from -1.1 to 2.1.
const LEAST_LIGHT: usize = 3;
const MOST_LIGHT: usize = 4;
const TABLE_STEPS: usize = (LEAST_LIGHT + 1 + MOST_LIGHT) * LIGHT_STEPS;
/// Bits behind a step.
const FRACTION: u32 = 10;

impl ColorSpace {
    /// Of a picture with this ICC profile; `is_gray` where the file stores no colour.
    #[must_use]
    pub fn of_profile(icc: Option<&[u8]>, is_gray: bool) -> Self {
        match icc.map_or(Icc::Ignored, Icc::parse) {
            Icc::Tables => Self::Unknown,
            Icc::Gray(curve) if is_gray => {
                let shown = || Some(Conversion::Curve(Box::new(curve.map(|light| encode(light).round() as u8))));
                Self::by_distance(levels_off(&curve), 0.0, shown)
            }
            Icc::Rgb { curves, to_xyz } => {
                let matrix = to_linear_srgb(&to_xyz);
                let levels = curves.iter().map(levels_off).fold(0.0, f32::max);
                Self::by_distance(levels, matrix_off(&matrix), || Conversion::of_matrix(&curves, &matrix))
            }
            // Browsers ignore a gray profile of colours.
            Icc::Ignored | Icc::Gray(_) => Self::Srgb,
        }
    }

    fn by_distance(levels: f32, matrix: f32, conversion: impl FnOnce() -> Option<Conversion>) -> Self {
        if levels <= NEAR_LEVELS && matrix <= NEAR_MATRIX {
            return Self::Srgb;
        }
        let is_far = levels > FAR_LEVELS || matrix > FAR_MATRIX;
        let to_srgb = conversion().map(|conversion| Arc::new(ToSrgb { conversion, is_far }));
        to_srgb.map_or(Self::Unknown, Self::Converted)
    }
}

impl Conversion {
    /// `None` where light reaches further than any device's.
    fn of_matrix(curves: &[Curve; 3], matrix: &Matrix) -> Option<Self> {
        let light = |row: usize, channel: usize, sample: usize| matrix[row][channel] * curves[channel][sample];
        let reaches = |row: usize, further: fn(f32, f32) -> f32| {
            let of_channel = |channel| (0..256).map(|sample| light(row, channel, sample)).fold(0.0, further);
            (0..3).map(of_channel).sum::<f32>()
        };
        let is_within = |row| {
            reaches(row, f32::min) >= -(LEAST_LIGHT as f32 - 0.5) && reaches(row, f32::max) <= MOST_LIGHT as f32 - 0.5
        };
        if !(0..3).all(is_within) {
            return None;
        }
        let part = |channel: usize, sample: usize| {
            // Once for all three channels.
            let least = if channel == 0 { LEAST_LIGHT * LIGHT_STEPS } else { 0 } as f32 + 1.0 / 6.0;
            let fixed = |row: usize| {
                let steps = light(row, channel, sample) * LAST_STEP + least;
                (steps * (1 << FRACTION) as f32).round() as i32
            };
            [fixed(0), fixed(1), fixed(2), 0]
        };
        let parts = std::array::from_fn(|channel| std::array::from_fn(|sample| part(channel, sample)));
        Some(Self::Matrix { parts: Box::new(parts), encoded: encoded() })
    }
}

/// How much lighter or darker than sRGB's the samples of a tone curve are shown, in levels of 255.
fn levels_off(curve: &Curve) -> f32 {
    curve.iter().enumerate().map(|(sample, light)| (encode(*light) - sample as f32).abs()).fold(0.0, f32::max)
}

/// From a profile's linear light to sRGB's.
fn to_linear_srgb(to_xyz: &Matrix) -> Matrix {
    let cell = |row: usize, column: usize| (0..3).map(|i| XYZ_TO_SRGB[row][i] * to_xyz[i][column]).sum();
    std::array::from_fn(|row| std::array::from_fn(|column| cell(row, column)))
}

/// How far a matrix is off the identity, in any number.
fn matrix_off(matrix: &Matrix) -> f32 {
    let off = |row: usize, column: usize| (matrix[row][column] - f32::from(u8::from(row == column))).abs();
    (0..9).map(|i| off(i / 3, i % 3)).fold(0.0, f32::max)
}

/// sRGB's level of 255 for linear light (IEC 61966-2-1).
fn encode(light: f32) -> f32 {
    let light = light.clamp(0.0, 1.0);
    255.0 * if light <= 0.003_130_8 { 12.92 * light } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 }
}

/// [`encode`] of each step of light.
fn encoded() -> &'static [u8; TABLE_STEPS] {
    static TABLE: LazyLock<Box<[u8; TABLE_STEPS]>> = LazyLock::new(|| {
        let mut table = Box::new([255; TABLE_STEPS]);
        let black = LEAST_LIGHT * LIGHT_STEPS;
        table[..black].fill(0);
        for (step, level) in table[black..][..LIGHT_STEPS].iter_mut().enumerate() {
            *level = encode(step as f32 / LAST_STEP).round() as u8;
        }
        table
    });
    &TABLE
}

impl ToSrgb {
    /// Whether scores of the samples say little of what is shown.
    #[must_use]
    pub fn is_far(&self) -> bool {
        self.is_far
    }

    /// Whether it is of a gray profile.
    #[must_use]
    pub fn is_gray(&self) -> bool {
        matches!(self.conversion, Conversion::Curve(_))
    }

    #[must_use]
    pub fn pixel(&self, pixel: [u8; 3]) -> [u8; 3] {
        match &self.conversion {
            Conversion::Curve(curve) => pixel.map(|sample| curve[usize::from(sample)]),
            Conversion::Matrix { parts, encoded } => mix(parts, encoded, pixel),
        }
    }

    /// Converts pixels in place; alpha stays.
    pub fn pixels(&self, pixels: &mut [RGBA8]) {
        for pixel in pixels {
            [pixel.r, pixel.g, pixel.b] = self.pixel([pixel.r, pixel.g, pixel.b]);
        }
    }

    /// Converts a whole picture in place.
    /// Converts all pixels.
    #[must_use]
    pub fn convert(&self, mut pixels: Pixels) -> Pixels {
        self.pixels(&mut pixels.rgba);
        pixels
    }

    pub fn picture(&self, picture: &mut Rgb) {
        for pixel in picture.samples.as_chunks_mut::<3>().0 {
            *pixel = self.pixel(*pixel);
        }
    }

    /// A row of samples, converted.
    #[must_use]
    pub fn row(&self, [r, g, b]: Row<'_>) -> [Vec<u8>; 3] {
        let mut shown = [r, g, b].map(<[u8]>::to_vec);
        match &self.conversion {
            Conversion::Curve(curve) => {
                shown.iter_mut().flatten().for_each(|sample| *sample = curve[usize::from(*sample)]);
            }
            Conversion::Matrix { parts, encoded } => {
                let [r, g, b] = &mut shown;
                for ((r, g), b) in r.iter_mut().zip(g).zip(b) {
                    [*r, *g, *b] = mix(parts, encoded, [*r, *g, *b]);
                }
            }
        }
        shown
    }
}

#[inline]
fn mix(parts: &[[[i32; 4]; 256]; 3], encoded: &[u8; TABLE_STEPS], [r, g, b]: [u8; 3]) -> [u8; 3] {
    let [r, g, b] = [&parts[0][usize::from(r)], &parts[1][usize::from(g)], &parts[2][usize::from(b)]];
    // In range already: the mask tells the compiler so.
    let level = |i: usize| encoded[(r[i] + g[i] + b[i]) as usize >> FRACTION & (TABLE_STEPS - 1)];
    [level(0), level(1), level(2)]
}
