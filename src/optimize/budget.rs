//! How long one image may be worked on.

use std::time::{Duration, Instant};

/// A point in time after which no new work is begun; the best file found so far is kept.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    deadline: Option<Instant>,
}

impl Budget {
    /// No bound on time.
    pub const UNLIMITED: Self = Self { deadline: None };

    /// Work may begin for this long, from now.
    #[must_use]
    pub fn lasting(time: Duration) -> Self {
        Self { deadline: Instant::now().checked_add(time) }
    }

    /// Whether work that is expected to take `time` still fits.
    #[must_use]
    pub fn allows(&self, time: Duration) -> bool {
        self.deadline.is_none_or(|deadline| Instant::now() + time <= deadline)
    }
}
