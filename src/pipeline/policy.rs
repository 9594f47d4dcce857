//! What the pipeline does with an object, by configuration.

use super::key::KeyTemplate;
use crate::optimize::Options;

/// Configuration of what the pipeline does with an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    pub destination_bucket: String,
    /// Derives a result's key from its source's key.
    pub destination_key: KeyTemplate,
    pub overwrite: Overwrite,
    /// Storage class of results, in place of the source's. STANDARD must be named explicitly.
    pub storage_class: Option<String>,
    /// Cache-Control of results, in place of the source's.
    pub cache_control: Option<String>,
    pub options: Options,
    pub unstrippable: Unstrippable,
    pub tags: TagPolicy,
}

impl Policy {
    /// Returns the defaults; results keep their sources' keys in this bucket.
    #[must_use]
    pub fn to_bucket(bucket: impl Into<String>) -> Self {
        Self {
            destination_bucket: bucket.into(),
            destination_key: KeyTemplate::default(),
            overwrite: Overwrite::IfOlder,
            storage_class: None,
            cache_control: None,
            options: Options::default(),
            unstrippable: Unstrippable::Copy,
            tags: TagPolicy::Copy,
        }
    }
}

/// What to do with an object that already exists at the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overwrite {
    /// Replace it, unless it is the result of this event or of a later one. The write is conditional on what HEAD
    /// found.
    IfOlder,
    /// Replace it without a HEAD.
    Always,
    /// Keep it.
    Never,
}

/// What to do with a file that may contain metadata the policy removes, if Karui cannot rewrite it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unstrippable {
    /// Copy it unchanged, and report its metadata as kept.
    Copy,
    /// Store nothing.
    Withhold,
}

/// What to do if a source's tags may not be read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagPolicy {
    /// Drop them, with a warning.
    Copy,
    /// Fail the object.
    Require,
}
