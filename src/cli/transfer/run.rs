//! `karui cp` and `karui sync` from their listings to their last object.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::args::{Request, Scope};
use super::carry::{Carrier, Load};
use super::decide::{Decision, Entry, Rules, Why};
use super::listing::{Listing, Merge, Pair, Veiled};
use super::location::Location;
use super::report::{Action, Meter, Printer, Row};
use crate::cli::interrupted;
use crate::s3::{ObjectRef, S3Error, Side, Store, TransferConfig, UploadTracker};

/// After Ctrl-C, for what is on its way to notice: at once, unless it waits for a disk.
const AT_WORK: Duration = Duration::from_secs(2);
/// The same, for an upload that is about to begin to have begun.
const ABOUT: Duration = Duration::from_millis(100);
/// The same, for uploads in flight to be aborted.
const PATIENCE: Duration = Duration::from_secs(20);

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Well,
    WithFailures,
    Interrupted,
}

/// Does what was asked, until Ctrl-C at the latest.
///
/// # Errors
/// Wrong usage that only the environment, the file system, or both sides together, could tell.
pub async fn run(request: Request) -> Result<Ended, String> {
    let request = settle(request)?;
    let uploads = UploadTracker::default();
    let (transfer, limits, buckets) = super::settings()?;
    let store =
        connect(&request, transfer).await.with_buckets(buckets).with_rate_limits(limits).with_upload_tracker(&uploads);
    if !store.is_cross_store() {
        keep_from_itself(&request)?;
    }
    let root = match &request.destination {
        Location::Local(path) if request.scope == Scope::One => path.parent().map(Into::into).unwrap_or_default(),
        Location::Local(path) => path.clone(),
        Location::S3(_) | Location::Stream => PathBuf::new(),
    };
    let carrier = Carrier::new(&request, store.clone(), root);
    let mut printer = Printer::new(request.json, request.destination == Location::Stream, request.dry_run);
    let mut flying = JoinSet::new();
    let work = async {
        if request.scope == Scope::One {
            one(&request, carrier, &mut printer).await;
        } else {
            Many::new(&request, carrier, store, &mut flying, &mut printer).all().await;
        }
    };
    let finished = tokio::select! {
        () = Box::pin(work) => true,
        () = interrupted() => false,
    };
    if !finished {
        printer.note(&"interrupted: ending open uploads");
        let ended = async {
            // One may be about to begin an upload, and then does.
            let _ = tokio::time::timeout(AT_WORK, flying.shutdown()).await;
            tokio::time::sleep(ABOUT).await;
            uploads.wait_for_all(PATIENCE).await
        };
        // A second Ctrl-C does not wait.
        let left = tokio::select! {
            left = ended => left,
            () = interrupted() => uploads.wait_for_all(Duration::ZERO).await,
        };
        for (id, object) in left {
            let upload = id.map(|id| format!(" {id}")).unwrap_or_default();
            printer.fail(&format!("{object}: its upload{upload} may still be open; `karui uploads` lists and ends it"));
        }
    }
    Ok(match (finished, printer.finish(!finished)) {
        (false, _) => Ended::Interrupted,
        (true, true) => Ended::Well,
        (true, false) => Ended::WithFailures,
    })
}

/// Looks at the sides together, and gives one object its place.
fn settle(request: Request) -> Result<Request, String> {
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
        return Err(format!("{} is no folder", path.display()));
    }
    Ok(request)
}

/// Of two sides that are one store: neither may lie where the other is read from or written to.
fn keep_from_itself(request: &Request) -> Result<(), String> {
    let Request { source, destination, .. } = request;
    if request.scope == Scope::One {
        return if source == destination { Err(format!("{source} would be copied onto itself")) } else { Ok(()) };
    }
    if source.contains(destination) {
        return Err(format!("{destination} lies inside {source}: every run would copy the last one's copies"));
    }
    if request.delete && destination.contains(source) {
        return Err("--delete would delete the source, which lies inside the destination".into());
    }
    Ok(())
}

/// A side that is no S3 is never spoken to: the SDK reads all of the system's certificates for each that is.
async fn connect(request: &Request, transfer: TransferConfig) -> Store {
    let (mut source, mut destination) = (&request.source_client, &request.destination_client);
    if !request.destination.is_s3() {
        destination = source;
    } else if !request.source.is_s3() {
        source = destination;
    }
    Store::connect(source, destination, transfer).await
}

