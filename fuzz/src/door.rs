//! The engine's promises, whatever the bytes: what every target asserts.

use karui::optimize::{
    Budget, Check, CompareError, Effort, Encoded, ImageError, Limits, MetadataPolicy, MetadataState, Options, Outcome,
    Quality, optimize, score,
};
use std::time::Duration;

use super::bytes::Bytes;

/// Small, so that no input takes long.
pub const LIMITS: Limits = Limits { bytes: 1 << 20, pixels: 1 << 16, scans: 50, frames: 16, memory: 48 << 20 };

/// A measured score may be off by so much where the metric's rows are summed up in another order.
const ROUNDING: f64 = 0.5;

/// What is asked of the engine for one input.
#[derive(Debug)]
pub struct Order {
    pub options: Options,
    pub budget: Budget,
}

impl Order {
    pub fn of(bytes: &mut Bytes<'_>) -> Self {
        let quality = match bytes.below(80) {
            0..=69 => Quality::Target(30.0 + f64::from(bytes.byte()) * 70.0 / 255.0),
            _ => Quality::Lossless,
        };
        let metadata = bytes.one_of(&[MetadataPolicy::Safe, MetadataPolicy::None, MetadataPolicy::All]);
        let effort = bytes.one_of(&[Effort::Default, Effort::Default, Effort::Fast]);
        let min_savings = bytes.one_of(&[0.0, 2.0]);
        let budget = bytes.one_of(&[Budget::UNLIMITED, Budget::UNLIMITED, Budget::lasting(Duration::ZERO)]);
        Self { options: Options { quality, metadata, effort, min_savings, limits: LIMITS }, budget }
    }

    /// For a file whose bytes are all its own: its sum decides.
    #[must_use]
    pub fn by_sum(file: &[u8]) -> Self {
        let sum = crc32fast::hash(file).to_be_bytes();
        Self::of(&mut Bytes::new(&[sum, sum].concat()))
    }

    #[must_use]
    pub fn lossless(metadata: MetadataPolicy) -> Self {
        let options =
            Options { quality: Quality::Lossless, metadata, effort: Effort::Fast, min_savings: 0.0, limits: LIMITS };
        Self { options, budget: Budget::UNLIMITED }
    }

    /// Optimizes, and the result once more.
    ///
    /// # Panics
    /// Where a promise is broken.
    pub fn check(&self, source: &[u8]) {
        let Some(first) = self.optimized(source) else { return };
        self.check_encoded(source, &first);
        let second = optimize(&first.bytes, &self.options, self.budget);
        match second {
            Ok(Outcome::Optimized(second)) => {
                assert!(second.bytes.len() <= first.bytes.len(), "the second result is larger than the first");
                let is_clean = first.metadata == MetadataState::Kept || second.metadata != MetadataState::Stripped;
                assert!(is_clean, "something was left for a second run to strip");
            }
            Ok(Outcome::Unchanged(_)) => {}
            Err(error) => panic!("the result is refused: {error}"),
        }
    }

    fn optimized(&self, source: &[u8]) -> Option<Encoded> {
        match optimize(source, &self.options, self.budget) {
            Ok(Outcome::Optimized(encoded)) => Some(encoded),
            Ok(Outcome::Unchanged(_)) | Err(ImageError::Malformed { .. }) => None,
            Err(ImageError::LimitExceeded { value, max, .. }) => {
                assert!(value >= max, "{value} is within {max}");
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn check_encoded(&self, source: &[u8], encoded: &Encoded) {
        assert!(encoded.bytes.len() <= source.len(), "{} bytes became {}", source.len(), encoded.bytes.len());
        let pixels = u64::from(encoded.info.width) * u64::from(encoded.info.height);
        assert!(pixels <= LIMITS.pixels && source.len() as u64 <= LIMITS.bytes, "over the limits");
        let floor = match (encoded.check, self.options.quality) {
            (Check::Lossless, _) => 100.0,
            (Check::Whole, Quality::Target(target)) => target,
            (Check::Whole | Check::Sampled | Check::None, Quality::Lossless) => panic!("lossy against orders"),
            (Check::Sampled | Check::None, Quality::Target(_)) => return,
        };
        match score(source, &encoded.bytes) {
            Ok(score) => {
                let effective = score.effective(floor);
                assert!(effective >= floor - ROUNDING, "{:?}: {score:?}, not {floor}", encoded.method);
            }
            // No score for such pictures, or not within the default limits.
            Err(CompareError::File { .. } | CompareError::Metric(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}
