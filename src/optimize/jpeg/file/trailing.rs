//! What follows a JPEG image in its file: further images, a Motion Photo's video, a camera's preview, or what nobody
//! knows.

use std::borrow::Cow;

use super::lists::{self, Listed, Secondary};
use super::markers::{APP2, EXIF_ID, Kind, Segment, contains, is_padding};
use super::motion;
use super::mpf;
use super::packets;
use super::segments::Segments;
use crate::optimize::metadata::exif;
use crate::optimize::options::MetadataPolicy;

/// Previews whose first byte is another's: each is copied to be read.
const MAX_COPIED: usize = 8;

/// What follows the primary image's EOI.
#[derive(Debug, Default)]
pub struct Trailing<'a> {
    /// Files that the Multi-Picture index or an XMP directory accounts for.
    pub listed: Listed<'a>,
    /// Whether a directory states padding between files.
    pub has_paddings: bool,
    /// A Multi-Picture index names images that are not where it says.
    has_lost_index: bool,
    pub rest: Rest<'a>,
}

/// What follows all files that lists name.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Rest<'a> {
    /// Not a byte, or padding alone.
    #[default]
    Nothing,
    /// It is addressed from the end of the file or of the images: it may move as a whole.
    Movable(&'a [u8]),
    /// Whole images that no list names: a camera's previews, to which a maker's note points.
    Previews(&'a [u8]),
    /// An archive, a maker's own data, anything not understood.
    Unknown(&'a [u8]),
}

impl<'a> Rest<'a> {
    pub fn bytes(self) -> &'a [u8] {
        match self {
            Self::Nothing => &[],
            Self::Movable(bytes) | Self::Previews(bytes) | Self::Unknown(bytes) => bytes,
        }
    }
}

impl<'a> Trailing<'a> {
    /// What follows an image that ends at `end`.
    pub fn of(image: &Segments<'a>, file: &'a [u8], end: usize) -> Self {
        if is_padding(&file[end..]) {
            return Self::default();
        }
        let container = packets::container(image);
        let segment = image.find(Kind::MultiPicture);
        let index = segment.and_then(mpf::Index::parse);
        let found = lists::find(index.as_ref(), &container, file, end);
        let names_nothing = segment.is_none() || index.as_ref().is_some_and(|index| index.is_of(0));
        let is_followed = names_nothing || found.as_ref().is_some_and(|found| found.files.iter().any(has_entry));
        // The directories alone may account for all that is there.
        let found = if is_followed {
            found
        } else {
            lists::find(None, &container, file, end).filter(|found| is_padding(&file[found.end..]))
        };
        let listed = found.unwrap_or(Listed { end, ..Listed::default() });
        let rest = &file[listed.end..];
        let are_listed = !listed.files.is_empty() || container.directories().iter().all(|list| list.files().is_empty());
        let rest = if is_padding(rest) {
            Rest::Nothing
        } else if is_followed && motion::may_move(&container, rest) {
            Rest::Movable(rest)
        } else if is_followed && are_listed && !listed.is_fixed && image.complete && are_previews(rest) {
            Rest::Previews(rest)
        } else {
            Rest::Unknown(rest)
        };
        let has_paddings = container.directories().iter().any(|list| list.paddings().any(|padding| padding != 0));
        Self { listed, has_paddings, has_lost_index: !is_followed, rest }
    }

    /// What a policy leaves behind all files that lists name, byte for byte.
    pub fn rest_under(&self, policy: MetadataPolicy) -> Rest<'a> {
        match self.rest {
            Rest::Previews(_) if policy != MetadataPolicy::All => Rest::Nothing,
            rest => rest,
        }
    }

    /// Whether something that stays may name places in what follows, counted from the beginning of the file: then all
    /// must keep its place.
    pub fn is_pinned(&self, image: &Segments<'_>, policy: MetadataPolicy) -> bool {
        let tail = self.rest_under(policy).bytes();
        if tail.is_empty() || matches!(self.rest, Rest::Movable(_)) {
            return false;
        }
        // Every other policy takes out of the segments whatever could name a place.
        let stays = |segment: &&Segment<'_>| policy == MetadataPolicy::All && segment.kind().is_some();
        let starts = [Some(self.listed.end), lists::next_image(tail, 0).map(|at| self.listed.end + at)];
        self.has_lost_index
            || motion::has_absolute_places(tail)
            || starts.into_iter().flatten().any(|start| holds_number(tail, start))
            || image.parts.iter().filter(stays).any(|segment| may_name_places(segment, self.listed.end))
    }
}

