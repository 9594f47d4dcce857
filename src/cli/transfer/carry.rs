//! One object from its source to its destination, by whichever way there is between the two.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::block_in_place;

use super::args::Request;
use super::decide::{Decision, Entry};
use super::local;
use super::location::Location;
use super::report::{Action, Meter, Row};
use crate::optimize::format::SNIFF_BYTES;
use crate::optimize::{self, Budget, Format, ImageError, Options};
use crate::pipeline::body::{Cause, Verdict, arriving};
use crate::pipeline::marker::{self, Marker, options_hash};
use crate::pipeline::report::Outcome;
use crate::pipeline::{Job, Pipeline, Policy, Report, Skip, Task as PipelineTask};
use crate::s3::{Attributes, Condition, CopyTags, Head, Kind, ObjectRef, S3Error, Store};

/// Bytes of memory that an image may need for each byte of its file, as dense a PNG as there is.
const BYTES_PER_FILE_BYTE: u64 = 22;
/// Bytes of a permit of [`Carrier::memory`].
const PERMIT: u64 = 1 << 20;
/// What `CopyObject` does not copy, with its tags.
const LARGE: u64 = 5 << 30;
/// Up to so many bytes an object comes at once; larger ones need this much memory at a time, whatever their size.
const WHOLE: u64 = 32 << 20;
/// Bytes that are read of a file or of stdin at a time.
const CHUNK: usize = 1 << 20;

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
    store: Store,
    /// Whether one and the same speaks to both ends.
    one_principal: bool,
    options: Option<Options>,
    options_hash: String,
    /// The function's own story, where both ends are S3 and images are made light.
    pipeline: Option<Pipeline>,
    /// Below which a link must lead nowhere.
    root: PathBuf,
    threads: usize,
    /// In MiB.
    memory: Semaphore,
    capacity: u32,
}

impl Carrier {
    /// `root` is the folder that files arrive in.
    pub fn new(request: &Request, store: Store, root: PathBuf) -> Arc<Self> {
        let both_s3 = request.source.is_s3() && request.destination.is_s3();
        let options = request.options.clone();
        let policy = options.clone().map(|options| Policy { options, ..Policy::to_bucket("") });
        let pipeline =
            policy.filter(|_| both_s3 && !store.is_apart()).map(|policy| Pipeline::new(store.clone(), policy));
        let limits = options.clone().unwrap_or_default().limits;
        let capacity = u32::try_from(limits.memory / PERMIT).unwrap_or(u32::MAX).max(1);
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        Arc::new(Self {
            store,
            one_principal: request.source_access == request.destination_access,
            options_hash: options_hash(&options.clone().unwrap_or_default()),
            options,
            pipeline,
            root,
            threads: cores.div_ceil(request.jobs),
            memory: Semaphore::new(capacity as usize),
            capacity,
        })
    }

