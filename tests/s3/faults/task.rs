//! Tasks that run while a fault is injected: each verb of the store, and whole jobs of the pipeline.

use std::sync::LazyLock;

use Operation::{
    AbortMultipartUpload, CompleteMultipartUpload, CopyObject, CreateMultipartUpload, DeleteObject, GetObject,
    GetObjectTagging, HeadObject, ListMultipartUploads, ListObjectsV2, PutObject, UploadPart, UploadPartCopy,
};
use bytes::Bytes;
use futures_util::stream;
use karui::optimize::{Budget, Effort, Options, Outcome, optimize};
use karui::pipeline::error::{Class, Error};
use karui::pipeline::{self, Job, Pipeline, Policy, TagPolicy};
use karui::s3::{
    Attributes, Client, Condition, CopyTags, Head, ObjectRef, Operation, Pair, S3Error, S3ErrorKind, TransferConfig,
};

use crate::support::faults::{Fault, INTERNAL_ERROR};
use crate::support::{DESTINATION, MIB, TestS3, attributes, destination, noise, source};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    // A verb of the store
    Head,
    Get,
    Tags,
    Put,
    PutInParts,
    Copy,
    CopyInParts,
    GetInParts,
    PutStream,
    Relay,
    List,
    Delete,
    Uploads,
    // A job of the pipeline: by what it brings, and how
    Image,
    ImageInParts,
    File,
    LargeFile,
}

/// Requests, and how many of them a task makes: faults strike there.
pub type Calls = &'static [(Operation, usize)];

const PUT_IN_PARTS: Calls =
    &[(CreateMultipartUpload, 1), (UploadPart, 3), (CompleteMultipartUpload, 1), (AbortMultipartUpload, 1)];
/// Unknown length: equal parts, and the rest.
const PUT_STREAM: Calls =
    &[(CreateMultipartUpload, 1), (UploadPart, 4), (CompleteMultipartUpload, 1), (AbortMultipartUpload, 1)];
const COPY_IN_PARTS: Calls =
    &[(CreateMultipartUpload, 1), (UploadPartCopy, 3), (CompleteMultipartUpload, 1), (AbortMultipartUpload, 1)];
/// An image whose result has three parts takes seconds to make.
const PUT_IN_ONE_PART: Calls =
    &[(CreateMultipartUpload, 1), (UploadPart, 1), (CompleteMultipartUpload, 1), (AbortMultipartUpload, 1)];

pub const VERBS: &[(Task, Calls)] = &[
    (Task::Head, &[(HeadObject, 1)]),
    (Task::Get, &[(GetObject, 1)]),
    (Task::Tags, &[(GetObjectTagging, 1)]),
    (Task::Put, &[(PutObject, 1)]),
    (Task::PutInParts, PUT_IN_PARTS),
    (Task::Copy, &[(CopyObject, 1), (HeadObject, 1)]),
    (Task::CopyInParts, COPY_IN_PARTS),
    // One request from the front, and one from the back.
    (Task::GetInParts, &[(GetObject, 2)]),
    (Task::PutStream, PUT_STREAM),
    (
        Task::Relay,
        &[
            (GetObject, 3),
            (CreateMultipartUpload, 1),
            (UploadPart, 3),
            (CompleteMultipartUpload, 1),
            (AbortMultipartUpload, 1),
        ],
    ),
    (Task::List, &[(ListObjectsV2, 1)]),
    (Task::Delete, &[(DeleteObject, 1)]),
    (Task::Uploads, &[(ListMultipartUploads, 1)]),
];

pub const JOBS: &[(Task, Calls)] = &[
    (Task::Image, &[(HeadObject, 1), (GetObject, 1), (GetObjectTagging, 1), (PutObject, 1)]),
    (Task::ImageInParts, PUT_IN_ONE_PART),
    (Task::File, &[(CopyObject, 1)]),
    (Task::LargeFile, COPY_IN_PARTS),
];

