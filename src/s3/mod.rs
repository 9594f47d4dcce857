//! The only caller of S3. Reads objects, writes each one whole or not at all, and copies inside S3. Knows nothing of
//! images. Sends an ACL only if one is configured, since buckets own their objects by default.

/// Sets [`Attributes`] on a request. A macro, since `PutObject`, `CopyObject` and `CreateMultipartUpload` share no
/// trait.
macro_rules! with_attributes {
    ($request:expr, $attributes:expr) => {{
        let attributes: &$crate::s3::Attributes = &$attributes;
        let metadata = attributes.metadata.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        $request
            .set_content_type(attributes.content_type.clone())
            .set_cache_control(attributes.cache_control.clone())
            .set_content_disposition(attributes.content_disposition.clone())
            .set_content_language(attributes.content_language.clone())
            .set_content_encoding(attributes.content_encoding.clone())
            .set_website_redirect_location(attributes.website_redirect.clone())
            .set_storage_class(attributes.storage_class.as_deref().map(aws_sdk_s3::types::StorageClass::from))
            .set_metadata(Some(metadata))
    }};
}

/// Sets Expires to the stored text. The SDK's setter accepts only dates; S3 accepts any text.
macro_rules! with_expires {
    ($request:expr, $attributes:expr) => {{
        let expires = $attributes.expires.clone();
        $request.customize().mutate_request(move |request| {
            // A value that is not a valid header cannot have come from one.
            let _ = expires.clone().map(|expires| request.headers_mut().try_insert("expires", expires));
        })
    }};
}

/// Sets encryption and ACL where they are configured.
macro_rules! with_protection {
    ($request:expr, $buckets:expr) => {{
        let buckets: &$crate::s3::Buckets = &$buckets;
        let (algorithm, key) = $crate::s3::Encryption::headers(buckets.encryption.as_ref());
        $request
            .set_server_side_encryption(algorithm)
            .set_ssekms_key_id(key)
            .set_acl(buckets.acl.as_deref().map(aws_sdk_s3::types::ObjectCannedAcl::from))
    }};
}

/// Sets a checksum on a request or a completed part. A macro, since `PutObject`, `UploadPart` and the part list share
/// no trait.
macro_rules! with_checksum {
    ($request:expr, $checksum:expr) => {{
        let checksum: Option<&$crate::s3::StoredChecksum> = $checksum;
        let value = |algorithm| checksum.and_then(|checksum| checksum.value_for(&algorithm));
        $request
            .set_checksum_crc64_nvme(value(aws_sdk_s3::types::ChecksumAlgorithm::Crc64Nvme))
            .set_checksum_crc32_c(value(aws_sdk_s3::types::ChecksumAlgorithm::Crc32C))
            .set_checksum_sha256(value(aws_sdk_s3::types::ChecksumAlgorithm::Sha256))
    }};
}

mod checksum;
mod classify;
mod client;
mod copy;
mod download;
mod error;
mod false_success;
mod get;
mod idle_timeout;
mod list;
mod multipart;
mod non_utf8_headers;
mod object;
mod open_uploads;
mod parts;
mod permissions;
mod progress;
mod put;
mod rate_limit;
mod read_ordered;
mod read_unordered;
mod relay;

pub use checksum::{StoredChecksum, UploadChecksum};
pub use client::{ClientConfig, client, client_with};
pub use copy::CopyTags;
pub use download::Download;
pub use error::{Operation, S3Error, S3ErrorKind};
pub use list::{Listed, Listing};
pub use object::{Attributes, Condition, ETag, Existing, Head, ObjectRef};
pub use open_uploads::{OpenUpload, UploadTracker};
pub use permissions::{Caller, IamAction, Scope, Side};
pub use progress::Progress;
pub use rate_limit::RateLimits;
pub use read_unordered::UnorderedReadError;

use aws_sdk_s3::config::{RequestChecksumCalculation, ResponseChecksumValidation, StalledStreamProtectionConfig};
use aws_sdk_s3::types::ServerSideEncryption;

use client::connection;

/// Largest object, in bytes, that one `CopyObject` or `PutObject` accepts:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
const SINGLE_REQUEST_LIMIT: u64 = 5 << 30;

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

/// Expected owners of both buckets, and encryption and ACL of what is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Buckets {
    /// Expected owner (account ID) of the source bucket. S3 refuses requests to a bucket of another account.
    pub source_owner: Option<String>,
    /// Expected owner (account ID) of the destination bucket.
    pub destination_owner: Option<String>,
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
    fn headers(chosen: Option<&Self>) -> (Option<ServerSideEncryption>, Option<String>) {
        match chosen {
            None => (None, None),
            Some(Self::SseS3) => (Some(ServerSideEncryption::Aes256), None),
            Some(Self::Kms(key)) => (Some(ServerSideEncryption::AwsKms), Some(key.clone())),
        }
    }
}

