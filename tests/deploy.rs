//! template.yaml, deployed: `make deploy` into `MiniStack`, fifty objects put by boto3, what kills the function and comes
//! back by `make redrive`, and `make destroy`. What is tried here is what ships, but for the machine that the function's
//! file is built for. `make test` says where the SAM CLI and cfn-lint are, by `KARUI_SAM` and `KARUI_CFN_LINT`.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use karui::config::{Settings, VARS};
use karui::optimize::{Format, score};
use karui::s3::{Operation, Scope, Side};
use serde_json::Value;
use support::ministack::MiniStack;
use tempfile::TempDir;

const STACK: &str = "karui-under-test";
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn tool(variable: &str) -> PathBuf {
    let path =
        std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} must name a program, as make test does"));
    std::path::absolute(path).unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}:\n{}", text(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// A checkout of what deploying needs, and an AWS to deploy to.
struct World {
    aws: MiniStack,
    checkout: TempDir,
}

impl World {
    async fn new() -> Self {
        let checkout = tempfile::tempdir().unwrap();
        std::fs::create_dir(checkout.path().join("scripts")).unwrap();
        for file in ["Makefile", "template.yaml", "samconfig.toml", "scripts/need-system.sh", "scripts/stack.py"] {
            std::fs::copy(Path::new(ROOT).join(file), checkout.path().join(file)).unwrap();
        }
        Self { aws: MiniStack::start_with_everything().await, checkout }
    }

    /// A command of a user with an AWS account, and none of the variables that this test was started with.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.checkout.path()).env_clear();
        let inherited = ["PATH", "RUSTUP_HOME", "CARGO_HOME"];
        command.envs(inherited.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.env("HOME", self.checkout.path()).envs(self.aws.environment());
        command
    }

    fn make(&self, arguments: &[&str]) -> Command {
        let environments = tool("KARUI_SAM").ancestors().nth(3).unwrap().to_owned();
        let mut command = self.command("make");
        command.args(arguments).arg(format!("STACK={STACK}")).arg(format!("VENV={}", environments.display()));
        command
    }

    /// `make deploy` of this function's file, with these parameters.
    fn deploy(&self, bootstrap: &Path, parameters: &str) {
        let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
        let flags = format!(
            "--no-confirm-changeset --stack-name {STACK} --parameter-overrides Architecture={arch} {parameters}"
        );
        let (arch, deploy) = (format!("ARCH={arch}"), format!("DEPLOY={flags}"));
        succeed(&mut self.make(&["deploy", &arch, &deploy, &format!("BOOTSTRAP={}", bootstrap.display())]));
    }

    /// What boto3 answers, see tests/deploy/aws.py.
    fn boto3(&self, arguments: &[&str]) -> Value {
        let mut command = self.command(tool("KARUI_SAM").with_file_name("python"));
        let answer = succeed(command.arg(Path::new(ROOT).join("tests/deploy/aws.py")).args(arguments));
        serde_json::from_str(&answer).unwrap()
    }

    fn describe(&self) -> Deployed {
        Deployed(self.boto3(&["describe", STACK]))
    }

    /// Waits until the queue of failures holds an event; returns the record that it came in.
    async fn failure(&self, deployed: &Deployed) -> Value {
        let queue = deployed.output("FailureQueue");
        let mut messages = self.boto3(&["waiting", queue]);
        let begun = Instant::now();
        while messages.as_array().unwrap().is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(180), "no event in the queue of failures");
            tokio::time::sleep(Duration::from_secs(1)).await;
            messages = self.boto3(&["waiting", queue]);
        }
        messages[0].take()
    }
}

/// What is there, as AWS itself tells it.
struct Deployed(Value);

impl Deployed {
    fn output(&self, name: &str) -> &str {
        self.0["outputs"][name].as_str().unwrap_or_else(|| panic!("no output {name} in {}", self.0["outputs"]))
    }

    fn variables(&self) -> BTreeMap<String, String> {
        serde_json::from_value(self.0["function"]["Environment"]["Variables"].clone()).unwrap()
    }

