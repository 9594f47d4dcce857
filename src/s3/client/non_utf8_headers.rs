//! Tolerates headers that are not UTF-8. A client may have stored any bytes as, say, Content-Disposition. By default
//! the SDK fails every read of such an object; this interceptor drops the header and logs a warning.

use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::interceptors::BeforeSerializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_smithy_runtime_api::http::NonUtf8HeaderHandling;

/// Drops response headers that are not UTF-8.
#[derive(Debug)]
pub(super) struct SkipUnreadableHeaders;

#[aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint]
impl Intercept for SkipUnreadableHeaders {
    fn name(&self) -> &'static str {
        "SkipUnreadableHeaders"
    }

    fn read_before_execution(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        config.interceptor_state().store_put(NonUtf8HeaderHandling::Skip);
        Ok(())
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        for (name, value) in context.response().headers().iter_bytes() {
            if std::str::from_utf8(value).is_err() {
                tracing::warn!(header = name, "dropped, since its value is not UTF-8: {}", value.escape_ascii());
            }
        }
        Ok(())
    }
}
