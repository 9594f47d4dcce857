//! Reports each file: JSON lines, or a progress bar and a table at the end.

use std::io::{self, Write};

use indicatif::{ProgressBar, ProgressStyle};

use super::row::Row;
use super::table::Table;
use crate::report::{Outcome, Report};

/// Message for a person who expects an image and not a report; only if something is wrong.
pub fn message(row: &Row) -> Option<String> {
    let (path, reason) = (row.path.as_deref().unwrap_or("-"), row.report.reason.as_ref()?);
    Some(format!("{path}: {}: {reason}", if row.is_failed() { "failed" } else { "unchanged" }))
}

fn cells(row: &Row) -> [String; 6] {
    let number = |value: Option<u64>| value.map_or_else(|| "-".into(), |n| n.to_string());
    let Report { method, reason, bytes_in, bytes_out, score, .. } = &row.report;
    let why = method.map(|method| method.to_string()).or_else(|| reason.as_ref().map(ToString::to_string));
    let why = why.unwrap_or_default();
    [
        row.path.clone().unwrap_or_default(),
        number(*bytes_in),
        number(*bytes_out),
        saved(bytes_in.unwrap_or(0), bytes_out.unwrap_or(0)),
        score.map_or_else(|| "-".into(), |score| format!("{score:.1}")),
        if row.is_failed() { format!("failed: {why}") } else { why },
    ]
}

/// Formats the savings in percent.
fn saved(before: u64, after: u64) -> String {
    if after >= before {
        return "-".into();
    }
    let percent = 100.0 * (before - after) as f64 / before as f64;
    format!("{percent:.1}%")
}

/// Prints rows as they arrive, and the total at the end.
#[derive(Debug)]
pub struct Printer {
    json: bool,
    bar: ProgressBar,
    rows: Vec<Row>,
    /// stdout was closed, or its disk is full.
    stdout_error: Option<io::Error>,
}

impl Printer {
    pub fn new(files: usize, json: bool) -> Self {
        // Drawn on stderr, only if that is a terminal.
        let bar = ProgressBar::new(files as u64);
        if let Ok(style) = ProgressStyle::with_template("{bar:32} {pos}/{len} {wide_msg}") {
            bar.set_style(style);
        }
        Self { json, bar, rows: Vec::new(), stdout_error: None }
    }

    pub fn add(&mut self, row: Row) {
        self.bar.set_message(row.path.as_deref().unwrap_or_default().escape_debug().to_string());
        self.bar.inc(1);
        if self.json && self.stdout_error.is_none() {
            self.stdout_error = self.bar.suspend(|| writeln!(io::stdout(), "{}", row.json())).err();
        }
        self.rows.push(row);
    }

    /// Prints the table and the total. Returns whether no file failed and everything was printed.
    pub fn finish(mut self) -> bool {
        self.bar.finish_and_clear();
        if !self.json {
            self.rows.sort_by(|a, b| a.path.cmp(&b.path));
            eprint!("{}{}", self.table(), self.total());
        }
        if let Some(error) = &self.stdout_error {
            eprintln!("error: stdout: {error}");
        }
        self.stdout_error.is_none() && !self.rows.iter().any(Row::is_failed)
    }

    fn table(&self) -> String {
        let mut table = Table::new(&["file", ">before", ">after", ">saved", ">score", "method or reason"]);
        let mut shown = self.rows.iter().filter(|row| !row.report.is_no_image()).peekable();
        if shown.peek().is_none() {
            return String::new();
        }
        shown.for_each(|row| table.row(cells(row)));
        format!("{table}\n")
    }

    fn total(&self) -> String {
        let count = |outcome| self.rows.iter().filter(|row| row.report.outcome == outcome).count();
        let sum = |bytes: fn(&Row) -> Option<u64>| self.rows.iter().filter_map(bytes).sum::<u64>();
        let (before, after) = (sum(|row| row.report.bytes_in), sum(|row| row.report.bytes_out));
        format!(
            "files: {}, {} optimized, {} unchanged ({} no images), {} failed; {before} bytes before, {after} after, saved {}\n",
            self.rows.len(),
            count(Outcome::Optimized),
            count(Outcome::Unchanged),
            self.rows.iter().filter(|row| row.report.is_no_image()).count(),
            count(Outcome::Failed),
            saved(before, after),
        )
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::cli::row::Action;
    use crate::optimize::{Check, Encoded, Format, ImageError, ImageInfo, MetadataState, Method, Outcome as Answer};
    use crate::report::Body;

    fn row(action: Action, answer: Result<Answer, ImageError>) -> Row {
        let report = Report::of_body(&Body::from_engine(answer), 100, Some(Format::Jpeg));
        Row::of_file(Path::new("a.jpg"), action, report)
    }

    #[test]
    fn cells_of_optimized_file_show_what_was_saved() {
        let encoded = Encoded {
            bytes: vec![0; 60],
            info: ImageInfo { format: Format::Jpeg, width: 40, height: 30 },
            method: Method::JpegPixels,
            score: Some(75.25),
            worst: Some(71.5),
            check: Check::Whole,
            metadata: MetadataState::Stripped,
            budget_cut: false,
        };
        let row = row(Action::Optimized, Ok(Answer::Optimized(encoded)));
        assert_eq!(cells(&row), ["a.jpg", "100", "60", "40.0%", "75.2", "jpeg-pixels"]);
        assert_eq!(message(&row), None);
    }

    #[test]
    fn message_of_malformed_image_says_unchanged() {
        let row = row(Action::Copied, Err(ImageError::malformed(Format::Jpeg, "premature end")));
        assert_eq!(message(&row).as_deref(), Some("a.jpg: unchanged: malformed jpeg: premature end"));
    }
}
