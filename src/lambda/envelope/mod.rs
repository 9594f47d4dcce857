//! Parses events. Pure: JSON in, one record per object out.
//!
//! One file per kind of envelope: [`mod@notification`] is what S3 sends, [`on_failure`] is what Lambda wraps around an
//! event that failed.

mod field;
pub mod notification;
pub mod on_failure;
mod record;

use serde_json::Value;

use crate::pipeline::EventError;

pub use record::Record;

/// Returns one result per record of an event, in order; a test event has none. Also accepts the on-failure record in
/// which a failed event comes back.
///
/// # Errors
/// [`EventError::NotAnEvent`] if this is no S3 event.
pub fn parse(event: &Value) -> Result<Vec<Result<Record, EventError>>, EventError> {
    let (event, task) = on_failure::unwrap(event);
    notification::parse(event, task)
}

#[cfg(test)]
mod tests {
    use super::on_failure::tests::without_response;
    use super::*;
    use crate::pipeline::{Job, Task};
    use crate::s3::{ETag, ObjectRef};
    use serde_json::json;

    /// The event that S3's documentation shows, as it comes back in the record that Lambda's documentation shows.
    fn failed_event(function_error: Option<&str>) -> Value {
        let event = json!({ "Records": [{
                "eventVersion": "2.1",
                "eventSource": "aws:s3",
                "awsRegion": "us-west-2",
                "eventTime": "1970-01-01T00:00:00.000Z",
                "eventName": "ObjectCreated:Put",
                "userIdentity": { "principalId": "AIDAJDPLRKLG7UEXAMPLE" },
                "requestParameters": { "sourceIPAddress": "172.16.0.1" },
                "responseElements": { "x-amz-request-id": "C3D13FE58DE4C810", "x-amz-id-2": "FMyUVURIY8" },
                "s3": {
                    "s3SchemaVersion": "1.0",
                    "configurationId": "testConfigRule",
                    "bucket": {
                        "name": "amzn-s3-demo-bucket",
                        "ownerIdentity": { "principalId": "A3NL1KOZZKExample" },
                        "arn": "arn:aws:s3:::amzn-s3-demo-bucket"
                    },
                    "object": {
                        "key": "HappyFace.jpg",
                        "size": 1024,
                        "eTag": "d41d8cd98f00b204e9800998ecf8427e",
                        "versionId": "096fKKXTRTtl3on89fVO.nfljtsv6qko",
                        "sequencer": "0055AED6DCD90281E5"
                    }
                }
        }] });
        let mut record = without_response(&event, "RetriesExhausted");
        record["responseContext"] =
            json!({ "statusCode": 200, "executedVersion": "$LATEST", "functionError": function_error });
        record["responsePayload"] =
            json!({ "errorMessage": "RequestId: e4b46cbf Process exited before completing request" });
        record
    }

    #[test]
    fn parse_of_failed_event_yields_the_job_and_its_task() {
        for (function_error, task) in [(Some("Unhandled"), Task::Copy), (None, Task::Optimize)] {
            let job = Job {
                source: ObjectRef::new("amzn-s3-demo-bucket", "HappyFace.jpg"),
                etag: Some(ETag::new("d41d8cd98f00b204e9800998ecf8427e")),
                size: Some(1024),
                sequencer: Some("0055AED6DCD90281E5".into()),
                task,
            };
            assert_eq!(parse(&failed_event(function_error)), Ok(vec![Ok(Record::Created(job))]));
        }
    }

    #[test]
    fn parse_failure_record_without_event_is_an_error() {
        let mut record = failed_event(None);
        record["requestPayload"] = json!({ "hello": 1 });
        assert_eq!(parse(&record), Err(EventError::NotAnEvent { seen: "an object with hello".into() }));
    }
}
