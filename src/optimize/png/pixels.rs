//! A PNG's pixels, and whether two files have the same.

use std::io::Cursor;

use png::{BitDepth, ColorType, DecodeOptions, Decoder, Transformations};
use rgb::{ComponentMap, RGBA, RGBA8};

use crate::optimize::picture::Pixels;

/// Decodes a PNG, of an animation the still image; `None` where its samples are of more than 8 bits, and need them.
///
/// # Errors
/// The decoder's own words.
pub fn decode(file: &[u8]) -> Result<Option<Pixels>, String> {
    let mut reader = open(file)?;
    let frame = Frame::read(&mut reader)?;
    reader.finish().map_err(|error| error.to_string())?;
    // 8 bits become 16 by repetition (PNG, 12.5).
    let is_wide = frame.depth == BitDepth::Sixteen && frame.samples.as_chunks::<2>().0.iter().any(|[a, b]| a != b);
    let rgba = || frame.pixels().map(|p| p.map(|v| (v >> 8) as u8)).collect();
    Ok((!is_wide).then(|| Pixels { width: frame.width, height: frame.height, rgba: rgba() }))
}

/// Whether two files decode to the same pixels, to the last of 16 bits, hidden ones included; every frame of animations.
///
/// # Errors
/// The decoder's own words on `a`.
pub fn are_same(a: &[u8], b: &[u8]) -> Result<bool, String> {
    let (mut a, Ok(mut b)) = (open(a)?, open(b)) else { return Ok(false) };
    let frames = a.info().animation_control.map_or(1, |control| control.num_frames);
    if frames != b.info().animation_control.map_or(1, |control| control.num_frames) {
        return Ok(false);
    }
    for _ in 0..frames {
        let (frame, Ok(other)) = (Frame::read(&mut a)?, Frame::read(&mut b)) else { return Ok(false) };
        if !frame.is_same(&other) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Decodes every frame and keeps none.
///
/// # Errors
/// The decoder's own words.
pub fn check(file: &[u8]) -> Result<(), String> {
    let mut reader = open(file)?;
    let frames = reader.info().animation_control.map_or(1, |control| control.num_frames);
    if frames > 1 {
        for _ in 0..frames {
            Frame::read(&mut reader)?;
        }
    } else {
        // Row by row: the picture may be larger than memory allows for.
        while reader.next_row().map_err(|error| error.to_string())?.is_some() {}
    }
    reader.finish().map_err(|error| error.to_string())
}

type PngReader<'a> = png::Reader<Cursor<&'a [u8]>>;

fn open(file: &[u8]) -> Result<PngReader<'_>, String> {
    // zlib's checksum is that of the filtered rows: pixels that it does not fit are not those that were written.
    let mut checks = DecodeOptions::default();
    checks.set_ignore_adler32(false);
    let mut decoder = Decoder::new_with_options(Cursor::new(file), checks);
    decoder.set_transformations(Transformations::EXPAND);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.read_info().map_err(|error| error.to_string())
}

/// One decoded frame, as wide as its file stores it: palette expanded, gray as gray.
struct Frame {
    width: usize,
    height: usize,
    color: ColorType,
    depth: BitDepth,
    samples: Vec<u8>,
}

impl Frame {
    fn read(reader: &mut PngReader<'_>) -> Result<Self, String> {
        let mut samples = vec![0; reader.output_buffer_size().ok_or("too large to decode")?];
        let frame = reader.next_frame(&mut samples).map_err(|error| error.to_string())?;
        samples.truncate(frame.buffer_size());
        let (width, height) = (frame.width as usize, frame.height as usize);
        Ok(Self { width, height, color: frame.color_type, depth: frame.bit_depth, samples })
    }

    fn is_same(&self, other: &Self) -> bool {
        let size = |frame: &Self| (frame.width, frame.height);
        let is_alike = (self.color, self.depth) == (other.color, other.depth);
        size(self) == size(other)
            && if is_alike { self.samples == other.samples } else { self.pixels().eq(other.pixels()) }
    }

    /// Every pixel at 16 bits per sample; 8-bit samples are repeated, as the specification scales them (PNG, 12.5).
    fn pixels(&self) -> impl Iterator<Item = RGBA<u16>> + '_ {
        let wide = self.depth == BitDepth::Sixteen;
        let count = self.color.samples();
        self.samples.chunks_exact(count * if wide { 2 } else { 1 }).map(move |pixel| {
            let sample = |i: usize| {
                if wide {
                    u16::from_be_bytes([pixel[2 * i], pixel[2 * i + 1]])
                } else {
                    u16::from_be_bytes([pixel[i], pixel[i]])
                }
            };
            match count {
                1 => RGBA::new(sample(0), sample(0), sample(0), u16::MAX),
                2 => RGBA::new(sample(0), sample(0), sample(0), sample(1)),
                3 => RGBA::new(sample(0), sample(1), sample(2), u16::MAX),
                _ => RGBA::new(sample(0), sample(1), sample(2), sample(3)),
            }
        })
    }
}

/// What a pixel is made of, where a picture is stored in true colour or gray.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channels {
    Gray,
    GrayAlpha,
    Rgb,
    Rgba,
}

impl Channels {
    #[must_use]
    pub fn new(is_gray: bool, is_transparent: bool) -> Self {
        match (is_gray, is_transparent) {
            (true, false) => Self::Gray,
            (true, true) => Self::GrayAlpha,
            (false, false) => Self::Rgb,
            (false, true) => Self::Rgba,
        }
    }

    #[must_use]
    pub fn count(self) -> usize {
        match self {
            Self::Gray => 1,
            Self::GrayAlpha => 2,
            Self::Rgb => 3,
            Self::Rgba => 4,
        }
    }

    /// The samples of a pixel.
    pub fn samples(self, pixel: RGBA8) -> impl Iterator<Item = u8> {
        let all = match self {
            Self::Gray | Self::GrayAlpha => [pixel.r, pixel.a, 0, 0],
            Self::Rgb | Self::Rgba => [pixel.r, pixel.g, pixel.b, pixel.a],
        };
        all.into_iter().take(self.count())
    }
}
