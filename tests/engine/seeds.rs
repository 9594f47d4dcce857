//! The fuzz targets without libFuzzer: each over its seeds, as they are and damaged in a few hundred ways.

use std::fs;
use std::path::{Path, PathBuf};

use super::random::Random;
use super::targets::{self, TARGETS};

/// Damaged copies of each seed; libFuzzer itself runs by `make fuzz`.
const MUTATIONS: usize = 200;
/// Where to put the seeds that are made here, for libFuzzer to begin with; each target has a folder.
const SEEDS: &str = "KARUI_TEST_FUZZ_SEEDS";

fn mutated(random: &mut Random, seed: &[u8]) -> Vec<u8> {
    let mut out = seed.to_vec();
    for _ in 0..=random.below(3) {
        let start = random.below(out.len());
        let range = start..out.len().min(start + 1 + random.below(64));
        match random.below(5) {
            _ if out.is_empty() => {}
            0 => out[start] ^= 1 << random.below(8),
            1 => out[start] = random.one_of(&[0, 1, 0x7F, 0x80, 0xFF]),
            2 => out.truncate(start),
            3 => {
                let copy = out[range].to_vec();
                out.splice(start..start, copy);
            }
            _ => drop(out.drain(range)),
        }
    }
    out
}

/// Files that stand in the repository.
fn samples(target: &str) -> Vec<Vec<u8>> {
    let extensions: &[&str] = match target {
        "sniff" => &["jpg", "png", "gif", "txt"],
        "jpeg" => &["jpg"],
        "png" => &["png"],
        "gif" => &["gif"],
        _ => return Vec::new(),
    };
    let fixtures = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures")).unwrap();
    let mut paths: Vec<PathBuf> = fixtures.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let wanted = |path: &&PathBuf| path.extension().is_some_and(|e| extensions.iter().any(|wanted| e == *wanted));
    paths.iter().filter(wanted).map(|path| fs::read(path).unwrap()).collect()
}

/// Seeds made by code: files, or bytes to choose by.
fn made(target: &str) -> Vec<Vec<u8>> {
    let mut random = Random::new(1);
    let choices = (1..24).step_by(2).map(|size| random.bytes(size * size)).collect::<Vec<_>>();
    match target {
        "jpeg" => {
            let photos = choices.iter().map(|choice| targets::small_jpeg(choice));
            photos.chain(choices[..6].iter().map(|choice| targets::small_motion_photo(choice))).collect()
        }
        "png" => choices.iter().map(|choice| targets::small_png(choice)).collect(),
        "gif" => choices.iter().map(|choice| targets::small_gif(choice)).collect(),
        "webp" => choices.iter().map(|choice| targets::small_webp(choice)).collect(),
        "sniff" => Vec::new(),
        "metadata" => [choices, jpeg_structures()].concat(),
        _ => choices,
    }
}

/// What chooses the structures of JPEG that random bytes hit too rarely: extended XMP, layout markers, boxes, further
/// images of every list, and none.
fn jpeg_structures() -> Vec<Vec<u8>> {
    let block = |kind: u8, own: &[u8]| [&[kind][..], &(own.len() as u16).to_be_bytes(), own].concat();
    let rights = b"<rdf:Description xmlns:dc='http://purl.org/dc/elements/1.1/' dc:rights='A' dc:subject='B'/>";
    let kinds = [0x84, 0x94, 0x3B, 0xBB, 0x0E, 0x1E, 0x2E, 0x3E, 0x7E, 0x0D, 0x8D, 0xDD];
    let (even, odd) = (&rights[..], &rights[..rights.len() - 1]);
    let singles = kinds.iter().flat_map(|kind| [even, odd].map(|own| [&[0][..], &block(*kind, own)].concat()));
    let pairs = kinds.iter().zip(kinds.iter().rev());
    let pairs = pairs.map(|(one, two)| [&[0][..], &block(*one, odd), &block(*two, even)].concat());
    singles.chain(pairs).collect()
}

/// Runs a target; where it fails, the input goes to a file for `cargo fuzz run`.
fn replay(target: &str) {
    let (name, run) = TARGETS.into_iter().find(|(name, _)| *name == target).unwrap();
    let mut random = Random::new(2);
    let made = made(name);
    if let Some(folder) = std::env::var_os(SEEDS) {
        write(&Path::new(&folder).join(name), &made);
    }
    for seed in [samples(name), made].concat() {
        run(&seed);
        for _ in 0..MUTATIONS {
            let input = mutated(&mut random, &seed);
            if std::panic::catch_unwind(|| run(&input)).is_err() {
                let path = std::env::temp_dir().join(format!("karui-fuzz-{name}"));
                fs::write(&path, input).unwrap();
                panic!("the target {name} fails on {}", path.display());
            }
        }
    }
}

fn write(folder: &Path, seeds: &[Vec<u8>]) {
    fs::create_dir_all(folder).unwrap();
    for (number, seed) in seeds.iter().enumerate() {
        fs::write(folder.join(format!("made-{number}")), seed).unwrap();
    }
}

#[test]
fn sniff() {
    replay("sniff");
}

#[test]
fn jpeg() {
    replay("jpeg");
}

#[test]
fn jpeg_coefficients() {
    replay("jpeg_coefficients");
}

#[test]
fn png() {
    replay("png");
}

#[test]
fn png_pixels() {
    replay("png_pixels");
}

#[test]
fn gif() {
    replay("gif");
}

#[test]
fn webp() {
    replay("webp");
}

#[test]
fn metadata() {
    replay("metadata");
}
