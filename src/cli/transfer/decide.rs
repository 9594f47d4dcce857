//! What is to be done about a key, given what lies at either side. Pure.

use super::args::Scope;
use crate::s3::ETag;

/// An object or file as a listing tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Below the root, with `/` between folders.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// Seconds since 1970, whole ones as S3 has them.
    pub modified: i64,
    /// `None` of a file.
    pub etag: Option<ETag>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Transfer(Why),
    /// It is there already.
    Same,
    /// Only their contents can tell. Where those cannot either, it is transferred for this reason, if there is one.
    Look(Option<Why>),
    Delete,
    /// Only the destination has it, and keeps it.
    Leave,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It was asked for, whatever is there.
    Asked,
    Missing,
    Newer,
    Size,
    Content,
}

impl Why {
    pub fn word(self) -> &'static str {
        match self {
            Self::Asked => "asked for",
            Self::Missing => "missing",
            Self::Newer => "newer",
            Self::Size => "of another size",
            Self::Content => "of other content",
        }
    }
}

/// What decides.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    pub scope: Scope,
    /// Whether the destination holds the source's bytes: else its sizes and `ETag`s say nothing.
    pub plain: bool,
    /// Whether what Karui made there says what it was made of: a file does not.
    pub marked: bool,
    pub delete: bool,
}

impl Rules {
    pub fn decide(self, source: Option<&Entry>, destination: Option<&Entry>) -> Decision {
        let (source, destination) = match (source, destination) {
            (None, _) if self.delete => return Decision::Delete,
            (None, _) => return Decision::Leave,
            (Some(_), None) if matches!(self.scope, Scope::One | Scope::All) => return Decision::Transfer(Why::Asked),
            (Some(_), None) => return Decision::Transfer(Why::Missing),
            (Some(source), Some(destination)) => (source, destination),
        };
        match self.scope {
            Scope::One | Scope::All => Decision::Transfer(Why::Asked),
            Scope::Newer => self.by_listings(source, destination),
            Scope::Different if self.plain && source.size != destination.size => Decision::Transfer(Why::Size),
            Scope::Different if !self.plain && self.marked => Decision::Look(Some(Why::Content)),
            Scope::Different if !self.plain => self.by_listings(source, destination),
            Scope::Different => self.by_contents(source, destination),
        }
    }

    fn by_listings(self, source: &Entry, destination: &Entry) -> Decision {
        if self.plain && source.size != destination.size {
            Decision::Transfer(Why::Size)
        } else if source.modified > destination.modified {
            Decision::Transfer(Why::Newer)
        } else {
            Decision::Same
        }
    }

    /// Two `ETag`s that differ are no proof: that of an upload in parts depends on the parts, and with SSE-KMS on nothing known.
    fn by_contents(self, source: &Entry, destination: &Entry) -> Decision {
        if source.etag.is_some() && source.etag == destination.etag {
            return Decision::Same;
        }
        let is_digest = |entry: &Entry| entry.etag.as_ref().is_some_and(ETag::is_digest);
        if is_digest(source) && is_digest(destination) {
            return Decision::Look(Some(Why::Content));
        }
        match self.by_listings(source, destination) {
            Decision::Transfer(why) => Decision::Look(Some(why)),
            _ => Decision::Look(None),
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
        Rules { scope, plain, marked: true, delete: true }.decide(Some(source), Some(destination))
    }

    #[test]
    fn newer_or_of_another_size_is_copied() {
        let newer = |source: (u64, i64), destination: (u64, i64)| {
            let of = |(size, modified)| entry(size, modified, None);
            let decided = |plain| decide(Scope::Newer, plain, &of(source), &of(destination));
            (decided(true), decided(false))
        };
        let (same, newer_wins) = (Decision::Same, Decision::Transfer(Why::Newer));
        assert_eq!(newer((9, 5), (9, 5)), (same, same));
        assert_eq!(newer((9, 5), (9, 6)), (same, same));
        assert_eq!(newer((9, 6), (9, 5)), (newer_wins, newer_wins));
        assert_eq!(newer((9, 5), (7, 6)), (Decision::Transfer(Why::Size), same), "an image has become lighter");
        assert_eq!(newer((9, 6), (7, 5)), (Decision::Transfer(Why::Size), newer_wins));
    }

    #[test]
    fn what_is_only_on_one_side() {
        let it = entry(1, 1, None);
        let alone = |delete, source, destination| {
            Rules { scope: Scope::Newer, plain: true, marked: true, delete }.decide(source, destination)
        };
        assert_eq!(alone(true, Some(&it), None), Decision::Transfer(Why::Missing));
        assert_eq!(alone(true, None, Some(&it)), Decision::Delete);
        assert_eq!(alone(false, None, Some(&it)), Decision::Leave);
    }

    #[test]
    fn cp_does_not_ask_what_is_there() {
        let (source, destination) = (entry(1, 1, Some(A)), entry(1, 9, Some(A)));
        for scope in [Scope::One, Scope::All] {
            assert_eq!(decide(scope, true, &source, &destination), Decision::Transfer(Why::Asked));
        }
    }

    #[test]
    fn exact_is_by_content() {
        let exact = |source: (i64, Option<&str>), destination: (i64, Option<&str>)| {
            decide(Scope::Different, true, &entry(9, source.0, source.1), &entry(9, destination.0, destination.1))
        };
        assert_eq!(exact((9, Some(A)), (1, Some(A))), Decision::Same, "newer, and the same");
        assert_eq!(exact((1, Some(A)), (9, Some(B))), Decision::Look(Some(Why::Content)), "older, and another");
        assert_eq!(exact((1, None), (9, Some(A))), Decision::Look(None));
        assert_eq!(exact((9, Some(A)), (1, None)), Decision::Look(Some(Why::Newer)));
        assert_eq!(exact((9, Some("abc-2")), (1, Some(A))), Decision::Look(Some(Why::Newer)), "in parts");
        let light = decide(Scope::Different, false, &entry(9, 1, Some(A)), &entry(7, 9, Some(B)));
        assert_eq!(light, Decision::Look(Some(Why::Content)), "the marker knows");
        let longer = decide(Scope::Different, true, &entry(9, 1, Some("abc-2")), &entry(7, 9, Some("abc-2")));
        assert_eq!(longer, Decision::Transfer(Why::Size));
    }
}
