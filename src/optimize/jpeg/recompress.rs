//! The coefficient domain: the source's own coefficients with coarser steps, chroma halved or kept.
//!
//! Luma is never decoded to pixels: no colour conversion, no second rounding.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

use super::ground::Grounds;
use super::levels::{Level, Levels};
use super::libjpeg::{Coded, Fault, Script, Written, write_coefficients};
use super::orientation::{self, UPRIGHT};
use super::scan_script;
use crate::optimize::color::ToSrgb;
use crate::optimize::jpeg::dct::coefficients::{Block, Blocks, ColorModel, Component, Layout, Table};
use crate::optimize::jpeg::dct::downsample_chroma::{Axes, Halved, halve};
use crate::optimize::jpeg::dct::quant_tables::{Role, table};
use crate::optimize::jpeg::dct::reconstruct::Rows;
use crate::optimize::jpeg::dct::requantize::{Quantizer, Requantizer, coarsened};
use crate::optimize::quality::insets::Inset;
use crate::optimize::quality::score::{Judge, Score};
use crate::optimize::quality::ssimulacra2::{Grid, Part, Windows};
use crate::optimize::quality::two_threads::{self, Sink};

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
fn guess(source: &dyn Blocks, bits_per_pixel: f64) -> f64 {
    /// The nine lowest frequencies but the mean.
    const LOW: [usize; 9] = [1, 2, 3, 8, 9, 10, 16, 17, 24];
    let Some(luma) = source.layout().components.first() else { return 0.0 };
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

/// What a file is written with.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// Of the dial.
    pub step: i32,
    /// Where dead zones are wider or narrower than usual.
    pub levels: Levels,
}

impl Setting {
    /// A step with the usual dead zones.
    #[must_use]
    pub fn of_step(step: i32) -> Self {
        Self { step, levels: Levels::USUAL }
    }
}

/// Requantizes one image at any q.
pub struct Recompressor<'a> {
    source: &'a dyn Blocks,
    /// What is written, but for its tables.
    layout: Layout,
    roles: Vec<Role>,
    /// Chroma at half its resolution, where it is halved.
    halved: Vec<Halved>,
    /// Of luma, and of both chroma components.
    grounds: [Grounds; 2],
    /// The q to begin with.
    guess: f64,
    /// How colours are shown, where it is not as sRGB.
    to_srgb: Option<Arc<ToSrgb>>,
    /// Of the upright picture.
    insets: Vec<Inset>,
}

/// What the components are where chroma is kept; `None` where there is no recipe for the colour model.
fn roles(layout: &Layout) -> Option<Vec<Role>> {
    let chroma = if axes(layout).is_some() { Role::Full } else { Role::Subsampled };
    match (layout.model, layout.components.len()) {
        (ColorModel::Gray, 1) => Some(vec![Role::Luma]),
        (ColorModel::YCbCr, 3) => Some(vec![Role::Luma, chroma, chroma]),
        _ => None,
    }
}

/// Steps of the dial, coarse to fine.
pub const STEPS: std::ops::RangeInclusive<i32> = COARSEST..=FINEST;
/// Points of score that one step brings near the usual targets, measured on photographs.
pub const SLOPE: f64 = 0.7 / GRAIN;

/// Mean difference of a channel, of 255, that recoding alone stays well below.
pub const MAX_DRIFT: f64 = 1.5;

impl<'a> Recompressor<'a> {
    /// `None` where there is no recipe for the colour model, or chroma cannot be halved. `bits_per_pixel` is what the
    /// image takes losslessly; of a mosaic, what the image does that it is from.
    #[must_use]
    pub fn new(source: &'a dyn Blocks, chroma: Chroma, bits_per_pixel: f64) -> Option<Self> {
        let guess = guess(source, bits_per_pixel);
        match chroma {
            Chroma::Kept => Self::keeping(source, guess),
            Chroma::Halved => Self::halving(source, guess),
        }
    }

    /// Whether there is a recipe for an image's colour model.
    #[must_use]
    pub fn has_recipe(layout: &Layout) -> bool {
        roles(layout).is_some()
    }

    fn keeping(source: &'a dyn Blocks, guess: f64) -> Option<Self> {
        let layout = source.layout().clone();
        let roles = roles(&layout)?;
        let grounds = grounds(source);
        Some(Self { source, layout, roles, halved: Vec::new(), grounds, guess, to_srgb: None, insets: Vec::new() })
    }

