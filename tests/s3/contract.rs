//! What the S3 module expects of any S3, and promises on it: one suite for the folder of `karui dev`, for `MiniStack`, and for
//! whatever store the environment names (`make test-s3 ENDPOINT=… BUCKETS=source,destination`).

use std::any::Any;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::ministack::{self, MiniStack};
use crate::support::{DESTINATION, MIB, SOURCE, TestS3, noise};
use aws_sdk_s3::Client;
use karui::s3::{
    self, Attributes, ClientConfig, Condition, CopyTags, ETag, Head, ObjectRef, Pair, S3ErrorKind, TransferConfig,
    UploadChecksum,
};

/// Sizes in one request and in parts.
const SIZES: [usize; 4] = [0, 1000, 6 * MIB, 12 * MIB + 1];

/// Features that some stores lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Feature {
    Tags,
    /// `CopyObject` looks at what is there before.
    ConditionalCopy,
    /// Open uploads of a folder are looked for in `s3_store.rs`.
    ListUploads,
}

/// A store with two buckets; what is written lies under a prefix of its own, and goes at the end.
struct World {
    client: Client,
    store: Pair,
    source: String,
    destination: String,
    prefix: String,
    lacks: &'static [Feature],
    _running: Box<dyn Any>,
}

impl World {
    fn new(
        client: Client,
        [source, destination]: [&str; 2],
        checksum: UploadChecksum,
        lacks: &'static [Feature],
        running: Box<dyn Any>,
    ) -> Self {
        let (multipart_threshold, part_size) = (6 * MIB as u64, 5 * MIB as u64);
        let transfer = TransferConfig { multipart_threshold, part_size, checksum, ..TransferConfig::default() };
        let store = Pair::within(s3::Client::new(client.clone(), transfer)).with_copy_limit(6 * MIB as u64);
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
        let prefix = format!("karui-contract-{nanos}/");
        Self { client, store, source: source.into(), destination: destination.into(), prefix, lacks, _running: running }
    }

    /// The store that `KARUI_TEST_BUCKETS` names, at `AWS_ENDPOINT_URL` or at AWS; else the two that run here.
    async fn all() -> Vec<Self> {
        if let Ok(buckets) = std::env::var("KARUI_TEST_BUCKETS") {
            let (source, destination) = buckets.split_once(',').expect("KARUI_TEST_BUCKETS=source,destination");
            return vec![Self::new(
                s3::sdk_client(&ClientConfig::default()).await,
                [source, destination],
                UploadChecksum::default(),
                &[],
                Box::new(()),
            )];
        }
        let folder = TestS3::start().await;
        let ministack = MiniStack::start().await;
        let client = ministack.client();
        for bucket in [SOURCE, DESTINATION] {
            client.create_bucket().bucket(bucket).send().await.unwrap();
        }
        let buckets = [SOURCE, DESTINATION];
        vec![
            Self::new(
                folder.client(3),
                buckets,
                UploadChecksum::default(),
                &[Feature::Tags, Feature::ListUploads],
                Box::new(folder),
            ),
            Self::new(client, buckets, ministack::CHECKSUM, &[Feature::ConditionalCopy], Box::new(ministack)),
        ]
    }

    fn has(&self, feature: Feature) -> bool {
        !self.lacks.contains(&feature)
    }

    fn source(&self, key: &str) -> ObjectRef {
        ObjectRef::new(&self.source, format!("{}{key}", self.prefix))
    }

    fn destination(&self, key: &str) -> ObjectRef {
        ObjectRef::new(&self.destination, format!("{}{key}", self.prefix))
    }

    async fn put(&self, object: &ObjectRef, size: usize, attributes: &Attributes) -> Head {
        self.store.destination.put(object, noise(size), attributes, &Condition::None).await.unwrap();
        self.store.destination.head(object).await.unwrap().unwrap()
    }

    async fn holds(&self, object: &ObjectRef, size: usize) {
        let download = self.store.source.get(object, None).await.unwrap();
        assert_eq!(download.head.size, size as u64, "{object}");
        assert!(download.read_all().await.unwrap() == noise(size), "{object}, {size} bytes");
    }

