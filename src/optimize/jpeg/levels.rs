//! Dead zones by place: where windows of a picture fall short of their floor, more of the source's coefficients survive,
//! and where there is room, fewer. The file does not tell: its tables are those of the step.

use super::orientation::{self, UPRIGHT};
use crate::optimize::jpeg::dct::coefficients::{BLOCK, Layout};
use crate::optimize::quality::ssimulacra2::{Grid, Windows};

/// How much wider a cell's dead zone is than usual, in [`UNIT`]s of a step.
pub type Level = i8;
/// The levels there are. Above the highest the low frequencies of a coarse source would go, all at once.
pub const LOWEST: Level = -16;
pub const HIGHEST: Level = 24;
/// What a level changes a dead zone by, in quantization steps.
pub const UNIT: f64 = 1.0 / 64.0;

/// Levels by which a cell goes down for each point of score that it lacks.
const PER_LACKING_POINT: f32 = 2.5;
/// Points above its floor that a cell must have for each level that it goes up.
const ROOM_PER_LEVEL: f32 = 0.7;

/// A level for each cell of the upright picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Levels {
    grid: Grid,
    orientation: u8,
    /// Of the whole. Cells share a fraction: a part of them has the next level.
    pub even: f64,
    /// What each cell's level is at most; empty where none is bound.
    caps: Vec<Level>,
}

impl Levels {
    /// The usual dead zone everywhere.
    pub const USUAL: Self =
        Self { grid: Grid { columns: 1, rows: 1 }, orientation: UPRIGHT, even: 0.0, caps: Vec::new() };

    /// The same for a whole picture of this size in pixels that stands upright.
    #[must_use]
    pub fn over((width, height): (usize, usize), even: f64) -> Self {
        Self { grid: Grid::over(width, height), ..Self::USUAL }.with_even(even)
    }

    /// Whether it is the usual dead zone everywhere.
    fn are_usual(&self) -> bool {
        self.even == 0.0 && self.caps.is_empty()
    }

    /// With narrower dead zones in cells whose windows lie below `floor`.
    #[must_use]
    pub fn narrowed(&self, windows: &Windows, floor: f64, orientation: u8) -> Self {
        let cap = |(cell, lowest): (usize, &Option<f32>)| {
            let lacking = lowest.map_or(0.0, |lowest| floor as f32 - lowest);
            if lacking <= 0.0 {
                return self.caps.get(cell).copied().unwrap_or(HIGHEST);
            }
            (f32::from(self.level(cell)) - (lacking * PER_LACKING_POINT).ceil()).max(LOWEST.into()) as Level
        };
        let caps = windows.lowest_by_cell().iter().enumerate().map(cap).collect();
        Self { grid: windows.grid, orientation, even: self.even, caps }
    }

    /// With each cell free to go up as far as its windows lie above `floor`; flat cells are not, since noise shows there.
    #[must_use]
    pub fn freed(&self, windows: &Windows, floor: f64, orientation: u8) -> Self {
        let cap = |(cell, lowest): (usize, &Option<f32>)| {
            let room = lowest.map_or(0.0, |lowest| (lowest - floor as f32).max(0.0));
            let level = lowest.map_or(0, |_| self.level(cell));
            level.saturating_add((room / ROOM_PER_LEVEL).min(HIGHEST.into()) as Level).min(HIGHEST)
        };
        let caps = windows.lowest_by_cell().iter().enumerate().map(cap).collect();
        Self { grid: windows.grid, orientation, even: self.even, caps }
    }

    /// With another level for the whole, as far as cells are free to have it.
    #[must_use]
    pub fn with_even(&self, even: f64) -> Self {
        Self { even: even.clamp(LOWEST.into(), HIGHEST.into()), ..self.clone() }
    }

    /// Whether every cell that lacks points has the narrowest dead zone already.
    #[must_use]
    pub fn are_spent(&self, windows: &Windows, floor: f64) -> bool {
        let lacks = |lowest: &Option<f32>| lowest.is_some_and(|lowest| f64::from(lowest) < floor);
        let mut lacking = windows.lowest_by_cell().into_iter().enumerate().filter(|(_, lowest)| lacks(lowest));
        lacking.all(|(cell, _)| self.level(cell) == LOWEST)
    }

    fn level(&self, cell: usize) -> Level {
        // A sequence without order that fills the plane evenly (Roberts, "The Unreasonable Effectiveness of Quasirandom
        // Sequences", 2018, R2).
        let (x, y) = ((cell % self.grid.columns) as f64, (cell / self.grid.columns) as f64);
        let threshold = (x * 0.754_877_666 + y * 0.569_840_296).fract();
        let even = (self.even + threshold).floor() as Level;
        self.caps.get(cell).map_or(even, |cap| even.min(*cap)).clamp(LOWEST, HIGHEST)
    }

