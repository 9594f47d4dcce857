//! XMP: keeps the properties that change the look, find a gain map or a video, or name the author, by namespace URI and
//! name.
//!
//! The packet is rewritten event by event: an element or attribute that is not in `TABLE` goes with all it contains.
//! Entities are never expanded, and a document type is refused. Source: ISO 16684-1 (XMP), clause 7.

use std::borrow::Cow;

use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::name::{Namespace, QName, ResolveResult};
use quick_xml::reader::NsReader;

use super::Filtered;
use super::container::{CAMERA, CONTAINER, DEPTH_CONTAINER, DEPTH_ITEM, ITEM};
use crate::optimize::options::MetadataPolicy;

pub(super) const RDF: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#";
pub(super) const X_META: &str = "adobe:ns:meta/";
/// The property in which a packet names its extended packet: its namespace and name (XMP Part 3, 1.1.3.1).
pub(super) const NOTE: &str = "http://ns.adobe.com/xmp/note/";
pub(super) const PROMISE: &str = "HasExtendedXMP";
const XML: &str = "http://www.w3.org/XML/1998/namespace";
const TIFF: &str = "http://ns.adobe.com/tiff/1.0/";
/// Namespaces of files inside of a packet: `GImage`, `GAudio`, `GDepth`.
const EMBEDDED: [&str; 3] = [
    "http://ns.google.com/photos/1.0/image/",
    "http://ns.google.com/photos/1.0/audio/",
    "http://ns.google.com/photos/1.0/depthmap/",
];

/// Which properties of one namespace are kept.
struct Row {
    uri: &'static str,
    /// Kept under every policy.
    look: Names,
    /// Kept under [`MetadataPolicy::Safe`] as well.
    safe: Names,
}

enum Names {
    Every,
    These(&'static [&'static str]),
}

const NONE: Names = Names::These(&[]);

