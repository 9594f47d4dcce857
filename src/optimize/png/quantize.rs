//! Fewer colours: a palette by imagequant, the smallest whose score holds.

use imagequant::{Attributes, Histogram, Image};
use rgb::RGBA8;

use super::indexed::Indexed;
use super::lab::{self, Shown};
use super::pack;
use super::seen::Seen;
use super::solid::Solid;
use crate::optimize::picture::Pixels;
use crate::optimize::quality::backgrounds::Views;
use crate::optimize::quality::census::{self, Census, ColorMap, Use};
use crate::optimize::quality::score::Score;
use crate::optimize::quality::search::{Search, Verdict};

/// imagequant's speed: slower ones bring under 1 % of bytes, 8 and above cost 5–7 %.
const SPEED: i32 = 4;
/// Error diffusion, of graphics and of all else: without it gradients band; graphics need less, and it costs bytes.
const DITHERING: [f32; 2] = [0.5, 1.0];
/// A palette of every colour may take so many times the bytes.
const EXACT_COSTS: f64 = 1.04;
/// Entries for all that is not solid, at the least.
const OTHERS: usize = 2;
/// Steps of the search are eighths of a power of two: 64 is 256 colours, 24 is 8.
const STEPS_PER_DOUBLING: f64 = 8.0;
const FEWEST: i32 = 24;
const MOST: i32 = 64;
const FIRST: i32 = 48;
/// Points of score that a step brings near the usual targets.
const SLOPE: f64 = 0.7;
const TOLERANCE: f64 = 2.0;
/// Tiles of dithered pictures may shift by so many times as much: few colours cannot do better, and grain hides it.
const SHIFT: f64 = 1.6;
/// Palettes cost more than other trials, and a coarser one is not always smaller.
const MOST_TRIALS: usize = 3;

/// The answer of a search.
pub enum Found {
    /// A palette of every colour there is takes about as few bytes.
    Exact,
    Indexed(Indexed),
    None,
}

/// The picture in colours that reach the target and seem to take the fewest bytes: mostly the fewest colours, but where a
/// graphic needs no dithering, more. Solid colours have entries of their own. None where 256 do not reach it, or where
/// imagequant fails: of its errors, want of memory above all, none is the picture's. At most `trials` palettes are made,
/// fewer where `goes_on` says so.
pub fn to_target(
    pixels: &Pixels,
    census: &Census,
    views: &Views<'_>,
    target: f64,
    trials: usize,
    mut goes_on: impl FnMut() -> Verdict,
) -> Found {
    let Ok(mut quantizer) = Quantizer::new(pixels, census, target) else { return Found::None };
    let fixed = quantizer.solid.fixed.len() + OTHERS;
    let fewest = (((fixed as f64).log2() * STEPS_PER_DOUBLING).ceil() as i32).clamp(FEWEST, MOST);
    let mut best: Option<(Indexed, usize)> = None;
    let trials = trials.min(MOST_TRIALS);
    let search =
        Search { steps: fewest..=MOST, first: FIRST.max(fewest), target, tolerance: TOLERANCE, trials, slope: SLOPE };
    let found = search.run(|step| {
        let colors = (f64::from(step) / STEPS_PER_DOUBLING).exp2().round() as u32;
        let mut indexed = quantizer.remap(colors)?;
        indexed.score = views.score(|y, row| indexed.fill(y, row)).unwrap_or(Score::REFUSED).with_shift(SHIFT);
        let score = indexed.score.effective(target);
        if score >= target {
            let bytes = pack::estimate(&indexed);
            if best.as_ref().is_none_or(|(_, fewest)| bytes < *fewest) {
                best = Some((indexed, bytes));
            }
        }
        Ok::<_, imagequant::Error>((score, goes_on()))
    });
    // What was found before an error holds.
    let _ = found;
    let Some((indexed, bytes)) = best else { return Found::None };
    let most = (bytes as f64 * EXACT_COSTS) as usize;
    if exact(pixels).is_some_and(|exact| pack::estimate(&exact) <= most) {
        Found::Exact
    } else {
        Found::Indexed(indexed)
    }
}

