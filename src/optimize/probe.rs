//! Reads format, size and frames from the first bytes of a file, and predicts the memory that optimizing it takes.

use super::format::Format;
use super::quality::census;
use super::quality::score;

/// First bytes of a file that [`probe`] needs. A JPEG with more metadata than this is estimated by its length.
pub const PROBE_BYTES: usize = 256 << 10;

/// Bytes of memory per byte of a file whose size in pixels is unknown: those of a sparse JPEG.
const UNKNOWN_FACTOR: u64 = 64;

/// One part in so many is added for what the allocator holds. Measured peaks of 20 megapixels were up to a twentieth
/// above the codecs' own numbers.
const ALLOCATOR_SHARE: u64 = 8;

/// Bytes of memory per byte of uncompressed PNG pixels that oxipng needs: its filtered and deflated variants.
const PNG_PACK_FACTOR: u64 = 5;
/// Bytes of memory per pixel that imagequant and the pixels themselves need, the score not counted.
const PNG_LOSSY_PER_PIXEL: u64 = 28;
/// Bytes of memory per JPEG sample: its coefficient, in the source or in the file that is verified, never both.
const JPEG_LOSSLESS_PER_SAMPLE: u64 = 2;
/// Bytes of memory per JPEG sample where chroma is downsampled: its coefficient, the one written, and a float.
const JPEG_LOSSY_PER_SAMPLE: u64 = 5;
/// Bytes of memory per WebP pixel, with alpha: pixels, planes, backgrounds, and the result decoded. Measured: 31.
const WEBP_LOSSY_PER_PIXEL: u64 = 36;
/// The same for coding noise without loss: libwebp's chains and references above all. Measured of photographs: 24.
const WEBP_LOSSLESS_PER_PIXEL: u64 = 60;
/// Bytes of memory per pixel of a GIF's canvas: two canvases with what they save, or one, a frame's indices, its pixels,
/// and these in the terms of two tables.
const GIF_PER_PIXEL: u64 = 20;
/// Bytes of the LZW dictionary as a tree.
const GIF_DICTIONARY: u64 = 3 << 20;

/// Description of an image by its first bytes. A number is 0 if they do not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Probe {
    /// Format by the magic bytes.
    pub format: Format,
    /// Width in pixels, as stored.
    pub width: u32,
    /// Height in pixels, as stored.
    pub height: u32,
    /// Frames of the picture or animation. GIF and WebP do not state those of an animation.
    pub frames: u32,
    /// Bytes of memory that [`optimize`](super::optimize()) may take, source and result included. 0 for a format that is
    /// not rewritten.
    pub memory: u64,
}

/// Memory that an image takes, by its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Width × height.
    pub pixels: u64,
    /// Bytes of memory for the least work. An image whose required memory exceeds the limit is refused.
    pub required: u64,
    /// Bytes of memory for work that is left out if they exceed the limit.
    pub optional: u64,
}

/// Probes a file of `length` bytes by its first [`PROBE_BYTES`]; `None` if it is no image.
#[must_use]
pub fn probe(head: &[u8], length: u64) -> Option<Probe> {
    let format = Format::sniff(head)?;
    let header = match format {
        Format::Png => png(head, length),
        Format::Jpeg => jpeg(head, length),
        Format::Gif => gif(head, length),
        Format::WebP => webp(head, length),
        _ => return Some(Probe { format, width: 0, height: 0, frames: 0, memory: 0 }),
    };
    let Some(Header { width, height, frames, cost }) = header else {
        return Some(Probe { format, width: 0, height: 0, frames: 0, memory: length.saturating_mul(UNKNOWN_FACTOR) });
    };
    let memory = cost.required.max(cost.optional);
    Some(Probe { format, width, height, frames, memory: memory.saturating_add(memory / ALLOCATOR_SHARE) })
}

impl Cost {
    /// Cost of a PNG file of `bytes`.
    pub fn png(width: u32, height: u32, bits_per_pixel: u64, bytes: u64) -> Self {
        let pixels = u64::from(width) * u64::from(height);
        let raw = png_raw_bytes(width, height, bits_per_pixel);
        Self {
            pixels,
            required: bytes.saturating_mul(3).saturating_add(raw.saturating_mul(PNG_PACK_FACTOR)),
            optional: pixels
                .saturating_mul(PNG_LOSSY_PER_PIXEL)
                .saturating_add(census::memory(pixels))
                .saturating_add(score::memory(width.into())),
        }
    }

