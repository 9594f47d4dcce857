//! The arithmetic of the metric, a row at a time.
//!
//! Additions, multiplications and fused ones in one order, so that every machine comes to the same bits. Loops run by index
//! over slices of one length, which the compiler makes vectors of; iterators it does not inline into functions for a CPU.
#![allow(clippy::needless_range_loop, clippy::inline_always, clippy::many_single_char_names)]

use archmage::autoversion;

use super::grid::CELL;
use super::lanes::{BLURRED, LANES, TILE, Tile};
use super::weights::PARTS;

/// Zeros, for rows of so many pixels.
#[must_use]
pub fn blank<const N: usize>(width: usize) -> [Vec<f32>; N] {
    std::array::from_fn(|_| vec![0.0; width])
}

/// A row in linear light: red, green, blue.
pub struct Linear([Vec<f32>; 3]);

impl Linear {
    #[must_use]
    pub fn blank(width: usize) -> Self {
        Self(blank(width))
    }

    /// Takes a row of samples.
    pub fn decode(&mut self, row: [&[u8]; 3], table: &[f32; 256]) {
        for (plane, samples) in self.0.iter_mut().zip(row) {
            plane.iter_mut().zip(samples).for_each(|(value, sample)| *value = table[usize::from(*sample)]);
        }
    }

    /// Takes two rows of twice the size; the last one of an odd number of pixels is averaged with itself.
    pub fn halve(&mut self, upper: &Self, lower: &Self) {
        for (half, (upper, lower)) in self.0.iter_mut().zip(upper.0.iter().zip(&lower.0)) {
            halve(upper, lower, half);
        }
    }
}

#[autoversion(v3, neon)]
fn halve(upper: &[f32], lower: &[f32], half: &mut [f32]) {
    let pairs = upper.len() / 2;
    let (a, b, out) = (&upper[..2 * pairs], &lower[..2 * pairs], &mut half[..pairs]);
    for i in 0..pairs {
        out[i] = 0.25 * ((a[2 * i] + a[2 * i + 1]) + (b[2 * i] + b[2 * i + 1]));
    }
    if upper.len() % 2 == 1 {
        half[pairs] = 0.5 * (upper[2 * pairs] + lower[2 * pairs]);
    }
}

/// X, Y and, where wanted, B of a row, each shifted into the positive as the metric wants them.
pub fn xyb(row: &Linear, x: &mut [f32], y: &mut [f32], b: Option<&mut [f32]>) {
    opsin(&row.0, x, y);
    if let Some(b) = b {
        blue(&row.0, y, b);
    }
}

/// libjxl's opsin absorbance (`opsin_params.h`): how much red, green, blue the long, middle and short cones take in.
const LONG: [f32; 3] = [0.30, 1.0 - 0.078 - 0.30, 0.078];
const MIDDLE: [f32; 3] = [0.23, 1.0 - 0.078 - 0.23, 0.078];
const SHORT: [f32; 3] = [0.243_422_69, 0.204_767_45, 1.0 - 0.243_422_69 - 0.204_767_45];
const BIAS: f32 = 0.003_793_073_4;
const CUBE_ROOT_OF_BIAS: f32 = 0.155_954_2;
/// `ssimulacra2.cc`, `MakePositiveXYB`: what X is multiplied by, and what X, Y (which B has lost) and B are shifted by.
const X_FACTOR: f32 = 14.0;
const X_SHIFT: f32 = 0.42;
const Y_SHIFT: f32 = 0.01;
const B_SHIFT: f32 = 0.55;

#[inline(always)]
fn cone(weights: [f32; 3], r: f32, g: f32, b: f32) -> f32 {
    cube_root(r.mul_add(weights[0], g.mul_add(weights[1], b.mul_add(weights[2], BIAS)))) - CUBE_ROOT_OF_BIAS
}

/// By Newton's method on 1 / ∛v, from a guess by the exponent (libjxl, `cms/opsin.h` and `base/fast_math`,
/// `CubeRootAndAdd`). `v` is above 0.
#[inline(always)]
fn cube_root(v: f32) -> f32 {
    const ONE_AND_A_THIRD: i32 = 0x5480_0000;
    const A_THIRD: i32 = 0x002A_AAAA;
    let exponent = (v.to_bits() >> 23) as i32;
    let mut r = f32::from_bits((ONE_AND_A_THIRD - exponent * A_THIRD) as u32);
    for _ in 0..3 {
        let squared = r * r;
        r = (v * (-1.0 / 3.0)).mul_add(squared * squared, 4.0 / 3.0 * r);
    }
    let squared = r * r;
    r = v.mul_add(-(squared * squared), r).mul_add(1.0 / 3.0, r);
    r * r * v
}

#[autoversion(v3, neon)]
fn opsin(row: &[Vec<f32>; 3], x: &mut [f32], y: &mut [f32]) {
    let n = x.len();
    let (r, g, b, y) = (&row[0][..n], &row[1][..n], &row[2][..n], &mut y[..n]);
    for i in 0..n {
        let (long, middle) = (cone(LONG, r[i], g[i], b[i]), cone(MIDDLE, r[i], g[i], b[i]));
        x[i] = 0.5 * (long - middle) * X_FACTOR + X_SHIFT;
        y[i] = 0.5 * (long + middle) + Y_SHIFT;
    }
}

