//! The arithmetic of the metric, a row at a time, in chunks of eight pixels that the compiler turns into vectors.
//!
//! Plain multiplications and additions in one order, so that every machine comes to the same bits.

use archmage::autoversion;

use super::weights::PARTS;

/// Pixels that are worked on at a time.
const LANES: usize = 8;
type Lanes = [f32; LANES];

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
/// A row blurred across.
pub type Blurred = Vec<[Lanes; BLURRED]>;
/// A row of both pictures as it came.
pub type Own = Vec<[Lanes; 2]>;

/// Zeros, for a row of so many pixels.
#[must_use]
pub fn blank<const N: usize>(width: usize) -> Vec<[Lanes; N]> {
    vec![[[0.0; LANES]; N]; width.div_ceil(LANES)]
}

/// A row in linear light, by colour.
pub struct Linear {
    red: Vec<f32>,
    green: Vec<f32>,
    blue: Vec<f32>,
}

impl Linear {
    /// From red, green, blue of each pixel.
    #[must_use]
    pub fn decode(row: &[u8], table: &[f32; 256]) -> Self {
        let plane = |channel: usize| row.chunks_exact(3).map(|pixel| table[usize::from(pixel[channel])]).collect();
        Self { red: plane(0), green: plane(1), blue: plane(2) }
    }

    /// At half the size, with the row below; the last one of an odd number of pixels is averaged with itself.
    #[must_use]
    pub fn halved(&self, below: &Self) -> Self {
        let plane = |a: &[f32], b: &[f32]| {
            let mut half = vec![0.0; a.len().div_ceil(2)];
            halve(a, b, &mut half);
            half
        };
        Self {
            red: plane(&self.red, &below.red),
            green: plane(&self.green, &below.green),
            blue: plane(&self.blue, &below.blue),
        }
    }
}

#[autoversion(v3, neon)]
fn halve(upper: &[f32], lower: &[f32], half: &mut [f32]) {
    let pairs = upper.chunks_exact(2).zip(lower.chunks_exact(2));
    for ((a, b), half) in pairs.zip(half.iter_mut()) {
        *half = 0.25 * ((a[0] + a[1]) + (b[0] + b[1]));
    }
    if let ([a], [b], Some(half)) =
        (upper.chunks_exact(2).remainder(), lower.chunks_exact(2).remainder(), half.last_mut())
    {
        *half = 0.5 * (a + b);
    }
}

/// A row of a channel, with zeros around it for the blur: [`REACH`] before, and enough after to fill the last chunk.
type Padded = Vec<f32>;

fn padded(width: usize) -> Padded {
    vec![0.0; width.next_multiple_of(LANES) + LANES]
}

