//! Every attribute by every way: the table of `docs/attributes.md`, cell by cell.

mod docs;
mod expected;
mod rows;
mod world;

use crate::support::recorder::Headers;
use crate::support::{DESTINATION, SOURCE, destination, source};
use aws_sdk_s3::types::{BucketVersioningStatus, ObjectOwnership, OwnershipControls, OwnershipControlsRule};
use aws_sdk_s3::types::{ObjectLockEnabled, VersioningConfiguration};
use bytes::Bytes;
use expected::{Expected, ensure, never, never_sent};
use karui::s3::{Attributes, Condition, CopyTags};
use rows::{Image, LEFT_BEHIND, Proof, Row, Server, Way, rows};
use world::{World, bodies};

async fn by_the_s3_module(world: &World, way: Way, row: &Row) -> Result<(), String> {
    let (body, _) = bodies(way, row.large);
    world.upload(&row.headers, &row.tags, body.clone()).await?;
    world.carry(way, body.clone()).await?;
    let expected = Expected {
        server: world.server,
        way,
        headers: row.headers.clone(),
        tags: row.tags.clone(),
        body,
        marker: false,
    };
    expected.check(world).await
}

async fn by_the_pipeline(world: &World, way: Way, row: &Row) -> Result<(), String> {
    let (body, result) = bodies(way, row.large);
    world.upload(&row.headers, &row.tags, body.clone()).await?;
    world.run(way).await?;
    let rewritten = way.is_of_images() && row.image != Image::Copied;
    let expected = Expected {
        server: world.server,
        way: if rewritten { way } else { way.without_rewriting() },
        headers: if rewritten { row.of_rewritten_image() } else { row.headers.clone() },
        tags: row.tags.clone(),
        body: if rewritten { result } else { body },
        marker: row.marker,
    };
    expected.check(world).await
}

/// Checks all cells that one server supports, then reports every failure.
async fn every_cell_holds(
    server: Server,
    (level, ways): (&str, &[Way]),
    cell: impl AsyncFn(&World, Way, &Row) -> Result<(), String>,
) {
    let world = World::with_buckets(server).await;
    let mut failures = Vec::new();
    for row in rows().iter().filter(|row| row.servers.contains(&server)) {
        for way in ways.iter().copied() {
            if let Err(failure) = cell(&world, way, row).await {
                failures.push(format!("{} | {} | {level}, {server:?}: {failure}", row.attribute, way.name()));
            }
        }
    }
    if server == Server::MiniStack {
        let uploads = world.client.list_multipart_uploads().bucket(DESTINATION).send().await.unwrap();
        assert!(uploads.uploads().is_empty(), "{uploads:?}");
    }
    assert!(failures.is_empty(), "{} cells fail:\n{}", failures.len(), failures.join("\n"));
}

#[tokio::test]
async fn s3_keeps_every_attribute_in_ministack() {
    every_cell_holds(Server::MiniStack, ("s3 module", &Way::ALL), by_the_s3_module).await;
}

#[tokio::test]
async fn s3_keeps_every_attribute_in_a_folder() {
    every_cell_holds(Server::Folder, ("s3 module", &Way::ALL), by_the_s3_module).await;
}

#[tokio::test]
async fn pipeline_keeps_every_attribute_in_ministack() {
    every_cell_holds(Server::MiniStack, ("pipeline", &Way::OF_THE_PIPELINE), by_the_pipeline).await;
}

#[tokio::test]
async fn pipeline_keeps_every_attribute_in_a_folder() {
    every_cell_holds(Server::Folder, ("pipeline", &Way::OF_THE_PIPELINE), by_the_pipeline).await;
}

#[tokio::test]
async fn copy_has_only_the_given_attributes() {
    for server in [Server::MiniStack, Server::Folder] {
        let world = World::with_buckets(server).await;
        let mut full = rows().into_iter().find(|row| row.attribute == "all of these at once").unwrap();
        if server == Server::MiniStack {
            // Unlike S3, MiniStack lets a copy inherit these two.
            full.headers.remove("content-encoding");
            full.headers.remove("x-amz-storage-class");
        } else {
            full.tags.clear();
            full.headers.remove("x-amz-storage-class");
        }
        let few = Attributes { content_type: Some("image/png".into()), ..Attributes::default() };
        for way in [Way::Copy, Way::MultipartCopy] {
            let (body, _) = bodies(way, true);
            world.upload(&full.headers, &full.tags, body.clone()).await.unwrap();
            let (head, Attributes { tags, .. }) = world.read(&source("object")).await.unwrap();
            world.recorder.clear();
            // A copy in parts would write the tags itself.
            let told = Attributes { tags, ..few.clone() };
            let (from, to) = (source("object"), destination("object"));
            let copied = world.store(way).copy(&from, &head, &to, &told, CopyTags::Drop, &Condition::None).await;
            copied.unwrap();
            let headers = [("content-type".to_owned(), "image/png".to_owned())].into();
            let expected = Expected { server: world.server, way, headers, tags: Vec::new(), body, marker: false };
            expected.check(&world).await.unwrap_or_else(|failure| panic!("{}, {server:?}: {failure}", way.name()));
        }
    }
}

