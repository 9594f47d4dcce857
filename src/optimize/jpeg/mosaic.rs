//! A sample of a large image: tiles from all over it, side by side, small enough to search on.

use super::coefficients::{BLOCK, Coefficients};
use super::libjpeg::{Plane, Planes};
use crate::optimize::score::Rgb;

/// Tiles each way, and about how many pixels each is wide and high: 0.9 MP in all.
const GRID: usize = 3;
const TILE: usize = 320;

/// Where the tiles lie, in pixels: all corners on the grid of MCUs, so that tiles are cut between blocks.
struct Tiles {
    left: Vec<usize>,
    top: Vec<usize>,
    width: usize,
    height: usize,
}

/// The same tiles of an image's planes and of its decoded picture; `None` where it is too narrow or too low for tiles.
#[must_use]
pub fn of_planes(image: &Planes, picture: &Rgb) -> Option<(Planes, Rgb)> {
    let (max_h, max_v) = image.max_factors();
    let tiles = Tiles::over(image.width, image.height, (max_h, max_v))?;
    let cut_plane = |plane: &Plane| {
        // A component's samples per pixel are h / max_h, v / max_v (T.81, A.1.1); tiles are whole MCUs.
        let across = |pixels: usize| pixels / max_h * plane.h;
        let down = |pixels: usize| pixels / max_v * plane.v;
        let samples = tiles.cut(&plane.samples, plane.stride, across, down);
        Plane { h: plane.h, v: plane.v, stride: across(tiles.width) * tiles.left.len(), samples }
    };
    let (width, height) = tiles.size();
    let planes = image.planes.iter().map(cut_plane).collect();
    let samples = tiles.cut(&picture.samples, picture.width * 3, |pixels| pixels * 3, |pixels| pixels);
    Some((Planes { width, height, model: image.model, planes }, Rgb { width, height, samples }))
}

/// Tiles of an image's coefficients; `None` where it is too narrow or too low for tiles.
#[must_use]
pub fn of_coefficients(image: &Coefficients) -> Option<Coefficients> {
    let (max_h, max_v) = image.layout.max_factors();
    let tiles = Tiles::over(image.layout.width, image.layout.height, (max_h, max_v))?;
    let mut layout = image.layout.clone();
    (layout.width, layout.height) = tiles.size();
    let mut blocks = Vec::new();
    for (component, of) in layout.components.iter_mut().zip(&image.blocks) {
        let across = |pixels: usize| pixels / (max_h * BLOCK) * component.h;
        let down = |pixels: usize| pixels / (max_v * BLOCK) * component.v;
        blocks.push(tiles.cut(of, component.columns, across, down));
        (component.columns, component.rows) = (across(layout.width), down(layout.height));
    }
    Some(Coefficients { layout, blocks })
}

impl Tiles {
    fn over(width: usize, height: usize, (max_h, max_v): (usize, usize)) -> Option<Self> {
        let (mcu_width, mcu_height) = (max_h * BLOCK, max_v * BLOCK);
        let (tile_width, tile_height) = (TILE / mcu_width * mcu_width, TILE / mcu_height * mcu_height);
        let (columns, rows) = ((width / tile_width).min(GRID), (height / tile_height).min(GRID));
        if columns == 0 || rows == 0 {
            return None;
        }
        Some(Self {
            left: corners(width, tile_width, columns, mcu_width),
            top: corners(height, tile_height, rows, mcu_height),
            width: tile_width,
            height: tile_height,
        })
    }

    /// Pixels of the mosaic.
    fn size(&self) -> (usize, usize) {
        (self.width * self.left.len(), self.height * self.top.len())
    }

    /// Copies the tiles out of rows of `stride` samples, or blocks; `across` and `down` turn pixels into these.
    fn cut<T: Copy>(
        &self,
        samples: &[T],
        stride: usize,
        across: impl Fn(usize) -> usize,
        down: impl Fn(usize) -> usize,
    ) -> Vec<T> {
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
    use crate::optimize::jpeg::coefficients::{ColorModel, Component, Layout};

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
            let (mosaic, picture) = of_planes(&planes, &Rgb { width, height, samples }).unwrap();
            assert_eq!((mosaic.width, mosaic.height), (picture.width, picture.height));
            for plane in &mosaic.planes {
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
        assert!(of_planes(&planes, &picture).is_none());
    }

    #[test]
    fn tiles_of_coefficients_are_whole_blocks_of_the_same_places() {
        for (h, v) in [(1, 1), (2, 2), (2, 1), (1, 2), (4, 1)] {
            let (width, height) = (2051_usize, 1333_usize);
            let component = |ch: usize, cv: usize| {
                let (columns, rows) = ((width * ch).div_ceil(h * BLOCK), (height * cv).div_ceil(v * BLOCK));
                Component { id: 1, h: ch, v: cv, columns, rows, table: [1; 64] }
            };
            let components = vec![component(h, v), component(1, 1)];
            // Each block tells the MCU it is from.
            let block = |c: &Component, i: usize| [(i % c.columns / c.h + i / c.columns / c.v * 1000) as i16; 64];
            let blocks_of = |c: &Component| (0..c.columns * c.rows).map(|i| block(c, i)).collect();
            let blocks = components.iter().map(blocks_of).collect();
            let layout = Layout { width, height, model: ColorModel::YCbCr, components };
            let mosaic = of_coefficients(&Coefficients { layout, blocks }).unwrap();
            let [luma, chroma] = &mosaic.layout.components[..] else { panic!("two components") };
            assert_eq!((luma.columns, luma.rows), (mosaic.layout.width / BLOCK, mosaic.layout.height / BLOCK));
            assert_eq!(mosaic.blocks[0].len(), luma.columns * luma.rows);
            for (i, block) in mosaic.blocks[0].iter().enumerate() {
                let (x, y) = (i % luma.columns / h, i / luma.columns / v);
                assert_eq!(*block, mosaic.blocks[1][y * chroma.columns + x], "{h}x{v} at {x}, {y}");
            }
        }
    }
}
