//! A picture as lossy WebP codes it: luma, and chroma of half the size.

/// Planes of Y, U and V, row by row without padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Yuv {
    /// Pixels.
    pub width: usize,
    pub height: usize,
    pub planes: [Vec<u8>; 3],
}

impl Yuv {
    #[must_use]
    pub fn new(width: usize, height: usize) -> Self {
        let chroma = width.div_ceil(2) * height.div_ceil(2);
        Self { width, height, planes: [width * height, chroma, chroma].map(|samples| vec![0; samples]) }
    }

    #[must_use]
    pub fn chroma_width(&self) -> usize {
        self.width.div_ceil(2)
    }
}
