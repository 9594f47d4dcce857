//! Near-lossless truecolour: the residuals that PNG's Average filter leaves are rounded to few values, which deflate
//! packs well, and what is lost goes to the neighbours, so that no area changes its mean.
//!
//! Photographs need more colours than a palette holds, and this costs less for the same score. Average does best among
//! the filters because half of each error is gone at the next pixel. Of residuals that are nearly zero all channels
//! become zero together: runs of zeros cost next to nothing. How nearly depends on how busy the place is.

use rgb::RGBA8;

use super::dead_zones::DeadZones;
use super::pixels::Channels;
use super::residuals::{Kept, Places, Rounded, round};
use super::sample_tiles;
use crate::optimize::picture::Pixels;
use crate::optimize::quality::backgrounds::Views;
use crate::optimize::quality::score::Score;
use crate::optimize::quality::search::{Search, Trial, Verdict};
use crate::optimize::quality::ssimulacra2::Windows;

/// Finest and coarsest distance between the values that a residual can take, in levels of 255: below the one nothing is
/// saved that counts, above the other no target is reached.
const FINEST: f64 = 2.0;
const COARSEST: f64 = 64.0;
/// Steps of the search are 48ths of a power of two, from coarse to fine.
const STEPS_PER_OCTAVE: f64 = 48.0;
/// Points of score that a step brings near the usual targets, and below the default: there dead zones reach texture.
const SLOPE: f64 = 0.33;
const SLOPE_BELOW: f64 = 0.6;
/// The step that reaches a score of 75, over photographs.
const FIRST: f64 = 99.0;
const TOLERANCE: f64 = 0.6;
/// Trials on a sample at the most.
const SAMPLE_TRIALS: usize = 6;
/// A sample scores higher than the picture it is from, by this much on average.
const SAMPLE_BIAS: f64 = 3.0;
/// Points above the target that a search aims at.
const MARGIN: f64 = 0.25;
/// From so many points above the target on, coarser residuals come before narrower dead zones: windows of now tell little
/// of those then.
const FAR_ABOVE: f64 = 3.0;
/// Points that single windows lose for each one that the whole loses.
const WINDOWS_LOSE: f64 = 1.3;

/// The picture with the coarsest residuals found that reach the target; `None` where none do. At most `trials` are made
/// of the whole, fewer where `goes_on` says so; where to begin is searched for on a sample.
pub fn to_target(
    pixels: &Pixels,
    kept: Kept,
    channels: Channels,
    views: &Views<'_>,
    target: f64,
    trials: usize,
    goes_on: impl FnMut() -> Verdict,
) -> Option<Rounded> {
    let mut rounding = Rounding { kept, zones: DeadZones::default(), channels };
    let first = rounding.first_by_sample(pixels, views, target).unwrap_or_else(|| usual_step(target));
    rounding.coarsest(pixels, views, target, first, trials, goes_on)
}

/// How a picture is rounded, as far as trials have told.
struct Rounding {
    kept: Kept,
    zones: DeadZones,
    channels: Channels,
}

impl Rounding {
    /// The step that reaches the target on a sample of a large picture.
    fn first_by_sample(&mut self, pixels: &Pixels, views: &Views<'_>, target: f64) -> Option<i32> {
        let sample = sample_tiles::of(pixels)?;
        let views = views.of_sample(&sample);
        let search = search(target + SAMPLE_BIAS, usual_step(target), SAMPLE_TRIALS);
        let score = |step| (self.scored(&sample, &views, step).0.score.whole, Verdict::Continue);
        run(&search, score).map(|trial| trial.step)
    }