#[rustfmt::skip]
const TABLE: &[Row] = &[
    // Gain maps: Adobe's and Google's Ultra HDR, Apple's.
    Row { uri: "http://ns.adobe.com/hdr-gain-map/1.0/", look: Names::Every, safe: NONE },
    Row { uri: CONTAINER, look: Names::Every, safe: NONE },
    Row { uri: ITEM, look: Names::Every, safe: NONE },
    // Motion Photos, which are none without them: Google's two generations, and OPPO's addition.
    Row { uri: CAMERA, look: Names::These(&[
        "MotionPhoto", "MotionPhotoVersion", "MotionPhotoPresentationTimestampUs",
        "MicroVideo", "MicroVideoVersion", "MicroVideoOffset", "MicroVideoPresentationTimestampUs",
    ]), safe: NONE },
    Row { uri: "http://ns.oplus.com/photos/1.0/camera/", look: Names::These(&[
        "MotionPhotoOwner", "MotionPhotoPrimaryPresentationTimestampUs", "OLivePhotoVersion", "VideoLength",
    ]), safe: NONE },
    Row { uri: "http://ns.apple.com/pixeldatainfo/1.0/", look: Names::Every, safe: NONE },
    Row { uri: "http://ns.apple.com/HDRGainMap/1.0/", look: Names::Every, safe: NONE },
    Row { uri: "http://ns.apple.com/HDRToneMap/1.0/", look: Names::Every, safe: NONE },
    // Dynamic Depth: which images behind the primary one are its depth and its original, and how to read them. Not
    // where on earth (earthpose), nor the maker's own (vendorinfo, appinfo).
    Row { uri: DEPTH_CONTAINER, look: Names::Every, safe: NONE },
    Row { uri: DEPTH_ITEM, look: Names::Every, safe: NONE },
    Row { uri: "http://ns.google.com/photos/dd/1.0/device/", look: Names::Every, safe: NONE },
    Row { uri: "http://ns.google.com/photos/dd/1.0/profile/", look: Names::Every, safe: NONE },
    Row { uri: "http://ns.google.com/photos/dd/1.0/camera/", look: Names::Every, safe: NONE },
    Row { uri: "http://ns.google.com/photos/dd/1.0/image/", look: Names::Every, safe: NONE },
    Row { uri: "http://ns.google.com/photos/dd/1.0/depthmap/", look: Names::Every, safe: NONE },
    Row { uri: "http://ns.google.com/photos/dd/1.0/imagingmodel/", look: Names::Every, safe: NONE },
    // Not when: Timestamp.
    Row { uri: "http://ns.google.com/photos/dd/1.0/pose/", look: Names::These(&[
        "PositionX", "PositionY", "PositionZ", "RotationX", "RotationY", "RotationZ", "RotationW",
    ]), safe: NONE },
    // Its predecessor, and VR180: an image, a depth map or sound inside of the packet (base64).
    Row { uri: EMBEDDED[0], look: Names::These(&["Mime", "Data"]), safe: NONE },
    Row { uri: EMBEDDED[1], look: Names::These(&["Mime", "Data"]), safe: NONE },
    Row { uri: EMBEDDED[2], look: Names::These(&[
        "Format", "Near", "Far", "Mime", "Data", "Units", "MeasureType", "ConfidenceMime", "Confidence",
    ]), safe: NONE },
    Row { uri: "http://ns.google.com/photos/1.0/focus/", look: Names::Every, safe: NONE },
    // The projection of a panorama.
    Row { uri: "http://ns.google.com/photos/1.0/panorama/", look: Names::These(&[
        "UsePanoramaViewer", "ProjectionType", "PoseHeadingDegrees", "PosePitchDegrees", "PoseRollDegrees",
        "InitialViewHeadingDegrees", "InitialViewPitchDegrees", "InitialViewRollDegrees", "InitialCameraDolly",
        "InitialHorizontalFOVDegrees", "InitialVerticalFOVDegrees",
        "CroppedAreaLeftPixels", "CroppedAreaTopPixels", "CroppedAreaImageWidthPixels", "CroppedAreaImageHeightPixels",
        "FullPanoWidthPixels", "FullPanoHeightPixels",
        "LargestValidInteriorRectLeft", "LargestValidInteriorRectTop",
        "LargestValidInteriorRectWidth", "LargestValidInteriorRectHeight",
    ]), safe: NONE },
    Row { uri: TIFF, look: Names::These(&["Orientation"]),
          safe: Names::These(&["XResolution", "YResolution", "ResolutionUnit", "Artist", "Copyright"]) },
    // Authorship and licence.
    Row { uri: "http://ns.adobe.com/exif/1.0/", look: NONE, safe: Names::These(&["Artist", "Copyright"]) },
    Row { uri: "http://purl.org/dc/elements/1.1/", look: NONE, safe: Names::These(&["rights", "creator"]) },
    Row { uri: "http://ns.adobe.com/xap/1.0/rights/", look: NONE, safe: Names::Every },
    Row { uri: "http://ns.adobe.com/photoshop/1.0/", look: NONE, safe: Names::These(&["Credit"]) },
    Row { uri: "http://ns.useplus.org/ldf/xmp/1.0/", look: NONE, safe: Names::These(&[
        "Licensor", "LicensorName", "LicensorURL", "CopyrightOwner", "CopyrightOwnerName", "ImageCreator",
        "ImageCreatorName", "DataMining",
    ]) },
    // Whether a machine made the picture, and what it shows for those who do not see it.
    Row { uri: "http://iptc.org/std/Iptc4xmpExt/2008-02-29/", look: NONE, safe: Names::These(&["DigitalSourceType"]) },
    // The same mark by China's GB 45438-2025, 6.2, which forbids to remove it.
    Row { uri: "http://www.tc260.org.cn/ns/AIGC/1.0/", look: NONE, safe: Names::These(&["AIGC"]) },
    Row { uri: "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/", look: NONE,
          safe: Names::These(&["AltTextAccessibility", "ExtDescrAccessibility"]) },
    Row { uri: "http://creativecommons.org/ns#", look: NONE,
          safe: Names::These(&["license", "attributionName", "attributionURL"]) },
];

