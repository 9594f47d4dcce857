//! The discrete cosine transform of 8 × 8 blocks, in floating point (ITU-T T.81, A.3.3). No level shift, no clamping.
//!
//! Loops run by index, which the compiler makes vectors of; iterators it does not inline into functions for a CPU.
#![allow(clippy::needless_range_loop, clippy::inline_always)]

use archmage::autoversion;

use super::coefficients::{BLOCK, Block};

/// Coefficients or samples.
pub type Values = [f32; BLOCK * BLOCK];

/// cos(k π / 16) for k from 0 to 8.
#[expect(clippy::excessive_precision, reason = "the nearest f32 is meant")]
const COSINES: [f32; 9] = [
    1.0,
    0.980_785_280_4,
    0.923_879_532_5,
    0.831_469_612_3,
    std::f32::consts::FRAC_1_SQRT_2,
    0.555_570_233_0,
    0.382_683_432_4,
    0.195_090_322_0,
    0.0,
];

/// One-dimensional basis: `BASIS[u][x]`, orthonormal.
const BASIS: [[f32; BLOCK]; BLOCK] = basis();
const INVERSE: [[f32; BLOCK]; BLOCK] = transposed(BASIS);

const fn basis() -> [[f32; BLOCK]; BLOCK] {
    let mut basis = [[0.0; BLOCK]; BLOCK];
    let mut u = 0;
    while u < BLOCK {
        let mut x = 0;
        while x < BLOCK {
            // The angle in sixteenths of π, folded into the first quadrant.
            let angle = (2 * x + 1) * u % 32;
            let half_turn = if angle > 16 { 32 - angle } else { angle };
            let cosine = if half_turn > 8 { -COSINES[16 - half_turn] } else { COSINES[half_turn] };
            basis[u][x] = cosine * if u == 0 { 0.5 * COSINES[4] } else { 0.5 };
            x += 1;
        }
        u += 1;
    }
    basis
}

const fn transposed(matrix: [[f32; BLOCK]; BLOCK]) -> [[f32; BLOCK]; BLOCK] {
    let mut out = [[0.0; BLOCK]; BLOCK];
    let mut i = 0;
    while i < BLOCK * BLOCK {
        out[i % BLOCK][i / BLOCK] = matrix[i / BLOCK][i % BLOCK];
        i += 1;
    }
    out
}

/// Transforms blocks of a band of samples, eight rows of so many blocks.
#[autoversion(v3, neon)]
pub fn forward(band: &[f32], blocks: &mut [Values]) {
    let width = blocks.len() * BLOCK;
    let band = &band[..width * BLOCK];
    for i in 0..blocks.len() {
        let mut samples = [0.0; BLOCK * BLOCK];
        for y in 0..BLOCK {
            let row = &band[y * width + i * BLOCK..][..BLOCK];
            for x in 0..BLOCK {
                samples[y * BLOCK + x] = row[x];
            }
        }
        blocks[i] = columns(&columns(&samples, &BASIS), &BASIS);
    }
}

/// Samples of a row of blocks that are quantized by `steps`, as [`forward`] takes them.
#[autoversion(v3, neon)]
pub fn inverse(blocks: &[Block], steps: &Values, band: &mut [f32]) {
    let width = blocks.len() * BLOCK;
    let band = &mut band[..width * BLOCK];
    for i in 0..blocks.len() {
        let mut values = [0.0; BLOCK * BLOCK];
        for k in 0..BLOCK * BLOCK {
            values[k] = f32::from(blocks[i][k]) * steps[k];
        }
        let samples = columns(&columns(&values, &INVERSE), &INVERSE);
        for y in 0..BLOCK {
            let row = &mut band[y * width + i * BLOCK..][..BLOCK];
            for x in 0..BLOCK {
                row[x] = samples[y * BLOCK + x];
            }
        }
    }
}

/// Transforms columns, and turns the result so that the next call transforms what were rows.
#[inline(always)]
fn columns(values: &Values, matrix: &[[f32; BLOCK]; BLOCK]) -> Values {
    let mut out = [0.0; BLOCK * BLOCK];
    for i in 0..BLOCK {
        let mut row = [0.0; BLOCK];
        for k in 0..BLOCK {
            for j in 0..BLOCK {
                row[j] += matrix[i][k] * values[k * BLOCK + j];
            }
        }
        for j in 0..BLOCK {
            out[j * BLOCK + i] = row[j];
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inverse_undoes_the_forward_transform() {
        let samples: Values = std::array::from_fn(|i| ((i * 7919) % 256) as f32 - 128.0);
        let mut blocks = [[0.0; 64]];
        forward(&samples, &mut blocks);
        // Steps fine enough for what is lost by whole coefficients.
        let coefficients = blocks[0].map(|value| (value * 16.0).round() as i16);
        let mut back = [0.0; 64];
        inverse(&[coefficients], &[1.0 / 16.0; 64], &mut back);
        assert!(samples.iter().zip(back).all(|(a, b)| (a - b).abs() < 0.2));
    }

    #[test]
    fn one_frequency_is_one_coefficient() {
        // u = 3 across, v = 1 down.
        let wave = |k: usize, n: usize| (std::f32::consts::PI * ((2 * k + 1) * n) as f32 / 16.0).cos();
        let samples: Values = std::array::from_fn(|i| wave(i % 8, 3) * wave(i / 8, 1));
        let mut blocks = [[0.0; 64]];
        forward(&samples, &mut blocks);
        for (k, value) in blocks[0].into_iter().enumerate() {
            // T.81's normalization: 1/4, without 1/√2 where neither frequency is 0, over 4 × 4 of mean square 1/4.
            let expected = if k == 8 + 3 { 4.0 } else { 0.0 };
            assert!((value - expected).abs() < 1e-4, "{k}: {value}");
        }
    }
}
