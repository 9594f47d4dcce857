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
    let Some(RawProfile { name, bytes, loose }) = RawProfile::decode(text) else { return Filtered::Drop };
    let (id, filtered) = match kind {
        // "acsp" marks an ICC profile (ICC.1, 7.2.11).
        b"icc" | b"icm" if bytes.get(36..40) == Some(b"acsp") => (&b""[..], Filtered::Keep),
        b"exif" | b"APP1" if bytes.starts_with(APP1_EXIF) => {
            (APP1_EXIF, exif::filter(&bytes[APP1_EXIF.len()..], policy))
        }
        b"APP1" | b"xmp" if bytes.starts_with(APP1_XMP) => (APP1_XMP, xmp::filter(&bytes[APP1_XMP.len()..], policy)),
        b"exif" => (&b""[..], exif::filter(&bytes, policy)),
        b"xmp" => (&b""[..], xmp::filter(&bytes, policy)),
        b"iptc" | b"8bim" if bytes.starts_with(b"8BIM") => (&b""[..], iptc::filter(&bytes, policy)),
        b"iptc" => (&b""[..], iptc::filter_bare(&bytes, policy)),
        _ => return Filtered::Drop,
    };
    match filtered {
        Filtered::Replace(new) => Filtered::Replace(encode_profile(name, &[id, &new].concat())),
        Filtered::Keep if loose => Filtered::Replace(encode_profile(name, &bytes)),
        Filtered::Keep | Filtered::Drop => filtered,
    }
}

/// A raw profile: a newline, its name, its length in decimal digits, then hexadecimal digits, in lines.
struct RawProfile<'a> {
    name: &'a [u8],
    bytes: Vec<u8>,
    /// Whether anything but white space follows.
    loose: bool,
}

impl<'a> RawProfile<'a> {
    fn decode(text: &'a [u8]) -> Option<Self> {
        let (name, rest) = split_line(text.trim_ascii_start())?;
        let (length, hex) = split_line(rest.trim_ascii_start())?;
        let length: usize = std::str::from_utf8(length.trim_ascii()).ok()?.parse().ok()?;
        if length > hex.len() / 2 {
            return None;
        }
        let mut digits = hex.iter().filter(|byte| !byte.is_ascii_whitespace());
        let mut digit = || char::from(*digits.next()?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let bytes = (0..length).map(|_| Some(digit()? << 4 | digit()?)).collect::<Option<_>>()?;
        Some(Self { name, bytes, loose: digits.next().is_some() })
    }
}

fn split_line(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|&byte| byte == b'\n')?;
    Some((&text[..end], &text[end + 1..]))
}

