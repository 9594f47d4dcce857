//! Near-lossless truecolour: the residuals that PNG's Average filter leaves are rounded to few values, which deflate
//! packs well, and what is lost goes to the neighbours, so that no area changes its mean.
//!
//! Photographs need more colours than a palette holds, and this costs less for the same score. Average does best among
//! the filters because half of each error is gone at the next pixel. Of residuals that are nearly zero all channels
//! become zero together: runs of zeros cost next to nothing. How nearly depends on how busy the place is.

use rgb::RGBA8;

use super::pixels::{Channels, Pixels, Views};
use crate::optimize::search::{Search, Verdict};

/// A picture whose residuals were rounded.
pub struct Rounded {
    /// Pixels.
    pub width: usize,
    pub height: usize,
    pub channels: Channels,
    /// Row by row, as many to a pixel as it has channels.
    pub samples: Vec<u8>,
    /// SSIMULACRA2 against the source.
    pub score: f64,
}

/// Finest and coarsest distance between the values that a residual can take, in levels of 255: below the one nothing is
/// saved that counts, above the other no target is reached.
const FINEST: f64 = 2.0;
const COARSEST: f64 = 64.0;
/// Steps of the search are sixteenths of a power of two, from coarse to fine.
const STEPS_PER_OCTAVE: f64 = 16.0;
/// Points of score that a step brings near the usual targets.
const SLOPE: f64 = 1.0;
const TOLERANCE: f64 = 0.7;

/// The picture with the coarsest residuals found that reach the target; `None` where none do. At most `trials` are made,
/// fewer where `goes_on` says so.
pub fn to_target(
    pixels: &Pixels,
    channels: Channels,
    views: &Views<'_>,
    target: f64,
    trials: usize,
    mut goes_on: impl FnMut() -> Verdict,
) -> Option<Rounded> {
    let mut best: Option<Rounded> = None;
    let steps = 0..=((COARSEST / FINEST).log2() * STEPS_PER_OCTAVE) as i32;
    let first = first_step(pixels, target);
    let search = Search { steps, first, target, tolerance: TOLERANCE, trials, slope: SLOPE };
    let found: Result<_, std::convert::Infallible> = search.run(|step| {
        let distance = COARSEST / (f64::from(step) / STEPS_PER_OCTAVE).exp2();
        let rounded = round(pixels, channels, views, distance);
        let score = rounded.score;
        if score >= target && best.as_ref().is_none_or(|best| score <= best.score) {
            best = Some(rounded);
        }
        Ok((score, goes_on()))
    });
    found.ok()?.and(best)
}

fn first_step(_pixels: &Pixels, target: f64) -> i32 {
    (33.0 + (target - 75.0) / SLOPE).round() as i32
}

/// Rounds, and scores the result.
fn round(pixels: &Pixels, channels: Channels, views: &Views<'_>, distance: f64) -> Rounded {
    match channels {
        Channels::Gray => round_channels::<1>(pixels, channels, views, distance),
        Channels::GrayAlpha => round_channels::<2>(pixels, channels, views, distance),
        Channels::Rgb => round_channels::<3>(pixels, channels, views, distance),
        Channels::Rgba => round_channels::<4>(pixels, channels, views, distance),
    }
}

fn round_channels<const N: usize>(
    pixels: &Pixels,
    channels: Channels,
    views: &Views<'_>,
    distance: f64,
) -> Rounded {
    let (width, height) = (pixels.width, pixels.height);
    let mut samples = Vec::with_capacity(width * height * N);
    let mut rounder = Rounder::<N>::new(pixels, distance);
    let score = views.score(|y, row| {
        rounder.round_row(y);
        for (pixel, rounded) in row.iter_mut().zip(&rounder.row) {
            let rounded = rounded.map(|v| v as u8);
            samples.extend_from_slice(&rounded);
            *pixel = pixel_of(rounded);
        }
    });
    Rounded { width, height, channels, samples, score: score.unwrap_or(0.0) }
}

/// Fraction bits of carried errors.
const FRACTION: u32 = 4;
/// Each of four neighbours gets so many 32nds of an error, 5/8 of it in all: with less, areas change their mean; with
/// more, grain costs more than it brings.
const SHARE: i32 = 5;
/// No more than this of an error is carried, in levels: where values clip, it would pile up.
const MOST_CARRIED: i32 = 20;
/// Where neighbours differ by fewer levels than this, a place is smooth.
const SMOOTH: i32 = 3;
/// Residuals in a table reach so far from zero; with what is carried none is further.
const REACH: i32 = 255 + 2 * MOST_CARRIED;

/// The values residuals are rounded to, for one distance between them.
struct Lattice {
    /// How many distances from zero a residual is, at its sum with [`REACH`].
    nearest: Vec<i16>,
    /// The residual that is so many distances from zero, at that number's sum with the middle.
    values: Vec<i16>,
    /// Below this all channels become zero together, for each degree of business; with fraction.
    dead_zone: Vec<i32>,
}

