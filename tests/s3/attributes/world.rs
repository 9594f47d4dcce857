//! A server with two buckets, and the actions and results of a cell of the table.

use std::any::Any;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{Tag, Tagging};
use bytes::Bytes;
use karui::optimize::{Budget, Options, Outcome, Quality, optimize};
use karui::pipeline::{Job, Pipeline, Policy, Task};
use karui::s3::{
    self, Attributes, Condition, CopyTags, ETag, Head, ObjectRef, Pair, S3Error, S3ErrorKind, TransferConfig,
    UploadChecksum,
};

use super::rows::{Row, Server, Way};
use crate::support::ministack::{self, MiniStack};
use crate::support::recorder::{Asked, Headers, Recorder};
use crate::support::{DESTINATION, MIB, SOURCE, TestS3, destination, noise, source};

pub const PART: usize = 5 * MIB;
const LARGE: usize = 3 * PART + MIB;

pub type Tags = Vec<(String, String)>;

pub struct World {
    pub client: Client,
    pub recorder: Recorder,
    pub server: Server,
    sequencer: AtomicU64,
    _running: Box<dyn Any>,
}

/// Result of an object at the source.
struct Image {
    source: Bytes,
    result: Bytes,
}

/// Quick to make, and nothing here looks at pixels.
fn options() -> Options {
    Options { quality: Quality::Lossless, ..Options::default() }
}

impl Image {
    /// A photograph, and after its end data that Karui keeps: the header's GPS goes, so a new file is written.
    fn with_data_behind(data: &[u8]) -> Self {
        let photo = include_bytes!("../../fixtures/photo-p3-gps.jpg");
        let source = Bytes::from([photo, data].concat());
        let Ok(Outcome::Optimized(encoded)) = optimize(&source, &options(), Budget::UNLIMITED) else {
            panic!("the photograph is optimized")
        };
        Self { result: encoded.bytes.into(), source }
    }
}

static SMALL_IMAGE: LazyLock<Image> = LazyLock::new(|| Image::with_data_behind(b"not much"));
static LARGE_IMAGE: LazyLock<Image> = LazyLock::new(|| Image::with_data_behind(&noise(LARGE)));

/// An object's bytes, at the source and then at the destination, where the pipeline goes this way.
pub fn bodies(way: Way, large: bool) -> (Bytes, Bytes) {
    if way.is_of_images() {
        let image = if large { &*LARGE_IMAGE } else { &*SMALL_IMAGE };
        return (image.source.clone(), image.result.clone());
    }
    let body = noise(if large { LARGE } else { 1000 });
    (body.clone(), body)
}

impl World {
    pub async fn start(server: Server) -> Self {
        let recorder = Recorder::default();
        let (config, running): (_, Box<dyn Any>) = match server {
            Server::MiniStack => {
                let ministack = MiniStack::start().await;
                (ministack.client().config().to_builder(), Box::new(ministack))
            }
            Server::Folder => {
                let s3 = TestS3::start().await;
                (s3.server.config(), Box::new(s3))
            }
        };
        let client = Client::from_conf(config.interceptor(recorder.clone()).build());
        Self { client, recorder, server, sequencer: AtomicU64::new(1), _running: running }
    }

    /// With both buckets, where the server does not come with them.
    pub async fn with_buckets(server: Server) -> Self {
        let world = Self::start(server).await;
        if server == Server::MiniStack {
            for bucket in [SOURCE, DESTINATION] {
                world.client.create_bucket().bucket(bucket).send().await.unwrap();
            }
        }
        world
    }

    /// A store whose every object goes this way, as far as it is put or copied.
    pub fn store(&self, way: Way) -> Pair {
        let limit = if way.is_in_parts() { 0 } else { u64::MAX };
        let checksum = match self.server {
            Server::Folder => UploadChecksum::default(),
            Server::MiniStack => ministack::CHECKSUM,
        };
        let (part_size, concurrency) = (PART as u64, 2);
        let transfer = TransferConfig {
            multipart_threshold: limit,
            part_size,
            concurrency,
            checksum,
            ..TransferConfig::default()
        };
        Pair::within(s3::Client::new(self.client.clone(), transfer)).with_copy_limit(limit)
    }

