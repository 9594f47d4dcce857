//! Filters and deflate by oxipng: the same pixels in fewer bytes.

use oxipng::{BitDepth, ColorType, Deflater, Options, RawImage};

use super::quantize::Indexed;
use crate::optimize::Effort;

/// Bytes of a file's uncompressed pixels above which oxipng's cheaper level is taken: it costs half the time for 1–2 %.
const LARGE_BYTES: usize = 12_000_000;
/// Below this libdeflate's levels cost 8 % of bytes.
const FAST_DEFLATE: u8 = 6;

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
