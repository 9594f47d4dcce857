//! The insets of a JPEG: of a picture whose blocks are mostly textured they are not looked for.

use super::orientation;
use crate::optimize::color::ToSrgb;
use crate::optimize::jpeg::dct::coefficients::{Block, Blocks, Table};
use crate::optimize::quality::insets::{Inset, InsetFinder, LEAST_PAGE, LEAST_PLAIN};

/// Share of plain blocks from which on pixels are decoded: that of plain tiles, with a margin, since blocks and tiles differ
/// in turned pictures.
const LEAST_PLAIN_BLOCKS: f64 = LEAST_PLAIN - 0.1;
/// Sum of a plain block's coefficients, without its mean and its slopes: one of 16 is a wave of 4 levels of 255.
const PLAIN: u32 = 16;

/// The insets of the upright picture.
pub fn of(source: &dyn Blocks, orientation: u8, to_srgb: Option<&ToSrgb>) -> Vec<Inset> {
    if share_of(source, is_plain) < LEAST_PLAIN_BLOCKS && share_of(source, is_page) < LEAST_PAGE {
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

/// Share of the blocks of luma that are of a kind, by their levels and steps.
fn share_of(source: &dyn Blocks, is_of_kind: fn(&Block, &Table) -> bool) -> f64 {
    let Some(luma) = source.layout().components.first() else { return 0.0 };
    let is_of_kind = |block: &&Block| is_of_kind(block, &luma.table);
    let blocks: usize = (0..luma.rows).map(|row| source.row(0, row).iter().filter(is_of_kind).count()).sum();
    blocks as f64 / (luma.columns * luma.rows).max(1) as f64
}

fn is_plain(block: &Block, table: &Table) -> bool {
    /// The mean, and the lowest frequency in each direction.
    const MEAN_AND_SLOPES: [usize; 3] = [0, 1, 8];
    let sizes = block.iter().zip(table).map(|(level, step)| u32::from(level.unsigned_abs()) * u32::from(*step));
    let rest = sizes.enumerate().filter(|(k, _)| !MEAN_AND_SLOPES.contains(k));
    rest.map(|(_, size)| size).sum::<u32>() <= PLAIN
}

/// Whether all rows or all columns of a block are of one colour.
fn is_page(block: &Block, _: &Table) -> bool {
    let is_along =
        |step: usize| block.iter().enumerate().all(|(k, level)| *level == 0 || k % step == 0 && k < 8 * step);
    is_along(1) || is_along(8)
}