#[autoversion(v3, neon)]
fn blue(row: &[Vec<f32>; 3], y: &[f32], out: &mut [f32]) {
    let n = out.len();
    let (r, g, b, y) = (&row[0][..n], &row[1][..n], &row[2][..n], &y[..n]);
    for i in 0..n {
        out[i] = cone(SHORT, r[i], g[i], b[i]) - (y[i] - Y_SHIFT) + B_SHIFT;
    }
}

/// `ssimulacra2.cc`, `kC2`: keeps SSIM's quotient sane where nothing varies.
const C2: f32 = 0.0009;

/// What pixels of a row add to the metric: for each part sums of its values and of their fourth powers, by cells.
pub struct Parts {
    /// A cell's side, in pixels.
    side: usize,
    sums: [Vec<[f32; 2]>; PARTS / 2],
}

impl Parts {
    /// Of rows of so many pixels.
    #[must_use]
    pub fn blank(width: usize, side: usize) -> Self {
        Self { side, sums: std::array::from_fn(|_| vec![[0.0; 2]; width.div_ceil(side)]) }
    }

    /// Compares pixels of a row of both pictures from `left` on, as they came and blurred.
    pub fn compare(&mut self, left: usize, blurred: &[Tile; BLURRED], own: [&[f32]; 2]) {
        let mut values = [[0.0; TILE]; PARTS / 2];
        let pixels = own[0].len();
        judge(&blurred.each_ref().map(|tile| tile.as_flattened()), own, &mut values);
        for (values, sums) in values.iter().zip(&mut self.sums) {
            powers(&values[..pixels], self.side, &mut sums[left / self.side..]);
        }
    }

    /// Sums by cells of each part.
    #[must_use]
    pub fn by_cell(&self) -> [&[[f32; 2]]; PARTS / 2] {
        self.sums.each_ref().map(Vec::as_slice)
    }

    /// Sums over all: of each part's values, then of their fourth powers.
    pub fn add_to(&self, all: &mut [f64; PARTS]) {
        for (k, sums) in self.sums.iter().enumerate() {
            for [sum, of_fourths] in sums {
                all[k] += f64::from(*sum);
                all[k + PARTS / 2] += f64::from(*of_fourths);
            }
        }
    }
}

/// Of each pixel: 1 - SSIM, edges gained, edges lost (`ssimulacra2.cc`, `SSIMMap` and `EdgeDiffMap`).
#[autoversion(v3, neon)]
fn judge(blurred: &[&[f32]; BLURRED], own: [&[f32]; 2], parts: &mut [[f32; TILE]; PARTS / 2]) {
    let n = own[0].len();
    let [a, b, a_squared, b_squared, product] = blurred;
    let (a, b, product) = (&a[..n], &b[..n], &product[..n]);
    let (a_squared, b_squared) = (&a_squared[..n], &b_squared[..n]);
    let (own_a, own_b) = (&own[0][..n], &own[1][..n]);
    let [ssim, gained, lost] = parts;
    let (ssim, gained, lost) = (&mut ssim[..n], &mut gained[..n], &mut lost[..n]);
    for i in 0..n {
        let apart = a[i] - b[i];
        let covariance = 2.0 * (product[i] - a[i] * b[i]) + C2;
        let variance = (a_squared[i] - a[i] * a[i]) + (b_squared[i] - b[i] * b[i]) + C2;
        ssim[i] = (1.0 - (1.0 - apart * apart) * covariance / variance).max(0.0);
        let edge = (1.0 + (own_b[i] - b[i]).abs()) / (1.0 + (own_a[i] - a[i]).abs()) - 1.0;
        gained[i] = edge.max(0.0);
        lost[i] = (-edge).max(0.0);
    }
}

/// Sums over every `side` of the values and of their fourth powers, in as many lanes as a vector has, for the same bits
/// everywhere.
#[autoversion(v3, neon)]
fn powers(values: &[f32], side: usize, out: &mut [[f32; 2]]) {
    for (values, out) in values.chunks(side).zip(out) {
        let (chunks, rest) = values.as_chunks::<LANES>();
        let (mut sums, mut fourths) = ([0.0_f32; LANES], [0.0_f32; LANES]);
        for chunk in chunks {
            for i in 0..LANES {
                let squared = chunk[i] * chunk[i];
                sums[i] += chunk[i];
                fourths[i] += squared * squared;
            }
        }
        for i in 0..rest.len() {
            let squared = rest[i] * rest[i];
            sums[i] += rest[i];
            fourths[i] += squared * squared;
        }
        *out = [sums.iter().sum(), fourths.iter().sum()];
    }
}

/// Sums over every [`CELL`] of the values and of their squares.
#[autoversion(v3, neon)]
pub fn moments(values: &[f32], out: &mut [[f32; 2]; TILE / CELL]) {
    for (values, out) in values.chunks(CELL).zip(out) {
        let (chunks, rest) = values.as_chunks::<LANES>();
        let (mut sums, mut squares) = ([0.0_f32; LANES], [0.0_f32; LANES]);
        for chunk in chunks {
            for i in 0..LANES {
                sums[i] += chunk[i];
                squares[i] += chunk[i] * chunk[i];
            }
        }
        for i in 0..rest.len() {
            sums[i] += rest[i];
            squares[i] += rest[i] * rest[i];
        }
        *out = [sums.iter().sum(), squares.iter().sum()];
    }
}
