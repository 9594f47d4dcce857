//! Our own output, and what is packed as well, told by what it is: packing it again would cost seconds for nothing.

use libdeflater::{CompressionLvl, Compressor, Decompressor};

use super::chunks::{Chunks, Color};

/// The first bytes of a zlib stream (RFC 1950, 2.2): deflate in a window of 32 KiB, and a compressor that says it did its
/// best. A hint that costs nothing; the bytes themselves must confirm it.
const BEST_COMPRESSION: [u8; 2] = [0x78, 0xDA];
/// What a plain compressor makes of the same filtered rows, bytes by bytes: near-optimal parsing takes less than this of
/// rows that are filtered with care, of our own 0.75 to 0.91.
const CAREFUL: f64 = 0.93;
/// And of palette indices that no filter touched: of our own 0.75 to 0.968; of what zlib's best makes 0.98 and more.
const INDICES: f64 = 0.97;

/// Whether rows are packed about as well as they can be: a still picture of palette indices, or of residuals that we, or
/// an equal, have rounded.
#[must_use]
pub fn is_packed(chunks: &Chunks<'_>, raw_bytes: usize, is_rounded: bool) -> bool {
    let header = chunks.header;
    let is_indexed = header.color == Color::Indexed;
    if header.interlaced || chunks.animation.is_some() || !is_indexed && !is_rounded || has_needless_bits(chunks) {
        return false;
    }
    let stream = chunks.pixels();
    if !stream.starts_with(&BEST_COMPRESSION) {
        return false;
    }
    let mut rows = vec![0; raw_bytes];
    if Decompressor::new().zlib_decompress(&stream, &mut rows) != Ok(raw_bytes) {
        return false;
    }
    let stride = raw_bytes / header.height as usize;
    let is_unfiltered = rows.iter().step_by(stride).all(|filter| *filter == 0);
    let most = if is_indexed && is_unfiltered { INDICES } else { CAREFUL };
    plainly_packed(&rows).is_some_and(|plain| (stream.len() as f64) < plain as f64 * most)
}

/// Whether a smaller index would name every colour of the palette.
fn has_needless_bits(chunks: &Chunks<'_>) -> bool {
    let colors = chunks.data(*b"PLTE").map_or(0, |palette| palette.len() / 3);
    let header = chunks.header;
    header.color == Color::Indexed && header.depth > 1 && colors <= 1 << (header.depth / 2)
}

/// Bytes that libdeflate's default level makes of the rows, for a tenth of the time that its best takes.
fn plainly_packed(rows: &[u8]) -> Option<usize> {
    let mut compressor = Compressor::new(CompressionLvl::default());
    let mut out = vec![0; compressor.zlib_compress_bound(rows.len())];
    compressor.zlib_compress(rows, &mut out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use oxipng::{BitDepth, ColorType, Deflater, FilterStrategy, Options, RawImage};
    use rgb::RGBA8;

    const SIZE: u32 = 200;

    /// Boxes with noise, of so many colours.
    fn file(colors: u8, depth: BitDepth, level: u8) -> Vec<u8> {
        let noise = |i: u32| (i.wrapping_mul(2_654_435_761) >> 29) as u8;
        let index = |i: u32| ((i % SIZE / 9 + i / SIZE / 7) as u8).wrapping_add(noise(i)) % colors;
        let indices = match depth {
            BitDepth::Four => (0..SIZE * SIZE / 2).map(|i| index(2 * i) << 4 | index(2 * i + 1)).collect(),
            _ => (0..SIZE * SIZE).map(index).collect(),
        };
        let palette = (0..colors).map(|i| RGBA8::new(i, 255 - i, i / 2, 255)).collect();
        let image = RawImage::new(SIZE, SIZE, ColorType::Indexed { palette }, depth, indices).unwrap();
        image
            .create_optimized_png(&Options {
                filters: [FilterStrategy::NONE].into_iter().collect(),
                deflater: Deflater::Libdeflater { compression: level },
                bit_depth_reduction: false,
                palette_reduction: false,
                color_type_reduction: false,
                grayscale_reduction: false,
                ..Options::default()
            })
            .unwrap()
    }

    fn is_found(file: &[u8], row_bytes: u32) -> bool {
        is_packed(&Chunks::parse(file).unwrap(), (SIZE * (row_bytes + 1)) as usize, false)
    }

    #[test]
    fn what_is_packed_by_the_best_level_is_found_and_what_is_not_is_packed_again() {
        assert!(is_found(&file(40, BitDepth::Eight, 12), SIZE));
        assert!(is_found(&file(12, BitDepth::Four, 12), SIZE / 2));
        assert!(!is_found(&file(40, BitDepth::Eight, 6), SIZE));
    }

    #[test]
    fn bits_that_no_colour_needs_are_worth_packing_again() {
        assert!(!is_found(&file(12, BitDepth::Eight, 12), SIZE));
    }

    #[test]
    fn rows_that_do_not_decode_are_not_packed() {
        let file = file(40, BitDepth::Eight, 12);
        for row_bytes in [SIZE - 1, SIZE + 1] {
            assert!(!is_found(&file, row_bytes));
        }
    }
}
