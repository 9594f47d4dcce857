//! Near colours become one, for drawings of more colours than a palette holds: what is drawn repeats, and repeats pack
//! well, where rounded residuals do not.
//!
//! Colours are put into cells by how they look over black and by their alpha; a cell's most frequent colour stands for all
//! that look like it. Colours of flat areas and of marks stay, and gradients get smaller cells: there a step is seen.

use rgb::RGBA8;

use super::lab::Shown;
use crate::optimize::picture::Pixels;
use crate::optimize::quality::backgrounds::Views;
use crate::optimize::quality::census::{self, Census, ColorMap, Use};
use crate::optimize::quality::score::Score;
use crate::optimize::quality::search::{Search, Verdict};

/// A picture of fewer colours.
pub struct Merged {
    pub pixels: Pixels,
    /// Against the source.
    pub score: Score,
}

/// Sides of a cell, in levels of 255: coarser ones reach no target, finer ones save nothing.
const SIZES: [i32; 2] = [48, 2];
/// The size that reaches a score of 75, over sheets of icons.
const FIRST: i32 = 29;
/// Points of score that a level brings near the usual targets.
const SLOPE: f64 = 1.0;
const TOLERANCE: f64 = 1.0;
/// Cells of gradients are so many times smaller.
const GRADIENT: u32 = 3;
/// Colours of a cell that look further apart, in CIELAB, do not become one.
const MOST_APART: f32 = 10.0;
/// Fewer colours than a palette may hold are none of this way's business.
const LEAST_COLORS: usize = 256;

/// The picture in the largest cells found that reach the target; `None` where none do, or where there are too many
/// colours. At most `trials` are made, fewer where `goes_on` says so.
pub fn to_target(
    pixels: &Pixels,
    census: &Census,
    views: &Views<'_>,
    target: f64,
    trials: usize,
    mut goes_on: impl FnMut() -> Verdict,
) -> Option<Merged> {
    if !census.is_complete || census.uses.len() <= LEAST_COLORS {
        return None;
    }
    let colors = colors(census);
    let [coarsest, finest] = SIZES;
    let first = coarsest - FIRST + ((target - 75.0) / SLOPE) as i32;
    let search = Search { steps: 0..=coarsest - finest, first, target, tolerance: TOLERANCE, trials, slope: SLOPE };
    let mut best: Option<(f64, Merged)> = None;
    let mut keeps_steps = false;
    let found: Result<_, std::convert::Infallible> = search.run(|step| {
        let size = (coarsest - step) as u32;
        let mut merged = merge(pixels, &colors, size, keeps_steps, views);
        if !keeps_steps && !merged.score.keeps_flat() {
            keeps_steps = true;
            merged = merge(pixels, &colors, size, keeps_steps, views);
        }
        let effective = merged.score.effective(target);
        if effective >= target && best.as_ref().is_none_or(|(best, _)| effective <= *best) {
            best = Some((effective, merged));
        }
        Ok((effective, goes_on()))
    });
    // No trial fails.
    let Ok(_) = found;
    best.map(|(_, merged)| merged)
}

fn merge(pixels: &Pixels, colors: &[Color], size: u32, keeps_steps: bool, views: &Views<'_>) -> Merged {
    let pixels = replaced(pixels, &cells(colors, size, keeps_steps).0);
    let score = views.score(|y, row| row.copy_from_slice(pixels.row(y))).unwrap_or(Score::REFUSED);
    Merged { pixels, score }
}

/// Cells that a merged picture shows: smaller ones hold one colour each in many a drawing.
const TOLD_BY: std::ops::RangeInclusive<u32> = 6..=48;
/// The share of colours that share a cell nevertheless: what a colour is used for changes by merging.
const STRAY: f64 = 0.03;

