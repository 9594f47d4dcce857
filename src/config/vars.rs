//! The table of environment variables. Error messages, defaults and the README's table are generated from it.

use std::fmt::Write;
use std::net::Ipv4Addr;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;

use super::Settings;
use crate::pipeline::{KeyTemplate, Overwrite, TagPolicy, Unstrippable};
use crate::s3::{Encryption, UploadChecksum};

/// One environment variable.
pub struct Var {
    pub name: &'static str,
    /// Completes "want …" in error messages, and fills the README's column.
    pub format: &'static str,
    /// Default value, parsed like the environment's; `None` if the variable is required.
    pub default: Option<&'static str>,
    /// Description for the README's table.
    pub doc: &'static str,
    /// Parses a value into its setting; `None` if it does not have the format.
    read: fn(&mut Settings, &str) -> Option<()>,
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

const ACCOUNT: &str = "an AWS account ID, 12 digits";
const ROLE: &str = "the ARN of a role, arn:aws:iam::ACCOUNT:role/NAME";
const EXTERNAL_ID: &str = "2 to 1224 letters, digits and any of _ + = , . @ : / -";
const STORAGE_CLASSES: &[&str] = &[
    "STANDARD",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER_IR",
    "GLACIER",
    "DEEP_ARCHIVE",
    "REDUCED_REDUNDANCY",
];
const ACLS: &[&str] = &[
    "private",
    "public-read",
    "public-read-write",
    "authenticated-read",
    "aws-exec-read",
    "bucket-owner-read",
    "bucket-owner-full-control",
];
const BUCKET: &str = "a bucket name (3 to 63 of a-z, 0-9, \".\" and \"-\")";

/// All variables.
pub const VARS: &[Var] = &[
    Var {
        name: "KARUI_DESTINATION_BUCKET",
        format: BUCKET,
        default: None,
        doc: "Bucket that the results are stored in.",
        read: |s, text| put(&mut s.policy.destination_bucket, bucket(text)),
    },
    Var {
        name: "KARUI_DESTINATION_PREFIX",
        format: "the beginning of a key, such as small/ (up to 512 bytes)",
        default: Some(""),
        doc: "Prefix of result keys: the source's key follows it.",
        read: |s, text| put(&mut s.policy.destination_key, prefix(text).map(KeyTemplate::under)),
    },
    Var {
        name: "KARUI_DESTINATION_KEY",
        format: "a key of {dir}, {stem} and {ext}, in this order, such as small/{dir}{stem}-light{ext}, and no \
                 KARUI_DESTINATION_PREFIX",
        default: Some(""),
        doc: "Template of result keys, for more than a prefix: {dir} is the source's key up to its last /, {ext} starts at the \
              last dot, {stem} is between.",
        read: |s, text| {
            let key = &mut s.policy.destination_key;
            match text {
                "" => Some(()),
                _ if *key != KeyTemplate::default() => None,
                _ => put(key, text.parse().ok()),
            }
        },
    },
    Var {
        name: "KARUI_SOURCE_BUCKET",
        format: BUCKET,
        default: Some(""),
        doc: "Bucket that the trigger listens to. If set, a loop is refused before the first event.",
        read: |s, text| put_optional(&mut s.source_bucket, text, bucket),
    },
    Var {
        name: "KARUI_SOURCE_PREFIX",
        format: "the beginning of a key, such as photos/ (up to 512 bytes)",
        default: Some(""),
        doc: "Prefix that the trigger filters on.",
        read: |s, text| put(&mut s.source_prefix, prefix(text)),
    },
    Var {
        name: "KARUI_SOURCE_OWNER",
        format: ACCOUNT,
        default: Some(""),
        doc: "Account that source buckets must belong to; S3 refuses requests to a bucket of another account.",
        read: |s, text| put_optional(&mut s.source_buckets.owner, text, account),
    },
    Var {
        name: "KARUI_DESTINATION_OWNER",
        format: ACCOUNT,
        default: Some(""),
        doc: "Account that the destination bucket must belong to.",
        read: |s, text| put_optional(&mut s.destination_buckets.owner, text, account),
    },
    Var {
        name: "KARUI_DESTINATION_KMS_KEY",
        format: "the ARN of a KMS key, arn:aws:kms:REGION:ACCOUNT:key/ID",
        default: Some(""),
        doc: "KMS key that encrypts the results (SSE-KMS), instead of the bucket's default.",
        read: |s, text| {
            put_optional(&mut s.destination_buckets.encryption, text, |text| kms_key(text).map(Encryption::Kms))
        },
    },
    Var {
        name: "KARUI_DESTINATION_ENCRYPTION",
        format: "bucket, or sse-s3 and no KARUI_DESTINATION_KMS_KEY",
        default: Some("bucket"),
        doc: "bucket uses the bucket's default encryption; sse-s3 encrypts with S3's keys regardless of it.",
        read: |s, text| match (text, &s.destination_buckets.encryption) {
            ("bucket", _) => Some(()),
            ("sse-s3", None) => put(&mut s.destination_buckets.encryption, Some(Some(Encryption::SseS3))),
            _ => None,
        },
    },
    Var {
        name: "KARUI_SOURCE_ROLE_ARN",
        format: ROLE,
        default: Some(""),
        doc: "Role assumed to read sources, if the function's own role may not. If neither role may read and write, S3 cannot \
              copy, and the bytes pass through the function.",
        read: |s, text| put_optional(&mut s.source_client.role, text, role),
    },
    Var {
        name: "KARUI_SOURCE_EXTERNAL_ID",
        format: EXTERNAL_ID,
        default: Some(""),
        doc: "External ID that the role's trust policy requires.",
        read: |s, text| put_optional(&mut s.source_client.external_id, text, external_id),
    },
    Var {
        name: "KARUI_DESTINATION_ROLE_ARN",
        format: ROLE,
        default: Some(""),
        doc: "Role assumed to write results, to read existing ones, and to copy.",
        read: |s, text| put_optional(&mut s.destination_client.role, text, role),
    },
    Var {
        name: "KARUI_DESTINATION_EXTERNAL_ID",
        format: EXTERNAL_ID,
        default: Some(""),
        doc: "External ID that the role's trust policy requires.",
        read: |s, text| put_optional(&mut s.destination_client.external_id, text, external_id),
    },
    Var {
        name: "KARUI_DESTINATION_REGION",
        format: "an AWS region, such as eu-west-1",
        default: Some(""),
        doc: "Region of the destination bucket, if it is not the function's.",
        read: |s, text| put_optional(&mut s.destination_client.region, text, region),
    },
    Var {
        name: "KARUI_STORAGE_CLASS",
        format: "one of STANDARD, STANDARD_IA, ONEZONE_IA, INTELLIGENT_TIERING, GLACIER_IR, GLACIER, DEEP_ARCHIVE, \
                 REDUCED_REDUNDANCY",
        default: Some(""),
        doc: "Storage class of the results, instead of their sources'.",
        read: |s, text| put_optional(&mut s.policy.storage_class, text, |text| word(text, STORAGE_CLASSES)),
    },
    Var {
        name: "KARUI_CACHE_CONTROL",
        format: "the value of a header, such as public, max-age=31536000 (up to 512 bytes of ASCII)",
        default: Some(""),
        doc: "Cache-Control of the results, instead of their sources'.",
        read: |s, text| put_optional(&mut s.policy.cache_control, text, header),
    },
    Var {
        name: "KARUI_ACL",
        format: "one of private, public-read, public-read-write, authenticated-read, aws-exec-read, bucket-owner-read, \
                 bucket-owner-full-control",
        default: Some(""),
        doc: "Canned ACL of the results, for a bucket of another account that does not own its objects; requires \
              s3:PutObjectAcl. By default no ACL is sent.",
        read: |s, text| put_optional(&mut s.destination_buckets.acl, text, |text| word(text, ACLS)),
    },
    Var {
        name: "KARUI_OVERWRITE",
        format: "one of if-older, always, never",
        default: Some("if-older"),
        doc: "if-older replaces an existing object unless it is the result of this event or of a later one; always replaces it \
              without checking; never keeps it.",
        read: |s, text| {
            let words = [("if-older", Overwrite::IfOlder), ("always", Overwrite::Always), ("never", Overwrite::Never)];
            put(&mut s.policy.overwrite, one_of(text, &words))
        },
    },
    Var {
        name: "KARUI_QUALITY",
        format: "a score from 30 to 100 or one of medium, high, very-high, visually-lossless, lossless",
        default: Some("75"),
        doc: "SSIMULACRA2 score that no written image falls below (medium 50, high 70, very-high 80, \
              visually-lossless 90).",
        read: |s, text| put(&mut s.policy.options.quality, text.parse().ok()),
    },
    Var {
        name: "KARUI_METADATA",
        format: "one of safe, all, none",
        default: Some("safe"),
        doc: "Metadata to keep: safe keeps colour profile, orientation, copyright and gain maps and removes location, \
              thumbnails and edit history; all keeps everything; none keeps only what rendering needs.",
        read: |s, text| put(&mut s.policy.options.metadata, text.parse().ok()),
    },
    Var {
        name: "KARUI_EFFORT",
        format: "one of fast, default",
        default: Some("default"),
        doc: "fast encodes once, at the first guess, without measuring the score.",
        read: |s, text| put(&mut s.policy.options.effort, text.parse().ok()),
    },
    Var {
        name: "KARUI_MIN_SAVINGS",
        format: "a percentage from 0 to below 100",
        default: Some("2"),
        doc: "Files that would save less are copied unchanged.",
        read: |s, text| put(&mut s.policy.options.min_savings, percentage(text)),
    },
    Var {
        name: "KARUI_UNSTRIPPABLE",
        format: "one of copy, withhold",
        default: Some("copy"),
        doc: "What to do with a file whose metadata cannot be removed, images or not: copy stores it unchanged, withhold stores nothing.",
        read: |s, text| {
            let choice = one_of(text, &[("copy", Unstrippable::Copy), ("withhold", Unstrippable::Withhold)]);
            put(&mut s.policy.unstrippable, choice)
        },
    },
    Var {
        name: "KARUI_TAGS",
        format: "one of copy, require",
        default: Some("copy"),
        doc: "Object tags are copied to the result. If that is not permitted, copy drops them with a warning, and require \
              fails the object.",
        read: |s, text| {
            put(&mut s.policy.tags, one_of(text, &[("copy", TagPolicy::Copy), ("require", TagPolicy::Require)]))
        },
    },
    Var {
        name: "KARUI_MAX_BYTES",
        format: "a size such as 512MiB or 1048576",
        default: Some("512MiB"),
        doc: "Larger files are copied unchanged, as are files over any limit below.",
        read: |s, text| put(&mut s.policy.options.limits.bytes, size(text, 1..=u64::MAX)),
    },
    Var {
        name: "KARUI_MAX_PIXELS",
        format: "a whole number above 0",
        default: Some("150000000"),
        doc: "Most pixels, width × height.",
        read: |s, text| put(&mut s.policy.options.limits.pixels, number(text, 1..=u64::MAX)),
    },
    Var {
        name: "KARUI_MAX_SCANS",
        format: "a whole number above 0",
        default: Some("100"),
        doc: "Most scans of a progressive JPEG; scans alone can make a hostile file take seconds.",
        read: |s, text| put(&mut s.policy.options.limits.scans, count(text)),
    },
    Var {
        name: "KARUI_MAX_FRAMES",
        format: "a whole number above 0",
        default: Some("1000"),
        doc: "Most frames of an animation.",
        read: |s, text| put(&mut s.policy.options.limits.frames, count(text)),
    },
    Var {
        name: "KARUI_MULTIPART_THRESHOLD",
        format: "a size from 5MiB to 5GiB",
        default: Some("16MiB"),
        doc: "Larger objects are downloaded and uploaded in parts.",
        read: |s, text| put(&mut s.transfer.multipart_threshold, size(text, 5 * MIB..=5 * GIB)),
    },
    Var {
        name: "KARUI_PART_SIZE",
        format: "a size from 5MiB to 5GiB",
        default: Some("8MiB"),
        doc: "Largest part. All parts are equal; the size grows for objects that would need over 10,000 parts.",
        read: |s, text| put(&mut s.transfer.part_size, size(text, 5 * MIB..=5 * GIB)),
    },
    Var {
        name: "KARUI_UPLOAD_CONCURRENCY",
        format: "a whole number from 1 to 64",
        default: Some("4"),
        doc: "Parts uploaded at the same time.",
        read: |s, text| put(&mut s.transfer.concurrency, number(text, 1..=64).and_then(|n| n.try_into().ok())),
    },
    Var {
        name: "KARUI_DOWNLOAD_CONCURRENCY",
        format: "a whole number from 1 to 64",
        default: Some("4"),
        doc: "Parts downloaded at the same time, into one buffer of the object's size.",
        read: |s, text| put(&mut s.transfer.download_concurrency, number(text, 1..=64).and_then(|n| n.try_into().ok())),
    },
    Var {
        name: "KARUI_CHECKSUM",
        format: "one of crc64nvme, crc32c, sha256, md5",
        default: Some("crc64nvme"),
        doc: "Checksum of every part and of the whole object, which S3 verifies and keeps; md5 is Content-MD5, for stores that \
              support nothing else.",
        read: |s, text| {
            let words = [
                ("crc64nvme", UploadChecksum::Crc64Nvme),
                ("crc32c", UploadChecksum::Crc32c),
                ("sha256", UploadChecksum::Sha256),
                ("md5", UploadChecksum::Md5),
            ];
            put(&mut s.transfer.checksum, one_of(text, &words))
        },
    },
    Var {
        name: "KARUI_MAX_REQUESTS_PER_SECOND",
        format: "a whole number from 1 to 100000",
        default: Some(""),
        doc: "Most requests to S3 per second and function instance, retries included.",
        read: |s, text| {
            let rate = |text: &str| NonZeroU32::new(number(text, 1..=100_000)?.try_into().ok()?);
            put_optional(&mut s.rate_limits.requests_per_second, text, rate)
        },
    },
    Var {
        name: "KARUI_MAX_BYTES_PER_SECOND",
        format: "a size from 64KiB to 1024GiB",
        default: Some(""),
        doc: "Most bytes to and from S3 per second and function instance.",
        read: |s, text| {
            let rate = |text: &str| NonZeroU32::new((size(text, 64 * KIB..=1024 * GIB)? / KIB).try_into().ok()?);
            put_optional(&mut s.rate_limits.kib_per_second, text, rate)
        },
    },
    Var {
        name: "KARUI_LOG",
        format: "one of off, error, warn, info, debug, trace",
        default: Some("info"),
        doc: "Least severe log level that is written; reports are info.",
        read: |s, text| put(&mut s.log, text.parse().ok().filter(|_| !text.bytes().any(|b| b.is_ascii_digit()))),
    },
];

impl Var {
    /// Parses the value, or the default.
    pub(super) fn apply(&self, settings: &mut Settings, value: Option<&str>) -> Result<(), String> {
        let Self { name, format, .. } = self;
        let Some(text) = value.or(self.default) else { return Err(format!("{name}: missing, want {format}")) };
        (self.read)(settings, text).ok_or_else(|| format!("{name}: got {text:?}, want {format}"))
    }
}

/// Renders the README's table.
#[must_use]
pub fn markdown() -> String {
    let mut table = String::from("| Variable | Value | Default | Meaning |\n| --- | --- | --- | --- |\n");
    for Var { name, format, default, doc, .. } in VARS {
        let default = match default {
            None => "*required*".into(),
            Some("") => String::new(),
            Some(value) => format!("`{value}`"),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(table, "| `{name}` | {format} | {default} | {doc} |");
    }
    table
}

fn put<T>(place: &mut T, value: Option<T>) -> Option<()> {
    *place = value?;
    Some(())
}

/// Like [`put`], for an optional setting; empty text means `None`.
fn put_optional<T>(place: &mut Option<T>, text: &str, read: impl Fn(&str) -> Option<T>) -> Option<()> {
    *place = if text.is_empty() { None } else { Some(read(text)?) };
    Some(())
}

fn one_of<T: Copy>(text: &str, words: &[(&str, T)]) -> Option<T> {
    words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value)
}

fn number(text: &str, range: RangeInclusive<u64>) -> Option<u64> {
    text.parse().ok().filter(|n| range.contains(n))
}

fn count(text: &str) -> Option<u32> {
    number(text, 1..=u32::MAX.into())?.try_into().ok()
}

fn percentage(text: &str) -> Option<f64> {
    text.parse().ok().filter(|percent| (0.0..100.0).contains(percent))
}

fn size(text: &str, range: RangeInclusive<u64>) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match text[digits.len()..].trim_start() {
        "" | "B" => 1,
        "KiB" => KIB,
        "MiB" => MIB,
        "GiB" => GIB,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit).filter(|bytes| range.contains(bytes))
}

