//! Profiles made by code, and what is read of them.

#[path = "../../../fuzz/src/icc_file.rs"]
pub mod icc_file;

use super::*;
use icc_file::{ADOBE_RGB, DISPLAY_P3, PRO_PHOTO, SRGB, gamma, gray, linear, parametric, profile, rgb, srgb_curve};
use icc_file::{table, tables};

fn of(icc: &[u8]) -> ColorSpace {
    ColorSpace::of_profile(Some(icc), false)
}

fn is_srgb(icc: &[u8]) -> bool {
    matches!(of(icc), ColorSpace::Srgb)
}

fn converted(icc: &[u8], is_gray: bool) -> Arc<ToSrgb> {
    match ColorSpace::of_profile(Some(icc), is_gray) {
        ColorSpace::Converted(to_srgb) => to_srgb,
        other => panic!("{other:?}"),
    }
}

fn is_about(shown: [u8; 3], expected: [u8; 3]) -> bool {
    shown.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= 1)
}

#[test]
fn profiles_near_srgb_are_not_converted() {
    for icc in [
        rgb(&SRGB, &srgb_curve()),
        rgb(&SRGB, &table(1024, |v| if v <= 0.040_45 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) })),
        gray(&srgb_curve()),
    ] {
        assert!(is_srgb(&icc));
    }
    assert!(matches!(ColorSpace::of_profile(None, false), ColorSpace::Srgb));
    assert!(matches!(ColorSpace::of_profile(Some(&gray(&srgb_curve())), true), ColorSpace::Srgb));
}

#[test]
fn profiles_far_from_srgb_convert_pixels() {
    let linear = converted(&linear(), false);
    // 188 is sRGB's level for half of the light.
    assert!(is_about(linear.pixel([128, 128, 128]), [188, 188, 188]), "{:?}", linear.pixel([128; 3]));
    assert_eq!(([0, 255].map(|v| linear.pixel([v; 3]))), [[0; 3], [255; 3]]);
    // By littleCMS, relative colorimetric.
    for (icc, pixel, expected) in [
        (rgb(&SRGB, &gamma(Some(1.8))), [20, 128, 240], [26, 146, 243]),
        (rgb(&DISPLAY_P3, &srgb_curve()), [200, 100, 50], [215, 93, 31]),
        (rgb(&ADOBE_RGB, &gamma(Some(2.2))), [100, 150, 200], [66, 151, 203]),
        (rgb(&ADOBE_RGB, &gamma(Some(2.2))), [0, 255, 0], [0, 255, 0]),
        (rgb(&PRO_PHOTO, &gamma(Some(1.8))), [90, 120, 60], [90, 145, 60]),
    ] {
        assert!(is_about(converted(&icc, false).pixel(pixel), expected), "{:?}", converted(&icc, false).pixel(pixel));
    }
}

#[test]
fn gray_profiles_convert_gray_and_no_colours() {
    let icc = gray(&gamma(Some(1.8)));
    let to_srgb = converted(&icc, true);
    assert!(to_srgb.is_gray() && is_about(to_srgb.pixel([128; 3]), [146; 3]));
    assert!(is_srgb(&icc));
    let linear = converted(&linear(), true);
    assert!(!linear.is_gray() && is_about(linear.pixel([128; 3]), [188; 3]));
}

#[test]
fn every_kind_of_curve_is_read() {
    let shown = |curve: &[u8]| converted(&gray(curve), true).pixel([100, 128, 255]);
    let exact = shown(&gamma(Some(1.5)));
    assert!(is_about(shown(&table(4096, |v| v.powf(1.5))), exact));
    assert!(is_about(shown(&parametric(0, &[1.5])), exact));
    assert!(is_about(shown(&parametric(1, &[1.5, 1.0, 0.0])), exact));
    assert!(is_about(shown(&parametric(2, &[1.5, 1.0, 0.0, 0.0])), exact));
    assert!(is_about(shown(&parametric(3, &[1.5, 1.0, 0.0, 0.0, 0.0])), exact));
    assert!(is_about(shown(&parametric(4, &[1.5, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0])), exact));
    let lifted = shown(&parametric(4, &[1.5, 1.0, 0.0, 0.0, 0.0, 0.2, 0.0]));
    assert!(lifted[0] > exact[0] + 10 && lifted[2] == 255);
    assert_eq!(shown(&table(2, |v| v)), shown(&gamma(None)));
}