    /// Stores a source as anybody might, by no code of ours. Nothing is left of the one before: unlike S3, MiniStack keeps a
    /// replaced object's tags.
    pub async fn upload(&self, headers: &Headers, tags: &Tags, body: Bytes) -> Result<(), String> {
        for bucket in [SOURCE, DESTINATION] {
            let delete = self.client.delete_object().bucket(bucket).key("object");
            delete.send().await.map_err(|error| format!("{bucket}: {error:?}"))?;
        }
        let put = self.client.put_object().bucket(SOURCE).key("object").body(body.into()).customize();
        let headers = headers.clone();
        let put = put.mutate_request(move |request| {
            for (name, value) in headers.clone() {
                request.headers_mut().insert(name, value);
            }
        });
        put.send().await.map_err(|error| format!("source: {error:?}"))?;
        if !tags.is_empty() {
            let tag = |(key, value): &(String, String)| Tag::builder().key(key).value(value).build().unwrap();
            let tagging = Tagging::builder().set_tag_set(Some(tags.iter().map(tag).collect())).build().unwrap();
            let put = self.client.put_object_tagging().bucket(SOURCE).key("object").tagging(tagging);
            put.send().await.map_err(|error| format!("source's tags: {error:?}"))?;
        }
        Ok(())
    }

    /// The S3 module alone: reads what is at the source and writes it to the destination.
    pub async fn carry(&self, way: Way, body: Bytes) -> Result<(), String> {
        let (store, from, to) = (self.store(way), source("object"), destination("object"));
        let (head, attributes) = self.read(&from).await?;
        self.recorder.clear();
        let any = Condition::None;
        let written = match way {
            Way::Put | Way::Multipart => store.destination.put(&to, body, &attributes, &any).await,
            Way::Copy | Way::MultipartCopy => store.copy(&from, &head, &to, &attributes, CopyTags::Copy, &any).await,
            Way::Relay | Way::MultipartRelay => store.relay(&from, &head, &to, &attributes, &any).await,
        };
        written.map_err(|error| error.to_string())
    }

    pub async fn read(&self, object: &ObjectRef) -> Result<(Head, Attributes), String> {
        let store = self.store(Way::Put);
        let head = store.destination.head(object).await.map_err(|error| error.to_string())?.ok_or("nothing there")?;
        let tags = match store.source.tags(object).await {
            Err(S3Error { kind: S3ErrorKind::NotSupported, .. }) => Vec::new(),
            tags => tags.map_err(|error| error.to_string())?,
        };
        let attributes = Attributes { tags, ..head.attributes.clone() };
        Ok((head, attributes))
    }

    /// The whole pipeline, told of the source as by an event.
    pub async fn run(&self, way: Way) -> Result<(), String> {
        let head = self.client.head_object().bucket(SOURCE).key("object").send().await.unwrap();
        let job = Job {
            source: source("object"),
            etag: head.e_tag().map(ETag::new),
            size: head.content_length().and_then(|length| u64::try_from(length).ok()),
            sequencer: Some(format!("{:016X}", self.sequencer.fetch_add(1, Ordering::Relaxed))),
            task: Task::Optimize,
        };
        self.recorder.clear();
        let policy = Policy { options: options(), ..Policy::to_bucket(DESTINATION) };
        let report = Pipeline::new(self.store(way), policy).run(&job, None).await;
        let stored = report.bytes_out.is_some() && report.warnings.is_empty();
        if stored { Ok(()) } else { Err(format!("{report:?}")) }
    }

    /// The requests of the run that write to the destination.
    pub fn writes(&self) -> Vec<Asked> {
        let reads = ["HeadObject", "GetObject", "GetObjectTagging"];
        self.recorder.asked().into_iter().filter(|asked| !reads.contains(&asked.operation.as_str())).collect()
    }

    /// Returns the destination's answer about the object.
    pub async fn arrived(&self) -> Result<Headers, String> {
        let head = self.client.head_object().bucket(DESTINATION).key("object");
        head.send().await.map_err(|error| format!("{error:?}"))?;
        Ok(self.recorder.answer())
    }

    pub async fn arrived_tags(&self) -> Result<Tags, String> {
        let tags = self.client.get_object_tagging().bucket(DESTINATION).key("object").send().await;
        let tags = tags.map_err(|error| format!("{error:?}"))?;
        Ok(tags.tag_set.into_iter().map(|tag| (tag.key, tag.value)).collect())
    }

    pub async fn arrived_bytes(&self) -> Result<Bytes, String> {
        let get = self.client.get_object().bucket(DESTINATION).key("object").send().await;
        let body = get.map_err(|error| format!("{error:?}"))?.body.collect().await;
        Ok(body.map_err(|error| error.to_string())?.into_bytes())
    }
}

impl Row {
    /// The header that an image's result has in place of the source's.
    pub fn of_rewritten_image(&self) -> Headers {
        let mut headers = self.headers.clone();
        headers.insert("content-type".into(), "image/jpeg".into());
        headers
    }
}
