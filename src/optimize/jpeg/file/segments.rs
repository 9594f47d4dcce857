//! A JPEG file taken apart: metadata, coded image, and what follows it.
//!
//! Knows markers and lengths (ITU-T T.81, annex B), never coefficients. What follows the image is told apart in
//! [`trailing`](super::trailing); what is kept and how a file is put together again stands in
//! [`splice`](super::splice).

use super::markers::{APP2, APP11, DHP, DNL, EOI, EXIF_ID, ICC_ID, Kind, SOI, SOS, Segment, contains, malformed};
use crate::optimize::error::ImageError;
use crate::optimize::format::Format;
use crate::optimize::metadata::exif;

/// A file of more segments than this is no photograph: each costs a pass over this list.
const MAX_SEGMENTS: usize = 1 << 16;

/// A JPEG file, its parts borrowed from the source.
#[derive(Debug)]
pub struct Segments<'a> {
    pub frame: Frame,
    /// Scans of the primary image.
    pub scans: usize,
    /// Whether it carries a C2PA manifest, whose signature any change would break.
    pub signed: bool,
    /// Whether the primary image ends with its EOI marker; else it is truncated.
    pub complete: bool,
    /// Everything from SOI (exclusive) to EOI (exclusive).
    pub parts: Vec<Segment<'a>>,
}

/// What the frame header says (T.81, B.2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub process: Process,
    pub arithmetic: bool,
    /// Bits per sample.
    pub precision: u8,
    pub width: u16,
    pub height: u16,
    pub components: Vec<Component>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Process {
    Baseline,
    /// Extended sequential.
    Extended,
    Progressive,
    Lossless,
    /// Differential frames over a smaller image.
    Hierarchical,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Component {
    pub id: u8,
    /// Horizontal and vertical sampling factor.
    pub h: u8,
    pub v: u8,
}

impl<'a> Segments<'a> {
    /// Takes a file apart. Fill bytes and stray bytes between header segments are passed over, as libjpeg does; an
    /// image cut off after its first scan began is read as far as it goes.
    ///
    /// # Errors
    /// [`ImageError::Malformed`] where the header is cut short or contradictory, or the file has no scan.
    pub fn parse(file: &'a [u8]) -> Result<Self, ImageError> {
        Self::parse_image(file).map(|(image, _)| image)
    }

    /// The image, and where it ends.
    ///
    /// # Errors
    /// Those of [`Self::parse`].
    pub fn parse_image(file: &'a [u8]) -> Result<(Self, usize), ImageError> {
        let Walk { segments, complete, at } = Walk::run(file)?;
        let frame = Frame::of(&segments)?;
        let image = Self {
            frame,
            scans: segments.iter().filter(|segment| segment.marker == SOS).count(),
            signed: segments.iter().any(|s| s.marker == APP11 && contains(s.payload, b"c2pa")),
            complete,
            parts: segments,
        };
        Ok((image, at))
    }

    /// How viewers turn the picture (EXIF tag 274): 1 where it stands upright or nothing is said.
    ///
    /// Of several blocks the first that says anything counts, as in Chrome.
    #[must_use]
    pub fn orientation(&self) -> u8 {
        let mut blocks = self.parts.iter().filter(|segment| segment.kind() == Some(Kind::Exif));
        blocks.find_map(|segment| exif::orientation(segment.after(EXIF_ID))).unwrap_or(1)
    }

    /// The ICC profile, its parts joined (ICC.1, B.4); `None` where one is missing, as libjpeg has it.
    #[must_use]
    pub fn icc_profile(&self) -> Option<Vec<u8>> {
        let parts = self.parts.iter().filter(|segment| segment.marker == APP2);
        let mut parts: Vec<_> = parts.filter_map(|segment| segment.payload.strip_prefix(ICC_ID)).collect();
        parts.sort_by_key(|part| part.first().copied());
        let count = parts.len();
        let is_whole = parts.iter().zip(1..).all(|(part, number)| {
            part.split_first_chunk()
                .is_some_and(|([at, of], _)| usize::from(*at) == number && usize::from(*of) == count)
        });
        (count > 0 && is_whole).then(|| parts.iter().flat_map(|part| &part[2..]).copied().collect())
    }

    /// Bytes of the coded image: frame, tables, scans.
    #[must_use]
    pub fn coded_bytes(&self) -> usize {
        let coded = self.parts.iter().filter(|segment| segment.kind().is_none());
        coded.map(|segment| 4 + segment.payload.len() + segment.entropy.len()).sum()
    }

    /// The payload of each scan's header.
    pub fn scan_headers(&self) -> impl Iterator<Item = &'a [u8]> + '_ {
        self.parts.iter().filter(|segment| segment.marker == SOS).map(|segment| segment.payload)
    }

    /// The first segment of a kind.
    pub fn find(&self, kind: Kind) -> Option<&Segment<'a>> {
        self.parts.iter().find(|segment| segment.kind() == Some(kind))
    }
}

