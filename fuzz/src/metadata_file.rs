//! Small sound pictures that carry the fuzzer's metadata in well-formed segments and chunks.

use std::fmt::Write;

use miniz_oxide::deflate::compress_to_vec_zlib;

use super::bytes::Bytes;
use super::jpeg_file::{Jpeg, adobe, jfif};
use super::png_file::Png;
use super::{gif_file, webp_file};

const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
const EXTENDED_XMP: &[u8] = b"http://ns.adobe.com/xmp/extension/\0";

/// A file of any format with any number of blocks.
pub fn of(bytes: &mut Bytes<'_>) -> Vec<u8> {
    match bytes.below(8) {
        0..=2 => jpeg(bytes),
        3..=5 => png(bytes),
        6 => gif_file::with_extensions(bytes),
        _ => webp_file::of(bytes),
    }
}

/// A block's bytes, as long as the next word says.
fn block<'a>(bytes: &mut Bytes<'a>) -> &'a [u8] {
    let length = bytes.word();
    bytes.take(usize::from(length).min(60_000))
}

/// 16 × 24 pixels of gray, dark in one corner.
fn jpeg_carrier() -> Jpeg {
    let mut image = Jpeg::blank(16, 24, &[(1, 1)], [16; 64]);
    image.components[0].blocks[0][0] = -40;
    image
}

fn jpeg(bytes: &mut Bytes<'_>) -> Vec<u8> {
    let mut image = jpeg_carrier();
    let mut trailing = Vec::new();
    while !bytes.is_empty() {
        let (kind, own) = (bytes.byte(), block(bytes));
        let (marker, id): (u8, &[u8]) = match kind % 16 {
            0 | 1 => (0xE1, b"Exif\0\0"),
            2 | 3 => (0xE1, XMP),
            4 if kind >> 7 == 1 => {
                extended_xmp(&mut image, kind >> 4, own);
                continue;
            }
            4 => (0xE1, EXTENDED_XMP),
            5 => (0xE2, b"MPF\0"),
            6 => (0xE2, b"ICC_PROFILE\0\x01\x01"),
            7 | 8 => (0xED, b"Photoshop 3.0\0"),
            9 => (0xE0, b"JFIF\0"),
            10 => (0xEE, b"Adobe"),
            11 if kind >> 4 == 3 => (0xE3, b"_JPSJPS_"),
            11 if kind >> 4 == 11 => (0xEB, b"JP\0\x01\0\0\0\x01\0\0\0\x2cjumb"),
            11 => (0xE0 | kind >> 4, b""),
            12 => (0xFE, b""),
            13 if kind >> 7 == 1 => {
                trailing.extend(video(&mut image, kind >> 4, own));
                continue;
            }
            13 => {
                trailing.extend_from_slice(own);
                continue;
            }
            14 => {
                further_image(&mut image, &mut trailing, kind >> 4, own);
                continue;
            }
            _ => {
                image.metadata.push(if kind >> 7 == 0 { jfif() } else { adobe(kind >> 4) });
                continue;
            }
        };
        image.metadata.push((marker, [id, own].concat()));
    }
    [image.write(), trailing].concat()
}

/// A packet that promises an extended packet, and that in two parts: one that lists a video, and what else is given.
fn extended_xmp(image: &mut Jpeg, way: u8, own: &[u8]) {
    const GUID: &str = "0123456789ABCDEF0123456789ABCDEF";
    let packet = |properties: &str| {
        format!(
            "<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>\
             {properties}</rdf:RDF></x:xmpmeta>"
        )
    };
    let promise = format!("<rdf:Description xmlns:N='http://ns.adobe.com/xmp/note/' N:HasExtendedXMP='{GUID}'/>");
    let rights = "<rdf:Description xmlns:dc='http://purl.org/dc/elements/1.1/' dc:rights='A' dc:subject='B'/>";
    let own = String::from_utf8_lossy(own);
    let extended = if way.is_multiple_of(2) { packet(rights) } else { packet(&own) };
    image.metadata.push((0xE1, [XMP, packet(&promise).as_bytes()].concat()));
    let (one, two) = extended.as_bytes().split_at(extended.len() / 2);
    for (offset, part) in [(0, one), (one.len(), two)] {
        let numbers = [extended.len(), offset].map(|number| (number as u32).to_be_bytes()).concat();
        image.metadata.push((0xE1, [EXTENDED_XMP, GUID.as_bytes(), &numbers, part].concat()));
    }
}

