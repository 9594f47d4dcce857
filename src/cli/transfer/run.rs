//! Runs `karui cp` and `karui sync`, from the listings to the last object.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::args::{Request, Scope};
use super::copier::Copier;
use super::decide::{Decision, Entry, SyncRules};
use super::listing::{Listing, Merge, Pair, SkippedEntry};
use super::report::{Printer, ProgressHandle};
use super::settings::settings;
use super::task::CopyTask;
use crate::cli::interrupted;
use crate::cli::row::{Action, Row};
use crate::config::TransferSettings;
use crate::pipeline::Location;
use crate::report::{Failure, Outcome, Reason, TransferReason};
use crate::s3::{self, Client, ObjectRef, S3Error, TransferConfig};

/// Time after Ctrl-C for tasks to stop: immediate, unless one waits for a disk.
const TASK_GRACE: Duration = Duration::from_secs(2);
/// Time after Ctrl-C for an upload that is about to start.
const UPLOAD_START_GRACE: Duration = Duration::from_millis(100);
/// Time after Ctrl-C for open uploads to be aborted.
const ABORT_GRACE: Duration = Duration::from_secs(20);

/// Result of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunResult {
    Success,
    WithFailures,
    Interrupted,
}

/// Runs the request until it is done, or until Ctrl-C.
///
/// # Errors
/// Wrong usage that only the environment, the file system, or both sides together reveal.
pub async fn run(request: Request) -> Result<RunResult, String> {
    let request = resolve_sides(request)?;
    let TransferSettings { transfer, rate_limits, source_buckets, destination_buckets } = settings()?;
    let store = connect(&request, transfer).await.with_buckets(source_buckets, destination_buckets);
    let store = store.with_rate_limits(rate_limits);
    if !store.is_cross_store() {
        refuse_overlap(&request)?;
    }
    let copier = Copier::new(&request, store.clone(), root_of(&request));
    let uploads = copier.uploads();
    let mut printer = Printer::new(request.json, request.destination == Location::Stream, request.dry_run);
    let mut in_flight = JoinSet::new();
    let work = async {
        if request.scope == Scope::One {
            run_one(&request, copier, &mut printer).await;
        } else {
            BulkTransfer::new(&request, copier, store, &mut in_flight, &mut printer).run().await;
        }
    };
    let finished = tokio::select! {
        () = Box::pin(work) => true,
        () = interrupted() => false,
    };
    if !finished {
        printer.note(&"interrupted: aborting open uploads");
        let ended = async {
            // A task may be about to create an upload, and then does.
            let _ = tokio::time::timeout(TASK_GRACE, in_flight.shutdown()).await;
            tokio::time::sleep(UPLOAD_START_GRACE).await;
            uploads.wait_for_all(ABORT_GRACE).await
        };
        // A second Ctrl-C does not wait.
        let left = tokio::select! {
            left = ended => left,
            () = interrupted() => uploads.wait_for_all(Duration::ZERO).await,
        };
        for (id, object) in left {
            let upload = id.map(|id| format!(" {id}")).unwrap_or_default();
            printer
                .fail(&format!("{object}: its upload{upload} may still be open; `karui uploads` lists and aborts it"));
        }
    }
    Ok(match (finished, printer.finish(!finished)) {
        (false, _) => RunResult::Interrupted,
        (true, true) => RunResult::Success,
        (true, false) => RunResult::WithFailures,
    })
}

/// Folder below which files are written.
fn root_of(request: &Request) -> PathBuf {
    match &request.destination {
        Location::Local(path) if request.scope == Scope::One => path.parent().map(Into::into).unwrap_or_default(),
        Location::Local(path) => path.clone(),
        Location::S3(_) | Location::Stream => PathBuf::new(),
    }
}

/// Checks both sides together, and resolves the destination of a single object.
fn resolve_sides(request: Request) -> Result<Request, String> {
    if request.scope == Scope::One {
        if let Location::Local(path) = &request.source
            && path.is_dir()
        {
            return Err(format!("{} is a folder: add --recursive, or use `karui sync`", path.display()));
        }
        if let Location::S3(ObjectRef { key, .. }) = &request.source
            && (key.is_empty() || key.ends_with('/'))
        {
            return Err(format!("{} is a prefix: add --recursive, or use `karui sync`", request.source));
        }
        let destination = request.destination.one(request.source.name())?;
        return Ok(Request { destination, ..request });
    }
    let Request { source, destination, .. } = request;
    let request = Request { source: source.root(), destination: destination.root(), ..request };
    if let Location::Local(path) = &request.source
        && !path.is_dir()
    {
        return Err(format!("{} is not a folder", path.display()));
    }
    Ok(request)
}

/// Refuses sides of one store that overlap: neither may be inside what the other reads or writes.
fn refuse_overlap(request: &Request) -> Result<(), String> {
    let Request { source, destination, .. } = request;
    if request.scope == Scope::One {
        return if source == destination { Err(format!("{source} would be copied onto itself")) } else { Ok(()) };
    }
    if source.contains(destination) {
        return Err(format!("{destination} is inside {source}: every run would copy the previous run's copies"));
    }
    if request.delete && destination.contains(source) {
        return Err("--delete would delete the source, which is inside the destination".into());
    }
    Ok(())
}