fn prefix(text: &str) -> Option<String> {
    (text.len() <= 512).then(|| text.to_string())
}

fn account(text: &str) -> Option<String> {
    (text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.to_string())
}

/// Requires the whole ARN: a bare key ID would be looked up in the function's own account.
fn kms_key(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let ["arn", partition, "kms", region, owner, key] = parts[..] else { return None };
    let valid = partition.starts_with("aws")
        && !region.is_empty()
        && account(owner).is_some()
        && key.strip_prefix("key/").is_some_and(|id| !id.is_empty() && !text.contains(char::is_whitespace));
    valid.then(|| text.to_string())
}

fn role(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let ["arn", partition, "iam", "", owner, role] = parts[..] else { return None };
    let valid = partition.starts_with("aws")
        && account(owner).is_some()
        && role.strip_prefix("role/").is_some_and(|name| !name.is_empty() && !text.contains(char::is_whitespace));
    valid.then(|| text.to_string())
}

/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
fn external_id(text: &str) -> Option<String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&b);
    ((2..=1224).contains(&text.len()) && text.bytes().all(allowed)).then(|| text.to_string())
}

fn region(text: &str) -> Option<String> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (text.contains('-') && text.bytes().all(allowed)).then(|| text.to_string())
}

fn header(text: &str) -> Option<String> {
    (text.len() <= 512 && text.bytes().all(|b| (b' '..=b'~').contains(&b))).then(|| text.to_string())
}

fn word(text: &str, words: &[&str]) -> Option<String> {
    words.contains(&text).then(|| text.to_string())
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
fn bucket(text: &str) -> Option<String> {
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let bytes = text.as_bytes();
    let valid = (3..=63).contains(&bytes.len())
        && bytes.iter().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-'))
        && edge(bytes.first())
        && edge(bytes.last())
        && !text.contains("..")
        && text.parse::<Ipv4Addr>().is_err();
    valid.then(|| text.to_string())
}
