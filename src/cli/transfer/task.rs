//! One object to copy.

use std::path::Path;

use super::decide::{Decision, Entry};
use super::report::ProgressHandle;
use crate::cli::row::{Action, Row};
use crate::pipeline::{Location, Move, Task};
use crate::report::{Reason, TransferReason};

/// One object to copy.
#[derive(Debug, Clone)]
pub struct CopyTask {
    pub from: Location,
    pub to: Location,
    /// Entry of the listing; `None` for an object named on the command line.
    pub entry: Option<Entry>,
    pub decision: Decision,
    pub progress: ProgressHandle,
}

impl CopyTask {
    /// The same task, whatever the comparison said.
    pub fn because(&self, why: TransferReason) -> Self {
        Self { decision: Decision::Transfer(why), ..self.clone() }
    }

    /// Starts the row of its result.
    pub fn row(&self, action: Action) -> Row {
        let row = Row::between(action, Some(&self.from), Some(&self.to));
        match self.decision {
            Decision::Transfer(why) => row.because(Reason::Transferred(why)),
            Decision::Same | Decision::Compare(_) | Decision::Delete | Decision::Keep => row,
        }
    }

    /// What the pipeline is to do.
    pub fn to_move(&self, task: Task) -> Move {
        // A newer or explicitly requested source is processed whatever the marker says, since its attributes may
        // differ. The entry of a file has the other side's ETag.
        let listed = self.entry.as_ref().filter(|_| self.from.is_s3() && matches!(self.decision, Decision::Compare(_)));
        Move {
            etag: listed.and_then(|entry| entry.etag.clone()),
            size: self.entry.as_ref().map(|entry| entry.size),
            content_type: self.content_type(),
            progress: self.progress.counter(),
            ..Move::new(self.from.clone(), self.to.clone(), task)
        }
    }

    /// Content-Type by the name of a file, or by the key that stdin is stored under.
    fn content_type(&self) -> Option<String> {
        let name = match &self.from {
            Location::Local(path) => path.as_path(),
            Location::Stream => Path::new(self.to.name()?),
            Location::S3(_) => return None,
        };
        mime_guess::from_path(name).first_raw().map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::transfer::report::Printer;
    use crate::s3::ObjectRef;

    #[test]
    fn content_type_follows_the_name() {
        let progress = Printer::new(false, true, false).plan(0);
        let of = |from: Location| {
            let to = Location::S3(ObjectRef::new("b", "page.html"));
            let decision = Decision::Transfer(TransferReason::Asked);
            CopyTask { from, to, entry: None, decision, progress: progress.clone() }
                .to_move(Task::Transfer)
                .content_type
        };
        assert_eq!(of(Location::Local("a.css".into())).as_deref(), Some("text/css"));
        assert_eq!(of(Location::Local("a.unheard-of".into())), None);
        assert_eq!(of(Location::Stream).as_deref(), Some("text/html"));
        assert_eq!(of(Location::S3(ObjectRef::new("b", "a.css"))), None, "the object has its own");
    }
}
