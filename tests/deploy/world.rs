//! A checkout to deploy from, an AWS to deploy to, and queries of the result.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::ministack::MiniStack;

pub const STACK: &str = "karui-under-test";
pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");

pub fn tool(variable: &str) -> PathBuf {
    let path =
        std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} must name a program, as make test does"));
    std::path::absolute(path).unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

pub fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}:\n{}", text(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// A checkout of the files that a deployment needs, and an AWS to deploy to.
pub struct World {
    pub aws: MiniStack,
    pub checkout: TempDir,
}

impl World {
    pub async fn new() -> Self {
        let checkout = tempfile::tempdir().unwrap();
        std::fs::create_dir(checkout.path().join("scripts")).unwrap();
        for file in ["Makefile", "template.yaml", "samconfig.toml", "scripts/need-system.sh", "scripts/stack.py"] {
            std::fs::copy(Path::new(ROOT).join(file), checkout.path().join(file)).unwrap();
        }
        Self { aws: MiniStack::start_with_everything().await, checkout }
    }

    /// A command of a user with an AWS account, and none of the variables that this test was started with.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.checkout.path()).env_clear();
        let inherited = ["PATH", "RUSTUP_HOME", "CARGO_HOME"];
        command.envs(inherited.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.env("HOME", self.checkout.path()).envs(self.aws.environment());
        command
    }

    pub fn make(&self, arguments: &[&str]) -> Command {
        let environments = tool("KARUI_TEST_SAM").ancestors().nth(3).unwrap().to_owned();
        let mut command = self.command("make");
        command.args(arguments).arg(format!("STACK={STACK}")).arg(format!("VENV={}", environments.display()));
        command
    }

    /// `make deploy` of this function's file, with these parameters.
    pub fn deploy(&self, bootstrap: &Path, parameters: &str) {
        let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
        let flags = format!(
            "--no-confirm-changeset --stack-name {STACK} --parameter-overrides Architecture={arch} {parameters}"
        );
        let (arch, deploy) = (format!("ARCH={arch}"), format!("DEPLOY={flags}"));
        succeed(&mut self.make(&["deploy", &arch, &deploy, &format!("BOOTSTRAP={}", bootstrap.display())]));
    }

    /// Runs tests/deploy/aws.py, and returns boto3's answer.
    pub fn boto3(&self, arguments: &[&str]) -> Value {
        let mut command = self.command(tool("KARUI_TEST_SAM").with_file_name("python"));
        let answer = succeed(command.arg(Path::new(ROOT).join("tests/deploy/aws.py")).args(arguments));
        serde_json::from_str(&answer).unwrap()
    }

    pub fn describe(&self) -> Deployed {
        Deployed(self.boto3(&["describe", STACK]))
    }

    /// Waits until the failure queue holds an event; returns the record that it came in.
    pub async fn failure(&self, deployed: &Deployed) -> Value {
        let queue = deployed.output("FailureQueue");
        let mut messages = self.boto3(&["waiting", queue]);
        let begun = Instant::now();
        while messages.as_array().unwrap().is_empty() {
            assert!(begun.elapsed() < Duration::from_mins(10), "no event in the failure queue");
            tokio::time::sleep(Duration::from_secs(1)).await;
            messages = self.boto3(&["waiting", queue]);
        }
        messages[0].take()
    }
}

/// The deployed resources, as AWS reports them.
pub struct Deployed(pub Value);

impl Deployed {
    pub fn output(&self, name: &str) -> &str {
        self.0["outputs"][name].as_str().unwrap_or_else(|| panic!("no output {name} in {}", self.0["outputs"]))
    }

    pub fn variables(&self) -> BTreeMap<String, String> {
        serde_json::from_value(self.0["function"]["Environment"]["Variables"].clone()).unwrap()
    }

    /// Every pair of action and resource that the function's role allows.
    pub fn allowed(&self) -> BTreeSet<(String, String)> {
        let list = |value: &Value| match value {
            Value::Array(items) => items.iter().map(|item| item.as_str().unwrap().to_owned()).collect(),
            one => vec![one.as_str().unwrap().to_owned()],
        };
        let statements = self.0["statements"].as_array().unwrap();
        let pairs = statements.iter().flat_map(|statement| {
            assert_eq!((&statement["Effect"], &statement["NotAction"]), (&"Allow".into(), &Value::Null));
            let resources: Vec<String> = list(&statement["Resource"]);
            let actions: Vec<String> = list(&statement["Action"]);
            let pairs =
                actions.into_iter().map(move |action| resources.clone().into_iter().map(move |r| (action.clone(), r)));
            pairs.flatten()
        });
        pairs.collect()
    }
}
