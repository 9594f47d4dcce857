//! Small GIF files, written after the specification (GIF89a) alone, their codes without compression.

use super::bits::Bits;
use super::bytes::Bytes;

/// Up to 32 pixels each way, a few frames and extensions.
pub fn of(bytes: &mut Bytes<'_>) -> Vec<u8> {
    let (width, height) = (bytes.below(32) + 1, bytes.below(32) + 1);
    let depth = bytes.below(8) as u8 + 1;
    let has_palette = bytes.below(8) > 0;
    let mut out = if bytes.below(8) > 0 { b"GIF89a".to_vec() } else { b"GIF87a".to_vec() };
    out.extend([width as u8, 0, height as u8, 0]);
    out.extend([if has_palette { 0x80 | (depth - 1) } else { 0 }, bytes.byte(), 0]);
    if has_palette {
        palette(&mut out, depth, bytes);
    }
    for _ in 0..=bytes.below(5) {
        if bytes.flag() {
            extension(&mut out, bytes);
        }
        frame(&mut out, (width, height), has_palette.then_some(depth), bytes);
    }
    out.push(0x3B);
    out
}

/// A pixel, and the blocks of metadata that these choices make.
pub fn with_extensions(bytes: &mut Bytes<'_>) -> Vec<u8> {
    let mut out = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xFF\xFF\xFF".to_vec();
    while !bytes.is_empty() {
        extension(&mut out, bytes);
    }
    frame(&mut out, (1, 1), Some(1), &mut Bytes::new(&[]));
    out.push(0x3B);
    out
}

fn palette(out: &mut Vec<u8>, depth: u8, bytes: &mut Bytes<'_>) {
    out.extend((0..3 << depth).map(|_| bytes.byte()));
}

fn extension(out: &mut Vec<u8>, bytes: &mut Bytes<'_>) {
    let kind = bytes.below(5);
    let length = bytes.word();
    let own = bytes.take(length.into());
    match kind {
        0 => {
            out.extend([0x21, 0xFE]);
            sub_blocks(out, own);
        }
        1 => {
            out.extend(b"\x21\xFF\x0BNETSCAPE2.0");
            sub_blocks(out, own);
        }
        2 => {
            // XMP stands there as it is, with a trailer that leads any reader to the end (XMP, part 3, 1.1.2).
            out.extend(b"\x21\xFF\x0BXMP DataXMP");
            out.extend(own.iter().map(|byte| byte | 1));
            out.push(1);
            out.extend((0..=255).rev());
            out.push(0);
        }
        3 => {
            out.extend(b"\x21\xFF\x0BICCRGBG1012");
            sub_blocks(out, own);
        }
        _ => {
            out.extend([0x21, 0x01]);
            sub_blocks(out, own);
        }
    }
}

fn sub_blocks(out: &mut Vec<u8>, data: &[u8]) {
    for block in data.chunks(255) {
        out.push(block.len() as u8);
        out.extend(block);
    }
    out.push(0);
}

/// `depth` is that of the global palette.
fn frame(out: &mut Vec<u8>, (width, height): (usize, usize), depth: Option<u8>, bytes: &mut Bytes<'_>) {
    if bytes.flag() {
        // Disposal and transparency; a delay; the transparent colour.
        out.extend([0x21, 0xF9, 4, bytes.byte() & 0x1F, bytes.byte(), 0, bytes.byte(), 0]);
    }
    let (left, top) = (bytes.below(width), bytes.below(height));
    let (width, height) = (bytes.below(width - left) + 1, bytes.below(height - top) + 1);
    let interlaced = if bytes.below(4) == 3 { 0x40 } else { 0 };
    out.extend([0x2C, left as u8, 0, top as u8, 0, width as u8, 0, height as u8, 0]);
    let depth = if let Some(global) = depth.filter(|_| bytes.below(4) > 0 || bytes.is_empty()) {
        out.push(interlaced);
        global
    } else {
        let own = bytes.below(8) as u8 + 1;
        out.push(0x80 | interlaced | (own - 1));
        palette(out, own, bytes);
        own
    };
    let size = depth.max(2);
    out.push(size);
    sub_blocks(out, &codes(width * height, size, bytes));
}

/// Every pixel by its own code, the table cleared before codes grow.
fn codes(pixels: usize, size: u8, bytes: &mut Bytes<'_>) -> Vec<u8> {
    let (clear, width) = (1 << size, u32::from(size) + 1);
    let mut bits = Bits::default();
    let length = bytes.byte();
    let pattern = bytes.take(length.into());
    for i in 0..pixels {
        if i % (clear - 2) == 0 {
            bits.put(clear, width);
        }
        let pixel = pattern.get(i % pattern.len().max(1)).copied().unwrap_or_default();
        bits.put(usize::from(pixel) % clear, width);
    }
    bits.put(clear + 1, width);
    bits.bytes
}
