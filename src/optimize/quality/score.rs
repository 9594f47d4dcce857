//! How alike two pictures look: SSIMULACRA2 of the whole and of its worst window, and that colours do not drift.

use std::sync::Arc;

use super::gates::Gates;
use super::insets::{Inset, InsetComparison, InsetFinder};
use super::ssimulacra2::{AllScales, Windows};
use crate::optimize::color::ToSrgb;
use crate::optimize::picture::{Rgb, Row};

pub use super::ssimulacra2::IDENTICAL;

/// How much of a picture another one keeps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// SSIMULACRA2 of the whole picture.
    pub whole: f64,
    /// The lowest score of any window of 128 pixels that is not flat, every 64 pixels; of a picture with a side below 113
    /// pixels of the picture mirrored at its edges, and not above the score of that. `None` where all are flat.
    pub worst: Option<f64>,
    /// The score of all windows together that are not flat.
    busy: f64,
    /// The score of the picture mirrored at its edges, where the metric misses scales for want of pixels, and of the samples as
    /// they are stored, where a profile shows them quite otherwise.
    mirrored: f64,
    /// What the metric forgives and eyes do not.
    gates: Gates,
}

/// What searches add to a target: the floor is a promise by anyone's arithmetic, and decoders and metrics differ by a few
/// hundredths.
pub const ROUNDING: f64 = 0.05;

/// The floor for windows lies below the target by this share of the target's distance from 100: 6 points at 75. It asks
/// about the same of photographs at all usual targets, and a window of 128 pixels scores 3 points below its own crop.
const WINDOW_SLACK: f64 = 0.24;

impl Score {
    /// Of a picture beside itself.
    pub const IDENTICAL: Self =
        Self { whole: IDENTICAL, worst: Some(IDENTICAL), busy: IDENTICAL, mirrored: IDENTICAL, gates: Gates::OPEN };
    /// Of what must not be kept.
    pub const REFUSED: Self = Self { whole: 0.0, worst: Some(0.0), busy: 0.0, mirrored: 0.0, gates: Gates::OPEN };

    /// What no window that is not flat may score below, for a target of the whole.
    #[must_use]
    pub fn floor(target: f64) -> f64 {
        target - slack(target)
    }

    /// The number that reaches the target where the whole does and every window reaches its floor.
    #[must_use]
    pub fn effective(self, target: f64) -> f64 {
        let windows = self.lowest() + slack(target);
        self.whole.min(self.mirrored).min(windows).min(self.busy + busy_slack(target)).min(self.gates.cap(target))
    }

    /// What the worst window scores; 100 where all are flat.
    #[must_use]
    pub fn lowest(self) -> f64 {
        self.worst.unwrap_or(IDENTICAL)
    }

    /// The number that reaches the target where all does but single windows.
    #[must_use]
    pub fn without_windows(self, target: f64) -> f64 {
        Self { worst: None, ..self }.effective(target)
    }

    /// Whether single windows fail, or lie nearer to their floor than all else to the target.
    #[must_use]
    pub fn is_bound_by_windows(self, target: f64) -> bool {
        self.effective(target) < self.without_windows(target)
    }

    /// The whole's score, at all scales: of a small picture not above that of the mirrored one.
    #[must_use]
    pub fn at_all_scales(self) -> f64 {
        self.whole.min(self.mirrored)
    }

    /// Reaches a target only where this whole does, too.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self { mirrored: self.mirrored.min(other.whole), ..self }
    }

    /// Points that all that is not flat lacks together, for a target of the whole.
    #[must_use]
    pub fn busy_lacking(self, target: f64) -> f64 {
        (target - busy_slack(target) - self.busy).max(0.0)
    }

    /// The lower of both, each way.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        Self {
            whole: self.whole.min(other.whole),
            worst: [self.worst, other.worst].into_iter().flatten().reduce(f64::min),
            busy: self.busy.min(other.busy),
            mirrored: self.mirrored.min(other.mirrored),
            gates: self.gates.min(other.gates),
        }
    }

    /// Whether flat areas of a graphic stay flat.
    #[must_use]
    pub fn keeps_flat(self) -> bool {
        self.gates.keeps_flat()
    }

    /// With gates that it passes, or not.
    #[must_use]
    pub fn gated(self, gates: Gates) -> Self {
        Self { gates: self.gates.min(gates), ..self }
    }

    /// For codings whose tiles may shift by so many times as much as others'; by any amount where that is infinite.
    #[must_use]
    pub fn with_shift(self, times: f64) -> Self {
        Self { gates: Gates { shift: self.gates.shift / times, ..self.gates }, ..self }
    }

    /// With the whole's score alone, where nothing is known of windows.
    #[must_use]
    pub fn of_whole(whole: f64) -> Self {
        Self { whole, worst: Some(whole), busy: IDENTICAL, mirrored: IDENTICAL, gates: Gates::OPEN }
    }
}

