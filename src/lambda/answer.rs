//! Answers to Lambda: a response, or an error that makes it retry the event.

use lambda_runtime::Diagnostic;
use serde::Serialize;

use crate::pipeline::EventError;
use crate::report::{Outcome, Reason, Report};

/// Error type of an answer to what is no event.
const NOT_AN_EVENT: &str = "NotAnEvent";
/// Error type of an answer to an event of which records failed. scripts/stack.py knows it too.
pub const RECORDS_FAILED: &str = "RecordsFailed";

/// Whether this error type is one of our own answers. An error of another type ended the function.
pub(super) fn is_own_error(error_type: &str) -> bool {
    [NOT_AN_EVENT, RECORDS_FAILED].contains(&error_type)
}

/// Response to an event without failed records.
#[derive(Debug, PartialEq, Serialize)]
pub struct Response {
    pub optimized: usize,
    pub unchanged: usize,
    pub skipped: usize,
    pub records: Vec<Report>,
}

/// Error that makes Lambda retry the event, and finally send it to the failure queue.
#[derive(Debug, thiserror::Error)]
pub enum InvocationError {
    #[error(transparent)]
    Event(#[from] EventError),
    #[error("{failed} of {all} records failed: {which}")]
    Records { failed: usize, all: usize, which: String },
}

impl From<InvocationError> for Diagnostic {
    fn from(error: InvocationError) -> Self {
        let kind = match error {
            InvocationError::Event(_) => NOT_AN_EVENT,
            InvocationError::Records { .. } => RECORDS_FAILED,
        };
        Self { error_type: kind.into(), error_message: error.to_string() }
    }
}

/// Turns the reports of an event's records, in order, into its answer.
///
/// # Errors
/// [`InvocationError::Records`] if a record failed.
pub(super) fn respond(records: Vec<Report>) -> Result<Response, InvocationError> {
    let of = |outcome| records.iter().filter(move |report| report.outcome == outcome);
    let which: Vec<_> = of(Outcome::Failed).map(failure_line).collect();
    if !which.is_empty() {
        return Err(InvocationError::Records { failed: which.len(), all: records.len(), which: which.join("; ") });
    }
    let count = |outcome| of(outcome).count();
    let (optimized, unchanged, skipped) =
        (count(Outcome::Optimized), count(Outcome::Unchanged), count(Outcome::Skipped));
    Ok(Response { optimized, unchanged, skipped, records })
}

fn failure_line(report: &Report) -> String {
    let reason = report.reason.as_ref().map_or_else(|| "no reason known".into(), Reason::to_string);
    match &report.source {
        // The error names the object it is about, which may be the destination.
        Some(source) => format!("{source}: {reason}"),
        None => reason,
    }
}