impl Names {
    fn contain(&self, name: &str) -> bool {
        match self {
            Self::Every => true,
            Self::These(names) => names.contains(&name),
        }
    }
}

/// Filters a packet (UTF-8, with or without its `xpacket` wrapper).
///
/// A malformed packet goes; its orientation stays where it is found easily.
#[must_use]
pub fn filter(packet: &[u8], policy: MetadataPolicy) -> Filtered {
    filter_beside(packet, policy, false)
}

/// Filters a packet whose extended packet stays as it is or does not.
pub(super) fn filter_beside(packet: &[u8], policy: MetadataPolicy, keeps_extended: bool) -> Filtered {
    if policy == MetadataPolicy::All {
        return Filtered::Keep;
    }
    let text = text(packet);
    match Rewriter::run(&text, policy, keeps_extended) {
        Some(Rewriter { properties: 0, .. }) => Filtered::Drop,
        Some(Rewriter { removed: false, .. }) if matches!(text, Cow::Borrowed(_)) => Filtered::Keep,
        Some(Rewriter { out, .. }) => Filtered::Replace(out.into_bytes()),
        None => salvage_orientation(packet),
    }
}

/// A packet as text. Bytes that are no UTF-8 count as Latin-1, as Adobe's XMP toolkit reads them: a name that a program
/// wrote so costs no other property.
pub(super) fn text(packet: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(packet) {
        return text.into();
    }
    let mut text = String::with_capacity(packet.len());
    for chunk in packet.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().copied().map(char::from));
    }
    text.into()
}

/// Whether a packet holds a file of its own, whose bytes no policy looks into.
#[must_use]
pub fn holds_file(packet: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(packet) else { return false };
    let is_name = |after: &str| after.starts_with(|next: char| !next.is_alphanumeric());
    EMBEDDED.iter().any(|uri| text.contains(uri)) && text.split(":Data").skip(1).any(is_name)
}

/// What an element or attribute is to the filter.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// RDF's own syntax, kept where something is in it.
    Syntax,
    Property,
    Unwanted,
}

fn part(namespace: &ResolveResult<'_>, name: &str, policy: MetadataPolicy, keeps_extended: bool) -> Part {
    let &ResolveResult::Bound(Namespace(uri)) = namespace else { return Part::Unwanted };
    if (uri, name) == (NOTE, PROMISE) {
        return if keeps_extended { Part::Property } else { Part::Unwanted };
    }
    let wanted = TABLE
        .iter()
        .find(|row| row.uri == uri)
        .is_some_and(|row| row.look.contain(name) || (policy == MetadataPolicy::Safe && row.safe.contain(name)));
    match uri {
        RDF => Part::Syntax,
        X_META if name == "xmpmeta" => Part::Syntax,
        _ if wanted => Part::Property,
        _ => Part::Unwanted,
    }
}

/// An element whose end has not been met.
struct Open {
    /// Where it begins in the output, and how many properties were kept before it.
    start: usize,
    properties: usize,
    is_description: bool,
    in_property: bool,
}

struct Rewriter {
    policy: MetadataPolicy,
    /// Whether the extended packet that this one promises stays as it is.
    keeps_extended: bool,
    out: String,
    open: Vec<Open>,
    /// Depth below an unwanted element; 0 outside.
    skipping: usize,
    /// Elements and attributes kept.
    properties: usize,
    removed: bool,
}

impl Rewriter {
    /// `None` where the text is no well-formed XML, or has a document type.
    fn run(text: &str, policy: MetadataPolicy, keeps_extended: bool) -> Option<Self> {
        let (out, open) = (String::new(), Vec::new());
        let mut this = Self { policy, keeps_extended, out, open, skipping: 0, properties: 0, removed: false };
        let mut reader = NsReader::from_str(text);
        loop {
            match reader.read_event().ok()? {
                Event::Start(tag) => this.start(&tag, &reader, false)?,
                Event::Empty(tag) => this.start(&tag, &reader, true)?,
                Event::End(tag) => this.end(tag.name())?,
                Event::Text(text) => this.text(&text, "", ""),
                Event::CData(text) => this.text(&text, "<![CDATA[", "]]>"),
                Event::GeneralRef(name) if is_predefined(&name) => this.text(&name, "&", ";"),
                Event::PI(instruction) if instruction.target() == "xpacket" => {
                    this.out.extend(["<?", &instruction, "?>"]);
                }
                Event::Comment(_) | Event::PI(_) => this.removed = true,
                Event::Decl(_) => {}
                Event::GeneralRef(_) | Event::DocType(_) => return None,
                Event::Eof => break,
            }
        }
        (this.open.is_empty() && this.skipping == 0).then_some(this)
    }

