//! A second opinion: the S3 module against `MiniStack`, which has the versions that a folder lacks, and takes keys that no
//! folder has. What both must do is in `contract.rs`, what it has of attributes in `attributes`.

use crate::support::ministack::{self, MiniStack};
use crate::support::{DESTINATION, MIB, SOURCE, destination, noise, source};
use karui::s3::{self, Attributes, Condition, CopyTags, Pair, S3ErrorKind, TransferConfig};

struct World {
    _ministack: MiniStack,
    client: aws_sdk_s3::Client,
    store: Pair,
}

async fn world() -> World {
    let ministack = MiniStack::start().await;
    let client = ministack.client();
    for bucket in [SOURCE, DESTINATION] {
        client.create_bucket().bucket(bucket).send().await.unwrap();
    }
    let transfer = TransferConfig {
        multipart_threshold: 6 * MIB as u64,
        part_size: 5 * MIB as u64,
        concurrency: 2,
        checksum: ministack::CHECKSUM,
        ..TransferConfig::default()
    };
    let store = Pair::within(s3::Client::new(client.clone(), transfer)).with_copy_limit(6 * MIB as u64);
    World { _ministack: ministack, client, store }
}

#[tokio::test]
async fn copy_keeps_any_key() {
    let World { store, client, _ministack } = world().await;
    let long = "k".repeat(1024);
    let keys =
        ["..", "../up", "a//b", "/lead", "a/../b", "./z", "folder/", "a b+c%20.jpg", "日本/é.jpg", "q?x=1&y#z", &long];
    for key in keys {
        for size in [10, 7 * MIB] {
            store.destination.put(&source(key), noise(size), &Attributes::default(), &Condition::None).await.unwrap();
            let head = store.destination.head(&source(key)).await.unwrap().unwrap();
            let (to, attributes) = (destination(key), Attributes::default());
            store.copy(&source(key), &head, &to, &attributes, CopyTags::Drop, &Condition::None).await.unwrap();
            assert!(store.source.get(&to, None).await.unwrap().read_all().await.unwrap() == noise(size), "{key}");
        }
    }
    let mut expected = keys.to_vec();
    expected.sort_unstable();
    for bucket in [SOURCE, DESTINATION] {
        let listed = client.list_objects_v2().bucket(bucket).send().await.unwrap();
        let mut listed: Vec<_> = listed.contents().iter().filter_map(|object| object.key()).collect();
        listed.sort_unstable();
        assert_eq!(listed, expected);
    }
}

#[tokio::test]
async fn versioned_bucket_uses_the_newest_version() {
    use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
    let World { store, client, _ministack } = world().await;
    let enabled = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    client.put_bucket_versioning().bucket(SOURCE).versioning_configuration(enabled).send().await.unwrap();
    let (from, attributes) = (source("a"), Attributes::default());
    store.destination.put(&from, noise(10), &attributes, &Condition::None).await.unwrap();
    let old = store.destination.head(&from).await.unwrap().unwrap();
    store.destination.put(&from, noise(11), &attributes, &Condition::None).await.unwrap();

    assert_eq!(store.source.get(&from, Some(&old.etag)).await.unwrap_err().kind, S3ErrorKind::PreconditionFailed);
    let copy = store.copy(&from, &old, &destination("a"), &attributes, CopyTags::Drop, &Condition::None).await;
    let error = copy.unwrap_err();
    assert_eq!((error.kind, error.object), (S3ErrorKind::PreconditionFailed, from.clone()));

    client.delete_object().bucket(SOURCE).key("a").send().await.unwrap();
    assert_eq!(store.destination.head(&from).await.unwrap(), None);
    assert_eq!(store.source.get(&from, None).await.unwrap_err().kind, S3ErrorKind::NotFound);
}

/// A folder has no file for it, and a console made it on purpose. The in-process S3 takes no such keys.
#[cfg(feature = "transfer")]
#[tokio::test(flavor = "multi_thread")]
async fn sync_delete_keeps_folder_markers() {
    let World { client, _ministack: ministack, .. } = world().await;
    for key in ["dir/", "dir/gone.txt"] {
        client.put_object().bucket(DESTINATION).key(key).send().await.unwrap();
    }
    let here = tempfile::tempdir().unwrap();
    std::fs::write(here.path().join("a.txt"), "a").unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_karui"))
        .args(["sync", "--delete", here.path().to_str().unwrap(), &format!("s3://{DESTINATION}")])
        .env_clear()
        .envs(ministack.environment())
        .envs([("AWS_EC2_METADATA_DISABLED", "true"), ("HOME", "/nonexistent")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let listed = client.list_objects_v2().bucket(DESTINATION).send().await.unwrap();
    let keys: Vec<_> = listed.contents().iter().filter_map(|object| object.key()).collect();
    assert_eq!(keys, ["a.txt", "dir/"]);
}
