//! How far a large object has come.

use std::fmt;
use std::sync::Arc;

/// Is told of bytes as soon as they are where they belong, part by part. Those of an object in one request are not: it is
/// there or it is not.
#[derive(Clone, Default)]
pub struct Progress(Option<Arc<dyn Fn(u64) + Send + Sync>>);

impl Progress {
    /// Calls `tell` with the bytes of each part.
    #[must_use]
    pub fn new(tell: impl Fn(u64) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(tell)))
    }

    /// So many more have come.
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
