//! Configuration of one side: who it is, how it transfers, and what its buckets require. Pure.

use aws_sdk_s3::types::ServerSideEncryption;

use crate::s3::checksum::UploadChecksum;

/// Identity and place of one side. A field that is `None` is found as every AWS tool finds it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientConfig {
    /// Profile in `~/.aws/config` and `~/.aws/credentials`. A named profile takes precedence over credentials in the
    /// environment.
    pub profile: Option<String>,
    pub region: Option<String>,
    /// URL of an S3-compatible store that is not AWS.
    pub endpoint: Option<String>,
    /// ARN of a role to assume with the credentials that were found.
    pub role: Option<String>,
    /// External ID that the role's trust policy requires.
    pub external_id: Option<String>,
}

/// Thresholds, part size, concurrency and checksum of uploads and downloads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferConfig {
    /// Objects larger than this many bytes are transferred in parts.
    pub multipart_threshold: u64,
    /// Part size in bytes: at least 5 MiB, and more if the object would need over 10,000 parts.
    pub part_size: u64,
    /// Number of parts uploaded at the same time.
    pub concurrency: usize,
    /// Number of concurrent requests that download one large object.
    pub download_concurrency: usize,
    /// Checksum that is sent with uploads; S3 verifies it, and keeps it unless it is MD5.
    pub checksum: UploadChecksum,
}

impl Default for TransferConfig {
    fn default() -> Self {
        Self {
            multipart_threshold: 16 << 20,
            part_size: 8 << 20,
            concurrency: 4,
            download_concurrency: 4,
            checksum: UploadChecksum::default(),
        }
    }
}

/// Expected owner of one side's buckets, and encryption and ACL of what is written to them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BucketConfig {
    /// Expected owner (account ID). S3 refuses requests to a bucket of another account.
    pub owner: Option<String>,
    /// Server-side encryption of written objects. `None` leaves it to the bucket's default.
    pub encryption: Option<Encryption>,
    /// Canned ACL of written objects, such as `bucket-owner-full-control`. Buckets with "bucket owner enforced"
    /// ownership, the default of new buckets, refuse most ACLs.
    pub acl: Option<String>,
}

/// Server-side encryption of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encryption {
    /// SSE-S3: S3 manages the keys.
    SseS3,
    /// SSE-KMS with the key of this ARN.
    Kms(String),
}

impl Encryption {
    pub(in crate::s3) fn headers(chosen: Option<&Self>) -> (Option<ServerSideEncryption>, Option<String>) {
        match chosen {
            None => (None, None),
            Some(Self::SseS3) => (Some(ServerSideEncryption::Aes256), None),
            Some(Self::Kms(key)) => (Some(ServerSideEncryption::AwsKms), Some(key.clone())),
        }
    }
}