    fn start(&mut self, tag: &BytesStart<'_>, reader: &NsReader<&[u8]>, empty: bool) -> Option<()> {
        let (namespace, name) = reader.resolver().resolve_element(tag.name());
        let wanted = || part(&namespace, name.into_inner(), self.policy, self.keeps_extended);
        let part = if self.skipping > 0 { Part::Unwanted } else { wanted() };
        if part == Part::Unwanted {
            self.removed = true;
            self.skipping += usize::from(!empty);
            return Some(());
        }
        let in_property = part == Part::Property || self.open.last().is_some_and(|open| open.in_property);
        let is_description = part == Part::Syntax && name.as_ref() == "Description";
        let open = Open { start: self.out.len(), properties: self.properties, is_description, in_property };
        self.properties += usize::from(part == Part::Property);
        self.out.extend(["<", tag.name().into_inner()]);
        self.attributes(tag, reader)?;
        self.out.push_str(if empty { "/>" } else { ">" });
        if empty {
            self.close(&open);
        } else {
            self.open.push(open);
        }
        Some(())
    }

    fn attributes(&mut self, tag: &BytesStart<'_>, reader: &NsReader<&[u8]>) -> Option<()> {
        // Whether a name occurs twice is not checked: that costs the square of their number.
        for attribute in tag.attributes().with_checks(false) {
            let attribute = attribute.ok()?;
            let keep = if attribute.key.as_namespace_binding().is_some() {
                let uri = attribute.value.as_ref();
                let is_promise = self.keeps_extended && uri == NOTE;
                is_promise || matches!(uri, RDF | X_META) || TABLE.iter().any(|row| row.uri == uri)
            } else {
                let (namespace, name) = reader.resolver().resolve_attribute(attribute.key);
                let part = match namespace {
                    ResolveResult::Bound(Namespace(XML)) => Part::Syntax,
                    _ => part(&namespace, name.into_inner(), self.policy, self.keeps_extended),
                };
                self.properties += usize::from(part == Part::Property);
                self.removed |= part == Part::Unwanted;
                part != Part::Unwanted
            };
            if keep {
                let quote = if attribute.value.contains('"') { "'" } else { "\"" };
                self.out.extend([" ", attribute.key.into_inner(), "=", quote, &attribute.value, quote]);
            }
        }
        Some(())
    }

    fn end(&mut self, name: QName<'_>) -> Option<()> {
        if self.skipping > 0 {
            self.skipping -= 1;
            return Some(());
        }
        let open = self.open.pop()?;
        self.out.extend(["</", name.into_inner(), ">"]);
        self.close(&open);
        Some(())
    }

    /// Takes an element back that describes nothing any more.
    fn close(&mut self, open: &Open) {
        if open.is_description && self.properties == open.properties {
            self.out.truncate(open.start);
        }
    }

    fn text(&mut self, text: &str, before: &str, after: &str) {
        // White space between tags is layout, within a text it is the text's own.
        let between_tags = self.out.is_empty() || self.out.ends_with('>');
        let blank = text.bytes().all(|byte| byte.is_ascii_whitespace() || byte == 0);
        if self.skipping > 0 || (blank && between_tags && before.is_empty()) {
            return;
        }
        if self.open.last().is_some_and(|open| open.in_property) {
            self.out.extend([before, text, after]);
        } else {
            self.removed |= text != "\u{feff}";
        }
    }
}

