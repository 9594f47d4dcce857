//! A PNG file taken apart into chunks, and those that the policy keeps.
//!
//! Verifies structure and checksums (PNG 3rd edition, clause 5); never decodes pixels. What stands inside of text
//! chunks is for `text`.

use std::borrow::Cow;

use super::text;
use crate::optimize::error::ImageError;
use crate::optimize::format::Format;
use crate::optimize::metadata::exif;
use crate::optimize::options::MetadataPolicy;
use crate::optimize::padding::without_padding;

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// A file of more chunks than this is no picture: each costs memory here.
const MAX_CHUNKS: usize = 1 << 20;

/// The end of a file. Some writers append it twice.
const END: &[u8; 12] = b"\0\0\0\0IEND\xAE\x42\x60\x82";

/// Needed by the look, whatever the policy: critical, colour (two of them by their names of before 2023, too),
/// transparency, geometry, animation, nine-patch.
#[rustfmt::skip]
const LOOK: &[&[u8; 4]] = &[
    b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"bKGD", b"hIST", b"sBIT", b"iCCP", b"sRGB", b"gAMA", b"cHRM",
    b"cICP", b"mDCV", b"mDCv", b"cLLI", b"cLLi", b"oFFs", b"sTER", b"acTL", b"fcTL", b"fdAT", b"npTc", b"npOl", b"npLb",
];
/// Chunks whose names say that they are unsafe to copy where pixels change (PNG, 5.4), and that are known to hold for the
/// picture however its pixels are coded, or are written anew for it.
#[rustfmt::skip]
const UNDERSTOOD: &[&[u8; 4]] = &[
    b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"bKGD", b"sBIT", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"cICP", b"mDCV",
    b"cLLI", b"sTER", b"acTL", b"fcTL", b"fdAT", b"iDOT", b"tIME", b"sPLT", b"sCAL", b"orNT",
];

/// JPEG's word before EXIF, which some writers leave there; Pillow and `ExifTool` read on behind it.
const EXIF_PREFIX: &[u8] = b"Exif\0\0";

/// Sequence number, width, height, offsets (4 each), delay (2 each), disposal, blending (PNG, 11.3.4.2).
const FRAME_CONTROL_BYTES: usize = 26;

/// A PNG file, its chunks borrowed from the source.
#[derive(Debug)]
pub struct Chunks<'a> {
    pub header: Header,
    /// What `acTL` says, where the file is an APNG.
    pub animation: Option<Animation>,
    /// Frames that the file holds, whatever `acTL` says.
    pub frames: u32,
    /// Whether it carries a C2PA manifest, whose signature any change would break.
    pub signed: bool,
    /// Data of unknown meaning behind the image.
    pub tail: &'a [u8],
    /// Whether padding follows the image instead.
    pub padded: bool,
    pub(super) parts: Vec<Chunk<'a>>,
}

/// What `IHDR` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub width: u32,
    pub height: u32,
    /// Bits per sample or palette index.
    pub depth: u8,
    pub color: Color,
    pub interlaced: bool,
}

/// How a pixel is stored (PNG, 11.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    Gray,
    Rgb,
    Indexed,
    GrayAlpha,
    Rgba,
}

