//! Reports each file: JSON lines, or a progress bar and a table at the end.

use std::io::{self, Write};
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::table::Table;
use crate::optimize::{Format, ImageError, ImageInfo, MetadataState, Outcome, Reason};

/// One file's line of `--json`. Unknown fields are null.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FileRow {
    /// Path as given; bytes that are not UTF-8 appear as U+FFFD.
    pub path: String,
    pub outcome: FileOutcome,
    pub reason: Option<String>,
    pub format: Option<&'static str>,
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
    /// Whether the time limit ended the search early.
    pub budget_cut: bool,
    pub metadata: Option<String>,
    pub millis: u128,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FileOutcome {
    Optimized,
    Unchanged,
    Failed,
}

impl FileRow {
    /// Builds the row of a file of `length` bytes. An image that cannot be read is left unchanged, which is no failure.
    pub fn new(path: &Path, length: u64, format: Option<Format>, outcome: &Result<Outcome, ImageError>) -> Self {
        let unchanged = Self {
            path: path.to_string_lossy().into_owned(),
            outcome: FileOutcome::Unchanged,
            reason: None,
            format: format.map(Format::name),
            width: None,
            height: None,
            bytes_in: Some(length),
            bytes_out: Some(length),
            method: None,
            score: None,
            worst: None,
            check: None,
            budget_cut: false,
            metadata: Some(MetadataState::Kept.to_string()),
            millis: 0,
        };
        match outcome {
            Ok(Outcome::Optimized(encoded)) => Self {
                outcome: FileOutcome::Optimized,
                bytes_out: Some(encoded.bytes.len() as u64),
                method: Some(encoded.method.to_string()),
                score: encoded.score,
                worst: encoded.worst,
                check: Some(encoded.check.to_string()),
                budget_cut: encoded.budget_cut,
                metadata: Some(encoded.metadata.to_string()),
                ..unchanged.with_info(Some(encoded.info))
            },
            Ok(Outcome::Unchanged(why)) => Self {
                reason: Some(why.reason.to_string()),
                metadata: Some(why.metadata.to_string()),
                budget_cut: why.budget_cut,
                ..unchanged.with_info(why.info)
            },
            Err(error) => Self { reason: Some(error.to_string()), ..unchanged },
        }
    }

    /// Builds the row of a file that could not be read or written.
    pub fn failed(path: &Path, error: &io::Error) -> Self {
        Self {
            path: path.to_string_lossy().into_owned(),
            outcome: FileOutcome::Failed,
            reason: Some(error.to_string()),
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
            millis: 0,
        }
    }

    fn with_info(self, info: Option<ImageInfo>) -> Self {
        let side = |pixels: u32| (pixels > 0).then_some(pixels);
        Self {
            format: info.map(|i| i.format.name()).or(self.format),
            width: info.and_then(|i| side(i.width)),
            height: info.and_then(|i| side(i.height)),
            ..self
        }
    }

