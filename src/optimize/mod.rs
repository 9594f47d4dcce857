//! The engine: bytes of an image in, fewer bytes out. Pure: no network, no files, no environment.
//!
//! [`optimize`] recompresses JPEG, PNG, WebP and GIF; [`score`] compares two files. [`Options`] hold the quality target, the
//! metadata policy and the limits; [`Budget`] bounds time and threads.
//!
//! A file, optimized to another target:
//!
//! ```
//! use karui::optimize::{Budget, Options, Outcome, Quality, optimize};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let source = std::fs::read("tests/fixtures/photo-444.jpg")?;
//! let options = Options { quality: Quality::Target(85.0), ..Options::default() };
//! if let Outcome::Optimized(file) = optimize(&source, &options, Budget::UNLIMITED)? {
//!     assert!(file.bytes.len() < source.len());
//!     assert!(file.score.is_some_and(|score| score >= 85.0));
//! # let path = std::env::temp_dir().join(format!("karui-{}.jpg", std::process::id()));
//!     std::fs::write(&path, file.bytes)?;
//! # std::fs::remove_file(path)?;
//! }
//! # Ok(())
//! # }
//! ```

#![warn(missing_docs)]

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
pub use options::{Effort, InvalidOption, MetadataPolicy, Options, Quality};
pub use outcome::{Check, Encoded, ImageInfo, MetadataState, Method, Outcome, Reason, Unchanged};
pub use picture::Fault;
pub use probe::{PROBE_BYTES, Probe, probe};
pub use quality::score::Score;

/// Makes an image smaller, within the promised quality, or says why it is best left as it is.
///
/// The first bytes decide the format. Bytes that are no image, or of a format that is not rewritten, are
/// [`Outcome::Unchanged`] and no error.
///
/// # Errors
/// [`ImageError`] if the image is malformed, over a limit, or breaks a codec. The source is then the best there is.
pub fn optimize(source: &[u8], options: &Options, budget: Budget) -> Result<Outcome, ImageError> {
    let format = Format::sniff(source);
    if let Some(answer) = decide_unread(format, source.len() as u64, &options.limits) {
        return answer.map(Outcome::Unchanged);
    }
    match format {
        Some(Format::Jpeg) => guarded(|| jpeg::optimize(source, options, budget)),
        Some(Format::Png) => guarded(|| png::optimize(source, options, budget)),
        Some(Format::Gif) => guarded(|| gif::optimize(source, options, budget)),
        Some(Format::WebP) => guarded(|| webp::optimize(source, options, budget)),
        _ => Ok(left_alone(Reason::FormatNotRewritten, None)),
    }
}

/// Decides about a file by its format and its length in bytes. `None` means that [`optimize`] has to read it.
///
/// # Errors
/// In the answer: [`ImageError::LimitExceeded`] if an image is longer than the limit.
#[must_use]
pub fn decide_unread(format: Option<Format>, length: u64, limits: &Limits) -> Option<Result<Unchanged, ImageError>> {
    let unchanged = |reason, info, metadata| Some(Ok(Unchanged { reason, info, metadata, budget_cut: false }));
    if length == 0 {
        return unchanged(Reason::Empty, None, MetadataState::Clean);
    }
    let Some(format) = format else { return unchanged(Reason::NotAnImage, None, MetadataState::Kept) };
    if !format.is_rewritten() {
        let info = ImageInfo { format, width: 0, height: 0 };
        return unchanged(Reason::FormatNotRewritten, Some(info), MetadataState::Kept);
    }
    Limits::check(Limit::Bytes, length, limits.bytes).err().map(Err)
}

/// Scores a JPEG, PNG or still WebP file against its source by SSIMULACRA2: the whole picture and its worst window. 100 is
/// identical.
///
/// Both files are turned upright and converted to sRGB. Transparency is scored over black and over white; the lower score
/// counts.
///
/// ```
/// # let source = include_bytes!("../../tests/fixtures/photo-444.jpg");
/// let score = karui::optimize::score(source, source)?;
/// assert!(score.whole > 99.9 && score.worst > Some(99.9));
/// # Ok::<(), karui::optimize::CompareError>(())
/// ```
///
/// # Errors
/// [`CompareError`] if either cannot be decoded, or they differ in size.
pub fn score(source: &[u8], distorted: &[u8]) -> Result<Score, CompareError> {
    Pair::decode(source, distorted)?.ssimulacra2()
}