    /// Every pair of action and resource that the function's role allows.
    fn allowed(&self) -> BTreeSet<(String, String)> {
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

#[test]
fn the_template_is_valid() {
    let template = Path::new(ROOT).join("template.yaml");
    succeed(Command::new(tool("KARUI_CFN_LINT")).arg(&template));
    let mut sam = Command::new(tool("KARUI_SAM"));
    succeed(
        sam.args(["validate", "--lint", "--region", "us-east-1", "--template"])
            .arg(template)
            .env("SAM_CLI_TELEMETRY", "0"),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ships_is_deployed_works_and_goes() {
    let world = World::new().await;
    let optimizer = Path::new(env!("CARGO_BIN_EXE_optimizer"));
    world.deploy(optimizer, "MemorySize=3008");
    let deployed = world.describe();
    the_role_allows_what_the_code_calls_and_no_more(&deployed);
    buckets_and_queue_are_closed(&deployed);
    settings_are_what_the_code_takes(&deployed);
    parameters_are_documented(&deployed);

    let (source, destination) = (deployed.output("Source"), deployed.output("Destination"));
    let fixtures = Path::new(ROOT).join("tests/fixtures");
    let count = world.boto3(&["put", source, fixtures.to_str().unwrap()]);
    let s3 = world.aws.client();
    let keys = keys(&s3, source).await;
    assert!(keys.len() >= 50 && count == keys.len(), "{count} put, {} listed", keys.len());
    all_arrive(&s3, source, destination, &keys).await;

    memory_that_does_not_do(&world, &deployed, optimizer).await;
    time_that_does_not_do(&world, &deployed, optimizer).await;

    let said = succeed(&mut world.make(&["destroy"]));
    assert!(said.contains(&format!("s3://{destination} stays")), "{said}");
    assert!(keys.len() <= self::keys(&s3, destination).await.len(), "images outlive the stack");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_elsewhere_is_written_and_nothing_is_left_behind() {
    let world = World::new().await;
    let s3 = world.aws.client();
    s3.create_bucket().bucket("elsewhere").send().await.unwrap();
    let key = "arn:aws:kms:us-east-1:222222222222:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    let parameters = format!(
        "DestinationBucketName=elsewhere DestinationBucketOwner=222222222222 DestinationKmsKeyArn={key} \
         DestinationPrefix=light/ Prefix=photos/ Suffix=.jpg Quality=very-high MetadataPolicy=none MaxConcurrency=5"
    );
    world.deploy(Path::new(env!("CARGO_BIN_EXE_optimizer")), &parameters);
    let deployed = world.describe();
    the_role_allows_what_the_code_calls_and_no_more(&deployed);
    for action in ["kms:GenerateDataKey", "kms:Decrypt"] {
        assert!(deployed.allowed().contains(&(action.into(), key.into())), "{action}");
    }
    let variables = deployed.variables();
    for (name, value) in [
        ("KARUI_DESTINATION_OWNER", "222222222222"),
        ("KARUI_DESTINATION_KMS_KEY", key),
        ("KARUI_DESTINATION_PREFIX", "light/"),
        ("KARUI_SOURCE_PREFIX", "photos/"),
        ("KARUI_QUALITY", "very-high"),
        ("KARUI_METADATA", "none"),
    ] {
        assert_eq!(variables[name], value, "{name}");
    }
    settings_are_accepted(&variables);
    assert_eq!(deployed.0["buckets"]["DestinationBucket"], Value::Null, "none is created");
    let rules = &deployed.0["buckets"]["SourceBucket"]["triggers"][0]["Filter"]["Key"]["FilterRules"];
    assert_eq!(rules.as_array().map(Vec::len), Some(2), "{rules}");

    succeed(&mut world.make(&["destroy", "EMPTY=yes"]));
    let left = world.boto3(&["left"]);
    // What the SAM CLI keeps for the next deployment of any stack, and the bucket that was not ours.
    assert_eq!(left["stacks"], serde_json::json!(["aws-sam-cli-managed-default"]));
    let buckets: Vec<_> = left["buckets"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(buckets.len() == 2 && buckets.contains(&"elsewhere"), "{buckets:?}");
    for kind in ["functions", "queues", "roles", "logs"] {
        assert_eq!(left[kind], serde_json::json!([]), "{kind}");
    }
}

/// What the requests of src/s3 need, each on the bucket and in the scope that it is for; logs, the queue and keys besides.
fn the_role_allows_what_the_code_calls_and_no_more(deployed: &Deployed) {
    let bucket = |side| match side {
        Side::Source => deployed.output("Source"),
        Side::Destination => deployed.output("Destination"),
    };
    let grants = called_operations().into_iter().flat_map(Operation::grants);
    let needed: BTreeSet<_> = grants
        .map(|grant| {
            let objects = if grant.scope == Scope::Objects { "/*" } else { "" };
            (grant.action.to_owned(), format!("arn:aws:s3:::{}{objects}", bucket(grant.side)))
        })
        .collect();
    let allowed = deployed.allowed();
    let of_s3: BTreeSet<_> = allowed.iter().filter(|(action, _)| action.starts_with("s3:")).cloned().collect();
    assert_eq!(of_s3, needed);

    let others: BTreeSet<_> = allowed.difference(&of_s3).map(|(action, _)| action.as_str()).collect();
    let known = ["kms:Decrypt", "kms:GenerateDataKey", "logs:CreateLogStream", "logs:PutLogEvents", "sqs:SendMessage"];
    assert!(others.iter().all(|action| known.contains(action)), "{others:?}");
    for (action, resource) in &allowed {
        assert!(!action.contains('*'), "{action}");
        // The streams of the one log group have no names that could be known.
        let bare = resource.trim_end_matches("/*").trim_end_matches(":*");
        assert!(!bare.contains('*') && (!resource.ends_with(":*") || action.starts_with("logs:")), "{resource}");
    }
    assert_eq!(deployed.0["attached"], serde_json::json!([]), "no policy of AWS, which would allow more");
}

/// Every request that src/s3 sends, by its name in the SDK: `.get_object()` and then its bucket.
fn called_operations() -> BTreeSet<Operation> {
    let mut called = BTreeSet::new();
    for entry in walkdir::WalkDir::new(Path::new(ROOT).join("src")) {
        let path = entry.unwrap().into_path();
        if !path.extension().is_some_and(|extension| extension == "rs") {
            continue;
        }
        let code: String = std::fs::read_to_string(&path).unwrap().split_whitespace().collect();
        for (before, _) in code.match_indices("().bucket(").map(|(at, _)| code.split_at(at)) {
            let name = before.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
            let camel: String = name.split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect();
            let operation = Operation::ALL.into_iter().find(|operation| operation.to_string() == camel);
            called.insert(operation.unwrap_or_else(|| panic!("{} calls {name}, which has no grants", path.display())));
        }
    }
    assert!(called.len() > 5, "{called:?}");
    called
}

fn buckets_and_queue_are_closed(deployed: &Deployed) {
    for (name, bucket) in deployed.0["buckets"].as_object().unwrap() {
        assert!(bucket["public"].as_object().unwrap().values().all(|closed| *closed == true), "{name}: {bucket}");
        let algorithm = &bucket["encryption"][0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"];
        assert_eq!(algorithm, "AES256", "{name}");
        assert_eq!(bucket["policy"][0]["Condition"]["Bool"]["aws:SecureTransport"], "false", "{name}");
        let template = &deployed.0["template"]["Resources"][name];
        let rule = &template["Properties"]["LifecycleConfiguration"]["Rules"][0];
        assert!(rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"].as_u64().is_some(), "{name}: {rule}");
        assert_eq!(template["DeletionPolicy"], "RetainExceptOnCreate", "{name}");
    }
    assert_eq!(deployed.0["queue"]["SqsManagedSseEnabled"], "true");
    let policy: Value = serde_json::from_str(deployed.0["queue"]["Policy"].as_str().unwrap()).unwrap();
    assert_eq!(policy["Statement"][0]["Condition"]["Bool"]["aws:SecureTransport"], "false");
    assert_eq!(deployed.0["on_failure"]["OnFailure"]["Destination"], deployed.0["queue"]["QueueArn"]);
    assert_eq!(deployed.0["logs"][0]["retentionInDays"], 30);
    let condition = &deployed.0["may_invoke"][0]["Condition"];
    assert_eq!(condition["ArnLike"]["AWS:SourceArn"], format!("arn:aws:s3:::{}", deployed.output("Source")));
}

/// The function's variables, and the template's defaults, are the code's.
fn settings_are_what_the_code_takes(deployed: &Deployed) {
    let variables = deployed.variables();
    settings_are_accepted(&variables);
    for var in VARS.iter().filter(|var| ["KARUI_QUALITY", "KARUI_METADATA"].contains(&var.name)) {
        assert_eq!(Some(variables[var.name].as_str()), var.default, "{}", var.name);
    }
    let words = &deployed.0["template"]["Parameters"]["MetadataPolicy"]["AllowedValues"];
    for word in words.as_array().unwrap() {
        let mut variables = variables.clone();
        variables.insert("KARUI_METADATA".into(), word.as_str().unwrap().into());
        settings_are_accepted(&variables);
    }
}

fn parameters_are_documented(deployed: &Deployed) {
    let mut table = String::from("| Parameter | Default | Meaning |\n| --- | --- | --- |\n");
    for (name, parameter) in deployed.0["template"]["Parameters"].as_object().unwrap() {
        let default = match &parameter["Default"] {
            Value::String(text) if text.is_empty() => String::new(),
            Value::String(text) => format!("`{text}`"),
            other => format!("`{other}`"),
        };
        let meaning = parameter["Description"].as_str().unwrap();
        table += &format!("| `{name}` | {default} | {meaning} |\n");
    }
    let docs = include_str!("../docs/deploy.md");
    let (_, rest) =
        docs.split_once("<!-- parameters -->\n").expect("docs/deploy.md has the marker <!-- parameters -->");
    let (documented, _) = rest.split_once("<!-- /parameters -->").unwrap();
    let rows = |table: &str| table.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    assert!(rows(documented) == rows(&table), "put this between the markers of docs/deploy.md:\n\n{table}");
}

fn settings_are_accepted(variables: &BTreeMap<String, String>) {
    Settings::parse(variables.clone()).unwrap_or_else(|faults| panic!("{faults}"));
}

async fn keys(s3: &Client, bucket: &str) -> Vec<String> {
    let listed = s3.list_objects_v2().bucket(bucket).send().await.unwrap();
    assert_ne!(listed.is_truncated(), Some(true));
    listed.contents().iter().map(|object| object.key().unwrap().to_owned()).collect()
}

async fn bytes(s3: &Client, bucket: &str, key: &str) -> Vec<u8> {
    let output = s3.get_object().bucket(bucket).key(key).send().await.unwrap();
    output.body.collect().await.unwrap().to_vec()
}

/// What is at the destination, once it is there for what is at the source by now.
async fn arrived(s3: &Client, source: &HeadObjectOutput, destination: &str, key: &str) -> HeadObjectOutput {
    let begun = Instant::now();
    loop {
        if let Ok(head) = s3.head_object().bucket(destination).key(key).send().await {
            let of = head.metadata().and_then(|metadata| metadata.get("karui-source-etag"));
            if of.map(String::as_str) == source.e_tag().map(|etag| etag.trim_matches('"')) {
                return head;
            }
        }
        assert!(begun.elapsed() < Duration::from_secs(180), "{key} does not arrive");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Every object, once, right, and with all that belongs to it.
async fn all_arrive(s3: &Client, source: &str, destination: &str, keys: &[String]) {
    let mut optimized = 0;
    for key in keys {
        let from = s3.head_object().bucket(source).key(key).send().await.unwrap();
        let to = arrived(s3, &from, destination, key).await;
        let (before, after) = (bytes(s3, source, key).await, bytes(s3, destination, key).await);
        let metadata = to.metadata().unwrap();
        if metadata["karui-method"] == "copy" {
            assert!(before == after, "{key}: a copy is exact");
        } else {
            optimized += 1;
            assert!(after.len() < before.len(), "{key}: {} to {} bytes", before.len(), after.len());
            let score = score(&before, &after).unwrap();
            assert!(score >= 75.0, "{key}: {score}");
        }
        let encoded = from.content_encoding().is_some();
        let mime = Format::sniff(&before).filter(|_| !encoded).map(Format::mime);
        assert_eq!(to.content_type(), mime.or(from.content_type()), "{key}");
        let rest = |head: &HeadObjectOutput| {
            let texts = [
                head.cache_control(),
                head.content_disposition(),
                head.content_language(),
                head.content_encoding(),
                head.website_redirect_location(),
                head.storage_class().map(aws_sdk_s3::types::StorageClass::as_str),
            ];
            let own = head.metadata().into_iter().flatten().filter(|(name, _)| !name.starts_with("karui-"));
            let own: BTreeMap<_, _> = own.map(|(name, value)| (name.clone(), value.clone())).collect();
            (texts.map(|text| text.map(str::to_owned)), own)
        };
        assert_eq!(rest(&to), rest(&from), "{key}");
        assert_eq!(tags(s3, destination, key).await, tags(s3, source, key).await, "{key}");
    }
    assert_eq!(self::keys(s3, destination).await, keys, "nothing else is there");
    assert!(optimized >= 20, "only {optimized} were made lighter");
    let open = s3.list_multipart_uploads().bucket(destination).send().await.unwrap();
    assert!(open.uploads().is_empty());
}

async fn tags(s3: &Client, bucket: &str, key: &str) -> BTreeMap<String, String> {
    let output = s3.get_object_tagging().bucket(bucket).key(key).send().await.unwrap();
    output.tag_set().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect()
}

/// The emulator leaves a function all the memory there is; a shell before it does not, as Lambda would not.
async fn memory_that_does_not_do(world: &World, deployed: &Deployed, optimizer: &Path) {
    let narrow = world.checkout.path().join("narrow");
    let script = format!("#!/bin/sh\nulimit -v 400000\nexec '{}'\n", optimizer.display());
    std::fs::write(&narrow, script).unwrap();
    world.deploy(&narrow, "MemorySize=10240");
    world.boto3(&["put-large", deployed.output("Source"), "large.png"]);
    comes_back(world, deployed, "large.png", "Runtime.ExitError").await;
}

async fn time_that_does_not_do(world: &World, deployed: &Deployed, optimizer: &Path) {
    world.deploy(optimizer, "MemorySize=3008 Timeout=1");
    world.boto3(&["put-slow", deployed.output("Source"), "slow.png"]);
    comes_back(world, deployed, "slow.png", "Sandbox.Timedout").await;
}

/// What killed the function waits in the queue, and arrives as it is when it is sent again.
async fn comes_back(world: &World, deployed: &Deployed, key: &str, error: &str) {
    let (source, destination) = (deployed.output("Source"), deployed.output("Destination"));
    let s3 = world.aws.client();
    let record = world.failure(deployed).await;
    assert_eq!(record["responsePayload"]["errorType"], error, "{record}");
    assert_eq!(record["requestPayload"]["Records"][0]["s3"]["object"]["key"], key);
    assert!(s3.head_object().bucket(destination).key(key).send().await.is_err(), "not yet there");

    let said = succeed(&mut world.make(&["redrive"]));
    assert!(said.contains(&format!("s3://{source}/{key}: unchanged\n1 done, 0 failed again")), "{said}");
    assert!(bytes(&s3, source, key).await == bytes(&s3, destination, key).await, "{key}");
    assert_eq!(world.boto3(&["waiting", deployed.output("FailureQueue")]), serde_json::json!([]));
}
