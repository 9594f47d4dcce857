//! The search for libwebp's coarsest quality that reaches a score.

use std::sync::Arc;
use std::time::Instant;

use super::bitstream::Settings;
use super::libwebp::{Source, Way, decode, encode};
use super::yuv::Yuv;
use crate::optimize::Budget;
use crate::optimize::color::ToSrgb;
use crate::optimize::picture::Pixels;
use crate::optimize::quality::backgrounds::Views;
use crate::optimize::quality::higher_targets::{higher_targets, is_too_high};
use crate::optimize::quality::score::{ROUNDING, Score};
use crate::optimize::quality::search::{Search, Verdict};

/// What is coded.
pub struct Picture {
    pub pixels: Pixels,
    /// What the pixels were decoded from, where they were: no colour is converted, and no chroma halved, a second time.
    pub yuv: Option<Yuv>,
    /// Every pixel's alpha, where any is transparent.
    pub alpha: Option<Vec<u8>>,
    /// How colours are shown, where it is not as sRGB.
    pub to_srgb: Option<Arc<ToSrgb>>,
}

/// What is searched for.
#[derive(Debug, Clone, Copy)]
pub struct Aim {
    /// SSIMULACRA2 score to reach.
    pub target: f64,
    /// libwebp's quality above which nothing is gained.
    pub finest: u8,
    pub first: u8,
    pub trials: usize,
    /// Bytes from which a file is not worth having.
    pub most: usize,
}

/// Tiles may shift by any amount that [`Views`] allows the mean of all: chroma of half the size cannot do better in what is
/// dark and saturated, and bytes would double for a level that nobody sees.
const ANY: f64 = f64::INFINITY;

/// The answer of a search.
pub struct Lossy {
    /// The smallest file found that reaches the target and is of use, and its score.
    pub found: Option<(Vec<u8>, Score)>,
    /// Whether time ended the search before it was done.
    pub budget_cut: bool,
}

/// Coarser ones show blocks, whatever the score.
const COARSEST: u8 = 30;
/// Above, files grow faster than anything that they show.
pub const FINEST: u8 = 97;
/// Points of score that a step brings near the usual targets.
const SLOPE: f64 = 0.7;
const TOLERANCE: f64 = 0.7;
/// More trials where none held yet, all were too large, or the one that holds is far above the target: a search of two
/// goes from too coarse to too fine.
const LAST_TRIALS: usize = 2;
const FAR: f64 = 3.0;
/// The sharpest loop filter: 0.5–1 % fewer bytes at the same score. No preset of libwebp has it, so that what went
/// through this is told by it.
const SHARPNESS: u8 = 7;

/// Whether a file went through this before: it would only lose once more.
#[must_use]
pub fn is_own_output(settings: Settings) -> bool {
    settings.sharpness == SHARPNESS
}

/// libwebp's quality that gives this index of quantization, the segments' differences aside (`quant_enc.c`,
/// `QualityToCompression`).
#[must_use]
pub fn quality_of(index: u8) -> u8 {
    let linear = (1.0 - f64::from(index) / 127.0).powi(3);
    let quality = if linear < 0.5 { linear * 1.5 } else { f64::midpoint(linear, 1.0) };
    (quality * 100.0).round() as u8
}

/// The smallest file found that reaches the target; it was scored whole, and has its alpha exact.
///
/// # Errors
/// libwebp's own words.
pub fn to_target(picture: &Picture, orientation: u8, aim: Aim, budget: Budget) -> Result<Lossy, String> {
    let views = Views::new(&picture.pixels, orientation).shown_by(picture.to_srgb.clone());
    let views = if picture.yuv.is_some() { views.with_flat_grounds() } else { views };
    let target = aim.target + ROUNDING;
    let mut best = search(picture, &views, target, aim, budget)?;
    for higher in higher_targets(target).filter(|_| aim.trials > 1) {
        if best.budget_cut || !best.found.as_ref().is_some_and(|(_, score)| is_too_high(*score, target)) {
            break;
        }
        let first = aim.first.saturating_add((higher - target) as u8).min(FINEST);
        let finer = search(picture, &views, higher, Aim { first, ..aim }, budget)?;
        let found = best.found.into_iter().chain(finer.found).min_by_key(|(file, _)| file.len());
        best = Lossy { found, budget_cut: finer.budget_cut };
    }
    Ok(best)
}

