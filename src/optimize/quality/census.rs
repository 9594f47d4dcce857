//! Colours of a picture, and what each is used for: areas, lines and text, rims of antialiasing, steps of gradients.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use rgb::RGBA8;

use crate::optimize::picture::Pixels;

/// Something for each colour, by [`key`].
pub type ColorMap<T> = HashMap<u32, T, BuildHasherDefault<ColorHasher>>;

/// Hashes a colour by one multiplication: Fibonacci hashing, by 2⁶⁴ over the golden ratio.
#[derive(Default)]
pub struct ColorHasher(u64);

impl Hasher for ColorHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32((*byte).into());
        }
    }

    fn write_u32(&mut self, value: u32) {
        let product = (self.0 ^ u64::from(value)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = product ^ product >> 32;
    }
}

/// A colour as a number; all that are not seen are one.
#[must_use]
pub fn key(pixel: RGBA8) -> u32 {
    if pixel.a == 0 { 0 } else { u32::from_be_bytes([pixel.r, pixel.g, pixel.b, pixel.a]) }
}

#[must_use]
pub fn color(key: u32) -> RGBA8 {
    let [r, g, b, a] = key.to_be_bytes();
    RGBA8::new(r, g, b, a)
}

/// The largest difference of any channel.
#[must_use]
pub fn distance(a: u32, b: u32) -> u8 {
    let (a, b) = (a.to_be_bytes(), b.to_be_bytes());
    (0..4).map(|i| a[i].abs_diff(b[i])).max().unwrap_or(0)
}

/// How a colour is used.
#[derive(Debug, Clone, Copy, Default)]
pub struct Use {
    /// Pixels of it.
    pub count: u32,
    /// Of these the ones that equal one of their eight neighbours, two of their four, all four.
    thin: u32,
    firm: u32,
    pub flat: u32,
    /// Pixels whose colour lies between two neighbours'.
    rim: u32,
    /// Neighbours of another colour that are far from this one, and near it.
    rough: u32,
    soft: u32,
}

/// Neighbours further apart than this are an edge, not a gradient.
const EDGE: u8 = 8;
/// A dot or a short line has so many equal pixels.
const LEAST_PIXELS: u32 = 13;
/// So many flat pixels are an area.
const AREA: u32 = 64;
/// A band that is wider than this many pixels is no step of a gradient any more.
const BAND: u32 = 32 / 2;
/// One pixel in so many of a colour is flat by chance.
const CHANCE: u32 = 16;
/// More than the gate of flat areas asks.
const NEARLY_ALL: f64 = 0.995;
/// So many colours have flat areas of such a share of a graphic's pixels; in photographs that repeat themselves of a
/// fifth at the most, and of others it takes so few colours that these must be gradients.
const GROUNDS: usize = 64;
const GROUND: f64 = 0.25;
const PIXELS_PER_COLOR: usize = 128;
/// A rim has less than this share of firm pixels: thin lines between two areas have nearly nothing else.
const RIM_FIRM: f64 = 0.8;

impl Use {
    /// Whether the colour is a step of a gradient.
    #[must_use]
    pub fn is_step(&self) -> bool {
        self.soft > self.rough
    }

    /// Whether antialiasing made it.
    fn is_rim(&self) -> bool {
        2 * self.rim > self.count && f64::from(self.firm) < RIM_FIRM * f64::from(self.count)
    }

    #[must_use]
    pub fn is_area(&self) -> bool {
        self.flat >= AREA
    }

    /// Whether it is flat somewhere, and not by being a step of a gradient: wide bands of those count as ground.
    #[must_use]
    pub fn is_ground(&self) -> bool {
        self.flat > 0 && (!self.is_step() || self.soft < self.count / BAND)
    }

    /// Whether it is flat somewhere, not just by chance: steps of gradients are that are wide enough.
    #[must_use]
    pub fn is_flat(&self) -> bool {
        self.is_ground() || self.flat > self.count / CHANCE
    }

    /// Whether nearly all its pixels have equal neighbours: of grain they have not.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.thin >= self.count - self.count / 20
    }

    /// Whether it stands for something drawn.
    #[must_use]
    pub fn is_mark(&self) -> bool {
        self.thin >= LEAST_PIXELS && !self.is_step() && !self.is_rim()
    }

    fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.thin += other.thin;
        self.firm += other.firm;
        self.flat += other.flat;
        self.rim += other.rim;
        self.rough += other.rough;
        self.soft += other.soft;
    }
}

/// Colours of a picture and their use.
pub struct Census {
    pub uses: ColorMap<Use>,
    /// Whether these are all colours; else such may be missing as have no equal neighbours.
    pub is_complete: bool,
    /// Whether all were asked for.
    all: bool,
}

/// More colours are not told apart: no drawing has as many, and memory has an end.
const MOST_COLORS: usize = 1 << 18;

/// Bytes of memory that a census of so many pixels needs at the most, and what is made of it.
#[must_use]
pub fn memory(pixels: u64) -> u64 {
    // A map of colours and their use, another from colours to colours, and a list; both maps at half their load.
    pixels.min(MOST_COLORS as u64).saturating_mul(2 * 36 + 2 * 12 + 32)
}

impl Census {
    /// Of a picture; `all` its colours, or those that have equal neighbours.
    #[must_use]
    pub fn of(pixels: &Pixels, all: bool) -> Self {
        let mut census = Self { uses: ColorMap::default(), is_complete: all, all };
        let keys = |y: usize| pixels.row(y).iter().map(|pixel| key(*pixel)).collect::<Vec<_>>();
        let mut above: Option<Vec<u32>> = None;
        let mut row = keys(0);
        for y in 1..=pixels.height {
            let below = (y < pixels.height).then(|| keys(y));
            census.count(&Rows { above: above.as_deref(), row: &row, below: below.as_deref() });
            let Some(below) = below else { break };
            above = Some(std::mem::replace(&mut row, below));
        }
        census
    }

