//! The insets of a JPEG: of a picture whose blocks are mostly textured they are not looked for.

use super::orientation;
use crate::optimize::color::ToSrgb;
use crate::optimize::jpeg::dct::coefficients::{Block, Blocks};
use crate::optimize::quality::insets::{Inset, InsetFinder, LEAST_PLAIN};

/// Share of plain blocks from which on pixels are decoded: that of plain tiles, with a margin, since blocks and tiles differ
/// in turned pictures.
const LEAST_PLAIN_BLOCKS: f64 = LEAST_PLAIN - 0.1;
/// Sum of a plain block's coefficients, without its mean and its slopes: one of 16 is a wave of 4 levels of 255.
const PLAIN: u32 = 16;

/// The insets of the upright picture.
pub fn of(source: &dyn Blocks, orientation: u8, to_srgb: Option<&ToSrgb>) -> Vec<Inset> {
    if plain_share(source) < LEAST_PLAIN_BLOCKS {
        return Vec::new();
    }
    let layout = source.layout();
    let (width, height) = orientation::size(layout, orientation);
    let mut finder = InsetFinder::new(width, height);
    for area in orientation::bands_of(layout, orientation, 0..width, 0..height) {
        let band = orientation::decoded(layout, &area, orientation, |component, row, left, out: &mut [Block]| {
            out.copy_from_slice(&source.row(component, row)[left..left + out.len()]);
        });
        let Some(mut band) = band else { return Vec::new() };
        if let Some(to_srgb) = to_srgb {
            to_srgb.picture(&mut band);
        }
        (0..band.height).for_each(|y| finder.push(band.row(y).each_ref().map(Vec::as_slice)));
    }
    finder.finish()
}

fn plain_share(source: &dyn Blocks) -> f64 {
    /// The mean, and the lowest frequency in each direction.
    const MEAN_AND_SLOPES: [usize; 3] = [0, 1, 8];
    let Some(luma) = source.layout().components.first() else { return 0.0 };
    let is_plain = |block: &Block| {
        let sizes =
            block.iter().zip(&luma.table).map(|(level, step)| u32::from(level.unsigned_abs()) * u32::from(*step));
        let rest = sizes.enumerate().filter(|(k, _)| !MEAN_AND_SLOPES.contains(k));
        rest.map(|(_, size)| size).sum::<u32>() <= PLAIN
    };
    let plain: usize =
        (0..luma.rows).map(|row| source.row(0, row).iter().filter(|block| is_plain(block)).count()).sum();
    plain as f64 / (luma.columns * luma.rows).max(1) as f64
}
