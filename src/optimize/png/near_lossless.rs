//! Near-lossless truecolour: the residuals that PNG's Average filter leaves are rounded to few values, which deflate
//! packs well, and what is lost goes to the neighbours, so that no area changes its mean.
//!
//! Photographs need more colours than a palette holds, and this costs less for the same score. Average does best among
//! the filters because half of each error is gone at the next pixel. Of residuals that are nearly zero all channels
//! become zero together: runs of zeros cost next to nothing. How nearly depends on how busy the place is.

use std::collections::HashSet;
use std::hash::BuildHasherDefault;

use rgb::RGBA8;

use super::lattice::{FRACTION, Lattice, MOST_CARRIED};
use super::pixels::Channels;
use super::sample_tiles;
use crate::optimize::picture::Pixels;
use crate::optimize::quality::backgrounds::Views;
use crate::optimize::quality::census::{self, Census, ColorHasher, Use};
use crate::optimize::quality::score::Score;
use crate::optimize::quality::search::{Search, Trial, Verdict};

/// Colours that stay exact, since eyes hold them beside what is like them: in drawings those of flat areas, in any picture
/// those of thin lines, dots and text.
#[derive(Default)]
pub struct Kept {
    colors: HashSet<u32, BuildHasherDefault<ColorHasher>>,
    /// Whether flat pixels stay, of whatever colour: steps of gradients above all.
    flat: bool,
}

impl Kept {
    #[must_use]
    pub fn new(census: &Census, is_graphic: bool) -> Self {
        let is_kept =
            |used: &Use| used.is_mark() && used.is_clean() || is_graphic && (used.is_ground() || used.is_mark());
        let colors = census.uses.iter().filter(|(_, used)| is_kept(used)).map(|(key, _)| *key).collect();
        Self { colors, flat: false }
    }

    fn has(&self, pixels: &Pixels, x: usize, y: usize) -> bool {
        let is_of_color = || self.colors.contains(&census::key(pixels.row(y)[x]));
        !self.colors.is_empty() && is_of_color() || self.flat && pixels.is_flat(x, y)
    }
}

/// A picture whose residuals were rounded.
pub struct Rounded {
    /// Pixels.
    pub width: usize,
    pub height: usize,
    pub channels: Channels,
    /// Row by row, as many to a pixel as it has channels.
    pub samples: Vec<u8>,
    /// Against the source.
    pub score: Score,
}

/// Finest and coarsest distance between the values that a residual can take, in levels of 255: below the one nothing is
/// saved that counts, above the other no target is reached.
const FINEST: f64 = 2.0;
const COARSEST: f64 = 64.0;
/// Steps of the search are 48ths of a power of two, from coarse to fine.
const STEPS_PER_OCTAVE: f64 = 48.0;
/// Points of score that a step brings near the usual targets.
const SLOPE: f64 = 0.33;
/// The step that reaches a score of 75, over photographs.
const FIRST: f64 = 99.0;
const TOLERANCE: f64 = 0.6;
/// Trials on a sample at the most.
const SAMPLE_TRIALS: usize = 6;
/// A sample scores higher than the picture it is from, by this much on average.
const SAMPLE_BIAS: f64 = 3.0;
/// The picture with the coarsest residuals found that reach the target; `None` where none do. At most `trials` are made
/// of the whole, fewer where `goes_on` says so; where to begin is searched for on a sample.
pub fn to_target(
    pixels: &Pixels,
    mut kept: Kept,
    channels: Channels,
    views: &Views<'_>,
    target: f64,
    trials: usize,
    mut goes_on: impl FnMut() -> Verdict,
) -> Option<Rounded> {
    let first = (FIRST + (target - 75.0) / SLOPE).round() as i32;
    let search = |target, first, trials| {
        let steps = 0..=((COARSEST / FINEST).log2() * STEPS_PER_OCTAVE) as i32;
        Search { steps, first, target, tolerance: TOLERANCE, trials, slope: SLOPE }
    };
    // Colours and little rounding leave most graphics flat; else each flat pixel must stay, which costs bytes.
    let mut scored = |pixels: &Pixels, views: &Views<'_>, step| {
        let rounded = round(pixels, &kept, channels, distance(step)).scored(views);
        if kept.flat || rounded.score.keeps_flat() {
            return rounded;
        }
        kept.flat = true;
        round(pixels, &kept, channels, distance(step)).scored(views)
    };
    let mut by_sample = || {
        let sample = sample_tiles::of(pixels)?;
        let views = views.of_sample(&sample);
        let mut score = |step| scored(&sample, &views, step).score.whole;
        run(&search(target + SAMPLE_BIAS, first, SAMPLE_TRIALS), |step| (score(step), Verdict::Continue))
    };
    let first = by_sample().map_or(first, |trial| trial.step);
    let mut best: Option<(f64, Rounded)> = None;
    run(&search(target, first, trials), |step| {
        let rounded = scored(pixels, views, step);
        let score = rounded.score.effective(target);
        if score >= target && best.as_ref().is_none_or(|(best, _)| score <= *best) {
            best = Some((score, rounded));
        }
        (score, goes_on())
    });
    best.map(|(_, rounded)| rounded)
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
    /// Refused where the picture is too small for a score.
    fn scored(mut self, views: &Views<'_>) -> Self {
        let score = match self.channels.count() {
            1 => views.score(|y, row| self.fill::<1>(y, row)),
            2 => views.score(|y, row| self.fill::<2>(y, row)),
            3 => views.score(|y, row| self.fill::<3>(y, row)),
            _ => views.score(|y, row| self.fill::<4>(y, row)),
        };
        self.score = score.unwrap_or(Score::REFUSED);
        self
    }

    /// A row of the picture as it is shown.
    fn fill<const N: usize>(&self, y: usize, row: &mut [RGBA8]) {
        let samples = self.samples[y * self.width * N..].as_chunks::<N>().0;
        row.iter_mut().zip(samples).for_each(|(pixel, samples)| *pixel = pixel_of(*samples));
    }
}

