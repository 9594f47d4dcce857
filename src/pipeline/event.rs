//! The one parser of events. Pure: JSON in, one record per object out; never asks S3 anything.

use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::s3::{ETag, ObjectRef};

/// One object to work on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    pub source: ObjectRef,
    /// Of the object that the event speaks of; what is there by now may be another.
    pub etag: Option<ETag>,
    /// Bytes.
    pub size: Option<u64>,
    /// Orders the events of one key; upper- or lower-case hex digits.
    pub sequencer: Option<String>,
    pub task: Task,
}

/// How an object is to be brought to its destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Lighter, if it can be.
    Optimize,
    /// As it is, unread: working on it has ended the function before, by its memory or time.
    Copy,
}

/// What one record of an event asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    Created(Job),
    /// Something else happened to an object, such as `ObjectRemoved:Delete`.
    Other {
        event: String,
        object: ObjectRef,
    },
}

/// Why an event or one of its records cannot be understood. Kept for a person to look at, so never dropped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    #[error("not an S3 event: got {seen}, want an S3 notification, {{\"Records\": [...]}}")]
    NotAnEvent { seen: String },
    #[error("record {index}: {field} is {seen}, want {want}")]
    Field { index: usize, field: &'static str, seen: String, want: &'static str },
    #[error("record {index}: key {key:?} is not UTF-8 once decoded")]
    Key { index: usize, key: String },
}

/// The error type of our own answer to an event of which records failed. What an event that was answered so needs is
/// another try; what was not answered has ended the function.
pub const RECORDS_FAILED: &str = "RecordsFailed";

/// Every record of an event, each with its own verdict; a test event has none. Also of an event that failed and comes
/// back in the record that Lambda sends to an on-failure destination.
///
/// # Errors
/// [`EventError::NotAnEvent`] where this is no event of S3 at all.
pub fn parse(event: &Value) -> Result<Vec<Result<Record, EventError>>, EventError> {
    let (event, task) = unwrapped(event);
    if event["Event"] == "s3:TestEvent" {
        return Ok(Vec::new());
    }
    match &event["Records"] {
        Value::Array(records) => {
            Ok(records.iter().enumerate().map(|(i, record)| notification(i, record, task)).collect())
        }
        _ => Err(EventError::NotAnEvent { seen: describe(event) }),
    }
}

/// The event inside the records of on-failure destinations, as many as there are around it, and what they ask for:
/// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>.
fn unwrapped(mut event: &Value) -> (&Value, Task) {
    let mut task = Task::Optimize;
    while let Some(payload) = event.get("requestPayload") {
        if ended_the_function(event) {
            task = Task::Copy;
        }
        event = payload;
    }
    (event, task)
}

/// Whether the event ended the function, of an on-failure record. It did not where we answered, where it grew too old
/// before its turn came, or where the function could not start: a wrong processor, or settings that are refused.
fn ended_the_function(record: &Value) -> bool {
    let response = &record["responsePayload"];
    let never_ran = record["requestContext"]["condition"] == "EventAgeExceeded" && response.is_null();
    let never_started = response["errorType"] == "Runtime.InvalidEntrypoint"
        || response["errorMessage"].as_str().is_some_and(|message| message.ends_with("exit status 1"));
    !(never_ran || never_started || response["errorType"] == RECORDS_FAILED)
}