    /// Carries it, and says how that went.
    pub async fn carry(&self, load: &Load) -> Row {
        let begun = Instant::now();
        let carried = match (&load.from, &load.to, &self.pipeline) {
            (Location::S3(from), Location::S3(to), Some(pipeline)) => {
                let _permit = self.room_for(load).await;
                Ok(self.by_pipeline(pipeline, load, from, to).await)
            }
            (Location::S3(from), Location::S3(to), None) if self.options.is_none() => {
                Box::pin(self.copy(load, from, to)).await
            }
            (..) => Box::pin(self.through_here(load)).await,
        };
        let row = carried.unwrap_or_else(|failure| row(load, Action::Failed).because(failure.to_string()));
        Row { millis: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX), ..row }
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
        let job = Job {
            source: from.clone(),
            etag: entry.and_then(|entry| entry.etag.clone()),
            size: entry.map(|entry| entry.size),
            sequencer: None,
            task: PipelineTask::Optimize,
        };
        let report = pipeline.run_to(&job, to.clone()).await;
        of_report(load, report)
    }

    /// Inside S3, as it is; through here where the destination's principal may not read, or the two are different stores.
    async fn copy(&self, load: &Load, from: &ObjectRef, to: &ObjectRef) -> Result<Row, Failure> {
        if from == to && !self.store.is_apart() {
            return Ok(row(load, Action::Skipped).because("it would be copied onto itself"));
        }
        if self.store.is_apart() {
            return self.through_here(load).await;
        }
        let head = self.store.head_source(from).await?.ok_or_else(|| Failure::Missing(from.clone()))?;
        load.meter.expect(head.size);
        let copied = match self.copy_inside(load, from, &head, to).await {
            Err(error) if error.kind == Kind::AccessDenied && !self.one_principal => {
                let row = self.through_here(load).await?;
                return Ok(with_warning(row, format!("copied through this machine: {error}")));
            }
            copied => copied?,
        };
        let row = Row { bytes_in: Some(head.size), bytes_out: Some(head.size), ..row(load, Action::Copied) };
        Ok(copied.into_iter().fold(row, with_warning))
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
        if head.size > LARGE {
            (attributes.tags, warning) = self.tags(from, head).await?;
        }
        let store = self.store.clone().telling(load.meter.progress());
        let copy = async |tags| store.copy(from, head, to, &attributes, tags, &Condition::None).await;
        match copy(tags).await {
            Err(error) if matches!(error.kind, Kind::AccessDenied | Kind::NotSupported) => {
                tags = CopyTags::Drop;
                // Where this is refused as well, it is not about the tags.
                copy(tags).await.map(|()| Some(format!("tags dropped, if there were any: {error}")))
            }
            copied => copied.map(|()| warning),
        }
    }

    /// The source's tags; none, with a warning, where they may not be read.
    async fn tags(&self, from: &ObjectRef, head: &Head) -> Result<(Vec<(String, String)>, Option<String>), S3Error> {
        if head.tag_count == 0 && head.size <= LARGE {
            return Ok((Vec::new(), None));
        }
        match self.store.tags(from).await {
            Ok(tags) => Ok((tags, None)),
            Err(error) if matches!(error.kind, Kind::AccessDenied | Kind::NotSupported) => {
                Ok((Vec::new(), (head.tag_count > 0).then(|| format!("tags dropped: {error}"))))
            }
            Err(error) => Err(error),
        }
    }

    /// Read here, made light if that is asked for, and written.
    async fn through_here(&self, load: &Load) -> Result<Row, Failure> {
        if load.decision == Decision::Look && self.is_same_file(load).await? {
            return Ok(row(load, Action::Same));
        }
        let _permit = self.room_for(load).await;
        if let (Location::S3(from), Location::Local(_) | Location::Stream, None) = (&load.from, &load.to, &self.options)
        {
            return self.bring(load, from).await;
        }
        if let (Location::S3(to), None) = (&load.to, &self.options) {
            return self.send(load, to).await;
        }
        let (head, bytes, warning) = self.fetch(load).await?;
        if load.decision == Decision::Look && self.answers(load, &head).await? {
            return Ok(row(load, Action::Same));
        }
        let format = Format::sniff(&bytes[..bytes.len().min(SNIFF_BYTES)]);
        let mut attributes = head.attributes.clone();
        let (mut done, mut result) = (row(load, Action::Copied), bytes.clone());
        if self.options.is_some() {
            let verdict = self.judge(&head, format, bytes).await;
            attributes = self.marked(&head, format, &verdict);
            done = of_verdict(done, &verdict);
            result = verdict.into_bytes().unwrap_or(result);
        }
        done = Row { bytes_in: Some(head.size), bytes_out: Some(result.len() as u64), ..done };
        self.deliver(load, result, &attributes, head.modified).await?;
        Ok(warning.into_iter().fold(done, with_warning))
    }

    /// Down from S3 as it is: a large object a piece at a time.
    async fn bring(&self, load: &Load, from: &ObjectRef) -> Result<Row, Failure> {
        let etag = load.entry.as_ref().and_then(|entry| entry.etag.as_ref());
        let download = self.store.get(from, etag).await?;
        let head = download.head.clone();
        load.meter.expect(head.size);
        if head.size <= WHOLE {
            self.deliver(load, download.read_all().await?, &head.attributes, head.modified).await?;
        } else {
            drop(download);
            let pieces = pin!(self.store.clone().telling(load.meter.progress()).pieces(from, &head));
            self.pour(load, pieces, head.modified).await?;
        }
        Ok(Row { bytes_in: Some(head.size), bytes_out: Some(head.size), ..row(load, Action::Copied) })
    }

    /// Up to S3 as it is: the first part as soon as it is full, in the memory of a few, however many there will be.
    async fn send(&self, load: &Load, to: &ObjectRef) -> Result<Row, Failure> {
        match &load.from {
            Location::S3(from) => self.pass_on(load, from, to).await,
            Location::Local(path) => {
                let file = tokio::fs::File::open(path).await;
                let file = file.map_err(|error| Failure::Io { path: path.clone(), error })?;
                load.meter.expect(file.metadata().await.map_or(0, |metadata| metadata.len()));
                self.send_all(load, file, path, to).await
            }
            Location::Stream => {
                let name = load.to.name().unwrap_or_default();
                self.send_all(load, tokio::io::stdin(), name.as_ref(), to).await
            }
        }
    }

    async fn send_all(
        &self,
        load: &Load,
        mut reader: impl AsyncRead + Send + Unpin,
        name: &Path,
        to: &ObjectRef,
    ) -> Result<Row, Failure> {
        let first = chunk(&mut reader).await.map_err(|error| Failure::Io { path: name.into(), error })?;
        let attributes = Attributes { content_type: Some(local::content_type(name, &first)), ..Attributes::default() };
        let sent = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&sent);
        let rest = stream::try_unfold(reader, |mut reader| async move {
            let chunk = chunk(&mut reader).await?;
            Ok::<_, io::Error>((!chunk.is_empty()).then_some((chunk, reader)))
        });
        let body = stream::iter([Ok(first)]).chain(rest);
        let counted = body.inspect_ok(move |chunk| _ = count.fetch_add(chunk.len() as u64, Ordering::Relaxed));
        self.store
            .clone()
            .telling(load.meter.progress())
            .put_stream(to, counted, &attributes, &Condition::None)
            .await?;
        let bytes = Some(sent.load(Ordering::Relaxed));
        Ok(Row { bytes_in: bytes, bytes_out: bytes, ..row(load, Action::Copied) })
    }

    /// From one store to another, which S3 does not copy between.
    async fn pass_on(&self, load: &Load, from: &ObjectRef, to: &ObjectRef) -> Result<Row, Failure> {
        let etag = load.entry.as_ref().and_then(|entry| entry.etag.as_ref());
        let download = self.store.get(from, etag).await?;
        let head = download.head.clone();
        load.meter.expect(head.size);
        let (tags, warning) = self.tags(from, &head).await?;
        let attributes = Attributes { tags, ..head.attributes.clone() };
        if head.size <= WHOLE {
            self.store.put(to, download.read_all().await?, &attributes, &Condition::None).await?;
        } else {
            drop(download);
            let store = self.store.clone().telling(load.meter.progress());
            store.relay(from, &head, to, &attributes, &Condition::None).await?;
        }
        let done = Row { bytes_in: Some(head.size), bytes_out: Some(head.size), ..row(load, Action::Copied) };
        Ok(warning.into_iter().fold(done, with_warning))
    }

    /// Into a file, which is there when all has come, or to stdout as it comes.
    async fn pour(
        &self,
        load: &Load,
        mut pieces: Pin<&mut impl Stream<Item = Result<Bytes, S3Error>>>,
        modified: Option<i64>,
    ) -> Result<(), Failure> {
        let Location::Local(path) = &load.to else {
            let mut stdout = tokio::io::stdout();
            while let Some(piece) = pieces.try_next().await? {
                stdout.write_all(&piece).await.map_err(|error| io_failure("stdout", error))?;
            }
            return stdout.flush().await.map_err(|error| io_failure("stdout", error));
        };
        let failure = |error| Failure::Io { path: path.clone(), error };
        let mut arrival = block_in_place(|| local::Arrival::begin(&self.root, path)).map_err(failure)?;
        while let Some(piece) = pieces.try_next().await? {
            block_in_place(|| arrival.file().write_all(&piece)).map_err(failure)?;
        }
        block_in_place(|| arrival.settle(modified)).map_err(failure)
    }

    async fn fetch(&self, load: &Load) -> Result<(Head, Bytes, Option<String>), Failure> {
        let name = match &load.from {
            Location::S3(object) => {
                let etag = load.entry.as_ref().and_then(|entry| entry.etag.as_ref());
                let download = self.store.get(object, etag).await?;
                let mut head = download.head.clone();
                let (tags, warning) = match load.to {
                    Location::S3(_) => self.tags(object, &head).await?,
                    Location::Local(_) | Location::Stream => (Vec::new(), None),
                };
                head.attributes.tags = tags;
                return Ok((head, download.read_all().await?, warning));
            }
            Location::Local(path) => path.clone(),
            // Made light it could not be before its end, however far that is: `CommonArgs::resolve` refuses it.
            Location::Stream => return Err(io_failure("stdin", io::ErrorKind::Unsupported.into())),
        };
        let bytes = on_disk(name.clone(), |path| std::fs::read(path)).await?;
        let content_type = Some(local::content_type(&name, &bytes));
        let attributes = Attributes { content_type, ..Attributes::default() };
        let (etag, size) = (local::etag(&bytes), bytes.len() as u64);
        let head = Head { etag, size, attributes, tag_count: 0, checksum: None, modified: None };
        Ok((head, bytes.into(), None))
    }

    async fn deliver(
        &self,
        load: &Load,
        bytes: Bytes,
        attributes: &Attributes,
        modified: Option<i64>,
    ) -> Result<(), Failure> {
        match &load.to {
            Location::S3(object) => Ok(self.store.put(object, bytes, attributes, &Condition::None).await?),
            Location::Local(path) => {
                let root = self.root.clone();
                on_disk(path.clone(), move |path| local::write(&root, path, &bytes, modified)).await
            }
            Location::Stream => {
                let mut stdout = tokio::io::stdout();
                let written = async {
                    stdout.write_all(&bytes).await?;
                    stdout.flush().await
                };
                written.await.map_err(|error| io_failure("stdout", error))
            }
        }
    }

    async fn judge(&self, head: &Head, format: Option<Format>, bytes: Bytes) -> Verdict {
        let options = self.options.clone().unwrap_or_default();
        if let Some(cause) = Cause::of_beginning(head, format, &options.limits) {
            return Verdict::unread(cause);
        }
        let threads = self.threads;
        let work = move || optimize::optimize(&bytes, &options, Budget::UNLIMITED.on(threads));
        let answer = tokio::task::spawn_blocking(work).await;
        Verdict::of(answer.unwrap_or_else(|lost| Err(ImageError::CodecPanic(lost.to_string()))))
    }

    /// As the function marks its results.
    fn marked(&self, head: &Head, format: Option<Format>, verdict: &Verdict) -> Attributes {
        let marker = Marker {
            source_etag: &head.etag,
            options: &self.options_hash,
            original_size: head.size,
            score: verdict.score(),
            method: &verdict.method(),
            sequencer: None,
        };
        let metadata = marker.added_to(&head.attributes.metadata);
        Attributes { metadata, ..arriving(&head.attributes, format, head.attributes.tags.clone()) }
    }

    /// Of a plain copy with a file at one end: whether its digest is the other's `ETag`.
    async fn is_same_file(&self, load: &Load) -> Result<bool, Failure> {
        let ((Location::Local(path), _) | (_, Location::Local(path))) = (&load.from, &load.to) else {
            return Ok(false);
        };
        if self.options.is_some() {
            return Ok(false);
        }
        let Some(there) = load.entry.as_ref().and_then(|entry| entry.etag.clone()) else { return Ok(false) };
        Ok(on_disk(path.clone(), local::etag_of_file).await? == there)
    }

    /// Whether the destination's marker says that it was made of this, in this way.
    async fn answers(&self, load: &Load, head: &Head) -> Result<bool, Failure> {
        let (Location::S3(to), true) = (&load.to, self.options.is_some()) else { return Ok(false) };
        let Some(there) = self.store.head(to).await? else { return Ok(false) };
        let job = Job {
            source: to.clone(),
            etag: Some(head.etag.clone()),
            size: None,
            sequencer: None,
            task: PipelineTask::Optimize,
        };
        Ok(marker::answers(&there.attributes.metadata, &job, &self.options_hash))
    }

    /// Waits until the object's bytes, and the work on them, have room beside all the others'.
    async fn room_for(&self, load: &Load) -> Option<SemaphorePermit<'_>> {
        let size = load.entry.as_ref().map_or(0, |entry| entry.size);
        let size = if self.options.is_none() { size.min(WHOLE) } else { size };
        let limit = self.options.as_ref().map_or(0, |options| options.limits.bytes);
        let need = if size <= limit { size.saturating_mul(BYTES_PER_FILE_BYTE) } else { size };
        let permits = u32::try_from(need.div_ceil(PERMIT)).unwrap_or(u32::MAX).min(self.capacity);
        self.memory.acquire_many(permits).await.ok()
    }
}

