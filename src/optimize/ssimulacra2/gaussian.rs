//! The metric's blur: libjxl's recursive Gaussian of sigma 1.5, operation by operation.
//!
//! Source: libjxl, `gauss_blur.cc`, after Charalampidis, "Recursive Implementation of the Gaussian Filter Using Truncated
//! Cosine Functions" (2016). Its rounding errors add up along rows and columns: a smooth picture of eight megapixels scores
//! one point lower by it than by exact arithmetic. Since scores are what that code says they are, they add up here, too.
#![allow(clippy::needless_range_loop, clippy::inline_always)]

use archmage::{autoversion, incant, magetypes};
use magetypes::simd::generic::f32x8;

/// Samples to either side that an output leans on, and one.
const RADIUS: usize = 5;
/// Rows that a row of outputs is behind the last one it needs.
pub const DELAY: usize = RADIUS - 1;
/// Between the two rows, or samples, that come in at a step.
pub const SPAN: usize = 2 * RADIUS;

/// The cosines summed: of π/10, 3π/10 and 5π/10 a sample.
const TERMS: usize = 3;
/// (33) of the paper: what a term takes of the input (`n2`), and of its last output (`-d1`).
const N2: [f64; TERMS] = [0.055_295_235_726_086_62, -0.058_836_687_026_95, 0.012_955_819_110_517_117];
const D1: [f64; TERMS] = [-1.902_113_032_590_307, -1.175_570_504_584_946_3, -1.224_646_799_147_353_2e-16];

/// Rows are blurred across in blocks of so many outputs, each from the same two outputs before the block (`MUL_IN` and
/// the others of `FastGaussian1D`), but for the first eight and the last.
const UNROLL: usize = 4;
const FIRST_BLOCK: usize = 8;
const MUL_IN: [[f32; UNROLL]; TERMS] = [mul_in(0), mul_in(1), mul_in(2)];
const MUL_PREV: [[f32; UNROLL]; TERMS] = [mul_prev(0), mul_prev(1), mul_prev(2)];
const MUL_PREV2: [[f32; UNROLL]; TERMS] = [mul_prev2(0), mul_prev2(1), mul_prev2(2)];

const fn mul_in(term: usize) -> [f32; UNROLL] {
    let (d, n) = (D1[term], N2[term]);
    [n as f32, (-d * n) as f32, (d * d * n - n) as f32, (-(d * d) * d * n + 2.0 * d * n) as f32]
}

const fn mul_prev(term: usize) -> [f32; UNROLL] {
    let d = D1[term];
    let d2 = d * d;
    [-d as f32, (d2 - 1.0) as f32, (-d2 * d + 2.0 * d) as f32, (d2 * d2 - 3.0 * d2 + 1.0) as f32]
}

const fn mul_prev2(term: usize) -> [f32; UNROLL] {
    let d = D1[term];
    let d2 = d * d;
    [-1.0, d as f32, (-d2 + 1.0) as f32, (d2 * d - 2.0 * d) as f32]
}

/// Rows that are blurred across side by side, one in each lane of a vector.
pub const LANES: usize = 8;
/// A row of samples by eights, the last of which zeros fill.
pub type Row = Vec<[f32; LANES]>;
/// Zeros before and after the interleaved rows.
const BEFORE: usize = SPAN;
const AFTER: usize = DELAY;

/// A row of so many zeros.
#[must_use]
pub fn blank(width: usize) -> Row {
    vec![[0.0; LANES]; width.div_ceil(LANES)]
}

/// Eight rows, sample by sample: all eight first samples, then the second ones.
pub struct Interleaved {
    width: usize,
    samples: Vec<[f32; LANES]>,
}

impl Interleaved {
    /// Zeros, for rows of so many samples.
    #[must_use]
    pub fn blank(width: usize) -> Self {
        Self { width, samples: vec![[0.0; LANES]; BEFORE + width.next_multiple_of(LANES) + AFTER] }
    }

    /// Takes rows.
    pub fn take(&mut self, rows: &[&Row; LANES]) {
        let end = self.samples.len() - AFTER;
        let squares = self.samples[BEFORE..end].as_chunks_mut().0;
        interleave(&rows.map(Vec::as_slice), squares);
    }

    /// Takes the squares of others.
    pub fn square(&mut self, of: &Self) {
        let (out, of) = (self.samples.as_flattened_mut(), of.samples.as_flattened());
        out.iter_mut().zip(of).for_each(|(out, v)| *out = v * v);
    }

    /// Takes the products of the first four rows of others with their last four.
    pub fn multiply(&mut self, of: &Self) {
        for (out, v) in self.samples.iter_mut().zip(&of.samples) {
            *out = [v[0] * v[4], v[1] * v[5], v[2] * v[6], v[3] * v[7], 0.0, 0.0, 0.0, 0.0];
        }
    }

    /// Blurs the rows across, in `scratch`.
    pub fn blur<'a>(&self, scratch: &mut Vec<[f32; LANES]>, rows: impl Iterator<Item = &'a mut Row>) {
        scratch.resize(self.width.next_multiple_of(LANES), [0.0; LANES]);
        incant!(across(&self.samples, &mut scratch[..self.width]), [v3, neon, scalar]);
        let squares = scratch.as_chunks().0;
        let mut rows: Vec<_> = rows.map(Vec::as_mut_slice).collect();
        deinterleave(squares, &mut rows);
    }
}

type Square = [[f32; LANES]; LANES];

#[inline(always)]
fn transposed(square: &Square) -> Square {
    let mut out = [[0.0; LANES]; LANES];
    for y in 0..LANES {
        for x in 0..LANES {
            out[y][x] = square[x][y];
        }
    }
    out
}

