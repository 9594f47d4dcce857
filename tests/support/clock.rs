//! Time for a client under test. It runs out when a request hangs, and at no other time: a test need not wait for it, and a
//! busy machine is no hang.

use std::time::Duration;

use aws_sdk_s3::config::{AsyncSleep, Sleep};
use tokio::sync::watch;

/// Shorter waits are pauses between attempts, and pass in real time.
const SHORTEST_TIMEOUT: Duration = Duration::from_secs(1);

/// Told of every request that hangs.
#[derive(Debug)]
pub struct Clock(pub watch::Receiver<usize>);

impl AsyncSleep for Clock {
    fn sleep(&self, duration: Duration) -> Sleep {
        if duration < SHORTEST_TIMEOUT {
            return Sleep::new(tokio::time::sleep(duration));
        }
        let mut hangs = self.0.clone();
        hangs.mark_unchanged();
        Sleep::new(async move {
            if hangs.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }
}
