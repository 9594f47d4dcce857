//! One scale of the metric: rows of both pictures come in, are blurred and compared, and go on to the next at half size.

use std::ops::Range;

use super::gaussian::{self, Across, DELAY, Down, Interleaved, Row};
use super::grid::{CELL, Grid};
use super::lanes::{BLURRED, LANES, TILE, Tile};
use super::rows::{self, Linear, Parts};
use super::weights::PARTS;
use super::windows::{self, Cells, Moments};

/// Channels that are compared: X, Y, B.
const CHANNELS: usize = 3;
/// Y among them.
const LUMA: usize = 1;
/// Rows that are worked on at a time.
const BAND: usize = LANES;
/// Rows that are kept until those that their blur needs are there.
const KEPT: usize = BAND + DELAY;
/// Pixels of a tile that no row has.
const NOTHING: Tile = [[0.0; LANES]; TILE / LANES];

pub struct Scale {
    /// Pixels.
    width: usize,
    height: usize,
    /// Rows that came in, and of those that were blurred.
    pushed: usize,
    blurred: usize,
    /// The last two rows of both pictures: row `y` at `y % 2`.
    rows: [[Linear; 2]; 2],
    /// Where rows of X and Y go that are not compared.
    unused: [Vec<f32>; 2],
    channels: [Option<Channel>; CHANNELS],
    /// A band of both pictures, to be blurred across.
    bands: [Interleaved; 2],
}

/// A channel that is compared.
struct Channel {
    /// Pixels.
    width: usize,
    /// Rows of both pictures: row `y` at `y % KEPT`.
    rows: Vec<[Row; 2]>,
    down: [Down; BLURRED],
    /// Of the rows of a band.
    parts: [Parts; BAND],
    sums: [f64; PARTS],
    cells: Cells,
    /// Where it tells what is flat.
    moments: Option<Moments>,
}

impl Scale {
    /// The scale of this index, 0 being the finest, and size in pixels; `needed` says which channels count.
    #[must_use]
    pub fn new(index: usize, (width, height): (usize, usize), grid: Grid, needed: [bool; CHANNELS]) -> Self {
        let linear = || [Linear::blank(width), Linear::blank(width)];
        let channel = |i: usize| {
            let moments = (index == 0 && i == LUMA).then(|| Moments::new(grid));
            needed[i].then(|| Channel::new(width, Cells::new(grid, index), moments))
        };
        Self {
            width,
            height,
            pushed: 0,
            blurred: 0,
            rows: [linear(), linear()],
            unused: rows::blank(width),
            channels: std::array::from_fn(channel),
            bands: [Interleaved::blank(width), Interleaved::blank(width)],
        }
    }

    /// Where the next row of each picture goes, for [`take`](Self::take).
    pub fn next(&mut self) -> &mut [Linear; 2] {
        &mut self.rows[self.pushed % 2]
    }

    /// Takes the row; answers whether it completes two, for [`halve`](Self::halve).
    pub fn take(&mut self) -> bool {
        self.convert();
        self.pushed += 1;
        if self.pushed == self.blurred + BAND {
            self.compare();
        }
        self.pushed.is_multiple_of(2)
    }

    /// Compares the rows that waited for more below them; answers whether the last is one without a second.
    pub fn finish(&mut self) -> bool {
        self.compare();
        for channel in self.channels.iter_mut().flatten() {
            channel.compare(self.pushed..self.pushed + DELAY, None);
        }
        !self.pushed.is_multiple_of(2)
    }

    /// Writes the last two rows at half the size; a row without a second is averaged with itself.
    pub fn halve(&self, half: &mut [Linear; 2]) {
        let lower = &self.rows[(self.pushed - 1) % 2];
        let upper = if self.pushed.is_multiple_of(2) { &self.rows[0] } else { lower };
        for (half, (upper, lower)) in half.iter_mut().zip(upper.iter().zip(lower)) {
            half.halve(upper, lower);
        }
    }

    /// Turns the row that came in into channels.
    fn convert(&mut self) {
        if self.channels.iter().all(Option::is_none) {
            return;
        }
        let slot = self.pushed % KEPT;
        let [x, y, b] = &mut self.channels;
        let [unused_x, unused_y] = &mut self.unused;
        for (picture, row) in self.rows[self.pushed % 2].iter().enumerate() {
            let x = x.as_mut().map_or(&mut unused_x[..], |x| x.row_mut(slot, picture));
            let y = y.as_mut().map_or(&mut unused_y[..], |y| y.row_mut(slot, picture));
            rows::xyb(row, x, y, b.as_mut().map(|b| b.row_mut(slot, picture)));
        }
    }

