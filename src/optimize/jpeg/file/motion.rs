//! Motion Photos: whether the data behind the images, a video most of all, may move as a whole.
//!
//! It may where nothing finds it by its place from the beginning of the file: Google's Motion Photos and their
//! predecessor, Micro Video, count from the end of the file or of the images (see
//! [`container`](crate::optimize::metadata::container)), and so does Samsung's trailer.

use super::markers::is_padding;
use crate::optimize::metadata::container::Container;

/// Whether a video stands where the packet says, or Samsung's trailer accounts for the data.
pub fn may_move(container: &Container, tail: &[u8]) -> bool {
    let is_video = |at| tail.get(at..).is_some_and(begins_video);
    container.video_starts(tail.len()).any(is_video) || is_samsung_trailer(tail) == Some(true)
}

/// Whether a trailer holds places counted from the beginning of the file: Samsung's block QDIO, which stands behind
/// "SEFT", or AFCP's directory.
///
/// Source: `ExifTool`, `Image::ExifTool::Samsung`, `ProcessSamsung`, and `Image::ExifTool::AFCP`.
pub fn has_absolute_places(tail: &[u8]) -> bool {
    tail.ends_with(b"QDIOBS") || tail.last_chunk::<12>().is_some_and(|end| end.starts_with(b"AXS"))
}

/// A file type box, the first of every MP4 and most `QuickTime` files (ISO/IEC 14496-12, 4.3).
fn begins_video(bytes: &[u8]) -> bool {
    /// Size, type, brand, version.
    const SHORTEST: usize = 16;
    let (Some(&size), Some(name)) = (bytes.first_chunk(), bytes.get(4..8)) else { return false };
    let size = usize::try_from(u32::from_be_bytes(size)).unwrap_or(usize::MAX);
    name == b"ftyp" && (SHORTEST..=bytes.len()).contains(&size)
}

/// Samsung's trailer ends the files of its phones, with a video or without: blocks, each of a type, a name and data, and
/// behind them a directory of "SEFH", version, count, entries, its length, "SEFT". An entry repeats the type, and says
/// how far before the directory its block begins, and its size; numbers are little-endian.
///
/// Source: `ExifTool`, `Image::ExifTool::Samsung`, `ProcessSamsung`.
fn is_samsung_trailer(tail: &[u8]) -> Option<bool> {
    let (rest, length) = tail.strip_suffix(b"SEFT")?.split_last_chunk()?;
    let (blocks, directory) = rest.split_at_checked(rest.len().checked_sub(number(*length)?)?)?;
    let (count, entries) = directory.strip_prefix(b"SEFH")?.get(4..)?.split_first_chunk()?;
    let entries = entries.get(..number(*count)?.checked_mul(12)?)?;
    let mut first = blocks.len();
    for entry in entries.chunks_exact(12) {
        let (kind, place) = entry.split_first_chunk::<4>()?;
        let (offset, size) = place.split_first_chunk()?;
        let start = blocks.len().checked_sub(number(*offset)?)?;
        let block = blocks[start..].get(..number(*size.first_chunk()?)?)?;
        if !block.starts_with(kind) {
            return None;
        }
        first = first.min(start);
    }
    Some(!entries.is_empty() && is_padding(&blocks[..first]))
}

fn number(bytes: [u8; 4]) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(bytes)).ok()
}

#[cfg(test)]
mod tests {
    use super::super::jpeg_file::JpegFile;
    use super::super::markers::MPF_ID;
    use super::super::markers::{APP1, EXIF_ID, XMP_ID};
    use super::super::segments::tests::segment;
    use super::super::trailing::Rest;
    use crate::optimize::jpeg::are_same;
    use crate::optimize::jpeg::dct::coefficients::Blocks;
    use crate::optimize::jpeg::libjpeg::tests::picture;
    use crate::optimize::jpeg::libjpeg::{Coded, Script, encode, write_coefficients};
    use crate::optimize::metadata::ByteOrder;
    use crate::optimize::metadata::container::tests::directory_of;
    use crate::optimize::metadata::exif::tests::camera_block;
    use crate::optimize::metadata::xmp::tests::packet;
    use crate::optimize::{
        Budget, Encoded, MetadataPolicy, MetadataState, Options, Outcome, Quality, Reason, Unchanged,
    };

    const MP4: &str = "video/mp4";

