//! A picture of a palette.

use rgb::RGBA8;

use crate::optimize::quality::score::Score;

/// A picture in at most 256 colours.
pub struct Indexed {
    /// Pixels.
    pub width: usize,
    pub height: usize,
    pub palette: Vec<RGBA8>,
    /// One per pixel, row by row.
    pub indices: Vec<u8>,
    /// Against the source.
    pub score: Score,
}

impl Indexed {
    /// A row of the picture as it is shown.
    pub fn fill(&self, y: usize, row: &mut [RGBA8]) {
        let indices = &self.indices[y * self.width..];
        row.iter_mut().zip(indices).for_each(|(pixel, index)| *pixel = self.palette[usize::from(*index)]);
    }
}
