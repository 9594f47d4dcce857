//! The only caller of S3: reads objects, writes them whole or not at all, copies them without their bytes passing
//! through here. Knows nothing of images, and sends no ACL (buckets own their objects) but one that it was told.

/// Puts [`Attributes`] on a request: `PutObject`, `CopyObject` and `CreateMultipartUpload` have no type in common.
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

/// Puts Expires on a request as it was written. The SDK's own setter takes dates only, S3 takes anything.
macro_rules! with_expires {
    ($request:expr, $attributes:expr) => {{
        let expires = $attributes.expires.clone();
        $request.customize().mutate_request(move |request| {
            // What no header can hold cannot have come from one.
            let _ = expires.clone().map(|expires| request.headers_mut().try_insert("expires", expires));
        })
    }};
}

/// Encryption and ACL, where they are not left to the bucket.
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

/// Puts a checksum on a request, or on what one consists of: `PutObject`, parts and their list have no type in common.
macro_rules! with_checksum {
    ($request:expr, $checksum:expr) => {{
        let checksum: Option<&$crate::s3::Stored> = $checksum;
        let value = |algorithm| checksum.and_then(|checksum| checksum.as_a(&algorithm));
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
mod get;
mod grants;
mod headers;
mod list;
mod multipart;
mod object;
mod pace;
mod parts;
mod pieces;
mod progress;
mod put;
mod relay;
mod scatter;
mod silence;
mod success;
mod uploads;

pub use checksum::{Checksum, Stored};
pub use client::{Access, client, client_as};
pub use copy::CopyTags;
pub use download::Download;
pub use error::{Kind, Operation, S3Error};
pub use grants::{Grant, Scope, Side};
pub use list::{Listed, Listing};
pub use object::{Attributes, Condition, ETag, Head, ObjectRef, Seen};
pub use pace::RateLimits;
pub use progress::Progress;
pub use scatter::ScatterError;
pub use uploads::{OpenUpload, UploadWatch};

use aws_sdk_s3::config::{RequestChecksumCalculation, ResponseChecksumValidation, StalledStreamProtectionConfig};
use aws_sdk_s3::types::ServerSideEncryption;

use client::connection;

/// The largest object that `CopyObject` copies, and `PutObject` takes, in bytes:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
const SINGLE_REQUEST_LIMIT: u64 = 5 << 30;

/// When and how bytes go in parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// Larger objects, in bytes, come and go in parts.
    pub multipart_threshold: u64,
    /// Bytes of a part: at least 5 MiB, more where 10,000 parts would not do.
    pub part_size: u64,
    /// Parts on their way to S3 at the same time.
    pub concurrency: usize,
    /// Requests that bring a large object here at the same time.
    pub download_concurrency: usize,
    /// What S3 is given to compare the bytes with, and keeps.
    pub checksum: Checksum,
}

impl Default for Transfer {
    fn default() -> Self {
        Self {
            multipart_threshold: 16 << 20,
            part_size: 8 << 20,
            concurrency: 4,
            download_concurrency: 4,
            checksum: Checksum::default(),
        }
    }
}

/// What is true of the buckets on either side, where it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Buckets {
    /// The account that a bucket which is read from must belong to: S3 refuses every request otherwise.
    pub source_owner: Option<String>,
    /// The same of a bucket that is written to.
    pub destination_owner: Option<String>,
    /// What encrypts what is written, in place of the bucket's own default.
    pub encryption: Option<Encryption>,
    /// The canned ACL of what is written, such as `bucket-owner-full-control`. A bucket that owns its objects, as all new
    /// ones do, refuses most of them.
    pub acl: Option<String>,
}

/// What encrypts an object where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encryption {
    /// S3's own keys.
    SseS3,
    /// The KMS key of this ARN.
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

/// S3, as far as we need it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    /// Reads.
    source: aws_sdk_s3::Client,
    /// Writes, copies, and looks at what is there.
    client: aws_sdk_s3::Client,
    transfer: Transfer,
    buckets: Buckets,
    copy_limit: u64,
    /// Source and destination are two stores, which know nothing of each other.
    apart: bool,
    progress: Progress,
    pace: Option<pace::Pace>,
}

