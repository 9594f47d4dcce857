//! The function's own program behind cargo-lambda's Runtime API, driven by `cargo lambda invoke`; S3 is the embedded one.
//! `make test` says where cargo-lambda is, by `KARUI_TEST_CARGO_LAMBDA`.

use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use crate::support::{DESTINATION, SOURCE, TestS3};
use aws_sdk_s3::primitives::ByteStream;
use karui::dev::event;
use karui::dev::function::{Function, FunctionError, Launch};
use karui::dev::server::Created;
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;

const OPTIMIZER: &str = env!("CARGO_BIN_EXE_optimizer");

struct Stage {
    s3: TestS3,
    created: UnboundedReceiver<Created>,
    function: Function,
}

impl Stage {
    async fn start() -> Self {
        let s3 = TestS3::start().await;
        let launch = Launch {
            optimizer: OPTIMIZER.into(),
            folder: s3.folder.path().join("function"),
            endpoint: s3.server.endpoint().to_owned(),
            settings: vec![("KARUI_DESTINATION_BUCKET".into(), DESTINATION.into())],
        };
        let function = Function::start(&launch).await.unwrap();
        Self { created: s3.server.subscribe(), s3, function }
    }

    /// Puts a fixture under a key; returns what a bucket would tell of it.
    async fn put(&mut self, fixture: &str, key: &str) -> Created {
        let body = std::fs::read(Path::new("tests/fixtures").join(fixture)).unwrap();
        let put = self.s3.server.client().put_object().bucket(SOURCE).key(key).body(ByteStream::from(body));
        put.send().await.unwrap();
        self.created.recv().await.unwrap()
    }

    async fn invoke(&mut self, created: &[Created]) -> Result<Value, FunctionError> {
        self.function.invoke(&event::notification(created, SystemTime::now())).await
    }

    async fn stored(&self, key: &str) -> Option<Vec<u8>> {
        let output = self.s3.server.client().get_object().bucket(DESTINATION).key(key).send().await.ok()?;
        Some(output.body.collect().await.unwrap().to_vec())
    }
}

#[tokio::test]
async fn function_optimizes_image_and_ignores_second_delivery() {
    let mut stage = Stage::start().await;
    let key = "写真/a photo (1)+2.jpg";
    let created = stage.put("photo-rotated.jpg", key).await;

    let answer = stage.invoke(std::slice::from_ref(&created)).await.unwrap();
    assert_eq!((&answer["optimized"], &answer["records"][0]["outcome"]), (&json!(1), &json!("optimized")));
    let source = std::fs::read("tests/fixtures/photo-rotated.jpg").unwrap();
    let first = stage.stored(key).await.unwrap();
    assert!(first.len() < source.len());
    assert!(karui::optimize::score(&source, &first).unwrap().effective(75.0) >= 75.0);

    let again = stage.invoke(&[created]).await.unwrap();
    assert_eq!((&again["skipped"], &again["records"][0]["reason"]), (&json!(1), &json!("already-stored")));
    assert_eq!(stage.stored(key).await.unwrap(), first);
    stage.function.stop().await;
}

#[tokio::test]
async fn function_names_failed_record_and_processes_the_others() {
    let mut stage = Stage::start().await;
    let good = stage.put("photo.png", "good.png").await;
    let bad = Created { bucket: "no-such-bucket".into(), key: "lost.png".into(), ..good.clone() };

    let Err(FunctionError::Refused(error)) = stage.invoke(&[bad, good]).await else { panic!("it must fail") };
    assert!(error.contains("s3://no-such-bucket/lost.png"), "{error}");
    assert!(!error.contains("good.png"), "{error}");
    assert!(stage.stored("good.png").await.is_some());
    stage.function.stop().await;
}

#[tokio::test]
async fn function_accepts_test_event_and_rejects_other_json() {
    let mut stage = Stage::start().await;
    let answer = stage.function.invoke(&event::test_event(SOURCE, SystemTime::now())).await.unwrap();
    assert_eq!(answer["records"], json!([]));

    let Err(FunctionError::Refused(error)) = stage.function.invoke(&json!({ "detail": 1 })).await else {
        panic!("it must fail")
    };
    assert!(error.contains("Records"), "{error}");
    stage.function.stop().await;
}

#[test]
fn function_reports_all_setting_faults_at_cold_start() {
    let output = Command::new(OPTIMIZER)
        .env_clear()
        .envs([("KARUI_QUALITY", "high!"), ("KARUI_METADTA", "all")])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    for part in ["KARUI_QUALITY: got \"high!\"", "KARUI_METADTA", "KARUI_DESTINATION_BUCKET"] {
        assert!(said.contains(part), "{part} in {said}");
    }
}
