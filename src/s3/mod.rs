//! The only caller of S3: reads objects, writes them whole or not at all, copies them without their bytes passing
//! through here. Knows nothing of images, and never sends an ACL (buckets own their objects).

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

/// Encrypts with the key, if there is one; else as the bucket does by itself.
macro_rules! with_key {
    ($request:expr, $key:expr) => {{
        let key: Option<String> = $key.clone();
        $request
            .set_server_side_encryption(key.as_ref().map(|_| aws_sdk_s3::types::ServerSideEncryption::AwsKms))
            .set_ssekms_key_id(key)
    }};
}

mod classify;
mod client;
mod copy;
mod error;
mod get;
mod grants;
mod headers;
mod multipart;
mod object;
mod pace;
mod parts;
mod put;
mod success;

pub use client::client;
pub use copy::CopyTags;
pub use error::{Kind, Operation, S3Error};
pub use get::Download;
pub use grants::{Grant, Scope, Side};
pub use object::{Attributes, Condition, ETag, Head, ObjectRef};
pub use pace::RateLimits;

/// The largest object that `CopyObject` copies, and `PutObject` takes, in bytes:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
const SINGLE_REQUEST_LIMIT: u64 = 5 << 30;

/// When and how bytes go in parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// Larger objects, in bytes, are uploaded in parts.
    pub multipart_threshold: u64,
    /// Bytes of a part: at least 5 MiB, more where 10,000 parts would not do.
    pub part_size: u64,
    /// Parts on their way at the same time.
    pub concurrency: usize,
}

impl Default for Transfer {
    fn default() -> Self {
        Self { multipart_threshold: 16 << 20, part_size: 8 << 20, concurrency: 4 }
    }
}

/// What is true of the buckets on either side, where it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Buckets {
    /// The account that a bucket which is read from must belong to: S3 refuses every request otherwise.
    pub source_owner: Option<String>,
    /// The same of a bucket that is written to.
    pub destination_owner: Option<String>,
    /// The ARN of the KMS key that what is written is encrypted with, in place of the bucket's own default.
    pub destination_key: Option<String>,
}

/// S3, as far as we need it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    client: aws_sdk_s3::Client,
    transfer: Transfer,
    buckets: Buckets,
    copy_limit: u64,
}

impl Store {
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "the caller has no more use for the client")]
    pub fn new(client: aws_sdk_s3::Client, transfer: Transfer) -> Self {
        let config = client.config().to_builder().interceptor(headers::SkipUnreadableHeaders);
        let client = aws_sdk_s3::Client::from_conf(config.interceptor(success::DoubtSuccess).build());
        Self { client, transfer, buckets: Buckets::default(), copy_limit: SINGLE_REQUEST_LIMIT }
    }

    /// Holds the buckets to what is known of them.
    #[must_use]
    pub fn with_buckets(self, buckets: Buckets) -> Self {
        Self { buckets, ..self }
    }

    /// Holds all requests from now on to these limits, those of every clone together.
    #[must_use]
    pub fn with_rate_limits(self, limits: RateLimits) -> Self {
        let paced = pace::Pace::new(limits).zip(self.client.config().http_client());
        let Some((pace, http)) = paced else { return self };
        let config = self.client.config().to_builder().http_client(pace.holding(http));
        Self { client: aws_sdk_s3::Client::from_conf(config.build()), ..self }
    }

    /// Copies objects larger than so many bytes in parts, instead of those that `CopyObject` refuses (5 GiB).
    #[must_use]
    pub fn with_copy_limit(self, bytes: u64) -> Self {
        Self { copy_limit: bytes.min(SINGLE_REQUEST_LIMIT), ..self }
    }
}
