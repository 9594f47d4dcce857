//! The XMP of a JPEG file: a packet in one segment, and an extended packet that it promises in any number of others.

use super::markers::{EXTENDED_XMP_ID, Kind, XMP_ID};
use super::segments::Segments;
use crate::optimize::metadata::container::Container;
use crate::optimize::metadata::extended;
use crate::optimize::metadata::xmp;
use crate::optimize::options::MetadataPolicy;

/// An extended packet, and the sum by which it is promised.
pub type Extended = ([u8; 32], Vec<u8>);

/// What the XMP packets list: only what every policy keeps may account for anything.
pub fn container(image: &Segments<'_>) -> Container {
    let Some(packet) = image.find(Kind::Xmp).map(|segment| segment.after(XMP_ID)) else { return Container::default() };
    let read = |packet: &[u8]| {
        let kept = xmp::filter(packet, MetadataPolicy::None).apply(packet);
        kept.map(|packet| Container::read(&packet)).unwrap_or_default()
    };
    let extended = image.extended_xmp().map(|(_, packet)| read(&packet));
    read(packet).or(extended.unwrap_or_default())
}

impl Segments<'_> {
    /// The extended packet that the XMP packet promises, where it is whole.
    pub fn extended_xmp(&self) -> Option<Extended> {
        let parts = self.parts.iter().filter(|segment| segment.kind() == Some(Kind::ExtendedXmp));
        let parts = parts.map(|part| part.after(EXTENDED_XMP_ID));
        join(self.find(Kind::Xmp)?.after(XMP_ID), parts)
    }

    /// Bytes of the extended packets, which are held more than once.
    pub fn extended_bytes(&self) -> u64 {
        let parts = self.parts.iter().filter(|segment| segment.kind() == Some(Kind::ExtendedXmp));
        parts.map(|part| part.payload.len() as u64).sum()
    }
}

/// Joins the parts of the extended packet that a packet promises.
pub fn join<'p>(packet: &[u8], parts: impl Iterator<Item = &'p [u8]> + Clone) -> Option<Extended> {
    // Reading the packet costs more than to see that there is no part.
    parts.clone().next()?;
    let guid = extended::guid(packet)?;
    Some((guid, extended::join(&guid, parts)?))
}
