//! The discrete cosine transform of 8 × 8 blocks, in floating point (ITU-T T.81, A.3.3). No level shift, no clamping.

use super::coefficients::BLOCK;

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

#[must_use]
pub fn forward(samples: &Values) -> Values {
    columns(&columns(samples, &BASIS), &BASIS)
}

#[must_use]
pub fn inverse(coefficients: &Values) -> Values {
    const INVERSE: [[f32; BLOCK]; BLOCK] = transposed(BASIS);
    columns(&columns(coefficients, &INVERSE), &INVERSE)
}

/// Transforms columns, and turns the result so that the next call transforms what were rows.
fn columns(values: &Values, matrix: &[[f32; BLOCK]; BLOCK]) -> Values {
    let mut out = [0.0; BLOCK * BLOCK];
    for (i, weights) in matrix.iter().enumerate() {
        let mut row = [0.0; BLOCK];
        for (weight, from) in weights.iter().zip(values.chunks_exact(BLOCK)) {
            for (sum, value) in row.iter_mut().zip(from) {
                *sum += weight * value;
            }
        }
        for (j, value) in row.into_iter().enumerate() {
            out[j * BLOCK + i] = value;
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
        let back = inverse(&forward(&samples));
        assert!(samples.iter().zip(back).all(|(a, b)| (a - b).abs() < 1e-3));
    }

    #[test]
    fn one_frequency_is_one_coefficient() {
        // u = 3 across, v = 1 down.
        let wave = |k: usize, n: usize| (std::f32::consts::PI * ((2 * k + 1) * n) as f32 / 16.0).cos();
        let samples: Values = std::array::from_fn(|i| wave(i % 8, 3) * wave(i / 8, 1));
        let coefficients = forward(&samples);
        for (k, value) in coefficients.into_iter().enumerate() {
            // T.81's normalization: 1/4, without 1/√2 where neither frequency is 0, over 4 × 4 of mean square 1/4.
            let expected = if k == 8 + 3 { 4.0 } else { 0.0 };
            assert!((value - expected).abs() < 1e-4, "{k}: {value}");
        }
    }
}
