//! A picture with transparency, and how it looks over a background: what candidates are scored against.

use rgb::RGBA8;

use super::compare::Picture;
use super::score::{Rgb, judge};

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
