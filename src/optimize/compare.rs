//! One file beside another: how much of the picture the second has lost, whatever wrote it.
//!
//! Owns what is the same for all formats: which two pictures are compared, over which backgrounds, by which metric. Each
//! format's own module decodes its files to [`Picture`]s. Not for the search, which scores many candidates that are never
//! written: see `score`.

use std::fmt;

use super::error::{ImageError, Limit, guarded};
use super::format::Format;
use super::limits::Limits;
use super::picture::{Fault, Picture, Rgb};
use super::quality::score::{Score, judge};
use super::{gif, jpeg, png, webp};

/// Up to this many pixels Butteraugli runs over the whole picture, for 142 bytes a pixel; above that over strips of so many
/// rows, which does not change what it finds.
#[cfg(feature = "cli")]
const WHOLE_PIXELS: usize = 16_000_000;
#[cfg(feature = "cli")]
const STRIP_ROWS: u32 = 512;

/// Two files that can be compared.
#[derive(Debug, Clone)]
pub struct Pair {
    /// Reference and distorted picture over each background on which the two differ: none, one or two.
    views: Vec<(Rgb, Rgb)>,
}

/// Butteraugli's distances, of a display of 80 nits: 0 is identical; below 1 hardly anyone sees a difference.
#[cfg(feature = "cli")]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Butteraugli {
    /// Where the pictures differ most.
    pub max: f64,
    /// libjxl's 3-norm over all pixels.
    pub norm3: f64,
}

/// Why two files have no score.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// One of them cannot be looked at.
    #[error("the {side} file {fault}")]
    File {
        /// Which of the two.
        side: Side,
        /// What keeps it from being compared.
        fault: Fault,
    },
    /// Width and height, in pixels, upright.
    #[error("the reference is {}x{} pixels, the distorted picture {}x{}", reference.0, reference.1, distorted.0, distorted.1)]
    Sizes {
        /// Of the first file.
        reference: (usize, usize),
        /// Of the second file.
        distorted: (usize, usize),
    },
    /// The metric's own words.
    #[error("the pictures cannot be compared: {0}")]
    Metric(String),
}

/// Which of the two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The first: the original.
    Reference,
    /// The second: what an encoder made of it.
    Distorted,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reference => "reference",
            Self::Distorted => "distorted",
        })
    }
}

impl Pair {
    /// Decodes two JPEG, PNG or still WebP files, in any combination, each turned upright by its own EXIF
    /// orientation and converted to sRGB by its own colour profile.
    ///
    /// What has no score (CMYK, profiles of look-up tables, more than 8 bits per sample, PQ, animations) is taken where the two decode to the same
    /// samples.
    ///
    /// # Errors
    /// [`CompareError::File`] where one cannot be decoded or is over the default [`Limits`], [`CompareError::Sizes`]
    /// where the two differ in width or height.
    pub fn decode(reference: &[u8], distorted: &[u8]) -> Result<Self, CompareError> {
        let fault = |side| move |fault| CompareError::File { side, fault };
        let pictures = (picture(reference), picture(distorted));
        let unscorable = |picture: &Result<Picture, Fault>| matches!(picture, Err(Fault::Unscorable(_)));
        if (unscorable(&pictures.0) || unscorable(&pictures.1)) && are_same(reference, distorted) {
            return Ok(Self { views: Vec::new() });
        }
        Self::new(pictures.0.map_err(fault(Side::Reference))?, pictures.1.map_err(fault(Side::Distorted))?)
    }

    fn new(reference: Picture, distorted: Picture) -> Result<Self, CompareError> {
        let size = |picture: &Picture| (picture.over_black.width, picture.over_black.height);
        if size(&reference) != size(&distorted) {
            return Err(CompareError::Sizes { reference: size(&reference), distorted: size(&distorted) });
        }
        let over_white = match (reference.over_white, distorted.over_white) {
            (None, None) => None,
            (Some(reference), None) => Some((reference, distorted.over_black.clone())),
            (None, Some(distorted)) => Some((reference.over_black.clone(), distorted)),
            (Some(reference), Some(distorted)) => Some((reference, distorted)),
        };
        let views = std::iter::once((reference.over_black, distorted.over_black)).chain(over_white);
        Ok(Self { views: views.filter(|(reference, distorted)| reference != distorted).collect() })
    }

    /// The SSIMULACRA2 scores of the whole and of the worst window, over the background on which each is lower: 100 where
    /// the two are the same, 90 where a
    /// difference is hardly seen, below 0 for other pictures altogether.
    ///
    /// # Errors
    /// [`CompareError::Metric`] where a side is below 8 pixels.
    pub fn ssimulacra2(&self) -> Result<Score, CompareError> {
        let score =
            |(reference, distorted): &(Rgb, Rgb)| judge(reference, distorted, f64::INFINITY).ok_or_else(too_small);
        let scores: Result<Vec<_>, _> = self.views.iter().map(score).collect();
        Ok(scores?.into_iter().reduce(Score::min).unwrap_or(Score::IDENTICAL))
    }

