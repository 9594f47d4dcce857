//! Real clients beside Karui, on both servers: what it writes, boto3 and the AWS CLI read back with checksum validation on;
//! what they write, it reads.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::ministack::{self, MiniStack};
use crate::support::{MIB, SOURCE, TestS3, noise, source};
use bytes::Bytes;
use karui::dev::server::{ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY};
use karui::s3::{self, Attributes, Condition, ObjectRef, TransferConfig, UploadChecksum};
use serde_json::Value;

/// A server, its buckets, and what a client needs to find it.
struct World {
    store: s3::Client,
    checksum: UploadChecksum,
    environment: Vec<(&'static str, String)>,
    folder: tempfile::TempDir,
    programs: PathBuf,
}

impl World {
    fn new(client: aws_sdk_s3::Client, checksum: UploadChecksum, environment: Vec<(&'static str, String)>) -> Self {
        let (multipart_threshold, part_size) = (6 * MIB as u64, 5 * MIB as u64);
        let transfer = TransferConfig { multipart_threshold, part_size, checksum, ..TransferConfig::default() };
        let programs = std::env::var("KARUI_TEST_CLIENTS").expect(
            "KARUI_TEST_CLIENTS must name a folder with python (and boto3) and aws; `make test` installs them and sets it",
        );
        let programs = std::path::absolute(programs).unwrap();
        Self {
            store: s3::Client::new(client, transfer),
            checksum,
            environment,
            folder: tempfile::tempdir().unwrap(),
            programs,
        }
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(self.programs.join(program));
        command.args(arguments).env_clear().envs(self.environment.iter().map(|(name, value)| (name, value)));
        let output = command.env("HOME", self.folder.path()).current_dir(self.folder.path()).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?}: {errors}");
        output
    }

    fn boto(&self, verb: &str, key: &str, file: &Path) -> Output {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/s3/clients/boto.py");
        self.run("python", &[script, verb, SOURCE, key, file.to_str().unwrap()])
    }

    /// Both clients read what Karui wrote.
    async fn is_read_by_clients(&self) {
        let attributes = Attributes {
            content_type: Some("image/png".into()),
            cache_control: Some("max-age=60".into()),
            metadata: [("author".to_owned(), "karui".to_owned())].into(),
            ..Attributes::default()
        };
        for (key, size) in [("a b+c.png", 1000), ("big/é.png", 12 * MIB + 1)] {
            self.store.put(&source(key), noise(size), &attributes, &Condition::None).await.unwrap();
            let file = self.folder.path().join("read");
            let seen: Value = serde_json::from_slice(&self.boto("get", key, &file).stdout).unwrap();
            assert!(std::fs::read(&file).unwrap() == noise(size), "{key}");
            assert_eq!(seen["content_type"], "image/png");
            assert_eq!(seen["cache_control"], "max-age=60");
            assert_eq!(seen["metadata"]["author"], "karui");
            // boto3 validates no checksum of checksums.
            let is_composite = self.checksum == UploadChecksum::Sha256 && size > 6 * MIB;
            assert_eq!(seen["validated"], !is_composite, "{key}");
            self.run("aws", &["s3", "cp", "--quiet", "--checksum-mode", "ENABLED", &url(key), "read by the CLI"]);
            assert!(std::fs::read(self.folder.path().join("read by the CLI")).unwrap() == noise(size), "{key}");
        }
    }

    /// Karui reads what both clients wrote.
    async fn reads_what_clients_write(&self) {
        for size in [1000, 12 * MIB + 1] {
            let file = self.folder.path().join("written");
            std::fs::write(&file, noise(size)).unwrap();
            self.boto("put", "by boto", &file);
            let attributes = self.read(&source("by boto"), noise(size)).await;
            assert_eq!(attributes.content_type.as_deref(), Some("image/jpeg"));
            assert_eq!(attributes.metadata["author"], "boto3");

            let checksum = ["--checksum-algorithm", "CRC64NVME"];
            let upload = ["s3", "cp", "--quiet", "--content-type", "image/webp", "written", &url("by the CLI")];
            self.run("aws", &[&upload[..], &checksum].concat());
            let attributes = self.read(&source("by the CLI"), noise(size)).await;
            assert_eq!(attributes.content_type.as_deref(), Some("image/webp"));
        }
    }

    async fn read(&self, object: &ObjectRef, expected: Bytes) -> Attributes {
        let download = self.store.get(object, None).await.unwrap();
        let attributes = download.head.attributes.clone();
        assert!(download.read_all().await.unwrap() == expected, "{object}");
        attributes
    }
}

fn url(key: &str) -> String {
    source(key).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_read_karuis_checksums_on_a_folder() {
    let s3 = TestS3::start().await;
    let environment = [
        ("AWS_ENDPOINT_URL", s3.server.endpoint()),
        ("AWS_DEFAULT_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID),
        ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY),
    ];
    let world = World::new(
        s3.client(1),
        UploadChecksum::default(),
        environment.map(|(name, value)| (name, value.to_owned())).into(),
    );
    world.is_read_by_clients().await;
    world.reads_what_clients_write().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_read_karuis_checksums_on_ministack() {
    let ministack = MiniStack::start().await;
    let client = ministack.client();
    client.create_bucket().bucket(SOURCE).send().await.unwrap();
    let environment = ministack.environment().map(|(name, value)| (name, value.to_owned()));
    let world = World::new(client, ministack::CHECKSUM, environment.into());
    world.is_read_by_clients().await;
    world.reads_what_clients_write().await;
}
