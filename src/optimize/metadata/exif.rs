//! EXIF: keeps orientation, density, colour and authorship; everything else goes by being left out.
//!
//! Source: CIPA DC-008 (Exif 3.0), sections 4.6.4 to 4.6.8 for the tags.

use std::borrow::Cow;

use super::tiff::{ByteOrder, Entry, Tiff};
use super::{Filtered, apple};
use crate::optimize::options::MetadataPolicy;

const ORIENTATION: u16 = 0x0112;
const EXIF_POINTER: u16 = 0x8769;
const INTEROP_POINTER: u16 = 0xA005;
const MAKER_NOTE: u16 = 0x927C;
/// The type of a maker's note (Exif 4.6.2).
const UNDEFINED: u16 = 7;

/// Needed by the look, in the first directory.
const LOOK: &[u16] = &[ORIENTATION];
/// `ColorSpace` and `Gamma`, in the Exif directory.
const EXIF_LOOK: &[u16] = &[0xA001, 0xA500];
/// `InteroperabilityIndex` ("R03" means Adobe RGB) and its version.
const INTEROP_LOOK: &[u16] = &[0x0001, 0x0002];
/// `XResolution`, `YResolution`, `ResolutionUnit`, `Artist`, `YCbCrPositioning`, `Copyright`, `XPAuthor`.
const SAFE: &[u16] = &[0x011A, 0x011B, 0x0128, 0x013B, 0x0213, 0x8298, 0x9C9D];
/// `Photographer` (Exif 3.0).
const EXIF_SAFE: &[u16] = &[0xA437];

/// Longest value kept, in bytes: three texts of this size still fit in one JPEG segment.
const MAX_VALUE: usize = 16 << 10;

/// Filters a block that begins with the TIFF header (without JPEG's `Exif\0\0`).
///
/// Of a corrupt block what can be read of the kept tags is salvaged.
#[must_use]
pub fn filter(block: &[u8], policy: MetadataPolicy) -> Filtered {
    filter_beside(block, policy, false)
}

/// Filters the block of an image with or without a gain map, which needs the headroom that Apple notes in it.
#[must_use]
pub fn filter_beside(block: &[u8], policy: MetadataPolicy, has_gain_map: bool) -> Filtered {
    if policy == MetadataPolicy::All {
        return Filtered::Keep;
    }
    let headroom = maker_note(block).filter(|_| has_gain_map).and_then(apple::headroom);
    let Some(mut kept) = Tiff::parse(block).and_then(|tiff| Kept::collect(&tiff, policy, headroom)) else {
        return Filtered::Drop;
    };
    if kept.first.is_empty() && kept.exif.is_empty() && kept.interop.is_empty() {
        return Filtered::Drop;
    }
    let rewritten = kept.write();
    // Bytes beyond the directories may be what another program removed carelessly.
    if kept.removed || block.len() > rewritten.len() { Filtered::Replace(rewritten) } else { Filtered::Keep }
}

/// The orientation (1 to 8, Exif 4.6.4 A) of a block that begins with the TIFF header; `None` where it has none.
#[must_use]
pub fn orientation(block: &[u8]) -> Option<u8> {
    let tiff = Tiff::parse(block)?;
    let directory = tiff.first_directory()?;
    let value = directory.entries.iter().find(|entry| entry.tag == ORIENTATION)?.number(tiff.order)?;
    u8::try_from(value).ok().filter(|value| (1..=8).contains(value))
}

/// Whether a block holds a maker's own note, which may name places in the file.
#[must_use]
pub fn has_maker_note(block: &[u8]) -> bool {
    maker_note(block).is_some()
}

fn maker_note(block: &[u8]) -> Option<&[u8]> {
    let tiff = Tiff::parse(block)?;
    let first = tiff.first_directory()?.entries;
    let exif = first.iter().find(|entry| entry.tag == EXIF_POINTER)?.number(tiff.order)?;
    let exif = tiff.directory(exif as usize)?.entries;
    exif.iter().find(|entry| entry.tag == MAKER_NOTE).map(|entry| entry.value)
}

