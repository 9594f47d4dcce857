//! template.yaml, deployed: `make deploy` into `MiniStack`, fifty objects put by boto3, what kills the function and comes
//! back by `make redrive`, and `make destroy`. What is tried here is what ships, but for the machine that the function's
//! file is built for. `make test` says where the SAM CLI and cfn-lint are, by `KARUI_TEST_SAM` and `KARUI_TEST_CFN_LINT`.

#[path = "../support/mod.rs"]
mod support;

mod arrival;
mod checks;
mod world;

use std::path::Path;
use std::process::Command;

use arrival::{all_arrive, bytes, keys};
use checks::{
    buckets_and_queue_are_closed, parameters_are_documented, settings_are_accepted, settings_are_what_the_code_takes,
    the_role_allows_what_the_code_calls_and_no_more,
};
use serde_json::Value;
use world::{Deployed, ROOT, World, succeed, tool};

#[test]
fn template_is_valid() {
    let template = Path::new(ROOT).join("template.yaml");
    succeed(Command::new(tool("KARUI_TEST_CFN_LINT")).arg(&template));
    let mut sam = Command::new(tool("KARUI_TEST_SAM"));
    succeed(
        sam.args(["validate", "--lint", "--region", "us-east-1", "--template"])
            .arg(template)
            .env("SAM_CLI_TELEMETRY", "0"),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn stack_deploys_processes_images_and_is_destroyed() {
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

    world.deploy(optimizer, "MemorySize=3008");
    memory_that_does_not_do(&world, &deployed, optimizer).await;
    time_that_does_not_do(&world, &deployed, optimizer).await;

    let said = succeed(&mut world.make(&["destroy"]));
    assert!(said.contains(&format!("s3://{destination} stays")), "{said}");
    assert!(keys.len() <= arrival::keys(&s3, destination).await.len(), "images outlive the stack");
}

#[tokio::test(flavor = "multi_thread")]
async fn stack_with_foreign_destination_writes_to_it() {
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
    // The SAM CLI's own stack, and the bucket that existed before.
    assert_eq!(left["stacks"], serde_json::json!(["aws-sam-cli-managed-default"]));
    let buckets: Vec<_> = left["buckets"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(buckets.len() == 2 && buckets.contains(&"elsewhere"), "{buckets:?}");
    for kind in ["functions", "queues", "roles", "logs"] {
        assert_eq!(left[kind], serde_json::json!([]), "{kind}");
    }
}

/// The emulator leaves a function all the memory there is; a shell before it does not, as Lambda would not.
async fn memory_that_does_not_do(world: &World, deployed: &Deployed, optimizer: &Path) {
    let narrow = world.checkout.path().join("narrow");
    let script = format!("#!/bin/sh\nulimit -v 400000\nexec '{}'\n", optimizer.display());
    std::fs::write(&narrow, script).unwrap();
    world.deploy(&narrow, "MemorySize=10240");
    world.boto3(&["put-large", deployed.output("Source"), "large.png"]);
    waits_in_the_queue(world, deployed, "large.png", "Runtime.ExitError").await;
    comes_back(world, deployed, "large.png", "unchanged").await;
}

async fn time_that_does_not_do(world: &World, deployed: &Deployed, optimizer: &Path) {
    world.deploy(optimizer, "MemorySize=3008 Timeout=1");
    world.boto3(&["put-slow", deployed.output("Source"), "slow.png"]);
    // Answered before Lambda ends the function; with more time the same event is done as new.
    waits_in_the_queue(world, deployed, "slow.png", "RecordsFailed").await;
    world.deploy(optimizer, "MemorySize=3008 Timeout=300");
    comes_back(world, deployed, "slow.png", "optimized").await;
}

/// An event that failed waits in the queue.
async fn waits_in_the_queue(world: &World, deployed: &Deployed, key: &str, error: &str) {
    let (destination, s3) = (deployed.output("Destination"), world.aws.client());
    let record = world.failure(deployed).await;
    assert_eq!(record["responsePayload"]["errorType"], error, "{record}");
    assert_eq!(record["requestPayload"]["Records"][0]["s3"]["object"]["key"], key);
    assert!(s3.head_object().bucket(destination).key(key).send().await.is_err(), "not yet there");
}

/// An event that is sent again is done, and leaves the queue.
async fn comes_back(world: &World, deployed: &Deployed, key: &str, outcome: &str) {
    let (source, destination, s3) = (deployed.output("Source"), deployed.output("Destination"), world.aws.client());
    let said = succeed(&mut world.make(&["redrive"]));
    assert!(said.contains(&format!("s3://{source}/{key}: {outcome}\n1 done, 0 failed again")), "{said}");
    let is_same = bytes(&s3, source, key).await == bytes(&s3, destination, key).await;
    assert_eq!(is_same, outcome == "unchanged", "{key}");
    assert_eq!(world.boto3(&["waiting", deployed.output("FailureQueue")]), serde_json::json!([]));
}
