//! A file decoded to colours, for the metric.

use super::decoder::Decoder;
use super::{Fault, guarded, sys};
use crate::optimize::picture::Rgb;
use sys::J_COLOR_SPACE;

/// Decodes to red, green, blue as libjpeg-turbo does by default: islow IDCT, triangle chroma upsampling.
///
/// # Errors
/// [`Fault`] on the first error or warning, or past `max_scans`.
pub fn decode_rgb(source: &[u8], max_scans: u32) -> Result<Rgb, Fault> {
    guarded(|| {
        let mut decoder = Decoder::open(source, max_scans);
        decoder.info.out_color_space = J_COLOR_SPACE::JCS_RGB;
        // SAFETY: the header was read; libjpeg writes one row of `output_width` × 3 samples to the row it is handed.
        unsafe { sys::jpeg_start_decompress(&mut decoder.info) };
        let (width, height) = (decoder.info.output_width as usize, decoder.info.output_height as usize);
        let mut samples = vec![0; width * height * 3];
        for row in samples.chunks_exact_mut(width * 3) {
            let mut rows = [row.as_mut_ptr()];
            unsafe { sys::jpeg_read_scanlines(&mut decoder.info, rows.as_mut_ptr(), 1) };
        }
        // SAFETY: all rows were read. This reads on to the end of the image, where more warnings may wait.
        unsafe { sys::jpeg_finish_decompress(&mut decoder.info) };
        Rgb { width, height, samples }
    })
}
