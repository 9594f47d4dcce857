//! The files behind the primary image, as the file's own lists name them: the Multi-Picture index, Google's directory
//! and Dynamic Depth's. They may name different files; where they name the same one, they must agree.

use std::ops::Range;

use super::markers::is_padding;
use super::mpf;
use super::segments::Segments;
use crate::optimize::metadata::container::{Container, DIRECTORIES, Directory};

/// A further file: a gain map, the other eye's view, a depth map, a large preview.
#[derive(Debug)]
pub struct Secondary<'a> {
    /// `None` where it is no JPEG image: its bytes are nobody's to change.
    pub image: Option<Segments<'a>>,
    pub bytes: &'a [u8],
    /// Padding between it and the file before.
    pub before: &'a [u8],
    pub names: Names,
}

/// Under which names the lists know a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Names {
    /// Its entry in the Multi-Picture index.
    pub entry: Option<mpf::Entry>,
    /// Its number among the files of each directory.
    pub items: [Option<usize>; DIRECTORIES],
}

/// What the lists name, found in the file.
#[derive(Debug, Default)]
pub struct Listed<'a> {
    pub files: Vec<Secondary<'a>>,
    /// Where the last of them ends.
    pub end: usize,
    /// Whether each lies where the Multi-Picture index says, and where the directories say.
    pub is_at_offsets: bool,
    pub is_at_lengths: bool,
    /// A directory names files that are none of these: it stays true only if all keep their bytes.
    pub is_fixed: bool,
}

/// A file that a list names: its range, names, and whether it must be a JPEG image.
#[derive(Debug, Clone)]
struct Named {
    range: Range<usize>,
    names: Names,
    is_jpeg: bool,
}

impl Secondary<'_> {
    /// Whether it is but a smaller copy of another image, and no directory needs it.
    pub fn is_preview(&self) -> bool {
        self.names.entry.is_some_and(mpf::Entry::is_preview) && self.names.items == [None; DIRECTORIES]
    }
}

/// The files that the lists name behind an image that ends at `end`; `None` where the index cannot be followed, or names
/// none and the directories cannot.
///
/// Programs that change metadata often leave the index's offsets as they were: then its sizes count, if they fit one
/// after the other.
pub fn find<'a>(index: Option<&mpf::Index>, container: &Container, file: &'a [u8], end: usize) -> Option<Listed<'a>> {
    let stated = index.map_or_else(|| Some(Vec::new()), mpf::Index::secondary)?;
    let has_entries = !stated.is_empty();
    let in_sequence = in_sequence(&stated, end);
    let mut items = Some(Vec::new());
    let mut is_at_lengths = true;
    for (kind, directory) in container.directories().iter().enumerate() {
        let placed = place(directory, kind, file, end);
        is_at_lengths &= placed.as_ref().is_some_and(|placed| placed.is_as_stated);
        items = items.zip(placed).map(|(items, placed)| [items, placed.items].concat());
    }

    for (entries, is_at_offsets) in [(stated, true), (in_sequence, false)] {
        if let Some(items) = &items
            && let Some((files, end)) = merge(file, end, &entries, items)
        {
            return (!files.is_empty()).then_some(Listed { files, end, is_at_offsets, is_at_lengths, is_fixed: false });
        }
        if has_entries && let Some((mut files, end)) = merge(file, end, &entries, &[]) {
            let is_fixed = !name_in_order(&mut files, container);
            return Some(Listed { files, end, is_at_offsets, is_at_lengths: false, is_fixed });
        }
    }
    None
}

/// The index's images one after the other.
fn in_sequence(stated: &[(mpf::Entry, Range<usize>)], mut at: usize) -> Vec<(mpf::Entry, Range<usize>)> {
    let ranges = stated.iter().map(|(entry, range)| {
        let start = at;
        at = at.saturating_add(range.len());
        (*entry, start..at)
    });
    ranges.collect()
}

/// The files of one directory.
struct Placed {
    items: Vec<Named>,
    is_as_stated: bool,
}

