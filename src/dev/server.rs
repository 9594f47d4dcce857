//! The S3 server of `karui dev` and of the tests: serves a folder on 127.0.0.1, in process. Knows nothing of images.

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
/// Secret key of [`ACCESS_KEY_ID`]: it protects nothing but a folder on loopback.
pub const SECRET_ACCESS_KEY: &str = "karui-local-secret";
/// Any region works.
pub const REGION: &str = "us-east-1";

/// What an [`Interposer`] does with a request.
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

/// Sees every request before the server does: injects faults.
pub type Interposer = Arc<dyn Fn(&Parts) -> Action + Send + Sync>;

/// A running S3 server. It stops when it is dropped; its files stay.
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

    /// Like [`LocalS3::start`]; shows every request to `interposer` first.
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

    /// Returns a client of this server, which reads no environment.
    #[must_use]
    pub fn client(&self) -> aws_sdk_s3::Client {
        aws_sdk_s3::Client::from_conf(self.config().build())
    }

    /// Returns the configuration of [`LocalS3::client`].
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

    /// Subscribes to every object created from now on, in order.
    #[must_use]
    pub fn subscribe(&self) -> mpsc::UnboundedReceiver<Created> {
        self.listeners.subscribe()
    }

    /// Stops the server and its connections, and waits until they have ended.
    pub async fn stop(mut self) {
        self.accepting.abort();
        // An aborted task returns an error that says only that.
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for LocalS3 {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// The connections belong to this task's set, so that they end with it.
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
    // How a connection ends is up to the client.
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

/// Answers a request. An error closes the connection without a response.
async fn respond(
    request: Request<hyper::body::Incoming>,
    service: &S3Service,
    interposer: &Interposer,
) -> io::Result<Response<Body>> {
    let (parts, body) = request.into_parts();
    let action = interposer(&parts);
    let request = Request::from_parts(parts, Body::from(body));
    // Runs in a task of its own: like S3, the server completes a request even if the client is gone by then.
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
