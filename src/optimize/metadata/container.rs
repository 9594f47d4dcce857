//! The files that follow a primary image, as its XMP packet lists them: Google's container and Dynamic Depth's.
//!
//! Sources: Ultra HDR Image Format 1.1 and Motion Photo format 1.0 (developer.android.com/media/platform), whose
//! predecessor, Micro Video, names its video by one offset; Dynamic Depth 1.0 (developer.android.com), "Container".

use std::ops::Range;

use quick_xml::events::Event;
use quick_xml::name::{Namespace, ResolveResult};
use quick_xml::reader::NsReader;

pub(super) const CONTAINER: &str = "http://ns.google.com/photos/1.0/container/";
pub(super) const ITEM: &str = "http://ns.google.com/photos/1.0/container/item/";
pub(super) const CAMERA: &str = "http://ns.google.com/photos/1.0/camera/";
pub(super) const DEPTH_CONTAINER: &str = "http://ns.google.com/photos/dd/1.0/container/";
pub(super) const DEPTH_ITEM: &str = "http://ns.google.com/photos/dd/1.0/item/";

/// The kinds of directory that a packet can hold.
pub const DIRECTORIES: usize = 2;
/// The namespaces of each kind: of `Directory` and `Item`, and of an item's properties.
const NAMESPACES: [(&str, &str); DIRECTORIES] = [(CONTAINER, ITEM), (DEPTH_CONTAINER, DEPTH_ITEM)];

/// What a packet lists.
#[derive(Debug, Default)]
pub struct Container {
    /// `Container:Directory` and Dynamic Depth's `Container:Directory`, the primary image first in each.
    directories: [Directory; DIRECTORIES],
    /// `GCamera:MicroVideoOffset`: bytes from the video's beginning to the end of the file.
    micro_video: Option<usize>,
}

/// A directory: files that lie one after the other behind the primary image.
#[derive(Debug, Default)]
pub struct Directory {
    items: Vec<Item>,
}

/// One file of a directory.
#[derive(Debug, Default)]
pub struct Item {
    semantic: String,
    pub mime: String,
    /// Bytes; absent or 0 for the primary image.
    pub length: Option<usize>,
    /// Bytes between this item and the next.
    pub padding: usize,
    /// Where the length's digits stand in the packet.
    length_at: Option<Range<usize>>,
}

impl Container {
    /// Empty where the packet lists nothing or cannot be read.
    #[must_use]
    pub fn read(packet: &[u8]) -> Self {
        std::str::from_utf8(packet).ok().and_then(Self::read_text).unwrap_or_default()
    }

    fn read_text(packet: &str) -> Option<Self> {
        let mut this = Self::default();
        let mut reader = NsReader::from_str(packet);
        // The property whose text comes next.
        let mut property = None;
        loop {
            let event = reader.read_event().ok()?;
            let entered = matches!(event, Event::Start(_));
            match event {
                Event::Start(tag) | Event::Empty(tag) => {
                    let (namespace, name) = reader.resolver().resolve_element(tag.name());
                    let kind = NAMESPACES.iter().position(|(uri, _)| namespace == ResolveResult::Bound(Namespace(uri)));
                    if let Some(kind) = kind.filter(|_| name.as_ref() == "Item") {
                        this.directories[kind].items.push(Item::default());
                    }
                    property = known(&namespace).filter(|_| entered).map(|uri| (uri, name.into_inner().to_owned()));
                    for attribute in tag.attributes().with_checks(false) {
                        let attribute = attribute.ok()?;
                        let (namespace, name) = reader.resolver().resolve_attribute(attribute.key);
                        if let Some(uri) = known(&namespace) {
                            this.set(uri, name.as_ref(), &attribute.value, packet)?;
                        }
                    }
                }
                Event::Text(text) => {
                    if let Some((uri, name)) = property.take() {
                        this.set(uri, &name, &text, packet)?;
                    }
                }
                Event::Eof => return Some(this),
                _ => property = None,
            }
        }
    }

