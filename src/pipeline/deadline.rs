//! The deadline of a job, which no step outlasts: a process that Lambda ends answers nothing, and aborts no upload.

use std::time::{Duration, Instant};

use super::error::{Error, Step};
use crate::optimize::Budget;

/// Time reserved before the end to abort an upload and to answer, at most a tenth of the time left.
const RESERVE: Duration = Duration::from_secs(2);

/// When a job must be done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline(Option<End>);

#[derive(Debug, Clone, Copy)]
struct End {
    /// Steps are dropped.
    steps: Instant,
    /// The process may be ended.
    process: Instant,
}

impl Deadline {
    /// Ends the steps shortly before the process may be ended, if it may.
    pub(super) fn before(process: Option<Instant>) -> Self {
        Self(process.map(|process| {
            let left = time_until(process);
            End { steps: Instant::now() + left.saturating_sub(RESERVE.min(left / 10)), process }
        }))
    }

    /// Runs a step, and drops it at the deadline.
    ///
    /// # Errors
    /// [`Error::OutOfTime`], or the step's own.
    pub(super) async fn limit<T, E>(self, step: Step, work: impl Future<Output = Result<T, E>>) -> Result<T, Error>
    where
        Error: From<E>,
    {
        let Self(Some(End { steps, .. })) = self else { return Ok(work.await?) };
        match tokio::time::timeout_at(steps.into(), work).await {
            Ok(done) => Ok(done?),
            Err(_) => Err(Error::OutOfTime { step }),
        }
    }

    /// Budget of the engine: leaves a fifth of the remaining time for the upload.
    pub(super) fn budget(self) -> Budget {
        self.0.map_or(Budget::UNLIMITED, |end| Budget::lasting(time_until(end.process) * 4 / 5))
    }

    /// Time to wait for uploads to be aborted: most of the reserve, the rest is for the answer.
    pub(super) fn time_to_abort(self) -> Duration {
        self.0.map_or(Duration::ZERO, |end| time_until(end.process) * 3 / 4)
    }
}

fn time_until(instant: Instant) -> Duration {
    instant.saturating_duration_since(Instant::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn limit_past_the_deadline_names_the_step() {
        let deadline = Deadline::before(Some(Instant::now() + Duration::from_millis(20)));
        let never = std::future::pending::<Result<(), Error>>();
        let error = deadline.limit(Step::Get, never).await.unwrap_err();
        assert_eq!(error.to_string(), "out of time while reading: raise the function's timeout");
        assert!(deadline.limit(Step::Head, async { Ok::<_, Error>(1) }).await.is_ok(), "it had not to wait");
    }

    #[tokio::test]
    async fn limit_without_deadline_returns_the_steps_result() {
        let step = Deadline::before(None).limit(Step::Get, async { Ok::<_, Error>(1) });
        assert!(matches!(step.await, Ok(1)));
    }
}
