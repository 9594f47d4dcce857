//! The metric's blur: libjxl's recursive Gaussian of sigma 1.5, operation by operation.
//!
//! Source: libjxl, `gauss_blur.cc`, after Charalampidis, "Recursive Implementation of the Gaussian Filter Using Truncated
//! Cosine Functions" (2016). Its rounding errors add up along rows and columns: a smooth picture of eight megapixels scores
//! one point lower by it than by exact arithmetic. Since scores are what that code says they are, they add up here, too.
#![allow(clippy::needless_range_loop, clippy::inline_always)]

use std::ops::Range;

use archmage::{incant, magetypes};
use magetypes::simd::backends::F32x8Backend;
use magetypes::simd::generic::f32x8;

use super::lanes::{BLURRED, Chunk, LANES, TILE, Tile};

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

/// A row of samples by eights, the last of which zeros fill.
pub type Row = Vec<Chunk>;
/// Zeros before and after the interleaved rows.
const BEFORE: usize = SPAN;
const AFTER: usize = DELAY;

/// A row of so many zeros.
#[must_use]
pub fn blank(width: usize) -> Row {
    vec![[0.0; LANES]; width.div_ceil(LANES)]
}

/// Eight rows, sample by sample: all eight first samples, then the second ones.
pub struct Interleaved(Vec<Chunk>);

impl Interleaved {
    /// Zeros, for rows of so many samples.
    #[must_use]
    pub fn blank(width: usize) -> Self {
        Self(vec![[0.0; LANES]; BEFORE + width.next_multiple_of(LANES) + AFTER])
    }

    /// Takes rows.
    pub fn take(&mut self, rows: [&Row; LANES]) {
        let end = self.0.len() - AFTER;
        let squares = self.0[BEFORE..end].as_chunks_mut().0;
        incant!(interleave(&rows.map(Vec::as_slice), squares), [v3, neon, scalar]);
    }
}

type Square = [Chunk; LANES];

#[magetypes(v3, neon, scalar)]
fn interleave(token: Token, rows: &[&[Chunk]; LANES], squares: &mut [Square]) {
    for x in 0..squares.len() {
        let mut square = [f32x8::<Token>::zero_t(token); LANES];
        for i in 0..LANES {
            square[i] = f32x8::load_t(token, &rows[i][x]);
        }
        f32x8::transpose_8x8(&mut square);
        for i in 0..LANES {
            square[i].store(&mut squares[x][i]);
        }
    }
}

/// Where the blur of eight rows across has come to.
#[derive(Default)]
pub struct Across {
    step: usize,
    last: [Chunk; TERMS],
    before: [Chunk; TERMS],
}

impl Across {
    /// Blurs rows of so many samples, or their products with others, on to the next tile.
    pub fn tile(&mut self, width: usize, rows: &Interleaved, others: Option<&Interleaved>, out: &mut [Tile; LANES]) {
        match others {
            None => incant!(across(self, width, &rows.0, out), [v3, neon, scalar]),
            Some(others) => incant!(across_products(self, width, [&rows.0, &others.0], out), [v3, neon, scalar]),
        }
    }
}

#[magetypes(v3, neon, scalar)]
fn across(token: Token, state: &mut Across, width: usize, samples: &[Chunk], out: &mut [Tile; LANES]) {
    blur_across(token, state, width, samples, None, out);
}

#[magetypes(v3, neon, scalar)]
fn across_products(token: Token, state: &mut Across, width: usize, [a, b]: [&[Chunk]; 2], out: &mut [Tile; LANES]) {
    blur_across(token, state, width, a, Some(b), out);
}

