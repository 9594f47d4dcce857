//! What is kept of an image's metadata: which facts change the look or name the author, and which go.
//!
//! Owns the blocks themselves (EXIF, XMP, Photoshop resources), wherever a file format puts them. Must not know file
//! formats: [`jpeg`](super::jpeg) and [`png`](super::png) find the blocks and put them back.

pub(super) mod apple;
pub mod container;
pub mod exif;
pub mod extended;
pub mod iptc;
mod tiff;
pub mod xmp;

pub(super) use tiff::{ByteOrder, Tiff};

use std::borrow::Cow;

/// What became of a block of metadata under a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filtered {
    /// It holds nothing that the policy removes: keep it byte for byte.
    Keep,
    /// What is left of it.
    Replace(Vec<u8>),
    /// Nothing worth keeping is left.
    Drop,
}

impl Filtered {
    /// The block to write in place of `source`; `None` where it goes.
    #[must_use]
    pub fn apply(self, source: &[u8]) -> Option<Cow<'_, [u8]>> {
        match self {
            Self::Keep => Some(Cow::Borrowed(source)),
            Self::Replace(block) => Some(Cow::Owned(block)),
            Self::Drop => None,
        }
    }
}
