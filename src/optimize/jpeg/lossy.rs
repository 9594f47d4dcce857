//! The lossy ways: requantize with chroma halved or with every grid kept, or, where there is no recipe for that, encode
//! decoded planes.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::coefficients::{Blocks, Coefficients};
use super::insets;
use super::levels::Levels;
use super::libjpeg::{Coded, Fault};
use super::mosaic;
use super::pixels::Pixels;
use super::recompress::{Chroma, Recompressor, SLOPE, STEPS, Setting};
use super::refine::{self, Goal, Tried, refine};
use super::target::{Aim, Answer, Near, WHOLE_TRIALS, approach};
use super::upright::UPRIGHT;
use crate::optimize::candidate::Candidate;
use crate::optimize::color::ToSrgb;
use crate::optimize::insets::Inset;
use crate::optimize::outcome::Check;
use crate::optimize::score::{Judge, ROUNDING, Score};
use crate::optimize::search::{Trial, Verdict};
use crate::optimize::ssimulacra2::{Part, Windows};
use crate::optimize::{Budget, Method};

/// What is known of a source beside its coefficients.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    pub file: &'a [u8],
    pub max_scans: u32,
    /// Bytes that the coded image takes, without metadata.
    pub bytes: usize,
    /// EXIF's.
    pub orientation: u8,
    /// How colours are shown, where it is not as sRGB.
    pub to_srgb: Option<&'a Arc<ToSrgb>>,
}

impl About<'_> {
    fn bits_per_pixel(&self, source: &dyn Blocks) -> f64 {
        let layout = source.layout();
        8.0 * self.bytes as f64 / (layout.width * layout.height).max(1) as f64
    }
}

/// What came of a lossy way.
pub struct Lossy {
    /// A file within the promise, without metadata; `None` where there is none.
    pub candidate: Option<Candidate>,
    /// Whether time ended the search before it was done.
    pub budget_cut: bool,
}

impl Lossy {
    pub const NOTHING: Self = Self { candidate: None, budget_cut: false };

    fn unmeasured(bytes: Vec<u8>, method: Method) -> Self {
        Self { candidate: Some(Candidate { bytes, method, score: None, check: Check::None }), budget_cut: false }
    }

    fn measured(bytes: Vec<u8>, method: Method, score: Score, check: Check, budget_cut: bool) -> Self {
        Self { candidate: Some(Candidate { bytes, method, score: Some(score), check }), budget_cut }
    }
}

/// Points of score that a profile not far from sRGB costs at the most: Adobe RGB, of eight photographs.
const CONVERTED_MARGIN: f64 = 2.5;

/// One encoding at the first guess; no score is measured.
///
/// # Errors
/// [`Fault`] of the codec.
pub fn once(source: Coded<'_>, about: About<'_>, target: f64) -> Result<Lossy, Fault> {
    // A first guess misses by some points: the margin keeps most files above the target all the same.
    const MARGIN: f64 = 4.0;
    let target = target + if about.to_srgb.is_some() { CONVERTED_MARGIN } else { 0.0 };
    let bits_per_pixel = about.bits_per_pixel(&source);
    let chroma = [Chroma::Halved, Chroma::Kept].into_iter().find_map(|chroma| {
        let step = Recompressor::new(&source, chroma, bits_per_pixel)?.first_step(target + MARGIN);
        Some((chroma, step))
    });
    if let Some((chroma, step)) = chroma {
        let written = write(source, chroma, &Setting::of_step(step), bits_per_pixel)?;
        return Ok(written.map_or(Lossy::NOTHING, |bytes| Lossy::unmeasured(bytes, Method::JpegCoefficients)));
    }
    let pixels = Pixels::decode(about)?;
    Ok(Lossy::unmeasured(pixels.encode(Pixels::first_step(target + MARGIN))?, Method::JpegPixels))
}