    /// Cost of a JPEG file of `bytes`, with the horizontal and vertical sampling factor of each component.
    pub fn jpeg(width: u32, height: u32, sampling: &[(u8, u8)], bytes: u64) -> Self {
        let pixels = u64::from(width) * u64::from(height);
        let largest = |factor: fn(&(u8, u8)) -> u8| u64::from(sampling.iter().map(factor).max().unwrap_or(1).max(1));
        // In units of 1/(max_h · max_v) of a full-size component.
        let shares: u64 = sampling.iter().map(|&(h, v)| u64::from(h) * u64::from(v)).sum();
        let samples = (pixels * shares).div_ceil(largest(|factors| factors.0) * largest(|factors| factors.1));
        Self {
            pixels,
            required: 2 * bytes + JPEG_LOSSLESS_PER_SAMPLE * samples,
            optional: 3 * bytes + JPEG_LOSSY_PER_SAMPLE * samples + score::memory(width.into()),
        }
    }

    /// Cost of a WebP file of `bytes`. Animations are never decoded.
    pub fn webp(width: u32, height: u32, is_still: bool, bytes: u64) -> Self {
        let pixels = u64::from(width).saturating_mul(height.into());
        let files = bytes.saturating_mul(3);
        let with_pixels = |per_pixel: u64| files.saturating_add(pixels.saturating_mul(per_pixel));
        if !is_still {
            return Self { pixels, required: files, optional: files };
        }
        let lossy = with_pixels(WEBP_LOSSY_PER_PIXEL).saturating_add(score::memory(width.into()));
        Self { pixels, required: lossy, optional: with_pixels(WEBP_LOSSLESS_PER_PIXEL) }
    }

    /// Cost of a GIF file of `bytes`.
    pub fn gif(width: u16, height: u16, bytes: u64) -> Self {
        let pixels = u64::from(width) * u64::from(height);
        let required = bytes.saturating_mul(3).saturating_add(pixels.saturating_mul(GIF_PER_PIXEL) + GIF_DICTIONARY);
        Self { pixels, required, optional: required }
    }
}

/// Bytes of a PNG's uncompressed pixels.
#[must_use]
pub fn png_raw_bytes(width: u32, height: u32, bits_per_pixel: u64) -> u64 {
    let row = (u64::from(width) * bits_per_pixel).div_ceil(8);
    // A byte per row names its filter (PNG, clause 9).
    (row + 1).saturating_mul(height.into())
}

/// What a header states.
struct Header {
    width: u32,
    height: u32,
    frames: u32,
    cost: Cost,
}

/// Reads IHDR, which comes first, and acTL, if it comes before the pixels (PNG, 11.2.1 and 11.3.4.1).
fn png(head: &[u8], length: u64) -> Option<Header> {
    let &[w3, w2, w1, w0, h3, h2, h1, h0, depth, color, ..] = head.get(16..)?.first_chunk::<13>()?;
    let (width, height) = (u32::from_be_bytes([w3, w2, w1, w0]), u32::from_be_bytes([h3, h2, h1, h0]));
    let samples = match color {
        0 | 3 => 1,
        4 => 2,
        2 => 3,
        _ => 4,
    };
    let cost = Cost::png(width, height, samples * u64::from(depth), length);
    Some(Header { width, height, frames: png_frames(head).unwrap_or(1), cost })
}

fn png_frames(head: &[u8]) -> Option<u32> {
    let mut rest = head.get(8..)?;
    loop {
        let &[l3, l2, l1, l0, ref kind @ ..] = rest.first_chunk::<8>()?;
        match kind {
            b"acTL" => return rest.get(8..)?.first_chunk().map(|frames| u32::from_be_bytes(*frames)),
            b"IDAT" => return None,
            _ => rest = rest.get((u32::from_be_bytes([l3, l2, l1, l0]) as usize).checked_add(12)?..)?,
        }
    }
}

/// Follows the marker segments (ITU-T T.81, B.1.1.4) to the frame header (B.2.2).
fn jpeg(head: &[u8], length: u64) -> Option<Header> {
    let mut rest = head.get(2..)?;
    loop {
        let &[0xFF, marker, high, low] = rest.first_chunk()? else { return None };
        match marker {
            // A fill byte.
            0xFF => rest = &rest[1..],
            0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => return jpeg_frame(&rest[4..], length),
            0xDA => return None,
            _ => rest = rest.get(2 + usize::from(u16::from_be_bytes([high, low]))..)?,
        }
    }
}

fn jpeg_frame(frame: &[u8], length: u64) -> Option<Header> {
    let (&[_, h1, h0, w1, w0, count], components) = frame.split_first_chunk()?;
    let (width, height) = (u16::from_be_bytes([w1, w0]).into(), u16::from_be_bytes([h1, h0]).into());
    let components = components.get(..3 * usize::from(count))?.chunks_exact(3);
    let sampling: Vec<_> = components.map(|component| (component[1] >> 4, component[1] & 15)).collect();
    // A height of 0 is defined after the first scan (T.81, B.2.5).
    (height > 0).then(|| Header { width, height, frames: 1, cost: Cost::jpeg(width, height, &sampling, length) })
}