    /// Counts a row, one run of equal pixels at a time.
    fn count(&mut self, rows: &Rows<'_>) {
        let mut run = Use::default();
        for (x, key) in rows.row.iter().enumerate() {
            rows.look(x, &mut run);
            if rows.row.get(x + 1) == Some(key) {
                continue;
            }
            if let Some(known) = self.uses.get_mut(key) {
                known.add(&run);
            } else if run.thin > 0 || self.is_complete {
                self.is_complete &= self.uses.len() < MOST_COLORS;
                if self.uses.len() < MOST_COLORS {
                    self.uses.insert(*key, run);
                }
            }
            run = Use::default();
        }
    }

    /// Whether all colours were asked for, as they are of graphics.
    #[must_use]
    pub fn is_of_graphic(&self) -> bool {
        self.all
    }

    /// Whether these colours hold nearly all flat pixels.
    #[must_use]
    pub fn holds_flat(&self, is_held: impl Fn(&Use) -> bool) -> bool {
        let (mut all, mut held) = (0.0, 0.0);
        for used in self.uses.values() {
            all += f64::from(used.flat);
            held += if is_held(used) { f64::from(used.flat) } else { 0.0 };
        }
        held >= all * NEARLY_ALL
    }

    /// Flat pixels of the so many colours that have most of them.
    #[must_use]
    pub fn flat_of(&self, colors: usize) -> u64 {
        let mut flat: Vec<_> = self.uses.values().map(|used| used.flat).collect();
        flat.sort_unstable_by_key(|flat| Reverse(*flat));
        flat.iter().take(colors).map(|flat| u64::from(*flat)).sum()
    }

    /// Whether flat areas of so many pixels are drawn, not flat by chance as those of smooth photographs.
    #[must_use]
    pub fn is_drawn(&self, pixels: usize) -> bool {
        self.flat_of(GROUNDS) as f64 >= pixels as f64 * GROUND || self.uses.len() * PIXELS_PER_COLOR <= pixels
    }

    /// Colours, the most frequent first.
    #[must_use]
    pub fn by_count(&self) -> Vec<(u32, Use)> {
        let mut colors: Vec<_> = self.uses.iter().map(|(key, used)| (*key, *used)).collect();
        colors.sort_unstable_by_key(|(key, used)| (Reverse(used.count), *key));
        colors
    }
}

/// A row between its neighbours.
struct Rows<'a> {
    above: Option<&'a [u32]>,
    row: &'a [u32],
    below: Option<&'a [u32]>,
}

impl Rows<'_> {
    /// Adds a pixel to the use of its colour.
    fn look(&self, x: usize, used: &mut Use) {
        let pixel = self.row[x];
        let [left, right] = [x.wrapping_sub(1), x + 1].map(|x| self.row.get(x).copied());
        let [above, below] = [self.above, self.below].map(|row| row.map(|row| row[x]));
        let mut equal = 0;
        for other in [left, right, above, below].into_iter().flatten() {
            if other == pixel {
                equal += 1;
            } else if distance(other, pixel) > EDGE {
                used.rough += 1;
            } else {
                used.soft += 1;
            }
        }
        let is_between = |a: Option<u32>, b: Option<u32>| a.zip(b).is_some_and(|(a, b)| is_mix(pixel, a, b));
        let is_rim = || {
            is_between(left, right)
                || is_between(above, below)
                || [left, right].iter().any(|beside| is_between(*beside, above) || is_between(*beside, below))
        };
        used.count += 1;
        used.thin += u32::from(equal > 0 || self.meets_diagonally(x));
        used.firm += u32::from(equal >= 2);
        used.flat += u32::from(equal == 4);
        used.rim += u32::from(equal < 3 && is_rim());
    }

    fn meets_diagonally(&self, x: usize) -> bool {
        let pixel = self.row[x];
        let beside = [x.wrapping_sub(1), x + 1];
        [self.above, self.below].into_iter().flatten().any(|row| beside.iter().any(|x| row.get(*x) == Some(&pixel)))
    }
}

/// Two colours nearer to each other than this have no rim between them.
const LEAST_SPAN: i32 = 24;
/// A mix is off the straight line by so many levels at the most: drawing programs mix in light, or round.
const OFF_LINE: i32 = 10;

/// Whether a colour lies between two others.
fn is_mix(color: u32, a: u32, b: u32) -> bool {
    let [c, a, b] = [color, a, b].map(|key| key.to_be_bytes().map(i32::from));
    let widest = (0..4).max_by_key(|i| (a[*i] - b[*i]).abs()).unwrap_or(0);
    let (span, part) = (b[widest] - a[widest], c[widest] - a[widest]);
    let is_inside = part.signum() == span.signum() && part.abs() < span.abs();
    let is_on_line = || (0..4).all(|i| (a[i] + (b[i] - a[i]) * part / span - c[i]).abs() <= OFF_LINE);
    span.abs() >= LEAST_SPAN && is_inside && is_on_line()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn census_of_too_many_colours_is_incomplete_and_bounded() {
        let rgba = (0..600 * 600_u32).map(|i| color(i.wrapping_mul(2_654_435_761) | 255)).collect();
        let census = Census::of(&Pixels { width: 600, height: 600, rgba }, true);
        assert!(!census.is_complete && census.uses.len() <= MOST_COLORS);
    }
}
