//! What the caller wants: quality target, metadata policy, effort, smallest worthwhile saving.

use std::fmt;
use std::str::FromStr;

use super::limits::Limits;

/// Everything [`optimize`](super::optimize()) is told about an image besides its bytes.
///
/// Fields may be added: write `Options { quality, ..Options::default() }`.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// The perceptual floor of every file written.
    pub quality: Quality,
    /// What is removed from the file's metadata.
    pub metadata: MetadataPolicy,
    /// How much work the search for the smallest file may cost.
    pub effort: Effort,
    /// Percent of the source's bytes that must be saved for a new file to be worth storing.
    pub min_savings: f64,
    /// What is refused before any pixel is decoded.
    pub limits: Limits,
}

impl Options {
    /// Percent of the source's bytes; documented with `KARUI_MIN_SAVINGS`.
    pub const DEFAULT_MIN_SAVINGS: f64 = 2.0;
}

/// Error of a text that is no value of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("want {want}")]
pub struct InvalidOption {
    want: &'static str,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            quality: Quality::DEFAULT,
            metadata: MetadataPolicy::Safe,
            effort: Effort::Default,
            min_savings: Self::DEFAULT_MIN_SAVINGS,
            limits: Limits::default(),
        }
    }
}

/// A promise about how much the result looks like its source.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Quality {
    /// Every pixel stays as it is.
    Lossless,
    /// A SSIMULACRA2 score that no written file falls below (100 = identical).
    Target(f64),
}

/// SSIMULACRA2's own scale: <https://github.com/cloudinary/ssimulacra2#usage>.
const NAMED_TARGETS: [(&str, f64); 4] =
    [("medium", 50.0), ("high", 70.0), ("very-high", 80.0), ("visually-lossless", 90.0)];

impl Quality {
    /// The default target, between SSIMULACRA2's "high" and "very high".
    pub const DEFAULT: Self = Self::Target(75.0);
    /// Below 30 SSIMULACRA2 speaks of "low quality": never what a floor is for.
    pub const LOWEST_TARGET: f64 = 30.0;
}

impl FromStr for Quality {
    type Err = InvalidOption;

    fn from_str(text: &str) -> Result<Self, InvalidOption> {
        if text == "lossless" {
            return Ok(Self::Lossless);
        }
        if let Some((_, target)) = NAMED_TARGETS.iter().find(|(name, _)| *name == text) {
            return Ok(Self::Target(*target));
        }
        match text.parse::<f64>() {
            Ok(target) if (Self::LOWEST_TARGET..=100.0).contains(&target) => Ok(Self::Target(target)),
            _ => Err(InvalidOption {
                want: "a score from 30 to 100 or one of medium, high, very-high, visually-lossless, lossless",
            }),
        }
    }
}

impl fmt::Display for Quality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lossless => f.write_str("lossless"),
            Self::Target(score) => write!(f, "{score}"),
        }
    }
}

/// What is kept of a file's metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetadataPolicy {
    /// Keep ICC profile, orientation, density, copyright, artist and gain maps; remove location, thumbnails,
    /// maker notes, edit history and comments.
    Safe,
    /// Keep everything that is valid.
    All,
    /// Keep only what the look needs: ICC profile, orientation, gain maps.
    None,
}

impl FromStr for MetadataPolicy {
    type Err = InvalidOption;

    fn from_str(text: &str) -> Result<Self, InvalidOption> {
        match text {
            "safe" => Ok(Self::Safe),
            "all" => Ok(Self::All),
            "none" => Ok(Self::None),
            _ => Err(InvalidOption { want: "one of safe, all, none" }),
        }
    }
}

impl fmt::Display for MetadataPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Safe => "safe",
            Self::All => "all",
            Self::None => "none",
        })
    }
}

/// How hard to look for the smallest file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effort {
    /// One encode at the first guess; the score is not measured.
    Fast,
    /// A search that measures the score of what it keeps.
    Default,
}

impl FromStr for Effort {
    type Err = InvalidOption;

    fn from_str(text: &str) -> Result<Self, InvalidOption> {
        match text {
            "fast" => Ok(Self::Fast),
            "default" => Ok(Self::Default),
            _ => Err(InvalidOption { want: "one of fast, default" }),
        }
    }
}

impl fmt::Display for Effort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fast => "fast",
            Self::Default => "default",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quality_reads_scores_names_and_lossless() {
        assert_eq!("75".parse(), Ok(Quality::Target(75.0)));
        assert_eq!("82.5".parse(), Ok(Quality::Target(82.5)));
        assert_eq!("medium".parse(), Ok(Quality::Target(50.0)));
        assert_eq!("visually-lossless".parse(), Ok(Quality::Target(90.0)));
        assert_eq!("lossless".parse(), Ok(Quality::Lossless));
    }

    #[test]
    fn quality_refuses_what_is_no_score() {
        for text in ["", "high!", "29.9", "100.1", "-5", "NaN", "inf"] {
            assert!(text.parse::<Quality>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_is_displayed_parses_back() {
        for quality in [Quality::Lossless, Quality::Target(82.5), Quality::DEFAULT] {
            assert_eq!(quality.to_string().parse(), Ok(quality));
        }
        for policy in [MetadataPolicy::Safe, MetadataPolicy::All, MetadataPolicy::None] {
            assert_eq!(policy.to_string().parse(), Ok(policy));
        }
        for effort in [Effort::Fast, Effort::Default] {
            assert_eq!(effort.to_string().parse(), Ok(effort));
        }
    }
}