/// Reads the logical screen descriptor, which follows the signature (GIF89a, 18).
fn gif(head: &[u8], length: u64) -> Option<Header> {
    let &[w0, w1, h0, h1] = head.get(6..)?.first_chunk()?;
    let (width, height) = (u16::from_le_bytes([w0, w1]), u16::from_le_bytes([h0, h1]));
    let cost = Cost::gif(width, height, length);
    Some(Header { width: width.into(), height: height.into(), frames: 0, cost })
}

/// Reads the first chunk, of any kind (RFC 9649, 2.5 to 2.7).
fn webp(head: &[u8], length: u64) -> Option<Header> {
    let header = head.first_chunk::<30>()?;
    let number = |at: usize, bytes: usize| {
        header[at..at + bytes].iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte))
    };
    let (width, height, is_still) = match &header[12..16] {
        b"VP8X" => (number(24, 3) + 1, number(27, 3) + 1, header[20] & 2 == 0),
        // 14 bits for each size.
        b"VP8L" => ((number(21, 2) & 0x3FFF) + 1, ((number(21, 4) >> 14) & 0x3FFF) + 1, true),
        b"VP8 " => (number(26, 2) & 0x3FFF, number(28, 2) & 0x3FFF, true),
        _ => return None,
    };
    Some(Header { width, height, frames: is_still.into(), cost: Cost::webp(width, height, is_still, length) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(name: &str) -> Vec<u8> {
        std::fs::read(format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    }

    #[test]
    fn probe_reads_size_and_frames_from_headers() {
        for (name, expected) in [
            ("photo-420.jpg", (600, 400, 1)),
            ("photo-rotated.jpg", (512, 400, 1)),
            ("photo-progressive.jpg", (640, 427, 1)),
            ("icon.png", (256, 256, 1)),
            ("animated.gif", (160, 160, 0)),
        ] {
            let file = fixture(name);
            let probe = probe(&file, file.len() as u64).unwrap();
            assert_eq!((probe.width, probe.height, probe.frames), expected, "{name}");
            assert!(probe.memory > u64::from(probe.width * probe.height), "{name}");
        }
        let file = fixture("animated.png");
        assert!(probe(&file, file.len() as u64).unwrap().frames > 1);
    }

    #[test]
    fn probe_reads_every_first_chunk_of_webp() {
        let of = |chunk: &[u8]| {
            let mut header = b"RIFF\0\0\0\0WEBP".to_vec();
            header.extend(chunk);
            header.resize(30, 0);
            let probe = probe(&header, 30).unwrap();
            (probe.width, probe.height, probe.frames)
        };
        assert_eq!(of(b"VP8X\x0A\0\0\0\0\0\0\0\x08\0\0\x04\0\0"), (9, 5, 1));
        assert_eq!(of(b"VP8X\x0A\0\0\0\x02\0\0\0\x08\0\0\x04\0\0"), (9, 5, 0));
        assert_eq!(of(b"VP8L\x05\0\0\0\x2F\x08\0\x01\0"), (9, 5, 1));
        assert_eq!(of(b"VP8 \x0A\0\0\0\x10\0\0\x9D\x01\x2A\x09\0\x05\0"), (9, 5, 1));
        assert_eq!(of(b"JUNK"), (0, 0, 0));
    }

    #[test]
    fn probe_of_small_file_with_many_pixels_counts_pixels() {
        // 20 megapixels of RGB in 1.4 MB took 471 MiB.
        let header = b"\x89PNG\r\n\x1A\n\0\0\0\rIHDR\0\0\x15\x60\0\0\x0E\x40\x08\x02\0\0\0";
        let memory = probe(header, 1_400_000).unwrap().memory >> 20;
        assert!((471..700).contains(&memory), "{memory} MiB");
    }

    #[test]
    fn probe_of_truncated_header_estimates_by_length() {
        for name in ["photo-rotated.jpg", "animated.png", "animated.gif"] {
            let file = fixture(name);
            for end in 8..300 {
                let probe = probe(&file[..end], 1 << 20).unwrap();
                assert!(probe.memory >= 1 << 20, "{name} cut at {end}");
            }
        }
    }

    #[test]
    fn probe_of_other_formats_takes_no_memory() {
        assert_eq!(probe(b"II*\0", 300 << 20).map(|probe| probe.memory), Some(0));
        assert_eq!(probe(b"%PDF-1.7", 300 << 20), None);
    }
}
