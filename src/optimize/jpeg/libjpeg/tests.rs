//! Files written and read back, whole and damaged.

use super::*;
use crate::optimize::jpeg::coefficients::BLOCK;
use crate::optimize::jpeg::scans::COLOR;

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
        let coefficients = read_coefficients(&bytes, 100).unwrap();
        for script in [Script::Recommended, Script::Fixed(&COLOR)] {
            let again = write_coefficients(&coefficients.layout, script, |component, row, out| {
                out.copy_from_slice(coefficients.row(component, row));
            });
            let again = again.unwrap();
            assert_eq!(read_coefficients(&again, 100).unwrap(), coefficients, "{h}x{v}");
            assert!(has_coefficients(&again, &coefficients).unwrap(), "{h}x{v}");
            assert_eq!(decode_planes(&bytes, 100), decode_planes(&again, 100), "{h}x{v}");
        }
        let mut other = coefficients.clone();
        other.blocks[2].last_mut().unwrap()[63] ^= 1;
        assert!(!has_coefficients(&bytes, &other).unwrap(), "{h}x{v}");
    }
}

#[test]
fn a_coefficient_out_of_range_is_a_fault() {
    let mut coefficients = read_coefficients(&encode(&picture(32, 32, 1, 1), 60).unwrap(), 100).unwrap();
    coefficients.blocks[0][1][5] = 30_000;
    let written = write_coefficients(&coefficients.layout, Script::Recommended, |component, row, out| {
        out.copy_from_slice(coefficients.row(component, row));
    });
    assert!(matches!(written, Err(Fault::Codec(_))));
}

#[test]
fn damaged_data_is_a_fault_and_no_panic() {
    let bytes = encode(&picture(97, 45, 2, 2), 60).unwrap();
    for cut in [0, 2, 20, bytes.len() / 2, bytes.len() - 2] {
        assert!(matches!(decode_rgb(&bytes[..cut], 100), Err(Fault::Codec(_))), "cut at {cut}");
        assert!(matches!(read_coefficients(&bytes[..cut], 100), Err(Fault::Codec(_))), "cut at {cut}");
    }
}

#[test]
fn scans_are_counted() {
    let bytes = encode(&picture(97, 45, 2, 2), 60).unwrap();
    assert_eq!(decode_planes(&bytes, 2), Err(Fault::Scans));
}
