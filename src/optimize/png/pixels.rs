//! A PNG's pixels at 8 bits per sample, and how they look over a background.

use std::io::Cursor;

use png::{BitDepth, ColorType, Decoder, Transformations};
use rgb::{ComponentMap, RGBA, RGBA8};

use crate::optimize::compare::Picture;
use crate::optimize::score::{Rgb, judge};

/// Decoded pixels, row by row.
pub struct Pixels {
    /// Pixels.
    pub width: usize,
    pub height: usize,
    pub rgba: Vec<RGBA8>,
}

/// What an image with transparency is judged on: viewers show it on dark and on light pages.
const BLACK: u8 = 0;
const WHITE: u8 = 255;

/// Decodes a PNG of up to 8 bits per sample; of an animation the still image.
///
/// # Errors
/// The decoder's own words.
pub fn decode(file: &[u8]) -> Result<Pixels, String> {
    let mut reader = open(file)?;
    let frame = Frame::read(&mut reader)?;
    reader.finish().map_err(|error| error.to_string())?;
    if frame.depth != BitDepth::Eight {
        return Err("more than 8 bits per sample".into());
    }
    Ok(Pixels {
        width: frame.width,
        height: frame.height,
        rgba: frame.pixels().map(|p| p.map(|v| (v >> 8) as u8)).collect(),
    })
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
        if (frame.width, frame.height) != (other.width, other.height) || !frame.pixels().eq(other.pixels()) {
            return Ok(false);
        }
    }
    Ok(true)
}

type PngReader<'a> = png::Reader<Cursor<&'a [u8]>>;

fn open(file: &[u8]) -> Result<PngReader<'_>, String> {
    let mut decoder = Decoder::new(Cursor::new(file));
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

impl Pixels {
    /// Whether any pixel is not opaque.
    #[must_use]
    pub fn is_transparent(&self) -> bool {
        self.rgba.iter().any(|p| p.a != 255)
    }

    /// As viewers show it: upright, over black, and where any pixel is not opaque over white as well.
    pub(super) fn shown(&self, orientation: u8) -> Picture {
        let over = |background| self.over(background).upright(orientation);
        Picture { over_black: over(BLACK), over_white: self.is_transparent().then(|| over(WHITE)) }
    }

    fn over(&self, background: u8) -> Rgb {
        flatten(self.width, self.height, self.rgba.iter().copied(), background)
    }
}

fn flatten(width: usize, height: usize, pixels: impl Iterator<Item = RGBA8>, background: u8) -> Rgb {
    let mut samples = Vec::with_capacity(width * height * 3);
    for p in pixels {
        let alpha = u32::from(p.a);
        let over = |v: u8| ((u32::from(v) * alpha + u32::from(background) * (255 - alpha) + 127) / 255) as u8;
        samples.extend_from_slice(&[over(p.r), over(p.g), over(p.b)]);
    }
    Rgb { width, height, samples }
}

/// What candidates are scored against: the pixels over black and, where any is transparent, over white.
pub struct Views {
    width: usize,
    height: usize,
    /// EXIF's.
    orientation: u8,
    references: Vec<(u8, Rgb)>,
}

/// Mean difference of a channel, of 255, from which fewer colours are seen as other colours: dithering keeps below it.
const MAX_DRIFT: f64 = 3.0;

impl Views {
    #[must_use]
    pub fn new(pixels: &Pixels, orientation: u8) -> Self {
        let backgrounds: &[u8] = if pixels.is_transparent() { &[BLACK, WHITE] } else { &[BLACK] };
        let over = |background: &u8| (*background, pixels.over(*background).upright(orientation));
        let references = backgrounds.iter().map(over).collect();
        Self { width: pixels.width, height: pixels.height, orientation, references }
    }

    /// The score over the background on which it is worse, 0 where colours drift; `None` where the picture is too small
    /// for a score.
    #[must_use]
    pub fn score(&self, pixels: &(impl Iterator<Item = RGBA8> + Clone)) -> Option<f64> {
        let over = |(background, reference): &(u8, Rgb)| {
            let view = flatten(self.width, self.height, pixels.clone(), *background).upright(self.orientation);
            judge(reference, &view, MAX_DRIFT)
        };
        self.references.iter().map(over).try_fold(f64::INFINITY, |worst, score| Some(worst.min(score?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alpha_shows_the_background() {
        let pixels = Pixels {
            width: 3,
            height: 1,
            rgba: vec![RGBA8::new(200, 100, 0, 255), RGBA8::new(200, 100, 0, 0), RGBA8::new(200, 100, 0, 51)],
        };
        assert_eq!(pixels.over(0).samples, [200, 100, 0, 0, 0, 0, 40, 20, 0]);
        assert_eq!(pixels.over(255).samples, [200, 100, 0, 255, 255, 255, 244, 224, 204]);
    }

    #[test]
    fn what_shows_only_on_white_counts() {
        let opaque_white = vec![RGBA8::new(255, 255, 255, 255); 256];
        let mut hole = opaque_white.clone();
        hole[100].a = 0;
        let views = Views::new(&Pixels { width: 16, height: 16, rgba: hole.clone() }, 1);
        assert!(views.score(&hole.iter().copied()).unwrap() > 99.9);
        // Filling the hole with white is invisible on white, and plain on black.
        assert!(views.score(&opaque_white.iter().copied()).unwrap() < 90.0);
    }
}
