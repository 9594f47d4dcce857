//! The search for the coarsest coding that still reaches a score: bracketed, interpolating, bounded in trials.

use std::ops::RangeInclusive;

/// What a search asks of its trials: they are costly, so few of them must do.
#[derive(Debug, Clone)]
pub struct Search {
    /// Steps of quality, coarse to fine.
    pub steps: RangeInclusive<i32>,
    /// Where to begin.
    pub first: i32,
    /// The score to reach.
    pub target: f64,
    /// A score this much above the target is near enough.
    pub tolerance: f64,
    /// How many trials at the most.
    pub trials: usize,
    /// Points of score that one step brings, for the first step away from `first`.
    pub slope: f64,
}

/// One coding, tried.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trial {
    pub step: i32,
    pub score: f64,
}

/// What to do after a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Continue,
    /// No further trial is of use, or affordable: what holds so far is the answer.
    Stop,
}

impl Search {
    /// The coarsest trial found that reaches the target, or `None`. `trial` answers a step's score.
    ///
    /// # Errors
    /// The first error of `trial`.
    pub fn run<E>(&self, mut trial: impl FnMut(i32) -> Result<(f64, Verdict), E>) -> Result<Option<Trial>, E> {
        let (mut short, mut holds): (Option<Trial>, Option<Trial>) = (None, None);
        let mut slope = self.slope;
        // Interpolation that ends twice on one side creeps along a bend of the curve: halving the bracket does not.
        let mut creeps = false;
        let mut step = self.first.clamp(*self.steps.start(), *self.steps.end());
        for _ in 0..self.trials {
            let (score, verdict) = trial(step)?;
            let tried = Trial { step, score };
            let before = if score >= self.target { holds } else { short };
            slope = before.map_or(slope, |before| self.slope_between(before, tried));
            creeps = before.is_some() && short.is_some() && holds.is_some() && !creeps;
            if score >= self.target {
                holds = Some(tried);
            } else {
                short = Some(tried);
            }
            let near_enough = holds.is_some_and(|t| t.score <= self.target + self.tolerance);
            if near_enough || verdict == Verdict::Stop {
                break;
            }
            match self.next(short, holds, slope, creeps) {
                Some(next) => step = next,
                None => break,
            }
        }
        Ok(holds)
    }

    /// What a step brought between two trials on one side of the target, within reason.
    fn slope_between(&self, a: Trial, b: Trial) -> f64 {
        let slope = (b.score - a.score) / f64::from(b.step - a.step);
        slope.clamp(self.slope / 3.0, self.slope * 3.0)
    }

    /// The most promising step that is still open; `None` where the bracket is closed.
    fn next(&self, short: Option<Trial>, holds: Option<Trial>, slope: f64, creeps: bool) -> Option<i32> {
        let aim = self.target + self.tolerance * 0.4;
        let lowest = short.map_or(*self.steps.start(), |t| t.step + 1);
        let highest = holds.map_or(*self.steps.end(), |t| t.step - 1);
        if lowest > highest {
            return None;
        }
        let guess = match (short, holds) {
            (Some(a), Some(b)) if creeps => f64::from(a.step + b.step) / 2.0,
            (Some(a), Some(b)) => {
                let share = (aim - a.score) / (b.score - a.score).max(f64::EPSILON);
                f64::from(a.step) + share * f64::from(b.step - a.step)
            }
            (Some(t), None) | (None, Some(t)) => {
                let distance = (aim - t.score) / slope;
                // At least one step, in the direction that is still open.
                f64::from(t.step) + if t.score < self.target { distance.max(1.0) } else { distance.min(-1.0) }
            }
            (None, None) => f64::from(self.first),
        };
        Some((guess.round().clamp(-1e6, 1e6) as i32).clamp(lowest, highest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(first: i32, trials: usize) -> Search {
        Search { steps: 20..=196, first, target: 75.0, tolerance: 0.5, trials, slope: 0.35 }
    }

    /// Runs over a smooth curve of scores; returns the answer and how many trials it took.
    fn over(curve: impl Fn(f64) -> f64, search: &Search) -> (Option<Trial>, usize) {
        let mut trials = 0;
        let found = search.run(|step| {
            trials += 1;
            Ok::<_, ()>((curve(f64::from(step)), Verdict::Continue))
        });
        (found.unwrap(), trials)
    }

    #[test]
    fn finds_a_step_just_above_the_target_on_curves_of_any_slope() {
        for slope in [0.1, 0.3, 0.6] {
            for offset in [-20.0, 0.0, 20.0] {
                let curve = |step: f64| 75.0 + offset + slope * (step - 110.0) - 0.001 * (step - 110.0).powi(2);
                let (found, trials) = over(curve, &search(130, 12));
                let reachable = curve(196.0) >= 75.0;
                assert_eq!(found.is_some(), reachable, "slope {slope} offset {offset}");
                if let Some(found) = found {
                    assert!(found.score >= 75.0);
                    assert!(found.score < 75.5 + slope || found.step == 20, "{found:?} in {trials}");
                }
            }
        }
    }

    #[test]
    fn an_unreachable_target_is_none() {
        assert_eq!(over(|_| 60.0, &search(130, 12)).0, None);
    }

    #[test]
    fn a_target_that_everything_reaches_ends_at_the_coarsest_step() {
        assert_eq!(over(|_| 99.0, &search(130, 12)).0.map(|t| t.step), Some(20));
    }

    #[test]
    fn trials_are_bounded() {
        assert!(over(|step| step, &search(20, 3)).1 <= 3);
    }

    #[test]
    fn stop_ends_the_search_where_finer_is_of_no_use() {
        let mut trials = 0;
        let found = search(100, 9).run(|_| {
            trials += 1;
            Ok::<_, ()>((50.0, Verdict::Stop))
        });
        assert_eq!((found, trials), (Ok(None), 1));
    }

    #[test]
    fn a_bend_in_the_curve_does_not_make_the_search_creep() {
        // Flat above the target, steep below it, as where many steps are kept from some quality on.
        let curve = |step: f64| if step < 60.0 { 40.0 + 0.55 * step } else { 80.0 + 0.05 * (step - 60.0) };
        let bent = |step: f64| curve(step) - if step < 60.0 { 0.0 } else { 4.5 };
        let (found, trials) = over(bent, &search(180, 9));
        assert!(found.is_some_and(|t| (60..=66).contains(&t.step)), "{found:?} in {trials}");
    }
}
