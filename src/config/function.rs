//! The function's own variables, beside those of transfers.

use tracing::level_filters::LevelFilter;

use super::environment::{Faults, given, unknown_names};
use super::transfer::{self, TransferSettings};
use super::values::{bucket, count, external_id, header, number, one_of, percentage, prefix, region, role, size, word};
use super::var::{Var, apply, put, put_optional};
use crate::pipeline::{KeyTemplate, Overwrite, Policy, TagPolicy, Unstrippable};
use crate::s3::ClientConfig;

/// The function's validated settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Configuration of the pipeline.
    pub policy: Policy,
    pub transfer: TransferSettings,
    /// Identity that reads sources.
    pub source_client: ClientConfig,
    /// Identity and region for the destination.
    pub destination_client: ClientConfig,
    /// Bucket whose events arrive; `None` if not configured.
    pub source_bucket: Option<String>,
    /// Prefix that the trigger filters on.
    pub source_prefix: String,
    pub log: LevelFilter,
}

/// Set by Lambda itself, in MB: <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html>.
const MEMORY_VAR: &str = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE";

/// Bytes that the process itself needs: code, runtime, TLS, parts in flight.
const PROCESS_RESERVE: u64 = 64 << 20;

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
const BUCKET: &str = "a bucket name (3 to 63 of a-z, 0-9, \".\" and \"-\")";

/// All variables of the function alone.
pub const VARS: &[Var<Settings>] = &[
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
        name: "KARUI_LOG",
        format: "one of off, error, warn, info, debug, trace",
        default: Some("info"),
        doc: "Least severe log level that is written; reports are info.",
        read: |s, text| put(&mut s.log, text.parse().ok().filter(|_| !text.bytes().any(|b| b.is_ascii_digit()))),
    },
];

impl Settings {
    /// Parses the environment; ignores names that are neither `KARUI_*` nor Lambda's memory size.
    ///
    /// # Errors
    /// [`Faults`], all at once.
    pub fn parse(environment: impl IntoIterator<Item = (String, String)>) -> Result<Self, Faults> {
        let given = given(environment);
        let mut settings = Self::unset();
        let mut faults = unknown_names(&given, &names());
        faults.extend(apply(VARS, &given, &mut settings));
        faults.extend(apply(transfer::VARS, &given, &mut settings.transfer));
        match given.get(MEMORY_VAR).map(|text| memory_limit(text)) {
            Some(Ok(bytes)) => settings.policy.options.limits.memory = bytes,
            Some(Err(fault)) => faults.push(fault),
            None => {}
        }
        faults.extend(settings.contradictions());
        if faults.is_empty() { Ok(settings) } else { Err(Faults(faults)) }
    }

    /// Placeholder values; the table sets every field, and a missing required variable is a fault.
    fn unset() -> Self {
        Self {
            policy: Policy::to_bucket(""),
            transfer: TransferSettings::default(),
            source_client: ClientConfig::default(),
            destination_client: ClientConfig::default(),
            source_bucket: None,
            source_prefix: String::new(),
            log: LevelFilter::INFO,
        }
    }

    /// Checks rules that involve several variables.
    fn contradictions(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.source_bucket.is_none() && !self.source_prefix.is_empty() {
            faults.push("KARUI_SOURCE_PREFIX: set without KARUI_SOURCE_BUCKET, want both or neither".into());
        }
        if self.would_loop() {
            faults.push(format!(
                "KARUI_DESTINATION_BUCKET: results in s3://{bucket}/{destination} would trigger events of \
                 s3://{bucket}/{source}, want another bucket, or a prefix that the trigger does not listen to",
                bucket = self.policy.destination_bucket,
                destination = self.policy.destination_key,
                source = self.source_prefix,
            ));
        }
        for (side, client) in [("SOURCE", &self.source_client), ("DESTINATION", &self.destination_client)] {
            if client.external_id.is_some() && client.role.is_none() {
                let (id, role) = (format!("KARUI_{side}_EXTERNAL_ID"), format!("KARUI_{side}_ROLE_ARN"));
                faults.push(format!("{id}: set without {role}, want both or neither"));
            }
        }
        faults
    }