    /// Butteraugli's distances over the background on which each is larger.
    ///
    /// # Errors
    /// [`CompareError::Metric`] where the metric gives up, as on a picture of fewer than 8 pixels each way.
    #[cfg(feature = "cli")]
    pub fn butteraugli(&self) -> Result<Butteraugli, CompareError> {
        self.views.iter().try_fold(Butteraugli { max: 0.0, norm3: 0.0 }, |worst, (reference, distorted)| {
            let distance = butteraugli(reference, distorted, reference.width * reference.height > WHOLE_PIXELS)?;
            Ok(Butteraugli { max: worst.max.max(distance.max), norm3: worst.norm3.max(distance.norm3) })
        })
    }
}

fn picture(file: &[u8]) -> Result<Picture, Fault> {
    let limits = Limits::default();
    Limits::check(Limit::Bytes, file.len() as u64, limits.bytes)?;
    match Format::sniff(file) {
        Some(Format::Jpeg) => guarded(|| jpeg::picture(file, &limits)),
        Some(Format::Png) => guarded(|| png::picture(file, &limits)),
        Some(Format::WebP) => guarded(|| webp::picture(file, &limits)),
        Some(Format::Gif) => Err(Fault::Unscorable("is a GIF")),
        Some(format) => Err(Fault::OtherFormat(format)),
        None => Err(Fault::NotAnImage),
    }
}

/// Whether two files of one format decode to the same samples; not where either cannot be decoded.
fn are_same(reference: &[u8], distorted: &[u8]) -> bool {
    let same: Result<bool, ImageError> = match (Format::sniff(reference), Format::sniff(distorted)) {
        (Some(Format::Jpeg), Some(Format::Jpeg)) => guarded(|| jpeg::are_same(reference, distorted)),
        (Some(Format::Png), Some(Format::Png)) => guarded(|| png::are_same(reference, distorted)),
        (Some(Format::WebP), Some(Format::WebP)) => guarded(|| webp::are_same(reference, distorted)),
        (Some(Format::Gif), Some(Format::Gif)) => guarded(|| gif::are_same(reference, distorted, &Limits::default())),
        _ => Ok(false),
    };
    same.unwrap_or(false)
}

fn too_small() -> CompareError {
    CompareError::Metric("SSIMULACRA2 needs 8 pixels each way".to_owned())
}

#[cfg(feature = "cli")]
fn butteraugli(reference: &Rgb, distorted: &Rgb, in_strips: bool) -> Result<Butteraugli, CompareError> {
    let params = butteraugli::ButteraugliParams::new();
    let result = measured(|| {
        let (reference, distorted) = (image(reference), image(distorted));
        let result = if in_strips {
            butteraugli::butteraugli_strip(reference, distorted, &params, STRIP_ROWS)
        } else {
            butteraugli::butteraugli(reference, distorted, &params)
        };
        result.map_err(|error| format!("Butteraugli: {error}"))
    })?;
    Ok(Butteraugli { max: result.score, norm3: result.pnorm_3 })
}

#[cfg(feature = "cli")]
fn image(picture: &Rgb) -> butteraugli::ImgRef<'_, butteraugli::RGB8> {
    butteraugli::Img::new(rgb::FromSlice::as_rgb(picture.samples.as_slice()), picture.width, picture.height)
}