    /// Compares what the rows that came in since make comparable.
    fn compare(&mut self) {
        for channel in self.channels.iter_mut().flatten() {
            for (picture, band) in self.bands.iter_mut().enumerate() {
                band.take(std::array::from_fn(|lane| &channel.rows[(self.blurred + lane) % KEPT][picture]));
            }
            channel.compare(self.blurred..self.pushed, Some(&self.bands));
        }
        self.blurred = self.pushed;
    }

    /// For each channel the means and the L4 norms of its parts.
    #[must_use]
    pub fn means(&self) -> [[f64; PARTS]; CHANNELS] {
        let pixels = (self.width * self.height) as f64;
        let parts = |channel: &Channel| windows::means(std::iter::once(channel.sums), pixels);
        self.channels.each_ref().map(|channel| channel.as_ref().map_or([0.0; PARTS], parts))
    }

    /// The sums by cells of each channel that counts.
    #[must_use]
    pub fn cells(&self) -> [Option<&Cells>; CHANNELS] {
        self.channels.each_ref().map(|channel| channel.as_ref().map(|channel| &channel.cells))
    }

    /// What tells the flat cells; of the finest scale only.
    #[must_use]
    pub fn moments(&self) -> Option<&Moments> {
        self.channels[LUMA].as_ref()?.moments.as_ref()
    }
}

impl Channel {
    fn new(width: usize, cells: Cells, moments: Option<Moments>) -> Self {
        Self {
            width,
            rows: (0..KEPT).map(|_| [gaussian::blank(width), gaussian::blank(width)]).collect(),
            down: std::array::from_fn(|_| Down::blank(width)),
            parts: std::array::from_fn(|_| Parts::blank(width, cells.side())),
            sums: [0.0; PARTS],
            cells,
            moments,
        }
    }

    fn row_mut(&mut self, slot: usize, picture: usize) -> &mut [f32] {
        &mut self.rows[slot][picture].as_flattened_mut()[..self.width]
    }

    /// Takes a row a step, of a band of both pictures or none, and compares the rows whose blur is complete then.
    fn compare(&mut self, steps: Range<usize>, bands: Option<&[Interleaved; 2]>) {
        let mut across = <[Across; BLURRED]>::default();
        let (mut rows, mut blurred) = ([NOTHING; BAND], [[NOTHING; BLURRED]; BAND]);
        for left in (0..self.width).step_by(TILE) {
            let right = (left + TILE).min(self.width);
            let columns = left / LANES..right.div_ceil(LANES);
            for (quantity, (across, down)) in across.iter_mut().zip(&mut self.down).enumerate() {
                if let Some([a, b]) = bands {
                    let (of, by) = [(a, None), (b, None), (a, Some(a)), (b, Some(b)), (a, Some(b))][quantity];
                    across.tile(self.width, of, by, &mut rows);
                }
                down.tile(columns.clone(), steps.start, &rows[..steps.len()], &mut blurred, quantity);
            }
            self.compare_tile(left..right, &steps, &blurred);
        }
        for (y, parts) in steps.filter_map(|step| step.checked_sub(DELAY)).zip(&self.parts) {
            parts.add_to(&mut self.sums);
            self.cells.add(y, 0, &parts.by_cell());
        }
    }

    /// Compares pixels that are blurred.
    fn compare_tile(&mut self, pixels: Range<usize>, steps: &Range<usize>, blurred: &[[Tile; BLURRED]; BAND]) {
        let compared =
            steps.clone().zip(blurred).filter_map(|(step, blurred)| Some((step.checked_sub(DELAY)?, blurred)));
        for ((y, blurred), parts) in compared.zip(&mut self.parts) {
            let own = self.rows[y % KEPT].each_ref().map(|row| &row.as_flattened()[pixels.clone()]);
            parts.compare(pixels.start, blurred, own);
            if let Some(moments) = &mut self.moments {
                let mut sums = [[[0.0; 2]; TILE / CELL]; 2];
                own.iter().zip(&mut sums).for_each(|(own, sums)| rows::moments(own, sums));
                moments.add(y, pixels.start, sums.each_ref().map(|sums| &sums[..pixels.len().div_ceil(CELL)]));
            }
        }
    }
}
