//! A PNG's pixels at 8 bits per sample, and how they look over a background.

use std::io::Cursor;

use png::{BitDepth, ColorType, Decoder, Transformations};
use rgb::RGBA8;

use crate::optimize::score::{Reference, Rgb, ScoreError};

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

/// Decodes a PNG of up to 8 bits per sample.
///
/// # Errors
/// The decoder's own words.
pub fn decode(file: &[u8]) -> Result<Pixels, String> {
    let mut decoder = Decoder::new(Cursor::new(file));
    decoder.set_transformations(Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(|error| error.to_string())?;
    let mut samples = vec![0; reader.output_buffer_size().ok_or("too large to decode")?];
    let frame = reader.next_frame(&mut samples).map_err(|error| error.to_string())?;
    reader.finish().map_err(|error| error.to_string())?;
    samples.truncate(frame.buffer_size());
    let (width, height) = (frame.width as usize, frame.height as usize);
    if frame.bit_depth != BitDepth::Eight {
        return Err("more than 8 bits per sample".into());
    }
    let rgba = match frame.color_type {
        ColorType::Grayscale => samples.iter().map(|v| RGBA8::new(*v, *v, *v, 255)).collect(),
        ColorType::GrayscaleAlpha => samples.chunks_exact(2).map(|p| RGBA8::new(p[0], p[0], p[0], p[1])).collect(),
        ColorType::Rgb => samples.chunks_exact(3).map(|p| RGBA8::new(p[0], p[1], p[2], 255)).collect(),
        ColorType::Rgba => samples.chunks_exact(4).map(|p| RGBA8::new(p[0], p[1], p[2], p[3])).collect(),
        ColorType::Indexed => return Err("a palette that was not expanded".into()),
    };
    Ok(Pixels { width, height, rgba })
}

impl Pixels {
    /// Whether any pixel is not opaque.
    #[must_use]
    pub fn is_transparent(&self) -> bool {
        self.rgba.iter().any(|p| p.a != 255)
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
    references: Vec<(u8, Reference)>,
}

impl Views {
    /// # Errors
    /// [`ScoreError`] where the picture is empty or too large for the metric.
    pub fn new(pixels: &Pixels) -> Result<Self, ScoreError> {
        let backgrounds: &[u8] = if pixels.is_transparent() { &[BLACK, WHITE] } else { &[BLACK] };
        let references = backgrounds
            .iter()
            .map(|background| Ok((*background, Reference::new(pixels.over(*background))?)))
            .collect::<Result<_, ScoreError>>()?;
        Ok(Self { width: pixels.width, height: pixels.height, references })
    }

    /// The score over the background on which it is worse.
    ///
    /// # Errors
    /// [`ScoreError`] where the number of pixels differs.
    pub fn score(&self, pixels: impl Iterator<Item = RGBA8> + Clone) -> Result<f64, ScoreError> {
        let mut worst = f64::INFINITY;
        for (background, reference) in &self.references {
            let view = flatten(self.width, self.height, pixels.clone(), *background);
            worst = worst.min(reference.score(&view)?);
        }
        Ok(worst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alpha_shows_the_background() {
        let pixels = Pixels { width: 3, height: 1, rgba: vec![RGBA8::new(200, 100, 0, 255), RGBA8::new(200, 100, 0, 0), RGBA8::new(200, 100, 0, 51)] };
        assert_eq!(pixels.over(0).samples, [200, 100, 0, 0, 0, 0, 40, 20, 0]);
        assert_eq!(pixels.over(255).samples, [200, 100, 0, 255, 255, 255, 244, 224, 204]);
    }

    #[test]
    fn what_shows_only_on_white_counts() {
        let opaque_white = vec![RGBA8::new(255, 255, 255, 255); 256];
        let mut hole = opaque_white.clone();
        hole[100].a = 0;
        let views = Views::new(&Pixels { width: 16, height: 16, rgba: hole.clone() }).unwrap();
        assert!(views.score(hole.iter().copied()).unwrap() > 99.9);
        // Filling the hole with white is invisible on white, and plain on black.
        assert!(views.score(opaque_white.iter().copied()).unwrap() < 90.0);
    }
}
