//! The search for the lightest file that reaches a score, whatever encoder writes it.
//!
//! Up to two megapixels every trial is scored whole; above that the search runs on a mosaic of the picture, and whole
//! files correct it. What is answered was always scored whole, as decoded from the finished file.

use std::ops::RangeInclusive;
use std::time::Instant;

use super::libjpeg::{self, Fault};
use crate::optimize::Budget;
use crate::optimize::score::{IDENTICAL, Reference, Rgb, ScoreError};
use crate::optimize::search::{Search, Trial, Verdict};

/// A codec with one dial.
pub trait Encoder {
    /// The dial's steps, coarse to fine.
    const STEPS: RangeInclusive<i32>;
    /// Points of score that one step brings near the usual targets.
    const SLOPE: f64;

    /// Where a score is to be expected.
    fn first_step(&self, target: f64) -> i32;

    /// # Errors
    /// [`Fault`] of the encoder.
    fn encode(&self, step: i32) -> Result<Vec<u8>, Fault>;
}

/// An encoding that reaches its target.
#[derive(Debug)]
pub struct Encoded {
    pub bytes: Vec<u8>,
    /// Of the whole picture; `None` where it was not measured.
    pub score: Option<f64>,
}

/// What an encoding must do to be of use.
#[derive(Debug, Clone, Copy)]
pub struct Aim {
    /// SSIMULACRA2 score to reach.
    pub target: f64,
    /// Bytes that the file must stay below: another candidate has as many.
    pub ceiling: usize,
}

/// Up to this many pixels every trial encodes and scores the whole picture.
pub const WHOLE_PIXELS: usize = 2_000_000;
const WHOLE_TRIALS: usize = 7;
const TILE_TRIALS: usize = 6;
const TOLERANCE: f64 = 0.5;
/// A mosaic scores higher than the picture it is from, by this much on average; the first whole score corrects it.
const MOSAIC_BIAS: f64 = 2.0;
/// Whole encodings of a large picture: the first, and those that the correction leads to.
const ROUNDS: usize = 3;
/// Above this many pixels a third round would cost seconds for about 1 % of bytes.
const TWO_ROUNDS_PIXELS: usize = 5_000_000;
/// Above this many pixels one round must do if it holds and wastes little, so it begins with a margin.
const ONE_ROUND_PIXELS: usize = 11_000_000;
const ONE_ROUND_MARGIN: f64 = 1.5;
const ONE_ROUND_WASTE: f64 = 2.5;
/// Mean difference of a channel, of 255, that recoding alone stays well below.
const MAX_DRIFT: f64 = 1.5;

/// One encoding at the first guess; no score is measured.
///
/// # Errors
/// [`Fault`] of the encoder.
pub fn encode_once<E: Encoder>(encoder: &E, target: f64) -> Result<Encoded, Fault> {
    // A first guess misses by some points: the margin keeps most files above the target all the same.
    const MARGIN: f64 = 4.0;
    let step = encoder.first_step(target + MARGIN).clamp(*E::STEPS.start(), *E::STEPS.end());
    Ok(Encoded { bytes: encoder.encode(step)?, score: None })
}

/// EXIF's value for a picture that is not turned.
pub const UPRIGHT: u8 = 1;

/// A picture that files are scored against.
pub struct Judge {
    pixels: usize,
    orientation: u8,
    reference: Reference,
}

impl Judge {
    /// `orientation` is EXIF's: pictures are scored upright.
    ///
    /// # Errors
    /// [`Fault::Codec`] where the metric cannot hold the picture.
    pub fn new(picture: Rgb, orientation: u8) -> Result<Self, Fault> {
        let pixels = picture.width * picture.height;
        Ok(Self { pixels, orientation, reference: Reference::new(picture.upright(orientation)).map_err(unscored)? })
    }

    fn score(&self, file: &[u8]) -> Result<f64, Fault> {
        let decoded = libjpeg::decode_rgb(file, u32::MAX)?.upright(self.orientation);
        self.reference.judge(&decoded, MAX_DRIFT).map_err(unscored)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "fits map_err")]
fn unscored(error: ScoreError) -> Fault {
    Fault::Codec(error.to_string())
}

/// An encoder of a sample of a picture, and what its files are scored against.
pub struct Sample<'a, E> {
    pub encoder: E,
    pub judge: &'a Judge,
}