/// A palette of every colour, hidden ones included; `None` where there are too many.
fn exact(pixels: &Pixels) -> Option<Indexed> {
    let mut entries: ColorMap<u8> = ColorMap::default();
    let mut palette = Vec::new();
    let mut indices = Vec::with_capacity(pixels.rgba.len());
    for pixel in &pixels.rgba {
        let key = u32::from_be_bytes([pixel.r, pixel.g, pixel.b, pixel.a]);
        let next = u8::try_from(palette.len());
        let index = match entries.get(&key) {
            Some(index) => *index,
            None => next.ok()?,
        };
        if next == Ok(index) {
            entries.insert(key, index);
            palette.push(*pixel);
        }
        indices.push(index);
    }
    Some(Indexed { width: pixels.width, height: pixels.height, palette, indices, score: Score::IDENTICAL })
}

fn difference(a: RGBA8, b: RGBA8) -> u32 {
    let square = |a: u8, b: u8| u32::from(a.abs_diff(b)).pow(2);
    square(a.r, b.r) + square(a.g, b.g) + square(a.b, b.b) + square(a.a, b.a)
}

/// One picture's colours, counted once for all trials.
struct Quantizer<'a> {
    pixels: &'a Pixels,
    census: &'a Census,
    solid: Solid,
    seen: Seen,
    dithering: f32,
    attributes: Attributes,
    image: Image<'a>,
    histogram: Histogram,
}

impl<'a> Quantizer<'a> {
    fn new(pixels: &'a Pixels, census: &'a Census, target: f64) -> Result<Self, imagequant::Error> {
        let [of_graphics, of_others] = DITHERING;
        let dithering = if census.is_of_graphic() { of_graphics } else { of_others };
        let mut attributes = Attributes::new();
        attributes.set_speed(SPEED)?;
        // A gamma of 0 is imagequant's word for sRGB's.
        let mut image = attributes.new_image_borrowed(&pixels.rgba, pixels.width, pixels.height, 0.0)?;
        let mut histogram = Histogram::new(&attributes);
        let solid = Solid::of(census);
        for color in &solid.fixed {
            histogram.add_fixed_color(census::color(*color), 0.0)?;
        }
        histogram.add_image(&attributes, &mut image)?;
        let seen = Seen::of(pixels, census, target);
        Ok(Self { pixels, census, solid, seen, dithering, attributes, image, histogram })
    }

    /// Gives solid colours their own entries: for each which one that is.
    fn own_entries(&self, palette: &mut [RGBA8]) -> Vec<u8> {
        let mut is_taken = vec![false; palette.len()];
        let mut take = |key: &u32| {
            let color = census::color(*key);
            let free = (0..palette.len()).filter(|i| !is_taken[*i]);
            // imagequant holds fixed colours as they are, but for the rounding of its own colour space.
            let index = free.min_by_key(|i| difference(palette[*i], color)).unwrap_or(0);
            is_taken[index] = true;
            palette[index] = color;
            index as u8
        };
        self.solid.fixed.iter().map(&mut take).collect()
    }

    /// Gives what is drawn the entries that look like it, whatever dithering made of it, and adds those that the palette
    /// lacks.
    fn pin(&self, palette: &mut Vec<RGBA8>, indices: &mut [u8]) {
        let own = self.own_entries(palette);
        let dithered = palette.len();
        self.seen.complete(palette);
        let entries: Vec<Shown> = palette.iter().map(|color| Shown::of(census::key(*color))).collect();
        let near = |key: u32| {
            let color = Shown::of(key);
            let is_drawn = |used: &Use| used.is_flat() || !used.is_step();
            let is_lacking = || !self.seen.is_near(lab::nearest(&entries[..dithered], &color).1);
            let uses = self.census.is_of_graphic().then_some(&self.census.uses);
            let is_pinned = uses.and_then(|uses| uses.get(&key)).is_some_and(is_drawn) || is_lacking();
            is_pinned.then(|| lab::nearest(&entries, &color).0 as u8)
        };
        let mut groups: ColorMap<Option<u8>> = ColorMap::default();
        let mut pinned = |key: u32| {
            let entry = self.solid.entries.get(&key).map(|entry| own[usize::from(*entry)]);
            let group = self.seen.group(key);
            entry.or_else(|| *groups.entry(group).or_insert_with(|| near(group)))
        };
        let mut last = (0, pinned(0));
        for (pixel, index) in self.pixels.rgba.iter().zip(indices) {
            let key = census::key(*pixel);
            if key != last.0 {
                last = (key, pinned(key));
            }
            *index = last.1.unwrap_or(*index);
        }
    }

