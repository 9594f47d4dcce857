//! Decoded pictures, and why a file has none: the ground that codecs and scoring stand on.

use rgb::RGBA8;

use super::error::ImageError;
use super::format::Format;

/// A decoded file as viewers show it: upright, 8-bit sRGB samples, transparency laid over a background.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    pub over_black: Rgb,
    /// `None` where the picture is opaque: it looks the same over any background.
    pub over_white: Option<Rgb>,
}

/// What keeps one file from being compared; the words follow its name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// No format that is recognized.
    #[error("is not an image")]
    NotAnImage,
    /// A format that no decoder here reads.
    #[error("is a {0} file, which is not decoded")]
    OtherFormat(Format),
    /// More than a still picture of 8-bit sRGB, or one that no decoder here reads.
    #[error("{0}, which has no score")]
    Unscorable(&'static str),
    /// The file is malformed or over a limit.
    #[error("cannot be decoded: {0}")]
    Image(#[from] ImageError),
}

/// A picture of 8-bit red, green, blue samples, row by row without padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rgb {
    /// Pixels.
    pub width: usize,
    pub height: usize,
    pub samples: Vec<u8>,
}

impl Rgb {
    /// The picture as viewers turn it (Exif 2.32, 4.6.4, tag 274). It matters to the score: the metric halves the
    /// picture from its upper left corner, so that odd sizes score otherwise from another corner.
    #[must_use]
    pub fn upright(self, orientation: u8) -> Self {
        let (w, h) = (self.width, self.height);
        // Where the pixel at x, y of the upright picture is stored.
        let stored: fn(usize, usize, usize, usize) -> (usize, usize) = match orientation {
            2 => |x, y, w, _| (w - 1 - x, y),
            3 => |x, y, w, h| (w - 1 - x, h - 1 - y),
            4 => |x, y, _, h| (x, h - 1 - y),
            5 => |x, y, _, _| (y, x),
            6 => |x, y, _, h| (y, h - 1 - x),
            7 => |x, y, w, h| (w - 1 - y, h - 1 - x),
            8 => |x, y, w, _| (w - 1 - y, x),
            _ => return self,
        };
        let (width, height) = if orientation >= 5 { (h, w) } else { (w, h) };
        let mut samples = Vec::with_capacity(self.samples.len());
        for y in 0..height {
            for x in 0..width {
                let (from_x, from_y) = stored(x, y, w, h);
                let at = (from_y * w + from_x) * 3;
                samples.extend_from_slice(&self.samples[at..at + 3]);
            }
        }
        Self { width, height, samples }
    }

    /// The samples of a row by channel.
    #[must_use]
    pub fn row(&self, y: usize) -> [Vec<u8>; 3] {
        let row = &self.samples[y * self.width * 3..][..self.width * 3];
        [0, 1, 2].map(|channel| row.iter().skip(channel).step_by(3).copied().collect())
    }
}

/// Red, green and blue samples of a row of pixels.
pub type Row<'a> = [&'a [u8]; 3];

/// Decoded pixels, row by row.
#[derive(Clone)]
pub struct Pixels {
    /// Pixels.
    pub width: usize,
    pub height: usize,
    pub rgba: Vec<RGBA8>,
}

/// Of photographs up to 48 % of all pixels repeat a neighbour, of graphics 55 % and more (the corpus of the bench).
pub const GRAPHIC_REPEATS: f64 = 0.5;

/// What an image with transparency is judged on: viewers show it on dark and on light pages.
pub const BLACK: u8 = 0;
pub const WHITE: u8 = 255;

impl Pixels {
    /// Whether any pixel is not opaque.
    #[must_use]
    pub fn is_transparent(&self) -> bool {
        self.rgba.iter().any(|p| p.a != 255)
    }

    /// Whether most pixels repeat the one on the left or above: in drawings they do, in photographs they do not. What is
    /// not seen counts as the same.
    #[must_use]
    pub fn is_graphic(&self) -> bool {
        let is_same = |a: RGBA8, b: RGBA8| a == b || a.a == 0 && b.a == 0;
        let repeats = |y: usize| {
            let (row, above) = (self.row(y), self.row(y - 1));
            (1..self.width).filter(|x| is_same(row[*x], row[x - 1]) || is_same(row[*x], above[*x])).count()
        };
        let all = self.width.saturating_sub(1) * self.height.saturating_sub(1);
        (1..self.height).map(repeats).sum::<usize>() > (all as f64 * GRAPHIC_REPEATS) as usize
    }

    /// Whether a pixel equals its four neighbours; all that are not seen are equal. The outermost have too few of them.
    #[must_use]
    pub fn is_flat(&self, x: usize, y: usize) -> bool {
        if x == 0 || y == 0 || x + 1 >= self.width || y + 1 >= self.height {
            return false;
        }
        let at = y * self.width + x;
        let pixel = self.rgba[at];
        [at - self.width, at - 1, at + 1, at + self.width].iter().all(|other| {
            let other = self.rgba[*other];
            pixel == other || pixel.a == 0 && other.a == 0
        })
    }

    /// As viewers show it: upright, over black, and where any pixel is not opaque over white as well.
    pub fn shown(&self, orientation: u8) -> Picture {
        let over = |background| self.over(background).upright(orientation);
        Picture { over_black: over(BLACK), over_white: self.is_transparent().then(|| over(WHITE)) }
    }

    /// The pixels over one background.
    #[must_use]
    pub fn over(&self, background: u8) -> Rgb {
        Rgb { width: self.width, height: self.height, samples: flatten(&self.rgba, background) }
    }

    #[must_use]
    pub fn row(&self, y: usize) -> &[RGBA8] {
        &self.rgba[y * self.width..][..self.width]
    }
}

/// A pixel over a background: red, green, blue.
fn shown_over(pixel: RGBA8, background: u8) -> [u8; 3] {
    let alpha = u32::from(pixel.a);
    let over = |v: u8| ((u32::from(v) * alpha + u32::from(background) * (255 - alpha) + 127) / 255) as u8;
    if pixel.a == 255 { [pixel.r, pixel.g, pixel.b] } else { [over(pixel.r), over(pixel.g), over(pixel.b)] }
}

fn flatten(pixels: &[RGBA8], background: u8) -> Vec<u8> {
    pixels.iter().flat_map(|pixel| shown_over(*pixel, background)).collect()
}

/// The same by colour.
pub fn planes(pixels: &[RGBA8], background: u8) -> [Vec<u8>; 3] {
    let mut planes = [0; 3].map(|_| Vec::with_capacity(pixels.len()));
    for pixel in pixels {
        for (plane, sample) in planes.iter_mut().zip(shown_over(*pixel, background)) {
            plane.push(sample);
        }
    }
    planes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alpha_shows_the_background() {
        let pixels = [255, 0, 51].map(|alpha| RGBA8::new(200, 100, 0, alpha));
        let over = |background| flatten(&pixels, background);
        assert_eq!(over(0), [200, 100, 0, 0, 0, 0, 40, 20, 0]);
        assert_eq!(over(255), [200, 100, 0, 255, 255, 255, 244, 224, 204]);
    }
}
