//! Decides what to do about a key, given what exists at either side. Pure.

use super::args::Scope;
use crate::report::TransferReason;
use crate::s3::ETag;

/// An object or file in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Key relative to the root, with `/` between folders.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// Modification time in whole seconds since 1970, as in S3.
    pub modified: i64,
    /// `None` for a file.
    pub etag: Option<ETag>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Transfer(TransferReason),
    /// The destination already has it.
    Same,
    /// Only the contents can decide. If they cannot either, transfer for this reason, if there is one.
    Compare(Option<TransferReason>),
    Delete,
    /// Only the destination has it, and keeps it.
    Keep,
}

/// The rules of a transfer.
#[derive(Debug, Clone, Copy)]
pub struct SyncRules {
    pub scope: Scope,
    /// Whether results have the source's bytes; otherwise their sizes and `ETag`s decide nothing.
    pub plain: bool,
    /// Whether results have a marker that names their source; files have none.
    pub has_marker: bool,
    pub delete: bool,
}

impl SyncRules {
    pub fn decide(self, source: Option<&Entry>, destination: Option<&Entry>) -> Decision {
        let (source, destination) = match (source, destination) {
            (None, _) if self.delete => return Decision::Delete,
            (None, _) => return Decision::Keep,
            (Some(_), None) if matches!(self.scope, Scope::One | Scope::All) => {
                return Decision::Transfer(TransferReason::Asked);
            }
            (Some(_), None) => return Decision::Transfer(TransferReason::Missing),
            (Some(source), Some(destination)) => (source, destination),
        };
        match self.scope {
            Scope::One | Scope::All => Decision::Transfer(TransferReason::Asked),
            Scope::Newer => self.by_listings(source, destination),
            Scope::Different if self.plain && source.size != destination.size => {
                Decision::Transfer(TransferReason::Size)
            }
            Scope::Different if !self.plain && self.has_marker => Decision::Compare(Some(TransferReason::Content)),
            Scope::Different if !self.plain => self.by_listings(source, destination),
            Scope::Different => self.by_contents(source, destination),
        }
    }

    fn by_listings(self, source: &Entry, destination: &Entry) -> Decision {
        if self.plain && source.size != destination.size {
            Decision::Transfer(TransferReason::Size)
        } else if source.modified > destination.modified {
            Decision::Transfer(TransferReason::Newer)
        } else {
            Decision::Same
        }
    }

    /// Differing `ETag`s prove nothing: the ETag of a multipart upload depends on its parts, that of SSE-KMS on nothing
    /// known.
    fn by_contents(self, source: &Entry, destination: &Entry) -> Decision {
        if source.etag.is_some() && source.etag == destination.etag {
            return Decision::Same;
        }
        let is_digest = |entry: &Entry| entry.etag.as_ref().is_some_and(ETag::is_digest);
        if is_digest(source) && is_digest(destination) {
            return Decision::Compare(Some(TransferReason::Content));
        }
        match self.by_listings(source, destination) {
            Decision::Transfer(why) => Decision::Compare(Some(why)),
            _ => Decision::Compare(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "0123456789abcdef0123456789abcdef";
    const B: &str = "1123456789abcdef0123456789abcdef";

    fn entry(size: u64, modified: i64, etag: Option<&str>) -> Entry {
        Entry { key: "k".into(), size, modified, etag: etag.map(ETag::new) }
    }

    fn decide(scope: Scope, plain: bool, source: &Entry, destination: &Entry) -> Decision {
        SyncRules { scope, plain, has_marker: true, delete: true }.decide(Some(source), Some(destination))
    }

    #[test]
    fn decide_by_listings_compares_time_and_size() {
        let newer = |source: (u64, i64), destination: (u64, i64)| {
            let of = |(size, modified)| entry(size, modified, None);
            let decided = |plain| decide(Scope::Newer, plain, &of(source), &of(destination));
            (decided(true), decided(false))
        };
        let (same, newer_wins) = (Decision::Same, Decision::Transfer(TransferReason::Newer));
        assert_eq!(newer((9, 5), (9, 5)), (same, same));
        assert_eq!(newer((9, 5), (9, 6)), (same, same));
        assert_eq!(newer((9, 6), (9, 5)), (newer_wins, newer_wins));
        assert_eq!(newer((9, 5), (7, 6)), (Decision::Transfer(TransferReason::Size), same), "an optimized image");
        assert_eq!(newer((9, 6), (7, 5)), (Decision::Transfer(TransferReason::Size), newer_wins));
    }

    #[test]
    fn decide_on_one_sided_key() {
        let it = entry(1, 1, None);
        let alone = |delete, source, destination| {
            SyncRules { scope: Scope::Newer, plain: true, has_marker: true, delete }.decide(source, destination)
        };
        assert_eq!(alone(true, Some(&it), None), Decision::Transfer(TransferReason::Missing));
        assert_eq!(alone(true, None, Some(&it)), Decision::Delete);
        assert_eq!(alone(false, None, Some(&it)), Decision::Keep);
    }

    #[test]
    fn decide_for_cp_ignores_the_destination() {
        let (source, destination) = (entry(1, 1, Some(A)), entry(1, 9, Some(A)));
        for scope in [Scope::One, Scope::All] {
            assert_eq!(decide(scope, true, &source, &destination), Decision::Transfer(TransferReason::Asked));
        }
    }

    #[test]
    fn decide_exact_compares_contents() {
        let exact = |source: (i64, Option<&str>), destination: (i64, Option<&str>)| {
            decide(Scope::Different, true, &entry(9, source.0, source.1), &entry(9, destination.0, destination.1))
        };
        assert_eq!(exact((9, Some(A)), (1, Some(A))), Decision::Same, "newer, and the same");
        assert_eq!(
            exact((1, Some(A)), (9, Some(B))),
            Decision::Compare(Some(TransferReason::Content)),
            "older, and another"
        );
        assert_eq!(exact((1, None), (9, Some(A))), Decision::Compare(None));
        assert_eq!(exact((9, Some(A)), (1, None)), Decision::Compare(Some(TransferReason::Newer)));
        assert_eq!(exact((9, Some("abc-2")), (1, Some(A))), Decision::Compare(Some(TransferReason::Newer)), "in parts");
        let optimized = decide(Scope::Different, false, &entry(9, 1, Some(A)), &entry(7, 9, Some(B)));
        assert_eq!(optimized, Decision::Compare(Some(TransferReason::Content)), "the marker knows");
        let longer = decide(Scope::Different, true, &entry(9, 1, Some("abc-2")), &entry(7, 9, Some("abc-2")));
        assert_eq!(longer, Decision::Transfer(TransferReason::Size));
    }
}
