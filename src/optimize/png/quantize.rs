//! Fewer colours: a palette by imagequant, the smallest whose score holds.

use imagequant::{Attributes, Histogram, Image};
use rgb::RGBA8;

use super::pack;
use crate::optimize::score::Score;
use crate::optimize::search::{Search, Verdict};
use crate::optimize::views::{Pixels, Views};

/// A picture in at most 256 colours.
pub struct Indexed {
    /// Pixels.
    pub width: usize,
    pub height: usize,
    pub palette: Vec<RGBA8>,
    /// One per pixel, row by row.
    pub indices: Vec<u8>,
    /// Against the source.
    pub score: Score,
}

impl Indexed {
    /// A row of the picture as it is shown.
    fn fill(&self, y: usize, row: &mut [RGBA8]) {
        let indices = &self.indices[y * self.width..];
        row.iter_mut().zip(indices).for_each(|(pixel, index)| *pixel = self.palette[usize::from(*index)]);
    }
}

/// imagequant's speed: slower ones bring under 1 % of bytes, 8 and above cost 5–7 %.
const SPEED: i32 = 4;
/// Full error diffusion: without it gradients band.
const DITHERING: f32 = 1.0;
/// Steps of the search are eighths of a power of two: 64 is 256 colours, 24 is 8.
const STEPS_PER_DOUBLING: f64 = 8.0;
const FEWEST: i32 = 24;
const MOST: i32 = 64;
const FIRST: i32 = 48;
/// Points of score that a step brings near the usual targets.
const SLOPE: f64 = 0.7;
const TOLERANCE: f64 = 2.0;
/// Palettes cost more than other trials, and a coarser one is not always smaller.
const MOST_TRIALS: usize = 3;

/// The picture in colours that reach the target and seem to take the fewest bytes: mostly the fewest colours, but where a
/// graphic needs no dithering, more; `None` where 256 do not, or where imagequant fails: of
/// its errors, want of memory above all, none is the picture's. At most `trials` palettes are made, fewer where `goes_on`
/// says so.
pub fn to_target(
    pixels: &Pixels,
    views: &Views<'_>,
    target: f64,
    trials: usize,
    mut goes_on: impl FnMut() -> Verdict,
) -> Option<Indexed> {
    let mut quantizer = Quantizer::new(pixels).ok()?;
    let mut best: Option<(Indexed, usize)> = None;
    let trials = trials.min(MOST_TRIALS);
    let search = Search { steps: FEWEST..=MOST, first: FIRST, target, tolerance: TOLERANCE, trials, slope: SLOPE };
    let found = search.run(|step| {
        let colors = (f64::from(step) / STEPS_PER_DOUBLING).exp2().round() as u32;
        let mut indexed = quantizer.remap(colors)?;
        indexed.score = views.score(|y, row| indexed.fill(y, row)).unwrap_or(Score::REFUSED);
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
    best.map(|(indexed, _)| indexed)
}

/// One picture's colours, counted once for all trials.
struct Quantizer<'a> {
    attributes: Attributes,
    image: Image<'a>,
    histogram: Histogram,
}

impl<'a> Quantizer<'a> {
    fn new(pixels: &'a Pixels) -> Result<Self, imagequant::Error> {
        let mut attributes = Attributes::new();
        attributes.set_speed(SPEED)?;
        // A gamma of 0 is imagequant's word for sRGB's.
        let mut image = attributes.new_image_borrowed(&pixels.rgba, pixels.width, pixels.height, 0.0)?;
        let mut histogram = Histogram::new(&attributes);
        histogram.add_image(&attributes, &mut image)?;
        Ok(Self { attributes, image, histogram })
    }

    fn remap(&mut self, colors: u32) -> Result<Indexed, imagequant::Error> {
        self.attributes.set_max_colors(colors)?;
        let mut result = self.histogram.quantize(&self.attributes)?;
        result.set_dithering_level(DITHERING)?;
        let (palette, indices) = result.remapped(&mut self.image)?;
        Ok(Indexed { width: self.image.width(), height: self.image.height(), palette, indices, score: Score::REFUSED })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A gradient under grain, of many more colours than 256.
    fn grain() -> Pixels {
        let pixel = |i: usize| {
            let grain = (i as u32).wrapping_mul(2_654_435_761) >> 27;
            RGBA8::new((i % 256 / 2) as u8 + grain as u8, (i / 256 / 2) as u8, 90 + grain as u8, 255)
        };
        Pixels { width: 256, height: 256, rgba: (0..256 * 256).map(pixel).collect() }
    }

    fn found(target: f64) -> Option<Indexed> {
        let pixels = grain();
        to_target(&pixels, &Views::new(&pixels, 1), target, 4, || Verdict::Continue)
    }

    #[test]
    fn few_colours_do_for_a_low_target_and_more_for_a_high_one() {
        let [low, high] = [50.0, 70.0].map(|target| {
            let found = found(target).unwrap();
            assert!(found.score.effective(target) >= target, "{:?} {target}", found.score);
            found.palette.len()
        });
        assert!(low < high, "{low} {high}");
    }

    #[test]
    fn what_256_colours_cannot_reach_is_none() {
        assert!(found(99.9).is_none());
    }
}
