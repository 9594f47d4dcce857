//! Parses events. Pure: JSON in, one record per object out.

use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::s3::{ETag, ObjectRef};

/// One object to process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    pub source: ObjectRef,
    /// ETag of the version that the event names; the object may have changed since.
    pub etag: Option<ETag>,
    /// Bytes.
    pub size: Option<u64>,
    /// Orders the events of one key; hex digits of either case.
    pub sequencer: Option<String>,
    pub task: Task,
}

/// How to bring an object to its destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Optimize it if possible.
    Optimize,
    /// Copy it unread: an earlier attempt ended the function by memory or time.
    Copy,
}

/// What one record of an event asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    Created(Job),
    /// Another event of an object, such as `ObjectRemoved:Delete`.
    Other {
        event: String,
        object: ObjectRef,
    },
}

/// Why an event or one of its records cannot be parsed. Such events are kept for a person, never dropped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    #[error("not an S3 event: got {seen}, want an S3 notification, {{\"Records\": [...]}}")]
    NotAnEvent { seen: String },
    #[error("record {index}: {field} is {seen}, want {want}")]
    Field { index: usize, field: &'static str, seen: String, want: &'static str },
    #[error("record {index}: key {key:?} is not UTF-8 once decoded")]
    Key { index: usize, key: String },
}

/// Error type of our own response if records failed. Such an event needs a retry; an event without our response ended
/// the function.
pub const RECORDS_FAILED: &str = "RecordsFailed";

/// Returns one result per record of an event; a test event has none. Also accepts the on-failure record in which a
/// failed event comes back.
///
/// # Errors
/// [`EventError::NotAnEvent`] if this is no S3 event.
pub fn parse(event: &Value) -> Result<Vec<Result<Record, EventError>>, EventError> {
    let (event, task) = unwrap_failure_records(event);
    if event["Event"] == "s3:TestEvent" {
        return Ok(Vec::new());
    }
    match &event["Records"] {
        Value::Array(records) => {
            Ok(records.iter().enumerate().map(|(i, record)| parse_record(i, record, task)).collect())
        }
        _ => Err(EventError::NotAnEvent { seen: describe(event) }),
    }
}

/// Unwraps the event from all on-failure records around it, and returns its task:
fn unwrap_failure_records(mut event: &Value) -> (&Value, Task) {
    let mut task = Task::Optimize;
    while let Some(payload) = event.get("requestPayload") {
        if ended_the_function(event) {
            task = Task::Copy;
        }
        event = payload;
    }
    (event, task)
}

/// Whether an on-failure record shows that the event ended the function. It did not if we answered, if the event
/// expired in the queue, or if the function could not start (a wrong processor, or rejected settings).
fn ended_the_function(record: &Value) -> bool {
    let response = &record["responsePayload"];
    let never_ran = record["requestContext"]["condition"] == "EventAgeExceeded" && response.is_null();
    let never_started = response["errorType"] == "Runtime.InvalidEntrypoint"
        || response["errorMessage"].as_str().is_some_and(|message| message.ends_with("exit status 1"));
    !(never_ran || never_started || response["errorType"] == RECORDS_FAILED)
}

/// Parses a record of an S3 notification:
fn parse_record(index: usize, record: &Value, task: Task) -> Result<Record, EventError> {
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

/// Decodes a form-encoded key: `+` is a space, then percent-decoding, as UTF-8.
fn decode_key(key: &str) -> Option<String> {
    let spaced = key.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(Into::into)
}

pub(super) fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Describes a value briefly.
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

    /// An on-failure record of an event with this response.
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
    fn parse_of_killed_invocation_yields_copy_task() {
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
    fn parse_of_answered_failure_yields_optimize_task() {
        let event = json!({ "Records": [record("a.jpg")] });
        let failed = json!({ "errorType": RECORDS_FAILED, "errorMessage": "1 of 1 records failed: ..." });
        let killed = json!({ "errorType": "Runtime.ExitError" });
        assert_eq!(task_of(&event), Task::Optimize);
        assert_eq!(task_of(&destination_record(&event, &failed)), Task::Optimize);
        // Failed again after a redrive: one kill is enough, whatever came after it.
        let killed_first = destination_record(&destination_record(&event, &killed), &failed);
        assert_eq!(task_of(&killed_first), Task::Copy);
    }

    #[test]
    fn parse_of_invocation_that_never_ran_yields_optimize_task() {
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
    fn parse_failure_record_without_event_is_an_error() {
        let record = destination_record(&json!({ "hello": 1 }), &json!({}));
        assert_eq!(parse(&record), Err(EventError::NotAnEvent { seen: "an object with hello".into() }));
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
        assert_eq!(parse(&event), Ok(vec![]));
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
    fn parse_of_other_json_is_an_error() {
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
