//! The fuzz targets without libFuzzer: each over its seeds, as they are and damaged in a few hundred ways, the same each
//! time.

#[path = "../fuzz/src/lib.rs"]
mod targets;

use std::fs;
use std::path::PathBuf;

use targets::TARGETS;

/// Damaged copies of each seed; libFuzzer itself runs by `make fuzz`.
const MUTATIONS: usize = 200;

/// Numbers without order, the same each time (xorshift, Marsaglia 2003).
struct Random(u32);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 as usize % bound.max(1)
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.below(256) as u8).collect()
    }

    /// A range of at most 64 of so many bytes.
    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length);
        start..length.min(start + 1 + self.below(64))
    }

    fn mutated(&mut self, seed: &[u8]) -> Vec<u8> {
        let mut out = seed.to_vec();
        for _ in 0..=self.below(3) {
            let range = self.range(out.len());
            match self.below(5) {
                _ if out.is_empty() => {}
                0 => out[range.start] ^= 1 << self.below(8),
                1 => out[range.start] = [0, 1, 0x7F, 0x80, 0xFF][self.below(5)],
                2 => out.truncate(range.start),
                3 => {
                    let copy = out[range.clone()].to_vec();
                    out.splice(range.start..range.start, copy);
                }
                _ => drop(out.drain(range)),
            }
        }
        out
    }
}

/// What a target begins with: sample files, or bytes to choose by.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let fixtures = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures")).unwrap();
    let mut paths: Vec<PathBuf> = fixtures.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let of = |extension: &str| {
        let wanted = paths.iter().filter(|path| path.extension().is_some_and(|e| e == extension));
        wanted.map(|path| fs::read(path).unwrap()).collect::<Vec<_>>()
    };
    let mut random = Random(0x9E37_79B9);
    let mut choices = || (1..24).map(|size| random.bytes(size * size)).collect::<Vec<_>>();
    match target {
        "sniff" => ["jpg", "png", "gif", "txt"].into_iter().flat_map(of).collect(),
        "jpeg" => [of("jpg"), choices().iter().map(|choice| targets::small_jpeg(choice)).collect()].concat(),
        "png" => [of("png"), choices().iter().map(|choice| targets::small_png(choice)).collect()].concat(),
        "gif" => of("gif"),
        "webp" => vec![b"RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0\x2f\0\0\0\x10\x07\x10\x11\x11\x88\x88\xfe\x07\0".to_vec()],
        _ => choices(),
    }
}

/// Runs a target; where it fails, the input goes to a file for `cargo fuzz run`.
fn replay(target: &str) {
    let (name, run) = TARGETS.into_iter().find(|(name, _)| *name == target).unwrap();
    let mut random = Random(0x2545_F491);
    for seed in seeds(name) {
        run(&seed);
        for _ in 0..MUTATIONS {
            let input = random.mutated(&seed);
            if std::panic::catch_unwind(|| run(&input)).is_err() {
                let path = std::env::temp_dir().join(format!("karui-fuzz-{name}"));
                fs::write(&path, input).unwrap();
                panic!("the target {name} fails on {}", path.display());
            }
        }
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
