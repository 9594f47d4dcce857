//! SSIMULACRA2 in one pass over the rows of two pictures: a few dozen rows of memory, whatever their size.
//!
//! The metric is Cloudinary's (<https://github.com/cloudinary/ssimulacra2>, `ssimulacra2.cc`): six scales, each half the
//! one before in linear light; in each the two pictures in XYB, blurred by a Gaussian, compared by SSIM and by how much
//! edges gained or lost. What differs is the order of the work and what is left out: the Gaussian is a truncated one, so
//! that nine rows at a time suffice, and parts that weigh next to nothing are not computed ([`weights`]). Scores are
//! within a few hundredths of `fast-ssim2`'s, which a test proves, at a fraction of its time.
//!
//! The same sums score every window of the picture ([`windows`]). Small pictures are scored mirrored as well, at all scales
//! ([`mirrored`]).
//!
//! Knows nothing of files or codecs.

mod chroma;
mod gaussian;
mod grid;
mod lanes;
mod mirrored;
mod parts;
mod rows;
mod scale;
mod weights;
mod windows;

use chroma::Chroma;
pub use grid::Grid;
pub use mirrored::AllScales;
pub use parts::Part;
use scale::Scale;
pub use weights::IDENTICAL;
pub use windows::Windows;

/// Pixels each way below which the metric is not defined.
pub const LEAST_SIZE: usize = 8;

/// Two pictures of 8-bit sRGB, compared row by row.
pub struct Comparison {
    /// Pixels.
    size: (usize, usize),
    to_linear: [f32; 256],
    scales: Vec<Scale>,
    chroma: Chroma,
}

impl Comparison {
    /// For pictures of this size, in pixels; `None` where either side is below [`LEAST_SIZE`].
    #[must_use]
    pub fn new(width: usize, height: usize) -> Option<Self> {
        if width.min(height) < LEAST_SIZE {
            return None;
        }
        let mut sizes = vec![(width, height)];
        // As the reference does: a scale is added below each that is large enough, and may itself be too small.
        while let Some(&(width, height)) = sizes.last()
            && sizes.len() < weights::SCALES
            && width.min(height) >= LEAST_SIZE
        {
            sizes.push((width.div_ceil(2), height.div_ceil(2)));
        }
        let needed = |scale| std::array::from_fn(|channel| weights::is_needed(channel, scale, sizes.len()));
        let grid = Grid::over(width, height);
        let scales = sizes.iter().enumerate().map(|(i, &size)| Scale::new(i, size, grid, needed(i))).collect();
        let to_linear = std::array::from_fn(|v| linear(v as f64 / 255.0));
        Some(Self { size: (width, height), to_linear, scales, chroma: Chroma::new(grid, width) })
    }

    /// The next row of both: red, green and blue.
    ///
    /// # Panics
    /// Where a row is shorter than the width.
    pub fn push(&mut self, reference: [&[u8]; 3], distorted: [&[u8]; 3]) {
        let Some(finest) = self.scales.first_mut() else { return };
        for (linear, row) in finest.next().iter_mut().zip([reference, distorted]) {
            linear.decode(row.map(|plane| &plane[..self.size.0]), &self.to_linear);
        }
        self.chroma.push(reference);
        self.take(0);
    }

    /// Takes the row that a scale was handed, and hands it on, as far down as it completes two rows.
    fn take(&mut self, mut index: usize) {
        while self.scales.get_mut(index).is_some_and(Scale::take) {
            self.hand_on(index);
            index += 1;
        }
    }

    fn hand_on(&mut self, index: usize) {
        if let [above, below, ..] = &mut self.scales[index..] {
            above.halve(below.next());
        }
    }

    /// The scores of the whole and of its windows, once all rows were pushed. A picture of fewer than six scales has no
    /// windows: its scores mean something else.
    #[must_use]
    pub fn finish(mut self) -> (f64, Windows) {
        // A scale of an odd number of rows has one left, which the scale below still waits for.
        for index in 0..self.scales.len() {
            if self.scales[index].finish() {
                self.hand_on(index);
                self.take(index + 1);
            }
        }
        let score = weights::score(&self.scales.iter().map(Scale::means).collect::<Vec<_>>());
        let windows = match self.scales.first().and_then(Scale::moments) {
            Some(moments) if self.scales.len() == weights::SCALES => {
                let cells: Vec<_> = self.scales.iter().map(Scale::cells).collect();
                Windows::of(self.size, moments, &self.chroma, &cells)
            }
            _ => Windows::NONE,
        };
        (score, windows)
    }
}

