//! What is said of each object: a JSON line, or a bar, the failures and a sum.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::compare::Carried;
use crate::cli::table::visible;
use crate::s3::Progress;

/// One object's line of `--json`; `null` stands for what is not known.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    pub action: Action,
    pub source: Option<String>,
    pub destination: Option<String>,
    /// Why it was copied, or why not, or not optimized.
    pub reason: Option<String>,
    pub bytes_in: Option<u64>,
    pub bytes_out: Option<u64>,
    pub method: Option<String>,
    pub score: Option<f64>,
    /// The lowest score of any window of 128 pixels that is not flat.
    pub worst: Option<f64>,
    /// clean, stripped or kept, of what was optimized.
    pub metadata: Option<String>,
    pub warnings: Vec<String>,
    /// What has arrived in S3, where it may be replaced at its source meanwhile.
    #[serde(skip)]
    pub carried: Option<Carried>,
    /// Nothing was done: this is what would be.
    pub dry_run: bool,
    pub millis: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Lighter at the destination.
    Optimized,
    /// As it is at the destination.
    Copied,
    /// There already.
    Same,
    Deleted,
    /// Not ours to do; no failure.
    Skipped,
    Failed,
}

impl Action {
    pub fn is_transfer(self) -> bool {
        matches!(self, Self::Optimized | Self::Copied)
    }
}

impl Row {
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
            carried: None,
            dry_run: false,
            millis: 0,
        }
    }

    pub fn because(self, reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..self }
    }

    /// All its bytes arrived as they were.
    pub fn whole(self, bytes: u64) -> Self {
        Self { bytes_in: Some(bytes), bytes_out: Some(bytes), ..self }
    }

    pub fn of(self, carried: Carried) -> Self {
        Self { carried: Some(carried), ..self }
    }

    pub fn warning(mut self, warning: String) -> Self {
        self.warnings.push(warning);
        self
    }

    fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|error| format!("{{\"action\":\"failed\",\"reason\":\"{error}\"}}"))
    }

    /// For a person: what went wrong, or in a dry run what would be done.
    fn words(&self) -> Option<String> {
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

/// The last line of `--json`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Keys looked at; those that only the destination has are none.
    pub objects: u64,
    pub optimized: u64,
    pub copied: u64,
    pub same: u64,
    pub deleted: u64,
    pub skipped: u64,
    pub failed: u64,
    /// Of what was copied or optimized.
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub seconds: f64,
    pub dry_run: bool,
    pub interrupted: bool,
}

/// One object's share of the bar.
#[derive(Debug, Clone)]
pub struct Meter {
    bar: ProgressBar,
    planned: Arc<AtomicU64>,
    moved: Arc<AtomicU64>,
}

impl Meter {
    fn of(bar: &ProgressBar) -> Self {
        Self { bar: bar.clone(), planned: Arc::default(), moved: Arc::default() }
    }

    /// It is of so many bytes, by what is known now.
    pub fn expect(&self, bytes: u64) {
        let before = self.planned.swap(bytes, Ordering::Relaxed);
        self.bar.set_length(self.bar.length().unwrap_or(0).saturating_sub(before) + bytes);
    }

    /// Counts what arrives.
    pub fn progress(&self) -> Progress {
        let (bar, moved) = (self.bar.clone(), Arc::clone(&self.moved));
        Progress::new(move |bytes| {
            moved.fetch_add(bytes, Ordering::Relaxed);
            bar.inc(bytes);
        })
    }

    /// What has come came in vain, and comes again.
    pub fn again(&self) {
        self.bar.dec(self.moved.swap(0, Ordering::Relaxed));
    }

    /// Nothing more comes of it: what was not counted on its way is counted now.
    fn settle(&self) {
        let (planned, moved) = (self.planned.load(Ordering::Relaxed), self.moved.load(Ordering::Relaxed));
        self.expect(planned.max(moved));
        self.bar.inc(planned.saturating_sub(moved));
    }
}

/// Prints rows as they come, and the sum at the end.
#[derive(Debug)]
pub struct Printer {
    json: bool,
    /// stdout is the object's.
    silent: bool,
    bar: ProgressBar,
    planned: u64,
    done: u64,
    begun: Instant,
    summary: Summary,
    /// stdout went away, or its disk is full.
    broken: Option<io::Error>,
}

impl Printer {
    pub fn new(json: bool, silent: bool, dry_run: bool) -> Self {
        // Draws on stderr, and only where that is a terminal.
        let bar = ProgressBar::new(0);
        let template = "{spinner} {msg}  {binary_bytes}/{binary_total_bytes}  {binary_bytes_per_sec}  {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        let summary = Summary { dry_run, ..Summary::default() };
        Self { json, silent, bar, planned: 0, done: 0, begun: Instant::now(), summary, broken: None }
    }

