//! Responses of a server on which things go wrong.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::StreamExt;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use hyper::{Request, Response, StatusCode};
use karui::dev::server::Service;
use s3s::Body;
use tokio::sync::Notify;

/// What becomes of a request.
#[derive(Debug, Clone)]
pub enum Action {
    /// The server answers.
    Pass,
    /// Answers in place of the server with an XML body, cut off after `cut` bytes if that is set.
    Answer { status: u16, body: String, cut: Option<usize> },
    /// Closes the connection before the server sees the request.
    Drop,
    /// Executes the request, and closes the connection before the response.
    DropAnswer,
    /// Closes the connection after this many bytes of the response body.
    Cut { after: usize },
    /// Flips a bit of the response body's byte at this offset.
    Flip { at: usize },
    /// Delays the request until it is notified.
    Hold(Arc<Notify>),
    /// Never answers.
    Hang,
}

/// Carries out an action on a request. An error closes the connection without a response.
pub async fn respond(action: Action, request: Request<Body>, service: Service) -> io::Result<Response<Body>> {
    match action {
        Action::Pass => service.call(request).await,
        Action::Answer { status, body, cut } => {
            drain(request.into_body()).await;
            Ok(cut_short(answer(status, body), cut.unwrap_or(usize::MAX)))
        }
        Action::Drop => Err(io::ErrorKind::ConnectionReset.into()),
        Action::DropAnswer => {
            service.call(request).await?;
            Err(io::ErrorKind::ConnectionReset.into())
        }
        Action::Cut { after } => Ok(cut_short(service.call(request).await?, after)),
        Action::Flip { at } => {
            Ok(service.call(request).await?.map(|inner| Body::http_body_unsync(Flipped { inner, left: Some(at) })))
        }
        Action::Hold(until) => {
            until.notified().await;
            service.call(request).await
        }
        Action::Hang => match std::future::pending::<Infallible>().await {},
    }
}

/// Reads the rest of the request, since a client that still sends does not read a response.
async fn drain(mut body: Body) {
    while let Some(Ok(_)) = body.next().await {}
}

fn answer(status: u16, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let xml = hyper::header::HeaderValue::from_static("application/xml");
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, xml);
    response
}

fn cut_short(answer: Response<Body>, after: usize) -> Response<Body> {
    answer.map(|inner| Body::http_body_unsync(CutShort { inner, left: after, flushed: false }))
}

/// A body that breaks off after this many bytes.
struct CutShort {
    inner: Body,
    left: usize,
    flushed: bool,
}

impl HttpBody for CutShort {
    type Data = Bytes;
    type Error = s3s::StdError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.left == 0 && !self.flushed {
            // Pauses once, so that the bytes reach the client before the connection closes.
            self.flushed = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.left == 0 {
            return Poll::Ready(Some(Err(io::Error::from(io::ErrorKind::ConnectionReset).into())));
        }
        let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) else { return Poll::Pending };
        let Some(Ok(Ok(mut data))) = frame.map(|frame| frame.map(Frame::into_data)) else { return Poll::Ready(None) };
        data.truncate(self.left);
        self.left -= data.len();
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A body with one flipped bit.
struct Flipped {
    inner: Body,
    /// Bytes before the flipped one, until it has passed.
    left: Option<usize>,
}

impl HttpBody for Flipped {
    type Data = Bytes;
    type Error = s3s::StdError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        let left = &mut self.left;
        Poll::Ready(frame.map(|frame| {
            Ok(frame?.map_data(|data| match left.map(|left| left.checked_sub(data.len())) {
                Some(None) => {
                    let mut bytes = data.to_vec();
                    bytes[left.take().unwrap_or(0)] ^= 1;
                    bytes.into()
                }
                still => {
                    *left = still.flatten();
                    data
                }
            }))
        }))
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
