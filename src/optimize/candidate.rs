//! Candidates compete: the smallest that holds wins, if it is worth storing.

use super::options::{MetadataPolicy, Options};
use super::outcome::{Encoded, ImageInfo, MetadataState, Method, Outcome, Reason, Unchanged};

/// A file that could take the source's place; it holds the quality target and the metadata policy.
#[derive(Debug)]
pub struct Candidate {
    pub bytes: Vec<u8>,
    pub method: Method,
    /// SSIMULACRA2, where measured.
    pub score: Option<f64>,
}

/// Chooses. `stripped` says that the policy removed something from every candidate: removal is a promise, so the
/// smallest lossless one is stored then even if it saves little. Nothing larger than the source is ever stored.
#[must_use]
pub fn choose(
    source_bytes: usize,
    candidates: Vec<Candidate>,
    stripped: bool,
    info: ImageInfo,
    options: &Options,
) -> Outcome {
    // Savings of 0 % still want a gain.
    let worthwhile = (source_bytes as f64 * (1.0 - options.min_savings / 100.0)) as usize;
    let worthwhile = worthwhile.min(source_bytes.saturating_sub(1));
    let most = |c: &Candidate| if stripped && c.method.is_lossless() { source_bytes } else { worthwhile };
    let lightest = candidates.into_iter().filter(|c| c.bytes.len() <= most(c)).min_by_key(|c| c.bytes.len());
    if let Some(Candidate { bytes, method, score }) = lightest {
        let metadata = if stripped { MetadataState::Stripped } else { unstripped(options.metadata) };
        return Outcome::Optimized(Encoded { bytes, info, method, score, metadata });
    }
    let metadata = if stripped { MetadataState::Kept } else { unstripped(options.metadata) };
    Outcome::Unchanged(Unchanged { reason: Reason::NoGain, info: Some(info), metadata })
}

/// What is in a file from which nothing was removed: under a policy that keeps all, whatever was there.
fn unstripped(policy: MetadataPolicy) -> MetadataState {
    match policy {
        MetadataPolicy::All => MetadataState::Kept,
        MetadataPolicy::Safe | MetadataPolicy::None => MetadataState::Clean,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimize::Format;

    const INFO: ImageInfo = ImageInfo { format: Format::Jpeg, width: 8, height: 8 };

    fn candidate(bytes: usize, method: Method) -> Candidate {
        Candidate { bytes: vec![0; bytes], method, score: None }
    }

    fn chosen(source: usize, sizes: &[usize], stripped: bool) -> Option<usize> {
        let candidates = sizes.iter().map(|size| candidate(*size, Method::JpegTranscode)).collect();
        match choose(source, candidates, stripped, INFO, &Options::default()) {
            Outcome::Optimized(encoded) => Some(encoded.bytes.len()),
            Outcome::Unchanged(_) => None,
        }
    }

    #[test]
    fn the_lightest_wins() {
        assert_eq!(chosen(1000, &[900, 500, 700], false), Some(500));
    }

    #[test]
    fn a_gain_below_the_smallest_worthwhile_is_none() {
        assert_eq!(chosen(1000, &[981], false), None);
        assert_eq!(chosen(1000, &[980], false), Some(980));
        assert_eq!(chosen(1000, &[], false), None);
    }

    #[test]
    fn what_policy_removes_costs_no_pixel_that_saves_too_little() {
        let candidates = vec![candidate(985, Method::JpegPixels), candidate(990, Method::JpegStrip)];
        let outcome = choose(1000, candidates, true, INFO, &Options::default());
        assert!(matches!(outcome, Outcome::Optimized(Encoded { method: Method::JpegStrip, .. })));
    }

    #[test]
    fn what_policy_removes_is_stored_without_gain_but_never_larger() {
        assert_eq!(chosen(1000, &[999], true), Some(999));
        assert_eq!(chosen(1000, &[1001], true), None);
    }
}