/// All that is not flat may score below the target by this share: an object on a plain ground is all of one quality, and its
/// crop would score 70 for a target of 75 where each of its windows has 69.
const BUSY_SLACK: f64 = 0.12;

fn busy_slack(target: f64) -> f64 {
    BUSY_SLACK * (IDENTICAL - target).max(0.0)
}

/// What an inset's own score is worth as a window's: it may score below the target by the share that all that is not flat
/// may.
fn as_window(own: f64) -> f64 {
    IDENTICAL - (IDENTICAL - own) * (1.0 + WINDOW_SLACK) / (1.0 + BUSY_SLACK)
}

fn slack(target: f64) -> f64 {
    WINDOW_SLACK * (IDENTICAL - target).max(0.0)
}

/// Bytes of memory that a judgement needs for pictures of this width in pixels, beside the pictures.
#[must_use]
pub fn memory(width: u64) -> u64 {
    // Nine rows of each channel of each scale that count, measured; and rows on their way from one thread to another.
    width.saturating_mul(900 + 500)
}

/// Judges one picture by another, row by row.
pub struct Judge {
    width: usize,
    pair: AllScales,
    insets: Vec<InsetComparison>,
    /// Rows pushed.
    rows: usize,
    drift: Drift,
    /// How both pictures are shown, where it is not as sRGB.
    to_srgb: Option<Arc<ToSrgb>>,
}

impl Judge {
    /// For pictures of this size, in pixels; `None` where one side is too small to be judged.
    #[must_use]
    pub fn new(width: usize, height: usize) -> Option<Self> {
        let (pair, drift) = (AllScales::new(width, height)?, Drift::new(width, height));
        Some(Self { width, pair, insets: Vec::new(), rows: 0, drift, to_srgb: None })
    }

    /// Scores these insets by themselves as well.
    #[must_use]
    pub fn with_insets(self, insets: impl IntoIterator<Item = Inset>) -> Self {
        Self { insets: insets.into_iter().filter_map(InsetComparison::new).collect(), ..self }
    }

    /// Judges both pictures as this conversion shows them.
    #[must_use]
    pub fn shown_by(self, to_srgb: Option<Arc<ToSrgb>>) -> Self {
        Self { to_srgb, ..self }
    }

    /// The next row of both, as long as the pictures are wide.
    pub fn push(&mut self, reference: Row<'_>, distorted: Row<'_>) {
        let [reference, distorted] = [reference, distorted].map(|row| row.map(|plane| &plane[..self.width]));
        let Some(to_srgb) = &self.to_srgb else { return self.push_shown(reference, distorted) };
        let [a, b] = [reference, distorted].map(|row| to_srgb.row(row));
        self.push_shown(a.each_ref().map(Vec::as_slice), b.each_ref().map(Vec::as_slice));
    }

    fn push_shown(&mut self, reference: Row<'_>, distorted: Row<'_>) {
        self.pair.push(reference, distorted);
        for inset in &mut self.insets {
            inset.push(self.rows, reference, distorted);
        }
        self.rows += 1;
        self.drift.push(reference, distorted);
    }

    /// The next rows of both, of pictures of the same size.
    pub fn push_all(&mut self, reference: &Rgb, distorted: &Rgb) {
        for y in 0..reference.height {
            let (a, b) = (reference.row(y), distorted.row(y));
            self.push(a.each_ref().map(Vec::as_slice), b.each_ref().map(Vec::as_slice));
        }
    }

