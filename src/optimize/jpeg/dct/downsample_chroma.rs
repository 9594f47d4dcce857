//! Chroma at half the resolution, by linear operations on its coefficients: no rounding, no clamping in between.
//!
//! Decoders bring it back by a triangle filter (libjpeg's "fancy upsampling", jdsample.c). The filter here is that one's
//! least-squares inverse, so that smooth chroma comes back as it was.
#![allow(clippy::needless_range_loop, clippy::many_single_char_names)]

use archmage::autoversion;

use super::coefficients::{BLOCK, Blocks};
use super::transform::{self, Values};

/// Weights of the samples next to an output sample's centre, and of each second one further out, on either side.
const TAPS: [f32; 4] = [0.6667, -0.2222, 0.0741, -0.0186];
/// Samples that the filter reaches before an even position, and after it.
const BEFORE: usize = 2 * (TAPS.len() - 1);
const AFTER: usize = BEFORE + 1;

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

/// Halves a component, band by band: as many rows as the filter reaches are kept as samples.
#[must_use]
pub fn halve(source: &dyn Blocks, component: usize, axes: Axes) -> Halved {
    let mut rows = Rows::new(source, component, axes.across);
    let height = if axes.down { rows.height.div_ceil(2) } else { rows.height };
    let mut halved = Halved { columns: rows.width.div_ceil(BLOCK), rows: height.div_ceil(BLOCK), blocks: Vec::new() };
    halved.blocks.resize(halved.columns * halved.rows, [0.0; 64]);
    let stride = halved.columns * BLOCK;
    let mut band = vec![0.0; stride * BLOCK];
    for (top, blocks) in (0..).step_by(BLOCK).zip(halved.blocks.chunks_exact_mut(halved.columns)) {
        for (y, out) in (top..).zip(band.chunks_exact_mut(stride)) {
            // What fills the last blocks repeats the edge.
            let y = y.min(height - 1);
            let (out, beyond) = out.split_at_mut(rows.width);
            if axes.down {
                rows.decode_to(2 * y + AFTER);
                let above = std::array::from_fn(|i| rows.get((2 * y).saturating_sub(2 * i)));
                let below = std::array::from_fn(|i| rows.get(2 * y + 1 + 2 * i));
                halve_down(above, below, out);
            } else {
                rows.decode_to(y);
                out.copy_from_slice(rows.get(y));
            }
            beyond.fill(out[out.len() - 1]);
        }
        transform::forward(&band, blocks);
    }
    halved
}

/// Rows that are kept: those that eight halved ones need, by whole bands.
const KEPT: usize = (2 * BLOCK + BEFORE + AFTER).next_multiple_of(BLOCK);

/// Rows of a component's samples around 0, halved across where that is asked for. True ones only: what fills the last
/// blocks is cut off.
struct Rows<'a> {
    source: &'a dyn Blocks,
    component: usize,
    steps: transform::Values,
    /// Samples, as the component has them.
    full_width: usize,
    /// Samples, as they are kept.
    width: usize,
    height: usize,
    across: Option<Across>,
    /// Row `y` at `y % KEPT`.
    kept: Vec<Vec<f32>>,
    /// Rows decoded, by whole bands.
    decoded: usize,
    band: Vec<f32>,
}

impl<'a> Rows<'a> {
    fn new(source: &'a dyn Blocks, index: usize, is_halved: bool) -> Self {
        let component = &source.layout().components[index];
        let (full_width, height) = source.layout().samples(component);
        let across = is_halved.then(|| Across::new(full_width));
        let width = if is_halved { full_width.div_ceil(2) } else { full_width };
        Self {
            source,
            component: index,
            steps: component.table.map(f32::from),
            full_width,
            width,
            height,
            across,
            kept: vec![vec![0.0; width]; KEPT],
            decoded: 0,
            band: vec![0.0; component.columns * BLOCK * BLOCK],
        }
    }

    /// Decodes bands until row `y` is there, or the last one.
    fn decode_to(&mut self, y: usize) {
        while self.decoded <= y.min(self.height - 1) {
            let blocks = self.source.row(self.component, self.decoded / BLOCK);
            transform::inverse(blocks, &self.steps, &mut self.band);
            for row in self.band.chunks_exact(blocks.len() * BLOCK) {
                let kept = &mut self.kept[self.decoded % KEPT];
                match &mut self.across {
                    Some(across) => across.halve(&row[..self.full_width], kept),
                    None => kept.copy_from_slice(&row[..self.full_width]),
                }
                self.decoded += 1;
            }
        }
    }

    /// A row that was decoded and is still kept; the last one for those below it.
    fn get(&self, y: usize) -> &[f32] {
        &self.kept[y.min(self.height - 1) % KEPT]
    }
}

/// Halves rows across.
struct Across {
    /// Samples at even positions, the first repeated before them.
    even: Vec<f32>,
    /// Samples at odd positions, the last of all repeated after them.
    odd: Vec<f32>,
}

