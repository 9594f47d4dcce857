//! Moves one object from any side (S3, a file, stdin) to any side (S3, a file, stdout): job → plan → HEAD → GET → optimize
//! → PUT, COPY or a file → report. The function, `karui cp` and `karui sync` move objects by this code alone.
//!
//! Decisions are pure (`plan`, [`marker`], `inspect`). [`run`] is the table of contents; `read` opens and reads a source,
//! `commit` writes the result unless another write was faster, `write` and `files` know the sides.

mod commit;
mod deadline;
pub mod error;
pub(crate) mod files;
mod findings;
mod inspect;
pub mod job;
pub mod key;
pub mod location;
pub mod marker;
mod plan;
mod policy;
mod read;
pub mod run;
mod tags;
pub mod version;
mod write;

pub use error::{Class, Error, PlanError, Step};
pub use findings::Moved;
pub use job::{EventError, Job, Move, Task};
pub use key::KeyTemplate;
pub use location::Location;
pub use policy::{Overwrite, Policy, TagPolicy, Unstrippable};
pub use run::Pipeline;
pub use version::{SourceNow, SourceVersion};
