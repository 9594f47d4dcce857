//! Dead zones by place: where windows of a picture fall short of their floor, fewer residuals become zero.
//!
//! Windows that fail hold faint texture in smooth or dark places. Finer residuals for the whole picture cost 4 to 10 %
//! more bytes than to keep that texture alone.

use crate::optimize::quality::ssimulacra2::{Grid, Windows};

/// Parts of a dead zone.
const WHOLE: i32 = 64;
/// No cell's dead zone has fewer parts.
const NARROWEST: i32 = 8;
/// Parts that a cell loses for each point of score that it lacks.
const PER_LACKING_POINT: f32 = 16.0;

/// How many parts of its dead zone each cell of a picture has.
#[derive(Default)]
pub struct DeadZones {
    /// `None` where all are whole.
    grid: Option<Grid>,
    parts: Vec<i32>,
}

impl DeadZones {
    /// What a pixel has of this dead zone.
    #[must_use]
    pub fn at(&self, x: usize, y: usize, whole: i32) -> i32 {
        self.grid.map_or(whole, |grid| whole * self.parts[grid.cell_at(x, y)] / WHOLE)
    }

    /// Narrows them in cells of a picture of this size whose windows lie below `floor`; whether any became narrower.
    pub fn narrow(&mut self, windows: &[Windows], (width, height): (usize, usize), floor: f64) -> bool {
        let grid = Grid::over(width, height);
        let mut is_narrower = false;
        // Windows of a small picture are those of the mirrored one, which has other cells.
        for windows in windows.iter().filter(|windows| windows.grid == grid) {
            self.parts.resize(grid.columns * grid.rows, WHOLE);
            for (parts, lowest) in self.parts.iter_mut().zip(windows.lowest_by_cell()) {
                let lacking = lowest.map_or(0.0, |lowest| floor as f32 - lowest).max(0.0);
                let fewer = (*parts - (lacking * PER_LACKING_POINT).ceil() as i32).max(NARROWEST);
                is_narrower |= fewer < *parts;
                *parts = fewer;
            }
        }
        if is_narrower {
            self.grid = Some(grid);
        }
        is_narrower
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: (usize, usize) = (256, 128);

    fn windows(lowest: f32) -> Windows {
        let mut windows = Windows::filled(Grid::over(SIZE.0, SIZE.1), 75.0);
        windows.set(0, 0, Some(lowest));
        windows
    }

    #[test]
    fn dead_zones_narrow_where_windows_fail() {
        let mut zones = DeadZones::default();
        assert!(!zones.narrow(&[windows(70.0)], SIZE, 69.0) && zones.at(0, 0, 640) == 640);
        assert!(zones.narrow(&[windows(68.0), windows(75.0)], SIZE, 69.0));
        assert_eq!([(0, 0), (127, 127), (128, 0)].map(|(x, y)| zones.at(x, y, 640)), [480, 480, 640]);
    }

    #[test]
    fn dead_zones_narrow_to_an_end() {
        let mut zones = DeadZones::default();
        assert!(zones.narrow(&[windows(20.0)], SIZE, 69.0) && !zones.narrow(&[windows(20.0)], SIZE, 69.0));
        assert_eq!(zones.at(0, 0, 640), 80);
    }

    #[test]
    fn windows_of_another_picture_narrow_nothing() {
        let mut zones = DeadZones::default();
        assert!(!zones.narrow(&[windows(20.0)], (64, 64), 69.0) && zones.at(0, 0, 640) == 640);
    }
}
