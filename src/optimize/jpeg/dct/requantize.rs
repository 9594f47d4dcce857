//! Coarser steps for coefficients that are quantized already. Pure arithmetic on blocks.
//!
//! A step that would grow by less than about two stays: requantizing by a ratio between one and two adds an error and
//! saves next to nothing. What grows is quantized with a dead zone, wider for high frequencies, in place of a trellis.

use archmage::autoversion;

use super::coefficients::{Block, Table};
use crate::optimize::jpeg::levels::{HIGHEST, LOWEST, Level, UNIT};

/// A wanted step below so many times the source's is not worth the error: of the lowest frequency, and how much less of
/// the highest. Two for all would let all steps of a standard table grow at once, a point of score or more that no q lies
/// within; over 54 photographs the spread saves 0.5 % at equal score.
const LEAST_RATIO: f64 = 2.4;
const RATIO_SPREAD: f64 = 0.8;

/// Where a coefficient lies between the mean, 0, and the highest frequency, 1.
fn frequency(k: usize) -> f64 {
    (k / 8 + k % 8) as f64 / 14.0
}
/// The largest magnitude that Huffman coding has a category for at 8 bits (T.81, F.1.2.2.1).
const MAX_COEFFICIENT: f32 = 1023.0;

/// The steps to write, of those wanted and those of the source.
#[must_use]
pub fn coarsened(wanted: &Table, source: &Table) -> Table {
    let mut steps = *source;
    for (k, (step, &wanted)) in steps.iter_mut().zip(wanted).enumerate() {
        let least = f64::from(*step) * (LEAST_RATIO - RATIO_SPREAD * frequency(k));
        if f64::from(wanted) >= least {
            *step = wanted;
        }
    }
    steps
}

/// What must be exceeded, in steps above the next smaller level, to be rounded up: one half for the mean, and
/// 0.5 to 0.95 for frequencies, a little less where quality is high, and wider or narrower by the level.
fn dead_zone(q: f64, level: Level) -> [f64; 64] {
    least_kept(q, level).map(|zone| zone.min(0.95))
}

/// The smallest magnitude, in steps, that is not zeroed. Above 1 it takes single levels of steps that are kept, too,
/// where no dead zone reaches.
fn least_kept(q: f64, level: Level) -> [f64; 64] {
    let at_all = 0.62 - 0.08 * ((q - 60.0) / 15.0).clamp(0.0, 1.2);
    let mut zone = [0.5; 64];
    for (k, zone) in zone.iter_mut().enumerate().skip(1) {
        *zone = (at_all + 0.2 * (frequency(k) - 0.3)).clamp(0.5, 0.95);
        *zone = (*zone + f64::from(level) * UNIT).max(0.5);
    }
    zone
}

/// From the source's steps to those of [`coarsened`]. In integers, so that it is the same everywhere.
pub struct Requantizer {
    /// Source step / new step, in units of [`ONE`]; `ONE` itself where the step is kept.
    ratios: [u16; 64],
    /// For each level.
    zones: ByLevel<Zones<u16>>,
}

/// The dead zones of a level.
struct Zones<T> {
    /// Added before the fraction is cut off: 1 less the dead zone.
    offsets: [T; 64],
    /// The smallest coefficient that is kept; smaller ones become 0.
    least: [T; 64],
}

impl<T> Zones<T> {
    fn new(q: f64, level: Level, number: impl Fn(f64) -> T) -> Self {
        Self { offsets: dead_zone(q, level).map(|zone| number(1.0 - zone)), least: least_kept(q, level).map(&number) }
    }
}

/// Something for each level.
struct ByLevel<T>(Vec<T>);

impl<T> ByLevel<T> {
    fn new(of: impl Fn(Level) -> T) -> Self {
        Self((LOWEST..=HIGHEST).map(of).collect())
    }