fn round(pixels: &Pixels, kept: &Kept, channels: Channels, distance: f64) -> Rounded {
    let samples = match channels {
        Channels::Gray => round_channels::<1>(pixels, kept, distance),
        Channels::GrayAlpha => round_channels::<2>(pixels, kept, distance),
        Channels::Rgb => round_channels::<3>(pixels, kept, distance),
        Channels::Rgba => round_channels::<4>(pixels, kept, distance),
    };
    Rounded { width: pixels.width, height: pixels.height, channels, samples, score: Score::REFUSED }
}

fn round_channels<const N: usize>(pixels: &Pixels, kept: &Kept, distance: f64) -> Vec<u8> {
    let mut samples = Vec::with_capacity(pixels.rgba.len() * N);
    let mut rounder = Rounder::<N>::new(pixels, kept, distance);
    for y in 0..pixels.height {
        rounder.round_row(y);
        samples.extend(rounder.row.iter().flat_map(|pixel| pixel.map(|v| v as u8)));
    }
    samples
}

/// Each of four neighbours gets so many 32nds of an error, 5/8 of it in all: with less, areas change their mean; with
/// more, grain costs more than it brings.
const SHARE: i32 = 5;
/// Where neighbours differ by fewer levels than this, a place is smooth.
const SMOOTH: i32 = 3;
/// Of the smoothest places the dead zone is this share of the distance: more shows as scales on a sky, less costs bytes.
const FINEST_DEAD_ZONE: f64 = 0.25;
/// Below this distance a quarter of it would leave so many values that nothing tells the picture from any other.
const LEAST_HALVED: f64 = 8.0;
/// Rounds one picture, row by row.
struct Rounder<'a, const N: usize> {
    pixels: &'a Pixels,
    coarse: Lattice,
    /// Half as coarse, for smooth places: there a step is seen.
    fine: Lattice,
    /// Half as coarse again, for skies: where neighbours are the same but for a level a step shows as a scale.
    finest: Lattice,
    finest_dead_zone: i32,
    /// The last row, rounded.
    row: Vec<[i32; N]>,
    /// What the row above carries to each pixel, and what this one carries on.
    carried: Vec<[i32; N]>,
    carrying: Vec<[i32; N]>,
    /// How much neighbours differ around each pixel, in 16ths of a level.
    business: Vec<i32>,
    kept: &'a Kept,
}

impl<'a, const N: usize> Rounder<'a, N> {
    /// Channels that hold colour; one more is alpha, which stays as it is.
    const COLORS: usize = if N.is_multiple_of(2) { N - 1 } else { N };

    fn new(pixels: &'a Pixels, kept: &'a Kept, distance: f64) -> Self {
        let width = pixels.width;
        Self {
            pixels,
            coarse: Lattice::new(distance),
            fine: Lattice::new(distance / 2.0),
            finest: Lattice::new(if distance < LEAST_HALVED { distance / 2.0 } else { distance / 4.0 }),
            finest_dead_zone: (distance * FINEST_DEAD_ZONE * f64::from(1 << FRACTION)) as i32,
            row: vec![[0; N]; width],
            carried: vec![[0; N]; width + 2],
            carrying: vec![[0; N]; width + 2],
            business: vec![0; width],
            kept,
        }
    }