/// A record of an S3 notification:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>.
fn notification(index: usize, record: &Value, task: Task) -> Result<Record, EventError> {
    let fault = |field, want| {
        let seen = record.pointer(field).map_or_else(|| "missing".into(), describe);
        EventError::Field { index, field, seen, want }
    };
    let text = |field| record.pointer(field).and_then(Value::as_str).filter(|text| !text.is_empty());

    if text("/eventSource") != Some("aws:s3") {
        return Err(fault("/eventSource", "aws:s3"));
    }
    if !text("/eventVersion").is_some_and(|version| version.starts_with("2.")) {
        return Err(fault("/eventVersion", "2.x"));
    }
    let event = text("/eventName").ok_or_else(|| fault("/eventName", "such as ObjectCreated:Put"))?;
    let bucket = text("/s3/bucket/name").ok_or_else(|| fault("/s3/bucket/name", "a bucket name"))?;
    let key = text("/s3/object/key").ok_or_else(|| fault("/s3/object/key", "a key"))?;
    let key = decode_key(key).ok_or_else(|| EventError::Key { index, key: key.into() })?;
    let object = ObjectRef::new(bucket, key);

    if !event.strip_prefix("s3:").unwrap_or(event).starts_with("ObjectCreated:") {
        return Ok(Record::Other { event: event.into(), object });
    }
    Ok(Record::Created(Job {
        source: object,
        etag: text("/s3/object/eTag").map(ETag::new),
        size: record.pointer("/s3/object/size").and_then(Value::as_u64),
        sequencer: text("/s3/object/sequencer").filter(|text| is_hex(text)).map(Into::into),
        task,
    }))
}

/// Keys in notifications are form-encoded: `+` is a space, then percent-decoding, as UTF-8.
fn decode_key(key: &str) -> Option<String> {
    let spaced = key.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(Into::into)
}