    fn optimized(file: &[u8], metadata: MetadataPolicy) -> Outcome {
        crate::optimize::jpeg::optimize(file, &Options { metadata, ..Options::default() }, Budget::UNLIMITED).unwrap()
    }

    fn encoded(file: &[u8], metadata: MetadataPolicy) -> Encoded {
        match optimized(file, metadata) {
            Outcome::Optimized(encoded) => encoded,
            Outcome::Unchanged(unchanged) => panic!("{unchanged:?}"),
        }
    }

    /// A photograph of fine steps that are none of ours, behind these segments.
    fn photo(metadata: &[Vec<u8>]) -> Vec<u8> {
        let own = encode(&picture(240, 180, 2, 2), 4).unwrap();
        let source = Coded::read(&own, 100).unwrap();
        let mut layout = source.layout().clone();
        layout.components[0].table[0] += 1;
        let photo = write_coefficients(&layout, Script::Recommended, |component, row, out| {
            out.copy_from_slice(source.row(component, row));
        });
        let photo = photo.unwrap();
        [&photo[..2], &metadata.concat(), &photo[2..]].concat()
    }

    fn exif() -> Vec<u8> {
        segment(APP1, &[EXIF_ID, &camera_block(ByteOrder::Big)].concat())
    }

    fn xmp(inside: &str) -> Vec<u8> {
        segment(APP1, &[XMP_ID, &packet(inside)].concat())
    }

    fn micro_video(offset: usize) -> String {
        format!("<rdf:Description GCamera:MicroVideo=\"1\" GCamera:MicroVideoOffset=\"{offset}\"/>")
    }

