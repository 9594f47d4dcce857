//! A memory budget shared by concurrent jobs.

use tokio::sync::{Semaphore, SemaphorePermit};

/// Bytes of memory that an image may need per byte of its file, measured on the densest PNG.
const BYTES_PER_FILE_BYTE: u64 = 22;
/// Bytes per permit.
const PERMIT: u64 = 1 << 20;

/// A limited amount of memory. Each job acquires what it needs, and waits until it is free.
#[derive(Debug)]
pub struct MemoryBudget {
    free: Semaphore,
    permits: u32,
}

impl MemoryBudget {
    /// Creates a budget of `bytes` for all jobs together.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        let permits = u32::try_from(bytes / PERMIT).unwrap_or(u32::MAX).max(1);
        Self { free: Semaphore::new(permits as usize), permits }
    }

    /// Acquires this many bytes, or the whole budget if it is smaller.
    pub(crate) async fn acquire(&self, bytes: u64) -> Option<SemaphorePermit<'_>> {
        let permits = u32::try_from(bytes.div_ceil(PERMIT)).unwrap_or(u32::MAX).min(self.permits);
        self.free.acquire_many(permits).await.ok()
    }

    /// Acquires the memory for an image whose file has this many bytes.
    pub(crate) async fn acquire_for_image(&self, bytes: u64) -> Option<SemaphorePermit<'_>> {
        self.acquire(bytes.saturating_mul(BYTES_PER_FILE_BYTE)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn acquire_waits_until_memory_is_released() {
        let memory = MemoryBudget::new(100 << 20);
        let image = memory.acquire_for_image(4 << 20).await;
        assert_eq!(memory.free.available_permits(), 12);
        let more = memory.acquire(13 << 20);
        let waited = tokio::time::timeout(std::time::Duration::from_millis(20), more).await;
        assert!(waited.is_err(), "it is not there");
        drop(image);
        let all = memory.acquire(u64::MAX).await;
        assert_eq!((all.is_some(), memory.free.available_permits()), (true, 0));
    }
}
