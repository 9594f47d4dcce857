//! Retries responses that report a false success. S3 may begin to answer with 200 and then fail. The SDK looks for an
//! error in the body of every 200, except GET, whose body is the object, and HEAD, which has none.

use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextMut;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::Metadata;

/// Turns a 200 to GET or HEAD without `ETag`, which every object has, into a 500, so that the SDK retries it.
#[derive(Debug)]
pub(super) struct RetryMissingEtag;

#[aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint]
impl Intercept for RetryMissingEtag {
    fn name(&self) -> &'static str {
        "RetryMissingEtag"
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
