//! Records a client's requests and responses, for any server.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_sdk_s3::config::interceptors::{
    BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::http;

/// Header names in lower case, and their values.
pub type Headers = BTreeMap<String, String>;

/// A request, without its body.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Operation as S3 names it: `PutObject`.
    pub operation: String,
    pub headers: Headers,
}

#[derive(Debug, Default)]
struct Wire {
    asked: Vec<Asked>,
    answer: Headers,
}

/// An interceptor; clones share the recording.
#[derive(Debug, Clone, Default)]
pub struct Recorder(Arc<Mutex<Wire>>);

impl Recorder {
    /// Nothing has been asked.
    pub fn clear(&self) {
        *self.0.lock().unwrap() = Wire::default();
    }

    /// All requests, in order.
    pub fn asked(&self) -> Vec<Asked> {
        self.0.lock().unwrap().asked.clone()
    }

    /// The headers of the last answer.
    pub fn answer(&self) -> Headers {
        self.0.lock().unwrap().answer.clone()
    }
}

#[aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint]
impl Intercept for Recorder {
    fn name(&self) -> &'static str {
        "Recorder"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let operation = config.load::<Metadata>().map(|metadata| metadata.name().to_owned()).unwrap_or_default();
        let headers = headers(context.request().headers());
        self.0.lock().unwrap().asked.push(Asked { operation, headers });
        Ok(())
    }

    /// Before the SDK itself has a hand in the headers: it renames an Expires that is no date.
    fn read_after_transmit(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.lock().unwrap().answer = headers(context.response().headers());
        Ok(())
    }
}

fn headers(headers: &http::Headers) -> Headers {
    headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect()
}
