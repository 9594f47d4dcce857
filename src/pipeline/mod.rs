//! Moves one object from its job to the destination: job → plan → HEAD → GET → optimize → PUT or COPY → report.
//!
//! All decisions are pure ([`mod@plan`], [`marker`], [`inspect`]); [`Pipeline::run`] does the work.

mod deadline;
pub mod error;
pub mod inspect;
pub mod job;
pub mod key;
pub mod marker;
pub mod plan;
mod policy;
pub mod run;
pub(crate) mod tags;
pub(crate) mod write;

pub use error::{Class, Error, Step};
pub use job::{EventError, Job, Task};
pub use key::KeyTemplate;
pub use plan::{Plan, PlanError, plan};
pub use policy::{Overwrite, Policy, TagPolicy, Unstrippable};
pub use run::Pipeline;