    /// `None` where the packet makes no sense.
    fn set(&mut self, uri: &str, name: &str, value: &str, packet: &str) -> Option<()> {
        if let Some(kind) = NAMESPACES.iter().position(|(_, item)| *item == uri) {
            self.directories[kind].items.last_mut()?.set(name, value.trim(), packet);
        } else if name == "MicroVideoOffset" {
            self.micro_video = value.trim().parse().ok();
        }
        Some(())
    }

    /// What two packets of one file list together; of a directory that stands in both, the first counts.
    #[must_use]
    pub fn or(mut self, other: Self) -> Self {
        for (own, other) in self.directories.iter_mut().zip(other.directories) {
            if own.items.is_empty() {
                *own = other;
            }
        }
        self.micro_video = self.micro_video.or(other.micro_video);
        self
    }

    /// The directories, Google's first; one that is not there has no items.
    #[must_use]
    pub fn directories(&self) -> &[Directory; DIRECTORIES] {
        &self.directories
    }

    /// Where a video may begin in the bytes that follow the images, so many of them: counted from the end of the file, as
    /// Google and Samsung do, or from the images, as OPPO, whose lengths may be wrong. Samsung states the padding behind
    /// one image where it is behind another; the sum is the same.
    pub fn video_starts(&self, behind: usize) -> impl Iterator<Item = usize> {
        let directory = &self.directories[0];
        let video = directory.video();
        let to_end = video.and_then(|video| {
            directory.items[video..].iter().try_fold(0_usize, |sum, item| sum.checked_add(item.length?))
        });
        let from_images = video.and_then(|_| directory.paddings().try_fold(0, usize::checked_add));
        let from_end = [self.micro_video, to_end].map(|bytes| behind.checked_sub(bytes?));
        from_end.into_iter().chain([from_images]).flatten()
    }
}

impl Directory {
    /// The items after the primary image, up to the video where there is one.
    #[must_use]
    pub fn files(&self) -> &[Item] {
        self.items.get(1..self.video().unwrap_or(self.items.len())).unwrap_or_default()
    }

    /// The bytes stated between each file, the primary first, and the item behind it.
    pub fn paddings(&self) -> impl Iterator<Item = usize> + '_ {
        self.items.iter().take(1 + self.files().len()).map(|item| item.padding)
    }

    fn video(&self) -> Option<usize> {
        self.items.iter().position(|item| item.semantic == "MotionPhoto")
    }
}

