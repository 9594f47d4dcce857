//! Reads image file directories (TIFF 6.0, section 2), the structure under EXIF and the Multi-Picture Format.
//!
//! Every offset and count is bounded by the block; loops cannot occur, since nothing here follows a chain.

/// The order of bytes in every number of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::optimize) enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    pub(in crate::optimize) fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    pub(in crate::optimize) fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }

    pub(in crate::optimize) fn put_u16(self, value: u16) -> [u8; 2] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }

    pub(in crate::optimize) fn put_u32(self, value: u32) -> [u8; 4] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }
}

/// A block that begins with a TIFF header; offsets count from its start.
#[derive(Debug, Clone, Copy)]
pub(in crate::optimize) struct Tiff<'a> {
    bytes: &'a [u8],
    pub(in crate::optimize) order: ByteOrder,
}

/// One entry of a directory, its value as stored.
#[derive(Debug, Clone, Copy)]
pub(in crate::optimize) struct Entry<'a> {
    pub(in crate::optimize) tag: u16,
    /// TIFF's own number of the value's type.
    pub(in crate::optimize) kind: u16,
    pub(in crate::optimize) count: u32,
    pub(in crate::optimize) value: &'a [u8],
    /// Where the value lies in the block.
    pub(in crate::optimize) value_at: usize,
}

/// A directory, as far as it can be read.
#[derive(Debug)]
pub(in crate::optimize) struct Directory<'a> {
    pub(in crate::optimize) entries: Vec<Entry<'a>>,
    /// Offset of the directory that follows; 0 where none does.
    pub(in crate::optimize) next: usize,
    /// Whether every entry it announces could be read.
    pub(in crate::optimize) whole: bool,
}

impl<'a> Tiff<'a> {
    /// `None` where the block does not begin with a TIFF header.
    pub(in crate::optimize) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let order = match bytes.get(..4)? {
            b"II*\0" => ByteOrder::Little,
            b"MM\0*" => ByteOrder::Big,
            _ => return None,
        };
        Some(Self { bytes, order })
    }

    /// The first directory (IFD0).
    pub(in crate::optimize) fn first_directory(&self) -> Option<Directory<'a>> {
        self.directory(self.u32(4)? as usize)
    }

    /// The directory at an offset; `None` where not even its count of entries lies in the block. Entries that reach
    /// beyond the block or have an unknown type are left out.
    pub(in crate::optimize) fn directory(&self, offset: usize) -> Option<Directory<'a>> {
        let count = usize::from(self.u16(offset)?);
        let first = offset + 2;
        let within = self.bytes.len().saturating_sub(first) / 12;
        let entries: Vec<_> = (0..count.min(within)).filter_map(|i| self.entry(first + 12 * i)).collect();
        let next = self.u32(first + 12 * count);
        let whole = entries.len() == count && next.is_some();
        Some(Directory { entries, next: next.unwrap_or(0) as usize, whole })
    }

    fn entry(&self, at: usize) -> Option<Entry<'a>> {
        let (tag, kind, count) = (self.u16(at)?, self.u16(at + 2)?, self.u32(at + 4)?);
        let length = kind_size(kind)?.checked_mul(count as usize)?;
        let value_at = if length <= 4 { at + 8 } else { self.u32(at + 8)? as usize };
        let value = self.bytes.get(value_at..value_at.checked_add(length)?)?;
        Some(Entry { tag, kind, count, value, value_at })
    }

    fn u16(&self, at: usize) -> Option<u16> {
        Some(self.order.u16(self.bytes.get(at..)?.first_chunk().copied()?))
    }

    fn u32(&self, at: usize) -> Option<u32> {
        Some(self.order.u32(self.bytes.get(at..)?.first_chunk().copied()?))
    }
}

impl Entry<'_> {
    /// The value where it is one whole number.
    pub(in crate::optimize) fn number(&self, order: ByteOrder) -> Option<u32> {
        match (self.kind, self.value) {
            (1, &[byte]) => Some(byte.into()),
            (3, &[a, b]) => Some(order.u16([a, b]).into()),
            (4 | 13, &[a, b, c, d]) => Some(order.u32([a, b, c, d])),
            _ => None,
        }
    }
}

/// Bytes of one value of a type (TIFF 6.0, section 2; 13 is IFD; 129 is UTF-8, EXIF 3.0).
fn kind_size(kind: u16) -> Option<usize> {
    match kind {
        1 | 2 | 6 | 7 | 129 => Some(1),
        3 | 8 => Some(2),
        4 | 9 | 11 | 13 => Some(4),
        5 | 10 | 12 => Some(8),
        _ => None,
    }
}
