//! Insets: photographs on plain grounds, which are scored by themselves as well.
//!
//! A product, an avatar or a picture in a slide ends at a sharp edge to its ground, or lies on a page of one colour. The metric forgives errors beside sharp
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
/// What lies on a page, a ground of one colour in each row or column, needs no sharp edges: pixels of a side, and shares of
/// page in the picture, of the picture in an inset, of textured tiles in that, and of pixels that equal no neighbour.
const LEAST_SIDE_ON_PAGE: usize = 16;
pub const LEAST_PAGE: f64 = 0.05;
const MOST_AREA_ON_PAGE: f64 = 0.95;
const LEAST_TEXTURED_ON_PAGE: f64 = 0.25;
const LEAST_DISTINCT: f64 = 0.5;
/// Levels between ground and strokes that are well seen, and share of the tiles inside that may hold such, as text does,
/// of which the metric rightly forgives more.
const STROKE: i16 = 64;
const MOST_STROKES: f64 = 0.7;
/// Pixels of a side up to which nearly square insets have no inside that tells: avatars and thumbnails.
const ICON: usize = 32;
/// Share of the greatest rise from the page that the outermost one has: rings of a coding beside an edge have less.
const OUTERMOST: i64 = 2;
/// Insets that are scored, the largest first.
const MOST: usize = 32;

/// A rectangle of a picture, in pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inset {
    pub across: Range<usize>,
    pub down: Range<usize>,
}

impl Inset {
    #[must_use]
    pub fn pixels(&self) -> usize {
        self.across.len() * self.down.len()
    }

    fn is_icon(&self) -> bool {
        let (width, height) = (self.across.len(), self.down.len());
        width.max(height) <= ICON && width.max(height) < 2 * width.min(height)
    }

    fn overlaps(&self, other: &Self) -> bool {
        let do_overlap = |a: &Range<usize>, b: &Range<usize>| a.start < b.end && b.start < a.end;
        do_overlap(&self.across, &other.across) && do_overlap(&self.down, &other.down)
    }

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
        (self.inset, mirrored.map_or(whole, |mirrored| mirrored.min(whole)))
    }
}

/// Finds the insets of a picture, row by row.
pub struct InsetFinder {
    width: usize,
    height: usize,
    /// Luma of a row of tiles, the samples of the last row, and how many rows were pushed.
    band: [Vec<i16>; TILE],
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
    /// Pixels that equal the one on the left or above: of all, and of those from the third column on.
    all_repeats: u32,
    repeats: u32,
    is_textured: bool,
    /// Luma of strokes and of their ground, the darker first.
    strokes: Option<[i16; 2]>,
}

impl Tile {
    /// Whether it is of one colour in each row or column.
    fn is_page(&self) -> bool {
        self.all_repeats == (TILE * TILE) as u32
    }
}

