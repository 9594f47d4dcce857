//! Random files of every kind, written by the book without libjpeg, through reading and lossless rewriting.

#[path = "../../../fuzz/src/bytes.rs"]
#[expect(dead_code, reason = "the fuzz targets need more of it")]
mod bytes;
#[path = "../../../fuzz/src/jpeg_file.rs"]
#[expect(dead_code, reason = "the fuzz targets need more of it")]
mod jpeg_file;

use jpeg_file::{Jpeg, adobe, jfif};

use super::about::About;
use super::libjpeg::tests::picture;
use super::libjpeg::{Coded, Script, encode};
use super::lossy;
use super::orientation::UPRIGHT;
use crate::optimize::jpeg::dct::coefficients::{Blocks, ColorModel};
use crate::optimize::{Budget, MetadataPolicy, Options, Outcome, Quality};

/// Numbers without order, the same each time (xorshift, Marsaglia 2003).
fn random(seed: u32) -> impl FnMut(i16) -> i16 {
    let mut state = seed.wrapping_mul(0x9E37_79B9) | 1;
    move |below| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state % below as u32) as i16
    }
}

/// Fills tables and blocks: few coefficients here, many there, the largest that can be coded among them.
fn fill(file: &mut Jpeg, seed: u32) {
    let mut random = random(seed);
    for component in &mut file.components {
        component.table = std::array::from_fn(|_| random(300) as u16 + 1);
        for block in &mut component.blocks {
            block[0] = random(2047) - 1023;
            let (count, range) = (random(70), [1, 3, 40, 1023][random(4) as usize]);
            for _ in 0..count {
                block[random(63) as usize + 1] = random(2 * range + 1) - range;
            }
        }
    }
}

fn assert_holds(file: &[u8], image: &Jpeg, model: ColorModel, which: &str) {
    let coded = Coded::read(file, 100).unwrap();
    assert_eq!((coded.layout().width, coded.layout().height), (image.width, image.height), "{which}");
    assert_eq!(coded.layout().model, model, "{which}");
    for (index, (component, is)) in image.components.iter().zip(&coded.layout().components).enumerate() {
        assert_eq!(
            (is.h, is.v, is.columns, is.rows),
            (component.h, component.v, image.blocks(index).0, image.blocks(index).1),
            "{which}"
        );
        assert_eq!(is.table, component.table, "{which}");
        let blocks = (0..is.rows).flat_map(|row| coded.row(index, row));
        assert!(blocks.eq(&component.blocks), "{which}: component {index}");
    }
}

#[test]
fn lossless_rewriting_keeps_every_coefficient() {
    let kinds = [
        (ColorModel::Gray, 1, None),
        (ColorModel::YCbCr, 3, Some(jfif())),
        (ColorModel::Rgb, 3, Some(adobe(0))),
        (ColorModel::Cmyk, 4, Some(adobe(0))),
        (ColorModel::Ycck, 4, Some(adobe(2))),
    ];
    let options =
        Options { quality: Quality::Lossless, metadata: MetadataPolicy::All, min_savings: 0.0, ..Options::default() };
    let mut rewritten = 0;
    for (seed, (model, count, marker)) in (1_u32..).zip(kinds.iter().cycle().take(5 * 6 * 8)) {
        let luma = [(1, 1), (2, 1), (2, 2), (1, 2), (4, 1), (1, 4)][seed as usize / 5 % 6];
        let factors: Vec<_> = std::iter::once(luma).chain([(1, 1); 3]).take(*count).collect();
        let mut image = Jpeg::blank(seed as usize * 7 % 61 + 1, seed as usize * 5 % 47 + 1, &factors, [1; 64]);
        image.metadata.extend(marker.clone());
        (image.progressive, image.interleaved) = (seed / 30 % 2 == 1, seed / 60 % 2 == 0);
        image.restart = [0, 1, 3][seed as usize % 3];
        fill(&mut image, seed);
        let file = image.write();
        let which =
            format!("seed {seed}, {model:?} {luma:?}, progressive {}, restart {}", image.progressive, image.restart);
        assert_holds(&file, &image, *model, &which);

        let transcoded = Coded::read(&file, 100).unwrap().transcode(Script::Recommended).unwrap().proven().unwrap();
        assert_holds(&transcoded, &image, *model, &which);
        if let Outcome::Optimized(encoded) = super::optimize(&file, &options, Budget::UNLIMITED).unwrap() {
            assert_holds(&encoded.bytes, &image, *model, &which);
            rewritten += 1;
        }
    }
    assert!(rewritten > 100, "{rewritten}");
}

#[test]
fn lower_target_makes_no_larger_file() {
    for (scale, amplitude) in [(6, 40), (60, 24), (140, 60)] {
        let mut planes = picture(400, 300, 2, 2);
        let mut random = random(7);
        // Grain in the right half.
        for (i, sample) in planes.planes[0].samples.iter_mut().enumerate().filter(|(i, _)| i % 400 >= 200) {
            *sample = (i16::from(*sample) + random(amplitude) - amplitude / 2 + (i % 3) as i16).clamp(0, 255) as u8;
        }
        let file = encode(&planes, scale).unwrap();
        let about = About { file: &file, max_scans: 100, bytes: file.len(), orientation: UPRIGHT, to_srgb: None };
        let size = |target: f64| {
            let source = Coded::read(&file, 100).unwrap();
            let found = lossy::to_target(source, about, target, Budget::UNLIMITED).unwrap().candidate;
            assert!(found.as_ref().is_none_or(|found| found.score.unwrap().effective(target) >= target));
            found.map_or(file.len(), |found| found.bytes.len())
        };
        let sizes = [50.0, 60.0, 70.0, 75.0, 80.0, 90.0].map(size);
        assert!(sizes.is_sorted() && sizes[0] < file.len(), "{scale}: {sizes:?}");
    }
}

/// Readers take the inks of CMYK as inverted where Adobe's marker stands.
#[test]
fn cmyk_gets_no_adobe_marker_that_it_had_not() {
    let with = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/cmyk.jpg")).unwrap();
    assert!(with[2..].starts_with(&[0xFF, 0xEE, 0, 14]), "Adobe's marker is the first");
    let without = [&with[..2], &with[18..]].concat();
    for (source, markers) in [(with, 1), (without, 0)] {
        for metadata in [MetadataPolicy::All, MetadataPolicy::Safe, MetadataPolicy::None] {
            let options = Options { metadata, min_savings: 0.0, ..Options::default() };
            let outcome = super::optimize(&source, &options, Budget::UNLIMITED).unwrap();
            let Outcome::Optimized(encoded) = outcome else { panic!("{metadata}: {outcome:?}") };
            let found = encoded.bytes.windows(9).filter(|window| window.starts_with(b"\xFF\xEE\0\x0EAdobe")).count();
            assert_eq!(found, markers, "{metadata}, {}", encoded.method);
        }
    }
}
