//! The pixel domain: decode, encode with mozjpeg at the coarsest quality whose score still holds.

use std::time::Instant;

use super::libjpeg::{self, Fault, Planes};
use super::mosaic::Mosaic;
use crate::optimize::Budget;
use crate::optimize::score::{IDENTICAL, Reference, Rgb};
use crate::optimize::search::{Search, Trial, Verdict};

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
    pub max_scans: u32,
    /// EXIF's: pictures are scored upright.
    pub orientation: u8,
}

/// Half steps of libjpeg's quality: 196 is quality 98, 24 is quality 12.
const COARSEST: i32 = 24;
const FINEST: i32 = 196;
/// Up to this many pixels every trial encodes and scores the whole picture.
const WHOLE_PIXELS: usize = 2_000_000;
const WHOLE_TRIALS: usize = 7;
const TILE_TRIALS: usize = 6;
const TOLERANCE: f64 = 0.5;
/// Points of score that half a step of quality brings near the usual targets; measured on photographs.
const SLOPE: f64 = 0.3;
/// A mosaic scores higher than the picture it is from, by this much on average; the first whole score corrects it.
const MOSAIC_BIAS: f64 = 2.0;
/// Whole encodings of a large picture: the first, and those that the correction leads to.
const ROUNDS: usize = 3;
/// Above this many pixels a third round would cost seconds for about 1 % of bytes.
const TWO_ROUNDS_PIXELS: usize = 5_000_000;
/// Above this many pixels one round must do if it holds, so it begins with a margin.
const ONE_ROUND_PIXELS: usize = 11_000_000;
const ONE_ROUND_MARGIN: f64 = 1.5;

/// The table scale, in percent, of a step (jcparam.c, `jpeg_quality_scaling`, at half a quality's grain).
fn scale_of(step: i32) -> u16 {
    let scale = if step < 100 { 10_000 / step } else { 200 - step };
    (scale as u16).clamp(libjpeg::FINEST_SCALE, libjpeg::COARSEST_SCALE)
}

/// Where to begin, from the target alone: the median over photographs.
fn first_step(target: f64) -> i32 {
    (142.0 + (target - 75.0) * 2.4).round() as i32
}

/// One encoding at the first guess; no score is measured.
///
/// # Errors
/// [`Fault`] of the encoder.
pub fn encode_once(planes: &Planes, aim: Aim) -> Result<Encoded, Fault> {
    // A first guess misses by some points: the margin keeps most files above the target all the same.
    const MARGIN: f64 = 4.0;
    let step = first_step(aim.target + MARGIN).clamp(COARSEST, FINEST);
    Ok(Encoded { bytes: libjpeg::encode(planes, scale_of(step))?, score: None })
}

/// The lightest encoding found that reaches the target on the whole picture; `None` where none below the ceiling does.
/// `planes` are the source's own.
///
/// # Errors
/// [`Fault`] of the decoder.
pub fn encode_to_target(source: &[u8], planes: Planes, aim: Aim, budget: Budget) -> Result<Option<Encoded>, Fault> {
    let picture = libjpeg::decode_rgb(source, aim.max_scans)?;
    let large = picture.width * picture.height > WHOLE_PIXELS;
    if let Some(mosaic) = large.then(|| Mosaic::of(&planes, &picture)).flatten() {
        let mosaic = Subject::new(mosaic.planes, mosaic.picture, UPRIGHT)?;
        return search_by_mosaic(&Subject::new(planes, picture, aim.orientation)?, &mosaic, aim, budget);
    }
    search_whole(&Subject::new(planes, picture, aim.orientation)?, aim, budget)
}

/// A picture to encode, and what its encodings are scored against.
struct Subject {
    planes: Planes,
    orientation: u8,
    reference: Reference,
}

const UPRIGHT: u8 = 1;
/// Mean difference of a channel, of 255, that recoding alone stays well below.
const MAX_DRIFT: f64 = 1.5;

impl Subject {
    fn new(planes: Planes, picture: Rgb, orientation: u8) -> Result<Self, Fault> {
        let reference =
            Reference::new(picture.upright(orientation)).map_err(|error| Fault::Codec(error.to_string()))?;
        Ok(Self { planes, orientation, reference })
    }

