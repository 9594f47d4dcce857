//! The S3 module against an S3 over a folder: what arrives, and what remains when requests fail.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::support::faults::{Fault, INTERNAL_ERROR, SLOW_DOWN};
use crate::support::{MIB, TestS3, attributes, destination, eventually, noise, source};
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use karui::s3::{
    Attributes, BucketConfig, Client, Condition, CopyTags, ETag, Head, ObjectRef, Operation, Pair, Presigned, Progress,
    RateLimits, S3Error, S3ErrorKind, TransferConfig, UnorderedReadError, UploadChecksum,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn head(store: &Pair, object: &ObjectRef) -> Head {
    store.destination.head(object).await.unwrap().unwrap()
}

async fn copy(store: &Pair, from: &ObjectRef, to: &ObjectRef, condition: &Condition) -> Result<(), S3Error> {
    let head = head(store, from).await;
    store.copy(from, &head, to, &attributes(), CopyTags::Copy, condition).await
}

#[tokio::test]
async fn put_then_get_returns_bytes_and_attributes() {
    let s3 = TestS3::start().await;
    let store = s3.store(1);
    for (size, etag_suffix) in [(0, ""), (1, ""), (6 * MIB, ""), (6 * MIB + 1, "-1"), (15 * MIB, "-3")] {
        let (object, body) = (source("a.jpg"), noise(size));
        store.destination.put(&object, body.clone(), &attributes(), &Condition::None).await.unwrap();

        let download = store.source.get(&object, None).await.unwrap();
        assert_eq!(download.head.size, size as u64);
        assert_eq!(download.head.attributes, attributes());
        assert_eq!(download.head, head(&store, &object).await);
        assert!(download.head.etag.as_str().ends_with(etag_suffix), "{}", download.head.etag);
        assert!(download.read_all().await.unwrap() == body, "{size} bytes");
        assert!(s3.open_uploads().is_empty());
    }
}

#[tokio::test]
async fn copy_keeps_bytes_and_sets_attributes() {
    let s3 = TestS3::start().await;
    let store = s3.store(1);
    for (size, operation) in [
        (0, Operation::CopyObject),
        (6 * MIB, Operation::CopyObject),
        (6 * MIB + 1, Operation::UploadPartCopy),
        (15 * MIB, Operation::UploadPartCopy),
    ] {
        let (from, to, body) = (source("a b+(1)/日.jpg"), destination("copy of it.jpg"), noise(size));
        s3.put(&from, &body).await;
        s3.faults.clear();
        copy(&store, &from, &to, &Condition::None).await.unwrap();

        assert_eq!(s3.faults.calls(operation), if operation == Operation::CopyObject { 1 } else { size / (5 * MIB) });
        assert!(s3.body(&to).await == body, "{size} bytes");
        assert_eq!(head(&store, &to).await.attributes, attributes());
        assert!(s3.open_uploads().is_empty());
    }
}

#[tokio::test]
async fn multipart_upload_replaces_the_old_checksum() {
    let s3 = TestS3::start().await;
    let object = source("a.jpg");
    s3.put(&object, &noise(10)).await;
    s3.put(&object, &noise(7 * MIB)).await;
    assert!(s3.body(&object).await == noise(7 * MIB));
}

fn crc64nvme(bytes: &[u8]) -> String {
    let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, bytes);
    aws_smithy_types::base64::encode(crc.to_be_bytes())
}

#[tokio::test]
async fn requests_have_checksums_and_no_acl() {
    let s3 = TestS3::start().await;
    s3.put(&source("small"), &noise(10)).await;
    s3.put(&source("large"), &noise(7 * MIB)).await;
    let put = s3.faults.seen(Operation::PutObject);
    assert_eq!(put[0].header("x-amz-checksum-crc64nvme"), Some(crc64nvme(&noise(10)).as_str()));
    assert_eq!(put[0].header("content-encoding"), None);
    for part in s3.faults.seen(Operation::UploadPart) {
        assert_eq!(part.header("x-amz-checksum-crc64nvme").map(str::len), Some(12));
    }
    let create = &s3.faults.seen(Operation::CreateMultipartUpload)[0];
    assert_eq!(create.header("x-amz-checksum-algorithm"), Some("CRC64NVME"));
    assert_eq!(create.header("x-amz-checksum-type"), Some("FULL_OBJECT"));
    let complete = &s3.faults.seen(Operation::CompleteMultipartUpload)[0];
    assert_eq!(complete.header("x-amz-checksum-crc64nvme"), Some(crc64nvme(&noise(7 * MIB)).as_str()));
    assert_eq!(complete.header("x-amz-mp-object-size"), Some((7 * MIB).to_string().as_str()));
    for carries in ["x-amz-checksum-crc32", "x-amz-sdk-checksum-algorithm"] {
        assert!(s3.faults.all_seen().iter().all(|seen| seen.header(carries).is_none()), "the SDK computes nothing");
    }
    assert!(s3.faults.all_seen().iter().all(|seen| seen.header("x-amz-acl").is_none()));
}

#[tokio::test]
async fn expires_is_sent_unchanged() {
    let s3 = TestS3::start().await;
    let attributes = Attributes { expires: Some("0".into()), ..Attributes::default() };
    // The folder takes dates only; what counts is what was sent.
    let _ = s3.store(1).destination.put(&source("a"), noise(1), &attributes, &Condition::None).await;
    assert_eq!(s3.faults.seen(Operation::PutObject)[0].header("expires"), Some("0"));
}

