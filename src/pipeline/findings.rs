//! What the steps of a move have found out, and the report that is built of it at the end.

use std::time::Instant;

use super::deadline::Deadline;
use super::error::{Class, Error, Step};
use super::job::Move;
use super::location::Location;
use super::read::Source;
use super::version::SourceVersion;
use super::write::Written;
use crate::optimize::Format;
use crate::report::{Body, Method, Millis, Outcome, Report, Skip, Time, millis};

/// What is known so far.
pub(super) struct Findings {
    pub deadline: Deadline,
    pub destination: Option<Location>,
    /// Version of the source that was read.
    pub version: Option<SourceVersion>,
    size: Option<u64>,
    format: Option<Format>,
    /// `None` for an object that is moved as it is.
    pub body: Option<Body>,
    pub written: Written,
    pub warnings: Vec<String>,
    millis: Millis,
    start: Instant,
}

/// A move that has ended.
#[derive(Debug)]
pub struct Moved {
    pub report: Report,
    /// Version of the source that was stored in S3, or [`SourceVersion::Replaced`]; `None` if it does not matter any
    /// more whether the source changes.
    pub version: Option<SourceVersion>,
    /// Why S3 did not copy, if the bytes were relayed.
    pub relayed: Option<String>,
}

impl Findings {
    pub fn new(deadline: Deadline) -> Self {
        Self {
            deadline,
            destination: None,
            version: None,
            size: None,
            format: None,
            body: None,
            written: Written::default(),
            warnings: Vec::new(),
            millis: Millis::default(),
            start: Instant::now(),
        }
    }

    pub fn add_source(&mut self, source: &Source) {
        (self.version, self.size, self.format) = (source.version.clone(), source.size(), source.format);
    }

    /// Runs a step within the deadline, and adds its wall time.
    pub async fn step<T, E>(&mut self, step: Step, work: impl Future<Output = Result<T, E>>) -> Result<T, Error>
    where
        Error: From<E>,
    {
        let start = Instant::now();
        let result = self.deadline.limit(step, work).await;
        let clock = match step {
            Step::Head => &mut self.millis.head,
            Step::Get => &mut self.millis.get,
            Step::Optimize => &mut self.millis.optimize,
            Step::Store => &mut self.millis.store,
        };
        *clock += millis(start.elapsed());
        result
    }

    /// Ends the move, with the error or skip that ended it early.
    pub fn moved(self, moving: &Move, end: Option<&Error>) -> Moved {
        let version = match end.map(Error::class) {
            None => self.version.clone().filter(|_| moving.to.is_s3()),
            Some(Class::Skip(Skip::SourceReplaced)) => Some(SourceVersion::Replaced),
            Some(_) => None,
        };
        let relayed = self.written.relayed.as_ref().map(ToString::to_string);
        Moved { report: self.report(&moving.from, end), version, relayed }
    }

    /// Builds the report: what was found, and the error or skip that ended the move, if any.
    pub fn report(mut self, source: &Location, end: Option<&Error>) -> Report {
        let size = self.size.or(self.written.streamed);
        let report = match (end, &self.body) {
            (None, Some(body)) => Report::of_body(body, size.unwrap_or_default(), self.format),
            (None, None) => Report { bytes_in: size, bytes_out: size, ..Report::new(Outcome::Unchanged, None) },
            (Some(error), _) => Report { bytes_in: size, format: self.format, ..error.report() },
        };
        let report = self.body.iter().fold(report, Report::with_facts);
        self.warnings.append(&mut self.written.warnings);
        self.millis.total = millis(self.start.elapsed());
        Report {
            source: Some(source.to_string()),
            destination: self.destination.map(|target| target.to_string()),
            source_etag: self.version.as_ref().and_then(SourceVersion::etag),
            method: if self.written.relayed.is_some() { Some(Method::Relay) } else { report.method },
            warnings: self.warnings,
            millis: Time::Steps(self.millis),
            ..report
        }
    }
}
