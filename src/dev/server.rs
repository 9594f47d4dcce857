//! The S3 of `karui dev` and of the tests: a folder served on 127.0.0.1, in process. Knows nothing of images.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use bytes::Bytes;
use futures_util::StreamExt;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use s3s::Body;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::{JoinHandle, JoinSet};

pub use super::folder::Created;
use super::folder::{Folder, Listeners};

/// The access key that [`LocalS3`] accepts.
pub const ACCESS_KEY_ID: &str = "karui-local";
/// The secret that goes with [`ACCESS_KEY_ID`]: it guards nothing but a folder on loopback.
pub const SECRET_ACCESS_KEY: &str = "karui-local-secret";
/// Any region will do.
pub const REGION: &str = "us-east-1";

/// What an [`Interposer`] makes of a request.
#[derive(Debug, Clone)]
pub enum Action {
    /// The store answers.
    Pass,
    /// This answers in the store's place; the body is XML, and complete unless it is to break off after so many bytes.
    Answer { status: u16, body: String, cut: Option<usize> },
    /// The connection closes before the store has seen the request.
    Drop,
    /// The store does what is asked, and the connection closes before its answer.
    DropAnswer,
    /// The store answers, and the connection closes after so many bytes of the body.
    Cut { after: usize },
    /// The store answers, and the body's byte at this place changes on its way.
    Flip { at: usize },
    /// The store does not see it before it is notified.
    Hold(Arc<Notify>),
    /// No answer ever comes.
    Hang,
}

/// Sees every request before the store does: faults are injected here.
pub type Interposer = Arc<dyn Fn(&Parts) -> Action + Send + Sync>;

/// A running S3. It ends when it is dropped; its files stay.
#[derive(Debug)]
pub struct LocalS3 {
    endpoint: String,
    listeners: Arc<Listeners>,
    accepting: JoinHandle<()>,
}

impl LocalS3 {
    /// Serves `root`, one directory per bucket, on 127.0.0.1 at `port` or at a free one.
    ///
    /// # Errors
    /// If the folder cannot be read, or the port is taken.
    pub async fn start(root: &Path, port: Option<u16>) -> io::Result<Self> {
        Self::start_with(root, port, Arc::new(|_| Action::Pass)).await
    }

    /// As [`LocalS3::start`], with every request shown to `interposer` first.
    ///
    /// # Errors
    /// If the folder cannot be read, or the port is taken.
    pub async fn start_with(root: &Path, port: Option<u16>, interposer: Interposer) -> io::Result<Self> {
        let listeners = Arc::new(Listeners::new());
        let mut service = S3ServiceBuilder::new(Folder::new(root, Arc::clone(&listeners))?);
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY_ID, SECRET_ACCESS_KEY));
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port.unwrap_or(0)))).await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let accepting = tokio::spawn(accept(listener, service.build(), interposer));
        Ok(Self { endpoint, listeners, accepting })
    }

    /// `http://127.0.0.1:PORT`
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// A client of this store, which asks no environment for anything.
    #[must_use]
    pub fn client(&self) -> aws_sdk_s3::Client {
        aws_sdk_s3::Client::from_conf(self.config().build())
    }

    /// What [`LocalS3::client`] is built from.
    #[must_use]
    pub fn config(&self) -> aws_sdk_s3::config::Builder {
        let credentials = Credentials::builder()
            .access_key_id(ACCESS_KEY_ID)
            .secret_access_key(SECRET_ACCESS_KEY)
            .provider_name("karui dev")
            .build();
        aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .endpoint_url(&self.endpoint)
            .region(Region::from_static(REGION))
            .credentials_provider(credentials)
            .force_path_style(true)
    }

    /// Every object created from now on, in order.
    #[must_use]
    pub fn subscribe(&self) -> mpsc::UnboundedReceiver<Created> {
        self.listeners.subscribe()
    }

    /// Ends the server and its connections, and waits until they have ended.
    pub async fn stop(mut self) {
        self.accepting.abort();
        // An aborted task answers with an error that says just that.
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for LocalS3 {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// The connections live in this task's own set, so that they end with it.
async fn accept(listener: TcpListener, service: S3Service, interposer: Interposer) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(serve(stream, service.clone(), Arc::clone(&interposer)));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, service: S3Service, interposer: Interposer) {
    let service = hyper::service::service_fn(move |request| {
        let (service, interposer) = (service.clone(), Arc::clone(&interposer));
        async move { respond(request, &service, &interposer).await }
    });
    let server = auto::Builder::new(TokioExecutor::new()).http1_only();
    // How a connection ends is the client's business.
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

/// An error closes the connection without an answer.
async fn respond(
    request: Request<hyper::body::Incoming>,
    service: &S3Service,
    interposer: &Interposer,
) -> io::Result<Response<Body>> {
    let (parts, body) = request.into_parts();
    let action = interposer(&parts);
    let request = Request::from_parts(parts, Body::from(body));
    // A task of its own: S3 ends what it has begun, also where the client is gone by then.
    let call = |request| {
        let service = service.clone();
        let answer = tokio::spawn(async move { service.call(request).await });
        async { answer.await?.map_err(|e| io::Error::other(format!("{e:?}"))) }
    };
    match action {
        Action::Pass => call(request).await,
        Action::Answer { status, body, cut } => {
            drain(request.into_body()).await;
            Ok(cut_short(answer(status, body), cut.unwrap_or(usize::MAX)))
        }
        Action::Drop => Err(io::ErrorKind::ConnectionReset.into()),
        Action::DropAnswer => {
            call(request).await?;
            Err(io::ErrorKind::ConnectionReset.into())
        }
        Action::Cut { after } => Ok(cut_short(call(request).await?, after)),
        Action::Flip { at } => {
            Ok(call(request).await?.map(|inner| Body::http_body_unsync(Flipped { inner, left: Some(at) })))
        }
        Action::Hold(until) => {
            until.notified().await;
            call(request).await
        }
        Action::Hang => match std::future::pending::<Infallible>().await {},
    }
}

/// A client that still sends would not read an answer.
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

/// A body that breaks off after so many bytes.
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
            // A pause, for what there is to reach the client before the connection closes.
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

/// A body with one wrong bit.
struct Flipped {
    inner: Body,
    /// Bytes before the one that changes, until it has.
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