#[tokio::test]
async fn peek_returns_first_bytes_and_keeps_them() {
    let s3 = TestS3::start().await;
    let body = noise(100_000);
    s3.put(&source("a"), &body).await;
    let mut download = s3.store(1).source.get(&source("a"), None).await.unwrap();
    assert_eq!(download.peek(16).await.unwrap(), &body[..16]);
    assert_eq!(download.peek(50_000).await.unwrap(), &body[..50_000]);
    assert!(download.read_all().await.unwrap() == body);

    s3.put(&source("short"), &noise(3)).await;
    let mut download = s3.store(1).source.get(&source("short"), None).await.unwrap();
    assert_eq!(download.peek(16).await.unwrap(), &noise(3)[..]);
    assert!(download.read_all().await.unwrap() == noise(3));
}

#[tokio::test]
async fn every_verb_accepts_any_key() {
    let s3 = TestS3::start().await;
    let store = s3.store(1);
    let long = "ké/".repeat(256);
    assert_eq!(long.len(), 1024);
    let keys = [
        "a b.jpg",
        "a+b.jpg",
        "100%.jpg",
        "%2F.jpg",
        "a%20b",
        "(1) [2] {3}.jpg",
        "日本/写真.jpg",
        "/lead",
        "a//b",
        "//",
        "..",
        "../up",
        "a/../b",
        "a/./b",
        ".",
        "folder/",
        "q?x=1&y#z",
        "tilde~'\"!*;:@=,$",
        "é",
        "e\u{301}",
        "\\",
        &long,
    ];
    for (n, key) in keys.into_iter().enumerate() {
        let bucket = format!("bucket-{n}");
        std::fs::create_dir(s3.folder.path().join(&bucket)).unwrap();
        let (from, to) = (ObjectRef::new(bucket, key), destination("to"));
        for size in [100 + n, 6 * MIB + 1 + n] {
            store.destination.put(&from, noise(size), &Attributes::default(), &Condition::None).await.unwrap();
            copy(&store, &from, &to, &Condition::None).await.unwrap();
            assert!(s3.body(&to).await == noise(size), "{key}, {size} bytes");
            copy(&store, &to, &from, &Condition::None).await.unwrap();
            assert!(s3.body(&from).await == noise(size), "{key}, {size} bytes");
        }
        let listed = s3.server.client().list_objects_v2().bucket(&from.bucket).send().await.unwrap();
        let listed: Vec<_> = listed.contents().iter().filter_map(|object| object.key()).collect();
        // Too long a key for a file name lies under its hash.
        assert!(listed == [key] || (key == long && listed[0].starts_with("%long/")), "{listed:?}");
    }
}

#[tokio::test]
async fn missing_key_bucket_and_upload_differ_in_kind() {
    let s3 = TestS3::start().await;
    let store = s3.store(1);
    let nowhere = ObjectRef::new("nowhere", "a");
    assert_eq!(store.destination.head(&source("a")).await.unwrap(), None);
    assert_eq!(store.destination.head(&nowhere).await.unwrap(), None);
    assert_eq!(store.source.get(&source("a"), None).await.unwrap_err().kind, S3ErrorKind::NotFound);
    assert_eq!(store.source.get(&nowhere, None).await.unwrap_err().kind, S3ErrorKind::NoSuchBucket);
    for size in [1, 7 * MIB] {
        let put = store.destination.put(&nowhere, noise(size), &Attributes::default(), &Condition::None).await;
        assert_eq!(put.unwrap_err().kind, S3ErrorKind::NoSuchBucket);
    }
    assert!(!s3.folder.path().join("nowhere").exists());
    assert_eq!(store.source.tags(&source("a")).await.unwrap_err().kind, S3ErrorKind::NotSupported);
}

#[tokio::test]
async fn conditions_hold_for_every_write() {
    let s3 = TestS3::start().await;
    let store = s3.store(1);
    for size in [10, 7 * MIB] {
        let (from, to) = (source("from"), destination(&format!("to {size}")));
        s3.put(&from, &noise(size)).await;
        let put = |condition| {
            let (store, to) = (store.clone(), to.clone());
            async move { store.destination.put(&to, noise(size), &Attributes::default(), &condition).await }
        };
        let stale = Condition::Unmodified(ETag::new("stale"));

        assert_eq!(put(stale.clone()).await.unwrap_err().kind, S3ErrorKind::PreconditionFailed);
        put(Condition::Absent).await.unwrap();
        assert_eq!(put(Condition::Absent).await.unwrap_err().kind, S3ErrorKind::PreconditionFailed);
        assert_eq!(put(stale.clone()).await.unwrap_err().kind, S3ErrorKind::PreconditionFailed);
        put(Condition::Unmodified(head(&store, &to).await.etag)).await.unwrap();

        for condition in [Condition::Absent, stale] {
            let error = copy(&store, &from, &to, &condition).await.unwrap_err();
            assert_eq!((error.kind, error.object), (S3ErrorKind::PreconditionFailed, to.clone()));
        }
        copy(&store, &from, &to, &Condition::Unmodified(head(&store, &to).await.etag)).await.unwrap();
        assert!(s3.open_uploads().is_empty());
    }
}

#[tokio::test]
async fn get_of_changed_object_is_precondition_failed() {
    let s3 = TestS3::start().await;
    let store = s3.store(1);
    s3.put(&source("a"), &noise(10)).await;
    let seen = head(&store, &source("a")).await.etag;
    assert!(store.source.get(&source("a"), Some(&seen)).await.is_ok());
    s3.put(&source("a"), &noise(11)).await;
    assert_eq!(store.source.get(&source("a"), Some(&seen)).await.unwrap_err().kind, S3ErrorKind::PreconditionFailed);
}