async fn one(request: &Request, carrier: Arc<Carrier>, printer: &mut Printer) {
    let (from, to) = (request.source.clone(), request.destination.clone());
    let meter = printer.plan(0);
    let load = Load { from, to, entry: None, decision: Decision::Transfer(Why::Asked), meter: meter.clone() };
    let mut row = carrier.carry_or_plan(&load, request.dry_run).await;
    if row.action == Action::Skipped {
        // It was asked for by its name.
        row.action = Action::Failed;
    }
    printer.land(&row, &meter);
}

/// What is on its way; dropped, it ends.
type Flying = JoinSet<(Row, Meter)>;

/// Many objects, a number of them at once.
struct Many<'a> {
    request: &'a Request,
    rules: Rules,
    carrier: Arc<Carrier>,
    store: Store,
    flying: &'a mut Flying,
    printer: &'a mut Printer,
}

impl<'a> Many<'a> {
    fn new(
        request: &'a Request,
        carrier: Arc<Carrier>,
        store: Store,
        flying: &'a mut Flying,
        printer: &'a mut Printer,
    ) -> Self {
        let rules = Rules {
            scope: request.scope,
            plain: request.options.is_none(),
            marked: request.destination.is_s3(),
            delete: request.delete,
        };
        Self { request, rules, carrier, store, flying, printer }
    }

    async fn all(mut self) {
        let request = self.request;
        let there = match request.scope {
            Scope::One | Scope::All => Listing::Nothing,
            Scope::Newer | Scope::Different => listing(&self.store, &request.destination, Side::Destination),
        };
        let mut merge = Merge::new(listing(&self.store, &request.source, Side::Source), there);
        let ended = self.each(&mut merge).await;
        while self.land().await {}
        if let Err(stop) = ended {
            self.printer.fail(&stop);
        }
    }

