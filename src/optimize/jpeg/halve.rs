//! Chroma at half the resolution, by linear operations on its coefficients: no rounding, no clamping in between.
//!
//! Decoders bring it back by a triangle filter (libjpeg's "fancy upsampling", jdsample.c). The filter here is that one's
//! least-squares inverse, so that smooth chroma comes back as it was.

use super::coefficients::{BLOCK, Blocks};
use super::dct::{self, Values};

/// Weights of the samples next to an output sample's centre, and of each second one further out, on either side.
const TAPS: [f32; 4] = [0.6667, -0.2222, 0.0741, -0.0186];
/// Samples that the filter reaches to the left of an even position, and to the right.
const BEFORE: usize = 6;
const AFTER: usize = 7;

/// The directions to halve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Axes {
    pub across: bool,
    pub down: bool,
}

/// Coefficients that are not quantized.
#[derive(Debug, Clone)]
pub struct Halved {
    /// Blocks across and down.
    pub columns: usize,
    pub rows: usize,
    pub blocks: Vec<Values>,
}

/// Halves a component.
#[must_use]
pub fn halve(source: &dyn Blocks, component: usize, axes: Axes) -> Halved {
    let mut plane = Plane::decoded(source, component);
    if axes.across {
        plane = plane.halved_across();
    }
    if axes.down {
        plane = plane.halved_down();
    }
    plane.transformed()
}

/// Samples around 0, true ones only: what fills the last blocks is cut off.
struct Plane {
    width: usize,
    height: usize,
    samples: Vec<f32>,
}

impl Plane {
    fn decoded(source: &dyn Blocks, index: usize) -> Self {
        let component = &source.layout().components[index];
        let (width, height) = source.layout().samples(component);
        let mut samples = vec![0.0; width * height];
        let steps = component.table.map(f32::from);
        for (row, band) in samples.chunks_mut(width * BLOCK).enumerate() {
            for (column, block) in source.row(index, row).iter().enumerate() {
                let values = dct::inverse(&std::array::from_fn(|k| f32::from(block[k]) * steps[k]));
                for (to, from) in band.chunks_exact_mut(width).zip(values.chunks_exact(BLOCK)) {
                    let to = &mut to[(column * BLOCK).min(width)..];
                    to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
                }
            }
        }
        Self { width, height, samples }
    }

    fn halved_across(&self) -> Self {
        let width = self.width.div_ceil(2);
        let mut samples = Vec::with_capacity(width * self.height);
        let mut padded = Vec::with_capacity(BEFORE + self.width + AFTER + 1);
        for row in self.samples.chunks_exact(self.width) {
            padded.clear();
            padded.resize(BEFORE, row[0]);
            padded.extend_from_slice(row);
            padded.resize(BEFORE + 2 * width + AFTER, row[self.width - 1]);
            samples.extend(padded.windows(BEFORE + 1 + AFTER).step_by(2).take(width).map(|around| {
                let pairs = TAPS.iter().enumerate();
                pairs.map(|(i, tap)| tap * (around[BEFORE - 2 * i] + around[BEFORE + 1 + 2 * i])).sum::<f32>()
            }));
        }
        Self { width, height: self.height, samples }
    }

    fn halved_down(&self) -> Self {
        let height = self.height.div_ceil(2);
        let row = |y: isize| {
            let y = y.clamp(0, self.height as isize - 1) as usize;
            &self.samples[y * self.width..(y + 1) * self.width]
        };
        let mut samples = vec![0.0; self.width * height];
        for (y, out) in samples.chunks_exact_mut(self.width).enumerate() {
            for (i, tap) in TAPS.iter().enumerate() {
                let (y, i) = (2 * y as isize, 2 * i as isize);
                for (sum, (above, below)) in out.iter_mut().zip(row(y - i).iter().zip(row(y + 1 + i))) {
                    *sum += tap * (above + below);
                }
            }
        }
        Self { width: self.width, height, samples }
    }