#[tokio::test]
async fn copy_error_names_the_faulty_side() {
    let s3 = TestS3::start().await;
    let store = s3.store(1);
    for size in [10, 7 * MIB] {
        let (from, to) = (source("from"), destination("to"));
        s3.put(&from, &noise(size)).await;
        let seen = head(&store, &from).await;
        let copy = || store.copy(&from, &seen, &to, &seen.attributes, CopyTags::Drop, &Condition::Absent);

        s3.put(&from, &noise(size + 1)).await;
        let error = copy().await.unwrap_err();
        assert_eq!((error.kind, error.object), (S3ErrorKind::PreconditionFailed, from.clone()));

        std::fs::remove_file(s3.file(&from)).unwrap();
        let error = copy().await.unwrap_err();
        assert_eq!((error.kind, error.object), (S3ErrorKind::NotFound, from.clone()));
        assert!(s3.open_uploads().is_empty());
    }
}

#[tokio::test]
async fn read_of_short_or_changed_body_is_an_error() {
    let s3 = TestS3::start().await;
    let store = s3.store(1);
    s3.put(&source("a"), &noise(100_000)).await;
    for after in [0, 1, 99_999] {
        s3.faults.on(Operation::GetObject, 1, Fault::Cut(after));
        let error = store.source.get(&source("a"), None).await.unwrap().read_all().await.unwrap_err();
        let S3ErrorKind::Truncated { expected: 100_000, got } = error.kind else { panic!("{error}") };
        assert!(got <= after as u64, "{got}");
    }
    let mut changed = noise(100_000).to_vec();
    changed[50_000] ^= 1;
    std::fs::write(s3.file(&source("a")), changed).unwrap();
    let error = store.source.get(&source("a"), None).await.unwrap().read_all().await.unwrap_err();
    assert_eq!(error.kind, S3ErrorKind::Corrupted);
}

/// Parts of 5 MiB by four requests at once.
fn parallel(s3: &TestS3, attempts: u32) -> Pair {
    let transfer =
        TransferConfig { multipart_threshold: 6 * MIB as u64, part_size: 5 * MIB as u64, ..TransferConfig::default() };
    Pair::within(Client::new(s3.client(attempts), transfer))
}

#[tokio::test]
async fn read_of_large_object_uses_ranges_of_one_etag() {
    let s3 = TestS3::start().await;
    let (object, body) = (source("a"), noise(31 * MIB + 1));
    s3.put(&object, &body).await;
    s3.faults.clear();
    assert!(parallel(&s3, 1).source.get(&object, None).await.unwrap().read_all().await.unwrap() == body);

    let asked = s3.faults.seen(Operation::GetObject);
    assert_eq!(asked[0].header("range"), None);
    assert!((4..=6).contains(&asked.len()), "{} requests", asked.len());
    assert!(asked[1..].iter().all(|part| part.header("range").is_some() && part.header("if-match").is_some()));
}

#[tokio::test]
async fn read_resumes_a_truncated_range() {
    let s3 = TestS3::start().await;
    let (object, body) = (source("a"), noise(31 * MIB));
    s3.put(&object, &body).await;
    for nth in 1..=3 {
        s3.faults.clear();
        s3.faults.on(Operation::GetObject, nth, Fault::Cut(MIB));
        assert!(parallel(&s3, 2).source.get(&object, None).await.unwrap().read_all().await.unwrap() == body);
        s3.faults.on(Operation::GetObject, nth, Fault::Cut(MIB));
        let error = parallel(&s3, 1).source.get(&object, None).await.unwrap().read_all().await.unwrap_err();
        assert!(matches!(error.kind, S3ErrorKind::Truncated { .. }), "{error}");
    }
}

#[tokio::test]
async fn read_of_object_changed_midway_is_an_error() {
    let s3 = TestS3::start().await;
    let object = source("a");
    s3.put(&object, &noise(31 * MIB)).await;
    let mut download = parallel(&s3, 1).source.get(&object, None).await.unwrap();
    download.peek(16).await.unwrap();
    s3.put(&object, &noise(31 * MIB + 1)).await;
    assert_eq!(download.read_all().await.unwrap_err().kind, S3ErrorKind::PreconditionFailed);
}

#[tokio::test]
async fn read_of_large_object_with_wrong_byte_is_corrupted() {
    let s3 = TestS3::start().await;
    let object = source("a");
    s3.put(&object, &noise(31 * MIB)).await;
    let mut changed = noise(31 * MIB).to_vec();
    changed[20 * MIB] ^= 1;
    std::fs::write(s3.file(&object), changed).unwrap();
    let store = parallel(&s3, 2);
    let error = store.source.get(&object, None).await.unwrap().read_all().await.unwrap_err();
    assert_eq!(error.kind, S3ErrorKind::Corrupted);

    let seen = head(&store, &object).await;
    let scattered = store.source.read_unordered(&object, &seen, |_| Ok(std::io::sink())).await;
    assert!(
        matches!(scattered, Err(UnorderedReadError::S3(S3Error { kind: S3ErrorKind::Corrupted, .. }))),
        "{scattered:?}"
    );
    let pieces: Vec<_> = store.source.read_ordered(&object, &seen).collect().await;
    assert_eq!(pieces.last().unwrap().as_ref().unwrap_err().kind, S3ErrorKind::Corrupted, "{} pieces", pieces.len());
    s3.put(&destination("a"), &noise(10)).await;
    let to = destination("a");
    let error = store.relay(&object, &seen, &to, &attributes(), &Condition::None).await.unwrap_err();
    assert_eq!((error.kind, error.object), (S3ErrorKind::Corrupted, object));
    assert!(s3.body(&to).await == noise(10) && s3.open_uploads().is_empty(), "nothing was stored");
}