    async fn each(&mut self, merge: &mut Merge) -> Result<(), Stop> {
        let mut seen_source = false;
        while let Some(pair) = merge.next().await? {
            match pair {
                Pair::Veiled(Veiled::Unreadable { path, reason }) => {
                    // What cannot be looked at is not missing.
                    self.rules.delete = false;
                    let row = Row::new(Action::Failed, Some(&path.display()), None).because(reason);
                    self.printer.add(&row);
                }
                Pair::Veiled(Veiled::PassedOver { key, path, reason }) => {
                    seen_source = true;
                    if self.request.filters.take(&key) {
                        self.printer.add(&Row::new(Action::Skipped, Some(&path.display()), None).because(reason));
                    }
                }
                Pair::Entries { source, destination } => {
                    seen_source |= source.is_some();
                    let key = source.as_ref().or(destination.as_ref()).map(|entry| entry.key.clone());
                    let Some(key) = key.filter(|key| self.request.filters.take(key)) else { continue };
                    let decision = self.rules.decide(source.as_ref(), destination.as_ref());
                    if decision == Decision::Delete && !seen_source && merge.source_is_empty() {
                        return Err(Stop::EmptySource(self.request.source.to_string()));
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
            Decision::Leave => {}
            // A mark by which consoles show a folder, for which there is no file here.
            Decision::Delete if key.ends_with('/') && !self.request.source.is_s3() => {}
            Decision::Delete => match self.request.destination.join(key) {
                Ok(place) => {
                    // What could not be named at the source is not there.
                    let from = self.request.source.join(key).ok();
                    let (carrier, store) = (Arc::clone(&self.carrier), self.store.clone());
                    let (meter, dry_run) = (self.printer.plan(0), self.request.dry_run);
                    self.fly(meter, async move { delete(&carrier, &store, from.as_ref(), place, dry_run).await }).await;
                }
                Err(reason) => self.refuse(Action::Failed, key, reason),
            },
            Decision::Transfer(_) | Decision::Look(_) => {
                let Some(mut entry) = source else { return };
                let to = match self.request.destination.join(key) {
                    Ok(to) => to,
                    // Consoles make them to show a folder; a folder needs none.
                    Err(_) if key.ends_with('/') && entry.size == 0 => {
                        return self.refuse(Action::Skipped, key, "a folder marker, which is no file".into());
                    }
                    Err(reason) => return self.refuse(Action::Failed, key, reason),
                };
                let from = match self.request.source.join(key) {
                    Ok(from) => from,
                    Err(reason) => return self.refuse(Action::Failed, key, reason),
                };
                let size = entry.size;
                // A file's digest is compared with the ETag of the other side.
                let there = destination.and_then(|there| there.etag);
                entry.etag = entry.etag.or(there.filter(|_| matches!(decision, Decision::Look(_))));
                let meter = self.printer.plan(size);
                let load = Load { from, to, entry: Some(entry), decision, meter: meter.clone() };
                let (carrier, dry_run) = (Arc::clone(&self.carrier), self.request.dry_run);
                self.fly(meter, Box::pin(async move { carrier.carry_or_plan(&load, dry_run).await })).await;
            }
        }
    }

    fn refuse(&mut self, action: Action, key: &str, reason: String) {
        let name = match &self.request.source {
            Location::S3(root) => format!("{root}{key}"),
            Location::Local(_) | Location::Stream => key.to_owned(),
        };
        self.printer.add(&Row::new(action, Some(&name), None).because(reason));
    }

    /// Sends it on its way as soon as there is room.
    async fn fly(&mut self, meter: Meter, work: impl Future<Output = Row> + Send + 'static) {
        while self.flying.len() >= self.request.jobs && self.land().await {}
        while let Some(landed) = self.flying.try_join_next() {
            self.landed(landed);
        }
        self.flying.spawn(async move { (work.await, meter) });
    }

    /// Waits for the next to arrive; false where none is on its way.
    async fn land(&mut self) -> bool {
        match self.flying.join_next().await {
            Some(landed) => {
                self.landed(landed);
                true
            }
            None => false,
        }
    }

    fn landed(&mut self, landed: Result<(Row, Meter), tokio::task::JoinError>) {
        match landed {
            Ok((row, meter)) => self.printer.land(&row, &meter),
            Err(lost) => self.printer.fail(&lost),
        }
    }
}

/// Deletes what only the destination had when both were listed, unless the source has it after all.
async fn delete(carrier: &Carrier, store: &Store, from: Option<&Location>, place: Location, dry_run: bool) -> Row {
    let row = |action| Row::new(action, None, Some(&place));
    let there = match from {
        Some(from) => is_there(store, from).await,
        None => Ok(false),
    };
    match there {
        Ok(false) if dry_run => Row { dry_run: true, ..row(Action::Deleted) },
        Ok(false) => carrier.delete(place).await,
        Ok(true) => {
            row(Action::Skipped).because("the source has it, though its listing did not: the next run compares them")
        }
        Err(reason) => row(Action::Failed).because(format!("not deleted, since the source may have it: {reason}")),
    }
}

/// Whether the source has it now: the page of the listing that it would be on may be minutes old.
async fn is_there(store: &Store, from: &Location) -> Result<bool, String> {
    match from {
        // Not by a HEAD: where s3:ListBucket is bound to a prefix, as `karui policy` prints it, that would not tell missing
        // from forbidden, since it names none.
        Location::S3(object) => {
            let first = store.list(object, Side::Source).next().await.map_err(|error| error.to_string())?;
            Ok(first.is_some_and(|listed| listed.key == object.key))
        }
        Location::Local(path) => match tokio::fs::symlink_metadata(path).await {
            // A folder is no object.
            Ok(about) => Ok(!about.is_dir()),
            Err(error) if NOWHERE.contains(&error.kind()) => Ok(false),
            Err(error) => Err(format!("{}: {error}", path.display())),
        },
        Location::Stream => Ok(true),
    }
}

/// How a file system says that a path leads to nothing; the last, that it has no such names.
const NOWHERE: [ErrorKind; 3] = [ErrorKind::NotFound, ErrorKind::NotADirectory, ErrorKind::InvalidFilename];

/// Why no key is looked at any more.
#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error(transparent)]
    S3(#[from] S3Error),
    #[error("nothing lies under {0}, and --delete would empty the destination: check its name")]
    EmptySource(String),
}

fn listing(store: &Store, root: &Location, side: Side) -> Listing {
    match root {
        Location::S3(prefix) => Listing::S3 { objects: Box::new(store.list(prefix, side)), root: prefix.key.clone() },
        Location::Local(path) if path.is_dir() => Listing::of_folder(path.clone()),
        Location::Local(_) | Location::Stream => Listing::Nothing,
    }
}
