//! Window scores: the metric on parts of the picture, out of the sums that the whole is scored by.
//!
//! Every part of the metric is a mean over pixels, so sums over cells give any window of whole cells its means and its L4
//! norms, and the metric's own weights its score. A window's score is what the metric says of a crop of it within one
//! point (one standard deviation; windows of 128 pixels score 3 points below their crops on average).

use std::ops::Range;

use super::chroma::Chroma;
use super::grid::{CELL, CELL_BITS, Grid, WINDOW};
use super::weights::{self, IDENTICAL, PARTS, SCALES};

/// A window lies over a rectangle where so many pixels of its sides do.
const LEAST_OVERLAP: usize = CELL / 2;

/// A window is flat where luma's standard deviation is below this, of XYB's Y, in both pictures: about 6 of 255 levels.
const FLAT_DEVIATION: f64 = 0.02;

/// The same of the first picture's red or blue less green, in levels: colours differ though they are equally light.
const FLAT_CHROMA: f64 = 12.0;

/// Sums over the cells of one channel at one scale.
pub struct Cells {
    grid: Grid,
    /// log2 of a cell's side at this scale.
    bits: usize,
    sums: Vec<[f32; PARTS]>,
}

impl Cells {
    /// At `scale`, 0 being the finest.
    #[must_use]
    pub fn new(grid: Grid, scale: usize) -> Self {
        Self { grid, bits: CELL_BITS - scale, sums: vec![[0.0; PARTS]; grid.columns * grid.rows] }
    }

    /// A cell's side, in pixels of this scale.
    #[must_use]
    pub fn side(&self) -> usize {
        1 << self.bits
    }

    /// Adds sums of a row's pixels from `left`, a multiple of the cell's side, on: `parts[k][i]` is part `k` of the `i`-th
    /// cell's width of pixels, as mean and as fourth power.
    pub fn add(&mut self, y: usize, left: usize, parts: &[&[[f32; 2]]; PARTS / 2]) {
        let last = self.grid.columns - 1;
        let row = &mut self.sums[(y >> self.bits).min(self.grid.rows - 1) * self.grid.columns..][..=last];
        for (k, part) in parts.iter().enumerate() {
            for (i, [sum, of_fourths]) in part.iter().enumerate() {
                let cell = &mut row[((left >> self.bits) + i).min(last)];
                cell[k] += sum;
                cell[k + PARTS / 2] += of_fourths;
            }
        }
    }
}

/// Sums of luma and of its square over the cells of both pictures, at the finest scale.
pub struct Moments {
    grid: Grid,
    cells: Vec<[[f64; 2]; 2]>,
}

impl Moments {
    #[must_use]
    pub fn new(grid: Grid) -> Self {
        Self { grid, cells: vec![[[0.0; 2]; 2]; grid.columns * grid.rows] }
    }

    /// Adds sums of a row's pixels from `left`, a multiple of [`CELL`], on, of both pictures.
    pub fn add(&mut self, y: usize, left: usize, pictures: [&[[f32; 2]]; 2]) {
        for (picture, sums) in pictures.into_iter().enumerate() {
            for (i, [sum, of_squares]) in sums.iter().enumerate() {
                let cell = &mut self.cells[self.grid.cell_at(left + i * CELL, y)][picture];
                cell[0] += f64::from(*sum);
                cell[1] += f64::from(*of_squares);
            }
        }
    }
}

/// The windows of a picture and their scores.
#[derive(Debug, Clone, PartialEq)]
pub struct Windows {
    pub grid: Grid,
    /// Row by row; `None` where a window is flat in both pictures.
    scores: Vec<Option<f32>>,
    /// The score of all that is not flat, together; [`IDENTICAL`] where all is.
    pub busy: f64,
}

impl Windows {
    /// Where there are no windows.
    pub const NONE: Self = Self { grid: Grid { columns: 1, rows: 1 }, scores: Vec::new(), busy: IDENTICAL };

