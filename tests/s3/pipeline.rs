//! Tests the pipeline against an S3 in this process.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::support::faults::Fault;
use crate::support::{DESTINATION, MIB, SOURCE, TestS3};
use aws_sdk_s3::Client;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use karui::lambda::handle;
use karui::optimize::{Effort, ImageError, Limit, MetadataPolicy, Options, Quality, score};
use karui::pipeline::report::{Outcome, Report};
use karui::pipeline::{Job, KeyTemplate, Overwrite, Pipeline, Policy, TagPolicy, Task, Unstrippable};
use karui::s3::{self, BucketConfig, Caller, ETag, Encryption, ObjectRef, Operation, Pair, TransferConfig};
use serde_json::{Value, json};

const DENIED: Fault = Fault::ErrorSaying(403, "AccessDenied", "Access Denied");

/// Requests before a bucket's first object is written.
const READ: [Operation; 3] = [Operation::HeadObject, Operation::GetObject, Operation::GetObjectTagging];

/// Two buckets, and events of what is put into the first.
struct World {
    s3: TestS3,
    client: Client,
}

impl World {
    async fn new() -> Self {
        let s3 = TestS3::start().await;
        Self { client: s3.client(1), s3 }
    }

    fn pipeline(&self, policy: Policy) -> Pipeline {
        Pipeline::new(self.s3.store(2), policy)
    }

    fn put(&self, key: &str, body: &[u8]) -> PutObjectFluentBuilder {
        self.client.put_object().bucket(SOURCE).key(key).body(body.to_vec().into())
    }

    /// Stores a source, and tells of it as an event would.
    async fn job(&self, key: &str, body: &[u8]) -> Job {
        self.told(key, self.put(key, body), body.len()).await
    }

    async fn told(&self, key: &str, put: PutObjectFluentBuilder, size: usize) -> Job {
        let output = put.send().await.unwrap();
        self.s3.faults.clear();
        Job {
            source: ObjectRef::new(SOURCE, key),
            etag: output.e_tag().map(ETag::new),
            size: Some(size as u64),
            sequencer: Some("0055AED6DCD90281E5".into()),
            task: Task::Optimize,
        }
    }

    async fn run(&self, job: &Job) -> Report {
        self.pipeline(Policy::to_bucket(DESTINATION)).run(job, None).await
    }

    /// Requests to S3 since the source was stored. The function may send each of them.
    fn calls(&self) -> Vec<Operation> {
        let calls: Vec<_> = self.s3.faults.all_seen().iter().map(|seen| seen.operation.unwrap()).collect();
        assert!(calls.iter().all(|call| call.callers().contains(&Caller::Function)), "{calls:?}");
        calls
    }

    /// A header of the only request of this operation.
    fn header(&self, operation: Operation, name: &str) -> Option<String> {
        let seen = self.s3.faults.seen(operation);
        assert_eq!(seen.len(), 1, "{operation}");
        seen[0].header(name).map(Into::into)
    }

    async fn arrived(&self, key: &str) -> Option<HeadObjectOutput> {
        self.client.head_object().bucket(DESTINATION).key(key).send().await.ok()
    }

    async fn bytes(&self, key: &str) -> Vec<u8> {
        let output = self.client.get_object().bucket(DESTINATION).key(key).send().await.unwrap();
        output.body.collect().await.unwrap().to_vec()
    }
}

fn reason(report: &Report) -> &str {
    report.reason.as_deref().unwrap_or_default()
}

fn metadata(head: &HeadObjectOutput) -> BTreeMap<String, String> {
    head.metadata().unwrap().clone().into_iter().collect()
}

// What arrives