    /// Has blocks handled by what is for their level; without levels all are usual.
    fn each<B>(&self, mut blocks: &mut [B], levels: &[Level], mut handle: impl FnMut(&mut [B], &T)) {
        let of = |level: Level| &self.0[usize::from((level.clamp(LOWEST, HIGHEST) - LOWEST).unsigned_abs())];
        if levels.is_empty() {
            return handle(blocks, of(0));
        }
        for run in levels.chunk_by(|a, b| a == b) {
            let (now, rest) = blocks.split_at_mut(run.len().min(blocks.len()));
            handle(now, of(run[0]));
            blocks = rest;
        }
    }
}

const SHIFT: u32 = 15;
const ONE: u16 = 1 << SHIFT;

impl Requantizer {
    #[must_use]
    pub fn new(source: &Table, new: &Table, q: f64) -> Self {
        let mut ratios = [ONE; 64];
        for (ratio, (&from, &to)) in ratios.iter_mut().zip(source.iter().zip(new)) {
            *ratio = (f64::from(from) / f64::from(to.max(1)) * f64::from(ONE)).round().min(ONE.into()) as u16;
        }
        let number = |zone: f64| (zone * f64::from(ONE)).round() as u16;
        Self { ratios, zones: ByLevel::new(|level| Zones::new(q, level, number)) }
    }

    /// Requantizes blocks in place; `levels` has one for each, or none where all are usual.
    pub fn apply(&self, blocks: &mut [Block], levels: &[Level]) {
        self.zones.each(blocks, levels, |blocks, zones| requantize(blocks, &self.ratios, zones));
    }
}

#[autoversion(v3, neon)]
fn requantize(blocks: &mut [Block], ratios: &[u16; 64], zones: &Zones<u16>) {
    for block in blocks {
        for k in 0..64 {
            let scaled = u32::from(block[k].unsigned_abs()) * u32::from(ratios[k]);
            let level = ((scaled + u32::from(zones.offsets[k])) >> SHIFT) as i16;
            let level = if scaled < u32::from(zones.least[k]) { 0 } else { level };
            block[k] = if block[k] < 0 { level.wrapping_neg() } else { level };
        }
    }
}

/// From coefficients that are not quantized.
pub struct Quantizer {
    /// 1 / step.
    inverse: [f32; 64],
    zones: ByLevel<Zones<f32>>,
}

impl Quantizer {
    #[must_use]
    pub fn new(table: &Table, q: f64) -> Self {
        Self {
            inverse: table.map(|step| 1.0 / f32::from(step.max(1))),
            zones: ByLevel::new(|level| Zones::new(q, level, |zone| zone as f32)),
        }
    }

    /// Quantizes blocks, `levels` being as for [`Requantizer::apply`].
    pub fn apply(&self, mut from: &[[f32; 64]], to: &mut [Block], levels: &[Level]) {
        self.zones.each(to, levels, |to, zones| {
            quantize(from, to, &self.inverse, zones);
            from = &from[to.len()..];
        });
    }
}