fn has_entry(file: &Secondary<'_>) -> bool {
    file.names.entry.is_some()
}

/// Whether a segment that stays as it is may name a place.
fn may_name_places(segment: &Segment<'_>, place: usize) -> bool {
    if segment.kind() == Some(Kind::Exif) {
        let block = segment.after(EXIF_ID);
        let in_block = place.checked_sub(segment.at + EXIF_ID.len());
        return exif::has_maker_note(block) || in_block.is_some_and(|place| holds_number(block, place));
    }
    let is_text = matches!(segment.kind(), Some(Kind::Xmp | Kind::ExtendedXmp));
    is_text && contains(segment.payload, format!("\"{place}\"").as_bytes())
        || segment.kind() == Some(Kind::Private) && holds_number(segment.payload, place)
}

/// Whether a number of 32 bits stands anywhere, in either byte order.
fn holds_number(bytes: &[u8], number: usize) -> bool {
    let Ok(number) = u32::try_from(number) else { return false };
    contains(bytes, &number.to_le_bytes()) || contains(bytes, &number.to_be_bytes())
}

/// Whether the bytes are whole JPEG images and padding, and none says of itself that it is more than a preview.
fn are_previews(bytes: &[u8]) -> bool {
    let (mut at, mut copied) = (0, 0);
    while let Some((start, image)) = next_preview(bytes, at) {
        copied += usize::from(matches!(image, Cow::Owned(_)));
        if copied > MAX_COPIED {
            return false;
        }
        match Segments::parse_image(&image) {
            Ok((image, end)) if image.complete && !is_gain_map(&image) => at = start + end,
            _ => return false,
        }
    }
    at > 0 && is_padding(&bytes[at..])
}

/// Where the next image begins behind padding, and the bytes from there. The first byte of previews of Minolta and Sony
/// may be any other (`ExifTool`, `ValidateImage`).
fn next_preview(bytes: &[u8], from: usize) -> Option<(usize, Cow<'_, [u8]>)> {
    if let Some(start) = lists::next_image(bytes, from) {
        return Some((start, Cow::Borrowed(&bytes[start..])));
    }
    let behind = bytes.get(from..)?;
    let at = behind.windows(4).position(|window| window[1..] == [0xD8, 0xFF, 0xDB])?;
    let start = from + at;
    is_padding(&behind[..at]).then(|| (start, [&[0xFF], &bytes[start + 1..]].concat().into()))
}