    /// Searches from a step on. Where single windows fail that the whole does not need, dead zones become narrower there,
    /// and the search begins anew.
    fn coarsest(
        &mut self,
        pixels: &Pixels,
        views: &Views<'_>,
        target: f64,
        mut first: i32,
        mut trials: usize,
        mut goes_on: impl FnMut() -> Verdict,
    ) -> Option<Rounded> {
        let mut best: Option<(f64, Rounded)> = None;
        loop {
            let mut next = None;
            run(&search(target, first, trials), |step| {
                trials -= 1;
                let (rounded, windows) = self.scored(pixels, views, step);
                let score = rounded.score;
                let effective = score.effective(target);
                if effective >= target && best.as_ref().is_none_or(|(best, _)| effective <= *best) {
                    best = Some((effective, rounded));
                }
                let verdict = goes_on();
                if trials == 0 || verdict == Verdict::Stop {
                    return (effective, Verdict::Stop);
                }
                let excess = score.without_windows(target) - target - MARGIN;
                let floor = Score::floor(target) + excess * WINDOWS_LOSE;
                if score.is_bound_by_windows(target)
                    && excess < FAR_ABOVE
                    && self.zones.narrow(&windows, (pixels.width, pixels.height), floor)
                {
                    next = Some(step - (excess / slope(target)).round() as i32);
                    return (effective, Verdict::Stop);
                }
                (effective, verdict)
            });
            match next {
                Some(step) => first = step,
                None => return best.map(|(_, rounded)| rounded),
            }
        }
    }

    /// The picture with residuals of this step. Colours and little rounding leave most graphics flat; else each flat pixel
    /// must stay, which costs bytes.
    fn scored(&mut self, pixels: &Pixels, views: &Views<'_>, step: i32) -> (Rounded, Vec<Windows>) {
        let round = |kept: &Kept| {
            let places = Places { kept, zones: &self.zones };
            round(pixels, places, self.channels, distance(step)).scored(views)
        };
        let rounded = round(&self.kept);
        if self.kept.flat || rounded.0.score.keeps_flat() {
            return rounded;
        }
        self.kept.flat = true;
        round(&self.kept)
    }
}

/// The step that reaches the target, over photographs.
fn usual_step(target: f64) -> i32 {
    (FIRST + (target - 75.0) / slope(target)).round() as i32
}

fn slope(target: f64) -> f64 {
    if target < 75.0 { SLOPE_BELOW } else { SLOPE }
}

fn search(target: f64, first: i32, trials: usize) -> Search {
    let steps = 0..=((COARSEST / FINEST).log2() * STEPS_PER_OCTAVE) as i32;
    Search { steps, first, target, tolerance: TOLERANCE, trials, slope: slope(target) }
}

fn run(search: &Search, mut trial: impl FnMut(i32) -> (f64, Verdict)) -> Option<Trial> {
    let found: Result<_, std::convert::Infallible> = search.run(|step| Ok(trial(step)));
    found.unwrap_or_else(|never| match never {})
}

/// Between the values that a residual can take, at a step of the search.
fn distance(step: i32) -> f64 {
    COARSEST / (f64::from(step) / STEPS_PER_OCTAVE).exp2()
}

impl Rounded {
    /// With its score, refused where the picture is too small for one, and the windows over each background.
    fn scored(mut self, views: &Views<'_>) -> (Self, Vec<Windows>) {
        let score = match self.channels.count() {
            1 => views.score_with_windows(|y, row| self.fill::<1>(y, row)),
            2 => views.score_with_windows(|y, row| self.fill::<2>(y, row)),
            3 => views.score_with_windows(|y, row| self.fill::<3>(y, row)),
            _ => views.score_with_windows(|y, row| self.fill::<4>(y, row)),
        };
        let (score, windows) = score.unwrap_or((Score::REFUSED, Vec::new()));
        self.score = score;
        (self, windows)
    }

    /// A row of the picture as it is shown.
    fn fill<const N: usize>(&self, y: usize, row: &mut [RGBA8]) {
        let samples = self.samples[y * self.width * N..].as_chunks::<N>().0;
        row.iter_mut().zip(samples).for_each(|(pixel, samples)| *pixel = pixel_of(*samples));
    }
}

