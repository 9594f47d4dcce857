//! `karui uploads`: lists unfinished multipart uploads, and aborts old ones.

use std::ffi::OsStr;
use std::time::{Duration, SystemTime};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde_json::json;

use super::settings::settings;
use crate::cli::table::Table;
use crate::config::TransferSettings;
use crate::local::write::seconds;
use crate::pipeline::Location;
use crate::s3::{Client, ClientConfig, ObjectRef, OpenUpload, S3Error};

/// List unfinished multipart uploads, whose parts cost storage, and abort old ones
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_long_help = "Requires s3:ListBucketMultipartUploads on the bucket and, to abort uploads, s3:AbortMultipartUpload on \
its objects.\n\nExit status: 0, 1 if an upload could not be aborted, 2 for wrong usage."
)]
pub struct UploadsArgs {
    /// Abort uploads older than this, such as 24h or 7d; younger ones may still be in progress
    #[arg(long, value_name = "AGE", value_parser = age)]
    abort_older_than: Option<Duration>,
    /// Report what would be aborted, and abort nothing
    #[arg(long, requires = "abort_older_than")]
    dry_run: bool,
    /// Print one JSON object per upload
    #[arg(long)]
    json: bool,
    /// Profile in ~/.aws/config
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// ARN of a role to assume
    #[arg(long, value_name = "ARN")]
    role: Option<String>,
    /// External ID that the role's trust policy requires
    #[arg(long, value_name = "ID", requires = "role")]
    external_id: Option<String>,
    /// Region of the bucket
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// URL of an S3-compatible store
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    #[arg(value_name = "S3", help = "s3://bucket, or s3://bucket/prefix")]
    place: String,
}

/// Returns whether all old uploads were aborted.
///
/// # Errors
/// Wrong usage.
pub async fn run(args: UploadsArgs) -> Result<bool, String> {
    let Location::S3(prefix) = Location::parse(OsStr::new(&args.place))? else {
        return Err(format!("{}: want s3://bucket or s3://bucket/prefix", args.place));
    };
    let UploadsArgs { profile, role, external_id, region, endpoint, .. } = args.clone();
    let TransferSettings { transfer, rate_limits, destination_buckets: buckets, .. } = settings()?;
    let config = ClientConfig { profile, region, endpoint, role, external_id };
    let client = Client::connect(&config, transfer).await.with_buckets(buckets).with_rate_limits(rate_limits);
    match list_and_abort(&client, &prefix, &args).await {
        Ok(rows) => Ok(print(&rows, args.json)),
        Err(error) => {
            eprintln!("error: {error}");
            Ok(false)
        }
    }
}

/// Result of one upload.
#[derive(Debug)]
struct UploadRow {
    upload: OpenUpload,
    /// Seconds.
    age: i64,
    state: UploadState,
}

#[derive(Debug)]
enum UploadState {
    Open,
    /// In a dry run: old enough to be aborted.
    Old,
    Aborted,
    Failed(S3Error),
}

impl UploadState {
    fn word(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Old => "would be ended",
            Self::Aborted => "ended",
            Self::Failed(_) => "failed",
        }
    }
}

async fn list_and_abort(client: &Client, prefix: &ObjectRef, args: &UploadsArgs) -> Result<Vec<UploadRow>, S3Error> {
    let now = seconds(SystemTime::now());
    let mut rows = Vec::new();
    for upload in client.open_uploads(prefix).await? {
        let age = now - upload.initiated;
        let state = match args.abort_older_than {
            Some(limit) if is_older(age, limit) && args.dry_run => UploadState::Old,
            Some(limit) if is_older(age, limit) => match client.abort_upload(&upload).await {
                Ok(()) => UploadState::Aborted,
                Err(error) => UploadState::Failed(error),
            },
            Some(_) | None => UploadState::Open,
        };
        rows.push(UploadRow { upload, age, state });
    }
    Ok(rows)
}

/// In doubt, an upload counts as younger.
fn is_older(age: i64, limit: Duration) -> bool {
    i64::try_from(limit.as_secs()).is_ok_and(|limit| age > limit)
}

fn print(rows: &[UploadRow], json: bool) -> bool {
    let time = |row: &UploadRow| DateTime::from_secs(row.upload.initiated).fmt(Format::DateTime).unwrap_or_default();
    let mut table = Table::new(&["object", "begun", ">age", "upload", "state"]);
    for row in rows {
        let UploadRow { upload: OpenUpload { object, id, .. }, age, state } = row;
        if json {
            let reason = if let UploadState::Failed(error) = state { Some(error.to_string()) } else { None };
            let line = json!({ "object": object.to_string(), "upload_id": id, "initiated": time(row),
                "age_seconds": age, "state": state.word(), "reason": reason });
            println!("{line}");
        } else {
            table.row([object.to_string(), time(row), format_age(*age), id.clone(), state.word().to_owned()]);
        }
        if let UploadState::Failed(error) = state {
            eprintln!("error: {error}");
        }
    }
    if !json && rows.is_empty() {
        eprintln!("no unfinished uploads");
    } else if !json {
        print!("{table}");
    }
    !rows.iter().any(|row| matches!(row.state, UploadState::Failed(_)))
}

const UNITS: [(&str, u64); 5] = [("w", 604_800), ("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];

/// Formats seconds in the largest unit that they fill.
fn format_age(seconds: i64) -> String {
    let seconds = u64::try_from(seconds).unwrap_or(0);
    let (name, unit) = UNITS.into_iter().skip(1).find(|(_, unit)| seconds >= *unit).unwrap_or(("s", 1));
    format!("{}{name}", seconds / unit)
}

fn age(text: &str) -> Result<Duration, String> {
    let parsed = UNITS.into_iter().find_map(|(name, unit)| {
        let number: u64 = text.strip_suffix(name)?.parse().ok()?;
        Some(Duration::from_secs(number.checked_mul(unit)?))
    });
    parsed.ok_or_else(|| "want a number and a unit, s, m, h, d or w: 24h".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn age_needs_a_unit() {
        assert_eq!(age("24h"), Ok(Duration::from_hours(24)));
        assert_eq!(age("7d"), age("1w"));
        assert_eq!(age("0s"), Ok(Duration::ZERO));
        for wrong in ["24", "h", "-1h", "1.5h", "1y", ""] {
            assert!(age(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn is_older_in_doubt_is_false() {
        let limit = Duration::from_secs(10);
        assert!(!is_older(-5, limit), "a clock that is ahead");
        assert!(!is_older(10, limit) && is_older(11, limit));
        assert!(!is_older(i64::MAX, Duration::MAX));
    }

    #[test]
    fn format_age_uses_the_largest_unit() {
        assert_eq!([59, 60, 7_300, 200_000].map(format_age), ["59s", "1m", "2h", "2d"].map(str::to_owned));
    }
}