impl Across {
    fn new(width: usize) -> Self {
        let blank = || vec![0.0; width.div_ceil(2) + TAPS.len() - 1];
        Self { even: blank(), odd: blank() }
    }

    fn halve(&mut self, row: &[f32], out: &mut [f32]) {
        const REACH: usize = TAPS.len() - 1;
        let (first, last) = (row[0], row[row.len() - 1]);
        self.even[..REACH].fill(first);
        self.odd[row.len() / 2..].fill(last);
        let (pairs, rest) = row.as_chunks::<2>();
        for (i, pair) in pairs.iter().enumerate() {
            self.even[REACH + i] = pair[0];
            self.odd[i] = pair[1];
        }
        if let [single] = rest {
            self.even[REACH + pairs.len()] = *single;
        }
        halve_across(&self.even, &self.odd, out);
    }
}

#[autoversion(v3, neon)]
fn halve_across(even: &[f32], odd: &[f32], out: &mut [f32]) {
    let n = out.len();
    let (e0, e1, e2, e3) = (&even[3..n + 3], &even[2..n + 2], &even[1..=n], &even[..n]);
    let (o0, o1, o2, o3) = (&odd[..n], &odd[1..=n], &odd[2..n + 2], &odd[3..n + 3]);
    for i in 0..n {
        let near = TAPS[0] * (e0[i] + o0[i]) + TAPS[1] * (e1[i] + o1[i]);
        out[i] = near + TAPS[2] * (e2[i] + o2[i]) + TAPS[3] * (e3[i] + o3[i]);
    }
}

#[autoversion(v3, neon)]
fn halve_down(above: [&[f32]; TAPS.len()], below: [&[f32]; TAPS.len()], out: &mut [f32]) {
    let n = out.len();
    let (a0, a1, a2, a3) = (&above[0][..n], &above[1][..n], &above[2][..n], &above[3][..n]);
    let (b0, b1, b2, b3) = (&below[0][..n], &below[1][..n], &below[2][..n], &below[3][..n]);
    for i in 0..n {
        let near = TAPS[0] * (a0[i] + b0[i]) + TAPS[1] * (a1[i] + b1[i]);
        out[i] = near + TAPS[2] * (a2[i] + b2[i]) + TAPS[3] * (a3[i] + b3[i]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimize::jpeg::dct::coefficients::{Coefficients, ColorModel, Component, Layout};

    /// Samples, row by row.
    struct Plane {
        width: usize,
        height: usize,
        samples: Vec<f32>,
    }

    /// A picture whose second component has luma's resolution, or half of it in one direction.
    fn source(width: usize, height: usize, h: usize, v: usize, sample: impl Fn(f32, f32) -> f32) -> Coefficients {
        let component = |h: usize, v: usize| {
            let (columns, rows) = ((width * h).div_ceil(2 * BLOCK), (height * v).div_ceil(2 * BLOCK));
            Component { id: 1, h, v, columns, rows, table: [1; 64] }
        };
        let components = vec![component(2, 2), component(h, v)];
        let mut blocks = vec![vec![[0; 64]; components[0].columns * components[0].rows]];
        let chroma = &components[1];
        for top in (0..chroma.rows * BLOCK).step_by(BLOCK) {
            let stride = chroma.columns * BLOCK;
            let band: Vec<_> =
                (0..stride * BLOCK).map(|i| sample((i % stride) as f32, (top + i / stride) as f32)).collect();
            let mut values = vec![[0.0; 64]; chroma.columns];
            transform::forward(&band, &mut values);
            blocks.push(values.into_iter().map(|block| block.map(|value| value.round() as i16)).collect());
        }
        let blocks = vec![blocks.remove(0), blocks.concat()];
        Coefficients { layout: Layout { width, height, model: ColorModel::YCbCr, components }, blocks }
    }

    fn decoded(halved: &Halved, width: usize, height: usize) -> Plane {
        let stride = halved.columns * BLOCK;
        let mut band = vec![0.0; stride * BLOCK];
        let mut samples = Vec::new();
        for blocks in halved.blocks.chunks_exact(halved.columns) {
            let whole: Vec<_> = blocks.iter().map(|block| block.map(|value| (value * 16.0).round() as i16)).collect();
            transform::inverse(&whole, &[1.0 / 16.0; 64], &mut band);
            samples.extend(band.chunks_exact(stride).flat_map(|row| &row[..width]));
        }
        samples.truncate(width * height);
        Plane { width, height, samples }
    }

    fn as_it_is(source: &Coefficients) -> Vec<f32> {
        let mut rows = Rows::new(source, 1, false);
        (0..rows.height)
            .flat_map(|y| {
                rows.decode_to(y);
                rows.get(y).to_vec()
            })
            .collect()
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
                    let before = as_it_is(&source);
                    for (i, (a, b)) in before.iter().zip(&back.samples).enumerate() {
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
