//! The engine: bytes of an image in, smaller bytes out. Pure: no network, no files, no environment.

mod candidate;
mod color;
mod compare;
mod gif;
mod jpeg;
mod metadata;
mod padding;
mod picture;
mod png;
mod probe;
mod quality;
mod webp;

pub mod budget;
pub mod error;
pub mod format;
pub mod limits;
pub mod options;
pub mod outcome;

use error::guarded;
use outcome::left_alone;

pub use budget::Budget;
#[cfg(feature = "cli")]
pub use compare::Butteraugli;
pub use compare::{CompareError, Pair, Side};
pub use error::{ImageError, Limit};
pub use format::Format;
pub use limits::Limits;
pub use options::{Effort, MetadataPolicy, Options, Quality};
pub use outcome::{Check, Encoded, ImageInfo, MetadataState, Method, Outcome, Reason, Unchanged};
pub use picture::Fault;
pub use probe::{PROBE_BYTES, Probe, probe};
pub use quality::score::Score;

/// Optimizes an image within the promised quality, or says why it stays unchanged.
///
/// # Errors
/// [`ImageError`] where the image is malformed, over a limit, or breaks a codec. The source is then the best there is.
pub fn optimize(source: &[u8], options: &Options, budget: Budget) -> Result<Outcome, ImageError> {
    if source.is_empty() {
        let empty = Unchanged { reason: Reason::Empty, info: None, metadata: MetadataState::Clean, budget_cut: false };
        return Ok(Outcome::Unchanged(empty));
    }
    let Some(format) = Format::sniff(source) else {
        return Ok(left_alone(Reason::NotAnImage, None));
    };
    let within_limits = || Limits::check(Limit::Bytes, source.len() as u64, options.limits.bytes);
    match format {
        Format::Jpeg => within_limits().and_then(|()| guarded(|| jpeg::optimize(source, options, budget))),
        Format::Png => within_limits().and_then(|()| guarded(|| png::optimize(source, options, budget))),
        Format::Gif => within_limits().and_then(|()| guarded(|| gif::optimize(source, options, budget))),
        Format::WebP => within_limits().and_then(|()| guarded(|| webp::optimize(source, options, budget))),
        Format::Avif
        | Format::Heic
        | Format::JpegXl
        | Format::Jpeg2000
        | Format::Tiff
        | Format::Bmp
        | Format::Ico
        | Format::Svg => {
            let info = ImageInfo { format, width: 0, height: 0 };
            Ok(left_alone(Reason::FormatNotRewritten, Some(info)))
        }
    }
}

/// The SSIMULACRA2 scores of a JPEG, PNG or still WebP file against its source, of the whole and of its worst window: both
/// turned upright, alpha over black and over white, of which the lower counts (100 = identical).
///
/// # Errors
/// [`CompareError`] where either cannot be decoded, or they differ in size.
pub fn score(source: &[u8], distorted: &[u8]) -> Result<Score, CompareError> {
    Pair::decode(source, distorted)?.ssimulacra2()
}
