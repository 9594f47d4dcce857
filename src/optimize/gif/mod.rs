//! GIF: stripped, or coded anew without loss; the smaller wins. Every displayed frame stays as it is.
//!
//! Timing, loops, disposal and the number of frames are kept. What decoders show in different ways is at most stripped.

mod blocks;
mod canvas;
mod crop;
mod extension;
mod lzw;
mod palette;
mod proof;
mod rewrite;

use blocks::File;
use canvas::Canvas;

use super::candidate::{Candidate, choose};
use super::score::IDENTICAL;
use super::{Budget, Format, ImageError, ImageInfo, Limit, Limits, Method, Options, Outcome, Reason, left_alone};

/// Bytes of working memory per pixel of the canvas: two canvases with what they save, or one, a frame's indices, its
/// pixels, and these in the terms of two tables.
const BYTES_PER_PIXEL: u64 = 2 * Canvas::BYTES_PER_PIXEL + 4;
/// The LZW dictionary as a tree.
const DICTIONARY: u64 = 3 << 20;

/// Makes a GIF file lighter.
///
/// # Errors
/// [`ImageError`] where it is damaged or over a limit.
pub fn optimize(source: &[u8], options: &Options, budget: Budget) -> Result<Outcome, ImageError> {
    let mut file = File::parse(source)?;
    let info = ImageInfo { format: Format::Gif, width: file.screen.width.into(), height: file.screen.height.into() };
    if file.signed {
        return Ok(left_alone(Reason::Signed, Some(info)));
    }
    // Some writers end with more than one trailer, or pad.
    if file.trailing.iter().any(|byte| ![0, blocks::TRAILER].contains(byte)) {
        return Ok(left_alone(Reason::TrailingData, Some(info)));
    }
    check(&file, source.len(), &options.limits)?;

    let stripped = file.strip(options.metadata);
    let mut candidates = Vec::new();
    if !file.ambiguous {
        candidates.extend(lossless(source, &file, options, budget)?);
    }
    if stripped || !file.trailing.is_empty() {
        candidates.push(Candidate { bytes: file.splice(), method: Method::GifStrip, score: Some(IDENTICAL) });
    }
    Ok(choose(source.len(), candidates, stripped, info, options))
}

/// 100 for a GIF file that shows what the other one shows.
///
/// # Errors
/// [`ImageError::Malformed`] where either cannot be decoded, or they differ: GIF is never changed but without loss.
pub fn score(source: &[u8], distorted: &[u8]) -> Result<f64, ImageError> {
    let same = proof::are_same(source, distorted, Budget::UNLIMITED).map_err(|error| malformed(error.to_string()))?;
    if same { Ok(IDENTICAL) } else { Err(malformed("the two do not show the same frames")) }
}

/// None where the proof fails that it shows the same, or where there is no time for it.
fn lossless(
    source: &[u8],
    file: &File<'_>,
    options: &Options,
    budget: Budget,
) -> Result<Option<Candidate>, ImageError> {
    let Some(bytes) = rewrite::smaller(file, options.effort, budget)? else { return Ok(None) };
    if bytes.len() >= source.len() {
        return Ok(None);
    }
    let same = proof::are_same(source, &bytes, budget).unwrap_or(false);
    Ok(same.then_some(Candidate { bytes, method: Method::GifLossless, score: Some(IDENTICAL) }))
}

fn check(file: &File<'_>, bytes: usize, limits: &Limits) -> Result<(), ImageError> {
    let pixels = u64::from(file.screen.width) * u64::from(file.screen.height);
    let memory = (bytes as u64).saturating_mul(3).saturating_add(pixels.saturating_mul(BYTES_PER_PIXEL) + DICTIONARY);
    Limits::check(Limit::Pixels, pixels, limits.pixels)?;
    Limits::check(Limit::Frames, file.images().count() as u64, limits.frames.into())?;
    Limits::check(Limit::Memory, memory, limits.memory)
}

fn malformed(detail: impl Into<String>) -> ImageError {
    ImageError::malformed(Format::Gif, detail)
}