impl Lattice {
    fn new(distance: f64) -> Self {
        let count = |residual: i32| (f64::from(residual) / distance).round();
        let values = (-REACH..=REACH).map(|i| (f64::from(i) * distance).round().clamp(-999.0, 999.0) as i16).collect();
        // Found by search over photographs; 0.5 would be plain rounding.
        let share = |business: i32| (0.7 + (0.2 * (f64::from(business + 1).ln() - 2.0)).clamp(-0.3, 0.5)) * distance;
        Self {
            nearest: (-REACH..=REACH).map(|residual| count(residual) as i16).collect(),
            values,
            dead_zone: (0..=255).map(|business| (share(business) * f64::from(1 << FRACTION)) as i32).collect(),
        }
    }

    fn value(&self, count: i32) -> i32 {
        self.values[(count + REACH) as usize].into()
    }
}

/// Rounds one picture, row by row.
struct Rounder<'a, const N: usize> {
    pixels: &'a Pixels,
    coarse: Lattice,
    /// Half as coarse, for smooth places: there a step is seen.
    fine: Lattice,
    /// The last row, rounded.
    row: Vec<[i32; N]>,
    /// What the row above carries to each pixel, and what this one carries on.
    carried: Vec<[i32; N]>,
    carrying: Vec<[i32; N]>,
    /// How much neighbours differ around each pixel, in 16ths of a level.
    business: Vec<i32>,
}

impl<'a, const N: usize> Rounder<'a, N> {
    /// Channels that hold colour; one more is alpha, which stays as it is.
    const COLORS: usize = if N.is_multiple_of(2) { N - 1 } else { N };

    fn new(pixels: &'a Pixels, distance: f64) -> Self {
        let width = pixels.width;
        Self {
            pixels,
            coarse: Lattice::new(distance),
            fine: Lattice::new(distance / 2.0),
            row: vec![[0; N]; width],
            carried: vec![[0; N]; width + 2],
            carrying: vec![[0; N]; width + 2],
            business: vec![0; width],
        }
    }

    fn round_row(&mut self, y: usize) {
        let source = self.pixels.row(y);
        self.watch(y);
        std::mem::swap(&mut self.carried, &mut self.carrying);
        self.carrying.fill([0; N]);
        let (mut left, mut ahead) = ([0; N], [0; N]);
        for (x, pixel) in source.iter().enumerate() {
            let predicted: [i32; N] = std::array::from_fn(|c| (left[c] + self.row[x][c]) >> 1);
            let samples = samples::<N>(*pixel);
            let wanted: [i32; N] =
                std::array::from_fn(|c| (samples[c] << FRACTION) + ahead[c] + self.carried[x + 1][c]);
            let rounded = if pixel.a == 0 {
                // Not seen: colours cost nothing as foretold.
                std::array::from_fn(|c| if c < Self::COLORS { predicted[c] } else { samples[c] })
            } else {
                self.round_pixel(x, predicted, wanted, samples)
            };
            ahead = [0; N];
            if pixel.a != 0 {
                for c in 0..Self::COLORS {
                    let most = MOST_CARRIED << FRACTION;
                    let share = (wanted[c] - (rounded[c] << FRACTION)).clamp(-most, most) * SHARE >> 5;
                    ahead[c] = share;
                    (x..x + 3).for_each(|x| self.carrying[x][c] += share);
                }
            }
            self.row[x] = rounded;
            left = rounded;
        }
    }

    /// One pixel, rounded: its residuals all zero, or each the nearest value that does not leave the range.
    fn round_pixel(&self, x: usize, predicted: [i32; N], wanted: [i32; N], samples: [i32; N]) -> [i32; N] {
        let residual: [i32; N] = std::array::from_fn(|c| wanted[c] - (predicted[c] << FRACTION));
        let business = self.business[x] >> FRACTION;
        let lattice = if business < SMOOTH { &self.fine } else { &self.coarse };
        let dead_zone = self.coarse.dead_zone[business as usize];
        let dead = residual[..Self::COLORS].iter().all(|residual| residual.abs() <= dead_zone);
        std::array::from_fn(|c| {
            if c >= Self::COLORS {
                return samples[c];
            }
            if dead {
                return predicted[c];
            }
            let whole = (residual[c] + (1 << (FRACTION - 1))) >> FRACTION;
            let mut count: i32 = lattice.nearest[(whole.clamp(-REACH, REACH) + REACH) as usize].into();
            // Ends at the predicted value, which is in range.
            while !(0..=255).contains(&(predicted[c] + lattice.value(count))) {
                count -= count.signum();
            }
            predicted[c] + lattice.value(count)
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

/// The channels of a pixel: gray or red, green, blue; then alpha, where there is one.
fn samples<const N: usize>(pixel: RGBA8) -> [i32; N] {
    let all = if N > 2 { [pixel.r, pixel.g, pixel.b, pixel.a] } else { [pixel.r, pixel.a, 0, 0] };
    std::array::from_fn(|c| all[c].into())
}