    pub fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|error| format!("{{\"outcome\":\"failed\",\"reason\":\"{error}\"}}"))
    }

    pub fn is_failed(&self) -> bool {
        self.outcome == FileOutcome::Failed
    }

    /// Message for a person who expects an image and not a report; only if something is wrong.
    pub fn message(&self) -> Option<String> {
        let reason = self.reason.as_deref()?;
        Some(format!("{}: {}: {reason}", self.path, if self.is_failed() { "failed" } else { "unchanged" }))
    }

    fn is_no_image(&self) -> bool {
        self.reason.as_ref().is_some_and(|r| *r == Reason::NotAnImage.to_string() || *r == Reason::Empty.to_string())
    }

    fn cells(&self) -> [String; 6] {
        let number = |value: Option<u64>| value.map_or_else(|| "-".into(), |n| n.to_string());
        let why = self.method.clone().or_else(|| self.reason.clone()).unwrap_or_default();
        [
            self.path.clone(),
            number(self.bytes_in),
            number(self.bytes_out),
            saved(self.bytes_in.unwrap_or(0), self.bytes_out.unwrap_or(0)),
            self.score.map_or_else(|| "-".into(), |score| format!("{score:.1}")),
            if self.is_failed() { format!("failed: {why}") } else { why },
        ]
    }
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
    rows: Vec<FileRow>,
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

    pub fn add(&mut self, row: FileRow) {
        self.bar.set_message(row.path.escape_debug().to_string());
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
        self.stdout_error.is_none() && !self.rows.iter().any(FileRow::is_failed)
    }

    fn table(&self) -> String {
        let mut table = Table::new(&["file", ">before", ">after", ">saved", ">score", "method or reason"]);
        let mut shown = self.rows.iter().filter(|row| !row.is_no_image()).peekable();
        if shown.peek().is_none() {
            return String::new();
        }
        shown.for_each(|row| table.row(row.cells()));
        format!("{table}\n")
    }

    fn total(&self) -> String {
        let count = |outcome| self.rows.iter().filter(|row| row.outcome == outcome).count();
        let sum = |bytes: fn(&FileRow) -> Option<u64>| self.rows.iter().filter_map(bytes).sum::<u64>();
        let (before, after) = (sum(|row| row.bytes_in), sum(|row| row.bytes_out));
        format!(
            "files: {}, {} optimized, {} unchanged ({} no images), {} failed; {before} bytes before, {after} after, saved {}\n",
            self.rows.len(),
            count(FileOutcome::Optimized),
            count(FileOutcome::Unchanged),
            self.rows.iter().filter(|row| row.is_no_image()).count(),
            count(FileOutcome::Failed),
            saved(before, after),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimize::{Check, Encoded, Method, Unchanged};

    const INFO: ImageInfo = ImageInfo { format: Format::Jpeg, width: 40, height: 30 };

    #[test]
    fn row_of_optimized_file_has_all_fields() {
        let encoded = Encoded {
            bytes: vec![0; 60],
            info: INFO,
            method: Method::JpegPixels,
            score: Some(75.25),
            worst: Some(71.5),
            check: Check::Whole,
            metadata: MetadataState::Stripped,
            budget_cut: false,
        };
        let row = FileRow::new(Path::new("a.jpg"), 100, Some(Format::Jpeg), &Ok(Outcome::Optimized(encoded)));
        let expected = r#"{"path":"a.jpg","outcome":"optimized","reason":null,"format":"jpeg","width":40,"height":30,"bytes_in":100,"bytes_out":60,"method":"jpeg-pixels","score":75.25,"worst":71.5,"check":"whole","budget_cut":false,"metadata":"stripped","millis":0}"#;
        assert_eq!(row.json(), expected);
        assert_eq!(row.cells(), ["a.jpg", "100", "60", "40.0%", "75.2", "jpeg-pixels"]);
        assert_eq!(row.message(), None);
    }

    #[test]
    fn row_of_malformed_image_is_unchanged() {
        let error = ImageError::malformed(Format::Jpeg, "premature end");
        let row = FileRow::new(Path::new("a.jpg"), 100, Some(Format::Jpeg), &Err(error));
        assert_eq!((row.outcome, row.bytes_out), (FileOutcome::Unchanged, Some(100)));
        assert_eq!(row.reason.as_deref(), Some("malformed jpeg: premature end"));
        assert!(FileRow::failed(Path::new("a"), &io::Error::other("no")).is_failed());
    }

    #[test]
    fn row_of_format_not_read_has_no_size() {
        let info = ImageInfo { format: Format::Tiff, width: 0, height: 0 };
        let (reason, metadata) = (Reason::FormatNotRewritten, MetadataState::Kept);
        let why = Unchanged { reason, info: Some(info), metadata, budget_cut: false };
        let row = FileRow::new(Path::new("a.tif"), 9, Some(Format::Tiff), &Ok(Outcome::Unchanged(why)));
        assert_eq!((row.format, row.width), (Some("tiff"), None));
    }

    #[test]
    #[cfg(unix)]
    fn row_of_any_file_name_is_one_json_line() {
        use std::os::unix::ffi::OsStrExt;
        let name = std::ffi::OsStr::from_bytes(b"a\n\"\xff\\.jpg");
        let json = FileRow::failed(Path::new(name), &io::Error::other("no")).json();
        assert_eq!(json.lines().count(), 1);
        let back: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(back["path"], "a\n\"\u{fffd}\\.jpg");
    }
}
