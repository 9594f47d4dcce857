//! Filters and deflate by oxipng: the same pixels in fewer bytes.

use oxipng::{BitDepth, ColorType, Deflater, FilterStrategy, Options, PngError, RawImage};

use super::classify::{Classification, Kind};
use super::indexed::Indexed;
use super::pixels::Channels;
use super::residuals::Rounded;
use crate::optimize::Effort;
use crate::optimize::picture::Pixels;

/// Below this libdeflate's levels cost 8 % of bytes.
const FAST_DEFLATE: u8 = 6;
/// oxipng's level for so many bytes of uncompressed pixels: 2 costs 260 ns a byte, 1 half as much and 1–2 % more bytes.
const PRESETS: [(usize, u8); 2] = [(THOROUGH_BYTES, 2), (60_000_000, 1)];
pub const THOROUGH_BYTES: usize = 24_000_000;
/// libdeflate's level for rounded residuals of so many bytes: 10 costs 290 ns a byte, 9 half as much and 10 % more bytes,
/// [`FAST_DEFLATE`] a tenth and 20 %.
const ROUNDED_DEFLATE: [(usize, u8); 2] = [(12_000_000, 10), (30_000_000, 9)];
/// Of graphics: 11 takes 6–10 % less there for twice the time, of photographs 1 %.
const ROUNDED_GRAPHIC_DEFLATE: [(usize, u8); 3] = [(6_000_000, 11), (12_000_000, 10), (30_000_000, 9)];
/// And for photographs as they are: 11 costs more for nothing.
const PHOTOGRAPH_DEFLATE: [(usize, u8); 1] = [(60_000_000, 10)];
/// And for graphics as they are, of which 10 packs some by 2 % less.
const GRAPHIC_DEFLATE: [(usize, u8); 2] = [(THOROUGH_BYTES, 11), (60_000_000, 10)];

/// What is known of the pixels of a file.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    pub pixels: &'a Pixels,
    pub traits: Classification,
}

/// What packing without loss may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freedom {
    Everything,
    /// Not colours into grays.
    Colors,
    /// Only how rows are filtered and deflated: colour type, depth, palette and interlacing stay.
    Filters,
}

/// Packs a whole PNG file anew; every pixel decodes as before. Animations keep their frames. Chunks whose form depends on
/// the colour type go where that changes. Where nothing is gained the file comes back as it is.
///
/// # Errors
/// oxipng's own words.
pub fn lossless(
    file: &[u8],
    raw_bytes: usize,
    known: Option<Known<'_>>,
    effort: Effort,
    freedom: Freedom,
) -> Result<Vec<u8>, String> {
    let is_graphic = known.is_some_and(|known| known.traits.is_graphic);
    let levels: &[_] = if is_graphic { &GRAPHIC_DEFLATE } else { &PHOTOGRAPH_DEFLATE };
    let mut options = match known {
        Some(Known { pixels, traits }) if traits.kind == Kind::Smooth || !traits.is_graphic => Options {
            filters: [best_filter(pixels, traits)].into_iter().collect(),
            deflater: deflater(level(levels, raw_bytes, effort)),
            ..Options::default()
        },
        _ => preset(raw_bytes, effort),
    };
    options.grayscale_reduction = freedom == Freedom::Everything;
    if freedom == Freedom::Filters {
        options.interlace = None;
        options.color_type_reduction = false;
        options.bit_depth_reduction = false;
        options.palette_reduction = false;
    }
    options.max_decompressed_size = Some(raw_bytes.saturating_add(1 << 20));
    oxipng::optimize_from_memory(file, &options).map_err(|error| error.to_string())
}

/// Packs a picture of few colours, without any ancillary chunk but its transparency.
///
/// # Errors
/// oxipng's own words.
pub fn indexed(picture: &Indexed, effort: Effort) -> Result<Vec<u8>, String> {
    raw_indexed(picture)
        .and_then(|image| image.create_optimized_png(&preset(picture.indices.len(), effort)))
        .map_err(|error| error.to_string())
}

