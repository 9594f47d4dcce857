//! What the metric forgives and eyes do not: areas that change their mean colour, specks in what is flat, and rings in
//! soft shadows. Each is a gate: a candidate that fails it does not reach its target, whatever its score.

use rgb::RGBA8;

/// How much of three things a candidate keeps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gates {
    /// The largest distance between the mean colours of a tile of both pictures, in levels of 255.
    pub shift: f64,
    /// The share of a graphic's flat pixels that are flat in the candidate and of the same colour; 1 in photographs.
    pub flat: f64,
    /// The share of the pixels of soft shadows whose alpha is kept.
    pub soft: f64,
}

/// A tile's mean colour may be off by so many levels at a target of 75, and by one level less for each ten points above.
const MOST_SHIFT_AT_75: f64 = 3.0;
const SHIFT_PER_POINT: f64 = 0.1;
/// Bounds of that: rounding alone shifts means by half a level, and no target allows to see a tile change its colour.
const SHIFTS: [f64; 2] = [1.0, 4.0];
/// Of flat pixels so many must be kept, and of soft ones: there only rings of many are seen.
const LEAST_FLAT: f64 = 0.99;
const LEAST_SOFT: f64 = 0.97;
/// Points that an answer is below its target for each level, and for each hundredth, by which a gate is missed: a search
/// needs to know how far off it is.
const POINTS_PER_LEVEL: f64 = 3.0;
const POINTS_PER_HUNDREDTH: f64 = 1.0;

impl Gates {
    /// Of a picture beside itself.
    pub const OPEN: Self = Self { shift: 0.0, flat: 1.0, soft: 1.0 };

    /// Whether enough flat pixels are kept.
    #[must_use]
    pub fn keeps_flat(self) -> bool {
        self.flat >= LEAST_FLAT
    }

    /// The lower of both, each way.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        Self { shift: self.shift.max(other.shift), flat: self.flat.min(other.flat), soft: self.soft.min(other.soft) }
    }

    /// The most that a score counts for beside a target: below the target where a gate is missed.
    #[must_use]
    pub fn cap(self, target: f64) -> f64 {
        let over = self.shift - most_shift(target);
        let missed = 100.0 * (LEAST_FLAT - self.flat).max(LEAST_SOFT - self.soft);
        if over <= 0.0 && missed <= 0.0 {
            return f64::INFINITY;
        }
        target - over.max(0.0) * POINTS_PER_LEVEL - missed.max(0.0) * POINTS_PER_HUNDREDTH - f64::EPSILON * target
    }
}

/// How far off a tile's mean colour may be, in levels of 255.
fn most_shift(target: f64) -> f64 {
    (MOST_SHIFT_AT_75 - (target - 75.0) * SHIFT_PER_POINT).clamp(SHIFTS[0], SHIFTS[1])
}

/// Watches the rows of a source and of a candidate, from the top.
pub struct Watch {
    tiles: Tiles,
    /// Of graphics.
    flat: Option<Flat>,
    /// Of pictures with transparency.
    soft: Option<Kept>,
    /// The last two rows of each.
    rows: [[Vec<RGBA8>; 2]; 2],
    pushed: usize,
}

/// Pixels that must be kept, and how many of them are.
#[derive(Debug, Default, Clone, Copy)]
struct Kept {
    all: u64,
    kept: u64,
}

impl Kept {
    fn add(&mut self, is_kept: bool) {
        self.all += 1;
        self.kept += u64::from(is_kept);
    }

    fn share(self) -> f64 {
        if self.all == 0 { 1.0 } else { self.kept as f64 / self.all as f64 }
    }
}

/// Flat pixels of a graphic.
struct Flat {
    pixels: Kept,
    /// Which pixels of a row are such, and of the row above: these must stay the same.
    row: Vec<bool>,
    above: Vec<bool>,
}

impl Flat {
    fn new(width: usize) -> Self {
        Self { pixels: Kept::default(), row: vec![false; width], above: vec![false; width] }
    }
}

impl Watch {
    #[must_use]
    pub fn new(width: usize, is_graphic: bool, is_transparent: bool) -> Self {
        let row = || vec![RGBA8::default(); width];
        Self {
            tiles: Tiles::new(width, is_transparent),
            flat: is_graphic.then(|| Flat::new(width)),
            soft: is_transparent.then(Kept::default),
            rows: [[row(), row()], [row(), row()]],
            pushed: 0,
        }
    }

