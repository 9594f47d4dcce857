//! Extensions (GIF89a, 23 to 26): what is in them, and what a policy keeps of them.

use std::borrow::Cow;

use super::blocks::{sub_blocks, take_array};
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