/// About how many bytes a picture of few colours takes: enough to tell which takes fewer.
#[must_use]
pub fn estimate(picture: &Indexed) -> usize {
    let filters = [FilterStrategy::NONE, FilterStrategy::Bigrams];
    raw_indexed(picture).and_then(|image| as_it_is(&image, &filters, QUICK_DEFLATE)).map_or(usize::MAX, |f| f.len())
}

/// Packs a picture whose residuals by the Average filter were rounded: by no other filter are they few.
///
/// # Errors
/// oxipng's own words.
pub fn rounded(picture: Rounded, is_graphic: bool, effort: Effort) -> Result<Vec<u8>, String> {
    let levels: &[_] = if is_graphic { &ROUNDED_GRAPHIC_DEFLATE } else { &ROUNDED_DEFLATE };
    let level = level(levels, picture.samples.len(), effort);
    raw(picture.width, picture.height, picture.channels, picture.samples)
        .and_then(|image| as_it_is(&image, &[FilterStrategy::AVERAGE], level))
        .map_err(|error| error.to_string())
}

/// Packs a picture of few colours, but more than a palette holds.
///
/// # Errors
/// oxipng's own words.
pub fn merged(pixels: &Pixels, channels: Channels, effort: Effort) -> Result<Vec<u8>, String> {
    let samples: Vec<u8> = pixels.rgba.iter().flat_map(|pixel| channels.samples(*pixel)).collect();
    let options = preset(samples.len(), effort);
    raw(pixels.width, pixels.height, channels, samples)
        .and_then(|image| image.create_optimized_png(&options))
        .map_err(|error| error.to_string())
}

/// libdeflate's level that tells filters apart.
const QUICK_DEFLATE: u8 = 5;
/// Filters that ever win on photographs.
const FILTERS: [FilterStrategy; 5] = [
    FilterStrategy::NONE,
    FilterStrategy::SUB,
    FilterStrategy::Entropy,
    FilterStrategy::Bigrams,
    FilterStrategy::BigEnt,
];
/// Filters are tried on bands of so many rows: on one in so many, but no fewer than so many.
const BAND_ROWS: usize = 16;
const BAND_ONE_IN: usize = 8;
const FEWEST_BANDS: usize = 8;

/// The filter that packs a sample best: photographs are alike throughout.
fn best_filter(pixels: &Pixels, traits: Classification) -> FilterStrategy {
    let channels = traits.channels;
    let one_in = (pixels.height / BAND_ROWS / FEWEST_BANDS).clamp(1, BAND_ONE_IN);
    let bands = pixels.rgba.chunks(pixels.width * BAND_ROWS).step_by(one_in);
    let samples: Vec<u8> = bands.flatten().flat_map(|pixel| channels.samples(*pixel)).collect();
    let height = samples.len() / (pixels.width * channels.count());
    let Ok(image) = raw(pixels.width, height, channels, samples) else { return FilterStrategy::Bigrams };
    let size = |filter: &FilterStrategy| {
        as_it_is(&image, std::slice::from_ref(filter), QUICK_DEFLATE).map_or(usize::MAX, |file| file.len())
    };
    FILTERS.into_iter().min_by_key(size).unwrap_or(FilterStrategy::Bigrams)
}

/// Packs pixels in the colour type they have.
fn as_it_is(image: &RawImage, filters: &[FilterStrategy], level: u8) -> Result<Vec<u8>, PngError> {
    image.create_optimized_png(&Options {
        filters: filters.iter().cloned().collect(),
        deflater: deflater(level),
        color_type_reduction: false,
        bit_depth_reduction: false,
        palette_reduction: false,
        grayscale_reduction: false,
        ..Options::default()
    })
}

fn raw(width: usize, height: usize, channels: Channels, samples: Vec<u8>) -> Result<RawImage, PngError> {
    let color_type = match channels {
        Channels::Gray => ColorType::Grayscale { transparent_shade: None },
        Channels::GrayAlpha => ColorType::GrayscaleAlpha,
        Channels::Rgb => ColorType::RGB { transparent_color: None },
        Channels::Rgba => ColorType::RGBA,
    };
    RawImage::new(width as u32, height as u32, color_type, BitDepth::Eight, samples)
}

