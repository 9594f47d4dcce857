//! One object from its source to its destination, by whichever way there is between the two.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::args::Request;
use super::compare::Carried;
use super::decide::{Decision, Entry, Why};
use super::local;
use super::location::Location;
use super::report::{Action, Meter, Row};
use crate::optimize::Options;
use crate::pipeline::marker::options_hash;
use crate::pipeline::memory::MemoryBudget;
use crate::pipeline::report::Outcome;
use crate::pipeline::tags::TagReader;
use crate::pipeline::{Job, Pipeline, Policy, Report, Skip, Task as PipelineTask};
use crate::s3::{Condition, CopyTags, Head, ObjectRef, S3Error, S3ErrorKind, Store};

/// The least of [`Carrier::whole`], in bytes.
const WHOLE: u64 = 32 << 20;
/// How often an object is carried that is replaced each time.
const ROUNDS: u32 = 3;

/// Why an object did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    S3(#[from] S3Error),
    #[error("{}: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("{0}: no such object")]
    Missing(ObjectRef),
    #[error("{0}")]
    Lost(String),
}

impl Failure {
    /// Whether the source was replaced before all of it was read.
    fn is_of_another(&self, source: &Location) -> bool {
        matches!((self, source), (Self::S3(S3Error { kind: S3ErrorKind::PreconditionFailed, object, .. }), Location::S3(source))
            if object == source)
    }
}

/// One object to be carried.
#[derive(Debug, Clone)]
pub struct Load {
    pub from: Location,
    pub to: Location,
    /// As listed; `None` of the one that was named.
    pub entry: Option<Entry>,
    pub decision: Decision,
    pub meter: Meter,
}

/// Knows both sides, and the ways between them. Shared by all that is on its way.
pub struct Carrier {
    pub store: Store,
    /// Whether one and the same speaks to both ends.
    one_principal: bool,
    pub options: Option<Options>,
    pub options_hash: String,
    tags: TagReader,
    /// The function's own story, where both ends are S3 and images are made light.
    pipeline: Option<Pipeline>,
    /// Below which a link must lead nowhere.
    pub root: PathBuf,
    pub threads: usize,
    /// Of what passes through this machine.
    pub memory: MemoryBudget,
    /// Up to so many bytes an object comes at once; larger ones need this much memory at a time, whatever their size.
    pub whole: u64,
}

impl Carrier {
    /// `root` is the folder that files arrive in.
    pub fn new(request: &Request, store: Store, root: PathBuf) -> Arc<Self> {
        let both_s3 = request.source.is_s3() && request.destination.is_s3();
        let options = request.options.clone();
        let policy = options.clone().map(|options| Policy { options, ..Policy::to_bucket("") });
        let memory = options.clone().unwrap_or_default().limits.memory;
        let pipeline = policy
            .filter(|_| both_s3 && !store.is_cross_store())
            .map(|policy| Pipeline::new(store.clone(), policy).with_memory_budget(MemoryBudget::new(memory)));
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        Arc::new(Self {
            tags: TagReader::new(store.clone()),
            whole: WHOLE.max(store.multipart_threshold()),
            store,
            one_principal: request.source_client == request.destination_client,
            options_hash: options_hash(&options.clone().unwrap_or_default()),
            options,
            pipeline,
            root,
            threads: cores.div_ceil(request.jobs),
            memory: MemoryBudget::new(memory),
        })
    }

    /// Carries it, or in a dry run says what would be done.
    pub async fn carry_or_plan(&self, load: &Load, dry_run: bool) -> Row {
        if dry_run { Box::pin(self.plan(load)).await } else { self.carry(load).await }
    }

