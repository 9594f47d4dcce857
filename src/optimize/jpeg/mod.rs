//! JPEG: stripped, transcoded losslessly, or recompressed in the coefficient domain, and where there is no recipe for
//! that, in the pixel domain; the smallest that holds wins.

mod coefficients;
mod dct;
mod halve;
mod libjpeg;
mod lossy;
mod mosaic;
mod mpf;
mod own;
mod pixels;
mod recompress;
mod requantize;
mod scans;
mod segments;
mod splice;
mod tables;
mod target;

use coefficients::Coefficients;
use libjpeg::Fault;
use segments::{Process, Segments, Trailing};
use splice::Kept;
use target::Aim;

use super::candidate::{Candidate, choose};
use super::compare::{self, Picture};
use super::score as metric;
use super::{
    Budget, Effort, Encoded, Format, ImageError, ImageInfo, Limit, Limits, MetadataState, Method, Options, Outcome,
    Quality, Reason, left_alone,
};

/// Bytes of working memory per sample: its coefficient in the source, and in the file that is written or proven.
const LOSSLESS_BYTES_PER_SAMPLE: u64 = 4;
/// Beside the metric: its coefficient, and at half the resolution each way once more as a float.
const LOSSY_BYTES_PER_SAMPLE: u64 = 3;

/// Makes a JPEG file lighter.
///
/// # Errors
/// [`ImageError`] where it is damaged or over a limit: any warning of libjpeg counts as damage.
pub fn optimize(source: &[u8], options: &Options, budget: Budget) -> Result<Outcome, ImageError> {
    let segments = Segments::parse(source)?;
    let frame = &segments.frame;
    let info = ImageInfo { format: Format::Jpeg, width: frame.width.into(), height: frame.height.into() };
    if segments.signed {
        return Ok(left_alone(Reason::Signed, Some(info)));
    }
    let cost = Cost::of(&segments, source.len());
    cost.check(&options.limits)?;

    let kept = segments.filter(options.metadata);
    if let Trailing::Other(rest) = segments.trailing {
        if is_decodable(&segments) {
            // Proves that the image is whole: a damaged file is left alone.
            read(source, options.limits.scans)?;
        }
        return before_unknown_data(&segments, &kept, rest, info);
    }
    let mut candidates = Vec::new();
    if kept.stripped {
        candidates.push(Candidate {
            bytes: segments.splice(&kept)?,
            method: Method::JpegStrip,
            score: Some(metric::IDENTICAL),
        });
    }
    if is_decodable(&segments) {
        candidates.extend(recode(source, &segments, &kept, &cost, options, budget)?);
    } else if !kept.stripped {
        return Ok(left_alone(Reason::CodingNotRewritten, Some(info)));
    }
    Ok(choose(source.len(), candidates, kept.stripped, info, options))
}

/// What follows the image is not understood: a Motion Photo's video, a maker's own block. It stays as it is, behind the
/// same coded image; only the header's metadata goes, and what stays may hold more of it. Where an index points into
/// that data nothing is touched.
fn before_unknown_data(
    segments: &Segments<'_>,
    kept: &Kept<'_>,
    rest: &[u8],
    info: ImageInfo,
) -> Result<Outcome, ImageError> {
    if !kept.stripped || segments.has_index() {
        return Ok(left_alone(Reason::TrailingData, Some(info)));
    }
    let bytes = [&segments.splice(kept)?, rest].concat();
    let (method, score, metadata) = (Method::JpegStrip, Some(metric::IDENTICAL), MetadataState::Kept);
    Ok(Outcome::Optimized(Encoded { bytes, info, method, score, metadata }))
}

/// The picture as viewers show it, decoded as libjpeg-turbo does by default.
///
/// # Errors
/// [`compare::Fault`] where it is damaged or over a limit, is CMYK, or coded as libjpeg does not decode.
pub fn picture(file: &[u8], limits: &Limits) -> Result<Picture, compare::Fault> {
    let segments = Segments::parse(file)?;
    Cost::of(&segments, file.len()).check_size(limits)?;
    if !is_decodable(&segments) {
        return Err(compare::Fault::Unscorable("is an arithmetic-coded, lossless or 12-bit JPEG"));
    }
    match segments.frame.components.len() {
        1 | 3 => {}
        4 => return Err(compare::Fault::Unscorable("is a CMYK JPEG")),
        _ => return Err(compare::Fault::Unscorable("is a JPEG of unknown colours")),
    }
    let picture = libjpeg::decode_rgb(file, limits.scans).map_err(|fault| refused(fault, limits.scans))?;
    Ok(Picture { over_black: picture.upright(segments.orientation()), over_white: None })
}

