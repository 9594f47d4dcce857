//! A WebP file taken apart into chunks, and put together again with those that the policy keeps.
//!
//! Verifies structure (RFC 9649, 2); never decodes pixels. What the image chunks' own headers say is for `bitstream`.

use std::borrow::Cow;

use super::bitstream::{Bitstream, Coding, MARK, malformed};
use crate::optimize::error::ImageError;
use crate::optimize::format::Format;
use crate::optimize::metadata::{exif, xmp};
use crate::optimize::options::MetadataPolicy;
use crate::optimize::padding::without_padding;

/// A file of more chunks than this is no picture: each costs memory here.
const MAX_CHUNKS: usize = 1 << 20;

/// Flags of `VP8X` (RFC 9649, 2.7.1), and the chunk that each one announces. Readers leave out what is not announced.
const ICC: u8 = 0x20;
const ALPHA: u8 = 0x10;
const EXIF: u8 = 0x08;
const XMP: u8 = 0x04;
const ANIMATION: u8 = 0x02;
const ANNOUNCED: [(&[u8; 4], u8); 3] = [(b"ICCP", ICC), (b"EXIF", EXIF), (b"XMP ", XMP)];

/// Chunks of coded pixels.
const CODED: [&[u8; 4]; 5] = [b"ALPH", b"VP8 ", b"VP8L", b"ANIM", b"ANMF"];

/// JPEG's word before EXIF, which some writers leave there.
const EXIF_PREFIX: &[u8] = b"Exif\0\0";

/// A WebP file, its chunks borrowed from the source.
#[derive(Debug)]
pub struct Chunks<'a> {
    /// Pixels of the canvas.
    pub width: u32,
    pub height: u32,
    /// The still image; `None` of an animation.
    pub still: Option<Bitstream>,
    /// Whether it carries a C2PA manifest, whose signature any change would break.
    pub signed: bool,
    /// Data of unknown meaning behind the image.
    pub tail: &'a [u8],
    /// Whether padding follows the image instead.
    pub padded: bool,
    pub alpha: Alpha,
    /// The data of `VP8X`; `None` of a simple file.
    extended: Option<[u8; 10]>,
    parts: Vec<Chunk<'a>>,
}

/// What the headers say of a still image's alpha. libwebp's decoder writes whatever alpha the pixels hold and leaves it to
/// its caller to ask the headers; browsers ask its demuxer, which takes `VP8X`'s word before the image's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alpha {
    /// There is none, whatever the pixels hold.
    None,
    Some,
    /// Readers may see it with or without: an image that has any is best left as it is.
    Disputed,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Chunk<'a> {
    kind: [u8; 4],
    data: Cow<'a, [u8]>,
}

/// What a policy keeps of a file.
#[derive(Debug)]
pub struct Kept<'a> {
    /// Whether the policy removed anything.
    pub stripped: bool,
    extended: Option<[u8; 10]>,
    chunks: Vec<Chunk<'a>>,
}

impl<'a> Chunks<'a> {
    /// Takes a file apart.
    ///
    /// # Errors
    /// [`ImageError::Malformed`] where a chunk is cut short, or the image is missing, repeated or of another size than
    /// the canvas.
    pub fn parse(file: &'a [u8]) -> Result<Self, ImageError> {
        let (header, rest) =
            file.split_first_chunk::<12>().ok_or_else(|| ImageError::truncated(Format::WebP, "cut short"))?;
        let &[b'R', b'I', b'F', b'F', s0, s1, s2, s3, b'W', b'E', b'B', b'P'] = header else {
            return Err(malformed("no signature"));
        };
        // The size counts from the word WEBP on.
        let length = (u32::from_le_bytes([s0, s1, s2, s3]) as usize).checked_sub(4);
        let (mut body, after) = length
            .and_then(|length| rest.split_at_checked(length))
            .ok_or_else(|| ImageError::truncated(Format::WebP, "cut short"))?;
        let mut parts = Vec::new();
        while !body.is_empty() {
            parts.push(read_chunk(&mut body)?);
            if parts.len() > MAX_CHUNKS {
                return Err(malformed("too many chunks"));
            }
        }
        let extended = match parts.first() {
            Some(first) if first.kind == *b"VP8X" => {
                let data = first.data.first_chunk().copied().ok_or_else(|| malformed("VP8X cut short"))?;
                parts.remove(0);
                Some(data)
            }
            _ => None,
        };
        Self::of(extended, parts, after)
    }

