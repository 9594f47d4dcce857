//! Successes that are none. S3 may begin to answer with a 200 and then fail; the SDK looks for an error in the body of
//! every success but two: the body of a GET is the object's, and a HEAD has none.

use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextMut;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::Metadata;

/// Takes the 200 of a GET or HEAD without an `ETag`, which every object has, for the 500 it should have been: it is
/// repeated like one.
#[derive(Debug)]
pub(super) struct DoubtSuccess;

#[aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint]
impl Intercept for DoubtSuccess {
    fn name(&self) -> &'static str {
        "DoubtSuccess"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let reads =
            config.load::<Metadata>().is_some_and(|metadata| matches!(metadata.name(), "GetObject" | "HeadObject"));
        let response = context.response_mut();
        if reads && response.status().is_success() && !response.headers().contains_key("etag") {
            *response.status_mut() = 500.try_into()?;
        }
        Ok(())
    }
}