    /// The score, or at most 0 where colours drift by more than `max_drift`: the metric compares structure, and forgives a
    /// few levels of shift over wide areas, which a palette makes of a smooth gradient, and eyes see.
    #[must_use]
    pub fn finish(self, max_drift: f64) -> Score {
        self.finish_with_windows(max_drift).0
    }

    /// The same, and the scores of all windows; of a small picture these are of the mirrored one.
    #[must_use]
    pub fn finish_with_windows(self, max_drift: f64) -> (Score, Windows) {
        let drifts = self.drift.mean() > max_drift;
        let (whole, mirrored, mut windows) = self.pair.finish();
        for (inset, own) in self.insets.into_iter().map(InsetComparison::finish) {
            windows.cap(&inset.across, &inset.down, as_window(own));
        }
        let worst = windows.worst().into_iter().chain(mirrored).reduce(f64::min);
        let mirrored = mirrored.unwrap_or(IDENTICAL);
        let score = Score { whole, worst, busy: windows.busy, mirrored, gates: Gates::OPEN };
        (if drifts { score.min(Score::REFUSED) } else { score }, windows)
    }
}

/// The insets of a picture.
#[must_use]
pub fn insets(picture: &Rgb) -> Vec<Inset> {
    let mut finder = InsetFinder::new(picture.width, picture.height);
    (0..picture.height).for_each(|y| finder.push(picture.row(y).each_ref().map(Vec::as_slice)));
    finder.finish()
}

/// The score of one picture by another, as [`Judge`] has it; `None` where their sizes differ, or a side is too small.
#[must_use]
pub fn judge(reference: &Rgb, distorted: &Rgb, max_drift: f64) -> Option<Score> {
    if (reference.width, reference.height) != (distorted.width, distorted.height) {
        return None;
    }
    let mut judge = Judge::new(reference.width, reference.height)?.with_insets(insets(reference));
    judge.push_all(reference, distorted);
    Some(judge.finish(max_drift))
}

/// How far mean colours are apart, over a coarse grid.
struct Drift {
    width: usize,
    height: usize,
    /// Rows pushed.
    rows: usize,
    /// For each cell the sum of differences of each channel, and how many pixels they are of.
    cells: Vec<([i64; 3], i64)>,
}

/// Cells each way in which colour drift is looked for, at the most, and pixels of a cell's side, at the least: the mean of
/// a few pixels tells of noise, not of drift.
const GRID: usize = 32;
const LEAST_CELL: usize = 16;
/// Of a large picture one row in so many is looked at: means over wide areas need no more.
const EACH: usize = 4;

fn cells(length: usize) -> usize {
    (length / LEAST_CELL).clamp(1, GRID)
}

impl Drift {
    fn new(width: usize, height: usize) -> Self {
        Self { width, height, rows: 0, cells: vec![([0; 3], 0); cells(width) * cells(height)] }
    }

    fn push(&mut self, reference: Row<'_>, distorted: Row<'_>) {
        let y = self.rows;
        self.rows += 1;
        if !y.is_multiple_of(EACH) && self.height >= GRID * LEAST_CELL {
            return;
        }
        let (columns, rows) = (cells(self.width), cells(self.height));
        let cells = &mut self.cells[y * rows / self.height * columns..][..columns];
        for (column, (sums, count)) in cells.iter_mut().enumerate() {
            // The pixels x for which x · columns / width is this column.
            let [from, to] = [column, column + 1].map(|c| (c * self.width).div_ceil(columns));
            let sum = |samples: &[u8]| samples[from..to].iter().map(|&v| i64::from(v)).sum::<i64>();
            for channel in 0..3 {
                sums[channel] += sum(reference[channel]) - sum(distorted[channel]);
            }
            *count += (to - from) as i64;
        }
    }

