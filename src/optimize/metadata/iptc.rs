//! Photoshop image resources and the IPTC record among them: keeps resolution, copyright, profile and
//! clipping paths.
//!
//! Sources: Adobe Photoshop File Formats Specification, "Image Resource Blocks", and `ExifTool`,
//! `Image::ExifTool::Photoshop`, for the signatures; IPTC-NAA IIM 4.2, chapter 3.

use super::Filtered;
use crate::optimize::options::MetadataPolicy;

/// What a resource begins with: Photoshop's own, and those of other Adobe programs, which are passed over.
const SIGNATURES: [&[u8]; 5] = [OWN, b"PHUT", b"DCSR", b"AgHg", b"MeSa"];
const OWN: &[u8] = b"8BIM";

const RESOLUTION: u16 = 0x03ED;
const IPTC_NAA: u16 = 0x0404;
const COPYRIGHT_FLAG: u16 = 0x040A;
const URL: u16 = 0x040B;
const ICC_PROFILE: u16 = 0x040F;
/// Paths 1 to 999, and the name of the one that layout programs and `ImageMagick -clip` cut the picture out by.
const PATHS: std::ops::RangeInclusive<u16> = 2000..=2999;

/// Filters a sequence of resources (without JPEG's `Photoshop 3.0\0`).
#[must_use]
pub fn filter(resources: &[u8], policy: MetadataPolicy) -> Filtered {
    if policy == MetadataPolicy::All {
        return Filtered::Keep;
    }
    let mut out = Vec::new();
    let mut rest = resources;
    while let Some(resource) = Resource::read(&mut rest) {
        match (resource.id, policy) {
            _ if !resource.raw.starts_with(OWN) => {}
            (ICC_PROFILE, _) | (RESOLUTION | COPYRIGHT_FLAG | URL, MetadataPolicy::Safe) => {
                out.extend_from_slice(resource.raw);
            }
            (id, MetadataPolicy::Safe) if PATHS.contains(&id) => out.extend_from_slice(resource.raw),
            (IPTC_NAA, MetadataPolicy::Safe) => match filter_records(resource.data) {
                Filtered::Keep => out.extend_from_slice(resource.raw),
                Filtered::Replace(records) => write_iptc(&mut out, &records),
                Filtered::Drop => {}
            },
            _ => {}
        }
    }
    if out.is_empty() {
        Filtered::Drop
    } else if out == resources {
        Filtered::Keep
    } else {
        Filtered::Replace(out)
    }
}

/// Filters a bare IPTC-NAA stream of datasets, as some PNG files carry it.
#[must_use]
pub fn filter_bare(records: &[u8], policy: MetadataPolicy) -> Filtered {
    match policy {
        MetadataPolicy::All => Filtered::Keep,
        MetadataPolicy::Safe => filter_records(records),
        MetadataPolicy::None => Filtered::Drop,
    }
}

struct Resource<'a> {
    id: u16,
    data: &'a [u8],
    /// The whole resource with its header and padding.
    raw: &'a [u8],
}

impl<'a> Resource<'a> {
    /// Takes the next resource; `None` at the end or where what follows is none.
    fn read(rest: &mut &'a [u8]) -> Option<Self> {
        let whole = *rest;
        let after = SIGNATURES.iter().find_map(|signature| whole.strip_prefix(*signature))?;
        let id = u16::from_be_bytes(after.first_chunk().copied()?);
        // A Pascal string whose length byte and text are padded to an even size.
        let name = (usize::from(*whole.get(6)?) + 1).next_multiple_of(2);
        let size = u32::from_be_bytes(whole.get(6 + name..)?.first_chunk().copied()?) as usize;
        let start = 6 + name + 4;
        let end = start.checked_add(size)?;
        let data = whole.get(start..end)?;
        // The last resource's padding is often missing.
        let next = (end + size % 2).min(whole.len());
        *rest = &whole[next..];
        Some(Self { id, data, raw: &whole[..next] })
    }
}

fn write_iptc(out: &mut Vec<u8>, records: &[u8]) {
    out.extend_from_slice(b"8BIM");
    out.extend(IPTC_NAA.to_be_bytes());
    out.extend([0, 0]);
    // Never more than was read, whose size was 32 bits.
    out.extend(u32::try_from(records.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(records);
    out.resize(out.len() + records.len() % 2, 0);
}

/// Keeps by-line (2:80), credit (2:110) and copyright notice (2:116), with character set (1:90) and version (2:00),
/// which mean nothing alone.
fn filter_records(records: &[u8]) -> Filtered {
    let mut out = Vec::new();
    let mut authorship = false;
    let mut rest = records;
    while let Some((number, raw)) = read_dataset(&mut rest) {
        let names_author = matches!(number, (2, 80 | 110 | 116));
        authorship |= names_author;
        if names_author || matches!(number, (1, 90) | (2, 0)) {
            out.extend_from_slice(raw);
        }
    }
    if !authorship {
        Filtered::Drop
    } else if out == records {
        Filtered::Keep
    } else {
        Filtered::Replace(out)
    }
}

/// Takes the next dataset: its record and number, and all its bytes (IIM 4.2, 1.6).
fn read_dataset<'a>(rest: &mut &'a [u8]) -> Option<((u8, u8), &'a [u8])> {
    let whole = *rest;
    let &[0x1C, record, dataset, high, low] = whole.first_chunk()? else { return None };
    let short = usize::from(u16::from_be_bytes([high, low]));
    let end = if short & 0x8000 == 0 {
        5 + short
    } else {
        // Extended: the low bits count the bytes of the length itself, which nothing needs beyond four.
        let octets = short & 0x7FFF;
        let length = whole.get(5..5 + octets).filter(|_| octets <= 4)?;
        let length = length.iter().fold(0, |sum, &byte| sum << 8 | usize::from(byte));
        (5 + octets).checked_add(length)?
    };
    let raw = whole.get(..end)?;
    *rest = &whole[end..];
    Some(((record, dataset), raw))
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "the test's own small blocks")]
pub(in crate::optimize) mod tests {
    use super::*;
    use MetadataPolicy::{All, None as Nothing, Safe};

