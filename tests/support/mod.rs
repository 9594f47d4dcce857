//! An S3 for tests: the one of `karui dev` over a temporary folder, with faults where a test wants them.

#![allow(dead_code, reason = "every test file uses another part of this")]

pub mod clock;
pub mod faults;
pub mod ministack;
pub mod recorder;
mod wire;

use std::path::Path;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::StalledStreamProtectionConfig;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use bytes::Bytes;
use karui::dev::server::LocalS3;
use karui::s3::{self, Attributes, Condition, ObjectRef, Pair, TransferConfig};
use tempfile::TempDir;

use faults::Faults;

pub const MIB: usize = 1 << 20;
pub const SOURCE: &str = "source";
pub const DESTINATION: &str = "destination";

/// A running S3 with a source and a destination bucket. It ends, and its files go, when it is dropped.
pub struct TestS3 {
    pub folder: TempDir,
    pub server: LocalS3,
    pub faults: Faults,
}

impl TestS3 {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for bucket in [SOURCE, DESTINATION] {
            std::fs::create_dir(folder.path().join(bucket)).unwrap();
        }
        let faults = Faults::default();
        let server = LocalS3::start_with(folder.path(), None, faults.handler()).await.unwrap();
        Self { folder, server, faults }
    }

    /// A client that tries so many times, without long waits in between, and waits a second for an answer.
    pub fn client(&self, attempts: u32) -> Client {
        let timeouts = TimeoutConfig::builder().read_timeout(Duration::from_secs(1)).build();
        let retry = RetryConfig::standard().with_max_attempts(attempts).with_initial_backoff(Duration::from_millis(1));
        let config = self.server.config().retry_config(retry).timeout_config(timeouts);
        Client::from_conf(config.stalled_stream_protection(StalledStreamProtectionConfig::disabled()).build())
    }

    /// The same client, which times out at once if a request hangs, and only then.
    pub fn timeless_client(&self, attempts: u32) -> Client {
        let config = self.client(attempts).config().to_builder();
        Client::from_conf(config.sleep_impl(self.faults.clock()).build())
    }

    /// Parts of 5 MiB above 6 MiB, on put and copy alike; every request tried so many times.
    pub fn store(&self, attempts: u32) -> Pair {
        let transfer = TransferConfig {
            multipart_threshold: 6 * MIB as u64,
            part_size: 5 * MIB as u64,
            concurrency: 2,
            ..TransferConfig::default()
        };
        Pair::within(s3::Client::new(self.client(attempts), transfer)).with_copy_limit(6 * MIB as u64)
    }

    /// Uploads that were neither completed nor aborted.
    pub fn open_uploads(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.folder.path()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with(".upload-")).collect()
    }

    pub async fn put(&self, object: &ObjectRef, body: &Bytes) {
        let attributes = Attributes::default();
        self.store(3).destination.put(object, body.clone(), &attributes, &Condition::None).await.unwrap();
    }

    pub async fn body(&self, object: &ObjectRef) -> Bytes {
        self.store(3).source.get(object, None).await.unwrap().read_all().await.unwrap()
    }

    pub fn file(&self, object: &ObjectRef) -> std::path::PathBuf {
        Path::new(self.folder.path()).join(&object.bucket).join(&object.key)
    }
}

pub fn source(key: &str) -> ObjectRef {
    ObjectRef::new(SOURCE, key)
}

pub fn destination(key: &str) -> ObjectRef {
    ObjectRef::new(DESTINATION, key)
}

/// Bytes that repeat nowhere near, so that a part in the wrong place shows.
pub fn noise(length: usize) -> Bytes {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> = std::iter::repeat_with(&mut next).take(length.div_ceil(8)).flatten().collect();
    bytes.truncate(length);
    bytes.into()
}

/// Every attribute that a plain folder keeps.
pub fn attributes() -> Attributes {
    Attributes {
        content_type: Some("image/jpeg".into()),
        cache_control: Some("public, max-age=31536000, immutable".into()),
        content_disposition: Some("attachment; filename=\"a b.jpg\"".into()),
        content_language: Some("ja, de".into()),
        content_encoding: Some("gzip".into()),
        expires: Some("Wed, 21 Oct 2026 07:28:00 GMT".into()),
        website_redirect: Some("/elsewhere.html".into()),
        storage_class: None,
        metadata: [("author", "=?UTF-8?B?5pel?="), ("empty", ""), ("karui-source", "abc-2")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        tags: Vec::new(),
    }
}

/// Waits until it holds, ten seconds at most.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within ten seconds: {what}");
}
