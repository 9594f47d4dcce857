//! A JPEG file put together: the metadata that the policy keeps, a coded image, and the further images.
//!
//! Never touches coefficients: the coded image is the source's own, or one that was encoded anew.

use std::borrow::Cow;

use super::mpf;
use super::segments::{
    APP0, APP1, APP13, EOI, EXIF_ID, Kind, PHOTOSHOP_ID, SOI, Secondary, Segment, Segments, Trailing, XMP_ID, malformed,
};
use crate::optimize::error::ImageError;
use crate::optimize::metadata::{Filtered, exif, iptc, xmp};
use crate::optimize::options::MetadataPolicy;

/// Longest payload of a segment: its length field counts itself (T.81, B.1.1.4).
const MAX_PAYLOAD: usize = 65_533;
/// A JFIF header without its thumbnail (ITU-T T.871, 10.1), of which two bytes are the thumbnail's size.
const JFIF_BYTES: usize = 14;

/// What a policy keeps of a file besides the coded image.
#[derive(Debug)]
pub struct Kept<'a> {
    /// Whether the policy removed anything.
    pub stripped: bool,
    segments: Vec<Metadata<'a>>,
    images: Vec<Image<'a>>,
    /// Only where `images` holds the index's own.
    index: Option<mpf::Index>,
}

/// A metadata segment to write.
#[derive(Debug)]
struct Metadata<'a> {
    kind: Kind,
    marker: u8,
    payload: Cow<'a, [u8]>,
}

/// A further image to write.
#[derive(Debug)]
struct Image<'a> {
    bytes: Cow<'a, [u8]>,
    /// Its number in the Multi-Picture index.
    number: Option<usize>,
}

impl<'a> Segments<'a> {
    /// What the policy keeps of the metadata and of the images that follow, these filtered by the same policy.
    ///
    /// Padding after the image goes, and so would unknown data: where [`Trailing::Other`] is found the file is to be
    /// left as it is.
    #[must_use]
    pub fn filter(&self, policy: MetadataPolicy) -> Kept<'a> {
        let mut kept = self.filter_segments(policy);
        if let Trailing::Images(images) = &self.trailing {
            kept.add_images(images, policy);
        }
        let indexed = !kept.images.is_empty() && kept.images.iter().all(|image| image.number.is_some());
        kept.index = self.find(Kind::MultiPicture).filter(|_| indexed).and_then(mpf::Index::parse);
        // An index of images that are not there would mislead.
        let mut index_found = kept.index.is_none();
        kept.segments.retain(|s| s.kind != Kind::MultiPicture || !std::mem::replace(&mut index_found, true));
        kept
    }

    /// The metadata of this image alone.
    fn filter_segments(&self, policy: MetadataPolicy) -> Kept<'a> {
        let mut kept = Kept { stripped: false, segments: Vec::new(), images: Vec::new(), index: None };
        for segment in &self.segments {
            if let Some(kind) = segment.kind() {
                if policy == MetadataPolicy::All {
                    kept.push(kind, segment.marker, segment.payload.into());
                } else {
                    self.filter_segment(segment, kind, policy, &mut kept);
                }
            }
        }
        // JFIF wants to be the very first (T.871, 10.1); all else keeps its order.
        kept.segments.sort_by_key(|segment| segment.kind != Kind::Jfif);
        kept
    }

    fn filter_segment(&self, segment: &Segment<'a>, kind: Kind, policy: MetadataPolicy, kept: &mut Kept<'a>) {
        let twice = kept.segments.iter().any(|other| other.kind == kind);
        match kind {
            Kind::Look | Kind::Adobe | Kind::MultiPicture => kept.push(kind, segment.marker, segment.payload.into()),
            Kind::Jfif if !twice => kept.push_jfif(segment.payload),
            Kind::Exif if !twice => {
                kept.push_filtered(kind, segment, EXIF_ID, exif::filter(segment.after(EXIF_ID), policy));
            }
            Kind::Xmp if !twice => {
                kept.push_filtered(kind, segment, XMP_ID, xmp::filter(segment.after(XMP_ID), policy));
            }
            Kind::Photoshop => self.filter_photoshop(segment, policy, kept),
            Kind::Jfif | Kind::Exif | Kind::Xmp | Kind::ExtendedXmp | Kind::Private => kept.stripped = true,
        }
    }

    /// Resources may go on from one segment to the next: they are one sequence, written where the first stood.
    fn filter_photoshop(&self, segment: &Segment<'a>, policy: MetadataPolicy, kept: &mut Kept<'a>) {
        if self.find(Kind::Photoshop).is_some_and(|first| first.at != segment.at) {
            return;
        }
        let parts = self.segments.iter().filter(|segment| segment.kind() == Some(Kind::Photoshop));
        let resources: Vec<u8> = parts.flat_map(|part| part.after(PHOTOSHOP_ID)).copied().collect();
        let filtered = iptc::filter(&resources, policy);
        kept.stripped |= filtered != Filtered::Keep;
        for part in filtered.apply(&resources).unwrap_or_default().chunks(MAX_PAYLOAD - PHOTOSHOP_ID.len()) {
            kept.push(Kind::Photoshop, APP13, [PHOTOSHOP_ID, part].concat().into());
        }
    }

    /// The file with the kept metadata and the same coded image, byte for byte.
    ///
    /// # Errors
    /// [`ImageError::Malformed`] where the file becomes too large for its Multi-Picture index.
    pub fn splice(&self, kept: &Kept<'_>) -> Result<Vec<u8>, ImageError> {
        let metadata: Vec<_> = kept.segments.iter().map(Metadata::borrowed).collect();
        write(&metadata, self, kept)
    }
}

