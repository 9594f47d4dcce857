//! From a step near the target to a setting that holds it, window by window, and little more: dead zones that differ by
//! place, and a vernier over the whole.
//!
//! Steps alone cannot do that. Many quantization steps of a coarse source double at once, so that no step of the dial lies
//! near the target; and a finer step for a few windows makes all others finer, too. Where windows that fall short hold most
//! of what there is, as an object on a plain ground, a finer step is right all the same.

use std::ops::RangeInclusive;

use super::recompress::Setting;
use crate::optimize::quality::score::Score;
use crate::optimize::quality::ssimulacra2::{Grid, Part, Windows};

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Goal {
    /// Score to reach, rounding included.
    pub target: f64,
    /// Orientation by EXIF, 1 to 8.
    pub orientation: u8,
    /// The steps of the dial, coarse to fine, and points of score that a step brings.
    pub steps: RangeInclusive<i32>,
    pub slope: f64,
    /// Trials of the whole at the most, and after how many of them what holds is good enough.
    pub trials: usize,
    pub enough: usize,
}

/// One setting, tried on the whole.
#[derive(Debug, Clone)]
pub struct Tried {
    pub setting: Setting,
    pub score: Score,
    pub windows: Windows,
}

/// Scores settings; `None` where time does not allow it.
pub trait Trials {
    fn whole(&mut self, setting: &Setting) -> Option<(Score, Windows)>;

    /// Points of score that a sample of the whole loses at a step by this level everywhere; `None` without a sample.
    fn drop_of(&mut self, step: i32, even: f64) -> Option<f64>;

    /// What is known of all windows, with those in `parts` scored anew; `None` also where parts cannot be scored alone.
    fn parts(&mut self, setting: &Setting, known: &Windows, parts: &[Part]) -> Option<Windows>;
}

/// A score this much above the target is near enough, and what the vernier aims at.
const TOLERANCE: f64 = 0.4;
const AIM: f64 = 0.1;
/// What holds is not good enough while it lies this much above the target: each such excess is worth another trial.
const EXCESS_PER_TRIAL: f64 = 1.2;
/// Points of score that a level of the whole costs, before it was tried, and what a trial may say of it.
const PER_LEVEL: f64 = 0.2;
const PER_LEVEL_RANGE: (f64, f64) = (0.08, 0.8);
/// Levels that changed the whole by less than so many points each, of so many at the least, are spent.
const SPENT_PER_LEVEL: f64 = 0.05;
const LEAST_LEVELS: f64 = 2.0;
/// Points that everything lies above the target for which a coarser step is tried at once, and the share of these that it is
/// to take: windows lose more than the whole.
const FAR: f64 = 2.5;
const COARSER_SHARE: f64 = 0.4;
/// Levels that the whole goes by at a time.
const MOST_LEVELS: f64 = 8.0;
/// Where more than this share of all cells that are not flat fail, the level of the whole is too high.
const MANY_FAILING: f64 = 0.05;
/// Where windows lack more than this many points, or have been tried with narrower dead zones so many times, a finer step
/// is what they need.
const MOST_LACKING: f64 = 4.0;
const MOST_NARROWED: usize = 2;
/// Points that windows still lack after narrower dead zones for which these are not tried again.
const MUCH: f64 = 1.0;
/// Trials of parts between two of the whole; parts of more than this share of the picture cost as much as the whole.
const PART_TRIALS: usize = 6;
const LARGE_PART_TRIALS: usize = 4;
const MOST_PARTS: f64 = 0.5;
/// What parts may score above what they do in the whole.
const MOST_BIAS: f64 = 5.0;
/// Points that the floor is raised by for each that all windows together lack: the better ones gain less.
const RAISED_BY: f64 = 1.5;
/// From so many trials left on, what was found must hold.
const LATE: usize = 2;
/// Points that windows lie above their floor after a finer step for which a coarser one is tried.
const SURPLUS: f64 = 0.8;
/// Points of score that a step brings to windows that lack some, before it was tried, and what a trial may say of it.
const PER_STEP: f64 = 0.25;
const PER_STEP_RANGE: (f64, f64) = (0.1, 0.5);