    pub(in crate::optimize) fn resource(id: u16, data: &[u8]) -> Vec<u8> {
        let mut out = b"8BIM".to_vec();
        out.extend(id.to_be_bytes());
        out.extend([0, 0]);
        out.extend((data.len() as u32).to_be_bytes());
        out.extend(data);
        out.resize(out.len().next_multiple_of(2), 0);
        out
    }

    fn dataset(record: u8, number: u8, text: &[u8]) -> Vec<u8> {
        let mut out = vec![0x1C, record, number];
        out.extend((text.len() as u16).to_be_bytes());
        out.extend(text);
        out
    }

    #[test]
    fn safe_keeps_resolution_copyright_and_profile() {
        let kept = [
            resource(RESOLUTION, &[0; 16]),
            resource(COPYRIGHT_FLAG, &[1]),
            resource(ICC_PROFILE, b"profile"),
            resource(URL, b"https://example.org"),
            resource(2000, b"path"),
            resource(2999, b"\x06Path 1"),
        ]
        .concat();
        let dropped = [0x0409, 0x040C, 0x0422, 0x0423, 0x0424, 0x0425, 0x0BB8].map(|id| resource(id, b"GPS?")).concat();
        assert_eq!(filter(&[dropped, kept.clone()].concat(), Safe), Filtered::Replace(kept.clone()));
        assert_eq!(filter(&kept, Safe), Filtered::Keep);
        assert_eq!(filter(&kept, Nothing), Filtered::Replace(resource(ICC_PROFILE, b"profile")));
        assert_eq!(filter(&kept, All), Filtered::Keep);
    }

    #[test]
    fn of_the_iptc_record_authorship_stays() {
        let kept = [
            dataset(1, 90, b"\x1b%G"),
            dataset(2, 0, &[0, 2]),
            dataset(2, 80, b"Anna"),
            dataset(2, 116, "© Anna".as_bytes()),
        ]
        .concat();
        let city = dataset(2, 90, b"Paris");
        let source = resource(IPTC_NAA, &[city.clone(), kept.clone()].concat());
        assert_eq!(filter(&source, Safe), Filtered::Replace(resource(IPTC_NAA, &kept)));
        assert_eq!(filter(&resource(IPTC_NAA, &kept), Safe), Filtered::Keep);
        let nameless = [dataset(1, 90, b"\x1b%G"), city].concat();
        assert_eq!(filter(&resource(IPTC_NAA, &nameless), Safe), Filtered::Drop);
        assert_eq!(filter_bare(&nameless, Safe), Filtered::Drop);
        assert_eq!(filter_bare(&kept, Safe), Filtered::Keep);
    }

    #[test]
    fn what_follows_another_programs_resource_is_read() {
        let kept = resource(IPTC_NAA, &dataset(2, 116, b"Anna"));
        let mut other = resource(COPYRIGHT_FLAG, b"Paris");
        for signature in &SIGNATURES[1..] {
            other[..4].copy_from_slice(signature);
            assert_eq!(filter(&[&other[..], &kept].concat(), Safe), Filtered::Replace(kept.clone()));
        }
        other[..4].copy_from_slice(b"none");
        assert_eq!(filter(&[&other[..], &kept].concat(), Safe), Filtered::Drop);
    }

    #[test]
    fn extended_lengths_are_read_and_absurd_ones_end_the_record() {
        let author = dataset(2, 80, b"Anna");
        let long = [&[0x1C, 2, 120, 0x80, 4, 0, 0, 0, 3][..], b"abc", &author].concat();
        assert_eq!(filter_bare(&long, Safe), Filtered::Replace(author.clone()));
        for absurd in [&[0x1C, 2, 120, 0xFF, 0xFF][..], &[0x1C, 2, 120, 0x80, 4, 255, 255, 255, 255], &[0x1C, 2]] {
            assert_eq!(filter_bare(&[&author, absurd].concat(), Safe), Filtered::Replace(author.clone()));
        }
    }

    #[test]
    fn a_block_cut_anywhere_never_panics() {
        let whole = [resource(RESOLUTION, &[0; 16]), resource(IPTC_NAA, &dataset(2, 80, b"Anna"))].concat();
        for length in 0..whole.len() {
            assert_ne!(filter(&whole[..length], Nothing), Filtered::Keep);
            assert!(filter(&whole[..length], Safe).apply(&whole[..length]).is_none_or(|kept| kept.len() <= length));
        }
    }
}
