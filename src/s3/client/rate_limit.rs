//! Limits on requests per second and bytes per second, shared by all requests including retries.
//!
//! Uploads wait before their request is signed ([`RateLimiter::wait_for_bytes`]), since S3 refuses signatures older
//! than 15 minutes. The SDK's retries, and all other requests with a body, wait when they are sent.

use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::{Error, SdkBody};
use bytes::Bytes;
use governor::clock::DefaultClock;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter as Governor};
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

/// Longest time without a byte of a response body. Replaces the SDK's stalled-stream protection, which would count
/// delayed bytes as a stall.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Average limits, with bursts of one second's worth. `None` means no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RateLimits {
    pub requests_per_second: Option<NonZeroU32>,
    /// KiB per second of request and response bodies together.
    pub kib_per_second: Option<NonZeroU32>,
}

/// The limits in effect. Clones share them.
#[derive(Debug, Clone)]
pub(in crate::s3) struct RateLimiter {
    requests: Option<Limit>,
    kib: Option<Limit>,
}

impl RateLimiter {
    /// Returns `None` if nothing is limited.
    pub(in crate::s3) fn new(limits: RateLimits) -> Option<Self> {
        let RateLimits { requests_per_second, kib_per_second } = limits;
        (limits != RateLimits::default())
            .then(|| Self { requests: requests_per_second.map(Limit::new), kib: kib_per_second.map(Limit::new) })
    }

    /// Returns the client with the limits applied.
    pub(super) fn wrap(&self, client: SharedHttpClient) -> SharedHttpClient {
        SharedHttpClient::new(RateLimitedClient { client, rate_limiter: self.clone() })
    }

    /// Whether response bodies are delayed.
    pub(super) fn limits_bodies(&self) -> bool {
        self.kib.is_some()
    }

    async fn wait_for_request(&self) {
        if let Some(limit) = &self.requests {
            limit.wait(1).await;
        }
    }

    /// Waits until this many bytes may be sent.
    pub(in crate::s3) async fn wait_for_bytes(&self, bytes: u64) {
        if let Some(limit) = &self.kib {
            limit.wait(bytes.div_ceil(1 << 10)).await;
        }
    }
}

#[derive(Debug, Clone)]
struct Limit {
    per_second: NonZeroU32,
    limiter: Arc<Governor<NotKeyed, InMemoryState, DefaultClock>>,
}

impl Limit {
    fn new(per_second: NonZeroU32) -> Self {
        Self { per_second, limiter: Arc::new(Governor::direct(Quota::per_second(per_second))) }
    }

    /// Waits for `left` units, at most one second's worth at a time, which is the largest burst.
    async fn wait(&self, mut left: u64) {
        while let Some(n) = NonZeroU32::new(left.min(self.per_second.get().into()) as u32) {
            // Fails only for more than the largest burst.
            let _ = self.limiter.until_n_ready(n).await;
            left -= u64::from(n.get());
        }
    }
}

#[derive(Debug)]
struct RateLimitedClient {
    client: SharedHttpClient,
    rate_limiter: RateLimiter,
}

impl HttpClient for RateLimitedClient {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let connector = self.client.http_connector(settings, components);
        SharedHttpConnector::new(RateLimitedConnector { connector, rate_limiter: self.rate_limiter.clone() })
    }
}

#[derive(Debug)]
struct RateLimitedConnector {
    connector: SharedHttpConnector,
    rate_limiter: RateLimiter,
}

impl HttpConnector for RateLimitedConnector {
    /// A waiting request has no connection yet, so no timeout of it runs; the SDK's watch over bodies is off.
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (connector, rate_limiter) = (self.connector.clone(), self.rate_limiter.clone());
        HttpConnectorFuture::new(async move {
            rate_limiter.wait_for_request().await;
            if !has_waited(&request) {
                let stated = request.headers().get("content-length").and_then(|length| length.parse().ok());
                rate_limiter.wait_for_bytes(stated.unwrap_or(0)).await;
            }
            let response = connector.call(request).await?;
            Ok(match rate_limiter.kib {
                Some(limit) => response.map(|body| SdkBody::from_body_1_x(RateLimitedBody::new(body, limit.clone()))),
                None => response,
            })
        })
    }
}

/// Whether the request uploads an object's bytes in its first attempt, and so has waited before it was signed.
fn has_waited(request: &HttpRequest) -> bool {
    let first = request.headers().get("amz-sdk-request").is_some_and(|attempt| attempt.starts_with("attempt=1;"));
    first && request.method() == "PUT"
}

type Wait = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

/// A response body whose bytes are delayed as they arrive, so that a body dropped early costs only what arrived.
struct RateLimitedBody {
    inner: SdkBody,
    limit: Limit,
    /// Deadline for the next bytes. The time for which bytes are delayed does not count.
    idle: Pin<Box<Sleep>>,
    /// A frame that is delayed, and its delay.
    waiting: Option<(Frame<Bytes>, Wait)>,
    /// Bytes passed on since the last full KiB.
    owed: u64,
}

impl RateLimitedBody {
    fn new(inner: SdkBody, limit: Limit) -> Self {
        Self { inner, limit, idle: Box::pin(sleep(IDLE_TIMEOUT)), waiting: None, owed: 0 }
    }
}

impl Body for RateLimitedBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.waiting.is_none() {
            let frame = match Pin::new(&mut self.inner).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => frame,
                Poll::Ready(end) => return Poll::Ready(end),
                Poll::Pending => {
                    ready!(self.idle.as_mut().poll(cx));
                    return Poll::Ready(Some(Err(format!("no byte arrived for {IDLE_TIMEOUT:?}").into())));
                }
            };
            self.owed += frame.data_ref().map_or(0, |data| data.len() as u64);
            let (limit, kib) = (self.limit.clone(), self.owed >> 10);
            self.owed &= (1 << 10) - 1;
            self.waiting = Some((frame, Box::pin(async move { limit.wait(kib).await })));
        }
        if let Some((_, until)) = &mut self.waiting {
            ready!(until.as_mut().poll(cx));
            self.idle.as_mut().reset(Instant::now() + IDLE_TIMEOUT);
        }
        Poll::Ready(self.waiting.take().map(|(frame, _)| Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.waiting.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        // A delayed frame is no longer part of the inner body.
        if self.waiting.is_some() { SizeHint::default() } else { self.inner.size_hint() }
    }
}