/// The setting found that holds the target with the lowest score, beginning with one that was tried.
pub fn refine(goal: &Goal, first: Tried, trials: &mut impl Trials) -> Option<Tried> {
    let mut best = Best { target: goal.target, tried: None };
    best.offer(&first);
    if goal.is_near(&first) {
        return best.tried;
    }
    let mut vernier = Vernier { per_level: PER_LEVEL, held: None, failed: None };
    let mut next = second(goal, &first, &mut vernier, trials);
    let mut steps = Steps { fails_at: goal.steps.start() - 1, finer: 0 };
    let (mut now, mut failures, mut bias, mut predicted) = (first, 0, 0.0_f64, None::<f64>);
    for left in (0..goal.trials).rev() {
        if next == now.setting {
            break;
        }
        let Some((score, windows)) = trials.whole(&next) else { break };
        let before = std::mem::replace(&mut now, Tried { setting: next, score, windows });
        best.offer(&now);
        if goal.is_near(&now) || best.excess().is_some_and(|excess| goal.is_enough(goal.trials - left, excess)) {
            break;
        }
        vernier.learn(goal, &before, &now);
        let lacking = goal.lacking(&now);
        failures = if lacking > 0.0 { failures + 1 } else { 0 };
        if let Some(worst) = predicted.take() {
            bias = (bias + worst - now.score.lowest()).clamp(0.0, MOST_BIAS);
        }
        let is_stuck = left <= LATE || failures > MOST_NARROWED || failures > 1 && lacking > MUCH;
        next = if let Some(setting) = steps.other(goal, &before, &now, best.tried.as_ref()) {
            setting
        } else if lacking > 0.0 && best.tried.is_none() && is_stuck {
            // What narrower dead zones did not mend, and what the last trials are for: a finer step.
            let (setting, windows) = goal.mended(&now, MOST_NARROWED, bias, trials);
            predicted = Some(windows.lowest());
            setting
        } else {
            vernier.next(goal, &now)
        };
    }
    best.tried
}

/// The setting to try after the first: windows mended, the rest as coarse as its excess allows.
fn second(goal: &Goal, first: &Tried, vernier: &mut Vernier, trials: &mut impl Trials) -> Setting {
    let (setting, windows) = goal.mended(first, 0, 0.0, trials);
    let levels = setting.levels.freed(&windows, goal.floor(first), goal.orientation);
    let gain = f64::from(setting.step - first.setting.step) * goal.slope;
    let excess = goal.excess(first) + gain;
    let mut even = vernier.towards(0.0, excess);
    if setting.step == first.setting.step
        && even.abs() >= 1.0
        && let Some(drop) = trials.drop_of(setting.step, even)
    {
        vernier.per_level = (drop / even).clamp(PER_LEVEL_RANGE.0, PER_LEVEL_RANGE.1);
        even = vernier.towards(0.0, excess);
    }
    Setting { step: setting.step, levels: levels.with_even(even) }
}

/// Steps that no level stands in for.
struct Steps {
    /// The finest step at which something failed below one that held, or the one before the coarsest.
    fails_at: i32,
    /// How many times the step became finer for the whole's sake.
    finer: u32,
}

impl Steps {
    /// A finer step where the whole falls short and narrower dead zones bring it nothing more, a coarser one where
    /// everything lies far above; `None` where levels are what to change.
    fn other(&mut self, goal: &Goal, before: &Tried, now: &Tried, best: Option<&Tried>) -> Option<Setting> {
        let surplus = now.score.effective(goal.target) - goal.target;
        let step = match best {
            None if goal.excess(now) < 0.0 && is_spent(before, now) => {
                let steps = ((AIM - goal.excess(now)) / goal.slope).ceil() as i32;
                self.finer += 1;
                (now.setting.step + (steps << self.finer)).min(*goal.steps.end())
            }
            Some(_) if surplus > FAR || surplus > TOLERANCE && is_spent(before, now) => {
                let steps = (surplus * COARSER_SHARE / goal.slope).max(1.0) as i32;
                (now.setting.step - steps).max(self.fails_at + 1)
            }
            Some(best) if surplus < 0.0 && best.setting.step > now.setting.step => {
                self.fails_at = self.fails_at.max(now.setting.step);
                i32::midpoint(best.setting.step, self.fails_at)
            }
            _ => return None,
        };
        let is_known = step == now.setting.step || best.is_some_and(|best| step == best.setting.step);
        (!is_known).then(|| Setting { step, levels: now.setting.levels.clone() })
    }
}