/// The lightest encoding found that reaches the target.
///
/// # Errors
/// [`Fault`] of the codec.
pub fn to_target(source: Coded<'_>, about: About<'_>, target: f64, budget: Budget) -> Result<Lossy, Fault> {
    if Judge::new(source.layout().width, source.layout().height).is_none() {
        return Ok(Lossy::NOTHING);
    }
    let bits_per_pixel = about.bits_per_pixel(&source);
    if Recompressor::new(&source, Chroma::Kept, bits_per_pixel).is_none() {
        return in_pixels(about, target, budget);
    }
    let tiles = mosaic::of(&source);
    let About { orientation, to_srgb, .. } = about;
    let insets = insets::of(&source, orientation, to_srgb.map(AsRef::as_ref));
    let tiles = tiles.as_ref();
    let ways = Ways { source: &source, tiles, insets, bits_per_pixel, target, orientation, to_srgb, budget };
    let (chroma, Found { held, budget_cut }) = ways.best()?;
    let Some(Held { setting, score, check }) = held else { return Ok(Lossy { budget_cut, ..Lossy::NOTHING }) };
    Ok(match write(source, chroma, &setting, bits_per_pixel)? {
        Some(bytes) => Lossy::measured(bytes, Method::JpegCoefficients, score, check, budget_cut),
        None => Lossy { budget_cut, ..Lossy::NOTHING },
    })
}

/// The file of a setting; `None` where nothing would be lost at it, so that a transcode does as well.
fn write(source: Coded<'_>, chroma: Chroma, setting: &Setting, bits_per_pixel: f64) -> Result<Option<Vec<u8>>, Fault> {
    let Some(recompressor) = Recompressor::new(&source, chroma, bits_per_pixel) else { return Ok(None) };
    if recompressor.is_lossless_at(setting.step) {
        return Ok(None);
    }
    let written = if let Some(in_place) = recompressor.in_place(setting) {
        drop(recompressor);
        in_place.write(source)?
    } else {
        let written = recompressor.encode(setting)?;
        drop(recompressor);
        drop(source);
        written
    };
    Ok(Some(written.proven()?))
}

fn in_pixels(about: About<'_>, target: f64, budget: Budget) -> Result<Lossy, Fault> {
    let pixels = Pixels::decode(about)?;
    let (aim, mut best, mut budget_cut) = (pixels.aim(target + ROUNDING), None, false);
    let found = aim.coarsest(aim.first, WHOLE_TRIALS, |step| {
        let begun = Instant::now();
        let score = pixels.score(step);
        let effective = score.effective(aim.target);
        if effective >= aim.target {
            best = Some(score);
        }
        budget_cut = !budget.allows(begun.elapsed());
        (effective, if budget_cut { Verdict::Stop } else { Verdict::Continue })
    });
    let Some((trial, score)) = found.zip(best) else { return Ok(Lossy { budget_cut, ..Lossy::NOTHING }) };
    Ok(Lossy::measured(pixels.encode(trial.step)?, Method::JpegPixels, score, Check::Whole, budget_cut))
}

/// What a search found, and whether time ended it early.
struct Found {
    held: Option<Held>,
    budget_cut: bool,
}

/// A setting that holds, and how that is known.
struct Held {
    setting: Setting,
    score: Score,
    check: Check,
}

/// Whole trials from the first near step on, at the most and where something holds: of images that have a sample, and of
/// smaller ones.
const REFINING_TRIALS: (usize, usize) = (6, 2);
/// The same above so many pixels, where a trial takes seconds.
const MANY_PIXELS: usize = 40_000_000;
const FEW_REFINING_TRIALS: (usize, usize) = (5, 1);
const SMALL_REFINING_TRIALS: (usize, usize) = (10, 5);

/// Programs that ignore profiles show, and score, the samples as they are: of files of Display P3 up to 0.4 points below
/// what the profile shows.
const OTHER_COLORS_MARGIN: f64 = 0.4;

/// A source whose coefficients can be requantized, and what is asked of it.
struct Ways<'a> {
    source: &'a dyn Blocks,
    tiles: Option<&'a Coefficients>,
    insets: Vec<Inset>,
    bits_per_pixel: f64,
    target: f64,
    orientation: u8,
    to_srgb: Option<&'a Arc<ToSrgb>>,
    budget: Budget,
}

