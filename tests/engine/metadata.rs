//! Metadata under each policy: everything under `all`; orientation and colour profile under every one.

use karui::optimize::{Budget, MetadataPolicy, Options, Outcome, Quality, optimize};

use super::random::Random;
use super::targets::jpeg_file::{Jpeg, jfif};
use super::targets::metadata_file::video;
use super::targets::png_file::Png;

const FILES: u32 = 150;
const ICC: &[u8] = b"ICC_PROFILE\0";

type Part = (Vec<u8>, Vec<u8>);

/// The file as the engine stores it under a policy, its pixels as they are.
fn optimized(source: &[u8], metadata: MetadataPolicy) -> Vec<u8> {
    let options = Options { quality: Quality::Lossless, metadata, min_savings: 0.0, ..Options::default() };
    match optimize(source, &options, Budget::UNLIMITED).unwrap() {
        Outcome::Optimized(encoded) => encoded.bytes,
        Outcome::Unchanged(_) => source.to_vec(),
    }
}

/// A block of EXIF with this orientation among other tags, in either byte order.
fn exif(random: &mut Random, orientation: u16) -> Vec<u8> {
    let big = random.below(2) == 1;
    let word = |value: u16| if big { value.to_be_bytes() } else { value.to_le_bytes() };
    let long = |value: u32| if big { value.to_be_bytes() } else { value.to_le_bytes() };
    let mut out = if big { b"MM\0*\0\0\0\x08".to_vec() } else { b"II*\0\x08\0\0\0".to_vec() };
    // Camera, orientation, density's unit, artist: tags in ascending order (TIFF 6.0, section 2).
    let mut tags = vec![0x010F, 0x0112, 0x0128, 0x013B];
    tags.retain(|tag| *tag == 0x0112 || random.below(2) == 1);
    out.extend(word(tags.len() as u16));
    for tag in tags {
        out.extend(word(tag));
        match tag {
            0x010F | 0x013B => out.extend([&word(2)[..], &long(4), b"Ana\0"].concat()),
            0x0112 => out.extend([&word(3)[..], &long(1), &word(orientation), &[0, 0]].concat()),
            _ => out.extend([&word(3)[..], &long(1), &word(2), &[0, 0]].concat()),
        }
    }
    out.extend(long(0));
    out.extend(random.some_bytes(40));
    out
}

/// The value of tag 274, wherever it stands, read without the engine.
fn orientation(exif: &[u8]) -> Option<u16> {
    let big = exif.starts_with(b"MM");
    let entry: &[u8] = if big { &[0x01, 0x12, 0, 3, 0, 0, 0, 1] } else { &[0x12, 0x01, 3, 0, 1, 0, 0, 0] };
    let at = exif.windows(entry.len()).position(|bytes| bytes == entry)? + entry.len();
    let value = *exif.get(at..)?.first_chunk()?;
    Some(if big { u16::from_be_bytes(value) } else { u16::from_le_bytes(value) })
}

/// The segments between SOI and the first table or frame.
fn jpeg_parts(file: &[u8]) -> Vec<Part> {
    let (mut at, mut parts) = (2, Vec::new());
    while matches!(file[at + 1], 0xE0..=0xEF | 0xFE) {
        let end = at + 2 + usize::from(u16::from_be_bytes([file[at + 2], file[at + 3]]));
        parts.push((vec![file[at + 1]], file[at + 4..end].to_vec()));
        at = end;
    }
    parts
}

/// Every chunk.
fn png_parts(file: &[u8]) -> Vec<Part> {
    let (mut at, mut parts) = (8, Vec::new());
    while at < file.len() {
        let length = u32::from_be_bytes([file[at], file[at + 1], file[at + 2], file[at + 3]]) as usize;
        parts.push((file[at + 4..at + 8].to_vec(), file[at + 8..at + 8 + length].to_vec()));
        at += 12 + length;
    }
    parts
}

/// The profile in a chunk, whatever its name and compression.
fn inflated(chunk: &[u8]) -> Vec<u8> {
    let name = chunk.iter().position(|byte| *byte == 0).unwrap();
    miniz_oxide::inflate::decompress_to_vec_zlib(&chunk[name + 2..]).unwrap()
}

fn jpeg(metadata: Vec<(u8, Vec<u8>)>) -> Vec<u8> {
    let mut file = Jpeg::blank(24, 17, &[(1, 1)], [8; 64]);
    file.components[0].blocks[1][0] = 50;
    file.metadata = metadata;
    file.write()
}

fn png(before: Vec<([u8; 4], Vec<u8>)>) -> Vec<u8> {
    let mut file = Png::blank(24, 17, (0, 8));
    file.samples[3..9].copy_from_slice(b"stroke");
    file.before = before;
    file.write()
}

