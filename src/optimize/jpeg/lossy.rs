//! The lossy ways: requantize with chroma halved or with every grid kept, or, where there is no recipe for that, encode
//! decoded planes.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::about::About;
use super::insets;
use super::levels::Levels;
use super::libjpeg::{Coded, Fault, Written};
use super::orientation::UPRIGHT;
use super::pixels::Pixels;
use super::recompress::{Chroma, InPlace, Recompressor, SLOPE, STEPS, Setting};
use super::refine::{self, Goal, Tried, refine};
use super::sample;
use super::target::{Aim, Answer, Near, WHOLE_TRIALS, approach};
use crate::optimize::candidate::Candidate;
use crate::optimize::color::ToSrgb;
use crate::optimize::jpeg::dct::coefficients::{Blocks, Coefficients};
use crate::optimize::outcome::Check;
use crate::optimize::quality::insets::Inset;
use crate::optimize::quality::score::{Judge, ROUNDING, Score};
use crate::optimize::quality::search::{Trial, Verdict};
use crate::optimize::quality::ssimulacra2::{Part, Windows};
use crate::optimize::{Budget, Method};

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
    let recompressor = [Chroma::Halved, Chroma::Kept]
        .into_iter()
        .find_map(|chroma| Recompressor::new(&source, chroma, bits_per_pixel));
    if let Some(recompressor) = recompressor {
        let step = recompressor.first_step(target + MARGIN);
        let made = Made::by(&recompressor, &Setting::of_step(step))?;
        drop(recompressor);
        return Ok(
            write(source, made)?.map_or(Lossy::NOTHING, |bytes| Lossy::unmeasured(bytes, Method::JpegCoefficients))
        );
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
    if !Recompressor::has_recipe(source.layout()) {
        return in_pixels(about, target, budget);
    }
    let tiles = sample::of(&source);
    let About { orientation, to_srgb, .. } = about;
    let insets = insets::of(&source, orientation, to_srgb.map(AsRef::as_ref));
    let tiles = tiles.as_ref();
    let ways = Ways { source: &source, tiles, insets, bits_per_pixel, target, orientation, to_srgb, budget };
    let Found { held, budget_cut } = ways.best()?;
    let Some(Held { whole, setting, score, check }) = held else { return Ok(Lossy { budget_cut, ..Lossy::NOTHING }) };
    let made = Made::by(&whole, &setting)?;
    drop(whole);
    Ok(match write(source, made)? {
        Some(bytes) => Lossy::measured(bytes, Method::JpegCoefficients, score, check, budget_cut),
        None => Lossy { budget_cut, ..Lossy::NOTHING },
    })
}

/// What a setting makes of a source.
enum Made {
    /// Nothing would be lost, so that a transcode does as well.
    Nothing,
    /// To be written in the source's own arrays.
    InPlace(InPlace),
    Apart(Written),
}

impl Made {
    fn by(recompressor: &Recompressor<'_>, setting: &Setting) -> Result<Self, Fault> {
        if recompressor.is_lossless_at(setting.step) {
            return Ok(Self::Nothing);
        }
        match recompressor.in_place(setting) {
            Some(in_place) => Ok(Self::InPlace(in_place)),
            None => recompressor.encode(setting).map(Self::Apart),
        }
    }
}

