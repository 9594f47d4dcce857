//! The Multi-Picture index (CIPA DC-007, 5.2): where the further images of a file are.
//!
//! Offsets count from the index's own TIFF header, so whatever moves it or changes a size must write it anew.

use std::ops::Range;

use super::markers::{MPF_ID, Segment, malformed};
use crate::optimize::error::ImageError;
use crate::optimize::metadata::{ByteOrder, Tiff};

const NUMBER_OF_IMAGES: u16 = 0xB001;
/// Tag of the entries, and the bytes of each: attributes, size, offset (4 each), two dependent images (2 each).
const MP_ENTRIES: u16 = 0xB002;
const ENTRY_BYTES: usize = 16;
/// Tag of the images' own identifiers, and the bytes of each.
const UNIQUE_IDS: u16 = 0xB003;
const UNIQUE_ID_BYTES: usize = 33;
/// Tag of an image's own number, from 1, in the attributes that it carries itself.
const INDIVIDUAL_NUMBER: u16 = 0xB101;
/// Attribute of an image that others depend on (5.2.3.3.1).
const DEPENDENT_PARENT: u32 = 1 << 31;

#[derive(Debug)]
pub struct Index {
    order: ByteOrder,
    /// Where the TIFF header stands in the file.
    base: usize,
    /// Where the first entry stands in the segment's payload.
    entries_at: usize,
    entries: Vec<Entry>,
}

/// An image of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the index, from 0.
    pub number: usize,
    attributes: u32,
    size: u32,
    /// From the index's TIFF header; 0 for the primary image.
    offset: u32,
}

impl Entry {
    /// Whether it is a "Large Thumbnail": a smaller copy of another image, for a quick look.
    pub fn is_preview(self) -> bool {
        // MP type code, of which the high byte is the class (5.2.3.3.1).
        self.attributes >> 16 & 0xFF == 1
    }
}

impl Index {
    /// `None` where the segment holds no readable index.
    pub fn parse(segment: &Segment<'_>) -> Option<Self> {
        Self::read(segment.payload, segment.at)
    }

    /// Reads the index of a segment's payload, which stands at a place in its file.
    pub fn read(payload: &[u8], at: usize) -> Option<Self> {
        let tiff = Tiff::parse(payload.get(MPF_ID.len()..)?)?;
        let directory = tiff.first_directory()?;
        let table = directory.entries.iter().find(|entry| entry.tag == MP_ENTRIES)?;
        let order = tiff.order;
        let entries = table.value.chunks_exact(ENTRY_BYTES).enumerate().map(|(number, bytes)| Entry {
            number,
            attributes: long(order, bytes, 0),
            size: long(order, bytes, 4),
            offset: long(order, bytes, 8),
        });
        let entries = entries.collect();
        Some(Self { order, base: at + MPF_ID.len(), entries_at: MPF_ID.len() + table.value_at, entries })
    }

    /// Whether it names so many images besides the primary; OPPO's may name none.
    pub fn is_of(&self, images: usize) -> bool {
        self.secondary().is_some_and(|secondary| secondary.len() == images)
    }

    /// Every image but the primary one, in the order of the file, with its range of bytes; `None` where the index does
    /// not make sense.
    pub fn secondary(&self) -> Option<Vec<(Entry, Range<usize>)>> {
        let mut found = Vec::new();
        for entry in self.entries.iter().filter(|entry| entry.offset != 0) {
            let start = self.base.checked_add(entry.offset as usize)?;
            found.push((*entry, start..start.checked_add(entry.size as usize)?));
        }
        found.sort_by_key(|(_, range)| range.start);
        (found.len() + 1 == self.entries.len()).then_some(found)
    }

    /// Writes sizes and offsets into the payload of this index as it stands in a new file.
    ///
    /// `base` is where its TIFF header stands there, `primary` the primary image's bytes, `images` the number of each
    /// further image's entry and its range.
    ///
    /// # Errors
    /// [`ImageError::Malformed`] where the file is too large for the index, 4 GiB.
    pub fn write(
        &self,
        payload: &mut [u8],
        base: usize,
        primary: usize,
        images: &[(usize, Range<usize>)],
    ) -> Result<(), ImageError> {
        for entry in &self.entries {
            let (size, offset) = match images.iter().find(|(number, _)| *number == entry.number) {
                Some((_, range)) => (range.len(), range.start - base),
                None => (primary, 0),
            };
            let at = self.entries_at + ENTRY_BYTES * entry.number + 4;
            for (at, value) in [(at, size), (at + 4, offset)] {
                let value = u32::try_from(value).map_err(|_| malformed("too large for a Multi-Picture index"))?;
                if let Some(field) = payload.get_mut(at..at + 4) {
                    field.copy_from_slice(&self.order.put_u32(value));
                }
            }
        }
        Ok(())
    }
}

