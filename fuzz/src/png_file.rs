//! PNG files of given samples, written after the specification (PNG, third edition) alone.

use miniz_oxide::deflate::compress_to_vec_zlib;

use super::bytes::Bytes;

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Adam7's passes (PNG, 8.1): first column and row, and the steps to the next ones.
const PASSES: [[usize; 4]; 7] =
    [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2]];
/// Colour types, each with a bit depth it allows (PNG, table 12).
#[rustfmt::skip]
const KINDS: [(u8, u8); 15] = [
    (6, 8), (2, 8), (3, 8), (4, 8), (0, 8), (0, 1), (0, 2), (0, 4), (3, 1), (3, 2), (3, 4), (0, 16), (2, 16), (4, 16), (6, 16),
];

/// A picture to write.
#[derive(Debug, Clone)]
pub struct Png {
    /// Pixels.
    pub width: usize,
    pub height: usize,
    /// Colour type and bit depth.
    pub kind: (u8, u8),
    pub interlaced: bool,
    /// Chunks between IHDR and the pixels, palette included.
    pub before: Vec<([u8; 4], Vec<u8>)>,
    /// Further frames of an animation, each as large as the picture.
    pub frames: Vec<Vec<u8>>,
    /// Filtered rows, each with its filter's number before it.
    pub samples: Vec<u8>,
    pub after: Vec<([u8; 4], Vec<u8>)>,
}

impl Png {
    /// A black picture.
    #[must_use]
    pub fn blank(width: usize, height: usize, kind: (u8, u8)) -> Self {
        let (before, frames, after) = (Vec::new(), Vec::new(), Vec::new());
        let image = Self { width, height, kind, interlaced: false, before, frames, samples: Vec::new(), after };
        Self { samples: vec![0; image.rows().iter().map(|bytes| bytes + 1).sum()], ..image }
    }

    /// Up to 64 pixels each way.
    pub fn of(bytes: &mut Bytes<'_>) -> Self {
        let (width, height) = (bytes.below(64) + 1, bytes.below(64) + 1);
        let mut image = Self::blank(width, height, bytes.one_of(&KINDS));
        image.interlaced = bytes.flag();
        for _ in 0..bytes.below(4) {
            let kind = bytes.one_of(&[b"gAMA", b"sBIT", b"bKGD", b"cICP", b"sRGB", b"eXIf", b"pHYs", b"hIST", b"cHRM"]);
            let length = bytes.below(32);
            image.before.push((*kind, bytes.take(length).to_vec()));
        }
        if image.kind.0 == 3 || bytes.below(8) == 0 {
            let colors = (bytes.below(256) + 1).min(1 << image.kind.1.min(8));
            image.before.push((*b"PLTE", (0..3 * colors).map(|_| bytes.byte()).collect()));
        }
        if bytes.flag() {
            let length = bytes.below(8);
            image.before.push((*b"tRNS", bytes.take(length).to_vec()));
        }
        let frames = bytes.below(16).saturating_sub(12);
        image.samples = image.samples_of(bytes);
        image.frames = (0..frames).map(|_| image.samples_of(bytes)).collect();
        image
    }

    /// Rows of the fuzzer's bytes, again and again where they do not suffice.
    fn samples_of(&self, bytes: &mut Bytes<'_>) -> Vec<u8> {
        let length = bytes.word();
        let pattern = bytes.take(length.into());
        let mut pattern = pattern.iter().copied().cycle();
        let mut next = || pattern.next().unwrap_or_default();
        let mut samples = Vec::new();
        for row in self.rows() {
            samples.push(next() % 5);
            samples.extend((0..row).map(|_| next()));
        }
        samples
    }

    /// Bytes of each row, of each pass.
    fn rows(&self) -> Vec<usize> {
        let samples = match self.kind.0 {
            0 | 3 => 1,
            4 => 2,
            2 => 3,
            _ => 4,
        };
        let bytes = |pixels: usize| (pixels * samples * usize::from(self.kind.1)).div_ceil(8);
        let passes = if self.interlaced { &PASSES[..] } else { &[[0, 0, 1, 1]] };
        let rows = |&[x, y, dx, dy]: &[usize; 4]| {
            let (columns, rows) =
                (self.width.saturating_sub(x).div_ceil(dx), self.height.saturating_sub(y).div_ceil(dy));
            std::iter::repeat_n(bytes(columns), if columns == 0 { 0 } else { rows })
        };
        passes.iter().flat_map(rows).collect()
    }

    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let size = [(self.width as u32).to_be_bytes(), (self.height as u32).to_be_bytes()].concat();
        let (color, depth) = self.kind;
        let header = [&size[..], &[depth, color, 0, 0, u8::from(self.interlaced)]].concat();
        let mut out = SIGNATURE.to_vec();
        chunk(&mut out, *b"IHDR", &header);
        if !self.frames.is_empty() {
            chunk(&mut out, *b"acTL", &[(self.frames.len() as u32 + 1).to_be_bytes(), [0; 4]].concat());
        }
        for (kind, data) in &self.before {
            chunk(&mut out, *kind, data);
        }
        if !self.frames.is_empty() {
            frame_control(&mut out, 0, &size);
        }
        chunk(&mut out, *b"IDAT", &compress_to_vec_zlib(&self.samples, 1));
        for (number, frame) in (1_u32..).zip(&self.frames) {
            // Control and data of each frame are numbered in one sequence.
            frame_control(&mut out, 2 * number - 1, &size);
            let data = [&(2 * number).to_be_bytes()[..], &compress_to_vec_zlib(frame, 1)].concat();
            chunk(&mut out, *b"fdAT", &data);
        }
        for (kind, data) in &self.after {
            chunk(&mut out, *kind, data);
        }
        chunk(&mut out, *b"IEND", b"");
        out
    }
}

fn frame_control(out: &mut Vec<u8>, sequence: u32, size: &[u8]) {
    let rest = [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 10, 0, 0];
    chunk(out, *b"fcTL", &[&sequence.to_be_bytes(), size, &rest[..]].concat());
}

pub fn chunk(out: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) {
    out.extend((data.len() as u32).to_be_bytes());
    out.extend(kind);
    out.extend_from_slice(data);
    out.extend(crc32fast::hash(&[&kind, data].concat()).to_be_bytes());
}

/// The file with the checksum of every chunk set right, as far as chunks can be told.
#[must_use]
pub fn with_checksums(file: &[u8]) -> Vec<u8> {
    let mut out = file.to_vec();
    let mut at = SIGNATURE.len();
    while let Some(&length) = out.get(at..).and_then(<[u8]>::first_chunk) {
        let end = at + 8 + u32::from_be_bytes(length) as usize;
        let Some(sum) = out.get(at + 4..end).map(crc32fast::hash) else { break };
        let Some(stored) = out.get_mut(end..end + 4) else { break };
        stored.copy_from_slice(&sum.to_be_bytes());
        at = end + 4;
    }
    out
}
