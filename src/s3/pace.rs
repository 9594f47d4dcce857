//! How fast requests go out and bytes go by: two limits that all requests share, repeats included.
//!
//! Bytes that are to go up wait before their request is signed ([`Pace::bytes`]), since S3 takes no signature of a quarter
//! of an hour ago; what the SDK repeats, and whatever else has a body, waits where it is sent.

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
use governor::{Quota, RateLimiter};
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

/// Longest time without a byte of an answer's body, in place of the SDK's, which takes bytes held back for a stall.
const SILENCE: Duration = Duration::from_secs(30);

/// What must not be exceeded, on average; at once, what a second allows. `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RateLimits {
    pub requests_per_second: Option<NonZeroU32>,
    /// Of bodies, in both directions together, in KiB.
    pub kib_per_second: Option<NonZeroU32>,
}

/// The limits at work. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Pace {
    requests: Option<Limit>,
    kib: Option<Limit>,
}

impl Pace {
    /// `None` where there is nothing to keep to.
    pub(super) fn new(limits: RateLimits) -> Option<Self> {
        let RateLimits { requests_per_second, kib_per_second } = limits;
        (limits != RateLimits::default())
            .then(|| Self { requests: requests_per_second.map(Limit::new), kib: kib_per_second.map(Limit::new) })
    }

    /// The client, held to the limits.
    pub(super) fn holding(&self, client: SharedHttpClient) -> SharedHttpClient {
        SharedHttpClient::new(PacedClient { client, pace: self.clone() })
    }

    /// Whether answers come slower than they could.
    pub(super) fn holds_bodies(&self) -> bool {
        self.kib.is_some()
    }

    async fn request(&self) {
        if let Some(limit) = &self.requests {
            limit.wait(1).await;
        }
    }

    /// Until so many bytes may go.
    pub(super) async fn bytes(&self, bytes: u64) {
        if let Some(limit) = &self.kib {
            limit.wait(bytes.div_ceil(1 << 10)).await;
        }
    }
}

#[derive(Debug, Clone)]
struct Limit {
    per_second: NonZeroU32,
    limiter: Arc<RateLimiter<NotKeyed, InMemoryState, DefaultClock>>,
}

impl Limit {
    fn new(per_second: NonZeroU32) -> Self {
        Self { per_second, limiter: Arc::new(RateLimiter::direct(Quota::per_second(per_second))) }
    }

    /// Until there were so many; a second's worth at a time, which is all that is given at once.
    async fn wait(&self, mut left: u64) {
        while let Some(n) = NonZeroU32::new(left.min(self.per_second.get().into()) as u32) {
            // It refuses only what it could never give.
            let _ = self.limiter.until_n_ready(n).await;
            left -= u64::from(n.get());
        }
    }
}

#[derive(Debug)]
struct PacedClient {
    client: SharedHttpClient,
    pace: Pace,
}

impl HttpClient for PacedClient {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let connector = self.client.http_connector(settings, components);
        SharedHttpConnector::new(PacedConnector { connector, pace: self.pace.clone() })
    }
}

#[derive(Debug)]
struct PacedConnector {
    connector: SharedHttpConnector,
    pace: Pace,
}

impl HttpConnector for PacedConnector {
    /// What waits has no connection yet, and no timeout of it runs: the SDK's own watch over bodies is off.
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (connector, pace) = (self.connector.clone(), self.pace.clone());
        HttpConnectorFuture::new(async move {
            pace.request().await;
            if !has_waited(&request) {
                let stated = request.headers().get("content-length").and_then(|length| length.parse().ok());
                pace.bytes(stated.unwrap_or(0)).await;
            }
            let response = connector.call(request).await?;
            Ok(match pace.kib {
                Some(limit) => response.map(|body| SdkBody::from_body_1_x(PacedBody::new(body, limit.clone()))),
                None => response,
            })
        })
    }
}

/// An object's bytes, sent for the first time.
fn has_waited(request: &HttpRequest) -> bool {
    let first = request.headers().get("amz-sdk-request").is_some_and(|attempt| attempt.starts_with("attempt=1;"));
    first && request.method() == "PUT"
}

type Wait = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

/// The body of an answer, whose bytes are held back as they come: what is dropped early has cost no more than came.
struct PacedBody {
    inner: SdkBody,
    limit: Limit,
    /// Until when the next bytes must come; those that are held back do not count.
    patience: Pin<Box<Sleep>>,
    /// What came and must wait, and until when.
    waiting: Option<(Frame<Bytes>, Wait)>,
    /// Bytes that were given out, and did not make a KiB yet.
    owed: u64,
}

impl PacedBody {
    fn new(inner: SdkBody, limit: Limit) -> Self {
        Self { inner, limit, patience: Box::pin(sleep(SILENCE)), waiting: None, owed: 0 }
    }
}

impl Body for PacedBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.waiting.is_none() {
            let frame = match Pin::new(&mut self.inner).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => frame,
                Poll::Ready(end) => return Poll::Ready(end),
                Poll::Pending => {
                    ready!(self.patience.as_mut().poll(cx));
                    return Poll::Ready(Some(Err(format!("no byte came for {SILENCE:?}").into())));
                }
            };
            self.owed += frame.data_ref().map_or(0, |data| data.len() as u64);
            let (limit, kib) = (self.limit.clone(), self.owed >> 10);
            self.owed &= (1 << 10) - 1;
            self.waiting = Some((frame, Box::pin(async move { limit.wait(kib).await })));
        }
        if let Some((_, until)) = &mut self.waiting {
            ready!(until.as_mut().poll(cx));
            self.patience.as_mut().reset(Instant::now() + SILENCE);
        }
        Poll::Ready(self.waiting.take().map(|(frame, _)| Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.waiting.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        // What waits is no longer of the inner body.
        if self.waiting.is_some() { SizeHint::default() } else { self.inner.size_hint() }
    }
}