const TAG: (&str, &str) = ("class", "public");
const OLD: Bytes = Bytes::from_static(b"the old object");
/// Three parts.
static LARGE: LazyLock<Bytes> = LazyLock::new(|| noise(15 * MIB + 1000));
static IMAGE: LazyLock<Bytes> = LazyLock::new(|| std::fs::read("tests/fixtures/photo-420.jpg").unwrap().into());
static LIGHTER: LazyLock<Bytes> = LazyLock::new(|| {
    let outcome = optimize(&IMAGE, &quick(), Budget::UNLIMITED).unwrap();
    let Outcome::Optimized(encoded) = outcome else { panic!("{outcome:?}") };
    encoded.bytes.into()
});

fn quick() -> Options {
    Options { effort: Effort::Fast, ..Options::default() }
}

impl Task {
    fn body(self) -> Bytes {
        match self {
            Self::Head
            | Self::Get
            | Self::Tags
            | Self::Put
            | Self::Copy
            | Self::File
            | Self::List
            | Self::Delete
            | Self::Uploads => noise(1000),
            Self::GetInParts => LARGE.slice(..11 * MIB),
            Self::PutInParts | Self::CopyInParts | Self::PutStream | Self::Relay | Self::LargeFile => LARGE.clone(),
            Self::Image | Self::ImageInParts => IMAGE.clone(),
        }
    }

    /// Expected object at the destination; `None` if there is none any more.
    fn result(self) -> Option<Bytes> {
        Some(match self {
            Self::Delete => return None,
            Self::Head | Self::Get | Self::GetInParts | Self::Tags | Self::List | Self::Uploads => OLD,
            Self::Put
            | Self::PutInParts
            | Self::Copy
            | Self::CopyInParts
            | Self::PutStream
            | Self::Relay
            | Self::File
            | Self::LargeFile => self.body(),
            Self::Image | Self::ImageInParts => LIGHTER.clone(),
        })
    }
}

/// The reported error: the store's, or the pipeline's report.
#[derive(Debug)]
pub struct Failure {
    pub class: String,
    /// Begins with the operation.
    pub reason: String,
    /// The report has it in words only.
    pub kind: Option<S3ErrorKind>,
}

impl From<S3Error> for Failure {
    fn from(error: S3Error) -> Self {
        let (kind, reason) = (Some(error.kind.clone()), error.to_string());
        let class = match Error::from(error).class() {
            Class::Retryable => "retryable".to_owned(),
            class @ (Class::Skip(_) | Class::Permanent) => format!("{class:?}"),
        };
        Self { class, reason, kind }
    }
}

/// A source, and an old object at the destination.
pub struct World {
    pub s3: TestS3,
    task: Task,
    from: ObjectRef,
    to: ObjectRef,
    head: Head,
    old: Head,
}

impl World {
    pub async fn new(task: Task) -> Self {
        let s3 = TestS3::start().await;
        let (from, to) = (source("object"), destination("object"));
        // Even what is large at once, which is quicker.
        let transfer = TransferConfig { multipart_threshold: u64::MAX, ..TransferConfig::default() };
        let store = Pair::within(Client::new(s3.timeless_client(1), transfer));
        for (object, body) in [(&from, task.body()), (&to, OLD)] {
            store.destination.put(object, body, &Attributes::default(), &Condition::None).await.unwrap();
        }
        let (head, old) = (
            store.destination.head(&from).await.unwrap().unwrap(),
            store.destination.head(&to).await.unwrap().unwrap(),
        );
        s3.faults.clear();
        s3.faults.tag_everything(TAG);
        Self { s3, task, from, to, head, old }
    }

    /// The `n`-th such request will fail so. There is no abort but of an upload that fails.
    pub fn strike(&self, operation: Operation, n: usize, fault: Fault) {
        self.s3.faults.on(operation, n, fault);
        if operation == AbortMultipartUpload {
            self.parts_fail();
        }
    }

    pub fn parts_fail(&self) {
        self.s3.faults.always(UploadPart, INTERNAL_ERROR);
        self.s3.faults.always(UploadPartCopy, INTERNAL_ERROR);
    }

