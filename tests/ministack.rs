//! A second opinion: the S3 room against `MiniStack`, which has the tags, storage classes and versions that a folder
//! lacks, and takes any key.

mod support;

use karui::s3::{Attributes, Condition, CopyTags, ETag, Kind, ObjectRef, Store, Transfer};
use support::ministack::MiniStack;
use support::{DESTINATION, MIB, SOURCE, attributes, destination, noise, source};

struct World {
    _ministack: MiniStack,
    client: aws_sdk_s3::Client,
    store: Store,
}

async fn world() -> World {
    let ministack = MiniStack::start().await;
    let client = ministack.client();
    for bucket in [SOURCE, DESTINATION] {
        client.create_bucket().bucket(bucket).send().await.unwrap();
    }
    let transfer = Transfer { multipart_threshold: 6 * MIB as u64, part_size: 5 * MIB as u64, concurrency: 2 };
    let store = Store::new(client.clone(), transfer).with_copy_limit(6 * MIB as u64);
    World { _ministack: ministack, client, store }
}

fn everything() -> Attributes {
    let tags = [("project", "a b+c/é=&"), ("empty", "")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    Attributes { storage_class: Some("STANDARD_IA".into()), tags: tags.into(), ..attributes() }
}

/// What is at a key: all attributes, the tags with them.
async fn found(store: &Store, object: &ObjectRef) -> Attributes {
    let head = store.head(object).await.unwrap().unwrap();
    let mut tags = store.tags(object).await.unwrap();
    tags.sort_by_key(|(key, _)| std::cmp::Reverse(key.clone()));
    Attributes { tags, ..head.attributes }
}

#[tokio::test]
async fn every_attribute_arrives_by_put_and_copy_at_once_and_in_parts() {
    let World { store, client, _ministack } = world().await;
    for (size, parts) in [(0, ""), (10, ""), (12 * MIB, "-3")] {
        let (from, to, bare) = (source("a"), destination("with tags"), destination("without"));
        store.put(&from, noise(size), &everything(), &Condition::None).await.unwrap();
        let head = store.head(&from).await.unwrap().unwrap();
        assert!(head.etag.as_str().ends_with(parts), "{}", head.etag);
        assert_eq!(found(&store, &from).await, everything(), "put, {size} bytes");
        assert_eq!(store.get(&from, None).await.unwrap().head.tag_count, 2);

        store.copy(&from, &head, &to, &everything(), CopyTags::Copy, &Condition::None).await.unwrap();
        assert_eq!(found(&store, &to).await, everything(), "copy, {size} bytes");
        let body = store.get(&to, None).await.unwrap().read_all().await.unwrap();
        assert!(body == noise(size), "{size} bytes");

        store.copy(&from, &head, &bare, &everything(), CopyTags::Drop, &Condition::None).await.unwrap();
        assert_eq!(found(&store, &bare).await, Attributes { tags: Vec::new(), ..everything() }, "{size} bytes");
    }
    let uploads = client.list_multipart_uploads().bucket(DESTINATION).send().await.unwrap();
    assert!(uploads.uploads().is_empty());
}

#[tokio::test]
async fn few_attributes_stay_few() {
    let World { store, _ministack, .. } = world().await;
    let few = Attributes { content_type: Some("image/png".into()), ..Attributes::default() };
    for size in [10, 7 * MIB] {
        // Unlike S3, MiniStack lets a copy inherit these two.
        let many = Attributes { content_encoding: None, storage_class: None, ..everything() };
        store.put(&source("a"), noise(size), &many, &Condition::None).await.unwrap();
        let head = store.head(&source("a")).await.unwrap().unwrap();
        store.copy(&source("a"), &head, &destination("a"), &few, CopyTags::Drop, &Condition::None).await.unwrap();
        assert_eq!(found(&store, &destination("a")).await, few, "{size} bytes");
    }
}

#[tokio::test]
async fn an_expiry_that_is_no_date_arrives_as_it_was() {
    let World { store, _ministack, .. } = world().await;
    let never = Attributes { expires: Some("0".into()), ..Attributes::default() };
    store.put(&source("a"), noise(1), &never, &Condition::None).await.unwrap();
    assert_eq!(store.head(&source("a")).await.unwrap().unwrap().attributes.expires.as_deref(), Some("0"));
}

#[tokio::test]
async fn keys_arrive_as_they_are() {
    let World { store, client, _ministack } = world().await;
    let long = "k".repeat(1024);
    let keys =
        ["..", "../up", "a//b", "/lead", "a/../b", "./z", "folder/", "a b+c%20.jpg", "日本/é.jpg", "q?x=1&y#z", &long];
    for key in keys {
        for size in [10, 7 * MIB] {
            store.put(&source(key), noise(size), &Attributes::default(), &Condition::None).await.unwrap();
            let head = store.head(&source(key)).await.unwrap().unwrap();
            let (to, attributes) = (destination(key), Attributes::default());
            store.copy(&source(key), &head, &to, &attributes, CopyTags::Drop, &Condition::None).await.unwrap();
            assert!(store.get(&to, None).await.unwrap().read_all().await.unwrap() == noise(size), "{key}");
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
async fn conditions_hold() {
    let World { store, _ministack, .. } = world().await;
    for size in [10, 7 * MIB] {
        let (from, to) = (source("from"), destination(&format!("to {size}")));
        store.put(&from, noise(size), &Attributes::default(), &Condition::None).await.unwrap();
        let head = store.head(&from).await.unwrap().unwrap();
        let attributes = Attributes::default();
        for (condition, kind) in [
            (Condition::Unmodified(ETag::new("stale")), Some(Kind::PreconditionFailed)),
            (Condition::Absent, None),
            (Condition::Absent, Some(Kind::PreconditionFailed)),
            (Condition::Unmodified(ETag::new("stale")), Some(Kind::PreconditionFailed)),
        ] {
            let put = store.put(&to, noise(size), &attributes, &condition).await;
            assert_eq!(put.err().map(|error| error.kind), kind, "put, {condition:?}, {size} bytes");
        }
        // MiniStack's CopyObject does not look at the destination; the folder's does, in tests/s3_store.rs.
        let refused = [Condition::Absent, Condition::Unmodified(ETag::new("stale"))];
        for condition in refused.iter().filter(|_| size > 6 * MIB) {
            let copy = store.copy(&from, &head, &to, &attributes, CopyTags::Drop, condition).await;
            let error = copy.unwrap_err();
            assert_eq!((error.kind, error.object), (Kind::PreconditionFailed, to.clone()), "{condition:?}");
        }
    }
}

#[tokio::test]
async fn in_a_bucket_with_versions_only_the_newest_counts() {
    use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
    let World { store, client, _ministack } = world().await;
    let enabled = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    client.put_bucket_versioning().bucket(SOURCE).versioning_configuration(enabled).send().await.unwrap();
    let (from, attributes) = (source("a"), Attributes::default());
    store.put(&from, noise(10), &attributes, &Condition::None).await.unwrap();
    let old = store.head(&from).await.unwrap().unwrap();
    store.put(&from, noise(11), &attributes, &Condition::None).await.unwrap();

    assert_eq!(store.get(&from, Some(&old.etag)).await.unwrap_err().kind, Kind::PreconditionFailed);
    let copy = store.copy(&from, &old, &destination("a"), &attributes, CopyTags::Drop, &Condition::None).await;
    let error = copy.unwrap_err();
    assert_eq!((error.kind, error.object), (Kind::PreconditionFailed, from.clone()));

    client.delete_object().bucket(SOURCE).key("a").send().await.unwrap();
    assert_eq!(store.head(&from).await.unwrap(), None);
    assert_eq!(store.get(&from, None).await.unwrap_err().kind, Kind::NotFound);
}
