//! The Multi-Picture index (CIPA DC-007, 5.2): where the further images of a file are.
//!
//! Offsets count from the index's own TIFF header, so whatever moves it or changes a size must write it anew.

use std::ops::Range;

use super::segments::{Segment, malformed};
use crate::optimize::error::ImageError;
use crate::optimize::metadata::{ByteOrder, Tiff};

pub(super) const ID: &[u8] = b"MPF\0";

/// Tag of the entries, and the bytes of each: attributes, size, offset (4 each), two dependent images (2 each).
const MP_ENTRIES: u16 = 0xB002;
const ENTRY_BYTES: usize = 16;

#[derive(Debug)]
pub(super) struct Index {
    order: ByteOrder,
    /// Where the TIFF header stands in the file.
    base: usize,
    /// Where the first entry stands in the segment's payload.
    entries_at: usize,
    entries: Vec<Entry>,
}

/// An image of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its place in the index, from 0.
    pub(super) number: usize,
    size: u32,
    /// From the index's TIFF header; 0 for the primary image.
    offset: u32,
}

impl Index {
    /// `None` where the segment holds no readable index.
    pub(super) fn parse(segment: &Segment<'_>) -> Option<Self> {
        let tiff = Tiff::parse(segment.after(ID))?;
        let directory = tiff.first_directory()?;
        let table = directory.entries.iter().find(|entry| entry.tag == MP_ENTRIES)?;
        let order = tiff.order;
        let number = |bytes: &[u8], at: usize| order.u32([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let entries = table.value.chunks_exact(ENTRY_BYTES).enumerate().map(|(at, bytes)| Entry {
            number: at,
            size: number(bytes, 4),
            offset: number(bytes, 8),
        });
        let entries = entries.collect();
        Some(Self { order, base: segment.at + ID.len(), entries_at: ID.len() + table.value_at, entries })
    }

    /// Whether it names so many images besides the primary; OPPO's may name none.
    pub(super) fn is_of(&self, images: usize) -> bool {
        self.secondary().is_some_and(|secondary| secondary.len() == images)
    }

    /// Every image but the primary one, in the order of the file, with its range of bytes; `None` where the index does
    /// not make sense.
    pub(super) fn secondary(&self) -> Option<Vec<(Entry, Range<usize>)>> {
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
    pub(super) fn write(
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