/// Whether near colours are one already, as ours are: once more would only lose more.
#[must_use]
pub fn is_merged(census: &Census) -> bool {
    if !census.is_complete || census.uses.len() <= LEAST_COLORS {
        return false;
    }
    let colors = colors(census);
    let mut ways = TOLD_BY.flat_map(|size| [(size, false), (size, true)]);
    ways.any(|(size, keeps_steps)| {
        let (into, cells) = cells(&colors, size, keeps_steps);
        let shared = into.iter().filter(|(color, into)| color != into).count();
        (shared as f64) < cells as f64 * STRAY
    })
}

/// Steps of gradients may be off by so many levels, as all that is flat.
const NEAR_STEP: u8 = 2;

/// Whether gradients hold flat areas that must stay flat.
#[must_use]
pub fn may_step(census: &Census, views: &Views<'_>) -> bool {
    views.is_flat() && !census.holds_flat(stays)
}

/// The picture with all samples rounded by as much as flat areas may be off: wide steps of gradients become wider ones.
/// `None` where that does not reach the target.
pub fn stepped(pixels: &Pixels, census: &Census, views: &Views<'_>, target: f64) -> Option<Merged> {
    let step = 2 * NEAR_STEP + 1;
    let near = |v: u8| v.saturating_add(NEAR_STEP) / step * step;
    let into = census.uses.iter().map(|(key, used)| {
        let RGBA8 { r, g, b, a } = census::color(*key);
        (*key, if stays(used) { *key } else { census::key(RGBA8::new(near(r), near(g), near(b), a)) })
    });
    let pixels = replaced(pixels, &into.collect());
    let score = views.score(|y, row| row.copy_from_slice(pixels.row(y)))?;
    (score.effective(target) >= target).then_some(Merged { pixels, score })
}

/// What is drawn.
fn stays(used: &Use) -> bool {
    used.is_ground() || used.is_mark()
}

/// A colour, its use, and how it looks.
struct Color {
    key: u32,
    used: Use,
    shown: Shown,
}

/// The most frequent first.
fn colors(census: &Census) -> Vec<Color> {
    census.by_count().into_iter().map(|(key, used)| Color { key, used, shown: Shown::of(key) }).collect()
}

/// What each colour becomes, and how many colours there are for those that do not stay. Wide steps of gradients may stay; a
/// cell has one colour, or several where they look different.
fn cells(colors: &[Color], size: u32, keeps_steps: bool) -> (ColorMap<u32>, usize) {
    let mut cells: ColorMap<Vec<&Color>> = ColorMap::default();
    let mut count = 0;
    let mut into = |color| {
        let Color { key, used, shown }: &Color = color;
        if stays(used) || keeps_steps && used.is_flat() {
            return (*key, *key);
        }
        let size = if used.is_step() { (size / GRADIENT).max(1) } else { size };
        let cell = cells.entry(cell(*key, size, used.is_step())).or_default();
        if let Some(near) = cell.iter().find(|other| other.shown.distance(shown) <= MOST_APART) {
            return (*key, near.key);
        }
        cell.push(color);
        count += 1;
        (*key, *key)
    };
    let into = colors.iter().map(&mut into).collect();
    (into, count)
}

/// The cell of a colour: no two kinds share one.
fn cell(key: u32, size: u32, is_step: bool) -> u32 {
    let RGBA8 { r, g, b, a } = census::color(key);
    let alpha = u32::from(a);
    let shown = |v: u8| (u32::from(v) * alpha / 255 / size) as u8;
    let alpha = ((alpha + size / 2) / size) as u8;
    let cell = u32::from_be_bytes([shown(r), shown(g), shown(b), alpha]);
    // A step's cells are numbered from the other end, and beyond it where both meet.
    if is_step { !cell } else { cell }
}