    /// The next row of both.
    pub fn push(&mut self, source: &[RGBA8], candidate: &[RGBA8]) {
        self.tiles.push(source, candidate);
        if self.flat.is_none() && self.soft.is_none() {
            return;
        }
        if self.pushed >= 2 {
            self.look(source);
        }
        for (rows, row) in self.rows.iter_mut().zip([source, candidate]) {
            rows.swap(0, 1);
            rows[1].copy_from_slice(row);
        }
        self.pushed += 1;
    }

    /// Looks at the row before this one, between its neighbours; the outermost pixels have too few of them.
    fn look(&mut self, below: &[RGBA8]) {
        let [[above, row], [above_candidate, candidate]] = &self.rows;
        if let Some(flat) = &mut self.flat {
            std::mem::swap(&mut flat.above, &mut flat.row);
            flat.row.fill(false);
        }
        for x in 1..row.len().saturating_sub(1) {
            let pixel = row[x];
            let around = [row[x - 1], row[x + 1], above[x], below[x]];
            if let Some(flat) = &mut self.flat
                && around.iter().all(|other| is_same(pixel, *other))
            {
                let result = candidate[x];
                let is_kept = is_near(pixel, result)
                    && (!flat.row[x - 1] || is_same(result, candidate[x - 1]))
                    && (!flat.above[x] || is_same(result, above_candidate[x]));
                flat.pixels.add(is_kept);
                flat.row[x] = true;
            } else if let Some(soft) = &mut self.soft
                && !matches!(pixel.a, 0 | 255)
                && around.iter().all(|other| pixel.a.abs_diff(other.a) <= SOFT_STEP)
            {
                soft.add(pixel.a.abs_diff(candidate[x].a) <= NEAR_SOFT);
            }
        }
    }

    #[must_use]
    pub fn finish(self) -> Gates {
        let share = |kept: Option<Kept>| kept.map_or(1.0, Kept::share);
        let pixels = self.pushed * self.rows[0][0].len();
        let soft = self.soft.filter(|soft| soft.all as f64 >= pixels as f64 * SOFT_SHARE);
        Gates { shift: self.tiles.finish(), flat: share(self.flat.map(|flat| flat.pixels)), soft: share(soft) }
    }
}

/// A flat pixel may be off by so many levels of 255, and the alpha of a soft shadow.
const NEAR: u8 = 2;
const NEAR_SOFT: u8 = 4;
/// In a soft shadow alpha changes by no more from pixel to pixel.
const SOFT_STEP: u8 = 12;
/// A picture with fewer soft pixels has no shadow: they are the rims of what is drawn.
const SOFT_SHARE: f64 = 0.005;

fn is_same(a: RGBA8, b: RGBA8) -> bool {
    a == b || a.a == 0 && b.a == 0
}

fn is_near(a: RGBA8, b: RGBA8) -> bool {
    let near = |a: u8, b: u8| a.abs_diff(b) <= NEAR;
    a.a == 0 && b.a == 0 || near(a.r, b.r) && near(a.g, b.g) && near(a.b, b.b) && near(a.a, b.a)
}

/// Pixels of a tile each way: about what an eye takes in at once.
const TILE: usize = 32;
/// Tiles at the right and lower edges count if they have so many pixels: means of fewer tell nothing.
const LEAST_PIXELS: usize = TILE * TILE / 2;

/// How far apart mean colours are, tile by tile, over black and over white.
struct Tiles {
    is_transparent: bool,
    /// Rows of the tiles that are being summed.
    rows: usize,
    /// For each tile the sum of differences of red, green and blue over black, and of alpha.
    sums: Vec<[i32; 4]>,
    width: usize,
    largest: f64,
}

impl Tiles {
    fn new(width: usize, is_transparent: bool) -> Self {
        Self { is_transparent, rows: 0, sums: vec![[0; 4]; width.div_ceil(TILE)], width, largest: 0.0 }
    }

    fn push(&mut self, source: &[RGBA8], candidate: &[RGBA8]) {
        let tiles = source.chunks(TILE).zip(candidate.chunks(TILE));
        for (sums, (source, candidate)) in self.sums.iter_mut().zip(tiles) {
            let add = |sums: &mut [i32; 4], pixel: &RGBA8, sign: i32| {
                let of = |v: u8| i32::from(v) * sign;
                let [r, g, b] =
                    if self.is_transparent { over_black(*pixel) } else { [pixel.r, pixel.g, pixel.b] }.map(of);
                *sums = [sums[0] + r, sums[1] + g, sums[2] + b, sums[3] + of(pixel.a)];
            };
            for (source, candidate) in source.iter().zip(candidate) {
                add(sums, source, 1);
                add(sums, candidate, -1);
            }
        }
        self.rows += 1;
        if self.rows == TILE {
            self.close();
        }
    }

