//! Two sides: what copies an object from one to the other needs both.

use super::client::{BucketConfig, Client, ClientConfig, RateLimiter, RateLimits, TransferConfig};
use super::parts::SINGLE_REQUEST_LIMIT;
use super::progress::Progress;

/// The client that reads a source, and the one that writes to a destination; they may be the same. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pair {
    /// Reads.
    pub source: Client,
    /// Writes, also by server-side copy, for which it must be allowed to read the source.
    pub destination: Client,
    copy_limit: u64,
}

impl Pair {
    #[must_use]
    pub fn new(source: Client, destination: Client) -> Self {
        Self { source, destination, copy_limit: SINGLE_REQUEST_LIMIT }
    }

    /// Uses one client, hence one principal, for both sides.
    #[must_use]
    pub fn within(client: Client) -> Self {
        Self::new(client.clone(), client)
    }

    /// Connects both sides by their configurations. Equal configurations share one client.
    pub async fn connect(source: &ClientConfig, destination: &ClientConfig, transfer: TransferConfig) -> Self {
        let writer = Client::connect(destination, transfer.clone()).await;
        if source == destination {
            return Self::within(writer);
        }
        Self::new(Client::connect(source, transfer).await, writer)
    }

    /// Sets expected owner, encryption and ACL of each side.
    #[must_use]
    pub fn with_buckets(self, source: BucketConfig, destination: BucketConfig) -> Self {
        Self {
            source: self.source.with_buckets(source),
            destination: self.destination.with_buckets(destination),
            ..self
        }
    }

    /// Limits the rate of all requests of both sides together from now on. Clones share the limits.
    #[must_use]
    pub fn with_rate_limits(self, limits: RateLimits) -> Self {
        let Some(limiter) = RateLimiter::new(limits) else { return self };
        Self {
            source: self.source.with_rate_limiter(limiter.clone()),
            destination: self.destination.with_rate_limiter(limiter),
            ..self
        }
    }

    /// Reports progress of both sides to `progress`, as [`Client::with_progress`] does.
    #[must_use]
    pub fn with_progress(self, progress: Progress) -> Self {
        Self {
            source: self.source.with_progress(progress.clone()),
            destination: self.destination.with_progress(progress),
            ..self
        }
    }

    /// Copies objects larger than this many bytes in parts. The default and maximum is the limit of `CopyObject`, 5
    /// GiB.
    #[must_use]
    pub fn with_copy_limit(self, bytes: u64) -> Self {
        Self { copy_limit: bytes.min(SINGLE_REQUEST_LIMIT), ..self }
    }

    /// Whether one request copies an object of this size. Such a copy takes the tags along without reading them.
    #[must_use]
    pub fn fits_single_copy(&self, size: u64) -> bool {
        size <= self.copy_limit
    }

    /// Whether source and destination are different stores, so that objects can only be relayed through this process.
    #[must_use]
    pub fn is_cross_store(&self) -> bool {
        self.source.is_of_other_store(&self.destination)
    }
}