fn long(order: ByteOrder, bytes: &[u8], at: usize) -> u32 {
    order.u32([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// An index's payload without the entries of these numbers, the others numbered anew; `None` where its structure does
/// not allow that.
pub fn without(payload: &[u8], removed: &[usize]) -> Option<Vec<u8>> {
    let tiff = Tiff::parse(payload.get(MPF_ID.len()..)?)?;
    let directory = tiff.first_directory().filter(|directory| directory.whole)?;
    let directory_at = long(tiff.order, payload.get(MPF_ID.len()..MPF_ID.len() + 8)?, 4) as usize;
    let mut out = payload.to_vec();
    for (number, entry) in directory.entries.iter().enumerate() {
        let count_at = MPF_ID.len() + directory_at + 2 + 12 * number + 4;
        let value_at = MPF_ID.len() + entry.value_at;
        let bytes = match entry.tag {
            MP_ENTRIES => ENTRY_BYTES,
            UNIQUE_IDS => UNIQUE_ID_BYTES,
            NUMBER_OF_IMAGES if entry.value.len() != 4 => return None,
            NUMBER_OF_IMAGES => {
                let images = entry.number(tiff.order)?.checked_sub(u32::try_from(removed.len()).ok()?)?;
                put(&mut out, value_at, &tiff.order.put_u32(images))?;
                continue;
            }
            _ => continue,
        };
        let rows = entry.value.chunks_exact(bytes).enumerate().filter(|(number, _)| !removed.contains(number));
        let mut rows: Vec<_> = rows.map(|(_, row)| row.to_vec()).collect();
        if entry.tag == MP_ENTRIES {
            for row in &mut rows {
                forget(row, tiff.order, removed);
            }
        }
        let mut value = rows.concat();
        // What fits into the directory's entry would have to move there.
        let length = u32::try_from(value.len()).ok().filter(|length| *length > 4)?;
        value.resize(entry.value.len(), 0);
        put(&mut out, value_at, &value)?;
        put(&mut out, count_at, &tiff.order.put_u32(length))?;
    }
    Some(out)
}

/// Numbers the images anew that the one of this entry depends on.
fn forget(row: &mut [u8], order: ByteOrder, removed: &[usize]) {
    let mut has_dependents = (false, false);
    for at in [12, 14] {
        let number = order.u16([row[at], row[at + 1]]);
        let new = renumbered(number.into(), removed).and_then(|number| u16::try_from(number).ok()).unwrap_or(0);
        has_dependents = (has_dependents.0 || number != 0, has_dependents.1 || new != 0);
        row[at..at + 2].copy_from_slice(&order.put_u16(new));
    }
    if has_dependents == (true, false) {
        let attributes = long(order, row, 0) & !DEPENDENT_PARENT;
        row[..4].copy_from_slice(&order.put_u32(attributes));
    }
}

/// The new number of an image, from 1; `None` where it is gone. 0 stands for no image.
fn renumbered(number: usize, removed: &[usize]) -> Option<usize> {
    let entry = number.checked_sub(1)?;
    (!removed.contains(&entry)).then(|| number - removed.iter().filter(|gone| **gone < entry).count())
}

/// The attributes that a further image carries, with its own number after others were removed.
pub fn with_own_number(payload: &[u8], removed: &[usize]) -> Option<Vec<u8>> {
    let tiff = Tiff::parse(payload.get(MPF_ID.len()..)?)?;
    let directory = tiff.first_directory()?;
    let entry = directory.entries.iter().find(|entry| entry.tag == INDIVIDUAL_NUMBER && entry.value.len() == 4)?;
    let number = renumbered(entry.number(tiff.order)? as usize, removed)?;
    let mut out = payload.to_vec();
    put(&mut out, MPF_ID.len() + entry.value_at, &tiff.order.put_u32(u32::try_from(number).ok()?))?;
    (out != payload).then_some(out)
}

fn put(out: &mut [u8], at: usize, value: &[u8]) -> Option<()> {
    out.get_mut(at..at.checked_add(value.len())?)?.copy_from_slice(value);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An index of entries of attributes and dependent images, with identifiers.
    fn index(order: ByteOrder, entries: &[(u32, u16, u16)]) -> Vec<u8> {
        let (long, word) = (|value: usize| order.put_u32(value as u32), |value| order.put_u16(value));
        let count = entries.len();
        let table = 8 + 2 + 4 * 12 + 4;
        let header: &[u8] = if order == ByteOrder::Big { b"MPF\0MM\0*\0\0\0\x08" } else { b"MPF\0II*\0\x08\0\0\0" };
        let mut out = [header, &word(4)].concat();
        out.extend([&word(0xB000)[..], &word(7), &long(4), b"0100"].concat());
        out.extend([&word(0xB001)[..], &word(4), &long(1), &long(count)].concat());
        out.extend([&word(0xB002)[..], &word(7), &long(16 * count), &long(table)].concat());
        out.extend([&word(0xB003)[..], &word(7), &long(33 * count), &long(table + 16 * count)].concat());
        out.extend(long(0));
        for (number, (attributes, one, two)) in entries.iter().enumerate() {
            out.extend([&order.put_u32(*attributes)[..], &long(100 + number), &long(1000 * number)].concat());
            out.extend([word(*one), word(*two)].concat());
        }
        out.extend((0..count).flat_map(|number| [number as u8 + 65; 33]));
        out
    }

    #[test]
    fn previews_are_told_by_their_type() {
        let types = [(0x2003_0000, false), (0x4001_0001, true), (0x0001_0002, true), (0x0002_0002, false), (0, false)];
        for (attributes, expected) in types {
            let index = Index::read(&index(ByteOrder::Big, &[(0, 0, 0), (attributes, 0, 0)]), 0).unwrap();
            assert_eq!(index.secondary().unwrap()[0].0.is_preview(), expected, "{attributes:x}");
        }
    }

    #[test]
    fn an_index_loses_entries_and_is_numbered_anew() {
        for order in [ByteOrder::Little, ByteOrder::Big] {
            let source =
                index(order, &[(0xA003_0000, 2, 4), (0x4001_0001, 0, 0), (0x8002_0002, 2, 0), (0x4001_0002, 0, 0)]);
            let out = without(&source, &[1]).unwrap();
            let index = Index::read(&out, 0).unwrap();
            assert_eq!(
                index.entries.iter().map(|e| e.attributes).collect::<Vec<_>>(),
                [0xA003_0000, 0x0002_0002, 0x4001_0002]
            );
            assert_eq!(index.entries.iter().map(|e| e.size).collect::<Vec<_>>(), [100, 102, 103]);
            let first = &out[index.entries_at..][..16];
            assert_eq!(&first[12..], [order.put_u16(0), order.put_u16(3)].concat());
            let directory = Tiff::parse(&out[4..]).unwrap().first_directory().unwrap();
            assert_eq!(directory.entries[1].number(order), Some(3));
            assert_eq!(directory.entries[3].value, [[65; 33], [67; 33], [68; 33]].concat());
        }
        let one = without(&index(ByteOrder::Big, &[(0xA003_0000, 2, 0), (0x4001_0001, 0, 0)]), &[1]).unwrap();
        assert!(Index::read(&one, 0).unwrap().is_of(0));
        for length in 0..100 {
            let source = index(ByteOrder::Big, &[(0, 0, 0), (0x4001_0001, 0, 0)]);
            let _ = without(&source[..length], &[1]);
        }
    }

    #[test]
    fn an_image_learns_its_new_number() {
        let own =
            |number: u8| [MPF_ID, b"MM\0*\0\0\0\x08\0\x01\xb1\x01\0\x04\0\0\0\x01\0\0\0", &[number], &[0; 4]].concat();
        assert_eq!(with_own_number(&own(3), &[1]), Some(own(2)));
        assert_eq!(with_own_number(&own(1), &[1]), None);
        assert_eq!(with_own_number(&own(2), &[1]), None);
        assert_eq!(with_own_number(b"MPF\0", &[1]), None);
    }
}
