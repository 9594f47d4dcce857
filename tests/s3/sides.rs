//! Moves objects between any two sides by the one pipeline, with the engine and without it.

use std::sync::Arc;
use std::time::Duration;

use karui::memory::MemoryBudget;
use karui::optimize::{Effort, Options};
use karui::pipeline::{Location, Move, Moved, Overwrite, Pipeline, Policy, Task, Unstrippable};
use karui::report::{Method, Outcome, Reason, Skip};
use karui::s3::{ObjectRef, Operation};
use tempfile::TempDir;

use crate::support::faults::Fault;
use crate::support::{DESTINATION, SOURCE, TestS3};

const TIFF: &[u8] = b"II*\0\x08\0\0\0";

struct World {
    s3: TestS3,
    folder: TempDir,
}

impl World {
    async fn new() -> Self {
        Self { s3: TestS3::start().await, folder: tempfile::tempdir().unwrap() }
    }

    fn object(bucket: &str, key: &str) -> Location {
        Location::S3(ObjectRef::new(bucket, key))
    }

    fn file(&self, name: &str) -> Location {
        Location::Local(self.folder.path().join(name))
    }

    async fn put(&self, place: &Location, body: &[u8]) {
        match place {
            Location::S3(ObjectRef { bucket, key }) => {
                let put = self.s3.client(1).put_object().bucket(bucket).key(key).body(body.to_vec().into());
                put.send().await.unwrap();
            }
            Location::Local(path) => std::fs::write(path, body).unwrap(),
            Location::Stream => unreachable!("no test writes to stdout"),
        }
    }

    async fn bytes(&self, place: &Location) -> Vec<u8> {
        match place {
            Location::S3(ObjectRef { bucket, key }) => {
                let object = self.s3.client(1).get_object().bucket(bucket).key(key).send().await.unwrap();
                object.body.collect().await.unwrap().to_vec()
            }
            Location::Local(path) => std::fs::read(path).unwrap(),
            Location::Stream => unreachable!("no test writes to stdout"),
        }
    }

    async fn run(&self, policy: Policy, from: &Location, to: &Location, task: Task) -> Moved {
        let pipeline = Pipeline::new(self.s3.store(2), policy).with_root(self.folder.path().into());
        pipeline.run_move(&Move::new(from.clone(), to.clone(), task)).await
    }
}

fn quick() -> Policy {
    Policy { options: Options { effort: Effort::Fast, ..Options::default() }, ..Policy::to_bucket("") }
}

#[tokio::test]
async fn move_between_any_sides_stores_the_same_bytes() {
    let photo = std::fs::read("tests/fixtures/photo-420.jpg").unwrap();
    let world = World::new().await;
    let (object, file) = (World::object(SOURCE, "a.jpg"), world.file("a.jpg"));
    world.put(&object, &photo).await;
    world.put(&file, &photo).await;
    for (task, outcome) in [(Task::Optimize, Outcome::Optimized), (Task::Transfer, Outcome::Unchanged)] {
        let mut stored = Vec::new();
        for (from, to) in [
            (&object, World::object(DESTINATION, "from-object")),
            (&object, world.file("from-object")),
            (&file, World::object(DESTINATION, "from-file")),
        ] {
            let report = world.run(Policy { overwrite: Overwrite::Always, ..quick() }, from, &to, task).await.report;
            assert_eq!(
                (report.outcome, report.bytes_in),
                (outcome, Some(photo.len() as u64)),
                "{from} {to}: {report:?}"
            );
            stored.push(world.bytes(&to).await);
            assert_eq!(report.bytes_out, stored.last().map(|bytes| bytes.len() as u64), "{from} {to}");
        }
        assert!(stored.windows(2).all(|pair| pair[0] == pair[1]), "{task:?}");
        assert_eq!(stored[0] == photo, task == Task::Transfer);
    }
}

#[tokio::test]
async fn withhold_holds_on_every_side() {
    let world = World::new().await;
    let policy = || Policy { unstrippable: Unstrippable::Withhold, ..quick() };
    let (object, file) = (World::object(SOURCE, "a.tif"), world.file("a.tif"));
    world.put(&object, TIFF).await;
    world.put(&file, TIFF).await;
    for (from, to) in [
        (&object, World::object(DESTINATION, "a.tif")),
        (&object, world.file("out.tif")),
        (&file, World::object(DESTINATION, "a.tif")),
    ] {
        let report = world.run(policy(), from, &to, Task::Optimize).await.report;
        assert_eq!(report.reason, Some(Reason::Skipped(Skip::Withheld)), "{from} {to}");
    }
    assert!(!world.folder.path().join("out.tif").exists());
    assert_eq!(world.s3.faults.calls(Operation::PutObject), 1, "the source's own");
}

#[tokio::test]
async fn upload_overtaken_by_another_looks_again() {
    let world = World::new().await;
    let (file, to) = (world.file("a.tif"), World::object(DESTINATION, "a.tif"));
    world.put(&file, TIFF).await;
    world.s3.faults.on(Operation::PutObject, 1, Fault::Error(412, "PreconditionFailed"));
    let moved = world.run(quick(), &file, &to, Task::Optimize).await;
    assert_eq!(moved.report.outcome, Outcome::Unchanged, "{:?}", moved.report);
    assert_eq!(world.s3.faults.calls(Operation::PutObject), 2);
    assert_eq!(world.bytes(&to).await, TIFF);
}

/// The memory of an image that stays as it is is free before its relay needs some.
#[tokio::test]
async fn relay_of_unchanged_image_fits_into_any_memory() {
    let world = World::new().await;
    let (from, to) = (World::object(SOURCE, "a.jpg"), World::object(DESTINATION, "a.jpg"));
    world.put(&from, &std::fs::read("tests/fixtures/photo-420.jpg").unwrap()).await;
    world.s3.faults.always(Operation::CopyObject, Fault::Error(403, "AccessDenied"));
    let options = Options { min_savings: 100.0, ..quick().options };
    let pipeline = Pipeline::new(world.s3.store(2), Policy { options, ..quick() })
        .with_memory_budget(Arc::new(MemoryBudget::new(1)));
    let moving = Move::new(from, to, Task::Optimize);
    let moved = tokio::time::timeout(Duration::from_secs(30), pipeline.run_move(&moving)).await.unwrap();
    assert_eq!((moved.report.outcome, moved.report.method), (Outcome::Unchanged, Some(Method::Relay)));
}

#[tokio::test]
async fn store_without_conditional_writes_is_written_to() {
    let world = World::new().await;
    let (file, to) = (world.file("a.tif"), World::object(DESTINATION, "a.tif"));
    world.put(&file, TIFF).await;
    world.s3.faults.on(Operation::PutObject, 1, Fault::Error(501, "NotImplemented"));
    let report = world.run(quick(), &file, &to, Task::Optimize).await.report;
    assert_eq!(report.outcome, Outcome::Unchanged, "{report:?}");
    let sent = world.s3.faults.seen(Operation::PutObject);
    let conditions: Vec<_> = sent.iter().map(|seen| seen.header("if-none-match")).collect();
    assert_eq!(conditions, [Some("*"), None]);
}