#[autoversion(v3, neon)]
fn quantize(from: &[[f32; 64]], to: &mut [Block], inverse: &[f32; 64], zones: &Zones<f32>) {
    for (from, to) in from.iter().zip(to) {
        for k in 0..64 {
            let scaled = from[k].abs() * inverse[k];
            let level = (scaled + zones.offsets[k]).min(MAX_COEFFICIENT) as i16;
            let level = if scaled < zones.least[k] { 0 } else { level };
            to[k] = if from[k] < 0.0 { -level } else { level };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimize::jpeg::dct::quant_tables::{Role, table};

    /// Numbers without order, the same each time (xorshift, Marsaglia 2003).
    fn random() -> impl FnMut(u32) -> u32 {
        let mut state = 0x9E37_79B9_u32;
        move |below| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state % below
        }
    }

    fn random_block(random: &mut impl FnMut(u32) -> u32) -> Block {
        std::array::from_fn(|k| {
            let range = 2048 / (k as u32 + 1).min(100);
            random(2 * range + 1) as i16 - range as i16
        })
    }

    #[test]
    fn steps_that_would_grow_by_less_than_about_two_are_kept() {
        let (mut wanted, mut source) = ([10; 64], [5; 64]);
        (wanted[2], source[2]) = (1, 40_000);
        let steps = coarsened(&wanted, &source);
        assert_eq!((steps[0], steps[2], steps[63]), (5, 40_000, 10));
        wanted[0] = 12;
        assert_eq!(coarsened(&wanted, &source)[0], 12);
    }

    #[test]
    fn a_kept_step_leaves_its_coefficients_alone() {
        let mut random = random();
        for _ in 0..500 {
            let source: Table = std::array::from_fn(|_| random(60) as u16 + 1);
            let q = f64::from(random(95)) + 5.0;
            let steps = coarsened(&table(Role::Luma, q), &source);
            let block = random_block(&mut random);
            let mut out = block;
            Requantizer::new(&source, &steps, q).apply(std::slice::from_mut(&mut out), &[]);
            for k in (0..64).filter(|&k| steps[k] == source[k]) {
                assert_eq!(out[k], block[k], "coefficient {k} at q {q}");
            }
        }
    }

    #[test]
    fn what_grows_is_off_by_no_more_than_its_dead_zone_and_never_larger_than_rounded() {
        let mut random = random();
        for _ in 0..500 {
            let source: Table = std::array::from_fn(|_| random(20) as u16 + 1);
            let q = f64::from(random(90)) + 5.0;
            let steps = coarsened(&table(Role::Subsampled, q), &source);
            let (block, zone) = (random_block(&mut random), dead_zone(q, 0));
            let mut out = block;
            Requantizer::new(&source, &steps, q).apply(std::slice::from_mut(&mut out), &[]);
            for k in 0..64 {
                let exact = f64::from(block[k]) * f64::from(source[k]) / f64::from(steps[k]);
                // The ratio's rounding, on the largest coefficient.
                assert!((f64::from(out[k]) - exact).abs() <= zone[k] + 0.05, "{exact} became {} at {k}", out[k]);
                assert!(f64::from(out[k]).abs() <= (exact.abs() + 0.55).floor(), "{exact} became {} at {k}", out[k]);
                assert!(out[k] == 0 || (out[k] < 0) == (block[k] < 0));
            }
        }
    }

    #[test]
    fn wide_zones_take_single_levels_of_kept_steps() {
        let steps = [20; 64];
        let requantizer = Requantizer::new(&steps, &steps, 40.0);
        let made = |level: Level| {
            let mut blocks = [[1; 64], [-2; 64]];
            requantizer.apply(&mut blocks, &[level; 2]);
            assert_eq!(blocks[1], [-2; 64]);
            blocks[0]
        };
        assert_eq!([made(0), made(LOWEST), made(14)], [[1; 64]; 3]);
        // The highest frequencies go first; the lowest stay.
        let (some, most) = (made(18), made(HIGHEST));
        assert!(some[63] == 0 && some[27] == 1 && most[45] == 0 && most[..3] == [1; 3]);
        assert!(some.iter().sum::<i16>() > most.iter().sum::<i16>());
    }

    #[test]
    fn both_quantizers_agree() {
        let mut random = random();
        let (source, steps) = ([3; 64], [12; 64]);
        for _ in 0..200 {
            let block = random_block(&mut random);
            let (mut out, mut float) = ([block], [[0; 64]]);
            Requantizer::new(&source, &steps, 70.0).apply(&mut out, &[]);
            Quantizer::new(&steps, 70.0).apply(&[block.map(|c| f32::from(c) * 3.0)], &mut float, &[]);
            assert_eq!(out, float);
        }
    }

    #[test]
    fn the_mean_is_rounded_and_high_frequencies_have_the_widest_dead_zone() {
        let zone = dead_zone(75.0, 0);
        assert!((zone[0] - 0.5).abs() < 1e-9 && zone[1] < zone[63] && zone[63] <= 0.95);
        assert!(dead_zone(85.0, 0)[27] < dead_zone(60.0, 0)[27]);
    }

    #[test]
    fn coefficients_stay_within_what_can_be_coded() {
        let mut out = [[0; 64]];
        Quantizer::new(&[1; 64], 90.0).apply(&[[-5000.0; 64]], &mut out, &[]);
        assert_eq!(out, [[-1023; 64]]);
    }
}
