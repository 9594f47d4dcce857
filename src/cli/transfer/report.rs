//! Reports each object: JSON lines, or a progress bar, the failures and a summary.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::compare::SourceVersion;
use crate::cli::table::visible;
use crate::s3::Progress;

/// One object's line of `--json`. Unknown fields are null.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TransferRow {
    pub action: Action,
    pub source: Option<String>,
    pub destination: Option<String>,
    /// Reason why it was copied, not copied, or not optimized.
    pub reason: Option<String>,
    pub bytes_in: Option<u64>,
    pub bytes_out: Option<u64>,
    pub method: Option<String>,
    pub score: Option<f64>,
    /// Lowest score of any window of 128 pixels that is not flat.
    pub worst: Option<f64>,
    /// clean, stripped or kept, for an optimized object.
    pub metadata: Option<String>,
    pub warnings: Vec<String>,
    /// Source version that was copied, if the source may change meanwhile.
    #[serde(skip)]
    pub copied_version: Option<SourceVersion>,
    /// Nothing was done: the row says what would be done.
    pub dry_run: bool,
    pub millis: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Stored with fewer bytes.
    Optimized,
    /// Stored unchanged.
    Copied,
    /// The destination already had it.
    Same,
    Deleted,
    /// Not processed; no failure.
    Skipped,
    Failed,
}

impl Action {
    pub fn is_transfer(self) -> bool {
        matches!(self, Self::Optimized | Self::Copied)
    }
}

impl TransferRow {
    pub fn new(action: Action, source: Option<&dyn fmt::Display>, destination: Option<&dyn fmt::Display>) -> Self {
        Self {
            action,
            source: source.map(ToString::to_string),
            destination: destination.map(ToString::to_string),
            reason: None,
            bytes_in: None,
            bytes_out: None,
            method: None,
            score: None,
            worst: None,
            metadata: None,
            warnings: Vec::new(),
            copied_version: None,
            dry_run: false,
            millis: 0,
        }
    }

    pub fn because(self, reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..self }
    }

    /// Sets that all bytes were copied unchanged.
    pub fn with_all_bytes(self, bytes: u64) -> Self {
        Self { bytes_in: Some(bytes), bytes_out: Some(bytes), ..self }
    }

    pub fn with_version(self, version: SourceVersion) -> Self {
        Self { copied_version: Some(version), ..self }
    }

    pub fn warning(mut self, warning: String) -> Self {
        self.warnings.push(warning);
        self
    }

    fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|error| format!("{{\"action\":\"failed\",\"reason\":\"{error}\"}}"))
    }

    /// Message for a person: what failed, or in a dry run what would be done.
    fn message(&self) -> Option<String> {
        let name = self.source.as_deref().or(self.destination.as_deref()).unwrap_or("-");
        let reason = self.reason.as_deref().unwrap_or_default();
        let to = self.destination.as_deref().unwrap_or("-");
        match self.action {
            Action::Failed => Some(format!("failed: {name}: {reason}")),
            Action::Skipped => Some(format!("skipped: {name}: {reason}")),
            Action::Deleted if self.dry_run => Some(format!("would delete {to}")),
            Action::Same => None,
            _ if self.dry_run => Some(format!("would copy {name} to {to} ({reason})")),
            _ if !self.warnings.is_empty() => Some(format!("warning: {name}: {}", self.warnings.join("; "))),
            _ => None,
        }
    }
}

/// Last line of `--json`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Keys compared, without those that only the destination has.
    pub objects: u64,
    pub optimized: u64,
    pub copied: u64,
    pub same: u64,
    pub deleted: u64,
    pub skipped: u64,
    pub failed: u64,
    /// Bytes of copied and optimized objects.
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub seconds: f64,
    pub dry_run: bool,
    pub interrupted: bool,
}

/// One object's share of the progress bar.
#[derive(Debug, Clone)]
pub struct ProgressHandle {
    bar: ProgressBar,
    planned: Arc<AtomicU64>,
    moved: Arc<AtomicU64>,
}

impl ProgressHandle {
    fn of(bar: &ProgressBar) -> Self {
        Self { bar: bar.clone(), planned: Arc::default(), moved: Arc::default() }
    }

