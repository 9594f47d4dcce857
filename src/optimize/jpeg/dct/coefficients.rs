//! An image as a JPEG file holds it: quantized DCT coefficients, their tables, and how the components are sampled.

/// Samples along a DCT block's side (ITU-T T.81, A.3.3).
pub const BLOCK: usize = 8;

/// The quantized coefficients of a block, in natural order (not the zigzag order of the file).
pub type Block = [i16; 64];
/// Quantization steps, in natural order.
pub type Table = [u16; 64];

/// How components become colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColorModel {
    Gray,
    YCbCr,
    Rgb,
    Cmyk,
    Ycck,
    Unknown,
}

impl ColorModel {
    /// Whether the metric can judge it: there is no score for CMYK, YCCK and the unknown, so these keep their
    /// coefficients.
    #[must_use]
    pub fn has_score(self) -> bool {
        match self {
            Self::Gray | Self::YCbCr | Self::Rgb => true,
            Self::Cmyk | Self::Ycck | Self::Unknown => false,
        }
    }
}

/// Everything about a coded image but its coefficients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Pixels.
    pub width: usize,
    pub height: usize,
    pub model: ColorModel,
    pub components: Vec<Component>,
}

/// One component's grid of blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// The frame header's name for it.
    pub id: i32,
    /// Sampling factors: blocks per MCU (T.81, A.1.1).
    pub h: usize,
    pub v: usize,
    /// Blocks across and down that hold samples of the image; what pads the last MCUs is not counted.
    pub columns: usize,
    pub rows: usize,
    pub table: Table,
}

/// An image's quantized coefficients, wherever they are held.
pub trait Blocks: Sync {
    fn layout(&self) -> &Layout;

    /// A row of a component's blocks.
    fn row(&self, component: usize, row: usize) -> &[Block];
}

/// A coded image, held here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coefficients {
    pub layout: Layout,
    /// For each component its blocks, row by row.
    pub blocks: Vec<Vec<Block>>,
}

impl Layout {
    /// The largest sampling factors, horizontal and vertical.
    #[must_use]
    pub fn max_factors(&self) -> (usize, usize) {
        let largest = |of: fn(&Component) -> usize| self.components.iter().map(of).max().unwrap_or(1);
        (largest(|c| c.h), largest(|c| c.v))
    }

    /// Samples across and down of a component that show the image (T.81, A.1.1).
    #[must_use]
    pub fn samples(&self, component: &Component) -> (usize, usize) {
        let (max_h, max_v) = self.max_factors();
        ((self.width * component.h).div_ceil(max_h), (self.height * component.v).div_ceil(max_v))
    }
}

impl Blocks for Coefficients {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn row(&self, component: usize, row: usize) -> &[Block] {
        let columns = self.layout.components[component].columns;
        &self.blocks[component][row * columns..(row + 1) * columns]
    }
}