    async fn open_uploads(&self) -> usize {
        let mut open = 0;
        for bucket in [&self.source, &self.destination] {
            let listed = self.client.list_multipart_uploads().bucket(bucket).prefix(&self.prefix).send().await;
            open += listed.unwrap().uploads().len();
        }
        open
    }

    async fn clear(&self) {
        for bucket in [&self.source, &self.destination] {
            let mut pages = self.client.list_objects_v2().bucket(bucket).prefix(&self.prefix).into_paginator().send();
            while let Some(page) = pages.next().await {
                for key in page.unwrap().contents().iter().filter_map(|object| object.key()) {
                    self.client.delete_object().bucket(bucket).key(key).send().await.unwrap();
                }
            }
        }
    }
}

async fn on_every_store(case: impl AsyncFn(&World)) {
    for world in World::all().await {
        case(&world).await;
        if world.has(Feature::ListUploads) {
            assert_eq!(world.open_uploads().await, 0, "uploads were left open");
        }
        world.clear().await;
    }
}

fn attributes() -> Attributes {
    let tags = vec![("kind".to_owned(), "a b+c".to_owned())];
    Attributes { website_redirect: None, content_encoding: None, tags, ..crate::support::attributes() }
}

fn without_tags() -> Attributes {
    Attributes { tags: Vec::new(), ..attributes() }
}

#[tokio::test]
async fn put_then_get_returns_bytes_and_attributes() {
    on_every_store(async |world| {
        for size in SIZES {
            let object = world.source("a b+c.jpg");
            let written = if world.has(Feature::Tags) { attributes() } else { without_tags() };
            let head = world.put(&object, size, &written).await;
            assert_eq!(head.attributes, without_tags(), "{size} bytes");
            if world.has(Feature::Tags) {
                assert_eq!(world.store.source.tags(&object).await.unwrap(), attributes().tags);
            }
            world.holds(&object, size).await;
        }
    })
    .await;
}

#[tokio::test]
async fn copy_keeps_bytes_and_sets_attributes() {
    on_every_store(async |world| {
        for size in SIZES {
            let (from, to) = (world.source("from"), world.destination("to"));
            let has_tags = world.has(Feature::Tags);
            let head = world.put(&from, size, &if has_tags { attributes() } else { without_tags() }).await;
            let new = Attributes { content_type: Some("image/png".into()), ..attributes() };
            let tags = if has_tags { CopyTags::Copy } else { CopyTags::Drop };
            world.store.copy(&from, &head, &to, &new, tags, &Condition::None).await.unwrap();
            let head = world.store.destination.head(&to).await.unwrap().unwrap();
            assert_eq!(head.attributes, Attributes { tags: Vec::new(), ..new }, "{size} bytes");
            if has_tags {
                assert_eq!(world.store.source.tags(&to).await.unwrap(), attributes().tags, "{size} bytes");
            }
            world.holds(&to, size).await;
        }
    })
    .await;
}

#[tokio::test]
async fn every_verb_accepts_any_key() {
    const KEYS: [&str; 12] = [
        "a b.jpg",
        "a+b.jpg",
        "100%.jpg",
        "a%20b",
        "%2F",
        "a//b",
        "folder/",
        "日本/é.jpg",
        "e\u{301}",
        "q?x=1&y#z",
        "(1) [2] {3}",
        "~'\"!*;:@=,$",
    ];
    on_every_store(async |world| {
        for key in KEYS {
            for size in [10, 7 * MIB] {
                let head = world.put(&world.source(key), size, &Attributes::default()).await;
                let (from, to, attributes) = (world.source(key), world.destination(key), Attributes::default());
                world.store.copy(&from, &head, &to, &attributes, CopyTags::Drop, &Condition::None).await.unwrap();
                world.holds(&to, size).await;
            }
        }
        let mut expected = KEYS.map(|key| format!("{}{key}", world.prefix));
        expected.sort_unstable();
        let listed = world.client.list_objects_v2().bucket(&world.destination).prefix(&world.prefix).send().await;
        let mut listed: Vec<_> =
            listed.unwrap().contents().iter().filter_map(|object| object.key().map(str::to_owned)).collect();
        listed.sort_unstable();
        assert_eq!(listed, expected);
    })
    .await;
}

