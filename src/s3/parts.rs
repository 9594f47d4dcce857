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

/// Even parts: all are alike but the last, which lacks less than a byte for each of them, and so is no tail that costs a
/// request of its own. R2 takes no others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PartPlan {
    size: u64,
    count: u64,
}

impl PartPlan {
    /// As many parts as `configured` bytes each make, or fewer: 10,000 at most, and none under 5 MiB but of an object that
    /// is smaller itself. `None` where the object is empty, or larger than any S3 object (48.8 TiB).
    pub(super) fn new(size: u64, configured: u64) -> Option<Self> {
        let needed = size.div_ceil(MAX_PARTS);
        if size == 0 || needed > MAX_PART {
            return None;
        }
        let count = size.div_ceil(configured.clamp(MIN_PART, MAX_PART).max(needed));
        Some(Self { size, count: count.min((size / MIN_PART).max(1)) })
    }

    /// One part of all the bytes, however many or few.
    pub(super) fn at_once(size: u64) -> Self {
        Self { size, count: 1 }
    }

    /// The bytes of part `number`, from 1; 0 behind the last one.
    pub(super) fn length(self, number: u16) -> u64 {
        let start = |index: u64| self.size.min(index * self.size.div_ceil(self.count));
        start(number.into()) - start(u64::from(number.saturating_sub(1)))
    }

    pub(super) fn parts(self) -> impl Iterator<Item = Part> + Send {
        let each = self.size.div_ceil(self.count);
        let start = move |index: u64| self.size.min(index * each);
        (0..self.count).zip(1_u16..).map(move |(index, number)| Part { number, range: start(index)..start(index + 1) })
    }
}

/// So many parts of an upload of unknown length are alike, as R2 wants them, and small.
const ALIKE: u16 = 1000;
/// By how much each one after these is longer than the one before, so that 10,000 hold 5 TiB.
const GROWTH: u64 = 136 << 10;

/// The bytes of part `number`, from 1, of an upload whose length is not known before its end.
pub(super) fn growing(number: u16, configured: u64) -> u64 {
    let longer = GROWTH * u64::from(number.saturating_sub(ALIKE));
    configured.clamp(MIN_PART, MAX_PART).saturating_add(longer).min(MAX_PART)
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
                check(size, configured);
            }
        }
    }

    /// Sizes of every magnitude, from a generator that is the same every time.
    #[test]
    fn random_plans_hold_as_well() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for _ in 0..2000 {
            let size = (next() >> (next() % 64)) % (MAX_PARTS * MAX_PART) + 1;
            check(size, next() >> (next() % 64));
        }
    }

    fn check(size: u64, configured: u64) {
        let plan = PartPlan::new(size, configured).unwrap();
        let (mut next, mut count) = (0, 0);
        let mut lengths = Vec::new();
        for part in plan.parts() {
            count += 1;
            assert_eq!(u64::from(part.number), count, "numbers run from 1");
            assert_eq!(part.range.start, next, "no gap, no overlap");
            lengths.push(part.range.end - part.range.start);
            assert_eq!(plan.length(part.number), part.range.end - part.range.start);
            next = part.range.end;
        }
        assert_eq!(next, size);
        assert_eq!(u16::try_from(count + 1).map(|number| plan.length(number)), Ok(0), "nothing behind the last");
        let (each, last) = (lengths[0], lengths[lengths.len() - 1]);
        assert!(count <= MAX_PARTS && each <= MAX_PART, "{size} by {configured}: {count} of {each}");
        assert!(each >= MIN_PART || count == 1, "{size} by {configured}: {count} of {each}");
        assert!(lengths[..lengths.len() - 1].iter().all(|length| *length == each), "all alike but the last");
        assert!(last <= each && each - last < count, "{size} by {configured}: a tail of {last} behind parts of {each}");
        let wanted = configured.clamp(MIN_PART, MAX_PART).max(size.div_ceil(MAX_PARTS));
        assert!(each <= wanted || each < 2 * MIN_PART, "no larger than asked for, but to be no smaller than S3 takes");
    }

    #[test]
    fn a_last_byte_makes_no_part_of_its_own() {
        let sizes = |size, configured| {
            let parts = PartPlan::new(size, configured).unwrap().parts();
            parts.map(|part| part.range.end - part.range.start).collect::<Vec<_>>()
        };
        assert_eq!(sizes(16 * MIB + 3, 8 * MIB), [5_592_407, 5_592_407, 5_592_405]);
        assert_eq!(sizes(10 * MIB + 1000, 5 * MIB), [5 * MIB + 500; 2]);
        assert_eq!(sizes(6 * MIB, 5 * MIB), [6 * MIB]);
    }

    #[test]
    fn parts_of_unknown_lengths_reach_5_tib() {
        let held = |parts: u16| (1..=parts).map(|number| growing(number, MIN_PART)).sum::<u64>();
        assert!(held(10_000) >= 5 << 40);
        assert_eq!(growing(1, 8 * MIB), 8 * MIB);
        assert_eq!(growing(1000, 8 * MIB), 8 * MIB, "the first 8 GiB take little memory");
        assert!((1..=10_000).all(|number| (MIN_PART..=MAX_PART).contains(&growing(number, u64::MAX))));
    }

    #[test]
    fn nothing_and_too_much_have_no_plan() {
        assert_eq!(PartPlan::new(0, 8 * MIB), None);
        assert_eq!(PartPlan::new(MAX_PARTS * MAX_PART + 1, 8 * MIB), None);
    }
}