pub(super) fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Enough of a value to recognize it by.
fn describe(value: &Value) -> String {
    match value {
        Value::Object(fields) if fields.is_empty() => "an empty object".into(),
        Value::Object(fields) => {
            let names: Vec<_> = fields.keys().take(5).map(String::as_str).collect();
            let more = if fields.len() > names.len() { ", ..." } else { "" };
            format!("an object with {}{more}", names.join(", "))
        }
        Value::Array(items) => format!("a list of {}", items.len()),
        Value::String(text) => format!("{:?}", text.chars().take(80).collect::<String>()),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
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
        let mut records = parse(&json!({ "Records": [record] })).unwrap();
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
    fn a_notification_becomes_a_job() {
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

    /// As Lambda sends it, of an event that was answered so.
    fn destination_record(event: &Value, response: &Value) -> Value {
        json!({
            "version": "1.0",
            "timestamp": "2026-11-25T16:00:00.000Z",
            "requestContext": {
                "requestId": "e4b46cbf-b738-xmpl-8880-a18cdf61200e",
                "functionArn": "arn:aws:lambda:us-east-2:123456789012:function:karui:$LATEST",
                "condition": "RetriesExhausted",
                "approximateInvokeCount": 3
            },
            "requestPayload": event,
            "responseContext": { "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled" },
            "responsePayload": response
        })
    }

    fn task_of(event: &Value) -> Task {
        match parse(event).unwrap().remove(0).unwrap() {
            Record::Created(job) => job.task,
            other @ Record::Other { .. } => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_ended_the_function_is_only_copied() {
        let event = json!({ "Records": [record("a+b.jpg")] });
        for response in [
            json!({ "errorMessage": "2026-11-25T16:00:03.001Z e4b46cbf Task timed out after 3.00 seconds" }),
            json!({ "errorType": "Sandbox.Timedout", "errorMessage": "Task timed out after 3.00 seconds" }),
            json!({ "errorType": "Runtime.ExitError", "errorMessage": "Runtime exited with error: signal: killed" }),
            json!({ "errorType": "Runtime.ExitError", "errorMessage": "Runtime exited with error: exit status 137" }),
            json!({ "errorType": "Runtime.OutOfMemory" }),
            json!(null),
        ] {
            assert_eq!(task_of(&destination_record(&event, &response)), Task::Copy, "{response}");
        }
    }

    #[test]
    fn what_the_function_has_answered_is_tried_again() {
        let event = json!({ "Records": [record("a.jpg")] });
        let failed = json!({ "errorType": RECORDS_FAILED, "errorMessage": "1 of 1 records failed: ..." });
        let killed = json!({ "errorType": "Runtime.ExitError" });
        assert_eq!(task_of(&event), Task::Optimize);
        assert_eq!(task_of(&destination_record(&event, &failed)), Task::Optimize);
        // Sent again, and again in vain: one kill is enough, whatever came after it.
        let killed_first = destination_record(&destination_record(&event, &killed), &failed);
        assert_eq!(task_of(&killed_first), Task::Copy);
    }

    #[test]
    fn what_never_ran_is_no_fault_of_its_image() {
        let event = json!({ "Records": [record("a.jpg")] });
        let mut too_old = destination_record(&event, &json!(null));
        too_old["requestContext"]["condition"] = json!("EventAgeExceeded");
        assert_eq!(task_of(&too_old), Task::Optimize);
        for response in [
            json!({ "errorType": "Runtime.InvalidEntrypoint", "errorMessage": "Couldn't find valid bootstrap(s)" }),
            json!({ "errorType": "Runtime.ExitError", "errorMessage": "Runtime exited with error: exit status 1" }),
        ] {
            assert_eq!(task_of(&destination_record(&event, &response)), Task::Optimize, "{response}");
        }
    }

    #[test]
    fn what_comes_back_without_an_event_is_described() {
        let record = destination_record(&json!({ "hello": 1 }), &json!({}));
        assert_eq!(parse(&record), Err(EventError::NotAnEvent { seen: "an object with hello".into() }));
    }

    #[test]
    fn keys_are_form_decoded() {
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
    fn a_key_that_is_not_utf8_is_refused() {
        assert_eq!(one(&record("%FF%FE.jpg")), Err(EventError::Key { index: 0, key: "%FF%FE.jpg".into() }));
    }

    #[test]
    fn optional_fields_may_be_missing() {
        let mut record = record("a.jpg");
        record["s3"]["object"] = json!({ "key": "a.jpg" });
        let job = job(&record);
        assert_eq!((job.etag, job.size, job.sequencer), (None, None, None));
    }

    #[test]
    fn a_sequencer_that_is_not_hex_is_none() {
        assert_eq!(job(&edited("/s3/object/sequencer", json!("later\r\nx-evil: 1"))).sequencer, None);
    }

    #[test]
    fn a_test_event_is_a_quiet_success() {
        let event = json!({ "Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "photos" });
        assert_eq!(parse(&event), Ok(vec![]));
    }

    #[test]
    fn other_events_are_told_apart() {
        for event in ["ObjectRemoved:Delete", "ObjectTagging:Put", "ObjectRestore:Completed"] {
            let object = ObjectRef::new("photos", "a.jpg");
            assert_eq!(one(&edited("/eventName", json!(event))), Ok(Record::Other { event: event.into(), object }));
        }
    }

    #[test]
    fn every_way_of_creation_counts() {
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
    fn a_faulty_record_does_not_stop_the_others() {
        let foreign = edited("/eventSource", json!("aws:sqs"));
        let mut keyless = record("a.jpg");
        keyless["s3"]["object"] = json!({});
        let old = edited("/eventVersion", json!("3.0"));
        let records = parse(&json!({ "Records": [foreign, keyless, old, 7, record("a.jpg")] })).unwrap();
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
    fn what_is_no_event_is_described() {
        for (event, seen) in [
            (json!({ "bucket": "b", "key": "k" }), "an object with bucket, key"),
            (json!({}), "an empty object"),
            (json!({ "Records": "none" }), "an object with Records"),
            (json!([1, 2]), "a list of 2"),
            (json!("hello"), "\"hello\""),
            (json!(null), "null"),
        ] {
            assert_eq!(parse(&event), Err(EventError::NotAnEvent { seen: seen.into() }));
        }
        let message = parse(&json!(7)).unwrap_err().to_string();
        assert_eq!(message, "not an S3 event: got 7, want an S3 notification, {\"Records\": [...]}");
    }
}
