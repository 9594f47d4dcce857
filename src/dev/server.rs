//! The S3 server of `karui dev` and of the tests: serves a folder on 127.0.0.1, in process. Knows nothing of images.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use futures_util::future::BoxFuture;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use s3s::Body;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

pub use super::folder::Created;
use super::folder::{Folder, Listeners};

/// The access key that [`LocalS3`] accepts.
pub const ACCESS_KEY_ID: &str = "karui-local";
/// Secret key of [`ACCESS_KEY_ID`]: it protects nothing but a folder on loopback.
pub const SECRET_ACCESS_KEY: &str = "karui-local-secret";
/// Any region works.
pub const REGION: &str = "us-east-1";

/// Answers a request, by the server or without it. An error closes the connection without a response.
pub type Handler = Arc<dyn Fn(Request<Body>, Service) -> BoxFuture<'static, io::Result<Response<Body>>> + Send + Sync>;

/// The S3 behind the connections.
#[derive(Clone)]
pub struct Service(S3Service);

impl Service {
    /// Executes a request. In a task of its own: like S3, the server completes a request even if the client is gone by
    /// then.
    ///
    /// # Errors
    /// If there is no response.
    pub async fn call(self, request: Request<Body>) -> io::Result<Response<Body>> {
        let answer = tokio::spawn(async move { self.0.call(request).await });
        answer.await?.map_err(|error| io::Error::other(format!("{error:?}")))
    }
}

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
        Self::start_with(root, port, Arc::new(|request, service| Box::pin(service.call(request)))).await
    }

    /// Like [`LocalS3::start`]; passes every request to `handler`, with the server that may answer it.
    ///
    /// # Errors
    /// If the folder cannot be read, or the port is taken.
    pub async fn start_with(root: &Path, port: Option<u16>, handler: Handler) -> io::Result<Self> {
        let listeners = Arc::new(Listeners::new());
        let mut service = S3ServiceBuilder::new(Folder::new(root, Arc::clone(&listeners))?);
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY_ID, SECRET_ACCESS_KEY));
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port.unwrap_or(0)))).await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let accepting = tokio::spawn(accept(listener, Service(service.build()), handler));
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
async fn accept(listener: TcpListener, service: Service, handler: Handler) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(serve(stream, service.clone(), Arc::clone(&handler)));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, service: Service, handler: Handler) {
    let service = hyper::service::service_fn(move |request| {
        let (parts, body) = Request::into_parts(request);
        handler(Request::from_parts(parts, Body::from(body)), service.clone())
    });
    let server = auto::Builder::new(TokioExecutor::new()).http1_only();
    // How a connection ends is up to the client.
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}
