//! Motion Photos: whether the data behind the images, a video most of all, may move as a whole.
//!
//! It may where nothing finds it by its place from the beginning of the file: Google's Motion Photos and their
//! predecessor, Micro Video, count from the end of the file or of the images (see
//! [`container`](crate::optimize::metadata::container)), and so does Samsung's trailer.

use super::segments::is_padding;
use crate::optimize::metadata::container::Container;

/// Whether a video stands where the packet says, or Samsung's trailer accounts for the data.
pub(super) fn may_move(container: &Container, tail: &[u8]) -> bool {
    let is_video = |at| tail.get(at..).is_some_and(begins_video);
    container.video_starts(tail.len()).any(is_video) || is_samsung_trailer(tail) == Some(true)
}

/// A file type box, the first of every MP4 and most `QuickTime` files (ISO/IEC 14496-12, 4.3).
fn begins_video(bytes: &[u8]) -> bool {
    /// Size, type, brand, version.
    const SHORTEST: usize = 16;
    let (Some(&size), Some(name)) = (bytes.first_chunk(), bytes.get(4..8)) else { return false };
    let size = usize::try_from(u32::from_be_bytes(size)).unwrap_or(usize::MAX);
    name == b"ftyp" && (SHORTEST..=bytes.len()).contains(&size)
}

/// Samsung's trailer ends the files of its phones, with a video or without: blocks, each of a type, a name and data, and
/// behind them a directory of "SEFH", version, count, entries, its length, "SEFT". An entry repeats the type, and says
/// how far before the directory its block begins, and its size; numbers are little-endian.
///
/// Source: `ExifTool`, `Image::ExifTool::Samsung`, `ProcessSamsung`. Its block QDIO of older phones, which does hold
/// places from the beginning of the file, stands behind "SEFT" and is none of ours.
fn is_samsung_trailer(tail: &[u8]) -> Option<bool> {
    let (rest, length) = tail.strip_suffix(b"SEFT")?.split_last_chunk()?;
    let (blocks, directory) = rest.split_at_checked(rest.len().checked_sub(number(*length)?)?)?;
    let (count, entries) = directory.strip_prefix(b"SEFH")?.get(4..)?.split_first_chunk()?;
    let entries = entries.get(..number(*count)?.checked_mul(12)?)?;
    let mut first = blocks.len();
    for entry in entries.chunks_exact(12) {
        let (kind, place) = entry.split_first_chunk::<4>()?;
        let (offset, size) = place.split_first_chunk()?;
        let start = blocks.len().checked_sub(number(*offset)?)?;
        let block = blocks[start..].get(..number(*size.first_chunk()?)?)?;
        if !block.starts_with(kind) {
            return None;
        }
        first = first.min(start);
    }
    Some(!entries.is_empty() && is_padding(&blocks[..first]))
}

fn number(bytes: [u8; 4]) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(bytes)).ok()
}
