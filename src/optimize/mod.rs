//! The engine: bytes of an image in, lighter bytes out. Pure: no network, no files, no environment.

pub mod budget;
pub mod error;
pub mod format;
pub mod limits;
pub mod options;
mod jpeg;
mod png;
mod score;
mod search;
pub mod outcome;

pub use budget::Budget;
pub use error::{ImageError, Limit};
pub use format::Format;
pub use limits::Limits;
pub use options::{Effort, MetadataPolicy, Options, Quality};
pub use outcome::{Encoded, ImageInfo, MetadataState, Method, Outcome, Reason, Unchanged};

/// Makes an image lighter, within the promised quality, or says why it is best left as it is.
///
/// # Errors
/// [`ImageError`] where the image is malformed, over a limit, or breaks a codec. The source is then the best there is.
pub fn optimize(source: &[u8], _options: &Options, _budget: Budget) -> Result<Outcome, ImageError> {
    let reason = if source.is_empty() { Reason::Empty } else { Reason::NotAnImage };
    Ok(Outcome::Unchanged(Unchanged { reason, info: None, metadata: MetadataState::Kept }))
}

/// The SSIMULACRA2 score of a JPEG or PNG file against its source, orientation not applied, alpha over black and over
/// white, the lower counts (100 = identical).
///
/// # Errors
/// [`ImageError::Malformed`] where either cannot be decoded, or they differ in size.
pub fn score(source: &[u8], distorted: &[u8]) -> Result<f64, ImageError> {
    if source == distorted {
        return Ok(100.0);
    }
    Err(ImageError::malformed(Format::Jpeg, "not scored yet"))
}
