//! Insets: photographs on plain grounds, which are scored by themselves as well.
//!
//! A product, an avatar or a picture in a slide ends at a sharp edge to its ground. The metric forgives errors beside sharp
//! edges, and windows across the edge are half ground, so that the inset alone, as a person crops it, scores up to ten
//! points below its windows.

use std::ops::Range;

use super::ssimulacra2::AllScales;
use crate::optimize::picture::Row;

/// Side of the tiles that are told apart, in pixels.
const TILE: usize = 8;
/// Mean second difference of luma, of 255, from which on a tile is textured: rounded gradients have 0.5.
const TEXTURE: f64 = 1.0;
/// Pixels beside a textured tile that may belong to the same inset: too few for a tile's texture.
const BESIDE: usize = 3;
/// Pixels inside in which a textured tile may still be ground: halved chroma of JPEG and WebP rings for 16 pixels.
const RIM: usize = 2 * TILE;
/// Untextured tiles between two of the same inset, at the most.
const GAP: usize = 1;
/// Pixels of a side, at the least.
const LEAST_SIDE: usize = 32;
/// Shares of the picture: a larger inset is most of what there is, and with less ground the whole tells enough.
const MOST_AREA: f64 = 0.5;
pub const LEAST_PLAIN: f64 = 0.35;
/// Share of textured tiles in an inset, and of pixels that equal a neighbour: of what is a photograph.
const LEAST_FILLED: f64 = 0.6;
const MOST_REPEATS: f64 = 0.5;
/// Difference to the ground from which on a segment of an edge is sharp: 8 levels of each of its pixels.
const SHARP: u16 = 8 * TILE as u16;
/// Share of segments that are sharp, and sides that are not the picture's own, at the least.
const LEAST_SHARP: f64 = 0.6;
const LEAST_SIDES: usize = 2;
/// Insets that are scored, the largest first.
const MOST: usize = 32;

/// A rectangle of a picture, in pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inset {
    pub across: Range<usize>,
    pub down: Range<usize>,
}

impl Inset {
    /// As it lies in a part of the picture; `None` where it is not wholly inside.
    #[must_use]
    pub fn within(&self, across: &Range<usize>, down: &Range<usize>) -> Option<Self> {
        let shifted = |own: &Range<usize>, part: &Range<usize>| {
            (part.start <= own.start && own.end <= part.end).then(|| own.start - part.start..own.end - part.start)
        };
        Some(Self { across: shifted(&self.across, across)?, down: shifted(&self.down, down)? })
    }
}

/// Compares an inset of two pictures.
pub struct InsetComparison {
    inset: Inset,
    pair: AllScales,
}

impl InsetComparison {
    /// `None` where a side is too small for a score.
    #[must_use]
    pub fn new(inset: Inset) -> Option<Self> {
        let pair = AllScales::new(inset.across.len(), inset.down.len())?;
        Some(Self { inset, pair })
    }

    /// Row `y` of both whole pictures.
    pub fn push(&mut self, y: usize, reference: Row<'_>, distorted: Row<'_>) {
        if !self.inset.down.contains(&y) {
            return;
        }
        let [reference, distorted] =
            [reference, distorted].map(|row| row.map(|plane| &plane[self.inset.across.clone()]));
        self.pair.push(reference, distorted);
    }

    /// The inset and its own score.
    #[must_use]
    pub fn finish(self) -> (Inset, f64) {
        let (whole, mirrored, _) = self.pair.finish();
        (self.inset, whole.min(mirrored))
    }
}

/// Finds the insets of a picture, row by row.
pub struct InsetFinder {
    width: usize,
    height: usize,
    /// Luma of the last two rows, the samples of the last one, and how many rows were pushed.
    above: [Vec<i16>; 2],
    last: [Vec<u8>; 3],
    rows: usize,
    tiles: Vec<Tile>,
    /// Luma of each column summed over a tile's rows, for each row of tiles; and of each row over a tile's columns.
    columns: Vec<u16>,
    lines: Vec<u16>,
}

/// Sums over a tile's pixels.
#[derive(Clone, Copy, Default)]
struct Tile {
    /// Second differences in both directions.
    texture: u32,
    /// Pixels that equal the one on the left or above.
    repeats: u32,
    is_textured: bool,
}

impl InsetFinder {
    /// For a picture of this size in pixels.
    #[must_use]
    pub fn new(width: usize, height: usize) -> Self {
        let (columns, rows) = (width / TILE, height / TILE);
        Self {
            width,
            height,
            above: [const { Vec::new() }; 2],
            last: [const { Vec::new() }; 3],
            rows: 0,
            tiles: vec![Tile::default(); columns * rows],
            columns: vec![0; rows * width],
            lines: vec![0; height * columns],
        }
    }