impl Frame {
    fn of(segments: &[Segment<'_>]) -> Result<Self, ImageError> {
        let mut headers = segments.iter().filter(|s| process_of(s.marker).is_some());
        let (Some(header), None) = (headers.next(), headers.next()) else {
            return Err(malformed("not one frame header"));
        };
        let &[precision, h1, h0, w1, w0, count, ref components @ ..] = header.payload else {
            return Err(malformed("frame header too short"));
        };
        if count == 0 || components.len() != 3 * usize::from(count) {
            return Err(malformed("frame header's length contradicts its components"));
        }
        let mut height = u16::from_be_bytes([h1, h0]);
        if height == 0 {
            // Defined after the first scan (T.81, B.2.5).
            let lines = segments.iter().find(|s| s.marker == DNL).and_then(|s| s.payload.first_chunk());
            height = lines.map_or(0, |&lines| u16::from_be_bytes(lines));
        }
        let width = u16::from_be_bytes([w1, w0]);
        if width == 0 || height == 0 {
            return Err(malformed("empty image"));
        }
        let hierarchical = segments.iter().any(|s| s.marker == DHP);
        let process = process_of(header.marker).filter(|_| !hierarchical).unwrap_or(Process::Hierarchical);
        let components =
            components.chunks_exact(3).map(|c| Component { id: c[0], h: c[1] >> 4, v: c[1] & 15 }).collect();
        Ok(Self { process, arithmetic: header.marker >= 0xC9, precision, width, height, components })
    }
}

/// The coding process of a frame header's marker; `None` for any other marker (T.81, table B.1).
fn process_of(marker: u8) -> Option<Process> {
    match marker {
        0xC0 => Some(Process::Baseline),
        0xC1 | 0xC9 => Some(Process::Extended),
        0xC2 | 0xCA => Some(Process::Progressive),
        0xC3 | 0xCB => Some(Process::Lossless),
        0xC5..=0xC7 | 0xCD..=0xCF => Some(Process::Hierarchical),
        _ => None,
    }
}

/// A pass over the markers of one image.
struct Walk<'a> {
    segments: Vec<Segment<'a>>,
    complete: bool,
    /// Where the image ends.
    at: usize,
}

impl<'a> Walk<'a> {
    fn run(file: &'a [u8]) -> Result<Self, ImageError> {
        if !file.starts_with(&[0xFF, SOI]) {
            return Err(malformed("no SOI"));
        }
        let mut walk = Self { segments: Vec::new(), complete: false, at: 2 };
        let mut last_scan = None;
        loop {
            match walk.step(file) {
                Step::Segment => {}
                Step::Scan => last_scan = Some(walk.segments.len() - 1),
                Step::End => break,
                // Corrupt data that look like a marker: what follows would be lost.
                Step::Stray if last_scan.is_some() => return Err(malformed("stray bytes after a scan")),
                Step::Stray => walk.at = next_marker(file, walk.at).map_or(file.len(), |(_, at)| at - 2),
                Step::Broken => {
                    // What cannot be told apart any more stays with the last scan, byte for byte.
                    let last = last_scan.ok_or_else(|| ImageError::truncated(Format::Jpeg, "header cut short"))?;
                    walk.segments.truncate(last + 1);
                    let scan = &mut walk.segments[last];
                    scan.entropy = &file[scan.at + scan.payload.len()..];
                    walk.at = file.len();
                    break;
                }
            }
            if walk.segments.len() > MAX_SEGMENTS {
                return Err(malformed("too many segments"));
            }
        }
        if last_scan.is_none() {
            return Err(malformed("no scan"));
        }
        Ok(walk)
    }