#[tokio::test]
async fn conditions_hold() {
    on_every_store(async |world| {
        for size in [10, 7 * MIB] {
            let (from, to) = (world.source("from"), world.destination(&format!("to {size}")));
            let head = world.put(&from, size, &Attributes::default()).await;
            let stale = || Condition::Unmodified(ETag::new("stale"));
            let attributes = Attributes::default();
            for (condition, kind) in [
                (stale(), Some(S3ErrorKind::PreconditionFailed)),
                (Condition::Absent, None),
                (Condition::Absent, Some(S3ErrorKind::PreconditionFailed)),
                (stale(), Some(S3ErrorKind::PreconditionFailed)),
            ] {
                let put = world.store.destination.put(&to, noise(size), &attributes, &condition).await;
                assert_eq!(put.err().map(|error| error.kind), kind, "put, {condition:?}, {size} bytes");
            }
            let now = world.store.destination.head(&to).await.unwrap().unwrap();
            world.store.destination.put(&to, noise(size), &attributes, &Condition::Unmodified(now.etag)).await.unwrap();
            if size > 6 * MIB || world.has(Feature::ConditionalCopy) {
                for condition in [Condition::Absent, stale()] {
                    let copy = world.store.copy(&from, &head, &to, &attributes, CopyTags::Drop, &condition).await;
                    let error = copy.unwrap_err();
                    assert_eq!(
                        (error.kind, error.object),
                        (S3ErrorKind::PreconditionFailed, to.clone()),
                        "{condition:?}"
                    );
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn replaced_object_is_neither_read_nor_copied() {
    on_every_store(async |world| {
        for size in [10, 7 * MIB] {
            let (from, to, attributes) = (world.source("a"), world.destination("a"), Attributes::default());
            let old = world.put(&from, size, &attributes).await;
            world.put(&from, size + 1, &attributes).await;
            let error = world.store.source.get(&from, Some(&old.etag)).await.unwrap_err();
            assert_eq!((error.kind, error.object), (S3ErrorKind::PreconditionFailed, from.clone()));
            let copy = world.store.copy(&from, &old, &to, &attributes, CopyTags::Drop, &Condition::None).await;
            let error = copy.unwrap_err();
            assert_eq!((error.kind, error.object), (S3ErrorKind::PreconditionFailed, from.clone()));
            assert_eq!(world.store.destination.head(&to).await.unwrap(), None);
        }
    })
    .await;
}

#[tokio::test]
async fn missing_key_and_bucket_differ_in_kind() {
    on_every_store(async |world| {
        let (missing, attributes) = (world.source("missing"), Attributes::default());
        assert_eq!(world.store.destination.head(&missing).await.unwrap(), None);
        assert_eq!(world.store.source.get(&missing, None).await.unwrap_err().kind, S3ErrorKind::NotFound);
        let head = world.put(&world.source("gone"), 10, &attributes).await;
        let gone = world.source("gone");
        world.client.delete_object().bucket(&gone.bucket).key(&gone.key).send().await.unwrap();
        let to = world.destination("to");
        let copy = world.store.copy(&gone, &head, &to, &attributes, CopyTags::Drop, &Condition::None).await;
        let error = copy.unwrap_err();
        assert_eq!((error.kind, error.object), (S3ErrorKind::NotFound, gone));
        let nowhere = ObjectRef::new(format!("{}-that-is-not-there", world.destination), "a");
        let put = world.store.destination.put(&nowhere, noise(10), &attributes, &Condition::None).await;
        assert_eq!(put.unwrap_err().kind, S3ErrorKind::NoSuchBucket);
    })
    .await;
}