/// `FastGaussian1D`. Closures, and so iterators, are not inlined into functions for a CPU.
#[inline(always)]
fn blur_across<T: F32x8Backend>(
    token: T,
    state: &mut Across,
    width: usize,
    samples: &[Chunk],
    others: Option<&[Chunk]>,
    out: &mut [Tile; LANES],
) {
    // What comes in at a step; steps begin before the row by the delay.
    macro_rules! sum {
        ($step:expr) => {
            sample(token, samples, others, $step) + sample(token, samples, others, $step + SPAN)
        };
    }
    let mut square = [[0.0; LANES]; LANES];
    let mut terms = Terms::load(token, state);
    let (mut step, steps) = (state.step, width + DELAY);
    let left = step.saturating_sub(DELAY);
    let end = (left + TILE).min(width) + DELAY;
    while step < end {
        if step >= FIRST_BLOCK + DELAY && step + RADIUS + 2 < steps {
            let outputs = terms.block(&[sum!(step), sum!(step + 1), sum!(step + 2), sum!(step + 3)]);
            let first = (step - DELAY) % LANES;
            for j in 0..UNROLL {
                outputs[j].store(&mut square[first + j]);
            }
            step += UNROLL;
        } else {
            terms.step(sum!(step)).store(&mut square[(step + LANES - DELAY) % LANES]);
            step += 1;
        }
        if step >= LANES + DELAY && (step - DELAY).is_multiple_of(LANES) {
            store_transposed(token, &square, out, (step - DELAY - left) / LANES - 1);
        }
    }
    if end == steps && !width.is_multiple_of(LANES) {
        square[width % LANES..].fill([0.0; LANES]);
        store_transposed(token, &square, out, (width - left) / LANES);
    }
    state.step = step;
    terms.store(state);
}

#[inline(always)]
fn sample<T: F32x8Backend>(token: T, samples: &[Chunk], others: Option<&[Chunk]>, i: usize) -> f32x8<T> {
    let sample = f32x8::load_t(token, &samples[i]);
    match others {
        Some(others) => sample * f32x8::load_t(token, &others[i]),
        None => sample,
    }
}

#[inline(always)]
fn store_transposed<T: F32x8Backend>(token: T, square: &Square, out: &mut [Tile; LANES], x: usize) {
    let mut transposed = [f32x8::zero_t(token); LANES];
    for i in 0..LANES {
        transposed[i] = f32x8::load_t(token, &square[i]);
    }
    f32x8::transpose_8x8(&mut transposed);
    for i in 0..LANES {
        transposed[i].store(&mut out[i][x]);
    }
}

/// The last two outputs of each term, of eight rows.
#[derive(Clone, Copy)]
struct Terms<T: F32x8Backend> {
    token: T,
    last: [f32x8<T>; TERMS],
    before: [f32x8<T>; TERMS],
}

impl<T: F32x8Backend> Terms<T> {
    #[inline(always)]
    fn load(token: T, state: &Across) -> Self {
        let (mut last, mut before) = ([f32x8::zero_t(token); TERMS], [f32x8::zero_t(token); TERMS]);
        for i in 0..TERMS {
            last[i] = f32x8::load_t(token, &state.last[i]);
            before[i] = f32x8::load_t(token, &state.before[i]);
        }
        Self { token, last, before }
    }

    #[inline(always)]
    fn store(&self, state: &mut Across) {
        for i in 0..TERMS {
            self.last[i].store(&mut state.last[i]);
            self.before[i].store(&mut state.before[i]);
        }
    }

    /// The output of a step.
    #[inline(always)]
    fn step(&mut self, sum: f32x8<T>) -> f32x8<T> {
        let outputs = self.outputs::<0>(&[sum; UNROLL]);
        (self.before, self.last) = (self.last, outputs);
        total(&outputs)
    }

    /// The outputs of a block of steps.
    #[inline(always)]
    fn block(&mut self, sums: &[f32x8<T>; UNROLL]) -> [f32x8<T>; UNROLL] {
        let outputs =
            [self.outputs::<0>(sums), self.outputs::<1>(sums), self.outputs::<2>(sums), self.outputs::<3>(sums)];
        (self.before, self.last) = (outputs[2], outputs[3]);
        [total(&outputs[0]), total(&outputs[1]), total(&outputs[2]), total(&outputs[3])]
    }