impl Color {
    /// Whether pixels have no colour.
    #[must_use]
    pub fn is_gray(self) -> bool {
        matches!(self, Self::Gray | Self::GrayAlpha)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Animation {
    pub frames: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunk<'a> {
    pub(super) kind: [u8; 4],
    pub(super) data: Cow<'a, [u8]>,
}

impl<'a> Chunks<'a> {
    /// Takes a file apart.
    ///
    /// # Errors
    /// [`ImageError::Malformed`] where a checksum is wrong, a chunk cut short, or a critical one missing, repeated or
    /// out of its order.
    pub fn parse(file: &'a [u8]) -> Result<Self, ImageError> {
        let mut rest = file.strip_prefix(SIGNATURE).ok_or_else(|| malformed("no signature"))?;
        let mut chunks: Vec<Chunk<'a>> = Vec::new();
        while chunks.last().is_none_or(|chunk| chunk.kind != *b"IEND") {
            chunks.push(read_chunk(&mut rest)?);
            if chunks.len() > MAX_CHUNKS {
                return Err(malformed("too many chunks"));
            }
        }
        let header = Header::of(&chunks)?;
        check_order(&chunks, header)?;
        let frames = check_frames(&chunks, header)?;
        let before_pixels = chunks.iter().take_while(|chunk| chunk.kind != *b"IDAT");
        let control = before_pixels.clone().find(|chunk| chunk.kind == *b"acTL").and_then(|c| c.data.first_chunk());
        Ok(Self {
            header,
            animation: control.map(|&stated| Animation { frames: u32::from_be_bytes(stated) }),
            frames,
            signed: chunks.iter().any(is_manifest),
            tail: without_padding(rest, END),
            padded: !rest.is_empty() && without_padding(rest, END).is_empty(),
            parts: chunks,
        })
    }

    /// The data of the first chunk of this type.
    #[must_use]
    pub fn data(&self, kind: [u8; 4]) -> Option<&[u8]> {
        self.parts.iter().find(|chunk| chunk.kind == kind).map(|chunk| &*chunk.data)
    }

    /// The zlib stream of the picture's rows, that of the still picture where there are more.
    #[must_use]
    pub fn pixels(&self) -> Vec<u8> {
        self.parts.iter().filter(|chunk| chunk.kind == *b"IDAT").flat_map(|chunk| &*chunk.data).copied().collect()
    }
}

impl Chunk<'_> {
    /// `None` where nothing of it is kept.
    pub(super) fn filter(&self, policy: MetadataPolicy, header: Header) -> Option<Self> {
        let data = match &self.kind {
            b"eXIf" => filter_exif(&self.data, policy)?.into(),
            b"tEXt" | b"zTXt" | b"iTXt" => text::filter(self.kind, &self.data, policy)?.into_owned().into(),
            b"pHYs" | b"sCAL" if policy == MetadataPolicy::Safe => self.data.clone(),
            b"orNT" | b"caNv" | b"vpAg" if self.is_placed(header) => self.data.clone(),
            kind if LOOK.contains(&kind) => self.data.clone(),
            _ => return None,
        };
        Some(Self { kind: self.kind, data })
    }

    /// Whether one of `ImageMagick`'s own chunks turns the picture (EXIF's numbers), or places it on a canvas: width and
    /// height of 4 bytes each, then offsets alike (`caNv`), or a unit (`vpAg`).
    fn is_placed(&self, header: Header) -> bool {
        let canvas = [header.width, header.height].map(u32::to_be_bytes).concat();
        match (&self.kind, &*self.data) {
            (b"orNT", &[turned]) => (2..=8).contains(&turned),
            (b"caNv", data) if data.len() == 16 => data[..8] != canvas || data[8..].iter().any(|byte| *byte != 0),
            (b"vpAg", data) if data.len() == 9 => data[..8] != canvas,
            _ => false,
        }
    }

    /// Whether it may mean something else once pixels change, or are stored otherwise: chunks that are unsafe to copy and
    /// unknown, and a palette that is only suggested.
    pub(super) fn is_bound_to_pixels(&self, header: Header) -> bool {
        let is_unsafe = self.kind[3].is_ascii_uppercase() && !UNDERSTOOD.contains(&&self.kind);
        is_unsafe || self.kind == *b"PLTE" && header.color != Color::Indexed
    }
}

/// Filters a block of EXIF; the word before it stays, so that no reader turns the picture who did not before.
fn filter_exif(data: &[u8], policy: MetadataPolicy) -> Option<Vec<u8>> {
    let block = data.strip_prefix(EXIF_PREFIX).unwrap_or(data);
    let prefix = &data[..data.len() - block.len()];
    Some([prefix, &*exif::filter(block, policy).apply(block)?].concat())
}

pub(super) fn write<'c>(chunks: impl IntoIterator<Item = &'c Chunk<'c>>) -> Vec<u8> {
    let mut out = SIGNATURE.to_vec();
    for chunk in chunks {
        // Never longer than what was read, whose length was checked.
        out.extend(u32::try_from(chunk.data.len()).unwrap_or(u32::MAX).to_be_bytes());
        out.extend(chunk.kind);
        out.extend_from_slice(&chunk.data);
        out.extend(checksum(chunk.kind, &chunk.data).to_be_bytes());
    }
    out
}