/// Connects both sides. A local side uses the other side's client, since the SDK reads all of the system's certificates
/// for each client.
async fn connect(request: &Request, transfer: TransferConfig) -> s3::Pair {
    let (mut source, mut destination) = (&request.source_client, &request.destination_client);
    if !request.destination.is_s3() {
        destination = source;
    } else if !request.source.is_s3() {
        source = destination;
    }
    s3::Pair::connect(source, destination, transfer).await
}

async fn run_one(request: &Request, copier: Arc<Copier>, printer: &mut Printer) {
    let (from, to) = (request.source.clone(), request.destination.clone());
    let progress = printer.plan(0);
    let task = CopyTask {
        from,
        to,
        entry: None,
        decision: Decision::Transfer(TransferReason::Asked),
        progress: progress.clone(),
    };
    let mut done = copier.copy_or_plan(&task, request.dry_run).await;
    if done.action == Action::Skipped {
        // It was named explicitly.
        (done.action, done.report.outcome) = (Action::Failed, Outcome::Failed);
    }
    printer.finish_object(&done, &progress);
}

/// Tasks in flight; dropping it aborts them.
type InFlight = JoinSet<(Row, ProgressHandle)>;

/// Transfers many objects, a number of them in parallel.
struct BulkTransfer<'a> {
    request: &'a Request,
    rules: SyncRules,
    copier: Arc<Copier>,
    store: s3::Pair,
    in_flight: &'a mut InFlight,
    printer: &'a mut Printer,
}

impl<'a> BulkTransfer<'a> {
    fn new(
        request: &'a Request,
        copier: Arc<Copier>,
        store: s3::Pair,
        in_flight: &'a mut InFlight,
        printer: &'a mut Printer,
    ) -> Self {
        let rules = SyncRules {
            scope: request.scope,
            plain: request.options.is_none(),
            has_marker: request.destination.is_s3(),
            delete: request.delete,
        };
        Self { request, rules, copier, store, in_flight, printer }
    }

    async fn run(mut self) {
        let request = self.request;
        let there = match request.scope {
            Scope::One | Scope::All => Listing::Empty,
            Scope::Newer | Scope::Different => listing(&self.store.destination, &request.destination),
        };
        let mut merge = Merge::new(listing(&self.store.source, &request.source), there);
        let ended = self.process_pairs(&mut merge).await;
        while self.join_next().await {}
        if let Err(stop) = ended {
            self.printer.fail(&stop);
        }
    }

    async fn process_pairs(&mut self, merge: &mut Merge) -> Result<(), SyncError> {
        let mut seen_source = false;
        while let Some(pair) = merge.next().await? {
            match pair {
                Pair::Skipped(SkippedEntry::Unreadable { path, reason }) => {
                    // An unreadable entry does not count as missing.
                    self.rules.delete = false;
                    let row = Row::between(Action::Failed, Some(&path.display()), None)
                        .failed(Failure::retryable("file-unreadable", reason));
                    self.printer.add(&row);
                }
                Pair::Skipped(SkippedEntry::Ignored { key, path, reason }) => {
                    seen_source = true;
                    if self.request.filters.includes(&key) {
                        let row = Row::between(Action::Skipped, Some(&path.display()), None);
                        self.printer.add(&row.because(Reason::Ignored(reason.into())));
                    }
                }
                Pair::Entries { source, destination } => {
                    seen_source |= source.is_some();
                    let key = source.as_ref().or(destination.as_ref()).map(|entry| entry.key.clone());
                    let Some(key) = key.filter(|key| self.request.filters.includes(key)) else { continue };
                    let decision = self.rules.decide(source.as_ref(), destination.as_ref());
                    if decision == Decision::Delete && !seen_source && merge.source_is_empty() {
                        return Err(SyncError::EmptySource(self.request.source.to_string()));
                    }
                    self.act(&key, decision, source, destination).await;
                }
            }
        }
        Ok(())
    }

