//! What the report says of metadata, and what stays of a picture's own chunks, whichever way wins.

use super::chunks::tests::file;
use super::*;
use crate::optimize::metadata::ByteOrder;
use crate::optimize::metadata::exif::tests::camera_block;
use crate::optimize::{MetadataPolicy, MetadataState, Unchanged};
use MetadataPolicy::{All, None as Nothing, Safe};
use MetadataState::{Clean, Kept as Stays, Stripped};

const SIDE: u32 = 64;
/// Where an archive of no member says that its directory ends behind its end record.
const ANCHORED: &[u8] = b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\x10\0\0\0\0";

/// Waves with grain, of this colour type and 8 bits; red is the same as the others where there is one sample.
fn rows(color: u8) -> Vec<u8> {
    let samples = |x: u32, y: u32| {
        let grain = ((x * 31 + y * 977).wrapping_mul(2_654_435_761) >> 28) as u8;
        let wave = |at: u32| (110.0 + 90.0 * (f64::from(at) / 19.0).sin()) as u8;
        let [r, g, b] = [wave(x) + grain, wave(y) + grain, wave(x + y)];
        match color {
            0 => vec![r],
            2 => vec![r, g, b],
            _ => vec![r, g, b, if x < 32 { 255 } else { 90 }],
        }
    };
    (0..SIDE).flat_map(|y| std::iter::once(0).chain((0..SIDE).flat_map(move |x| samples(x, y)))).collect()
}

/// A picture with these chunks before its pixels, hardly packed, and this behind its end.
fn picture(color: u8, chunks: &[(&[u8; 4], &[u8])], behind: &[u8]) -> Vec<u8> {
    let header = [&SIDE.to_be_bytes()[..], &SIDE.to_be_bytes(), &[8, color, 0, 0, 0]].concat();
    let pixels = miniz_oxide::deflate::compress_to_vec_zlib(&rows(color), 1);
    let parts = [&[(b"IHDR", &header[..])], chunks, &[(b"IDAT", &pixels), (b"IEND", b"")]].concat();
    [&file(&parts), behind].concat()
}

fn run(source: &[u8], metadata: MetadataPolicy, quality: Quality, effort: Effort) -> Outcome {
    let options = Options { quality, metadata, effort, ..Options::default() };
    optimize(source, &options, Budget::UNLIMITED).unwrap()
}

fn stored(source: &[u8], metadata: MetadataPolicy, quality: Quality) -> Vec<u8> {
    match run(source, metadata, quality, Effort::Default) {
        Outcome::Optimized(encoded) => encoded.bytes,
        Outcome::Unchanged(unchanged) => panic!("{unchanged:?}"),
    }
}

fn holds(file: &[u8], text: &[u8]) -> bool {
    file.windows(text.len()).any(|window| window == text)
}

/// A condition: what it is, the file, a part that may be missed, and what the report has to say.
type Row<'a> = (&'a str, Vec<u8>, &'a [u8], [MetadataState; 3]);