fn read_chunk<'a>(rest: &mut &'a [u8]) -> Result<Chunk<'a>, ImageError> {
    let truncated = || ImageError::truncated(Format::Png, "cut short");
    let (length, after) = rest.split_first_chunk().ok_or_else(truncated)?;
    let (&kind, after) = after.split_first_chunk::<4>().ok_or_else(truncated)?;
    if !kind.iter().all(u8::is_ascii_alphabetic) {
        return Err(malformed("no chunk where one should begin"));
    }
    let length = u32::from_be_bytes(*length) as usize;
    let (data, after) = after.split_at_checked(length).ok_or_else(truncated)?;
    let (&stored, after) = after.split_first_chunk().ok_or_else(truncated)?;
    if checksum(kind, data) != u32::from_be_bytes(stored) {
        return Err(malformed(format!("wrong checksum of {}", String::from_utf8_lossy(&kind))));
    }
    *rest = after;
    Ok(Chunk { kind, data: data.into() })
}

fn checksum(kind: [u8; 4], data: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&kind);
    hasher.update(data);
    hasher.finalize()
}

impl Header {
    /// Bits of all samples of a pixel, or of its palette index.
    pub fn bits_per_pixel(self) -> u64 {
        let samples = match self.color {
            Color::Gray | Color::Indexed => 1,
            Color::GrayAlpha => 2,
            Color::Rgb => 3,
            Color::Rgba => 4,
        };
        samples * u64::from(self.depth)
    }

