//! Candidates compete: the smallest that holds wins, if it is worth storing.

use super::options::{MetadataPolicy, Options};
use super::outcome::{Check, Encoded, ImageInfo, MetadataState, Method, Outcome, Reason, Unchanged};
use super::quality::score::Score;

/// A file that could take the source's place; it holds the quality target and the metadata policy.
#[derive(Debug)]
pub struct Candidate {
    pub bytes: Vec<u8>,
    pub method: Method,
    /// Where measured.
    pub score: Option<Score>,
    pub check: Check,
}

impl Candidate {
    /// A file whose pixels decode as before.
    #[must_use]
    pub fn lossless(bytes: Vec<u8>, method: Method) -> Self {
        Self { bytes, method, score: Some(Score::IDENTICAL), check: Check::Lossless }
    }
}

/// What is known of a source, and of the work on it.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    pub bytes: usize,
    pub info: ImageInfo,
    /// Whether the policy removed something from every candidate.
    pub stripped: bool,
    /// What stays behind whichever wins, out of the policy's reach: added at last, so that no candidate holds a copy.
    pub tail: &'a [u8],
    /// Whether time ended the search early.
    pub budget_cut: bool,
}

/// Chooses. Removal is a promise: where the policy removed something, the smallest lossless file is stored even if it
/// saves little. Nothing larger than the source is ever stored.
#[must_use]
pub fn choose(source: Context<'_>, candidates: Vec<Candidate>, options: &Options) -> Outcome {
    let Context { bytes: source_bytes, info, stripped, tail, budget_cut } = source;
    // Savings of 0 % still want a gain.
    let worthwhile = (source_bytes as f64 * (1.0 - options.min_savings / 100.0)) as usize;
    let worthwhile = worthwhile.min(source_bytes.saturating_sub(1));
    let most = |c: &Candidate| if stripped && c.method.is_lossless() { source_bytes } else { worthwhile };
    let fits = |c: &Candidate| c.bytes.len() + tail.len() <= most(c);
    let lightest = candidates.into_iter().filter(fits).min_by_key(|c| c.bytes.len());
    let state = |of_stripped| match (tail, stripped) {
        (&[_, ..], _) => MetadataState::Kept,
        (&[], true) => of_stripped,
        (&[], false) => unstripped(options.metadata),
    };
    if let Some(Candidate { mut bytes, method, score, check }) = lightest {
        bytes.reserve_exact(tail.len());
        bytes.extend_from_slice(tail);
        let metadata = state(MetadataState::Stripped);
        // A sample has not seen every window.
        let worst = score.filter(|_| check != Check::Sampled).and_then(|score| score.worst);
        let score = score.map(|score| score.whole);
        return Outcome::Optimized(Encoded { bytes, info, method, score, worst, check, metadata, budget_cut });
    }
    let metadata = state(MetadataState::Kept);
    Outcome::Unchanged(Unchanged { reason: Reason::NoGain, info: Some(info), metadata, budget_cut })
}

/// What is in a file from which nothing was removed: under a policy that keeps all, whatever was there.
pub(super) fn unstripped(policy: MetadataPolicy) -> MetadataState {
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
        Candidate { bytes: vec![0; bytes], method, score: None, check: Check::None }
    }

    fn context(bytes: usize, stripped: bool) -> Context<'static> {
        Context { bytes, info: INFO, stripped, tail: &[], budget_cut: false }
    }

    fn chosen(source: usize, sizes: &[usize], stripped: bool) -> Option<usize> {
        let candidates = sizes.iter().map(|size| candidate(*size, Method::JpegTranscode)).collect();
        match choose(context(source, stripped), candidates, &Options::default()) {
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
    fn worst_window_is_unknown_to_a_sample() {
        let worst = |check: Check| {
            let sampled = Candidate { score: Some(Score::IDENTICAL), check, ..candidate(500, Method::JpegTranscode) };
            match choose(context(1000, false), vec![sampled], &Options::default()) {
                Outcome::Optimized(encoded) => (encoded.score.is_some(), encoded.worst.is_some()),
                Outcome::Unchanged(_) => (false, false),
            }
        };
        assert_eq!([worst(Check::Whole), worst(Check::Sampled)], [(true, true), (true, false)]);
    }

    #[test]
    fn what_policy_removes_costs_no_pixel_that_saves_too_little() {
        let candidates = vec![candidate(985, Method::JpegPixels), candidate(990, Method::JpegStrip)];
        let outcome = choose(context(1000, true), candidates, &Options::default());
        assert!(matches!(outcome, Outcome::Optimized(Encoded { method: Method::JpegStrip, .. })));
    }

    #[test]
    fn what_stays_behind_counts_and_keeps_what_it_holds() {
        let source = Context { tail: &[7; 300], ..context(1000, true) };
        let outcome = choose(source, vec![candidate(600, Method::JpegPixels)], &Options::default());
        let Outcome::Optimized(Encoded { bytes, metadata, .. }) = outcome else { panic!("{outcome:?}") };
        assert_eq!((bytes.len(), metadata), (900, MetadataState::Kept));
        assert!(bytes.ends_with(&[7; 300]));
        let outcome = choose(source, vec![candidate(690, Method::JpegPixels)], &Options::default());
        assert!(matches!(outcome, Outcome::Unchanged(Unchanged { metadata: MetadataState::Kept, .. })));
    }

    #[test]
    fn what_policy_removes_is_stored_without_gain_but_never_larger() {
        assert_eq!(chosen(1000, &[999], true), Some(999));
        assert_eq!(chosen(1000, &[1001], true), None);
    }
}