fn encode_profile(name: &[u8], profile: &[u8]) -> Vec<u8> {
    let mut hex = String::new();
    for line in profile.chunks(HEX_LINE / 2) {
        for byte in line {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
        }
        hex.push('\n');
    }
    [b"\n", name, format!("\n{:8}\n", profile.len()).as_bytes(), hex.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimize::metadata::exif::tests::camera_block;
    use crate::optimize::metadata::iptc::tests::resource;
    use crate::optimize::metadata::xmp::tests::packet;
    use crate::optimize::metadata::{ByteOrder, Tiff};
    use MetadataPolicy::{None as Nothing, Safe};

    fn ztxt(keyword: &str, text: &[u8]) -> Vec<u8> {
        [keyword.as_bytes(), b"\0\0", &compress_to_vec_zlib(text, 1)].concat()
    }

    fn itxt(keyword: &str, compressed: bool, text: &[u8]) -> Vec<u8> {
        let text = if compressed { compress_to_vec_zlib(text, 1) } else { text.to_vec() };
        [keyword.as_bytes(), &[0, u8::from(compressed), 0], b"en\0translated\0", &text].concat()
    }

    fn profile_of(kind: [u8; 4], data: &[u8]) -> Vec<u8> {
        RawProfile::decode(&Text::read(kind, data).unwrap().text().unwrap()).unwrap().bytes
    }

    #[test]
    fn authorship_stays_and_other_text_goes() {
        for (keyword, stays) in [("Author", true), ("Copyright", true), ("Comment", false), ("exif:GPSInfo", false)] {
            let plain = format!("{keyword}\0Anna").into_bytes();
            for (kind, data) in [
                (*b"tEXt", plain),
                (*b"zTXt", ztxt(keyword, b"Anna")),
                (*b"iTXt", itxt(keyword, false, b"Anna")),
                (*b"iTXt", itxt(keyword, true, b"Anna")),
            ] {
                assert_eq!(filter(kind, &data, Safe).as_deref(), stays.then_some(data.as_slice()), "{keyword}");
                assert_eq!(filter(kind, &data, Nothing), None);
            }
        }
    }

    #[test]
    fn xmp_is_filtered_and_stays_as_compressed_as_it_was() {
        let source = packet("<rdf:Description dc:rights=\"A\" exif:GPSLatitude=\"48,51N\"/>");
        for compressed in [false, true] {
            let data = itxt("XML:com.adobe.xmp", compressed, &source);
            let out = filter(*b"iTXt", &data, Safe).unwrap();
            let text = Text::read(*b"iTXt", &out).unwrap();
            assert_eq!(text.compressed, compressed);
            let text = String::from_utf8(text.text().unwrap().into_owned()).unwrap();
            assert!(text.contains("dc:rights=\"A\"") && !text.contains("48,51N"), "{text}");
            assert_eq!(filter(*b"iTXt", &data, Nothing), None);
        }
    }

    #[test]
    fn raw_profiles_are_filtered_as_what_they_hold() {
        let exif = [APP1_EXIF, &camera_block(ByteOrder::Big)].concat();
        let text = encode_profile(b"exif", &exif);
        for (kind, data) in [
            (*b"zTXt", ztxt("Raw profile type exif", &text)),
            (*b"tEXt", [b"Raw profile type APP1\0", &text[..]].concat()),
        ] {
            let out = profile_of(kind, &filter(kind, &data, Safe).unwrap());
            let kept = out.strip_prefix(APP1_EXIF).unwrap();
            assert_eq!(exif::orientation(kept), Some(6));
            assert!(
                Tiff::parse(kept).unwrap().first_directory().unwrap().entries.iter().all(|entry| entry.tag != 0x8825)
            );
        }
        let copyright = resource(0x040A, &[1]);
        let text = encode_profile(b"iptc", &[copyright.clone(), resource(0x0422, b"GPS")].concat());
        let out = filter(*b"zTXt", &ztxt("Raw profile type iptc", &text), Safe).unwrap().into_owned();
        assert_eq!(profile_of(*b"zTXt", &out), copyright);
        assert_eq!(filter(*b"zTXt", &out, Safe).as_deref(), Some(out.as_slice()));
    }

    #[test]
    fn a_colour_profile_stays_but_not_what_only_says_so() {
        let mut profile = vec![0; 40];
        profile[36..].copy_from_slice(b"acsp");
        let data = ztxt("Raw profile type icc", &encode_profile(b"icc", &profile));
        assert_eq!(filter(*b"zTXt", &data, Nothing).as_deref(), Some(data.as_slice()));
        let data = ztxt("Raw profile type icc", &encode_profile(b"icc", b"48.8583 N 2.2945 E"));
        assert_eq!(filter(*b"zTXt", &data, Safe), None);
    }

    #[test]
    fn what_follows_a_profile_goes() {
        let copyright = resource(0x040A, &[1]);
        let text = [encode_profile(b"8bim", &copyright), b"48.8583 N".to_vec()].concat();
        let out = filter(*b"zTXt", &ztxt("Raw profile type 8bim", &text), Safe).unwrap().into_owned();
        assert_eq!(
            out,
            [b"Raw profile type 8bim\0\0", &compress_to_vec_zlib(&encode_profile(b"8bim", &copyright), 9)[..]].concat()
        );
    }

    #[test]
    fn bombs_and_broken_chunks_go() {
        let bomb = ztxt("Author", &vec![0; MAX_TEXT + 1]);
        assert!(bomb.len() < 64 << 10);
        assert_eq!(filter(*b"zTXt", &bomb, Safe), None);
        for broken in [
            &b""[..],
            b"Author",
            b"Author\0",
            b"Author\0\0not zlib",
            b"Raw profile type exif\0\nexif\n 99999999999\n00",
        ] {
            assert_eq!(filter(*b"zTXt", broken, Safe), None);
            assert_eq!(filter(*b"iTXt", broken, Safe), None);
        }
        for text in [&b""[..], b"exif", b"\nexif\n99\n00", b"\nexif\nx\n00", b"\nexif\n1\nzz"] {
            assert_eq!(filter_profile(b"exif", text, Safe), Filtered::Drop);
        }
    }
}