/// As many bytes as there are, up to [`CHUNK`].
async fn chunk(reader: &mut (impl AsyncRead + Unpin)) -> io::Result<Bytes> {
    let mut chunk = BytesMut::with_capacity(CHUNK);
    while chunk.len() < CHUNK && reader.read_buf(&mut chunk).await? > 0 {}
    Ok(chunk.freeze())
}

fn row(load: &Load, action: Action) -> Row {
    let row = Row::new(action, Some(&load.from), Some(&load.to));
    match load.decision {
        Decision::Transfer(why) => row.because(why.word()),
        Decision::Same | Decision::Look | Decision::Delete | Decision::Leave => row,
    }
}

fn with_warning(mut row: Row, warning: String) -> Row {
    row.warnings.push(warning);
    row
}

fn of_verdict(row: Row, verdict: &Verdict) -> Row {
    let row = Row { score: verdict.score(), metadata: Some(verdict.metadata().to_string()), ..row };
    match verdict {
        Verdict::Lighter(encoded) => Row { action: Action::Optimized, method: Some(encoded.method.to_string()), ..row },
        Verdict::AsItIs { cause, .. } => Row { action: Action::Copied, ..row }.because(cause.to_string()),
    }
}

fn of_report(load: &Load, report: Report) -> Row {
    let action = match report.outcome {
        Outcome::Optimized => Action::Optimized,
        Outcome::Unchanged => Action::Copied,
        Outcome::Skipped if report.reason.as_deref() == Some(&Skip::AlreadyStored.to_string()) => Action::Same,
        Outcome::Skipped => Action::Skipped,
        Outcome::Failed => Action::Failed,
    };
    let Report { reason, bytes_in, bytes_out, method, score, metadata, warnings, .. } = report;
    let row = row(load, action);
    Row { reason: reason.or(row.reason), bytes_in, bytes_out, method, score, metadata, warnings, ..row }
}

fn io_failure(path: &str, error: io::Error) -> Failure {
    Failure::Io { path: path.into(), error }
}

/// Waits for the file system on a thread of its own.
async fn on_disk<T: Send + 'static>(
    path: PathBuf,
    work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    let worked = tokio::task::spawn_blocking(move || work(&path).map_err(|error| Failure::Io { path, error })).await;
    worked.unwrap_or_else(|lost| Err(Failure::Lost(lost.to_string())))
}