/// Runs a metric; one that panics has refused as well.
#[cfg(feature = "cli")]
fn measured<T>(metric: impl FnOnce() -> Result<T, String>) -> Result<T, CompareError> {
    let result = guarded(|| Ok::<_, ImageError>(metric())).map_err(|panic| CompareError::Metric(panic.to_string()))?;
    result.map_err(CompareError::Metric)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CMYK: &[u8] = include_bytes!("../../tests/fixtures/cmyk.jpg");
    const GRAY: &[u8] = include_bytes!("../../tests/fixtures/gray.jpg");
    const DEEP: &[u8] = include_bytes!("../../tests/fixtures/sixteen-bit.png");
    const ROTATED: &[u8] = include_bytes!("../../tests/fixtures/photo-rotated.jpg");

    fn waves(width: usize, height: usize, noise: u8) -> Rgb {
        let sample = |i: usize| {
            let smooth = 128.0 + 100.0 * ((i / 3 % width) as f64 / 9.0).sin() * ((i / 3 / width) as f64 / 40.0).cos();
            (smooth as u8).saturating_add(if (i * 2_654_435_761) >> 7 & 1 == 1 { noise } else { 0 })
        };
        Rgb { width, height, samples: (0..width * height * 3).map(sample).collect() }
    }

    fn opaque(picture: Rgb) -> Picture {
        Picture { over_black: picture, over_white: None }
    }

    fn score(reference: Picture, distorted: Picture) -> f64 {
        Pair::new(reference, distorted).unwrap().ssimulacra2().unwrap().whole
    }

    #[test]
    fn the_same_picture_has_nothing_to_measure() {
        let pair = Pair::new(opaque(waves(64, 48, 0)), opaque(waves(64, 48, 0))).unwrap();
        assert!(pair.views.is_empty());
        assert!(pair.ssimulacra2().unwrap() == Score::IDENTICAL);
    }

    #[test]
    fn the_lower_score_of_both_backgrounds_counts_whichever_it_is() {
        let (clean, little, much) = (waves(64, 48, 0), waves(64, 48, 4), waves(64, 48, 30));
        let over_both = |over_black: &Rgb, over_white: &Rgb| Picture {
            over_black: over_black.clone(),
            over_white: Some(over_white.clone()),
        };
        let worst = score(opaque(clean.clone()), opaque(much.clone()));
        assert!(worst < score(opaque(clean.clone()), opaque(little.clone())));
        for distorted in [over_both(&little, &much), over_both(&much, &little), over_both(&clean, &much)] {
            let same = (score(opaque(clean.clone()), distorted.clone()) - worst).abs() < f64::EPSILON;
            assert!(same && (score(over_both(&clean, &clean), distorted) - worst).abs() < f64::EPSILON);
        }
    }

    #[test]
    fn other_dimensions_are_refused_with_both() {
        let error = Pair::new(opaque(waves(64, 48, 0)), opaque(waves(48, 64, 0))).unwrap_err();
        assert_eq!(error, CompareError::Sizes { reference: (64, 48), distorted: (48, 64) });
        assert_eq!(error.to_string(), "the reference is 64x48 pixels, the distorted picture 48x64");
    }

    #[test]
    #[cfg(feature = "cli")]
    fn strips_do_not_change_butteraugli() {
        let (reference, distorted) = (waves(120, 1400, 0), waves(120, 1400, 9));
        let whole = butteraugli(&reference, &distorted, false).unwrap();
        let strips = butteraugli(&reference, &distorted, true).unwrap();
        assert!(whole.max > whole.norm3 && whole.norm3 > 0.1, "{whole:?}");
        assert!((whole.max - strips.max).abs() < 1e-4 && (whole.norm3 - strips.norm3).abs() < 1e-4, "{strips:?}");
    }

    #[test]
    fn what_has_no_score_may_still_be_the_same() {
        for file in [CMYK, DEEP] {
            assert!(Pair::decode(file, file).unwrap().views.is_empty());
        }
        let at_fault = |a, b| match Pair::decode(a, b).unwrap_err() {
            CompareError::File { side, fault: Fault::Unscorable(_) } => side,
            other => panic!("{other}"),
        };
        assert_eq!([at_fault(CMYK, GRAY), at_fault(GRAY, CMYK)], [Side::Reference, Side::Distorted]);
        assert_eq!([at_fault(DEEP, GRAY), at_fault(GRAY, DEEP)], [Side::Reference, Side::Distorted]);
        let mut finer = png_of_sixteen_bits(40_000);
        assert!(Pair::decode(&finer, &finer).unwrap().views.is_empty());
        assert_eq!(at_fault(&finer, &png_of_sixteen_bits(40_001)), Side::Reference);
        finer.truncate(finer.len() - 20);
        assert!(matches!(Pair::decode(&finer, &finer), Err(CompareError::File { fault: Fault::Image(_), .. })));
    }

    #[test]
    fn each_file_is_turned_by_its_own_tag() {
        // Tag 274, SHORT, one value (Exif 2.32, 4.6.4).
        let entry = [0x12, 0x01, 3, 0, 1, 0, 0, 0, 6];
        let at = ROTATED.windows(entry.len()).position(|bytes| bytes == entry).unwrap() + entry.len() - 1;
        let turned = |orientation| [&ROTATED[..at], &[orientation], &ROTATED[at + 1..]].concat();
        assert!(Pair::decode(ROTATED, &turned(6)).unwrap().views.is_empty());
        assert!(Pair::decode(ROTATED, &turned(8)).unwrap().ssimulacra2().unwrap().whole < 20.0);
        let sizes = CompareError::Sizes { reference: (400, 512), distorted: (512, 400) };
        assert_eq!(Pair::decode(ROTATED, &turned(1)).unwrap_err(), sizes);
    }

    /// 16 × 16 pixels of one gray.
    fn png_of_sixteen_bits(level: u16) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = ::png::Encoder::new(&mut file, 16, 16);
        encoder.set_color(::png::ColorType::Grayscale);
        encoder.set_depth(::png::BitDepth::Sixteen);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(&[level.to_be_bytes(); 256].concat()).unwrap();
        writer.finish().unwrap();
        file
    }
}
