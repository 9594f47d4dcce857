//! The marker: user metadata that Karui adds to the objects that it optimizes or copies by an event, to recognize them later. Pure.
//!
//! A marker is trusted only at the destination. On a source, anyone may have written it, or it came with a copy from
//! elsewhere; it is dropped.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::job::{Move, Task, is_hex};
use crate::optimize::Options;
use crate::s3::ETag;

type Metadata = BTreeMap<String, String>;

const PREFIX: &str = "karui-";
const SOURCE_ETAG: &str = "karui-source-etag";
const OPTIONS: &str = "karui-options";
const VERSION: &str = "karui-version";
const ORIGINAL_SIZE: &str = "karui-original-size";
const SCORE: &str = "karui-score";
const METHOD: &str = "karui-method";
const SEQUENCER: &str = "karui-sequencer";

/// S3's limit of all user metadata, names and values together.
const MAX_METADATA_BYTES: usize = 2048;

/// Origin of a stored object, and how it was made.
#[derive(Debug, Clone, PartialEq)]
pub struct Marker<'a> {
    pub source_etag: &'a ETag,
    /// Result of [`options_hash`]; `None` if the options had no say, so that a later event may optimize the object.
    pub options: Option<&'a str>,
    /// Bytes.
    pub original_size: u64,
    pub score: Option<f64>,
    pub method: &'a str,
    pub sequencer: Option<&'a str>,
}

impl Marker<'_> {
    /// Returns the source's metadata with this marker in place of any other. If both exceed S3's limit, the marker is
    /// left out: the source's metadata is a promise, the marker only saves work.
    #[must_use]
    pub fn added_to(&self, source: &Metadata) -> Metadata {
        let own: Metadata = source.iter().filter(|(name, _)| !name.starts_with(PREFIX)).map(clone_entry).collect();
        let mut marked = own.clone();
        marked.extend(self.entries());
        let bytes: usize = marked.iter().map(|(name, value)| name.len() + value.len()).sum();
        if bytes <= MAX_METADATA_BYTES { marked } else { own }
    }

    fn entries(&self) -> impl Iterator<Item = (String, String)> {
        [
            (SOURCE_ETAG, Some(self.source_etag.as_str().to_string())),
            (OPTIONS, self.options.map(Into::into)),
            (VERSION, Some(env!("CARGO_PKG_VERSION").to_string())),
            (ORIGINAL_SIZE, Some(self.original_size.to_string())),
            (SCORE, self.score.map(|score| format!("{score:.2}"))),
            (METHOD, Some(self.method.to_string())),
            (SEQUENCER, self.sequencer.map(Into::into)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_string(), value?)))
    }
}

fn clone_entry((name, value): (&String, &String)) -> (String, String) {
    (name.clone(), value.clone())
}

/// Whether the destination already holds the result of this move or of a later event. In doubt it does not: working
/// again costs time, skipping could lose an object. A copy, which no options change, is answered by any result.
#[must_use]
pub fn answers(destination: &Metadata, job: &Move, options_hash: &str) -> bool {
    let stored = |name: &str| destination.get(name).map(String::as_str);
    job.etag.as_ref().is_some_and(|etag| stored(SOURCE_ETAG) == Some(etag.as_str()))
        && (job.task == Task::Copy || stored(OPTIONS) == Some(options_hash))
        && is_not_later(job.sequencer.as_deref(), stored(SEQUENCER))
}

/// Whether a job's sequencer is not greater than the stored one. The same bytes put again with other attributes have
/// the same `ETag` and a greater sequencer. A job without a sequencer counts as not later.
fn is_not_later(job: Option<&str>, stored: Option<&str>) -> bool {
    match (job, stored) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(job), Some(stored)) => {
            let width = job.len().max(stored.len());
            let padded = |text: &str| format!("{text:0<width$}").to_ascii_lowercase();
            is_hex(stored) && padded(job) <= padded(stored)
        }
    }
}