    /// Sets the expected number of bytes.
    pub fn expect(&self, bytes: u64) {
        let before = self.planned.swap(bytes, Ordering::Relaxed);
        self.bar.set_length(self.bar.length().unwrap_or(0).saturating_sub(before) + bytes);
    }

    /// Returns a counter for transferred bytes.
    pub fn counter(&self) -> Progress {
        let (bar, moved) = (self.bar.clone(), Arc::clone(&self.moved));
        Progress::new(move |bytes| {
            moved.fetch_add(bytes, Ordering::Relaxed);
            bar.inc(bytes);
        })
    }

    /// Resets the progress: the object is transferred again.
    pub fn reset(&self) {
        self.bar.dec(self.moved.swap(0, Ordering::Relaxed));
    }

    /// Counts the bytes that were not counted during the transfer.
    fn finish(&self) {
        let (planned, moved) = (self.planned.load(Ordering::Relaxed), self.moved.load(Ordering::Relaxed));
        self.expect(planned.max(moved));
        self.bar.inc(planned.saturating_sub(moved));
    }
}

/// Prints rows as they arrive, and the summary at the end.
#[derive(Debug)]
pub struct Printer {
    json: bool,
    /// Whether stdout carries the object.
    stdout_taken: bool,
    bar: ProgressBar,
    planned: u64,
    done: u64,
    started: Instant,
    summary: Summary,
    /// stdout was closed, or its disk is full.
    stdout_error: Option<io::Error>,
}

impl Printer {
    pub fn new(json: bool, stdout_taken: bool, dry_run: bool) -> Self {
        // Drawn on stderr, only if that is a terminal.
        let bar = ProgressBar::new(0);
        let template = "{spinner} {msg}  {binary_bytes}/{binary_total_bytes}  {binary_bytes_per_sec}  {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        let summary = Summary { dry_run, ..Summary::default() };
        Self { json, stdout_taken, bar, planned: 0, done: 0, started: Instant::now(), summary, stdout_error: None }
    }

    /// Adds an object of this many bytes, as far as is known: the total grows with the listings.
    pub fn plan(&mut self, bytes: u64) -> ProgressHandle {
        self.planned += 1;
        self.update_message();
        let progress = ProgressHandle::of(&self.bar);
        progress.expect(bytes);
        progress
    }

    /// Counts a key that is the same on both sides, without a line.
    pub fn same(&mut self) {
        self.summary.objects += 1;
        self.summary.same += 1;
    }

    /// Reports the result of a planned object.
    pub fn finish_object(&mut self, row: &TransferRow, progress: &ProgressHandle) {
        self.done += 1;
        progress.finish();
        self.update_message();
        self.add(row);
    }

    /// Reports the result of an object.
    pub fn add(&mut self, row: &TransferRow) {
        let sum = &mut self.summary;
        let count = match row.action {
            Action::Optimized => &mut sum.optimized,
            Action::Copied => &mut sum.copied,
            Action::Same => &mut sum.same,
            Action::Deleted => &mut sum.deleted,
            Action::Skipped => &mut sum.skipped,
            Action::Failed => &mut sum.failed,
        };
        *count += 1;
        sum.objects += u64::from(row.action != Action::Deleted);
        if matches!(row.action, Action::Optimized | Action::Copied) {
            sum.bytes_in += row.bytes_in.unwrap_or(0);
            sum.bytes_out += row.bytes_out.unwrap_or(0);
        }
        if self.json {
            self.print_line(&row.json());
        } else if let Some(words) = row.message() {
            self.bar.suspend(|| eprintln!("{}", visible(&words)));
        }
    }

    /// Reports an error that ended the run and belongs to no object.
    pub fn fail(&mut self, error: &dyn fmt::Display) {
        self.summary.failed += 1;
        self.bar.suspend(|| eprintln!("error: {error}"));
    }

    /// Prints a note.
    pub fn note(&self, words: &dyn fmt::Display) {
        self.bar.suspend(|| eprintln!("{words}"));
    }

