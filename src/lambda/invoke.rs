//! One invocation: passes each record of an event to [`Pipeline`], and answers with the reports.

use std::time::{Instant, SystemTime};

use lambda_runtime::Context;
use serde_json::Value;

use super::answer::{InvocationError, Response, respond};
use super::envelope::{self, Record};
use crate::pipeline::{Error, Pipeline};
use crate::report::{Report, Skip};

/// Deadline of this invocation; `None` if it is already past: then the runtime is an emulator that sends no clock time
/// (cargo-lambda sends a constant).
pub(super) fn deadline(context: &Context) -> Option<Instant> {
    let left = context.deadline().duration_since(SystemTime::now()).ok()?;
    Instant::now().checked_add(left)
}

/// Processes the records of an event one after the other, since each may need all of the memory.
///
/// # Errors
/// [`InvocationError`] if a record, or the event as a whole, failed. The other records are processed regardless.
pub async fn handle(
    pipeline: &Pipeline,
    event: &Value,
    deadline: Option<Instant>,
) -> Result<Response, InvocationError> {
    let mut reports = Vec::new();
    for record in envelope::parse(event)? {
        let report = match record {
            Ok(Record::Created(job)) => pipeline.run(&job, deadline).await,
            Ok(Record::Other { object, .. }) => {
                Report { source: Some(object.to_string()), ..Report::skipped(Skip::NotACreation) }
            }
            Err(error) => Error::from(error).report(),
        };
        report.log();
        reports.push(report);
    }
    respond(reports)
}