    fn halving(source: &'a dyn Blocks, guess: f64) -> Option<Self> {
        let mut layout = source.layout().clone();
        let axes = axes(&layout)?;
        let halved: Vec<_> = (1..3).map(|component| halve(source, component, axes)).collect();
        for (index, component) in layout.components.iter_mut().enumerate() {
            let factor = if index == 0 { 2 } else { 1 };
            (component.h, component.v) = (factor, factor);
            if let Some(halved) = index.checked_sub(1).map(|chroma| &halved[chroma]) {
                (component.columns, component.rows) = (halved.columns, halved.rows);
            }
        }
        let roles = vec![Role::Luma, Role::Halved, Role::Halved];
        let grounds = grounds(source);
        Some(Self { source, layout, roles, halved, grounds, guess, to_srgb: None, insets: Vec::new() })
    }

    /// Scores colours as this conversion shows them.
    #[must_use]
    pub fn shown_by(self, to_srgb: Option<&Arc<ToSrgb>>) -> Self {
        Self { to_srgb: to_srgb.cloned(), ..self }
    }

    /// Scores these insets of the upright picture by themselves as well.
    #[must_use]
    pub fn with_insets(self, insets: &[Inset]) -> Self {
        Self { insets: insets.to_vec(), ..self }
    }

    /// Width and height in pixels, as stored.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        (self.layout.width, self.layout.height)
    }

    /// The step at which this score is expected, to begin the search with.
    #[must_use]
    pub fn first_step(&self, target: f64) -> i32 {
        let step = ((self.guess + (target - GUESS_TARGET) * GUESS_SLOPE) * GRAIN).round() as i32;
        step.clamp(COARSEST, FINEST)
    }

    /// Whether nothing is lost at a step: every source step is kept, and chroma as it was.
    #[must_use]
    pub fn is_lossless_at(&self, step: i32) -> bool {
        self.halved.is_empty() && *self.source.layout() == self.at(&Setting::of_step(step)).layout
    }

    /// The scores, of the whole and of all windows, of what a setting makes of the source, turned upright by EXIF's
    /// `orientation`, on so many threads; `None` where the picture is too small for one, or of sampling factors that no
    /// decoder takes.
    #[must_use]
    pub fn score(&self, setting: &Setting, orientation: u8, threads: usize) -> Option<(Score, Windows)> {
        let (width, height) = orientation::size(self.source.layout(), orientation);
        let made = self.at(setting);
        let scores = |to_srgb: Option<Arc<ToSrgb>>| {
            let judge = Judge::new(width, height)?.shown_by(to_srgb).with_insets(self.insets.iter().cloned());
            let judge = two_threads::judged(judge, threads, |sink| self.compare(&made, orientation, sink))?;
            Some(judge.finish_with_windows(MAX_DRIFT))
        };
        let (score, windows) = scores(self.to_srgb.clone())?;
        match &self.to_srgb {
            // Programs that ignore profiles show, and score, samples as they are stored.
            Some(to_srgb) if to_srgb.is_far() => Some((score.with(scores(None)?.0), windows)),
            _ => Some((score, windows)),
        }
    }

    /// The windows of parts of the upright picture, at a setting: those of `known` with what was seen in the parts; `None`
    /// where parts cannot be scored alone.
    #[must_use]
    pub fn score_parts(
        &self,
        setting: &Setting,
        orientation: u8,
        threads: usize,
        known: &Windows,
        parts: &[Part],
    ) -> Option<Windows> {
        let size = orientation::size(self.source.layout(), orientation);
        // The windows of a small picture are those of the mirrored one.
        if known.grid != Grid::over(size.0, size.1) {
            return None;
        }
        let made = self.at(setting);
        let mut windows = known.clone();
        for part in parts {
            let (across, down) = part.pixels(known.grid, size);
            let insets = self.insets.iter().filter_map(|inset| inset.within(&across, &down));
            let judge = Judge::new(across.len(), down.len())?.shown_by(self.to_srgb.clone()).with_insets(insets);
            let rows = |sink: &mut Sink<'_>| self.compare_part(&made, orientation, &across, &down, sink);
            let seen = two_threads::judged(judge, threads, rows)?.finish_with_windows(f64::INFINITY).1;
            windows.replace(*part, &seen);
        }
        Some(windows)
    }

    /// The rows of the source and of what is made of it.
    fn compare(&self, made: &Made<'_>, orientation: u8, sink: &mut Sink<'_>) -> Option<()> {
        let source = self.source.layout();
        if orientation == UPRIGHT {
            let mut reference =
                Rows::new(source, |component, row, out| out.copy_from_slice(self.source.row(component, row)))?;
            let mut distorted =
                Rows::new(&made.layout, |component, row, out| made.fill(self.source, component, row, 0, out))?;
            (0..source.height).for_each(|_| sink(reference.read(), distorted.read()));
            return Some(());
        }
        let (width, height) = orientation::size(source, orientation);
        self.compare_part(made, orientation, &(0..width), &(0..height), sink)
    }

    /// The rows of a part of the upright picture, and of what is made of it.
    fn compare_part(
        &self,
        made: &Made<'_>,
        orientation: u8,
        across: &Range<usize>,
        down: &Range<usize>,
        sink: &mut Sink<'_>,
    ) -> Option<()> {
        let source = self.source.layout();
        let kept = |component: usize, row: usize, left: usize, out: &mut [Block]| {
            out.copy_from_slice(&self.source.row(component, row)[left..left + out.len()]);
        };
        let new = |component: usize, row: usize, left: usize, out: &mut [Block]| {
            made.fill(self.source, component, row, left, out);
        };
        for area in orientation::bands_of(source, orientation, across.clone(), down.clone()) {
            let reference = orientation::decoded(source, &area, orientation, kept)?;
            let distorted = orientation::decoded(&made.layout, &area, orientation, new)?;
            for y in 0..reference.height {
                let (a, b) = (reference.row(y), distorted.row(y));
                sink(a.each_ref().map(Vec::as_slice), b.each_ref().map(Vec::as_slice));
            }
        }
        Some(())
    }

    /// The file of a setting, in arrays of its own.
    ///
    /// # Errors
    /// [`Fault`] where libjpeg cannot write it.
    pub fn encode(&self, setting: &Setting) -> Result<Written, Fault> {
        let made = self.at(setting);
        let mut hasher = DefaultHasher::new();
        let mut last = None;
        let bytes = write_coefficients(&made.layout, script(&made.layout), |index, row, out| {
            if last != Some(index) {
                made.layout.components[index].table.hash(&mut hasher);
                last = Some(index);
            }
            made.fill(self.source, index, row, 0, out);
            out.hash(&mut hasher);
        })?;
        Ok(Written::new(bytes, hasher.finish()))
    }

    fn at(&self, setting: &Setting) -> Made<'_> {
        let q = f64::from(setting.step) / GRAIN;
        let mut layout = self.layout.clone();
        let components = layout.components.iter_mut().enumerate();
        let planes = components.map(|(index, component)| self.plane(index, component, q)).collect();
        let luma = setting.levels.by_block(&layout, 0);
        Made { layout, planes, luma }
    }

    fn plane(&self, index: usize, component: &mut Component, q: f64) -> Plane<'_> {
        let wanted = table(self.roles[index], q);
        let grounds = &self.grounds[index.min(1)];
        if let Some(halved) = index.checked_sub(1).and_then(|chroma| self.halved.get(chroma)) {
            component.table = wanted;
            component.table[0] = grounds.step(wanted[0], 1);
            return Plane::Halved(halved, Quantizer::new(&component.table, q));
        }
        let source = &self.source.layout().components[index].table;
        component.table = coarsened(&wanted, source);
        component.table[0] = grounds.step(component.table[0], source[0]);
        Plane::Kept(Requantizer::new(source, &component.table, q))
    }

    /// What turns the source's own coefficients into those of a setting, in place; `None` where chroma is halved.
    #[must_use]
    pub fn in_place(&self, setting: &Setting) -> Option<InPlace> {
        let made = self.at(setting);
        let kept = made.planes.into_iter().map(|plane| match plane {
            Plane::Kept(requantizer) => Some(requantizer),
            Plane::Halved(..) => None,
        });
        Some(InPlace { requantizers: kept.collect::<Option<_>>()?, layout: made.layout, luma: made.luma })
    }
}