impl InsetFinder {
    /// For a picture of this size in pixels.
    #[must_use]
    pub fn new(width: usize, height: usize) -> Self {
        let (columns, rows) = (width / TILE, height / TILE);
        Self {
            width,
            height,
            band: [const { Vec::new() }; TILE],
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
        let is_in_tile = self.rows / TILE < self.height / TILE;
        if is_in_tile {
            self.add_texture(&shown, row);
            let columns = &mut self.columns[self.rows / TILE * self.width..][..self.width];
            columns.iter_mut().zip(&shown).for_each(|(sum, level)| *sum += level.unsigned_abs());
        }
        self.add_line(&shown);
        let last = self.rows % TILE;
        self.band[last] = shown;
        if is_in_tile && last + 1 == TILE {
            self.add_strokes();
        }
        self.last = row.map(<[u8]>::to_vec);
        self.rows += 1;
    }

    fn add_texture(&mut self, luma: &[i16], row: Row<'_>) {
        let columns = self.width / TILE;
        let bend = |a: i16, b: i16, c: i16| u32::from((a - 2 * b + c).unsigned_abs());
        // Only what lies in the tile as a whole: a tile beside an edge is plain.
        let above = (self.rows % TILE).checked_sub(2).map(|before| [&self.band[before], &self.band[before + 1]]);
        for (i, tile) in self.tiles[self.rows / TILE * columns..][..columns].iter_mut().enumerate() {
            let x = i * TILE + 2..(i + 1) * TILE;
            tile.texture += x.clone().map(|x| bend(luma[x - 2], luma[x - 1], luma[x])).sum::<u32>();
            if let Some([before, last]) = above {
                tile.texture += x.clone().map(|x| bend(before[x], last[x], luma[x])).sum::<u32>();
            }
            let is_repeat = |x: &usize| {
                let planes = || row.iter().zip(&self.last);
                planes().all(|(plane, _)| plane[*x] == plane[x.saturating_sub(1)])
                    || planes().all(|(plane, last)| last.get(*x) == Some(&plane[*x]))
            };
            let repeats = x.filter(is_repeat).count() as u32;
            tile.repeats += repeats;
            tile.all_repeats += repeats + (i * TILE..i * TILE + 2).filter(is_repeat).count() as u32;
        }
    }

    /// Tells strokes of a row of tiles: most of such a tile is as light or as dark as any of it.
    fn add_strokes(&mut self) {
        let first = self.rows / TILE * (self.width / TILE);
        for (i, tile) in self.tiles[first..][..self.width / TILE].iter_mut().enumerate() {
            let pixels = || self.band.iter().flat_map(|row| &row[i * TILE..][..TILE]);
            let (low, high) = pixels().fold((i16::MAX, 0), |(low, high), level| (low.min(*level), high.max(*level)));
            let near = (high - low) / 4;
            let dark = pixels().filter(|level| **level <= low + near).count();
            let light = pixels().filter(|level| **level >= high - near).count();
            let is_clear = high - low >= STROKE && 4 * (dark + light) >= 3 * TILE * TILE;
            tile.strokes = is_clear.then_some([low, high]);
        }
    }

    fn add_line(&mut self, luma: &[i16]) {
        let tiles = self.width / TILE;
        let lines = self.lines[self.rows * tiles..].iter_mut().zip(luma.chunks_exact(TILE));
        lines.for_each(|(sum, pixels)| *sum = pixels.iter().map(|level| level.unsigned_abs()).sum());
    }

    /// The insets; none of a picture that is textured all over.
    #[must_use]
    pub fn finish(mut self) -> Vec<Inset> {
        let least = (TEXTURE * ((TILE - 2) * (TILE + TILE - 2)) as f64) as u32;
        self.tiles.iter_mut().for_each(|tile| tile.is_textured = tile.texture >= least);
        let is_much = |share: f64, of: fn(&Tile) -> bool| {
            self.tiles.iter().filter(|tile| of(tile)).count() as f64 >= share * self.tiles.len() as f64
        };
        let mut insets = Vec::new();
        if is_much(LEAST_PLAIN, |tile| !tile.is_textured) {
            insets.extend(self.groups(GAP, |tile| tile.is_textured).iter().filter_map(|tiles| self.inset(tiles)));
        }
        if is_much(LEAST_PAGE, Tile::is_page) {
            let on_page = self.groups(0, |tile| !tile.is_page());
            let on_page = on_page.iter().filter_map(|tiles| self.inset_on_page(tiles));
            let new: Vec<_> = on_page.filter(|inset| !insets.iter().any(|other| inset.overlaps(other))).collect();
            insets.extend(new);
        }
        insets.sort_by_key(|inset| std::cmp::Reverse(inset.pixels()));
        insets.truncate(MOST);
        insets
    }

    /// The tiles of a kind, by groups that belong together.
    fn groups(&self, gap: usize, is_of_kind: impl Fn(&Tile) -> bool) -> Vec<Vec<usize>> {
        let mut is_left: Vec<_> = self.tiles.iter().map(is_of_kind).collect();
        let mut groups = Vec::new();
        for tile in 0..self.tiles.len() {
            if is_left[tile] {
                groups.push(self.connected(tile, gap, &mut is_left));
            }
        }
        groups
    }

    /// The tiles that belong together with one of them, of those that are left.
    fn connected(&self, first: usize, gap: usize, is_left: &mut [bool]) -> Vec<usize> {
        let (columns, rows) = (self.width / TILE, self.height / TILE);
        let near = |i: usize, length: usize| i.saturating_sub(gap + 1)..(i + gap + 2).min(length);
        let mut found = vec![first];
        is_left[first] = false;
        let mut next = 0;
        while let Some(&tile) = found.get(next) {
            next += 1;
            for y in near(tile / columns, rows) {
                for i in near(tile % columns, columns).map(|x| y * columns + x) {
                    if std::mem::take(&mut is_left[i]) {
                        found.push(i);
                    }
                }
            }
        }
        found
    }

    /// The rectangle around tiles; `None` where these are no photograph on a ground.
    fn inset(&self, tiles: &[usize]) -> Option<Inset> {
        let (inset, rim) = self.rectangle(tiles, LEAST_SIDE, 1)?;
        let pixels = inset.pixels() as f64;
        let repeats: u32 = tiles.iter().map(|i| self.tiles[*i].repeats).sum();
        let filled = (tiles.len() * TILE * TILE) as f64;
        let compared = (tiles.len() * TILE * (TILE - 2)) as f64;
        let is_inset = rim.is_sharp()
            && pixels <= MOST_AREA * (self.width * self.height) as f64
            && filled >= LEAST_FILLED * pixels
            && f64::from(repeats) <= MOST_REPEATS * compared
            && !self.is_drawing(tiles, &inset, &rim);
        is_inset.then_some(inset)
    }

    /// The rectangle around tiles that are no page; `None` where these are no photograph.
    fn inset_on_page(&self, tiles: &[usize]) -> Option<Inset> {
        let (inset, rim) = self.rectangle(tiles, LEAST_SIDE_ON_PAGE, OUTERMOST)?;
        let pixels = inset.pixels() as f64;
        let repeats: u32 = tiles.iter().map(|i| self.tiles[*i].all_repeats).sum();
        let distinct = tiles.len() * TILE * TILE - repeats as usize;
        let textured = tiles.iter().filter(|i| self.tiles[**i].is_textured).count() * TILE * TILE;
        let is_inset = pixels <= MOST_AREA_ON_PAGE * (self.width * self.height) as f64
            && distinct as f64 >= LEAST_DISTINCT * pixels
            && textured as f64 >= LEAST_TEXTURED_ON_PAGE * pixels
            && !self.is_drawing(tiles, &inset, &rim);
        is_inset.then_some(inset)
    }

    /// Whether what lies inside is strokes on the ground around, or a dot. Tiles at an edge look like strokes, too.
    fn is_drawing(&self, tiles: &[usize], inset: &Inset, rim: &Rim) -> bool {
        let is_ground =
            |level: i16| rim.grounds.iter().any(|ground| ground.abs_diff(level) < STROKE.unsigned_abs() / 2);
        let inside: Vec<_> = tiles.iter().filter(|i| self.lies_in(**i, inset)).map(|i| &self.tiles[*i]).collect();
        let strokes = inside.iter().filter(|tile| tile.strokes.is_some_and(|levels| levels.into_iter().any(is_ground)));
        if inset.is_icon() {
            return !inside.iter().any(|tile| tile.is_textured);
        }
        strokes.count() as f64 > MOST_STROKES * inside.len() as f64
    }

    fn lies_in(&self, tile: usize, inset: &Inset) -> bool {
        let (x, y) = (tile % (self.width / TILE) * TILE, tile / (self.width / TILE) * TILE);
        inset.across.start <= x && x + TILE <= inset.across.end && inset.down.start <= y && y + TILE <= inset.down.end
    }

    /// The rectangle around tiles, to the pixel, and its edges; `None` where a side is below `least`.
    fn rectangle(&self, tiles: &[usize], least: usize, outermost: i64) -> Option<(Inset, Rim)> {
        let columns = self.width / TILE;
        let extent = |place: &dyn Fn(usize) -> usize| {
            Some(tiles.iter().map(|i| place(*i)).min()?..tiles.iter().map(|i| place(*i)).max()? + 1)
        };
        let (x, y) = (extent(&|i| i % columns)?, extent(&|i| i / columns)?);
        if x.len().min(y.len()) * TILE < least {
            return None;
        }
        let column = |at: usize| y.clone().map(|row| self.columns[row * self.width + at]).collect();
        let line = |at: usize| self.lines[at * columns..][x.clone()].to_vec();
        let mut rim = Rim { outermost, ..Rim::default() };
        let inset = Inset { across: rim.edges(&x, self.width, column), down: rim.edges(&y, self.height, line) };
        (inset.across.len().min(inset.down.len()) >= least).then_some((inset, rim))
    }
}

/// What the edges of a rectangle look like.
#[derive(Default)]
struct Rim {
    /// An edge is where the picture departs most from its ground, or farther out by this part of that.
    outermost: i64,
    /// Sides that are not the picture's own.
    sides: usize,
    /// Of these the segments, of a tile's length each, and how many of them differ from the ground.
    segments: usize,
    sharp: usize,
    /// Luma of the ground of each side.
    grounds: Vec<i16>,
}

impl Rim {
    /// From tiles to pixels, in one direction. Near the outer edge of the first tile and of the last one lies the line at
    /// which the picture departs most from its ground. A picture's own edges stay, but for a narrow strip of ground.
    fn edges(&mut self, tiles: &Range<usize>, length: usize, line: impl Fn(usize) -> Vec<u16>) -> Range<usize> {
        let (first, last) = (tiles.start * TILE, tiles.end * TILE);
        let mut range = 0..length;
        let ground = line(if tiles.start > 0 { first - BESIDE - 1 } else { 0 });
        let rise = |at: usize| departure(&line(at), &ground) - departure(&line(at - 1), &ground);
        if tiles.start > 0 {
            range.start = self.edge(first - BESIDE..first + RIM, rise).unwrap_or(first);
            self.add(&line(range.start + 1), &ground);
        } else if is_even(&ground) {
            range.start = self.edge(1..RIM.min(length), rise).unwrap_or(0);
        }
        let ground = line(if tiles.end < length / TILE { last + BESIDE } else { length - 1 });
        let fall = |at: usize| departure(&line(at - 1), &ground) - departure(&line(at), &ground);
        if tiles.end < length / TILE {
            range.end = self.edge((last + 1 - RIM..last + 1 + BESIDE).rev(), fall).unwrap_or(last);
            self.add(&line(range.end - 2), &ground);
        } else if is_even(&ground) {
            range.end = self.edge((length.saturating_sub(RIM).max(1)..length).rev(), fall).unwrap_or(length);
        }
        range
    }

