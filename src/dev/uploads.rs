//! Lists the open multipart uploads in a folder of `s3s-fs`, which has no such operation.

use std::io;
use std::path::Path;

use s3s::dto::{MultipartUpload, Timestamp};

use super::names::key_of;

/// Returns the uploads of a bucket whose keys begin with the prefix, in key order.
pub(super) fn open_uploads(root: &Path, bucket: &str, prefix: &str) -> io::Result<Vec<MultipartUpload>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root)? {
        let name = entry?.file_name();
        let Some((of, key, id)) = name.to_str().and_then(parts_of) else { continue };
        // This file is removed when the upload ends, and is as old as the upload.
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

/// Parses bucket, key and upload ID from `.bucket-BASE64.object-BASE64.upload-ID.metadata.json`.
fn parts_of(name: &str) -> Option<(String, String, &str)> {
    let (bucket, rest) = name.strip_prefix(".bucket-")?.split_once(".object-")?;
    let (key, rest) = rest.split_once(".upload-")?;
    Some((decode(bucket)?, key_of(&decode(key)?), rest.strip_suffix(".metadata.json")?))
}

/// Decodes URL-safe base64 without padding.
fn decode(text: &str) -> Option<String> {
    let padding = "=".repeat(text.len().next_multiple_of(4) - text.len());
    let standard = text.replace('-', "+").replace('_', "/") + &padding;
    String::from_utf8(aws_smithy_types::base64::decode(standard).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_metadata_file_name_yields_upload() {
        let name = ".bucket-c291cmNl.object-JS9hIGIrPz4.upload-12ab.metadata.json";
        assert_eq!(parts_of(name), Some(("source".into(), "/a b+?>".into(), "12ab")));
        assert_eq!(parts_of(".bucket-c291cmNl.object-YQ.metadata.json"), None, "an object");
    }
}