    /// Whether results would trigger the function again.
    fn would_loop(&self) -> bool {
        self.source_bucket.as_ref() == Some(&self.policy.destination_bucket)
            && self.policy.destination_key.may_write_under(&self.source_prefix)
    }
}

/// Names of all variables that the function reads.
fn names() -> Vec<&'static str> {
    VARS.iter().map(|var| var.name).chain(transfer::VARS.iter().map(|var| var.name)).collect()
}

fn memory_limit(text: &str) -> Result<u64, String> {
    match text.parse::<u64>() {
        Ok(megabytes) if megabytes > 0 => Ok((megabytes << 20).saturating_sub(PROCESS_RESERVE).max(1)),
        _ => Err(format!("{MEMORY_VAR}: got {text:?}, want the function's memory in MB")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimize::{Effort, MetadataPolicy, Options, Quality};
    use crate::pipeline::{KeyTemplate, Overwrite, TagPolicy, Unstrippable};
    use crate::s3::{BucketConfig, Encryption, RateLimits, TransferConfig, UploadChecksum};

    fn parse(vars: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
        Settings::parse(vars.iter().map(|(name, value)| ((*name).to_string(), (*value).to_string())))
            .map_err(|Faults(faults)| faults)
    }

    fn with(name: &str, value: &str) -> Result<Settings, Vec<String>> {
        parse(&[("KARUI_DESTINATION_BUCKET", "light-images"), (name, value)])
    }

    fn fault(name: &str, value: &str) -> String {
        let faults = with(name, value).expect_err(value);
        assert_eq!(faults.len(), 1, "{faults:?}");
        faults[0].clone()
    }

    const KEY: &str = "arn:aws:kms:eu-west-1:222222222222:key/1234abcd-12ab-34cd-56ef-1234567890ab";

    #[test]
    fn documented_defaults_match_the_code() {
        let settings = parse(&[("KARUI_DESTINATION_BUCKET", "light-images"), ("PATH", "/bin")]).unwrap();
        assert_eq!(settings.policy.options, Options::default());
        assert_eq!(settings.transfer, TransferSettings::default());
        assert_eq!(settings.policy.destination_bucket, "light-images");
        assert_eq!(settings.policy, Policy::to_bucket("light-images"));
        assert_eq!(
            (settings.source_client, settings.destination_client),
            (ClientConfig::default(), ClientConfig::default())
        );
        assert_eq!(settings.policy.unstrippable, Unstrippable::Copy);
        assert_eq!(settings.policy.tags, TagPolicy::Copy);
        assert_eq!(settings.log, LevelFilter::INFO);
        assert_eq!(settings.source_bucket, None);
    }

    #[test]
    fn parse_sets_every_variable() {
        let settings = parse(&[
            ("KARUI_DESTINATION_BUCKET", "light-images"),
            ("KARUI_DESTINATION_PREFIX", "small/"),
            ("KARUI_SOURCE_BUCKET", "camera-uploads"),
            ("KARUI_SOURCE_PREFIX", "photos/"),
            ("KARUI_SOURCE_OWNER", "111111111111"),
            ("KARUI_DESTINATION_OWNER", "222222222222"),
            ("KARUI_DESTINATION_KMS_KEY", KEY),
            ("KARUI_SOURCE_ROLE_ARN", "arn:aws:iam::111111111111:role/path/reader"),
            ("KARUI_SOURCE_EXTERNAL_ID", "karui+1"),
            ("KARUI_DESTINATION_ROLE_ARN", "arn:aws-cn:iam::222222222222:role/writer"),
            ("KARUI_DESTINATION_EXTERNAL_ID", "karui:2"),
            ("KARUI_DESTINATION_REGION", "eu-west-1"),
            ("KARUI_ACL", "bucket-owner-full-control"),
            ("KARUI_STORAGE_CLASS", "GLACIER_IR"),
            ("KARUI_CACHE_CONTROL", "max-age=60"),
            ("KARUI_OVERWRITE", "never"),
            ("KARUI_QUALITY", "very-high"),
            ("KARUI_METADATA", "none"),
            ("KARUI_EFFORT", "fast"),
            ("KARUI_MIN_SAVINGS", "5.5"),
            ("KARUI_UNSTRIPPABLE", "withhold"),
            ("KARUI_TAGS", "require"),
            ("KARUI_MAX_BYTES", "1GiB"),
            ("KARUI_MAX_PIXELS", "1000000"),
            ("KARUI_MAX_SCANS", "20"),
            ("KARUI_MAX_FRAMES", "30"),
            ("KARUI_MULTIPART_THRESHOLD", "32MiB"),
            ("KARUI_PART_SIZE", "10485760"),
            ("KARUI_UPLOAD_CONCURRENCY", "2"),
            ("KARUI_DOWNLOAD_CONCURRENCY", "3"),
            ("KARUI_CHECKSUM", "md5"),
            ("KARUI_MAX_REQUESTS_PER_SECOND", "500"),
            ("KARUI_MAX_BYTES_PER_SECOND", "3MiB"),
            ("KARUI_LOG", "debug"),
        ])
        .unwrap();
        let options = &settings.policy.options;
        assert_eq!(settings.policy.destination_key, KeyTemplate::under("small/"));
        assert_eq!(settings.source_bucket.as_deref(), Some("camera-uploads"));
        assert_eq!(settings.source_prefix, "photos/");
        let source_buckets = BucketConfig { owner: Some("111111111111".into()), ..BucketConfig::default() };
        let destination_buckets = BucketConfig {
            owner: Some("222222222222".into()),
            encryption: Some(Encryption::Kms(KEY.into())),
            acl: Some("bucket-owner-full-control".into()),
        };
        assert_eq!(settings.transfer.source_buckets, source_buckets);
        assert_eq!(settings.transfer.destination_buckets, destination_buckets);
        let access = |role: &str, external_id: &str, region: Option<&str>| ClientConfig {
            role: Some(role.into()),
            external_id: Some(external_id.into()),
            region: region.map(Into::into),
            ..ClientConfig::default()
        };
        assert_eq!(settings.source_client, access("arn:aws:iam::111111111111:role/path/reader", "karui+1", None));
        let writer = access("arn:aws-cn:iam::222222222222:role/writer", "karui:2", Some("eu-west-1"));
        assert_eq!(settings.destination_client, writer);
        assert_eq!(settings.policy.storage_class.as_deref(), Some("GLACIER_IR"));
        assert_eq!(settings.policy.cache_control.as_deref(), Some("max-age=60"));
        assert_eq!(settings.policy.overwrite, Overwrite::Never);
        assert_eq!(options.quality, Quality::Target(80.0));
        assert_eq!(options.metadata, MetadataPolicy::None);
        assert_eq!(options.effort, Effort::Fast);
        assert!((options.min_savings - 5.5).abs() < f64::EPSILON);
        assert_eq!(settings.policy.unstrippable, Unstrippable::Withhold);
        assert_eq!(settings.policy.tags, TagPolicy::Require);
        assert_eq!(options.limits.bytes, 1 << 30);
        assert_eq!(options.limits.pixels, 1_000_000);
        assert_eq!(options.limits.scans, 20);
        assert_eq!(options.limits.frames, 30);
        let transfer = TransferConfig {
            multipart_threshold: 32 << 20,
            part_size: 10 << 20,
            concurrency: 2,
            download_concurrency: 3,
            checksum: UploadChecksum::Md5,
        };
        assert_eq!(settings.transfer.transfer, transfer);
        let limits = RateLimits { requests_per_second: 500.try_into().ok(), kib_per_second: 3072.try_into().ok() };
        assert_eq!(settings.transfer.rate_limits, limits);
        assert_eq!(settings.log, LevelFilter::DEBUG);
    }

    #[test]
    fn parse_reports_all_faults_at_once() {
        let faults = parse(&[
            ("KARUI_QUALITY", "high!"),
            ("KARUI_PART_SIZE", "4MiB"),
            ("KARUI_QUALTY", "80"),
            ("KARUI_SOURCE_PREFIX", "photos/"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "much"),
        ])
        .unwrap_err();
        assert_eq!(
            faults,
            [
                "KARUI_QUALTY: unknown, did you mean KARUI_QUALITY?",
                "KARUI_DESTINATION_BUCKET: missing, want a bucket name (3 to 63 of a-z, 0-9, \".\" and \"-\")",
                "KARUI_QUALITY: got \"high!\", want a score from 30 to 100 or one of medium, high, very-high, \
                 visually-lossless, lossless",
                "KARUI_PART_SIZE: got \"4MiB\", want a size from 5MiB to 5GiB",
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE: got \"much\", want the function's memory in MB",
                "KARUI_SOURCE_PREFIX: set without KARUI_SOURCE_BUCKET, want both or neither",
            ]
        );
        let message = Faults(faults).to_string();
        assert!(message.starts_with("Karui's configuration has 6 faults:\n  KARUI_QUALTY"), "{message}");
    }

    #[test]
    fn parse_value_out_of_range_is_a_fault() {
        for (name, value) in [
            ("KARUI_SOURCE_OWNER", "12345678901"),
            ("KARUI_DESTINATION_OWNER", "a12345678901"),
            ("KARUI_DESTINATION_KMS_KEY", "1234abcd-12ab-34cd-56ef-1234567890ab"),
            ("KARUI_DESTINATION_KMS_KEY", "arn:aws:kms:eu-west-1:222222222222:key/"),
            ("KARUI_DESTINATION_KMS_KEY", "arn:aws:s3:eu-west-1:222222222222:key/1"),
            ("KARUI_DESTINATION_ENCRYPTION", "aes"),
            ("KARUI_DESTINATION_KEY", "small/{stem}{ext}"),
            ("KARUI_DESTINATION_REGION", "Frankfurt"),
            ("KARUI_SOURCE_ROLE_ARN", "arn:aws:iam::111111111111:user/reader"),
            ("KARUI_DESTINATION_ROLE_ARN", "writer"),
            ("KARUI_SOURCE_EXTERNAL_ID", "a b"),
            ("KARUI_DESTINATION_EXTERNAL_ID", "x"),
            ("KARUI_ACL", "mine"),
            ("KARUI_STORAGE_CLASS", "glacier"),
            ("KARUI_CACHE_CONTROL", "a\nb"),
            ("KARUI_OVERWRITE", "yes"),
            ("KARUI_QUALITY", "29"),
            ("KARUI_METADATA", "Safe"),
            ("KARUI_EFFORT", "max"),
            ("KARUI_MIN_SAVINGS", "-1"),
            ("KARUI_MIN_SAVINGS", "100"),
            ("KARUI_MIN_SAVINGS", "NaN"),
            ("KARUI_UNSTRIPPABLE", "drop"),
            ("KARUI_TAGS", "no"),
            ("KARUI_MAX_BYTES", "0"),
            ("KARUI_MAX_BYTES", "16 apples"),
            ("KARUI_MAX_BYTES", "99999999999GiB"),
            ("KARUI_MAX_PIXELS", "-4"),
            ("KARUI_MAX_SCANS", "0"),
            ("KARUI_MAX_FRAMES", "4294967296"),
            ("KARUI_MULTIPART_THRESHOLD", "6GiB"),
            ("KARUI_UPLOAD_CONCURRENCY", "0"),
            ("KARUI_DOWNLOAD_CONCURRENCY", "65"),
            ("KARUI_CHECKSUM", "crc32"),
            ("KARUI_MAX_REQUESTS_PER_SECOND", "0"),
            ("KARUI_MAX_BYTES_PER_SECOND", "63KiB"),
            ("KARUI_LOG", "loud"),
        ] {
            let fault = fault(name, value);
            assert!(fault.starts_with(&format!("{name}: got {value:?}, want ")), "{fault}");
        }
    }

    #[test]
    fn parse_external_id_without_role_is_a_fault() {
        assert_eq!(
            fault("KARUI_SOURCE_EXTERNAL_ID", "karui"),
            "KARUI_SOURCE_EXTERNAL_ID: set without KARUI_SOURCE_ROLE_ARN, want both or neither"
        );
    }

    #[test]
    fn parse_exclusive_variables_is_a_fault() {
        let both = |vars: [(&str, &str); 2]| parse(&[("KARUI_DESTINATION_BUCKET", "light-images"), vars[0], vars[1]]);
        let template = ("KARUI_DESTINATION_KEY", "small/{dir}{stem}-light{ext}");
        assert_eq!(
            with(template.0, template.1).unwrap().policy.destination_key.render("a/b.png"),
            "small/a/b-light.png"
        );
        let fault = &both([("KARUI_DESTINATION_PREFIX", "small/"), template]).unwrap_err()[0];
        assert!(fault.contains("no KARUI_DESTINATION_PREFIX"), "{fault}");

        let sse_s3 = ("KARUI_DESTINATION_ENCRYPTION", "sse-s3");
        assert_eq!(with(sse_s3.0, sse_s3.1).unwrap().transfer.destination_buckets.encryption, Some(Encryption::SseS3));
        let fault = &both([("KARUI_DESTINATION_KMS_KEY", KEY), sse_s3]).unwrap_err()[0];
        assert!(fault.contains("no KARUI_DESTINATION_KMS_KEY"), "{fault}");
    }

    #[test]
    fn parse_validates_bucket_names() {
        for bad in
            ["ab", "Upper", "under_score", "-dash", "dash-", "a..b", "192.168.0.1", "s3://bucket", &"a".repeat(64)]
        {
            assert!(fault("KARUI_SOURCE_BUCKET", bad).contains("want a bucket name"), "{bad}");
        }
        for good in ["abc", "my.bucket-1", &"a".repeat(63)] {
            assert_eq!(with("KARUI_SOURCE_BUCKET", good).unwrap().source_bucket.as_deref(), Some(good));
        }
    }

    #[test]
    fn unknown_name_without_neighbour_has_no_suggestion() {
        assert_eq!(fault("KARUI_ZZZZZZZZZZZZ", "1"), "KARUI_ZZZZZZZZZZZZ: unknown");
    }

    #[test]
    fn parse_empty_value_is_unset() {
        assert_eq!(with("KARUI_QUALITY", "").unwrap().policy.options.quality, Quality::DEFAULT);
        assert!(parse(&[("KARUI_DESTINATION_BUCKET", "")]).unwrap_err()[0].contains("missing"));
    }

    #[test]
    fn parse_sets_memory_limit_from_function_memory() {
        let memory = |mb| with(MEMORY_VAR, mb).unwrap().policy.options.limits.memory;
        assert_eq!(memory("1769"), (1769 - 64) << 20);
        assert_eq!(memory("64"), 1);
    }

    #[test]
    fn parse_loop_is_a_fault() {
        let looping = |destination: &str, source: &str| {
            let faults = parse(&[
                ("KARUI_DESTINATION_BUCKET", "one-bucket"),
                ("KARUI_SOURCE_BUCKET", "one-bucket"),
                ("KARUI_DESTINATION_PREFIX", destination),
                ("KARUI_SOURCE_PREFIX", source),
            ]);
            faults.is_err_and(|faults| faults[0].contains("would trigger events"))
        };
        assert!(looping("", ""));
        assert!(looping("small/", ""));
        assert!(looping("", "photos/"));
        assert!(looping("photos/small/", "photos/"));
        assert!(!looping("small/", "photos/"));
        assert!(with("KARUI_SOURCE_BUCKET", "other-bucket").is_ok());
    }
}