/// Whether levels between two trials of a step changed the whole by next to nothing.
fn is_spent(before: &Tried, now: &Tried) -> bool {
    let levels = (now.setting.levels.even - before.setting.levels.even).abs();
    let points = (now.score.at_all_scales() - before.score.at_all_scales()).abs();
    now.setting.step == before.setting.step && levels >= LEAST_LEVELS && points < SPENT_PER_LEVEL * levels
}

/// One level for the whole, as high as it may be.
struct Vernier {
    /// Points of score that a level costs.
    per_level: f64,
    /// The highest level at which everything held, and the lowest at which the whole, or many windows, did not.
    held: Option<f64>,
    failed: Option<f64>,
}

impl Vernier {
    /// From a level with some excess to one with hardly any.
    fn towards(&self, even: f64, excess: f64) -> f64 {
        even + ((excess - AIM) / self.per_level).clamp(-MOST_LEVELS, MOST_LEVELS)
    }

    fn learn(&mut self, goal: &Goal, before: &Tried, now: &Tried) {
        let even = now.setting.levels.even;
        let levels = even - before.setting.levels.even;
        if now.setting.step != before.setting.step {
            (self.held, self.failed) = (None, None);
        }
        if levels.abs() >= 0.5 && now.setting.step == before.setting.step {
            let seen = (before.score.whole - now.score.whole) / levels;
            self.per_level = seen.clamp(PER_LEVEL_RANGE.0, PER_LEVEL_RANGE.1);
        }
        if goal.holds(now) {
            self.held = Some(self.held.map_or(even, |held| held.max(even)));
        } else if goal.excess(now) < 0.0 || goal.share_failing(now) > MANY_FAILING {
            self.failed = Some(self.failed.map_or(even, |failed| failed.min(even)));
        }
    }

    /// What to try next: another level for the whole, narrower dead zones where windows failed, and where none did wider
    /// ones than were allowed before.
    fn next(&self, goal: &Goal, now: &Tried) -> Setting {
        let levels = &now.setting.levels;
        let mut even = self.towards(levels.even, goal.excess(now));
        match (self.held, self.failed) {
            (Some(held), Some(failed)) if even <= held || even >= failed => even = f64::midpoint(held, failed),
            (None, Some(failed)) if even >= failed => even = failed - 1.0,
            _ => {}
        }
        let floor = goal.floor(now);
        let levels = if goal.holds(now) { &levels.freed(&now.windows, floor, goal.orientation) } else { levels };
        let levels = levels.narrowed(&now.windows, floor, goal.orientation).with_even(even);
        Setting { step: now.setting.step, levels }
    }
}

impl Goal {
    /// What windows must reach; more where all that is not flat lacks something together, though no window does by itself.
    fn floor(&self, tried: &Tried) -> f64 {
        let floor = Score::floor(self.target);
        match tried.score.busy_lacking(self.target) {
            0.0 => floor,
            lacking => floor.max(tried.score.lowest()) + RAISED_BY * lacking,
        }
    }

    /// Points of the whole above the target.
    fn excess(&self, tried: &Tried) -> f64 {
        tried.score.at_all_scales() - self.target
    }

    fn is_near(&self, tried: &Tried) -> bool {
        self.holds(tried) && self.excess(tried) <= TOLERANCE
    }

    /// Whether what was found in so many trials is good enough.
    fn is_enough(&self, trials: usize, excess: f64) -> bool {
        trials >= self.enough + (excess / EXCESS_PER_TRIAL) as usize
    }

    /// Whether everything reaches what it must.
    fn holds(&self, tried: &Tried) -> bool {
        tried.score.effective(self.target) >= self.target
    }

    /// How many of the cells that are not flat lack something.
    fn share_failing(&self, tried: &Tried) -> f64 {
        let cells = tried.windows.lowest_by_cell();
        let (mut there, mut failing) = (0, 0);
        for lowest in cells.into_iter().flatten() {
            there += 1;
            failing += usize::from(f64::from(lowest) < self.floor(tried));
        }
        failing as f64 / f64::from(there.max(1_u32))
    }

    /// Points that the worst window lacks.
    fn lacking(&self, tried: &Tried) -> f64 {
        (self.floor(tried) - tried.score.lowest()).max(0.0)
    }

