//! The search for a step near a score, in few trials of the whole.
//!
//! Small images are scored whole at every trial. Of larger ones a sample is searched, and whole trials say how far its
//! scores are off, which corrects the search. Only where time does not allow the whole, the sample answers alone, with a
//! margin. What makes a near step hold, in every window, is [`refine`](super::refine).
//!
//! Work is bounded in trials first, so that the same input gives the same answer; by time only where the budget ends.

use std::ops::RangeInclusive;
use std::time::Instant;

use crate::optimize::Budget;
use crate::optimize::quality::score::IDENTICAL;
use crate::optimize::quality::search::{Search, Trial, Verdict};

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

impl Aim {
    /// The coarsest step found that reaches the target by `trial`.
    pub fn coarsest(&self, first: i32, trials: usize, trial: impl FnMut(i32) -> (f64, Verdict)) -> Option<Trial> {
        self.coarsest_for(self.target, first, trials, trial)
    }

    fn coarsest_for(
        &self,
        target: f64,
        first: i32,
        trials: usize,
        mut trial: impl FnMut(i32) -> (f64, Verdict),
    ) -> Option<Trial> {
        // What corrects a sample may ask for more than there is, but never lower the promise.
        let target = target.min((IDENTICAL - 1.0).max(self.target));
        let search =
            Search { steps: self.steps.clone(), first, target, tolerance: TOLERANCE, trials, slope: self.slope };
        let found: Result<_, std::convert::Infallible> = search.run(|step| Ok(trial(step)));
        found.unwrap_or_else(|never| match never {})
    }
}

/// The answer of a search.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Answer {
    pub near: Near,
    /// Whether time ended the search before it was done.
    pub budget_cut: bool,
}

/// Where a search came out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Near {
    /// No step reaches the target.
    Nothing,
    /// The whole was tried at this step, and scores near the target, or above it where nothing nearer was found.
    Step(i32),
    /// The sample alone says that a step reaches the target: the step, and the whole's score as the sample predicts it.
    Sampled(Trial),
}

/// Whole trials at the most, where each is one.
pub const WHOLE_TRIALS: usize = 7;
/// A score this much above the target is near enough for a search.
const TOLERANCE: f64 = 0.5;
const SAMPLE_TRIALS: usize = 6;
/// Whole trials of a large image at the most, and how near the target they must come.
const ROUNDS: usize = 3;
const NEAR: f64 = 1.2;
/// A mosaic scores higher than the image it is from, by this much on average.
const MOSAIC_BIAS: f64 = 2.0;
/// What the sample must show above the target, its bias included, where it answers alone. Of 28 photographs from 1.5 to
/// 22 MP the whole scored 0.7 above what the sample foretold (standard deviation 0.75), and 1.5 below at the worst.
const MARGIN: f64 = MOSAIC_BIAS + 1.5;

/// A part of an image to search on: its pixels, and the score of a step.
pub type SampleOf<'a> = (usize, &'a mut dyn FnMut(i32) -> f64);

/// Searches for a step at which the whole scores near the target. `whole` and the sample score a step.
pub fn approach(aim: &Aim, mut whole: impl FnMut(i32) -> f64, sample: Option<SampleOf<'_>>, budget: Budget) -> Answer {
    match sample {
        Some((pixels, sample)) => by_sample(aim, &mut whole, &mut Sample::new(pixels, sample), budget),
        None => by_whole(aim, &mut whole, budget),
    }
}

fn by_whole(aim: &Aim, whole: &mut impl FnMut(i32) -> f64, budget: Budget) -> Answer {
    let mut budget_cut = false;
    let found = aim.coarsest(aim.first, WHOLE_TRIALS, |step| {
        let begun = Instant::now();
        let score = whole(step);
        budget_cut = !budget.allows(begun.elapsed());
        (score, if budget_cut { Verdict::Stop } else { Verdict::Continue })
    });
    Answer { near: found.map_or(Near::Nothing, |trial| Near::Step(trial.step)), budget_cut }
}

fn by_sample(aim: &Aim, whole: &mut impl FnMut(i32) -> f64, sample: &mut Sample<'_>, budget: Budget) -> Answer {
    let mut offset = MOSAIC_BIAS;
    let mut nearest: Option<Trial> = None;
    let distance = |trial: &Trial| (trial.score - aim.target).abs();
    for _ in 0..ROUNDS {
        let first = nearest.map_or(aim.first, |trial| trial.step);
        let Some(expected) = sample.coarsest(aim, aim.target + offset, first) else { break };
        if nearest.is_some_and(|nearest| nearest.step == expected.step) {
            break;
        }
        if !budget.allows(sample.time_of(aim.pixels)) {
            let mut alone = || sample.coarsest(aim, aim.target + MARGIN, first);
            let sampled = |trial: Trial| Near::Sampled(Trial { score: trial.score - MOSAIC_BIAS, ..trial });
            let near = match nearest {
                Some(trial) => Near::Step(trial.step),
                None => alone().map_or(Near::Nothing, sampled),
            };
            return Answer { near, budget_cut: true };
        }
        let tried = Trial { step: expected.step, score: whole(expected.step) };
        offset = expected.score - tried.score;
        if nearest.is_none_or(|nearest| distance(&tried) < distance(&nearest)) {
            nearest = Some(tried);
        }
        if distance(&tried) <= NEAR {
            break;
        }
    }
    Answer { near: nearest.map_or(Near::Nothing, |trial| Near::Step(trial.step)), budget_cut: false }
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
        aim.coarsest_for(target, first, SAMPLE_TRIALS, |step| {
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
            curve(step)
        };
        let answer = approach(aim, whole, Some((600_000, &mut sample)), budget);
        (answer, trials)
    }

    fn step(answer: Answer) -> i32 {
        let Near::Step(step) = answer.near else { panic!("{answer:?}") };
        step
    }

    #[test]
    fn sample_that_is_off_is_corrected_by_whole_trials() {
        for bias in [-2.0, 0.0, 2.0, 5.0] {
            let (answer, trials) = run(&AIM, bias, Budget::UNLIMITED);
            let score = curve(step(answer));
            assert!((73.8..76.2).contains(&score) && trials <= 2, "{score} in {trials}, bias {bias}");
            assert!(!answer.budget_cut);
        }
    }

    #[test]
    fn every_trial_is_whole_without_a_sample() {
        let score = curve(step(approach(&AIM, curve, None, Budget::UNLIMITED)));
        assert!((75.0..75.8).contains(&score), "{score}");
    }

    #[test]
    fn sample_answers_with_a_margin_where_time_ends() {
        let (answer, trials) = run(&AIM, 2.0, Budget::lasting(Duration::ZERO));
        let Near::Sampled(trial) = answer.near else { panic!("{answer:?}") };
        assert_eq!((answer.budget_cut, trials), (true, 0));
        assert!((76.0..78.5).contains(&curve(trial.step)), "{trial:?}");
    }

    #[test]
    fn target_near_the_top_is_not_lowered() {
        let near = |score: f64| approach(&Aim { target: 99.5, ..AIM }, |_| score, None, Budget::UNLIMITED).near;
        assert_eq!(near(99.4), Near::Nothing);
        assert_ne!(near(99.6), Near::Nothing);
    }

    #[test]
    fn unreachable_target_is_nothing() {
        assert_eq!(approach(&AIM, |_| 50.0, None, Budget::UNLIMITED).near, Near::Nothing);
        let mut sample = |_| 50.0;
        assert_eq!(approach(&AIM, |_| 50.0, Some((1, &mut sample)), Budget::UNLIMITED).near, Near::Nothing);
    }
}