    fn video() -> Vec<u8> {
        let media: Vec<u8> = (0..6000_u32).map(|byte| (byte.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        [b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom\0\0\x17\x78mdat", &media[..]].concat()
    }

    /// Samsung's trailer of these blocks.
    fn samsung(blocks: &[(u16, &str, &[u8])]) -> Vec<u8> {
        let long = |value: usize| u32::try_from(value).unwrap().to_le_bytes();
        let (mut out, mut starts) = (Vec::new(), Vec::new());
        for (kind, name, data) in blocks {
            let block = [&[0, 0], &kind.to_le_bytes()[..], &long(name.len()), name.as_bytes(), data].concat();
            starts.push((out.len(), block.len(), *kind));
            out.extend(block);
        }
        let mut directory = [b"SEFH", &long(107)[..], &long(blocks.len())].concat();
        for (start, size, kind) in starts {
            directory.extend([&[0, 0], &kind.to_le_bytes()[..], &long(out.len() - start), &long(size)].concat());
        }
        let length = long(directory.len());
        [&out[..], &directory, &length, b"SEFT"].concat()
    }

    fn samsung_video() -> Vec<u8> {
        samsung(&[
            (0x0A01, "Image_UTC_Data", b"1725000000000"),
            (0x0A30, "MotionPhoto_Data", &video()),
            (0x0A31, "MotionPhoto_Version", b"mpv3"),
        ])
    }

    /// An index of the primary image and one further, in the order of the file, with offsets from its own place.
    fn index(primary: usize, further: usize, base: usize) -> Vec<u8> {
        let long = |value: usize| u32::try_from(value).unwrap().to_be_bytes();
        let mut out = [MPF_ID, b"MM\0*\0\0\0\x08\0\x01\xb0\x02\0\x07\0\0\0\x20\0\0\0\x1a\0\0\0\0"].concat();
        out.extend([&[0x20, 3, 0, 0], &long(primary)[..], &[0; 8]].concat());
        out.extend([&[0; 4], &long(further)[..], &long(primary - base), &[0; 4]].concat());
        segment(0xE2, &out)
    }

    /// A photograph with a gain map behind it, an XMP directory of both and the video, and an index where asked for.
    fn ultra_hdr(gain_map: &[u8], padding: usize, to_end: usize, indexed: bool) -> Vec<u8> {
        let items = [("GainMap", "image/jpeg", gain_map.len(), 0), ("MotionPhoto", MP4, to_end, 0)];
        let before = [exif(), xmp(&directory_of(padding, &items))].concat();
        let base = 2 + before.len() + 8;
        let file = |primary| {
            let index = if indexed { index(primary, gain_map.len(), base) } else { vec![] };
            photo(&[before.clone(), index])
        };
        [&file(file(base).len()), gain_map].concat()
    }

    fn images_and_tail<'a>(image: &'a JpegFile<'_>) -> (Vec<&'a [u8]>, &'a [u8]) {
        let trailing = &image.trailing;
        let Rest::Movable(tail) = trailing.rest else { panic!("{trailing:?}") };
        (trailing.listed.files.iter().map(|file| file.bytes).collect(), tail)
    }

    /// Every kind that is shrunk: the file without what follows its images, and that.
    fn kinds() -> Vec<(&'static str, Vec<u8>, Vec<u8>)> {
        let (video, samsung_video) = (video(), samsung_video());
        let padded = [&[0; 24][..], &video].concat();
        // From the video's beginning to the end of the file: the block of the version and the directory are behind.
        let to_end = samsung_video.len() - 35 - 24;
        let motion = |length, padding| xmp(&directory_of(padding, &[("MotionPhoto", MP4, length, 0)]));
        let gain_map = photo(&[exif()]);
        vec![
            ("Micro Video", photo(&[exif(), xmp(&micro_video(video.len()))]), video.clone()),
            ("Motion Photo", photo(&[exif(), motion(video.len(), 0)]), video.clone()),
            ("Motion Photo, padded", photo(&[exif(), motion(video.len(), 24)]), padded),
            ("Motion Photo, length wrong", photo(&[exif(), motion(video.len() - 131, 0)]), video.clone()),
            ("Samsung", photo(&[exif()]), samsung_video.clone()),
            ("Samsung, a photograph", photo(&[exif()]), samsung(&[(0x0A01, "Image_UTC_Data", b"1725000000000")])),
            ("Samsung, Micro Video", photo(&[exif(), xmp(&micro_video(to_end))]), samsung_video.clone()),
            ("Ultra HDR", ultra_hdr(&gain_map, 0, video.len(), true), video.clone()),
            ("Ultra HDR, no index", ultra_hdr(&gain_map, 0, video.len(), false), video),
            // Samsung states the padding behind the primary image; it is behind the gain map.
            ("Samsung, Ultra HDR", ultra_hdr(&gain_map, 59, to_end, true), samsung_video),
        ]
    }

    #[test]
    fn the_image_shrinks_and_the_video_stays() {
        for (kind, image, tail) in kinds() {
            let file = [&image[..], &tail].concat();
            for policy in [MetadataPolicy::Safe, MetadataPolicy::None, MetadataPolicy::All] {
                let new = encoded(&file, policy);
                assert!(!new.method.is_lossless(), "{kind}: {:?}", new.method);
                assert!(new.bytes.len() - tail.len() < image.len() * 3 / 4, "{kind}: {}", new.bytes.len());
                assert_eq!(new.metadata, MetadataState::Kept, "{kind}, {policy}");
                let (source, result) = (JpegFile::parse(&file).unwrap(), JpegFile::parse(&new.bytes).unwrap());
                let ((maps, _), (new_maps, kept)) = (images_and_tail(&source), images_and_tail(&result));
                assert_eq!(kept, tail, "{kind}");
                assert_eq!(maps.len(), new_maps.len(), "{kind}");
                assert!(maps.iter().zip(new_maps).all(|(map, new)| are_same(map, new).unwrap()), "{kind}");
                let strips = policy != MetadataPolicy::All;
                assert_eq!(new.bytes.windows(8).any(|bytes| bytes == b"latitude"), !strips, "{kind}, {policy}");

                let again = optimized(&new.bytes, policy);
                let Outcome::Unchanged(Unchanged { reason, metadata, .. }) = again else { panic!("{kind}: {again:?}") };
                assert_eq!((reason, metadata), (Reason::NoGain, MetadataState::Kept), "{kind}");
            }
        }
    }

    #[test]
    fn a_video_that_is_not_where_it_should_be_is_unknown_data() {
        let video = video();
        let to_end = video.len();
        let motion = |length| xmp(&directory_of(0, &[("MotionPhoto", MP4, length, 0)]));
        let behind_junk = [b"junk", &video[..]].concat();
        let mut no_trailer = samsung_video();
        // The type of the second block.
        no_trailer[35 + 2] ^= 1;
        for (what, metadata, tail) in [
            ("offset into the video", xmp(&micro_video(to_end - 1)), video.clone()),
            ("offset into the image", xmp(&micro_video(to_end + 1)), video.clone()),
            ("offset beyond the file", xmp(&micro_video(1 << 40)), video.clone()),
            ("no number", xmp("<rdf:Description GCamera:MicroVideoOffset=\"-1\"/>"), video.clone()),
            ("length too short", motion(to_end - 1), behind_junk.clone()),
            ("length beyond the file", motion(1 << 40), behind_junk),
            ("no video", motion(4), b"zip!".to_vec()),
            ("no word of it", vec![], video.clone()),
            ("an entry that names another block", vec![], no_trailer),
            ("no directory", vec![], b"SEFHSEFT".to_vec()),
            ("data before the blocks", vec![], [b"junk", &samsung_video()[..]].concat()),
            ("data behind the trailer", vec![], [&samsung_video()[..], b"QDIOBS"].concat()),
        ] {
            let file = [&photo(&[exif(), metadata])[..], &tail].concat();
            let image = JpegFile::parse(&file).unwrap();
            assert_eq!(image.trailing.rest, Rest::Unknown(&tail), "{what}");
            if tail.ends_with(b"QDIOBS") {
                let outcome = optimized(&file, MetadataPolicy::Safe);
                assert!(
                    matches!(outcome, Outcome::Unchanged(Unchanged { reason: Reason::TrailingData, .. })),
                    "{what}"
                );
                continue;
            }
            let new = encoded(&file, MetadataPolicy::Safe);
            assert!(!new.method.is_lossless() && new.bytes.ends_with(&tail), "{what}");
            assert_eq!(new.metadata, MetadataState::Kept, "{what}");
        }
    }

    #[test]
    fn a_video_that_is_gone_leaves_a_photograph() {
        for offset in [0, 1024, 1 << 40] {
            let new = encoded(&photo(&[exif(), xmp(&micro_video(offset))]), MetadataPolicy::Safe);
            assert!(!new.method.is_lossless());
            assert_eq!(new.metadata, MetadataState::Stripped);
        }
    }

    #[test]
    fn an_index_into_the_data_leaves_the_file_alone() {
        let video = video();
        let motion = xmp(&directory_of(0, &[("MotionPhoto", MP4, video.len(), 0)]));
        // It names an image where the video is.
        let before = [exif(), motion].concat();
        let base = 2 + before.len() + 8;
        let file = |primary| photo(&[before.clone(), index(primary, 100, base)]);
        let file = [&file(file(base).len())[..], &video].concat();
        let outcome = optimized(&file, MetadataPolicy::Safe);
        assert!(matches!(outcome, Outcome::Unchanged(Unchanged { reason: Reason::TrailingData, .. })), "{outcome:?}");
    }

    #[test]
    fn an_index_of_the_primary_image_alone_is_set_right() {
        let video = video();
        let motion = xmp(&directory_of(0, &[("MotionPhoto", MP4, video.len(), 0)]));
        let mut one = [MPF_ID, b"MM\0*\0\0\0\x08\0\x01\xb0\x02\0\x07\0\0\0\x10\0\0\0\x1a\0\0\0\0"].concat();
        one.extend([&[0, 3, 0, 0, 0, 1, 2, 3][..], &[0; 8]].concat());
        let new = encoded(&[&photo(&[motion, segment(0xE2, &one)])[..], &video].concat(), MetadataPolicy::Safe);
        let primary = u32::try_from(new.bytes.len() - video.len()).unwrap();
        let entry = [&[0, 3, 0, 0][..], &primary.to_be_bytes(), &[0; 8]].concat();
        assert!(!new.method.is_lossless() && new.bytes.windows(16).any(|bytes| bytes == entry));
    }

    #[test]
    fn no_byte_of_a_trailer_makes_it_panic() {
        let whole = samsung_video();
        for at in (0..64).chain(whole.len() - 120..whole.len()) {
            for value in [0, 0x7F, 0x80, 0xFF] {
                let mut broken = whole.clone();
                broken[at] = value;
                let _ = super::is_samsung_trailer(&broken);
                let _ = super::is_samsung_trailer(&broken[at..]);
            }
        }
    }

    #[test]
    fn lossless_is_lossless() {
        for (kind, image, tail) in kinds() {
            let options = Options { quality: Quality::Lossless, ..Options::default() };
            let file = [image, tail].concat();
            let outcome = crate::optimize::jpeg::optimize(&file, &options, Budget::UNLIMITED).unwrap();
            let Outcome::Optimized(new) = outcome else { panic!("{kind}: {outcome:?}") };
            assert!(new.method.is_lossless() && are_same(&file, &new.bytes).unwrap(), "{kind}");
        }
    }
}
