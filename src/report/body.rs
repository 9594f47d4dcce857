//! The body that is stored at the destination, and what the engine says of it. Pure.

use bytes::Bytes;

use super::reason::CopyReason;
use crate::optimize::{self, Encoded, ImageError, ImageInfo, MetadataState, Outcome};

/// What is stored at the destination.
#[derive(Debug, Clone)]
pub enum Body {
    /// New bytes. Those of `encoded` are taken out.
    Optimized { bytes: Bytes, encoded: Encoded },
    /// The source's bytes.
    Copied { reason: CopyReason, info: Option<ImageInfo>, metadata: MetadataState, budget_cut: bool },
}

impl Body {
    /// An object that the engine did not read. Only an empty object surely contains no metadata.
    pub(crate) fn unread(reason: CopyReason) -> Self {
        let empty = reason == CopyReason::Unchanged(optimize::Reason::Empty);
        let metadata = if empty { MetadataState::Clean } else { MetadataState::Kept };
        Self::Copied { reason, info: None, metadata, budget_cut: false }
    }

    /// Converts the engine's answer.
    pub(crate) fn from_engine(answer: Result<Outcome, ImageError>) -> Self {
        match answer {
            Ok(Outcome::Optimized(mut encoded)) => {
                Self::Optimized { bytes: std::mem::take(&mut encoded.bytes).into(), encoded }
            }
            Ok(Outcome::Unchanged(unchanged)) => Self::Copied {
                reason: CopyReason::Unchanged(unchanged.reason),
                info: unchanged.info,
                metadata: unchanged.metadata,
                budget_cut: unchanged.budget_cut,
            },
            Err(error) => Self::unread(CopyReason::Image(error)),
        }
    }

    /// Bytes to write instead of the source's, if any.
    pub(crate) fn bytes(&self) -> Option<&Bytes> {
        match self {
            Self::Optimized { bytes, .. } => Some(bytes),
            Self::Copied { .. } => None,
        }
    }

    /// State of the metadata that the policy removes.
    pub(crate) fn metadata(&self) -> MetadataState {
        match self {
            Self::Optimized { encoded: Encoded { metadata, .. }, .. } | Self::Copied { metadata, .. } => *metadata,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimize::Reason;

    #[test]
    fn unread_body_counts_as_keeping_its_metadata() {
        let unread = |reason| Body::unread(CopyReason::Unchanged(reason)).metadata();
        assert_eq!(unread(Reason::NotAnImage), MetadataState::Kept);
        assert_eq!(unread(Reason::Empty), MetadataState::Clean);
    }
}
