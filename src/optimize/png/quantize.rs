//! Fewer colours: a palette by imagequant, the smallest whose score holds.

use imagequant::{Attributes, Histogram, Image};
use rgb::RGBA8;

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
    /// SSIMULACRA2 against the source.
    pub score: f64,
}

impl Indexed {
    /// The picture as it is shown.
    pub fn pixels(&self) -> impl Iterator<Item = RGBA8> + Clone + '_ {
        self.indices.iter().map(|index| self.palette[usize::from(*index)])
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
/// Points of score that a step brings near the usual targets.
const SLOPE: f64 = 0.7;
const TOLERANCE: f64 = 0.7;

/// The picture in the fewest colours found that reach the target; `None` where 256 do not. At most `trials` palettes are
/// made; the first has 256 colours.
///
/// # Errors
/// imagequant's or the metric's own words.
pub fn to_target(pixels: &Pixels, views: &Views, target: f64, trials: usize) -> Result<Option<Indexed>, String> {
    let mut quantizer = Quantizer::new(pixels).map_err(|error| error.to_string())?;
    let mut best: Option<Indexed> = None;
    let search = Search { steps: FEWEST..=MOST, first: MOST, target, tolerance: TOLERANCE, trials, slope: SLOPE };
    search.run(|step| {
        let colors = (f64::from(step) / STEPS_PER_DOUBLING).exp2().round() as u32;
        let mut indexed = quantizer.remap(colors).map_err(|error| error.to_string())?;
        let score = views.score(&indexed.pixels()).unwrap_or(0.0);
        indexed.score = score;
        if score >= target && best.as_ref().is_none_or(|best| indexed.palette.len() <= best.palette.len()) {
            best = Some(indexed);
        }
        Ok::<_, String>((score, Verdict::Continue))
    })?;
    Ok(best)
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
        Ok(Indexed { width: self.image.width(), height: self.image.height(), palette, indices, score: f64::NAN })
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

    #[test]
    fn few_colours_do_for_a_low_target_and_more_for_a_high_one() {
        let pixels = grain();
        let views = Views::new(&pixels, 1);
        let best = to_target(&pixels, &views, 0.5, 1).unwrap().unwrap();
        assert_eq!(best.palette.len(), 256);
        let [low, high] = [12.0, 2.0].map(|below| {
            let target = best.score - below;
            let found = to_target(&pixels, &views, target, 4).unwrap().unwrap();
            assert!(found.score >= target, "{} {target}", found.score);
            found.palette.len()
        });
        assert!(low < high, "{low} {high} of {}", best.score);
    }

    #[test]
    fn what_256_colours_cannot_reach_is_none() {
        let pixels = grain();
        let views = Views::new(&pixels, 1);
        assert!(to_target(&pixels, &views, 99.9, 4).unwrap().is_none());
    }
}