#[test]
fn the_metadata_state_is_true_for_each_policy() {
    let camera = camera_block(ByteOrder::Big);
    // States under safe, all and none.
    let rgb = |chunks: &[(&[u8; 4], &[u8])], behind: &[u8]| picture(2, chunks, behind);
    let table: [Row<'_>; 16] = [
        ("nothing", rgb(&[], b""), b"IDAT", [Clean, Stays, Clean]),
        ("a comment", rgb(&[(b"tEXt", b"Comment\0Paris")], b""), b"Paris", [Stripped, Stays, Stripped]),
        ("an author", rgb(&[(b"tEXt", b"Author\0Anna")], b""), b"Anna", [Clean, Stays, Stripped]),
        ("a place", rgb(&[(b"eXIf", &camera)], b""), b"latitude", [Stripped, Stays, Stripped]),
        ("density", rgb(&[(b"pHYs", &[0; 9])], b""), b"pHYs", [Clean, Stays, Stripped]),
        ("a time", rgb(&[(b"tIME", &[0; 7])], b""), b"tIME", [Stripped, Stays, Stripped]),
        ("a palette for others", rgb(&[(b"sPLT", b"own")], b""), b"sPLT", [Stripped, Stays, Stripped]),
        ("private, safe to copy", rgb(&[(b"prIv", b"own")], b""), b"own", [Stripped, Stays, Stripped]),
        ("private, unsafe to copy", rgb(&[(b"mkBS", b"own")], b""), b"own", [Stripped, Stays, Stripped]),
        ("JUMBF", rgb(&[(b"caBX", b"jumbjumdother")], b""), b"jumdother", [Stripped, Stays, Stripped]),
        ("a background", rgb(&[(b"bKGD", &[0; 6]), (b"mDCv", b"own")], b""), b"mDCv", [Clean, Stays, Clean]),
        ("a signature", rgb(&[(b"caBX", b"jumbjumdc2pa")], b""), b"c2pa", [Stays; 3]),
        ("padding", rgb(&[], b"\n"), b"IDAT", [Clean, Stays, Clean]),
        ("padding and a comment", rgb(&[(b"tEXt", b"Comment\0Paris")], b"\0\n"), b"Paris", [Stripped, Stays, Stripped]),
        ("unknown data behind", rgb(&[(b"tEXt", b"Comment\0Paris")], b"a maker's"), b"a maker's", [Stays; 3]),
        ("an archive that must not move", rgb(&[], ANCHORED), ANCHORED, [Stays; 3]),
    ];
    for (what, source, part, states) in &table {
        for (policy, state) in [Safe, All, Nothing].into_iter().zip(states) {
            for quality in [Quality::DEFAULT, Quality::Lossless] {
                for effort in [Effort::Default, Effort::Fast] {
                    let outcome = run(source, policy, quality, effort);
                    let (bytes, found) = match &outcome {
                        Outcome::Optimized(encoded) => (&encoded.bytes, encoded.metadata),
                        Outcome::Unchanged(Unchanged { metadata, .. }) => (source, *metadata),
                    };
                    assert_eq!(found, *state, "{what}, {policy}, {quality}");
                    assert_eq!(holds(bytes, part), *state != Stripped, "{what}, {policy}, {quality}");
                    let is_left = matches!(outcome, Outcome::Unchanged(_));
                    assert_eq!(
                        is_left,
                        what.contains("signature") || what.contains("must not move"),
                        "{what}, {policy}"
                    );
                }
            }
        }
    }
}

#[test]
fn what_follows_stays_behind_the_smaller_file() {
    for quality in [Quality::DEFAULT, Quality::Lossless] {
        let plain = stored(&picture(2, &[], b""), Safe, quality);
        let padding: [&[u8]; 4] = [b"\n", &[0; 500], &[0xFF; 3], b"\0\0\0\0IEND\xAE\x42\x60\x82\r\n"];
        for behind in padding {
            assert_eq!(stored(&picture(2, &[], behind), Safe, quality), plain);
        }
        let followed = stored(&picture(2, &[(b"tEXt", b"Comment\0Paris")], b"\na maker's own"), Safe, quality);
        assert_eq!(followed, [&plain, &b"\na maker's own"[..]].concat());
    }
    let Outcome::Unchanged(left) = run(&picture(2, &[], ANCHORED), Safe, Quality::DEFAULT, Effort::Default) else {
        panic!("moved")
    };
    assert_eq!(left.reason, Reason::TrailingData);
}