/// One value to write.
struct Field<'a> {
    tag: u16,
    kind: u16,
    count: u32,
    value: Value<'a>,
}

enum Value<'a> {
    Source(Cow<'a, [u8]>),
    /// Offset of a directory.
    Pointer(usize),
}

impl Field<'_> {
    fn pointer(tag: u16) -> Self {
        Self { tag, kind: 4, count: 1, value: Value::Pointer(0) }
    }

    /// Bytes outside the entry, where the value does not fit into it; even, as TIFF wants.
    fn outside(&self) -> usize {
        match &self.value {
            Value::Source(value) if value.len() > 4 => value.len().next_multiple_of(2),
            Value::Source(_) | Value::Pointer(_) => 0,
        }
    }
}

/// What is kept of a block, by directory.
struct Kept<'a> {
    order: ByteOrder,
    /// What is left of Apple's note.
    headroom: Option<Vec<u8>>,
    first: Vec<Field<'a>>,
    exif: Vec<Field<'a>>,
    interop: Vec<Field<'a>>,
    /// Whether anything is left out.
    removed: bool,
}

impl<'a> Kept<'a> {
    fn collect(tiff: &Tiff<'a>, policy: MetadataPolicy, headroom: Option<Vec<u8>>) -> Option<Self> {
        let (safe, exif_safe) = if policy == MetadataPolicy::Safe { (SAFE, EXIF_SAFE) } else { (&[][..], &[][..]) };
        let mut kept =
            Self { order: tiff.order, headroom, first: vec![], exif: vec![], interop: vec![], removed: false };
        let (first, exif) = kept.directory(tiff, None, &[LOOK, safe], EXIF_POINTER)?;
        kept.first = first;
        if let Some((exif, interop)) =
            exif.and_then(|offset| kept.directory(tiff, Some(offset), &[EXIF_LOOK, exif_safe], INTEROP_POINTER))
        {
            kept.exif = exif;
            if let Some((interop, _)) =
                interop.and_then(|offset| kept.directory(tiff, Some(offset), &[INTEROP_LOOK], 0))
            {
                kept.interop = interop;
            }
        }
        // A pointer to nothing kept is left out as well.
        kept.removed |= exif.is_some() && kept.exif.is_empty() && kept.interop.is_empty();
        Some(kept)
    }

    /// The kept fields of one directory, and the offset of the one below it.
    fn directory(
        &mut self,
        tiff: &Tiff<'a>,
        offset: Option<usize>,
        wanted: &[&[u16]],
        pointer: u16,
    ) -> Option<(Vec<Field<'a>>, Option<usize>)> {
        let directory = offset.map_or_else(|| tiff.first_directory(), |offset| tiff.directory(offset))?;
        self.removed |= !directory.whole || directory.next != 0;
        let mut fields: Vec<Field<'a>> = Vec::new();
        let mut below = None;
        for entry in directory.entries {
            let twice = fields.iter().any(|field| field.tag == entry.tag);
            if pointer != 0 && entry.tag == pointer && below.is_none() {
                below = entry.number(tiff.order).map(|offset| offset as usize);
            } else if wanted.iter().any(|tags| tags.contains(&entry.tag)) && is_sound(&entry) && !twice {
                let Entry { tag, kind, count, value, .. } = entry;
                fields.push(Field { tag, kind, count, value: Value::Source(value.into()) });
            } else if let Some(note) = self.headroom.take_if(|_| pointer == INTEROP_POINTER && entry.tag == MAKER_NOTE)
            {
                self.removed |= note != entry.value;
                // A few dozen bytes: two entries.
                let count = u32::try_from(note.len()).unwrap_or(u32::MAX);
                fields.push(Field { tag: MAKER_NOTE, kind: UNDEFINED, count, value: Value::Source(note.into()) });
            } else {
                self.removed = true;
            }
        }
        Some((fields, below))
    }