#[test]
fn a_row_and_a_picture_convert_as_pixels_do() {
    let to_srgb = converted(&rgb(&PRO_PHOTO, &gamma(Some(1.8))), false);
    let pixels: Vec<[u8; 3]> = (0..200_u8).map(|i| [i, i.wrapping_mul(7), 255 - i]).collect();
    let expected: Vec<[u8; 3]> = pixels.iter().map(|pixel| to_srgb.pixel(*pixel)).collect();
    let plane = |of: &[[u8; 3]], c: usize| of.iter().map(|pixel| pixel[c]).collect::<Vec<_>>();
    let planes = [0, 1, 2].map(|c| plane(&pixels, c));
    assert_eq!(to_srgb.row(planes.each_ref().map(Vec::as_slice)), [0, 1, 2].map(|c| plane(&expected, c)));
    let mut picture = Rgb { width: 200, height: 1, samples: pixels.concat() };
    to_srgb.picture(&mut picture);
    assert_eq!(picture.samples, expected.concat());
    let mut rgba: Vec<_> = pixels.iter().map(|[r, g, b]| RGBA8::new(*r, *g, *b, *r)).collect();
    to_srgb.pixels(&mut rgba);
    assert!(rgba.iter().zip(&expected).enumerate().all(|(i, (p, e))| [p.r, p.g, p.b] == *e && p.a == i as u8));
}

#[test]
fn what_is_valid_but_not_read_is_unknown() {
    let lab = |mut icc: Vec<u8>| {
        icc[20..24].copy_from_slice(b"Lab ");
        icc
    };
    let pq = profile(*b"RGB ", &[(b"cicp", b"cicp\0\0\0\0\x09\x10\0\x01".to_vec())]);
    let too_bright = rgb(&SRGB.map(|xyz| xyz.map(|v| v * 5.0)), &gamma(None));
    for icc in [tables(), pq, lab(gray(&gamma(None))), too_bright] {
        assert!(matches!(ColorSpace::of_profile(Some(&icc), true), ColorSpace::Unknown));
    }
}

#[test]
fn what_browsers_ignore_is_srgb() {
    let with = |at: usize, bytes: &[u8]| {
        let mut icc = linear();
        icc[at..at + bytes.len()].copy_from_slice(bytes);
        icc
    };
    assert!(!is_srgb(&linear()));
    let longer = [linear(), b"more".to_vec()].concat();
    assert!(!is_srgb(&longer));
    let curves = |curve: &[u8]| rgb(&SRGB, curve);
    for icc in [
        Vec::new(),
        linear()[..linear().len() - 1].to_vec(),
        with(36, b"none"),
        with(8, &[5]),
        with(16, b"CMYK"),
        with(20, b"Luv "),
        with(68, &[0, 2, 0, 0]),
        with(128, &[0xFF; 4]),
        with(136, &[0xFF; 4]),
        with(140, &[0xFF; 4]),
        with(132, b"none"),
        curves(b"curv\0\0\0\0\xFF\xFF\xFF\xFF\0\0"),
        curves(b"text\0\0\0\0"),
        curves(&parametric(5, &[1.0; 7])),
        curves(&parametric(0, &[-1.0])),
        curves(&parametric(1, &[2.0, 0.0, 0.0])),
        curves(&parametric(3, &[1.5, 1.0, -0.5, 0.0, 0.1])),
        profile(*b"GRAY", &[]),
    ] {
        assert!(is_srgb(&icc), "{icc:?}");
    }
}

/// xorshift (Marsaglia 2003).
fn random(state: &mut u32) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    *state as usize
}

#[test]
fn no_bytes_make_it_panic() {
    let mut state = 0x1357_9BDF;
    let seeds = [linear(), rgb(&PRO_PHOTO, &srgb_curve()), gray(&table(300, |v| v)), tables()];
    for round in 0..20_000 {
        let mut icc = seeds[round % seeds.len()].clone();
        for _ in 0..=random(&mut state) % 6 {
            let at = random(&mut state) % icc.len();
            icc[at] = random(&mut state) as u8;
        }
        icc.truncate(icc.len().saturating_sub(random(&mut state) % 40 * (round % 2)));
        for is_gray in [false, true] {
            if let ColorSpace::Converted(to_srgb) = ColorSpace::of_profile(Some(&icc), is_gray) {
                for _ in 0..8 {
                    let _ = to_srgb.pixel([0; 3].map(|_| random(&mut state) as u8));
                }
            }
        }
    }
}
