//! What kind of picture it is, told from its pixels in one pass: which way of coding can win.

use rgb::RGBA8;

use super::pixels::Pixels;

/// What a picture shows, as far as its coding goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Flat areas and sharp edges: a palette costs least.
    Graphic,
    /// Neighbours foretell each pixel, roughly: residuals of few values cost least, and look better than any palette.
    Photograph,
    /// Grain throughout: three residuals a pixel cost more than one entry of a palette.
    Texture,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traits {
    pub kind: Kind,
    pub is_gray: bool,
    /// Residuals lie on a lattice already, as ours do: once more would only lose more.
    pub is_rounded: bool,
}

/// Of photographs up to 48 % of all pixels repeat a neighbour, of graphics 55 % and more (the corpus of the bench).
const GRAPHIC_REPEATS: f64 = 0.5;
/// A pixel is foretold if each channel is this near to the mean of its neighbours.
const NEAR: u8 = 8;
/// Where fewer are, a palette was smaller at the same score.
const TEXTURE_FORETOLD: f64 = 0.5;
/// Small residuals, of which a picture that was not rounded shows nearly all.
const SMALL: i32 = 32;
/// Rounding by [`super::near_lossless`] leaves half of them at the most.
const ROUNDED_SHARE: f64 = 0.6;

impl Traits {
    #[must_use]
    pub fn of(pixels: &Pixels) -> Self {
        let mut count = Count::default();
        for y in 1..pixels.height {
            count.row(pixels.row(y - 1), pixels.row(y));
        }
        let share = |part: u64| part as f64 / count.seen.max(1) as f64;
        let kind = if share(count.repeats) >= GRAPHIC_REPEATS {
            Kind::Graphic
        } else if share(count.foretold) >= TEXTURE_FORETOLD {
            Kind::Photograph
        } else {
            Kind::Texture
        };
        Self { kind, is_gray: pixels.rgba.iter().all(|p| p.r == p.g && p.g == p.b), is_rounded: count.is_rounded() }
    }
}

/// What pixels that are seen are like.
struct Count {
    seen: u64,
    /// The same as the one on the left or above.
    repeats: u64,
    foretold: u64,
    /// Which small residuals there are, of any channel.
    residuals: [bool; 2 * SMALL as usize + 1],
}

impl Default for Count {
    fn default() -> Self {
        Self { seen: 0, repeats: 0, foretold: 0, residuals: [false; 2 * SMALL as usize + 1] }
    }
}

impl Count {
    fn row(&mut self, above: &[RGBA8], row: &[RGBA8]) {
        for (pair, above) in row.windows(2).zip(&above[1..]) {
            let [left, pixel] = [pair[0], pair[1]];
            // Beside what is hidden, ours and others' colours are of any value.
            if [left, pixel, *above].iter().any(|p| p.a == 0) {
                continue;
            }
            self.seen += 1;
            self.repeats += u64::from(pixel == left || pixel == *above);
            let residual = |v: u8, left: u8, above: u8| i32::from(v) - ((i32::from(left) + i32::from(above)) >> 1);
            let residuals = [
                residual(pixel.r, left.r, above.r),
                residual(pixel.g, left.g, above.g),
                residual(pixel.b, left.b, above.b),
            ];
            self.foretold += u64::from(residuals.iter().all(|residual| residual.abs() <= NEAR.into()));
            for residual in residuals {
                if let Some(seen) = self.residuals.get_mut((residual + SMALL) as usize) {
                    *seen = true;
                }
            }
        }
    }

    /// Whether of the residuals between the outermost many are missing.
    fn is_rounded(&self) -> bool {
        let first = self.residuals.iter().position(|seen| *seen).unwrap_or(0);
        let last = self.residuals.iter().rposition(|seen| *seen).unwrap_or(0);
        let there = self.residuals[first..=last].iter().filter(|seen| **seen).count();
        (there as f64) < (last - first + 1) as f64 * ROUNDED_SHARE
    }
}
