//! Looks at the destination, and writes the result there unless another write was faster.

use super::error::Error;
use super::job::Move;
use super::location::Location;
use super::marker;
use super::policy::{Overwrite, TagPolicy};
use super::read::{Content, Source};
use super::run::{Pipeline, Read, Way};
use super::version::SourceVersion;
use super::write::{Tagging, Write, Writer, Written};
use crate::report::Skip;
use crate::s3::{Condition, Existing, Head, S3Error, S3ErrorKind};

/// Attempts to write a result that loses to concurrent writes, before the event fails and is retried.
const MAX_WRITES: u32 = 3;

impl Pipeline {
    /// Looks at the destination, and skips the object if nothing needs to be written.
    pub(super) async fn look_at(&self, moving: &Move) -> Result<Existing, Error> {
        let (Location::S3(target), Overwrite::IfOlder | Overwrite::Never) = (&moving.to, self.policy.overwrite) else {
            return Ok(Existing::Unknown);
        };
        // Without permission for HEAD, the object may still be replaced.
        let existing = Existing::from_head(self.store.destination.head(target).await)?;
        self.already_done(&existing, moving).map_or(Ok(existing), |skip| Err(Error::Skip(skip)))
    }

    /// Returns the reason why nothing needs to be written, if there is one.
    fn already_done(&self, existing: &Existing, moving: &Move) -> Option<Skip> {
        let Existing::Present(head) = existing else { return None };
        if marker::answers(&head.attributes.metadata, moving, &self.options_hash) {
            return Some(Skip::AlreadyStored);
        }
        (self.policy.overwrite == Overwrite::Never).then_some(Skip::NotOverwritten)
    }

    /// Returns the condition of the write. Of two concurrent jobs on one key, the slower one fails it and decides
    /// again.
    pub(super) fn condition(&self, existing: &Existing) -> Condition {
        match (self.policy.overwrite, existing) {
            (Overwrite::Never, _) | (Overwrite::IfOlder | Overwrite::Always, Existing::Absent) => Condition::Absent,
            (Overwrite::IfOlder | Overwrite::Always, Existing::Unknown) => Condition::None,
            (Overwrite::IfOlder | Overwrite::Always, Existing::Present(head)) => {
                Condition::Unmodified(head.etag.clone())
            }
        }
    }

    /// Writes the result. A write that loses to a concurrent one re-reads both sides and decides again.
    pub(super) async fn commit(
        &self,
        moving: &Move,
        head: &Head,
        version: Option<SourceVersion>,
        mut write: Write,
    ) -> Result<Written, Error> {
        let mut writes = 1;
        loop {
            let error = match Box::pin(self.write_or_relay(moving, head, write.clone())).await {
                Err(Error::S3(error)) if self.may_drop_condition(&error, &write) => {
                    write.condition = Condition::None;
                    continue;
                }
                Err(Error::S3(error)) if lost_to_concurrent_write(&error, &moving.to) => error,
                written => return written,
            };
            let existing = self.look_at(moving).await?;
            // The existing object may be invisible to HEAD.
            if self.policy.overwrite == Overwrite::Never && error.kind == S3ErrorKind::PreconditionFailed {
                return Err(Error::Skip(Skip::NotOverwritten));
            }
            // Stdin has no more bytes to write.
            let Some(version) = &version else { return Err(error.into()) };
            // If the source is unchanged, this job is the newer one, and the other write is replaced.
            version.compare(&self.store.source, &moving.from).await?.check()?;
            if writes == MAX_WRITES {
                return Err(error.into());
            }
            writes += 1;
            write.condition = self.condition(&existing);
        }
    }

    /// Whether a store without conditional writes refused one: what is there may be replaced all the same.
    fn may_drop_condition(&self, error: &S3Error, write: &Write) -> bool {
        let is_repeatable = !matches!(write.content, Content::Stream(_));
        let is_refused = error.kind == S3ErrorKind::NotSupported && write.condition != Condition::None;
        is_refused && is_repeatable && self.policy.overwrite == Overwrite::IfOlder
    }

    /// Writes an object. One that S3 may not copy is relayed through this process, since no principal may read the source
    /// and write the destination in one request. If that is refused too, the error is that of the copy, which names the
    /// permissions of both sides.
    async fn write_or_relay(&self, moving: &Move, head: &Head, write: Write) -> Result<Written, Error> {
        let store = match write.content {
            // Counted when it is done.
            Content::Bytes(_) => self.store.clone(),
            _ => self.store.clone().with_progress(moving.progress.clone()),
        };
        let drops_tags = self.policy.tags == TagPolicy::Copy;
        let writer = Writer { store: &store, root: &self.root, drops_tags, moving, head };
        let relay = Some(write.clone()).filter(|write| self.relays && matches!(write.content, Content::OnServer));
        let (refusal, mut relay) = match (writer.write(write).await, relay) {
            (Err(Error::S3(refusal)), Some(relay)) if refusal.may_be_cross_principal() => (refusal, relay),
            (written, _) => return written,
        };
        let Read { content, permit: _permit } = self.read(Source::described(head.clone()), Way::Parts).await?;
        relay.content = content;
        let mut unread = None;
        if relay.tags == Tagging::Unread {
            (relay.attributes.tags, relay.tags, unread) = self.read_tags(moving, head, Way::Parts).await?;
        }
        match writer.write(relay).await {
            Ok(written) => {
                let warnings = unread.into_iter().chain(written.warnings).collect();
                Ok(Written { warnings, relayed: Some(refusal), streamed: None })
            }
            Err(Error::S3(error)) if error.may_be_cross_principal() => Err(refusal.into()),
            Err(error) => Err(error),
        }
    }
}

/// Whether the destination changed after the HEAD.
fn lost_to_concurrent_write(error: &S3Error, to: &Location) -> bool {
    let is_lost = matches!(error.kind, S3ErrorKind::PreconditionFailed | S3ErrorKind::Conflict);
    is_lost && matches!(to, Location::S3(target) if error.object == *target)
}
