//! PNG: stripped, packed better without loss, reduced to a palette, rounded to residuals of few values, or near colours
//! merged; the smallest that holds wins.

mod already_packed;
mod chunks;
mod classify;
mod color;
mod dead_zones;
mod indexed;
mod kept;
mod lab;
mod lattice;
mod lossy;
mod merge;
mod near_lossless;
mod pack;
mod pixels;
mod quantize;
mod residuals;
mod sample_tiles;
mod samples;
mod seen;
mod solid;
#[cfg(test)]
mod tests;
mod text;

use std::time::Duration;

use chunks::{Chunks, Color};
use classify::Classification;
use kept::Kept;
use lossy::{Aim, Coded, Lossy, Profile};
use pack::{Freedom, Known};

use super::candidate::{Candidate, Context, choose};
use super::color::ColorSpace;
use super::metadata::exif;
use super::outcome::left_alone;
use super::padding::is_anchored;
use super::picture::Pixels;
use super::picture::{Fault, Picture};
use super::probe::{self, Cost};
use super::quality::score as metric;
use super::{
    Budget, Check, Effort, Format, ImageError, ImageInfo, Limit, Limits, Method, Options, Outcome, Quality, Reason,
};

/// Palettes that are tried on a picture of so many pixels: more would cost seconds.
const MANY_TRIALS: (u64, usize) = (3_000_000, 4);
const SOME_TRIALS: (u64, usize) = (8_000_000, 3);
/// Above this many pixels a palette that holds is enough: packing without loss as well would cost seconds more.
const ONE_CANDIDATE_PIXELS: u64 = 8_000_000;
/// A lossy file of less than this much of the source is smaller than any lossless one, but for sources that were hardly
/// packed; and then it is small enough.
const LOSSLESS_FROM: f64 = 0.6;
/// Nanoseconds that packing a byte of uncompressed pixels without loss takes, and the proof; measured.
const THOROUGH_NANOS: u64 = 400;
const QUICK_NANOS: u64 = 150;

/// Optimizes a PNG file.
///
/// # Errors
/// [`ImageError`] where it is damaged or over a limit.
pub fn optimize(source: &[u8], options: &Options, budget: Budget) -> Result<Outcome, ImageError> {
    let chunks = Chunks::parse(source)?;
    let info = ImageInfo { format: Format::Png, width: chunks.header.width, height: chunks.header.height };
    if chunks.signed {
        return Ok(left_alone(Reason::Signed, Some(info)));
    }
    if is_anchored(chunks.tail) {
        return Ok(left_alone(Reason::TrailingData, Some(info)));
    }
    let cost = cost(&chunks, source.len());
    check(&chunks, cost, &options.limits)?;

    let kept = chunks.filter(options.metadata);
    let stripped = kept.splice();
    let picture = if is_looked_at(&chunks, cost, options) {
        decode(source)?
    } else {
        pixels::check(source).map_err(malformed)?;
        None
    };
    let known = picture.as_ref().map(|pixels| Known { pixels, traits: Classification::of(pixels) });
    let colors = color::color_space(&chunks);
    let lossy = match (known, aim(&chunks, &colors, &kept, cost, options)) {
        (Some(known), Some(aim)) => lossy::to_target(known, aim, budget).map_err(malformed)?,
        _ => lossy::NOTHING,
    };
    let Lossy { coded, mut budget_cut } = lossy;
    let mut candidates = Vec::new();
    let is_beyond = |bytes: usize| (bytes as f64) < stripped.len() as f64 * LOSSLESS_FROM;
    let may_win =
        coded.as_ref().is_none_or(|coded| !is_beyond(coded.bytes.len()) && cost.pixels <= ONE_CANDIDATE_PIXELS);
    let is_rounded = known.is_some_and(|known| known.traits.is_rounded);
    if may_win && !already_packed::is_packed(&chunks, raw_bytes(&chunks) as usize, is_rounded) {
        let is_affordable = |effort: &Effort| budget.allows(packing_time(&chunks, *effort));
        let affordable = [options.effort, Effort::Fast].into_iter().find(is_affordable);
        budget_cut |= affordable != Some(options.effort);
        if let Some(effort) = affordable {
            candidates.extend(packed(&stripped, &kept, raw_bytes(&chunks), known, effort)?);
        }
    }
    if let Some(Coded { bytes, method, score }) = coded {
        let (score, check) = (Some(score), Check::Whole);
        candidates.push(Candidate { bytes: kept.assemble(&bytes)?, method, score, check });
    }
    if kept.stripped || chunks.padded {
        candidates.push(Candidate::lossless(stripped, Method::PngStrip));
    }
    let context = Context { bytes: source.len(), info, stripped: kept.stripped, tail: chunks.tail, budget_cut };
    Ok(choose(context, candidates, options))
}

/// The picture as viewers show it.
///
/// # Errors
/// [`Fault`] where it is damaged or over a limit, animated, or beyond 8-bit sRGB.
pub fn picture(file: &[u8], limits: &Limits) -> Result<Picture, Fault> {
    let chunks = Chunks::parse(file)?;
    Limits::check(Limit::Pixels, cost(&chunks, file.len()).pixels, limits.pixels)?;
    if chunks.animation.is_some() {
        return Err(Fault::Unscorable("is an animated PNG"));
    }
    let colors = color::color_space(&chunks);
    if matches!(colors, ColorSpace::Unknown) {
        return Err(Fault::Unscorable("has a transfer function (PQ, HLG, linear) or profile that is not converted"));
    }
    let pixels = decode(file)?.ok_or(Fault::Unscorable("has more than 8 bits per sample"))?;
    let pixels = match colors {
        ColorSpace::Converted(to_srgb) => to_srgb.convert(pixels),
        ColorSpace::Srgb | ColorSpace::Unknown => pixels,
    };
    Ok(pixels.shown(orientation(&chunks)))
}