/// Reads from a source, and writes to a destination. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    /// Client of the source side: reads.
    source: aws_sdk_s3::Client,
    /// Client of the destination side: writes, copies, and sends HEAD.
    client: aws_sdk_s3::Client,
    transfer: TransferConfig,
    buckets: Buckets,
    copy_limit: u64,
    /// Source and destination are different stores: no server-side copy is possible between them.
    cross_store: bool,
    progress: Progress,
    rate_limiter: Option<rate_limit::RateLimiter>,
}

impl Store {
    /// Uses one client, hence one principal, for both sides.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "the caller has no more use for the client")]
    pub fn new(client: aws_sdk_s3::Client, transfer: TransferConfig) -> Self {
        let client = with_interceptors(&client);
        Self {
            source: client.clone(),
            client,
            transfer,
            buckets: Buckets::default(),
            copy_limit: SINGLE_REQUEST_LIMIT,
            cross_store: false,
            progress: Progress::default(),
            rate_limiter: None,
        }
    }

    /// Uses one client for each side: the source client reads; the destination client writes, copies and sends HEAD.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "the caller has no more use for the client")]
    pub fn with_clients(source: aws_sdk_s3::Client, destination: aws_sdk_s3::Client, transfer: TransferConfig) -> Self {
        Self { source: with_interceptors(&source), ..Self::new(destination, transfer) }
    }

    /// Connects both sides by their configurations. Equal configurations share one client.
    pub async fn connect(source: &ClientConfig, destination: &ClientConfig, transfer: TransferConfig) -> Self {
        let (writer, there) = Box::pin(connection(destination)).await;
        if source == destination {
            return Self::new(writer, transfer);
        }
        let (reader, here) = Box::pin(connection(source)).await;
        Self { cross_store: here != there, ..Self::with_clients(reader, writer, transfer) }
    }

    /// Whether source and destination are different stores, so that objects can only be relayed through this process.
    #[must_use]
    pub fn is_cross_store(&self) -> bool {
        self.cross_store
    }

    /// Objects larger than this many bytes are transferred in parts.
    #[must_use]
    pub fn multipart_threshold(&self) -> u64 {
        self.transfer.multipart_threshold
    }

    /// Sets expected owners, encryption and ACL.
    #[must_use]
    pub fn with_buckets(self, buckets: Buckets) -> Self {
        Self { buckets, ..self }
    }

    /// Limits the rate of all requests from now on. Clones share the limits.
    #[must_use]
    pub fn with_rate_limits(self, limits: RateLimits) -> Self {
        let Some(rate_limiter) = rate_limit::RateLimiter::new(limits) else { return self };
        Self {
            source: rate_limited(&self.source, &rate_limiter),
            client: rate_limited(&self.client, &rate_limiter),
            rate_limiter: Some(rate_limiter),
            ..self
        }
    }

    /// Reports progress of uploads, downloads ([`Store::read_ordered`], [`Store::read_unordered`]) and copies to
    /// `progress`.
    #[must_use]
    pub fn with_progress(self, progress: Progress) -> Self {
        Self { progress, ..self }
    }

    /// Whether one request copies an object of this size. Such a copy takes the tags along without reading them.
    #[must_use]
    pub fn fits_single_copy(&self, size: u64) -> bool {
        size <= self.copy_limit
    }

    /// Copies objects larger than this many bytes in parts. The default and maximum is the limit of `CopyObject`, 5
    /// GiB.
    #[must_use]
    pub fn with_copy_limit(self, bytes: u64) -> Self {
        Self { copy_limit: bytes.min(SINGLE_REQUEST_LIMIT), ..self }
    }
}

/// Returns the client with the rate limit applied to its requests.
fn rate_limited(client: &aws_sdk_s3::Client, rate_limiter: &rate_limit::RateLimiter) -> aws_sdk_s3::Client {
    let http = client.config().http_client().map(|http| rate_limiter.wrap(http));
    let mut config = client.config().to_builder();
    if rate_limiter.limits_bodies() {
        config = config.stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    }
    config.set_http_client(http);
    aws_sdk_s3::Client::from_conf(config.build())
}

/// Returns the client with this module's interceptors, and without the SDK's own checksums.
fn with_interceptors(client: &aws_sdk_s3::Client) -> aws_sdk_s3::Client {
    let config = client.config().to_builder();
    let config = config
        .interceptor(non_utf8_headers::SkipUnreadableHeaders)
        .interceptor(false_success::RetryMissingEtag)
        // Our own checksums cover the whole object.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    aws_sdk_s3::Client::from_conf(config.build())
}
