//! The search for the coarsest step that reaches a score, in few trials.
//!
//! Small images are scored whole at every trial. Of larger ones a sample is searched, and whole trials say how far its
//! scores are off, which corrects the search; what is answered was scored whole. Only where the whole costs too much,
//! by its size or for want of time, the sample answers alone, with a margin.
//!
//! Work is bounded in trials first, so that the same input gives the same answer; by time only where the budget ends.

use std::ops::RangeInclusive;
use std::time::Instant;

use crate::optimize::Budget;
use crate::optimize::outcome::Check;
use crate::optimize::score::{IDENTICAL, Score};
use crate::optimize::search::{Search, Trial, Verdict};

/// What is searched for, and along which dial.
#[derive(Debug, Clone)]
pub struct Aim {
    /// SSIMULACRA2 score to reach.
    pub target: f64,
    /// Steps of the dial, coarse to fine.
    pub steps: RangeInclusive<i32>,
    /// Points of score that one step brings near the usual targets.
    pub slope: f64,
    /// Where to begin.
    pub first: i32,
    /// Pixels of the whole.
    pub pixels: usize,
}

/// The answer of a search.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Answer {
    /// The coarsest step found that reaches the target.
    pub found: Option<Found>,
    /// Whether time ended the search before it was done.
    pub budget_cut: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    pub step: i32,
    /// Of the whole, or as the sample predicts it.
    pub score: Score,
    pub check: Check,
}

/// A score this much above the target is near enough.
pub const TOLERANCE: f64 = 0.5;
/// The floor is a promise by anyone's arithmetic: decoders and metrics differ by a few hundredths.
const ROUNDING: f64 = 0.05;
const WHOLE_TRIALS: usize = 7;
const SAMPLE_TRIALS: usize = 6;
/// Whole trials of a large image at the most.
const ROUNDS: i32 = 4;
/// Points of score that another whole trial must promise to come nearer, where there is an answer already.
const LEAST_GAIN: f64 = 0.25;
/// A mosaic scores higher than the image it is from, by this much on average.
const MOSAIC_BIAS: f64 = 2.0;
/// Above this many pixels a whole trial costs too much: the sample answers alone.
const WHOLE_PIXELS: usize = 40_000_000;
/// What the sample must show above the target, its bias included, where it answers alone. Of 28 photographs from 1.5 to
/// 22 MP the whole scored 0.7 above what the sample foretold (standard deviation 0.75), and 1.5 below at the worst.
const MARGIN: f64 = MOSAIC_BIAS + 1.5;

/// Searches. `whole` and `sample` score a step; the sample comes with its number of pixels.
pub fn search(
    aim: &Aim,
    mut whole: impl FnMut(i32) -> Score,
    sample: Option<(usize, &mut dyn FnMut(i32) -> f64)>,
    budget: Budget,
) -> Answer {
    match sample {
        Some((pixels, sample)) => by_sample(aim, &mut whole, &mut Sample::new(pixels, sample), budget),
        None => by_whole(aim, &mut whole, budget),
    }
}

fn by_whole(aim: &Aim, whole: &mut impl FnMut(i32) -> Score, budget: Budget) -> Answer {
    let mut budget_cut = false;
    let mut scores = Vec::new();
    let found = aim.coarsest(aim.target + ROUNDING, aim.first, WHOLE_TRIALS, |step| {
        let begun = Instant::now();
        let score = whole(step);
        scores.push((step, score));
        budget_cut = !budget.allows(begun.elapsed());
        (score.effective(aim.target), if budget_cut { Verdict::Stop } else { Verdict::Continue })
    });
    let score_of = |step| scores.iter().find(|(tried, _)| *tried == step).map(|(_, score)| *score);
    let found =
        found.and_then(|trial| Some(Found { step: trial.step, score: score_of(trial.step)?, check: Check::Whole }));
    Answer { found, budget_cut }
}

fn by_sample(aim: &Aim, whole: &mut impl FnMut(i32) -> Score, sample: &mut Sample<'_>, budget: Budget) -> Answer {
    if aim.pixels > WHOLE_PIXELS {
        return Answer { found: alone(aim, sample, aim.first), budget_cut: false };
    }
    let mut offset = MOSAIC_BIAS;
    let (mut best, mut before): (Option<Found>, Option<Trial>) = (None, None);
    for round in 0..ROUNDS {
        let first = before.map_or(aim.first, |trial| trial.step);
        let Some(expected) = sample.coarsest(aim, aim.target + offset, first) else { break };
        let is_near = |before: Trial| (before.score - expected.score).abs() < LEAST_GAIN;
        if before.is_some_and(|before| before.step == expected.step || best.is_some() && is_near(before)) {
            break;
        }
        if !budget.allows(sample.time_of(aim.pixels)) {
            return Answer { found: best.or_else(|| alone(aim, sample, first)), budget_cut: true };
        }
        let seen = whole(expected.step);
        let score = seen.effective(aim.target);
        if score >= aim.target + ROUNDING && best.is_none_or(|best| expected.step < best.step) {
            best = Some(Found { step: expected.step, score: seen, check: Check::Whole });
        }
        if (aim.target + ROUNDING..=aim.target + TOLERANCE * 1.5).contains(&score) {
            break;
        }
        // Where corrections fall short time and again, the next one is more careful.
        offset = expected.score - score + ROUNDING + TOLERANCE * (0.5 + 0.5 * f64::from(round));
        before = Some(expected);
    }
    Answer { found: best, budget_cut: false }
}

