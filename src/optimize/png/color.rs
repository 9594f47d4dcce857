//! What a PNG's samples mean, told from the chunks that say so, by their precedence (PNG 3rd edition, table 14): cICP
//! over iCCP over sRGB over gAMA.

use miniz_oxide::inflate::{TINFLStatus, decompress_to_vec_zlib_with_limit};

use super::chunks::Chunks;
use crate::optimize::color::ColorSpace;

/// Transfer characteristics of cICP (ITU-T H.273, table 3) that an 8-bit sRGB score cannot judge: linear, PQ, HLG.
const BEYOND_SRGB: [u8; 3] = [8, 16, 18];
/// Values of gAMA that browsers show as sRGB, in 1/100,000: within 5 % of 1/2.2 (libpng, `PNG_GAMMA_THRESHOLD`).
const SRGB_LIKE_GAMMA: std::ops::RangeInclusive<u32> = 43_182..=47_727;
/// Bytes that a profile may inflate to.
const MAX_PROFILE: usize = 4 << 20;

/// What the samples mean. gAMA far from sRGB is not converted: without cHRM browsers disagree on it.
#[must_use]
pub fn color_space(chunks: &Chunks<'_>) -> ColorSpace {
    let known = |is_srgb: bool| if is_srgb { ColorSpace::Srgb } else { ColorSpace::Unknown };
    if let Some(transfer) = transfer(chunks) {
        return known(!BEYOND_SRGB.contains(&transfer));
    }
    let is_srgb = chunks.data(*b"sRGB").is_some();
    match profile(chunks) {
        Profile::None => known(is_srgb || gamma(chunks).is_none_or(|gamma| SRGB_LIKE_GAMMA.contains(&gamma))),
        Profile::TooLong => ColorSpace::Unknown,
        Profile::Icc(icc) => {
            let is_gray = chunks.header.color.is_gray();
            match ColorSpace::of_profile(Some(&icc), is_gray) {
                // Forbidden, and decoders disagree: a profile of colours of gray, or another one beside sRGB.
                ColorSpace::Converted(to_srgb) if is_srgb || to_srgb.is_gray() != is_gray => ColorSpace::Unknown,
                space => space,
            }
        }
    }
}

/// Whether two files say the same of their samples.
#[must_use]
pub fn are_same(a: &Chunks<'_>, b: &Chunks<'_>) -> bool {
    transfer(a) == transfer(b) && gamma(a) == gamma(b) && profile(a) == profile(b)
}

/// An embedded profile.
#[derive(PartialEq)]
enum Profile {
    None,
    /// As far as it inflates.
    Icc(Vec<u8>),
    TooLong,
}

fn profile(chunks: &Chunks<'_>) -> Profile {
    let Some(data) = chunks.data(*b"iCCP") else { return Profile::None };
    let name = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    // The byte behind the name is the compression method (PNG, 11.3.2.3).
    match decompress_to_vec_zlib_with_limit(data.get(name + 2..).unwrap_or_default(), MAX_PROFILE) {
        Ok(icc) => Profile::Icc(icc),
        Err(error) if error.status == TINFLStatus::HasMoreOutput => Profile::TooLong,
        Err(error) => Profile::Icc(error.output),
    }
}

fn transfer(chunks: &Chunks<'_>) -> Option<u8> {
    chunks.data(*b"cICP").and_then(|data| data.get(1).copied())
}