    fn of(chunks: &[Chunk<'_>]) -> Result<Self, ImageError> {
        let first = chunks.first().filter(|chunk| chunk.kind == *b"IHDR");
        let data = first.and_then(|chunk| <&[u8; 13]>::try_from(chunk.data.as_ref()).ok());
        let &[w3, w2, w1, w0, h3, h2, h1, h0, depth, color, compression, filter, interlace] =
            data.ok_or_else(|| malformed("does not begin with IHDR"))?;
        let (width, height) = (u32::from_be_bytes([w3, w2, w1, w0]), u32::from_be_bytes([h3, h2, h1, h0]));
        // Dimensions are limited to 2³¹ − 1 (PNG, 7.1).
        if [width, height].iter().any(|size| !(1..=0x7FFF_FFFF).contains(size)) {
            return Err(malformed(format!("no picture of {width} × {height}")));
        }
        let color = match (color, depth) {
            (0, 1 | 2 | 4 | 8 | 16) => Color::Gray,
            (2, 8 | 16) => Color::Rgb,
            (3, 1 | 2 | 4 | 8) => Color::Indexed,
            (4, 8 | 16) => Color::GrayAlpha,
            (6, 8 | 16) => Color::Rgba,
            _ => return Err(malformed(format!("no colour type {color} of {depth} bits"))),
        };
        if (compression, filter) != (0, 0) || interlace > 1 {
            return Err(malformed("unknown compression, filter or interlace method"));
        }
        Ok(Self { width, height, depth, color, interlaced: interlace == 1 })
    }
}

/// Critical chunks and their order (PNG, 5.6).
fn check_order(chunks: &[Chunk<'_>], header: Header) -> Result<(), ImageError> {
    let places = |kind: &[u8; 4]| {
        let found = chunks.iter().enumerate().filter(|(_, chunk)| chunk.kind == *kind);
        found.map(|(place, _)| place).collect::<Vec<_>>()
    };
    let known = [b"IHDR", b"PLTE", b"IDAT", b"IEND"];
    if let Some(chunk) = chunks.iter().find(|c| c.kind[0].is_ascii_uppercase() && !known.contains(&&c.kind)) {
        return Err(malformed(format!("unknown critical chunk {}", String::from_utf8_lossy(&chunk.kind))));
    }
    if places(b"IHDR").len() != 1 {
        return Err(malformed("two IHDR"));
    }
    let pixels = places(b"IDAT");
    let (Some(first), Some(last)) = (pixels.first(), pixels.last()) else { return Err(malformed("no IDAT")) };
    if last - first + 1 != pixels.len() {
        return Err(malformed("IDAT chunks apart"));
    }
    match *places(b"PLTE") {
        [] if header.color == Color::Indexed => Err(malformed("no PLTE")),
        [place]
            if place > *first
                || !(3..=768).contains(&chunks[place].data.len())
                || !chunks[place].data.len().is_multiple_of(3) =>
        {
            Err(malformed("misplaced or odd PLTE"))
        }
        [] | [_] => Ok(()),
        _ => Err(malformed("two PLTE")),
    }
}

/// Frames of an animation lie within the picture (PNG, 11.3.4.2): packing one takes memory for the size it states.
/// Answers how many there are.
fn check_frames(chunks: &[Chunk<'_>], header: Header) -> Result<u32, ImageError> {
    let mut frames = 0;
    for chunk in chunks {
        let sound = match &chunk.kind {
            b"fcTL" => {
                frames += 1;
                <&[u8; FRAME_CONTROL_BYTES]>::try_from(chunk.data.as_ref())
                    .is_ok_and(|control| is_within(control, header))
            }
            // A sequence number, then pixels.
            b"fdAT" => chunk.data.len() >= 4,
            _ => true,
        };
        if !sound {
            return Err(malformed("a frame beyond the picture, or cut short"));
        }
    }
    Ok(frames)
}

fn is_within(control: &[u8; FRAME_CONTROL_BYTES], header: Header) -> bool {
    let number = |at: usize| u32::from_be_bytes([control[at], control[at + 1], control[at + 2], control[at + 3]]);
    let fits = |size: u32, offset: u32, most| size > 0 && offset.checked_add(size).is_some_and(|end| end <= most);
    fits(number(4), number(12), header.width) && fits(number(8), number(16), header.height)
}

fn malformed(detail: impl Into<String>) -> ImageError {
    ImageError::malformed(Format::Png, detail)
}

/// A C2PA manifest store: a JUMBF superbox labelled so (C2PA 2.1, 11.1.4.2). An empty chunk of that name signs nothing. Or
/// a digital signature over the chunks themselves (PNG extensions 1.5, dSIG).
fn is_manifest(chunk: &Chunk<'_>) -> bool {
    chunk.kind == *b"dSIG" || chunk.kind == *b"caBX" && chunk.data.windows(4).any(|window| window == b"c2pa")
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::optimize::metadata::ByteOrder;
    use crate::optimize::metadata::exif::tests::camera_block;
    use MetadataPolicy::{All, None as Nothing, Safe};

    const HEADER: &[u8; 13] = &[0, 0, 0, 8, 0, 0, 0, 9, 8, 2, 0, 0, 0];

    pub fn file(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
        let chunks: Vec<_> = chunks.iter().map(|(kind, data)| Chunk { kind: **kind, data: (*data).into() }).collect();
        write(&chunks)
    }

    /// A picture with these chunks between header and pixels.
    fn picture(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
        file(&[&[(b"IHDR", &HEADER[..])], chunks, &[(b"IDAT", b"pixels"), (b"IEND", b"")]].concat())
    }

    #[test]
    fn exif_behind_the_word_of_jpeg_is_filtered() {
        let prefixed = [EXIF_PREFIX, &camera_block(ByteOrder::Big)].concat();
        for policy in [Safe, Nothing] {
            let kept = filter_exif(&prefixed, policy).unwrap();
            let block = kept.strip_prefix(EXIF_PREFIX).unwrap();
            assert_eq!(exif::orientation(block), exif::orientation(&camera_block(ByteOrder::Big)));
            assert!(!kept.windows(8).any(|window| window == b"latitude"));
            assert_eq!(filter_exif(&kept, policy), Some(kept));
        }
        assert_eq!(filter_exif(EXIF_PREFIX, Safe), None);
    }

    fn kinds(file: &[u8]) -> Vec<String> {
        let chunks = Chunks::parse(file).unwrap().parts;
        chunks.iter().map(|chunk| String::from_utf8(chunk.kind.to_vec()).unwrap()).collect()
    }

    fn filtered(file: &[u8], policy: MetadataPolicy) -> (bool, Vec<u8>) {
        let kept = Chunks::parse(file).unwrap().filter(policy);
        (kept.stripped, kept.splice())
    }

    fn detail(file: &[u8]) -> String {
        match Chunks::parse(file).unwrap_err() {
            ImageError::Malformed { format: Format::Png, detail, .. } => detail,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn the_header_is_read() {
        let file = picture(&[(b"acTL", &[0, 0, 0, 7, 0, 0, 0, 0]), (b"caBX", b"jumbjumdc2pa")]);
        let chunks = Chunks::parse(&file).unwrap();
        let header = Header { width: 8, height: 9, depth: 8, color: Color::Rgb, interlaced: false };
        assert_eq!((chunks.header, chunks.animation), (header, Some(Animation { frames: 7 })));
        assert!(chunks.signed && !chunks.padded && chunks.tail.is_empty());
        assert!(Chunks::parse(&picture(&[(b"dSIG", b"signature")])).unwrap().signed);
    }

    #[test]
    fn safe_keeps_the_look_and_authorship() {
        let source = picture(&[
            (b"iCCP", b"profile"),
            (b"pHYs", &[0; 9]),
            (b"sCAL", b"\x011\x002"),
            (b"tIME", &[0; 7]),
            (b"tEXt", b"Author\0Anna"),
            (b"tEXt", b"Comment\0Paris"),
            (b"mkBF", b"Fireworks"),
            (b"iDOT", b"0"),
            (b"sPLT", b"0"),
            (b"eXIf", &camera_block(ByteOrder::Little)),
            (b"tRNS", &[0; 6]),
        ]);
        let (stripped, safe) = filtered(&source, Safe);
        assert_eq!(kinds(&safe), ["IHDR", "iCCP", "pHYs", "sCAL", "tEXt", "eXIf", "tRNS", "IDAT", "IEND"]);
        assert!(stripped && !safe.windows(8).any(|window| window == b"latitude"));
        assert_eq!(filtered(&safe, Safe), (false, safe));
        let (_, look) = filtered(&source, Nothing);
        assert_eq!(kinds(&look), ["IHDR", "iCCP", "eXIf", "tRNS", "IDAT", "IEND"]);
        assert_eq!(filtered(&source, All), (false, source));
    }

    #[test]
    fn an_animation_keeps_its_frames() {
        let source = file(&[
            (b"IHDR", HEADER),
            (b"acTL", &[0, 0, 0, 2, 0, 0, 0, 0]),
            (b"fcTL", &control(8, 9, 0, 0)),
            (b"IDAT", b"1"),
            (b"fcTL", &control(2, 2, 6, 7)),
            (b"fdAT", b"\0\0\0\x022"),
            (b"tEXt", b"Comment\0Paris"),
            (b"IEND", b""),
        ]);
        assert_eq!(kinds(&filtered(&source, Safe).1), ["IHDR", "acTL", "fcTL", "IDAT", "fcTL", "fdAT", "IEND"]);
    }

    fn control(width: u32, height: u32, x: u32, y: u32) -> Vec<u8> {
        [&[0; 4][..], &[width, height, x, y].map(u32::to_be_bytes).concat(), &[0, 1, 0, 10, 0, 0]].concat()
    }

    #[test]
    fn frames_beyond_the_picture_or_cut_short_are_malformed() {
        for bad in [
            (b"fcTL", control(0x4D10_0000, 9, 0, 0)),
            (b"fcTL", control(8, 9, u32::MAX, 0)),
            (b"fcTL", control(8, 8, 0, 2)),
            (b"fcTL", control(0, 9, 0, 0)),
            (b"fcTL", b"abc".to_vec()),
            (b"fdAT", b"abc".to_vec()),
        ] {
            assert_eq!(detail(&picture(&[(bad.0, &bad.1)])), "a frame beyond the picture, or cut short");
        }
        let frame = control(8, 9, 0, 0);
        assert_eq!(Chunks::parse(&picture(&[(b"fcTL", &frame), (b"fcTL", &frame)])).unwrap().frames, 2);
    }

    #[test]
    fn what_follows_the_end_is_padding_or_unknown() {
        let padding: [&[u8]; 6] = [b"\n", b"\r\n", b" \t", &[0; 64], &[0xFF; 9], b"\0\0\0\0IEND\xAE\x42\x60\x82\n"];
        for rest in padding {
            let file = [&picture(&[]), rest].concat();
            let chunks = Chunks::parse(&file).unwrap();
            assert!(chunks.padded && chunks.tail.is_empty(), "{rest:?}");
            assert_eq!(filtered(&file, Safe).1, picture(&[]));
        }
        for rest in [&b"zip"[..], b"\nzip", b"\0\0\0\0IEND\xAE\x42\x60"] {
            let file = [&picture(&[]), rest].concat();
            let chunks = Chunks::parse(&file).unwrap();
            assert_eq!((chunks.tail, chunks.padded), (rest, false));
        }
    }

    #[test]
    fn faults_are_named() {
        let mut corrupt = picture(&[(b"gAMA", &[0, 0, 1, 0])]);
        corrupt[8 + 25 + 8] ^= 1;
        assert_eq!(detail(&corrupt), "wrong checksum of gAMA");
        assert_eq!(detail(&file(&[(b"IHDR", HEADER), (b"IEND", b"")])), "no IDAT");
        assert_eq!(detail(&picture(&[(b"IHDR", HEADER)])), "two IHDR");
        assert_eq!(detail(&picture(&[(b"IDAT", b"1"), (b"tEXt", b"a\0b")])), "IDAT chunks apart");
        assert_eq!(detail(&picture(&[(b"PLTE", &[0; 3]), (b"PLTE", &[0; 3])])), "two PLTE");
        assert_eq!(detail(&picture(&[(b"PLTE", &[0; 4])])), "misplaced or odd PLTE");
        assert_eq!(detail(&picture(&[(b"CgBI", b"")])), "unknown critical chunk CgBI");
        assert_eq!(detail(&file(&[(b"IDAT", b""), (b"IEND", b"")])), "does not begin with IHDR");
        for (at, value, expected) in [
            (3, 0, "no picture of 0 × 9"),
            (9, 7, "no colour type 7 of 8 bits"),
            (9, 3, "no PLTE"),
            (8, 4, "no colour type 2 of 4 bits"),
            (12, 2, "unknown compression, filter or interlace method"),
        ] {
            let mut header = *HEADER;
            header[at] = value;
            assert_eq!(detail(&file(&[(b"IHDR", &header), (b"IDAT", b""), (b"IEND", b"")])), expected);
        }
    }

    #[test]
    fn a_file_cut_anywhere_is_malformed() {
        let whole = picture(&[(b"tEXt", b"Author\0Anna")]);
        for length in 0..whole.len() {
            assert!(matches!(Chunks::parse(&whole[..length]), Err(ImageError::Malformed { .. })), "{length}");
        }
    }

    const INDEXED: &[u8; 13] = &[0, 0, 0, 8, 0, 0, 0, 9, 8, 3, 0, 0, 0];

    #[test]
    fn a_new_encoding_takes_what_holds_for_it() {
        let source = file(&[
            (b"IHDR", HEADER),
            (b"gAMA", &[0, 0, 1, 0]),
            (b"cICP", &[1, 13, 0, 1]),
            (b"sBIT", &[5, 6, 5]),
            (b"tRNS", &[0; 6]),
            (b"bKGD", &[0, 9, 0, 8, 0, 7]),
            (b"pHYs", &[0; 9]),
            (b"npTc", b"patch"),
            (b"IDAT", b"old"),
            (b"tEXt", b"Copyright\0Anna"),
            (b"IEND", b""),
        ]);
        let encoded = file(&[
            (b"IHDR", INDEXED),
            (b"gAMA", &[0, 0, 2, 0]),
            (b"PLTE", &[0; 3]),
            (b"tRNS", &[9]),
            (b"IDAT", b"new"),
            (b"IEND", b""),
        ]);
        let out = Chunks::parse(&source).unwrap().filter(Safe).assemble(&encoded).unwrap();
        let order = "IHDR cICP sBIT pHYs npTc gAMA PLTE tRNS bKGD IDAT tEXt IEND";
        assert_eq!(kinds(&out).join(" "), order);
        let out = Chunks::parse(&out).unwrap();
        assert_eq!(out.header.color, Color::Indexed);
        assert_eq!(out.data(*b"sBIT"), Some(&[5, 6, 5][..]));
        assert_eq!((out.data(*b"PLTE"), out.data(*b"bKGD")), (Some(&[0, 0, 0, 9, 8, 7][..]), Some(&[1][..])));
    }

    #[test]
    fn old_names_of_colour_chunks_are_kept() {
        let source = picture(&[(b"mDCv", &[0; 24]), (b"cLLi", &[0; 8]), (b"sTER", &[1])]);
        for policy in [Safe, Nothing] {
            assert_eq!(filtered(&source, policy), (false, source.clone()));
        }
        let out = Chunks::parse(&source).unwrap().filter(Safe).assemble(&picture(&[])).unwrap();
        assert_eq!(kinds(&out).join(" "), "IHDR mDCv cLLi sTER IDAT IEND");
    }

    #[test]
    fn imagemagicks_chunks_stay_where_they_place_the_picture() {
        let canvas = |width: u8, x: u8| [&[0, 0, 0, width, 0, 0, 0, 9, 0, 0, 0, x][..], &[0; 4]].concat();
        let page = |width: u8| vec![0, 0, 0, width, 0, 0, 0, 9, 0];
        for (kind, data, stays) in [
            (b"orNT", vec![6], true),
            (b"orNT", vec![1], false),
            (b"orNT", vec![9], false),
            (b"orNT", vec![], false),
            (b"caNv", canvas(8, 0), false),
            (b"caNv", canvas(8, 1), true),
            (b"caNv", canvas(16, 0), true),
            (b"caNv", vec![1; 15], false),
            (b"vpAg", page(8), false),
            (b"vpAg", page(16), true),
        ] {
            let source = picture(&[(kind, &data)]);
            for policy in [Safe, Nothing] {
                assert_eq!(filtered(&source, policy).0, !stays, "{kind:?} {data:?}");
            }
        }
    }

    #[test]
    fn what_is_unknown_and_unsafe_to_copy_pins_the_pixels() {
        for (kind, pinned) in [(b"mkBS", true), (b"pCAL", true), (b"PLTE", true), (b"mkBs", false), (b"tIME", false)] {
            let source = picture(&[(kind, &[1, 2, 3])]);
            let chunks = Chunks::parse(&source).unwrap();
            assert_eq!([All, Safe, Nothing].map(|policy| chunks.filter(policy).pinned), [pinned, false, false]);
        }
        let source = file(&[
            (b"IHDR", HEADER),
            (b"prIv", b"safe"),
            (b"iDOT", b"0"),
            (b"prIV", b"unsafe"),
            (b"IDAT", b"old"),
            (b"IDAT", b"er"),
            (b"prIw", b"behind"),
            (b"IEND", b""),
        ]);
        let kept = Chunks::parse(&source).unwrap().filter(All);
        let alike = kept.with_pixels_of(&picture(&[(b"prIv", b"safe")])).unwrap().unwrap();
        assert_eq!(kinds(&alike).join(" "), "IHDR prIv prIV IDAT prIw IEND");
        assert_eq!(Chunks::parse(&alike).unwrap().pixels(), b"pixels");
        let other = file(&[(b"IHDR", INDEXED), (b"PLTE", &[0; 3]), (b"IDAT", b"new"), (b"IEND", b"")]);
        assert_eq!(kept.with_pixels_of(&other).unwrap(), None);
        assert_eq!(kinds(&kept.assemble(&other).unwrap()).join(" "), "IHDR prIv prIV PLTE IDAT prIw IEND");
    }
}