#[tokio::test]
async fn other_file_is_copied_with_its_attributes() {
    let world = World::new().await;
    let put = world.put("notes.txt", b"no image").content_type("text/plain").cache_control("max-age=60");
    let put = put.content_disposition("attachment").content_language("ja").metadata("artist", "Ueda");
    let job = world.told("notes.txt", put, 8).await;

    let report = world.run(&job).await;

    assert_eq!((report.outcome, reason(&report)), (Outcome::Unchanged, "not-an-image"), "{report:?}");
    assert_eq!((report.bytes_in, report.bytes_out), (Some(8), Some(8)));
    assert_eq!(report.destination.as_deref(), Some("s3://destination/notes.txt"));
    assert_eq!(report.metadata.as_deref(), Some("kept"));
    assert_eq!(world.calls(), [&READ[..], &[Operation::CopyObject, Operation::HeadObject]].concat());
    assert_eq!(world.bytes("notes.txt").await, b"no image");
    let head = world.arrived("notes.txt").await.unwrap();
    assert_eq!(head.content_type(), Some("text/plain"));
    assert_eq!(head.cache_control(), Some("max-age=60"));
    assert_eq!(head.content_disposition(), Some("attachment"));
    assert_eq!(head.content_language(), Some("ja"));
    let metadata = metadata(&head);
    assert_eq!(metadata["artist"], "Ueda");
    assert_eq!(metadata["karui-source-etag"], job.etag.unwrap().as_str());
    assert_eq!(metadata["karui-original-size"], "8");
    assert_eq!(metadata["karui-method"], "copy");
    assert_eq!(metadata["karui-sequencer"], "0055AED6DCD90281E5");
    assert_eq!(metadata["karui-version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(metadata["karui-options"].len(), 16);
}

#[tokio::test]
async fn image_is_optimized_to_the_target_score() {
    let world = World::new().await;
    for (key, kind) in [("photo-p3-gps.jpg", "image/jpeg"), ("photo.png", "image/png")] {
        let source = std::fs::read(format!("{}/tests/fixtures/{key}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let put = world.put(key, &source).cache_control("max-age=60").metadata("artist", "Ueda");
        let job = world.told(key, put, source.len()).await;

        let report = world.run(&job).await;

        assert_eq!(report.outcome, Outcome::Optimized, "{report:?}");
        assert_eq!(world.calls(), [&READ[..], &[Operation::PutObject]].concat());
        assert_eq!(world.header(Operation::PutObject, "if-none-match").unwrap(), "*");
        let stored = world.bytes(key).await;
        assert!(stored.len() < source.len());
        assert_eq!((report.bytes_in, report.bytes_out), (Some(source.len() as u64), Some(stored.len() as u64)));
        let Quality::Target(promised) = Quality::DEFAULT else { panic!("the default is lossy") };
        assert!(score(&source, &stored).unwrap().effective(promised) >= promised, "{report:?}");
        assert_ne!(report.metadata.as_deref(), Some("kept"));
        let head = world.arrived(key).await.unwrap();
        assert_eq!((head.content_type(), head.cache_control()), (Some(kind), Some("max-age=60")));
        let metadata = metadata(&head);
        assert_eq!(metadata["artist"], "Ueda");
        assert_eq!(Some(metadata["karui-method"].as_str()), report.method.as_deref());
        assert_eq!(metadata["karui-original-size"], source.len().to_string());
        assert!(metadata["karui-score"].parse::<f64>().unwrap() >= promised);

        world.s3.faults.clear();
        assert_eq!(world.run(&job).await.outcome, Outcome::Skipped);
        assert_eq!(world.calls(), [Operation::HeadObject], "a repeat costs one HEAD");
    }
}

#[tokio::test]
async fn image_gets_its_true_content_type() {
    let world = World::new().await;
    let tiff = b"II*\0\x08\0\0\0";
    let job = world.told("a.jpg", world.put("a.jpg", tiff).content_type("image/jpeg"), tiff.len()).await;

    let report = world.run(&job).await;

    assert_eq!((report.outcome, reason(&report)), (Outcome::Unchanged, "format-not-rewritten"));
    assert_eq!(report.format, Some("tiff"));
    assert_eq!(world.arrived("a.jpg").await.unwrap().content_type(), Some("image/tiff"));
}

#[tokio::test]
async fn malformed_image_is_copied() {
    let world = World::new().await;
    let report = world.run(&world.job("a.jpg", b"\xff\xd8\xff and no more").await).await;

    assert_eq!(report.outcome, Outcome::Unchanged, "{report:?}");
    assert_eq!(report.format, Some("jpeg"));
    assert_eq!(world.bytes("a.jpg").await, b"\xff\xd8\xff and no more");
    assert_eq!(world.arrived("a.jpg").await.unwrap().content_type(), Some("image/jpeg"));
}

#[tokio::test]
async fn encoded_body_is_copied() {
    let world = World::new().await;
    let put = world.put("a.jpg", b"\xff\xd8\xff").content_encoding("gzip").content_type("text/html");
    let report = world.run(&world.told("a.jpg", put, 3).await).await;

    assert_eq!((report.outcome, reason(&report)), (Outcome::Unchanged, "content-encoding"));
    let head = world.arrived("a.jpg").await.unwrap();
    assert_eq!((head.content_encoding(), head.content_type()), (Some("gzip"), Some("text/html")));
}

#[tokio::test]
async fn empty_object_is_copied() {
    let world = World::new().await;
    for key in ["empty.jpg", "folder/"] {
        let report = world.run(&world.job(key, b"").await).await;
        assert_eq!((report.outcome, reason(&report)), (Outcome::Unchanged, "empty"), "{key}: {report:?}");
        assert_eq!(world.arrived(key).await.unwrap().content_length(), Some(0), "{key}");
    }
}

#[tokio::test]
async fn any_key_is_processed() {
    let world = World::new().await;
    for key in ["a b.txt", "a+b.txt", "a%2Bb.txt", "(1).txt", "軽い.txt", "../up.txt", "a//b.txt", &"k".repeat(1024)]
    {
        let report = world.run(&world.job(key, key.as_bytes()).await).await;
        assert_eq!(report.outcome, Outcome::Unchanged, "{key}: {report:?}");
        assert_eq!(world.bytes(key).await, key.as_bytes(), "{key}");
    }
}

#[tokio::test]
async fn key_too_long_with_its_prefix_fails() {
    let world = World::new().await;
    let policy = Policy { destination_key: KeyTemplate::under("small/"), ..Policy::to_bucket(DESTINATION) };
    let job = Job {
        source: ObjectRef::new(SOURCE, "k".repeat(1024)),
        etag: None,
        size: None,
        sequencer: None,
        task: Task::Optimize,
    };

    let report = world.pipeline(policy).run(&job, None).await;

    assert_eq!((report.outcome, report.class), (Outcome::Failed, Some("retryable")));
    assert!(reason(&report).contains("has 1030 bytes, S3 allows 1024"), "{report:?}");
    assert!(world.calls().is_empty());
}

#[tokio::test]
async fn object_over_a_limit_is_copied_unread() {
    let world = World::new().await;
    let mut policy = Policy::to_bucket(DESTINATION);
    policy.options.limits.bytes = 10;
    let body = b"\xff\xd8\xff 12 bytes";
    let mut job = world.job("a.jpg", body).await;

    for size in [job.size, None] {
        job.size = size;
        let report = world.pipeline(policy.clone()).run(&job, None).await;
        let over = ImageError::LimitExceeded { limit: Limit::Bytes, value: 12, max: 10 };
        assert_eq!((report.outcome, reason(&report)), (Outcome::Unchanged, over.to_string().as_str()), "{report:?}");
        assert_eq!(report.class, Some("permanent"));
        assert_eq!(world.bytes("a.jpg").await, body);
        world.client.delete_object().bucket(DESTINATION).key("a.jpg").send().await.unwrap();
    }
}

#[tokio::test]
async fn withhold_stores_no_file_with_kept_metadata() {
    let world = World::new().await;
    let mut policy = Policy { unstrippable: Unstrippable::Withhold, ..Policy::to_bucket(DESTINATION) };
    let job = world.job("a.tif", b"II*\0\x08\0\0\0").await;

    let report = world.pipeline(policy.clone()).run(&job, None).await;
    assert_eq!((report.outcome, reason(&report)), (Outcome::Skipped, "withheld"));
    assert!(world.arrived("a.tif").await.is_none());

    policy.options.metadata = MetadataPolicy::All;
    assert_eq!(world.pipeline(policy).run(&job, None).await.outcome, Outcome::Unchanged);
    assert!(world.arrived("a.tif").await.is_some());
}

// Repeats, stale events, forgeries, loops

#[tokio::test]
async fn repeated_event_costs_one_head() {
    let world = World::new().await;
    let job = world.job("a.txt", b"text").await;
    world.run(&job).await;
    let first = world.arrived("a.txt").await.unwrap();
    world.s3.faults.clear();

    let report = world.run(&job).await;

    assert_eq!(world.calls(), [Operation::HeadObject]);
    assert_eq!((report.outcome, reason(&report)), (Outcome::Skipped, "already-stored"));
    assert_eq!(world.arrived("a.txt").await.unwrap().last_modified(), first.last_modified());
}

#[tokio::test]
async fn same_bytes_with_new_attributes_are_processed() {
    let world = World::new().await;
    world.run(&world.job("a.txt", b"text").await).await;
    let put = world.put("a.txt", b"text").cache_control("no-store");
    let again = Job { sequencer: Some("0055AED6DCD90281E6".into()), ..world.told("a.txt", put, 4).await };

    assert_eq!(world.run(&again).await.outcome, Outcome::Unchanged);
    assert_eq!(world.arrived("a.txt").await.unwrap().cache_control(), Some("no-store"));
}

#[tokio::test]
async fn other_options_replace_the_result() {
    let world = World::new().await;
    let job = world.job("a.txt", b"text").await;
    world.run(&job).await;
    let mut policy = Policy::to_bucket(DESTINATION);
    policy.options.min_savings = 10.0;
    assert_eq!(world.pipeline(policy).run(&job, None).await.outcome, Outcome::Unchanged);
}

#[tokio::test]
async fn stale_event_is_skipped() {
    let world = World::new().await;
    let old = world.job("a.txt", b"old").await;
    let new = world.job("a.txt", b"new").await;
    world.run(&new).await;

    let report = world.run(&old).await;

    assert_eq!((report.outcome, reason(&report)), (Outcome::Skipped, "source-replaced"), "{report:?}");
    assert_eq!(world.bytes("a.txt").await, b"new");
}

#[tokio::test]
async fn missing_source_is_skipped() {
    let world = World::new().await;
    let job = world.job("a.txt", b"text").await;
    world.client.delete_object().bucket(SOURCE).key("a.txt").send().await.unwrap();

    let report = world.run(&job).await;

    assert_eq!((report.outcome, reason(&report)), (Outcome::Skipped, "source-gone"), "{report:?}");
    assert_eq!(report.class, None);
}

#[tokio::test]
async fn source_deleted_before_the_copy_is_skipped() {
    let world = World::new().await;
    let job = world.job("a.txt", b"text").await;
    world.s3.faults.always(Operation::CopyObject, Fault::Error(404, "NoSuchKey"));
    world.s3.faults.on(Operation::HeadObject, 2, Fault::Error(404, "NoSuchKey"));

    let report = world.run(&job).await;

    assert_eq!((report.outcome, reason(&report)), (Outcome::Skipped, "source-gone"), "{report:?}");
}

#[tokio::test]
async fn forged_marker_on_the_source_is_ignored() {
    let world = World::new().await;
    let honest = world.job("honest.txt", b"text").await;
    world.run(&honest).await;
    let marker = metadata(&world.arrived("honest.txt").await.unwrap());
    let mut put = world.put("forged.txt", b"text").metadata("karui-else", "x");
    for (name, value) in &marker {
        put = put.metadata(name, if name == "karui-original-size" { "1" } else { value });
    }
    let forged = world.told("forged.txt", put, 4).await;

    assert_eq!(world.run(&forged).await.outcome, Outcome::Unchanged);
    assert_eq!(metadata(&world.arrived("forged.txt").await.unwrap()), marker);
}

#[tokio::test]
async fn destination_equal_to_source_is_skipped() {
    let world = World::new().await;
    let job = world.job("small/a.txt", b"text").await;
    for prefix in ["", "small/"] {
        let policy = Policy { destination_key: KeyTemplate::under(prefix), ..Policy::to_bucket(SOURCE) };
        let report = world.pipeline(policy).run(&job, None).await;
        assert_eq!((report.outcome, reason(&report)), (Outcome::Skipped, "destination-is-source"));
    }
    assert!(world.calls().is_empty());
}

// S3's own states

#[tokio::test]
async fn unreadable_source_fails_with_its_remedy() {
    let ssec = "The object was stored using a form of Server Side Encryption. The correct parameters must be provided";
    let kms = "User: arn:aws:sts::1:x is not authorized to perform: kms:Decrypt on resource: key";
    for (status, code, message, advice) in [
        (403, "InvalidObjectState", "not valid for the object's storage class", "restore it first"),
        (400, "InvalidRequest", ssec, "SSE-C"),
        (403, "AccessDenied", kms, "grant kms:Decrypt"),
        (403, "AccessDenied", "Access Denied", "grant s3:GetObject on arn:aws:s3:::source/*"),
        (404, "NoSuchBucket", "gone", "there is no bucket source"),
    ] {
        let world = World::new().await;
        let job = world.job("a.jpg", b"\xff\xd8\xff").await;
        world.s3.faults.always(Operation::GetObject, Fault::ErrorSaying(status, code, message));

        let report = world.run(&job).await;

        assert_eq!((report.outcome, report.class), (Outcome::Failed, Some("retryable")), "{code}: {report:?}");
        assert!(reason(&report).contains("s3://source/a.jpg"), "{report:?}");
        assert!(reason(&report).contains(advice), "{report:?}");
        world.s3.faults.clear();
        assert!(world.arrived("a.jpg").await.is_none());
        assert_eq!(world.run(&job).await.outcome, Outcome::Unchanged, "a retry succeeds");
    }
}

#[tokio::test]
async fn missing_destination_bucket_fails_with_its_name() {
    let world = World::new().await;
    let job = world.job("a.txt", b"text").await;
    let report = world.pipeline(Policy::to_bucket("no-such-bucket")).run(&job, None).await;

    assert_eq!((report.outcome, report.class), (Outcome::Failed, Some("retryable")));
    assert!(reason(&report).contains("no bucket no-such-bucket"), "{report:?}");
}

#[tokio::test]
async fn truncated_body_is_never_stored() {
    let world = World::new().await;
    let body = [b"\xff\xd8\xff".as_slice(), &[0; 10_000]].concat();
    let job = world.job("a.jpg", &body).await;
    world.s3.faults.always(Operation::GetObject, Fault::Cut(5000));

    let report = world.run(&job).await;

    assert_eq!((report.outcome, report.class), (Outcome::Failed, Some("retryable")), "{report:?}");
    world.s3.faults.clear();
    assert!(world.arrived("a.jpg").await.is_none());
    assert_eq!(world.run(&job).await.outcome, Outcome::Unchanged);
    assert_eq!(world.bytes("a.jpg").await, body);
}

#[tokio::test]
async fn destination_without_head_is_written_unconditionally() {
    let world = World::new().await;
    let job = world.job("a.txt", b"text").await;
    world.s3.faults.always(Operation::HeadObject, DENIED);

    assert_eq!(world.run(&job).await.outcome, Outcome::Unchanged);
    assert_eq!(world.header(Operation::CopyObject, "if-match"), None);
    assert_eq!(world.header(Operation::CopyObject, "if-none-match"), None);
}

#[tokio::test]
async fn write_is_conditional_on_the_head() {
    let world = World::new().await;
    let first = world.job("a.txt", b"first").await;
    world.run(&first).await;
    assert_eq!(world.header(Operation::CopyObject, "if-none-match").unwrap(), "*");

    let second = world.job("a.txt", b"second").await;
    let stored = world.arrived("a.txt").await.unwrap().e_tag.unwrap();
    world.run(&second).await;
    assert_eq!(world.header(Operation::CopyObject, "if-match").unwrap(), stored);
    assert_eq!(world.bytes("a.txt").await, b"second");
}

#[tokio::test]
async fn concurrent_jobs_on_one_key_keep_the_newer_source() {
    let world = World::new().await;
    let photo = std::fs::read("tests/fixtures/photo.png").unwrap();
    let writes = || world.s3.faults.calls(Operation::PutObject);

    // The older one is at its write when the newer one comes, and does all its work meanwhile.
    let older = world.job("a", &photo).await;
    world.s3.faults.on(Operation::PutObject, 1, Fault::Hold);
    let (slow, quick) = tokio::join!(world.run(&older), async {
        while writes() == 0 {
            tokio::task::yield_now().await;
        }
        let put = world.put("a", b"newer").send().await.unwrap();
        let newer = Job { etag: put.e_tag().map(ETag::new), size: None, ..older.clone() };
        let report = world.run(&newer).await;
        world.s3.faults.release();
        report
    });
    assert_eq!(quick.outcome, Outcome::Unchanged, "{quick:?}");
    assert_eq!((slow.outcome, reason(&slow)), (Outcome::Skipped, "source-replaced"), "{slow:?}");
    assert_eq!(world.bytes("a").await, b"newer");

    // The newer one is at its write when the older one, whatever it was, is done with its own.
    let newer = world.job("b", &photo).await;
    world.s3.faults.on(Operation::PutObject, 1, Fault::Hold);
    let (slow, ()) = tokio::join!(world.run(&newer), async {
        while writes() == 0 {
            tokio::task::yield_now().await;
        }
        let older = world.client.put_object().bucket(DESTINATION).key("b").body(photo.clone().into());
        older.send().await.unwrap();
        world.s3.faults.release();
    });
    assert_eq!(slow.outcome, Outcome::Optimized, "{slow:?}");
    assert_eq!(Some(world.bytes("b").await.len() as u64), slow.bytes_out);
}

#[tokio::test]
async fn job_that_keeps_losing_writes_is_retryable() {
    let world = World::new().await;
    let job = world.job("a.txt", b"text").await;
    world.s3.faults.always(Operation::CopyObject, Fault::Error(412, "PreconditionFailed"));

    let report = world.run(&job).await;

    assert_eq!((report.outcome, report.class), (Outcome::Failed, Some("retryable")), "{report:?}");
    world.s3.faults.clear();
    assert_eq!(world.run(&job).await.outcome, Outcome::Unchanged);
}

// Tags

#[tokio::test]
async fn uncopyable_tags_are_dropped_with_a_warning() {
    let world = World::new().await;
    let job = world.job("a.txt", b"text").await;
    world.s3.faults.on(Operation::CopyObject, 1, DENIED);

    let report = world.run(&job).await;

    assert_eq!(report.outcome, Outcome::Unchanged, "{report:?}");
    let directives: Vec<_> = world.s3.faults.seen(Operation::CopyObject);
    let directives = directives.iter().map(|seen| seen.header("x-amz-tagging-directive").unwrap());
    assert_eq!(directives.collect::<Vec<_>>(), ["COPY", "REPLACE"]);
    assert_eq!(report.warnings.len(), 1);
    assert!(report.warnings[0].starts_with("tags dropped: CopyObject s3://destination/a.txt"), "{report:?}");
    assert_eq!(world.bytes("a.txt").await, b"text");
}

/// A reader that has s3:GetObject on somebody else's bucket and nothing more: all arrives but the tags.
#[tokio::test]
async fn unreadable_tags_are_dropped_with_one_warning() {
    let photo = std::fs::read("tests/fixtures/photo.png").unwrap();
    for (body, outcome) in [(&b"text"[..], Outcome::Unchanged), (&photo, Outcome::Optimized)] {
        let world = World::new().await;
        let job = world.job("a", body).await;
        world.s3.faults.always(Operation::GetObjectTagging, DENIED);

        let report = world.run(&job).await;

        assert_eq!((report.outcome, report.warnings.len()), (outcome, 1), "{report:?}");
        let want = "tags dropped, if there were any: GetObjectTagging s3://source/a: access denied; grant \
            s3:GetObjectTagging on arn:aws:s3:::source/*";
        assert!(report.warnings[0].starts_with(want), "{report:?}");
        assert!(world.arrived("a").await.is_some());
        for copy in world.s3.faults.seen(Operation::CopyObject) {
            assert_eq!(copy.header("x-amz-tagging-directive"), Some("REPLACE"));
        }
    }
}

#[tokio::test]
async fn tag_count_of_readable_bucket_is_trusted() {
    let world = World::new().await;
    let jobs = [world.job("a.txt", b"a").await, world.job("b.txt", b"b").await];
    let pipeline = world.pipeline(Policy::to_bucket(DESTINATION));
    for job in &jobs {
        pipeline.run(job, None).await;
    }
    assert_eq!(world.s3.faults.calls(Operation::GetObjectTagging), 1);
}

#[tokio::test]
async fn write_denied_with_and_without_tags_fails() {
    let world = World::new().await;
    let job = world.job("a.txt", b"text").await;
    world.s3.faults.always(Operation::CopyObject, DENIED);
    world.s3.faults.always(Operation::PutObject, DENIED);

    let report = world.run(&job).await;

    assert_eq!((report.outcome, report.warnings.len()), (Outcome::Failed, 0), "{report:?}");
    assert!(reason(&report).contains("s3:PutObject"), "{report:?}");
}

#[tokio::test]
async fn unreadable_required_tags_fail() {
    let world = World::new().await;
    let policy = Policy { tags: TagPolicy::Require, ..Policy::to_bucket(DESTINATION) };
    let job = world.job("a.txt", b"text").await;
    world.s3.faults.always(Operation::GetObjectTagging, DENIED);

    let report = world.pipeline(policy).run(&job, None).await;
    assert_eq!((report.outcome, report.class), (Outcome::Failed, Some("retryable")));
    assert!(reason(&report).contains("s3:GetObjectTagging"), "{report:?}");

    world.s3.faults.clear();
    assert!(world.arrived("a.txt").await.is_none());
}

// The destination's own

#[tokio::test]
async fn overwrite_policy_decides_about_existing_objects() {
    let world = World::new().await;
    let run = async |job: &Job, overwrite| {
        let policy = Policy { overwrite, ..Policy::to_bucket(DESTINATION) };
        world.pipeline(policy).run(job, None).await
    };
    let first = world.job("a.txt", b"first").await;
    assert_eq!(run(&first, Overwrite::Never).await.outcome, Outcome::Unchanged);
    assert_eq!(reason(&run(&first, Overwrite::Never).await), "already-stored");

    let second = world.job("a.txt", b"second").await;
    let report = run(&second, Overwrite::Never).await;
    assert_eq!((report.outcome, reason(&report)), (Outcome::Skipped, "not-overwritten"));
    // Without HEAD, the conditional write finds it.
    world.s3.faults.on(Operation::HeadObject, 1, Fault::Error(403, "AccessDenied"));
    let report = run(&second, Overwrite::Never).await;
    assert_eq!((report.outcome, reason(&report)), (Outcome::Skipped, "not-overwritten"));
    assert_eq!(world.bytes("a.txt").await, b"first");

    assert_eq!(run(&second, Overwrite::IfOlder).await.outcome, Outcome::Unchanged);
    assert_eq!(world.bytes("a.txt").await, b"second");
    assert_eq!(reason(&run(&second, Overwrite::IfOlder).await), "already-stored");
    world.s3.faults.clear();
    assert_eq!(run(&second, Overwrite::Always).await.outcome, Outcome::Unchanged);
    assert_eq!(world.s3.faults.all_seen()[0].operation, Some(Operation::GetObject), "nobody looks first");
    assert_eq!(world.header(Operation::CopyObject, "if-match"), None);
}

#[tokio::test]
async fn results_have_configured_class_headers_and_keys() {
    let photo = std::fs::read("tests/fixtures/photo.png").unwrap();
    let policy = Policy {
        destination_key: "small/{dir}{stem}-light{ext}".parse().unwrap(),
        // The folder knows no other but STANDARD.
        storage_class: Some("REDUCED_REDUNDANCY".into()),
        cache_control: Some("max-age=60".into()),
        ..Policy::to_bucket(DESTINATION)
    };
    let protection = BucketConfig {
        encryption: Some(Encryption::SseS3),
        acl: Some("bucket-owner-full-control".into()),
        ..BucketConfig::default()
    };
    for (body, operation) in [(&b"text"[..], Operation::CopyObject), (&photo, Operation::PutObject)] {
        let world = World::new().await;
        let put = world.put("a/b.png", body).cache_control("no-store");
        let job = world.told("a/b.png", put, body.len()).await;
        world.s3.faults.forget_seen();
        let store = world.s3.store(1).with_buckets(BucketConfig::default(), protection.clone());
        let report = Pipeline::new(store, policy.clone()).run(&job, None).await;

        assert_ne!(report.outcome, Outcome::Failed, "{report:?}");
        assert_eq!(report.destination.as_deref(), Some("s3://destination/small/a/b-light.png"));
        for (header, value) in [
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ("cache-control", "max-age=60"),
            ("x-amz-server-side-encryption", "AES256"),
            ("x-amz-acl", "bucket-owner-full-control"),
        ] {
            assert_eq!(world.header(operation, header).as_deref(), Some(value), "{operation}: {header}");
        }
    }
}

// Two accounts

/// Each side has a store of its own here, as each may have a principal that the other does not know.
#[tokio::test]
async fn each_side_uses_its_own_principal() {
    let photo = std::fs::read("tests/fixtures/photo.png").unwrap();
    for body in [&b"text"[..], &photo] {
        let (near, far) = (World::new().await, World::new().await);
        let job = near.job("a", body).await;
        far.s3.faults.always(Operation::CopyObject, DENIED);
        let side = |s3: &TestS3| s3::Client::new(s3.client(1), TransferConfig::default());
        let store = Pair::new(side(&near.s3), side(&far.s3));
        let report = Pipeline::new(store, Policy::to_bucket(DESTINATION)).run(&job, None).await;

        assert_ne!(report.outcome, Outcome::Failed, "{report:?}");
        assert_eq!(far.bytes("a").await.len() as u64, report.bytes_out.unwrap());
        assert!(near.arrived("a").await.is_none());
        let looks = near.calls().iter().filter(|call| **call == Operation::HeadObject).count();
        assert!(near.calls().iter().all(|call| READ.contains(call)) && looks == 1, "{:?}: one is ours", near.calls());
    }
}

#[tokio::test]
async fn refused_copy_is_relayed() {
    let large: Vec<u8> = (0..16 * MIB).map(|i| (i * 31) as u8).collect();
    for (body, refused) in [(&b"text"[..], Operation::CopyObject), (&large, Operation::UploadPartCopy)] {
        // Not to read the source at all, or not to decrypt it: that is refused in words alone.
        for denied in [DENIED, Fault::ErrorSaying(403, "AccessDenied", "not authorized to perform: kms:Decrypt")] {
            let world = World::new().await;
            let put = world.put("a.bin", body).metadata("author", "me").content_type("text/plain");
            let job = world.told("a.bin", put, body.len()).await;
            world.s3.faults.tag_everything(("class", "public"));
            world.s3.faults.always(refused, denied);

            let report = world.run(&job).await;

            assert_eq!((report.outcome, report.method.as_deref()), (Outcome::Unchanged, Some("relay")), "{report:?}");
            assert_eq!(report.warnings, Vec::<String>::new());
            assert!(world.bytes("a.bin").await == body);
            let arrived = world.arrived("a.bin").await.unwrap();
            assert_eq!(
                (arrived.content_type(), arrived.metadata().unwrap()["author"].as_str()),
                (Some("text/plain"), "me")
            );
            let writes = [Operation::PutObject, Operation::CreateMultipartUpload];
            let written = writes.iter().flat_map(|operation| world.s3.faults.seen(*operation));
            assert_eq!(written.last().unwrap().header("x-amz-tagging"), Some("class=public"));
            assert!(world.s3.open_uploads().is_empty());
        }
    }
}

/// Whatever hangs, the job ends with an error of its own before Lambda ends the function, and nothing is left open.
#[tokio::test]
async fn job_out_of_time_fails_and_aborts_its_upload() {
    let large: Vec<u8> = (0..16 * MIB).map(|i| (i * 31) as u8).collect();
    let photo = std::fs::read("tests/fixtures/photo-420.jpg").unwrap();
    let rows: [(Operation, &[u8], &str); 6] = [
        (Operation::HeadObject, b"text", "looking at the destination"),
        (Operation::GetObject, b"text", "reading"),
        (Operation::GetObjectTagging, b"text", "reading"),
        (Operation::PutObject, &photo, "storing"),
        (Operation::CopyObject, b"text", "storing"),
        (Operation::UploadPartCopy, &large, "storing"),
    ];
    for (operation, body, step) in rows {
        let world = World::new().await;
        let job = world.job("a", body).await;
        world.s3.faults.tag_everything(("class", "public"));
        world.s3.faults.always(operation, Fault::Hang);
        let (begun, given) = (Instant::now(), Duration::from_millis(1500));
        let options = Options { effort: Effort::Fast, ..Options::default() };
        let policy = Policy { tags: TagPolicy::Require, options, ..Policy::to_bucket(DESTINATION) };
        let report = world.pipeline(policy).run(&job, Some(begun + given)).await;

        assert!((given * 4 / 5..given).contains(&begun.elapsed()), "{operation}: {:?}", begun.elapsed());
        assert_eq!((report.outcome, report.class), (Outcome::Failed, Some("retryable")), "{report:?}");
        assert_eq!(reason(&report), format!("out of time while {step}: raise the function's timeout"), "{operation}");
        assert!(world.s3.faults.calls(operation) > 0 && world.s3.open_uploads().is_empty(), "{operation}");
        world.s3.faults.clear();
        assert!(world.arrived("a").await.is_none(), "{operation}");
    }
}

#[tokio::test]
async fn relay_out_of_time_aborts_its_upload() {
    let large: Vec<u8> = (0..16 * MIB).map(|i| (i * 31) as u8).collect();
    let world = World::new().await;
    let job = world.job("a", &large).await;
    world.s3.faults.always(Operation::UploadPartCopy, DENIED);
    world.s3.faults.always(Operation::UploadPart, Fault::Hang);
    let (begun, given) = (Instant::now(), Duration::from_millis(900));
    let report = world.pipeline(Policy::to_bucket(DESTINATION)).run(&job, Some(begun + given)).await;
    assert!(begun.elapsed() < given && reason(&report).starts_with("out of time while storing"), "{report:?}");
    assert!(world.s3.faults.calls(Operation::UploadPart) > 0 && world.s3.open_uploads().is_empty());
}

/// Every request about either side names the account that its bucket must belong to, and what is written its key.
#[tokio::test]
async fn every_request_has_the_expected_owner() {
    let photo = std::fs::read("tests/fixtures/photo.png").unwrap();
    let large: Vec<u8> = (0..7 * MIB).map(|i| (i * 31) as u8).collect();
    let key = "arn:aws:kms:eu-west-1:222222222222:key/1234";
    let source = BucketConfig { owner: Some("111111111111".into()), ..BucketConfig::default() };
    let destination =
        BucketConfig { owner: Some("222222222222".into()), encryption: Some(Encryption::Kms(key.into())), acl: None };
    for body in [&b"text"[..], &photo, &large] {
        let world = World::new().await;
        let job = world.job("a", body).await;
        let store = world.s3.store(1).with_buckets(source.clone(), destination.clone());
        let report = Pipeline::new(store, Policy::to_bucket(DESTINATION)).run(&job, None).await;

        assert_ne!(report.outcome, Outcome::Failed, "{report:?}");
        for seen in world.s3.faults.all_seen() {
            let (owner, of_source) =
                (seen.header("x-amz-expected-bucket-owner"), seen.header("x-amz-source-expected-bucket-owner"));
            let copies = seen.header("x-amz-copy-source").is_some();
            let reads = seen.parts.uri.path().starts_with("/source/");
            assert_eq!(owner, Some(if reads { "111111111111" } else { "222222222222" }), "{seen:?}");
            assert_eq!(of_source, copies.then_some("111111111111"), "{seen:?}");
            let begins = [Operation::PutObject, Operation::CopyObject, Operation::CreateMultipartUpload];
            let encrypts = seen.operation.is_some_and(|operation| begins.contains(&operation));
            assert_eq!(seen.header("x-amz-server-side-encryption"), encrypts.then_some("aws:kms"), "{seen:?}");
            assert_eq!(seen.header("x-amz-server-side-encryption-aws-kms-key-id"), encrypts.then_some(key), "{seen:?}");
        }
    }
}

#[tokio::test]
async fn bucket_of_another_account_fails_with_its_owner() {
    let world = World::new().await;
    let job = world.job("a.txt", b"text").await;
    let source = BucketConfig { owner: Some("111111111111".into()), ..BucketConfig::default() };
    let store = world.s3.store(1).with_buckets(source, BucketConfig::default());
    world.s3.faults.always(Operation::GetObject, DENIED);
    let report = Pipeline::new(store, Policy::to_bucket(DESTINATION)).run(&job, None).await;
    assert!(reason(&report).contains("does not belong to the expected account 111111111111"), "{report:?}");
}

// What ended the function

#[tokio::test]
async fn image_that_ended_the_function_is_copied_unread() {
    let world = World::new().await;
    let photo = std::fs::read("tests/fixtures/photo.png").unwrap();
    let job = Job { task: Task::Copy, ..world.job("a.png", &photo).await };

    let report = world.run(&job).await;

    assert_eq!((report.outcome, reason(&report)), (Outcome::Unchanged, "ended-the-function"), "{report:?}");
    assert_eq!(report.metadata.as_deref(), Some("kept"));
    assert_eq!(world.bytes("a.png").await, photo);
    let again = world.run(&job).await;
    assert_eq!((again.outcome, reason(&again)), (Outcome::Skipped, "already-stored"));
    let later = world.run(&Job { task: Task::Optimize, ..job }).await;
    assert_eq!(later.outcome, Outcome::Optimized, "{later:?}");
}

// The function

fn record(key: &str, etag: Option<&ETag>) -> Value {
    json!({
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "s3": { "bucket": { "name": SOURCE }, "object": { "key": key, "eTag": etag.map(ETag::as_str) } }
    })
}

#[tokio::test]
async fn every_record_of_an_event_is_processed() {
    let world = World::new().await;
    let job = world.job("a b.txt", b"text").await;
    let mut removed = record("a+b.txt", None);
    removed["eventName"] = json!("ObjectRemoved:Delete");
    let event = json!({ "Records": [record("a+b.txt", job.etag.as_ref()), removed, record("gone.txt", None)] });

    let response = handle(&world.pipeline(Policy::to_bucket(DESTINATION)), &event, None).await.unwrap();

    assert_eq!((response.optimized, response.unchanged, response.skipped), (0, 1, 2), "{response:?}");
    let response = serde_json::to_value(&response).unwrap();
    assert_eq!(response["records"][0]["source"], "s3://source/a b.txt");
    assert_eq!(response["records"][0]["outcome"], "unchanged");
    assert_eq!(response["records"][1]["reason"], "not-a-creation");
    assert_eq!(response["records"][2]["reason"], "source-gone");
}

#[tokio::test]
async fn failed_record_fails_the_event_but_not_the_others() {
    let world = World::new().await;
    world.job("first.txt", b"1").await;
    world.job("last.txt", b"2").await;
    let event = json!({ "Records": [
        record("first.txt", None), { "eventSource": "aws:sqs" }, record("%FF", None), record("last.txt", None),
    ] });

    let failure = handle(&world.pipeline(Policy::to_bucket(DESTINATION)), &event, None).await.unwrap_err();

    assert_eq!(
        failure.to_string(),
        "2 of 4 records failed: record 1: /eventSource is \"aws:sqs\", want aws:s3; \
         record 2: key \"%FF\" is not UTF-8 once decoded"
    );
    assert!(world.arrived("first.txt").await.is_some());
    assert!(world.arrived("last.txt").await.is_some());
}

#[tokio::test]
async fn test_event_succeeds_and_other_json_fails() {
    let world = World::new().await;
    let pipeline = world.pipeline(Policy::to_bucket(DESTINATION));
    let response = handle(&pipeline, &json!({ "Event": "s3:TestEvent" }), None).await.unwrap();
    assert!(response.records.is_empty());
    let failure = handle(&pipeline, &json!({ "detail": {} }), None).await.unwrap_err();
    assert!(failure.to_string().contains("got an object with detail"), "{failure}");
    assert!(world.calls().is_empty());
}
