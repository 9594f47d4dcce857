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

impl Rgb {
    /// The picture as viewers turn it (Exif 2.32, 4.6.4, tag 274). It matters to the score: the metric halves the
    /// picture from its upper left corner, so that odd sizes score otherwise from another corner.
    #[must_use]
    pub fn upright(self, orientation: u8) -> Self {
        let (w, h) = (self.width, self.height);
        // Where the pixel at x, y of the upright picture is stored.
        let stored: fn(usize, usize, usize, usize) -> (usize, usize) = match orientation {
            2 => |x, y, w, _| (w - 1 - x, y),
            3 => |x, y, w, h| (w - 1 - x, h - 1 - y),
            4 => |x, y, _, h| (x, h - 1 - y),
            5 => |x, y, _, _| (y, x),
            6 => |x, y, _, h| (y, h - 1 - x),
            7 => |x, y, w, h| (w - 1 - y, h - 1 - x),
            8 => |x, y, w, _| (w - 1 - y, x),
            _ => return self,
        };
        let (width, height) = if orientation >= 5 { (h, w) } else { (w, h) };
        let mut samples = Vec::with_capacity(self.samples.len());
        for y in 0..height {
            for x in 0..width {
                let (from_x, from_y) = stored(x, y, w, h);
                let at = (from_y * w + from_x) * 3;
                samples.extend_from_slice(&self.samples[at..at + 3]);
            }
        }
        Self { width, height, samples }
    }

    /// The mean colour of each cell of a grid of at most [`GRID`] each way.
    fn means(&self) -> Vec<[f64; 3]> {
        let (columns, rows) = (self.width.min(GRID), self.height.min(GRID));
        let mut cells = vec![([0_u64; 3], 0_u64); columns * rows];
        for (y, row) in self.samples.chunks_exact(self.width.max(1) * 3).enumerate() {
            for (x, pixel) in row.chunks_exact(3).enumerate() {
                let (sums, count) = &mut cells[y * rows / self.height * columns + x * columns / self.width];
                sums.iter_mut().zip(pixel).for_each(|(sum, v)| *sum += u64::from(*v));
                *count += 1;
            }
        }
        cells.into_iter().map(|(sums, count)| sums.map(|sum| sum as f64 / count.max(1) as f64)).collect()
    }
}

/// Cells each way in which colour drift is looked for.
const GRID: usize = 32;

/// The score of two identical pictures.
pub const IDENTICAL: f64 = 100.0;

/// Up to this many pixels the reference's half of the metric is computed once and kept, for 100 bytes a pixel.
const CACHED_PIXELS: usize = 3_000_000;
/// Above that the metric runs over strips of so many rows, for 27 bytes a pixel.
const STRIP_ROWS: usize = 512;
/// Points by which strips, and a viewer's other decoder, were seen to score higher than the whole.
const STRIPS_ERROR: f64 = 0.3;
/// Bytes per pixel that scoring needs at its peak, both pictures included, measured.
const CACHED_BYTES_PER_PIXEL: u64 = 150;
const STRIPS_BYTES_PER_PIXEL: u64 = 34;

/// Bytes of working memory that scoring a picture of so many pixels needs.
#[must_use]
pub fn memory(pixels: u64) -> u64 {
    let per_pixel = if pixels <= CACHED_PIXELS as u64 { CACHED_BYTES_PER_PIXEL } else { STRIPS_BYTES_PER_PIXEL };
    pixels.saturating_mul(per_pixel)
}

/// The picture that others are scored against.
pub struct Reference {
    picture: Prepared,
    means: Vec<[f64; 3]>,
}

enum Prepared {
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
        let means = picture.means();
        let picture = if picture.width * picture.height > CACHED_PIXELS {
            Prepared::Pixels(picture)
        } else {
            Prepared::Cached(Box::new(Ssimulacra2Reference::new(&slice(&picture)?).map_err(refused)?))
        };
        Ok(Self { picture, means })
    }

    /// The score of `picture` against this reference; a floor of it where the picture is so large that the metric runs
    /// over strips.
    ///
    /// # Errors
    /// [`ScoreError`] where the sizes differ.
    pub fn score(&self, picture: &Rgb) -> Result<f64, ScoreError> {
        match &self.picture {
            Prepared::Cached(reference) => reference.compare(&slice(picture)?).map_err(refused),
            Prepared::Pixels(reference) => {
                let config = Ssimulacra2Config::strips(STRIP_ROWS);
                let score = compute_ssimulacra2_with_config(&slice(reference)?, &slice(picture)?, &config);
                score.map_err(refused).map(|score| if score < IDENTICAL { score - STRIPS_ERROR } else { score })
            }
        }
    }

    /// The score, or 0 where colours drift by more than `max_drift`: the metric compares structure, and forgives a few
    /// levels of shift over wide areas, which a palette makes of a smooth gradient, and eyes see.
    ///
    /// # Errors
    /// [`ScoreError`] where the sizes differ.
    pub fn judge(&self, picture: &Rgb, max_drift: f64) -> Result<f64, ScoreError> {
        let score = self.score(picture)?;
        Ok(if self.drift(picture) > max_drift { score.min(0.0) } else { score })
    }

    /// The largest of the three channels' mean differences over the cells of a coarse grid, of 255.
    fn drift(&self, picture: &Rgb) -> f64 {
        let mut sums = [0.0; 3];
        for (a, b) in self.means.iter().zip(picture.means()) {
            (0..3).for_each(|channel| sums[channel] += (a[channel] - b[channel]).abs());
        }
        sums.into_iter().fold(0.0, f64::max) / self.means.len().max(1) as f64
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
    fn orientations_turn_as_exif_says() {
        // 1 2
        // 3 4
        // 5 6
        let picture = Rgb { width: 2, height: 3, samples: (1..=6).flat_map(|v| [v; 3]).collect() };
        let turned = |orientation| {
            let picture = picture.clone().upright(orientation);
            (picture.width, picture.samples.chunks_exact(3).map(|p| p[0]).collect::<Vec<_>>())
        };
        assert_eq!(turned(1), (2, vec![1, 2, 3, 4, 5, 6]));
        assert_eq!(turned(2), (2, vec![2, 1, 4, 3, 6, 5]));
        assert_eq!(turned(3), (2, vec![6, 5, 4, 3, 2, 1]));
        assert_eq!(turned(4), (2, vec![5, 6, 3, 4, 1, 2]));
        assert_eq!(turned(5), (3, vec![1, 3, 5, 2, 4, 6]));
        assert_eq!(turned(6), (3, vec![5, 3, 1, 6, 4, 2]));
        assert_eq!(turned(7), (3, vec![6, 4, 2, 5, 3, 1]));
        assert_eq!(turned(8), (3, vec![2, 4, 6, 1, 3, 5]));
    }

    #[test]
    fn a_drift_of_colour_is_refused_whatever_the_structure() {
        let source = waves(200, 120, 0);
        let reference = Reference::new(source.clone()).unwrap();
        let mut shifted = source;
        shifted.samples.iter_mut().for_each(|v| *v = v.saturating_add(4));
        assert!((reference.drift(&shifted) - 4.0).abs() < 0.1);
        assert!(reference.judge(&shifted, 5.0).unwrap() > 50.0);
        assert!(reference.judge(&shifted, 3.0).unwrap() <= 0.0);
    }

    #[test]
    fn other_dimensions_are_refused() {
        let reference = Reference::new(waves(64, 48, 0)).unwrap();
        assert!(reference.score(&waves(48, 64, 0)).is_err());
    }
}
