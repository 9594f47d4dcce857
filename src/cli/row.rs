//! One object's line of every `--json`: of `optimize`, `cp` and `sync`.

#[cfg(feature = "transfer")]
use std::fmt;
use std::io;
use std::path::Path;

use serde::Serialize;

#[cfg(feature = "transfer")]
use crate::report::Reason;
use crate::report::{Failure, Outcome, Report, Time};

/// One object's line. Unknown fields are null.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Path as given to `karui optimize`; bytes that are not UTF-8 appear as U+FFFD.
    pub path: Option<String>,
    pub action: Action,
    #[serde(flatten)]
    pub report: Report,
    /// Nothing was done: the row says what would be done.
    pub dry_run: bool,
}

/// What was done at the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Stored with fewer bytes.
    Optimized,
    /// Stored unchanged.
    Copied,
    /// The destination already had it.
    Same,
    #[cfg(feature = "transfer")]
    Deleted,
    /// Not processed; no failure.
    #[cfg(feature = "transfer")]
    Skipped,
    Failed,
}

#[cfg(feature = "transfer")]
impl Action {
    fn outcome(self) -> Outcome {
        match self {
            Self::Optimized => Outcome::Optimized,
            Self::Copied => Outcome::Unchanged,
            Self::Same | Self::Skipped => Outcome::Skipped,
            Self::Deleted => Outcome::Deleted,
            Self::Failed => Outcome::Failed,
        }
    }
}

#[cfg(feature = "transfer")]
impl Row {
    /// Row of an object of which nothing more is known.
    fn new(action: Action) -> Self {
        Self { path: None, action, report: Report::new(action.outcome(), None), dry_run: false }
    }

    /// Row of an object that two sides have, or one of them.
    #[must_use]
    pub fn between(action: Action, source: Option<&dyn fmt::Display>, destination: Option<&dyn fmt::Display>) -> Self {
        let mut row = Self::new(action);
        row.report.source = source.map(ToString::to_string);
        row.report.destination = destination.map(ToString::to_string);
        row
    }

    #[must_use]
    pub fn because(mut self, reason: Reason) -> Self {
        self.report.reason = Some(reason);
        self
    }

    /// Sets that an error ended the work.
    #[must_use]
    pub fn failed(self, failure: Failure) -> Self {
        self.because(Reason::Failed(failure))
    }

    #[must_use]
    pub fn in_dry_run(self) -> Self {
        Self { dry_run: true, ..self }
    }

    #[must_use]
    pub fn warning(mut self, warning: String) -> Self {
        self.report.warnings.push(warning);
        self
    }
}

impl Row {
    /// Row of a file that was optimized or is left unchanged.
    #[must_use]
    pub fn of_file(path: &Path, action: Action, report: Report) -> Self {
        let path = path.to_string_lossy().into_owned();
        let report = Report { source: Some(path.clone()), ..report };
        Self { path: Some(path), action, report, dry_run: false }
    }

    /// Row of a file that could not be read or written.
    #[must_use]
    pub fn failed_file(path: &Path, error: &io::Error) -> Self {
        Self::of_file(path, Action::Failed, Report::failed(Failure::of_file(error, error.to_string())))
    }

    /// Sets the wall time in milliseconds.
    #[must_use]
    pub fn taking(mut self, millis: u64) -> Self {
        self.report.millis = Time::Total(millis);
        self
    }

    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|error| format!("{{\"action\":\"failed\",\"reason\":\"{error}\"}}"))
    }

    #[must_use]
    pub fn is_failed(&self) -> bool {
        self.report.outcome == Outcome::Failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn row_of_any_file_name_is_one_json_line() {
        use std::os::unix::ffi::OsStrExt;
        let name = std::ffi::OsStr::from_bytes(b"a\n\"\xff\\.jpg");
        let json = Row::failed_file(Path::new(name), &io::Error::other("no")).json();
        assert_eq!(json.lines().count(), 1);
        let back: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!((&back["path"], &back["source"]), (&"a\n\"\u{fffd}\\.jpg".into(), &back["path"]));
        assert_eq!((&back["action"], &back["outcome"]), (&"failed".into(), &"failed".into()));
        assert_eq!((&back["code"], &back["class"]), (&"file-error".into(), &"retryable".into()));
    }
}
