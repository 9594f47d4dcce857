//! What a metadata policy keeps of a JPEG file besides the coded image: segments, further files, what follows.

use std::borrow::Cow;

use super::jpeg_file::JpegFile;
use super::lists::Secondary;
use super::markers::{APP0, APP13, EXIF_ID, Kind, MAX_PAYLOAD, PHOTOSHOP_ID, Segment};
use super::mpf;
use super::segments::Segments;
use super::stereo;
use super::trailing::{Rest, Trailing};
use crate::optimize::metadata::container::DIRECTORIES;
use crate::optimize::metadata::{Filtered, exif, iptc};
use crate::optimize::options::MetadataPolicy;

/// A JFIF header without its thumbnail (ITU-T T.871, 10.1), of which two bytes are the thumbnail's size.
const JFIF_BYTES: usize = 14;

/// Packets of XMP that are read until one is kept: each may promise an extended packet, and is compared with all parts.
const MAX_PACKETS: usize = 16;

/// What a policy keeps of a file besides the coded image.
#[derive(Debug)]
pub struct Kept<'a> {
    /// Whether the policy removed anything.
    pub stripped: bool,
    pub policy: MetadataPolicy,
    /// Whether something stays that the policy does not look into: a file inside of the XMP, one of another format.
    pub is_opaque: bool,
    /// What stays behind all, byte for byte.
    pub rest: Rest<'a>,
    pub segments: Vec<Metadata<'a>>,
    pub images: Vec<Image<'a>>,
    /// Only where `images` holds the index's own.
    pub index: Option<mpf::Index>,
    /// Whether the directories' lengths and paddings told where each file was.
    is_at_lengths: bool,
}

/// A metadata segment to write.
#[derive(Debug)]
pub struct Metadata<'a> {
    pub kind: Kind,
    pub marker: u8,
    pub payload: Cow<'a, [u8]>,
}

/// A further file to write.
#[derive(Debug)]
pub struct Image<'a> {
    pub bytes: Cow<'a, [u8]>,
    /// Padding between it and the file before.
    pub before: &'a [u8],
    /// Its number in the Multi-Picture index.
    pub number: Option<usize>,
    items: [Option<usize>; DIRECTORIES],
}

/// What decides about a segment besides its kind.
#[derive(Clone, Copy)]
struct SegmentContext {
    policy: MetadataPolicy,
    /// Whether other images stay behind this one.
    has_further_images: bool,
    /// Whether none of its kind was kept yet. Readers take the first, so what comes twice goes.
    is_first: bool,
    /// Whether a block of EXIF that was kept says how the picture is turned.
    is_turned: bool,
}

impl<'a> JpegFile<'a> {
    /// What the policy keeps of the metadata and of the files that follow, these filtered by the same policy.
    ///
    /// Padding after the image goes, and what is but a smaller copy of another image.
    #[must_use]
    pub fn filter(&self, policy: MetadataPolicy) -> Kept<'a> {
        let trailing = &self.trailing;
        let has_further_images = trailing.listed.files.iter().any(|file| !file.is_preview());
        let mut kept = self.image.filter_segments(policy, has_further_images);
        kept.rest = trailing.rest_under(policy);
        kept.stripped |= kept.rest != trailing.rest;
        kept.is_at_lengths = trailing.listed.is_at_lengths;
        let is_whole = policy == MetadataPolicy::All || trailing.listed.is_fixed;
        let removed = if is_whole { Vec::new() } else { kept.remove_previews(trailing) };
        kept.add_files(trailing, &removed, policy);
        kept.find_index(policy);
        kept
    }
}

