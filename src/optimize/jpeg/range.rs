//! Whether coefficients lie within what a picture's samples can need, so that every decoder shows the same.

use archmage::autoversion;

use crate::optimize::jpeg::dct::coefficients::{BLOCK, Block, Blocks};

/// Magnitudes that a column of eight dequantized coefficients may come to in all. libjpeg-turbo's inverse DCT keeps 16
/// bits between its two passes, of which the first multiplies by 4 · 1.387 at the most (jidctint.c): above this, vector
/// units saturate, others wrap. 8-bit samples need 2,896 at the most, and rounding by steps of 255 as much as 1,020 more.
const MOST: i32 = 5_900;

/// Whether all blocks are in range.
#[must_use]
pub fn is_sound(image: &dyn Blocks) -> bool {
    image.layout().components.iter().enumerate().all(|(index, component)| {
        let steps = component.table.map(i32::from);
        (0..component.rows).all(|row| largest_column(image.row(index, row), &steps) <= MOST)
    })
}

#[autoversion(v3, neon)]
fn largest_column(blocks: &[Block], steps: &[i32; 64]) -> i32 {
    let mut largest = [0; BLOCK];
    for block in blocks {
        let mut sums = [0_i32; BLOCK];
        for k in 0..64 {
            // Eight of these do not overflow.
            sums[k % BLOCK] += (i32::from(block[k]).abs() * steps[k]).min(1 << 20);
        }
        for x in 0..BLOCK {
            largest[x] = largest[x].max(sums[x]);
        }
    }
    largest.into_iter().max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimize::jpeg::libjpeg::tests::picture;
    use crate::optimize::jpeg::libjpeg::{Coded, encode};

    #[test]
    fn pictures_are_sound() {
        for scale in [4, 400] {
            let file = encode(&picture(97, 45, 2, 2), scale).unwrap();
            assert!(is_sound(&Coded::read(&file, 100).unwrap()));
        }
    }

    #[test]
    fn a_column_is_summed_up_and_nothing_overflows() {
        let mut block = [0; 64];
        (block[3], block[11]) = (-20, 7);
        assert_eq!(largest_column(&[[0; 64], block], &[10; 64]), 270);
        assert!(largest_column(&[[i16::MIN; 64]], &[65_535; 64]) > MOST);
    }
}