    /// `channels` has the cells of each scale's X, Y, B where they count; `size` is that of the picture in pixels.
    #[must_use]
    pub fn of(size: (usize, usize), moments: &Moments, chroma: &Chroma, channels: &[[Option<&Cells>; 3]]) -> Self {
        let grid = moments.grid;
        let (across, down) = grid.windows();
        let score_of = |cells: &[usize], pixels: &dyn Fn(usize) -> f64| {
            let mut parts = [[[0.0; PARTS]; 3]; SCALES];
            for (scale, (parts, channels)) in parts.iter_mut().zip(channels).enumerate() {
                for (parts, channel) in parts.iter_mut().zip(channels) {
                    if let Some(channel) = channel {
                        *parts = means(cells.iter().map(|i| channel.sums[*i]), pixels(scale));
                    }
                }
            }
            weights::score(&parts[..channels.len()])
        };
        let mut is_busy = vec![false; grid.columns * grid.rows];
        let mut score = |i: usize| {
            let area = Area { left: i % across, top: i / across };
            let cells: Vec<_> = area.cells(grid).collect();
            let pixels = area.pixels(grid, size, 0);
            let has_colors = chroma.variance(&cells) >= FLAT_CHROMA * FLAT_CHROMA;
            let is_flat = !has_colors
                && (0..2).all(|picture| {
                    let sum = |k: usize| cells.iter().map(|i| moments.cells[*i][picture][k]).sum::<f64>() / pixels;
                    sum(1) - sum(0) * sum(0) < FLAT_DEVIATION * FLAT_DEVIATION
                });
            (!is_flat).then(|| {
                for i in &cells {
                    is_busy[*i] = true;
                }
                score_of(&cells, &|scale| area.pixels(grid, size, scale)) as f32
            })
        };
        let scores = (0..across * down).map(&mut score).collect();
        let busy: Vec<_> = (0..is_busy.len()).filter(|i| is_busy[*i]).collect();
        let pixels = |scale| busy.iter().map(|i| grid.pixels(*i, size, scale)).sum();
        let busy = if busy.is_empty() { IDENTICAL } else { score_of(&busy, &pixels) };
        Self { grid, scores, busy }
    }

    /// The lowest score of any window that is not flat.
    #[must_use]
    pub fn worst(&self) -> Option<f64> {
        self.scores.iter().flatten().copied().reduce(f32::min).map(f64::from)
    }

    /// The same; [`IDENTICAL`] where all are flat.
    #[must_use]
    pub fn lowest(&self) -> f64 {
        self.worst().unwrap_or(IDENTICAL)
    }

    /// Every window by its first cell, and its score.
    pub fn each(&self) -> impl Iterator<Item = (usize, usize, Option<f32>)> + '_ {
        let (across, _) = self.grid.windows();
        self.scores.iter().enumerate().map(move |(i, score)| (i % across, i / across, *score))
    }

    /// The first cells of the windows below a floor.
    pub fn below(&self, floor: f64) -> impl Iterator<Item = (usize, usize)> + '_ {
        let is_below = move |score: Option<f32>| score.is_some_and(|score| f64::from(score) < floor);
        self.each().filter(move |(.., score)| is_below(*score)).map(|(left, top, _)| (left, top))
    }

    /// Sets a window's score.
    pub fn set(&mut self, left: usize, top: usize, score: Option<f32>) {
        let (across, _) = self.grid.windows();
        self.scores[top * across + left] = score;
    }

    /// Lowers the scores of the windows over a rectangle of pixels to `most`; flat ones have that.
    pub fn cap(&mut self, across: &Range<usize>, down: &Range<usize>, most: f64) {
        let (columns, _) = self.grid.windows();
        let is_over = |first: usize, cells: usize, range: &Range<usize>| {
            // The last cell takes the rest of the pixels.
            let end = if first + WINDOW < cells { (first + WINDOW) * CELL } else { usize::MAX };
            let (start, end) = ((first * CELL).max(range.start), end.min(range.end));
            end.saturating_sub(start) >= LEAST_OVERLAP.min(range.len())
        };
        for (i, score) in self.scores.iter_mut().enumerate() {
            if is_over(i % columns, self.grid.columns, across) && is_over(i / columns, self.grid.rows, down) {
                *score = Some(score.map_or(most as f32, |score| score.min(most as f32)));
            }
        }
    }

    /// Adds to every score.
    pub fn raise(&mut self, points: f64) {
        self.scores.iter_mut().flatten().for_each(|score| *score += points as f32);
    }

    /// For each cell the lowest score of the windows that it lies in; `None` where all of these are flat.
    #[must_use]
    pub fn lowest_by_cell(&self) -> Vec<Option<f32>> {
        let (across, _) = self.grid.windows();
        let mut cells: Vec<Option<f32>> = vec![None; self.grid.columns * self.grid.rows];
        for (i, score) in self.scores.iter().enumerate() {
            let Some(score) = *score else { continue };
            for cell in (Area { left: i % across, top: i / across }).cells(self.grid) {
                cells[cell] = Some(cells[cell].map_or(score, |lowest| lowest.min(score)));
            }
        }
        cells
    }
}