/// Whether two files decode to the same pixels, to the last of 16 bits and in every frame, of the same colour
/// space, and are turned alike.
///
/// # Errors
/// [`ImageError::Malformed`] where either cannot be decoded.
pub fn are_same(a: &[u8], b: &[u8]) -> Result<bool, ImageError> {
    let (chunks_a, chunks_b) = (Chunks::parse(a)?, Chunks::parse(b)?);
    let alike = orientation(&chunks_a) == orientation(&chunks_b) && color::are_same(&chunks_a, &chunks_b);
    Ok(alike && pixels::are_same(a, b).map_err(malformed)?)
}

/// The same pixels in fewer bytes; none where nothing is gained, or where the proof fails that they are the same.
fn packed(
    stripped: &[u8],
    kept: &Kept<'_>,
    raw: u64,
    known: Option<Known<'_>>,
    effort: Effort,
) -> Result<Option<Candidate>, ImageError> {
    let freedom = match kept {
        Kept { pinned: true, .. } => Freedom::Filters,
        kept if kept.has_colored_background() => Freedom::Colors,
        _ => Freedom::Everything,
    };
    let packed = pack::lossless(stripped, raw as usize, known, effort, freedom).map_err(malformed)?;
    let bytes = if kept.pinned { kept.with_pixels_of(&packed)? } else { Some(kept.assemble(&packed)?) };
    let Some(bytes) = bytes else { return Ok(None) };
    let same = pixels::are_same(stripped, &bytes).map_err(malformed)?;
    Ok(same.then(|| Candidate::lossless(bytes, Method::PngLossless)))
}

/// How many palettes may be tried.
fn trials(cost: Cost, effort: Effort) -> usize {
    match effort {
        Effort::Fast => 1,
        Effort::Default => [MANY_TRIALS, SOME_TRIALS].iter().find(|(most, _)| cost.pixels <= *most).map_or(2, |t| t.1),
    }
}

fn orientation(chunks: &Chunks<'_>) -> u8 {
    chunks.data(*b"eXIf").and_then(exif::orientation).unwrap_or(1)
}

/// Whether pixels are looked at: of a single picture, whose colours no palette names.
fn is_looked_at(chunks: &Chunks<'_>, cost: Cost, options: &Options) -> bool {
    let is_plain = chunks.header.color != Color::Indexed && chunks.animation.is_none();
    is_plain && cost.optional <= options.limits.memory
}

/// What to reach by changing pixels; `None` where they stay.
fn aim<'a>(
    chunks: &Chunks<'_>,
    colors: &'a ColorSpace,
    kept: &Kept<'_>,
    cost: Cost,
    options: &Options,
) -> Option<Aim<'a>> {
    let to_srgb = match colors {
        ColorSpace::Srgb => None,
        ColorSpace::Converted(to_srgb) => Some(to_srgb),
        ColorSpace::Unknown => return None,
    };
    let Quality::Target(target) = options.quality else { return None };
    let profile = match chunks.data(*b"iCCP") {
        // No gray picture could name its background.
        None if kept.has_colored_background() => Profile::Rgb,
        None => Profile::None,
        Some(_) if chunks.header.color.is_gray() => Profile::Gray,
        Some(_) => Profile::Rgb,
    };
    let (orientation, effort, trials) = (orientation(chunks), options.effort, trials(cost, options.effort));
    let target = target + metric::ROUNDING;
    (!kept.pinned).then_some(Aim { target, orientation, to_srgb, profile, effort, trials })
}

fn decode(file: &[u8]) -> Result<Option<Pixels>, ImageError> {
    pixels::decode(file).map_err(malformed)
}

fn malformed(detail: impl Into<String>) -> ImageError {
    ImageError::malformed(Format::Png, detail)
}

/// Cost of a file of `bytes`.
fn cost(chunks: &Chunks<'_>, bytes: usize) -> Cost {
    let header = chunks.header;
    Cost::png(header.width, header.height, header.bits_per_pixel(), bytes as u64)
}

/// Bytes of the uncompressed pixels.
fn raw_bytes(chunks: &Chunks<'_>) -> u64 {
    let header = chunks.header;
    probe::png_raw_bytes(header.width, header.height, header.bits_per_pixel())
}

/// Frames that the file states or holds, whichever are more.
fn frames(chunks: &Chunks<'_>) -> u64 {
    chunks.animation.map_or(1, |animation| animation.frames).max(chunks.frames).into()
}

/// Time that packing without loss takes.
fn packing_time(chunks: &Chunks<'_>, effort: Effort) -> Duration {
    let raw = raw_bytes(chunks);
    let is_thorough = effort == Effort::Default && raw <= pack::THOROUGH_BYTES as u64;
    let nanos = if is_thorough { THOROUGH_NANOS } else { QUICK_NANOS };
    Duration::from_nanos(raw.saturating_mul(frames(chunks)).saturating_mul(nanos))
}

fn check(chunks: &Chunks<'_>, cost: Cost, limits: &Limits) -> Result<(), ImageError> {
    Limits::check(Limit::Pixels, cost.pixels, limits.pixels)?;
    Limits::check(Limit::Frames, frames(chunks), limits.frames.into())?;
    Limits::check(Limit::Memory, cost.required, limits.memory)
}
