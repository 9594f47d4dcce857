//! JPEG: stripped, transcoded losslessly, or recompressed in the coefficient domain, and where there is no recipe for
//! that, in the pixel domain; the smallest that holds wins.

mod about;
mod already_optimized;
mod dct;
mod file;
mod ground;
mod insets;
mod levels;
mod libjpeg;
mod lossy;
mod orientation;
mod pixels;
mod range;
mod recompress;
mod refine;
mod sample;
mod scan_script;
mod target;

use about::About;
use dct::coefficients::Blocks;
use file::filter::Kept;
use file::jpeg_file::JpegFile;
use file::segments::{Process, Segments};
use libjpeg::{Coded, Fault, Script};
use lossy::Lossy;

use super::candidate::{Candidate, Context, choose, unstripped};
use super::color::ColorSpace;
use super::outcome::left_alone;
use super::picture::{self, Picture};
use super::probe::Cost;
use super::{
    Budget, Effort, Encoded, Format, ImageError, ImageInfo, Limit, Limits, MetadataState, Method, Options, Outcome,
    Quality, Reason, Unchanged,
};

/// Optimizes a JPEG file.
///
/// # Errors
/// [`ImageError`] where it is damaged or over a limit: any warning of libjpeg counts as damage.
pub fn optimize(source: &[u8], options: &Options, budget: Budget) -> Result<Outcome, ImageError> {
    let file = JpegFile::parse(source)?;
    let segments = &file.image;
    let frame = &segments.frame;
    let info = ImageInfo { format: Format::Jpeg, width: frame.width.into(), height: frame.height.into() };
    if segments.signed {
        return Ok(left_alone(Reason::Signed, Some(info)));
    }
    let cost = cost(segments, source.len());
    check_size(segments, cost, &options.limits)?;
    Limits::check(Limit::Memory, cost.required, options.limits.memory)?;

    if file.is_pinned(options.metadata) {
        if is_decodable(segments) {
            // Proves that the image is whole: a damaged file is reported as such.
            read(source, options.limits.scans)?;
        }
        return Ok(left_alone(Reason::TrailingData, Some(info)));
    }
    let kept = file.filter(options.metadata);
    let (stripped, tail) = (kept.stripped, kept.rest.bytes());
    let mut context = Context { bytes: source.len(), info, stripped, tail, budget_cut: false };
    let mut candidates = Vec::new();
    if stripped {
        candidates.push(Candidate::lossless(segments.splice(&kept)?, Method::JpegStrip));
    }
    if is_decodable(segments) {
        let (recoded, cut) = recode(source, segments, &kept, cost, options, budget)?;
        candidates.extend(recoded);
        context.budget_cut = cut;
    } else if !stripped {
        let is_clean = tail.is_empty() && !kept.is_opaque;
        let metadata = if is_clean { unstripped(options.metadata) } else { MetadataState::Kept };
        let reason = Reason::CodingNotRewritten;
        return Ok(Outcome::Unchanged(Unchanged { reason, info: Some(info), metadata, budget_cut: false }));
    }
    let mut outcome = choose(context, candidates, options);
    match &mut outcome {
        // Nothing is known that breaks it, but a gain map or a video lost would be found out late.
        Outcome::Optimized(encoded) if !kept.is_found_in(&encoded.bytes) => {
            return Ok(left_alone(Reason::TrailingData, Some(info)));
        }
        Outcome::Optimized(Encoded { metadata, .. }) | Outcome::Unchanged(Unchanged { metadata, .. }) => {
            if kept.is_opaque {
                *metadata = MetadataState::Kept;
            }
        }
    }
    Ok(outcome)
}

/// The picture as viewers show it, decoded as libjpeg-turbo does by default.
///
/// # Errors
/// [`picture::Fault`] where it is damaged or over a limit, is CMYK, or coded as libjpeg does not decode.
pub fn picture(file: &[u8], limits: &Limits) -> Result<Picture, picture::Fault> {
    let segments = Segments::parse(file)?;
    check_size(&segments, cost(&segments, file.len()), limits)?;
    if !is_decodable(&segments) {
        return Err(picture::Fault::Unscorable("is an arithmetic-coded, lossless or 12-bit JPEG"));
    }
    match segments.frame.components.len() {
        1 | 3 => {}
        4 => return Err(picture::Fault::Unscorable("is a CMYK JPEG")),
        _ => return Err(picture::Fault::Unscorable("is a JPEG of unknown colours")),
    }
    let mut picture = libjpeg::decode_rgb(file, limits.scans).map_err(|fault| refused(fault, limits.scans))?;
    match color_space(&segments) {
        ColorSpace::Srgb => {}
        ColorSpace::Converted(to_srgb) => to_srgb.picture(&mut picture),
        ColorSpace::Unknown => return Err(picture::Fault::Unscorable("has a colour profile that is not converted")),
    }
    Ok(Picture { over_black: picture.upright(segments.orientation()), over_white: None })
}