    /// A setting at which windows that lack some reach their floor, found on parts of the picture, and what is then known
    /// of all windows. Dead zones were `narrowed` so many times before. Parts score higher than they do in the whole by
    /// `bias`: the metric's rounding errors add up along its rows.
    fn mended(&self, now: &Tried, narrowed: usize, bias: f64, trials: &mut impl Trials) -> (Setting, Windows) {
        let floor = self.floor(now);
        let parts = Part::below(&now.windows, floor);
        let mut mending = Mending {
            goal: self,
            whole_step: now.setting.step,
            floor: floor + bias,
            setting: now.setting.clone(),
            windows: now.windows.clone(),
            surplus: -self.lacking(now),
            narrowed,
            per_step: PER_STEP,
            lacks_at: now.setting.step,
            held: None,
        };
        for _ in 0..part_trials(&parts, now.windows.grid) {
            let Some((setting, known)) = mending.next() else { break };
            let Some(seen) = trials.parts(&setting, &known, &parts) else {
                (mending.setting, mending.windows) = (setting, known);
                break;
            };
            mending.learn(setting, seen);
        }
        mending.found()
    }
}

fn part_trials(parts: &[Part], grid: Grid) -> usize {
    let cells: usize = parts.iter().map(|part| part.cells()).sum();
    let is_small = cells as f64 <= MOST_PARTS * (grid.columns * grid.rows) as f64;
    if is_small { PART_TRIALS } else { LARGE_PART_TRIALS }
}

/// The search for a setting at which windows reach their floor, on parts of the picture.
struct Mending<'a> {
    goal: &'a Goal,
    /// The step at which the whole was tried.
    whole_step: i32,
    /// What windows must reach in parts.
    floor: f64,
    /// The last setting, what is known of all windows there, and points that the worst one lies above the floor.
    setting: Setting,
    windows: Windows,
    surplus: f64,
    /// How many times dead zones were narrowed.
    narrowed: usize,
    /// Points of score that a step brings.
    per_step: f64,
    /// The finest step at which windows lack some, and the coarsest setting at which none does.
    lacks_at: i32,
    held: Option<(Setting, Windows)>,
}

impl Mending<'_> {
    /// The next setting to try, and the windows as they are expected there; `None` where none is of use.
    fn next(&mut self) -> Option<(Setting, Windows)> {
        let before = self.setting.step;
        if self.surplus >= 0.0 {
            self.held = Some((self.setting.clone(), self.windows.clone()));
            if self.surplus <= SURPLUS || before <= self.lacks_at + 1 {
                return None;
            }
        } else {
            self.lacks_at = before;
        }
        let is_narrow = self.narrowed == MOST_NARROWED || self.setting.levels.are_spent(&self.windows, self.floor);
        if before > self.whole_step || -self.surplus > MOST_LACKING || is_narrow {
            let step = self.next_step()?;
            let mut known = self.windows.clone();
            known.raise(f64::from(step - before) * self.goal.slope);
            return Some((Setting { step, levels: self.setting.levels.clone() }, known));
        }
        self.narrowed += 1;
        let levels = self.setting.levels.narrowed(&self.windows, self.floor + AIM, self.goal.orientation);
        Some((Setting { step: before, levels }, self.windows.clone()))
    }

    /// The most promising step that is still open.
    fn next_step(&self) -> Option<i32> {
        let (before, least) = (self.setting.step, self.lacks_at + 1);
        let most = self.held.as_ref().map_or(*self.goal.steps.end(), |(held, _)| held.step - 1);
        let steps = ((AIM - self.surplus) / self.per_step).ceil() as i32;
        let mut step = (before + steps).max(least).min(most);
        if self.held.is_some() {
            // Many steps may matter to one side of the two that are known: neither is to be crept up on.
            let margin = (most - self.lacks_at) / 4;
            step = step.clamp(least + margin, (most - margin).max(least + margin));
        }
        (step != before && step >= least).then_some(step)
    }

    fn learn(&mut self, setting: Setting, seen: Windows) {
        let steps = setting.step - self.setting.step;
        if steps != 0 {
            let per = (seen.lowest() - self.windows.lowest()) / f64::from(steps);
            self.per_step = per.clamp(PER_STEP_RANGE.0, PER_STEP_RANGE.1);
        }
        self.surplus = seen.lowest() - self.floor;
        (self.setting, self.windows) = (setting, seen);
    }

    /// The last setting, unless it lacks something that another one did not.
    fn found(self) -> (Setting, Windows) {
        self.held.filter(|_| self.surplus < 0.0).unwrap_or((self.setting, self.windows))
    }
}