fn raw_indexed(picture: &Indexed) -> Result<RawImage, PngError> {
    let (width, height) = (picture.width as u32, picture.height as u32);
    let color_type = ColorType::Indexed { palette: picture.palette.clone() };
    RawImage::new(width, height, color_type, BitDepth::Eight, picture.indices.clone())
}

fn preset(raw_bytes: usize, effort: Effort) -> Options {
    let preset = PRESETS.iter().find(|(most, _)| raw_bytes <= *most).filter(|_| effort == Effort::Default);
    preset.map_or_else(
        || Options { deflater: deflater(FAST_DEFLATE), ..Options::from_preset(1) },
        |(_, level)| Options::from_preset(*level),
    )
}

fn level(levels: &[(usize, u8)], bytes: usize, effort: Effort) -> u8 {
    let level = levels.iter().find(|(most, _)| bytes <= *most).filter(|_| effort == Effort::Default);
    level.map_or(FAST_DEFLATE, |(_, level)| *level)
}

fn deflater(compression: u8) -> Deflater {
    Deflater::Libdeflater { compression }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimize::png::pixels::{are_same, decode};
    use rgb::RGBA8;

    /// Waves with grain, twice as high as its sample.
    fn photograph() -> Pixels {
        let grain = |i: usize| ((i as u32).wrapping_mul(2_654_435_761) >> 29) as u8;
        let pixel = |i: usize| {
            let wave = (120.0 + 80.0 * ((i % 200) as f64 / 19.0).sin() * ((i / 200) as f64 / 23.0).cos()) as u8;
            RGBA8::new(wave + grain(i), wave, 255 - wave, 255)
        };
        Pixels { width: 200, height: 256, rgba: (0..200 * 256).map(pixel).collect() }
    }

    fn stored(pixels: &Pixels) -> Vec<u8> {
        let samples = pixels.rgba.iter().flat_map(|pixel| Channels::Rgb.samples(*pixel)).collect();
        let image = raw(pixels.width, pixels.height, Channels::Rgb, samples).unwrap();
        as_it_is(&image, &[FilterStrategy::NONE], 1).unwrap()
    }

    #[test]
    fn a_photograph_is_packed_without_loss_by_the_filter_that_its_sample_likes() {
        let pixels = photograph();
        let file = stored(&pixels);
        let known = Some(Known { pixels: &pixels, traits: Classification::of(&pixels) });
        let [sampled, whole] = [known, None]
            .map(|known| lossless(&file, pixels.rgba.len() * 3, known, Effort::Default, Freedom::Everything).unwrap());
        assert!(are_same(&file, &sampled).unwrap());
        assert!(sampled.len() < file.len() && sampled.len() < whole.len() * 102 / 100);
    }

    #[test]
    fn larger_files_get_cheaper_levels() {
        let levels = |effort| [1, 20_000_000, 90_000_000].map(|bytes| level(&ROUNDED_DEFLATE, bytes, effort));
        assert_eq!(levels(Effort::Default), [10, 9, FAST_DEFLATE]);
        assert_eq!(levels(Effort::Fast), [FAST_DEFLATE; 3]);
    }

    #[test]
    fn sixteen_bits_that_repeat_eight_are_eight() {
        let wide = |low: u8| {
            let samples = (0..64 * 64_u32).flat_map(|i| [(i % 251) as u8, (i % 251) as u8 ^ low]).collect();
            let color = ColorType::Grayscale { transparent_shade: None };
            let image = RawImage::new(64, 64, color, BitDepth::Sixteen, samples).unwrap();
            decode(&as_it_is(&image, &[FilterStrategy::NONE], 1).unwrap()).unwrap()
        };
        assert!(wide(0).is_some() && wide(1).is_none());
    }
}
