//! Runs the `optimizer` program behind cargo-lambda's Runtime API: starts, invokes and stops it.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout_at};

use super::server::{ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY};

/// Path of cargo-lambda, set by `make`.
const CARGO_LAMBDA_VAR: &str = "KARUI_TEST_CARGO_LAMBDA";
/// Prefix of variables about tools and tests, which the function would reject as unknown settings.
const TEST_VARS: &str = "KARUI_TEST_";
const RUNTIME_START_TIMEOUT: Duration = Duration::from_secs(20);
const INVOCATION_TIMEOUT: Duration = Duration::from_mins(2);

/// cargo-lambda must run in a package; this one keeps it from reading any other.
const MANIFEST: &str = "[package]\nname = \"optimizer\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[[bin]]\nname = \"optimizer\"\npath = \"optimizer.rs\"\n\n[workspace]\n";

/// What is needed to start the function.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The function's program.
    pub optimizer: PathBuf,
    /// Folder for logs and events; created if it is missing.
    pub folder: PathBuf,
    /// URL of the S3 that the function uses.
    pub endpoint: String,
    /// The function's settings: `KARUI_*` variables.
    pub settings: Vec<(OsString, OsString)>,
}

/// Returns the settings in this process's environment, to pass them to the function.
pub fn settings_here() -> impl Iterator<Item = (OsString, OsString)> {
    let is_setting = |name: &str| name.starts_with("KARUI_") && !name.starts_with(TEST_VARS);
    std::env::vars_os().filter(move |(name, _)| name.to_str().is_some_and(is_setting))
}

/// Why the function did not start or did not do what was requested.
#[derive(Debug, thiserror::Error)]
pub enum FunctionError {
    #[error("cargo-lambda is missing: run this with make, or install it (pip install cargo-lambda) into the PATH")]
    NoCargoLambda,
    #[error("{0} is missing: build it with cargo build --bins")]
    NoOptimizer(PathBuf),
    #[error("{what}: {error}")]
    Io { what: String, error: io::Error },
    #[error("{program} ended ({status}); the end of {log}:\n{tail}")]
    Ended { program: &'static str, status: ExitStatus, log: String, tail: String },
    #[error("cargo-lambda's Runtime API did not listen within {} s, see {log}", RUNTIME_START_TIMEOUT.as_secs())]
    NotReady { log: String },
    #[error("no answer within {} s, see {log}", INVOCATION_TIMEOUT.as_secs())]
    NoAnswer { log: String },
    /// The function answered with an error, as it does if a record is worth a retry.
    #[error("{0}")]
    Refused(String),
    #[error("the response is not JSON: {0}")]
    NoJson(String),
}

fn io_error(what: impl Into<String>) -> impl FnOnce(io::Error) -> FunctionError {
    let what = what.into();
    move |error| FunctionError::Io { what, error }
}

/// A running function. Its two processes end when it is dropped.
#[derive(Debug)]
pub struct Function {
    runtime: Process,
    optimizer: Process,
    cargo_lambda: PathBuf,
    folder: PathBuf,
    port: u16,
    invocations: u32,
}

impl Function {
    /// Starts cargo-lambda's Runtime API on a free port of 127.0.0.1, and the function behind it.
    ///
    /// # Errors
    /// [`FunctionError`], which names the log if a process left one.
    pub async fn start(launch: &Launch) -> Result<Self, FunctionError> {
        Self::start_at(launch, None).await
    }

    /// Like [`Function::start`], with the Runtime API on this port if one is given.
    ///
    /// # Errors
    /// [`FunctionError`], which names the log if a process left one.
    pub async fn start_at(launch: &Launch, port: Option<u16>) -> Result<Self, FunctionError> {
        let cargo_lambda = find_cargo_lambda().ok_or(FunctionError::NoCargoLambda)?;
        if !launch.optimizer.is_file() {
            return Err(FunctionError::NoOptimizer(launch.optimizer.clone()));
        }
        let folder = prepare(&launch.folder).map_err(io_error(launch.folder.display().to_string()))?;
        let port = port.map_or_else(free_port, Ok).map_err(io_error("no free port on 127.0.0.1"))?;

        let mut command = Command::new(&cargo_lambda);
        command.args(["lambda", "watch", "--only-lambda-apis", "--ignore-changes"]).args(address(port));
        let mut runtime = Process::start("cargo-lambda", command, &folder)?;
        runtime.wait_for_port(port).await?;

        let mut command = Command::new(&launch.optimizer);
        command.env_clear().envs(environment(launch, port));
        let optimizer = Process::start("optimizer", command, &folder)?;
        Ok(Self { runtime, optimizer, cargo_lambda, folder, port, invocations: 0 })
    }

    /// Port of the Runtime API, to which `cargo lambda invoke` sends events.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Sends an event by `cargo lambda invoke`, and returns the function's response.
    ///
    /// # Errors
    /// [`FunctionError::Refused`] if the function answers with an error; others if there is no response.
    pub async fn invoke(&mut self, event: &Value) -> Result<Value, FunctionError> {
        self.invocations += 1;
        let file = self.folder.join(format!("event-{:04}.json", self.invocations));
        tokio::fs::write(&file, event.to_string()).await.map_err(io_error(file.display().to_string()))?;

        let mut command = Command::new(&self.cargo_lambda);
        command.args(["lambda", "invoke"]).args(address(self.port)).arg("--data-file").arg(&file);
        command.current_dir(&self.folder).stdin(Stdio::null()).kill_on_drop(true);
        let deadline = Instant::now() + INVOCATION_TIMEOUT;
        let log = self.optimizer.log.display().to_string();
        let output = tokio::select! {
            // A response counts even if the function ends right after it.
            biased;
            output = timeout_at(deadline, command.output()) => output,
            ended = Self::ended(&mut self.runtime, &mut self.optimizer) => return Err(ended),
        };
        let output = output.map_err(|_| FunctionError::NoAnswer { log })?.map_err(io_error("cargo lambda invoke"))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if !output.status.success() {
            return Err(FunctionError::Refused(text(&output.stderr)));
        }
        let answer = text(&output.stdout);
        serde_json::from_str(&answer).map_err(|_| FunctionError::NoJson(answer))
    }

