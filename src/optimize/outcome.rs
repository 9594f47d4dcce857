//! What became of an image, in words a report can use.

use std::fmt;

use super::format::Format;

/// The engine's answer for one image.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// A smaller file that keeps the promise.
    Optimized(Encoded),
    /// The source is the best there is; nothing was written.
    Unchanged(Unchanged),
}

/// What the header says; known for recognized images only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageInfo {
    /// By the first bytes.
    pub format: Format,
    /// Pixels, as stored (orientation not applied); 0 if the format is only recognized.
    pub width: u32,
    /// Pixels, as stored; 0 if the format is only recognized.
    pub height: u32,
}

/// A new file.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoded {
    /// The file.
    pub bytes: Vec<u8>,
    /// Format and size, which are the source's.
    pub info: ImageInfo,
    /// How it was made.
    pub method: Method,
    /// SSIMULACRA2 against the source; `None` where it was not measured ([`Effort::Fast`](super::options::Effort)).
    pub score: Option<f64>,
    /// The lowest score of any window of 128 pixels that is not flat; `None` where the score is, or is that of a sample.
    pub worst: Option<f64>,
    /// How the score was come by.
    pub check: Check,
    /// What the metadata policy left in the file.
    pub metadata: MetadataState,
    /// Whether the time given ended the search early: with more, the file could be smaller.
    pub budget_cut: bool,
}

/// A source left as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unchanged {
    /// Why.
    pub reason: Reason,
    /// `None` if the bytes are no recognized image.
    pub info: Option<ImageInfo>,
    /// Whether the source may hold what the metadata policy removes.
    pub metadata: MetadataState,
    /// Whether the time given ended the search before anything was found.
    pub budget_cut: bool,
}

/// How a file's score was come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// Every pixel decodes as before.
    Lossless,
    /// The finished picture was compared with the whole source.
    Whole,
    /// Tiles of it were, and a margin kept: the score is what they predict.
    Sampled,
    /// It was not.
    None,
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lossless => "lossless",
            Self::Whole => "whole",
            Self::Sampled => "sampled",
            Self::None => "none",
        })
    }
}

/// How the new file was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Method {
    /// JPEG: metadata taken out, the coded image byte for byte.
    JpegStrip,
    /// JPEG: coefficients kept, entropy coding made anew (progressive, optimized).
    JpegTranscode,
    /// JPEG: coefficients quantized with coarser steps; chroma of a higher resolution halved where the score allows.
    JpegCoefficients,
    /// JPEG: encoded again by mozjpeg from the decoded planes, subsampling kept.
    JpegPixels,
    /// PNG: chunks taken out, the coded image byte for byte.
    PngStrip,
    /// PNG: same pixels, packed better by oxipng.
    PngLossless,
    /// PNG: palette by imagequant, packed by oxipng.
    PngQuantized,
    /// PNG: residuals of the Average filter rounded to few values, packed by oxipng.
    PngNearLossless,
    /// GIF: metadata taken out, the coded frames byte for byte.
    GifStrip,
    /// GIF: same frames on display, cropped and coded anew.
    GifLossless,
    /// WebP: metadata taken out, the coded image byte for byte.
    WebpStrip,
    /// WebP: same pixels, coded anew by libwebp.
    WebpLossless,
    /// WebP: coded anew by libwebp as VP8L, after it rounded what is not flat.
    WebpNearLossless,
    /// WebP: coded anew by libwebp as VP8, alpha exact.
    WebpLossy,
}

impl Method {
    /// Whether every pixel decodes as before.
    #[must_use]
    pub fn is_lossless(self) -> bool {
        match self {
            Self::JpegStrip
            | Self::JpegTranscode
            | Self::PngStrip
            | Self::PngLossless
            | Self::GifStrip
            | Self::GifLossless
            | Self::WebpStrip
            | Self::WebpLossless => true,
            Self::JpegCoefficients
            | Self::JpegPixels
            | Self::PngQuantized
            | Self::PngNearLossless
            | Self::WebpNearLossless
            | Self::WebpLossy => false,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::JpegStrip => "jpeg-strip",
            Self::JpegTranscode => "jpeg-transcode",
            Self::JpegCoefficients => "jpeg-coefficients",
            Self::JpegPixels => "jpeg-pixels",
            Self::PngStrip => "png-strip",
            Self::PngLossless => "png-lossless",
            Self::PngQuantized => "png-quantized",
            Self::PngNearLossless => "png-near-lossless",
            Self::GifStrip => "gif-strip",
            Self::GifLossless => "gif-lossless",
            Self::WebpStrip => "webp-strip",
            Self::WebpLossless => "webp-lossless",
            Self::WebpNearLossless => "webp-near-lossless",
            Self::WebpLossy => "webp-lossy",
        })
    }
}

/// Why the source was left as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// No bytes at all.
    Empty,
    /// No image format we recognize.
    NotAnImage,
    /// An image, of a format Karui does not rewrite.
    FormatNotRewritten,
    /// A coding that Karui does not rewrite: arithmetic, 12-bit, lossless, hierarchical JPEG; animated WebP.
    CodingNotRewritten,
    /// Nothing found that saves enough within the quality target.
    NoGain,
    /// Signed content (C2PA): any change would break the signature.
    Signed,
    /// Data of unknown meaning follows the image (an archive, a maker's own block): it would be lost or misplaced.
    TrailingData,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "empty",
            Self::NotAnImage => "not-an-image",
            Self::FormatNotRewritten => "format-not-rewritten",
            Self::CodingNotRewritten => "coding-not-rewritten",
            Self::NoGain => "no-gain",
            Self::Signed => "signed",
            Self::TrailingData => "trailing-data",
        })
    }
}

/// What the metadata policy left in the file that arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetadataState {
    /// The file holds nothing that the policy removes.
    Clean,
    /// Something was removed.
    Stripped,
    /// The file may hold what the policy would remove: it, or what follows its images, could not be rewritten.
    Kept,
}

impl fmt::Display for MetadataState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clean => "clean",
            Self::Stripped => "stripped",
            Self::Kept => "kept",
        })
    }
}

/// The outcome of a source that stays as it is, whatever metadata it holds.
pub(super) fn left_alone(reason: Reason, info: Option<ImageInfo>) -> Outcome {
    Outcome::Unchanged(Unchanged { reason, info, metadata: MetadataState::Kept, budget_cut: false })
}
