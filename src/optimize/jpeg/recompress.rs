//! The coefficient domain: the source's own coefficients with coarser steps, chroma halved or kept.
//!
//! Luma is never decoded to pixels: no colour conversion, no second rounding.

use std::ops::RangeInclusive;

use super::coefficients::{Block, Coefficients, ColorModel, Component, Layout};
use super::halve::{Axes, Halved, halve};
use super::libjpeg::{self, Fault, Script};
use super::requantize::{Quantizer, Requantizer, coarsened};
use super::scans;
use super::tables::{Role, table};
use super::target::{Encoder, Judge, UPRIGHT};

/// Steps of the dial per unit of q: real-valued, to land just above the target.
const GRAIN: f64 = 4.0;
const COARSEST: i32 = 20;
/// q 100, where every source step is kept.
const FINEST: i32 = 400;

/// The target that [`guess`] is for, and the q that one point of score more takes.
const GUESS_TARGET: f64 = 75.0;
const GUESS_SLOPE: f64 = 1.43;

/// The q that reaches [`GUESS_TARGET`], by regression over photographs, within 6.5 (one standard deviation; 11.8 for
/// the best constant). What cost many bits has much to show, and what was quantized coarsely before has little to lose.
fn guess(source: &Coefficients, bits_per_pixel: f64) -> f64 {
    /// The nine lowest frequencies but the mean.
    const LOW: [usize; 9] = [1, 2, 3, 8, 9, 10, 16, 17, 24];
    let Some(luma) = source.layout.components.first() else { return 0.0 };
    let step = LOW.iter().map(|&k| f64::from(luma.table[k].max(1)).ln()).sum::<f64>() / LOW.len() as f64;
    66.4 + 5.6 * bits_per_pixel.max(0.01).ln() - 10.9 * step
}

/// Every q that a file may be written with.
pub fn dial() -> impl Iterator<Item = f64> {
    (COARSEST..=FINEST).map(|step| f64::from(step) / GRAIN)
}

/// What becomes of chroma's resolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chroma {
    Kept,
    /// To 4:2:0, from a higher one.
    Halved,
}

/// Requantizes one image at any q.
pub struct Recompressor<'a> {
    source: &'a Coefficients,
    /// What is written, but for its tables.
    layout: Layout,
    roles: Vec<Role>,
    /// Chroma at half its resolution, where it is halved.
    halved: Vec<Halved>,
    /// The q to begin with.
    guess: f64,
}

impl<'a> Recompressor<'a> {
    /// `None` where there is no recipe for the colour model, or chroma cannot be halved. `bits_per_pixel` is what the
    /// image takes losslessly; of a mosaic, what the image does that it is from.
    #[must_use]
    pub fn new(source: &'a Coefficients, chroma: Chroma, bits_per_pixel: f64) -> Option<Self> {
        let guess = guess(source, bits_per_pixel);
        match chroma {
            Chroma::Kept => Self::keeping(source, guess),
            Chroma::Halved => Self::halving(source, guess),
        }
    }

    fn keeping(source: &'a Coefficients, guess: f64) -> Option<Self> {
        let chroma = if axes(&source.layout).is_some() { Role::Full } else { Role::Subsampled };
        let roles = match (source.layout.model, source.layout.components.len()) {
            (ColorModel::Gray, 1) => vec![Role::Luma],
            (ColorModel::YCbCr, 3) => vec![Role::Luma, chroma, chroma],
            _ => return None,
        };
        Some(Self { source, layout: source.layout.clone(), roles, halved: Vec::new(), guess })
    }

    fn halving(source: &'a Coefficients, guess: f64) -> Option<Self> {
        let axes = axes(&source.layout)?;
        let halved: Vec<_> = (1..3).map(|component| halve(source, component, axes)).collect();
        let mut layout = source.layout.clone();
        for (index, component) in layout.components.iter_mut().enumerate() {
            let factor = if index == 0 { 2 } else { 1 };
            (component.h, component.v) = (factor, factor);
            if let Some(halved) = index.checked_sub(1).map(|chroma| &halved[chroma]) {
                (component.columns, component.rows) = (halved.columns, halved.rows);
            }
        }
        Some(Self { source, layout, roles: vec![Role::Luma, Role::Halved, Role::Halved], halved, guess })
    }

    fn plane(&self, index: usize, component: &mut Component, q: f64) -> Plane<'_> {
        let wanted = table(self.roles[index], q);
        if let Some(halved) = index.checked_sub(1).and_then(|chroma| self.halved.get(chroma)) {
            component.table = wanted;
            return Plane::Halved(halved, Quantizer::new(&wanted, q));
        }
        let source = &self.source.layout.components[index].table;
        component.table = coarsened(&wanted, source);
        Plane::Kept(Requantizer::new(source, &component.table, q))
    }
}

/// How a component's blocks are made.
#[expect(clippy::large_enum_variant, reason = "one per component")]
enum Plane<'a> {
    Kept(Requantizer),
    Halved(&'a Halved, Quantizer),
}

impl Plane<'_> {
    fn fill(&self, source: &Coefficients, index: usize, row: usize, out: &mut [Block]) {
        match self {
            Self::Kept(requantizer) => {
                source.row(index, row).iter().zip(out).for_each(|(from, to)| requantizer.apply(from, to));
            }
            Self::Halved(halved, quantizer) => {
                let from = &halved.blocks[row * halved.columns..];
                from.iter().zip(out).for_each(|(from, to)| quantizer.apply(from, to));
            }
        }
    }
}

