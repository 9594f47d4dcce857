//! What an envelope yields.

use crate::pipeline::Job;
use crate::s3::ObjectRef;

/// What one record of an event asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    Created(Job),
    /// Another event of an object, such as `ObjectRemoved:Delete`.
    Other {
        event: String,
        object: ObjectRef,
    },
}
