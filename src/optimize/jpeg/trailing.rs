//! What follows a JPEG image in its file: further images, a Motion Photo's video, or what nobody knows.

use std::ops::Range;

use super::motion;
use super::mpf;
use super::segments::{Kind, Segments, XMP_ID, is_padding};
use crate::optimize::metadata::container::Container;
use crate::optimize::metadata::xmp;
use crate::optimize::options::MetadataPolicy;

/// What follows the primary image's EOI.
#[derive(Debug)]
pub enum Trailing<'a> {
    Nothing,
    /// Zero or 0xFF bytes alone.
    Padding,
    /// Images that the Multi-Picture index or an XMP directory accounts for; behind them, or behind the primary image
    /// where there are none, what is addressed from there or from the end of the file: it may move as a whole.
    Known {
        images: Vec<Secondary<'a>>,
        tail: &'a [u8],
    },
    /// An archive, a maker's own data, anything not understood: it may be addressed from the beginning of the file.
    Other(&'a [u8]),
}

/// A further image: a gain map, the other eye's view, a large preview.
#[derive(Debug)]
pub struct Secondary<'a> {
    pub(super) image: Segments<'a>,
    pub(super) bytes: &'a [u8],
    /// Padding between it and the image before.
    pub(super) before: &'a [u8],
    /// Its entry in the Multi-Picture index.
    pub(super) entry: Option<mpf::Entry>,
}

/// Further images, and what follows the last of them.
type Found<'a> = (Vec<Secondary<'a>>, &'a [u8]);

impl<'a> Trailing<'a> {
    /// What follows an image that ends at `end`.
    pub(super) fn of(image: &Segments<'a>, file: &'a [u8], end: usize) -> Self {
        let rest = &file[end..];
        if rest.is_empty() {
            return Self::Nothing;
        }
        if is_padding(rest) {
            return Self::Padding;
        }
        let container = declared(image);
        let index = image.find(Kind::MultiPicture).and_then(mpf::Index::parse);
        let indexed = index.as_ref().and_then(|index| indexed_images(index, file, end));
        // An index that cannot be followed may point anywhere.
        let is_followed = indexed.is_some() || !image.has_index() || index.is_some_and(|index| index.is_of(0));
        let found = indexed.or_else(|| declared_images(&container, rest));
        match found.unwrap_or_else(|| (Vec::new(), rest)) {
            (images, tail) if is_padding(tail) => Self::Known { images, tail: &[] },
            (images, tail) if is_followed && motion::may_move(&container, tail) => Self::Known { images, tail },
            _ => Self::Other(rest),
        }
    }

    /// What stays behind all images, byte for byte, out of every policy's reach.
    pub(super) fn tail(&self) -> &'a [u8] {
        match self {
            Self::Nothing | Self::Padding => &[],
            Self::Known { tail, .. } | Self::Other(tail) => tail,
        }
    }

    /// Whether a new file is followed by as many images, and by the same data, each found by what the new file states.
    pub(super) fn is_found_in(&self, file: &[u8]) -> bool {
        let Self::Known { images, tail } = self else { return true };
        let new = Segments::parse(file).map(|new| new.trailing);
        matches!(new, Ok(Trailing::Known { images: new, tail: at }) if new.len() == images.len() && at == *tail)
    }
}

/// What the XMP packet declares: only what every policy keeps may account for anything.
fn declared(image: &Segments<'_>) -> Container {
    let packet = image.find(Kind::Xmp).map(|segment| segment.after(XMP_ID));
    let kept = packet.and_then(|packet| xmp::filter(packet, MetadataPolicy::None).apply(packet));
    kept.map(|packet| Container::read(&packet)).unwrap_or_default()
}

/// The images of the Multi-Picture index, where nothing but padding is between them. Programs that change metadata often
/// leave the offsets as they were: then the sizes count, if they fit one after the other.
fn indexed_images<'a>(index: &mpf::Index, file: &'a [u8], end: usize) -> Option<Found<'a>> {
    let stated = index.secondary()?;
    let mut at = end;
    let in_sequence = stated.iter().map(|(entry, range)| {
        let start = at;
        at = at.saturating_add(range.len());
        (*entry, start..at)
    });
    let in_sequence = in_sequence.collect();
    images_at(file, end, stated).or_else(|| images_at(file, end, in_sequence))
}

/// The images at these ranges, in the order of the file.
fn images_at(file: &[u8], mut at: usize, ranges: Vec<(mpf::Entry, Range<usize>)>) -> Option<Found<'_>> {
    let mut images = Vec::new();
    for (entry, range) in ranges {
        let before = Some(file.get(at..range.start)?).filter(|before| is_padding(before))?;
        at = range.end;
        images.push(Secondary::parse(file.get(range)?, before, Some(entry))?);
    }
    (!images.is_empty()).then_some((images, file.get(at..)?))
}

/// The images of the XMP directory, one after the other.
fn declared_images<'a>(container: &Container, mut rest: &'a [u8]) -> Option<Found<'a>> {
    let mut images = Vec::new();
    for (item, padding) in container.images().iter().zip(container.paddings()) {
        let (image, after) = rest.split_at_checked(item.length?)?;
        if item.mime != "image/jpeg" || padding != 0 {
            return None;
        }
        images.push(Secondary::parse(image, &[], None)?);
        rest = after;
    }
    (!images.is_empty()).then_some((images, rest))
}

impl<'a> Secondary<'a> {
    /// `None` where the bytes are not one whole JPEG image, with nothing but padding after it.
    fn parse(bytes: &'a [u8], before: &'a [u8], entry: Option<mpf::Entry>) -> Option<Self> {
        let (image, end) = Segments::parse_image(bytes).ok()?;
        (image.complete && is_padding(&bytes[end..])).then_some(Self { image, bytes, before, entry })
    }
}

#[cfg(test)]
mod tests {
    use super::super::segments::APP1;
    use super::super::segments::tests::{jpeg, segment};
    use super::*;
    use crate::optimize::metadata::xmp::tests::{directory, packet};

    #[test]
    fn what_trails_is_told_apart() {
        let gain_map = jpeg(&[]);
        let declared = |length| jpeg(&[segment(APP1, &[XMP_ID, &packet(&directory(length))].concat())]);
        let padded = [gain_map.clone(), vec![0; 7]].concat();
        for (primary, tail, expected) in [
            (jpeg(&[]), vec![], "Nothing"),
            (jpeg(&[]), vec![0; 100], "Padding"),
            (jpeg(&[]), vec![0xFF; 100], "Padding"),
            (jpeg(&[]), b"ftypmp42".to_vec(), "Other"),
            (jpeg(&[]), gain_map.clone(), "Other"),
            (declared(gain_map.len()), gain_map.clone(), "Known"),
            (declared(gain_map.len()), padded, "Known"),
            (declared(gain_map.len()), [gain_map.clone(), b"mp4".to_vec()].concat(), "Other"),
            (declared(gain_map.len() + 1), gain_map.clone(), "Other"),
            (declared(gain_map.len() - 1), gain_map.clone(), "Other"),
        ] {
            let file = [primary, tail].concat();
            let found = format!("{:?}", Segments::parse(&file).unwrap().trailing);
            assert!(found.starts_with(expected), "{found}, not {expected}");
        }
    }
}