    fn round_row(&mut self, y: usize) {
        let source = self.pixels.row(y);
        let above = self.pixels.row(y.saturating_sub(1));
        self.watch(y);
        std::mem::swap(&mut self.carried, &mut self.carrying);
        self.carrying.fill([0; N]);
        let (mut left, mut ahead) = ([0; N], [0; N]);
        for (x, pixel) in source.iter().enumerate() {
            let predicted: [i32; N] = std::array::from_fn(|c| (left[c] + self.row[x][c]) >> 1);
            let samples = samples::<N>(*pixel);
            let wanted: [i32; N] =
                std::array::from_fn(|c| (samples[c] << FRACTION) + ahead[c] + self.carried[x + 1][c]);
            let is_kept = pixel.a != 0 && self.kept.has(self.pixels, x, y);
            let rounded = if pixel.a == 0 {
                // Not seen: colours cost nothing as foretold.
                std::array::from_fn(|c| if c < Self::COLORS { predicted[c] } else { samples[c] })
            } else if is_kept {
                samples
            } else {
                let neighbours = [source[x.saturating_sub(1)], above[x]];
                self.round_pixel(x, predicted, wanted, samples, clipped(samples, neighbours))
            };
            ahead = [0; N];
            if pixel.a != 0 && !is_kept {
                for c in 0..Self::COLORS {
                    let most = MOST_CARRIED << FRACTION;
                    let error = wanted[c] - (rounded[c] << FRACTION);
                    let share = (error.clamp(-most, most) * SHARE) >> 5;
                    ahead[c] = share;
                    (x..x + 3).for_each(|x| self.carrying[x][c] += share);
                }
            }
            self.row[x] = rounded;
            left = rounded;
        }
    }

    /// One pixel, rounded: what is clipped stays; then its residuals are all zero, or each the nearest value.
    fn round_pixel(
        &self,
        x: usize,
        predicted: [i32; N],
        wanted: [i32; N],
        samples: [i32; N],
        clipped: [bool; N],
    ) -> [i32; N] {
        let residual: [i32; N] = std::array::from_fn(|c| wanted[c] - (predicted[c] << FRACTION));
        let business = self.business[x] >> FRACTION;
        let (lattice, dead_zone) = match business {
            0 => (&self.finest, self.finest_dead_zone),
            1..SMOOTH => (&self.fine, self.coarse.dead_zone[business as usize]),
            _ => (&self.coarse, self.coarse.dead_zone[business as usize]),
        };
        let is_dead = |c: usize| residual[c].abs() <= dead_zone && (!clipped[c] || predicted[c] == samples[c]);
        let dead = (0..Self::COLORS).all(is_dead);
        std::array::from_fn(|c| {
            if c >= Self::COLORS || clipped[c] {
                samples[c]
            } else if dead {
                predicted[c]
            } else {
                lattice.round(predicted[c], (residual[c] + (1 << (FRACTION - 1))) >> FRACTION)
            }
        })
    }

    /// Notes how busy each place of a row is.
    fn watch(&mut self, y: usize) {
        let row = self.pixels.row(y);
        let above = self.pixels.row(y.saturating_sub(1));
        let difference = |a: RGBA8, b: RGBA8| {
            let of = |a: u8, b: u8| i32::from(a.abs_diff(b));
            of(a.r, b.r).max(of(a.g, b.g)).max(of(a.b, b.b))
        };
        let (mut left, mut before) = (row[0], 0);
        for (x, pixel) in row.iter().enumerate() {
            let right = *row.get(x + 1).unwrap_or(pixel);
            let sum = difference(left, *pixel) + difference(above[x], *pixel) + difference(right, *pixel);
            let here = (sum << FRACTION) / 3;
            before = (2 * self.business[x] + here + before) >> 2;
            self.business[x] = before;
            left = *pixel;
        }
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

/// Which channels are at an end of their range, as both neighbours are: in an area that is clipped, where no grain hides
/// a shift.
fn clipped<const N: usize>(pixel: [i32; N], neighbours: [RGBA8; 2]) -> [bool; N] {
    let [left, above] = neighbours.map(samples::<N>);
    std::array::from_fn(|c| matches!(pixel[c], 0 | 255) && left[c] == pixel[c] && above[c] == pixel[c])
}

/// The channels of a pixel: gray or red, green, blue; then alpha, where there is one.
fn samples<const N: usize>(pixel: RGBA8) -> [i32; N] {
    let all = if N > 2 { [pixel.r, pixel.g, pixel.b, pixel.a] } else { [pixel.r, pixel.a, 0, 0] };
    std::array::from_fn(|c| all[c].into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimize::quality::gates::tests::flat_share;

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
        round(pixels, &kept, Channels::Rgb, 24.0).samples.as_chunks::<3>().0.to_vec()
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