    /// The first line from outside with most of the greatest change.
    fn edge(&self, lines: impl Iterator<Item = usize>, change: impl Fn(usize) -> i64) -> Option<usize> {
        let changes: Vec<_> = lines.map(|at| (at, change(at))).collect();
        let most = changes.iter().map(|(_, change)| *change).max()?;
        changes.iter().find(|(_, change)| change * self.outermost >= most).map(|(at, _)| *at)
    }

    fn add(&mut self, inside: &[u16], ground: &[u16]) {
        self.sides += 1;
        self.segments += ground.len();
        let sum: usize = ground.iter().map(|sum| usize::from(*sum)).sum();
        self.grounds.push((sum / (ground.len() * TILE).max(1)) as i16);
        self.sharp += inside.iter().zip(ground).filter(|(a, b)| a.abs_diff(**b) >= SHARP).count();
    }

    /// Whether this is a rectangle before a ground, and no horizon, hill or leaf.
    fn is_sharp(&self) -> bool {
        self.sides >= LEAST_SIDES && self.sharp as f64 >= LEAST_SHARP * self.segments as f64
    }
}

/// Whether a line is of one colour.
fn is_even(line: &[u16]) -> bool {
    let [least, most] = [line.iter().min(), line.iter().max()].map(|sum| sum.copied().unwrap_or_default());
    most - least < TILE as u16
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

    /// Gray grain in a rectangle on white.
    fn on_page(inset: &Inset) -> Vec<Inset> {
        found(|x, y| if inset.across.contains(&x) && inset.down.contains(&y) { grain(x, y) } else { 255 })
    }

    #[test]
    fn photograph_may_leave_little_page() {
        let large = Inset { across: 20..390, down: 13..280 };
        assert_eq!(on_page(&large), [large]);
    }

    #[test]
    fn thumbnail_on_page_is_found() {
        for left in 96..104 {
            let small = Inset { across: left..left + 24, down: 43..67 };
            assert_eq!(on_page(&small), [small]);
        }
    }

    #[test]
    fn strip_of_page_beside_the_picture_is_no_part() {
        let corner = Inset { across: 372..397, down: 4..28 };
        assert_eq!(on_page(&corner), [corner]);
        let at_border = Inset { across: 360..400, down: 0..40 };
        assert_eq!(on_page(&at_border), [at_border]);
    }

    #[test]
    fn photograph_that_fades_into_the_page_is_found() {
        let wall = |x: usize, y: usize| 255 - (grain(x, y) & 3);
        let level = |x: usize, y: usize| match (x, y) {
            (130..230, 70..170) => grain(x, y),
            _ if is_inside(x, y) => wall(x, y),
            _ => 255,
        };
        let found = found(level);
        let [inset] = &found[..] else { panic!("{found:?}") };
        assert!(inset.across.start <= 130 && inset.across.end >= 230, "{inset:?}");
        assert!(inset.down.start <= 70 && inset.down.end >= 170, "{inset:?}");
    }

    #[test]
    fn text_on_page_is_no_inset() {
        // Strokes in the noise of a coding.
        let text = |x: usize, y: usize| if (x / 2 + y / 9).is_multiple_of(4) { 30 } else { 250 };
        let level = |x: usize, y: usize| if is_inside(x, y) { text(x, y) + (grain(x, y) & 3) } else { 255 };
        assert!(found(level).is_empty());
    }

    #[test]
    fn picture_full_of_texture_has_no_insets() {
        assert!(found(grain).is_empty());
        assert!(found(|x, y| if x < 390 { grain(x, y) } else { 255 }).is_empty());
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