    /// What each term puts out at step `J` of a block.
    #[inline(always)]
    fn outputs<const J: usize>(&self, sums: &[f32x8<T>; UNROLL]) -> [f32x8<T>; TERMS] {
        [self.output::<0, J>(sums), self.output::<1, J>(sums), self.output::<2, J>(sums)]
    }

    #[inline(always)]
    fn output<const TERM: usize, const J: usize>(&self, sums: &[f32x8<T>; UNROLL]) -> f32x8<T> {
        let mut output = sums[0] * f32x8::splat_t(self.token, MUL_IN[TERM][J]);
        for k in 0..J {
            output = f32x8::splat_t(self.token, MUL_IN[TERM][J - 1 - k]).mul_add_portable(sums[k + 1], output);
        }
        output = f32x8::splat_t(self.token, MUL_PREV2[TERM][J]).mul_add_portable(self.before[TERM], output);
        f32x8::splat_t(self.token, MUL_PREV[TERM][J]).mul_add_portable(self.last[TERM], output)
    }
}

#[inline(always)]
fn total<T: F32x8Backend>(terms: &[f32x8<T>; TERMS]) -> f32x8<T> {
    terms[0] + (terms[1] + terms[2])
}

/// The blur of all columns of a row.
pub struct Down(Vec<Columns>);

/// The blur of eight columns, all together where memory is read in order.
#[derive(Clone, Copy, Default)]
struct Columns {
    /// The last rows that came in: row `y` at `y % SPAN`.
    rows: [Chunk; SPAN],
    /// The last two outputs of each term.
    last: [Chunk; TERMS],
    before: [Chunk; TERMS],
}

impl Down {
    #[must_use]
    pub fn blank(width: usize) -> Self {
        Self(vec![Columns::default(); width.div_ceil(LANES)])
    }

    /// Blurs columns, counted in chunks, on from `step` by as many steps as rows come in; what comes out is the tile of
    /// this `quantity`.
    pub fn tile(
        &mut self,
        columns: Range<usize>,
        step: usize,
        rows: &[Tile],
        out: &mut [[Tile; BLURRED]],
        quantity: usize,
    ) {
        incant!(down(&mut self.0[columns], step % SPAN, rows, out, quantity), [v3, neon, scalar]);
    }
}

/// `FastGaussianVertical`; rows that come in take the place of those that leave.
#[magetypes(v3, neon, scalar)]
fn down(
    token: Token,
    columns: &mut [Columns],
    first: usize,
    rows: &[Tile],
    out: &mut [[Tile; BLURRED]],
    quantity: usize,
) {
    type F = f32x8<Token>;
    let (mut weights, mut of_last) = ([F::zero_t(token); TERMS], [F::zero_t(token); TERMS]);
    for i in 0..TERMS {
        weights[i] = F::splat_t(token, N2[i] as f32);
        of_last[i] = F::splat_t(token, -(D1[i] as f32));
    }
    for x in 0..columns.len() {
        let Columns { rows: above, last, before } = &mut columns[x];
        let (mut now, mut older) = (weights, weights);
        for i in 0..TERMS {
            now[i] = F::load_t(token, &last[i]);
            older[i] = F::load_t(token, &before[i]);
        }
        for step in 0..rows.len() {
            let above = &mut above[(first + step) % SPAN];
            let below = F::load_t(token, &rows[step][x]);
            let sum = F::load_t(token, above) + below;
            below.store(above);
            let mut next = now;
            for i in 0..TERMS {
                next[i] = weights[i].mul_add_portable(sum, of_last[i].mul_sub_portable(now[i], older[i]));
            }
            (older, now) = (now, next);
            total(&now).store(&mut out[step][quantity][x]);
        }
        for i in 0..TERMS {
            now[i].store(&mut last[i]);
            older[i].store(&mut before[i]);
        }
    }
}
