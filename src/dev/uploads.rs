//! The multipart uploads that are open in a folder of `s3s-fs`, which does not list them itself.

use std::io;
use std::path::Path;

use s3s::dto::{MultipartUpload, Timestamp};

use super::names::key_of;

/// Those of a bucket whose keys begin with the prefix, in the order of their keys.
pub(super) fn open_uploads(root: &Path, bucket: &str, prefix: &str) -> io::Result<Vec<MultipartUpload>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root)? {
        let name = entry?.file_name();
        let Some((of, key, id)) = name.to_str().and_then(parts_of) else { continue };
        // It goes when the upload ends, and is as old as the upload.
        let Ok(about) = root.join(format!(".upload-{id}.json")).metadata() else { continue };
        if of == bucket && key.starts_with(prefix) {
            found.push(MultipartUpload {
                initiated: Some(Timestamp::from(about.modified()?)),
                key: Some(key),
                upload_id: Some(id.to_owned()),
                ..Default::default()
            });
        }
    }
    found.sort_by(|a, b| (&a.key, &a.upload_id).cmp(&(&b.key, &b.upload_id)));
    Ok(found)
}

/// Bucket, key and upload of `.bucket-BASE64.object-BASE64.upload-ID.metadata.json`.
fn parts_of(name: &str) -> Option<(String, String, &str)> {
    let (bucket, rest) = name.strip_prefix(".bucket-")?.split_once(".object-")?;
    let (key, rest) = rest.split_once(".upload-")?;
    Some((decode(bucket)?, key_of(&decode(key)?), rest.strip_suffix(".metadata.json")?))
}

/// Base64 as URLs have it, unpadded.
fn decode(text: &str) -> Option<String> {
    let padding = "=".repeat(text.len().next_multiple_of(4) - text.len());
    let standard = text.replace('-', "+").replace('_', "/") + &padding;
    String::from_utf8(aws_smithy_types::base64::decode(standard).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_tell_of_uploads() {
        let name = ".bucket-c291cmNl.object-JS9hIGIrPz4.upload-12ab.metadata.json";
        assert_eq!(parts_of(name), Some(("source".into(), "/a b+?>".into(), "12ab")));
        assert_eq!(parts_of(".bucket-c291cmNl.object-YQ.metadata.json"), None, "an object");
    }
}
