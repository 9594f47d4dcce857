//! `MiniStack`, an emulator of AWS that is not ours: a second opinion on what S3 does.

use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use karui::s3::UploadChecksum;
use tempfile::TempDir;

/// MiniStack supports only composite checksums for multipart uploads, and refuses full-object ones.
pub const CHECKSUM: UploadChecksum = UploadChecksum::Sha256;

/// A `MiniStack` process on a free port of 127.0.0.1. It ends when this is dropped, and what it has started with it.
pub struct MiniStack {
    process: Child,
    endpoint: String,
    _state: TempDir,
}

impl MiniStack {
    /// Starts the program that `KARUI_TEST_MINISTACK` names, as an S3 and nothing else, and waits until it answers.
    pub async fn start() -> Self {
        Self::start_with(&[("SERVICES", "s3")]).await
    }

    /// Starts an S3 that enforces bucket policies, roles and trust policies. A key ID of 12 digits is an account's.
    pub async fn start_with_accounts() -> Self {
        Self::start_with(&[("SERVICES", "s3,sts,iam"), ("AUTH", "true")]).await
    }

    /// Starts it with all services of a stack: `CloudFormation`, Lambda, SQS and others.
    pub async fn start_with_everything() -> Self {
        Self::start_with(&[]).await
    }

    async fn start_with(settings: &[(&str, &str)]) -> Self {
        let program = std::env::var("KARUI_TEST_MINISTACK").expect(
            "KARUI_TEST_MINISTACK must name the ministack program; `make test` installs it and sets the variable",
        );
        let program = std::path::absolute(program).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let endpoint = format!("http://127.0.0.1:{port}");
        let state = tempfile::tempdir().unwrap();
        let process = Command::new(&program)
            // Functions inherit its environment, and would take our variables for misspelt settings.
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .envs([("BIND_HOST", "127.0.0.1"), ("GATEWAY_PORT", &port.to_string()), ("AWS_ENDPOINT_URL", &endpoint)])
            // Its MQTT and SFTP listeners would bind every interface.
            .envs([("IOT_MTLS_ENABLED", "0"), ("SFTP_ENABLED", "0")])
            .envs(settings.iter().copied())
            .envs([("STATE_DIR", state.path()), ("TMPDIR", state.path()), ("HOME", state.path())])
            .current_dir(state.path())
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| panic!("KARUI_TEST_MINISTACK={}: {e}", program.display()));
        let mut ministack = Self { process, endpoint, _state: state };
        ministack.wait_until_ready(port).await;
        ministack
    }

    async fn wait_until_ready(&mut self, port: u16) {
        for _ in 0..600 {
            if let Some(status) = self.process.try_wait().unwrap() {
                panic!("ministack ended before it was ready: {status}");
            }
            if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("ministack does not answer on port {port} within a minute");
    }

    /// Environment variables for other AWS clients.
    pub fn environment(&self) -> [(&'static str, &str); 5] {
        self.environment_of("test")
    }

    /// Environment variables with an account's credentials.
    pub fn environment_of<'a>(&'a self, account: &'a str) -> [(&'static str, &'a str); 5] {
        [
            ("AWS_ENDPOINT_URL", &self.endpoint),
            ("AWS_REGION", "us-east-1"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", account),
            ("AWS_SECRET_ACCESS_KEY", "test"),
        ]
    }

    pub fn client(&self) -> Client {
        self.client_of("test")
    }

    /// Credentials of an account.
    pub fn client_of(&self, account: &str) -> Client {
        let credentials =
            Credentials::builder().access_key_id(account).secret_access_key("test").provider_name("test").build();
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .endpoint_url(&self.endpoint)
            .region(Region::from_static("us-east-1"))
            .credentials_provider(credentials)
            .force_path_style(true);
        Client::from_conf(config.build())
    }
}

impl Drop for MiniStack {
    fn drop(&mut self) {
        // Its process group: the functions that it has started are in it.
        let group = format!("-{}", self.process.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.process.wait();
    }
}
