//! S3 and Lambda on loopback for developers: `karui dev` and `make demo`.

mod command;
mod demo;
pub mod event;
mod folder;
pub mod function;
mod names;
pub mod server;
mod uploads;

use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use aws_sdk_s3::Client;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;

pub use command::{DevArgs, run};
use function::{Function, FunctionError, Launch};
use server::{ACCESS_KEY_ID, Created, LocalS3, REGION, SECRET_ACCESS_KEY};

/// Bucket whose objects are optimized.
pub const SOURCE: &str = "source";
/// Bucket that receives the results.
pub const DESTINATION: &str = "destination";

/// Why `karui dev` ended.
#[derive(Debug, thiserror::Error)]
enum DevError {
    #[error(transparent)]
    Function(#[from] FunctionError),
    #[error("{what}: {error}")]
    Io { what: String, error: io::Error },
    #[error("the embedded S3: {0}")]
    S3(String),
    #[error("KARUI_QUALITY: {0}")]
    Quality(crate::optimize::InvalidOption),
    #[error("{} contains files that are not of a demo: choose another --out", .0.display())]
    NotOurs(PathBuf),
    #[error("{} is missing: --demo needs the folder tests/fixtures of Karui's sources", .0.display())]
    NoSample(PathBuf),
    #[error("{}", .0.join("\nerror: "))]
    Broken(Vec<String>),
    #[error("interrupted")]
    Interrupted,
}

/// The embedded S3 with its two buckets, and the function between them.
struct DevServer {
    root: PathBuf,
    s3: LocalS3,
    client: Client,
    created: UnboundedReceiver<Created>,
    function: Function,
}

impl DevServer {
    async fn start(root: PathBuf, port: Option<u16>, invoke_port: Option<u16>) -> Result<Self, DevError> {
        let io = |error| DevError::Io { what: root.display().to_string(), error };
        for bucket in [SOURCE, DESTINATION] {
            std::fs::create_dir_all(root.join(bucket)).map_err(io)?;
        }
        let s3 = LocalS3::start(&root, port).await.map_err(|error| DevError::S3(error.to_string()))?;
        let here = std::env::current_exe().map_err(|error| DevError::Io { what: "this program".into(), error })?;
        let destination = [("KARUI_DESTINATION_BUCKET".into(), DESTINATION.into())];
        let launch = Launch {
            optimizer: here.with_file_name(format!("optimizer{}", std::env::consts::EXE_SUFFIX)),
            folder: root.join("function"),
            endpoint: s3.endpoint().to_owned(),
            settings: function::settings_here().chain(destination).collect(),
        };
        let function = Function::start_at(&launch, invoke_port).await?;
        Ok(Self { root, client: s3.client(), created: s3.subscribe(), s3, function })
    }

    /// Stops the function, then S3.
    async fn stop(self) {
        self.function.stop().await;
        self.s3.stop().await;
    }

    /// Waits for the next object created at the source.
    async fn next_created(&mut self) -> Result<Created, DevError> {
        let soon = Duration::from_secs(10);
        loop {
            match timeout(soon, self.created.recv()).await {
                Ok(Some(created)) if created.bucket == SOURCE => return Ok(created),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return Err(DevError::S3("no notification of an object that was put".into())),
            }
        }
    }

    /// Sends an event for every object put at the source, until the function ends.
    async fn watch(&mut self) -> Result<(), DevError> {
        self.greet();
        loop {
            let created = tokio::select! {
                created = self.created.recv() => created.ok_or_else(|| DevError::S3("ended".into()))?,
                error = self.function.failed() => return Err(error.into()),
            };
            if created.bucket != SOURCE {
                continue;
            }
            match self.function.invoke(&event::notification(std::slice::from_ref(&created), SystemTime::now())).await {
                Ok(answer) => println!("{}", answer["records"][0]),
                Err(
                    error @ (FunctionError::Refused(_) | FunctionError::NoJson(_) | FunctionError::NoAnswer { .. }),
                ) => {
                    eprintln!("{}: {error}", created.key.escape_debug());
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn greet(&self) {
        let endpoint = self.s3.endpoint();
        println!(
            "S3 at {endpoint}, buckets {SOURCE} and {DESTINATION} in {root}; logs in {logs}\n\n\
             export AWS_ENDPOINT_URL={endpoint} AWS_REGION={REGION}\n\
             export AWS_ACCESS_KEY_ID={ACCESS_KEY_ID} AWS_SECRET_ACCESS_KEY={SECRET_ACCESS_KEY}\n\
             aws s3 cp photo.jpg s3://{SOURCE}/ && sleep 1 && aws s3 cp s3://{DESTINATION}/photo.jpg optimized.jpg\n\n\
             cargo lambda invoke --invoke-address 127.0.0.1 --invoke-port {port} --data-file examples/event.json\n\n\
             Press Ctrl-C to stop.",
            root = self.root.display(),
            logs = self.root.join("function").display(),
            port = self.function.port(),
        );
    }
}