/// What a source becomes at one setting.
struct Made<'a> {
    layout: Layout,
    planes: Vec<Plane<'a>>,
    /// A level for each block of luma; none where all are usual.
    luma: Vec<Level>,
}

/// The levels of a component's blocks in a row, from column `left` on: those of luma, where they are not usual.
fn levels_of<'a>(luma: &'a [Level], layout: &Layout, index: usize, row: usize, left: usize) -> &'a [Level] {
    if index > 0 || luma.is_empty() { &[] } else { &luma[row * layout.components[0].columns + left..] }
}

/// How a component's blocks are made.
enum Plane<'a> {
    Kept(Requantizer),
    Halved(&'a Halved, Quantizer),
}

impl Made<'_> {
    /// Fills in blocks of a component's row, from column `left` on.
    fn fill(&self, source: &dyn Blocks, index: usize, row: usize, left: usize, out: &mut [Block]) {
        let levels = levels_of(&self.luma, &self.layout, index, row, left);
        let levels = &levels[..out.len().min(levels.len())];
        match &self.planes[index] {
            Plane::Kept(requantizer) => {
                out.copy_from_slice(&source.row(index, row)[left..left + out.len()]);
                requantizer.apply(out, levels);
            }
            Plane::Halved(halved, quantizer) => {
                quantizer.apply(&halved.blocks[row * halved.columns + left..], out, levels);
            }
        }
    }
}

