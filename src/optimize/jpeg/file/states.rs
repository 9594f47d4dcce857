//! Tests: what stays of a file under each policy, and the report's word for it.

use super::jpeg_file::JpegFile;
use super::lists::Secondary;
use super::markers::{APP0, APP1, APP2, EXIF_ID, EXTENDED_XMP_ID, MPF_ID, XMP_ID, contains};
use super::segments::Segments;
use super::segments::tests::{jpeg, segment};
use super::splice::assemble;
use super::trailing::Rest;
use crate::optimize::jpeg::libjpeg::encode;
use crate::optimize::jpeg::libjpeg::tests::picture;
use crate::optimize::metadata::ByteOrder;
use crate::optimize::metadata::container::tests::{depth_directory, directory_of};
use crate::optimize::metadata::exif::tests::{apple_block, camera_block};
use crate::optimize::metadata::extended::tests::packets;
use crate::optimize::metadata::xmp::tests::packet;
use crate::optimize::metadata::{apple, exif};
use crate::optimize::{Budget, MetadataPolicy, MetadataState, Options, Outcome, Quality, Reason, Unchanged};
use MetadataPolicy::{All, None as Nothing, Safe};
use MetadataState::{Clean, Kept, Stripped};

const POLICIES: [MetadataPolicy; 3] = [Safe, All, Nothing];
/// Stands in every property that no policy but `all` keeps.
const SECRET: &[u8] = b"latitude";

fn exif_segment() -> Vec<u8> {
    segment(APP1, &[EXIF_ID, &camera_block(ByteOrder::Big)].concat())
}

fn xmp(inside: &str) -> Vec<u8> {
    segment(APP1, &[XMP_ID, &packet(inside)].concat())
}

fn comment() -> Vec<u8> {
    segment(0xFE, SECRET)
}

/// A main packet and an extended packet with this inside.
fn extended(inside: &str, extended: &str) -> Vec<u8> {
    let (main, parts) = packets(inside, &packet(extended), 400);
    let parts = parts.iter().map(|part| segment(APP1, &[EXTENDED_XMP_ID, part].concat()));
    [segment(APP1, &[XMP_ID, &main].concat()), parts.collect::<Vec<_>>().concat()].concat()
}

/// A photograph with these segments, and with JFIF behind them unless they begin with their own.
fn photo(metadata: &[Vec<u8>]) -> Vec<u8> {
    let photo = encode(&picture(96, 80, 2, 2), 2).unwrap();
    let metadata = metadata.concat();
    let jfif = if metadata.starts_with(&[0xFF, APP0]) { 20 } else { 2 };
    [&photo[..2], &metadata, &photo[jfif..]].concat()
}

/// A Multi-Picture index of attributes and size of each image, the primary first, that lie one after the other.
fn index(base: usize, images: &[(u32, usize)]) -> Vec<u8> {
    let long = |value: usize| u32::try_from(value).unwrap().to_be_bytes();
    let mut out = [MPF_ID, b"MM\0*\0\0\0\x08\0\x02\xb0\x01\0\x04\0\0\0\x01", &long(images.len())].concat();
    out.extend([b"\xb0\x02\0\x07", &long(16 * images.len())[..], &long(38), &[0; 4]].concat());
    let mut at = 0;
    for (attributes, size) in images {
        let offset = if at == 0 { 0 } else { at - base };
        out.extend([&attributes.to_be_bytes()[..], &long(*size), &long(offset), &[0; 4]].concat());
        at += size;
    }
    segment(APP2, &out)
}

/// A photograph with an index of these images behind it, and the XMP; then a tail.
fn indexed(metadata: &[Vec<u8>], images: &[(u32, &[u8])], tail: &[u8]) -> Vec<u8> {
    let before = metadata.concat();
    let base = 2 + before.len() + 8;
    let file = |primary| {
        let sizes = images.iter().map(|(attributes, bytes)| (*attributes, bytes.len()));
        let sizes: Vec<_> = std::iter::once((0x2003_0000, primary)).chain(sizes).collect();
        photo(&[before.clone(), index(base, &sizes)])
    };
    let primary = file(file(1 << 20).len());
    let images: Vec<u8> = images.iter().flat_map(|(_, bytes)| *bytes).copied().collect();
    [&primary[..], &images, tail].concat()
}

