//! The target is a floor as viewers show the picture: colour profiles are converted, or nothing is lost.

use karui::optimize::{Budget, Effort, Encoded, Format, Options, Outcome, optimize, score};
use miniz_oxide::deflate::compress_to_vec_zlib;

use super::pictures::Picture;
use super::random::Random;
use super::targets::icc_file::{
    ADOBE_RGB, DISPLAY_P3, PRO_PHOTO, SRGB, gamma, gray, linear, rgb, srgb_curve, table, tables,
};
use super::targets::{jpeg_file, png_file};

const SEEDS: std::ops::RangeInclusive<u32> = 1..=8;

fn profiles() -> [(&'static str, Vec<u8>); 6] {
    [
        ("linear", linear()),
        ("gamma 1.8", rgb(&SRGB, &gamma(Some(1.8)))),
        ("Adobe RGB", rgb(&ADOBE_RGB, &gamma(Some(2.2)))),
        ("ProPhoto RGB", rgb(&PRO_PHOTO, &gamma(Some(1.8)))),
        ("Display P3", rgb(&DISPLAY_P3, &srgb_curve())),
        ("gray", gray(&table(64, |light| light.powf(1.8)))),
    ]
}

/// A file with the profile right behind its header.
fn with_profile(file: &[u8], icc: &[u8]) -> Vec<u8> {
    let mut added = Vec::new();
    let at = if file.starts_with(b"\x89PNG") {
        let data = [b"name\0\0", &compress_to_vec_zlib(icc, 6)[..]].concat();
        png_file::chunk(&mut added, *b"iCCP", &data);
        33
    } else {
        jpeg_file::segment(&mut added, 0xE2, &[b"ICC_PROFILE\0\x01\x01", icc].concat());
        2
    };
    [&file[..at], &added, &file[at..]].concat()
}

fn sources() -> impl Iterator<Item = (u32, Vec<u8>)> {
    SEEDS.flat_map(|seed| {
        let mut random = Random::new(seed);
        let picture = Picture::random(&mut random);
        [(seed, picture.jpeg(&mut random)), (seed, picture.png(&mut random))]
    })
}

fn optimized(source: &[u8], options: &Options) -> Option<Encoded> {
    match optimize(source, options, Budget::UNLIMITED).unwrap() {
        Outcome::Optimized(encoded) => Some(encoded),
        Outcome::Unchanged(_) => None,
    }
}

#[test]
fn the_target_holds_as_profiles_show_it() {
    let mut lossy = 0;
    for (seed, plain) in sources() {
        for (name, icc) in profiles() {
            let source = with_profile(&plain, &icc);
            let Some(encoded) = optimized(&source, &Options::default()) else { continue };
            let score = score(&source, &encoded.bytes);
            let which = format!("{name}, seed {seed}, {:?}: {score:?}", encoded.method);
            // A profile of colours on gray pixels has no score, and its file loses nothing.
            assert!(encoded.method.is_lossless() || score.unwrap().effective(75.0) >= 75.0, "{which}");
            lossy += usize::from(!encoded.method.is_lossless());
        }
    }
    assert!(lossy > 30, "{lossy}");
}

/// Grain on waves, as dark as linear samples of a photograph's shadows.
fn shadows() -> Picture {
    let (width, height) = (160, 120);
    let mut random = Random::new(1);
    let mut pixel = |i: usize| {
        let wave = 11.0 + 9.0 * ((i % width) as f64 / 11.0).sin() * ((i / width) as f64 / 17.0).cos();
        [0, 2, 4].map(|more| wave as u8 + more + random.below(9) as u8)
    };
    let pixels = (0..width * height).map(&mut pixel).collect();
    Picture { kind: "shadows", width, height, pixels }
}

#[test]
fn linear_shadows_need_more_than_their_samples_score() {
    // A seed that quantizes finely.
    let plain = shadows().jpeg(&mut Random::new(4));
    let source = with_profile(&plain, &linear());
    let as_srgb = optimized(&plain, &Options::default()).unwrap();
    assert!(!as_srgb.method.is_lossless() && as_srgb.score.is_some_and(|score| score >= 75.0));
    let short = score(&source, &with_profile(&as_srgb.bytes, &linear())).unwrap();
    assert!(short.whole < 70.0, "{short:?}, as sRGB {:?}", as_srgb.score);
    let held = optimized(&source, &Options::default());
    assert!(held.is_none_or(|held| score(&source, &held.bytes).unwrap().effective(75.0) >= 75.0));
}

#[test]
fn nothing_is_lost_where_a_profile_is_not_converted() {
    for (seed, plain) in sources() {
        let source = with_profile(&plain, &tables());
        let encoded = optimized(&source, &Options::default());
        assert!(encoded.is_none_or(|encoded| encoded.method.is_lossless()), "{seed}");
        // Nothing is measured where one encode has to do.
        let fast = Options { effort: Effort::Fast, ..Options::default() };
        let source = with_profile(&plain, &linear());
        let is_jpeg = Format::sniff(&source) == Some(Format::Jpeg);
        assert!(!is_jpeg || optimized(&source, &fast).is_none_or(|encoded| encoded.method.is_lossless()), "{seed}");
    }
}

#[test]
fn a_profile_lost_is_a_loss() {
    for (seed, plain) in sources() {
        let adobe = with_profile(&plain, &rgb(&ADOBE_RGB, &gamma(Some(1.0))));
        let same = score(&adobe, &adobe).unwrap();
        assert!(same.whole >= 100.0, "{seed}");
        // Of gray pixels it has no score.
        let bare = score(&adobe, &plain);
        assert!(bare.as_ref().map_or(true, |score| score.whole < 95.0), "{seed}: {bare:?}");
    }
}