    /// The largest of the three channels' mean differences, of 255.
    fn mean(&self) -> f64 {
        let seen: Vec<_> = self.cells.iter().filter(|(_, count)| *count > 0).collect();
        let of_channel =
            |i: usize| seen.iter().map(|(sums, count)| (sums[i] as f64 / *count as f64).abs()).sum::<f64>();
        (0..3).map(of_channel).fold(0.0, f64::max) / seen.len().max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY_DRIFT: f64 = f64::INFINITY;

    fn waves(width: usize, height: usize, noise: u8) -> Rgb {
        let sample = |i: usize| {
            let smooth = 128.0 + 100.0 * ((i / 3 % width) as f64 / 9.0).sin();
            (smooth as u8).saturating_add(if (i * 2_654_435_761) >> 7 & 1 == 1 { noise } else { 0 })
        };
        Rgb { width, height, samples: (0..width * height * 3).map(sample).collect() }
    }

    #[test]
    fn a_picture_is_identical_to_itself_and_noise_costs() {
        let noisy = |noise| judge(&waves(64, 48, 0), &waves(64, 48, noise), ANY_DRIFT).unwrap().whole;
        assert!((noisy(0) - IDENTICAL).abs() < 1e-6);
        assert!(IDENTICAL > noisy(3) && noisy(3) > noisy(30), "{} {}", noisy(3), noisy(30));
    }

    #[test]
    fn orientations_turn_as_exif_says() {
        // 1 2
        // 3 4
        // 5 6
        let picture = Rgb { width: 2, height: 3, samples: (1..=6).flat_map(|v| [v; 3]).collect() };
        let turned = |orientation| {
            let picture = picture.clone().upright(orientation);
            (picture.width, picture.samples.chunks_exact(3).map(|p| p[0]).collect::<Vec<_>>())
        };
        assert_eq!(turned(1), (2, vec![1, 2, 3, 4, 5, 6]));
        assert_eq!(turned(2), (2, vec![2, 1, 4, 3, 6, 5]));
        assert_eq!(turned(3), (2, vec![6, 5, 4, 3, 2, 1]));
        assert_eq!(turned(4), (2, vec![5, 6, 3, 4, 1, 2]));
        assert_eq!(turned(5), (3, vec![1, 3, 5, 2, 4, 6]));
        assert_eq!(turned(6), (3, vec![5, 3, 1, 6, 4, 2]));
        assert_eq!(turned(7), (3, vec![6, 4, 2, 5, 3, 1]));
        assert_eq!(turned(8), (3, vec![2, 4, 6, 1, 3, 5]));
    }

    #[test]
    fn a_drift_of_colour_is_refused_whatever_the_structure() {
        let source = waves(200, 120, 0);
        let mut shifted = source.clone();
        shifted.samples.iter_mut().for_each(|v| *v = v.saturating_add(4));
        assert!(judge(&source, &shifted, 4.5).unwrap().whole > 50.0);
        assert!(judge(&source, &shifted, 3.5).unwrap().effective(30.0) <= 0.0);
    }

    /// A square of grain on a plain ground, and the same without its grain.
    fn object(length: usize, side: usize) -> [Rgb; 2] {
        let grain = |i: usize| (90 + ((i * 2_654_435_761) >> 9 & 63)) as u8;
        let is_inside =
            |i: usize| (200..200 + side).contains(&(i % length)) && (200..200 + side).contains(&(i / length));
        let of = |level: &dyn Fn(usize) -> u8| {
            let pixel = |i: usize| if is_inside(i) { level(i) } else { 240 };
            Rgb { width: length, height: length, samples: (0..length * length).flat_map(|i| [pixel(i); 3]).collect() }
        };
        [of(&grain), of(&|i| grain(i) / 48 * 48 + 24)]
    }

    #[test]
    fn worst_window_tells_what_the_whole_forgives() {
        let [source, without] = object(1200, 100);
        let score = judge(&source, &without, ANY_DRIFT).unwrap();
        assert!(score.whole > score.lowest() + 30.0, "{score:?}");
        assert!(score.effective(75.0) < 50.0 && Score::IDENTICAL.effective(75.0) >= 100.0);
        assert!((Score::floor(75.0) - 69.0).abs() < 1e-9 && Score::floor(90.0) > 87.0);
    }

    #[test]
    fn inset_counts_as_a_window_of_its_own_score() {
        let [source, without] = object(640, 150);
        let crop = |picture: &Rgb| {
            let inside = |i: usize| (200..350).contains(&(i % 640)) && (200..350).contains(&(i / 640));
            let pixels = (0..640 * 640).filter(|i| inside(*i)).flat_map(|i| picture.samples[i * 3..][..3].to_vec());
            Rgb { width: 150, height: 150, samples: pixels.collect() }
        };
        let own = judge(&crop(&source), &crop(&without), ANY_DRIFT).unwrap().at_all_scales();
        let score = judge(&source, &without, ANY_DRIFT).unwrap();
        assert!((score.lowest() - as_window(own)).abs() < 1e-3, "{score:?} {own}");
        // The demand is the same on both at every target.
        assert!((as_window(75.0 - busy_slack(75.0)) - Score::floor(75.0)).abs() < 1e-9);
    }

    #[test]
    fn worst_window_of_an_even_coding_is_near_the_whole() {
        let score = judge(&waves(640, 480, 0), &waves(640, 480, 12), ANY_DRIFT).unwrap();
        assert!((score.whole - score.lowest()).abs() < 8.0, "{score:?}");
        let flat = |level| Rgb { width: 300, height: 200, samples: vec![level; 300 * 200 * 3] };
        assert_eq!(judge(&flat(90), &flat(91), ANY_DRIFT).unwrap().worst, None);
    }

    #[test]
    fn window_of_equally_light_colours_is_not_flat() {
        // Y, in linear light about .29 · red + .69 · green + .02 · blue, is the same of both.
        let colors = [[200, 100, 100], [60, 143, 100]];
        let picture = |coarse: usize| Rgb {
            width: 256,
            height: 256,
            samples: (0..256 * 256).flat_map(|i| colors[(i % 256 / coarse + i / 256 / coarse) % 2]).collect(),
        };
        assert!(judge(&picture(4), &picture(8), ANY_DRIFT).unwrap().worst.is_some_and(|worst| worst < 70.0));
    }

    #[test]
    fn thumbnail_is_held_to_its_own_score() {
        let thumbnail = |picture: &Rgb| {
            let is_inside = |i: usize| (200..224).contains(&(i % 640)) && (200..224).contains(&(i / 640));
            let mut all = vec![240; 640 * 640 * 3];
            (0..640 * 640).filter(|i| is_inside(*i)).for_each(|i| {
                all[i * 3..][..3].copy_from_slice(&picture.samples[i * 3..][..3]);
            });
            Rgb { width: 640, height: 640, samples: all }
        };
        let [source, without] = object(640, 150).map(|picture| thumbnail(&picture));
        let score = judge(&source, &without, ANY_DRIFT).unwrap();
        assert!(score.whole > 75.0 && score.effective(75.0) < 60.0, "{score:?}");
    }

    #[test]
    fn small_pictures_are_judged_at_all_scales() {
        let score = judge(&waves(400, 8, 0), &waves(400, 8, 40), ANY_DRIFT).unwrap();
        assert!(score.effective(75.0) <= score.mirrored && score.mirrored < IDENTICAL, "{score:?}");
        let large = judge(&waves(400, 120, 0), &waves(400, 120, 40), ANY_DRIFT).unwrap();
        assert!((large.mirrored - IDENTICAL).abs() < 1e-9);
    }

    #[test]
    fn drift_of_a_small_picture_is_no_noise() {
        let (source, noisy) = (waves(40, 20, 0), waves(40, 20, 12));
        assert!(judge(&source, &noisy, 7.0).unwrap().whole > 0.0);
        assert!(judge(&source, &noisy, 3.0).unwrap().whole <= 0.0);
    }

    #[test]
    fn every_pixel_of_a_row_falls_into_one_cell() {
        for width in [1, 31, 32, 33, 100, 1001] {
            let mut drift = Drift::new(width, 1);
            let (nines, fours) = (vec![9; width], vec![4; width]);
            drift.push([&nines; 3], [&fours; 3]);
            assert_eq!(drift.cells.iter().map(|(_, count)| count).sum::<i64>(), width as i64);
            assert!((drift.mean() - 5.0).abs() < 1e-9, "{width}");
        }
    }

    #[test]
    fn other_dimensions_have_no_score() {
        assert_eq!(judge(&waves(64, 48, 0), &waves(48, 64, 0), ANY_DRIFT), None);
        assert_eq!(judge(&waves(7, 48, 0), &waves(7, 48, 0), ANY_DRIFT), None);
    }
}
