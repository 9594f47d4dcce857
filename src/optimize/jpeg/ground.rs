//! Grounds: the colours of wide flat areas, which a coarser step for the means would shift.
//!
//! A page's ground of 246, 247, 249 became 244, 248, 251: no score tells, and beside the page around it everyone sees.
//! A slightly finer step of the mean often meets the ground's value.

use std::collections::HashMap;
use std::ops::Range;

use crate::optimize::jpeg::dct::coefficients::Blocks;

/// Shares of all blocks: a colour of fewer is no ground, and grounds that are less together do not count.
const LEAST_SHARE: f64 = 0.01;
const LEAST_TOGETHER: f64 = 0.05;
/// Grounds that are looked at.
const MOST: usize = 8;
/// How much finer a step may become.
const FINEST_SHARE: f64 = 0.5;
/// What a step of half the size is weighed as: the mean error, over all blocks, in 8ths of a level of 255.
const COST_OF_HALF: f64 = 0.3;

/// The flat colours of components that share a table, as coefficients that are not quantized, and their shares of all blocks.
pub struct Grounds(Vec<(f64, f64)>);

impl Grounds {
    #[must_use]
    pub fn of(source: &dyn Blocks, components: Range<usize>) -> Self {
        let (mut counts, mut blocks) = (HashMap::<i64, usize>::new(), 0);
        for index in components {
            let component = &source.layout().components[index];
            blocks += component.columns * component.rows;
            for row in 0..component.rows {
                for block in source.row(index, row).iter().filter(|block| block[1..].iter().all(|level| *level == 0)) {
                    *counts.entry(i64::from(block[0]) * i64::from(component.table[0])).or_default() += 1;
                }
            }
        }
        let shares = counts.into_iter().map(|(value, count)| (value as f64, count as f64 / blocks.max(1) as f64));
        let mut grounds: Vec<_> = shares.filter(|(_, share)| *share >= LEAST_SHARE).collect();
        grounds.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.total_cmp(&b.0)));
        grounds.truncate(MOST);
        let together: f64 = grounds.iter().map(|(_, share)| share).sum();
        Self(if together < LEAST_TOGETHER { Vec::new() } else { grounds })
    }

    /// The step of the mean to use in place of a wanted one: as coarse, or finer and nearer to the grounds, but not below
    /// `least`.
    #[must_use]
    pub fn step(&self, wanted: u16, least: u16) -> u16 {
        let finest = ((f64::from(wanted) * FINEST_SHARE).ceil() as u16).max(least).max(1);
        let cost = |step: u16| {
            let step_size = f64::from(step);
            let error = |value: f64| (value - (value / step_size).round() * step_size).abs();
            let errors: f64 = self.0.iter().map(|(value, share)| error(*value) * share).sum();
            errors + COST_OF_HALF * 2.0 * f64::from(wanted - step) / f64::from(wanted.max(1))
        };
        if self.0.is_empty() {
            return wanted;
        }
        (finest.min(wanted)..=wanted).rev().min_by(|a, b| cost(*a).total_cmp(&cost(*b))).unwrap_or(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimize::jpeg::dct::coefficients::{Coefficients, ColorModel, Component, Layout};

    fn grounds(levels: &[(i16, usize)], busy: usize) -> Grounds {
        let flat = levels.iter().flat_map(|(level, count)| vec![*level; *count]).map(|level| {
            let mut block = [0; 64];
            block[0] = level;
            block
        });
        let blocks: Vec<_> = flat.chain((0..busy).map(|i| [i as i16 + 1; 64])).collect();
        let component = Component { id: 1, h: 1, v: 1, columns: blocks.len(), rows: 1, table: [3; 64] };
        let layout =
            Layout { width: 8 * blocks.len(), height: 8, model: ColorModel::Gray, components: vec![component] };
        Grounds::of(&Coefficients { layout, blocks: vec![blocks] }, 0..1)
    }

    #[test]
    fn step_meets_the_ground_or_comes_near() {
        for level in [-300, 1, 7, 100, 311] {
            for wanted in [10, 17, 33] {
                let step = grounds(&[(level, 80)], 20).step(wanted, 1);
                let (value, step) = (f64::from(level) * 3.0, f64::from(step));
                let error = (value - (value / step).round() * step).abs();
                assert!(error <= 3.0 && step >= f64::from(wanted) / 2.0, "{value} by {step}, wanted {wanted}");
            }
        }
    }

    #[test]
    fn step_stays_where_nothing_is_flat() {
        assert_eq!(grounds(&[(7, 4)], 96).step(17, 3), 17);
        assert_eq!(grounds(&[], 50).step(17, 3), 17);
        // What has the value already keeps its step.
        assert_eq!(grounds(&[(34, 50)], 50).step(17, 3), 17);
    }

    #[test]
    fn larger_ground_counts_more() {
        let step = f64::from(grounds(&[(31, 90), (37, 10)], 0).step(20, 3));
        assert!(((93.0 / step).round() * step - 93.0).abs() <= 2.0, "{step}");
    }
}
