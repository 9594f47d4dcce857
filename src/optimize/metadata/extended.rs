//! Extended XMP: a second packet, which the first promises by an MD5 sum, in parts that fit a JPEG segment each.
//!
//! Source: XMP Specification Part 3 (Adobe, 2020), section 1.1.3.1.

use md5::{Digest, Md5};
use quick_xml::events::Event;
use quick_xml::name::{Namespace, ResolveResult};
use quick_xml::reader::NsReader;

use super::Filtered;
use super::xmp::{self, NOTE, PROMISE};
use crate::optimize::options::MetadataPolicy;

/// Hexadecimal digits of an MD5 sum.
const GUID_BYTES: usize = 32;
/// What stands before the data of each part: GUID, length of the whole packet, offset of the part.
const HEADER_BYTES: usize = GUID_BYTES + 8;

/// The sum by which a packet promises an extended packet.
#[must_use]
pub fn guid(packet: &[u8]) -> Option<[u8; GUID_BYTES]> {
    let text = xmp::text(packet);
    let mut reader = NsReader::from_str(&text);
    let mut found = None;
    let mut is_next = false;
    let is_promise = |namespace: &ResolveResult<'_>, name: &str| {
        *namespace == ResolveResult::Bound(Namespace(NOTE)) && name == PROMISE
    };
    loop {
        match reader.read_event().ok()? {
            Event::Start(tag) | Event::Empty(tag) => {
                let (namespace, name) = reader.resolver().resolve_element(tag.name());
                is_next = is_promise(&namespace, name.as_ref());
                for attribute in tag.attributes().with_checks(false) {
                    let attribute = attribute.ok()?;
                    let (namespace, name) = reader.resolver().resolve_attribute(attribute.key);
                    if is_promise(&namespace, name.as_ref()) {
                        found = found.or(Some(attribute.value.as_bytes().to_vec()));
                    }
                }
            }
            Event::Text(text) if is_next => found = found.or(Some(text.trim().as_bytes().to_vec())),
            Event::Eof => break,
            _ => is_next = false,
        }
    }
    found?.try_into().ok()
}

/// The extended packet of this sum, put together of its parts; `None` where one is missing or they contradict each
/// other.
#[must_use]
pub fn join<'a>(guid: &[u8; GUID_BYTES], parts: impl Iterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    let mut found = Vec::new();
    let mut whole = None;
    for part in parts {
        let Some(rest) = part.strip_prefix(guid) else { continue };
        let (length, rest) = rest.split_first_chunk()?;
        let (offset, data) = rest.split_first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        if *whole.get_or_insert(length) != length {
            return None;
        }
        found.push((usize::try_from(u32::from_be_bytes(*offset)).ok()?, data));
    }
    found.sort_by_key(|(offset, _)| *offset);
    found.dedup_by_key(|(offset, _)| *offset);
    let mut packet = Vec::new();
    for (offset, data) in found {
        if offset != packet.len() {
            return None;
        }
        packet.extend_from_slice(data);
    }
    (Some(packet.len()) == whole).then_some(packet)
}

/// The sum of an extended packet, and its parts of at most so many bytes each; `None` where it is too long for them.
#[must_use]
pub fn split(packet: &[u8], most: usize) -> Option<([u8; GUID_BYTES], Vec<Vec<u8>>)> {
    let digits = Md5::digest(packet).into_iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let mut guid = [0; GUID_BYTES];
    for (digit, value) in guid.iter_mut().zip(digits) {
        *digit = b"0123456789ABCDEF"[usize::from(value)];
    }
    let length = u32::try_from(packet.len()).ok()?.to_be_bytes();
    let mut parts = Vec::new();
    let mut offset = 0_u32;
    for data in packet.chunks(most.checked_sub(HEADER_BYTES).filter(|room| *room > 0)?) {
        parts.push([&guid[..], &length, &offset.to_be_bytes(), data].concat());
        // Below the length, which fits.
        offset += u32::try_from(data.len()).ok()?;
    }
    Some((guid, parts))
}

/// The packet with another sum in its promise.
#[must_use]
pub fn with_guid(packet: &[u8], old: &[u8; GUID_BYTES], new: &[u8; GUID_BYTES]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    let promise = packet.windows(PROMISE.len()).position(|bytes| bytes == PROMISE.as_bytes()).unwrap_or(0);
    if let Some(at) = packet[promise..].windows(GUID_BYTES).position(|bytes| bytes == old) {
        packet[promise + at..][..GUID_BYTES].copy_from_slice(new);
    }
    packet
}

