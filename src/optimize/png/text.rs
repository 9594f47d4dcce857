//! PNG's text chunks: authorship stays, XMP and "raw profiles" are filtered as such, all other text goes.
//!
//! Sources: PNG 3rd edition, 11.3.3; `ImageMagick`'s and `ExifTool`'s "Raw profile type" (hexadecimal EXIF, IPTC, XMP
//! or ICC). Inflates under a hard bound: a small chunk can hold gigabytes.

use std::borrow::Cow;
use std::fmt::Write;

use miniz_oxide::deflate::compress_to_vec_zlib;
use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;

use crate::optimize::metadata::{Filtered, exif, iptc, xmp};
use crate::optimize::options::MetadataPolicy;

/// Bytes that a compressed text may inflate to.
const MAX_TEXT: usize = 4 << 20;
/// Effort of zlib, from 0 to 10.
const DEFLATE_LEVEL: u8 = 9;
const XMP_KEYWORD: &[u8] = b"XML:com.adobe.xmp";
const PROFILE_KEYWORD: &[u8] = b"Raw profile type ";
const APP1_EXIF: &[u8] = b"Exif\0\0";
const APP1_XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
/// Hexadecimal digits in a line of a raw profile, as `ImageMagick` writes them.
const HEX_LINE: usize = 72;

/// The data of a text chunk as the policy keeps it; `None` where it goes.
pub(super) fn filter(kind: [u8; 4], data: &[u8], policy: MetadataPolicy) -> Option<Cow<'_, [u8]>> {
    let text = Text::read(kind, data)?;
    let filtered = if text.keyword == XMP_KEYWORD {
        xmp::filter(&text.text()?, policy)
    } else if let Some(profile) = text.keyword.strip_prefix(PROFILE_KEYWORD) {
        filter_profile(profile, &text.text()?, policy)
    } else if policy == MetadataPolicy::Safe && [b"Author".as_slice(), b"Copyright"].contains(&text.keyword) {
        text.text().map_or(Filtered::Drop, |_| Filtered::Keep)
    } else {
        Filtered::Drop
    };
    match filtered {
        Filtered::Keep => Some(data.into()),
        Filtered::Replace(new) => Some(text.with(&new).into()),
        Filtered::Drop => None,
    }
}

/// A text chunk taken apart.
struct Text<'a> {
    keyword: &'a [u8],
    /// All before the text itself: keyword, compression, language.
    head: &'a [u8],
    body: &'a [u8],
    compressed: bool,
}

impl<'a> Text<'a> {
    fn read(kind: [u8; 4], data: &'a [u8]) -> Option<Self> {
        let end_of = |from: usize| Some(from + data.get(from..)?.iter().position(|&byte| byte == 0)?);
        let keyword_end = end_of(0)?;
        let (head, compressed) = match &kind {
            b"tEXt" => (keyword_end + 1, false),
            b"zTXt" => (keyword_end + 2, true),
            _ => (end_of(end_of(keyword_end + 3)? + 1)? + 1, *data.get(keyword_end + 1)? == 1),
        };
        let (head, body) = data.split_at_checked(head)?;
        Some(Self { keyword: &data[..keyword_end], head, body, compressed })
    }

    /// `None` where it does not inflate within the bound.
    fn text(&self) -> Option<Cow<'a, [u8]>> {
        if self.compressed {
            decompress_to_vec_zlib_with_limit(self.body, MAX_TEXT).ok().map(Cow::Owned)
        } else {
            Some(self.body.into())
        }
    }

    fn with(&self, text: &[u8]) -> Vec<u8> {
        let body: Cow<'_, [u8]> =
            if self.compressed { compress_to_vec_zlib(text, DEFLATE_LEVEL).into() } else { text.into() };
        [self.head, &body].concat()
    }
}

/// Filters a raw profile of the given type.
fn filter_profile(kind: &[u8], text: &[u8], policy: MetadataPolicy) -> Filtered {
    let Some((name, profile)) = decode_profile(text) else { return Filtered::Drop };
    let (id, filtered) = match kind {
        // "acsp" marks an ICC profile (ICC.1, 7.2.11).
        b"icc" | b"icm" if profile.get(36..40) == Some(b"acsp") => return Filtered::Keep,
        b"exif" | b"APP1" if profile.starts_with(APP1_EXIF) => {
            (APP1_EXIF, exif::filter(&profile[APP1_EXIF.len()..], policy))
        }
        b"APP1" | b"xmp" if profile.starts_with(APP1_XMP) => {
            (APP1_XMP, xmp::filter(&profile[APP1_XMP.len()..], policy))
        }
        b"exif" => (&b""[..], exif::filter(&profile, policy)),
        b"xmp" => (&b""[..], xmp::filter(&profile, policy)),
        b"iptc" | b"8bim" if profile.starts_with(b"8BIM") => (&b""[..], iptc::filter(&profile, policy)),
        b"iptc" => (&b""[..], iptc::filter_bare(&profile, policy)),
        _ => return Filtered::Drop,
    };
    match filtered {
        Filtered::Replace(new) => Filtered::Replace(encode_profile(name, &[id, &new].concat())),
        Filtered::Keep | Filtered::Drop => filtered,
    }
}

/// A raw profile: a newline, its name, its length in decimal digits, then hexadecimal digits, in lines.
fn decode_profile(text: &[u8]) -> Option<(&str, Vec<u8>)> {
    let text = std::str::from_utf8(text).ok()?;
    let (name, rest) = text.trim_start().split_once('\n')?;
    let (length, hex) = rest.trim_start().split_once('\n')?;
    let length: usize = length.trim().parse().ok()?;
    let digits: Vec<u8> = hex
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace() && *byte != 0)
        .map(|byte| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let profile: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    (profile.len() == length && digits.len().is_multiple_of(2)).then_some((name, profile))
}

fn encode_profile(name: &str, profile: &[u8]) -> Vec<u8> {
    let mut out = format!("\n{name}\n{:8}\n", profile.len());
    for line in profile.chunks(HEX_LINE / 2) {
        for byte in line {
            // Writing to a string cannot fail.
            let _ = write!(out, "{byte:02x}");
        }
        out.push('\n');
    }
    out.into_bytes()
}
