//! S3 event notifications, as a bucket sends them.
//!
//! Structure: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>, version 2.x.

use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::Value;

use super::field::{Field, describe};
use super::record::Record;
use crate::pipeline::job::is_hex;
use crate::pipeline::{EventError, Job, Task};
use crate::s3::{ETag, ObjectRef};

/// A notification, or the test event that S3 sends once when a notification is configured.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Notification {
    event: Field<String>,
    records: Field<Vec<Value>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct S3Record {
    event_source: Field<String>,
    event_version: Field<String>,
    event_name: Field<String>,
    s3: Field<S3Entity>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct S3Entity {
    bucket: Field<S3Bucket>,
    object: Field<S3Object>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct S3Bucket {
    name: Field<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct S3Object {
    /// Form-encoded.
    key: Field<String>,
    #[serde(rename = "eTag")]
    etag: Field<String>,
    size: Field<u64>,
    sequencer: Field<String>,
}

/// Returns one result per record of a notification, in order; a test event has none.
///
/// # Errors
/// [`EventError::NotAnEvent`] if this is no notification.
pub fn parse(event: &Value, task: Task) -> Result<Vec<Result<Record, EventError>>, EventError> {
    let Notification { event: name, records } = Notification::deserialize(event).unwrap_or_default();
    if name.text().as_deref() == Some("s3:TestEvent") {
        return Ok(Vec::new());
    }
    let records = records.value().ok_or_else(|| EventError::NotAnEvent { seen: describe(event) })?;
    Ok(records.iter().enumerate().map(|(index, record)| parse_record(index, record, task)).collect())
}

fn parse_record(index: usize, record: &Value, task: Task) -> Result<Record, EventError> {
    let S3Record { event_source, event_version, event_name, s3 } = S3Record::deserialize(record).unwrap_or_default();
    let S3Entity { bucket, object } = s3.or_default();
    let S3Object { key, etag, size, sequencer } = object.or_default();
    let is_there = |text: &str| !text.is_empty();

    event_source.require(index, "/eventSource", "aws:s3", |source| source == "aws:s3")?;
    event_version.require(index, "/eventVersion", "2.x", |version| version.starts_with("2."))?;
    let event = event_name.require(index, "/eventName", "such as ObjectCreated:Put", is_there)?;
    let bucket = bucket.or_default().name.require(index, "/s3/bucket/name", "a bucket name", is_there)?;
    let key = key.require(index, "/s3/object/key", "a key", is_there)?;
    let Some(decoded) = decode_key(&key) else { return Err(EventError::Key { index, key }) };
    let object = ObjectRef::new(bucket, decoded);

    if !event.strip_prefix("s3:").unwrap_or(&event).starts_with("ObjectCreated:") {
        return Ok(Record::Other { event, object });
    }
    Ok(Record::Created(Job {
        source: object,
        etag: etag.text().as_deref().map(ETag::new),
        size: size.value(),
        sequencer: sequencer.text().filter(|text| is_hex(text)),
        task,
    }))
}

/// Decodes a form-encoded key: `+` is a space, then percent-decoding, as UTF-8.
fn decode_key(key: &str) -> Option<String> {
    let spaced = key.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn record(key: &str) -> Value {
        json!({
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "eventName": "ObjectCreated:Put",
            "s3": {
                "bucket": { "name": "photos" },
                "object": { "key": key, "size": 1024, "eTag": "d41d8cd98f00b204e9800998ecf8427e",
                            "versionId": "096fKKXTRTtl3on89fVO.nfljtsv6qko", "sequencer": "0055AED6DCD90281E5" }
            }
        })
    }

    fn one(record: &Value) -> Result<Record, EventError> {
        let mut records = parse(&json!({ "Records": [record] }), Task::Optimize).unwrap();
        assert_eq!(records.len(), 1);
        records.remove(0)
    }

    fn job(record: &Value) -> Job {
        match one(record).unwrap() {
            Record::Created(job) => job,
            other @ Record::Other { .. } => panic!("{other:?}"),
        }
    }

    fn edited(pointer: &str, value: Value) -> Value {
        let mut record = record("a.jpg");
        *record.pointer_mut(pointer).unwrap() = value;
        record
    }

    #[test]
    fn parse_notification_yields_a_job() {
        assert_eq!(
            job(&record("2026/cat.jpg")),
            Job {
                source: ObjectRef::new("photos", "2026/cat.jpg"),
                etag: Some(ETag::new("d41d8cd98f00b204e9800998ecf8427e")),
                size: Some(1024),
                sequencer: Some("0055AED6DCD90281E5".into()),
                task: Task::Optimize,
            }
        );
    }

    #[test]
    fn parse_form_decodes_keys() {
        for (encoded, key) in [
            ("a+b.jpg", "a b.jpg"),
            ("a%2Bb.jpg", "a+b.jpg"),
            ("a%20b.jpg", "a b.jpg"),
            ("%E8%BB%BD%E3%81%84.jpg", "軽い.jpg"),
            ("cat+%281%29.jpg", "cat (1).jpg"),
            ("cat(1).jpg", "cat(1).jpg"),
            ("100%25.png", "100%.png"),
            ("%252B", "%2B"),
            ("../up//a.jpg", "../up//a.jpg"),
            ("folder/", "folder/"),
        ] {
            assert_eq!(job(&record(encoded)).source.key, key);
        }
    }

    #[test]
    fn parse_key_that_is_not_utf8_is_an_error() {
        assert_eq!(one(&record("%FF%FE.jpg")), Err(EventError::Key { index: 0, key: "%FF%FE.jpg".into() }));
    }

    #[test]
    fn parse_without_optional_fields_yields_a_job() {
        let mut record = record("a.jpg");
        record["s3"]["object"] = json!({ "key": "a.jpg" });
        let job = job(&record);
        assert_eq!((job.etag, job.size, job.sequencer), (None, None, None));
    }

    #[test]
    fn parse_sequencer_that_is_not_hex_is_none() {
        assert_eq!(job(&edited("/s3/object/sequencer", json!("later\r\nx-evil: 1"))).sequencer, None);
    }

    #[test]
    fn parse_test_event_yields_no_records() {
        let event = json!({ "Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "photos" });
        assert_eq!(parse(&event, Task::Optimize), Ok(vec![]));
    }

    #[test]
    fn parse_other_event_yields_other_record() {
        for event in ["ObjectRemoved:Delete", "ObjectTagging:Put", "ObjectRestore:Completed"] {
            let object = ObjectRef::new("photos", "a.jpg");
            assert_eq!(one(&edited("/eventName", json!(event))), Ok(Record::Other { event: event.into(), object }));
        }
    }

    #[test]
    fn parse_every_creation_event_yields_a_job() {
        for event in [
            "ObjectCreated:Put",
            "ObjectCreated:Copy",
            "ObjectCreated:CompleteMultipartUpload",
            "s3:ObjectCreated:Post",
        ] {
            job(&edited("/eventName", json!(event)));
        }
    }

    #[test]
    fn parse_faulty_record_keeps_the_others() {
        let foreign = edited("/eventSource", json!("aws:sqs"));
        let mut keyless = record("a.jpg");
        keyless["s3"]["object"] = json!({});
        let old = edited("/eventVersion", json!("3.0"));
        let records =
            parse(&json!({ "Records": [foreign, keyless, old, 7, record("a.jpg")] }), Task::Optimize).unwrap();
        let faults: Vec<_> = records.iter().filter_map(|r| r.as_ref().err()).map(ToString::to_string).collect();
        assert_eq!(
            faults,
            [
                "record 0: /eventSource is \"aws:sqs\", want aws:s3",
                "record 1: /s3/object/key is missing, want a key",
                "record 2: /eventVersion is \"3.0\", want 2.x",
                "record 3: /eventSource is missing, want aws:s3",
            ]
        );
        assert!(records[4].is_ok());
    }

    #[test]
    fn parse_of_other_json_is_an_error() {
        for (event, seen) in [
            (json!({ "bucket": "b", "key": "k" }), "an object with bucket, key"),
            (json!({}), "an empty object"),
            (json!({ "Records": "none" }), "an object with Records"),
            (json!([1, 2]), "a list of 2"),
            (json!("hello"), "\"hello\""),
            (json!(null), "null"),
        ] {
            assert_eq!(parse(&event, Task::Optimize), Err(EventError::NotAnEvent { seen: seen.into() }));
        }
        let message = parse(&json!(7), Task::Optimize).unwrap_err().to_string();
        assert_eq!(message, "not an S3 event: got 7, want an S3 notification, {\"Records\": [...]}");
    }
}