/// Requantizes a source in its own arrays.
pub struct InPlace {
    layout: Layout,
    requantizers: Vec<Requantizer>,
    luma: Vec<Level>,
}

impl InPlace {
    /// # Errors
    /// [`Fault`] where libjpeg cannot write it.
    pub fn write(self, source: Coded<'_>) -> Result<Written, Fault> {
        let tables: Vec<Table> = self.layout.components.iter().map(|component| component.table).collect();
        source.requantize(&tables, script(&self.layout), |index, row, blocks| {
            let levels = levels_of(&self.luma, &self.layout, index, row, 0);
            self.requantizers[index].apply(blocks, &levels[..blocks.len().min(levels.len())]);
        })
    }
}

fn script(layout: &Layout) -> Script<'static> {
    scan_script::script(layout.components.len()).map_or(Script::Recommended, Script::Fixed)
}

fn grounds(source: &dyn Blocks) -> [Grounds; 2] {
    [Grounds::of(source, 0..1), Grounds::of(source, 1..source.layout().components.len())]
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimize::jpeg::dct::coefficients::Coefficients;
    use crate::optimize::jpeg::libjpeg::tests::picture;
    use crate::optimize::jpeg::libjpeg::{decode_rgb, encode};
    use crate::optimize::quality::score::judge;

    const SAMPLINGS: [(usize, usize); 5] = [(1, 1), (2, 1), (2, 2), (1, 2), (4, 1)];

    fn source(width: usize, height: usize, (h, v): (usize, usize)) -> Coefficients {
        held(&encode(&picture(width, height, h, v), 10).unwrap())
    }

    fn held(file: &[u8]) -> Coefficients {
        let coded = Coded::read(file, 100).unwrap();
        let components = coded.layout().components.iter().enumerate();
        let blocks = components.map(|(i, c)| (0..c.rows).flat_map(|row| coded.row(i, row)).copied().collect());
        Coefficients { layout: coded.layout().clone(), blocks: blocks.collect() }
    }

    fn written(recompressor: &Recompressor<'_>, step: i32) -> Vec<u8> {
        recompressor.encode(&Setting::of_step(step)).unwrap().proven().unwrap()
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
                    let file = written(&recompressor, 280);
                    let rgb = decode_rgb(&file, 100).unwrap();
                    assert_eq!((rgb.width, rgb.height), (width, height), "{sampling:?} {chroma:?}");
                    let layout = held(&file).layout;
                    let factors = layout.components.iter().map(|c| (c.h, c.v)).collect::<Vec<_>>();
                    let luma = if chroma == Chroma::Halved { (2, 2) } else { sampling };
                    assert_eq!(factors, [luma, (1, 1), (1, 1)], "{sampling:?} {chroma:?}");
                }
            }
        }
    }

    #[test]
    fn a_score_is_that_of_the_finished_file() {
        for sampling in SAMPLINGS {
            let file = encode(&picture(143, 187, sampling.0, sampling.1), 10).unwrap();
            let source = held(&file);
            for chroma in [Chroma::Kept, Chroma::Halved] {
                let Some(recompressor) = Recompressor::new(&source, chroma, 1.0) else { continue };
                for orientation in 1..9 {
                    let [a, b] = [&file, &written(&recompressor, 260)]
                        .map(|file| decode_rgb(file, 100).unwrap().upright(orientation));
                    let of_file = judge(&a, &b, MAX_DRIFT).unwrap();
                    let foreseen = recompressor.score(&Setting::of_step(260), orientation, 1).unwrap().0;
                    assert_eq!(of_file, foreseen, "{sampling:?} {chroma:?}");
                }
            }
        }
    }

    #[test]
    fn levels_by_place_reach_file_and_score() {
        for (orientation, chroma) in [(1, Chroma::Kept), (6, Chroma::Halved)] {
            let file = encode(&picture(331, 257, 1, 1), 10).unwrap();
            let source = held(&file);
            let recompressor = Recompressor::new(&source, chroma, 1.0).unwrap();
            let usual = Setting::of_step(200);
            let (even, windows) = recompressor.score(&usual, orientation, 1).unwrap();
            let levels = usual.levels.narrowed(&windows, windows.lowest() + 2.0, orientation).with_even(4.0);
            let placed = Setting { step: 200, levels };
            let [file, other] = [&placed, &usual].map(|s| recompressor.encode(s).unwrap().proven().unwrap());
            assert_ne!(file.len(), other.len());
            let upright = |file: &[u8]| decode_rgb(file, 100).unwrap().upright(orientation);
            let of_file = judge(&upright(&encode(&picture(331, 257, 1, 1), 10).unwrap()), &upright(&file), MAX_DRIFT);
            let (score, windows) = recompressor.score(&placed, orientation, 1).unwrap();
            assert_eq!(of_file, Some(score));
            assert_ne!(score, even);
            if let Some(in_place) = recompressor.in_place(&placed) {
                let coded = Coded::read(&encode(&picture(331, 257, 1, 1), 10).unwrap(), 100).map(|coded| {
                    assert_eq!(in_place.write(coded).unwrap().proven().unwrap(), file);
                });
                assert!(coded.is_ok());
            }
            // A part by itself scores nearly as it does in the whole.
            let parts = Part::below(&windows, windows.lowest() + 0.01);
            let cells: usize = parts.iter().map(|part| part.cells()).sum();
            assert!(cells > 0);
            let alone = recompressor.score_parts(&placed, orientation, 1, &windows, &parts).unwrap();
            assert!((alone.lowest() - windows.lowest()).abs() < 1.0, "{} {}", alone.lowest(), windows.lowest());
        }
    }

    #[test]
    fn in_place_makes_the_same_file() {
        for sampling in SAMPLINGS {
            let file = encode(&picture(97, 45, sampling.0, sampling.1), 10).unwrap();
            let coded = Coded::read(&file, 100).unwrap();
            let recompressor = Recompressor::new(&coded, Chroma::Kept, 1.0).unwrap();
            let (apart, in_place) =
                (written(&recompressor, 240), recompressor.in_place(&Setting::of_step(240)).unwrap());
            drop(recompressor);
            assert_eq!(in_place.write(coded).unwrap().proven().unwrap(), apart, "{sampling:?}");
        }
    }

    #[test]
    fn the_finest_step_keeps_every_coefficient() {
        for sampling in SAMPLINGS {
            let source = source(97, 45, sampling);
            let recompressor = Recompressor::new(&source, Chroma::Kept, 1.0).unwrap();
            assert!(recompressor.is_lossless_at(FINEST) && !recompressor.is_lossless_at(COARSEST));
            assert_eq!(held(&written(&recompressor, FINEST)), source, "{sampling:?}");
        }
    }

    #[test]
    fn luma_is_the_same_whatever_becomes_of_chroma() {
        let source = source(83, 61, (1, 1));
        let made = [Chroma::Kept, Chroma::Halved]
            .map(|chroma| held(&written(&Recompressor::new(&source, chroma, 1.0).unwrap(), 240)));
        assert_eq!(made[0].blocks[0], made[1].blocks[0]);
        assert_eq!(made[0].layout.components[0].table, made[1].layout.components[0].table);
    }

    #[test]
    fn other_colour_models_have_no_recipe() {
        let mut rgb = source(32, 32, (1, 1));
        rgb.layout.model = ColorModel::Rgb;
        assert!([Chroma::Kept, Chroma::Halved].into_iter().all(|c| Recompressor::new(&rgb, c, 1.0).is_none()));
    }
}