fn pixel_of<const N: usize>(samples: [u8; N]) -> RGBA8 {
    match samples[..] {
        [v] => RGBA8::new(v, v, v, 255),
        [v, a] => RGBA8::new(v, v, v, a),
        [r, g, b] => RGBA8::new(r, g, b, 255),
        [r, g, b, a, ..] => RGBA8::new(r, g, b, a),
        [] => RGBA8::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimize::quality::census::Census;
    use crate::optimize::quality::gates::tests::flat_share;
    use crate::optimize::quality::ssimulacra2::Grid;

    /// Waves under grain, which fade out towards the right.
    fn picture() -> Pixels {
        let pixel = |i: usize| {
            let (x, y) = (i % 120, i / 120);
            let grain = ((i as u32).wrapping_mul(2_654_435_761) >> 28) as u8;
            let wave = (100.0 + 60.0 * (x as f64 / 9.0).sin() * (y as f64 / 13.0).cos()) as u8;
            RGBA8::new(wave + grain, wave, 200 - wave + grain / 2, 255 - (x * 2) as u8)
        };
        Pixels { width: 120, height: 90, rgba: (0..120 * 90).map(pixel).collect() }
    }

    fn rounded(target: f64) -> Option<Rounded> {
        let pixels = picture();
        to_target(&pixels, Kept::default(), Channels::Rgba, &Views::new(&pixels, 1), target, 6, || Verdict::Continue)
    }

    /// Different residuals of the Average filter (PNG, 9.2) in a picture.
    fn residuals(rounded: &Rounded) -> usize {
        let (width, samples) = (rounded.width * 4, &rounded.samples);
        let residual = |i: usize| {
            let left = if i % width >= 4 { samples[i - 4] } else { 0 };
            let above = if i >= width { samples[i - width] } else { 0 };
            samples[i].wrapping_sub(left.midpoint(above))
        };
        let colors = (0..samples.len()).filter(|i| i % 4 != 3).map(residual);
        colors.collect::<std::collections::BTreeSet<_>>().len()
    }

    #[test]
    fn the_target_is_reached_with_few_residuals_and_fewer_for_less() {
        let [low, high] = [60.0, 80.0].map(|target| {
            let rounded = rounded(target).unwrap();
            assert!(rounded.score.effective(target) >= target, "{:?}", rounded.score);
            residuals(&rounded)
        });
        assert!(low < high && high < 200, "{low} {high}");
    }

    #[test]
    fn alpha_stays_as_it_is() {
        let alpha = |samples: &[u8]| samples.iter().skip(3).step_by(4).copied().collect::<Vec<_>>();
        let of_source: Vec<_> = picture().rgba.iter().map(|pixel| pixel.a).collect();
        assert_eq!(alpha(&rounded(75.0).unwrap().samples), of_source);
    }

    #[test]
    fn areas_keep_their_mean() {
        let (source, rounded) = (picture(), rounded(75.0).unwrap());
        let mean = |red: &mut dyn Iterator<Item = u8>| red.map(f64::from).sum::<f64>() / (120.0 * 90.0);
        let before = mean(&mut source.rgba.iter().map(|pixel| pixel.r));
        let after = mean(&mut rounded.samples.iter().step_by(4).copied());
        assert!((before - after).abs() < 1.5, "{before} {after}");
    }

    #[test]
    fn a_target_out_of_reach_is_none_and_a_verdict_ends_the_search() {
        assert!(rounded(99.99).is_none());
        let (pixels, mut trials) = (picture(), 0);
        let stop = || {
            trials += 1;
            Verdict::Stop
        };
        to_target(&pixels, Kept::default(), Channels::Rgba, &Views::new(&pixels, 1), 75.0, 6, stop);
        assert_eq!(trials, 1);
    }

    /// Rounds opaque pixels coarsely, as a photograph or a graphic.
    fn rounded_rgb(pixels: &Pixels, is_graphic: bool) -> Vec<[u8; 3]> {
        let kept = Kept::new(&Census::of(pixels, is_graphic), is_graphic);
        let places = Places { kept: &kept, zones: &DeadZones::default() };
        round(pixels, places, Channels::Rgb, 24.0).samples.as_chunks::<3>().0.to_vec()
    }

    fn opaque(pixel: impl Fn(usize, usize) -> [u8; 3]) -> Pixels {
        let rgba = (0..128 * 96).map(|i| pixel(i % 128, i / 128)).map(|[r, g, b]| RGBA8::new(r, g, b, 255)).collect();
        Pixels { width: 128, height: 96, rgba }
    }

    fn grain(x: usize, y: usize) -> u8 {
        (((x * 31 + y * 977) as u32).wrapping_mul(2_654_435_761) >> 28) as u8
    }

    #[test]
    fn wide_steps_of_gradients_stay_flat() {
        let steps = |v: usize| 40 + (v / 8 * 3) as u8;
        let pixels = opaque(|x, y| match y {
            0..64 => [steps(x), 90, 200 - steps(x)],
            _ => [90 + grain(x, y) * 4, 60 + grain(y, x) * 5, 99],
        });
        let kept = Kept::new(&Census::of(&pixels, true), true);
        let go_on = || Verdict::Continue;
        let views = Views::new(&pixels, 1);
        let rounded = to_target(&pixels, kept, Channels::Rgb, &views, 70.0, 6, go_on).unwrap();
        let rgba = rounded.samples.as_chunks::<3>().0.iter().map(|samples| pixel_of(*samples)).collect();
        let rounded = Pixels { rgba, ..pixels.clone() };
        assert!(views.is_flat() && flat_share(&pixels, &rounded) >= 0.99 && rounded.rgba != pixels.rgba);
    }

    #[test]
    fn narrower_dead_zones_keep_faint_texture_in_their_place() {
        let texture = |x: usize, y: usize| [90 + x as u8 / 4 + grain(x, y) / 2; 3];
        let rgba =
            (0..256 * 128).map(|i| texture(i % 256, i / 256)).map(|[r, g, b]| RGBA8::new(r, g, b, 255)).collect();
        let pixels = Pixels { width: 256, height: 128, rgba };
        let mut zones = DeadZones::default();
        let changes = |zones: &DeadZones| {
            let rounded = round(&pixels, Places { kept: &Kept::default(), zones }, Channels::Gray, 24.0).samples;
            let is_step = |i: &usize| rounded[*i].abs_diff(rounded[i - 1]) > 4;
            let is_right = |i: &usize| i % 256 >= 192;
            [false, true].map(|right| (1..256 * 128).filter(|i| is_right(i) == right).filter(is_step).count())
        };
        let whole = changes(&zones);
        let mut windows = Windows::filled(Grid::over(256, 128), 75.0);
        windows.set(2, 0, Some(66.0));
        assert!(zones.narrow(&[windows], (256, 128), 69.0));
        let narrowed = changes(&zones);
        assert!(narrowed[1] > 2 * whole[1] && narrowed[0] < 2 * whole[0], "{whole:?} {narrowed:?}");
    }

    #[test]
    fn clipped_areas_stay_clipped() {
        let sky = opaque(|x, y| [120 + y as u8 / 2 + grain(x, y), 150 + grain(y, x), 240_u8.saturating_add(x as u8)]);
        let rounded = rounded_rgb(&sky, false);
        for (i, (source, result)) in sky.rgba.iter().zip(&rounded).enumerate() {
            // All but the first column and row of what is clipped.
            assert!(i % 128 < 16 || i < 128 || result[2] == source.b, "{i}");
        }
    }

    #[test]
    fn flat_areas_of_graphics_and_lines_on_photographs_stay() {
        let soft = |x: usize, y: usize| [90 + grain(x, y) * 4, 60 + grain(y, x) * 5, 99];
        let is_line = |x: usize, y: usize| x == y && x > 20;
        let drawn = |x: usize, y: usize, ground: [u8; 3]| if is_line(x, y) { [255, 0, 80] } else { ground };
        let photograph = opaque(|x, y| drawn(x, y, soft(x, y)));
        let icon = |x: usize, y: usize| if (x / 16).is_multiple_of(2) { soft(x, y) } else { [221, 46, 68] };
        let graphic = opaque(|x, y| drawn(x, y, icon(x, y)));
        for (pixels, is_graphic) in [(photograph, false), (graphic, true)] {
            let rounded = rounded_rgb(&pixels, is_graphic);
            let is_kept = |i: usize| is_line(i % 128, i / 128) || is_graphic && i % 128 / 16 % 2 == 1;
            let same = |i: usize| rounded[i] == [pixels.rgba[i].r, pixels.rgba[i].g, pixels.rgba[i].b];
            assert!((0..rounded.len()).all(|i| !is_kept(i) || same(i)));
            assert!((0..rounded.len()).filter(|i| !is_kept(*i)).any(|i| !same(i)));
        }
    }
}