    fn of(extended: Option<[u8; 10]>, parts: Vec<Chunk<'a>>, after: &'a [u8]) -> Result<Self, ImageError> {
        let flags = extended.map_or(0, |data| data[0]);
        let has = |kind: &[u8; 4]| parts.iter().any(|chunk| chunk.kind == *kind);
        let signed = has(b"C2PA");
        let animated = flags & ANIMATION != 0;
        if !animated && (has(b"ANIM") || has(b"ANMF")) {
            return Err(malformed("an animation that is not announced"));
        }
        let still = if animated { None } else { Some(still(&parts, extended.is_some())?) };
        let size = extended.map(canvas).or(still.map(|still| (still.width, still.height)));
        let (width, height) = size.ok_or_else(|| malformed("no size"))?;
        if still.is_some_and(|still| (still.width, still.height) != (width, height)) {
            return Err(malformed("the image is of another size than the canvas"));
        }
        let has_alpha = has(b"ALPH") || still.is_some_and(|still| still.has_alpha);
        let alpha = match (extended.is_none_or(|_| flags & ALPHA != 0), has_alpha) {
            (true, true) => Alpha::Some,
            // A lossy image without a plane of alpha is opaque to all.
            (true, false) if extended.is_some() && still.is_some_and(|still| still.coding == Coding::Lossless) => {
                Alpha::Disputed
            }
            (_, false) => Alpha::None,
            (false, true) => Alpha::Disputed,
        };
        // No chunk is an end marker here: the file's own size says where it ends.
        let tail = without_padding(after, &[]);
        let padded = !after.is_empty() && tail.is_empty();
        Ok(Self { width, height, still, signed, tail, padded, alpha, extended, parts })
    }

    /// Bytes of the coded image.
    #[must_use]
    pub fn coded_bytes(&self) -> usize {
        self.parts.iter().filter(|chunk| chunk.is_coded()).map(|chunk| chunk.data.len()).sum()
    }

    /// A file of the coded image alone: libwebp reads on into what follows a chunk that was cut short.
    #[must_use]
    pub fn image(&self) -> Vec<u8> {
        write(self.extended, self.parts.iter().filter(|chunk| chunk.is_coded()))
    }

    /// EXIF's orientation.
    #[must_use]
    pub fn orientation(&self) -> u8 {
        let block = self.parts.iter().find(|chunk| chunk.kind == *b"EXIF" && chunk.is_announced(self.extended));
        block.and_then(|chunk| exif::orientation(without_prefix(&chunk.data))).unwrap_or(1)
    }

    /// The ICC profile.
    #[must_use]
    pub fn icc_profile(&self) -> Option<&[u8]> {
        let profile = self.parts.iter().find(|chunk| chunk.kind == *b"ICCP" && chunk.is_announced(self.extended));
        profile.map(|chunk| &*chunk.data)
    }