/// A character reference or one of XML's own five entities.
fn is_predefined(name: &BytesRef<'_>) -> bool {
    name.is_char_ref() || matches!(&**name, "amp" | "lt" | "gt" | "quot" | "apos")
}

/// The orientation of a packet that no parser can read, in its two usual spellings.
fn salvage_orientation(packet: &[u8]) -> Filtered {
    let digit = [b"tiff:Orientation=\"", &b"tiff:Orientation='"[..], b"<tiff:Orientation>"].iter().find_map(|key| {
        let at = packet.windows(key.len()).position(|window| window == *key)?;
        packet.get(at + key.len()).filter(|digit| (b'2'..=b'8').contains(digit)).copied()
    });
    digit.map_or(Filtered::Drop, |digit| {
        let digit = char::from(digit);
        Filtered::Replace(
            format!(
                "<x:xmpmeta xmlns:x=\"{X_META}\"><rdf:RDF xmlns:rdf=\"{RDF}\"><rdf:Description rdf:about=\"\" \
                 xmlns:tiff=\"{TIFF}\" tiff:Orientation=\"{digit}\"/></rdf:RDF></x:xmpmeta>"
            )
            .into_bytes(),
        )
    })
}

#[cfg(test)]
pub(in crate::optimize) mod tests {
    use super::*;
    use MetadataPolicy::{All, None as Nothing, Safe};

    const GPS: &str = "exif:GPSLatitude";

    /// A packet around the inside of `rdf:RDF`, with the usual prefixes bound.
    pub(in crate::optimize) fn packet(inside: &str) -> Vec<u8> {
        format!(
            "<?xpacket begin=\"\u{feff}\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\n<x:xmpmeta xmlns:x=\"{X_META}\">\n \
             <rdf:RDF xmlns:rdf=\"{RDF}\" xmlns:tiff=\"{TIFF}\" xmlns:Container=\"{CONTAINER}\" xmlns:Item=\"{ITEM}\" \
             xmlns:GCamera=\"{CAMERA}\" xmlns:dc=\"http://purl.org/dc/elements/1.1/\" xmlns:hdrgm=\"http://ns.adobe.com/hdr-gain-map/1.0/\" \
             xmlns:exif=\"http://ns.adobe.com/exif/1.0/\" xmlns:xmp=\"http://ns.adobe.com/xap/1.0/\" \
             xmlns:xmpNote=\"http://ns.adobe.com/xmp/note/\">{inside}</rdf:RDF>\n</x:xmpmeta>\n<?xpacket end=\"w\"?>"
        )
        .into_bytes()
    }

    /// An Ultra HDR directory of a primary image and a gain map.
    pub(in crate::optimize) fn directory(gain_map_length: usize) -> String {
        format!(
            "<rdf:Description rdf:about=\"\" hdrgm:Version=\"1.0\"><Container:Directory><rdf:Seq>\
             <rdf:li rdf:parseType=\"Resource\"><Container:Item Item:Semantic=\"Primary\" Item:Mime=\"image/jpeg\"/></rdf:li>\
             <rdf:li rdf:parseType=\"Resource\"><Container:Item Item:Semantic=\"GainMap\" Item:Mime=\"image/jpeg\" \
             Item:Length=\"{gain_map_length}\"/></rdf:li></rdf:Seq></Container:Directory></rdf:Description>"
        )
    }

