//! No lower target may make a larger file, and finer steps are not always larger: a search that ends too high is followed
//! by those for higher targets.

use super::score::{ROUNDING, Score};

/// A search ends too high by so many points.
const TOO_HIGH: f64 = 1.5;
/// Targets up to the default, which itself is searched for once; and by how much the next target above that is higher.
const USUAL: [f64; 3] = [60.0, 70.0, 75.0];
const HIGHER: f64 = 5.0;

/// Whether higher targets may find smaller files.
#[must_use]
pub fn is_too_high(score: Score, target: f64) -> bool {
    score.effective(target) > target + TOO_HIGH
}

/// Higher targets that may find smaller files, from the lowest; all are with [`ROUNDING`].
pub fn higher_targets(target: f64) -> impl Iterator<Item = f64> {
    let below = USUAL.map(|usual| usual + ROUNDING).into_iter().filter(move |usual| *usual > target);
    let is_above = USUAL.iter().all(|usual| usual + ROUNDING < target);
    below.chain(is_above.then_some(target + HIGHER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn higher_targets_reach_the_default_and_follow_above_it() {
        let of = |target: f64| higher_targets(target + ROUNDING).map(|t| (t - ROUNDING).round()).collect::<Vec<_>>();
        assert_eq!([of(50.0), of(60.0), of(72.0)], [vec![60.0, 70.0, 75.0], vec![70.0, 75.0], vec![75.0]]);
        assert_eq!([of(75.0), of(80.0)], [vec![], vec![85.0]]);
    }

    #[test]
    fn score_far_above_the_target_is_too_high() {
        let is_high = |whole| is_too_high(Score::of_whole(whole), 75.0);
        assert!(is_high(77.0) && !is_high(76.0));
    }
}
