//! Compares the results with the sources.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use karui::optimize::{Format, score};

pub async fn keys(s3: &Client, bucket: &str) -> Vec<String> {
    let listed = s3.list_objects_v2().bucket(bucket).send().await.unwrap();
    assert_ne!(listed.is_truncated(), Some(true));
    listed.contents().iter().map(|object| object.key().unwrap().to_owned()).collect()
}

pub async fn bytes(s3: &Client, bucket: &str, key: &str) -> Vec<u8> {
    let output = s3.get_object().bucket(bucket).key(key).send().await.unwrap();
    output.body.collect().await.unwrap().to_vec()
}

/// Returns the destination's objects once every source has a result.
async fn arrived(s3: &Client, source: &HeadObjectOutput, destination: &str, key: &str) -> HeadObjectOutput {
    let begun = Instant::now();
    loop {
        if let Ok(head) = s3.head_object().bucket(destination).key(key).send().await {
            let of = head.metadata().and_then(|metadata| metadata.get("karui-source-etag"));
            if of.map(String::as_str) == source.e_tag().map(|etag| etag.trim_matches('"')) {
                return head;
            }
        }
        assert!(begun.elapsed() < Duration::from_mins(3), "{key} does not arrive");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Every object, once, right, and with all that belongs to it.
pub async fn all_arrive(s3: &Client, source: &str, destination: &str, keys: &[String]) {
    let mut optimized = 0;
    for key in keys {
        let from = s3.head_object().bucket(source).key(key).send().await.unwrap();
        let to = arrived(s3, &from, destination, key).await;
        let (before, after) = (bytes(s3, source, key).await, bytes(s3, destination, key).await);
        let metadata = to.metadata().unwrap();
        if metadata["karui-method"] == "copy" {
            assert!(before == after, "{key}: a copy is exact");
        } else {
            optimized += 1;
            assert!(after.len() < before.len(), "{key}: {} to {} bytes", before.len(), after.len());
            let score = score(&before, &after).unwrap();
            assert!(score.effective(75.0) >= 75.0, "{key}: {score:?}");
        }
        let encoded = from.content_encoding().is_some();
        let mime = Format::sniff(&before).filter(|_| !encoded).map(Format::mime);
        assert_eq!(to.content_type(), mime.or(from.content_type()), "{key}");
        let rest = |head: &HeadObjectOutput| {
            let texts = [
                head.cache_control(),
                head.content_disposition(),
                head.content_language(),
                head.content_encoding(),
                head.website_redirect_location(),
                head.storage_class().map(aws_sdk_s3::types::StorageClass::as_str),
            ];
            let own = head.metadata().into_iter().flatten().filter(|(name, _)| !name.starts_with("karui-"));
            let own: BTreeMap<_, _> = own.map(|(name, value)| (name.clone(), value.clone())).collect();
            (texts.map(|text| text.map(str::to_owned)), own)
        };
        assert_eq!(rest(&to), rest(&from), "{key}");
        assert_eq!(tags(s3, destination, key).await, tags(s3, source, key).await, "{key}");
    }
    assert_eq!(self::keys(s3, destination).await, keys, "nothing else is there");
    assert!(optimized >= 20, "only {optimized} were optimized");
    let open = s3.list_multipart_uploads().bucket(destination).send().await.unwrap();
    assert!(open.uploads().is_empty());
}

async fn tags(s3: &Client, bucket: &str, key: &str) -> BTreeMap<String, String> {
    let output = s3.get_object_tagging().bucket(bucket).key(key).send().await.unwrap();
    output.tag_set().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect()
}