    fn filtered(inside: &str, policy: MetadataPolicy) -> String {
        match filter(&packet(inside), policy) {
            Filtered::Replace(out) => String::from_utf8(out).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn attributes_and_elements_go_alike() {
        let out = filtered(
            "<rdf:Description rdf:about=\"\" exif:GPSLatitude=\"48,51N\" tiff:Orientation=\"6\" xmp:CreatorTool=\"GIMP\">\
             <exif:GPSLongitude>2,17E</exif:GPSLongitude>\
             <xmp:Thumbnails><rdf:Alt><rdf:li>9j/4AAQ</rdf:li></rdf:Alt></xmp:Thumbnails>\
             <dc:creator><rdf:Seq><rdf:li>Anna &amp; &#66;en</rdf:li></rdf:Seq></dc:creator>\
             <dc:subject>Paris</dc:subject></rdf:Description>",
            Safe,
        );
        assert!(out.contains("tiff:Orientation=\"6\""));
        assert!(out.contains("<dc:creator><rdf:Seq><rdf:li>Anna &amp; &#66;en</rdf:li></rdf:Seq></dc:creator>"));
        for gone in ["GPS", "48,51N", "2,17E", "GIMP", "9j/4", "Paris", "xmlns:xmp="] {
            assert!(!out.contains(gone), "{gone} in {out}");
        }
        assert_eq!(filter(out.as_bytes(), Safe), Filtered::Keep);
        let look = filter(out.as_bytes(), Nothing).apply(b"").unwrap().into_owned();
        assert!(!String::from_utf8(look).unwrap().contains("Anna"));
    }

    #[test]
    fn namespaces_count_and_not_prefixes() {
        let out = filtered(
            "<rdf:Description rdf:about=\"\" xmlns:q=\"http://ns.adobe.com/tiff/1.0/\" q:Orientation=\"8\"/>\
             <rdf:Description rdf:about=\"\" xmlns:tiff=\"http://ns.adobe.com/exif/1.0/\" tiff:Orientation=\"5\"/>",
            Safe,
        );
        assert!(out.contains("q:Orientation=\"8\"") && !out.contains("\"5\""), "{out}");
    }

    #[test]
    fn what_is_unwanted_inside_of_a_kept_property_goes() {
        let out = filtered(
            "<rdf:Description><dc:rights><rdf:Description><exif:GPSLatitude>1</exif:GPSLatitude></rdf:Description>© A\
             </dc:rights></rdf:Description>",
            Safe,
        );
        assert!(out.contains("<dc:rights>© A</dc:rights>") && !out.contains(GPS), "{out}");
    }

    #[test]
    fn gain_maps_are_found_under_every_policy() {
        let source = packet(&directory(31_738));
        for policy in [Safe, Nothing, All] {
            assert_eq!(filter(&source, policy), Filtered::Keep);
        }
    }

    #[test]
    fn nothing_worth_keeping_is_dropped() {
        assert_eq!(filter(&packet("<rdf:Description xmp:CreatorTool=\"GIMP\"/>"), Safe), Filtered::Drop);
        assert_eq!(filter(&packet("<rdf:Description dc:rights=\"A\"/>"), Nothing), Filtered::Drop);
        assert_eq!(filter(&packet(""), Safe), Filtered::Drop);
        assert_eq!(filter(b"", Safe), Filtered::Drop);
    }

    #[test]
    fn the_promise_of_an_extended_packet_goes() {
        let out = filtered("<rdf:Description xmpNote:HasExtendedXMP=\"AB\" dc:rights=\"A\"/>", Safe);
        assert!(!out.contains("HasExtendedXMP") && out.contains("dc:rights=\"A\""), "{out}");
    }

    #[test]
    fn the_mark_of_ai_and_alt_text_are_safe() {
        let source = packet(
            "<rdf:Description xmlns:E=\"http://iptc.org/std/Iptc4xmpExt/2008-02-29/\" \
             xmlns:C=\"http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/\" E:DigitalSourceType=\"trained\" \
             xmlns:T=\"http://www.tc260.org.cn/ns/AIGC/1.0/\" T:AIGC=\"label 1\" E:LocationCreated=\"Paris\"><C:AltTextAccessibility><rdf:Alt><rdf:li>a ball</rdf:li></rdf:Alt>\
             </C:AltTextAccessibility><C:ExtDescrAccessibility>red</C:ExtDescrAccessibility>\
             <C:Location>Paris</C:Location></rdf:Description>",
        );
        let kept = filter(&source, Safe).apply(&source).unwrap().into_owned();
        let kept = String::from_utf8(kept).unwrap();
        for text in
            ["E:DigitalSourceType=\"trained\"", "T:AIGC=\"label 1\"", "<rdf:li>a ball</rdf:li>", ">red</C:ExtDescr"]
        {
            assert!(kept.contains(text), "{text} in {kept}");
        }
        assert!(!kept.contains("Paris"));
        assert_eq!(filter(&source, Nothing), Filtered::Drop);
    }

    #[test]
    fn depth_stays_without_its_place_on_earth() {
        let out = filtered(
            "<rdf:Description xmlns:Device=\"http://ns.google.com/photos/dd/1.0/device/\" \
             xmlns:DepthMap=\"http://ns.google.com/photos/dd/1.0/depthmap/\" \
             xmlns:EarthPose=\"http://ns.google.com/photos/dd/1.0/earthpose/\" \
             xmlns:VendorInfo=\"http://ns.google.com/photos/dd/1.0/vendorinfo/\">\
             <Device:EarthPose EarthPose:Latitude=\"48.85\"/><Device:VendorInfo VendorInfo:Model=\"SN12\"/>\
             <Device:DepthMap DepthMap:Near=\"0.5\" DepthMap:Far=\"9\"/></rdf:Description>",
            Nothing,
        );
        assert!(out.contains("DepthMap:Near=\"0.5\"") && !out.contains("48.85") && !out.contains("SN12"), "{out}");
    }

    #[test]
    fn a_file_inside_of_a_packet_is_told() {
        let image = "xmlns:G=\"http://ns.google.com/photos/1.0/image/\"";
        for (inside, expected) in [
            (format!("<rdf:Description {image} G:Data=\"/9j/\"/>"), true),
            (format!("<rdf:Description {image}><G:Data>/9j/</G:Data></rdf:Description>"), true),
            (format!("<rdf:Description {image} G:Mime=\"image/jpeg\"/>"), false),
            (format!("<rdf:Description {image} xmlns:D=\"x\" D:DataURI=\"a\"/>"), false),
            ("<rdf:Description xmlns:D=\"x\" D:Data=\"a\"/>".to_owned(), false),
        ] {
            assert_eq!(holds_file(&packet(&inside)), expected, "{inside}");
        }
    }

    #[test]
    fn a_name_in_latin_1_costs_no_other_property() {
        let source = packet("<rdf:Description dc:creator=\"Ren~\" dc:rights=\"© A\"/>");
        let source: Vec<u8> = source.into_iter().map(|byte| if byte == b'~' { 0xE9 } else { byte }).collect();
        let Filtered::Replace(out) = filter(&source, Safe) else { panic!("kept or gone") };
        let out = String::from_utf8(out).unwrap();
        assert!(out.contains("dc:creator=\"René\"") && out.contains("dc:rights=\"© A\""), "{out}");
        assert_eq!(filter(out.as_bytes(), Safe), Filtered::Keep);
        assert_eq!(filter(&source, All), Filtered::Keep);
    }

    #[test]
    fn comments_and_loose_text_go() {
        let out = filtered("<!-- 48.85 -->2.29<rdf:Description dc:rights='say \"A\"'/>", Safe);
        assert!(!out.contains("48.85") && !out.contains("2.29") && out.contains("dc:rights='say \"A\"'"), "{out}");
    }

    #[test]
    fn malformed_packets_go_but_for_their_orientation() {
        let six = "<rdf:Description tiff:Orientation=\"6\">";
        let Filtered::Replace(out) = filter(&packet(six), Safe) else { panic!("not salvaged") };
        assert!(String::from_utf8(out.clone()).unwrap().contains("tiff:Orientation=\"6\""));
        assert_eq!(filter(&out, Safe), Filtered::Keep);
        for broken in ["<rdf:Description dc:rights=\"A\">", "&undefined;", "<a", "<rdf:Description></rdf:Wrong>"] {
            assert_eq!(filter(&packet(broken), Safe), Filtered::Drop, "{broken}");
        }
        assert_eq!(filter(b"\xff\xfe<\0x\0", Safe), Filtered::Drop);
        let bomb = [b"<!DOCTYPE x [<!ENTITY a \"aaaa\">]>".to_vec(), packet("<rdf:Description dc:rights=\"&a;\"/>")];
        assert_eq!(filter(&bomb.concat(), Safe), Filtered::Drop);
    }
}
