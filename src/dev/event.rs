//! Builds S3 event notifications as a bucket sends them. Pure.
//!
//! Structure: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>, version 2.1.

use std::time::SystemTime;

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::folder::Created;
use super::server::REGION;

/// Characters that a notification's key leaves unencoded; a space becomes `+`.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'*').remove(b'/').remove(b' ');

/// Builds the event of these objects, one record each.
#[must_use]
pub fn notification(created: &[Created], time: SystemTime) -> Value {
    let time = DateTime::from(time).fmt(Format::DateTime).unwrap_or_default();
    json!({ "Records": created.iter().map(|object| record(object, &time)).collect::<Vec<_>>() })
}

fn record(object: &Created, time: &str) -> Value {
    json!({
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": REGION,
        "eventTime": time,
        "eventName": object.event,
        "userIdentity": { "principalId": "AWS:KARUIDEV" },
        "requestParameters": { "sourceIPAddress": "127.0.0.1" },
        "responseElements": { "x-amz-request-id": object.sequencer, "x-amz-id-2": "karui-dev" },
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "karui-dev",
            "bucket": {
                "name": object.bucket,
                "ownerIdentity": { "principalId": "KARUIDEV" },
                "arn": format!("arn:aws:s3:::{}", object.bucket),
            },
            "object": {
                "key": form_encoded(&object.key),
                "size": object.size,
                "eTag": object.etag,
                "sequencer": object.sequencer,
            },
        },
    })
}

/// Builds the event that S3 sends once when a notification is configured. It has no records.
#[must_use]
pub fn test_event(bucket: &str, time: SystemTime) -> Value {
    json!({
        "Service": "Amazon S3",
        "Event": "s3:TestEvent",
        "Time": DateTime::from(time).fmt(Format::DateTime).unwrap_or_default(),
        "Bucket": bucket,
        "RequestId": "KARUIDEV",
        "HostId": "karui-dev",
    })
}

fn form_encoded(key: &str) -> String {
    utf8_percent_encode(key, FORM).to_string().replace(' ', "+")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn key_is_form_encoded_utf8() {
        for (key, sent) in [
            ("plain/a-b_c.d*.jpg", "plain/a-b_c.d*.jpg"),
            ("a photo+1 (2).jpg", "a+photo%2B1+%282%29.jpg"),
            ("写真/é.png", "%E5%86%99%E7%9C%9F/%C3%A9.png"),
            ("100%~&=?.jpg", "100%25%7E%26%3D%3F.jpg"),
        ] {
            assert_eq!(form_encoded(key), sent);
        }
    }

    #[test]
    fn record_matches_s3s_structure() {
        let created = Created {
            event: "ObjectCreated:Put",
            bucket: "source".into(),
            key: "a b.jpg".into(),
            size: 7,
            etag: "d41d8cd98f00b204e9800998ecf8427e".into(),
            sequencer: "0055AED6DCD90281E5".into(),
        };
        let event = notification(&[created], UNIX_EPOCH + Duration::from_millis(1_500));
        let record = &event["Records"][0];
        assert_eq!(record["eventTime"], "1970-01-01T00:00:01.5Z");
        assert_eq!(record["s3"]["bucket"]["arn"], "arn:aws:s3:::source");
        let object = json!({"key": "a+b.jpg", "size": 7, "eTag": "d41d8cd98f00b204e9800998ecf8427e", "sequencer": "0055AED6DCD90281E5"});
        assert_eq!(record["s3"]["object"], object);
    }
}
