//! Our own output, told by what it is: quantized by us before, a file would only lose once more.

use super::libjpeg::{COARSEST_SCALE, FINEST_SCALE};
use super::recompress;
use super::scan_script;
use crate::optimize::jpeg::dct::coefficients::{Layout, Table};
use crate::optimize::jpeg::dct::quant_tables::{Role, table};
use crate::optimize::jpeg::file::segments::Segments;

/// Whether a file went through one of our lossy ways, or an equal, before.
#[must_use]
pub fn is_own_output(file: &Segments<'_>, layout: &Layout) -> bool {
    let luma = layout.components.first().map(|component| component.table);
    luma.is_some_and(|table| is_pixel_table(&table)) || scan_script::follows_script(file) && are_coarsened(layout)
}

/// Whether some q explains every step: each is the one we would write there, or finer or kept, and some is the former.
fn are_coarsened(layout: &Layout) -> bool {
    let explains = |role: Role, of: &Table, q: f64| {
        let mut steps = of.iter().zip(table(role, q));
        let written = steps.clone().any(|(step, wanted)| *step == wanted);
        steps.all(|(step, wanted)| wanted <= step.saturating_mul(2)).then_some(written)
    };
    recompress::dial().any(|q| {
        let Some((luma, chroma)) = layout.components.split_first() else { return false };
        let of_chroma = |role| chroma.iter().map(|c| explains(role, &c.table, q)).collect::<Option<Vec<_>>>();
        let luma = explains(Role::Luma, &luma.table, q);
        let roles = [Role::Halved, Role::Subsampled, Role::Full].into_iter();
        luma.is_some_and(|luma| roles.filter_map(of_chroma).any(|written| luma || written.contains(&true)))
    })
}

/// Whether mozjpeg's table 2, which the pixel domain is encoded with, gives `table` at some scale.
fn is_pixel_table(table: &Table) -> bool {
    (FINEST_SCALE..=COARSEST_SCALE).any(|scale| pixel_table(scale) == *table)
}

fn pixel_table(scale: u16) -> Table {
    /// jcparam.c, `std_luminance_quant_tbl[2]`, natural order.
    #[rustfmt::skip]
    const LUMA: Table = [
        12, 17, 20, 21, 30, 34, 56, 63,
        18, 20, 20, 26, 28, 51, 61, 55,
        19, 20, 21, 26, 33, 58, 69, 55,
        26, 26, 26, 30, 46, 87, 86, 66,
        31, 33, 36, 40, 46, 96, 100, 73,
        40, 35, 46, 62, 81, 100, 111, 91,
        46, 66, 76, 86, 102, 121, 120, 101,
        68, 90, 90, 96, 113, 102, 105, 103,
    ];
    // jcparam.c, jpeg_add_quant_table: rounded, then held within a baseline table's 8 bits.
    LUMA.map(|step| ((u32::from(step) * u32::from(scale) + 50) / 100).clamp(1, 255) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimize::jpeg::dct::coefficients::Blocks;
    use crate::optimize::jpeg::libjpeg::tests::picture;
    use crate::optimize::jpeg::libjpeg::{Coded, Script, encode, write_coefficients};
    use crate::optimize::jpeg::recompress::{Chroma, Recompressor, Setting};

    fn is_own(file: &[u8]) -> bool {
        let coded = Coded::read(file, 100).unwrap();
        is_own_output(&Segments::parse(file).unwrap(), coded.layout())
    }

    #[test]
    fn the_pixel_domain_is_told_by_its_table() {
        for scale in [8, 50, 137] {
            let file = encode(&picture(32, 32, 2, 2), scale).unwrap();
            assert_eq!(Coded::read(&file, 100).unwrap().layout().components[0].table, pixel_table(scale));
            assert!(is_own(&file));
        }
    }

    #[test]
    fn the_coefficient_domain_is_told_by_its_scans_and_steps() {
        for (h, v) in [(1, 1), (2, 1), (2, 2), (1, 2), (4, 1)] {
            // Fine steps of which none, some and all grow.
            for (scale, step) in [(4, 200), (60, 260), (60, 330)] {
                let file = encode(&picture(97, 45, h, v), scale).unwrap();
                let source = Coded::read(&file, 100).unwrap();
                for recompressor in [Chroma::Kept, Chroma::Halved].map(|chroma| Recompressor::new(&source, chroma, 1.0))
                {
                    let Some(recompressor) = recompressor else { continue };
                    assert!(
                        is_own(&recompressor.encode(&Setting::of_step(step)).unwrap().proven().unwrap()),
                        "{h}x{v} scale {scale} step {step}"
                    );
                }
            }
        }
    }

    #[test]
    fn others_and_lossless_transcodes_are_not() {
        let file = encode(&picture(97, 45, 2, 2), 60).unwrap();
        let source = Coded::read(&file, 100).unwrap();
        let mut layout = source.layout().clone();
        // A table at no scale of ours.
        layout.components[0].table = std::array::from_fn(|k| if k % 2 == 0 { 3 } else { 200 });
        let foreign = write_coefficients(&layout, Script::Recommended, |component, row, out| {
            out.copy_from_slice(source.row(component, row));
        });
        assert!(!is_own(&foreign.unwrap()));
    }
}
