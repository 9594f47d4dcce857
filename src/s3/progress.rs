//! Progress of a large object.

use std::fmt;
use std::sync::Arc;

/// Receives the number of bytes of each part once it has been transferred. An object that takes one request is not
/// reported.
#[derive(Clone, Default)]
pub struct Progress(Option<Arc<dyn Fn(u64) + Send + Sync>>);

impl Progress {
    /// Calls `tell` with the number of bytes of each part.
    #[must_use]
    pub fn new(tell: impl Fn(u64) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(tell)))
    }

    /// Reports that this many more bytes have been transferred.
    pub fn add(&self, bytes: u64) {
        if let Some(tell) = &self.0 {
            tell(bytes);
        }
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Progress").field(&self.0.is_some()).finish()
    }
}
