//! Pictures drawn by code, as files: PNG of any pixels, and JPEG of flat gray blocks, which decode to exactly their level.

use std::borrow::Cow;

/// A PNG of 8-bit RGBA; `orientation` is EXIF's, in an eXIf chunk.
pub fn png(width: usize, height: usize, orientation: Option<u8>, pixel: impl Fn(usize, usize) -> [u8; 4]) -> Vec<u8> {
    let mut info = png::Info::with_size(width as u32, height as u32);
    info.color_type = png::ColorType::Rgba;
    info.bit_depth = png::BitDepth::Eight;
    info.exif_metadata = orientation.map(|orientation| Cow::Owned(tiff(orientation)));
    let mut file = Vec::new();
    let mut writer = png::Encoder::with_info(&mut file, info).unwrap().write_header().unwrap();
    let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    let samples: Vec<u8> = places.flat_map(|(x, y)| pixel(x, y)).collect();
    writer.write_image_data(&samples).unwrap();
    writer.finish().unwrap();
    file
}

/// A baseline JPEG of `columns` × `rows` blocks of 8 × 8 pixels (ITU-T T.81), each of one level of gray.
pub fn jpeg(columns: usize, rows: usize, orientation: Option<u8>, level: impl Fn(usize, usize) -> u8) -> Vec<u8> {
    let mut file = vec![0xff, 0xd8];
    if let Some(orientation) = orientation {
        segment(&mut file, 0xe1, &[b"Exif\0\0".as_slice(), &tiff(orientation)].concat());
    }
    // A DC coefficient is eight times the mean, so steps of 8 are single levels.
    segment(&mut file, 0xdb, &[[0].as_slice(), &[8; 64]].concat());
    let [h1, h0] = (rows as u16 * 8).to_be_bytes();
    let [w1, w0] = (columns as u16 * 8).to_be_bytes();
    segment(&mut file, 0xc0, &[8, h1, h0, w1, w0, 1, 1, 0x11, 0]);
    // DC categories 0 to 11 are their own code of four bits; of AC there is nothing but the end of block, one bit 0.
    segment(
        &mut file,
        0xc4,
        &[0, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
    );
    segment(&mut file, 0xc4, &[0x10, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    segment(&mut file, 0xda, &[1, 1, 0, 0, 63, 0]);

    let mut bits = Vec::new();
    let mut push = |value: u32, count: u32| bits.extend((0..count).rev().map(|bit| value >> bit & 1));
    let mut before = 128;
    for (x, y) in (0..rows).flat_map(|y| (0..columns).map(move |x| (x, y))) {
        let difference = i32::from(level(x, y)) - before;
        before += difference;
        let category = 32 - difference.unsigned_abs().leading_zeros();
        push(category, 4);
        push((difference - i32::from(difference < 0)) as u32, category);
        push(0, 1);
    }
    bits.resize(bits.len().next_multiple_of(8), 1);
    for byte in bits.chunks_exact(8).map(|byte| byte.iter().fold(0, |byte, bit| byte << 1 | *bit as u8)) {
        file.push(byte);
        file.extend((byte == 0xff).then_some(0));
    }
    file.extend([0xff, 0xd9]);
    file
}

fn segment(file: &mut Vec<u8>, marker: u8, payload: &[u8]) {
    file.extend([0xff, marker]);
    file.extend((payload.len() as u16 + 2).to_be_bytes());
    file.extend(payload);
}

/// EXIF's block with the orientation alone (Exif 2.32, 4.6.4, tag 274).
fn tiff(orientation: u8) -> Vec<u8> {
    let entry = [0x12, 0x01, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0];
    [b"II*\0\x08\0\0\0\x01\0".as_slice(), &entry, &[0; 4]].concat()
}