    async fn act(&mut self, key: &str, decision: Decision, source: Option<Entry>, destination: Option<Entry>) {
        match decision {
            Decision::Same => self.printer.same(),
            Decision::Keep => {}
            // A folder marker of a console, for which a folder has no file.
            Decision::Delete if key.ends_with('/') && !self.request.source.is_s3() => {}
            Decision::Delete => match self.request.destination.join(key) {
                Ok(place) => {
                    // A key that is no path at the source does not exist there.
                    let from = self.request.source.join(key).ok();
                    let (copier, source) = (Arc::clone(&self.copier), self.store.source.clone());
                    let (progress, dry_run) = (self.printer.plan(0), self.request.dry_run);
                    self.spawn(progress, async move { delete(&copier, &source, from.as_ref(), place, dry_run).await })
                        .await;
                }
                Err(reason) => self.refuse(Action::Failed, key, not_a_path(reason)),
            },
            Decision::Transfer(_) | Decision::Compare(_) => {
                let Some(mut entry) = source else { return };
                let to = match self.request.destination.join(key) {
                    Ok(to) => to,
                    // Consoles create folder markers; a local folder needs none.
                    Err(_) if key.ends_with('/') && entry.size == 0 => {
                        let reason = Reason::Ignored("a folder marker, not a file".into());
                        return self.refuse(Action::Skipped, key, reason);
                    }
                    Err(reason) => return self.refuse(Action::Failed, key, not_a_path(reason)),
                };
                let from = match self.request.source.join(key) {
                    Ok(from) => from,
                    Err(reason) => return self.refuse(Action::Failed, key, not_a_path(reason)),
                };
                let size = entry.size;
                // The file's MD5 is compared with the other side's ETag.
                let there = destination.and_then(|there| there.etag);
                entry.etag = entry.etag.or(there.filter(|_| matches!(decision, Decision::Compare(_))));
                let progress = self.printer.plan(size);
                let task = CopyTask { from, to, entry: Some(entry), decision, progress: progress.clone() };
                let (copier, dry_run) = (Arc::clone(&self.copier), self.request.dry_run);
                self.spawn(progress, Box::pin(async move { copier.copy_or_plan(&task, dry_run).await })).await;
            }
        }
    }

    fn refuse(&mut self, action: Action, key: &str, reason: Reason) {
        let name = match &self.request.source {
            Location::S3(root) => format!("{root}{key}"),
            Location::Local(_) | Location::Stream => key.to_owned(),
        };
        self.printer.add(&Row::between(action, Some(&name), None).because(reason));
    }

    /// Spawns a task as soon as a slot is free.
    async fn spawn(&mut self, progress: ProgressHandle, work: impl Future<Output = Row> + Send + 'static) {
        while self.in_flight.len() >= self.request.jobs && self.join_next().await {}
        while let Some(joined) = self.in_flight.try_join_next() {
            self.finish(joined);
        }
        self.in_flight.spawn(async move { (work.await, progress) });
    }

    /// Waits for the next task to finish; false if none is in flight.
    async fn join_next(&mut self) -> bool {
        match self.in_flight.join_next().await {
            Some(joined) => {
                self.finish(joined);
                true
            }
            None => false,
        }
    }

    fn finish(&mut self, joined: Result<(Row, ProgressHandle), tokio::task::JoinError>) {
        match joined {
            Ok((row, progress)) => self.printer.finish_object(&row, &progress),
            Err(lost) => self.printer.fail(&lost),
        }
    }
}

fn not_a_path(why: String) -> Reason {
    Reason::Failed(Failure::retryable("key-not-a-path", why))
}

/// Deletes a key that only the destination had when both sides were listed, unless the source has it now.
async fn delete(copier: &Copier, source: &Client, from: Option<&Location>, place: Location, dry_run: bool) -> Row {
    let row = |action| Row::between(action, None, Some(&place));
    let there = match from {
        Some(from) => source_has(source, from).await,
        None => Ok(false),
    };
    match there {
        Ok(false) if dry_run => row(Action::Deleted).in_dry_run(),
        Ok(false) => copier.delete(place).await,
        Ok(true) => {
            let why = "the source has it now, though its listing did not: the next run compares them";
            row(Action::Skipped).because(Reason::Ignored(why.into()))
        }
        Err(reason) => {
            let sentence = format!("not deleted, since the source may have it: {reason}");
            row(Action::Failed).failed(Failure::retryable("source-unknown", sentence))
        }
    }
}

/// Whether the source has the key now: the listing's page may be minutes old.
async fn source_has(source: &Client, from: &Location) -> Result<bool, String> {
    match from {
        // Not by HEAD: if s3:ListBucket is bound to a prefix, as `karui policy` prints it, HEAD cannot tell missing
        // from forbidden, since it sends no prefix.
        Location::S3(object) => {
            let first = source.list(object).next().await.map_err(|error| error.to_string())?;
            Ok(first.is_some_and(|listed| listed.key == object.key))
        }
        Location::Local(path) => match tokio::fs::symlink_metadata(path).await {
            // A folder is no object.
            Ok(about) => Ok(!about.is_dir()),
            Err(error) if NOT_THERE.contains(&error.kind()) => Ok(false),
            Err(error) => Err(format!("{}: {error}", path.display())),
        },
        Location::Stream => Ok(true),
    }
}

/// Errors that mean that a path does not exist; the last one, that such a name is impossible.
const NOT_THERE: [ErrorKind; 3] = [ErrorKind::NotFound, ErrorKind::NotADirectory, ErrorKind::InvalidFilename];

/// Why the comparison of keys ended early.
#[derive(Debug, thiserror::Error)]
enum SyncError {
    #[error(transparent)]
    S3(#[from] S3Error),
    #[error("nothing exists under {0}, and --delete would empty the destination: check its name")]
    EmptySource(String),
}

fn listing(client: &Client, root: &Location) -> Listing {
    match root {
        Location::S3(prefix) => Listing::S3 { objects: Box::new(client.list(prefix)), root: prefix.key.clone() },
        Location::Local(path) if path.is_dir() => Listing::of_folder(path.clone()),
        Location::Local(_) | Location::Stream => Listing::Empty,
    }
}