impl<'a> Segments<'a> {
    /// The metadata of this image alone.
    fn filter_segments(&self, policy: MetadataPolicy, has_further_images: bool) -> Kept<'a> {
        let mut kept = Kept {
            stripped: false,
            policy,
            is_opaque: false,
            rest: Rest::Nothing,
            segments: Vec::new(),
            images: Vec::new(),
            index: None,
            is_at_lengths: false,
        };
        let mut seen = Vec::new();
        let mut is_turned = false;
        let mut packets = 0;
        for segment in &self.parts {
            let Some(kind) = segment.kind() else { continue };
            let before = kept.segments.len();
            if policy == MetadataPolicy::All {
                kept.push(kind, segment.marker, segment.payload.into());
            } else {
                packets += usize::from(kind == Kind::Xmp);
                let is_first = !seen.contains(&kind) && (kind != Kind::Xmp || packets <= MAX_PACKETS);
                let context = SegmentContext { policy, has_further_images, is_first, is_turned };
                self.filter_segment(segment, kind, context, &mut kept);
            }
            let was_kept = kept.segments[before..].iter().any(|segment| segment.kind == kind);
            is_turned |= was_kept && kind == Kind::Exif && exif::orientation(segment.after(EXIF_ID)).is_some();
            if (was_kept || kind == Kind::Photoshop) && !seen.contains(&kind) {
                seen.push(kind);
            }
        }
        let parts = self.parts.iter().filter(|segment| segment.kind() == Some(Kind::ExtendedXmp));
        kept.stripped |= kept.segments.iter().filter(|s| s.kind == Kind::ExtendedXmp).count() < parts.count();
        // JFIF wants to be the very first (T.871, 10.1); all else keeps its order.
        kept.segments.sort_by_key(|segment| segment.kind != Kind::Jfif);
        kept
    }

    fn filter_segment(&self, segment: &Segment<'a>, kind: Kind, context: SegmentContext, kept: &mut Kept<'a>) {
        let SegmentContext { policy, has_further_images, is_first: first, is_turned } = context;
        match kind {
            Kind::Look | Kind::Adobe | Kind::MultiPicture => kept.push(kind, segment.marker, segment.payload.into()),
            Kind::Jfif if first => kept.push_jfif(segment.payload, has_further_images),
            Kind::Stereo if first => kept.push_stereo(segment),
            // A block behind another one stays for the orientation that only it holds.
            Kind::Exif if first || !is_turned && exif::orientation(segment.after(EXIF_ID)).is_some() => {
                let policy = if first { policy } else { MetadataPolicy::None };
                let filtered = exif::filter_beside(segment.after(EXIF_ID), policy, has_further_images && first);
                // Its own fill byte stays.
                kept.push_filtered(kind, segment, &segment.payload[..EXIF_ID.len()], filtered);
            }
            Kind::Xmp if first => kept.push_xmp(self, segment, policy),
            Kind::Photoshop if first => self.filter_photoshop(policy, kept),
            // Written with the first of the sequence, or with the packet that promises it.
            Kind::Photoshop | Kind::ExtendedXmp => {}
            Kind::Jfif | Kind::Stereo | Kind::Exif | Kind::Xmp | Kind::Private => kept.stripped = true,
        }
    }

    /// Resources may go on from one segment to the next: they are one sequence, written where the first stood.
    fn filter_photoshop(&self, policy: MetadataPolicy, kept: &mut Kept<'a>) {
        let parts = self.parts.iter().filter(|segment| segment.kind() == Some(Kind::Photoshop));
        let resources: Vec<u8> = parts.flat_map(|part| part.after(PHOTOSHOP_ID)).copied().collect();
        let filtered = iptc::filter(&resources, policy);
        kept.stripped |= filtered != Filtered::Keep;
        for part in filtered.apply(&resources).unwrap_or_default().chunks(MAX_PAYLOAD - PHOTOSHOP_ID.len()) {
            kept.push(Kind::Photoshop, APP13, [PHOTOSHOP_ID, part].concat().into());
        }
    }
}

impl Metadata<'_> {
    pub fn borrowed(&self) -> Metadata<'_> {
        Metadata { kind: self.kind, marker: self.marker, payload: Cow::Borrowed(&self.payload) }
    }
}

impl<'a> Kept<'a> {
    pub fn push(&mut self, kind: Kind, marker: u8, payload: Cow<'a, [u8]>) {
        self.segments.push(Metadata { kind, marker, payload });
    }

    pub fn push_filtered(&mut self, kind: Kind, segment: &Segment<'a>, id: &[u8], filtered: Filtered) {
        match filtered {
            Filtered::Keep => self.push(kind, segment.marker, segment.payload.into()),
            Filtered::Replace(block) if id.len() + block.len() <= MAX_PAYLOAD => {
                self.stripped = true;
                self.push(kind, segment.marker, [id, &block].concat().into());
            }
            Filtered::Replace(_) | Filtered::Drop => self.stripped = true,
        }
    }

    /// Keeps version and density; the thumbnail goes. Apple marks a file with a Multi-Picture index here, too.
    fn push_jfif(&mut self, payload: &'a [u8], has_further_images: bool) {
        match payload.split_at_checked(JFIF_BYTES) {
            Some((header, b"AMPF")) if has_further_images && header[12..] == [0, 0] => {
                self.push(Kind::Jfif, APP0, payload.into());
            }
            Some((header, behind)) if !behind.is_empty() || header[12..] != [0, 0] => {
                self.stripped = true;
                self.push(Kind::Jfif, APP0, [&header[..12], &[0, 0]].concat().into());
            }
            _ => self.push(Kind::Jfif, APP0, payload.into()),
        }
    }

    fn push_stereo(&mut self, segment: &Segment<'a>) {
        let filtered = stereo::filtered(segment.payload);
        self.stripped |= filtered.as_deref() != Some(segment.payload);
        if let Some(payload) = filtered {
            self.push(Kind::Stereo, segment.marker, payload);
        }
    }