/// A further picture behind the image, with a block of EXIF; an XMP directory or a Multi-Picture index for it, or
/// nothing.
fn further_image(image: &mut Jpeg, trailing: &mut Vec<u8>, way: u8, own: &[u8]) {
    let mut further = jpeg_carrier();
    further.metadata.push((0xE1, [b"Exif\0\0", own].concat()));
    let further = further.write();
    let length = further.len();
    if way % 8 == 7 {
        // A preview that no list names.
    } else if own.len().is_multiple_of(2) {
        let (container, item) = if way % 4 == 3 {
            ("http://ns.google.com/photos/dd/1.0/container/", "http://ns.google.com/photos/dd/1.0/item/")
        } else {
            ("http://ns.google.com/photos/1.0/container/", "http://ns.google.com/photos/1.0/container/item/")
        };
        let packet = format!(
            "<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>\
             <rdf:Description xmlns:C='{container}' xmlns:I='{item}'><C:Directory><rdf:Seq>\
             <rdf:li rdf:parseType='Resource'><C:Item I:Semantic='Primary' I:Mime='image/jpeg'/></rdf:li>\
             <rdf:li rdf:parseType='Resource'><C:Item I:Semantic='GainMap' I:Mime='image/jpeg' I:Length='{length}'/>\
             </rdf:li></rdf:Seq></C:Directory></rdf:Description></rdf:RDF></x:xmpmeta>"
        );
        image.metadata.push((0xE1, [XMP, packet.as_bytes()].concat()));
    } else {
        // Two entries (CIPA DC-007, 5.2.3.3); sizes count where offsets do not fit.
        let mut index = b"MPF\0II*\0\x08\0\0\0\x01\0\x02\xB0\x07\0\x20\0\0\0\x1A\0\0\0\0\0\0\0".to_vec();
        index.extend([[0; 16], [0; 16]].concat());
        let entry = index.len() - 16;
        index[entry + 4..entry + 8].copy_from_slice(&(length as u32).to_le_bytes());
        index[entry + 8] = 1;
        if way % 4 == 2 {
            // Large Thumbnail (5.2.3.3.1).
            index[entry + 2] = 1;
        }
        image.metadata.push((0xE2, index));
    }
    trailing.extend(further);
}

/// A video to stand behind everything, found as in Micro Video, Motion Photos or Samsung's files; the image gets the
/// packet that says so.
#[must_use]
pub fn video(image: &mut Jpeg, way: u8, own: &[u8]) -> Vec<u8> {
    let video = [b"\0\0\0\x14ftypmp42\0\0\0\0mp42", own].concat();
    let length = video.len();
    let properties = match way % 3 {
        0 => format!(
            "<rdf:Description xmlns:G='http://ns.google.com/photos/1.0/camera/' G:MicroVideoOffset='{length}'/>"
        ),
        1 => format!(
            "<rdf:Description xmlns:C='http://ns.google.com/photos/1.0/container/' \
             xmlns:I='http://ns.google.com/photos/1.0/container/item/'><C:Directory><rdf:Seq>\
             <rdf:li><C:Item I:Semantic='Primary' I:Mime='image/jpeg'/></rdf:li>\
             <rdf:li><C:Item I:Semantic='MotionPhoto' I:Mime='video/mp4' I:Length='{length}'/></rdf:li>\
             </rdf:Seq></C:Directory></rdf:Description>"
        ),
        _ => return samsung_trailer(&video),
    };
    let packet = format!(
        "<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>\
         {properties}</rdf:RDF></x:xmpmeta>"
    );
    image.metadata.push((0xE1, [XMP, packet.as_bytes()].concat()));
    video
}

/// One block and its directory.
fn samsung_trailer(video: &[u8]) -> Vec<u8> {
    let block = [b"\0\0\x30\x0A\x10\0\0\0MotionPhoto_Data", video].concat();
    let length = (block.len() as u32).to_le_bytes();
    let directory = [b"SEFH\x6B\0\0\0\x01\0\0\0\0\0\x30\x0A", &length[..], &length].concat();
    [&block[..], &directory, b"\x18\0\0\0SEFT"].concat()
}

fn png(bytes: &mut Bytes<'_>) -> Vec<u8> {
    let mut image = Png::blank(16, 24, (0, 8));
    image.samples[1..5].fill(90);
    while !bytes.is_empty() {
        let (kind, own) = (bytes.byte(), block(bytes));
        let (name, data) = match kind % 12 {
            0 | 1 => (*b"eXIf", own.to_vec()),
            2 => (*b"iTXt", [b"XML:com.adobe.xmp\0\0\0\0\0", own].concat()),
            3 => (*b"iTXt", [b"XML:com.adobe.xmp\0\x01\0\0\0", &compress_to_vec_zlib(own, 1)[..]].concat()),
            4..=6 => (*b"zTXt", profile(kind, own)),
            7 => (*b"tEXt", [b"Copyright\0", own].concat()),
            8 => (*b"iCCP", [b"profile\0\0", &compress_to_vec_zlib(own, 1)[..]].concat()),
            9 => (*b"iTXt", own.to_vec()),
            10 => (*b"zTXt", own.to_vec()),
            _ => (other_name(kind), own.to_vec()),
        };
        let place = if kind >> 7 == 0 { &mut image.before } else { &mut image.after };
        place.push((name, data));
    }
    image.write()
}

fn other_name(kind: u8) -> [u8; 4] {
    const NAMES: [&[u8; 4]; 8] = [b"tEXt", b"pHYs", b"tIME", b"caBX", b"prVt", b"sPLT", b"oFFs", b"cHRM"];
    *NAMES[usize::from(kind / 12) % NAMES.len()]
}

/// A "raw profile", as `ImageMagick` writes it.
fn profile(kind: u8, own: &[u8]) -> Vec<u8> {
    const NAMES: [&str; 7] = ["exif", "iptc", "8bim", "xmp", "APP1", "icc", "icm"];
    let name = NAMES[usize::from(kind / 12) % NAMES.len()];
    let mut text = format!("\n{name}\n{:8}\n", own.len());
    for byte in own {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    [format!("Raw profile type {name}\0\0").as_bytes(), &compress_to_vec_zlib(text.as_bytes(), 1)].concat()
}
