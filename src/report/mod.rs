//! The report of one object, and its only serialization: for the log, the response, and every `--json`.

pub mod body;
pub mod reason;

use std::fmt;
use std::time::Duration;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

pub use body::Body;
pub use reason::{CopyReason, Failure, FailureClass, Reason, Skip, TransferReason};

use crate::optimize::{self, Check, Format, ImageInfo, MetadataState};

/// Report of one object. Unknown fields are null.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    pub outcome: Outcome,
    /// Why; `None` for an optimized object. Written as `reason` (text), `code`, and the `class` of an error.
    #[serde(flatten, serialize_with = "reason_fields")]
    pub reason: Option<Reason>,
    /// `None` if the record does not name it.
    pub source: Option<String>,
    pub destination: Option<String>,
    /// ETag of the source version that was read.
    pub source_etag: Option<String>,
    #[serde(serialize_with = "text")]
    pub format: Option<Format>,
    /// Pixels, as stored.
    pub width: Option<u32>,
    pub height: Option<u32>,
    pub bytes_in: Option<u64>,
    pub bytes_out: Option<u64>,
    #[serde(serialize_with = "text")]
    pub method: Option<Method>,
    pub score: Option<f64>,
    /// Lowest score of any window of 128 pixels that is not flat; `None` where not all of them were measured.
    pub worst: Option<f64>,
    /// How the score was measured.
    #[serde(serialize_with = "text")]
    pub check: Option<Check>,
    /// Whether the time budget ended the search early.
    pub budget_cut: bool,
    #[serde(serialize_with = "text")]
    pub metadata: Option<MetadataState>,
    pub warnings: Vec<String>,
    pub millis: Time,
}

/// What became of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Stored with fewer bytes.
    Optimized,
    /// Left or copied unchanged: optimizing was tried, not asked for, or known to save nothing.
    Unchanged,
    /// Not processed.
    Skipped,
    /// Deleted at the destination, since the source does not have it.
    Deleted,
    /// Failed, to be retried.
    Failed,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Optimized => "optimized",
            Self::Unchanged => "unchanged",
            Self::Skipped => "skipped",
            Self::Deleted => "deleted",
            Self::Failed => "failed",
        })
    }
}

/// How the stored bytes were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Engine(optimize::Method),
    /// Relayed through this process, since S3 may not copy.
    Relay,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Engine(method) => method.fmt(f),
            Self::Relay => f.write_str("relay"),
        }
    }
}

/// Wall time in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Time {
    Total(u64),
    Steps(Millis),
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

impl Report {
    /// Report of an object of which nothing more is known.
    #[must_use]
    pub fn new(outcome: Outcome, reason: Option<Reason>) -> Self {
        Self {
            outcome,
            reason,
            source: None,
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
            millis: Time::Total(0),
        }
    }

    #[must_use]
    pub fn skipped(skip: Skip) -> Self {
        Self::new(Outcome::Skipped, Some(Reason::Skipped(skip)))
    }

    #[must_use]
    pub fn failed(failure: Failure) -> Self {
        Self::new(Outcome::Failed, Some(Reason::Failed(failure)))
    }

    /// Report of a body that was stored, or would be, for a source of this size and format.
    #[must_use]
    pub fn of_body(body: &Body, bytes_in: u64, format: Option<Format>) -> Self {
        let report = match body {
            Body::Optimized { bytes, encoded } => Self {
                bytes_out: Some(bytes.len() as u64),
                method: Some(Method::Engine(encoded.method)),
                score: encoded.score,
                worst: encoded.worst,
                check: Some(encoded.check),
                ..Self::new(Outcome::Optimized, None)
            },
            Body::Copied { reason, .. } => Self {
                bytes_out: Some(bytes_in),
                ..Self::new(Outcome::Unchanged, Some(Reason::Copied(reason.clone())))
            },
        };
        Self { bytes_in: Some(bytes_in), format, ..report }.with_facts(body)
    }

    /// Adds what is known of the body whatever becomes of it.
    pub(crate) fn with_facts(self, body: &Body) -> Self {
        let (info, budget_cut) = match body {
            Body::Optimized { encoded, .. } => (Some(encoded.info), encoded.budget_cut),
            Body::Copied { info, budget_cut, .. } => (*info, *budget_cut),
        };
        // 0 × 0 means that the size was not read.
        let side = |side: fn(ImageInfo) -> u32| info.map(side).filter(|pixels| *pixels > 0);
        Self {
            format: info.map(|info| info.format).or(self.format),
            width: side(|info| info.width),
            height: side(|info| info.height),
            budget_cut,
            metadata: Some(body.metadata()),
            ..self
        }
    }

    /// Whether the source is no image at all.
    #[must_use]
    pub fn is_no_image(&self) -> bool {
        use optimize::Reason::{Empty, NotAnImage};
        matches!(self.reason, Some(Reason::Copied(CopyReason::Unchanged(Empty | NotAnImage))))
    }