    /// Takes "Large Thumbnails" out of the Multi-Picture index; the numbers of their entries. None go where the index
    /// cannot be written without them.
    fn remove_previews(&mut self, trailing: &Trailing<'_>) -> Vec<usize> {
        let previews = trailing.listed.files.iter().filter(|file| file.is_preview());
        let numbers: Vec<_> = previews.filter_map(|file| file.names.entry).map(|entry| entry.number).collect();
        let at = self.segments.iter().position(|segment| segment.kind == Kind::MultiPicture);
        let Some(at) = at.filter(|_| !numbers.is_empty()) else { return Vec::new() };
        let Some(payload) = mpf::without(&self.segments[at].payload, &numbers) else { return Vec::new() };
        self.stripped = true;
        self.segments[at].payload = payload.into();
        if mpf::Index::read(&self.segments[at].payload, 0).is_none_or(|index| index.is_of(0)) {
            self.segments.remove(at);
        }
        numbers
    }

    fn add_files(&mut self, trailing: &Trailing<'a>, removed: &[usize], policy: MetadataPolicy) {
        let is_padding_stated = trailing.has_paddings;
        for file in &trailing.listed.files {
            let number = file.names.entry.map(|entry| entry.number);
            if number.is_some_and(|number| removed.contains(&number)) {
                continue;
            }
            let number = number.map(|number| number - removed.iter().filter(|gone| **gone < number).count());
            let before = if is_padding_stated { file.before } else { &[] };
            let bytes = self.filter_file(file, trailing.listed.is_fixed, removed, policy);
            self.images.push(Image { bytes, before, number, items: file.names.items });
        }
        let lengths = self.images.iter().flat_map(|image| {
            let named = image.items.iter().enumerate();
            named.filter_map(|(directory, item)| Some((directory, (*item)?, image.bytes.len())))
        });
        let lengths: Vec<_> = lengths.collect();
        if !self.images.is_empty() || self.rest != Rest::Nothing {
            self.set_lengths(&lengths);
        }
    }

    /// The bytes of a further file without the metadata that the policy removes.
    fn filter_file(
        &mut self,
        file: &Secondary<'a>,
        is_fixed: bool,
        removed: &[usize],
        policy: MetadataPolicy,
    ) -> Cow<'a, [u8]> {
        let Some(image) = &file.image else {
            self.is_opaque = true;
            return file.bytes.into();
        };
        let mut filtered = image.filter_segments(policy, false);
        if is_fixed || image.signed {
            self.is_opaque |= filtered.stripped || filtered.is_opaque;
            return file.bytes.into();
        }
        self.stripped |= filtered.stripped;
        self.is_opaque |= filtered.is_opaque;
        let own_index = filtered.segments.iter_mut().find(|segment| segment.kind == Kind::MultiPicture);
        let renumbered = own_index.and_then(|own| Some((mpf::with_own_number(&own.payload, removed)?, own)));
        let is_changed = filtered.stripped || renumbered.is_some();
        if let Some((payload, own)) = renumbered {
            own.payload = payload.into();
        }
        // An image of which nothing goes stays as it is, to the byte.
        match image.splice(&filtered) {
            Ok(bytes) if is_changed => bytes.into(),
            _ => file.bytes.into(),
        }
    }

    /// Finds the index of the images that stay. An index of images that are not there would mislead.
    fn find_index(&mut self, policy: MetadataPolicy) {
        let numbered = self.images.iter().filter(|image| image.number.is_some()).count();
        let segment = self.segments.iter().find(|segment| segment.kind == Kind::MultiPicture);
        let index = segment.and_then(|segment| mpf::Index::read(&segment.payload, 0));
        self.index = index.filter(|index| index.is_of(numbered));
        if policy == MetadataPolicy::All {
            return;
        }
        let mut index_found = self.index.is_none();
        self.segments.retain(|s| s.kind != Kind::MultiPicture || !std::mem::replace(&mut index_found, true));
    }

    /// Whether a new file is followed by these very files and the same data, each found by what the new file states.
    pub fn is_found_in(&self, file: &[u8]) -> bool {
        let extended = self.extended_xmp();
        if self.images.is_empty() && self.rest == Rest::Nothing && extended.is_none() {
            return true;
        }
        let Ok(new) = JpegFile::parse(file) else { return false };
        let found = &new.trailing.listed;
        let is_same = |(image, new): (&Image<'_>, &Secondary<'_>)| {
            let number = new.names.entry.map(|entry| entry.number);
            new.bytes == &*image.bytes && number == image.number && new.names.items == image.items
        };
        // A video must be found as one.
        let is_rest = match self.rest {
            Rest::Movable(_) => new.trailing.rest == self.rest,
            rest => new.trailing.rest.bytes() == rest.bytes(),
        };
        found.files.len() == self.images.len()
            && self.images.iter().zip(&found.files).all(is_same)
            && (self.index.is_none() || found.files.is_empty() || found.is_at_offsets)
            && (!self.is_at_lengths || found.is_at_lengths)
            && is_rest
            && new.image.extended_xmp() == extended
    }
}
