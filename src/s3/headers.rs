//! Headers that are no UTF-8: a client may have stored any bytes as, say, Content-Disposition. The SDK's own answer would
//! be to fail whenever such an object is read, for ever; ours is to let go of the header, and say so.

use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::interceptors::BeforeSerializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_smithy_runtime_api::http::NonUtf8HeaderHandling;

/// Reads answers as if headers that are no UTF-8 were absent.
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
                tracing::warn!(header = name, "not UTF-8, and not carried over: {}", value.escape_ascii());
            }
        }
        Ok(())
    }
}