    fn close(&mut self) {
        for (i, sums) in self.sums.iter_mut().enumerate() {
            let count = (self.width - i * TILE).min(TILE) * self.rows;
            let [r, g, b, a] = std::mem::take(sums);
            // Over white each sample is higher by what alpha leaves of it.
            let largest = [r, g, b].map(|sum| sum.abs().max((sum - a).abs())).into_iter().max().unwrap_or(0);
            if count >= LEAST_PIXELS {
                self.largest = self.largest.max(f64::from(largest) / count as f64);
            }
        }
        self.rows = 0;
    }

    fn finish(mut self) -> f64 {
        self.close();
        self.largest
    }
}

fn over_black(pixel: RGBA8) -> [u8; 3] {
    [pixel.r, pixel.g, pixel.b].map(|v| ((u32::from(v) * u32::from(pixel.a) + 127) / 255) as u8)
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::optimize::picture::Pixels;

    const SIZE: usize = 96;

    fn picture(pixel: impl Fn(usize, usize) -> [u8; 4]) -> Pixels {
        let at = |i: usize| pixel(i % SIZE, i / SIZE).into();
        Pixels { width: SIZE, height: SIZE, rgba: (0..SIZE * SIZE).map(at).collect() }
    }

    fn gates(source: &Pixels, candidate: &Pixels) -> Gates {
        let mut watch = Watch::new(source.width, source.is_graphic(), source.is_transparent());
        (0..source.height).for_each(|y| watch.push(source.row(y), candidate.row(y)));
        watch.finish()
    }

    /// The share of flat pixels that stay, and of their colour.
    pub fn flat_share(source: &Pixels, candidate: &Pixels) -> f64 {
        assert!(source.is_graphic());
        gates(source, candidate).flat
    }

    #[test]
    fn gate_of_shifts_is_for_the_worst_tile_and_stricter_for_more() {
        let noise = |x: usize, y: usize| ((x * 31 + y * 977) as u32).wrapping_mul(2_654_435_761).to_be_bytes()[0] / 2;
        let shifted = |by: u8| {
            picture(|x, y| {
                let is_inside = (32..64).contains(&x) && (64..96).contains(&y);
                [90, noise(x, y), 70 + if is_inside { by } else { 0 }, 255]
            })
        };
        let gates = |by| gates(&shifted(0), &shifted(by));
        assert!((gates(4).shift - 4.0).abs() < 1e-9);
        assert!(gates(4).cap(75.0) < 75.0 && gates(2).cap(75.0) > 100.0);
        assert!(gates(2).cap(85.0) > 100.0 && gates(3).cap(75.0) > 100.0 && gates(3).cap(85.0) < 85.0);
        assert!(gates(5).cap(75.0) < gates(4).cap(75.0) && gates(4).min(gates(2)) == gates(4));
    }

    #[test]
    fn gate_of_flat_areas_refuses_specks_in_them() {
        let boxes = |specks: bool| {
            picture(|x, y| {
                let level = if (x / 24 + y / 24) % 2 == 0 { 240 } else { 40 };
                let speck = u8::from(specks && x % 6 == 3 && y % 6 == 3);
                [level - speck, level, level, 255]
            })
        };
        assert!((gates(&boxes(false), &boxes(false)).flat - 1.0).abs() < 1e-9);
        // One level is near, but no longer the same as around it.
        let specked = gates(&boxes(false), &boxes(true));
        assert!(specked.flat < 0.95 && specked.cap(75.0) < 75.0);
    }

    #[test]
    fn gate_of_flat_areas_refuses_grain_in_wide_steps() {
        let bands = |grain: bool| {
            picture(|x, y| [100 + (y / 4) as u8 + u8::from(grain && (x * 7 + y * 3) % 5 == 0), 90, 90, 255])
        };
        let source = bands(false);
        assert!(flat_share(&source, &bands(true)) < 0.8 && flat_share(&source, &source) > 0.999);
    }

    #[test]
    fn gate_of_soft_shadows_refuses_rings() {
        let shadow = |step: usize| picture(|x, y| [0, 0, 0, ((x + y) / step * step) as u8 + 1]);
        let gates = |step| gates(&shadow(1), &shadow(step));
        assert!(gates(3).cap(75.0) > 75.0);
        assert!(gates(16).soft < 0.5 && gates(16).cap(75.0) < 75.0);
    }
}