/// X, Y and, where wanted, B of a row, each shifted into the positive as the metric wants them.
#[must_use]
pub fn xyb(row: &Linear, with_blue: bool) -> [Padded; 3] {
    let width = row.red.len();
    let (mut x, mut y) = (padded(width), padded(width));
    let mut b = if with_blue { padded(width) } else { Vec::new() };
    let inner = REACH..REACH + width;
    opsin(row, &mut x[inner.clone()], &mut y[inner.clone()]);
    if with_blue {
        blue(row, &y[inner.clone()], &mut b[inner]);
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
fn opsin(row: &Linear, x: &mut [f32], y: &mut [f32]) {
    let colours = row.red.iter().zip(&row.green).zip(&row.blue);
    for (((r, g), b), (x, y)) in colours.zip(x.iter_mut().zip(y)) {
        let (long, middle) = (cone(LONG, *r, *g, *b), cone(MIDDLE, *r, *g, *b));
        *x = 0.5 * (long - middle) * X_FACTOR + X_SHIFT;
        *y = 0.5 * (long + middle) + Y_SHIFT;
    }
}

#[autoversion(v3, neon)]
fn blue(row: &Linear, y: &[f32], out: &mut [f32]) {
    let colours = row.red.iter().zip(&row.green).zip(&row.blue);
    for (((r, g), b), (y, out)) in colours.zip(y.iter().zip(out)) {
        *out = cone(SHORT, *r, *g, *b) - (y - Y_SHIFT) + B_SHIFT;
    }
}

/// Blurs a row of both pictures across, and keeps it as it came.
#[autoversion(v3, neon)]
pub fn blur_across(a: &[f32], b: &[f32], blurred: &mut [[Lanes; BLURRED]], own: &mut [[Lanes; 2]]) {
    /// A chunk, and what lies around it.
    const WINDOW: usize = LANES + 2 * REACH;
    let windows = |row| <[f32]>::windows(row, WINDOW).step_by(LANES);
    for ((a, b), (blurred, own)) in windows(a).zip(windows(b)).zip(blurred.iter_mut().zip(own)) {
        let (Ok(a), Ok(b)) = (<&[f32; WINDOW]>::try_from(a), <&[f32; WINDOW]>::try_from(b)) else { continue };
        let mut squares = [0.0; WINDOW];
        let mut product = [0.0; WINDOW];
        for i in 0..WINDOW {
            squares[i] = a[i] * a[i] + b[i] * b[i];
            product[i] = a[i] * b[i];
        }
        for (out, row) in blurred.iter_mut().zip([a, b, &squares, &product]) {
            for i in 0..LANES {
                let at = i + REACH;
                let mut sum = BLUR[0] * row[at];
                for tap in 1..=REACH {
                    sum += BLUR[tap] * (row[at - tap] + row[at + tap]);
                }
                out[i] = sum;
            }
        }
        for i in 0..LANES {
            own[0][i] = a[i + REACH];
            own[1][i] = b[i + REACH];
        }
    }
}

/// `ssimulacra2.cc`, `kC2`: keeps SSIM's quotient sane where nothing varies.
const C2: f32 = 0.0009;

/// Blurs down, and compares a row of both pictures: adds its parts to `sums`. Rows beyond the picture are `None`.
pub fn compare(around: &[Option<&Blurred>; BLUR_ROWS], own: &Own, width: usize, sums: &mut [f64; PARTS]) {
    // The blur's weight of a row that is not there is 0; any other stands in for it.
    let weights = std::array::from_fn(|i| if around[i].is_some() { BLUR[i.abs_diff(REACH)] } else { 0.0 });
    let Some(centre) = around[REACH] else { return };
    let rows = around.map(|row| row.unwrap_or(centre).as_slice());
    let row = parts(&rows, &weights, own, width);
    sums.iter_mut().zip(row).for_each(|(sum, row)| *sum += f64::from(row));
}

#[autoversion(v3, neon)]
fn parts(
    rows: &[&[[Lanes; BLURRED]]; BLUR_ROWS],
    weights: &[f32; BLUR_ROWS],
    own: &[[Lanes; 2]],
    width: usize,
) -> [f32; PARTS] {
    let mut sums = [[0.0_f32; LANES]; PARTS];
    for (index, own) in own.iter().enumerate() {
        let mut mean = [[0.0_f32; LANES]; BLURRED];
        for (row, weight) in rows.iter().zip(weights) {
            let chunk = &row[index];
            for (mean, chunk) in mean.iter_mut().zip(chunk) {
                for i in 0..LANES {
                    mean[i] += weight * chunk[i];
                }
            }
        }
        let [a, b, squares, product] = mean;
        let mut part = [[0.0_f32; LANES]; PARTS];
        for i in 0..LANES {
            let apart = a[i] - b[i];
            let covariance = 2.0 * (product[i] - a[i] * b[i]) + C2;
            let variance = squares[i] - (a[i] * a[i] + b[i] * b[i]) + C2;
            let ssim = (1.0 - (1.0 - apart * apart) * covariance / variance).max(0.0);
            let edge = (1.0 + (own[1][i] - b[i]).abs()) / (1.0 + (own[0][i] - a[i]).abs()) - 1.0;
            let (gained, lost) = (edge.max(0.0), (-edge).max(0.0));
            for (k, value) in [ssim, gained, lost].into_iter().enumerate() {
                let squared = value * value;
                part[k][i] = value;
                part[k + 3][i] = squared * squared;
            }
        }
        // Of the last chunk only what is inside the picture.
        let inside = (width - index * LANES).min(LANES);
        for (sums, part) in sums.iter_mut().zip(&part) {
            if inside == LANES {
                (0..LANES).for_each(|i| sums[i] += part[i]);
            } else {
                (0..inside).for_each(|i| sums[i] += part[i]);
            }
        }
    }
    sums.map(|lanes| lanes.iter().sum())
}