/// Whether two files decode to the same components and are turned alike, CMYK files included.
///
/// # Errors
/// [`ImageError::Malformed`] where either cannot be decoded.
pub fn are_same(a: &[u8], b: &[u8]) -> Result<bool, ImageError> {
    let planes = |file| {
        libjpeg::decode_planes(file, u32::MAX).map_err(|fault| ImageError::malformed(Format::Jpeg, fault.to_string()))
    };
    let orientation = |file| Ok::<_, ImageError>(Segments::parse(file)?.orientation());
    Ok(orientation(a)? == orientation(b)? && planes(a)? == planes(b)?)
}

/// The candidates that code the image anew.
fn recode(
    source: &[u8],
    segments: &Segments<'_>,
    kept: &Kept<'_>,
    cost: &Cost,
    options: &Options,
    budget: Budget,
) -> Result<Vec<Candidate>, ImageError> {
    let max_scans = options.limits.scans;
    let coefficients = read(source, max_scans)?;
    let transcoded = transcode(&coefficients);
    let mut candidates = Vec::new();
    if let Some(bytes) = &transcoded {
        let bytes = splice::assemble(bytes, kept)?;
        candidates.push(Candidate { bytes, method: Method::JpegTranscode, score: Some(metric::IDENTICAL) });
    }
    let Quality::Target(target) = options.quality else { return Ok(candidates) };
    let layout = &coefficients.layout;
    if !layout.model.has_score() || cost.lossy > options.limits.memory || own::is_own_output(segments, layout) {
        return Ok(candidates);
    }
    let aim = Aim { target, ceiling: transcoded.map_or(source.len(), |bytes| bytes.len()) };
    let source = lossy::Source {
        file: source,
        coefficients: &coefficients,
        max_scans,
        bytes: aim.ceiling,
        orientation: segments.orientation(),
    };
    let encoded = match options.effort {
        Effort::Fast => lossy::once(source, target).map(Some),
        Effort::Default => lossy::to_target(source, aim, budget),
    };
    if let Some((method, encoded)) = encoded.map_err(|fault| refused(fault, max_scans))? {
        let bytes = splice::assemble(&encoded.bytes, kept)?;
        candidates.push(Candidate { bytes, method, score: encoded.score });
    }
    Ok(candidates)
}

fn read(source: &[u8], max_scans: u32) -> Result<Coefficients, ImageError> {
    libjpeg::read_coefficients(source, max_scans).map_err(|fault| refused(fault, max_scans))
}

fn refused(fault: Fault, max_scans: u32) -> ImageError {
    let max = max_scans.into();
    match fault {
        Fault::Codec(message) => ImageError::malformed(Format::Jpeg, message),
        Fault::Scans => ImageError::LimitExceeded { limit: Limit::Scans, value: max, max },
    }
}

/// The same coefficients coded anew; `None` where libjpeg cannot write them, or, which should never be, not the same.
fn transcode(source: &Coefficients) -> Option<Vec<u8>> {
    let bytes = recompress::transcode(source).ok()?;
    let same = libjpeg::has_coefficients(&bytes, source).unwrap_or(false);
    same.then_some(bytes)
}

/// Whether mozjpeg can decode it: 8-bit Huffman-coded DCT.
fn is_decodable(segments: &Segments<'_>) -> bool {
    let frame = &segments.frame;
    let dct = matches!(frame.process, Process::Baseline | Process::Extended | Process::Progressive);
    dct && frame.precision == 8 && !frame.arithmetic
}

/// What an image asks for, from its header.
struct Cost {
    pixels: u64,
    scans: u64,
    /// Bytes of working memory.
    lossless: u64,
    lossy: u64,
}

impl Cost {
    fn of(segments: &Segments<'_>, bytes: usize) -> Self {
        let frame = &segments.frame;
        let pixels = u64::from(frame.width) * u64::from(frame.height);
        let largest = |of: fn(&segments::Component) -> u8| frame.components.iter().map(of).max().unwrap_or(1).max(1);
        let (max_h, max_v) = (largest(|c| c.h), largest(|c| c.v));
        // In units of 1/(max_h · max_v) of a full-size component.
        let shares: u64 = frame.components.iter().map(|c| u64::from(c.h) * u64::from(c.v)).sum();
        let samples = (pixels * shares).div_ceil(u64::from(max_h) * u64::from(max_v));
        let bytes = bytes as u64;
        Self {
            pixels,
            scans: segments.scans as u64,
            lossless: 2 * bytes + LOSSLESS_BYTES_PER_SAMPLE * samples,
            lossy: 3 * bytes + LOSSY_BYTES_PER_SAMPLE * samples + metric::memory(pixels),
        }
    }

    fn check(&self, limits: &Limits) -> Result<(), ImageError> {
        self.check_size(limits)?;
        Limits::check(Limit::Memory, self.lossless, limits.memory)
    }

    fn check_size(&self, limits: &Limits) -> Result<(), ImageError> {
        Limits::check(Limit::Pixels, self.pixels, limits.pixels)?;
        Limits::check(Limit::Scans, self.scans, limits.scans.into())
    }
}