    fn step(&mut self, file: &'a [u8]) -> Step {
        let Some((marker, at)) = next_marker(file, self.at) else { return Step::Broken };
        if file[self.at..at - 1].iter().any(|&byte| byte != 0xFF) {
            return Step::Stray;
        }
        match marker {
            EOI => {
                self.complete = true;
                self.at = at;
                return Step::End;
            }
            // Another image begins before this one ended: what follows is not ours to judge.
            SOI => {
                self.at = at - 2;
                return Step::End;
            }
            // Standalone markers (T.81, B.1.1.3).
            0x01 | 0xD0..=0xD7 => {
                self.at = at;
                return Step::Segment;
            }
            _ => {}
        }
        let length =
            file.get(at..).and_then(<[u8]>::first_chunk).map(|&length| usize::from(u16::from_be_bytes(length)));
        let Some(payload) = length.and_then(|length| file.get(at + 2..at + length)) else { return Step::Broken };
        self.at = at + 2 + payload.len();
        let mut segment = Segment { marker, at: at + 2, payload, entropy: &[] };
        if marker == SOS {
            segment.entropy = entropy_coded(&file[self.at..]);
            self.at += segment.entropy.len();
        }
        self.segments.push(segment);
        if marker == SOS { Step::Scan } else { Step::Segment }
    }
}

enum Step {
    Segment,
    Scan,
    End,
    /// Bytes that belong to no segment come next.
    Stray,
    Broken,
}

/// The next marker and where its parameters begin, fill bytes and stray bytes passed over.
fn next_marker(file: &[u8], mut at: usize) -> Option<(u8, usize)> {
    loop {
        at += file.get(at..)?.iter().position(|&byte| byte == 0xFF)?;
        at += file[at..].iter().position(|&byte| byte != 0xFF)?;
        if file[at] != 0 {
            return Some((file[at], at + 1));
        }
    }
}

/// Entropy-coded segments with their restart markers, up to the next other marker or the end.
fn entropy_coded(bytes: &[u8]) -> &[u8] {
    let mut at = 0;
    while let Some(found) = bytes[at..].iter().position(|&byte| byte == 0xFF) {
        at += found;
        match bytes.get(at + 1) {
            None => break,
            // Fill: the next 0xFF may be the marker's own.
            Some(0xFF) => at += 1,
            Some(0..=0xBF | 0xD0..=0xD7) => at += 2,
            Some(_) => return &bytes[..at],
        }
    }
    bytes
}

#[cfg(test)]
pub mod tests {
    use super::super::markers::{APP1, APP14, COM, is_padding};
    use super::*;

    pub fn segment(marker: u8, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(payload.len() + 2).unwrap();
        [&[0xFF, marker], &length.to_be_bytes()[..], payload].concat()
    }

    /// SOF0 of a 4:2:0 image of 16 × 32 pixels.
    pub fn frame() -> Vec<u8> {
        segment(0xC0, &[8, 0, 32, 0, 16, 3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1])
    }

    pub fn scan(entropy: &[u8]) -> Vec<u8> {
        [segment(SOS, &[1, 1, 0, 0, 63, 0]), entropy.to_vec()].concat()
    }

    /// A file with these segments before the frame header; its scan holds a stuffed byte and a restart marker.
    pub fn jpeg(metadata: &[Vec<u8>]) -> Vec<u8> {
        let tables = segment(0xDB, &[0; 65]);
        [&[0xFF, SOI], &metadata.concat()[..], &tables, &frame(), &scan(b"\x12\xff\0\xff\xd0\x34"), &[0xFF, EOI]]
            .concat()
    }