    fn write(&mut self) -> Vec<u8> {
        if !self.interop.is_empty() {
            self.exif.push(Field::pointer(INTEROP_POINTER));
        }
        if !self.exif.is_empty() {
            self.first.push(Field::pointer(EXIF_POINTER));
        }
        let exif_at = 8 + size(&self.first);
        let interop_at = exif_at + size(&self.exif);
        point(&mut self.first, EXIF_POINTER, exif_at);
        point(&mut self.exif, INTEROP_POINTER, interop_at);

        let mut out = Vec::with_capacity(interop_at + size(&self.interop));
        out.extend_from_slice(match self.order {
            ByteOrder::Little => b"II*\0\x08\0\0\0",
            ByteOrder::Big => b"MM\0*\0\0\0\x08",
        });
        for fields in [&mut self.first, &mut self.exif, &mut self.interop] {
            if !fields.is_empty() {
                fields.sort_by_key(|field| field.tag);
                write_directory(&mut out, self.order, fields);
            }
        }
        out
    }
}

fn is_sound(entry: &Entry<'_>) -> bool {
    !entry.value.is_empty() && entry.value.len() <= MAX_VALUE
}

fn size(fields: &[Field<'_>]) -> usize {
    if fields.is_empty() { 0 } else { 2 + 12 * fields.len() + 4 + fields.iter().map(Field::outside).sum::<usize>() }
}

fn point(fields: &mut [Field<'_>], tag: u16, offset: usize) {
    for field in fields {
        if let (true, Value::Pointer(to)) = (field.tag == tag, &mut field.value) {
            *to = offset;
        }
    }
}

fn write_directory(out: &mut Vec<u8>, order: ByteOrder, fields: &[Field<'_>]) {
    // At most a dozen fields of at most MAX_VALUE bytes: neither count nor offset can overflow.
    let offset = |value: usize| order.put_u32(u32::try_from(value).unwrap_or(u32::MAX));
    let mut outside_at = out.len() + 2 + 12 * fields.len() + 4;
    out.extend(order.put_u16(u16::try_from(fields.len()).unwrap_or(u16::MAX)));
    for field in fields {
        out.extend(order.put_u16(field.tag));
        out.extend(order.put_u16(field.kind));
        out.extend(order.put_u32(field.count));
        match &field.value {
            Value::Pointer(to) => out.extend(offset(*to)),
            Value::Source(value) if value.len() <= 4 => {
                out.extend_from_slice(value);
                out.extend_from_slice(&[0; 4][value.len()..]);
            }
            Value::Source(_) => out.extend(offset(outside_at)),
        }
        outside_at += field.outside();
    }
    out.extend([0; 4]);
    for field in fields {
        if let Value::Source(value) = &field.value
            && value.len() > 4
        {
            out.extend_from_slice(value);
            out.resize(out.len() + value.len() % 2, 0);
        }
    }
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "the test's own small blocks")]
pub(in crate::optimize) mod tests {
    use super::*;
    use MetadataPolicy::{All, None as Nothing, Safe};

    /// `(tag, kind, count, value)`; a value of kind `DIRECTORY` is the index of the directory it points to.
    type Spec<'a> = (u16, u16, u32, &'a [u8]);
    const DIRECTORY: u16 = 0xFFFF;

    /// A block of the given directories, laid out one after the other; only the first is chained to `next`.
    fn block(order: ByteOrder, directories: &[&[Spec<'_>]], next: u32) -> Vec<u8> {
        let mut out =
            if order == ByteOrder::Little { b"II*\0\x08\0\0\0".to_vec() } else { b"MM\0*\0\0\0\x08".to_vec() };
        let length = |directory: &[Spec<'_>]| {
            6 + 12 * directory.len()
                + directory.iter().map(|d| if d.3.len() > 4 { d.3.len() } else { 0 }).sum::<usize>()
        };
        let start = |index: usize| 8 + directories[..index].iter().map(|d| length(d)).sum::<usize>();
        for (index, directory) in directories.iter().enumerate() {
            let mut outside = Vec::new();
            let outside_at = start(index) + 6 + 12 * directory.len();
            out.extend(order.put_u16(directory.len() as u16));
            for (tag, kind, count, value) in *directory {
                out.extend(order.put_u16(*tag));
                if *kind == DIRECTORY {
                    out.extend(order.put_u16(4));
                    out.extend(order.put_u32(1));
                    out.extend(order.put_u32(start(usize::from(value[0])) as u32));
                    continue;
                }
                out.extend(order.put_u16(*kind));
                out.extend(order.put_u32(*count));
                if value.len() > 4 {
                    out.extend(order.put_u32((outside_at + outside.len()) as u32));
                    outside.extend_from_slice(value);
                } else {
                    out.extend_from_slice(value);
                    out.resize(out.len() + 4 - value.len(), 0);
                }
            }
            out.extend(order.put_u32(if index == 0 { next } else { 0 }));
            out.extend(outside);
        }
        out
    }

    /// A camera's block: orientation 6, artist, a GPS directory and a maker note.
    pub(in crate::optimize) fn camera_block(order: ByteOrder) -> Vec<u8> {
        let six = order.put_u16(6);
        let adobe = order.put_u16(0xFFFF);
        block(
            order,
            &[
                &[
                    (0x010F, 2, 6, b"Canon\0"),
                    (ORIENTATION, 3, 1, &six),
                    (0x011A, 5, 1, b"\0\0\x01\x2c\0\0\0\x01"),
                    (0x013B, 2, 5, b"Anna\0"),
                    (EXIF_POINTER, DIRECTORY, 1, &[1]),
                    (0x8825, DIRECTORY, 1, &[2]),
                ],
                &[
                    (0x927C, 7, 12, b"secret maker"),
                    (0xA001, 3, 1, &adobe),
                    (INTEROP_POINTER, DIRECTORY, 1, &[3]),
                    (0xA431, 2, 7, b"SN1234\0"),
                ],
                &[(0x0001, 2, 2, b"N\0"), (0x0002, 5, 3, b"latitudelatitudelatitude")],
                &[(0x0001, 2, 4, b"R03\0")],
            ],
            0,
        )
    }

    fn replaced(block: &[u8], policy: MetadataPolicy) -> Vec<u8> {
        match filter(block, policy) {
            Filtered::Replace(block) => block,
            other => panic!("{other:?}"),
        }
    }

    fn contains(haystack: &[u8], needle: &[u8]) -> bool {
        haystack.windows(needle.len()).any(|window| window == needle)
    }

    #[test]
    fn safe_keeps_orientation_density_artist_and_colour_in_both_byte_orders() {
        for order in [ByteOrder::Little, ByteOrder::Big] {
            let out = replaced(&camera_block(order), Safe);
            assert_eq!(orientation(&out), Some(6));
            let tiff = Tiff::parse(&out).unwrap();
            let first = tiff.first_directory().unwrap();
            let tags: Vec<_> = first.entries.iter().map(|entry| entry.tag).collect();
            assert_eq!(tags, [ORIENTATION, 0x011A, 0x013B, EXIF_POINTER]);
            assert_eq!(first.entries[2].value, b"Anna\0");
            let exif = tiff.directory(first.entries[3].number(order).unwrap() as usize).unwrap();
            assert_eq!(exif.entries[0].number(order), Some(0xFFFF));
            let interop = tiff.directory(exif.entries[1].number(order).unwrap() as usize).unwrap();
            assert_eq!(interop.entries[0].value, b"R03\0");
            for gone in [&b"Canon"[..], b"secret", b"latitude", b"SN1234"] {
                assert!(!contains(&out, gone), "{:?}", String::from_utf8_lossy(gone));
            }
        }
    }

    #[test]
    fn none_keeps_the_look_alone() {
        let out = replaced(&camera_block(ByteOrder::Big), Nothing);
        let first = Tiff::parse(&out).unwrap().first_directory().unwrap();
        assert_eq!(first.entries.iter().map(|entry| entry.tag).collect::<Vec<_>>(), [ORIENTATION, EXIF_POINTER]);
        assert!(contains(&out, b"R03"));
    }

    #[test]
    fn all_keeps_every_byte() {
        assert_eq!(filter(&camera_block(ByteOrder::Little), All), Filtered::Keep);
        assert_eq!(filter(b"no TIFF", All), Filtered::Keep);
    }

    #[test]
    fn what_was_filtered_is_kept_as_it_is() {
        for policy in [Safe, Nothing] {
            let out = replaced(&camera_block(ByteOrder::Big), policy);
            assert_eq!(filter(&out, policy), Filtered::Keep);
        }
    }

    #[test]
    fn thumbnail_directory_and_loose_bytes_go() {
        let six = 6u16.to_le_bytes();
        let plain = block(ByteOrder::Little, &[&[(ORIENTATION, 3, 1, &six)]], 0);
        assert_eq!(filter(&plain, Safe), Filtered::Keep);
        let chained = block(ByteOrder::Little, &[&[(ORIENTATION, 3, 1, &six)]], 8);
        assert_eq!(replaced(&chained, Safe), plain);
        let loose = [plain.as_slice(), b"48.8583 N 2.2945 E"].concat();
        assert_eq!(replaced(&loose, Safe), plain);
    }

    #[test]
    fn nothing_worth_keeping_is_dropped() {
        let make = block(ByteOrder::Little, &[&[(0x010F, 2, 6, b"Canon\0")]], 0);
        assert_eq!(filter(&make, Safe), Filtered::Drop);
        for junk in [&b""[..], b"II*\0", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08"] {
            assert_eq!(filter(junk, Safe), Filtered::Drop);
        }
    }

    #[test]
    fn orientation_is_salvaged_from_a_block_cut_short() {
        let whole = camera_block(ByteOrder::Little);
        for length in 0..whole.len() {
            let cut = &whole[..length];
            if let Some(kept) = filter(cut, Safe).apply(cut) {
                assert_eq!(orientation(&kept), orientation(cut));
            }
        }
        assert_eq!(orientation(&whole[..34]), Some(6));
        assert_eq!(orientation(&replaced(&whole[..34], Safe)), Some(6));
    }

    /// A block with Apple's note among much else.
    pub(in crate::optimize) fn apple_block(note: &[u8]) -> Vec<u8> {
        let six = 6u16.to_be_bytes();
        block(
            ByteOrder::Big,
            &[
                &[(0x010F, 2, 6, b"Apple\0"), (ORIENTATION, 3, 1, &six), (EXIF_POINTER, DIRECTORY, 1, &[1])],
                &[(MAKER_NOTE, 7, note.len() as u32, note), (0xA431, 2, 7, b"SN1234\0")],
            ],
            0,
        )
    }

    #[test]
    fn the_headroom_stays_with_a_gain_map() {
        let block = apple_block(&apple::tests::note());
        assert!(has_maker_note(&block) && has_maker_note(&camera_block(ByteOrder::Little)));
        for policy in [Safe, Nothing] {
            let Filtered::Replace(out) = filter_beside(&block, policy, true) else { panic!("nothing went") };
            assert_eq!(maker_note(&out), apple::headroom(&apple::tests::note()).as_deref());
            assert_eq!(orientation(&out), Some(6));
            for gone in [&b"Apple\0"[..], b"SN1234", b"secret"] {
                assert!(contains(&block, gone) && !contains(&out, gone), "{:?}", String::from_utf8_lossy(gone));
            }
            assert_eq!(filter_beside(&out, policy, true), Filtered::Keep);
            assert_eq!(maker_note(&replaced(&block, policy)), None);
        }
        assert_eq!(
            filter_beside(&camera_block(ByteOrder::Big), Safe, true),
            filter(&camera_block(ByteOrder::Big), Safe)
        );
    }

    #[test]
    fn directories_that_point_at_themselves_end() {
        let six = 6u16.to_le_bytes();
        let looped = block(ByteOrder::Little, &[&[(ORIENTATION, 3, 1, &six), (EXIF_POINTER, DIRECTORY, 1, &[0])]], 8);
        assert_eq!(orientation(&replaced(&looped, Safe)), Some(6));
    }

    #[test]
    fn orientation_outside_1_to_8_is_none() {
        for (value, expected) in [(0u16, None), (1, Some(1)), (8, Some(8)), (9, None), (256, None)] {
            let value = value.to_le_bytes();
            assert_eq!(orientation(&block(ByteOrder::Little, &[&[(ORIENTATION, 3, 1, &value)]], 0)), expected);
        }
    }
}
