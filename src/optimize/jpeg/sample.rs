//! A sample of a large image: tiles from all over it, side by side, small enough to search on.

use crate::optimize::jpeg::dct::coefficients::{BLOCK, Block, Blocks, Coefficients};

/// Tiles each way.
const GRID: usize = 3;
/// A sample has a fifth of the image's pixels, within these bounds.
const SHARE: usize = 5;
const FEWEST_PIXELS: usize = 200_000;
const MOST_PIXELS: usize = 900_000;

/// Where the tiles lie, in pixels: all corners on the grid of MCUs, so that tiles are cut between blocks.
struct Tiles {
    left: Vec<usize>,
    top: Vec<usize>,
    width: usize,
    height: usize,
}

/// Tiles of an image's coefficients; `None` where it is too narrow, too low or too small for tiles.
#[must_use]
pub fn of(image: &dyn Blocks) -> Option<Coefficients> {
    let (max_h, max_v) = image.layout().max_factors();
    let tiles = Tiles::over(image.layout().width, image.layout().height, (max_h, max_v))?;
    let mut layout = image.layout().clone();
    (layout.width, layout.height) = tiles.size();
    let mut blocks = Vec::new();
    for (index, component) in layout.components.iter_mut().enumerate() {
        let across = |pixels: usize| pixels / (max_h * BLOCK) * component.h;
        let down = |pixels: usize| pixels / (max_v * BLOCK) * component.v;
        blocks.push(tiles.cut(|row| image.row(index, row), across, down));
        (component.columns, component.rows) = (across(layout.width), down(layout.height));
    }
    Some(Coefficients { layout, blocks })
}

impl Tiles {
    fn over(width: usize, height: usize, (max_h, max_v): (usize, usize)) -> Option<Self> {
        let pixels = width * height;
        if pixels < SHARE * FEWEST_PIXELS {
            return None;
        }
        let side = (pixels / SHARE).min(MOST_PIXELS).isqrt() / GRID;
        let (mcu_width, mcu_height) = (max_h * BLOCK, max_v * BLOCK);
        let (tile_width, tile_height) = (side / mcu_width * mcu_width, side / mcu_height * mcu_height);
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

    /// Copies the tiles out of rows of blocks; `across` and `down` turn pixels into these.
    fn cut<'b>(
        &self,
        row: impl Fn(usize) -> &'b [Block],
        across: impl Fn(usize) -> usize,
        down: impl Fn(usize) -> usize,
    ) -> Vec<Block> {
        let mut cut = Vec::with_capacity(across(self.width) * self.left.len() * down(self.height) * self.top.len());
        for top in &self.top {
            for row in (down(*top)..down(*top) + down(self.height)).map(&row) {
                for left in &self.left {
                    cut.extend_from_slice(&row[across(*left)..][..across(self.width)]);
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
    use crate::optimize::jpeg::dct::coefficients::{ColorModel, Component, Layout};

    #[test]
    fn a_strip_has_no_tiles() {
        let component = Component { id: 1, h: 1, v: 1, columns: 8, rows: 5_000, table: [1; 64] };
        let blocks = vec![vec![[0; 64]; 8 * 5_000]];
        let layout = Layout { width: 64, height: 40_000, model: ColorModel::Gray, components: vec![component] };
        assert!(of(&Coefficients { layout, blocks }).is_none());
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
            let mosaic = of(&Coefficients { layout, blocks }).unwrap();
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