/// The file of what was made of a source; `None` where that is nothing.
fn write(source: Coded<'_>, made: Made) -> Result<Option<Vec<u8>>, Fault> {
    let written = match made {
        Made::Nothing => return Ok(None),
        Made::InPlace(in_place) => in_place.write(source)?,
        Made::Apart(written) => {
            drop(source);
            written
        }
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
struct Found<'a> {
    held: Option<Held<'a>>,
    budget_cut: bool,
}

/// A setting that holds, and how that is known.
struct Held<'a> {
    whole: Recompressor<'a>,
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

/// What is known of a way from the sample, or else from the whole, in its stored orientation.
#[derive(Default)]
struct Known {
    /// At the coarsest step that reaches the target there.
    bytes: Option<usize>,
    /// Steps, and how long the last one took.
    tried: Vec<Tried>,
    last: Duration,
}

impl Known {
    fn at(&self, step: i32) -> Option<&Tried> {
        self.tried.iter().find(|tried| tried.setting.step == step)
    }

    /// The score of a step, tried now where it was not before; 0 where there is none.
    fn score(&mut self, recompressor: &Recompressor<'_>, step: i32, threads: usize) -> f64 {
        if let Some(tried) = self.at(step) {
            return tried.score.whole;
        }
        let begun = Instant::now();
        let setting = Setting::of_step(step);
        let Some((score, windows)) = recompressor.score(&setting, UPRIGHT, threads) else { return 0.0 };
        self.last = begun.elapsed();
        self.tried.push(Tried { setting, score, windows });
        score.whole
    }
}

impl<'a> Ways<'a> {
    /// What reaches the target with chroma halved or kept: what makes the smaller file.
    fn best(&self) -> Result<Found<'a>, Fault> {
        if self.on(self.smallest(), Chroma::Halved).is_none() {
            return Ok(self.search(Chroma::Kept, Known::default()));
        }
        let [halved, kept] = self.each([Chroma::Halved, Chroma::Kept]);
        let mut ways = [(Chroma::Halved, halved?), (Chroma::Kept, kept?)];
        let [halved, kept] = ways.each_ref().map(|(_, known)| known.bytes);
        if kept.is_some_and(|kept| halved.is_none_or(|halved| kept < halved)) {
            ways.reverse();
        }
        let [first, second] = ways.map(|(chroma, known)| move || self.search(chroma, known));
        let found = first();
        // What promised more on the sample may not hold on the whole.
        Ok(if found.held.is_some() { found } else { second() })
    }

    /// What [`Self::at_target`] answers, side by side where there are two threads.
    fn each(&self, ways: [Chroma; 2]) -> [Result<Known, Fault>; 2] {
        if self.budget.threads() < 2 {
            return ways.map(|way| self.at_target(way, 1));
        }
        let threads = self.budget.threads() / 2;
        std::thread::scope(|scope| {
            let first = scope.spawn(|| self.at_target(ways[0], threads));
            let second = self.at_target(ways[1], threads);
            [first.join().unwrap_or_else(|panic| resume_unwind(panic)), second]
        })
    }

    /// The sample, or else the whole.
    fn smallest(&self) -> &'a dyn Blocks {
        self.tiles.map_or(self.source, |tiles| tiles)
    }

    fn whole(&self, chroma: Chroma) -> Option<Recompressor<'a>> {
        Some(self.on(self.source, chroma)?.with_insets(&self.insets))
    }

    fn on<'b>(&self, source: &'b dyn Blocks, chroma: Chroma) -> Option<Recompressor<'b>> {
        Some(Recompressor::new(source, chroma, self.bits_per_pixel)?.shown_by(self.to_srgb))
    }

    /// The coarsest step that reaches the target on the sample, or else on the whole.
    fn at_target(&self, chroma: Chroma, threads: usize) -> Result<Known, Fault> {
        let mut known = Known::default();
        let recompressor = match self.tiles {
            // As the search that follows has it, so that its trials may be taken over.
            None if self.orientation == UPRIGHT => self.whole(chroma),
            _ => self.on(self.smallest(), chroma),
        };
        let Some(recompressor) = recompressor else { return Ok(known) };
        let score = |step| known.score(&recompressor, step, threads);
        if let Near::Step(step) = approach(&self.aim(&recompressor), score, None, self.budget).near {
            known.bytes = Some(recompressor.encode(&Setting::of_step(step))?.len());
        }
        Ok(known)
    }

    fn search(&self, chroma: Chroma, mut known: Known) -> Found<'a> {
        let Some(whole) = self.whole(chroma) else { return Found { held: None, budget_cut: false } };
        let sample = self.tiles.and_then(|tiles| self.on(tiles, chroma));
        let threads = self.budget.threads();
        let mut trials = Trials {
            whole: &whole,
            ways: self,
            tried: Vec::new(),
            last: Duration::ZERO,
            budget_cut: false,
            sample: None,
        };
        if sample.is_none() && self.orientation == UPRIGHT {
            trials.last = known.last;
            trials.tried = std::mem::take(&mut known.tried);
        }
        let mut on_sample = |step| sample.as_ref().map_or(0.0, |sample| known.score(sample, step, threads));
        let pixels = self.tiles.map(|tiles| tiles.layout.width * tiles.layout.height);
        let by_sample = pixels.map(|pixels| (pixels, &mut on_sample as &mut dyn FnMut(i32) -> f64));
        let aim = self.aim(&whole);
        let Answer { near, budget_cut } = approach(&aim, |step| trials.whole_score(step), by_sample, self.budget);
        let (tried, check, budget_cut) = match near {
            Near::Nothing => (None, Check::Whole, budget_cut),
            Near::Sampled(Trial { step, score }) => {
                (Some((Setting::of_step(step), Score::of_whole(score))), Check::Sampled, budget_cut)
            }
            Near::Step(step) => {
                trials.sample = sample.as_ref().map(|sample| (sample, known));
                let (tried, cut) = trials.refined(&aim, step);
                (tried.map(|tried| (tried.setting, tried.score)), Check::Whole, budget_cut || cut)
            }
        };
        let held = tried.map(|(setting, score)| Held { whole, setting, score, check });
        Found { held, budget_cut }
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
    sample: Option<(&'a Recompressor<'a>, Known)>,
}

impl Trials<'_> {
    fn whole_score(&mut self, step: i32) -> f64 {
        if let Some(tried) = self.tried.iter().find(|tried| tried.setting.step == step) {
            return tried.score.at_all_scales();
        }
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

    /// What holds everywhere, from a step near the target that was tried, and whether time ended the search early.
    fn refined(mut self, aim: &Aim, step: i32) -> (Option<Tried>, bool) {
        let Some(first) = self.tried.iter().position(|tried| tried.setting.step == step) else { return (None, false) };
        let first = self.tried.swap_remove(first);
        let has_sample = self.ways.tiles.is_some();
        let (trials, enough) = match (has_sample, aim.pixels > MANY_PIXELS) {
            (true, true) => FEW_REFINING_TRIALS,
            (true, false) => REFINING_TRIALS,
            (false, _) => SMALL_REFINING_TRIALS,
        };
        let goal =
            Goal { target: aim.target, orientation: self.ways.orientation, steps: STEPS, slope: SLOPE, trials, enough };
        (refine(&goal, first, &mut self), self.budget_cut)
    }
}

impl refine::Trials for Trials<'_> {
    fn whole(&mut self, setting: &Setting) -> Option<(Score, Windows)> {
        self.has_time().then(|| self.scores(setting))
    }

    fn drop_of(&mut self, step: i32, even: f64) -> Option<f64> {
        let (sample, known) = self.sample.as_ref()?;
        let before = known.at(step)?.score.whole;
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