    fn pixels(&self) -> usize {
        self.planes.width * self.planes.height
    }

    fn encode(&self, step: i32) -> Result<(Vec<u8>, f64), Fault> {
        let bytes = libjpeg::encode(&self.planes, scale_of(step))?;
        let decoded = libjpeg::decode_rgb(&bytes, u32::MAX)?.upright(self.orientation);
        let score = self.reference.judge(&decoded, MAX_DRIFT).map_err(|error| Fault::Codec(error.to_string()))?;
        Ok((bytes, score))
    }
}

fn search_whole(subject: &Subject, aim: Aim, budget: Budget) -> Result<Option<Encoded>, Fault> {
    let mut best: Option<Encoded> = None;
    let search = Search {
        steps: COARSEST..=FINEST,
        first: first_step(aim.target),
        target: aim.target,
        tolerance: TOLERANCE,
        trials: WHOLE_TRIALS,
        slope: SLOPE,
    };
    search.run(|step| {
        let begun = Instant::now();
        let (bytes, score) = subject.encode(step)?;
        let useful = bytes.len() < best.as_ref().map_or(aim.ceiling, |best| best.bytes.len());
        if score >= aim.target && useful {
            best = Some(Encoded { bytes, score: Some(score) });
        }
        // A coarser file that is too large already leaves nothing for a finer one.
        let hopeless = score < aim.target && !useful;
        Ok((score, if hopeless || !budget.allows(begun.elapsed()) { Verdict::Stop } else { Verdict::Continue }))
    })?;
    Ok(best)
}

/// Searches on the mosaic; then whole encodings tell how far its scores are off, and correct the search.
fn search_by_mosaic(whole: &Subject, mosaic: &Subject, aim: Aim, budget: Budget) -> Result<Option<Encoded>, Fault> {
    let one_round = whole.pixels() > ONE_ROUND_PIXELS;
    let mut offset = MOSAIC_BIAS + if one_round { ONE_ROUND_MARGIN } else { 0.0 };
    let rounds = if whole.pixels() > TWO_ROUNDS_PIXELS { ROUNDS - 1 } else { ROUNDS };
    let mut first = first_step(aim.target);
    let (mut best, mut on_mosaic, mut on_whole): (Option<Encoded>, Vec<Trial>, Vec<i32>) =
        (None, Vec::new(), Vec::new());
    for _ in 0..rounds {
        let begun = Instant::now();
        let Some(Trial { step, score: expected }) = step_on(mosaic, aim.target + offset, first, &mut on_mosaic)? else {
            break;
        };
        if on_whole.contains(&step) {
            break;
        }
        on_whole.push(step);
        let (bytes, score) = whole.encode(step)?;
        let useful = bytes.len() < best.as_ref().map_or(aim.ceiling, |best| best.bytes.len());
        let holds = score >= aim.target;
        if holds && useful {
            best = Some(Encoded { bytes, score: Some(score) });
        }
        let near_enough = holds && (score <= aim.target + 2.0 * TOLERANCE || one_round);
        let hopeless = !holds && !useful;
        if near_enough || hopeless || !budget.allows(begun.elapsed()) {
            break;
        }
        offset = expected - score + TOLERANCE * 0.6;
        first = step;
    }
    Ok(best)
}

/// The coarsest step that reaches the target on the mosaic. `known` holds what was tried in earlier rounds.
fn step_on(mosaic: &Subject, target: f64, first: i32, known: &mut Vec<Trial>) -> Result<Option<Trial>, Fault> {
    let target = target.min(IDENTICAL - 1.0);
    let search =
        Search { steps: COARSEST..=FINEST, first, target, tolerance: TOLERANCE, trials: TILE_TRIALS, slope: SLOPE };
    search.run(|step| {
        if let Some(trial) = known.iter().find(|trial| trial.step == step) {
            return Ok((trial.score, Verdict::Continue));
        }
        let (_, score) = mosaic.encode(step)?;
        known.push(Trial { step, score });
        Ok((score, Verdict::Continue))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_fall_as_steps_rise() {
        assert_eq!((scale_of(100), scale_of(150), scale_of(COARSEST), scale_of(FINEST)), (100, 50, 400, 4));
        assert!((COARSEST..FINEST).all(|step| scale_of(step) >= scale_of(step + 1)));
    }
}