/// Somewhere in a buffer that others write to as well.
struct Place {
    bytes: Arc<std::sync::Mutex<Vec<u8>>>,
    at: usize,
}

impl std::io::Write for Place {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.bytes.lock().unwrap()[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn read_unordered_writes_and_verifies_every_byte() {
    let s3 = TestS3::start().await;
    let object = source("a");
    for checksum in [UploadChecksum::Crc64Nvme, UploadChecksum::Crc32c, UploadChecksum::Sha256] {
        for size in [0, 10, 16 * MIB + 3] {
            let at_once = TransferConfig { checksum, multipart_threshold: u64::MAX, ..TransferConfig::default() };
            let writer = Client::new(s3.client(1), at_once);
            writer.put(&object, noise(size), &attributes(), &Condition::None).await.unwrap();
            let store = parallel(&s3, 2);
            let seen = head(&store, &object).await;
            assert_eq!(seen.can_read_unordered(), checksum != UploadChecksum::Sha256);
            s3.faults.clear();
            s3.faults.on(Operation::GetObject, 2, Fault::Cut(1000));
            let bytes = Arc::new(std::sync::Mutex::new(vec![0; size]));
            let places = Arc::clone(&bytes);
            let open = move |at: u64| Ok(Place { bytes: Arc::clone(&places), at: usize::try_from(at).unwrap() });
            store.source.read_unordered(&object, &seen, open).await.unwrap();
            assert!(*bytes.lock().unwrap() == noise(size), "{checksum:?}, {size} bytes");
            let told = store.source.read_unordered(&object, &seen, |_| Ok(std::io::Cursor::new([]))).await;
            assert!(size == 0 || matches!(told, Err(UnorderedReadError::Write(_))), "{told:?}");
        }
    }
}

/// Objects as other clients write them, with other algorithms.
#[tokio::test]
async fn relay_verifies_every_kind_of_checksum() {
    let s3 = TestS3::start().await;
    let (from, to) = (source("a"), destination("a"));
    let theirs =
        TransferConfig { checksum: UploadChecksum::Crc32c, multipart_threshold: u64::MAX, ..TransferConfig::default() };
    Client::new(s3.client(1), theirs).put(&from, noise(11 * MIB), &attributes(), &Condition::None).await.unwrap();
    let store = parallel(&s3, 1);
    let seen = head(&store, &from).await;
    store.relay(&from, &seen, &to, &attributes(), &Condition::None).await.unwrap();
    assert!(s3.body(&to).await == noise(11 * MIB));
    s3.faults.clear();
    s3.faults.on(Operation::GetObject, 2, Fault::Flip(7));
    let error = store.relay(&from, &seen, &to, &attributes(), &Condition::None).await.unwrap_err();
    assert_eq!((error.kind, error.object), (S3ErrorKind::Corrupted, from));
    assert!(s3.open_uploads().is_empty());
}

#[tokio::test]
async fn upload_with_every_checksum_is_verified() {
    let s3 = TestS3::start().await;
    for checksum in [UploadChecksum::Crc64Nvme, UploadChecksum::Crc32c, UploadChecksum::Sha256, UploadChecksum::Md5] {
        let transfer = TransferConfig { checksum, multipart_threshold: 6 * MIB as u64, ..TransferConfig::default() };
        let store = Pair::within(Client::new(s3.client(1), transfer));
        for size in [0, 10, 17 * MIB] {
            store.destination.put(&source("a"), noise(size), &attributes(), &Condition::None).await.unwrap();
            assert!(s3.body(&source("a")).await == noise(size), "{checksum:?}, {size} bytes");
        }
    }
    let md5 = s3.faults.seen(Operation::UploadPart).iter().filter(|part| part.header("content-md5").is_some()).count();
    assert_eq!(md5, 3);
}

#[tokio::test]
async fn lost_completion_is_recognized_by_checksum() {
    let s3 = TestS3::start().await;
    let object = destination("a");
    s3.faults.on(Operation::CompleteMultipartUpload, 1, Fault::AnswerLost);
    s3.store(2).destination.put(&object, noise(7 * MIB), &Attributes::default(), &Condition::None).await.unwrap();
    assert!(s3.body(&object).await == noise(7 * MIB));
}

#[tokio::test]
async fn put_stream_of_unknown_length_is_atomic() {
    let s3 = TestS3::start().await;
    let store = s3.store(1);
    let object = destination("a");
    for (size, parts) in [(0, 0), (1000, 0), (5 * MIB - 1, 0), (5 * MIB, 1), (17 * MIB + 3, 4)] {
        s3.faults.clear();
        let body = noise(size);
        let chunks = (0..size).step_by(300_007).map(|start| body.slice(start..size.min(start + 300_007)));
        let chunks: Vec<std::io::Result<Bytes>> = chunks.map(Ok).collect();
        store
            .destination
            .put_stream(&object, stream::iter(chunks), None, &attributes(), &Condition::None)
            .await
            .unwrap();
        assert_eq!(s3.faults.calls(Operation::UploadPart), parts, "{size} bytes");
        assert_eq!(s3.faults.calls(Operation::PutObject), usize::from(parts == 0), "{size} bytes");
        assert!(s3.body(&object).await == body, "{size} bytes");
        assert_eq!(head(&store, &object).await.attributes, attributes());
    }

    let broken = [Ok(noise(12 * MIB)), Err(std::io::Error::other("the pipe is gone"))];
    let error = store
        .destination
        .put_stream(&object, stream::iter(broken), None, &attributes(), &Condition::None)
        .await
        .unwrap_err();
    assert_eq!(error.kind, S3ErrorKind::Connection);
    assert!(s3.open_uploads().is_empty());
    assert!(s3.body(&object).await == noise(17 * MIB + 3), "the old object is there still");
}

#[tokio::test]
async fn put_stream_of_known_length_has_equal_parts() {
    let s3 = TestS3::start().await;
    let (store, object) = (s3.store(1), destination("a"));
    let stream = |size: usize| {
        let body = noise(size);
        let starts = (0..size).step_by(300_007);
        stream::iter(starts.map(move |start| std::io::Result::Ok(body.slice(start..size.min(start + 300_007)))))
    };
    // The threshold is 6 MiB, a part 5.
    for (size, parts) in [(0, 0), (1000, 0), (6 * MIB, 0), (6 * MIB + 1, 1), (16 * MIB + 3, 3)] {
        s3.faults.clear();
        let (length, attributes) = (Some(size as u64), attributes());
        store.destination.put_stream(&object, stream(size), length, &attributes, &Condition::None).await.unwrap();
        assert!(s3.body(&object).await == noise(size), "{size} bytes");
        let sent = s3.faults.seen(Operation::UploadPart);
        let lengths = sent.iter().map(|part| part.header("content-length").unwrap().parse::<usize>().unwrap());
        let (least, most) = (lengths.clone().min().unwrap_or(0), lengths.max().unwrap_or(0));
        assert!(sent.len() == parts && most - least <= 2, "{size} bytes: {} parts of {least} to {most}", sent.len());
    }
    for size in [0, 10, 6 * MIB, 16 * MIB] {
        for length in [(size + 1) as u64, size.saturating_sub(1) as u64].into_iter().filter(|n| *n != size as u64) {
            let put = store
                .destination
                .put_stream(&object, stream(size), Some(length), &attributes(), &Condition::None)
                .await;
            let error = put.expect_err("a length that is not its own");
            assert!(error.to_string().contains("than its stated length"), "{size} for {length}: {error}");
            assert!(s3.body(&object).await == noise(16 * MIB + 3) && s3.open_uploads().is_empty());
        }
    }
}

#[tokio::test]
async fn put_stream_holds_only_the_parts_in_flight() {
    let s3 = TestS3::start().await;
    let (store, object) = (s3.store(1), destination("a"));
    s3.faults.always(Operation::UploadPart, Fault::Hang);
    let taken = std::sync::atomic::AtomicUsize::new(0);
    let endless = stream::iter(0..1000).map(|_| {
        taken.fetch_add(MIB, std::sync::atomic::Ordering::Relaxed);
        std::io::Result::Ok(noise(MIB))
    });
    let attributes = attributes();
    let put = store.destination.put_stream(&object, endless, None, &attributes, &Condition::None);
    assert!(tokio::time::timeout(Duration::from_millis(800), put).await.is_err());
    let taken = taken.into_inner();
    assert!((10 * MIB..=16 * MIB).contains(&taken), "{taken} bytes were taken for two parts of 5 MiB in flight");
}

#[tokio::test]
async fn relay_copies_the_version_of_the_head() {
    let s3 = TestS3::start().await;
    let store = s3.store(2);
    let (from, to) = (source("a"), destination("a"));
    for size in [0, 10, 6 * MIB + 1, 16 * MIB] {
        s3.put(&from, &noise(size)).await;
        s3.faults.clear();
        let seen = head(&store, &from).await;
        s3.faults.on(Operation::GetObject, 1, Fault::Cut(5));
        store.relay(&from, &seen, &to, &attributes(), &Condition::None).await.unwrap();
        assert!(s3.body(&to).await == noise(size), "{size} bytes");
        assert_eq!(head(&store, &to).await.attributes, attributes());

        s3.put(&from, &noise(size + 1)).await;
        let error = store.relay(&from, &seen, &to, &attributes(), &Condition::None).await.unwrap_err();
        assert_eq!((error.kind, error.object), (S3ErrorKind::PreconditionFailed, from.clone()));
        assert!(s3.open_uploads().is_empty());
        assert!(s3.body(&to).await == noise(size), "{size} bytes");
    }
}

#[tokio::test]
async fn relay_copies_between_stores() {
    let (near, far) = (TestS3::start().await, TestS3::start().await);
    let transfer =
        TransferConfig { multipart_threshold: 6 * MIB as u64, part_size: 5 * MIB as u64, ..TransferConfig::default() };
    let store = Pair::new(Client::new(near.client(1), transfer.clone()), Client::new(far.client(1), transfer));
    for size in [10, 16 * MIB] {
        near.put(&source("a"), &noise(size)).await;
        let seen = store.source.get(&source("a"), None).await.unwrap().head;
        near.faults.forget_seen();
        store.relay(&source("a"), &seen, &destination("a"), &attributes(), &Condition::None).await.unwrap();
        let near_saw: HashSet<_> = near.faults.all_seen().iter().map(|seen| seen.operation).collect();
        assert_eq!(near_saw, [Some(Operation::GetObject)].into(), "it is read, and nothing else");
        assert_eq!(far.faults.calls(Operation::GetObject), 0);
        assert!(far.body(&destination("a")).await == noise(size), "{size} bytes");
        assert_eq!(head(&store, &destination("a")).await.attributes, attributes());
        far.faults.clear();
    }
}

#[tokio::test]
async fn progress_counts_every_byte_once() {
    let s3 = TestS3::start().await;
    let told = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&told);
    let progress = Progress::new(move |bytes| _ = count.fetch_add(bytes, Ordering::Relaxed));
    let store = s3.store(2).with_progress(progress);
    let (from, to, body) = (source("a"), destination("a"), noise(16 * MIB + 1));
    let told = || told.swap(0, Ordering::Relaxed);
    // One part of each way comes twice.
    s3.faults.on(Operation::UploadPart, 2, SLOW_DOWN);
    s3.faults.on(Operation::UploadPartCopy, 2, SLOW_DOWN);
    s3.faults.on(Operation::GetObject, 2, Fault::Cut(5));
    store.destination.put(&from, body.clone(), &attributes(), &Condition::None).await.unwrap();
    assert_eq!(told(), body.len() as u64);
    copy(&store, &from, &to, &Condition::None).await.unwrap();
    assert_eq!(told(), body.len() as u64);
    let seen = head(&store, &from).await;
    let pieces: Vec<Bytes> = store.source.read_ordered(&from, &seen).try_collect().await.unwrap();
    assert!(pieces.concat() == body);
    assert_eq!(told(), body.len() as u64);
    store.relay(&from, &seen, &to, &attributes(), &Condition::None).await.unwrap();
    assert_eq!(told(), body.len() as u64);
}

#[tokio::test]
async fn copy_that_differs_from_its_source_is_corrupted() {
    let s3 = TestS3::start().await;
    let store = s3.store(1);
    let (from, to) = (source("a"), destination("a"));
    s3.put(&from, &noise(10)).await;
    s3.put(&to, &noise(11)).await;
    let etag = head(&store, &to).await.etag;
    for (etag, kind) in [(etag.as_str(), S3ErrorKind::Corrupted), ("another", S3ErrorKind::Conflict)] {
        let answer = format!("<CopyObjectResult><ETag>&quot;{etag}&quot;</ETag></CopyObjectResult>");
        s3.faults.on(Operation::CopyObject, 1, Fault::Lie(answer));
        let error = copy(&store, &from, &to, &Condition::None).await.unwrap_err();
        assert_eq!((error.operation, error.kind, error.object), (Operation::HeadObject, kind, to.clone()));
    }
    // Same size, other bytes.
    s3.put(&to, &noise(11).slice(1..)).await;
    let etag = head(&store, &to).await.etag;
    let answer = format!("<CopyObjectResult><ETag>&quot;{etag}&quot;</ETag></CopyObjectResult>");
    s3.faults.on(Operation::CopyObject, 1, Fault::Lie(answer));
    assert_eq!(copy(&store, &from, &to, &Condition::None).await.unwrap_err().kind, S3ErrorKind::Corrupted);

    // Without permission for HEAD the copy is trusted; the first HEAD is of the source, in `copy`.
    s3.faults.on(Operation::HeadObject, 2, Fault::Error(403, "AccessDenied"));
    copy(&store, &from, &to, &Condition::None).await.unwrap();
    assert_eq!(s3.body(&to).await, noise(10));
}

#[tokio::test]
async fn broken_body_is_resumed_only_for_the_same_etag() {
    let s3 = TestS3::start().await;
    let object = source("a");
    for replaced in [false, true] {
        s3.put(&object, &noise(100_000)).await;
        s3.faults.clear();
        s3.faults.on(Operation::GetObject, 1, Fault::Cut(50_000));
        let mut download = s3.store(2).source.get(&object, None).await.unwrap();
        assert_eq!(download.peek(16).await.unwrap(), &noise(16)[..]);
        if replaced {
            s3.put(&object, &noise(100_001)).await;
        }
        match download.read_all().await {
            Ok(body) => assert!(!replaced && body == noise(100_000)),
            Err(error) => assert!(replaced && error.kind == S3ErrorKind::PreconditionFailed, "{error}"),
        }
        assert_eq!(s3.faults.calls(Operation::GetObject), 2);
    }
}

#[tokio::test]
async fn refused_request_has_its_kind() {
    let s3 = TestS3::start().await;
    s3.put(&source("a"), &noise(10)).await;
    let region = S3ErrorKind::WrongRegion { bucket_region: None };
    for (fault, kind) in [
        (Fault::Error(403, "AccessDenied"), S3ErrorKind::AccessDenied),
        (Fault::Error(301, "PermanentRedirect"), region.clone()),
        (Fault::Error(400, "AuthorizationHeaderMalformed"), region),
        (Fault::Error(403, "InvalidObjectState"), S3ErrorKind::Archived { storage_class: None }),
        (Fault::Error(403, "ExpiredToken"), S3ErrorKind::Credentials),
        (Fault::Error(400, "KMS.DisabledException"), S3ErrorKind::KmsDenied),
    ] {
        s3.faults.on(Operation::GetObject, 1, fault.clone());
        let error = s3.store(1).source.get(&source("a"), None).await.unwrap_err();
        assert_eq!(error.kind, kind, "{fault:?}: {error}");
    }
    s3.faults.on(Operation::HeadObject, 1, Fault::Error(403, "AccessDenied"));
    let error = s3.store(1).destination.head(&source("a")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "HeadObject s3://source/a: access denied; grant s3:GetObject on arn:aws:s3:::source/* and s3:ListBucket on \
         arn:aws:s3:::source"
    );
}

#[tokio::test]
async fn dropped_upload_is_aborted() {
    let s3 = TestS3::start().await;
    s3.faults.always(Operation::UploadPart, Fault::Hang);
    let store = s3.store(1);
    let (object, attributes) = (destination("a"), attributes());
    let put = store.destination.put(&object, noise(22 * MIB), &attributes, &Condition::None);
    assert!(tokio::time::timeout(Duration::from_millis(500), put).await.is_err());

    assert_eq!(s3.faults.calls(Operation::UploadPart), 2, "no more parts at once than configured");
    eventually("the abort", || s3.open_uploads().is_empty()).await;
    assert_eq!(s3.faults.calls(Operation::AbortMultipartUpload), 1);
}

#[tokio::test]
async fn upload_dropped_at_its_creation_is_aborted() {
    let s3 = TestS3::start().await;
    let store = s3.store(1);
    let (object, attributes) = (destination("a"), attributes());
    let created = async {
        while s3.faults.calls(Operation::CreateMultipartUpload) == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        () = created => {}
        _ = store.destination.put(&object, noise(7 * MIB), &attributes, &Condition::None) => panic!("not given up"),
    }
    eventually("the abort", || s3.faults.calls(Operation::AbortMultipartUpload) == 1).await;
    eventually("its end", || s3.open_uploads().is_empty()).await;
}

#[tokio::test]
async fn lost_completion_needs_the_object() {
    let s3 = TestS3::start().await;
    let object = destination("a");
    s3.put(&object, &noise(10)).await;
    s3.faults.on(Operation::CompleteMultipartUpload, 1, Fault::Error(404, "NoSuchUpload"));
    let error =
        s3.store(1).destination.put(&object, noise(7 * MIB), &attributes(), &Condition::None).await.unwrap_err();
    assert_eq!(error.kind, S3ErrorKind::NoSuchUpload);
    assert_eq!(s3.body(&object).await, noise(10));
}

#[tokio::test]
async fn write_with_lost_response_succeeds() {
    let s3 = TestS3::start().await;
    for size in [10, 7 * MIB] {
        let (put, copied) = (destination(&format!("put {size}")), destination(&format!("copy {size}")));
        s3.faults.clear();
        s3.put(&source("a"), &noise(size)).await;
        for operation in [Operation::PutObject, Operation::CopyObject, Operation::CompleteMultipartUpload] {
            s3.faults.on(operation, 1, Fault::AnswerLost);
        }
        s3.store(2).destination.put(&put, noise(size), &attributes(), &Condition::Absent).await.unwrap();
        s3.faults.on(Operation::CompleteMultipartUpload, 1, Fault::AnswerLost);
        copy(&s3.store(2), &source("a"), &copied, &Condition::Absent).await.unwrap();
        assert!(s3.body(&put).await == noise(size));
        assert!(s3.body(&copied).await == noise(size));
        assert!(s3.open_uploads().is_empty());
    }
}

/// The folder holds no such header: this answers one request by hand.
#[tokio::test]
async fn header_not_utf8_does_not_fail_the_read() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 16_384];
        let _ = stream.read(&mut request).await.unwrap();
        let answer = b"HTTP/1.1 200 OK\r\nETag: \"e\"\r\nContent-Length: 3\r\nContent-Type: image/png\r\n\
            Content-Disposition: attachment; filename=caf\xe9.png\r\n\r\n";
        stream.write_all(answer).await.unwrap();
    });
    let s3 = TestS3::start().await;
    let client = aws_sdk_s3::Client::from_conf(s3.server.config().endpoint_url(endpoint).build());
    let head = head(&Pair::within(Client::new(client, TransferConfig::default())), &source("a")).await;
    assert_eq!((head.size, head.attributes.content_disposition), (3, None));
    assert_eq!(head.attributes.content_type.as_deref(), Some("image/png"));
    server.await.unwrap();
}

