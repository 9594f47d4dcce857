//! Residuals of PNG's Average filter, rounded to few values. What is lost goes to the neighbours, so that no area changes
//! its mean. Of residuals that are nearly zero all channels become zero together.

use std::collections::HashSet;
use std::hash::BuildHasherDefault;

use rgb::RGBA8;

use super::dead_zones::DeadZones;
use super::lattice::{FRACTION, Lattice, MOST_CARRIED};
use super::pixels::Channels;
use crate::optimize::picture::Pixels;
use crate::optimize::quality::census::{self, Census, ColorHasher, Use};
use crate::optimize::quality::score::Score;

/// Colours that stay exact, since eyes hold them beside what is like them: in drawings those of flat areas, in any picture
/// those of thin lines, dots and text.
#[derive(Default)]
pub struct Kept {
    colors: HashSet<u32, BuildHasherDefault<ColorHasher>>,
    /// Whether flat pixels stay, of whatever colour: steps of gradients above all.
    pub flat: bool,
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

/// What decides about a pixel beside its residuals.
#[derive(Clone, Copy)]
pub struct Places<'a> {
    pub kept: &'a Kept,
    pub zones: &'a DeadZones,
}

/// The picture with residuals that lie so far apart.
#[must_use]
pub fn round(pixels: &Pixels, places: Places<'_>, channels: Channels, distance: f64) -> Rounded {
    let samples = match channels {
        Channels::Gray => round_channels::<1>(pixels, places, distance),
        Channels::GrayAlpha => round_channels::<2>(pixels, places, distance),
        Channels::Rgb => round_channels::<3>(pixels, places, distance),
        Channels::Rgba => round_channels::<4>(pixels, places, distance),
    };
    Rounded { width: pixels.width, height: pixels.height, channels, samples, score: Score::REFUSED }
}

fn round_channels<const N: usize>(pixels: &Pixels, places: Places<'_>, distance: f64) -> Vec<u8> {
    let mut samples = Vec::with_capacity(pixels.rgba.len() * N);
    let mut rounder = Rounder::<N>::new(pixels, places, distance);
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
    places: Places<'a>,
}

impl<'a, const N: usize> Rounder<'a, N> {
    /// Channels that hold colour; one more is alpha, which stays as it is.
    const COLORS: usize = if N.is_multiple_of(2) { N - 1 } else { N };

    fn new(pixels: &'a Pixels, places: Places<'a>, distance: f64) -> Self {
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
            places,
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
            let is_kept = pixel.a != 0 && self.places.kept.has(self.pixels, x, y);
            let rounded = if pixel.a == 0 {
                // Not seen: colours cost nothing as foretold.
                std::array::from_fn(|c| if c < Self::COLORS { predicted[c] } else { samples[c] })
            } else if is_kept {
                samples
            } else {
                let neighbours = [source[x.saturating_sub(1)], above[x]];
                self.round_pixel((x, y), predicted, wanted, samples, clipped(samples, neighbours))
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
        (x, y): (usize, usize),
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
        let dead_zone = self.places.zones.at(x, y, dead_zone);
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