/// Where the files of a directory lie, one after the other. Its paddings may be stated behind another file than the one
/// they follow, so that an image counts where it begins.
fn place(directory: &Directory, kind: usize, file: &[u8], end: usize) -> Option<Placed> {
    let mut at = end;
    let mut is_as_stated = true;
    let mut placed = Vec::new();
    for (number, (item, padding)) in directory.files().iter().zip(directory.paddings()).enumerate() {
        let stated = at.checked_add(padding)?;
        let length = item.length?;
        if length == 0 {
            // It shares the bytes of another.
            continue;
        }
        let is_jpeg = item.mime == "image/jpeg";
        let start = if is_jpeg && !begins_image(file, stated) { next_image(file, at)? } else { stated };
        is_as_stated &= start == stated;
        at = start.checked_add(length).filter(|end| *end <= file.len())?;
        let mut names = Names::default();
        names.items[kind] = Some(number);
        placed.push(Named { range: start..at, names, is_jpeg });
    }
    Some(Placed { items: placed, is_as_stated })
}

fn begins_image(file: &[u8], at: usize) -> bool {
    file.get(at..).is_some_and(|bytes| bytes.starts_with(&[0xFF, 0xD8, 0xFF]))
}

/// Where the next image begins behind padding.
pub fn next_image(file: &[u8], from: usize) -> Option<usize> {
    let behind = file.get(from..)?;
    let at = behind.windows(3).position(|bytes| bytes == [0xFF, 0xD8, 0xFF])?;
    is_padding(&behind[..at]).then_some(from + at)
}

/// The files in the order of the file, each once; `None` where they overlap, are no whole images, or where more than
/// padding is between them.
fn merge<'a>(
    file: &'a [u8],
    mut at: usize,
    entries: &[(mpf::Entry, Range<usize>)],
    items: &[Named],
) -> Option<(Vec<Secondary<'a>>, usize)> {
    let of_index = entries.iter().map(|(entry, range)| {
        let names = Names { entry: Some(*entry), ..Names::default() };
        Named { range: range.clone(), names, is_jpeg: true }
    });
    let mut all: Vec<_> = of_index.chain(items.iter().cloned()).collect();
    all.sort_by_key(|named| named.range.start);
    let mut files = Vec::new();
    for group in all.chunk_by(|a, b| a.range.start == b.range.start) {
        let start = group[0].range.start;
        // One list may count padding behind the image to it.
        let end = group.iter().map(|named| named.range.end).max()?;
        let before = file.get(at..start).filter(|before| is_padding(before))?;
        let bytes = file.get(start..end)?;
        let mut names = Names::default();
        for one in group {
            names.entry = names.entry.or(one.names.entry);
            for (item, own) in names.items.iter_mut().zip(one.names.items) {
                *item = item.or(own);
            }
        }
        let image = whole_image(bytes);
        if image.is_none() && group.iter().any(|named| named.is_jpeg) {
            return None;
        }
        let shortest = group.iter().map(|named| named.range.len()).min()?;
        if !bytes.get(shortest..).is_some_and(is_padding) {
            return None;
        }
        at = end;
        files.push(Secondary { image, bytes, before, names });
    }
    Some((files, at))
}

/// `None` where the bytes are not one whole JPEG image, with nothing but padding after it.
fn whole_image(bytes: &[u8]) -> Option<Segments<'_>> {
    let (image, end) = Segments::parse_image(bytes).ok()?;
    (image.complete && is_padding(&bytes[end..])).then_some(image)
}

/// Gives the index's files the names of directories whose lengths are wrong but that have as many; whether each
/// directory has.
fn name_in_order(files: &mut [Secondary<'_>], container: &Container) -> bool {
    let mut all = true;
    for (kind, directory) in container.directories().iter().enumerate() {
        let named = directory.files().len();
        if named == files.len() {
            files.iter_mut().enumerate().for_each(|(number, file)| file.names.items[kind] = Some(number));
        } else {
            all &= named == 0;
        }
    }
    all
}
