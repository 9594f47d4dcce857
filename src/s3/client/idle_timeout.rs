//! Idle timeout: a request may take as long as bytes move.
//!
//! The SDK's read timeout runs from a request's first byte to its response, so that a large part would never arrive on
//! a slow line. This one measures only time in which no byte is sent and no response arrives.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::{Error, SdkBody};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// Bytes of the chunks in which a body is sent; each chunk counts as progress.
const PIECE: usize = 32 << 10;

/// Returns the client with its read timeout turned into an idle timeout.
pub(super) fn with_idle_timeout(client: SharedHttpClient) -> SharedHttpClient {
    SharedHttpClient::new(IdleTimeoutClient(client))
}

#[derive(Debug)]
struct IdleTimeoutClient(SharedHttpClient);

impl HttpClient for IdleTimeoutClient {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let mut ours = HttpConnectorSettings::builder();
        ours.set_connect_timeout(settings.connect_timeout());
        let connector = self.0.http_connector(&ours.build(), components);
        SharedHttpConnector::new(IdleTimeoutConnector { connector, idle_timeout: settings.read_timeout() })
    }
}

#[derive(Debug)]
struct IdleTimeoutConnector {
    connector: SharedHttpConnector,
    /// Longest time without progress.
    idle_timeout: Option<Duration>,
}

impl HttpConnector for IdleTimeoutConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Some(idle_timeout) = self.idle_timeout else { return self.connector.call(request) };
        let sent = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&sent);
        let request = request
            .map(|inner| SdkBody::from_body_1_x(CountedBody { inner, piece: Bytes::new(), count: Arc::clone(&count) }));
        let mut answer = Box::pin(self.connector.call(request));
        HttpConnectorFuture::new(async move {
            loop {
                let before = sent.load(Ordering::Relaxed);
                tokio::select! {
                    answer = &mut answer => return answer,
                    () = tokio::time::sleep(idle_timeout) => {}
                }
                if sent.load(Ordering::Relaxed) == before {
                    return Err(ConnectorError::timeout(format!("no byte moved for {idle_timeout:?}").into()));
                }
            }
        })
    }
}

/// A request's body, sent in chunks that are counted.
struct CountedBody {
    inner: SdkBody,
    /// Rest of the current frame.
    piece: Bytes,
    count: Arc<AtomicU64>,
}

impl Body for CountedBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.piece.is_empty() {
            match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.piece = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end),
            }
        }
        let length = self.piece.len().min(PIECE);
        let next = self.piece.split_to(length);
        self.count.fetch_add(length as u64, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(next))))
    }

    fn is_end_stream(&self) -> bool {
        self.piece.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (inner, piece) = (self.inner.size_hint(), self.piece.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + piece);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + piece);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
    use aws_smithy_runtime_api::http::StatusCode;

    use super::*;

    const IDLE_TIMEOUT: Duration = Duration::from_millis(200);

    /// Reads one chunk at a time and rests after each, then answers or never does.
    #[derive(Debug)]
    struct Slow {
        rest: Duration,
        answers: bool,
    }

    impl HttpConnector for Slow {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            let Self { rest, answers } = *self;
            HttpConnectorFuture::new(async move {
                let mut body = request.into_body();
                let mut length = 0;
                while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                    length += frame.unwrap().into_data().unwrap().len();
                    tokio::time::sleep(rest).await;
                }
                assert_eq!(length, 20 * PIECE + 1);
                if !answers {
                    std::future::pending::<()>().await;
                }
                Ok(HttpResponse::new(StatusCode::try_from(200).unwrap(), SdkBody::empty()))
            })
        }
    }

    async fn put(rest: u64, answers: bool) -> (Result<HttpResponse, ConnectorError>, Duration) {
        let connector = SharedHttpConnector::new(Slow { rest: Duration::from_millis(rest), answers });
        let connector = IdleTimeoutConnector { connector, idle_timeout: Some(IDLE_TIMEOUT) };
        let begun = Instant::now();
        let answer = connector.call(HttpRequest::new(SdkBody::from(vec![7; 20 * PIECE + 1]))).await;
        (answer, begun.elapsed())
    }

    #[tokio::test]
    async fn request_with_moving_body_is_not_timed_out() {
        let (answer, took) = put(30, true).await;
        assert!(answer.is_ok() && took > 2 * IDLE_TIMEOUT, "{took:?}");
    }

    #[tokio::test]
    async fn stalled_request_times_out() {
        for (rest, answers) in [(5000, true), (0, false)] {
            let (answer, took) = put(rest, answers).await;
            assert!(answer.is_err_and(|error| error.is_timeout()) && took < 5 * IDLE_TIMEOUT, "{took:?}");
        }
    }
}
