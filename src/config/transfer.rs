//! Variables of transfers: of the function, and of `karui cp` and `karui sync`.

use std::num::NonZeroU32;

use super::environment::{Faults, given};
use super::values::{GIB, KIB, MIB, account, kms_key, number, one_of, size, word};
use super::var::{Var, apply, put, put_optional};
use crate::s3::{BucketConfig, Encryption, RateLimits, TransferConfig, UploadChecksum};

/// Settings of transfers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TransferSettings {
    /// Part sizes, concurrency and checksums.
    pub transfer: TransferConfig,
    /// Limits on requests and bytes per second.
    pub rate_limits: RateLimits,
    /// Expected owner of source buckets.
    pub source_buckets: BucketConfig,
    /// Expected owner of destination buckets, and encryption and ACL of results.
    pub destination_buckets: BucketConfig,
}

const ACCOUNT: &str = "an AWS account ID, 12 digits";
const ACLS: &[&str] = &[
    "private",
    "public-read",
    "public-read-write",
    "authenticated-read",
    "aws-exec-read",
    "bucket-owner-read",
    "bucket-owner-full-control",
];

/// All variables of transfers.
pub const VARS: &[Var<TransferSettings>] = &[
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
        name: "KARUI_ACL",
        format: "one of private, public-read, public-read-write, authenticated-read, aws-exec-read, bucket-owner-read, \
                 bucket-owner-full-control",
        default: Some(""),
        doc: "Canned ACL of the results, for a bucket of another account that does not own its objects; requires \
              s3:PutObjectAcl. By default no ACL is sent.",
        read: |s, text| put_optional(&mut s.destination_buckets.acl, text, |text| word(text, ACLS)),
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
];

impl TransferSettings {
    /// Reads the variables of this table from the environment. Ignores all others.
    ///
    /// # Errors
    /// [`Faults`], all at once.
    pub fn parse(environment: impl IntoIterator<Item = (String, String)>) -> Result<Self, Faults> {
        let mut settings = Self::default();
        let faults = apply(VARS, &given(environment), &mut settings);
        if faults.is_empty() { Ok(settings) } else { Err(Faults(faults)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_reads_only_transfer_variables() {
        let parse = |vars: &[(&str, &str)]| {
            TransferSettings::parse(vars.iter().map(|(name, value)| ((*name).to_string(), (*value).to_string())))
        };
        assert_eq!(parse(&[("KARUI_QUALITY", "!"), ("KARUI_X", "")]), Ok(TransferSettings::default()));
        let TransferSettings { transfer, rate_limits: limits, source_buckets, destination_buckets } = parse(&[
            ("KARUI_SOURCE_OWNER", "111111111111"),
            ("KARUI_DESTINATION_OWNER", "222222222222"),
            ("KARUI_MULTIPART_THRESHOLD", "32MiB"),
            ("KARUI_PART_SIZE", "16MiB"),
            ("KARUI_UPLOAD_CONCURRENCY", "2"),
            ("KARUI_DOWNLOAD_CONCURRENCY", "3"),
            ("KARUI_CHECKSUM", "md5"),
            ("KARUI_MAX_REQUESTS_PER_SECOND", "500"),
            ("KARUI_MAX_BYTES_PER_SECOND", "3MiB"),
        ])
        .unwrap();
        let wanted = TransferConfig {
            multipart_threshold: 32 << 20,
            part_size: 16 << 20,
            concurrency: 2,
            download_concurrency: 3,
            checksum: UploadChecksum::Md5,
        };
        assert_eq!(transfer, wanted);
        let wanted = RateLimits { requests_per_second: NonZeroU32::new(500), kib_per_second: NonZeroU32::new(3 << 10) };
        assert_eq!(limits, wanted);
        assert_eq!(source_buckets.owner.as_deref(), Some("111111111111"));
        assert_eq!(destination_buckets.owner.as_deref(), Some("222222222222"));
        let Faults(faults) = parse(&[("KARUI_CHECKSUM", "crc"), ("KARUI_PART_SIZE", "1")]).unwrap_err();
        assert_eq!(faults.len(), 2, "{faults:?}");
    }
}