    /// Carries it, and says how that went. What is replaced meanwhile is carried again: what arrived is newer than the source's
    /// change, so that no later listing would tell of it.
    async fn carry(&self, load: &Load) -> Row {
        let begun = Instant::now();
        let again = Load { decision: Decision::Transfer(Why::Newer), ..load.clone() };
        let (mut arrived, mut done) = (false, self.carry_once(load).await);
        for round in 1..=ROUNDS {
            let Some(carried) = done.carried.take() else { break };
            match self.is_replaced(&load.from, &carried).await {
                Ok(false) => break,
                Ok(true) => {}
                Err(failure) => {
                    done = done.warning(format!("whether it was replaced meanwhile is not known: {failure}"));
                    break;
                }
            }
            arrived |= done.action.is_transfer();
            done = if round < ROUNDS {
                load.meter.again();
                self.carry_once(&again).await
            } else {
                row(load, Action::Failed).because("it is replaced all the time: run again when it rests")
            };
        }
        if arrived && done.action == Action::Failed {
            let reason = done.reason.take().unwrap_or_default();
            // By their dates the two are the same from now on.
            done = done
                .because(format!("{reason}; an older one has arrived, which `karui sync --exact` or `cp` replaces"));
        }
        Row { millis: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX), ..done }
    }

    async fn carry_once(&self, load: &Load) -> Row {
        let carried = match (&load.from, &load.to, &self.pipeline) {
            (Location::S3(from), Location::S3(to), Some(pipeline)) => {
                Ok(self.by_pipeline(pipeline, load, from, to).await)
            }
            (..) => Box::pin(self.carry_different(load)).await,
        };
        carried.unwrap_or_else(|failure| {
            let row = row(load, Action::Failed).because(failure.to_string());
            if failure.is_of_another(&load.from) { row.of(Carried::Nothing) } else { row }
        })
    }

    async fn carry_different(&self, load: &Load) -> Result<Row, Failure> {
        let Some(why) = self.difference(load).await? else { return Ok(row(load, Action::Same)) };
        let load = &Load { decision: Decision::Transfer(why), ..load.clone() };
        match (&load.from, &load.to) {
            (Location::S3(from), Location::S3(to)) if self.options.is_none() => self.copy(load, from, to).await,
            (..) => self.through_here(load).await,
        }
    }

    async fn plan(&self, load: &Load) -> Row {
        let row = |action| Row { dry_run: true, ..row(load, action) };
        match self.difference(load).await {
            Ok(Some(why)) => {
                let bytes_in = load.entry.as_ref().map(|entry| entry.size);
                Row { bytes_in, ..row(Action::Copied) }.because(why.word())
            }
            Ok(None) => row(Action::Same),
            Err(failure) => row(Action::Failed).because(failure.to_string()),
        }
    }

    /// Why it is to be transferred, if it is.
    async fn difference(&self, load: &Load) -> Result<Option<Why>, Failure> {
        Ok(match load.decision {
            Decision::Transfer(why) => Some(why),
            Decision::Look(otherwise) => match Box::pin(self.is_there(load)).await? {
                Some(true) => None,
                Some(false) => Some(Why::Content),
                None => otherwise,
            },
            Decision::Same | Decision::Delete | Decision::Leave => None,
        })
    }

    /// Deletes what only the destination has.
    pub async fn delete(&self, place: Location) -> Row {
        let deleted = match &place {
            Location::S3(object) => self.store.delete(object).await.map_err(Failure::from),
            Location::Local(path) => self.delete_file(path.clone()).await,
            Location::Stream => Ok(()),
        };
        match deleted {
            Ok(()) => Row::new(Action::Deleted, None, Some(&place)),
            Err(failure) => Row::new(Action::Failed, None, Some(&place)).because(failure.to_string()),
        }
    }

    async fn delete_file(&self, path: PathBuf) -> Result<(), Failure> {
        let root = self.root.clone();
        on_disk(path, move |path| local::delete(&root, path)).await
    }

    async fn by_pipeline(&self, pipeline: &Pipeline, load: &Load, from: &ObjectRef, to: &ObjectRef) -> Row {
        let entry = load.entry.as_ref();
        // What is newer, or was asked for, is not there, whatever the marker says: its attributes may be others.
        let listed = entry.filter(|_| matches!(load.decision, Decision::Look(_)));
        let job = Job {
            source: from.clone(),
            etag: listed.and_then(|entry| entry.etag.clone()),
            size: entry.map(|entry| entry.size),
            sequencer: None,
            task: PipelineTask::Optimize,
        };
        let report = pipeline.run_to(&job, to.clone()).await;
        of_report(load, report)
    }

    /// Inside S3, as it is; through here where the destination's principal may not read, or the two are different stores.
    async fn copy(&self, load: &Load, from: &ObjectRef, to: &ObjectRef) -> Result<Row, Failure> {
        if self.store.is_cross_store() {
            let row = self.through_here(load).await?;
            return Ok(passed(row, &"the two are different stores"));
        }
        let head = self.store.head_source(from).await?.ok_or_else(|| Failure::Missing(from.clone()))?;
        load.meter.expect(head.size);
        let copied = match self.copy_inside(load, from, &head, to).await {
            Err(error) if error.may_be_cross_principal() && !self.one_principal => {
                let row = self.through_here(load).await?;
                return Ok(passed(row, &error));
            }
            copied => copied?,
        };
        let row = row(load, Action::Copied).whole(head.size).of(Carried::Object(head.etag));
        Ok(copied.into_iter().fold(row, Row::warning))
    }

    /// A warning, if there is one: tags that may not be copied are dropped, as the function drops them.
    async fn copy_inside(
        &self,
        load: &Load,
        from: &ObjectRef,
        head: &Head,
        to: &ObjectRef,
    ) -> Result<Option<String>, S3Error> {
        let mut attributes = head.attributes.clone();
        let (mut tags, mut warning) = (CopyTags::Copy, None);
        if !self.store.fits_single_copy(head.size) {
            (attributes.tags, warning) = self.tags(from, head).await?;
        }
        let store = self.store.clone().with_progress(load.meter.progress());
        let copy = async |tags| store.copy(from, head, to, &attributes, tags, &Condition::None).await;
        match copy(tags).await {
            Err(error) if error.may_be_about_tags() => {
                tags = CopyTags::Drop;
                // Where this is refused as well, it is not about the tags.
                copy(tags).await.map(|()| Some(format!("tags dropped, if there were any: {error}")))
            }
            copied => copied.map(|()| warning),
        }
    }

    /// The source's tags; none, with a warning, where they may not be read.
    pub async fn tags(
        &self,
        from: &ObjectRef,
        head: &Head,
    ) -> Result<(Vec<(String, String)>, Option<String>), S3Error> {
        let (tags, warning) = self.tags.read(from, head, false).await?;
        Ok((tags.unwrap_or_default(), warning))
    }
}

