//! Records of Lambda's on-failure destination: a failed event comes back inside of one, which `make redrive` sends again.
//!
//! Structure: <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>

use serde::Deserialize;
use serde_json::Value;

use super::field::Field;
use crate::lambda::answer::is_own_error;
use crate::pipeline::Task;

/// How an attempt at an event ended. Lambda leaves `responseContext` and `responsePayload` out if it made none.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct OnFailureRecord {
    response_context: Field<ResponseContext>,
    response_payload: Field<ErrorResponse>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ResponseContext {
    /// `Unhandled` if the function failed; absent if it was throttled, stopped, or not tried in time.
    function_error: Field<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ErrorResponse {
    error_type: Field<String>,
    error_message: Field<String>,
}

/// Unwraps an event from all on-failure records around it, and returns its task: a copy if one of them shows that the
/// event ended the function.
#[must_use]
pub fn unwrap(mut event: &Value) -> (&Value, Task) {
    let mut task = Task::Optimize;
    while let Some(payload) = event.get("requestPayload") {
        if OnFailureRecord::deserialize(event).unwrap_or_default().shows_end_of_function() {
            task = Task::Copy;
        }
        event = payload;
    }
    (event, task)
}

impl OnFailureRecord {
    /// Whether the function ran and ended without an answer. An event that ran out of time, was throttled, grew too old
    /// or met a reserved concurrency of 0 is done as new, as is one that we answered.
    fn shows_end_of_function(self) -> bool {
        let ErrorResponse { error_type, error_message } = self.response_payload.or_default();
        let (error, message) = (error_type.text().unwrap_or_default(), error_message.text().unwrap_or_default());
        let failed = self.response_context.or_default().function_error.text().is_some();
        failed && !is_own_error(&error) && !is_failed_start(&error, &message)
    }
}

/// Whether the function could not start: a wrong processor, or rejected settings.
fn is_failed_start(error: &str, message: &str) -> bool {
    error == "Runtime.InvalidEntrypoint" || message.ends_with("exit status 1")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::lambda::answer::RECORDS_FAILED;
    use serde_json::json;

    fn event() -> Value {
        json!({ "Records": [{ "eventSource": "aws:s3" }] })
    }

    /// Record of an event that was not tried, or not successfully: as Lambda's documentation shows it, without a
    /// response.
    pub fn without_response(event: &Value, condition: &str) -> Value {
        json!({
            "version": "1.0",
            "timestamp": "2026-11-25T16:00:00.000Z",
            "requestContext": {
                "requestId": "e4b46cbf-b738-xmpl-8880-a18cdf61200e",
                "functionArn": "arn:aws:lambda:us-east-2:123456789012:function:karui:$LATEST",
                "condition": condition,
                "approximateInvokeCount": 3
            },
            "requestPayload": event,
        })
    }

    /// Record of an event whose last attempt failed with this response.
    fn failed_with(event: &Value, response: &Value) -> Value {
        let mut record = without_response(event, "RetriesExhausted");
        record["responseContext"] =
            json!({ "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled" });
        record["responsePayload"] = response.clone();
        record
    }

    fn task_of(record: &Value) -> Task {
        let (unwrapped, task) = unwrap(record);
        assert_eq!(unwrapped, &event());
        task
    }

    #[test]
    fn event_that_ended_the_function_is_to_be_copied() {
        for response in [
            json!({ "errorMessage": "2026-11-25T16:00:03.001Z e4b46cbf Task timed out after 3.00 seconds" }),
            json!({ "errorType": "Sandbox.Timedout", "errorMessage": "Task timed out after 3.00 seconds" }),
            json!({ "errorType": "Runtime.ExitError", "errorMessage": "Runtime exited with error: signal: killed" }),
            json!({ "errorType": "Runtime.ExitError", "errorMessage": "Runtime exited with error: exit status 137" }),
            json!({ "errorType": "Runtime.OutOfMemory" }),
            json!({ "errorMessage": "RequestId: e4b46cbf Process exited before completing request" }),
            json!(null),
            json!("killed"),
        ] {
            assert_eq!(task_of(&failed_with(&event(), &response)), Task::Copy, "{response}");
        }
    }

    #[test]
    fn event_that_was_answered_is_done_as_new() {
        for message in ["1 of 1 records failed: access denied", "1 of 1 records failed: out of time while storing"] {
            let answer = json!({ "errorType": RECORDS_FAILED, "errorMessage": message });
            assert_eq!(task_of(&failed_with(&event(), &answer)), Task::Optimize, "{message}");
        }
        assert_eq!(task_of(&event()), Task::Optimize, "a new event");
    }

    #[test]
    fn event_without_function_error_is_done_as_new() {
        // Throttled until it was too old, too old in the queue, and reserved concurrency 0.
        for condition in ["RetriesExhausted", "EventAgeExceeded", "ZeroReservedConcurrency"] {
            let mut record = without_response(&event(), condition);
            assert_eq!(task_of(&record), Task::Optimize, "{condition}");
            record["responseContext"] = json!(null);
            record["responsePayload"] = json!(null);
            assert_eq!(task_of(&record), Task::Optimize, "{condition}, null");
            record["responseContext"] =
                json!({ "statusCode": 429, "executedVersion": "$LATEST", "functionError": null });
            record["responsePayload"] = json!({ "errorMessage": "Rate Exceeded." });
            assert_eq!(task_of(&record), Task::Optimize, "{condition}, throttled");
        }
    }

    #[test]
    fn aged_event_that_ended_the_function_is_to_be_copied() {
        let mut record = failed_with(&event(), &json!({ "errorType": "Runtime.ExitError" }));
        record["requestContext"]["condition"] = json!("EventAgeExceeded");
        assert_eq!(task_of(&record), Task::Copy);
    }

    #[test]
    fn event_of_failed_start_is_done_as_new() {
        for response in [
            json!({ "errorType": "Runtime.InvalidEntrypoint", "errorMessage": "Couldn't find valid bootstrap(s)" }),
            json!({ "errorType": "Runtime.ExitError", "errorMessage": "Runtime exited with error: exit status 1" }),
        ] {
            assert_eq!(task_of(&failed_with(&event(), &response)), Task::Optimize, "{response}");
        }
    }

    #[test]
    fn event_that_ended_the_function_once_stays_a_copy() {
        let killed = failed_with(&event(), &json!({ "errorType": "Runtime.ExitError" }));
        let answered = failed_with(&killed, &json!({ "errorType": RECORDS_FAILED }));
        assert_eq!(task_of(&answered), Task::Copy);
        assert_eq!(task_of(&without_response(&killed, "ZeroReservedConcurrency")), Task::Copy);
        assert_eq!(task_of(&failed_with(&without_response(&event(), "x"), &json!(null))), Task::Copy);
    }

    #[test]
    fn event_of_malformed_record_is_done_as_new() {
        for (field, value) in [("responseContext", json!([1])), ("responseContext", json!({ "functionError": 1 }))] {
            let mut record = failed_with(&event(), &json!(null));
            record[field] = value;
            assert_eq!(task_of(&record), Task::Optimize, "{record}");
        }
    }
}