fn video() -> Vec<u8> {
    [&b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom\0\0\x01\x08mdat"[..], &[0x5A; 256]].concat()
}

fn optimized(file: &[u8], metadata: MetadataPolicy, quality: Quality) -> Outcome {
    crate::optimize::jpeg::optimize(file, &Options { quality, metadata, ..Options::default() }, Budget::UNLIMITED)
        .unwrap()
}

/// What is stored under a policy, the pixels as they are, and the report's word.
fn stored(file: &[u8], policy: MetadataPolicy) -> (Vec<u8>, MetadataState) {
    match optimized(file, policy, Quality::Lossless) {
        Outcome::Optimized(encoded) => (encoded.bytes, encoded.metadata),
        Outcome::Unchanged(unchanged) => (file.to_vec(), unchanged.metadata),
    }
}

fn files<'a>(image: &'a JpegFile<'_>) -> &'a [Secondary<'a>] {
    &image.trailing.listed.files
}

/// Condition, file, and the word under `safe` and `none`; under `all` it is "kept" everywhere.
#[rustfmt::skip]
fn conditions() -> Vec<(&'static str, Vec<u8>, [MetadataState; 2])> {
    let (bare, preview, video) = (photo(&[]), photo(&[exif_segment()]), video());
    let six = segment(APP1, b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0");
    let jumbf = segment(0xEB, b"JP\0\x01\0\0\0\x01\0\0\0\x2cjumb\0\0\0\x1ejumdxml latitude");
    let c2pa = segment(0xEB, b"JP\0\x01\0\0\0\x01\0\0\0\x2cjumb\0\0\0\x1ejumdc2pa");
    let xt = segment(0xEB, b"JP\0\x01\0\0\0\x01\0\0\0\x2cSPEC");
    let jps = |comment: &[u8]| segment(0xE3, &[b"_JPSJPS_\0\x04\x01\x02\0\x01", comment].concat());
    let behind = |tail: &[u8]| [&bare[..], tail].concat();
    let listed = |inside: &str, tail: &[u8]| [&photo(&[xmp(inside)])[..], tail].concat();
    let motion = directory_of(0, &[("MotionPhoto", "video/mp4", video.len(), 0)]);
    let gps = "<rdf:Description exif:GPSLatitude=\"latitude\"/>";
    let image_inside = "<rdf:Description xmlns:GImage=\"http://ns.google.com/photos/1.0/image/\" GImage:Data=\"/9j/\"/>";
    let map = |metadata: &[Vec<u8>]| {
        photo(&[metadata.concat(), xmp("<rdf:Description hdrgm:GainMapMax=\"6\"/>")])
    };
    let arithmetic = |metadata: &[Vec<u8>]| {
        let mut file = jpeg(metadata);
        let at = file.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
        file[at + 1] = 0xC9;
        file
    };
    vec![
        ("nothing", bare.clone(), [Clean, Clean]),
        ("orientation alone", photo(std::slice::from_ref(&six)), [Clean, Clean]),
        ("orientation behind a fill byte", photo(&[[&six[..9], &[0xFF], &six[10..]].concat()]), [Clean, Clean]),
        ("EXIF", preview.clone(), [Stripped, Stripped]),
        ("EXIF that cannot be read", photo(&[segment(APP1, b"Exif\0\0latitude")]), [Stripped, Stripped]),
        ("a comment", photo(&[comment()]), [Stripped, Stripped]),
        ("rights", photo(&[xmp("<rdf:Description dc:rights=\"A\"/>")]), [Clean, Stripped]),
        ("place in XMP", photo(&[xmp(gps)]), [Stripped, Stripped]),
        ("rights in extended XMP", photo(&[extended("", "<rdf:Description dc:rights=\"A\"/>")]), [Clean, Stripped]),
        ("place in extended XMP", photo(&[extended("", gps)]), [Stripped, Stripped]),
        ("extended XMP that nothing promises", photo(&[segment(APP1, &[EXTENDED_XMP_ID, SECRET].concat())]), [Stripped, Stripped]),
        ("an image inside of the XMP", photo(&[xmp(image_inside)]), [Kept, Kept]),
        ("an image inside of the extended XMP", photo(&[extended(gps, image_inside)]), [Kept, Kept]),
        ("JUMBF", photo(&[jumbf]), [Stripped, Stripped]),
        ("C2PA", photo(std::slice::from_ref(&c2pa)), [Kept, Kept]),
        ("JPEG XT", photo(&[xt]), [Clean, Clean]),
        ("unknown APP11", photo(&[segment(0xEB, SECRET)]), [Stripped, Stripped]),
        ("JPS", photo(&[jps(&[0, 0])]), [Clean, Clean]),
        ("JPS with a comment", photo(&[jps(b"\0\x08latitude")]), [Stripped, Stripped]),
        ("a stereo still image", photo(&[segment(0xE3, b"Stim\0\0MM\0*\0\0\0\x08\0\x01\0\x02\0\x03\0\0\0\x01\0\x01\0\0\0\0\0\0")]), [Clean, Clean]),
        ("JFIF with a thumbnail", photo(&[segment(APP0, b"JFIF\0\x01\x01\0\0\x01\0\x01\x01\x01rgb")]), [Stripped, Stripped]),
        ("Apple's mark in JFIF", photo(&[segment(APP0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0AMPF")]), [Stripped, Stripped]),
        ("Apple's mark and images", indexed(&[segment(APP0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0AMPF")], &[(0, &map(&[]))], b""), [Clean, Clean]),
        ("a newline", behind(b"\r\n"), [Clean, Clean]),
        ("zeros and end markers", behind(b"\0\0\xff\xd9\xff\xd9"), [Clean, Clean]),
        ("a preview", behind(&preview), [Stripped, Stripped]),
        ("two previews", behind(&[&preview[..], b"\0", &preview].concat()), [Stripped, Stripped]),
        ("a preview of another first byte", behind(&[&[0x01], &jpeg(&[])[1..]].concat()), [Stripped, Stripped]),
        ("unknown data", behind(b"latitude"), [Kept, Kept]),
        ("unknown data behind EXIF", [&preview[..], b"an archive"].concat(), [Kept, Kept]),
        ("data that name their place", behind(&[SECRET, &u32::try_from(bare.len()).unwrap().to_le_bytes()].concat()), [Kept, Kept]),
        ("a video", listed(&motion, &video), [Kept, Kept]),
        ("a video that the extended XMP lists", [&photo(&[extended("", &motion)])[..], &video].concat(), [Kept, Kept]),
        ("a gain map", indexed(&[], &[(0, &map(&[]))], b""), [Clean, Clean]),
        ("a gain map with EXIF", indexed(&[], &[(0, &map(&[exif_segment()]))], b"\n"), [Stripped, Stripped]),
        ("a gain map with a manifest", indexed(&[], &[(0, &photo(&[c2pa.clone(), comment()]))], b""), [Kept, Kept]),
        ("a large thumbnail", indexed(&[], &[(0x4001_0001, &preview)], b""), [Stripped, Stripped]),
        ("an index of nothing that is there", indexed(&[], &[(0, b"latitude")], b""), [Kept, Kept]),
        ("a depth map", listed(&depth_directory(&[("image/jpeg", bare.len())]), &bare), [Clean, Clean]),
        ("a depth map of another format", listed(&depth_directory(&[("image/png", 8)]), SECRET), [Kept, Kept]),
        ("arithmetic coding", arithmetic(&[]), [Clean, Clean]),
        ("arithmetic coding and EXIF", arithmetic(&[exif_segment()]), [Stripped, Stripped]),
        ("arithmetic coding and a video", [&arithmetic(&[xmp(&motion)])[..], &video].concat(), [Kept, Kept]),
    ]
}

#[test]
fn metadata_state_is_true_in_every_cell() {
    for (condition, file, [safe, none]) in conditions() {
        for (policy, expected) in POLICIES.into_iter().zip([safe, Kept, none]) {
            let (out, state) = stored(&file, policy);
            assert_eq!(state, expected, "{condition}, {policy}");
            let (_, again) = stored(&out, policy);
            let still = if expected == Stripped { Clean } else { expected };
            assert_eq!(again, still, "{condition}, {policy}, again");
            if state != Kept {
                assert!(!contains(&out, SECRET), "{condition}, {policy}");
            }
        }
    }
}

#[test]
fn all_keeps_every_segment_and_all_that_follows() {
    for (condition, file, _) in conditions() {
        let (out, _) = stored(&file, All);
        let (source, new) = (JpegFile::parse(&file).unwrap(), JpegFile::parse(&out).unwrap());
        let kinds = |image: &JpegFile<'_>| {
            let kept = image.image.parts.iter().filter(|part| part.kind().is_some());
            kept.map(|part| (part.marker, part.payload.len())).collect::<Vec<_>>()
        };
        assert_eq!(kinds(&source), kinds(&new), "{condition}");
        assert_eq!(files(&source).len(), files(&new).len(), "{condition}");
        assert_eq!(source.trailing.rest.bytes(), new.trailing.rest.bytes(), "{condition}");
    }
}

#[test]
fn all_keeps_adobes_segment_beside_jfif() {
    let jfif = segment(APP0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0");
    let encoded = photo(std::slice::from_ref(&jfif));
    for (transform, policy, is_kept) in [(1, All, true), (1, Safe, false), (2, All, false)] {
        let adobe = segment(0xEE, &[b"Adobe\0\x64\x80\0\0\0", &[transform][..]].concat());
        let source = photo(&[jfif.clone(), adobe.clone()]);
        let out = assemble(&encoded, &JpegFile::parse(&source).unwrap().filter(policy)).unwrap();
        assert_eq!(contains(&out, &adobe), is_kept, "{transform} {policy:?}");
    }
}

#[test]
fn what_is_padding_stops_no_recompression() {
    let photo = photo(&[]);
    for padding in [&b"\n"[..], b"\r\n \t", &[0; 40], &[0xFF, 0xD9], &[0xFF, 0xD9, 0, 0xFF, b'\n']] {
        for policy in POLICIES {
            let options = Quality::Target(75.0);
            let outcome = optimized(&[&photo[..], padding].concat(), policy, options);
            let Outcome::Optimized(new) = outcome else { panic!("{padding:?}: {outcome:?}") };
            assert!(new.bytes.len() < photo.len() * 9 / 10 && new.bytes.ends_with(&[0xFF, 0xD9]), "{padding:?}");
        }
    }
}

#[test]
fn unknown_data_stay_behind_the_recompressed_image() {
    let photo = photo(&[exif_segment()]);
    let outcome = optimized(&[&photo[..], b"an archive"].concat(), Safe, Quality::Target(75.0));
    let Outcome::Optimized(new) = outcome else { panic!("{outcome:?}") };
    assert!(!new.method.is_lossless() && new.bytes.len() < photo.len() * 9 / 10);
    assert!(new.bytes.ends_with(b"\xff\xd9an archive") && new.metadata == Kept);

    let mut pinned = [&photo[..], b"an archive"].concat();
    pinned.extend(u32::try_from(photo.len()).unwrap().to_le_bytes());
    let outcome = optimized(&pinned, Safe, Quality::Target(75.0));
    assert!(matches!(outcome, Outcome::Unchanged(Unchanged { reason: Reason::TrailingData, .. })), "{outcome:?}");
}

#[test]
fn a_preview_stays_where_the_note_that_names_it_stays() {
    let file = [photo(&[exif_segment()]), photo(&[])].concat();
    let outcome = optimized(&file, All, Quality::Target(75.0));
    assert!(matches!(outcome, Outcome::Unchanged(Unchanged { reason: Reason::TrailingData, .. })), "{outcome:?}");
    let file = [photo(&[comment()]), photo(&[])].concat();
    let Outcome::Optimized(new) = optimized(&file, All, Quality::Target(75.0)) else { panic!("no gain") };
    assert!(new.bytes.ends_with(&photo(&[])) && !new.method.is_lossless());
    assert_eq!(stored(&file, Safe).0, photo(&[]));
}

#[test]
fn lists_that_name_different_files_agree() {
    let map = photo(&[exif_segment(), xmp("<rdf:Description hdrgm:GainMapMax=\"6\"/>")]);
    let (original, depth, video) = (photo(&[exif_segment(), comment()]), photo(&[comment()]), video());
    let items = [
        ("GainMap", "image/jpeg", map.len(), 0),
        ("Original", "image/jpeg", original.len(), 0),
        ("Depth", "image/jpeg", depth.len(), 0),
        ("MotionPhoto", "video/mp4", video.len(), 0),
    ];
    let device = depth_directory(&[("image/jpeg", map.len()), ("image/jpeg", original.len())]);
    for directories in [directory_of(0, &items), [directory_of(0, &items), device].concat()] {
        let tail = [&original[..], &depth, &video].concat();
        let file = indexed(&[exif_segment(), xmp(&directories)], &[(0, &map)], &tail);
        for quality in [Quality::Lossless, Quality::Target(75.0)] {
            let outcome = optimized(&file, Safe, quality);
            let Outcome::Optimized(new) = outcome else { panic!("{outcome:?}") };
            let image = JpegFile::parse(&new.bytes).unwrap();
            let source = JpegFile::parse(&file).unwrap();
            assert_eq!(image.trailing.rest, Rest::Movable(&video));
            assert!(image.trailing.listed.is_at_offsets && image.trailing.listed.is_at_lengths);
            let names = |image: &JpegFile<'_>| {
                let files = files(image).iter();
                files.map(|file| (file.names.entry.map(|entry| entry.number), file.names.items)).collect::<Vec<_>>()
            };
            assert_eq!(names(&image), names(&source));
            assert_eq!(files(&image).len(), 3);
            assert!(!contains(&new.bytes, SECRET) && new.metadata == Kept);
        }
    }
}

#[test]
fn a_wrong_directory_leaves_indexed_images_as_they_are() {
    let map = photo(&[comment()]);
    let wrong = directory_of(0, &[("GainMap", "image/jpeg", 7, 0), ("Depth", "image/jpeg", 9, 0)]);
    let file = indexed(&[exif_segment(), xmp(&wrong)], &[(0, &map)], b"");
    let (out, state) = stored(&file, Safe);
    assert!(out.ends_with(&map) && out.len() < file.len() && state == Kept);
    // As many as the index names: their lengths are set right.
    let wrong = directory_of(0, &[("GainMap", "image/jpeg", 7, 0)]);
    let file = indexed(&[exif_segment(), xmp(&wrong)], &[(0, &map)], b"");
    let (out, state) = stored(&file, Safe);
    assert!(JpegFile::parse(&out).unwrap().trailing.listed.is_at_lengths && state == Stripped);
}

#[test]
fn large_thumbnails_go_and_the_index_is_right() {
    let (eye, preview) = (photo(&[segment(0xEE, b"the other eye")]), photo(&[exif_segment()]));
    let file = indexed(&[], &[(0x4001_0001, &preview), (0x0002_0002, &eye), (0x4001_0002, &preview)], b"");
    for policy in [Safe, Nothing] {
        let (out, _) = stored(&file, policy);
        let image = JpegFile::parse(&out).unwrap();
        assert_eq!(files(&image).len(), 1);
        assert!(image.trailing.listed.is_at_offsets && !contains(&out, SECRET));
        assert_eq!(files(&image)[0].names.entry.map(|entry| entry.number), Some(1));
    }
    let alone = indexed(&[], &[(0x4001_0001, &preview)], b"");
    assert!(!contains(&stored(&alone, Safe).0, MPF_ID));
    let (out, _) = stored(&alone, All);
    assert!(out.ends_with(&preview) && JpegFile::parse(&out).unwrap().trailing.listed.is_at_offsets);
}

#[test]
fn extended_xmp_is_filtered_and_found() {
    let motion = directory_of(0, &[("MotionPhoto", "video/mp4", video().len(), 0)]);
    let rights = "<rdf:Description dc:rights=\"(c) A\" exif:GPSLatitude=\"latitude\"/>";
    let file = [photo(&[extended("", &[rights, &motion].concat())]), video()].concat();
    for (policy, has_rights) in [(Safe, true), (Nothing, false), (All, true)] {
        let (out, _) = stored(&file, policy);
        let image = JpegFile::parse(&out).unwrap();
        let (_, packet) = image.image.extended_xmp().unwrap();
        assert_eq!(contains(&packet, b"(c) A"), has_rights, "{policy}");
        assert_eq!(contains(&out, SECRET), policy == All, "{policy}");
        assert_eq!(image.trailing.rest, Rest::Movable(&video()), "{policy}");
    }
}

#[test]
fn packets_behind_many_of_which_nothing_stays_go() {
    let empty = xmp("<rdf:Description exif:GPSLatitude=\"latitude\"/>");
    let rights = xmp("<rdf:Description dc:rights=\"A\"/>");
    for (count, is_kept) in [(1, true), (15, true), (16, false)] {
        let source = photo(&[vec![empty.clone(); count], vec![rights.clone()]].concat());
        let (file, state) = stored(&source, Safe);
        assert_eq!((contains(&file, b"dc:rights"), state), (is_kept, Stripped), "{count}");
        assert!(!contains(&file, SECRET));
    }
}

#[test]
fn lengths_in_extended_xmp_are_set() {
    let map = photo(&[exif_segment()]);
    let directory = directory_of(0, &[("GainMap", "image/jpeg", map.len(), 0)]);
    let file = [photo(&[extended("", &directory)]), map].concat();
    let (out, state) = stored(&file, Safe);
    let image = JpegFile::parse(&out).unwrap();
    assert_eq!((files(&image).len(), state), (1, Stripped));
    assert!(image.trailing.listed.is_at_lengths && !contains(&out, SECRET));
}

#[test]
fn an_eye_and_sound_inside_of_the_xmp_stay() {
    let file = photo(&[extended(
        "<rdf:Description xmlns:GImage=\"http://ns.google.com/photos/1.0/image/\" GImage:Mime=\"image/jpeg\"/>",
        "<rdf:Description xmlns:GImage=\"http://ns.google.com/photos/1.0/image/\" \
         xmlns:GAudio=\"http://ns.google.com/photos/1.0/audio/\" GImage:Data=\"/9j/right\" GAudio:Data=\"sound\" \
         exif:GPSLatitude=\"latitude\"/>",
    )]);
    for policy in [Safe, Nothing] {
        let (out, state) = stored(&file, policy);
        let (_, packet) = Segments::parse(&out).unwrap().extended_xmp().unwrap();
        assert!(contains(&packet, b"\"/9j/right\"") && contains(&packet, b"\"sound\"") && state == Kept);
        assert!(contains(&out, b"GImage:Mime=\"image/jpeg\"") && !contains(&out, SECRET));
    }
}

#[test]
fn headroom_stays_with_the_gain_map() {
    let apple = segment(APP1, &[EXIF_ID, &apple_block(&apple::tests::note())].concat());
    let map = photo(&[]);
    for policy in [Safe, Nothing] {
        let (out, _) = stored(&indexed(std::slice::from_ref(&apple), &[(0, &map)], b""), policy);
        assert!(contains(&out, b"Apple iOS\0") && !contains(&out, b"secret") && !contains(&out, b"SN1234"));
        let (out, _) = stored(&photo(std::slice::from_ref(&apple)), policy);
        assert!(!contains(&out, b"Apple iOS\0"));
        let alone = indexed(std::slice::from_ref(&apple), &[(0x4001_0001, &map)], b"");
        assert!(!contains(&stored(&alone, policy).0, b"Apple iOS\0"));
    }
}

#[test]
fn orientation_behind_another_fill_byte_stays_and_turns() {
    let block = camera_block(ByteOrder::Little);
    let file = photo(&[segment(APP1, &[b"Exif\0\xff", &block[..]].concat())]);
    for policy in POLICIES {
        let (out, _) = stored(&file, policy);
        let image = Segments::parse(&out).unwrap();
        assert_eq!(image.orientation(), 6, "{policy}");
        assert_eq!(exif::orientation(&block), Some(6));
        assert!(contains(&out, b"Exif\0\xff") && !contains(&out, b"Exif\0\0"));
    }
}

#[test]
fn the_first_orientation_counts_in_whichever_block() {
    let block = |orientation: u8| {
        [b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0", &[orientation][..], &[0; 6]].concat()
    };
    let artist = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x3b\0\x02\0\0\0\x04Ann\0\0\0\0\0";
    let (artist, six, three) = (segment(APP1, artist), segment(APP1, &block(6)), segment(APP1, &block(3)));
    for (blocks, kept) in [
        ([&artist, &six, &three], [2, 1]),
        ([&six, &artist, &three], [1, 1]),
        ([&segment(APP1, b"Exif\0\0"), &six, &three], [1, 1]),
    ] {
        let file = photo(&blocks.map(Clone::clone));
        assert_eq!(Segments::parse(&file).unwrap().orientation(), 6);
        for (policy, blocks) in [Safe, Nothing].into_iter().zip(kept) {
            let (out, _) = stored(&file, policy);
            let image = Segments::parse(&out).unwrap();
            let found = image.parts.iter().filter(|part| part.payload.starts_with(b"Exif\0")).count();
            assert_eq!((image.orientation(), found), (6, blocks), "{policy}");
            assert_eq!(stored(&out, policy), (out.clone(), Clean));
        }
    }
}