/// Whether two files decode to the same components, of the same profile, and are turned alike; CMYK files included.
///
/// # Errors
/// [`ImageError::Malformed`] where either cannot be decoded.
pub fn are_same(a: &[u8], b: &[u8]) -> Result<bool, ImageError> {
    let planes = |file| {
        libjpeg::decode_planes(file, u32::MAX).map_err(|fault| ImageError::malformed(Format::Jpeg, fault.to_string()))
    };
    let (a_parts, b_parts) = (Segments::parse(a)?, Segments::parse(b)?);
    let alike = a_parts.orientation() == b_parts.orientation() && a_parts.icc_profile() == b_parts.icc_profile();
    Ok(alike && planes(a)? == planes(b)?)
}

fn color_space(segments: &Segments<'_>) -> ColorSpace {
    ColorSpace::of_profile(segments.icc_profile().as_deref(), segments.frame.components.len() == 1)
}

/// A lossy file that keeps more of the coded image than this is measured against a lossless one; what keeps less is
/// smaller than any, since its coefficients are the same or smaller.
const TRANSCODE_FROM: f64 = 0.85;

/// The candidates that code the image anew, and whether time ended the search for them early.
fn recode(
    source: &[u8],
    segments: &Segments<'_>,
    kept: &Kept<'_>,
    cost: Cost,
    options: &Options,
    budget: Budget,
) -> Result<(Vec<Candidate>, bool), ImageError> {
    let max_scans = options.limits.scans;
    let coded = read(source, max_scans)?;
    let bytes = segments.coded_bytes();
    let colors = color_space(segments);
    let to_srgb = match &colors {
        ColorSpace::Converted(to_srgb) => Some(to_srgb),
        ColorSpace::Srgb | ColorSpace::Unknown => None,
    };
    let about = About { file: source, max_scans, bytes, orientation: segments.orientation(), to_srgb };
    let is_guess_far = options.effort == Effort::Fast && to_srgb.is_some_and(|to_srgb| to_srgb.is_far());
    let is_lossy = coded.layout().model.has_score()
        && !matches!(colors, ColorSpace::Unknown)
        && !is_guess_far
        && cost.optional <= options.limits.memory
        && !coded.is_incomplete()
        && range::is_sound(&coded)
        && !already_optimized::is_own_output(segments, coded.layout());
    let (lossy, coded) = match options.quality {
        Quality::Target(target) if is_lossy => {
            let lossy = match options.effort {
                Effort::Fast => lossy::once(coded, about, target),
                Effort::Default => lossy::to_target(coded, about, target, budget),
            };
            (lossy.map_err(|fault| refused(fault, max_scans))?, None)
        }
        Quality::Target(_) | Quality::Lossless => (Lossy::NOTHING, Some(coded)),
    };
    let mut candidates = Vec::new();
    let is_small = |c: &Candidate| (c.bytes.len() as f64) < bytes as f64 * TRANSCODE_FROM;
    if !lossy.candidate.as_ref().is_some_and(is_small) {
        let coded = coded.map_or_else(|| read(source, max_scans), Ok)?;
        let transcoded = transcode(coded).map(|bytes| Candidate::lossless(bytes, Method::JpegTranscode));
        candidates.extend(transcoded);
    }
    candidates.extend(lossy.candidate);
    for candidate in &mut candidates {
        candidate.bytes = file::splice::assemble(&candidate.bytes, kept)?;
    }
    Ok((candidates, lossy.budget_cut))
}

fn read(source: &[u8], max_scans: u32) -> Result<Coded<'_>, ImageError> {
    Coded::read(source, max_scans).map_err(|fault| refused(fault, max_scans))
}

fn refused(fault: Fault, max_scans: u32) -> ImageError {
    let max = max_scans.into();
    match fault {
        // libjpeg's words for a file that ends too early (jerror.h, JWRN_JPEG_EOF).
        Fault::Codec(message) if message.starts_with("Premature end") => ImageError::truncated(Format::Jpeg, message),
        Fault::Codec(message) => ImageError::malformed(Format::Jpeg, message),
        Fault::Scans => ImageError::LimitExceeded { limit: Limit::Scans, value: max, max },
    }
}

/// The same coefficients coded anew; `None` where libjpeg cannot write them, or, which should never be, not the same.
fn transcode(source: Coded<'_>) -> Option<Vec<u8>> {
    let written = source.transcode(Script::Recommended).ok()?;
    drop(source);
    written.proven().ok()
}

/// Whether mozjpeg can decode it: 8-bit Huffman-coded DCT.
fn is_decodable(segments: &Segments<'_>) -> bool {
    let frame = &segments.frame;
    let dct = matches!(frame.process, Process::Baseline | Process::Extended | Process::Progressive);
    dct && frame.precision == 8 && !frame.arithmetic
}

/// Cost of a file of `bytes`. What follows the image counts with the source, and with the result: no candidate holds a
/// copy.
fn cost(segments: &Segments<'_>, bytes: usize) -> Cost {
    let frame = &segments.frame;
    let sampling: Vec<_> = frame.components.iter().map(|component| (component.h, component.v)).collect();
    // An extended XMP packet is held as it is and as it is written.
    let bytes = bytes as u64 + segments.extended_bytes();
    Cost::jpeg(frame.width.into(), frame.height.into(), &sampling, bytes)
}

fn check_size(segments: &Segments<'_>, cost: Cost, limits: &Limits) -> Result<(), ImageError> {
    Limits::check(Limit::Pixels, cost.pixels, limits.pixels)?;
    Limits::check(Limit::Scans, segments.scans as u64, limits.scans.into())
}

#[cfg(test)]
mod tests;
