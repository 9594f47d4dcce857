//! How much the colours of cells differ, at the full size, where the metric itself looks at luma only.

use archmage::autoversion;

use super::grid::Grid;

/// One row in so many is looked at.
const EACH: usize = 4;
/// Pixels that lie in one cell.
const PIXELS: usize = 64;

/// Sums of red and of blue, each less green, and of their squares, over the cells of a picture.
pub struct Chroma {
    grid: Grid,
    width: usize,
    /// Rows pushed.
    rows: usize,
    cells: Vec<Sums>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    pixels: f64,
    channels: [[f64; 2]; 2],
}

impl Chroma {
    #[must_use]
    pub fn new(grid: Grid, width: usize) -> Self {
        Self { grid, width, rows: 0, cells: vec![Sums::default(); grid.columns * grid.rows] }
    }

    /// The next row.
    pub fn push(&mut self, [red, green, blue]: [&[u8]; 3]) {
        let y = self.rows;
        self.rows += 1;
        if !y.is_multiple_of(EACH) {
            return;
        }
        for left in (0..self.width).step_by(PIXELS) {
            let pixels = left..(left + PIXELS).min(self.width);
            let cell = &mut self.cells[self.grid.cell_at(left, y)];
            cell.pixels += pixels.len() as f64;
            for (sums, plane) in cell.channels.iter_mut().zip([red, blue]) {
                let seen = differences(&plane[pixels.clone()], &green[pixels.clone()]);
                sums.iter_mut().zip(seen).for_each(|(sum, seen)| *sum += f64::from(seen));
            }
        }
    }

    /// The variance over cells of the channel that varies most, of samples to 255.
    #[must_use]
    pub fn variance(&self, cells: &[usize]) -> f64 {
        let pixels = cells.iter().map(|i| self.cells[*i].pixels).sum::<f64>().max(1.0);
        let mean =
            |channel: usize, k: usize| cells.iter().map(|i| self.cells[*i].channels[channel][k]).sum::<f64>() / pixels;
        (0..2).map(|channel| mean(channel, 1) - mean(channel, 0).powi(2)).fold(0.0, f64::max)
    }
}

#[autoversion(v3, neon)]
fn differences(a: &[u8], b: &[u8]) -> [i32; 2] {
    let n = a.len();
    let b = &b[..n];
    let (mut sum, mut of_squares) = (0, 0);
    for i in 0..n {
        let difference = i32::from(a[i]) - i32::from(b[i]);
        sum += difference;
        of_squares += difference * difference;
    }
    [sum, of_squares]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variance_is_of_colours_and_not_of_luma() {
        let variance = |of: fn(usize) -> [u8; 3]| {
            let mut chroma = Chroma::new(Grid::over(200, 100), 200);
            let planes = [0, 1, 2].map(|c| (0..200).map(|x| of(x)[c]).collect::<Vec<_>>());
            (0..100).for_each(|_| chroma.push(planes.each_ref().map(Vec::as_slice)));
            [chroma.variance(&[0, 1]), chroma.variance(&[2])]
        };
        assert!(variance(|x| [x as u8; 3]).iter().all(|variance| variance.abs() < 1e-9));
        // 64 pixels of 20 more red, and 64 of less: a standard deviation of 20.
        let [both, one] = variance(|x| if x < 64 { [140, 100, 90] } else { [100, 100, 90] });
        assert!((both - 400.0).abs() < 1e-9 && one.abs() < 1e-9, "{both} {one}");
    }
}
