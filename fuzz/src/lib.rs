//! The bodies of the fuzz targets: what each makes of the fuzzer's bytes. What is asserted stands in `door`.
//!
//! A library of its own, so that Karui's tests can replay them without libFuzzer.

mod bits;
pub mod bytes;
pub mod door;
pub mod gif_file;
pub mod icc_file;
pub mod jpeg_file;
pub mod metadata_file;
pub mod png_file;
pub mod webp_file;

use bytes::Bytes;
use door::Order;
use jpeg_file::Jpeg;
use karui::optimize::{Format, MetadataPolicy};
use png_file::Png;

/// A target: its name, and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 8] = [
    ("sniff", sniff),
    ("jpeg", jpeg),
    ("jpeg_coefficients", jpeg_coefficients),
    ("png", png),
    ("png_pixels", png_pixels),
    ("gif", gif),
    ("webp", webp),
    ("metadata", metadata),
];

/// A format is told by its first bytes, and by these alone.
pub fn sniff(data: &[u8]) {
    let format = Format::sniff(data);
    let head = &data[..data.len().min(karui::optimize::format::SNIFF_BYTES)];
    assert_eq!(format, Format::sniff(head));
    if let Some(format) = format {
        assert!(Format::is_image_extension(format.name()) && format.mime().starts_with("image/"), "{format}");
    }
}

/// A JPEG file as it is.
pub fn jpeg(data: &[u8]) {
    whole_file(Format::Jpeg, data);
}

/// A PNG file whose checksums are set right: few of the fuzzer's would be.
pub fn png(data: &[u8]) {
    whole_file(Format::Png, &png_file::with_checksums(data));
}

/// A GIF file as it is.
pub fn gif(data: &[u8]) {
    whole_file(Format::Gif, data);
}

/// A WebP file as it is.
pub fn webp(data: &[u8]) {
    whole_file(Format::WebP, data);
}

fn whole_file(format: Format, file: &[u8]) {
    if Format::sniff(file) == Some(format) {
        Order::by_sum(file).check(file);
    }
}

/// A sound JPEG file of chosen frame, tables and coefficients: what the requantizer works on.
pub fn jpeg_coefficients(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let order = Order::of(&mut bytes);
    order.check(&Jpeg::of(&mut bytes).write());
}

/// The file that [`jpeg_coefficients`] would make of these choices.
#[must_use]
pub fn small_jpeg(choices: &[u8]) -> Vec<u8> {
    Jpeg::of(&mut Bytes::new(choices)).write()
}

/// A small sound Motion Photo of these choices.
#[must_use]
pub fn small_motion_photo(choices: &[u8]) -> Vec<u8> {
    let mut image = Jpeg::of(&mut Bytes::new(choices));
    let video = metadata_file::video(&mut image, choices.len() as u8, choices);
    [image.write(), video].concat()
}

/// A sound PNG file of chosen header, palette, frames and samples.
pub fn png_pixels(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let order = Order::of(&mut bytes);
    order.check(&Png::of(&mut bytes).write());
}

/// The file that [`png_pixels`] would make of these choices.
#[must_use]
pub fn small_png(choices: &[u8]) -> Vec<u8> {
    Png::of(&mut Bytes::new(choices)).write()
}

/// A small sound GIF file of these choices.
#[must_use]
pub fn small_gif(choices: &[u8]) -> Vec<u8> {
    gif_file::of(&mut Bytes::new(choices))
}

/// A small sound lossless WebP file of these choices.
#[must_use]
pub fn small_webp(choices: &[u8]) -> Vec<u8> {
    webp_file::of(&mut Bytes::new(choices))
}

/// A sound picture with chosen metadata in well-formed segments or chunks, under every policy.
pub fn metadata(data: &[u8]) {
    let file = metadata_file::of(&mut Bytes::new(data));
    for policy in [MetadataPolicy::Safe, MetadataPolicy::None, MetadataPolicy::All] {
        Order::lossless(policy).check(&file);
    }
}
