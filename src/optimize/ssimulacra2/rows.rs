//! The arithmetic of the metric, a row at a time.
//!
//! Plain multiplications and additions in one order, so that every machine comes to the same bits. Loops run by index over
//! slices of one length, which the compiler makes vectors of; iterators it does not inline into functions for a CPU.
#![allow(clippy::needless_range_loop)]

use archmage::autoversion;

use super::weights::PARTS;

/// Rows above and below, and pixels to either side, that the blur reaches.
pub const REACH: usize = 4;
/// Rows that a blurred one is made of.
pub const BLUR_ROWS: usize = 2 * REACH + 1;
/// The blur, from the centre outwards: libjxl's recursive Gaussian of sigma 1.5 (`gauss_blur.cc`, after Charalampidis,
/// "Recursive Implementation of the Gaussian Filter Using Truncated Cosine Functions", 2016) as the finite filter that it
/// equals: Σ β_k cos(k π m / 10), k = 1, 3, 5, which is 0 at m = 5.
const BLUR: [f32; REACH + 1] = [0.264_621_1, 0.212_928_6, 0.109_335_37, 0.036_011_115, 0.009_414_368];

/// What is blurred, of a pixel of both pictures a and b: a, b, a² + b², a · b.
const BLURRED: usize = 4;
/// A row blurred across, by what was blurred.
pub type Blurred = [Vec<f32>; BLURRED];
/// A row of each picture as it came.
pub type Own = [Vec<f32>; 2];

/// Zeros, for rows of so many pixels.
#[must_use]
pub fn blank<const N: usize>(width: usize) -> [Vec<f32>; N] {
    std::array::from_fn(|_| vec![0.0; width])
}

/// A row in linear light: red, green, blue.
pub struct Linear([Vec<f32>; 3]);

impl Linear {
    /// From the samples of a row.
    #[must_use]
    pub fn decode(row: [&[u8]; 3], table: &[f32; 256]) -> Self {
        Self(row.map(|plane| plane.iter().map(|&sample| table[usize::from(sample)]).collect()))
    }

