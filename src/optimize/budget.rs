//! What one image may take: time and threads.

use std::time::{Duration, Instant};

/// A point in time after which no new work is begun, when the best file found so far is kept; and threads, which change
/// how long it takes and nothing else.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    deadline: Option<Instant>,
    threads: usize,
}

impl Budget {
    /// No bound on time, and one thread.
    pub const UNLIMITED: Self = Self { deadline: None, threads: 1 };

    /// Work may begin for this long, from now, on one thread.
    #[must_use]
    pub fn lasting(time: Duration) -> Self {
        Self { deadline: Instant::now().checked_add(time), ..Self::UNLIMITED }
    }

    /// The same time for so many threads.
    #[must_use]
    pub fn on(self, threads: usize) -> Self {
        Self { threads, ..self }
    }

    /// Most threads that one image may use.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Whether work that is expected to take `time` still fits.
    #[must_use]
    pub fn allows(&self, time: Duration) -> bool {
        self.deadline.is_none_or(|deadline| Instant::now() + time <= deadline)
    }
}