/// A namespace whose properties tell something here.
fn known(namespace: &ResolveResult<'_>) -> Option<&'static str> {
    [ITEM, DEPTH_ITEM, CAMERA].into_iter().find(|uri| *namespace == ResolveResult::Bound(Namespace(uri)))
}

impl Item {
    fn set(&mut self, name: &str, value: &str, packet: &str) {
        match name {
            "Semantic" => value.clone_into(&mut self.semantic),
            "Mime" => value.clone_into(&mut self.mime),
            "Padding" => self.padding = value.parse().unwrap_or(usize::MAX),
            "Length" => {
                self.length = value.parse().ok();
                // The reader borrows from the packet, which the check of the text confirms.
                let at = value.as_ptr().addr().wrapping_sub(packet.as_ptr().addr());
                let range = at..at.saturating_add(value.len());
                self.length_at = (packet.get(range.clone()) == Some(value)).then_some(range);
            }
            _ => {}
        }
    }
}

/// The packet with the length of each given file set: its directory, its number among the files there, its bytes.
///
/// A length of the primary image, which no reader needs, becomes 0. `None` where the packet does not list such a file
/// or leaves its length out.
#[must_use]
pub fn with_lengths(packet: &[u8], lengths: &[(usize, usize, usize)]) -> Option<Vec<u8>> {
    let container = Container::read(packet);
    let mut edits = Vec::new();
    for (kind, directory) in container.directories.iter().enumerate() {
        let Some(primary) = directory.items.first() else { continue };
        if primary.length.is_some_and(|length| length != 0) {
            edits.push((primary.length_at.clone()?, 0));
        }
        let files = directory.files();
        for (_, number, length) in lengths.iter().filter(|(of, ..)| *of == kind) {
            edits.push((files.get(*number)?.length_at.clone()?, *length));
        }
    }
    edits.sort_by_key(|(at, _)| at.start);
    let mut out = Vec::with_capacity(packet.len());
    let mut done = 0;
    for (at, length) in edits {
        out.extend_from_slice(packet.get(done..at.start)?);
        out.extend_from_slice(length.to_string().as_bytes());
        done = at.end;
    }
    out.extend_from_slice(packet.get(done..)?);
    Some(out)
}

#[cfg(test)]
pub(in crate::optimize) mod tests {
    use super::super::xmp::tests::packet;
    use super::*;

    const NOWHERE: [usize; 0] = [];

    /// A directory of a primary image and others: semantic, MIME type, length, and the padding behind each.
    pub(in crate::optimize) fn directory_of(padding: usize, items: &[(&str, &str, usize, usize)]) -> String {
        let rest = items.iter().map(|(semantic, mime, length, padding)| {
            format!(
                "<rdf:li rdf:parseType=\"Resource\"><Container:Item Item:Semantic=\"{semantic}\" Item:Mime=\"{mime}\" \
                 Item:Length=\"{length}\" Item:Padding=\"{padding}\"/></rdf:li>"
            )
        });
        format!(
            "<rdf:Description GCamera:MotionPhoto=\"1\"><Container:Directory><rdf:Seq><rdf:li rdf:parseType=\"Resource\">\
             <Container:Item Item:Semantic=\"Primary\" Item:Mime=\"image/jpeg\" Item:Length=\"0\" \
             Item:Padding=\"{padding}\"/></rdf:li>{}</rdf:Seq></Container:Directory></rdf:Description>",
            rest.collect::<String>()
        )
    }

    /// Dynamic Depth's directory of a primary image and others: MIME type and length.
    pub(in crate::optimize) fn depth_directory(items: &[(&str, usize)]) -> String {
        let items = [("image/jpeg", 0)].iter().chain(items).map(|(mime, length)| {
            format!(
                "<rdf:li><DItem:Item DItem:Mime=\"{mime}\" DItem:Length=\"{length}\" DItem:DataURI=\"a\"/></rdf:li>"
            )
        });
        format!(
            "<rdf:Description xmlns:Device=\"http://ns.google.com/photos/dd/1.0/device/\" \
             xmlns:DContainer=\"{DEPTH_CONTAINER}\" xmlns:DItem=\"{DEPTH_ITEM}\"><Device:Container \
             rdf:parseType=\"Resource\"><DContainer:Directory><rdf:Seq>{}</rdf:Seq></DContainer:Directory>\
             </Device:Container></rdf:Description>",
            items.collect::<String>().replace("<DItem:Item", "<DContainer:Item")
        )
    }

    fn starts(inside: &str, behind: usize) -> Vec<usize> {
        Container::read(&packet(inside)).video_starts(behind).collect()
    }

    #[test]
    fn lengths_are_set_as_attributes_and_as_elements() {
        let source = packet(&super::super::xmp::tests::directory(31_738));
        let container = Container::read(&source);
        let files: Vec<_> = container.directories[0].files().iter().map(|f| (f.mime.as_str(), f.length)).collect();
        assert_eq!(files, [("image/jpeg", Some(31_738))]);
        let expected = packet(&super::super::xmp::tests::directory(99));
        assert_eq!(with_lengths(&source, &[(0, 0, 99)]), Some(expected));
        assert_eq!(with_lengths(&source, &[]), Some(source.clone()));
        assert_eq!(with_lengths(&source, &[(0, 1, 99)]), None);

        let element = |length| {
            packet(&format!(
                "<rdf:Description><Container:Directory><rdf:Seq><rdf:li><Container:Item/></rdf:li><rdf:li>\
                 <Container:Item rdf:parseType=\"Resource\"><Item:Mime>image/jpeg</Item:Mime>\
                 <Item:Length>{length}</Item:Length></Container:Item></rdf:li></rdf:Seq></Container:Directory>\
                 </rdf:Description>"
            ))
        };
        assert_eq!(with_lengths(&element(5), &[(0, 0, 1234)]), Some(element(1234)));
    }

    #[test]
    fn the_length_of_a_video_stays() {
        let with_map = |length| {
            packet(&directory_of(7, &[("GainMap", "image/jpeg", length, 0), ("MotionPhoto", "video/mp4", 5_000, 0)]))
        };
        assert_eq!(with_lengths(&with_map(777), &[(0, 0, 66)]), Some(with_map(66)));
        let alone = packet(&directory_of(0, &[("MotionPhoto", "video/mp4", 5_000, 0)]));
        assert_eq!(with_lengths(&alone, &[]), Some(alone.clone()));
        assert_eq!(with_lengths(&alone, &[(0, 0, 1)]), None);
    }

    #[test]
    fn lengths_in_two_directories_are_set_each() {
        let both = |google: usize, depth: usize| {
            let google = directory_of(0, &[("Depth", "image/jpeg", google, 0)]);
            packet(&[google, depth_directory(&[("image/jpeg", 17), ("image/jpeg", depth)])].concat())
        };
        assert_eq!(with_lengths(&both(100, 200), &[(1, 1, 3), (0, 0, 44)]), Some(both(44, 3)));
    }

    #[test]
    fn a_length_of_the_primary_image_becomes_0() {
        let of = |length: usize| {
            packet(&format!(
                "<rdf:Description><Container:Directory><rdf:Seq><rdf:li><Container:Item Item:Length=\"{length}\"/></rdf:li>\
                 </rdf:Seq></Container:Directory></rdf:Description>"
            ))
        };
        assert_eq!(with_lengths(&of(12_345), &[]), Some(of(0)));
    }

    #[test]
    fn a_video_is_placed_from_the_end_and_from_the_images() {
        let video = ("MotionPhoto", "video/mp4", 500, 0);
        assert_eq!(starts(&directory_of(24, &[video]), 1000), [500, 24]);
        assert_eq!(starts(&directory_of(20, &[("GainMap", "image/jpeg", 9, 4), video]), 1000), [500, 24]);
        assert_eq!(starts(&directory_of(0, &[video, ("Other", "text/plain", 100, 0)]), 1000), [400, 0]);
        assert_eq!(starts(&directory_of(0, &[video]), 499), [0]);
        assert_eq!(starts(&directory_of(0, &[("GainMap", "image/jpeg", 9, 4)]), 1000), NOWHERE);
        assert_eq!(starts("<rdf:Description GCamera:MicroVideo=\"1\" GCamera:MicroVideoOffset=\"600\"/>", 1000), [400]);
        let element = "<rdf:Description><GCamera:MicroVideoOffset>600</GCamera:MicroVideoOffset></rdf:Description>";
        assert_eq!(starts(element, 1000), [400]);
        for absurd in ["-1", "1e3", "", "99999999999999999999"] {
            let micro = format!("<rdf:Description GCamera:MicroVideoOffset=\"{absurd}\"/>");
            assert_eq!(starts(&micro, 1000), NOWHERE, "{absurd}");
        }
        let overflowing = ("MotionPhoto", "video/mp4", usize::MAX, usize::MAX);
        assert_eq!(starts(&directory_of(usize::MAX, &[("GainMap", "", 1, 1), overflowing, overflowing]), 9), NOWHERE);
        assert_eq!(starts("", 1000), NOWHERE);
    }
}