/// A window, by its first cell.
#[derive(Clone, Copy)]
struct Area {
    left: usize,
    top: usize,
}

impl Area {
    fn ends(self, grid: Grid) -> (usize, usize) {
        ((self.left + WINDOW).min(grid.columns), (self.top + WINDOW).min(grid.rows))
    }

    /// The indices of its cells.
    fn cells(self, grid: Grid) -> impl Iterator<Item = usize> {
        let (right, bottom) = self.ends(grid);
        (self.top..bottom).flat_map(move |y| (self.left..right).map(move |x| y * grid.columns + x))
    }

    /// How many pixels of a scale it has.
    fn pixels(self, grid: Grid, size: (usize, usize), scale: usize) -> f64 {
        self.cells(grid).map(|i| grid.pixels(i, size, scale)).sum()
    }
}

/// The means and the L4 norms of parts that were summed over so many pixels.
pub fn means<T: Into<f64>>(sums: impl Iterator<Item = [T; PARTS]>, pixels: f64) -> [f64; PARTS] {
    let mut means = [0.0; PARTS];
    for sums in sums {
        means.iter_mut().zip(sums).for_each(|(mean, sum)| *mean += sum.into() / pixels);
    }
    means[PARTS / 2..].iter_mut().for_each(|mean| *mean = mean.sqrt().sqrt());
    means
}

#[cfg(test)]
impl Windows {
    /// All of one score.
    pub fn filled(grid: Grid, score: f32) -> Self {
        let (across, down) = grid.windows();
        Self { grid, scores: vec![Some(score); across * down], busy: IDENTICAL }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grid_last_cell_takes_the_rest() {
        let grid = Grid::over(200, 63);
        assert_eq!((grid.columns, grid.rows, grid.windows()), (3, 1, (2, 1)));
        assert_eq!([(0, 0), (63, 62), (64, 0), (199, 62)].map(|(x, y)| grid.cell_at(x, y)), [0, 0, 1, 2]);
    }

    #[test]
    fn window_pixels_are_those_of_the_picture_at_every_scale() {
        let (width, height) = (201_usize, 63_usize);
        let grid = Grid::over(width, height);
        for scale in 0..SCALES {
            let halved = |length: usize| length.div_ceil(1 << scale);
            let all = Area { left: 0, top: 0 }.pixels(grid, (width, height), scale)
                + Area { left: 2, top: 0 }.pixels(grid, (width, height), scale);
            assert!((all - (halved(width) * halved(height)) as f64).abs() < 1e-9, "{scale}");
        }
    }

    #[test]
    fn cap_holds_for_the_rest_in_the_last_cell_and_for_flat_windows() {
        let mut windows = Windows { grid: Grid::over(191, 191), scores: vec![None], busy: IDENTICAL };
        windows.cap(&(165..189), &(4..28), 60.0);
        assert_eq!(windows.worst(), Some(60.0));
        let mut windows = Windows { grid: Grid::over(192, 64), scores: vec![Some(80.0); 2], busy: IDENTICAL };
        windows.cap(&(10..40), &(4..28), 60.0);
        assert_eq!(windows.scores, [Some(60.0), Some(80.0)]);
    }

    #[test]
    fn lowest_by_cell_is_that_of_all_windows_around() {
        let grid = Grid::over(192, 64);
        let windows = Windows { grid, scores: vec![Some(80.0), Some(60.0)], busy: IDENTICAL };
        assert_eq!(windows.lowest_by_cell(), [Some(80.0), Some(60.0), Some(60.0)]);
        assert!((windows.lowest() - 60.0).abs() < 1e-6);
        let flat = Windows { grid, scores: vec![Some(80.0), None], busy: IDENTICAL };
        assert_eq!(flat.lowest_by_cell(), [Some(80.0), Some(80.0), None]);
    }
}
