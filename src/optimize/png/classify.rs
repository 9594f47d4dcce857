//! What kind of picture it is, told from its pixels in one pass: which way of coding can win.

use rgb::RGBA8;

use super::pixels::Channels;
use crate::optimize::picture::{GRAPHIC_REPEATS, Pixels};

/// How a picture is coded best.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Photographs and gradients: neighbours foretell each pixel, roughly, and residuals of few values cost least.
    Smooth,
    /// Graphics, and grain throughout: what neighbours foretell is wrong where it matters, and a palette costs least.
    Sharp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Classification {
    pub kind: Kind,
    /// Whether most pixels repeat a neighbour.
    pub is_graphic: bool,
    /// The fewest that hold it.
    pub channels: Channels,
    /// Residuals lie on a lattice already, as ours do: once more would only lose more.
    pub is_rounded: bool,
}

/// A pixel is foretold if each channel is this near to the mean of its neighbours.
const NEAR: i32 = 8;
/// Of a graphic's pixels that repeat no neighbour, the most that may come as a surprise where residuals cost less.
const GRAPHIC_SURPRISES: f64 = 0.15;
/// And of all pixels of any other picture.
const SURPRISES: f64 = 0.5;
/// Small residuals, of which a picture that was not rounded shows nearly all.
const SMALL: i32 = 32;
/// Rounding by [`super::near_lossless`] leaves half of them at the most.
const ROUNDED_SHARE: f64 = 0.6;
/// A residual that is rarer than this was not meant: ends of the range, and edges of what is kept.
const STRAY: f64 = 1.0 / 2000.0;

impl Classification {
    #[must_use]
    pub fn of(pixels: &Pixels) -> Self {
        let mut count = Count::default();
        for y in 1..pixels.height {
            count.row(pixels.row(y - 1), pixels.row(y), pixels.row((y + 1).min(pixels.height - 1)));
        }
        let of = |share: f64, all: u64| (all as f64 * share) as u64;
        let is_graphic = count.repeats > of(GRAPHIC_REPEATS, count.all);
        let most = if is_graphic { of(GRAPHIC_SURPRISES, count.all - count.repeats) } else { of(SURPRISES, count.all) };
        let kind = if count.surprises <= most { Kind::Smooth } else { Kind::Sharp };
        let is_gray = pixels.rgba.iter().all(|p| p.r == p.g && p.g == p.b);
        let channels = Channels::new(is_gray, pixels.is_transparent());
        Self { kind, is_graphic, channels, is_rounded: count.is_rounded() }
    }
}

/// What pixels are like beside their neighbours.
struct Count {
    all: u64,
    /// The same as the one on the left or above; all that are not seen are the same.
    repeats: u64,
    /// Not foretold.
    surprises: u64,
    /// Small residuals, of any channel, of what may have been rounded.
    residuals: [u64; 2 * SMALL as usize + 1],
    /// All of them.
    rounded: u64,
}

impl Default for Count {
    fn default() -> Self {
        Self { all: 0, repeats: 0, surprises: 0, residuals: [0; 2 * SMALL as usize + 1], rounded: 0 }
    }
}

impl Count {
    fn row(&mut self, above: &[RGBA8], row: &[RGBA8], below: &[RGBA8]) {
        for (x, pair) in row.windows(2).enumerate() {
            let [left, pixel, top] = [pair[0], pair[1], above[x + 1]];
            let is_same = |other: RGBA8| pixel == other || pixel.a == 0 && other.a == 0;
            self.all += 1;
            self.repeats += u64::from(is_same(left) || is_same(top));
            // What is not seen has colours of any value.
            if [left, pixel, top].iter().any(|p| p.a == 0) {
                self.surprises += u64::from(!is_same(left) && !is_same(top));
                continue;
            }
            let residual = |v: u8, left: u8, above: u8| i32::from(v) - ((i32::from(left) + i32::from(above)) >> 1);
            let residuals =
                [residual(pixel.r, left.r, top.r), residual(pixel.g, left.g, top.g), residual(pixel.b, left.b, top.b)];
            let foretold =
                residuals.iter().all(|residual| residual.abs() <= NEAR) && residual(pixel.a, left.a, top.a) == 0;
            self.surprises += u64::from(!foretold);
            // What is clipped, or repeats a neighbour, is kept as it is.
            let right = *row.get(x + 2).unwrap_or(&left);
            if [left, right, above[x + 1], below[x + 1]].contains(&pixel) {
                continue;
            }
            for (residual, sample) in residuals.into_iter().zip([pixel.r, pixel.g, pixel.b]) {
                if !matches!(sample, 0 | 255) {
                    self.rounded += 1;
                    if let Some(seen) = self.residuals.get_mut((residual + SMALL) as usize) {
                        *seen += 1;
                    }
                }
            }
        }
    }

    /// Whether of the residuals between the outermost many are missing.
    fn is_rounded(&self) -> bool {
        let stray = (self.rounded as f64 * STRAY) as u64;
        let is_there = |count: &u64| *count > stray;
        let first = self.residuals.iter().position(is_there).unwrap_or(0);
        let last = self.residuals.iter().rposition(is_there).unwrap_or(0);
        let values = self.residuals[first..=last].iter().filter(|count| is_there(count)).count();
        (values as f64) < (last - first + 1) as f64 * ROUNDED_SHARE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pixel: impl Fn(usize, usize) -> [u8; 3]) -> Classification {
        let at = |i: usize| {
            let [r, g, b] = pixel(i % 64, i / 64);
            RGBA8::new(r, g, b, 255)
        };
        Classification::of(&Pixels { width: 64, height: 64, rgba: (0..64 * 64).map(at).collect() })
    }

    fn grain(x: usize, y: usize, most: u32) -> u8 {
        (((x * 31 + y * 977) as u32).wrapping_mul(2_654_435_761) >> 16) as u8 % most as u8
    }

    #[test]
    fn flat_areas_make_a_graphic_and_grain_a_photograph() {
        let boxes = of(|x, y| if (x / 16 + y / 16) % 2 == 0 { [250; 3] } else { [20, 60, 90] });
        let grainy = of(|x, y| [100 + grain(x, y, 90), 90 + grain(y, x, 90), 40 + grain(x + 1, y, 90)]);
        assert!(boxes.is_graphic && !grainy.is_graphic && grainy.kind == Kind::Sharp);
    }

    #[test]
    fn what_is_foretold_by_its_neighbours_is_smooth() {
        let soft = of(|x, y| [(x * 2) as u8 + grain(x, y, 4), (y * 2) as u8 + grain(y, x, 4), 90 + grain(x, y + 1, 4)]);
        assert!(soft.kind == Kind::Smooth && soft.channels == Channels::Rgb);
        assert_eq!(of(|x, y| [(x + y) as u8; 3]).channels, Channels::Gray);
    }
}
