//! Small lossless WebP files, written after the specification (RFC 9649) alone, two levels to a channel.

use super::bits::Bits;
use super::bytes::Bytes;

/// `VP8X` flags (RFC 9649, 2.7).
const ICC: u8 = 0x20;
const ALPHA: u8 = 0x10;
const EXIF: u8 = 0x08;
const XMP: u8 = 0x04;

/// Up to 64 pixels each way, with any of the chunks that may stand around them.
pub fn of(bytes: &mut Bytes<'_>) -> Vec<u8> {
    let (width, height) = (bytes.below(64) + 1, bytes.below(64) + 1);
    let (flags, loose) = (bytes.byte(), bytes.below(8));
    let image = lossless(width, height, bytes);
    let mut chunks = Vec::new();
    let flags = flags & (ICC | EXIF | XMP);
    if flags > 0 || bytes.flag() {
        let size = [(width - 1) as u8, 0, 0, (height - 1) as u8, 0, 0];
        chunk(&mut chunks, *b"VP8X", &[&[flags | ALPHA, 0, 0, 0][..], &size].concat());
    }
    let mut own = || {
        let length = bytes.word();
        bytes.take(length.into())
    };
    if flags & ICC > 0 {
        chunk(&mut chunks, *b"ICCP", own());
    }
    chunk(&mut chunks, *b"VP8L", &image);
    if flags & EXIF > 0 {
        chunk(&mut chunks, *b"EXIF", own());
    }
    if flags & XMP > 0 {
        chunk(&mut chunks, *b"XMP ", own());
    }
    if loose == 7 {
        chunk(&mut chunks, *b"prVt", own());
    }
    [&b"RIFF"[..], &(chunks.len() as u32 + 4).to_le_bytes(), b"WEBP", &chunks].concat()
}

fn chunk(out: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) {
    out.extend(kind);
    out.extend((data.len() as u32).to_le_bytes());
    out.extend_from_slice(data);
    out.resize(out.len().next_multiple_of(2), 0);
}

/// No transform, no cache, one group of simple codes (RFC 9649, 3.7.2.1.1).
fn lossless(width: usize, height: usize, bytes: &mut Bytes<'_>) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.put(0x2F, 8);
    bits.put(width - 1, 14);
    bits.put(height - 1, 14);
    bits.put(1, 1);
    bits.put(0, 3);
    bits.put(0, 3);
    // Green, red, blue, alpha.
    for _ in 0..4 {
        let low = bytes.below(255);
        let high = low + 1 + bytes.below(255 - low);
        bits.put(0b111, 3);
        bits.put(low, 8);
        bits.put(high, 8);
    }
    // Distances: one symbol of no bits.
    bits.put(0b001, 4);
    let length = bytes.word();
    let pattern = bytes.take(length.into());
    for i in 0..width * height {
        let levels = pattern.get(i % pattern.len().max(1)).copied().unwrap_or_default();
        bits.put(levels.into(), 4);
    }
    bits.bytes
}