    /// Does the task, every request tried so many times.
    pub async fn run(&self, attempts: u32) -> Result<(), Failure> {
        let (store, attributes) = (self.store(attempts), attributes());
        let unmodified = Condition::Unmodified(self.old.etag.clone());
        match self.task {
            Task::Head => assert_eq!(store.destination.head(&self.from).await?.as_ref(), Some(&self.head)),
            Task::Get | Task::GetInParts => {
                assert!(store.source.get(&self.from, None).await?.read_all().await? == self.task.body());
            }
            Task::Tags => assert_eq!(store.source.tags(&self.from).await?, [(TAG.0.to_owned(), TAG.1.to_owned())]),
            Task::Put | Task::PutInParts => {
                store.destination.put(&self.to, self.task.body(), &attributes, &unmodified).await?;
            }
            Task::Copy | Task::CopyInParts => {
                store.copy(&self.from, &self.head, &self.to, &attributes, CopyTags::Copy, &unmodified).await?;
            }
            Task::PutStream => {
                let body = self.task.body();
                let chunks = (0..body.len()).step_by(MIB).map(|at| body.slice(at..body.len().min(at + MIB)));
                let chunks = stream::iter(chunks.map(std::io::Result::Ok).collect::<Vec<_>>());
                store.destination.put_stream(&self.to, chunks, None, &attributes, &unmodified).await?;
            }
            Task::Relay => store.relay(&self.from, &self.head, &self.to, &attributes, &unmodified).await?,
            Task::List => {
                let mut listing = store.source.list(&source(""));
                assert_eq!(listing.next().await?.unwrap().etag, self.head.etag);
                assert_eq!(listing.next().await?, None);
            }
            Task::Delete => store.destination.delete(&self.to).await?,
            Task::Uploads => assert_eq!(store.destination.open_uploads(&destination("")).await?, []),
            Task::Image | Task::ImageInParts | Task::File | Task::LargeFile => self.run_job(store).await?,
        }
        Ok(())
    }

    async fn run_job(&self, store: Pair) -> Result<(), Failure> {
        // Tags that are required are read whatever S3 says of their number.
        let policy = Policy { options: quick(), tags: TagPolicy::Require, ..Policy::to_bucket(DESTINATION) };
        let job = Job {
            source: self.from.clone(),
            etag: Some(self.head.etag.clone()),
            size: Some(self.head.size),
            sequencer: Some("0055AED6DCD90281E5".into()),
            task: pipeline::Task::Optimize,
        };
        let report = Pipeline::new(store, policy).run(&job, None).await;
        match report.outcome {
            pipeline::report::Outcome::Failed => Err(Failure {
                class: report.class.unwrap_or_default().to_owned(),
                reason: report.reason.unwrap_or_default(),
                kind: None,
            }),
            pipeline::report::Outcome::Optimized
            | pipeline::report::Outcome::Unchanged
            | pipeline::report::Outcome::Skipped => Ok(()),
        }
    }

    fn store(&self, attempts: u32) -> Pair {
        let multipart_threshold = if self.task == Task::ImageInParts { 0 } else { 6 * MIB as u64 };
        let transfer = TransferConfig {
            multipart_threshold,
            part_size: 5 * MIB as u64,
            concurrency: 2,
            download_concurrency: 2,
            ..TransferConfig::default()
        };
        Pair::within(Client::new(self.s3.timeless_client(attempts), transfer)).with_copy_limit(6 * MIB as u64)
    }

    /// The object at the destination: the task's result or the old object, complete.
    pub fn assert_stored(&self, done: bool) {
        let stored = std::fs::read(self.s3.file(&self.to)).ok().map(Bytes::from);
        let (expected, other) = if done { (self.task.result(), Some(OLD)) } else { (Some(OLD), self.task.result()) };
        assert!(stored != other || other == expected, "at the destination: want done = {done}, got the opposite");
        let size = stored.as_ref().map(Bytes::len);
        assert!(stored == expected, "at the destination: half an object, {size:?} bytes");
    }
}
