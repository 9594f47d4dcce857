//! One side of a transfer: a client of S3 with all that belongs to its side. Its requests are in files of their own.

mod config;
mod connect;
mod false_success;
mod idle_timeout;
mod non_utf8_headers;
mod rate_limit;

use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    Builder, Intercept, RequestChecksumCalculation, ResponseChecksumValidation, StalledStreamProtectionConfig,
};

use super::progress::Progress;

pub use config::{BucketConfig, ClientConfig, Encryption, TransferConfig};
pub(super) use rate_limit::RateLimiter;
pub use rate_limit::RateLimits;

/// Factor on the read timeout for requests that S3 may answer only after it has moved gigabytes.
const LONG_TIMEOUT_FACTOR: u32 = 10;

/// Reads and writes objects of any bucket by one principal. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    pub(super) sdk: aws_sdk_s3::Client,
    pub(super) transfer: TransferConfig,
    pub(super) buckets: BucketConfig,
    pub(super) progress: Progress,
    rate_limiter: Option<RateLimiter>,
    /// The store that it addresses, if it was connected by its configuration.
    store: Option<String>,
}

impl Client {
    /// Sends its requests with the SDK's client.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "the caller has no more use for the client")]
    pub fn new(sdk: aws_sdk_s3::Client, transfer: TransferConfig) -> Self {
        let config = sdk.config().to_builder();
        let config = config
            .interceptor(non_utf8_headers::SkipUnreadableHeaders)
            .interceptor(false_success::RetryMissingEtag)
            // Our own checksums cover the whole object.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        Self {
            sdk: aws_sdk_s3::Client::from_conf(config.build()),
            transfer,
            buckets: BucketConfig::default(),
            progress: Progress::default(),
            rate_limiter: None,
            store: None,
        }
    }

    /// Connects by its configuration.
    pub async fn connect(config: &ClientConfig, transfer: TransferConfig) -> Self {
        let (sdk, store) = Box::pin(connect::connect(config)).await;
        Self { store: Some(store), ..Self::new(sdk, transfer) }
    }

    /// Sets expected owner, encryption and ACL.
    #[must_use]
    pub fn with_buckets(self, buckets: BucketConfig) -> Self {
        Self { buckets, ..self }
    }

    /// Limits the rate of all requests from now on. Clones share the limits.
    #[must_use]
    pub fn with_rate_limits(self, limits: RateLimits) -> Self {
        match RateLimiter::new(limits) {
            Some(rate_limiter) => self.with_rate_limiter(rate_limiter),
            None => self,
        }
    }

    /// Reports progress of uploads, downloads ([`Client::read_ordered`], [`Client::read_unordered`]) and copies to
    /// `progress`.
    #[must_use]
    pub fn with_progress(self, progress: Progress) -> Self {
        Self { progress, ..self }
    }

    /// Objects larger than this many bytes are transferred in parts.
    #[must_use]
    pub fn multipart_threshold(&self) -> u64 {
        self.transfer.multipart_threshold
    }

    /// Shares limits with other clients.
    pub(super) fn with_rate_limiter(self, rate_limiter: RateLimiter) -> Self {
        let http = self.sdk.config().http_client().map(|http| rate_limiter.wrap(http));
        let mut config = self.sdk.config().to_builder();
        if rate_limiter.limits_bodies() {
            config = config.stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        }
        config.set_http_client(http);
        let sdk = aws_sdk_s3::Client::from_conf(config.build());
        Self { sdk, rate_limiter: Some(rate_limiter), ..self }
    }

    /// Has every request pass the interceptor.
    pub(super) fn with_interceptor(self, interceptor: impl Intercept + 'static) -> Self {
        let config = self.sdk.config().to_builder().interceptor(interceptor);
        Self { sdk: aws_sdk_s3::Client::from_conf(config.build()), ..self }
    }

    /// Waits until this many bytes of an upload may be sent.
    pub(super) async fn wait_for_bytes(&self, bytes: u64) {
        if let Some(limiter) = &self.rate_limiter {
            limiter.wait_for_bytes(bytes).await;
        }
    }

    /// Whether both are known to address different stores.
    pub(super) fn is_of_other_store(&self, other: &Self) -> bool {
        self.store.as_ref().zip(other.store.as_ref()).is_some_and(|(here, there)| here != there)
    }

    /// Overrides the timeouts for requests during which S3 itself moves an object's bytes: it may send nothing until it
    /// has finished.
    pub(super) fn long_timeout(&self) -> Builder {
        let usual = self.sdk.config().timeout_config();
        let mut timeouts = usual.map_or_else(TimeoutConfig::builder, TimeoutConfig::to_builder);
        timeouts.set_read_timeout(usual.and_then(TimeoutConfig::read_timeout).map(|read| read * LONG_TIMEOUT_FACTOR));
        Builder::new()
            .timeout_config(timeouts.build())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
    }
}

/// Connects the SDK's own client, for requests that [`Client`] does not send.
pub async fn sdk_client(config: &ClientConfig) -> aws_sdk_s3::Client {
    Box::pin(connect::connect(config)).await.0
}