#[autoversion(v3, neon)]
fn interleave(rows: &[&[[f32; LANES]]; LANES], squares: &mut [Square]) {
    for x in 0..squares.len() {
        let mut square = [[0.0; LANES]; LANES];
        for i in 0..LANES {
            square[i] = rows[i][x];
        }
        squares[x] = transposed(&square);
    }
}

/// The other way; of the eight rows the first ones, as many as are wanted.
#[autoversion(v3, neon)]
fn deinterleave(squares: &[Square], rows: &mut [&mut [[f32; LANES]]]) {
    let wanted = rows.len().min(LANES);
    for x in 0..squares.len() {
        let square = transposed(&squares[x]);
        for i in 0..wanted {
            rows[i][x] = square[i];
        }
    }
}

/// `FastGaussian1D` on eight rows with their zeros around them.
#[magetypes(v3, neon, scalar)]
fn across(token: Token, lanes: &[[f32; LANES]], out: &mut [[f32; LANES]]) {
    type F = f32x8<Token>;
    let width = out.len();
    let (mut prev, mut prev2) = ([F::zero_t(token); TERMS], [F::zero_t(token); TERMS]);
    // What comes in at a step; steps begin before the row by the delay.
    macro_rules! sum {
        ($step:expr) => {
            F::load_t(token, &lanes[$step]) + F::load_t(token, &lanes[$step + SPAN])
        };
    }
    macro_rules! single {
        ($step:expr) => {{
            let sum = sum!($step);
            for i in 0..TERMS {
                let mut y = sum * F::splat_t(token, MUL_IN[i][0]);
                y = F::splat_t(token, MUL_PREV2[i][0]).mul_add_portable(prev2[i], y);
                prev2[i] = prev[i];
                prev[i] = F::splat_t(token, MUL_PREV[i][0]).mul_add_portable(prev[i], y);
            }
            if $step >= DELAY {
                (prev[0] + (prev[1] + prev[2])).store(&mut out[$step - DELAY]);
            }
        }};
    }
    let steps = width + DELAY;
    let mut step = 0;
    while step < steps.min(FIRST_BLOCK + DELAY) {
        single!(step);
        step += 1;
    }
    while step + RADIUS + 2 < steps {
        let sums = [sum!(step), sum!(step + 1), sum!(step + 2), sum!(step + 3)];
        let mut y = [[F::zero_t(token); TERMS]; UNROLL];
        for j in 0..UNROLL {
            for i in 0..TERMS {
                let mut term = sums[0] * F::splat_t(token, MUL_IN[i][j]);
                for k in 0..j {
                    term = F::splat_t(token, MUL_IN[i][j - 1 - k]).mul_add_portable(sums[k + 1], term);
                }
                term = F::splat_t(token, MUL_PREV2[i][j]).mul_add_portable(prev2[i], term);
                y[j][i] = F::splat_t(token, MUL_PREV[i][j]).mul_add_portable(prev[i], term);
            }
        }
        (prev2, prev) = (y[2], y[3]);
        for j in 0..UNROLL {
            (y[j][0] + (y[j][1] + y[j][2])).store(&mut out[step - DELAY + j]);
        }
        step += UNROLL;
    }
    while step < steps {
        single!(step);
        step += 1;
    }
}

/// A column's blur, for all columns of a row: the last two outputs of each term.
pub struct Down {
    /// Of the last step, and the one before, in turns.
    terms: [[Vec<f32>; TERMS]; 2],
    newer: usize,
}

impl Down {
    #[must_use]
    pub fn blank(width: usize) -> Self {
        let terms = || std::array::from_fn(|_| vec![0.0; width]);
        Self { terms: [terms(), terms()], newer: 0 }
    }

    /// Blurs the columns of `out.len()` from `left` on by a step, with the rows that come in.
    pub fn step(&mut self, left: usize, [above, below]: [&[f32]; 2], out: &mut [f32]) {
        let [first, second] = &mut self.terms;
        let (newer, older) = if self.newer == 0 { (first, second) } else { (second, first) };
        let right = left + out.len();
        let newer = newer.each_ref().map(|term| &term[left..right]);
        let older = older.each_mut().map(|term| &mut term[left..right]);
        down([above, below], newer, older, out);
    }

    /// Ends a step, once all columns have taken it.
    pub fn advance(&mut self) {
        self.newer ^= 1;
    }
}

/// `FastGaussianVertical`; `older` receives the new outputs.
#[autoversion(v3, neon)]
fn down(rows: [&[f32]; 2], newer: [&[f32]; TERMS], older: [&mut [f32]; TERMS], out: &mut [f32]) {
    const N: [f32; TERMS] = [N2[0] as f32, N2[1] as f32, N2[2] as f32];
    const D: [f32; TERMS] = [D1[0] as f32, D1[1] as f32, D1[2] as f32];
    let n = out.len();
    let (above, below) = (&rows[0][..n], &rows[1][..n]);
    let (newer0, newer1, newer2) = (&newer[0][..n], &newer[1][..n], &newer[2][..n]);
    let [older0, older1, older2] = older;
    let (older0, older1, older2) = (&mut older0[..n], &mut older1[..n], &mut older2[..n]);
    for i in 0..n {
        let sum = above[i] + below[i];
        let y0 = N[0].mul_add(sum, (-D[0]).mul_add(newer0[i], -older0[i]));
        let y1 = N[1].mul_add(sum, (-D[1]).mul_add(newer1[i], -older1[i]));
        let y2 = N[2].mul_add(sum, (-D[2]).mul_add(newer2[i], -older2[i]));
        (older0[i], older1[i], older2[i]) = (y0, y1, y2);
        out[i] = y0 + (y1 + y2);
    }
}
