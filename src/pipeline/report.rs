//! The report of one object: one JSON line in the log, one entry in the response.

use std::fmt;
use std::time::{Duration, Instant};

use serde::Serialize;
use tracing::info;

use super::Skip;
use super::error::{Class, Error};
use super::inspect::{BodyOutcome, CopyReason};
use crate::optimize::{Format, ImageInfo};
use crate::s3::{ETag, Head, ObjectRef};

/// Report of one object. Unknown fields are null.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    pub outcome: Outcome,
    /// Reason why it was not optimized.
    pub reason: Option<String>,
    /// Class of the error, if there was one.
    pub class: Option<&'static str>,
    /// `None` if the record does not name it.
    pub source: Option<String>,
    pub destination: Option<String>,
    /// ETag of the source version that was read.
    #[serde(skip)]
    pub source_etag: Option<ETag>,
    pub format: Option<&'static str>,
    /// Pixels, as stored.
    pub width: Option<u32>,
    pub height: Option<u32>,
    pub bytes_in: Option<u64>,
    pub bytes_out: Option<u64>,
    pub method: Option<String>,
    pub score: Option<f64>,
    /// Lowest score of any window of 128 pixels that is not flat.
    pub worst: Option<f64>,
    /// How the score was measured: lossless, whole, sampled or none.
    pub check: Option<String>,
    /// Whether the time budget ended the search early.
    pub budget_cut: bool,
    /// clean, stripped or kept.
    pub metadata: Option<String>,
    pub warnings: Vec<String>,
    pub millis: Millis,
}

/// What became of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Stored with fewer bytes.
    Optimized,
    /// Copied unchanged: optimizing was tried, or known to save nothing.
    Unchanged,
    /// Not processed.
    Skipped,
    /// Failed, to be retried.
    Failed,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Optimized => "optimized",
            Self::Unchanged => "unchanged",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        })
    }
}

/// Wall time of each step, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Millis {
    pub head: u64,
    pub get: u64,
    pub optimize: u64,
    pub store: u64,
    pub total: u64,
}

/// Outcome of a job without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobOutcome {
    /// Stored, as already recorded in the report.
    Stored,
    Skipped(Skip),
}

/// How the bytes reached the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// Uploaded, or copied by S3.
    Direct,
    /// Relayed through this process, since S3 may not copy.
    Relay,
}

impl Report {
    /// Starts the report of a job; it counts as failed until it is finished.
    #[must_use]
    pub fn new(source: Option<&ObjectRef>) -> Self {
        Self {
            outcome: Outcome::Failed,
            reason: None,
            class: None,
            source: source.map(ToString::to_string),
            destination: None,
            source_etag: None,
            format: None,
            width: None,
            height: None,
            bytes_in: None,
            bytes_out: None,
            method: None,
            score: None,
            worst: None,
            check: None,
            budget_cut: false,
            metadata: None,
            warnings: Vec::new(),
            millis: Millis::default(),
        }
    }

    /// Records what is about to be stored.
    pub(super) fn record_body(&mut self, body: &BodyOutcome) {
        self.metadata = Some(body.metadata().to_string());
        match body {
            BodyOutcome::Optimized(encoded) => {
                self.outcome = Outcome::Optimized;
                self.bytes_out = Some(encoded.bytes.len() as u64);
                self.method = Some(encoded.method.to_string());
                self.score = encoded.score;
                self.worst = encoded.worst;
                self.check = Some(encoded.check.to_string());
                self.budget_cut = encoded.budget_cut;
                self.record_info(Some(encoded.info));
            }
            BodyOutcome::Copied { reason, info, budget_cut, .. } => {
                self.budget_cut = *budget_cut;
                self.outcome = Outcome::Unchanged;
                self.bytes_out = self.bytes_in;
                self.reason = Some(reason.to_string());
                if let CopyReason::Image(error) = reason {
                    self.class = class_name(Error::from(error.clone()).class());
                }
                self.record_info(*info);
            }
        }
    }

    /// Records what the image's header says.
    fn record_info(&mut self, info: Option<ImageInfo>) {
        if let Some(ImageInfo { format, width, height }) = info {
            self.format = Some(format.name());
            // 0 × 0 means that the size was not read.
            (self.width, self.height) = if width > 0 { (Some(width), Some(height)) } else { (None, None) };
        }
    }

    pub(super) fn record_route(&mut self, route: Route) {
        match route {
            Route::Direct => {}
            Route::Relay => self.method = Some("relay".into()),
        }
    }

    pub(super) fn record_source(&mut self, source: &Head, format: Option<Format>) {
        self.source_etag = Some(source.etag.clone());
        self.bytes_in = Some(source.size);
        self.format = format.map(Format::name);
    }

    /// Finishes the report with the job's outcome.
    #[must_use]
    pub fn finish(mut self, outcome: Result<JobOutcome, &Error>) -> Self {
        match outcome {
            Ok(JobOutcome::Stored) => {}
            Ok(JobOutcome::Skipped(skip)) => self.clear_result(Outcome::Skipped, skip.to_string()),
            Err(error) => match error.class() {
                Class::Skip(skip) => self.clear_result(Outcome::Skipped, skip.to_string()),
                class @ (Class::Permanent | Class::Retryable) => {
                    self.clear_result(Outcome::Failed, error.to_string());
                    self.class = class_name(class);
                }
            },
        }
        self
    }

    fn clear_result(&mut self, outcome: Outcome, reason: String) {
        self.outcome = outcome;
        self.reason = Some(reason);
        (self.class, self.bytes_out, self.method, self.check) = (None, None, None, None);
        (self.score, self.worst) = (None, None);
    }

    /// Writes the log line.
    pub fn log(&self) {
        info!(
            outcome = %self.outcome,
            reason = self.reason,
            class = self.class,
            source = self.source,
            destination = self.destination,
            format = self.format,
            width = self.width,
            height = self.height,
            bytes_in = self.bytes_in,
            bytes_out = self.bytes_out,
            method = self.method,
            score = self.score,
            worst = self.worst,
            check = self.check,
            budget_cut = self.budget_cut,
            metadata = self.metadata,
            warnings = (!self.warnings.is_empty()).then(|| self.warnings.join("; ")),
            millis_head = self.millis.head,
            millis_get = self.millis.get,
            millis_optimize = self.millis.optimize,
            millis_store = self.millis.store,
            millis_total = self.millis.total,
            "report"
        );
    }
}

/// Name of a class; skips have none.
fn class_name(class: Class) -> Option<&'static str> {
    match class {
        Class::Skip(_) => None,
        Class::Permanent => Some("permanent"),
        Class::Retryable => Some("retryable"),
    }
}

/// Adds a step's wall time to `clock`.
pub(super) async fn timed<T>(clock: &mut u64, step: impl Future<Output = T>) -> T {
    let start = Instant::now();
    let result = step.await;
    *clock += millis(start.elapsed());
    result
}

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