#[tokio::test]
async fn pipeline_drops_attributes_of_the_source_alone() {
    let world = World::start(Server::MiniStack).await;
    locked_buckets(&world).await;
    let headers = [
        ("x-amz-acl", "authenticated-read"),
        ("x-amz-server-side-encryption", "aws:kms"),
        ("x-amz-server-side-encryption-aws-kms-key-id", "arn:aws:kms:us-east-1:000000000000:key/of-the-source"),
        ("x-amz-object-lock-mode", "GOVERNANCE"),
        ("x-amz-object-lock-retain-until-date", "2099-01-01T00:00:00Z"),
        ("x-amz-object-lock-legal-hold", "ON"),
        ("x-amz-meta-karui-forged", "x"),
    ];
    let headers: Headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let mut failures = Vec::new();
    for way in Way::OF_THE_PIPELINE {
        world.upload(&headers, &Vec::new(), bodies(way, false).0).await.unwrap();
        let annotation = world.client.put_object_annotation().bucket(SOURCE).key("object").annotation_name("note");
        annotation.annotation_payload(Bytes::from_static(b"text").into()).send().await.unwrap();
        let at_source = has(&world, SOURCE).await;
        failures.extend(left_behind(&world, way, &at_source).await.err().map(|e| format!("{}: {e}", way.name())));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

async fn left_behind(world: &World, way: Way, at_source: &Headers) -> Result<(), String> {
    world.run(way).await?;
    never_sent(world)?;
    let arrived = has(world, DESTINATION).await;
    let absent =
        LEFT_BEHIND.iter().filter_map(|left| if let Proof::Absent(name) = left.proof { Some(name) } else { None });
    for name in never().chain(absent) {
        let of = |headers: &Headers| headers.keys().any(|header| header.starts_with(name));
        // S3 tells of grants, and not of the request that made them.
        ensure(of(at_source) || name == "x-amz-acl", || format!("no {name} at the source"))?;
        ensure(!of(&arrived), || format!("{name} arrived: {arrived:?}"))?;
    }
    Ok(())
}

/// An object's headers, with its other attributes written like headers.
async fn has(world: &World, bucket: &str) -> Headers {
    world.client.head_object().bucket(bucket).key("object").send().await.unwrap();
    let mut headers = world.recorder.answer();
    let listed = world.client.list_object_annotations().bucket(bucket).key("object").send().await.unwrap();
    headers.extend(listed.annotations().iter().map(|annotation| ("annotations".into(), format!("{annotation:?}"))));
    let acl = world.client.get_object_acl().bucket(bucket).key("object").send().await.unwrap();
    let shared = acl.grants().iter().filter(|grant| grant.grantee().is_some_and(|grantee| grantee.uri().is_some()));
    headers.extend(shared.map(|grant| ("x-amz-grant-".into(), format!("{grant:?}"))));
    headers
}

/// A source that allows what the destination does not know.
async fn locked_buckets(world: &World) {
    let client = &world.client;
    client.create_bucket().bucket(DESTINATION).send().await.unwrap();
    client.create_bucket().bucket(SOURCE).object_lock_enabled_for_bucket(true).send().await.unwrap();
    let enabled = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    client.put_bucket_versioning().bucket(SOURCE).versioning_configuration(enabled).send().await.unwrap();
    let writer = OwnershipControlsRule::builder().object_ownership(ObjectOwnership::ObjectWriter).build().unwrap();
    let controls = OwnershipControls::builder().rules(writer).build().unwrap();
    client.put_bucket_ownership_controls().bucket(SOURCE).ownership_controls(controls).send().await.unwrap();
    client.delete_public_access_block().bucket(SOURCE).send().await.unwrap();
    let lock = client.get_object_lock_configuration().bucket(SOURCE).send().await.unwrap();
    let lock = lock.object_lock_configuration.and_then(|lock| lock.object_lock_enabled);
    assert_eq!(lock, Some(ObjectLockEnabled::Enabled));
}