/// A freshly encoded file with the metadata and further images kept of its source.
///
/// How the samples are to be read (JFIF or not, Adobe transform) is the encoder's word; density is the source's.
///
/// # Errors
/// [`ImageError::Malformed`] where `encoded` is no JPEG file, or the result too large for its Multi-Picture index.
pub fn assemble(encoded: &[u8], kept: &Kept<'_>) -> Result<Vec<u8>, ImageError> {
    let (image, _) = Segments::parse_image(encoded)?;
    let own = |kind| image.find(kind).map(|s| Metadata { kind, marker: s.marker, payload: s.payload.into() });
    let of_source = |kind| kept.segments.iter().find(|segment| segment.kind == kind).map(Metadata::borrowed);

    // For three components JFIF means YCbCr, so it stands only where the encoder wrote it too.
    let jfif = match own(Kind::Jfif) {
        Some(own) => Some(of_source(Kind::Jfif).unwrap_or(own)),
        None => of_source(Kind::Jfif).filter(|_| image.frame.components.len() != 3),
    };
    let others = kept.segments.iter().filter(|s| !matches!(s.kind, Kind::Jfif | Kind::Adobe)).map(Metadata::borrowed);
    let metadata: Vec<_> = jfif.into_iter().chain(others).chain(own(Kind::Adobe)).collect();
    write(&metadata, &image, kept)
}

/// SOI, metadata, the coded image with its tables, EOI, further images; the Multi-Picture index set right.
fn write(metadata: &[Metadata<'_>], image: &Segments<'_>, kept: &Kept<'_>) -> Result<Vec<u8>, ImageError> {
    let mut out = vec![0xFF, SOI];
    let mut index_at = None;
    for segment in metadata {
        if segment.kind == Kind::MultiPicture {
            index_at = Some(out.len() + 4);
        }
        write_segment(&mut out, segment.marker, &segment.payload)?;
    }
    for segment in image.segments.iter().filter(|segment| segment.kind().is_none()) {
        write_segment(&mut out, segment.marker, segment.payload)?;
        out.extend_from_slice(segment.entropy);
    }
    if image.complete {
        out.extend([0xFF, EOI]);
    }

    let primary = out.len();
    let mut ranges = Vec::new();
    for further in &kept.images {
        let start = out.len();
        out.extend_from_slice(&further.bytes);
        ranges.extend(further.number.map(|number| (number, start..out.len())));
    }
    if let (Some(index), Some(at)) = (&kept.index, index_at) {
        index.write(&mut out[at..primary], at + mpf::ID.len(), primary, &ranges)?;
    }
    Ok(out)
}

fn write_segment(out: &mut Vec<u8>, marker: u8, payload: &[u8]) -> Result<(), ImageError> {
    let length = u16::try_from(payload.len() + 2).map_err(|_| malformed("segment too long"))?;
    out.extend([0xFF, marker]);
    out.extend(length.to_be_bytes());
    out.extend_from_slice(payload);
    Ok(())
}

impl Metadata<'_> {
    fn borrowed(&self) -> Metadata<'_> {
        Metadata { kind: self.kind, marker: self.marker, payload: Cow::Borrowed(&self.payload) }
    }
}

impl<'a> Kept<'a> {
    fn push(&mut self, kind: Kind, marker: u8, payload: Cow<'a, [u8]>) {
        self.segments.push(Metadata { kind, marker, payload });
    }

    fn push_filtered(&mut self, kind: Kind, segment: &Segment<'a>, id: &[u8], filtered: Filtered) {
        match filtered {
            Filtered::Keep => self.push(kind, segment.marker, segment.payload.into()),
            Filtered::Replace(block) if id.len() + block.len() <= MAX_PAYLOAD => {
                self.stripped = true;
                self.push(kind, segment.marker, [id, &block].concat().into());
            }
            Filtered::Replace(_) | Filtered::Drop => self.stripped = true,
        }
    }

    /// Keeps version and density; the thumbnail goes.
    fn push_jfif(&mut self, payload: &'a [u8]) {
        match payload.get(..JFIF_BYTES) {
            Some(header) if payload.len() > JFIF_BYTES || header[12..] != [0, 0] => {
                self.stripped = true;
                self.push(Kind::Jfif, APP0, [&header[..12], &[0, 0]].concat().into());
            }
            _ => self.push(Kind::Jfif, APP0, payload.into()),
        }
    }

    fn add_images(&mut self, images: &[Secondary<'a>], policy: MetadataPolicy) {
        let previews = images.iter().all(|image| image.entry.is_some_and(|entry| entry.is_preview()));
        if previews && policy != MetadataPolicy::All {
            self.stripped = true;
            return;
        }
        for image in images {
            let number = image.entry.map(|entry| entry.number);
            let filtered = image.image.filter_segments(policy);
            self.stripped |= filtered.stripped;
            // An image of which nothing goes stays as it is, to the byte.
            let bytes = match image.image.splice(&filtered) {
                Ok(bytes) if filtered.stripped => bytes.into(),
                _ => image.bytes.into(),
            };
            self.images.push(Image { bytes, number });
        }
        self.set_item_lengths();
    }

    /// The XMP directory names the bytes of each further image.
    fn set_item_lengths(&mut self) {
        let lengths: Vec<_> = self.images.iter().map(|image| image.bytes.len()).collect();
        let Some(packet) = self.segments.iter_mut().find(|segment| segment.kind == Kind::Xmp) else { return };
        let source = packet.payload.get(XMP_ID.len()..).unwrap_or_default();
        if let Some(set) = xmp::with_item_lengths(source, &lengths).filter(|set| set.as_slice() != source) {
            *packet = Metadata { kind: Kind::Xmp, marker: APP1, payload: [XMP_ID, &set].concat().into() };
        }
    }
}