/// What the sample answers without the whole.
fn alone(aim: &Aim, sample: &mut Sample<'_>, first: i32) -> Option<Found> {
    let trial = sample.coarsest(aim, aim.target + MARGIN, first)?;
    Some(Found { step: trial.step, score: Score::of_whole(trial.score - MOSAIC_BIAS), check: Check::Sampled })
}

impl Aim {
    /// The coarsest step found that reaches a score by `trial`.
    fn coarsest(
        &self,
        target: f64,
        first: i32,
        trials: usize,
        mut trial: impl FnMut(i32) -> (f64, Verdict),
    ) -> Option<Trial> {
        // What corrects a sample may ask for more than there is, but never lower the promise.
        let target = target.min((IDENTICAL - 1.0).max(self.target + ROUNDING));
        let search =
            Search { steps: self.steps.clone(), first, target, tolerance: TOLERANCE, trials, slope: self.slope };
        let found: Result<_, std::convert::Infallible> = search.run(|step| Ok(trial(step)));
        found.unwrap_or_else(|never| match never {})
    }
}

/// The sample, and what was tried on it.
struct Sample<'a> {
    pixels: usize,
    score: &'a mut dyn FnMut(i32) -> f64,
    known: Vec<Trial>,
    /// Seconds that the last trial took.
    seconds: f64,
}

impl<'a> Sample<'a> {
    fn new(pixels: usize, score: &'a mut dyn FnMut(i32) -> f64) -> Self {
        Self { pixels, score, known: Vec::new(), seconds: 0.0 }
    }

    fn coarsest(&mut self, aim: &Aim, target: f64, first: i32) -> Option<Trial> {
        aim.coarsest(target, first, SAMPLE_TRIALS, |step| {
            if let Some(trial) = self.known.iter().find(|trial| trial.step == step) {
                return (trial.score, Verdict::Continue);
            }
            let begun = Instant::now();
            let score = (self.score)(step);
            self.seconds = begun.elapsed().as_secs_f64();
            self.known.push(Trial { step, score });
            (score, Verdict::Continue)
        })
    }

    /// How long a trial of so many pixels should take.
    fn time_of(&self, pixels: usize) -> std::time::Duration {
        std::time::Duration::from_secs_f64(self.seconds * pixels as f64 / self.pixels.max(1) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const AIM: Aim = Aim { target: 75.0, steps: 20..=400, slope: 0.175, first: 280, pixels: 3_000_000 };

    fn curve(step: i32) -> f64 {
        40.0 + 0.15 * f64::from(step)
    }

    /// Runs with a sample that scores `bias` above the whole; answers whole trials as well.
    fn run(aim: &Aim, bias: f64, budget: Budget) -> (Answer, usize) {
        let mut trials = 0;
        let mut sample = |step| curve(step) + bias + 0.3 * (f64::from(step) / 7.0).sin();
        let whole = |step| {
            trials += 1;
            Score::of_whole(curve(step))
        };
        let answer = search(aim, whole, Some((600_000, &mut sample)), budget);
        (answer, trials)
    }

    #[test]
    fn a_sample_that_is_off_is_corrected_by_whole_trials() {
        for bias in [-2.0, 0.0, 2.0, 5.0] {
            let (answer, trials) = run(&AIM, bias, Budget::UNLIMITED);
            let found = answer.found.unwrap();
            assert!((75.0..76.5).contains(&found.score.whole) && trials <= 3, "{found:?} in {trials}, bias {bias}");
            assert_eq!((found.check, answer.budget_cut), (Check::Whole, false));
            assert!((curve(found.step) - found.score.whole).abs() < 1e-9);
        }
    }

    #[test]
    fn without_a_sample_every_trial_is_whole() {
        let found = search(&AIM, |step| Score::of_whole(curve(step)), None, Budget::UNLIMITED).found.unwrap();
        assert!((75.0..75.8).contains(&found.score.whole) && found.check == Check::Whole, "{found:?}");
    }

    #[test]
    fn where_the_whole_costs_too_much_the_sample_answers_with_a_margin() {
        let (answer, trials) = run(&Aim { pixels: 100_000_000, ..AIM }, 2.0, Budget::UNLIMITED);
        let found = answer.found.unwrap();
        assert_eq!((found.check, answer.budget_cut, trials), (Check::Sampled, false, 0));
        assert!((76.5..78.5).contains(&curve(found.step)), "{found:?}");
    }

    #[test]
    fn where_time_ends_the_answer_says_so() {
        let (answer, trials) = run(&AIM, 2.0, Budget::lasting(Duration::ZERO));
        assert_eq!((answer.found.unwrap().check, answer.budget_cut, trials), (Check::Sampled, true, 0));
    }

    #[test]
    fn a_target_near_the_top_is_not_lowered() {
        let found = |score: f64| {
            search(&Aim { target: 99.5, ..AIM }, |_| Score::of_whole(score), None, Budget::UNLIMITED).found
        };
        assert_eq!(found(99.5), None);
        assert!(found(99.6).is_some());
    }

    #[test]
    fn an_unreachable_target_is_none() {
        assert_eq!(search(&AIM, |_| Score::of_whole(50.0), None, Budget::UNLIMITED).found, None);
        let mut sample = |_| 50.0;
        assert_eq!(search(&AIM, |_| Score::of_whole(50.0), Some((1, &mut sample)), Budget::UNLIMITED).found, None);
    }
}