    /// What the policy keeps behind the image: all but metadata that a program appended without counting it in the file's
    /// size, which `ExifTool` reads there.
    #[must_use]
    pub fn tail_under(&self, policy: MetadataPolicy) -> Cow<'a, [u8]> {
        let mut rest = self.tail;
        let mut out = Vec::new();
        while policy != MetadataPolicy::All && !without_padding(rest, &[]).is_empty() {
            let Ok(chunk) = read_chunk(&mut rest) else { return self.tail.into() };
            if !matches!(&chunk.kind, b"EXIF" | b"XMP ") {
                return self.tail.into();
            }
            if let Some(kept) = chunk.filtered(policy) {
                push(&mut out, kept.kind, &kept.data);
            }
        }
        if policy == MetadataPolicy::All { self.tail.into() } else { out.into() }
    }

    /// What the policy keeps.
    #[must_use]
    pub fn filter(&self, policy: MetadataPolicy) -> Kept<'a> {
        let mut kept = Kept { stripped: false, extended: self.extended, chunks: Vec::with_capacity(self.parts.len()) };
        for chunk in &self.parts {
            let filtered = if policy == MetadataPolicy::All || chunk.is_coded() {
                Some(chunk.clone())
            } else {
                chunk.filter(policy, self.extended)
            };
            kept.stripped |= filtered.as_ref() != Some(chunk);
            kept.chunks.extend(filtered);
        }
        kept
    }
}

impl Chunk<'_> {
    fn is_coded(&self) -> bool {
        CODED.contains(&&self.kind)
    }

    /// The flag that announces it, if `VP8X` has it set.
    fn is_announced(&self, extended: Option<[u8; 10]>) -> bool {
        extended.is_some_and(|data| data[0] & self.flag() != 0)
    }

    fn flag(&self) -> u8 {
        ANNOUNCED.iter().find(|(kind, _)| **kind == self.kind).map_or(0, |(_, flag)| *flag)
    }

    /// `None` where nothing of it is kept.
    fn filter(&self, policy: MetadataPolicy, extended: Option<[u8; 10]>) -> Option<Self> {
        self.is_announced(extended).then(|| self.filtered(policy))?
    }

    fn filtered(&self, policy: MetadataPolicy) -> Option<Self> {
        let data: Cow<'_, [u8]> = match &self.kind {
            b"ICCP" => self.data.clone(),
            b"EXIF" => {
                let block = without_prefix(&self.data);
                exif::filter(block, policy).apply(block)?
            }
            b"XMP " => xmp::filter(&self.data, policy).apply(&self.data)?,
            _ => return None,
        };
        Some(Self { kind: self.kind, data: data.into_owned().into() })
    }
}

impl Kept<'_> {
    /// The file of the kept chunks, the coded image byte for byte.
    #[must_use]
    pub fn splice(&self) -> Vec<u8> {
        let extended = self.extended.map(|data| {
            let announces = |flag: u8| self.chunks.iter().any(|chunk| chunk.flag() == flag && data[0] & flag != 0);
            let kept = [ICC, EXIF, XMP].into_iter().filter(|flag| announces(*flag)).fold(0, |a, b| a | b);
            let mut data = data;
            data[0] = (data[0] & !(ICC | EXIF | XMP)) | kept;
            data
        });
        write(extended, self.chunks.iter())
    }

    /// A freshly encoded file's image in place of the source's.
    ///
    /// # Errors
    /// [`ImageError::Malformed`] where `encoded` is no WebP file.
    pub fn assemble(&self, encoded: &[u8]) -> Result<Vec<u8>, ImageError> {
        let own = Chunks::parse(encoded)?;
        let coded = || own.parts.iter().filter(|chunk| chunk.is_coded());
        let others = || self.chunks.iter().filter(|chunk| !chunk.is_coded());
        let announced = |chunk: &&Chunk<'_>| chunk.is_announced(self.extended);
        let flags = others().filter(announced).fold(0, |flags, chunk| flags | chunk.flag());
        let has_alpha = own.still.is_some_and(|still| still.has_alpha) || coded().any(|chunk| chunk.kind == *b"ALPH");
        // A simple file holds the image alone, and its alpha only where that is in the image itself (RFC 9649, 2.5, 2.6).
        let is_simple = others().next().is_none() && coded().count() == 1;
        let extended = (!is_simple && (self.extended.is_some() || own.extended.is_some())).then(|| {
            let [w0, w1, w2, _] = (own.width - 1).to_le_bytes();
            let [h0, h1, h2, _] = (own.height - 1).to_le_bytes();
            [flags | if has_alpha { ALPHA } else { 0 }, 0, 0, 0, w0, w1, w2, h0, h1, h2]
        });
        // Order: ICCP, image, EXIF, XMP, others (RFC 9649, 2.7).
        let is_profile = |chunk: &&Chunk<'_>| chunk.kind == *b"ICCP" && announced(chunk);
        let before = others().filter(is_profile);
        let after = others().filter(|chunk| !is_profile(chunk));
        Ok(write(extended, before.chain(coded()).chain(after)))
    }
}

