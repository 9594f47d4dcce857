//! Reports each object: JSON lines, or a progress bar, the failures and a summary.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::cli::row::{Action, Row};
use crate::cli::table::visible;
use crate::report::Report;
use crate::s3::Progress;

/// Message for a person: what failed, or in a dry run what would be done.
fn message(row: &Row) -> Option<String> {
    let Report { source, destination, reason, warnings, .. } = &row.report;
    let name = source.as_deref().or(destination.as_deref()).unwrap_or("-");
    let reason = reason.as_ref().map(ToString::to_string).unwrap_or_default();
    let to = destination.as_deref().unwrap_or("-");
    match row.action {
        Action::Failed => Some(format!("failed: {name}: {reason}")),
        Action::Skipped => Some(format!("skipped: {name}: {reason}")),
        Action::Deleted if row.dry_run => Some(format!("would delete {to}")),
        Action::Same => None,
        _ if row.dry_run => Some(format!("would copy {name} to {to} ({reason})")),
        _ if !warnings.is_empty() => Some(format!("warning: {name}: {}", warnings.join("; "))),
        _ => None,
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
    fn expect(&self, bytes: u64) {
        let before = self.planned.swap(bytes, Ordering::Relaxed);
        self.bar.set_length(self.bar.length().unwrap_or(0).saturating_sub(before) + bytes);
    }

    /// Returns a counter for the object's bytes and those that were transferred.
    pub fn counter(&self) -> Progress {
        let (bar, moved, this) = (self.bar.clone(), Arc::clone(&self.moved), self.clone());
        let progress = Progress::new(move |bytes| {
            moved.fetch_add(bytes, Ordering::Relaxed);
            bar.inc(bytes);
        });
        progress.with_total(move |bytes| this.expect(bytes))
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
    pub fn finish_object(&mut self, row: &Row, progress: &ProgressHandle) {
        self.done += 1;
        progress.finish();
        self.update_message();
        self.add(row);
    }

    /// Reports the result of an object.
    pub fn add(&mut self, row: &Row) {
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
            sum.bytes_in += row.report.bytes_in.unwrap_or(0);
            sum.bytes_out += row.report.bytes_out.unwrap_or(0);
        }
        if self.json {
            self.print_line(&row.json());
        } else if let Some(words) = message(row) {
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
    use crate::report::{Reason, TransferReason};

    #[test]
    fn message_is_limited_to_what_needs_action() {
        let of = |action| {
            let row = Row::between(action, Some(&"a"), Some(&"b"));
            row.because(Reason::Transferred(TransferReason::Missing))
        };
        let message = |done: &Row| super::message(done);
        assert_eq!(message(&of(Action::Copied)), None);
        assert_eq!(message(&of(Action::Failed)).as_deref(), Some("failed: a: missing"));
        let dry = |action| message(&of(action).in_dry_run());
        assert_eq!(dry(Action::Copied).as_deref(), Some("would copy a to b (missing)"));
        assert_eq!(dry(Action::Deleted).as_deref(), Some("would delete b"));
        assert_eq!(dry(Action::Same), None);
        let warned = of(Action::Optimized).warning("tags dropped".into());
        assert_eq!(message(&warned).as_deref(), Some("warning: a: tags dropped"));
    }

    #[test]
    fn progress_bar_ends_at_its_length() {
        let mut printer = Printer::new(false, true, false);
        let at = |printer: &Printer| (printer.bar.position(), printer.bar.length());
        let row = Row::between(Action::Copied, None, None);
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
            let mut done = Row::between(action, None, None);
            (done.report.bytes_in, done.report.bytes_out) = (Some(10), Some(7));
            printer.add(&done);
        }
        let sum = printer.summary;
        assert_eq!((sum.objects, sum.same, sum.deleted, sum.bytes_in, sum.bytes_out), (4, 1, 1, 20, 14));
        assert!(printer.finish(false));
    }
}