    /// Blocks, the last ones filled by repeating the edge.
    fn transformed(&self) -> Halved {
        let (columns, rows) = (self.width.div_ceil(BLOCK), self.height.div_ceil(BLOCK));
        let block = |index: usize| {
            let (left, top) = (index % columns * BLOCK, index / columns * BLOCK);
            dct::forward(&std::array::from_fn(|i| {
                let x = (left + i % BLOCK).min(self.width - 1);
                let y = (top + i / BLOCK).min(self.height - 1);
                self.samples[y * self.width + x]
            }))
        };
        Halved { columns, rows, blocks: (0..columns * rows).map(block).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimize::jpeg::coefficients::{Coefficients, ColorModel, Component, Layout};

    /// A picture whose second component has luma's resolution, or half of it in one direction.
    fn source(width: usize, height: usize, h: usize, v: usize, sample: impl Fn(f32, f32) -> f32) -> Coefficients {
        let component = |h: usize, v: usize| {
            let (columns, rows) = ((width * h).div_ceil(2 * BLOCK), (height * v).div_ceil(2 * BLOCK));
            Component { id: 1, h, v, columns, rows, table: [1; 64] }
        };
        let components = vec![component(2, 2), component(h, v)];
        let mut blocks = vec![vec![[0; 64]; components[0].columns * components[0].rows]];
        let chroma = &components[1];
        let block = |index: usize| {
            let (left, top) = (index % chroma.columns * BLOCK, index / chroma.columns * BLOCK);
            let at = |i: usize| sample((left + i % BLOCK) as f32, (top + i / BLOCK) as f32);
            dct::forward(&std::array::from_fn(at)).map(|value| value.round() as i16)
        };
        blocks.push((0..chroma.columns * chroma.rows).map(block).collect());
        Coefficients { layout: Layout { width, height, model: ColorModel::YCbCr, components }, blocks }
    }

    fn decoded(halved: &Halved, width: usize, height: usize) -> Plane {
        let mut samples = vec![0.0; width * height];
        for (index, block) in halved.blocks.iter().enumerate() {
            for (i, value) in dct::inverse(block).into_iter().enumerate() {
                let (x, y) = (index % halved.columns * BLOCK + i % BLOCK, index / halved.columns * BLOCK + i / BLOCK);
                if x < width && y < height {
                    samples[y * width + x] = value;
                }
            }
        }
        Plane { width, height, samples }
    }

    /// Three quarters of the nearer sample and one of the further (jdsample.c, `h2v1_fancy_upsample`), edges repeated.
    fn upsampled(samples: &[f32], length: usize) -> Vec<f32> {
        let at = |i: isize| samples[i.clamp(0, samples.len() as isize - 1) as usize];
        let sample = |i: usize| {
            let near = (i / 2) as isize;
            0.75 * at(near) + 0.25 * at(if i.is_multiple_of(2) { near - 1 } else { near + 1 })
        };
        (0..length).map(sample).collect()
    }

    fn upsampled_across(plane: &Plane, width: usize) -> Plane {
        let samples = plane.samples.chunks_exact(plane.width).flat_map(|row| upsampled(row, width)).collect();
        Plane { width, height: plane.height, samples }
    }

    fn upsampled_down(plane: &Plane, height: usize) -> Plane {
        let mut samples = vec![0.0; plane.width * height];
        for x in 0..plane.width {
            let column: Vec<_> = plane.samples.iter().skip(x).step_by(plane.width).copied().collect();
            upsampled(&column, height).into_iter().enumerate().for_each(|(y, s)| samples[y * plane.width + x] = s);
        }
        Plane { width: plane.width, height, samples }
    }

    #[test]
    fn smooth_chroma_comes_back_within_rounding() {
        for (width, height) in [(64, 48), (37, 29), (16, 130), (9, 8), (1, 1), (2, 3), (131, 17)] {
            for (h, v) in [(2, 2), (1, 2), (2, 1)] {
                for wave in [0.0, 0.03, 0.09] {
                    let sample = |x: f32, y: f32| 60.0 * (x * wave + 0.4).cos() * (y * wave + 0.2).cos();
                    let source = source(width, height, h, v, sample);
                    let (w, t) = source.layout.samples(&source.layout.components[1]);
                    let axes = Axes { across: h == 2, down: v == 2 };
                    let halved = halve(&source, 1, axes);
                    let (half_w, half_h) = (width.div_ceil(2), height.div_ceil(2));
                    let half = decoded(&halved, half_w, half_h);
                    let half = if axes.across { upsampled_across(&half, w) } else { half };
                    let back = if axes.down { upsampled_down(&half, t) } else { half };
                    let before = Plane::decoded(&source, 1);
                    for (i, (a, b)) in before.samples.iter().zip(&back.samples).enumerate() {
                        // Next to an edge a slope cannot come back: the repeated sample has none.
                        let inner = |at: usize, length: usize| at >= 8 && at + 8 < length;
                        let near = if inner(i % w, w) && inner(i / w, t) { 1.0 } else { 3.0 };
                        assert!((a - b).abs() < near, "{width}x{height} {h}x{v} wave {wave}: {a} became {b} at {i}");
                    }
                }
            }
        }
    }

    #[test]
    fn weights_sum_to_one() {
        assert!((TAPS.iter().sum::<f32>() - 0.5).abs() < 1e-3);
    }
}