impl Ways<'_> {
    /// What reaches the target with chroma halved or kept: what makes the smaller file.
    fn best(&self) -> Result<(Chroma, Found), Fault> {
        if self.on(self.smallest(), Chroma::Halved).is_none() {
            return Ok((Chroma::Kept, self.search(Chroma::Kept)));
        }
        let mut ways = [Chroma::Halved, Chroma::Kept];
        let [halved, kept] = self.each(ways);
        let (halved, kept) = (halved?, kept?);
        if kept.is_some_and(|kept| halved.is_none_or(|halved| kept < halved)) {
            ways.reverse();
        }
        let first = self.search(ways[0]);
        // What promised more on the sample may not hold on the whole.
        Ok(if first.held.is_some() { (ways[0], first) } else { (ways[1], self.search(ways[1])) })
    }

    /// What [`Self::bytes_at_target`] answers, side by side where there are two threads.
    fn each(&self, ways: [Chroma; 2]) -> [Result<Option<usize>, Fault>; 2] {
        if self.budget.threads() < 2 {
            return ways.map(|way| self.bytes_at_target(way, 1));
        }
        let threads = self.budget.threads() / 2;
        std::thread::scope(|scope| {
            let first = scope.spawn(|| self.bytes_at_target(ways[0], threads));
            let second = self.bytes_at_target(ways[1], threads);
            [first.join().unwrap_or_else(|panic| resume_unwind(panic)), second]
        })
    }

    /// The sample, or else the whole.
    fn smallest(&self) -> &dyn Blocks {
        self.tiles.map_or(self.source, |tiles| tiles)
    }

    fn on<'b>(&self, source: &'b dyn Blocks, chroma: Chroma) -> Option<Recompressor<'b>> {
        Some(Recompressor::new(source, chroma, self.bits_per_pixel)?.shown_by(self.to_srgb))
    }

    /// Bytes of the sample, or else of the whole, at the coarsest step that reaches the target there.
    fn bytes_at_target(&self, chroma: Chroma, threads: usize) -> Result<Option<usize>, Fault> {
        let Some(recompressor) = self.on(self.smallest(), chroma) else { return Ok(None) };
        let score = |step| score_of(&recompressor, step, UPRIGHT, threads);
        let Near::Step(step) = approach(&self.aim(&recompressor), score, None, self.budget).near else {
            return Ok(None);
        };
        Ok(Some(recompressor.encode(&Setting::of_step(step))?.len()))
    }

    fn search(&self, chroma: Chroma) -> Found {
        let whole = self.on(self.source, chroma).map(|whole| whole.with_insets(&self.insets));
        let Some(whole) = whole else { return Found { held: None, budget_cut: false } };
        let sample = self.tiles.and_then(|tiles| self.on(tiles, chroma));
        let threads = self.budget.threads();
        let mut seen = Vec::new();
        let mut on_sample = |step| {
            let score = sample.as_ref().map_or(0.0, |sample| score_of(sample, step, UPRIGHT, threads));
            seen.push(Trial { step, score });
            score
        };
        let pixels = self.tiles.map(|tiles| tiles.layout.width * tiles.layout.height);
        let by_sample = pixels.map(|pixels| (pixels, &mut on_sample as &mut dyn FnMut(i32) -> f64));
        let mut trials = Trials {
            whole: &whole,
            ways: self,
            tried: Vec::new(),
            last: Duration::ZERO,
            budget_cut: false,
            sample: None,
        };
        let aim = self.aim(&whole);
        let Answer { near, budget_cut } = approach(&aim, |step| trials.whole_score(step), by_sample, self.budget);
        let first = match near {
            Near::Nothing => None,
            Near::Sampled(Trial { step, score }) => {
                let (setting, score) = (Setting::of_step(step), Score::of_whole(score));
                return Found { held: Some(Held { setting, score, check: Check::Sampled }), budget_cut };
            }
            Near::Step(step) => trials.tried.iter().position(|tried| tried.setting.step == step),
        };
        let Some(first) = first.map(|i| trials.tried.swap_remove(i)) else { return Found { held: None, budget_cut } };
        trials.budget_cut |= budget_cut;
        trials.sample = sample.as_ref().map(|sample| (sample, seen));
        trials.refined(&aim, first)
    }

    fn aim(&self, recompressor: &Recompressor<'_>) -> Aim {
        Aim {
            target: self.target + ROUNDING + if self.to_srgb.is_some() { OTHER_COLORS_MARGIN } else { 0.0 },
            steps: STEPS,
            slope: SLOPE,
            first: recompressor.first_step(self.target),
            pixels: self.source.layout().width * self.source.layout().height,
        }
    }
}

