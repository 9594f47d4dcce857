//! From an event to objects at the destination: event → plan → HEAD → GET → optimize → PUT or COPY → report.
//!
//! Everything that decides is pure ([`event`], [`mod@plan`], [`marker`], [`body`]); the story is [`Pipeline::run`].

pub mod body;
pub mod event;
pub mod key;
pub mod marker;
pub mod plan;
pub mod report;
pub mod room;
pub mod run;
pub(crate) mod tags;

pub use event::{EventError, Job, Record, Task};
pub use key::KeyTemplate;
pub use plan::{Plan, PlanError, Skip, plan};
pub use report::{Ending, Report};
pub use run::Pipeline;

use crate::optimize::Options;

/// What is done with an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    pub destination_bucket: String,
    /// What makes a result's key of its source's.
    pub destination_key: KeyTemplate,
    pub overwrite: Overwrite,
    /// In place of the source's; `STANDARD` by its name.
    pub storage_class: Option<String>,
    /// In place of the source's.
    pub cache_control: Option<String>,
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

/// What happens to an object that is at the destination already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overwrite {
    /// It is replaced, unless it is what this event, or a later one, has made; never by who did not see it.
    IfOlder,
    /// It is replaced, unseen.
    Always,
    /// It stays.
    Never,
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