/// gAMA's value, in 1/100,000.
fn gamma(chunks: &Chunks<'_>) -> Option<u32> {
    chunks.data(*b"gAMA").and_then(|data| data.first_chunk()).map(|gamma| u32::from_be_bytes(*gamma))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimize::color::tests::icc_file::{self as icc, SRGB};
    use crate::optimize::color::tests::icc_file::{gamma, gray, linear, rgb, srgb_curve, tables};
    use crate::optimize::png::chunks::tests::file;

    /// Gray or red, green, blue.
    fn picture(color: u8, chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
        let header = [0, 0, 0, 8, 0, 0, 0, 9, 8, color, 0, 0, 0];
        file(&[&[(b"IHDR", &header[..])], chunks, &[(b"IDAT", b"pixels"), (b"IEND", b"")]].concat())
    }

    fn iccp(profile: &[u8]) -> Vec<u8> {
        [b"name\0\0", &miniz_oxide::deflate::compress_to_vec_zlib(profile, 6)[..]].concat()
    }

    fn told(color: u8, chunks: &[(&[u8; 4], &[u8])]) -> &'static str {
        match color_space(&Chunks::parse(&picture(color, chunks)).unwrap()) {
            ColorSpace::Srgb => "srgb",
            ColorSpace::Converted(_) => "converted",
            ColorSpace::Unknown => "unknown",
        }
    }

    #[test]
    fn chunks_count_by_their_precedence() {
        let (linear, near) = (iccp(&linear()), iccp(&rgb(&SRGB, &srgb_curve())));
        let (pq, p3): (&[u8], &[u8]) = (&[9, 16, 0, 1], &[12, 13, 0, 1]);
        let [far, neutral] = [100_000_u32, 45_455].map(u32::to_be_bytes);
        for (chunks, expected) in [
            (vec![], "srgb"),
            (vec![(b"iCCP", &linear[..])], "converted"),
            (vec![(b"iCCP", &near[..])], "srgb"),
            (vec![(b"cICP", pq), (b"iCCP", &near)], "unknown"),
            (vec![(b"cICP", p3), (b"iCCP", &linear)], "srgb"),
            (vec![(b"gAMA", &far[..]), (b"iCCP", &near)], "srgb"),
            (vec![(b"gAMA", &far), (b"iCCP", &linear)], "converted"),
            (vec![(b"gAMA", &far), (b"sRGB", &[0])], "srgb"),
            (vec![(b"gAMA", &far)], "unknown"),
            (vec![(b"gAMA", &neutral)], "srgb"),
            (vec![(b"sRGB", &[0]), (b"iCCP", &linear)], "unknown"),
        ] {
            assert_eq!(told(2, &chunks), expected, "{chunks:?}");
        }
    }

    #[test]
    fn a_profile_is_of_the_kind_that_the_pixels_are() {
        let [linear, gray] = [linear(), gray(&gamma(None))].map(|icc| iccp(&icc));
        assert_eq!(told(0, &[(b"iCCP", &gray)]), "converted");
        assert_eq!(told(2, &[(b"iCCP", &gray)]), "srgb");
        assert_eq!(told(0, &[(b"iCCP", &linear)]), "unknown");
        assert_eq!(told(2, &[(b"iCCP", &iccp(&tables()))]), "unknown");
    }

    #[test]
    fn damaged_profiles_are_ignored_and_bombs_unknown() {
        let whole = iccp(&linear());
        for broken in [&b""[..], b"name", b"name\0", b"name\0\0", b"name\0\0not zlib", &whole[..whole.len() / 2]] {
            assert_eq!(told(2, &[(b"iCCP", broken)]), "srgb");
        }
        // A wrong checksum of the stream loses nothing of the profile.
        let mut damaged = whole.clone();
        *damaged.last_mut().unwrap() ^= 1;
        assert_eq!(told(2, &[(b"iCCP", &damaged)]), "converted");
        let bomb = iccp(&vec![0; MAX_PROFILE + 1]);
        assert!(bomb.len() < 64 << 10);
        assert_eq!(told(2, &[(b"iCCP", &bomb)]), "unknown");
    }

    #[test]
    fn files_of_other_profiles_are_not_the_same() {
        let file = |icc: &[u8]| picture(2, &[(b"iCCP", &iccp(icc))]);
        let [linear, other, bare] = [file(&linear()), file(&rgb(&icc::ADOBE_RGB, &gamma(None))), picture(2, &[])];
        let same = |a: &[u8], b: &[u8]| are_same(&Chunks::parse(a).unwrap(), &Chunks::parse(b).unwrap());
        assert!(same(&linear, &linear) && !same(&linear, &other) && !same(&linear, &bare));
    }
}
