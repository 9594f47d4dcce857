//! Cells of a picture, and windows of them.

/// log2 of a cell's side in pixels: the smallest for which every scale has whole pixels.
pub const CELL_BITS: usize = 6;
/// A cell's side, in pixels.
pub const CELL: usize = 1 << CELL_BITS;
/// A window's side, in cells. Objects are protected best by windows of 128 pixels, one every 64.
pub const WINDOW: usize = 2;

/// How a picture is divided into cells. The last cell of each direction takes the rest of the pixels as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// Cells.
    pub columns: usize,
    pub rows: usize,
}

impl Grid {
    /// For a picture of this size in pixels.
    #[must_use]
    pub fn over(width: usize, height: usize) -> Self {
        let cells = |length: usize| (length >> CELL_BITS).max(1);
        Self { columns: cells(width), rows: cells(height) }
    }

    /// The cell of a pixel.
    #[must_use]
    pub fn cell_at(self, x: usize, y: usize) -> usize {
        (y >> CELL_BITS).min(self.rows - 1) * self.columns + (x >> CELL_BITS).min(self.columns - 1)
    }

    /// How many pixels of a scale a cell has, of a picture of this size.
    pub fn pixels(self, cell: usize, (width, height): (usize, usize), scale: usize) -> f64 {
        let length = |cell: usize, cells: usize, pixels: usize| {
            let first = cell << (CELL_BITS - scale);
            let end = if cell + 1 == cells { pixels.div_ceil(1 << scale) } else { first + (CELL >> scale) };
            end - first
        };
        (length(cell % self.columns, self.columns, width) * length(cell / self.columns, self.rows, height)) as f64
    }

    /// Windows in each direction.
    pub fn windows(self) -> (usize, usize) {
        let windows = |cells: usize| cells.saturating_sub(WINDOW - 1).max(1);
        (windows(self.columns), windows(self.rows))
    }
}