pub fn row(load: &Load, action: Action) -> Row {
    let row = Row::new(action, Some(&load.from), Some(&load.to));
    match load.decision {
        Decision::Transfer(why) => row.because(why.word()),
        Decision::Same | Decision::Look(_) | Decision::Delete | Decision::Leave => row,
    }
}

/// Since S3 did not copy it, for this reason.
fn passed(row: Row, why: &dyn fmt::Display) -> Row {
    let row = Row { method: row.method.or(Some("relay".into())), ..row };
    row.warning(format!("copied through this machine: {why}"))
}

fn of_report(load: &Load, report: Report) -> Row {
    let action = match report.outcome {
        Outcome::Optimized => Action::Optimized,
        Outcome::Unchanged => Action::Copied,
        Outcome::Skipped if report.reason.as_deref() == Some(&Skip::AlreadyStored.to_string()) => Action::Same,
        Outcome::Skipped => Action::Skipped,
        Outcome::Failed => Action::Failed,
    };
    let Report { reason, source_etag, bytes_in, bytes_out, method, score, worst, metadata, warnings, .. } = report;
    let row = row(load, action);
    let carried = match action {
        Action::Optimized | Action::Copied => source_etag.map(Carried::Object),
        Action::Skipped if reason.as_deref() == Some(&Skip::SourceReplaced.to_string()) => Some(Carried::Nothing),
        Action::Skipped | Action::Same | Action::Deleted | Action::Failed => None,
    };
    Row { reason: reason.or(row.reason), carried, bytes_in, bytes_out, method, score, worst, metadata, warnings, ..row }
}

/// Waits for the file system on a thread of its own.
pub async fn on_disk<T: Send + 'static>(
    path: PathBuf,
    work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    let worked = tokio::task::spawn_blocking(move || work(&path).map_err(|error| Failure::Io { path, error })).await;
    worked.unwrap_or_else(|lost| Err(Failure::Lost(lost.to_string())))
}