    /// Waits until one of the two processes ends, which neither does by itself.
    pub async fn failed(&mut self) -> FunctionError {
        Self::ended(&mut self.runtime, &mut self.optimizer).await
    }

    async fn ended(runtime: &mut Process, optimizer: &mut Process) -> FunctionError {
        tokio::select! {
            error = runtime.ended() => error,
            error = optimizer.ended() => error,
        }
    }

    /// Stops both processes, and waits until they have ended.
    pub async fn stop(mut self) {
        // A process that has already ended needs no kill.
        let _ = self.optimizer.child.kill().await;
        let _ = self.runtime.child.kill().await;
    }
}

/// A child process with its own log file.
#[derive(Debug)]
struct Process {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Process {
    fn start(name: &'static str, mut command: Command, folder: &Path) -> Result<Self, FunctionError> {
        let log = folder.join(format!("{name}.log"));
        let output = File::create(&log).map_err(io_error(log.display().to_string()))?;
        let errors = output.try_clone().map_err(io_error(log.display().to_string()))?;
        // A process group of its own: Ctrl-C reaches only this process, which stops its children in order.
        #[cfg(unix)]
        command.process_group(0);
        command.current_dir(folder).stdin(Stdio::null()).stdout(output).stderr(errors).kill_on_drop(true);
        let child = command.spawn().map_err(io_error(name))?;
        Ok(Self { name, child, log })
    }

    async fn wait_for_port(&mut self, port: u16) -> Result<(), FunctionError> {
        let log = self.log.display().to_string();
        let deadline = Instant::now() + RUNTIME_START_TIMEOUT;
        let connected = async {
            while TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await.is_err() {
                sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            ready = timeout_at(deadline, connected) => ready.map_err(|_| FunctionError::NotReady { log }),
            error = self.ended() => Err(error),
        }
    }

    async fn ended(&mut self) -> FunctionError {
        match self.child.wait().await {
            Ok(status) => {
                let (program, log) = (self.name, self.log.display().to_string());
                FunctionError::Ended { program, status, tail: tail(&self.log), log }
            }
            Err(error) => io_error(self.name)(error),
        }
    }
}

fn tail(log: &Path) -> String {
    const LINES: usize = 15;
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

fn find_cargo_lambda() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os(CARGO_LAMBDA_VAR) {
        return Some(PathBuf::from(path)).filter(|path| path.is_file());
    }
    std::env::split_paths(&std::env::var_os("PATH")?).map(|dir| dir.join("cargo-lambda")).find(|path| path.is_file())
}

/// Creates the folder with the package that cargo-lambda requires, and returns its absolute path.
fn prepare(folder: &Path) -> io::Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    let folder = folder.canonicalize()?;
    std::fs::write(folder.join("Cargo.toml"), MANIFEST)?;
    std::fs::write(folder.join("optimizer.rs"), "fn main() {}\n")?;
    Ok(folder)
}

/// Returns a port that was free just now; the Runtime API cannot choose one itself.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn address(port: u16) -> [String; 4] {
    ["--invoke-address".into(), Ipv4Addr::LOCALHOST.to_string(), "--invoke-port".into(), port.to_string()]
}

/// Returns Lambda's variables as `cargo lambda watch --only-lambda-apis` needs them, the address of S3, and the
/// settings. Passes on nothing else of this process's environment: no proxy, profile or real credentials.
fn environment(launch: &Launch, port: u16) -> Vec<(OsString, OsString)> {
    let fixed = [
        ("AWS_LAMBDA_RUNTIME_API", format!("http://{}:{port}/.rt", Ipv4Addr::LOCALHOST)),
        ("AWS_LAMBDA_FUNCTION_NAME", "_".into()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1".into()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "4096".into()),
        ("AWS_ENDPOINT_URL", launch.endpoint.clone()),
        ("AWS_REGION", REGION.into()),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID.into()),
        ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY.into()),
        ("AWS_EC2_METADATA_DISABLED", "true".into()),
    ];
    let fixed = fixed.into_iter().map(|(name, value)| (name.into(), value.into()));
    launch.settings.iter().cloned().chain(fixed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_has_settings_and_nothing_else() {
        let launch = Launch {
            optimizer: "optimizer".into(),
            folder: "folder".into(),
            endpoint: "http://127.0.0.1:1".into(),
            settings: vec![("KARUI_QUALITY".into(), "80".into())],
        };
        let environment = environment(&launch, 2);
        let get = |name: &str| environment.iter().find(|(n, _)| n == name).map(|(_, value)| value.to_str().unwrap());
        assert_eq!(get("AWS_LAMBDA_RUNTIME_API"), Some("http://127.0.0.1:2/.rt"));
        assert_eq!((get("KARUI_QUALITY"), get("AWS_ENDPOINT_URL")), (Some("80"), Some("http://127.0.0.1:1")));
        assert_eq!((get("PATH"), get("HOME"), get(CARGO_LAMBDA_VAR)), (None, None, None));
    }

    #[tokio::test]
    async fn error_of_ended_process_has_end_of_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such setting >&2; exit 3"]);
        let mut process = Process::start("optimizer", command, folder.path()).unwrap();
        let message = process.wait_for_port(1).await.unwrap_err().to_string();
        assert!(message.contains("exit status: 3") && message.contains("no such setting"), "{message}");
    }
}