/// The lightest encoding found that reaches the target on the whole picture; `None` where none below the ceiling does.
///
/// # Errors
/// [`Fault`] of encoder, decoder or metric.
pub fn encode_to_target<E: Encoder>(
    encoder: &E,
    judge: &Judge,
    sample: Option<&Sample<'_, E>>,
    aim: Aim,
    budget: Budget,
) -> Result<Option<Encoded>, Fault> {
    match sample {
        Some(sample) => search_by_sample(encoder, judge, sample, aim, budget),
        None => search_whole(encoder, judge, aim, budget),
    }
}

fn search_whole<E: Encoder>(encoder: &E, judge: &Judge, aim: Aim, budget: Budget) -> Result<Option<Encoded>, Fault> {
    let mut best: Option<Encoded> = None;
    let search = Search {
        steps: E::STEPS,
        first: encoder.first_step(aim.target),
        target: aim.target,
        tolerance: TOLERANCE,
        trials: WHOLE_TRIALS,
        slope: E::SLOPE,
    };
    search.run(|step| {
        let begun = Instant::now();
        let (score, hopeless) = try_whole(encoder, judge, step, aim, &mut best)?;
        Ok((score, if hopeless || !budget.allows(begun.elapsed()) { Verdict::Stop } else { Verdict::Continue }))
    })?;
    Ok(best)
}

/// Encodes and scores the whole picture, and keeps the file where it is the lightest yet that holds. Answers its score, and
/// whether finer ones are hopeless: a coarser file that is too large already leaves nothing for them.
fn try_whole<E: Encoder>(
    encoder: &E,
    judge: &Judge,
    step: i32,
    aim: Aim,
    best: &mut Option<Encoded>,
) -> Result<(f64, bool), Fault> {
    let bytes = encoder.encode(step)?;
    let score = judge.score(&bytes)?;
    let useful = bytes.len() < best.as_ref().map_or(aim.ceiling, |best| best.bytes.len());
    let holds = score >= aim.target;
    if holds && useful {
        *best = Some(Encoded { bytes, score: Some(score) });
    }
    Ok((score, !holds && !useful))
}

/// Searches on the sample; then whole encodings tell how far its scores are off, and correct the search.
fn search_by_sample<E: Encoder>(
    encoder: &E,
    judge: &Judge,
    sample: &Sample<'_, E>,
    aim: Aim,
    budget: Budget,
) -> Result<Option<Encoded>, Fault> {
    let one_round = judge.pixels > ONE_ROUND_PIXELS;
    let mut offset = MOSAIC_BIAS + if one_round { ONE_ROUND_MARGIN } else { 0.0 };
    let rounds = if judge.pixels > TWO_ROUNDS_PIXELS { ROUNDS - 1 } else { ROUNDS };
    let mut first = sample.encoder.first_step(aim.target + offset);
    let (mut best, mut on_sample, mut on_whole): (Option<Encoded>, Vec<Trial>, Vec<i32>) =
        (None, Vec::new(), Vec::new());
    for _ in 0..rounds {
        let begun = Instant::now();
        let Some(Trial { step, score: expected }) = step_on(sample, aim.target + offset, first, &mut on_sample)? else {
            break;
        };
        if on_whole.contains(&step) {
            break;
        }
        on_whole.push(step);
        let (score, hopeless) = try_whole(encoder, judge, step, aim, &mut best)?;
        let waste = if one_round { ONE_ROUND_WASTE } else { 2.0 * TOLERANCE };
        let near_enough = (aim.target..=aim.target + waste).contains(&score);
        if near_enough || hopeless || !budget.allows(begun.elapsed()) {
            break;
        }
        offset = expected - score + TOLERANCE * 0.6;
        first = step;
    }
    Ok(best)
}

/// The coarsest step that reaches the target on the sample. `known` holds what was tried in earlier rounds.
fn step_on<E: Encoder>(
    sample: &Sample<'_, E>,
    target: f64,
    first: i32,
    known: &mut Vec<Trial>,
) -> Result<Option<Trial>, Fault> {
    let target = target.min(IDENTICAL - 1.0);
    let search = Search { steps: E::STEPS, first, target, tolerance: TOLERANCE, trials: TILE_TRIALS, slope: E::SLOPE };
    search.run(|step| {
        if let Some(trial) = known.iter().find(|trial| trial.step == step) {
            return Ok((trial.score, Verdict::Continue));
        }
        let score = sample.judge.score(&sample.encoder.encode(step)?)?;
        known.push(Trial { step, score });
        Ok((score, Verdict::Continue))
    })
}