impl Store {
    /// One principal for both sides.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "the caller has no more use for the client")]
    pub fn new(client: aws_sdk_s3::Client, transfer: Transfer) -> Self {
        let client = equipped(&client);
        Self {
            source: client.clone(),
            client,
            transfer,
            buckets: Buckets::default(),
            copy_limit: SINGLE_REQUEST_LIMIT,
            apart: false,
            progress: Progress::default(),
            pace: None,
        }
    }

    /// A principal, or a region, for each side: one reads, the other writes, copies, and looks at what is there.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "the caller has no more use for the client")]
    pub fn between(source: aws_sdk_s3::Client, destination: aws_sdk_s3::Client, transfer: Transfer) -> Self {
        Self { source: equipped(&source), ..Self::new(destination, transfer) }
    }

    /// The same by what is known of either side; one client does for both where it is the same.
    pub async fn connect(source: &Access, destination: &Access, transfer: Transfer) -> Self {
        let (writer, there) = Box::pin(connection(destination)).await;
        if source == destination {
            return Self::new(writer, transfer);
        }
        let (reader, here) = Box::pin(connection(source)).await;
        Self { apart: here != there, ..Self::between(reader, writer, transfer) }
    }

    /// Whether nothing is copied from source to destination but through here, since they are two stores.
    #[must_use]
    pub fn is_apart(&self) -> bool {
        self.apart
    }

    /// Larger objects, in bytes, come and go in parts.
    #[must_use]
    pub fn multipart_threshold(&self) -> u64 {
        self.transfer.multipart_threshold
    }

    /// Holds the buckets to what is known of them.
    #[must_use]
    pub fn with_buckets(self, buckets: Buckets) -> Self {
        Self { buckets, ..self }
    }

    /// Holds all requests from now on to these limits, those of every clone together.
    #[must_use]
    pub fn with_rate_limits(self, limits: RateLimits) -> Self {
        let Some(pace) = pace::Pace::new(limits) else { return self };
        Self { source: paced(&self.source, &pace), client: paced(&self.client, &pace), pace: Some(pace), ..self }
    }

    /// Also tells of the bytes that go up, come down ([`Store::pieces`], [`Store::scatter`]) or are copied.
    #[must_use]
    pub fn telling(self, progress: Progress) -> Self {
        Self { progress, ..self }
    }

    /// Whether an object of so many bytes is copied by one request, which takes its tags along unseen.
    #[must_use]
    pub fn copies_at_once(&self, size: u64) -> bool {
        size <= self.copy_limit
    }

    /// Copies objects larger than so many bytes in parts, instead of those that `CopyObject` refuses (5 GiB).
    #[must_use]
    pub fn with_copy_limit(self, bytes: u64) -> Self {
        Self { copy_limit: bytes.min(SINGLE_REQUEST_LIMIT), ..self }
    }
}

/// The same client, held to a pace.
fn paced(client: &aws_sdk_s3::Client, pace: &pace::Pace) -> aws_sdk_s3::Client {
    let http = client.config().http_client().map(|http| pace.holding(http));
    let mut config = client.config().to_builder();
    if pace.holds_bodies() {
        config = config.stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    }
    config.set_http_client(http);
    aws_sdk_s3::Client::from_conf(config.build())
}

/// The same client, as this room wants it.
fn equipped(client: &aws_sdk_s3::Client) -> aws_sdk_s3::Client {
    let config = client.config().to_builder();
    let config = config
        .interceptor(headers::SkipUnreadableHeaders)
        .interceptor(success::DoubtSuccess)
        // Ours are of the whole object.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    aws_sdk_s3::Client::from_conf(config.build())
}