#[tokio::test]
async fn local_s3_notifies_of_every_created_object() {
    let s3 = TestS3::start().await;
    let mut created = s3.server.subscribe();
    s3.put(&source("a b"), &noise(10)).await;
    s3.put(&source("large"), &noise(7 * MIB)).await;
    copy(&s3.store(1), &source("a b"), &destination("a b"), &Condition::None).await.unwrap();
    let mut events = Vec::new();
    for _ in 0..3 {
        events.push(created.recv().await.unwrap());
    }
    let told: Vec<_> = events.iter().map(|c| (c.event, c.bucket.as_str(), c.key.as_str(), c.size)).collect();
    assert_eq!(
        told,
        [
            ("ObjectCreated:Put", "source", "a b", 10),
            ("ObjectCreated:CompleteMultipartUpload", "source", "large", 7 * MIB as u64),
            ("ObjectCreated:Copy", "destination", "a b", 10),
        ]
    );
    assert_eq!(events[0].etag, head(&s3.store(1), &source("a b")).await.etag.as_str());
    assert!(events.windows(2).all(|pair| pair[0].sequencer < pair[1].sequencer));
}

#[tokio::test]
async fn stopped_local_s3_does_not_answer() {
    let s3 = TestS3::start().await;
    let store = s3.store(1);
    s3.put(&source("a"), &Bytes::from_static(b"x")).await;
    s3.server.stop().await;
    assert_eq!(store.source.get(&source("a"), None).await.unwrap_err().kind, S3ErrorKind::Connection);
}