/// A file whose lossless image ends with [`MARK`].
///
/// # Errors
/// [`ImageError::Malformed`] where it is no WebP file.
pub fn marked(file: &[u8]) -> Result<Vec<u8>, ImageError> {
    let mut chunks = Chunks::parse(file)?;
    if let Some(image) = chunks.parts.iter_mut().find(|chunk| chunk.kind == *b"VP8L") {
        image.data.to_mut().extend_from_slice(MARK);
    }
    Ok(write(chunks.extended, chunks.parts.iter()))
}

fn write<'c>(extended: Option<[u8; 10]>, chunks: impl Iterator<Item = &'c Chunk<'c>>) -> Vec<u8> {
    let mut out = b"RIFF\0\0\0\0WEBP".to_vec();
    if let Some(data) = extended {
        push(&mut out, *b"VP8X", &data);
    }
    for chunk in chunks {
        push(&mut out, chunk.kind, &chunk.data);
    }
    let size = (out.len() - 8) as u32;
    out[4..8].copy_from_slice(&size.to_le_bytes());
    out
}

fn push(out: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) {
    out.extend(kind);
    // Never longer than what was read or encoded, whose length is of 32 bits.
    out.extend((data.len() as u32).to_le_bytes());
    out.extend_from_slice(data);
    if !data.len().is_multiple_of(2) {
        out.push(0);
    }
}

