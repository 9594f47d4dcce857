//! A sample of a large image: tiles from all over it, side by side, small enough to search on.

use super::libjpeg::{BLOCK, Plane, Planes};
use crate::optimize::score::Rgb;

/// Tiles each way, and about how many pixels each is wide and high: 0.9 MP in all.
const GRID: usize = 3;
const TILE: usize = 320;

/// The same tiles of an image's planes and of its decoded picture.
pub struct Mosaic {
    pub planes: Planes,
    pub picture: Rgb,
}

/// Where the tiles lie, in pixels: all corners on the grid of MCUs, so that tiles are cut between blocks.
struct Tiles {
    left: Vec<usize>,
    top: Vec<usize>,
    width: usize,
    height: usize,
}

impl Mosaic {
    /// `None` where the image is too narrow or too low for tiles.
    #[must_use]
    pub fn of(planes: &Planes, picture: &Rgb) -> Option<Self> {
        let tiles = Tiles::over(planes)?;
        let (max_h, max_v) = planes.max_factors();
        let cut_plane = |plane: &Plane| {
            // A component's samples per pixel are h / max_h, v / max_v (T.81, A.1.1); tiles are whole MCUs.
            let across = |pixels: usize| pixels / max_h * plane.h;
            let down = |pixels: usize| pixels / max_v * plane.v;
            let samples = tiles.cut(&plane.samples, plane.stride, across, down);
            Plane { h: plane.h, v: plane.v, stride: across(tiles.width) * tiles.left.len(), samples }
        };
        let (width, height) = (tiles.width * tiles.left.len(), tiles.height * tiles.top.len());
        Some(Self {
            planes: Planes {
                width,
                height,
                model: planes.model,
                planes: planes.planes.iter().map(cut_plane).collect(),
            },
            picture: Rgb {
                width,
                height,
                samples: tiles.cut(&picture.samples, picture.width * 3, |pixels| pixels * 3, |pixels| pixels),
            },
        })
    }
}

impl Tiles {
    fn over(planes: &Planes) -> Option<Self> {
        let (max_h, max_v) = planes.max_factors();
        let (mcu_width, mcu_height) = (max_h * BLOCK, max_v * BLOCK);
        let (width, height) = (TILE / mcu_width * mcu_width, TILE / mcu_height * mcu_height);
        let (columns, rows) = ((planes.width / width).min(GRID), (planes.height / height).min(GRID));
        if columns == 0 || rows == 0 {
            return None;
        }
        Some(Self {
            left: corners(planes.width, width, columns, mcu_width),
            top: corners(planes.height, height, rows, mcu_height),
            width,
            height,
        })
    }

    /// Copies the tiles out of rows of `stride` samples; `across` and `down` turn pixels into samples and rows.
    fn cut(
        &self,
        samples: &[u8],
        stride: usize,
        across: impl Fn(usize) -> usize,
        down: impl Fn(usize) -> usize,
    ) -> Vec<u8> {
        let mut cut = Vec::with_capacity(across(self.width) * self.left.len() * down(self.height) * self.top.len());
        for top in &self.top {
            for row in down(*top)..down(*top) + down(self.height) {
                for left in &self.left {
                    let start = row * stride + across(*left);
                    cut.extend_from_slice(&samples[start..start + across(self.width)]);
                }
            }
        }
        cut
    }
}

/// The near corners of `count` tiles of `size` pixels, spread evenly over `length`, on multiples of `grid`.
fn corners(length: usize, size: usize, count: usize, grid: usize) -> Vec<usize> {
    (0..count).map(|i| (length - size) * (2 * i + 1) / (2 * count) / grid * grid).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimize::jpeg::libjpeg::ColorModel;

    #[test]
    fn tiles_of_planes_and_picture_show_the_same_places() {
        for (h, v) in [(1, 1), (2, 2), (2, 1), (1, 2), (4, 1)] {
            let (width, height) = (2051_usize, 1333_usize);
            // Each sample tells its place, in steps coarse enough for the subsampled planes.
            let at = |x: usize, y: usize| (x / 32 * 7 + y / 32 * 13) as u8;
            let plane = |ph: usize, pv: usize| {
                let stride = (width * ph).div_ceil(h).div_ceil(BLOCK) * BLOCK;
                let rows = height.div_ceil(v * BLOCK) * pv * BLOCK;
                let samples = (0..stride * rows).map(|i| at(i % stride * h / ph, i / stride * v / pv)).collect();
                Plane { h: ph, v: pv, stride, samples }
            };
            let planes = Planes { width, height, model: ColorModel::YCbCr, planes: vec![plane(h, v), plane(1, 1)] };
            let samples = (0..width * height).flat_map(|i| [at(i % width, i / width); 3]).collect();
            let mosaic = Mosaic::of(&planes, &Rgb { width, height, samples }).unwrap();
            let picture = &mosaic.picture;
            assert_eq!((mosaic.planes.width, mosaic.planes.height), (picture.width, picture.height));
            for plane in &mosaic.planes.planes {
                for i in 0..plane.samples.len() {
                    let (x, y) = (i % plane.stride * h / plane.h, i / plane.stride * v / plane.v);
                    assert_eq!(plane.samples[i], picture.samples[(y * picture.width + x) * 3], "{h}x{v} at {x},{y}");
                }
            }
        }
    }

    #[test]
    fn a_strip_has_no_tiles() {
        let plane = Plane { h: 1, v: 1, stride: 64, samples: vec![0; 64 * 40_000] };
        let planes = Planes { width: 64, height: 40_000, model: ColorModel::Gray, planes: vec![plane] };
        let picture = Rgb { width: 64, height: 40_000, samples: vec![0; 64 * 40_000 * 3] };
        assert!(Mosaic::of(&planes, &picture).is_none());
    }
}