/// Sends a presigned request as a browser does. Returns the head of the answer in lower case, and its body.
async fn send(method: &str, request: &Presigned, body: &[u8]) -> (String, Vec<u8>) {
    let (host, path) = request.url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let headers: Vec<_> = request.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let headers = headers.concat();
    let length = body.len();
    let head = format!(
        "{method} /{path} HTTP/1.1\r\nHost: {host}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    let mut stream = TcpStream::connect(host).await.unwrap();
    stream.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let body = answer.split_off(end + 4);
    (String::from_utf8(answer).unwrap().to_lowercase(), body)
}

/// The bucket that is written to is the one that is read.
#[tokio::test]
async fn presigned_requests_upload_and_read_an_object() {
    let s3 = TestS3::start().await;
    let buckets = BucketConfig { owner: Some("111111111111".into()), ..BucketConfig::default() };
    let client = Client::new(s3.client(1), TransferConfig::default()).with_buckets(buckets);
    let (sdk, object, body, hour) = (s3.client(1), source("a b/é.bin"), noise(100_000), Duration::from_hours(1));
    let begun = sdk.create_multipart_upload().bucket(&object.bucket).key(&object.key).send().await.unwrap();
    let id = begun.upload_id().unwrap();

    let part = client.presign_upload_part(&object, id, 1, hour).await.unwrap();
    let (head, _) = send("PUT", &part, &body).await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    let etag = head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap();
    let parts = CompletedMultipartUpload::builder().parts(CompletedPart::builder().part_number(1).e_tag(etag).build());
    let end = sdk.complete_multipart_upload().bucket(&object.bucket).key(&object.key).upload_id(id);
    end.multipart_upload(parts.build()).send().await.unwrap();

    let get = client.presign_get(&object, hour).await.unwrap();
    assert!(send("GET", &get, b"").await.1 == body);
    for request in s3.faults.all_seen().iter().filter(|seen| seen.parts.uri.query().is_some_and(|q| q.contains("Sig")))
    {
        assert_eq!(request.header("x-amz-expected-bucket-owner"), Some("111111111111"), "{request:?}");
    }
    let other = Presigned { url: get.url.replace(".bin", ".bit"), ..get };
    assert!(send("GET", &other, b"").await.0.starts_with("http/1.1 403"), "another key than the signed one");
    let error = client.presign_get(&object, Duration::from_hours(8 * 24)).await.unwrap_err();
    assert_eq!(error.kind, S3ErrorKind::InvalidRequest);
}

#[tokio::test(flavor = "multi_thread")]
async fn request_rate_limit_includes_retries() {
    let s3 = TestS3::start().await;
    s3.put(&source("a"), &noise(10)).await;
    s3.faults.clear();
    s3.faults.on(Operation::HeadObject, 1, INTERNAL_ERROR);
    let limits = RateLimits { requests_per_second: 10.try_into().ok(), kib_per_second: None };
    let store = s3.store(2).with_rate_limits(limits);
    let begin = Instant::now();
    // A second's worth at once; each of the six behind them a tenth of a second after the one before.
    for n in 0..15 {
        let clone = if n % 2 == 0 { &store } else { &store.clone() };
        clone.destination.head(&source("a")).await.unwrap();
    }
    assert_eq!(s3.faults.calls(Operation::HeadObject), 16);
    assert!(begin.elapsed() >= Duration::from_millis(550), "{:?}", begin.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn byte_rate_limit_holds_in_both_directions() {
    let s3 = TestS3::start().await;
    let limits = RateLimits { requests_per_second: None, kib_per_second: (8 << 10).try_into().ok() };
    let store = s3.store(1).with_rate_limits(limits);
    let begin = Instant::now();
    store.destination.put(&source("a"), noise(7 * MIB), &Attributes::default(), &Condition::None).await.unwrap();
    assert!(store.source.get(&source("a"), None).await.unwrap().read_all().await.unwrap() == noise(7 * MIB));
    // 14 MiB, of which a second's 8 go at once.
    assert!(begin.elapsed() >= Duration::from_millis(700), "{:?}", begin.elapsed());
}

/// The SDK gives up on a body that does not move for twenty seconds; one that waits for its turn is no such body.
#[tokio::test(flavor = "multi_thread")]
async fn rate_limited_body_does_not_time_out() {
    let s3 = TestS3::start().await;
    let limits = RateLimits { requests_per_second: 1.try_into().ok(), kib_per_second: None };
    let store = s3.store(1).with_rate_limits(limits);
    let put = async |n: usize| {
        let object = destination(&n.to_string());
        store.destination.put(&object, noise(1000), &Attributes::default(), &Condition::None).await
    };
    let begin = Instant::now();
    let done = futures_util::future::join_all((0..24).map(put)).await;
    assert!(done.into_iter().all(|put| put.is_ok()));
    assert!(begin.elapsed() >= Duration::from_secs(22), "{:?}", begin.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_not_received_do_not_count_for_the_rate() {
    let s3 = TestS3::start().await;
    s3.put(&source("a"), &noise(16 * MIB)).await;
    let limits = RateLimits { requests_per_second: None, kib_per_second: (4 << 10).try_into().ok() };
    let store = s3.store(1).with_rate_limits(limits);
    let begin = Instant::now();
    for _ in 0..3 {
        let mut download = store.source.get(&source("a"), None).await.unwrap();
        assert_eq!(download.peek(16).await.unwrap(), &noise(16)[..]);
    }
    // Transferring everything three times would take eleven seconds.
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
}
