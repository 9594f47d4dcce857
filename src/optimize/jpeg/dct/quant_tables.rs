//! The quantization tables that recompressed files are written with, by the `q` of libjpeg's quality scale.
//!
//! Every base stands at q 50; all were compared on photographs by SSIMULACRA2 and Butteraugli.
//!
//! What else hangs on these tables: `already_optimized` recognizes Karui's own files by them, so that files of an older
//! version lose once more after a change, and `recompress` guesses the first `q` by a line that was fitted to them.
//! Files that are coded from pixels have the table in `libjpeg::planes`.

use super::coefficients::Table;

/// The largest step of a baseline table (T.81, B.2.4.1).
const MAX_STEP: f64 = 255.0;
/// DC steps are finer: on smooth areas nothing hides an error of the mean.
const DC_FACTOR: f64 = 0.85;

/// What the table that jpegli writes at its quality 60 is multiplied by, to stand at q 50.
const JPEGLI_FACTOR: f64 = 1.5;
/// jpegli's luma table at its quality 60 (lib/jpegli/quant.cc, `kBaseQuantMatrixYCbCr`, c = 0, at distance 3.7). At
/// equal SSIMULACRA2 4 % smaller than mozjpeg's table 2.
#[rustfmt::skip]
const JPEGLI_LUMA: Table = [
    8, 7, 14, 14, 21, 22, 25, 25,
    7, 10, 14, 15, 22, 20, 26, 26,
    14, 14, 16, 19, 22, 25, 24, 27,
    14, 15, 19, 22, 27, 29, 28, 30,
    21, 22, 22, 27, 29, 32, 36, 35,
    22, 20, 25, 29, 32, 35, 33, 39,
    25, 26, 24, 28, 36, 33, 35, 35,
    25, 26, 27, 30, 35, 39, 35, 28,
];
/// The same for chroma at luma's resolution (c = 2, which jpegli uses for both where it writes two tables).
#[rustfmt::skip]
const JPEGLI_CHROMA: Table = [
    19, 19, 35, 34, 55, 57, 59, 61,
    19, 30, 34, 41, 52, 45, 43, 54,
    35, 34, 38, 38, 55, 44, 51, 56,
    34, 41, 38, 45, 50, 47, 44, 54,
    55, 52, 55, 50, 44, 61, 58, 52,
    57, 45, 44, 47, 61, 55, 64, 414,
    59, 43, 51, 44, 58, 64, 407, 537,
    61, 54, 56, 54, 52, 414, 537, 740,
];
/// mozjpeg's chroma table 2 (jcparam.c, `std_chrominance_quant_tbl[2]`).
#[rustfmt::skip]
const MOZJPEG_CHROMA_2: Table = [
    8, 12, 15, 15, 86, 96, 96, 98,
    13, 13, 15, 26, 90, 96, 99, 98,
    12, 15, 18, 96, 99, 99, 99, 99,
    17, 16, 90, 96, 99, 99, 99, 99,
    96, 96, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99,
];
/// mozjpeg's chroma table 3 (jcparam.c, `std_chrominance_quant_tbl[3]`).
#[rustfmt::skip]
const MOZJPEG_CHROMA_3: Table = [
    16, 16, 16, 18, 25, 37, 56, 85,
    16, 17, 20, 27, 34, 40, 53, 75,
    16, 20, 24, 31, 43, 62, 91, 135,
    18, 27, 31, 40, 53, 74, 106, 156,
    25, 34, 43, 53, 69, 94, 131, 189,
    37, 40, 62, 74, 94, 124, 169, 238,
    56, 53, 91, 106, 131, 169, 226, 311,
    85, 75, 135, 156, 189, 238, 311, 418,
];

/// What a component shows, and at what resolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Luma,
    /// Chroma that came subsampled.
    Subsampled,
    /// Chroma that could be halved, and is not.
    Full,
    /// Chroma that came at a higher resolution, halved by us.
    Halved,
}

impl Role {
    /// The base table, and its factor at q.
    fn base(self, q: f64) -> (&'static Table, f64) {
        match self {
            Self::Luma => (&JPEGLI_LUMA, JPEGLI_FACTOR),
            Self::Full => (&JPEGLI_CHROMA, JPEGLI_FACTOR),
            // Finer from q 60 to 72: chroma's errors show where luma's no longer hide them.
            Self::Subsampled => (&MOZJPEG_CHROMA_2, 1.0 - 0.15 * ((q - 60.0) / 12.0).clamp(0.0, 1.0)),
            Self::Halved => (&MOZJPEG_CHROMA_3, 0.85),
        }
    }
}

/// The steps of a role at q.
#[must_use]
pub fn table(role: Role, q: f64) -> Table {
    let (base, factor) = role.base(q);
    let factor = factor * scale(q);
    let mut steps = base.map(|step| f64::from(step) * factor);
    steps[0] *= DC_FACTOR;
    steps.map(|step| step.round().clamp(1.0, MAX_STEP) as u16)
}

/// libjpeg's scale (jcparam.c, `jpeg_quality_scaling`), of any q above 0: 1 at q 50, 0 at q 100.
fn scale(q: f64) -> f64 {
    (if q < 50.0 { 5000.0 / q } else { 200.0 - 2.0 * q }).max(0.0) / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLES: [Role; 4] = [Role::Luma, Role::Subsampled, Role::Full, Role::Halved];

    #[test]
    fn steps_grow_finer_with_q_and_end_at_one() {
        for role in ROLES {
            for q in 5..100 {
                let (coarse, fine) = (table(role, f64::from(q)), table(role, f64::from(q + 1)));
                assert!(coarse.iter().zip(&fine).all(|(a, b)| a >= b), "{role:?} at {q}");
            }
            assert_eq!(table(role, 100.0), [1; 64]);
        }
    }

    #[test]
    fn luma_at_fifty_is_its_base() {
        let steps = table(Role::Luma, 50.0);
        assert_eq!((steps[0], steps[2], steps[63]), (10, 21, 42));
    }
}
