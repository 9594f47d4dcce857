//! One scale of the metric: rows of both pictures come in, are blurred and compared, and go on to the next at half size.

use super::rows::{self, BLUR_ROWS, Blurred, Linear, Padded, REACH};
use super::weights::PARTS;

/// Channels that are compared: X, Y, B.
const CHANNELS: usize = 3;

pub struct Scale {
    /// Pixels.
    width: usize,
    height: usize,
    /// Rows that came in, and that were compared.
    pushed: usize,
    compared: usize,
    /// The last two rows of both pictures: row `y` at `y % 2`.
    rows: [[Linear; 2]; 2],
    /// For each channel of both pictures the last rows: row `y` at `y % BLUR_ROWS`; of one that is not compared, one.
    xyb: [Vec<[Padded; 2]>; CHANNELS],
    channels: [Option<Channel>; CHANNELS],
}

/// What comes of a channel that is compared.
struct Channel {
    /// Row `y` at `y % BLUR_ROWS`, blurred across.
    blurred: Vec<Blurred>,
    sums: [f64; PARTS],
}

impl Scale {
    /// Of this size in pixels; `needed` says which channels count.
    #[must_use]
    pub fn new((width, height): (usize, usize), needed: [bool; CHANNELS]) -> Self {
        let pair = || [Padded::blank(width), Padded::blank(width)];
        let ring = |needed: bool| (0..if needed { BLUR_ROWS } else { 1 }).map(|_| pair()).collect();
        let blurred = || (0..BLUR_ROWS).map(|_| rows::blank(width)).collect();
        let channel = |needed: bool| needed.then(|| Channel { blurred: blurred(), sums: [0.0; PARTS] });
        let linear = || [Linear::blank(width), Linear::blank(width)];
        Self {
            width,
            height,
            pushed: 0,
            compared: 0,
            rows: [linear(), linear()],
            xyb: needed.map(ring),
            channels: needed.map(channel),
        }
    }

    /// Where the next row of each picture goes, for [`take`](Self::take).
    pub fn next(&mut self) -> &mut [Linear; 2] {
        &mut self.rows[self.pushed % 2]
    }

    /// Takes the row; answers whether it completes two, for [`halve`](Self::halve).
    pub fn take(&mut self) -> bool {
        if self.channels.iter().any(Option::is_some) {
            self.blur();
        }
        self.pushed += 1;
        if self.pushed > REACH {
            self.compare();
        }
        self.pushed.is_multiple_of(2)
    }

    /// Compares the rows that waited for more below them; answers whether the last is one without a second.
    pub fn finish(&mut self) -> bool {
        while self.compared < self.pushed {
            self.compare();
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

    fn blur(&mut self) {
        let slot = self.pushed % BLUR_ROWS;
        let with_blue = self.channels[2].is_some();
        for (picture, row) in self.rows[self.pushed % 2].iter().enumerate() {
            let xyb = self.xyb.each_mut().map(|ring| {
                let slot = slot % ring.len();
                &mut ring[slot][picture]
            });
            rows::xyb(row, xyb, with_blue);
        }
        for (ring, channel) in self.xyb.iter().zip(&mut self.channels) {
            if let Some(channel) = channel {
                let [a, b] = &ring[slot];
                rows::blur_across(a, b, &mut channel.blurred[slot]);
            }
        }
    }

    /// Compares the next row, blurred down over what lies around it; beyond the picture everything is 0.
    fn compare(&mut self) {
        let y = self.compared;
        let inside = |row: usize| (REACH..self.pushed + REACH).contains(&row);
        for (ring, channel) in self.xyb.iter().zip(&mut self.channels) {
            let Some(channel) = channel else { continue };
            let around: [Option<&Blurred>; BLUR_ROWS] =
                std::array::from_fn(|i| inside(y + i).then(|| &channel.blurred[(y + i - REACH) % BLUR_ROWS]));
            let [a, b] = &ring[y % BLUR_ROWS];
            rows::compare(&around, a, b, &mut channel.sums);
        }
        self.compared += 1;
    }

    /// For each channel the means and the L4 norms of its parts.
    #[must_use]
    pub fn means(&self) -> [[f64; PARTS]; CHANNELS] {
        let pixels = (self.width * self.height) as f64;
        let parts = |channel: &Channel| {
            let mean = channel.sums.map(|sum| sum / pixels);
            std::array::from_fn(|i| if i < PARTS / 2 { mean[i] } else { mean[i].sqrt().sqrt() })
        };
        self.channels.each_ref().map(|channel| channel.as_ref().map_or([0.0; PARTS], parts))
    }
}
