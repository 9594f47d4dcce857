//! From an event to objects at the destination: event → plan → HEAD → GET → optimize → PUT or COPY → report.
//!
//! Everything that decides is pure ([`event`], [`mod@plan`], [`marker`], [`body`]); the story is [`Pipeline::run`].

pub mod body;
pub mod event;
pub mod marker;
pub mod plan;
pub mod report;
pub mod run;

pub use event::{EventError, Job, Record, Task};
pub use plan::{Plan, PlanError, Skip, plan};
pub use report::{Ending, Report};
pub use run::Pipeline;

use crate::optimize::Options;

/// What is done with an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    pub destination_bucket: String,
    /// Put before the source's key.
    pub destination_prefix: String,
    pub options: Options,
    pub unstrippable: Unstrippable,
    pub tags: TagPolicy,
}

impl Policy {
    /// The defaults, with results under their sources' keys in this bucket.
    #[must_use]
    pub fn to_bucket(bucket: impl Into<String>) -> Self {
        Self {
            destination_bucket: bucket.into(),
            destination_prefix: String::new(),
            options: Options::default(),
            unstrippable: Unstrippable::Copy,
            tags: TagPolicy::Copy,
        }
    }
}

/// What happens to a file that may hold what the metadata policy removes, and that Karui cannot rewrite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unstrippable {
    /// It is copied as it is, and the report says so.
    Copy,
    /// Nothing is stored.
    Withhold,
}

/// What happens where a source's tags may not be read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagPolicy {
    /// They are dropped, with a warning.
    Copy,
    /// The object fails.
    Require,
}
