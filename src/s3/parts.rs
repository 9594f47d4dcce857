//! How an object is divided for a multipart upload or copy. Pure.

use std::ops::Range;

const MIB: u64 = 1 << 20;
/// Limits of multipart uploads: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
pub(super) const MAX_PARTS: u64 = 10_000;
pub(super) const MIN_PART: u64 = 5 * MIB;
pub(super) const MAX_PART: u64 = 5 << 30;

/// One part: its number, from 1, and its bytes of the object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub number: u16,
    pub range: Range<u64>,
}

/// Parts of one size, the last of what is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PartPlan {
    size: u64,
    part_size: u64,
}

impl PartPlan {
    /// Parts of `configured` bytes, or of as many more, in whole MiB, as 10,000 of them need for the object. `None` where
    /// the object is empty, or larger than any S3 object (48.8 TiB).
    pub(super) fn new(size: u64, configured: u64) -> Option<Self> {
        let needed = size.div_ceil(MAX_PARTS).next_multiple_of(MIB);
        if size == 0 || needed > MAX_PART {
            return None;
        }
        Some(Self { size, part_size: configured.clamp(MIN_PART, MAX_PART).max(needed) })
    }

    pub(super) fn parts(self) -> impl Iterator<Item = Part> {
        let count = self.size.div_ceil(self.part_size);
        (0..count).zip(1_u16..).map(move |(index, number)| {
            let start = index * self.part_size;
            Part { number, range: start..(start + self.part_size).min(self.size) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_plan_covers_its_object_within_the_limits() {
        let around = |n: u64| [n - 1, n, n + 1];
        let sizes = [1, MIN_PART, 8 * MIB, 16 * MIB, 100 * MIB, MAX_PART, 80_000 * MIB, 10_000 * MAX_PART - 1]
            .into_iter()
            .flat_map(around)
            .filter(|size| *size > 0);
        for size in sizes {
            for configured in [0, 1, MIN_PART, 8 * MIB, 8 * MIB + 1, 64 * MIB, MAX_PART, u64::MAX] {
                let plan = PartPlan::new(size, configured).unwrap();
                check(size, plan);
                let needed = size.div_ceil(MAX_PARTS).next_multiple_of(MIB);
                assert_eq!(plan.part_size, configured.clamp(MIN_PART, MAX_PART).max(needed));
            }
        }
    }

    fn check(size: u64, plan: PartPlan) {
        let (mut next, mut count) = (0, 0);
        for part in plan.parts() {
            count += 1;
            assert_eq!(u64::from(part.number), count, "numbers run from 1");
            assert_eq!(part.range.start, next, "no gap, no overlap");
            let length = part.range.end - part.range.start;
            assert!((1..=MAX_PART).contains(&length));
            assert!(length >= MIN_PART || part.range.end == size, "only the last part may be small");
            next = part.range.end;
        }
        assert_eq!(next, size);
        assert!(count <= MAX_PARTS);
    }

    #[test]
    fn nothing_and_too_much_have_no_plan() {
        assert_eq!(PartPlan::new(0, 8 * MIB), None);
        assert_eq!(PartPlan::new(MAX_PARTS * MAX_PART + 1, 8 * MIB), None);
    }
}
