//! Divides an object into the parts of a multipart upload or copy. Pure.

use std::ops::Range;

const MIB: u64 = 1 << 20;
/// Limits of multipart uploads: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
pub(super) const MAX_PARTS: u64 = 10_000;
pub(super) const MIN_PART: u64 = 5 * MIB;
pub(super) const MAX_PART: u64 = 5 << 30;

/// Largest object, in bytes, that one `CopyObject` or `PutObject` accepts:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
pub(super) const SINGLE_REQUEST_LIMIT: u64 = 5 << 30;

/// One part: its number, counted from 1, and its byte range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub number: u16,
    pub range: Range<u64>,
}

/// Parts of equal size. The last one is smaller by less than one byte for each part, so it is no short tail that costs
/// a request of its own. R2 requires equal parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PartPlan {
    size: u64,
    count: u64,
}

impl PartPlan {
    /// Plans parts of at most `configured` bytes each: no more than 10,000, and none below 5 MiB unless the object
    /// itself is smaller. Returns `None` if the object is empty or larger than S3 allows (48.8 TiB).
    pub(super) fn new(size: u64, configured: u64) -> Option<Self> {
        let needed = size.div_ceil(MAX_PARTS);
        if size == 0 || needed > MAX_PART {
            return None;
        }
        let count = size.div_ceil(configured.clamp(MIN_PART, MAX_PART).max(needed));
        Some(Self { size, count: count.min((size / MIN_PART).max(1)) })
    }

    /// Plans a single part of any size.
    pub(super) fn single(size: u64) -> Self {
        Self { size, count: 1 }
    }

    /// Length of part `number`, counted from 1; 0 after the last one.
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

/// Number of equally small parts at the start of an upload of unknown length, since R2 requires equal parts.
const EQUAL_PARTS: u16 = 1000;
/// Bytes by which each later part is longer than the one before it, so that 10,000 parts hold 5 TiB.
const GROWTH: u64 = 136 << 10;

/// Length of part `number`, counted from 1, of an upload of unknown length.
pub(super) fn growing_part(number: u16, configured: u64) -> u64 {
    let longer = GROWTH * u64::from(number.saturating_sub(EQUAL_PARTS));
    configured.clamp(MIN_PART, MAX_PART).saturating_add(longer).min(MAX_PART)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plan_covers_object_within_limits() {
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

    /// Sizes of every magnitude, from a generator with a fixed seed.
    #[test]
    fn plan_of_random_size_covers_object_within_limits() {
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
    fn plan_of_odd_size_has_no_tiny_last_part() {
        let sizes = |size, configured| {
            let parts = PartPlan::new(size, configured).unwrap().parts();
            parts.map(|part| part.range.end - part.range.start).collect::<Vec<_>>()
        };
        assert_eq!(sizes(16 * MIB + 3, 8 * MIB), [5_592_407, 5_592_407, 5_592_405]);
        assert_eq!(sizes(10 * MIB + 1000, 5 * MIB), [5 * MIB + 500; 2]);
        assert_eq!(sizes(6 * MIB, 5 * MIB), [6 * MIB]);
    }

    #[test]
    fn growing_parts_reach_5_tib() {
        let held = |parts: u16| (1..=parts).map(|number| growing_part(number, MIN_PART)).sum::<u64>();
        assert!(held(10_000) >= 5 << 40);
        assert_eq!(growing_part(1, 8 * MIB), 8 * MIB);
        assert_eq!(growing_part(1000, 8 * MIB), 8 * MIB, "the first 8 GiB take little memory");
        assert!((1..=10_000).all(|number| (MIN_PART..=MAX_PART).contains(&growing_part(number, u64::MAX))));
    }

    #[test]
    fn plan_of_empty_or_huge_object_is_none() {
        assert_eq!(PartPlan::new(0, 8 * MIB), None);
        assert_eq!(PartPlan::new(MAX_PARTS * MAX_PART + 1, 8 * MIB), None);
    }
}