    /// The next row.
    pub fn push(&mut self, row: Row<'_>) {
        let [red, green, blue] = row;
        let luma = |x: usize| (2 * i16::from(red[x]) + 5 * i16::from(green[x]) + i16::from(blue[x])) / 8;
        let shown: Vec<_> = (0..self.width).map(luma).collect();
        if self.rows / TILE < self.height / TILE {
            self.add_texture(&shown, row);
            self.add_sums(&shown);
        }
        self.above.rotate_left(1);
        self.above[1] = shown;
        self.last = row.map(<[u8]>::to_vec);
        self.rows += 1;
    }

    fn add_texture(&mut self, luma: &[i16], row: Row<'_>) {
        let columns = self.width / TILE;
        let [before, last] = &self.above;
        let bend = |a: i16, b: i16, c: i16| u32::from((a - 2 * b + c).unsigned_abs());
        // Only what lies in the tile as a whole: a tile beside an edge is plain.
        let has_rows = self.rows % TILE >= 2;
        for (i, tile) in self.tiles[self.rows / TILE * columns..][..columns].iter_mut().enumerate() {
            let x = i * TILE + 2..(i + 1) * TILE;
            tile.texture += x.clone().map(|x| bend(luma[x - 2], luma[x - 1], luma[x])).sum::<u32>();
            if has_rows {
                tile.texture += x.clone().map(|x| bend(before[x], last[x], luma[x])).sum::<u32>();
            }
            let is_repeat = |x: &usize| {
                let planes = || row.iter().zip(&self.last);
                planes().all(|(plane, _)| plane[*x] == plane[x - 1])
                    || planes().all(|(plane, last)| last.get(*x) == Some(&plane[*x]))
            };
            tile.repeats += x.filter(is_repeat).count() as u32;
        }
    }

    fn add_sums(&mut self, luma: &[i16]) {
        let columns = &mut self.columns[self.rows / TILE * self.width..][..self.width];
        columns.iter_mut().zip(luma).for_each(|(sum, level)| *sum += level.unsigned_abs());
        let tiles = self.width / TILE;
        let lines = self.lines[self.rows * tiles..].iter_mut().zip(luma.chunks_exact(TILE));
        lines.for_each(|(sum, pixels)| *sum = pixels.iter().map(|level| level.unsigned_abs()).sum());
    }

    /// The insets; none of a picture that is mostly textured.
    #[must_use]
    pub fn finish(mut self) -> Vec<Inset> {
        let least = (TEXTURE * ((TILE - 2) * (TILE + TILE - 2)) as f64) as u32;
        self.tiles.iter_mut().for_each(|tile| tile.is_textured = tile.texture >= least);
        let plain = self.tiles.iter().filter(|tile| !tile.is_textured).count();
        if (plain as f64) < LEAST_PLAIN * self.tiles.len() as f64 {
            return Vec::new();
        }
        let mut insets = Vec::new();
        let mut is_seen = vec![false; self.tiles.len()];
        for i in 0..self.tiles.len() {
            if self.tiles[i].is_textured && !is_seen[i] {
                insets.extend(self.inset(&self.connected(i, &mut is_seen)));
            }
        }
        insets.sort_by_key(|inset| std::cmp::Reverse(inset.across.len() * inset.down.len()));
        insets.truncate(MOST);
        insets
    }

    /// The textured tiles that belong together with one of them.
    fn connected(&self, first: usize, is_seen: &mut [bool]) -> Vec<usize> {
        let (columns, rows) = (self.width / TILE, self.height / TILE);
        let near = |i: usize, length: usize| i.saturating_sub(GAP + 1)..(i + GAP + 2).min(length);
        let mut found = vec![first];
        is_seen[first] = true;
        let mut next = 0;
        while let Some(&tile) = found.get(next) {
            next += 1;
            for y in near(tile / columns, rows) {
                for i in near(tile % columns, columns).map(|x| y * columns + x) {
                    if self.tiles[i].is_textured && !is_seen[i] {
                        is_seen[i] = true;
                        found.push(i);
                    }
                }
            }
        }
        found
    }

    /// The rectangle around tiles; `None` where these are no photograph on a ground.
    fn inset(&self, tiles: &[usize]) -> Option<Inset> {
        let columns = self.width / TILE;
        let extent = |place: &dyn Fn(usize) -> usize| {
            Some(tiles.iter().map(|i| place(*i)).min()?..tiles.iter().map(|i| place(*i)).max()? + 1)
        };
        let (x, y) = (extent(&|i| i % columns)?, extent(&|i| i / columns)?);
        if x.len().min(y.len()) * TILE < LEAST_SIDE {
            return None;
        }
        let column = |at: usize| y.clone().map(|row| self.columns[row * self.width + at]).collect();
        let line = |at: usize| self.lines[at * columns..][x.clone()].to_vec();
        let mut rim = Rim::default();
        let inset = Inset { across: rim.edges(&x, self.width, column), down: rim.edges(&y, self.height, line) };
        let pixels = (inset.across.len() * inset.down.len()) as f64;
        let repeats: u32 = tiles.iter().map(|i| self.tiles[*i].repeats).sum();
        let filled = (tiles.len() * TILE * TILE) as f64;
        let compared = (tiles.len() * TILE * (TILE - 2)) as f64;
        let is_inset = inset.across.len().min(inset.down.len()) >= LEAST_SIDE
            && rim.is_sharp()
            && pixels <= MOST_AREA * (self.width * self.height) as f64
            && filled >= LEAST_FILLED * pixels
            && f64::from(repeats) <= MOST_REPEATS * compared;
        is_inset.then_some(inset)
    }
}