impl Encoder for Recompressor<'_> {
    const STEPS: RangeInclusive<i32> = COARSEST..=FINEST;
    /// Measured on photographs.
    const SLOPE: f64 = 0.7 / GRAIN;

    fn first_step(&self, target: f64) -> i32 {
        ((self.guess + (target - GUESS_TARGET) * GUESS_SLOPE) * GRAIN).round() as i32
    }

    fn encode(&self, step: i32) -> Result<Vec<u8>, Fault> {
        let q = f64::from(step) / GRAIN;
        let mut layout = self.layout.clone();
        let planes: Vec<_> = layout
            .components
            .iter_mut()
            .enumerate()
            .map(|(index, component)| self.plane(index, component, q))
            .collect();
        let script = scans::script(planes.len()).map_or(Script::Recommended, Script::Fixed);
        libjpeg::write_coefficients(&layout, script, |index, row, out| {
            planes[index].fill(self.source, index, row, out);
        })
    }
}

/// The directions in which chroma has luma's resolution, or `None` where it cannot be halved to 4:2:0.
fn axes(layout: &Layout) -> Option<Axes> {
    let [luma, cb, cr] = &layout.components[..] else { return None };
    let same = layout.model == ColorModel::YCbCr && (cb.h, cb.v) == (cr.h, cr.v);
    let times = |of: usize, chroma: usize| (chroma > 0 && of.is_multiple_of(chroma)).then(|| of / chroma);
    match (times(luma.h, cb.h)?, times(luma.v, cb.v)?) {
        (1, 1) if same => Some(Axes { across: true, down: true }),
        (2, 1) if same => Some(Axes { across: false, down: true }),
        (1, 2) if same => Some(Axes { across: true, down: false }),
        _ => None,
    }
}

/// Writes the coefficients as they are.
///
/// # Errors
/// [`Fault`] where libjpeg cannot write them.
pub fn transcode(source: &Coefficients) -> Result<Vec<u8>, Fault> {
    libjpeg::write_coefficients(&source.layout, Script::Recommended, |index, row, out| {
        out.copy_from_slice(source.row(index, row));
    })
}

/// What files of a mosaic, cut from a source's own coefficients, are scored against.
///
/// # Errors
/// [`Fault`] of the codec or the metric.
pub fn judge_of(mosaic: &Coefficients) -> Result<Judge, Fault> {
    Judge::new(libjpeg::decode_rgb(&transcode(mosaic)?, u32::MAX)?, UPRIGHT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimize::jpeg::libjpeg::tests::picture;
    use crate::optimize::jpeg::libjpeg::{decode_rgb, encode, read_coefficients};

    const SAMPLINGS: [(usize, usize); 5] = [(1, 1), (2, 1), (2, 2), (1, 2), (4, 1)];

    fn source(width: usize, height: usize, (h, v): (usize, usize)) -> Coefficients {
        read_coefficients(&encode(&picture(width, height, h, v), 10).unwrap(), 100).unwrap()
    }

    #[test]
    fn every_sampling_has_a_way_and_decodes_at_its_size() {
        for (width, height) in [(97, 45), (16, 16), (1, 1), (33, 8)] {
            for sampling in SAMPLINGS {
                let source = source(width, height, sampling);
                for chroma in [Chroma::Kept, Chroma::Halved] {
                    let Some(recompressor) = Recompressor::new(&source, chroma, 1.0) else {
                        assert!(chroma == Chroma::Halved && [(2, 2), (4, 1)].contains(&sampling));
                        continue;
                    };
                    let file = recompressor.encode(280).unwrap();
                    let rgb = decode_rgb(&file, 100).unwrap();
                    assert_eq!((rgb.width, rgb.height), (width, height), "{sampling:?} {chroma:?}");
                    let layout = read_coefficients(&file, 100).unwrap().layout;
                    let factors = layout.components.iter().map(|c| (c.h, c.v)).collect::<Vec<_>>();
                    let luma = if chroma == Chroma::Halved { (2, 2) } else { sampling };
                    assert_eq!(factors, [luma, (1, 1), (1, 1)], "{sampling:?} {chroma:?}");
                }
            }
        }
    }

    #[test]
    fn the_finest_step_keeps_every_coefficient() {
        for sampling in SAMPLINGS {
            let source = source(97, 45, sampling);
            let file = Recompressor::new(&source, Chroma::Kept, 1.0).unwrap().encode(FINEST).unwrap();
            assert!(libjpeg::has_coefficients(&file, &source).unwrap(), "{sampling:?}");
        }
    }

    #[test]
    fn luma_is_the_same_whatever_becomes_of_chroma() {
        let source = source(83, 61, (1, 1));
        let written = [Chroma::Kept, Chroma::Halved].map(|chroma| {
            let file = Recompressor::new(&source, chroma, 1.0).unwrap().encode(240).unwrap();
            read_coefficients(&file, 100).unwrap()
        });
        assert_eq!(written[0].blocks[0], written[1].blocks[0]);
        assert_eq!(written[0].layout.components[0].table, written[1].layout.components[0].table);
    }

    #[test]
    fn other_colour_models_have_no_recipe() {
        let mut rgb = source(32, 32, (1, 1));
        rgb.layout.model = ColorModel::Rgb;
        assert!([Chroma::Kept, Chroma::Halved].into_iter().all(|c| Recompressor::new(&rgb, c, 1.0).is_none()));
    }
}