/// sRGB's transfer function (IEC 61966-2-1), from 0 … 1.
fn linear(encoded: f64) -> f32 {
    (if encoded <= 0.04045 { encoded / 12.92 } else { ((encoded + 0.055) / 1.055).powf(2.4) }) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use fast_ssim2::{PixelDescriptor, PixelSlice, compute_ssimulacra2};

    fn score(width: usize, height: usize, a: &[u8], b: &[u8]) -> f64 {
        let mut comparison = Comparison::new(width, height).unwrap();
        for (a, b) in a.chunks_exact(width * 3).zip(b.chunks_exact(width * 3)) {
            let [a, b] =
                [a, b].map(|row| [0, 1, 2].map(|c| row.iter().skip(c).step_by(3).copied().collect::<Vec<_>>()));
            comparison.push(a.each_ref().map(Vec::as_slice), b.each_ref().map(Vec::as_slice));
        }
        comparison.finish().0
    }

    fn by_library(width: usize, height: usize, a: &[u8], b: &[u8]) -> f64 {
        let slice = |samples| {
            PixelSlice::new(samples, width as u32, height as u32, width * 3, PixelDescriptor::RGB8_SRGB).unwrap()
        };
        compute_ssimulacra2(&slice(a), &slice(b)).unwrap()
    }

    /// Waves, edges and grain in colour.
    fn picture(width: usize, height: usize) -> Vec<u8> {
        let mut state = 7_u32;
        let mut samples = Vec::new();
        for i in 0..width * height {
            let (x, y) = ((i % width) as f64, (i / width) as f64);
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let grain = f64::from(state >> 28);
            let edge = if (x * 0.13 + y * 0.05).sin() > 0.4 { 60.0 } else { 0.0 };
            samples.push((90.0 + 60.0 * (x * 0.05).sin() + edge + grain) as u8);
            samples.push((100.0 + 70.0 * (y * 0.031).cos() + edge) as u8);
            samples.push((80.0 + 50.0 * ((x + y) * 0.02).sin() + grain * 3.0) as u8);
        }
        samples
    }

    /// Noise, coarse levels and a smear, which fill different parts of the metric.
    fn distortions(width: usize, source: &[u8]) -> Vec<Vec<u8>> {
        let noise = |(i, v): (usize, &u8)| v.wrapping_add((((i * 2_654_435_761) >> 9) & 7) as u8).max(v / 2);
        let smear = |i: usize| {
            let left = if i % (width * 3) >= 3 { i - 3 } else { i };
            source[i].midpoint(source[left])
        };
        vec![
            source.iter().enumerate().map(noise).collect(),
            source.iter().map(|v| v / 8 * 8 + 4).collect(),
            source.iter().map(|v| v / 32 * 32 + 16).collect(),
            (0..source.len()).map(smear).collect(),
            source.iter().enumerate().map(|(i, v)| if i % 3 == 2 { v / 2 + 60 } else { *v }).collect(),
        ]
    }

    #[test]
    fn scores_are_the_librarys() {
        for (width, height) in [(640, 480), (333, 517), (300, 260), (255, 256), (97, 65), (16, 200), (8, 8), (9, 15)] {
            let source = picture(width, height);
            for (i, distorted) in distortions(width, &source).iter().enumerate() {
                let (ours, theirs) =
                    (score(width, height, &source, distorted), by_library(width, height, &source, distorted));
                assert!((ours - theirs).abs() < 0.05, "{width} × {height}, distortion {i}: {ours}, not {theirs}");
            }
        }
    }

    #[test]
    fn identical_is_a_hundred() {
        for (width, height) in [(640, 480), (8, 8), (33, 1000)] {
            let source = picture(width, height);
            assert!((score(width, height, &source, &source) - IDENTICAL).abs() < 1e-9);
        }
    }

    #[test]
    fn a_side_below_eight_has_no_score() {
        assert!(Comparison::new(7, 100).is_none() && Comparison::new(100, 7).is_none());
        assert!(Comparison::new(8, 8).is_some());
    }
}
