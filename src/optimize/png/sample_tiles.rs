//! A sample of a large picture: tiles from all over it, side by side, small enough to search on.

use crate::optimize::picture::Pixels;

/// Tiles each way.
const GRID: usize = 4;
/// A sample has a fifth of the picture's pixels, within these bounds.
const SHARE: usize = 5;
const FEWEST_PIXELS: usize = 200_000;
const MOST_PIXELS: usize = 900_000;

/// Tiles of a picture; `None` where it is too narrow, too low or too small for tiles.
#[must_use]
pub fn of(pixels: &Pixels) -> Option<Pixels> {
    if pixels.rgba.len() < SHARE * FEWEST_PIXELS {
        return None;
    }
    let side = (pixels.rgba.len() / SHARE).min(MOST_PIXELS).isqrt() / GRID;
    let (columns, rows) = (corners(pixels.width, side)?, corners(pixels.height, side)?);
    let mut rgba = Vec::with_capacity(side * side * GRID * GRID);
    for top in rows {
        for y in top..top + side {
            for left in &columns {
                rgba.extend_from_slice(&pixels.row(y)[*left..left + side]);
            }
        }
    }
    Some(Pixels { width: side * GRID, height: side * GRID, rgba })
}

/// Where the tiles begin, evenly apart from one end of a side to the other.
fn corners(length: usize, side: usize) -> Option<Vec<usize>> {
    let room = length.checked_sub(side * GRID)?;
    Some((0..GRID).map(|i| i * side + i * room / (GRID - 1)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rgb::RGBA8;

    fn picture(width: usize, height: usize) -> Pixels {
        let pixel = |i: usize| RGBA8::new((i % width / 8) as u8, (i / width / 8) as u8, 0, 255);
        Pixels { width, height, rgba: (0..width * height).map(pixel).collect() }
    }

    #[test]
    fn tiles_are_from_corner_to_corner() {
        let sample = of(&picture(1600, 1000)).unwrap();
        assert_eq!(sample.rgba.len(), sample.width * sample.height);
        let last = sample.rgba[sample.rgba.len() - 1];
        assert_eq!((sample.rgba[0].r, sample.rgba[0].g, last.r, last.g), (0, 0, 199, 124));
        assert!((250_000..330_000).contains(&sample.rgba.len()));
    }

    #[test]
    fn small_and_narrow_pictures_have_none() {
        assert!(of(&picture(800, 600)).is_none());
        assert!(of(&picture(20, 100_000)).is_none());
    }
}