    fn parse(file: &[u8]) -> Segments<'_> {
        Segments::parse(file).unwrap()
    }

    #[test]
    fn the_frame_header_is_read() {
        let file = jpeg(&[segment(APP14, b"Adobe\0\x64\0\0\0\0\x01")]);
        let image = parse(&file);
        let Frame { process, arithmetic, precision, width, height, components } = image.frame;
        assert_eq!((process, arithmetic, precision, width, height), (Process::Baseline, false, 8, 16, 32));
        assert_eq!(components[0], Component { id: 1, h: 2, v: 2 });
        assert_eq!((components.len(), image.scans), (3, 1));
        assert!(image.complete && !image.signed);
    }

    #[test]
    fn a_profile_in_parts_is_joined_in_their_order() {
        let part = |number: u8, of: u8, data: &[u8]| segment(APP2, &[ICC_ID, &[number, of], data].concat());
        let profile = |parts: &[Vec<u8>]| parse(&jpeg(parts)).icc_profile();
        let [one, two] = [part(1, 2, b"pro"), part(2, 2, b"file")];
        assert_eq!(profile(&[two.clone(), one.clone()]), Some(b"profile".to_vec()));
        assert_eq!(profile(&[part(1, 1, b"all")]), Some(b"all".to_vec()));
        let short = segment(APP2, &[ICC_ID, &[1]].concat());
        for parts in [vec![], vec![one.clone()], vec![one.clone(), one], vec![two], vec![part(0, 1, b"")], vec![short]]
        {
            assert_eq!(profile(&parts), None);
        }
    }

    #[test]
    fn the_marker_tells_the_process() {
        for (marker, process, arithmetic) in [
            (0xC1, Process::Extended, false),
            (0xC2, Process::Progressive, false),
            (0xC3, Process::Lossless, false),
            (0xC5, Process::Hierarchical, false),
            (0xC9, Process::Extended, true),
            (0xCA, Process::Progressive, true),
        ] {
            let mut file = jpeg(&[]);
            let at = file.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
            file[at + 1] = marker;
            assert_eq!((parse(&file).frame.process, parse(&file).frame.arithmetic), (process, arithmetic));
        }
    }

    #[test]
    fn scans_are_counted_and_segments_between_them_read() {
        let between = [segment(0xC4, &[0; 17]), segment(COM, b"48.8583 N"), scan(b"\x56")].concat();
        let mut file = jpeg(&[]);
        file.truncate(file.len() - 2);
        let file = [file, between, vec![0xFF, EOI]].concat();
        let image = parse(&file);
        assert_eq!((image.scans, image.find(Kind::Private).map(|s| s.payload)), (2, Some(&b"48.8583 N"[..])));
    }

    #[test]
    fn fill_bytes_stray_bytes_and_standalone_markers_are_passed_over() {
        let head = [&[0xFF, SOI, 0xFF, 0x01, b'x', 0xFF, 0, 0xFF, 0xFF][..], &segment(COM, b"a")].concat();
        let file = [head, frame(), scan(b"\x12\xff\xff"), vec![EOI]].concat();
        let image = parse(&file);
        assert!(image.complete && Segments::parse_image(&file).unwrap().1 == file.len());
        assert_eq!(image.parts.len(), 3);
        assert_eq!(image.parts[2].entropy, b"\x12\xff");
    }

    #[test]
    fn the_height_may_come_after_the_first_scan() {
        let mut frame = frame();
        frame[6] = 0;
        let tail = [scan(b"\x12"), segment(DNL, &[0, 9]), vec![0xFF, EOI]].concat();
        let file = [vec![0xFF, SOI], frame.clone(), tail].concat();
        assert_eq!(parse(&file).frame.height, 9);
        assert!(Segments::parse(&[vec![0xFF, SOI], frame, scan(b"\x12")].concat()).is_err());
    }

    #[test]
    fn an_image_cut_in_its_scan_is_read_as_incomplete() {
        let whole = jpeg(&[segment(COM, b"a")]);
        let scan_at = whole.windows(2).position(|pair| pair == [0xFF, SOS]).unwrap();
        for length in 0..whole.len() {
            match Segments::parse(&whole[..length]) {
                Ok(image) => assert!(length >= scan_at + 10 && !image.complete, "{length}"),
                Err(error) => assert!(length < scan_at + 10, "{length}: {error}"),
            }
        }
    }

    #[test]
    fn an_absurd_length_after_the_scan_stays_with_it() {
        let mut file = jpeg(&[]);
        file.truncate(file.len() - 2);
        file.extend([0xFF, 0xC4, 0xFF, 0xFF, 1, 2, 3]);
        let image = parse(&file);
        assert!(!image.complete && image.parts.last().unwrap().entropy.ends_with(&[0xFF, 0xFF, 1, 2, 3]));
    }

    #[test]
    fn stray_bytes_after_a_scan_are_malformed() {
        let mut file = jpeg(&[]);
        file.truncate(file.len() - 2);
        file.extend([segment(COM, b"a"), b"rest of the scan".to_vec(), vec![0xFF, EOI]].concat());
        assert!(Segments::parse(&file).unwrap_err().to_string().contains("stray bytes"));
    }

    #[test]
    fn headers_that_contradict_themselves_are_malformed() {
        let soi = vec![0xFF, SOI];
        let mut no_width = frame();
        no_width[8] = 0;
        for (file, why) in [
            (b"".to_vec(), "no SOI"),
            ([soi.clone(), frame(), vec![0xFF, EOI]].concat(), "no scan"),
            ([soi.clone(), scan(b"\x12"), vec![0xFF, EOI]].concat(), "not one frame header"),
            ([soi.clone(), frame(), frame(), scan(b"\x12")].concat(), "not one frame header"),
            ([soi.clone(), no_width, scan(b"\x12")].concat(), "empty image"),
            (
                [soi.clone(), segment(0xC0, &[8, 0, 1, 0, 1, 2, 1, 0x11, 0]), scan(b"")].concat(),
                "frame header's length",
            ),
            ([soi.clone(), segment(0xC0, &[8]), scan(b"")].concat(), "frame header too short"),
            ([soi, vec![0xFF, APP1, 0xFF, 0xFF]].concat(), "header cut short"),
        ] {
            let error = Segments::parse(&file).unwrap_err().to_string();
            assert!(error.contains(why), "{error}, not {why}");
        }
    }

    #[test]
    fn too_many_segments_are_refused() {
        let file = jpeg(&vec![segment(COM, b""); MAX_SEGMENTS]);
        assert!(Segments::parse(&file).unwrap_err().to_string().contains("too many segments"));
    }

    #[test]
    fn padding_is_white_space_fill_and_end_markers() {
        for padding in [
            &b""[..],
            b"\n",
            b"\r\n\x0b",
            b" \0\0",
            &[0xFF, EOI],
            &[0xFF, EOI, 0xFF, EOI, b'\n'],
            &[0xFF; 9],
            &[0, 0xFF],
        ] {
            assert!(is_padding(padding), "{padding:?}");
        }
        for data in [&b"a"[..], &[EOI], &[0, EOI], &[0xFF, SOI], b"\n."] {
            assert!(!is_padding(data), "{data:?}");
        }
    }

    #[test]
    fn app11_boxes_are_told_by_their_type() {
        let of = |payload: &[u8]| Segment { marker: APP11, at: 0, payload, entropy: &[] }.kind();
        assert_eq!(of(b"JP\0\x01\0\0\0\x01\0\0\0\x2cjumb\0\0\0\x1ejumdxml "), Some(Kind::Private));
        assert_eq!(of(b"JP\0\x01\0\0\0\x01\0\0\0\x2cRESI"), Some(Kind::Look));
        assert_eq!(of(b"HDR_RI ver=11"), Some(Kind::Look));
        assert_eq!(of(b"JP\0\x01"), Some(Kind::Private));
        assert_eq!(of(b"a place"), Some(Kind::Private));
    }

    #[test]
    fn exif_behind_another_fill_byte_is_exif() {
        for (id, kind) in [(b"Exif\0\xff", Kind::Exif), (b"Exif\0\0", Kind::Exif), (b"Exif\xff\0", Kind::Private)] {
            assert_eq!(Segment { marker: APP1, at: 0, payload: id, entropy: &[] }.kind(), Some(kind));
        }
    }

    #[test]
    fn a_manifest_is_a_signature() {
        let file = jpeg(&[segment(APP11, b"JP\0\x01\0\0\0\x01\0\0\0\x20jumb\0\0\0\x18jumdc2pa")]);
        assert!(parse(&file).signed);
    }
}