/// Filters a packet and the extended packet that it promises. The promise stays where anything of the latter does.
#[must_use]
pub fn filter(packet: &[u8], extended: &[u8], policy: MetadataPolicy) -> (Filtered, Filtered) {
    let extended = xmp::filter(extended, policy);
    (xmp::filter_beside(packet, policy, extended != Filtered::Drop), extended)
}

#[cfg(test)]
pub(in crate::optimize) mod tests {
    use super::super::xmp::tests::packet;
    use super::*;
    use MetadataPolicy::{None as Nothing, Safe};

    /// A packet that promises an extended packet, with other properties; and the parts of the latter.
    pub(in crate::optimize) fn packets(inside: &str, extended: &[u8], most: usize) -> (Vec<u8>, Vec<Vec<u8>>) {
        let (guid, parts) = split(extended, most).unwrap();
        let guid = std::str::from_utf8(&guid).unwrap();
        (packet(&format!("<rdf:Description xmpNote:HasExtendedXMP=\"{guid}\"/>{inside}")), parts)
    }

    #[test]
    fn parts_are_joined_in_any_order() {
        let whole: Vec<u8> = (0..500_u32).map(|byte| (byte % 251) as u8).collect();
        let (main, parts) = packets("", &whole, HEADER_BYTES + 100);
        let guid = guid(&main).unwrap();
        assert_eq!(parts.len(), 5);
        assert!(parts[1].starts_with(&guid) && parts[1][32..40] == [0, 0, 1, 0xF4, 0, 0, 0, 100]);
        assert_eq!(join(&guid, parts.iter().rev().map(Vec::as_slice)), Some(whole.clone()));
        let twice = parts.iter().chain(&parts).map(Vec::as_slice);
        assert_eq!(join(&guid, twice), Some(whole));
        assert_eq!(join(&guid, parts[1..].iter().map(Vec::as_slice)), None);
        assert_eq!(join(&guid, parts[..4].iter().map(Vec::as_slice)), None);
        assert_eq!(join(&[b'0'; 32], parts.iter().map(Vec::as_slice)), None);
        assert_eq!(join(&guid, std::iter::once(&guid[..])), None);
    }

    #[test]
    fn the_sum_is_md5() {
        // RFC 1321, A.5.
        let (guid, parts) = split(b"abc", 65_000).unwrap();
        assert_eq!(&guid, b"900150983CD24FB0D6963F7D28E17F72");
        assert_eq!(parts[0][32..], *b"\0\0\0\x03\0\0\0\0abc");
        assert_eq!(split(b"abc", HEADER_BYTES), None);
    }

    #[test]
    fn the_promise_is_an_attribute_or_an_element() {
        let sum = "900150983CD24FB0D6963F7D28E17F72";
        for form in [
            format!("<rdf:Description xmpNote:HasExtendedXMP='{sum}'/>"),
            format!("<rdf:Description><xmpNote:HasExtendedXMP>{sum}</xmpNote:HasExtendedXMP></rdf:Description>"),
        ] {
            let main = packet(&form);
            let found = guid(&main).unwrap();
            assert_eq!(&found, sum.as_bytes());
            assert_eq!(guid(&with_guid(&main, &found, &[b'7'; 32])), Some([b'7'; 32]));
        }
        for form in
            ["", "<rdf:Description xmpNote:HasExtendedXMP='AB'/>", "<rdf:Description exif:HasExtendedXMP='AB'/>"]
        {
            assert_eq!(guid(&packet(form)), None);
        }
    }

    #[test]
    fn the_promise_stays_with_what_it_promises() {
        let rights = packet("<rdf:Description dc:rights=\"A\"/>");
        let (main, _) = packets("<rdf:Description xmp:CreatorTool=\"GIMP\"/>", &rights, 65_000);
        let (kept, extended) = filter(&main, &rights, Safe);
        let kept = kept.apply(&main).unwrap();
        assert!(guid(&kept).is_some() && extended == Filtered::Keep);
        assert!(!kept.windows(4).any(|bytes| bytes == b"GIMP"));
        assert_eq!(filter(&kept, &rights, Safe), (Filtered::Keep, Filtered::Keep));
        assert_eq!(filter(&main, &rights, Nothing), (Filtered::Drop, Filtered::Drop));
    }
}
