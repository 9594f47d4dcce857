//! One scale of the metric: rows of both pictures come in, are blurred and compared, and go on to the next at half size.

use super::rows::{self, BLUR_ROWS, Blurred, Linear, Own, REACH};
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
    channels: [Option<Channel>; CHANNELS],
    /// The upper one of two rows, which wait to be halved.
    upper: Option<[Linear; 2]>,
}

/// A channel's last rows, and what they came to.
struct Channel {
    /// Row `y` at `y % BLUR_ROWS`, blurred across.
    blurred: Vec<Blurred>,
    own: Vec<Own>,
    sums: [f64; PARTS],
}

impl Scale {
    /// Of this size in pixels; `needed` says which channels count.
    #[must_use]
    pub fn new((width, height): (usize, usize), needed: [bool; CHANNELS]) -> Self {
        let channel = |needed: bool| {
            needed.then(|| Channel {
                blurred: (0..BLUR_ROWS).map(|_| rows::blank(width)).collect(),
                own: (0..BLUR_ROWS).map(|_| rows::blank(width)).collect(),
                sums: [0.0; PARTS],
            })
        };
        Self { width, height, pushed: 0, compared: 0, channels: needed.map(channel), upper: None }
    }

    /// Takes a row of each picture; answers a row of each at half the size where it completes one.
    pub fn push(&mut self, pair: [Linear; 2]) -> Option<[Linear; 2]> {
        let slot = self.pushed % BLUR_ROWS;
        if self.channels.iter().any(Option::is_some) {
            let with_blue = self.channels[2].is_some();
            let xyb = pair.each_ref().map(|row| rows::xyb(row, with_blue));
            for (index, channel) in self.channels.iter_mut().enumerate() {
                if let Some(channel) = channel {
                    rows::blur_across(
                        &xyb[0][index],
                        &xyb[1][index],
                        &mut channel.blurred[slot],
                        &mut channel.own[slot],
                    );
                }
            }
        }
        self.pushed += 1;
        if self.pushed > REACH {
            self.compare();
        }
        let Some(upper) = self.upper.take() else {
            self.upper = Some(pair);
            return None;
        };
        Some(halved(&upper, &pair))
    }

    /// Compares the rows that waited for more below them; answers what [`push`](Self::push) would at one more row.
    pub fn finish(&mut self) -> Option<[Linear; 2]> {
        while self.compared < self.pushed {
            self.compare();
        }
        // The last row of an odd number is averaged with itself.
        self.upper.take().map(|pair| halved(&pair, &pair))
    }

    /// Compares the next row, blurred down over what lies around it; beyond the picture everything is 0.
    fn compare(&mut self) {
        let y = self.compared;
        let inside = |row: usize| (REACH..self.pushed + REACH).contains(&row);
        for channel in self.channels.iter_mut().flatten() {
            let around: [Option<&Blurred>; BLUR_ROWS] =
                std::array::from_fn(|i| inside(y + i).then(|| &channel.blurred[(y + i - REACH) % BLUR_ROWS]));
            rows::compare(&around, &channel.own[y % BLUR_ROWS], &mut channel.sums);
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

fn halved(upper: &[Linear; 2], lower: &[Linear; 2]) -> [Linear; 2] {
    [0, 1].map(|i| upper[i].halved(&lower[i]))
}