#[test]
fn all_keeps_every_segment_of_a_jpeg() {
    for seed in 1..=FILES {
        let random = &mut Random::new(seed);
        let mut metadata = vec![jfif()];
        for _ in 0..random.below(6) {
            let noise = random.some_bytes(300);
            metadata.push(match random.below(7) {
                0 => (0xE1, [b"Exif\0\0", &exif(random, 6)[..]].concat()),
                1 => (0xE1, [b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta", &noise[..]].concat()),
                2 => (0xED, [b"Photoshop 3.0\x008BIM", &noise[..]].concat()),
                3 => (0xE2, [ICC, &noise[..]].concat()),
                4 => (0xFE, noise),
                5 => (0xE3 + random.below(8) as u8, [b"Meta\0", &noise[..]].concat()),
                _ => (0xE1, [b"Exif\0\0", &noise[..]].concat()),
            });
        }
        let source = jpeg(metadata);
        assert_eq!(jpeg_parts(&optimized(&source, MetadataPolicy::All)), jpeg_parts(&source), "seed {seed}");
    }
}

#[test]
fn all_keeps_every_chunk_of_a_png() {
    for seed in 1..=FILES {
        let random = &mut Random::new(seed);
        let kinds = [b"tEXt", b"iTXt", b"zTXt", b"eXIf", b"pHYs", b"tIME", b"gAMA", b"prVt"];
        let mut before = Vec::new();
        for _ in 0..random.below(6) {
            let noise = random.some_bytes(300);
            before.push((*random.one_of(&kinds), [b"Title\0\0\0\0\0", &noise[..]].concat()));
        }
        let source = png(before);
        let ancillary = |file: &[u8]| {
            let parts = png_parts(file).into_iter();
            parts.filter(|(kind, _)| kind[0].is_ascii_lowercase() && kind != b"tRNS").collect::<Vec<_>>()
        };
        assert_eq!(ancillary(&optimized(&source, MetadataPolicy::All)), ancillary(&source), "seed {seed}");
    }
}

#[test]
fn orientation_and_profile_survive_every_policy() {
    for seed in 1..=FILES {
        let random = &mut Random::new(seed);
        let turned = random.below(8) as u16 + 1;
        let exif = exif(random, turned);
        let profile = [1, 2].map(|part| [ICC, &[part, 2], &random.some_bytes(200)[..]].concat());
        let segments = [
            (0xE1, [b"Exif\0\0", &exif[..]].concat()),
            (0xFE, random.bytes(20)),
            (0xE2, profile[0].clone()),
            (0xE2, profile[1].clone()),
        ];
        let jpeg = jpeg([vec![jfif()], segments.to_vec()].concat());
        let deflated = miniz_oxide::deflate::compress_to_vec_zlib(&random.bytes(200), 1);
        let icc = [b"profile\0\0", &deflated[..]].concat();
        let png = png(vec![(*b"iCCP", icc.clone()), (*b"tEXt", b"Comment\0x".to_vec()), (*b"eXIf", exif)]);
        for policy in [MetadataPolicy::Safe, MetadataPolicy::None, MetadataPolicy::All] {
            let parts = jpeg_parts(&optimized(&jpeg, policy));
            let kept: Vec<_> = parts.iter().filter(|(marker, _)| marker[0] == 0xE2).map(|(_, data)| data).collect();
            assert_eq!(kept, [&profile[0], &profile[1]], "seed {seed}, {policy}");
            let found =
                parts.iter().find(|(_, data)| data.starts_with(b"Exif\0\0")).and_then(|p| orientation(&p.1[6..]));
            assert_eq!(found, Some(turned), "seed {seed}, {policy}");
            assert_eq!(parts.iter().any(|p| p.0 == [0xFE]), policy == MetadataPolicy::All, "seed {seed}, {policy}");

            let parts = png_parts(&optimized(&png, policy));
            let data = |kind: &[u8]| parts.iter().find(|part| part.0 == kind).map(|part| &part.1);
            let kept = data(b"iCCP").map(|data| inflated(data));
            assert_eq!(kept, Some(inflated(&icc)), "seed {seed}, {policy}");
            assert_eq!(data(b"eXIf").and_then(|exif| orientation(exif)), Some(turned), "seed {seed}, {policy}");
            assert_eq!(data(b"tEXt").is_some(), policy == MetadataPolicy::All, "seed {seed}, {policy}");
        }
    }
}

#[test]
fn a_video_survives_every_policy_and_is_still_found() {
    for seed in 1..=FILES {
        let random = &mut Random::new(seed);
        let mut file = Jpeg::blank(24, 17, &[(1, 1)], [8; 64]);
        file.components[0].blocks[1][0] = 50;
        file.metadata = vec![(0xE1, [b"Exif\0\0", &exif(random, 3)[..]].concat()), (0xFE, random.bytes(40))];
        let tail = video(&mut file, seed as u8, &random.some_bytes(2000));
        let source = [file.write(), tail.clone()].concat();
        for policy in [MetadataPolicy::Safe, MetadataPolicy::None, MetadataPolicy::All] {
            let new = optimized(&source, policy);
            assert!(new.len() < source.len() && new.ends_with(&tail), "seed {seed}, {policy}");
            let packets = |file: &[u8]| jpeg_parts(file).into_iter().filter(|part| part.1.starts_with(b"http")).count();
            assert_eq!(packets(&new), packets(&source), "seed {seed}, {policy}");
        }
    }
}
