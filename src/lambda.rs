//! The Lambda function: parses settings at cold start, passes each record to [`Pipeline`], and answers with the
//! reports.

use std::process::ExitCode;
use std::time::{Instant, SystemTime};

use lambda_runtime::{Context, Diagnostic, LambdaEvent, service_fn};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::OnceCell;
use tracing::level_filters::LevelFilter;

use crate::config::{self, Settings};
use crate::error::Error;
use crate::pipeline::report::{JobOutcome, Outcome, Report};
use crate::pipeline::{EventError, Pipeline, Record, Skip, event};
use crate::s3::{ObjectRef, Pair};

/// Serves events until Lambda ends the process.
pub async fn main() -> ExitCode {
    let settings = match Settings::parse(config::readable(std::env::vars_os())) {
        Ok(settings) => settings,
        Err(faults) => {
            eprintln!("{faults}");
            return ExitCode::FAILURE;
        }
    };
    log_to_stdout(settings.log);
    // Connects with the first event, not at cold start: the S3 client reads all certificates that the system trusts,
    // which takes longer than the rest of the start.
    let pipeline = OnceCell::new();
    let serve = |LambdaEvent { payload, context }: LambdaEvent<Value>| {
        let (pipeline, settings) = (&pipeline, &settings);
        async move { handle(pipeline.get_or_init(|| connect(settings)).await, &payload, deadline(&context)).await }
    };
    match lambda_runtime::run(service_fn(serve)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Lambda's runtime: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn connect(settings: &Settings) -> Pipeline {
    let Settings { transfer, rate_limits, source_buckets, destination_buckets, policy, .. } = settings.clone();
    let pair = Pair::connect(&settings.source_client, &settings.destination_client, transfer).await;
    Pipeline::new(pair.with_buckets(source_buckets, destination_buckets).with_rate_limits(rate_limits), policy)
}

/// Logs one JSON object per line. Lambda adds the time.
fn log_to_stdout(level: LevelFilter) {
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_target(false)
        .without_time()
        .with_max_level(level)
        .init();
}

/// Deadline of this invocation; `None` if it is already past: then the runtime is an emulator that sends no clock time
/// (cargo-lambda sends a constant).
fn deadline(context: &Context) -> Option<Instant> {
    let left = context.deadline().duration_since(SystemTime::now()).ok()?;
    Instant::now().checked_add(left)
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
            InvocationError::Event(_) => "NotAnEvent",
            InvocationError::Records { .. } => event::RECORDS_FAILED,
        };
        Self { error_type: kind.into(), error_message: error.to_string() }
    }
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
    for record in event::parse(event)? {
        let report = match record {
            Ok(Record::Created(job)) => pipeline.run(&job, deadline).await,
            Ok(Record::Other { object, .. }) => {
                finished_report(Some(&object), Ok(JobOutcome::Skipped(Skip::NotACreation)))
            }
            Err(error) => finished_report(None, Err(&error.into())),
        };
        report.log();
        reports.push(report);
    }
    respond(reports)
}

fn finished_report(object: Option<&ObjectRef>, outcome: Result<JobOutcome, &Error>) -> Report {
    Report::new(object).finish(outcome)
}

fn respond(records: Vec<Report>) -> Result<Response, InvocationError> {
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
    let reason = report.reason.as_deref().unwrap_or("no reason known");
    match &report.source {
        // The error names the object it is about, which may be the destination.
        Some(source) => format!("{source}: {reason}"),
        None => reason.into(),
    }
}