    fn remap(&mut self, colors: u32) -> Result<Indexed, imagequant::Error> {
        self.attributes.set_max_colors(colors)?;
        let mut result = self.histogram.quantize(&self.attributes)?;
        result.set_dithering_level(self.dithering)?;
        let (mut palette, mut indices) = result.remapped(&mut self.image)?;
        self.pin(&mut palette, &mut indices);
        Ok(Indexed { width: self.image.width(), height: self.image.height(), palette, indices, score: Score::REFUSED })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimize::quality::gates::tests::flat_share;

    /// A gradient under grain, of many more colours than 256.
    fn grain() -> Pixels {
        let pixel = |i: usize| {
            let grain = (i as u32).wrapping_mul(2_654_435_761) >> 27;
            RGBA8::new((i % 256 / 2) as u8 + grain as u8, (i / 256 / 2) as u8, 90 + grain as u8, 255)
        };
        Pixels { width: 256, height: 256, rgba: (0..256 * 256).map(pixel).collect() }
    }

    fn found(pixels: &Pixels, target: f64) -> Found {
        let census = Census::of(pixels, pixels.is_graphic());
        to_target(pixels, &census, &Views::new(pixels, 1), target, 4, || Verdict::Continue)
    }

    #[test]
    fn few_colours_do_for_a_low_target_and_more_for_a_high_one() {
        let [low, high] = [50.0, 70.0].map(|target| {
            let Found::Indexed(found) = found(&grain(), target) else { panic!("{target}") };
            assert!(found.score.effective(target) >= target, "{:?} {target}", found.score);
            found.palette.len()
        });
        assert!(low < high, "{low} {high}");
    }

    #[test]
    fn what_256_colours_cannot_reach_is_none() {
        assert!(matches!(found(&grain(), 99.9), Found::None));
    }

    /// Two thin lines of near colours and a dot on a page, and an avatar of grain.
    fn dashboard() -> Pixels {
        let pixel = |i: usize| {
            let (x, y) = (i % 320, i / 320);
            let grain = ((i as u32).wrapping_mul(2_654_435_761) >> 25) as u8;
            let rgb = match (x, y) {
                (220..300, 20..100) => [grain + 60, grain / 2 + 80, 120 - grain / 2],
                (10..200, 150) => [200, 30, 30],
                (10..200, 160) => [190, 40, 40],
                (40..44, 40..44) => [34, 197, 94],
                _ => [247, 247, 249],
            };
            RGBA8::new(rgb[0], rgb[1], rgb[2], 255)
        };
        Pixels { width: 320, height: 200, rgba: (0..320 * 200).map(pixel).collect() }
    }

    #[test]
    fn solid_colours_are_exact_and_apart_in_a_palette() {
        for target in [60.0, 75.0, 85.0] {
            let pixels = dashboard();
            let Found::Indexed(found) = found(&pixels, target) else { panic!("{target}") };
            let shown = |x: usize, y: usize| found.palette[usize::from(found.indices[y * 320 + x])];
            for (x, y) in [(100, 150), (100, 160), (41, 41), (5, 5), (219, 60)] {
                assert_eq!(shown(x, y), pixels.rgba[y * 320 + x], "{x} {y} at {target}");
            }
        }
    }

    #[test]
    fn wide_steps_of_a_gradient_are_flat_in_a_palette() {
        let pixel = |i: usize| {
            let (x, y) = (i % 640, i / 640);
            let (step, grain) = ((x / 5) as u8, ((i as u32).wrapping_mul(2_654_435_761) >> 25) as u8);
            let is_speckled = y > 180;
            RGBA8::new(if is_speckled { grain } else { 60 + step }, 90 + step / 2, 220 - step, 255)
        };
        let pixels = Pixels { width: 640, height: 240, rgba: (0..640 * 240).map(pixel).collect() };
        let Found::Indexed(found) = found(&pixels, 50.0) else { panic!("no palette") };
        let rgba = found.indices.iter().map(|index| found.palette[usize::from(*index)]).collect();
        assert!(flat_share(&pixels, &Pixels { rgba, ..pixels.clone() }) >= 0.99);
    }

    #[test]
    fn a_palette_of_every_colour_is_taken_where_it_costs_no_more() {
        let pixel = |i: usize| {
            RGBA8::new(if (i / 4096).is_multiple_of(2) { 255 } else { 30 }, (i % 64 / 16) as u8 * 60, 90, 255)
        };
        let pixels = Pixels { width: 256, height: 256, rgba: (0..256 * 256).map(pixel).collect() };
        assert!(matches!(found(&pixels, 75.0), Found::Exact));
        assert_eq!(exact(&pixels).unwrap().palette.len(), 8);
        assert!(exact(&grain()).is_none());
    }
}