    /// At half the size, with the row below; the last one of an odd number of pixels is averaged with itself.
    #[must_use]
    pub fn halved(&self, below: &Self) -> Self {
        Self(std::array::from_fn(|channel| {
            let (upper, lower) = (&self.0[channel], &below.0[channel]);
            let mut half = vec![0.0; upper.len().div_ceil(2)];
            halve(upper, lower, &mut half);
            half
        }))
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

/// X, Y and, where wanted, B of a row, each shifted into the positive as the metric wants them, with [`REACH`] zeros to
/// either side for the blur.
#[must_use]
pub fn xyb(row: &Linear, with_blue: bool) -> [Vec<f32>; 3] {
    let width = row.0[0].len();
    let [mut x, mut y] = blank(width + 2 * REACH);
    let mut b = if with_blue { vec![0.0; width + 2 * REACH] } else { Vec::new() };
    let inner = REACH..REACH + width;
    opsin(&row.0, &mut x[inner.clone()], &mut y[inner.clone()]);
    if with_blue {
        blue(&row.0, &y[inner.clone()], &mut b[inner]);
    }
    [x, y, b]
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
    cube_root(weights[0] * r + (weights[1] * g + (weights[2] * b + BIAS))) - CUBE_ROOT_OF_BIAS
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
        r = 4.0 / 3.0 * r - v / 3.0 * (squared * squared);
    }
    let squared = r * r;
    r += 1.0 / 3.0 * (r - v * (squared * squared));
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

/// Blurs a row of both pictures across, and keeps it as it came. `a` and `b` have [`REACH`] more to either side.
pub fn blur_across(a: &[f32], b: &[f32], blurred: &mut Blurred, own: &mut Own) {
    let [mut squares, mut product] = blank(a.len());
    multiply(a, b, &mut squares, &mut product);
    for (row, out) in [a, b, &squares, &product].into_iter().zip(blurred) {
        let width = out.len();
        blur(&std::array::from_fn(|i| &row[i..i + width]), out);
    }
    for (row, out) in [a, b].into_iter().zip(own) {
        out.copy_from_slice(&row[REACH..row.len() - REACH]);
    }
}

#[autoversion(v3, neon)]
fn multiply(a: &[f32], b: &[f32], squares: &mut [f32], product: &mut [f32]) {
    let n = a.len();
    let (b, squares, product) = (&b[..n], &mut squares[..n], &mut product[..n]);
    for i in 0..n {
        squares[i] = a[i] * a[i] + b[i] * b[i];
        product[i] = a[i] * b[i];
    }
}

/// Weighs each sample with what lies around it, in as many slices.
#[autoversion(v3, neon)]
fn blur(around: &[&[f32]; BLUR_ROWS], out: &mut [f32]) {
    let n = out.len();
    let [r0, r1, r2, r3, r4, r5, r6, r7, r8] = around.map(|row| &row[..n]);
    for i in 0..n {
        let near = BLUR[0] * r4[i] + BLUR[1] * (r3[i] + r5[i]) + BLUR[2] * (r2[i] + r6[i]);
        out[i] = near + BLUR[3] * (r1[i] + r7[i]) + BLUR[4] * (r0[i] + r8[i]);
    }
}

/// `ssimulacra2.cc`, `kC2`: keeps SSIM's quotient sane where nothing varies.
const C2: f32 = 0.0009;

/// Blurs down, and compares a row of both pictures: adds its parts to `sums`. Rows beyond the picture, which count as 0,
/// are `None`.
pub fn compare(around: &[Option<&Blurred>; BLUR_ROWS], own: &Own, sums: &mut [f64; PARTS]) {
    let width = own[0].len();
    let [zeros] = blank(width);
    let mut blurred: Blurred = blank(width);
    for (quantity, out) in blurred.iter_mut().enumerate() {
        blur(&around.map(|row| row.map_or(zeros.as_slice(), |row| &row[quantity])), out);
    }
    let mut parts = blank(width);
    judge(&blurred, own, &mut parts);
    for (k, part) in parts.iter().enumerate() {
        let (sum, of_fourths) = powers(part);
        sums[k] += f64::from(sum);
        sums[k + PARTS / 2] += f64::from(of_fourths);
    }
}

/// Of each pixel: 1 - SSIM, edges gained, edges lost.
#[autoversion(v3, neon)]
fn judge(blurred: &Blurred, own: &Own, parts: &mut [Vec<f32>; PARTS / 2]) {
    let n = own[0].len();
    let [a, b, squares, product] = blurred;
    let (a, b, squares, product) = (&a[..n], &b[..n], &squares[..n], &product[..n]);
    let (own_a, own_b) = (&own[0][..n], &own[1][..n]);
    let [ssim, gained, lost] = parts;
    let (ssim, gained, lost) = (&mut ssim[..n], &mut gained[..n], &mut lost[..n]);
    for i in 0..n {
        let apart = a[i] - b[i];
        let covariance = 2.0 * (product[i] - a[i] * b[i]) + C2;
        let variance = squares[i] - (a[i] * a[i] + b[i] * b[i]) + C2;
        ssim[i] = (1.0 - (1.0 - apart * apart) * covariance / variance).max(0.0);
        let edge = (1.0 + (own_b[i] - b[i]).abs()) / (1.0 + (own_a[i] - a[i]).abs()) - 1.0;
        gained[i] = edge.max(0.0);
        lost[i] = (-edge).max(0.0);
    }
}

/// The sums of values and of their fourth powers, in as many lanes as a vector has, for the same bits everywhere.
#[autoversion(v3, neon)]
fn powers(values: &[f32]) -> (f32, f32) {
    const LANES: usize = 8;
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
    (sums.iter().sum(), fourths.iter().sum())
}
