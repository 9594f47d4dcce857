//! One scale of the metric: rows of both pictures come in, are blurred and compared, and go on to the next at half size.

use super::gaussian::{self, DELAY, Down, Interleaved, LANES, Row, SPAN};
use super::rows::{self, BLURRED, Linear, Parts, TILE};
use super::weights::PARTS;
use super::windows::{self, CELL, Cells, Grid, Moments};

/// Channels that are compared: X, Y, B.
const CHANNELS: usize = 3;
/// Y among them.
const LUMA: usize = 1;
/// Rows that are blurred across at a time, both pictures side by side.
const BAND: usize = LANES / 2;
/// Rows that are kept: as they came until those that their blur needs are there, and blurred across while they are needed,
/// by whole bands.
const KEPT: usize = BAND + DELAY;
const KEPT_BLURRED: usize = (BAND + SPAN).next_multiple_of(BAND);

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
    scratch: Scratch,
}

/// A channel that is compared.
struct Channel {
    /// Pixels.
    width: usize,
    /// Rows of both pictures: row `y` at `y % KEPT`.
    rows: Vec<[Row; 2]>,
    /// For each quantity its rows blurred across: row `y` at `y % KEPT_BLURRED`.
    across: [Vec<Row>; BLURRED],
    down: [Down; BLURRED],
    parts: Parts,
    sums: [f64; PARTS],
    cells: Cells,
    /// Where it tells what is flat.
    moments: Option<Moments>,
}

/// What rows are blurred across in.
struct Scratch {
    pictures: Interleaved,
    products: Interleaved,
    blurred: Vec<[f32; LANES]>,
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
            scratch: Scratch {
                pictures: Interleaved::blank(width),
                products: Interleaved::blank(width),
                blurred: Vec::new(),
            },
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
            (self.pushed..self.pushed + DELAY).for_each(|step| channel.compare(step, self.pushed));
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
            channel.blur(self.blurred, &mut self.scratch);
            (self.blurred..self.pushed).for_each(|step| channel.compare(step, self.pushed));
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
            across: std::array::from_fn(|_| vec![gaussian::blank(width); KEPT_BLURRED]),
            down: std::array::from_fn(|_| Down::blank(width)),
            parts: Parts::blank(),
            sums: [0.0; PARTS],
            cells,
            moments,
        }
    }

    fn row_mut(&mut self, slot: usize, picture: usize) -> &mut [f32] {
        &mut self.rows[slot][picture].as_flattened_mut()[..self.width]
    }

    /// Blurs a band of rows across; of the last one those that are there count.
    fn blur(&mut self, first: usize, scratch: &mut Scratch) {
        let Scratch { pictures, products, blurred } = scratch;
        let [a, b, a_squared, b_squared, product] =
            self.across.each_mut().map(|rows| rows[first % KEPT_BLURRED..][..BAND].iter_mut());
        let row = |lane: usize| &self.rows[(first + lane % BAND) % KEPT][lane / BAND];
        pictures.take(&std::array::from_fn(row));
        pictures.blur(blurred, a.chain(b));
        products.square(pictures);
        products.blur(blurred, a_squared.chain(b_squared));
        products.multiply(pictures);
        products.blur(blurred, product);
    }

    /// Takes row `step` blurred across, or none where it is not below `rows`, and compares the row that is blurred then.
    fn compare(&mut self, step: usize, rows: usize) {
        const NOTHING: &[f32] = &[0.0; TILE];
        let y = step.checked_sub(DELAY);
        let own = y.map(|row| self.rows[row % KEPT].each_ref());
        let mut blurred = [[0.0; TILE]; BLURRED];
        for left in (0..self.width).step_by(TILE) {
            let right = (left + TILE).min(self.width);
            for (quantity, out) in blurred.iter_mut().enumerate() {
                let row = |row: usize| &self.across[quantity][row % KEPT_BLURRED].as_flattened()[left..right];
                let above = step.checked_sub(SPAN).map_or(NOTHING, row);
                let below = if step < rows { row(step) } else { NOTHING };
                self.down[quantity].step(left, [above, below], &mut out[..right - left]);
            }
            if let (Some(own), Some(y)) = (own, y) {
                let own = own.map(|row| &row.as_flattened()[left..right]);
                self.parts.compare(&blurred, own, self.cells.side());
                self.parts.add_to(&mut self.sums);
                self.cells.add(y, left, &self.parts.by_cell());
                if let Some(moments) = &mut self.moments {
                    let mut sums = [[[0.0; 2]; TILE / CELL]; 2];
                    own.iter().zip(&mut sums).for_each(|(own, sums)| rows::moments(own, sums));
                    moments.add(y, left, sums.each_ref().map(|sums| &sums[..(right - left).div_ceil(CELL)]));
                }
            }
        }
        self.down.iter_mut().for_each(Down::advance);
    }
}
