//! The target is a floor: by the whole picture's score, whatever the picture.

use karui::optimize::{Budget, Options, Outcome, Quality, optimize, score};

use super::pictures::Picture;
use super::random::Random;

const PICTURES: u32 = 60;
/// What decoders and metrics differ by.
const ROUNDING: f64 = 0.5;

/// How many of the files became lighter.
fn lighter(encode: fn(&Picture, &mut Random) -> Vec<u8>) -> usize {
    let mut lighter = 0;
    for seed in 1..=PICTURES {
        let mut random = Random::new(seed);
        let picture = Picture::random(&mut random);
        let source = encode(&picture, &mut random);
        let target = 50.0 + random.below(4200) as f64 / 100.0;
        let options = Options { quality: Quality::Target(target), ..Options::default() };
        let Outcome::Optimized(encoded) = optimize(&source, &options, Budget::UNLIMITED).unwrap() else { continue };
        let score = score(&source, &encoded.bytes).unwrap();
        let Picture { kind, width, height, .. } = picture;
        let which = format!("seed {seed}, {kind} of {width} × {height}, {:?}", encoded.method);
        assert!(score.effective(target) >= target - ROUNDING, "{which}: {score:?}, not {target}");
        assert!(encoded.bytes.len() < source.len(), "{which}");
        lighter += 1;
    }
    lighter
}

#[test]
fn a_jpeg_scores_its_target() {
    assert!(lighter(Picture::jpeg) > PICTURES as usize / 2);
}

#[test]
fn a_png_scores_its_target() {
    assert!(lighter(Picture::png) > PICTURES as usize / 2);
}

#[test]
fn threads_change_no_byte() {
    let mut lighter = 0;
    for seed in 1..=PICTURES {
        let mut random = Random::new(seed);
        let source = Picture::random(&mut random).jpeg(&mut random);
        let on = |threads| optimize(&source, &Options::default(), Budget::UNLIMITED.on(threads)).unwrap();
        match [1, 2, 5].map(on) {
            [Outcome::Optimized(one), Outcome::Optimized(two), Outcome::Optimized(five)] => {
                assert!(one.bytes == two.bytes && one.bytes == five.bytes, "seed {seed}");
                assert_eq!([two.score, five.score], [one.score; 2], "seed {seed}");
                lighter += 1;
            }
            [Outcome::Unchanged(_), Outcome::Unchanged(_), Outcome::Unchanged(_)] => {}
            other => panic!("seed {seed}: {other:?}"),
        }
    }
    assert!(lighter > PICTURES as usize / 2);
}