fn replaced(pixels: &Pixels, into: &ColorMap<u32>) -> Pixels {
    let mut last = (0, RGBA8::default());
    let replace = |pixel: &RGBA8| {
        let key = census::key(*pixel);
        if key != last.0 {
            last = (key, census::color(into.get(&key).copied().unwrap_or(key)));
        }
        last.1
    };
    Pixels { width: pixels.width, height: pixels.height, rgba: pixels.rgba.iter().map(replace).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimize::quality::gates::tests::flat_share;

    const SIZE: usize = 240;

    /// Icons on a transparent ground, with rims of noise.
    fn sheet() -> Pixels {
        let mix = |v: u32| (v ^ v >> 15).wrapping_mul(0x2C1B_3C6D);
        let noise = |i: usize, c: u32| (mix(mix(i as u32 * 4 + c + 1)) >> 24) as u8;
        let pixel = |i: usize| {
            let (x, y) = (i % SIZE % 12, i / SIZE % 12);
            let icon = (i % SIZE / 12 + i / SIZE / 12 * 7) as u8;
            match x.max(y) {
                0..2 | 10.. => RGBA8::default(),
                2 | 9 => RGBA8::new(noise(i, 0), noise(i, 1), noise(i, 2), noise(i, 3) | 1),
                _ => RGBA8::new(icon.wrapping_mul(37), 90, 255 - icon, 255),
            }
        };
        Pixels { width: SIZE, height: SIZE, rgba: (0..SIZE * SIZE).map(pixel).collect() }
    }

    fn found(pixels: &Pixels, target: f64) -> Option<Merged> {
        let go_on = || Verdict::Continue;
        to_target(pixels, &Census::of(pixels, true), &Views::new(pixels, 1), target, 6, go_on)
    }

    #[test]
    fn merged_colours_are_fewer_and_flat_areas_exact() {
        let source = sheet();
        let merged = found(&source, 75.0).unwrap();
        assert!(merged.score.effective(75.0) >= 75.0);
        let colors = |pixels: &Pixels| Census::of(pixels, true).uses.len();
        assert!(2 * colors(&merged.pixels) < colors(&source));
        let shown = |pixels: &Pixels, i: usize| Shown::of(census::key(pixels.rgba[i]));
        assert!((0..SIZE * SIZE).all(|i| shown(&source, i).distance(&shown(&merged.pixels, i)) <= MOST_APART));
        let is_flat = |i: usize| [i % SIZE % 12, i / SIZE % 12].iter().all(|v| (4..8).contains(v));
        assert!((0..SIZE * SIZE).filter(|i| is_flat(*i)).all(|i| merged.pixels.rgba[i] == source.rgba[i]));
    }

    #[test]
    fn merged_pictures_are_known_and_others_are_not() {
        let source = sheet();
        assert!(!is_merged(&Census::of(&source, true)));
        assert!(is_merged(&Census::of(&found(&source, 75.0).unwrap().pixels, true)));
    }

    /// A wheel of hues in wide steps.
    fn wheel() -> Pixels {
        let pixel = |i: usize| {
            let (x, y) = ((i % SIZE) as f64 - 120.5, (i / SIZE) as f64 - 120.5);
            let level = |turn: f64| (((y.atan2(x) + turn).sin() + 1.0) * 31.0) as u8 * 4;
            RGBA8::new(level(0.0), level(2.0), level(4.0), 255)
        };
        Pixels { width: SIZE, height: SIZE, rgba: (0..SIZE * SIZE).map(pixel).collect() }
    }

    #[test]
    fn stepped_gradients_stay_flat_and_near() {
        let source = wheel();
        let (census, views) = (Census::of(&source, true), Views::new(&source, 1));
        assert!(may_step(&census, &views) && !may_step(&Census::of(&sheet(), true), &Views::new(&sheet(), 1)));
        let stepped = stepped(&source, &census, &views, 75.0).unwrap();
        assert!(stepped.score.effective(75.0) >= 75.0 && flat_share(&source, &stepped.pixels) > 0.999);
        let keys = |pixels: &Pixels| pixels.rgba.iter().map(|pixel| census::key(*pixel)).collect::<Vec<_>>();
        let pairs = keys(&source).into_iter().zip(keys(&stepped.pixels));
        assert!(pairs.clone().all(|(a, b)| census::distance(a, b) <= NEAR_STEP) && pairs.clone().any(|(a, b)| a != b));
    }

    #[test]
    fn merged_picture_out_of_reach_is_none() {
        assert!(found(&sheet(), 99.99).is_none());
    }
}
