//! Small pictures at all scales: the metric on a picture that is mirrored until it is large enough.
//!
//! Below 113 pixels a side the metric leaves out its coarse scales, and reads the weights of the others from the wrong
//! rows of its table: strips and icons then score 75 to 92 that score 33 to 73 when there is more of the same.

use super::{Comparison, Windows};

/// Pixels each way from which on the metric has all its scales (`Comparison::new`).
const LEAST_SIDE: usize = 113;
/// Pixels of a side that was below that: two cells.
const MIRRORED_SIDE: usize = 128;

/// Compares two pictures, small ones mirrored as well.
pub struct AllScales {
    comparison: Comparison,
    mirrored: Option<Mirrored>,
}

impl AllScales {
    /// For pictures of this size, in pixels; `None` where one side is too small for a score.
    #[must_use]
    pub fn new(width: usize, height: usize) -> Option<Self> {
        Some(Self { comparison: Comparison::new(width, height)?, mirrored: Mirrored::new(width, height) })
    }

    /// The next row of both, as long as the pictures are wide.
    pub fn push(&mut self, reference: [&[u8]; 3], distorted: [&[u8]; 3]) {
        self.comparison.push(reference, distorted);
        if let Some(mirrored) = &mut self.mirrored {
            mirrored.push(reference, distorted);
        }
    }

    /// The scores of the pictures as they are and mirrored, `None` where they are not small, and of the windows of the
    /// latter.
    #[must_use]
    pub fn finish(self) -> (f64, Option<f64>, Windows) {
        let (whole, windows) = self.comparison.finish();
        let Some(mirrored) = self.mirrored else { return (whole, None, windows) };
        let (mirrored, windows) = mirrored.finish();
        (whole, Some(mirrored), windows)
    }
}

/// Compares two small pictures, mirrored.
struct Mirrored {
    width: usize,
    height: usize,
    comparison: Comparison,
    /// The rows of both pictures, where there will be more below them.
    rows: Vec<[[Vec<u8>; 3]; 2]>,
    pushed: usize,
}

impl Mirrored {
    /// For pictures of this size, in pixels; `None` where they are empty, or large enough as they are.
    fn new(width: usize, height: usize) -> Option<Self> {
        if width.min(height) >= LEAST_SIDE {
            return None;
        }
        let side = |length: usize| if length < LEAST_SIDE { MIRRORED_SIDE } else { length };
        let (width, height) = if width.min(height) > 0 { (side(width), side(height)) } else { (0, 0) };
        let comparison = Comparison::new(width, height)?;
        Some(Self { width, height, comparison, rows: Vec::new(), pushed: 0 })
    }

    /// The next row of both, as long as the pictures are wide.
    fn push(&mut self, reference: [&[u8]; 3], distorted: [&[u8]; 3]) {
        let across = |row: &[u8]| (0..self.width).map(|x| row[mirrored(x, row.len())]).collect::<Vec<_>>();
        let rows = [reference, distorted].map(|row| row.map(across));
        self.compare(&rows);
        if self.height == MIRRORED_SIDE {
            self.rows.push(rows);
        }
    }

    fn compare(&mut self, [reference, distorted]: &[[Vec<u8>; 3]; 2]) {
        if self.pushed < self.height {
            self.comparison.push(reference.each_ref().map(Vec::as_slice), distorted.each_ref().map(Vec::as_slice));
            self.pushed += 1;
        }
    }

    /// The scores of the whole and of its windows.
    fn finish(mut self) -> (f64, Windows) {
        let rows = std::mem::take(&mut self.rows);
        if !rows.is_empty() {
            (self.pushed..self.height).for_each(|y| self.compare(&rows[mirrored(y, rows.len())]));
        }
        self.comparison.finish()
    }
}

/// Where the pixel at `i` comes from in a row of `length`, that is mirrored at both ends time and again.
fn mirrored(i: usize, length: usize) -> usize {
    let i = i % (2 * length);
    if i < length { i } else { 2 * length - 1 - i }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrored_rows_go_back_and_forth() {
        assert_eq!((0..8).map(|i| mirrored(i, 3)).collect::<Vec<_>>(), [0, 1, 2, 2, 1, 0, 0, 1]);
    }

    #[test]
    fn mirrored_picture_scores_as_one_that_is_written_out() {
        let (width, height) = (20, 200);
        let sample =
            |x: usize, y: usize| ((x * 13) as f64 + 60.0 * (y as f64 / 9.0).sin() + 60.0).clamp(0.0, 255.0) as u8;
        let row = |y: usize, coarse: u8, long: usize| -> Vec<u8> {
            (0..long).map(|x| sample(super::mirrored(x, width), y) / coarse * coarse).collect()
        };
        let mut small = Mirrored::new(width, height).unwrap();
        let mut large = Comparison::new(MIRRORED_SIDE, height).unwrap();
        for y in 0..height {
            small.push([&row(y, 1, width); 3], [&row(y, 16, width); 3]);
            large.push([&row(y, 1, MIRRORED_SIDE); 3], [&row(y, 16, MIRRORED_SIDE); 3]);
        }
        let (small, large) = (small.finish().0, large.finish().0);
        assert!(small < 95.0 && small.to_bits() == large.to_bits(), "{small} {large}");
    }

    #[test]
    fn all_scales_are_mirrored_where_small() {
        for (length, is_small) in [(64, true), (160, false)] {
            let mut pair = AllScales::new(length, length).unwrap();
            let row = |y: usize, coarse: usize| {
                (0..length).map(|x| (x * y % 200 / coarse * coarse) as u8).collect::<Vec<_>>()
            };
            (0..length).for_each(|y| pair.push([&row(y, 1); 3], [&row(y, 16); 3]));
            let (whole, mirrored, windows) = pair.finish();
            assert!(mirrored.into_iter().chain(windows.worst()).all(|score| score < 99.0));
            assert!(whole < 99.0 && mirrored.is_some() == is_small, "{whole} {mirrored:?}");
        }
        assert!(AllScales::new(7, 90).is_none());
    }

    #[test]
    fn mirrored_is_for_small_pictures_only() {
        assert!(Mirrored::new(113, 113).is_none() && Mirrored::new(0, 5).is_none());
        for (width, height) in [(1, 1), (112, 500), (500, 8)] {
            let row = vec![9; width];
            let mut same = Mirrored::new(width, height).unwrap();
            (0..height).for_each(|_| same.push([&row; 3], [&row; 3]));
            assert!((same.finish().0 - 100.0).abs() < 1e-9, "{width} x {height}");
        }
    }
}