/// The whole's score at a step; 0 where there is none.
fn score_of(recompressor: &Recompressor<'_>, step: i32, orientation: u8, threads: usize) -> f64 {
    recompressor.score(&Setting::of_step(step), orientation, threads).map_or(0.0, |(score, _)| score.whole)
}

/// Trials of the whole.
struct Trials<'a> {
    whole: &'a Recompressor<'a>,
    ways: &'a Ways<'a>,
    tried: Vec<Tried>,
    /// How long the last one took.
    last: Duration,
    /// Whether time did not allow another.
    budget_cut: bool,
    /// A sample of the whole, and what it scored at steps with the usual dead zones.
    sample: Option<(&'a Recompressor<'a>, Vec<Trial>)>,
}

impl Trials<'_> {
    fn whole_score(&mut self, step: i32) -> f64 {
        let setting = Setting::of_step(step);
        let (score, windows) = self.scores(&setting);
        self.tried.push(Tried { setting, score, windows });
        score.at_all_scales()
    }

    fn scores(&mut self, setting: &Setting) -> (Score, Windows) {
        let begun = Instant::now();
        let scores = self.whole.score(setting, self.ways.orientation, self.ways.budget.threads());
        self.last = begun.elapsed();
        scores.unwrap_or((Score::REFUSED, Windows::NONE))
    }

    fn has_time(&mut self) -> bool {
        self.budget_cut |= !self.ways.budget.allows(self.last);
        !self.budget_cut
    }

    /// What holds everywhere, from a step that is near.
    fn refined(mut self, aim: &Aim, first: Tried) -> Found {
        let has_sample = self.ways.tiles.is_some();
        let (trials, enough) = match (has_sample, aim.pixels > MANY_PIXELS) {
            (true, true) => FEW_REFINING_TRIALS,
            (true, false) => REFINING_TRIALS,
            (false, _) => SMALL_REFINING_TRIALS,
        };
        let goal = Goal {
            target: aim.target,
            orientation: self.ways.orientation,
            finest: *STEPS.end(),
            slope: SLOPE,
            trials,
            enough,
        };
        let held = refine(&goal, first, &mut self);
        let held = held.map(|Tried { setting, score, .. }| Held { setting, score, check: Check::Whole });
        Found { held, budget_cut: self.budget_cut }
    }
}

impl refine::Trials for Trials<'_> {
    fn whole(&mut self, setting: &Setting) -> Option<(Score, Windows)> {
        self.has_time().then(|| self.scores(setting))
    }

    fn drop_of(&mut self, step: i32, even: f64) -> Option<f64> {
        let (sample, seen) = self.sample.as_ref()?;
        let before = seen.iter().find(|trial| trial.step == step)?.score;
        let setting = Setting { step, levels: Levels::over(sample.size(), even) };
        Some(before - sample.score(&setting, UPRIGHT, self.ways.budget.threads())?.0.whole)
    }

    fn parts(&mut self, setting: &Setting, known: &Windows, parts: &[Part]) -> Option<Windows> {
        if !self.has_time() {
            return None;
        }
        self.whole.score_parts(setting, self.ways.orientation, self.ways.budget.threads(), known, parts)
    }
}