/// What the edges of a rectangle look like.
#[derive(Default)]
struct Rim {
    /// Sides that are not the picture's own.
    sides: usize,
    /// Of these the segments, of a tile's length each, and how many of them differ from the ground.
    segments: usize,
    sharp: usize,
}

impl Rim {
    /// From tiles to pixels, in one direction. Near the outer edge of the first tile and of the last one lies the line at
    /// which the picture departs most from its ground. A picture's own edges stay.
    fn edges(&mut self, tiles: &Range<usize>, length: usize, line: impl Fn(usize) -> Vec<u16>) -> Range<usize> {
        let (first, last) = (tiles.start * TILE, tiles.end * TILE);
        let mut range = 0..length;
        if tiles.start > 0 {
            let ground = line(first - BESIDE - 1);
            let rise = |at: &usize| departure(&line(*at), &ground) - departure(&line(at - 1), &ground);
            range.start = (first - BESIDE..first + RIM).max_by_key(rise).unwrap_or(first);
            self.add(&line(range.start + 1), &ground);
        }
        if tiles.end < length / TILE {
            let ground = line(last + BESIDE);
            let fall = |at: &usize| departure(&line(at - 1), &ground) - departure(&line(*at), &ground);
            range.end = (last + 1 - RIM..=last + BESIDE).max_by_key(fall).unwrap_or(last);
            self.add(&line(range.end - 2), &ground);
        }
        range
    }

    fn add(&mut self, inside: &[u16], ground: &[u16]) {
        self.sides += 1;
        self.segments += ground.len();
        self.sharp += inside.iter().zip(ground).filter(|(a, b)| a.abs_diff(**b) >= SHARP).count();
    }

    /// Whether this is a rectangle before a ground, and no horizon, hill or leaf.
    fn is_sharp(&self) -> bool {
        self.sides >= LEAST_SIDES && self.sharp as f64 >= LEAST_SHARP * self.segments as f64
    }
}

/// How much sums of luma differ.
fn departure(line: &[u16], ground: &[u16]) -> i64 {
    line.iter().zip(ground).map(|(a, b)| i64::from(a.abs_diff(*b))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSET: Inset = Inset { across: 104..251, down: 43..190 };

    /// The insets of 400 × 300 pixels, each of which is gray by its place.
    fn found(level: impl Fn(usize, usize) -> u8) -> Vec<Inset> {
        let mut finder = InsetFinder::new(400, 300);
        for y in 0..300 {
            let row: Vec<_> = (0..400).map(|x| level(x, y)).collect();
            finder.push([&row; 3]);
        }
        finder.finish()
    }

    fn grain(x: usize, y: usize) -> u8 {
        (90 + (((y * 400 + x) * 2_654_435_761) >> 9 & 63)) as u8
    }

    fn is_inside(x: usize, y: usize) -> bool {
        INSET.across.contains(&x) && INSET.down.contains(&y)
    }

    #[test]
    fn photograph_on_plain_ground_is_found_to_the_pixel() {
        let grounds: [fn(usize) -> u8; 2] = [|_| 255, |y| (200 + y / 10) as u8];
        for ground in grounds {
            let found = found(|x, y| if is_inside(x, y) { grain(x, y) } else { ground(y) });
            assert_eq!(found, [INSET]);
        }
    }

    #[test]
    fn picture_full_of_texture_has_no_insets() {
        assert!(found(grain).is_empty());
        assert!(found(|x, y| if x < 300 { grain(x, y) } else { 255 }).is_empty());
    }

    #[test]
    fn drawing_on_plain_ground_is_no_inset() {
        let stripes = |x: usize, y: usize| if is_inside(x, y) && (y / 3).is_multiple_of(2) { 0 } else { 255 };
        assert!(found(stripes).is_empty());
    }

    #[test]
    fn inset_lies_in_a_part_or_not_at_all() {
        let within = INSET.within(&(100..300), &(40..190)).unwrap();
        assert_eq!((within.across, within.down), (4..151, 3..150));
        assert_eq!(INSET.within(&(105..300), &(40..190)), None);
    }
}
