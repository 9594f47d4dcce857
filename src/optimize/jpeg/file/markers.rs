//! Marker segments of a JPEG file (ITU-T T.81, annex B), and what the metadata in them is.

use super::stereo;
use crate::optimize::error::ImageError;
use crate::optimize::format::Format;
use crate::optimize::padding::without_padding;

/// Longest payload of a segment: its length field counts itself (T.81, B.1.1.4).
pub const MAX_PAYLOAD: usize = 65_533;

pub const SOI: u8 = 0xD8;
pub const EOI: u8 = 0xD9;
pub const SOS: u8 = 0xDA;
pub const DNL: u8 = 0xDC;
pub const DHP: u8 = 0xDE;
pub const APP0: u8 = 0xE0;
pub const APP1: u8 = 0xE1;
pub const APP2: u8 = 0xE2;
pub const APP3: u8 = 0xE3;
pub const APP10: u8 = 0xEA;
pub const APP11: u8 = 0xEB;
pub const APP13: u8 = 0xED;
pub const APP14: u8 = 0xEE;
pub const COM: u8 = 0xFE;

/// Its last byte is a fill byte to Chrome (Blink's JPEG decoder, `CheckExifHeader`) and `ExifTool`.
pub const EXIF_ID: &[u8] = b"Exif\0\0";
pub const XMP_ID: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
pub const EXTENDED_XMP_ID: &[u8] = b"http://ns.adobe.com/xmp/extension/\0";
/// Followed by the part's number, from 1, and the number of parts.
pub const ICC_ID: &[u8] = b"ICC_PROFILE\0";
pub const PHOTOSHOP_ID: &[u8] = b"Photoshop 3.0\0";
pub const MPF_ID: &[u8] = b"MPF\0";

/// One marker segment, and the entropy-coded data after it where it begins a scan.
#[derive(Debug, Clone, Copy)]
pub struct Segment<'a> {
    pub marker: u8,
    /// Where the payload begins in the file.
    pub at: usize,
    pub payload: &'a [u8],
    pub entropy: &'a [u8],
}

/// What a metadata segment holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Jfif,
    Exif,
    Xmp,
    ExtendedXmp,
    Photoshop,
    Adobe,
    /// The Multi-Picture index of the primary image, attributes in others.
    MultiPicture,
    /// How the views of both eyes lie in the picture, and a comment or other data beside that.
    Stereo,
    /// ICC profile, ISO gain map parameters, Apple's HDR curve, boxes of JPEG XT and JPEG-HDR: never touched.
    Look,
    /// Comments, previews, makers' own data, boxes of JUMBF.
    Private,
}

impl<'a> Segment<'a> {
    /// `None` where the segment belongs to the coded image.
    pub fn kind(&self) -> Option<Kind> {
        let begins = |id: &[u8]| self.payload.starts_with(id);
        Some(match self.marker {
            APP0 if begins(b"JFIF\0") => Kind::Jfif,
            APP1 if begins(b"Exif\0") && self.payload.len() >= EXIF_ID.len() => Kind::Exif,
            APP1 if begins(XMP_ID) => Kind::Xmp,
            APP1 if begins(EXTENDED_XMP_ID) => Kind::ExtendedXmp,
            APP2 if begins(MPF_ID) => Kind::MultiPicture,
            // ISO 21496-1, annex C: the gain map's parameters.
            APP2 if begins(ICC_ID) || begins(b"urn:iso:std:iso:ts:21496:-1\0") => Kind::Look,
            APP10 if begins(b"AROT") => Kind::Look,
            APP3 if stereo::is_layout(self.payload) => Kind::Stereo,
            APP11 if begins(b"HDR_RI") || box_kind(self.payload).is_some_and(|kind| kind != b"jumb") => Kind::Look,
            APP13 if begins(PHOTOSHOP_ID) => Kind::Photoshop,
            APP14 if begins(b"Adobe") && self.payload.len() >= 12 => Kind::Adobe,
            APP0..=0xEF | COM => Kind::Private,
            _ => return None,
        })
    }

    /// The payload after an identifier of this many bytes.
    pub fn after(&self, id: &[u8]) -> &'a [u8] {
        self.payload.get(id.len()..).unwrap_or_default()
    }
}

/// The type of an APP11 segment's box (ISO/IEC 18477-3, annex B): the identifier "JP", a number, a place in the sequence,
/// length, type.
fn box_kind(payload: &[u8]) -> Option<&[u8]> {
    payload.strip_prefix(b"JP")?.get(10..14)
}

/// Whether nothing but zeros, white space, fill bytes and end markers are there.
pub fn is_padding(bytes: &[u8]) -> bool {
    without_padding(bytes, &[0xFF, EOI]).is_empty()
}

pub fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

pub fn malformed(detail: &str) -> ImageError {
    ImageError::malformed(Format::Jpeg, detail)
}
