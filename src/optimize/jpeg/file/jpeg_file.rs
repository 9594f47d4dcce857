//! A JPEG file: its primary image, and what follows it.

use super::segments::Segments;
use super::trailing::Trailing;
use crate::optimize::error::ImageError;
use crate::optimize::options::MetadataPolicy;

/// A JPEG file, its parts borrowed from the source.
#[derive(Debug)]
pub struct JpegFile<'a> {
    pub image: Segments<'a>,
    pub trailing: Trailing<'a>,
}

impl<'a> JpegFile<'a> {
    /// Takes a file apart.
    ///
    /// # Errors
    /// Those of [`Segments::parse`].
    pub fn parse(file: &'a [u8]) -> Result<Self, ImageError> {
        let (image, end) = Segments::parse_image(file)?;
        let trailing = Trailing::of(&image, file, end);
        Ok(Self { image, trailing })
    }

    /// Whether something that stays may name places in what follows the image, which then must keep its place.
    #[must_use]
    pub fn is_pinned(&self, policy: MetadataPolicy) -> bool {
        self.trailing.is_pinned(&self.image, policy)
    }
}
