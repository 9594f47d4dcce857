//! Extensions (GIF89a, 23 to 26): what is in them, and what a policy keeps of them.

use std::borrow::Cow;

use super::reader::{sub_blocks, take_array};
use crate::optimize::error::ImageError;
use crate::optimize::metadata::xmp;
use crate::optimize::options::MetadataPolicy;

pub const EXTENSION: u8 = 0x21;
pub const PLAIN_TEXT: u8 = 0x01;
pub const CONTROL: u8 = 0xF9;
const APPLICATION: u8 = 0xFF;

/// Application identifier and authentication code (26) of what the look needs: loops, buffering, colour profile.
const LOOK: &[&[u8]] = &[b"NETSCAPE2.0", b"ANIMEXTS1.0", b"ICCRGBG1012"];
const XMP: &[u8] = b"XMP DataXMP";
/// A C2PA manifest store.
const C2PA: &[u8] = b"C2PA_GIF";

/// An extension from its introducer to its terminator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension<'a> {
    pub label: u8,
    pub bytes: Cow<'a, [u8]>,
}

impl<'a> Extension<'a> {
    /// Reads one from its introducer on.
    ///
    /// # Errors
    /// [`ImageError::Malformed`] where it is cut short.
    pub fn parse(rest: &mut &'a [u8]) -> Result<Self, ImageError> {
        let start = *rest;
        let &[_, label] = take_array(rest)?;
        sub_blocks(rest)?;
        Ok(Self { label, bytes: Cow::Borrowed(&start[..start.len() - rest.len()]) })
    }

    /// Identifier and authentication code of an application extension.
    fn application(&self) -> Option<&[u8]> {
        match &*self.bytes {
            [_, APPLICATION, 11, name @ ..] => name.get(..11),
            _ => None,
        }
    }

    /// Whether it signs the file.
    pub fn is_manifest(&self) -> bool {
        self.application().is_some_and(|name| name.starts_with(C2PA))
    }

    /// `None` where nothing of it is kept.
    pub fn filter(&self, policy: MetadataPolicy) -> Option<Self> {
        let is_look = self.application().is_some_and(|name| LOOK.contains(&name));
        if policy == MetadataPolicy::All || matches!(self.label, CONTROL | PLAIN_TEXT) || is_look {
            return Some(self.clone());
        }
        if self.application() != Some(XMP) {
            return None;
        }
        // The packet stands there as it is, no sub-blocks; what follows leads every reader of sub-blocks to the end
        // (XMP specification, part 3, 1.1.2).
        let packet = self.bytes.get(14..)?.strip_suffix(&xmp_trailer())?;
        let kept = xmp::filter(packet, policy).apply(packet)?;
        let bytes = [&self.bytes[..14], &kept, &xmp_trailer()].concat();
        // A zero byte would end it early.
        (!kept.contains(&0)).then_some(Self { label: self.label, bytes: bytes.into() })
    }
}

/// 0x01, all bytes from 0xFF down to 0x00, and the block terminator.
fn xmp_trailer() -> [u8; 258] {
    std::array::from_fn(|at| match at {
        0 => 1,
        257 => 0,
        _ => (256 - at) as u8,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use MetadataPolicy::{All, None as Nothing, Safe};

    fn kept(bytes: &[u8], policy: MetadataPolicy) -> Option<Vec<u8>> {
        let mut rest = bytes;
        let extension = Extension::parse(&mut rest).unwrap();
        assert!(rest.is_empty());
        extension.filter(policy).map(|extension| extension.bytes.into_owned())
    }

    fn xmp(packet: &str) -> Vec<u8> {
        [b"\x21\xFF\x0BXMP DataXMP", packet.as_bytes(), &xmp_trailer()].concat()
    }

    #[test]
    fn what_the_look_needs_is_kept_and_other_applications_go() {
        let look: [&[u8]; 4] = [
            b"\x21\xFF\x0BNETSCAPE2.0\x03\x01\0\0\0",
            b"\x21\xFF\x0BICCRGBG1012\x01p\0",
            b"\x21\xF9\x04\0\0\0\0\0",
            b"\x21\x01\x0C0123456789ab\0",
        ];
        for extension in look {
            assert!([Safe, Nothing, All].iter().all(|policy| kept(extension, *policy).as_deref() == Some(extension)));
        }
        for extension in [&b"\x21\xFE\x02hi\0"[..], b"\x21\xFF\x0BSOMEMAKER12\x01p\0", b"\x21\xAA\0"] {
            assert_eq!([Safe, Nothing].map(|policy| kept(extension, policy)), [None, None]);
            assert_eq!(kept(extension, All).as_deref(), Some(extension));
        }
    }

    #[test]
    fn xmp_is_read_in_its_own_frame_and_keeps_authorship() {
        let packet = |inside: &str| {
            xmp(&format!(
                "<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>\
                 <rdf:Description xmlns:dc='http://purl.org/dc/elements/1.1/' xmlns:exif='http://ns.adobe.com/exif/1.0/' \
                 {inside}/></rdf:RDF></x:xmpmeta>"
            ))
        };
        let source = packet("dc:rights='Anna' exif:GPSLatitude='48,51N'");
        let safe = kept(&source, Safe).unwrap();
        let holds = |text: &str| safe.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(holds("Anna") && !holds("48,51N"));
        assert!(safe.ends_with(&xmp_trailer()));
        assert_eq!(kept(&safe, Safe), Some(safe));
        assert_eq!(kept(&source, Nothing), None);
        assert_eq!(kept(&source, All), Some(source));
    }

    #[test]
    fn what_is_cut_short_is_an_error() {
        for bytes in [&b"\x21"[..], b"\x21\xFE", b"\x21\xFE\x05hi"] {
            assert!(Extension::parse(&mut &bytes[..]).is_err());
        }
    }
}