/// The one image of a file that is no animation, and which it is.
fn still(parts: &[Chunk<'_>], is_extended: bool) -> Result<Bitstream, ImageError> {
    let mut images = parts.iter().filter(|chunk| matches!(&chunk.kind, b"VP8 " | b"VP8L"));
    let (Some(image), None) = (images.next(), images.next()) else { return Err(malformed("not one image")) };
    let is_first = parts.first().is_some_and(|first| first.kind == image.kind);
    if !is_extended && !is_first {
        return Err(malformed("begins with no image"));
    }
    let coding = if image.kind == *b"VP8L" { Coding::Lossless } else { Coding::Lossy };
    let planes = parts.iter().filter(|chunk| chunk.kind == *b"ALPH").count();
    if planes > usize::from(is_extended && coding == Coding::Lossy) {
        return Err(malformed("misplaced alpha"));
    }
    let alpha_first = parts.iter().take_while(|chunk| chunk.kind != image.kind).any(|chunk| chunk.kind == *b"ALPH");
    if planes == 1 && !alpha_first {
        return Err(malformed("alpha after its image"));
    }
    Bitstream::parse(coding, &image.data)
}

/// Width and height in pixels (RFC 9649, 2.7.1).
fn canvas(data: [u8; 10]) -> (u32, u32) {
    let size = |low, middle, high| u32::from_le_bytes([low, middle, high, 0]) + 1;
    (size(data[4], data[5], data[6]), size(data[7], data[8], data[9]))
}

fn without_prefix(block: &[u8]) -> &[u8] {
    block.strip_prefix(EXIF_PREFIX).unwrap_or(block)
}

fn read_chunk<'a>(rest: &mut &'a [u8]) -> Result<Chunk<'a>, ImageError> {
    let truncated = || ImageError::truncated(Format::WebP, "cut short");
    let (&kind, after) = rest.split_first_chunk::<4>().ok_or_else(truncated)?;
    let (length, after) = after.split_first_chunk().ok_or_else(truncated)?;
    let (data, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(truncated)?;
    // The last byte of padding is missing from some files.
    *rest = if data.len().is_multiple_of(2) { after } else { after.get(1..).unwrap_or_default() };
    Ok(Chunk { kind, data: data.into() })
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::optimize::metadata::ByteOrder;
    use crate::optimize::metadata::exif::tests::camera_block;
    use MetadataPolicy::{All, None as Nothing, Safe};

    /// A VP8L header of 9 × 5 pixels, without alpha or with it.
    const OPAQUE: &[u8] = &[0x2F, 8, 0, 1, 0];
    const CLEAR: &[u8] = &[0x2F, 8, 0, 1, 0x10];
    /// A VP8 key frame header of 9 × 5 pixels.
    const LOSSY: &[u8] = &[0x10, 0, 0, 0x9D, 0x01, 0x2A, 9, 0, 5, 0];

    pub fn file(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
        let chunks: Vec<_> = chunks.iter().map(|(kind, data)| Chunk { kind: **kind, data: (*data).into() }).collect();
        write(None, chunks.iter())
    }

    /// `VP8X` of 9 × 5 pixels.
    fn header(flags: u8) -> [u8; 10] {
        [flags, 0, 0, 0, 8, 0, 0, 4, 0, 0]
    }

    fn extended(flags: u8, chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
        file(&[&[(b"VP8X", &header(flags)[..])], chunks].concat())
    }

    fn kinds(file: &[u8]) -> String {
        let chunks = Chunks::parse(file).unwrap();
        let flags = chunks.extended.map_or("simple".to_owned(), |data| format!("{:#04x}", data[0]));
        let kinds = chunks.parts.iter().map(|chunk| String::from_utf8_lossy(&chunk.kind).trim().to_owned());
        std::iter::once(flags).chain(kinds).collect::<Vec<_>>().join(" ")
    }

    fn filtered(file: &[u8], policy: MetadataPolicy) -> (bool, Vec<u8>) {
        let kept = Chunks::parse(file).unwrap().filter(policy);
        (kept.stripped, kept.splice())
    }

    fn camera() -> Vec<u8> {
        camera_block(ByteOrder::Little)
    }

    #[test]
    fn the_header_is_read() {
        for (file, coding) in [
            (file(&[(b"VP8L", OPAQUE)]), Some(Coding::Lossless)),
            (file(&[(b"VP8 ", LOSSY)]), Some(Coding::Lossy)),
            (extended(ALPHA, &[(b"ALPH", b"a"), (b"VP8 ", LOSSY)]), Some(Coding::Lossy)),
            (extended(ANIMATION, &[(b"ANIM", &[0; 6]), (b"ANMF", b"frame")]), None),
        ] {
            let chunks = Chunks::parse(&file).unwrap();
            assert_eq!((chunks.width, chunks.height), (9, 5));
            assert_eq!(chunks.still.map(|still| still.coding), coding);
            assert!(!chunks.signed && !chunks.padded && chunks.tail.is_empty());
        }
        assert!(Chunks::parse(&extended(0, &[(b"VP8 ", LOSSY), (b"C2PA", b"jumb")])).unwrap().signed);
    }

    #[test]
    fn safe_keeps_profile_and_authorship() {
        let camera = camera();
        let source = extended(
            ICC | EXIF | XMP,
            &[(b"ICCP", b"icc"), (b"VP8 ", LOSSY), (b"EXIF", &camera), (b"XMP ", b"<x/>"), (b"MAKR", b"own")],
        );
        let (stripped, safe) = filtered(&source, Safe);
        assert!(stripped && !safe.windows(8).any(|window| window == b"latitude"));
        assert_eq!(kinds(&safe), "0x28 ICCP VP8 EXIF");
        assert_eq!(filtered(&safe, Safe), (false, safe.clone()));
        assert_eq!(Chunks::parse(&safe).unwrap().orientation(), exif::orientation(&camera).unwrap());
        assert_eq!(filtered(&source, All), (false, source.clone()));
        assert_eq!(kinds(&filtered(&source, Nothing).1), "0x28 ICCP VP8 EXIF");
        // What JPEG has before it belongs to no block here.
        let prefixed = extended(EXIF, &[(b"VP8 ", LOSSY), (b"EXIF", &[EXIF_PREFIX, &camera].concat())]);
        assert_eq!(Chunks::parse(&prefixed).unwrap().orientation(), exif::orientation(&camera).unwrap());
        assert_eq!(kinds(&filtered(&prefixed, Safe).1), "0x08 VP8 EXIF");
    }

    #[test]
    fn what_is_not_announced_has_no_meaning_and_gets_none() {
        let source = extended(0, &[(b"ICCP", b"icc"), (b"VP8 ", LOSSY), (b"EXIF", &camera())]);
        assert_eq!(Chunks::parse(&source).unwrap().orientation(), 1);
        assert_eq!(kinds(&filtered(&source, Safe).1), "0x00 VP8");
        let kept = Chunks::parse(&source).unwrap().filter(All);
        assert_eq!(kinds(&kept.assemble(&file(&[(b"VP8 ", LOSSY)])).unwrap()), "0x00 VP8 ICCP EXIF");
        let simple = file(&[(b"VP8 ", LOSSY), (b"EXIF", &camera())]);
        assert_eq!(kinds(&filtered(&simple, Safe).1), "simple VP8");
        assert_eq!(filtered(&simple, All), (false, simple.clone()));
    }

    #[test]
    fn an_animation_keeps_its_frames() {
        let source = extended(
            ANIMATION | EXIF | XMP,
            &[(b"ANIM", &[0; 6]), (b"ANMF", b"a"), (b"ANMF", b"b"), (b"EXIF", b"no EXIF"), (b"XMP ", b"<x/>")],
        );
        assert_eq!(kinds(&filtered(&source, Safe).1), "0x02 ANIM ANMF ANMF");
    }

    #[test]
    fn a_new_image_takes_the_place_of_the_old_one() {
        let source = extended(
            ICC | ALPHA | XMP,
            &[(b"ICCP", b"icc"), (b"ALPH", b"a"), (b"VP8 ", LOSSY), (b"XMP ", b"<x/>"), (b"MAKR", b"own")],
        );
        let kept = |policy| Chunks::parse(&source).unwrap().filter(policy);
        let with_alpha = extended(ALPHA, &[(b"ALPH", b"b"), (b"VP8 ", LOSSY)]);
        assert_eq!(kinds(&kept(All).assemble(&with_alpha).unwrap()), "0x34 ICCP ALPH VP8 XMP MAKR");
        assert_eq!(kinds(&kept(Nothing).assemble(&with_alpha).unwrap()), "0x30 ICCP ALPH VP8");
        let lossless = file(&[(b"VP8L", CLEAR)]);
        assert_eq!(kinds(&kept(Nothing).assemble(&lossless).unwrap()), "0x30 ICCP VP8L");
        let plain = Chunks::parse(&lossless).unwrap().filter(Safe);
        assert_eq!(kinds(&plain.assemble(&file(&[(b"VP8 ", LOSSY)])).unwrap()), "simple VP8");
        assert_eq!(kinds(&plain.assemble(&with_alpha).unwrap()), "0x10 ALPH VP8");
        assert!(plain.assemble(b"RIFF").is_err());
    }

    #[test]
    fn alpha_is_what_all_headers_say() {
        for (file, alpha) in [
            (extended(0, &[(b"ALPH", b"a"), (b"VP8 ", LOSSY)]), Alpha::Disputed),
            (extended(0, &[(b"VP8L", CLEAR)]), Alpha::Disputed),
            (extended(ALPHA, &[(b"VP8L", OPAQUE)]), Alpha::Disputed),
            (extended(ALPHA, &[(b"VP8L", CLEAR)]), Alpha::Some),
            (extended(ALPHA, &[(b"ALPH", b"a"), (b"VP8 ", LOSSY)]), Alpha::Some),
            (extended(ALPHA, &[(b"VP8 ", LOSSY)]), Alpha::None),
            (extended(0, &[(b"VP8L", OPAQUE)]), Alpha::None),
            (extended(0, &[(b"VP8 ", LOSSY)]), Alpha::None),
            (file(&[(b"VP8L", OPAQUE)]), Alpha::None),
            (file(&[(b"VP8L", CLEAR)]), Alpha::Some),
            (file(&[(b"VP8 ", LOSSY)]), Alpha::None),
        ] {
            assert_eq!(Chunks::parse(&file).unwrap().alpha, alpha, "{file:?}");
        }
    }

    #[test]
    fn a_mark_is_found_again() {
        for image in [file(&[(b"VP8L", OPAQUE)]), extended(ICC, &[(b"ICCP", b"icc"), (b"VP8L", OPAQUE)])] {
            let still = |file: &[u8]| Chunks::parse(file).unwrap().still.unwrap();
            assert!(!still(&image).is_marked && still(&marked(&image).unwrap()).is_marked);
        }
    }

    #[test]
    fn what_follows_the_end_is_padding_or_unknown() {
        let image = file(&[(b"VP8 ", LOSSY)]);
        for (rest, padded) in
            [(&b"\n"[..], true), (b"\r\n \t", true), (&[0; 9], true), (&[0xFF; 9], true), (b"\nzip", false)]
        {
            let file = [&image, rest].concat();
            let chunks = Chunks::parse(&file).unwrap();
            assert_eq!((chunks.padded, chunks.tail), (padded, if padded { b"" } else { rest }));
            assert_eq!(filtered(&file, Safe).1, image);
        }
    }

    #[test]
    fn metadata_behind_the_stated_end_is_filtered() {
        let image = file(&[(b"VP8 ", LOSSY)]);
        let whole = file(&[(b"VP8 ", LOSSY), (b"EXIF", &camera()), (b"XMP ", b"<x/>")]);
        let behind = &whole[image.len()..];
        let under = |behind: &[u8], policy| {
            let source = [&image, behind].concat();
            Chunks::parse(&source).unwrap().tail_under(policy).into_owned()
        };
        let safe = under(&[behind, &[0; 8]].concat(), Safe);
        assert!(safe.starts_with(b"EXIF") && safe.len() < behind.len());
        assert!(behind.windows(8).any(|window| window == b"latitude"));
        assert!(!safe.windows(8).any(|window| window == b"latitude"));
        assert_eq!((under(&safe, Safe), under(behind, All)), (safe, behind.to_vec()));
        for unknown in [&b"PK\x03\x04"[..], &[behind, b"JUNK\0\0\0\0"].concat(), &behind[..behind.len() - 3]] {
            assert_eq!(under(unknown, Safe), unknown);
        }
        assert_eq!(under(b"\n", Safe), b"");
    }

    #[test]
    fn faults_are_errors() {
        let image = file(&[(b"VP8L", OPAQUE)]);
        for length in 0..image.len() {
            assert!(Chunks::parse(&image[..length]).is_err(), "{length}");
        }
        for parts in [
            file(&[]),
            file(&[(b"EXIF", b"")]),
            file(&[(b"EXIF", b""), (b"VP8L", OPAQUE)]),
            file(&[(b"VP8L", OPAQUE), (b"VP8 ", LOSSY)]),
            file(&[(b"ALPH", b"a"), (b"VP8 ", LOSSY)]),
            file(&[(b"VP8X", &[0; 9])]),
            extended(0, &[]),
            extended(0, &[(b"ANMF", b"a")]),
            extended(ALPHA, &[(b"VP8 ", LOSSY), (b"ALPH", b"a")]),
            extended(ALPHA, &[(b"ALPH", b"a"), (b"ALPH", b"a"), (b"VP8 ", LOSSY)]),
            extended(0, &[(b"VP8L", &[0x2F, 9, 0, 1, 0])]),
        ] {
            assert!(Chunks::parse(&parts).is_err(), "{parts:?}");
        }
        // The last byte of padding is missing from some files.
        let mut short = image.clone();
        short.pop();
        short[4] -= 1;
        assert!(Chunks::parse(&short).is_ok());
    }
}