/// Whether an image tells how to raise the brightness of another: some readers find it without any list.
fn is_gain_map(image: &Segments<'_>) -> bool {
    image.parts.iter().any(|segment| match segment.kind() {
        Some(Kind::Xmp) => [&b"hdr-gain-map/1.0/"[..], b"HDRGainMap/1.0/", b"HDRToneMap/1.0/", b"pixeldatainfo/1.0/"]
            .iter()
            .any(|uri| contains(segment.payload, uri)),
        Some(Kind::Look) => segment.marker == APP2 && segment.payload.starts_with(b"urn:iso:std:iso:ts:21496"),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::super::jpeg_file::JpegFile;
    use super::super::markers::{APP1, XMP_ID};
    use super::super::segments::tests::{jpeg, segment};
    use super::*;
    use crate::optimize::metadata::ByteOrder;
    use crate::optimize::metadata::exif::tests::camera_block;
    use crate::optimize::metadata::xmp::tests::{directory, packet};
    use MetadataPolicy::{All, Safe};

    fn xmp(inside: &str) -> Vec<u8> {
        segment(APP1, &[XMP_ID, &packet(inside)].concat())
    }

    #[test]
    fn what_trails_is_told_apart() {
        let other = jpeg(&[]);
        let gain_map = jpeg(&[xmp("<rdf:Description hdrgm:GainMapMax=\"6\"/>")]);
        let declared = |length| jpeg(&[xmp(&directory(length))]);
        let mut cut = jpeg(&[]);
        cut.truncate(cut.len() - 3);
        for (primary, tail, files, expected) in [
            (jpeg(&[]), vec![], 0, "Nothing"),
            (jpeg(&[]), vec![0; 100], 0, "Nothing"),
            (jpeg(&[]), vec![0xFF; 100], 0, "Nothing"),
            (jpeg(&[]), b"\n".to_vec(), 0, "Nothing"),
            (jpeg(&[]), vec![0xFF, 0xD9], 0, "Nothing"),
            (jpeg(&[]), b"ftypmp42".to_vec(), 0, "Unknown"),
            (jpeg(&[]), other.clone(), 0, "Previews"),
            (jpeg(&[]), [&[0; 5], &other[..], b"\r\n", &other, &[0xFF, 0xD9]].concat(), 0, "Previews"),
            (jpeg(&[]), [&[0, 7], &other[1..]].concat(), 0, "Previews"),
            (jpeg(&[]), [&[7, 7], &other[1..]].concat(), 0, "Unknown"),
            (jpeg(&[]), [&other[..], b"edof"].concat(), 0, "Unknown"),
            (jpeg(&[]), cut.clone(), 0, "Unknown"),
            (cut, other.clone(), 0, "Unknown"),
            (jpeg(&[]), gain_map.clone(), 0, "Unknown"),
            (declared(gain_map.len()), gain_map.clone(), 1, "Nothing"),
            (declared(gain_map.len()), [&gain_map[..], &[0; 7]].concat(), 1, "Nothing"),
            (declared(gain_map.len()), [&gain_map[..], &other].concat(), 1, "Previews"),
            (declared(gain_map.len()), [&gain_map[..], b"mp4"].concat(), 1, "Unknown"),
            (declared(gain_map.len() + 1), gain_map.clone(), 0, "Unknown"),
            (declared(gain_map.len() - 1), gain_map.clone(), 0, "Unknown"),
            (declared(other.len() - 1), other.clone(), 0, "Unknown"),
        ] {
            let file = [primary, tail.clone()].concat();
            let found = JpegFile::parse(&file).unwrap().trailing;
            let rest = format!("{:?}", found.rest);
            assert!(
                rest.starts_with(expected) && found.listed.files.len() == files,
                "{found:?}, not {expected} of {tail:?}"
            );
        }
    }

    #[test]
    fn only_a_few_previews_of_another_first_byte_are_read() {
        let preview = [&[7], &jpeg(&[])[1..]].concat();
        for (count, expected) in [(MAX_COPIED, "Previews"), (MAX_COPIED + 1, "Unknown")] {
            let file = [jpeg(&[]), preview.repeat(count)].concat();
            let rest = format!("{:?}", JpegFile::parse(&file).unwrap().trailing.rest);
            assert!(rest.starts_with(expected), "{count}: {rest}");
        }
    }

    #[test]
    fn previews_go_with_the_note_that_points_to_them() {
        let preview = jpeg(&[]);
        for (primary, is_pinned) in
            [(jpeg(&[]), false), (jpeg(&[segment(APP1, &[EXIF_ID, &camera_block(ByteOrder::Big)].concat())]), true)]
        {
            let file = [primary, preview.clone()].concat();
            let image = JpegFile::parse(&file).unwrap();
            assert_eq!(image.trailing.rest_under(Safe), Rest::Nothing);
            assert_eq!(image.trailing.rest_under(All), Rest::Previews(&preview));
            assert!(!image.is_pinned(Safe));
            assert_eq!(image.is_pinned(All), is_pinned);
        }
    }

    #[test]
    fn data_that_name_their_own_place_are_pinned() {
        let primary = jpeg(&[segment(0xEC, b"Ducky")]);
        let end = u32::try_from(primary.len()).unwrap();
        let pinned = |primary: &[u8], tail: &[u8]| {
            let file = [primary, tail].concat();
            let image = JpegFile::parse(&file).unwrap();
            [Safe, All].map(|policy| image.is_pinned(policy))
        };
        assert_eq!(pinned(&primary, b"an archive"), [false, false]);
        assert_eq!(pinned(&primary, &[b"an archive", &end.to_le_bytes()[..]].concat()), [true, true]);
        assert_eq!(pinned(&primary, &[b"an archive", &end.to_be_bytes()[..]].concat()), [true, true]);
        assert_eq!(pinned(&primary, b"sound QDIO\x65\0\0\0QDIOBS"), [true, true]);
        // The segment goes under one policy and stays under the other.
        let own = |number: u32| jpeg(&[segment(0xEC, &number.to_be_bytes())]);
        let pointer = own(u32::try_from(own(0).len()).unwrap());
        assert_eq!(pinned(&pointer, b"an archive"), [false, true]);
        let own = |number: usize| jpeg(&[xmp(&format!("<rdf:Description exif:Offset=\"{number}\"/>"))]);
        let pointer = own((100..9999).find(|number| own(*number).len() == *number).unwrap());
        assert_eq!(pinned(&pointer, b"an archive"), [false, true]);
    }
}
