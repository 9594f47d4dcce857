//! Tracks the open multipart uploads of this process.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_s3::config::interceptors::{BeforeSerializationInterceptorContextRef, FinalizerInterceptorContextRef};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::operation::abort_multipart_upload::AbortMultipartUploadInput;
use aws_sdk_s3::operation::complete_multipart_upload::CompleteMultipartUploadInput;
use aws_sdk_s3::operation::create_multipart_upload::{CreateMultipartUploadInput, CreateMultipartUploadOutput};
use aws_smithy_types::config_bag::{Storable, StoreReplace};
use tokio::sync::watch;

use super::client::Client;
use super::object::ObjectRef;

impl Client {
    /// Tracks every upload that this client begins and ends.
    #[must_use]
    pub fn with_upload_tracker(self, tracker: &UploadTracker) -> Self {
        self.with_interceptor(tracker.clone())
    }
}

/// Tracks the open uploads of this process, so that a program that ends early can wait until none is left.
#[derive(Debug, Clone, Default)]
pub struct UploadTracker(watch::Sender<Tracked>);

#[derive(Debug, Default)]
struct Tracked {
    /// Requested, but not answered yet.
    beginning: Vec<ObjectRef>,
    /// By upload ID.
    open: BTreeMap<String, ObjectRef>,
}

impl UploadTracker {
    /// Waits until no upload is open, at most for `patience`. Returns the uploads that may still be open, with their
    /// IDs where they are known.
    pub async fn wait_for_all(&self, patience: Duration) -> Vec<(Option<String>, ObjectRef)> {
        let mut uploads = self.0.subscribe();
        let none = uploads.wait_for(|uploads| uploads.beginning.is_empty() && uploads.open.is_empty());
        if tokio::time::timeout(patience, none).await.is_ok() {
            return Vec::new();
        }
        let Tracked { beginning, open } = &*self.0.borrow();
        let open = open.iter().map(|(id, object)| (Some(id.clone()), object.clone()));
        open.chain(beginning.iter().map(|object| (None, object.clone()))).collect()
    }
}

/// What a request does to an upload. Stored, since the SDK drops a request's input before the response arrives.
#[derive(Debug, Clone)]
enum Step {
    Begin(ObjectRef),
    End(String),
}

impl Storable for Step {
    type Storer = StoreReplace<Self>;
}

#[aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint]
impl Intercept for UploadTracker {
    fn name(&self) -> &'static str {
        "UploadTracker"
    }

    fn read_before_execution(
        &self,
        context: &BeforeSerializationInterceptorContextRef<'_>,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let input = context.input();
        let step = if let Some(input) = input.downcast_ref::<CreateMultipartUploadInput>() {
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            let object = ObjectRef::new(text(&input.bucket), text(&input.key));
            self.0.send_modify(|uploads| uploads.beginning.push(object.clone()));
            Some(Step::Begin(object))
        } else {
            let completed = input.downcast_ref::<CompleteMultipartUploadInput>().map(|input| &input.upload_id);
            let ended = completed.or(input.downcast_ref::<AbortMultipartUploadInput>().map(|input| &input.upload_id));
            ended.cloned().flatten().map(Step::End)
        };
        if let Some(step) = step {
            config.interceptor_state().store_put(step);
        }
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(step) = config.load::<Step>().cloned() else { return Ok(()) };
        let answer = context.output_or_error();
        let gone = context.response().is_some_and(|response| response.status().as_u16() == 404);
        self.0.send_modify(|uploads| match (step, answer) {
            (Step::Begin(object), answer) => {
                if let Some(begun) = uploads.beginning.iter().position(|begun| *begun == object) {
                    uploads.beginning.swap_remove(begun);
                }
                let output = answer.and_then(Result::ok).and_then(|output| output.downcast_ref());
                let id = output.and_then(|output: &CreateMultipartUploadOutput| output.upload_id.clone());
                uploads.open.extend(id.map(|id| (id, object)));
            }
            (Step::End(id), Some(Ok(_))) => {
                uploads.open.remove(&id);
            }
            (Step::End(id), _) if gone => {
                uploads.open.remove(&id);
            }
            // A failed end is retried, or the upload is reported as left open.
            (Step::End(_), _) => {}
        });
        Ok(())
    }
}