/// The trial that holds with the lowest score: the smallest file.
struct Best {
    target: f64,
    tried: Option<Tried>,
}

impl Best {
    /// Points of the whole above the target.
    fn excess(&self) -> Option<f64> {
        self.tried.as_ref().map(|tried| tried.score.at_all_scales() - self.target)
    }

    fn offer(&mut self, tried: &Tried) {
        let holds = tried.score.effective(self.target) >= self.target;
        if holds && self.tried.as_ref().is_none_or(|best| tried.score.whole < best.score.whole) {
            self.tried = Some(tried.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimize::jpeg::levels::Levels;

    const GOAL: Goal = Goal { target: 75.0, orientation: 1, steps: 20..=400, slope: 0.175, trials: 6, enough: 4 };
    const GRID: Grid = Grid { columns: 12, rows: 10 };

    /// A picture whose windows score by the level of their place; the first few lie below the others.
    struct Model {
        lacking: f32,
        per_level: f32,
        wholes: usize,
        parts: usize,
    }

    impl Model {
        fn windows(&self, setting: &Setting) -> Windows {
            let mut windows = Windows::filled(GRID, 0.0);
            let places: Vec<_> = windows.each().map(|(left, top, _)| (left, top)).collect();
            for (left, top) in places {
                let pixel = (left * 64 + 64, top * 64 + 64);
                let level = f32::from(setting.levels.level_at(pixel.0, pixel.1));
                let below = if left < 2 && top < 2 { self.lacking } else { 0.0 };
                let score = 74.0 + 0.2 * (setting.step - 250) as f32 - self.per_level * level - below;
                windows.set(left, top, Some(score));
            }
            windows
        }

        fn score(&self, setting: &Setting) -> (Score, Windows) {
            let windows = self.windows(setting);
            let scores: Vec<_> = windows.each().filter_map(|(.., score)| score).collect();
            let whole = f64::from(scores.iter().sum::<f32>()) / scores.len() as f64 + 1.7;
            let worst = windows.worst();
            let mut score = Score::of_whole(whole);
            score.worst = worst;
            (score, windows)
        }

        fn refined(lacking: f32, step: i32) -> (Option<Tried>, Self) {
            Self { lacking, per_level: 0.5, wholes: 0, parts: 0 }.refined_from(step)
        }

        fn refined_from(mut self, step: i32) -> (Option<Tried>, Self) {
            let setting = Setting::of_step(step);
            let (score, windows) = self.score(&setting);
            let found = refine(&GOAL, Tried { setting, score, windows }, &mut self);
            (found, self)
        }
    }

    impl Trials for Model {
        fn whole(&mut self, setting: &Setting) -> Option<(Score, Windows)> {
            self.wholes += 1;
            Some(self.score(setting))
        }

        fn drop_of(&mut self, _: i32, even: f64) -> Option<f64> {
            Some(0.5 * even)
        }

        fn parts(&mut self, setting: &Setting, known: &Windows, parts: &[Part]) -> Option<Windows> {
            self.parts += 1;
            assert!(!parts.is_empty() && known.grid == GRID);
            Some(self.windows(setting))
        }
    }

    #[test]
    fn vernier_takes_what_the_step_left_over() {
        for step in [249, 250, 253] {
            let (found, model) = Model::refined(0.0, step);
            let found = found.unwrap();
            assert!((75.0..75.4).contains(&found.score.whole), "{step}: {:?}", found.score);
            assert!(model.wholes <= 4 && model.parts == 0, "{step}: {}", model.wholes);
        }
    }

    #[test]
    fn near_first_trial_costs_no_other() {
        let mut model = Model { lacking: 0.0, per_level: 0.5, wholes: 0, parts: 0 };
        let setting = Setting::of_step(247);
        let windows = model.windows(&setting);
        let first = Tried { setting, score: Score::of_whole(75.2), windows };
        assert!(refine(&GOAL, first, &mut model).is_some() && model.wholes == 0);
    }

    #[test]
    fn windows_that_lack_little_get_narrower_dead_zones() {
        let (found, model) = Model::refined(6.0, 250);
        let found = found.unwrap();
        assert!(found.score.effective(75.0) >= 75.0 && found.setting.step == 250, "{found:?}");
        assert!(model.parts > 0 && found.score.whole < 75.6, "{:?}", found.score);
    }

    #[test]
    fn windows_that_lack_much_get_a_finer_step() {
        let (found, model) = Model::refined(14.0, 250);
        let found = found.unwrap();
        assert!(found.score.effective(75.0) >= 75.0 && found.setting.step > 250, "{found:?}");
        // The others give back what the step brought them.
        assert!(found.score.whole < 77.0 && found.setting.levels.even > 8.0, "{:?} {}", found.score, model.wholes);
    }

    #[test]
    fn short_whole_gets_a_finer_step_where_levels_bring_none() {
        for step in [238, 242, 246] {
            let model = Model { lacking: 0.0, per_level: 0.0, wholes: 0, parts: 0 };
            let found = model.refined_from(step).0.unwrap();
            assert!((75.0..77.0).contains(&found.score.whole), "{step}: {:?}", found.score);
        }
    }

    #[test]
    fn steps_are_bracketed_where_everything_lies_far_above() {
        let tried = |step: i32, whole: f64| {
            let windows = Windows::filled(GRID, 80.0);
            Tried { setting: Setting::of_step(step), score: Score::of_whole(whole), windows }
        };
        let mut steps = Steps { fails_at: 19, finer: 0 };
        let mut other = |before: &Tried, now: &Tried, best: &Tried| {
            steps.other(&GOAL, before, now, Some(best)).map(|setting| setting.step)
        };
        let [near, far, fails] = [tried(300, 75.3), tried(300, 82.0), tried(284, 74.0)];
        assert_eq!(other(&fails, &near, &near), None);
        assert_eq!(other(&near, &far, &far), Some(284));
        assert_eq!(other(&near, &tried(40, 99.0), &tried(40, 99.0)), Some(20));
        assert_eq!(other(&far, &fails, &far), Some(292));
        assert_eq!(other(&fails, &tried(292, 79.0), &tried(292, 79.0)), Some(285));
        assert_eq!(other(&far, &tried(284, 74.0), &tried(285, 76.0)), None);
    }

    #[test]
    fn whole_far_above_is_worth_more_trials() {
        assert!(GOAL.is_enough(4, 1.0) && !GOAL.is_enough(4, 1.5) && !GOAL.is_enough(5, 2.5));
    }

    #[test]
    fn vernier_tries_between_what_held_and_failed() {
        let tried = |even: f64, whole: f64| {
            let setting = Setting { step: 250, levels: Levels::over((768, 640), even) };
            Tried { setting, score: Score::of_whole(whole), windows: Windows::filled(GRID, 80.0) }
        };
        let mut vernier = Vernier { per_level: 0.1, held: Some(4.0), failed: Some(8.0) };
        let next = |vernier: &Vernier, even, whole| vernier.next(&GOAL, &tried(even, whole)).levels.even.round() as i32;
        assert_eq!(next(&vernier, 8.0, 74.0), 6);
        vernier.failed = None;
        assert_eq!(next(&vernier, 4.0, 75.3), 6);
    }

    #[test]
    fn levels_go_further_where_everything_held() {
        let levels = Levels::over((768, 640), 8.0).freed(&Windows::filled(GRID, 69.7), 69.0, 1);
        let setting = Setting { step: 250, levels: levels.with_even(20.0) };
        let next = |whole: f64, windows: f32| {
            let now = Tried {
                setting: setting.clone(),
                score: Score::of_whole(whole),
                windows: Windows::filled(GRID, windows),
            };
            let next = Vernier { per_level: 0.2, held: None, failed: None }.next(&GOAL, &now).levels.level_at(0, 0);
            next - now.setting.levels.level_at(0, 0)
        };
        assert!(next(78.0, 73.0) > 3 && next(74.0, 73.0) <= 0);
    }

    #[test]
    fn nothing_is_found_where_no_setting_holds() {
        assert!(Model::refined(60.0, 250).0.is_none());
    }
}