    /// Class of the error, if there was one.
    #[must_use]
    pub fn class(&self) -> Option<&'static str> {
        self.reason.as_ref().and_then(Reason::class).map(FailureClass::name)
    }

    /// The report as one line of JSON.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|error| format!("{{\"outcome\":\"failed\",\"reason\":\"{error}\"}}"))
    }

    /// Writes the log line.
    #[cfg(feature = "lambda")]
    pub fn log(&self) {
        let Millis { head, get, optimize, store, total } = match self.millis {
            Time::Steps(millis) => millis,
            Time::Total(total) => Millis { total, ..Millis::default() },
        };
        tracing::info!(
            outcome = %self.outcome,
            reason = shown(self.reason.as_ref()),
            code = self.reason.as_ref().map(Reason::code),
            class = self.class(),
            source = self.source,
            destination = self.destination,
            source_etag = self.source_etag,
            format = shown(self.format),
            width = self.width,
            height = self.height,
            bytes_in = self.bytes_in,
            bytes_out = self.bytes_out,
            method = shown(self.method),
            score = self.score,
            worst = self.worst,
            check = shown(self.check),
            budget_cut = self.budget_cut,
            metadata = shown(self.metadata),
            warnings = (!self.warnings.is_empty()).then(|| self.warnings.join("; ")),
            millis_head = head,
            millis_get = get,
            millis_optimize = optimize,
            millis_store = store,
            millis_total = total,
            "report"
        );
    }
}

#[cfg(feature = "lambda")]
fn shown(value: Option<impl fmt::Display>) -> Option<String> {
    value.map(|value| value.to_string())
}

#[expect(clippy::ref_option, reason = "serde passes a field by reference")]
fn text<S: Serializer>(value: &Option<impl fmt::Display>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_none(),
    }
}

#[expect(clippy::ref_option, reason = "serde passes a field by reference")]
fn reason_fields<S: Serializer>(reason: &Option<Reason>, serializer: S) -> Result<S::Ok, S::Error> {
    let mut fields = serializer.serialize_struct("Reason", 3)?;
    fields.serialize_field("reason", &reason.as_ref().map(ToString::to_string))?;
    fields.serialize_field("code", &reason.as_ref().map(Reason::code))?;
    fields.serialize_field("class", &reason.as_ref().and_then(Reason::class).map(FailureClass::name))?;
    fields.end()
}

/// Milliseconds of a duration.
#[must_use]
pub fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimize::{Encoded, ImageError, Unchanged};

    const INFO: ImageInfo = ImageInfo { format: Format::Jpeg, width: 40, height: 30 };

    #[test]
    fn json_of_optimized_object_has_all_fields() {
        let encoded = Encoded {
            bytes: vec![0; 60],
            info: INFO,
            method: optimize::Method::JpegPixels,
            score: Some(75.25),
            worst: Some(71.5),
            check: Check::Whole,
            metadata: MetadataState::Stripped,
            budget_cut: false,
        };
        let body = Body::from_engine(Ok(optimize::Outcome::Optimized(encoded)));
        let json = Report::of_body(&body, 100, Some(Format::Jpeg)).json();
        let expected = r#"{"outcome":"optimized","reason":null,"code":null,"class":null,"source":null,"destination":null,"source_etag":null,"format":"jpeg","width":40,"height":30,"bytes_in":100,"bytes_out":60,"method":"jpeg-pixels","score":75.25,"worst":71.5,"check":"whole","budget_cut":false,"metadata":"stripped","warnings":[],"millis":0}"#;
        assert_eq!(json, expected);
    }

    #[test]
    fn json_of_failed_object_has_code_and_class() {
        let failure = Failure::retryable("s3-access-denied", "GetObject: denied");
        let report =
            Report { millis: Time::Steps(Millis { total: 7, ..Millis::default() }), ..Report::failed(failure) };
        let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!((&json["reason"], &json["class"]), (&"GetObject: denied".into(), &"retryable".into()));
        assert_eq!((&json["code"], &json["millis"]["total"]), (&"s3-access-denied".into(), &7.into()));
    }

    #[test]
    fn report_of_malformed_image_is_unchanged() {
        let body = Body::from_engine(Err(ImageError::malformed(Format::Jpeg, "premature end")));
        let report = Report::of_body(&body, 100, Some(Format::Jpeg));
        assert_eq!((report.outcome, report.bytes_out), (Outcome::Unchanged, Some(100)));
        assert_eq!(report.class(), Some("permanent"));
    }

    #[test]
    fn report_of_format_not_read_has_no_size() {
        let info = ImageInfo { format: Format::Tiff, width: 0, height: 0 };
        let (reason, metadata) = (optimize::Reason::FormatNotRewritten, MetadataState::Kept);
        let unchanged = Unchanged { reason, info: Some(info), metadata, budget_cut: false };
        let body = Body::from_engine(Ok(optimize::Outcome::Unchanged(unchanged)));
        let report = Report::of_body(&body, 9, Some(Format::Tiff));
        assert_eq!((report.format, report.width), (Some(Format::Tiff), None));
    }
}
