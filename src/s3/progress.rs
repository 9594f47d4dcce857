//! Progress of a large object.

use std::fmt;
use std::sync::Arc;

/// Receives the number of bytes of each part once it has been transferred. An object that takes one request is not
/// reported.
#[derive(Clone, Default)]
pub struct Progress {
    tell: Option<Arc<dyn Fn(u64) + Send + Sync>>,
    expect: Option<Arc<dyn Fn(u64) + Send + Sync>>,
}

impl Progress {
    /// Calls `tell` with the number of bytes of each part.
    #[must_use]
    pub fn new(tell: impl Fn(u64) + Send + Sync + 'static) -> Self {
        Self { tell: Some(Arc::new(tell)), expect: None }
    }

    /// Calls `expect` with the bytes of the object as soon as they are known.
    #[must_use]
    pub fn with_total(self, expect: impl Fn(u64) + Send + Sync + 'static) -> Self {
        Self { expect: Some(Arc::new(expect)), ..self }
    }

    /// Reports that the object has this many bytes.
    pub fn expect(&self, bytes: u64) {
        if let Some(expect) = &self.expect {
            expect(bytes);
        }
    }

    /// Reports that this many more bytes have been transferred.
    pub fn add(&self, bytes: u64) {
        if let Some(tell) = &self.tell {
            tell(bytes);
        }
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Progress").field(&self.tell.is_some()).finish()
    }
}