    /// A level for each block of a component, row by row; empty where all are usual.
    #[must_use]
    pub fn by_block(&self, layout: &Layout, component: usize) -> Vec<Level> {
        let component = &layout.components[component];
        if self.are_usual() {
            return Vec::new();
        }
        let levels: Vec<_> = (0..self.grid.columns * self.grid.rows).map(|cell| self.level(cell)).collect();
        let (max_h, max_v) = layout.max_factors();
        let middle = |block: usize, max: usize, factor: usize, length: usize| {
            ((2 * block + 1) * BLOCK * max / (2 * factor.max(1))).min(length - 1)
        };
        let level = |i: usize| {
            let x = middle(i % component.columns, max_h, component.h, layout.width);
            let y = middle(i / component.columns, max_v, component.v, layout.height);
            let (x, y) = orientation::shown_at(layout, self.orientation, x, y);
            levels[self.grid.cell_at(x, y)]
        };
        (0..component.columns * component.rows).map(level).collect()
    }
}

#[cfg(test)]
impl Levels {
    /// The level at a pixel of the upright picture.
    pub fn level_at(&self, x: usize, y: usize) -> Level {
        self.level(self.grid.cell_at(x, y))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimize::jpeg::dct::coefficients::{ColorModel, Component};

    const GRID: Grid = Grid { columns: 4, rows: 3 };

    fn windows(lowest: f32) -> Windows {
        let mut windows = Windows::filled(GRID, 75.0);
        windows.set(0, 0, Some(lowest));
        windows
    }

    fn levels(levels: &Levels) -> Vec<Level> {
        (0..12).map(|cell| levels.level(cell)).collect()
    }

    #[test]
    fn narrowed_lowers_what_lacks_and_nothing_else() {
        let narrowed = Levels::USUAL.narrowed(&windows(67.0), 69.0, 1);
        assert_eq!(levels(&narrowed), [-5, -5, 0, 0, -5, -5, 0, 0, 0, 0, 0, 0]);
        assert!(!narrowed.are_spent(&windows(67.0), 69.0) && narrowed.are_spent(&windows(70.0), 69.0));
        assert!(narrowed.narrowed(&windows(60.0), 69.0, 1).are_spent(&windows(60.0), 69.0));
    }

    #[test]
    fn freed_cells_go_up_with_the_whole_as_far_as_they_have_room() {
        let mut windows = windows(69.8);
        windows.set(2, 1, None);
        let freed = Levels::USUAL.freed(&windows, 69.0, 1);
        let high = levels(&freed.with_even(16.0));
        assert_eq!((high[0], high[2], high[11]), (1, 8, 0));
        assert!(levels(&freed.with_even(-3.0)).iter().all(|level| *level == -3));
    }

    #[test]
    fn even_fraction_is_shared_among_cells() {
        let grid = Grid { columns: 40, rows: 25 };
        let even = Levels { grid, orientation: 1, even: 2.3, caps: Vec::new() };
        let higher = (0..1000).filter(|cell| even.level(*cell) == 3).count();
        assert!((0..1000).all(|cell| (2..=3).contains(&even.level(cell))));
        assert!((270..330).contains(&higher), "{higher}");
    }

    #[test]
    fn blocks_have_the_level_of_their_place_as_shown() {
        let (width, height) = (130, 70);
        let component = |h: usize, v: usize| {
            let (columns, rows) = ((width * h).div_ceil(2 * BLOCK), (height * v).div_ceil(2 * BLOCK));
            Component { id: 1, h, v, columns, rows, table: [1; 64] }
        };
        let components = vec![component(2, 2), component(1, 1)];
        let layout = Layout { width, height, model: ColorModel::YCbCr, components };
        // Turned by a quarter, the picture is 70 wide and 130 high: the lower cell shows the right half, or the left.
        for (orientation, right) in [(6, 5), (8, 0)] {
            let grid = Grid::over(height, width);
            let levels = Levels { grid, orientation, even: 5.0, caps: vec![0, 5] };
            for (component, columns) in [(0, 17), (1, 9)] {
                let blocks = levels.by_block(&layout, component);
                assert_eq!(blocks.len(), columns * layout.components[component].rows);
                assert_eq!((blocks[0], blocks[columns - 1]), (5 - right, right), "{orientation} {component}");
            }
        }
        assert!(Levels::USUAL.by_block(&layout, 0).is_empty());
    }
}