    /// So many bytes, as far as is known, are about to be copied: the total grows with the listings.
    pub fn plan(&mut self, bytes: u64) -> Meter {
        self.planned += 1;
        self.tell();
        let meter = Meter::of(&self.bar);
        meter.expect(bytes);
        meter
    }

    /// A key that is the same on both sides, and needs no line.
    pub fn same(&mut self) {
        self.summary.objects += 1;
        self.summary.same += 1;
    }

    /// What became of a planned object.
    pub fn land(&mut self, row: &Row, meter: &Meter) {
        self.done += 1;
        meter.settle();
        self.tell();
        self.add(row);
    }

    /// What became of an object.
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
            sum.bytes_in += row.bytes_in.unwrap_or(0);
            sum.bytes_out += row.bytes_out.unwrap_or(0);
        }
        if self.json {
            self.line(&row.json());
        } else if let Some(words) = row.words() {
            self.bar.suspend(|| eprintln!("{}", visible(&words)));
        }
    }

    /// What ended all of it: no object's fault.
    pub fn fail(&mut self, error: &dyn fmt::Display) {
        self.summary.failed += 1;
        self.bar.suspend(|| eprintln!("error: {error}"));
    }

    /// Says so to a person.
    pub fn note(&self, words: &dyn fmt::Display) {
        self.bar.suspend(|| eprintln!("{words}"));
    }

    /// Prints what remains to be said; whether nothing failed and all was printed.
    pub fn finish(mut self, interrupted: bool) -> bool {
        self.bar.finish_and_clear();
        self.summary.interrupted = interrupted;
        self.summary.seconds = (self.begun.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
        if self.json {
            let summary = serde_json::json!({ "summary": self.summary });
            self.line(&summary.to_string());
        } else if !self.silent {
            eprintln!("{}", self.summary);
        }
        if let Some(error) = &self.broken {
            eprintln!("error: stdout: {error}");
        }
        self.broken.is_none() && self.summary.failed == 0
    }

    fn tell(&self) {
        self.bar.set_message(format!("{}/{} objects", self.done, self.planned));
    }

    fn line(&mut self, line: &str) {
        if self.silent {
            self.bar.suspend(|| eprintln!("{line}"));
        } else if self.broken.is_none() {
            self.broken = self.bar.suspend(|| writeln!(io::stdout(), "{line}")).err();
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
    fn a_row_is_one_line_of_json() {
        let row = Row::new(Action::Failed, Some(&"s3://b/a\nb"), None).because("no\tsuch object");
        let json = row.json();
        assert_eq!(json.lines().count(), 1);
        let back: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!((&back["action"], &back["source"]), (&"failed".into(), &"s3://b/a\nb".into()));
    }

    #[test]
    fn people_are_told_what_they_can_act_on() {
        let row = |action| Row::new(action, Some(&"a"), Some(&"b")).because("missing");
        assert_eq!(row(Action::Copied).words(), None);
        assert_eq!(row(Action::Failed).words().as_deref(), Some("failed: a: missing"));
        let dry = |action| Row { dry_run: true, ..row(action) }.words();
        assert_eq!(dry(Action::Copied).as_deref(), Some("would copy a to b (missing)"));
        assert_eq!(dry(Action::Deleted).as_deref(), Some("would delete b"));
        assert_eq!(dry(Action::Same), None);
        let warned = Row { warnings: vec!["tags dropped".into()], ..row(Action::Optimized) };
        assert_eq!(warned.words().as_deref(), Some("warning: a: tags dropped"));
    }

    #[test]
    fn the_bar_ends_where_it_should() {
        let mut printer = Printer::new(false, true, false);
        let at = |printer: &Printer| (printer.bar.position(), printer.bar.length());
        let row = Row::new(Action::Copied, None, None);
        let (whole, unknown, failed) = (printer.plan(10), printer.plan(0), printer.plan(5));
        unknown.expect(100);
        assert_eq!(at(&printer), (0, Some(115)));
        unknown.progress().add(60);
        assert_eq!(at(&printer), (60, Some(115)));
        printer.land(&row, &whole);
        unknown.progress().add(50);
        printer.land(&row, &unknown);
        assert_eq!(at(&printer), (120, Some(125)), "it was longer than it said");
        failed.progress().add(2);
        printer.land(&row, &failed);
        assert_eq!((at(&printer), printer.done, printer.planned), ((125, Some(125)), 3, 3));
    }

    #[test]
    fn the_sum_counts_every_key_once() {
        let mut printer = Printer::new(false, true, false);
        printer.same();
        for action in [Action::Copied, Action::Optimized, Action::Deleted, Action::Skipped] {
            let row = Row::new(action, None, None);
            printer.add(&Row { bytes_in: Some(10), bytes_out: Some(7), ..row });
        }
        let sum = printer.summary;
        assert_eq!((sum.objects, sum.same, sum.deleted, sum.bytes_in, sum.bytes_out), (4, 1, 1, 20, 14));
        assert!(printer.finish(false));
    }
}
