//! Files written and read back, whole and damaged.

use super::planes::Plane;
use super::*;
use crate::optimize::jpeg::dct::coefficients::{BLOCK, Blocks};
use crate::optimize::jpeg::scan_script::COLOR;

/// A smooth picture with some detail, in the given sampling of luma to chroma.
pub fn picture(width: usize, height: usize, h: usize, v: usize) -> Planes {
    let plane = |ph: usize, pv: usize, phase: usize| {
        let columns = (width * ph).div_ceil(h).div_ceil(BLOCK) * BLOCK;
        let rows = height.div_ceil(v * BLOCK) * pv * BLOCK;
        let sample = |i: usize| {
            let (x, y) = (i % columns, i / columns);
            (128.0 + 90.0 * ((x * phase) as f64 / 17.0).sin() * ((y + phase) as f64 / 23.0).cos()) as u8
        };
        Plane { h: ph, v: pv, stride: columns, samples: (0..columns * rows).map(sample).collect() }
    };
    let planes = vec![plane(h, v, 1), plane(1, 1, 2), plane(1, 1, 3)];
    Planes { width, height, model: ColorModel::YCbCr, planes }
}

#[test]
fn every_subsampling_survives_encode_and_decode() {
    for (h, v) in [(1, 1), (2, 1), (2, 2), (1, 2), (4, 1)] {
        let source = picture(83, 61, h, v);
        let bytes = encode(&source, 20).unwrap();
        let back = decode_planes(&bytes, 100).unwrap();
        assert_eq!((back.width, back.height), (83, 61), "{h}x{v}");
        assert_eq!((back.planes[0].h, back.planes[0].v), (h, v), "{h}x{v}");
        let rgb = decode_rgb(&bytes, 100).unwrap();
        assert_eq!(rgb.samples.len(), 83 * 61 * 3);
    }
}

#[test]
fn coefficients_survive_writing_and_reading() {
    for (h, v) in [(1, 1), (2, 1), (2, 2), (1, 2), (4, 1)] {
        let bytes = encode(&picture(97, 45, h, v), 60).unwrap();
        for script in [Script::Recommended, Script::Fixed(&COLOR)] {
            let source = Coded::read(&bytes, 100).unwrap();
            let again = source.transcode(script).unwrap().proven().unwrap();
            let back = Coded::read(&again, 100).unwrap();
            assert_eq!(back.layout(), source.layout(), "{h}x{v}");
            for (component, of) in source.layout().components.iter().enumerate() {
                assert!((0..of.rows).all(|row| source.row(component, row) == back.row(component, row)), "{h}x{v}");
            }
            assert_eq!(decode_planes(&bytes, 100), decode_planes(&again, 100), "{h}x{v}");
        }
    }
}

#[test]
fn what_reads_back_as_something_else_is_a_fault() {
    let [one, other] = [60, 61].map(|scale| encode(&picture(97, 45, 2, 2), scale).unwrap());
    let hash = Coded::read(&one, 100).unwrap().transcode(Script::Recommended).unwrap().hash;
    assert!(Written::new(one, hash).proven().is_ok());
    assert!(Written::new(other, hash).proven().is_err());
}

#[test]
fn requantizing_in_place_changes_what_it_is_told_to() {
    let bytes = encode(&picture(97, 45, 2, 2), 60).unwrap();
    let source = Coded::read(&bytes, 100).unwrap();
    let tables: Vec<_> = source.layout().components.iter().map(|c| c.table.map(|step| 2 * step)).collect();
    let written = source.requantize(&tables, Script::Fixed(&COLOR), |_, _, blocks| {
        blocks.iter_mut().flatten().for_each(|c| *c /= 2);
    });
    let written = written.unwrap().proven().unwrap();
    let (source, back) = (Coded::read(&bytes, 100).unwrap(), Coded::read(&written, 100).unwrap());
    for (component, table) in tables.iter().enumerate() {
        assert_eq!(back.layout().components[component].table, *table);
        let halved: Vec<_> = source.row(component, 1).iter().map(|block| block.map(|c| c / 2)).collect();
        assert_eq!(back.row(component, 1), halved);
    }
}

#[test]
fn a_progressive_file_cut_between_scans_is_incomplete() {
    let bytes = encode(&picture(97, 45, 2, 2), 60).unwrap();
    assert!(!Coded::read(&bytes, 100).unwrap().is_incomplete());
    let last_scan = bytes.windows(2).rposition(|marker| marker == [0xFF, 0xDA]).unwrap();
    let cut = [&bytes[..last_scan], &[0xFF, 0xD9]].concat();
    assert!(Coded::read(&cut, 100).unwrap().is_incomplete());
}

#[test]
fn a_coefficient_out_of_range_is_a_fault() {
    let file = encode(&picture(32, 32, 1, 1), 60).unwrap();
    let source = Coded::read(&file, 100).unwrap();
    let written = write_coefficients(source.layout(), Script::Recommended, |component, row, out| {
        out.copy_from_slice(source.row(component, row));
        out[0][5] = 30_000;
    });
    assert!(matches!(written, Err(Fault::Codec(_))));
}

#[test]
fn damaged_data_is_a_fault_and_no_panic() {
    let bytes = encode(&picture(97, 45, 2, 2), 60).unwrap();
    for cut in [0, 2, 20, bytes.len() / 2, bytes.len() - 2] {
        assert!(matches!(decode_rgb(&bytes[..cut], 100), Err(Fault::Codec(_))), "cut at {cut}");
        assert!(matches!(Coded::read(&bytes[..cut], 100), Err(Fault::Codec(_))), "cut at {cut}");
    }
}

#[test]
fn scans_are_counted() {
    let bytes = encode(&picture(97, 45, 2, 2), 60).unwrap();
    assert_eq!(decode_planes(&bytes, 2), Err(Fault::Scans));
}
