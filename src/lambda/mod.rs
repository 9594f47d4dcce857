//! The Lambda function: parses settings at cold start, and serves events.
//!
//! An event goes through [`envelope`] (JSON to jobs), [`invoke`] (jobs to reports) and [`answer`] (reports to a response
//! or an error).

pub mod answer;
pub mod envelope;
pub mod invoke;

use std::process::ExitCode;

use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;
use tokio::sync::OnceCell;
use tracing::level_filters::LevelFilter;

use crate::config::{self, Settings, TransferSettings};
use crate::pipeline::Pipeline;
use crate::s3::Pair;

pub use answer::{InvocationError, Response};
use invoke::deadline;
pub use invoke::handle;

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
    let Settings { transfer, policy, source_client, destination_client, .. } = settings.clone();
    let TransferSettings { transfer, rate_limits, source_buckets, destination_buckets } = transfer;
    let pair = Pair::connect(&source_client, &destination_client, transfer).await;
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