/// Hashes all options that change the bytes of a result, to 16 hex digits.
#[must_use]
pub fn options_hash(options: &Options) -> String {
    let Options { quality, metadata, effort, min_savings, limits: _ } = options;
    let text = format!("quality={quality} metadata={metadata} effort={effort} min-savings={min_savings}");
    let digest = Sha256::digest(text);
    format!("{:016x}", digest.iter().take(8).fold(0, |hash: u64, byte| hash << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimize::{Effort, MetadataPolicy, Quality};
    use crate::pipeline::location::Location;
    use crate::s3::ObjectRef;

    const HASH: &str = "0123456789abcdef";

    fn metadata(entries: &[(&str, &str)]) -> Metadata {
        entries.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    fn job(etag: Option<&str>, sequencer: Option<&str>) -> Move {
        let place = |bucket| Location::S3(ObjectRef::new(bucket, "a.jpg"));
        let moving = Move::new(place("in"), place("out"), Task::Optimize);
        Move { etag: etag.map(ETag::new), sequencer: sequencer.map(Into::into), ..moving }
    }

    fn marker(etag: &ETag) -> Marker<'_> {
        Marker {
            source_etag: etag,
            options: Some(HASH),
            original_size: 1234,
            score: Some(81.234),
            method: "jpeg-pixels",
            sequencer: Some("00AB"),
        }
    }

    #[test]
    fn marker_writes_all_its_entries() {
        let etag = ETag::new("\"abc\"");
        assert_eq!(
            marker(&etag).added_to(&metadata(&[("artist", "Ueda")])),
            metadata(&[
                ("artist", "Ueda"),
                ("karui-method", "jpeg-pixels"),
                ("karui-options", HASH),
                ("karui-original-size", "1234"),
                ("karui-score", "81.23"),
                ("karui-sequencer", "00AB"),
                ("karui-source-etag", "abc"),
                ("karui-version", env!("CARGO_PKG_VERSION")),
            ])
        );
    }

    #[test]
    fn marker_replaces_one_found_on_the_source() {
        let forged =
            metadata(&[("karui-source-etag", "forged"), ("karui-score", "100"), ("karui-else", "x"), ("a", "b")]);
        let etag = ETag::new("abc");
        let written = Marker { score: None, ..marker(&etag) }.added_to(&forged);
        assert_eq!(written["karui-source-etag"], "abc");
        assert_eq!(written["a"], "b");
        assert!(!written.contains_key("karui-score") && !written.contains_key("karui-else"), "{written:?}");
    }

    #[test]
    fn marker_over_the_metadata_limit_is_dropped() {
        let etag = ETag::new("abc");
        let added = |bytes: usize| {
            let source = metadata(&[("k", &"v".repeat(bytes - 1)), ("karui-forged", "x")]);
            marker(&etag).added_to(&source).len()
        };
        let own: usize = marker(&etag).entries().map(|(name, value)| name.len() + value.len()).sum();
        assert_eq!(added(MAX_METADATA_BYTES - own), 8);
        assert_eq!(added(MAX_METADATA_BYTES - own + 1), 1);
        assert_eq!(added(MAX_METADATA_BYTES), 1);
    }

    #[test]
    fn marker_answers_its_own_job() {
        let etag = ETag::new("abc");
        let written = marker(&etag).added_to(&Metadata::new());
        assert!(answers(&written, &job(Some("\"abc\""), Some("00AB")), HASH));
    }

    /// Name of the case, stored entries, the job's `ETag` and sequencer, expected answer.
    type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], (Option<&'a str>, Option<&'a str>), bool);

    #[test]
    fn answers_compares_etag_options_and_sequencer() {
        let full = [(SOURCE_ETAG, "abc"), (OPTIONS, HASH), (SEQUENCER, "00B0")];
        let same = (Some("abc"), Some("00B0"));
        let table: &[Row] = &[
            ("the same event again", &full, same, true),
            ("an earlier event of the same bytes", &full, (Some("abc"), Some("00AF")), true),
            ("a later event of the same bytes", &full, (Some("abc"), Some("00B1")), false),
            ("another case", &full, (Some("abc"), Some("00b0")), true),
            ("shorter, padded to the same", &full, (Some("abc"), Some("00B")), true),
            ("longer, padded to more", &full, (Some("abc"), Some("00B01")), false),
            ("other bytes", &full, (Some("abd"), Some("00B0")), false),
            ("an event without ETag", &full, (None, Some("00B0")), false),
            ("an event without sequencer", &full, (Some("abc"), None), true),
            ("no marker", &[], same, false),
            ("no sequencer stored", &full[..2], same, false),
            ("no sequencer at all", &full[..2], (Some("abc"), None), true),
            ("no options stored", &[full[0], full[2]], same, false),
            ("other options", &[full[0], (OPTIONS, "fedcba9876543210"), full[2]], same, false),
            ("a sequencer that is none", &[full[0], full[1], (SEQUENCER, "zz")], same, false),
        ];
        for (what, stored, (etag, sequencer), answer) in table {
            assert_eq!(answers(&metadata(stored), &job(*etag, *sequencer), HASH), *answer, "{what}");
        }
    }

    #[test]
    fn marker_without_options_answers_only_a_copy() {
        let etag = ETag::new("abc");
        let written = Marker { options: None, ..marker(&etag) }.added_to(&Metadata::new());
        assert!(!written.contains_key(OPTIONS), "{written:?}");
        let copy = |etag| Move { task: Task::Copy, ..job(Some(etag), Some("00AB")) };
        assert!(answers(&written, &copy("abc"), HASH));
        assert!(!answers(&written, &copy("abd"), HASH), "another version");
        assert!(!answers(&written, &job(Some("abc"), Some("00AB")), HASH), "it may be optimized");
        let optimized = marker(&etag).added_to(&Metadata::new());
        assert!(answers(&optimized, &copy("abc"), "fedcba9876543210"), "a copy replaces no result");
    }

    #[test]
    fn options_hash_covers_options_that_change_bytes() {
        let base = Options::default();
        let hash = options_hash(&base);
        assert!(hash.len() == 16 && is_hex(&hash), "{hash}");
        for other in [
            Options { quality: Quality::Target(80.0), ..base.clone() },
            Options { quality: Quality::Lossless, ..base.clone() },
            Options { metadata: MetadataPolicy::All, ..base.clone() },
            Options { effort: Effort::Fast, ..base.clone() },
            Options { min_savings: 3.0, ..base.clone() },
        ] {
            assert_ne!(options_hash(&other), hash, "{other:?}");
        }
        let mut bounded = base;
        bounded.limits.pixels = 1;
        assert_eq!(options_hash(&bounded), hash);
    }

    #[test]
    fn options_hash_is_stable_across_releases() {
        assert_eq!(options_hash(&Options::default()), "b54b9b00f20dad6b");
    }
}
