//! The arithmetic of the metric, a row at a time.
//!
//! Additions, multiplications and fused ones in one order, so that every machine comes to the same bits. Loops run by index
//! over slices of one length, which the compiler makes vectors of; iterators it does not inline into functions for a CPU.
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

/// What is blurred, of a pixel of both pictures a and b: a, b, (a - b)², a · b.
const BLURRED: usize = 4;
/// A row blurred across, by what was blurred.
pub type Blurred = [Vec<f32>; BLURRED];
/// Pixels that are worked on at a time, for what is in between to stay in the CPU's first cache.
const TILE: usize = 256;

/// Zeros, for rows of so many pixels.
#[must_use]
pub fn blank<const N: usize>(width: usize) -> [Vec<f32>; N] {
    std::array::from_fn(|_| vec![0.0; width])
}

/// A row of a channel as it came, with [`REACH`] zeros to either side for the blur.
pub struct Padded(Vec<f32>);

impl Padded {
    #[must_use]
    pub fn blank(width: usize) -> Self {
        Self(vec![0.0; width + 2 * REACH])
    }

    fn pixels(&self) -> &[f32] {
        &self.0[REACH..self.0.len() - REACH]
    }

    fn pixels_mut(&mut self) -> &mut [f32] {
        let end = self.0.len() - REACH;
        &mut self.0[REACH..end]
    }
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
pub fn xyb(row: &Linear, [x, y, b]: [&mut Padded; 3], with_blue: bool) {
    opsin(&row.0, x.pixels_mut(), y.pixels_mut());
    if with_blue {
        blue(&row.0, y.pixels(), b.pixels_mut());
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

/// Blurs a row of both pictures across.
pub fn blur_across(a: &Padded, b: &Padded, blurred: &mut Blurred) {
    let (mut squares, mut product) = ([0.0; TILE + 2 * REACH], [0.0; TILE + 2 * REACH]);
    let width = blurred[0].len();
    for left in (0..width).step_by(TILE) {
        let right = (left + TILE).min(width);
        let (a, b) = (&a.0[left..right + 2 * REACH], &b.0[left..right + 2 * REACH]);
        multiply(a, b, &mut squares, &mut product);
        for (row, out) in [a, b, &squares, &product].into_iter().zip(&mut *blurred) {
            blur(&std::array::from_fn(|i| &row[i..]), &mut out[left..right]);
        }
    }
}

#[autoversion(v3, neon)]
fn multiply(a: &[f32], b: &[f32], squares: &mut [f32], product: &mut [f32]) {
    let n = a.len();
    let (b, squares, product) = (&b[..n], &mut squares[..n], &mut product[..n]);
    for i in 0..n {
        let apart = a[i] - b[i];
        squares[i] = apart * apart;
        product[i] = a[i] * b[i];
    }
}

/// Weighs each sample with what lies around it, in as many slices.
#[autoversion(v3, neon)]
fn blur(around: &[&[f32]; BLUR_ROWS], out: &mut [f32]) {
    let n = out.len();
    let [r0, r1, r2, r3, r4, r5, r6, r7, r8] = *around;
    let (r0, r1, r2, r3, r4) = (&r0[..n], &r1[..n], &r2[..n], &r3[..n], &r4[..n]);
    let (r5, r6, r7, r8) = (&r5[..n], &r6[..n], &r7[..n], &r8[..n]);
    for i in 0..n {
        let near = (r3[i] + r5[i]).mul_add(BLUR[1], BLUR[0] * r4[i]);
        let far = (r0[i] + r8[i]).mul_add(BLUR[4], (r1[i] + r7[i]) * BLUR[3]);
        out[i] = (r2[i] + r6[i]).mul_add(BLUR[2], near) + far;
    }
}

/// `ssimulacra2.cc`, `kC2`: keeps SSIM's quotient sane where nothing varies.
const C2: f32 = 0.0009;

/// Blurs down, and compares a row of both pictures: adds its parts to `sums`. Rows beyond the picture, which count as 0,
/// are `None`.
pub fn compare(around: &[Option<&Blurred>; BLUR_ROWS], a: &Padded, b: &Padded, sums: &mut [f64; PARTS]) {
    let (mut blurred, mut parts) = ([[0.0; TILE]; BLURRED], [[0.0; TILE]; PARTS / 2]);
    let (a, b) = (a.pixels(), b.pixels());
    for left in (0..a.len()).step_by(TILE) {
        let right = (left + TILE).min(a.len());
        for (quantity, out) in blurred.iter_mut().enumerate() {
            let rows = around.map(|row| row.map_or(&[0.0; TILE][..], |row| &row[quantity][left..]));
            blur(&rows, &mut out[..right - left]);
        }
        judge(&blurred, [&a[left..right], &b[left..right]], &mut parts);
        for (k, part) in parts.iter().enumerate() {
            let (sum, of_fourths) = powers(&part[..right - left]);
            sums[k] += f64::from(sum);
            sums[k + PARTS / 2] += f64::from(of_fourths);
        }
    }
}

/// Of each pixel: 1 - SSIM, edges gained, edges lost.
#[autoversion(v3, neon)]
fn judge(blurred: &[[f32; TILE]; BLURRED], own: [&[f32]; 2], parts: &mut [[f32; TILE]; PARTS / 2]) {
    let n = own[0].len();
    let [a, b, squares, product] = blurred;
    let (a, b, squares, product) = (&a[..n], &b[..n], &squares[..n], &product[..n]);
    let (own_a, own_b) = (&own[0][..n], &own[1][..n]);
    let [ssim, gained, lost] = parts;
    let (ssim, gained, lost) = (&mut ssim[..n], &mut gained[..n], &mut lost[..n]);
    for i in 0..n {
        let apart = a[i] - b[i];
        // Twice the covariance, and the sum of both variances, which is the same where the pictures are.
        let covariance = a[i].mul_add(-b[i], product[i]).mul_add(2.0, C2);
        let variance = covariance + apart.mul_add(-apart, squares[i]);
        ssim[i] = (1.0 - apart.mul_add(-apart, 1.0) * covariance / variance).max(0.0);
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