fn search(picture: &Picture, views: &Views<'_>, target: f64, aim: Aim, budget: Budget) -> Result<Lossy, String> {
    let mut lossy = Lossy { found: None, budget_cut: false };
    let source = match &picture.yuv {
        Some(yuv) => Source::Yuv(yuv, picture.alpha.as_deref()),
        None => Source::Pixels(&picture.pixels),
    };
    let search = Search {
        steps: i32::from(COARSEST)..=i32::from(aim.finest.max(COARSEST)),
        first: aim.first.into(),
        target,
        tolerance: TOLERANCE,
        trials: if aim.trials > 1 { aim.trials + LAST_TRIALS } else { aim.trials },
        slope: SLOPE,
    };
    let mut tried = 0;
    search.run(|step| {
        tried += 1;
        let begun = Instant::now();
        let file = encode(&source, Way::Lossy { quality: step as u8, sharpness: SHARPNESS })?;
        let score = score(picture, views, &file)?;
        let effective = score.effective(target);
        let is_of_use = file.len() < aim.most;
        if is_of_use && effective >= target && lossy.found.as_ref().is_none_or(|(best, _)| file.len() < best.len()) {
            lossy.found = Some((file, score));
        }
        lossy.budget_cut = !budget.allows(begun.elapsed());
        // Finer ones are larger still.
        let is_hopeless = !is_of_use && effective < target;
        let is_near = lossy.found.as_ref().is_some_and(|(_, score)| score.effective(target) < target + FAR);
        let is_over = lossy.budget_cut || is_hopeless || tried >= aim.trials && is_near;
        Ok::<_, String>((effective, if is_over { Verdict::Stop } else { Verdict::Continue }))
    })?;
    Ok(lossy)
}

/// Refused where alpha is not exact.
fn score(picture: &Picture, views: &Views<'_>, file: &[u8]) -> Result<Score, String> {
    let Pixels { width, height, ref rgba } = picture.pixels;
    let decoded = decode(file, width, height)?;
    let exact = decoded.rgba.iter().map(|pixel| pixel.a).eq(rgba.iter().map(|pixel| pixel.a));
    let score = views.score(|y, row| row.copy_from_slice(decoded.row(y))).filter(|_| exact);
    Ok(score.unwrap_or(Score::REFUSED).with_shift(ANY))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::optimize::webp::libwebp::tests::waves;

    const AIM: Aim = Aim { target: 75.0, finest: FINEST, first: 78, trials: 6, most: usize::MAX };

    fn picture(alpha: u8) -> Picture {
        let pixels = waves(160, 96, alpha);
        let alpha = pixels.rgba.iter().map(|pixel| pixel.a).collect();
        Picture { alpha: pixels.is_transparent().then_some(alpha), yuv: None, to_srgb: None, pixels }
    }

    fn search(aim: Aim, budget: Budget) -> Lossy {
        to_target(&picture(255), 1, aim, budget).unwrap()
    }

    #[test]
    fn a_higher_target_takes_more_bytes_and_every_target_holds() {
        for alpha in [255, 90] {
            let mut before = 0;
            for target in [50.0, 75.0, 88.0] {
                let aim = Aim { target, ..AIM };
                let (file, score) = to_target(&picture(alpha), 1, aim, Budget::UNLIMITED).unwrap().found.unwrap();
                assert!(
                    score.effective(target) >= target && file.len() >= before,
                    "{target}: {score:?} {}",
                    file.len()
                );
                before = file.len();
            }
        }
    }

    #[test]
    fn what_cannot_be_reached_or_is_too_large_is_not_found() {
        assert!(search(Aim { target: 99.9, ..AIM }, Budget::UNLIMITED).found.is_none());
        assert!(search(Aim { finest: 30, target: 95.0, ..AIM }, Budget::UNLIMITED).found.is_none());
        let (file, _) = search(AIM, Budget::UNLIMITED).found.unwrap();
        assert!(search(Aim { most: file.len() / 2, ..AIM }, Budget::UNLIMITED).found.is_none());
    }

    #[test]
    fn search_from_too_coarse_to_too_large_goes_on_between() {
        let held = |trials, most| search(Aim { trials, most, target: 88.0, first: 40, ..AIM }, Budget::UNLIMITED).found;
        let least = held(8, usize::MAX).unwrap().0.len();
        let two =
            search(Aim { trials: 2, target: 88.0, first: 40, most: least + least / 20, ..AIM }, Budget::UNLIMITED);
        assert!(
            two.found.is_some_and(|(file, score)| score.effective(88.0) >= 88.0 && file.len() <= least + least / 20)
        );
        assert!(held(1, least + least / 20).is_none());
    }

    #[test]
    fn time_ends_the_search_after_a_trial_and_the_answer_says_so() {
        let cut = search(AIM, Budget::lasting(Duration::ZERO));
        assert!(cut.budget_cut);
        assert!(cut.found.is_none_or(|(_, score)| score.effective(75.0) >= 75.0));
        assert!(!search(AIM, Budget::UNLIMITED).budget_cut);
    }

    #[test]
    fn qualities_are_told_from_quantizers() {
        assert_eq!([0, 127].map(quality_of), [100, 0]);
        assert!((1..=127).all(|index| quality_of(index) <= quality_of(index - 1)));
        for quality in [30, 60, 75, 90, 95] {
            let way = Way::Lossy { quality, sharpness: 0 };
            let file = encode(&Source::Pixels(&picture(255).pixels), way).unwrap();
            let settings =
                crate::optimize::webp::chunks::Chunks::parse(&file).unwrap().still.unwrap().settings.unwrap();
            assert!(quality_of(settings.finest) + 3 >= quality, "{quality}: {settings:?}");
            assert!(!is_own_output(settings));
        }
    }
}
