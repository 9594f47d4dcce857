//! Parts of a picture that are worth scoring again by themselves: those around windows below a floor.

use std::ops::Range;

use super::grid::{CELL, Grid, WINDOW};
use super::windows::Windows;

/// Cells around such windows that are scored as well: with 64 pixels of margin a window scores as in the whole, within
/// half a point.
const MARGIN: usize = 1;

/// A rectangle of cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    left: usize,
    top: usize,
    right: usize,
    bottom: usize,
}

impl Part {
    /// The parts around all windows below a floor; they do not overlap.
    #[must_use]
    pub fn below(windows: &Windows, floor: f64) -> Vec<Self> {
        let grid = windows.grid;
        let mut parts: Vec<Self> = Vec::new();
        for (left, top) in windows.below(floor) {
            let mut part = Self {
                left: left.saturating_sub(MARGIN),
                top: top.saturating_sub(MARGIN),
                right: (left + WINDOW + MARGIN).min(grid.columns),
                bottom: (top + WINDOW + MARGIN).min(grid.rows),
            };
            // What a part has taken in may reach the next one.
            while let Some(i) = parts.iter().position(|other| part.overlaps(*other)) {
                part = part.around(parts.swap_remove(i));
            }
            parts.push(part);
        }
        parts
    }

    /// Cells in it.
    #[must_use]
    pub fn cells(self) -> usize {
        (self.right - self.left) * (self.bottom - self.top)
    }

    /// Its pixels in a picture of this size, across and down.
    #[must_use]
    pub fn pixels(self, grid: Grid, (width, height): (usize, usize)) -> (Range<usize>, Range<usize>) {
        let end = |cell: usize, cells: usize, length: usize| if cell == cells { length } else { cell * CELL };
        (self.left * CELL..end(self.right, grid.columns, width), self.top * CELL..end(self.bottom, grid.rows, height))
    }

    fn overlaps(self, other: Self) -> bool {
        self.left < other.right && other.left < self.right && self.top < other.bottom && other.top < self.bottom
    }

    fn around(self, other: Self) -> Self {
        Self {
            left: self.left.min(other.left),
            top: self.top.min(other.top),
            right: self.right.max(other.right),
            bottom: self.bottom.max(other.bottom),
        }
    }
}

impl Windows {
    /// Takes the windows that were scored in a part alone, but for those at its edges inside the picture.
    pub fn replace(&mut self, part: Part, seen: &Self) {
        let inner = |first: usize, end: usize, cells: usize| {
            (if first == 0 { 0 } else { first + MARGIN })..if end == cells { end } else { end - MARGIN }
        };
        let across = inner(part.left, part.right, self.grid.columns);
        let down = inner(part.top, part.bottom, self.grid.rows);
        for (left, top, score) in seen.each() {
            let (left, top) = (left + part.left, top + part.top);
            let is_inside = |first: usize, range: &Range<usize>| range.start <= first && first + WINDOW <= range.end;
            if is_inside(left, &across) && is_inside(top, &down) {
                self.set(left, top, score);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(columns: usize, rows: usize, low: &[(usize, usize)]) -> Windows {
        let mut windows = Windows::filled(Grid { columns, rows }, 80.0);
        for (left, top) in low {
            windows.set(*left, *top, Some(60.0));
        }
        windows
    }

    #[test]
    fn parts_have_a_margin_and_do_not_overlap() {
        let parts = Part::below(&windows(20, 10, &[(4, 4), (6, 5), (17, 0)]), 70.0);
        let near = Part { left: 3, top: 3, right: 9, bottom: 8 };
        let corner = Part { left: 16, top: 0, right: 20, bottom: 3 };
        assert_eq!(parts, [corner, near]);
        let size = (20 * CELL + 9, 10 * CELL);
        assert_eq!(corner.pixels(Grid { columns: 20, rows: 10 }, size), (16 * CELL..size.0, 0..3 * CELL));
        assert!(Part::below(&windows(20, 10, &[]), 70.0).is_empty());
    }

    #[test]
    fn part_replaces_what_lies_within_its_margin() {
        let mut whole = windows(20, 10, &[(4, 4)]);
        let part = Part::below(&whole, 70.0)[0];
        whole.replace(part, &Windows::filled(Grid { columns: 4, rows: 4 }, 75.0));
        assert!((whole.lowest() - 75.0).abs() < 1e-6);
        assert_eq!(whole.each().filter(|(_, _, score)| *score == Some(75.0)).count(), 1);
    }
}