    /// Prints the summary. Returns whether nothing failed and everything was printed.
    pub fn finish(mut self, interrupted: bool) -> bool {
        self.bar.finish_and_clear();
        self.summary.interrupted = interrupted;
        self.summary.seconds = (self.started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
        if self.json {
            let summary = serde_json::json!({ "summary": self.summary });
            self.print_line(&summary.to_string());
        } else if !self.stdout_taken {
            eprintln!("{}", self.summary);
        }
        if let Some(error) = &self.stdout_error {
            eprintln!("error: stdout: {error}");
        }
        self.stdout_error.is_none() && self.summary.failed == 0
    }

    fn update_message(&self) {
        self.bar.set_message(format!("{}/{} objects", self.done, self.planned));
    }

    fn print_line(&mut self, line: &str) {
        if self.stdout_taken {
            self.bar.suspend(|| eprintln!("{line}"));
        } else if self.stdout_error.is_none() {
            self.stdout_error = self.bar.suspend(|| writeln!(io::stdout(), "{line}")).err();
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { objects, optimized, copied, same, deleted, skipped, failed, bytes_in, bytes_out, seconds, .. } =
            self;
        if self.dry_run {
            f.write_str("dry run: ")?;
        }
        if self.interrupted {
            f.write_str("interrupted: ")?;
        }
        write!(
            f,
            "objects: {objects}, {optimized} optimized, {copied} copied, {same} there already, {skipped} skipped, {failed} \
             failed; {deleted} deleted; {bytes_in} bytes read, {bytes_out} written, {seconds:.1} s"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_is_one_json_line() {
        let row = TransferRow::new(Action::Failed, Some(&"s3://b/a\nb"), None).because("no\tsuch object");
        let json = row.json();
        assert_eq!(json.lines().count(), 1);
        let back: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!((&back["action"], &back["source"]), (&"failed".into(), &"s3://b/a\nb".into()));
    }

    #[test]
    fn message_is_limited_to_what_needs_action() {
        let row = |action| TransferRow::new(action, Some(&"a"), Some(&"b")).because("missing");
        assert_eq!(row(Action::Copied).message(), None);
        assert_eq!(row(Action::Failed).message().as_deref(), Some("failed: a: missing"));
        let dry = |action| TransferRow { dry_run: true, ..row(action) }.message();
        assert_eq!(dry(Action::Copied).as_deref(), Some("would copy a to b (missing)"));
        assert_eq!(dry(Action::Deleted).as_deref(), Some("would delete b"));
        assert_eq!(dry(Action::Same), None);
        let warned = TransferRow { warnings: vec!["tags dropped".into()], ..row(Action::Optimized) };
        assert_eq!(warned.message().as_deref(), Some("warning: a: tags dropped"));
    }

    #[test]
    fn progress_bar_ends_at_its_length() {
        let mut printer = Printer::new(false, true, false);
        let at = |printer: &Printer| (printer.bar.position(), printer.bar.length());
        let row = TransferRow::new(Action::Copied, None, None);
        let (whole, unknown, failed) = (printer.plan(10), printer.plan(0), printer.plan(5));
        unknown.expect(100);
        assert_eq!(at(&printer), (0, Some(115)));
        unknown.counter().add(60);
        assert_eq!(at(&printer), (60, Some(115)));
        printer.finish_object(&row, &whole);
        unknown.counter().add(50);
        printer.finish_object(&row, &unknown);
        assert_eq!(at(&printer), (120, Some(125)), "it was longer than it said");
        failed.counter().add(2);
        printer.finish_object(&row, &failed);
        assert_eq!((at(&printer), printer.done, printer.planned), ((125, Some(125)), 3, 3));
    }

    #[test]
    fn summary_counts_every_key_once() {
        let mut printer = Printer::new(false, true, false);
        printer.same();
        for action in [Action::Copied, Action::Optimized, Action::Deleted, Action::Skipped] {
            let row = TransferRow::new(action, None, None);
            printer.add(&TransferRow { bytes_in: Some(10), bytes_out: Some(7), ..row });
        }
        let sum = printer.summary;
        assert_eq!((sum.objects, sum.same, sum.deleted, sum.bytes_in, sum.bytes_out), (4, 1, 1, 20, 14));
        assert!(printer.finish(false));
    }
}