#[test]
fn a_background_is_kept_by_every_way() {
    for (color, background) in [(0, &[0, 7][..]), (2, &[0, 10, 0, 200, 0, 30]), (6, &[0, 10, 0, 200, 0, 30])] {
        let source = picture(
            color,
            &[(b"bKGD", background), (b"sBIT", &[7, 8, 8, 8][..[1, 0, 3, 0, 0, 0, 4][color as usize]])],
            b"",
        );
        for quality in [Quality::Target(40.0), Quality::DEFAULT, Quality::Lossless] {
            for policy in [Safe, All, Nothing] {
                let bytes = stored(&source, policy, quality);
                let chunks = Chunks::parse(&bytes).unwrap();
                assert!(chunks.data(*b"bKGD").is_some() && chunks.data(*b"sBIT").is_some());
                png::Decoder::new(std::io::Cursor::new(&bytes)).read_info().unwrap();
            }
        }
    }
    // All gray, but for its background: no gray file could name it.
    let grays: Vec<u8> = rows(0)
        .chunks(SIDE as usize + 1)
        .flat_map(|row| std::iter::once(0).chain(row[1..].iter().flat_map(|gray| [*gray; 3])))
        .collect();
    let header = [&SIDE.to_be_bytes()[..], &SIDE.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    let pixels = miniz_oxide::deflate::compress_to_vec_zlib(&grays, 1);
    let orange = [0, 250, 0, 120, 0, 0];
    let source = file(&[(b"IHDR", &header), (b"bKGD", &orange), (b"IDAT", &pixels), (b"IEND", b"")]);
    for quality in [Quality::Target(30.0), Quality::DEFAULT, Quality::Lossless] {
        let bytes = stored(&source, Safe, quality);
        let chunks = Chunks::parse(&bytes).unwrap();
        assert!(!chunks.header.color.is_gray());
        match chunks.data(*b"bKGD").unwrap() {
            &[index] => assert_eq!(chunks.data(*b"PLTE").unwrap()[usize::from(index) * 3..][..3], [250, 120, 0]),
            samples => assert_eq!(samples, orange),
        }
    }
}

#[test]
fn private_chunks_that_are_unsafe_pin_the_pixels() {
    let private: &[(&[u8; 4], &[u8])] = &[(b"prIv", b"safe"), (b"mkBS", b"unsafe"), (b"iDOT", &[0; 28])];
    let source = picture(6, private, b"");
    let Outcome::Optimized(encoded) = run(&source, All, Quality::DEFAULT, Effort::Default) else { panic!("left") };
    assert_eq!(encoded.method, Method::PngLossless);
    let (before, after) = (Chunks::parse(&source).unwrap(), Chunks::parse(&encoded.bytes).unwrap());
    assert_eq!((before.header, before.data(*b"mkBS")), (after.header, after.data(*b"mkBS")));
    // An index of the coded pixels as they were.
    assert_eq!(after.data(*b"iDOT"), None);
    let safe = picture(6, &private[..1], b"");
    let Outcome::Optimized(encoded) = run(&safe, All, Quality::DEFAULT, Effort::Default) else { panic!("left") };
    assert!(!encoded.method.is_lossless() && holds(&encoded.bytes, b"safe"));
}

#[test]
fn a_wrong_sum_of_zlib_is_damage_in_every_mode() {
    let palette: &[(&[u8; 4], &[u8])] = &[(b"PLTE", &[7; 768])];
    let animation: &[(&[u8; 4], &[u8])] = &[(b"acTL", &[0, 0, 0, 1, 0, 0, 0, 0])];
    for (color, chunks) in [(2, &[][..]), (0, &[]), (3, palette), (2, animation)] {
        let header = [&SIDE.to_be_bytes()[..], &SIDE.to_be_bytes(), &[8, color, 0, 0, 0]].concat();
        let build = |wrong: u8| {
            let mut pixels = miniz_oxide::deflate::compress_to_vec_zlib(&rows(color % 3), 1);
            *pixels.last_mut().unwrap() ^= wrong;
            let comment: &[(&[u8; 4], &[u8])] = &[(b"tEXt", b"Comment\0Paris")];
            file(&[&[(b"IHDR", &header[..])], chunks, comment, &[(b"IDAT", &pixels), (b"IEND", b"")]].concat())
        };
        for quality in [Quality::DEFAULT, Quality::Lossless] {
            for effort in [Effort::Default, Effort::Fast] {
                for budget in [Budget::UNLIMITED, Budget::lasting(Duration::ZERO)] {
                    let options = Options { quality, effort, ..Options::default() };
                    assert!(optimize(&build(0), &options, budget).is_ok(), "{color}");
                    let error = optimize(&build(1), &options, budget);
                    assert!(matches!(error, Err(ImageError::Malformed { .. })), "{color}: {error:?}");
                }
            }
        }
    }
}
