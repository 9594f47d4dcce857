//! A JPEG file put together: the metadata that a policy keeps, a coded image, and the further files. What stays behind
//! these, to the byte, is the caller's to add.
//!
//! Never touches coefficients: the coded image is the source's own, or one that was encoded anew.

use super::filter::{Kept, Metadata};
use super::markers::{EOI, Kind, MPF_ID, SOI, malformed};
use super::segments::Segments;
use crate::optimize::error::ImageError;
use crate::optimize::options::MetadataPolicy;

/// Where Adobe's segment, of 12 bytes at least, says how colours are coded (T.872, 6.5.3): 1 means YCbCr.
const TRANSFORM_AT: usize = 11;

impl Segments<'_> {
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
    // The source's says more, and stays where all does, if it says the same of the samples.
    let transform = own(Kind::Adobe).map_or(1, |adobe| adobe.payload[TRANSFORM_AT]);
    let source_adobe = of_source(Kind::Adobe);
    // To many readers it means that the inks of CMYK are inverted, so such files never get one that they did not have.
    let encoders = own(Kind::Adobe).filter(|_| image.frame.components.len() != 4 || source_adobe.is_some());
    let says_the_same = |adobe: &Metadata<'_>| adobe.payload[TRANSFORM_AT] == transform;
    let adobe = source_adobe.filter(|adobe| kept.policy == MetadataPolicy::All && says_the_same(adobe));
    let metadata: Vec<_> = jfif.into_iter().chain(others).chain(adobe.or(encoders)).collect();
    write(&metadata, &image, kept)
}

