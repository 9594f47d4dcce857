//! The memory that jobs which are at work at the same time have between them.

use tokio::sync::{Semaphore, SemaphorePermit};

/// Bytes of memory that an image may need for each byte of its file, as dense a PNG as there is.
const BYTES_PER_FILE_BYTE: u64 = 22;
/// Bytes of a permit.
const PERMIT: u64 = 1 << 20;

/// So much memory, of which each takes what it needs, and waits until it is there.
#[derive(Debug)]
pub struct Room {
    free: Semaphore,
    permits: u32,
}

impl Room {
    /// `bytes` for all of them together.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        let permits = u32::try_from(bytes / PERMIT).unwrap_or(u32::MAX).max(1);
        Self { free: Semaphore::new(permits as usize), permits }
    }

    /// For so many bytes; for more than there are, all of it.
    pub(crate) async fn take(&self, bytes: u64) -> Option<SemaphorePermit<'_>> {
        let permits = u32::try_from(bytes.div_ceil(PERMIT)).unwrap_or(u32::MAX).min(self.permits);
        self.free.acquire_many(permits).await.ok()
    }

    /// For the work on an image whose file has so many bytes.
    pub(crate) async fn take_for_image(&self, bytes: u64) -> Option<SemaphorePermit<'_>> {
        self.take(bytes.saturating_mul(BYTES_PER_FILE_BYTE)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nobody_takes_what_another_has_and_each_gets_its_turn() {
        let room = Room::new(100 << 20);
        let image = room.take_for_image(4 << 20).await;
        assert_eq!(room.free.available_permits(), 12);
        let more = room.take(13 << 20);
        let waited = tokio::time::timeout(std::time::Duration::from_millis(20), more).await;
        assert!(waited.is_err(), "it is not there");
        drop(image);
        let all = room.take(u64::MAX).await;
        assert_eq!((all.is_some(), room.free.available_permits()), (true, 0));
    }
}
