//! A PNG's pixels at 8 bits per sample, and how they look over a background.

use std::io::Cursor;

use png::{BitDepth, ColorType, Decoder, Transformations};
use rgb::{ComponentMap, RGBA, RGBA8};

use crate::optimize::score::{Judge, Rgb, judge};

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
        if !frame.is_same(&other) {
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

impl Pixels {
    /// Whether any pixel is not opaque.
    #[must_use]
    pub fn is_transparent(&self) -> bool {
        self.rgba.iter().any(|p| p.a != 255)
    }

    #[must_use]
    pub fn row(&self, y: usize) -> &[RGBA8] {
        &self.rgba[y * self.width..][..self.width]
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

/// How a picture looks, and how much candidates look like it: its pixels over black and, where any is transparent, over
/// white.
pub struct Views<'a> {
    pixels: &'a Pixels,
    /// EXIF's.
    orientation: u8,
    backgrounds: &'static [u8],
}

/// Mean difference of a channel, of 255, from which fewer colours are seen as other colours: dithering keeps below it.
const MAX_DRIFT: f64 = 3.0;

impl<'a> Views<'a> {
    #[must_use]
    pub fn new(pixels: &'a Pixels, orientation: u8) -> Self {
        let backgrounds: &[u8] = if pixels.is_transparent() { &[BLACK, WHITE] } else { &[BLACK] };
        Self { pixels, orientation, backgrounds }
    }

    /// The score over the background on which it is worse, 0 where colours drift; `None` where the picture is too small
    /// for a score. `fill` writes one row of the candidate, from the first to the last.
    #[must_use]
    pub fn score(&self, mut fill: impl FnMut(usize, &mut [RGBA8])) -> Option<f64> {
        if self.orientation != 1 {
            return self.score_upright(fill);
        }
        let Pixels { width, height, .. } = *self.pixels;
        let new_judge = |background: &u8| Some((*background, Judge::new(width, height)?));
        let mut judges = self.backgrounds.iter().map(new_judge).collect::<Option<Vec<_>>>()?;
        let mut candidate = vec![RGBA8::default(); width];
        let mut views = [vec![0; width * 3], vec![0; width * 3]];
        for y in 0..height {
            fill(y, &mut candidate);
            for (background, judge) in &mut judges {
                flatten(self.pixels.row(y), *background, &mut views[0]);
                flatten(&candidate, *background, &mut views[1]);
                judge.push(&views[0], &views[1]);
            }
        }
        Some(judges.into_iter().map(|(_, judge)| judge.finish(MAX_DRIFT)).fold(f64::INFINITY, f64::min))
    }

    /// The same for what viewers turn: whole pictures are needed for that.
    fn score_upright(&self, mut fill: impl FnMut(usize, &mut [RGBA8])) -> Option<f64> {
        let Pixels { width, height, .. } = *self.pixels;
        let mut rgba = vec![RGBA8::default(); width * height];
        rgba.chunks_exact_mut(width).enumerate().for_each(|(y, row)| fill(y, row));
        let over = |rgba: &[RGBA8], background| {
            let mut samples = vec![0; width * height * 3];
            flatten(rgba, background, &mut samples);
            Rgb { width, height, samples }.upright(self.orientation)
        };
        let score = |background: &u8| {
            judge(&over(&self.pixels.rgba, *background), &over(&rgba, *background), MAX_DRIFT)
        };
        self.backgrounds.iter().map(score).try_fold(f64::INFINITY, |worst, score| Some(worst.min(score?)))
    }
}

/// Pixels over a background, as red, green, blue.
fn flatten(pixels: &[RGBA8], background: u8, samples: &mut [u8]) {
    for (p, out) in pixels.iter().zip(samples.chunks_exact_mut(3)) {
        let alpha = u32::from(p.a);
        let over = |v: u8| ((u32::from(v) * alpha + u32::from(background) * (255 - alpha) + 127) / 255) as u8;
        out.copy_from_slice(&if p.a == 255 { [p.r, p.g, p.b] } else { [over(p.r), over(p.g), over(p.b)] });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alpha_shows_the_background() {
        let pixels = [255, 0, 51].map(|alpha| RGBA8::new(200, 100, 0, alpha));
        let over = |background| {
            let mut samples = vec![0; 9];
            flatten(&pixels, background, &mut samples);
            samples
        };
        assert_eq!(over(0), [200, 100, 0, 0, 0, 0, 40, 20, 0]);
        assert_eq!(over(255), [200, 100, 0, 255, 255, 255, 244, 224, 204]);
    }

    fn score(source: &Pixels, orientation: u8, other: &[RGBA8]) -> f64 {
        let fill = |y: usize, row: &mut [RGBA8]| row.copy_from_slice(&other[y * source.width..][..source.width]);
        Views::new(source, orientation).score(fill).unwrap()
    }

    #[test]
    fn what_shows_only_on_white_counts() {
        let opaque_white = vec![RGBA8::new(255, 255, 255, 255); 256];
        let mut hole = opaque_white.clone();
        hole[100].a = 0;
        let source = Pixels { width: 16, height: 16, rgba: hole.clone() };
        assert!(score(&source, 1, &hole) > 99.9);
        // Filling the hole with white is invisible on white, and plain on black.
        assert!(score(&source, 1, &opaque_white) < 90.0);
    }

    #[test]
    fn a_turned_picture_is_scored_as_it_is_shown() {
        let pixel = |i: usize| RGBA8::new((i * 37) as u8, (i % 33 * 7) as u8, 90, 255);
        let source = Pixels { width: 33, height: 20, rgba: (0..33 * 20).map(pixel).collect() };
        let other: Vec<_> = source.rgba.iter().map(|p| RGBA8::new(p.r, p.g, p.b / 2, 255)).collect();
        assert!(score(&source, 6, &source.rgba) > 99.9);
        // Turned twice, rows are in reverse order: another picture to the metric, and nearly the same score.
        let [stored, turned] = [1, 3].map(|orientation| score(&source, orientation, &other));
        assert!((stored - turned).abs() < 3.0, "{stored} {turned}");
    }
}
