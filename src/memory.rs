//! One memory budget for all images that a process optimizes at once.

use std::collections::VecDeque;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

/// A limited amount of memory. Work acquires what it needs before it begins, first come, first served; work that needs
/// more than there is runs alone.
#[derive(Debug)]
pub struct MemoryBudget {
    capacity: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    free: u64,
    queue: VecDeque<Waiter>,
    next_id: u64,
}

/// One [`Acquire`] that waits.
#[derive(Debug)]
struct Waiter {
    id: u64,
    waker: Waker,
}

impl MemoryBudget {
    /// Creates a budget of `capacity` bytes.
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        Self { capacity, state: Mutex::new(State { free: capacity, queue: VecDeque::new(), next_id: 0 }) }
    }

    /// Acquires `bytes`, or all of the budget if they are more. They are free again when the permit is dropped.
    pub fn acquire(self: &Arc<Self>, bytes: u64) -> Acquire {
        Acquire { budget: Arc::clone(self), bytes: bytes.min(self.capacity), id: None }
    }

    /// Acquires `bytes` on a thread that may block.
    pub fn acquire_blocking(self: &Arc<Self>, bytes: u64) -> Permit {
        let waker = Arc::new(Unpark(thread::current())).into();
        let mut acquire = pin!(self.acquire(bytes));
        loop {
            match acquire.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(permit) => return permit,
                Poll::Pending => thread::park(),
            }
        }
    }

    /// A poisoned lock is harmless: no code panics while it holds it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wake_first(&self) {
        if let Some(first) = self.queue.front() {
            first.waker.wake_by_ref();
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Future of a [`Permit`].
#[derive(Debug)]
#[must_use = "memory is held once the future is awaited"]
pub struct Acquire {
    budget: Arc<MemoryBudget>,
    bytes: u64,
    /// Place in the queue; `None` before the first poll and after the last.
    id: Option<u64>,
}

impl Future for Acquire {
    type Output = Permit;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Permit> {
        let budget = Arc::clone(&self.budget);
        let mut state = budget.lock();
        let is_next = state.queue.front().is_none_or(|first| Some(first.id) == self.id);
        if is_next && self.bytes <= state.free {
            state.free -= self.bytes;
            if self.id.take().is_some() {
                state.queue.pop_front();
            }
            state.wake_first();
            drop(state);
            return Poll::Ready(Permit { budget, bytes: self.bytes });
        }
        let waker = context.waker().clone();
        if let Some(waiter) = state.queue.iter_mut().find(|waiter| Some(waiter.id) == self.id) {
            waiter.waker = waker;
        } else {
            let id = state.next_id;
            state.next_id += 1;
            state.queue.push_back(Waiter { id, waker });
            self.id = Some(id);
        }
        Poll::Pending
    }
}

impl Drop for Acquire {
    /// Leaves the queue, if the future is dropped while it waits.
    fn drop(&mut self) {
        if let Some(id) = self.id {
            let mut state = self.budget.lock();
            state.queue.retain(|waiter| waiter.id != id);
            state.wake_first();
        }
    }
}

/// Memory that is held until this is dropped.
#[derive(Debug)]
pub struct Permit {
    budget: Arc<MemoryBudget>,
    bytes: u64,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.budget.lock();
        state.free += self.bytes;
        state.wake_first();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use super::*;

    fn poll(acquire: &mut Pin<Box<Acquire>>) -> Poll<Permit> {
        acquire.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn acquire_keeps_the_sum_under_the_capacity() {
        let budget = Arc::new(MemoryBudget::new(100));
        let (running, most) = (AtomicU64::new(0), AtomicU64::new(0));
        thread::scope(|scope| {
            for bytes in [60, 60, 30, 1000, 40, 10] {
                let (budget, running, most) = (&budget, &running, &most);
                scope.spawn(move || {
                    let _permit = budget.acquire_blocking(bytes);
                    let now = running.fetch_add(bytes.min(100), Ordering::SeqCst) + bytes.min(100);
                    most.fetch_max(now, Ordering::SeqCst);
                    thread::sleep(Duration::from_millis(5));
                    running.fetch_sub(bytes.min(100), Ordering::SeqCst);
                });
            }
        });
        assert_eq!(most.load(Ordering::SeqCst), 100);
        assert_eq!(budget.lock().free, 100);
    }

    #[test]
    fn acquire_serves_the_first_waiter_first() {
        let budget = Arc::new(MemoryBudget::new(100));
        let held = budget.acquire_blocking(50);
        let (mut large, mut small) = (Box::pin(budget.acquire(80)), Box::pin(budget.acquire(10)));
        assert!(poll(&mut large).is_pending() && poll(&mut small).is_pending());
        drop(held);
        let large = poll(&mut large);
        assert!(large.is_ready() && poll(&mut small).is_ready());
    }

    #[test]
    fn dropped_waiter_lets_the_next_pass() {
        let budget = Arc::new(MemoryBudget::new(100));
        let _held = budget.acquire_blocking(50);
        let (mut large, mut small) = (Box::pin(budget.acquire(80)), Box::pin(budget.acquire(10)));
        assert!(poll(&mut large).is_pending() && poll(&mut small).is_pending());
        drop(large);
        assert!(poll(&mut small).is_ready());
        assert!(budget.lock().queue.is_empty());
    }
}