/// SOI, metadata, the coded image with its tables, EOI, further images; the Multi-Picture index set right.
fn write(metadata: &[Metadata<'_>], image: &Segments<'_>, kept: &Kept<'_>) -> Result<Vec<u8>, ImageError> {
    let mut out = vec![0xFF, SOI];
    let mut index_at = None;
    for segment in metadata {
        if segment.kind == Kind::MultiPicture {
            // The first counts.
            index_at = index_at.or(Some(out.len() + 4));
        }
        write_segment(&mut out, segment.marker, &segment.payload)?;
    }
    for segment in image.parts.iter().filter(|segment| segment.kind().is_none()) {
        write_segment(&mut out, segment.marker, segment.payload)?;
        out.extend_from_slice(segment.entropy);
    }
    if image.complete {
        out.extend([0xFF, EOI]);
    }

    let primary = out.len();
    let mut ranges = Vec::new();
    for further in &kept.images {
        out.extend_from_slice(further.before);
        let start = out.len();
        out.extend_from_slice(&further.bytes);
        ranges.extend(further.number.map(|number| (number, start..out.len())));
    }
    if let (Some(index), Some(at)) = (&kept.index, index_at) {
        index.write(&mut out[at..primary], at + MPF_ID.len(), primary, &ranges)?;
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

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "the test's own small files")]
mod tests {
    use super::super::jpeg_file::JpegFile;
    use super::super::markers::{APP0, APP1, APP13, EXIF_ID, PHOTOSHOP_ID, Segment, XMP_ID};
    use super::super::segments::tests::{jpeg, segment};
    use super::super::trailing::Rest;
    use super::*;
    use crate::optimize::MetadataPolicy;
    use crate::optimize::metadata::ByteOrder;
    use crate::optimize::metadata::exif::tests::camera_block;
    use crate::optimize::metadata::iptc::tests::resource;
    use crate::optimize::metadata::xmp::tests::{directory, packet};
    use MetadataPolicy::{All, None as Nothing, Safe};

    const APP2: u8 = 0xE2;
    const APP14: u8 = 0xEE;
    const COM: u8 = 0xFE;

    fn jfif(density: u8) -> Vec<u8> {
        segment(APP0, &[b"JFIF\0\x01\x01\x01", &[0, density, 0, density, 0, 0][..]].concat())
    }

    fn exif() -> Vec<u8> {
        segment(APP1, &[EXIF_ID, &camera_block(ByteOrder::Big)].concat())
    }

    fn xmp(inside: &str) -> Vec<u8> {
        segment(APP1, &[XMP_ID, &packet(inside)].concat())
    }

    fn adobe(transform: u8) -> Vec<u8> {
        segment(APP14, &[b"Adobe\0\x64\0\0\0\0", &[transform][..]].concat())
    }

    fn icc(part: &str) -> Vec<u8> {
        segment(APP2, format!("ICC_PROFILE\0{part}").as_bytes())
    }

    fn filtered(file: &[u8], policy: MetadataPolicy) -> (bool, Vec<u8>) {
        let file = JpegFile::parse(file).unwrap();
        let kept = file.filter(policy);
        (kept.stripped, file.image.splice(&kept).unwrap())
    }

    fn kinds(file: &[u8]) -> Vec<Kind> {
        Segments::parse(file).unwrap().parts.iter().filter_map(Segment::kind).collect()
    }

    fn contains(file: &[u8], needle: &[u8]) -> bool {
        file.windows(needle.len()).any(|window| window == needle)
    }

    /// A Multi-Picture index of a primary image and others, big-endian; `(attributes, size, offset)` each.
    fn index(entries: &[(u32, u32, u32)]) -> Vec<u8> {
        let mut out = [MPF_ID, b"MM\0*\0\0\0\x08\0\x01\xb0\x02\0\x07"].concat();
        out.extend((16 * entries.len() as u32).to_be_bytes());
        out.extend([0, 0, 0, 26, 0, 0, 0, 0]);
        for (attributes, size, offset) in entries {
            out.extend([attributes.to_be_bytes(), size.to_be_bytes(), offset.to_be_bytes(), [0; 4]].concat());
        }
        segment(APP2, &out)
    }

    /// A file with an index of the given images, and an XMP directory of the first.
    fn multi_picture(attributes: u32, images: &[Vec<u8>]) -> Vec<u8> {
        let file = |primary: u32| {
            let before = [exif(), xmp(&directory(images[0].len()))].concat();
            let base = (2 + before.len() + 4 + MPF_ID.len()) as u32;
            let mut entries = vec![(0x2003_0000, primary, 0)];
            let mut at = primary;
            for image in images {
                entries.push((attributes, image.len() as u32, at.wrapping_sub(base)));
                at += image.len() as u32;
            }
            jpeg(&[before, index(&entries)])
        };
        let primary = file(0).len() as u32;
        [file(primary), images.concat()].concat()
    }

    #[test]
    fn safe_keeps_the_look_density_and_authorship_in_order() {
        let source = jpeg(&[
            exif(),
            jfif(72),
            segment(APP0, b"JFXX\0\x10thumb"),
            xmp("<rdf:Description dc:rights=\"A\" exif:GPSLatitude=\"48\"/>"),
            segment(APP1, b"http://ns.adobe.com/xmp/extension/\0guid"),
            icc("\x02\x02b"),
            icc("\0\x02a"),
            icc("\0\x02a"),
            segment(APP2, b"urn:iso:std:iso:ts:21496:-1\0\0\0\0\0"),
            segment(APP13, &[PHOTOSHOP_ID, &resource(0x040A, &[1]), &resource(0x040C, b"thumb")].concat()),
            segment(0xEC, b"Ducky"),
            adobe(1),
            segment(COM, b"shot at 48.8583 N"),
        ]);
        let (stripped, safe) = filtered(&source, Safe);
        let look = [Kind::Look; 4];
        let expected = [&[Kind::Jfif, Kind::Exif, Kind::Xmp][..], &look, &[Kind::Photoshop, Kind::Adobe]].concat();
        assert_eq!(kinds(&safe), expected);
        assert!(stripped && contains(&safe, &[icc("\x02\x02b"), icc("\0\x02a"), icc("\0\x02a")].concat()));
        for gone in [&b"latitude"[..], b"GPSLatitude", b"thumb", b"guid", b"Ducky", b"48.8583"] {
            assert!(contains(&source, gone) && !contains(&safe, gone), "{:?}", String::from_utf8_lossy(gone));
        }
        assert_eq!(filtered(&safe, Safe), (false, safe));
        let expected = [&[Kind::Jfif, Kind::Exif][..], &look, &[Kind::Adobe]].concat();
        assert_eq!(kinds(&filtered(&source, Nothing).1), expected);
    }

    #[test]
    fn the_coded_image_is_the_same_bytes() {
        let source = jpeg(&[exif(), segment(COM, b"a")]);
        let (_, out) = filtered(&source, Nothing);
        let bare = jpeg(&[]);
        assert!(out.ends_with(&bare[2..]) && source.ends_with(&bare[2..]));
        let mut cut = source.clone();
        cut.truncate(source.len() - 5);
        assert!(filtered(&cut, Safe).1.ends_with(&bare[2..bare.len() - 5]));
    }

    #[test]
    fn all_keeps_every_segment() {
        let source = jpeg(&[jfif(1), exif(), xmp(""), segment(COM, b"a"), segment(COM, b"b"), segment(0xE4, b"x")]);
        assert_eq!(filtered(&source, All), (false, source));
    }

    #[test]
    fn comments_between_scans_go() {
        let mut source = jpeg(&[]);
        source.truncate(source.len() - 2);
        source.extend(segment(COM, b"48.8583 N"));
        source.extend(&jpeg(&[])[jpeg(&[]).len() - 18..]);
        let (stripped, out) = filtered(&source, Safe);
        assert!(stripped && !contains(&out, b"48.8583 N"));
        assert_eq!(Segments::parse(&out).unwrap().scans, 2);
    }

    #[test]
    fn the_thumbnail_of_jfif_goes() {
        let thumbnail = [&[b"JFIF\0\x01\x02\x01", &[0, 72, 0, 72, 1, 1][..]].concat(), &b"rgb"[..]].concat();
        let (stripped, out) = filtered(&jpeg(&[segment(APP0, &thumbnail)]), Safe);
        assert!(stripped);
        assert_eq!(out, jpeg(&[segment(APP0, b"JFIF\0\x01\x02\x01\0\x48\0\x48\0\0")]));
    }

    #[test]
    fn resources_go_on_from_segment_to_segment() {
        let resources = [resource(0x040C, &[7; 100]), resource(0x040A, &[1])].concat();
        let (one, two) = resources.split_at(50);
        let parts = [one, two].map(|part| segment(APP13, &[PHOTOSHOP_ID, part].concat()));
        let expected = segment(APP13, &[PHOTOSHOP_ID, &resource(0x040A, &[1])].concat());
        assert_eq!(filtered(&jpeg(&parts), Safe), (true, jpeg(&[expected])));
    }

    #[test]
    fn padding_goes_without_a_word() {
        let source = jpeg(&[jfif(1)]);
        assert_eq!(filtered(&[source.clone(), vec![0; 64]].concat(), Safe), (false, source));
    }

    #[test]
    fn further_images_are_filtered_and_found_again() {
        let gain_map = jpeg(&[jfif(1), exif(), xmp("<rdf:Description hdrgm:GainMapMax=\"6\"/>")]);
        let source = multi_picture(0, &[gain_map.clone(), jpeg(&[])]);
        for policy in [Safe, Nothing] {
            let (stripped, out) = filtered(&source, policy);
            assert!(stripped && !contains(&out, b"latitude"));
            let (_, expected) = filtered(&gain_map, policy);
            let image = JpegFile::parse(&out).unwrap();
            let images = &image.trailing.listed.files;
            assert_eq!(images.iter().map(|image| image.bytes).collect::<Vec<_>>(), [&expected[..], &jpeg(&[])]);
            assert_eq!(filtered(&out, policy), (false, out.clone()));
        }
        assert_eq!(filtered(&source, All), (false, source));
    }

    #[test]
    fn the_xmp_directory_names_the_new_length() {
        let gain_map = jpeg(&[exif()]);
        let source = [jpeg(&[xmp(&directory(gain_map.len()))]), gain_map.clone()].concat();
        let (_, out) = filtered(&source, Safe);
        let expected = filtered(&gain_map, Safe).1;
        assert!(contains(&out, format!("Item:Length=\"{}\"", expected.len()).as_bytes()) && out.ends_with(&expected));
        assert_eq!(JpegFile::parse(&out).unwrap().trailing.listed.files.len(), 1);
    }

    #[test]
    fn an_index_whose_offsets_are_stale_is_set_right() {
        let images = [jpeg(&[exif()]), jpeg(&[])];
        let sound = multi_picture(0, &images);
        // As left by a program that put a comment between the index and the image.
        let at = sound.windows(2).position(|pair| pair == [0xFF, 0xDB]).unwrap();
        let stale = [&sound[..at], &segment(COM, b"a"), &sound[at..]].concat();
        let (_, out) = filtered(&stale, Safe);
        assert_eq!(out, filtered(&sound, Safe).1);
        let behind = [stale, b"mp4".to_vec()].concat();
        assert_eq!(JpegFile::parse(&behind).unwrap().trailing.rest, Rest::Unknown(b"mp4"));
    }

    #[test]
    fn an_index_that_lies_leaves_the_file_alone() {
        let whole = multi_picture(0, &[jpeg(&[])]);
        let at = whole.windows(4).position(|window| window == MPF_ID).unwrap();
        for offset in 0..58 {
            let mut broken = whole.clone();
            broken[at + 4 + offset] ^= 0xFF;
            let image = JpegFile::parse(&broken).unwrap();
            if let Some(further) = image.trailing.listed.files.first() {
                assert_eq!(further.bytes, jpeg(&[]), "{offset}");
            }
            assert!(image.image.splice(&image.filter(Safe)).is_ok());
        }
    }

    #[test]
    fn a_new_encoding_takes_the_metadata_of_its_source() {
        let source = [jpeg(&[jfif(72), exif(), icc("\x01\x01p"), adobe(1), segment(COM, b"a")]), vec![0; 9]].concat();
        let kept = JpegFile::parse(&source).unwrap().filter(Safe);
        let out = assemble(&jpeg(&[jfif(1), segment(COM, b"made by an encoder")]), &kept).unwrap();
        assert_eq!(kinds(&out), [Kind::Jfif, Kind::Exif, Kind::Look]);
        assert!(contains(&out, &jfif(72)) && !contains(&out, &jfif(1)) && !contains(&out, b"encoder"));
    }

    #[test]
    fn the_encoder_tells_how_its_samples_are_to_be_read() {
        let kept_of = |metadata: &[Vec<u8>], encoded: &[Vec<u8>]| {
            let source = jpeg(metadata);
            let kept = JpegFile::parse(&source).unwrap().filter(Safe);
            assemble(&jpeg(encoded), &kept).unwrap()
        };
        assert_eq!(kept_of(&[jfif(72), adobe(1)], &[adobe(0)]), jpeg(&[adobe(0)]));
        assert_eq!(kept_of(&[adobe(1)], &[jfif(1)]), jpeg(&[jfif(1)]));
        assert_eq!(kept_of(&[], &[jfif(1), adobe(1)]), jpeg(&[jfif(1), adobe(1)]));
    }

    #[test]
    fn a_new_encoding_keeps_its_gain_map() {
        let gain_map = jpeg(&[exif()]);
        let source = multi_picture(0, std::slice::from_ref(&gain_map));
        let kept = JpegFile::parse(&source).unwrap().filter(Safe);
        let out = assemble(&jpeg(&[jfif(1)]), &kept).unwrap();
        let image = JpegFile::parse(&out).unwrap();
        let images = &image.trailing.listed.files;
        assert_eq!(images[0].bytes, filtered(&gain_map, Safe).1);
        assert!(assemble(b"no image", &kept).is_err());
    }
}
