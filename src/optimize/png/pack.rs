//! Filters and deflate by oxipng: the same pixels in fewer bytes.

use oxipng::{BitDepth, ColorType, Deflater, FilterStrategy, Options, RawImage};

use super::near_lossless::Rounded;
use super::pixels::Channels;
use super::quantize::Indexed;
use crate::optimize::Effort;

/// Bytes of a file's uncompressed pixels above which oxipng's cheaper level is taken: it costs half the time for 1–2 %.
const LARGE_BYTES: usize = 6_000_000;
/// Below this libdeflate's levels cost 8 % of bytes.
const FAST_DEFLATE: u8 = 6;
/// libdeflate's level for rounded residuals of so many bytes: 10 costs 290 ns a byte, 9 half as much and 10 % more bytes,
/// 6 a tenth and 20 %.
const ROUNDED_DEFLATE: [(usize, u8); 2] = [(12_000_000, 10), (40_000_000, 9)];

fn options(raw_bytes: usize, effort: Effort) -> Options {
    let mut options = match effort {
        Effort::Default if raw_bytes <= LARGE_BYTES => Options::from_preset(2),
        Effort::Default => Options::from_preset(1),
        Effort::Fast => {
            Options { deflater: Deflater::Libdeflater { compression: FAST_DEFLATE }, ..Options::from_preset(1) }
        }
    };
    options.max_decompressed_size = Some(raw_bytes.saturating_add(1 << 20));
    options
}

/// Packs a whole PNG file anew; every chunk it holds stays, every pixel decodes as before. Animations keep their frames.
/// Where nothing is gained the file comes back as it is.
///
/// # Errors
/// oxipng's own words.
pub fn lossless(file: &[u8], raw_bytes: usize, effort: Effort) -> Result<Vec<u8>, String> {
    oxipng::optimize_from_memory(file, &options(raw_bytes, effort)).map_err(|error| error.to_string())
}

/// Packs a picture of few colours, without any ancillary chunk but its transparency.
///
/// # Errors
/// oxipng's own words.
pub fn indexed(picture: &Indexed, effort: Effort) -> Result<Vec<u8>, String> {
    let (width, height) = (picture.width as u32, picture.height as u32);
    let color_type = ColorType::Indexed { palette: picture.palette.clone() };
    RawImage::new(width, height, color_type, BitDepth::Eight, picture.indices.clone())
        .and_then(|image| image.create_optimized_png(&options(picture.indices.len(), effort)))
        .map_err(|error| error.to_string())
}

/// Packs a picture whose residuals by the Average filter were rounded: by no other filter are they few. Nothing else can
/// be gained, and the colour type must stay as the profile wants it.
///
/// # Errors
/// oxipng's own words.
pub fn rounded(picture: Rounded, effort: Effort) -> Result<Vec<u8>, String> {
    let (width, height) = (picture.width as u32, picture.height as u32);
    let color_type = match picture.channels {
        Channels::Gray => ColorType::Grayscale { transparent_shade: None },
        Channels::GrayAlpha => ColorType::GrayscaleAlpha,
        Channels::Rgb => ColorType::RGB { transparent_color: None },
        Channels::Rgba => ColorType::RGBA,
    };
    let compression = match effort {
        Effort::Default => ROUNDED_DEFLATE.iter().find(|(most, _)| picture.samples.len() <= *most).map_or(FAST_DEFLATE, |l| l.1),
        Effort::Fast => FAST_DEFLATE,
    };
    let options = Options {
        filters: [FilterStrategy::AVERAGE].into_iter().collect(),
        deflater: Deflater::Libdeflater { compression },
        color_type_reduction: false,
        bit_depth_reduction: false,
        palette_reduction: false,
        grayscale_reduction: false,
        ..Options::default()
    };
    RawImage::new(width, height, color_type, BitDepth::Eight, picture.samples)
        .and_then(|image| image.create_optimized_png(&options))
        .map_err(|error| error.to_string())
}
