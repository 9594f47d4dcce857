//! What a metadata policy keeps of the XMP packets, and how they are written.

use super::filter::{Kept, Metadata};
use super::markers::{APP1, EXTENDED_XMP_ID, Kind, MAX_PAYLOAD, Segment, XMP_ID};
use super::packets::{Extended, join};
use super::segments::Segments;
use crate::optimize::metadata::container;
use crate::optimize::metadata::extended;
use crate::optimize::metadata::{Filtered, xmp};
use crate::optimize::options::MetadataPolicy;

impl<'a> Kept<'a> {
    /// Filters the packet, and with it what it promises.
    pub fn push_xmp(&mut self, image: &Segments<'a>, segment: &Segment<'a>, policy: MetadataPolicy) {
        let packet = segment.after(XMP_ID);
        let parts = image.parts.iter().filter(|part| part.kind() == Some(Kind::ExtendedXmp));
        let Some((guid, whole)) = join(packet, parts.clone().map(|part| part.after(EXTENDED_XMP_ID))) else {
            self.push_filtered(Kind::Xmp, segment, XMP_ID, xmp::filter(packet, policy));
            self.is_opaque |= self.packet().is_some_and(xmp::holds_file);
            return;
        };
        let (main, extended) = extended::filter(packet, &whole, policy);
        self.push_filtered(Kind::Xmp, segment, XMP_ID, main);
        self.is_opaque |= self.packet().is_some_and(xmp::holds_file);
        match extended {
            _ if self.packet().is_none() => {}
            Filtered::Keep => {
                self.is_opaque |= xmp::holds_file(&whole);
                for part in parts.filter(|part| part.after(EXTENDED_XMP_ID).starts_with(&guid)) {
                    self.push(Kind::ExtendedXmp, APP1, part.payload.into());
                }
            }
            Filtered::Replace(packet) => {
                self.stripped = true;
                self.is_opaque |= xmp::holds_file(&packet);
                self.set_extended(&guid, &packet);
            }
            Filtered::Drop => {}
        }
    }

    /// Writes another extended packet behind the packet that promises it.
    fn set_extended(&mut self, old: &[u8; 32], packet: &[u8]) {
        let is_old = |s: &Metadata<'_>| {
            s.kind == Kind::ExtendedXmp
                && s.payload.get(EXTENDED_XMP_ID.len()..).is_some_and(|part| part.starts_with(old))
        };
        self.segments.retain(|segment| !is_old(segment));
        let split = extended::split(packet, MAX_PAYLOAD - EXTENDED_XMP_ID.len());
        let at = self.segments.iter().position(|segment| segment.kind == Kind::Xmp);
        let (Some((new, parts)), Some(at)) = (split, at) else { return };
        let main = &mut self.segments[at].payload;
        *main = [XMP_ID, &extended::with_guid(main.get(XMP_ID.len()..).unwrap_or_default(), old, &new)].concat().into();
        let parts = parts.into_iter().map(|part| [EXTENDED_XMP_ID, &part].concat().into());
        let parts = parts.map(|payload| Metadata { kind: Kind::ExtendedXmp, marker: APP1, payload });
        let behind = at + 1;
        self.segments.splice(behind..behind, parts);
    }

    /// Sets the length of each file that a directory names: directory, number, bytes.
    pub fn set_lengths(&mut self, lengths: &[(usize, usize, usize)]) {
        let Some(packet) = self.packet() else { return };
        let set = container::with_lengths(packet, lengths).filter(|set| set != packet);
        if let Some(set) = set
            && let Some(segment) = self.segments.iter_mut().find(|segment| segment.kind == Kind::Xmp)
        {
            segment.payload = [XMP_ID, &set].concat().into();
        }
        if let Some((guid, packet)) = self.extended_xmp()
            && let Some(set) = container::with_lengths(&packet, lengths).filter(|set| *set != packet)
        {
            self.set_extended(&guid, &set);
        }
    }

    /// The XMP packet.
    fn packet(&self) -> Option<&[u8]> {
        let packet = self.segments.iter().find(|segment| segment.kind == Kind::Xmp);
        packet.and_then(|packet| packet.payload.get(XMP_ID.len()..))
    }

    /// The extended packet that it promises.
    pub fn extended_xmp(&self) -> Option<Extended> {
        let parts = self.segments.iter().filter(|segment| segment.kind == Kind::ExtendedXmp);
        join(self.packet()?, parts.filter_map(|part| part.payload.get(EXTENDED_XMP_ID.len()..)))
    }
}
