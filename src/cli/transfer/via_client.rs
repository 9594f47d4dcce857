//! Copies one object via the client: downloads it, optimizes it if requested, and uploads it. An object that stays
//! unchanged needs only the memory of a few parts.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::compare::SourceVersion;
use super::copier::{Copier, CopyError, CopyTask, on_disk, row};
use super::local;
use super::location::Location;
use super::report::{Action, TransferRow};
use crate::local::read::{ChangeCheckedFile, Source, chunks};
use crate::local::state::FileState;
use crate::local::write::{self as local_write, AtomicFile};
use crate::optimize::format::SNIFF_BYTES;
use crate::optimize::{self, Budget, Format, Options, PROBE_BYTES};
use crate::pipeline::inspect;
use crate::pipeline::run::optimize_blocking;
use crate::pipeline::write::Content;
use crate::report::{Body, Report};
use crate::s3::{Attributes, Condition, Download, Head, ObjectRef, S3Error, UnorderedReadError};

impl Copier {
    /// Copies via the client: downloads, optimizes if requested, and uploads.
    pub async fn copy_via_client(&self, task: &CopyTask) -> Result<TransferRow, CopyError> {
        match &self.options {
            Some(options) => self.optimize(task, options).await,
            None => self.copy_unchanged(task, None).await,
        }
    }

    /// Copies unchanged, in the memory of a few parts. `attributes_override` replaces the source's attributes.
    async fn copy_unchanged(
        &self,
        task: &CopyTask,
        attributes_override: Option<Attributes>,
    ) -> Result<TransferRow, CopyError> {
        let size = task.entry.as_ref().map_or(0, |entry| entry.size);
        let _permit = self.memory.acquire(size.min(self.whole)).await;
        match (&task.from, &task.to) {
            (Location::S3(from), Location::S3(to)) => self.relay(task, from, to).await,
            (_, Location::S3(to)) => self.upload(task, to, attributes_override).await,
            (Location::S3(from), _) => self.download(task, from).await,
            // `CommonArgs::resolve` refuses this combination.
            (..) => Err(io_failure("stdin", io::ErrorKind::Unsupported.into())),
        }
    }

    /// Optimizes the object if its first bytes are those of an image. Other objects are never held whole.
    async fn optimize(&self, task: &CopyTask, options: &Options) -> Result<TransferRow, CopyError> {
        let (head, format, mut source) = self.open_source(task).await?;
        task.progress.expect(head.size);
        if let Some(reason) = inspect::from_first_bytes(&head, format, &options.limits) {
            let version = source.state(&head);
            drop(source);
            let body = Body::unread(reason);
            let attributes_override =
                task.to.is_s3().then(|| inspect::attributes(&body, &head, format, &self.options_hash, None));
            let mut done = with_body(self.copy_unchanged(task, attributes_override).await?, &body, format);
            // The object is read a second time. If it has changed by then, its headers and marker are wrong, and it is
            // copied again.
            done.copied_version = done.copied_version.map(|_| version);
            return Ok(done);
        }
        // If S3 closes the connection meanwhile, the rest is requested again.
        let probe = optimize::probe(&source.first_bytes().await?, head.size);
        let permit = self.memory.acquire(probe.map_or(0, |probe| probe.memory)).await;
        let version = source.state(&head);
        let bytes = source.read_all().await?;
        let budget = Budget::UNLIMITED.on(self.threads);
        let (body, _permit) = optimize_blocking(bytes.clone(), permit, options.clone(), budget).await;
        let attributes = inspect::attributes(&body, &head, format, &self.options_hash, None);
        let mut done = with_body(row(task, Action::Copied).with_all_bytes(head.size), &body, format);
        done.copied_version = Some(version).filter(|_| task.to.is_s3());
        let result = body.bytes().cloned().unwrap_or(bytes);
        done.row.report.bytes_out = Some(result.len() as u64);
        let dropped = self.write_result(task, result, &attributes, head.modified).await?;
        Ok(dropped.into_iter().fold(done, TransferRow::warning))
    }

    /// Opens the source: returns its description, its format, and a reader for the rest.
    async fn open_source(&self, task: &CopyTask) -> Result<(Head, Option<Format>, OpenSource), CopyError> {
        match &task.from {
            Location::S3(object) => {
                let mut download = self.store.source.get(object, None).await?;
                let format = Format::sniff(download.peek(SNIFF_BYTES).await?);
                Ok((download.head.clone(), format, OpenSource::Download(Box::new(download))))
            }
            Location::Local(path) => {
                let opened = on_disk(path.clone(), |path| {
                    let mut file = File::open(path)?;
                    let state = FileState::of(&file.metadata()?);
                    let beginning = local::first_bytes(&mut file, SNIFF_BYTES)?;
                    let etag = local::etag_of(&mut file)?;
                    Ok((file, state, beginning, etag))
                });
                let (file, state, beginning, etag) = opened.await?;
                let content_type = Some(local::content_type(path, &beginning));
                let attributes = Attributes { content_type, ..Attributes::default() };
                let size = state.length.unwrap_or(0);
                let head = Head { etag, size, attributes, tag_count: 0, checksum: None, modified: None };
                Ok((head, Format::sniff(&beginning), OpenSource::File { path: path.clone(), file, state }))
            }
            // A stream could be optimized only after its end, however far that is; `CommonArgs::resolve` refuses it.
            Location::Stream => Err(io_failure("stdin", io::ErrorKind::Unsupported.into())),
        }
    }

    /// Downloads an object unchanged; a large one in parts.
    async fn download(&self, task: &CopyTask, from: &ObjectRef) -> Result<TransferRow, CopyError> {
        let download = self.store.source.get(from, None).await?;
        let head = download.head.clone();
        task.progress.expect(head.size);
        if head.size <= self.whole {
            self.write_result(task, download.read_all().await?, &head.attributes, head.modified).await?;
        } else {
            drop(download);
            self.stream_to_file(task, from, &head).await?;
        }
        Ok(row(task, Action::Copied).with_all_bytes(head.size))
    }

    /// Uploads unchanged: the first part as soon as it is full, in the memory of a few parts.
    async fn upload(
        &self,
        task: &CopyTask,
        to: &ObjectRef,
        attributes_override: Option<Attributes>,
    ) -> Result<TransferRow, CopyError> {
        let Location::Local(path) = &task.from else {
            let name = task.to.name().unwrap_or_default();
            return self.upload_stream(task, tokio::io::stdin(), name.as_ref(), None, to, attributes_override).await;
        };
        let failure = |error| CopyError::Io { path: path.clone(), error };
        let file = tokio::fs::File::open(path).await.map_err(failure)?;
        let state = FileState::of(&file.metadata().await.map_err(failure)?);
        task.progress.expect(state.length.unwrap_or(0));
        let length = state.length;
        let row =
            self.upload_stream(task, ChangeCheckedFile { file, state }, path, length, to, attributes_override).await?;
        Ok(row.with_version(SourceVersion::File(state)))
    }

    async fn upload_stream(
        &self,
        task: &CopyTask,
        source: impl Source,
        name: &Path,
        length: Option<u64>,
        to: &ObjectRef,
        attributes_override: Option<Attributes>,
    ) -> Result<TransferRow, CopyError> {
        let sent = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&sent);
        let mut chunks = Box::pin(chunks(source).inspect_ok(move |chunk| {
            count.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        }));
        let first = chunks.try_next().await.map_err(|error| CopyError::Io { path: name.into(), error })?;
        let first = first.unwrap_or_default();
        let content_type = Some(local::content_type(name, &first));
        let attributes = attributes_override.unwrap_or(Attributes { content_type, ..Attributes::default() });
        let body = stream::iter([Ok(first)]).chain(chunks);
        let store = self.store.clone().with_progress(task.progress.counter());
        store.destination.put_stream(to, body, length, &attributes, &Condition::None).await?;
        Ok(row(task, Action::Copied).with_all_bytes(sent.load(Ordering::Relaxed)))
    }

    /// Relays between two stores, or between two buckets that S3 may not copy between.
    async fn relay(&self, task: &CopyTask, from: &ObjectRef, to: &ObjectRef) -> Result<TransferRow, CopyError> {
        let download = self.store.source.get(from, None).await?;
        let head = download.head.clone();
        task.progress.expect(head.size);
        let (tags, warning) = self.tags(from, &head).await?;
        // The names of storage classes belong to one store.
        let storage_class = head.attributes.storage_class.clone().filter(|_| !self.store.is_cross_store());
        let attributes = Attributes { storage_class, tags, ..head.attributes.clone() };
        let content = if head.size <= self.whole {
            Content::Bytes(download.read_all().await?)
        } else {
            drop(download);
            Content::Relay { from, head: &head }
        };
        let dropped = self.write(task, content, to, attributes).await?;
        let done =
            row(task, Action::Copied).with_all_bytes(head.size).with_version(SourceVersion::Object(head.etag.clone()));
        Ok(warning.into_iter().chain(dropped).fold(done, TransferRow::warning))
    }

    /// Streams into a file that appears when it is complete, each part at its offset; or sequentially to stdout or a
    /// pipe.
    async fn stream_to_file(&self, task: &CopyTask, from: &ObjectRef, head: &Head) -> Result<(), CopyError> {
        let store = self.store.clone().with_progress(task.progress.counter());
        let Location::Local(path) = &task.to else {
            return write_stream(tokio::io::stdout(), store.source.read_ordered(from, head), "stdout").await;
        };
        let root = self.root.clone();
        let mut target = on_disk(path.clone(), move |path| AtomicFile::create_below(&root, path)).await?;
        if let Some(writer) = target.offset_writer().filter(|_| head.can_read_unordered()) {
            let written = store.source.read_unordered(from, head, move |at| writer.open_at(at)).await;
            written.map_err(|error| match error {
                UnorderedReadError::S3(error) => CopyError::S3(error),
                UnorderedReadError::Write(error) => CopyError::Io { path: path.clone(), error },
            })?;
        } else {
            let open = move |_: &Path| Ok((target.open()?, target));
            let file;
            (file, target) = on_disk(path.clone(), open).await?;
            write_stream(tokio::fs::File::from_std(file), store.source.read_ordered(from, head), path).await?;
        }
        let modified = head.modified;
        on_disk(path.clone(), move |_| target.commit_modified(modified)).await
    }

    async fn write_result(
        &self,
        task: &CopyTask,
        bytes: Bytes,
        attributes: &Attributes,
        modified: Option<i64>,
    ) -> Result<Option<String>, CopyError> {
        match &task.to {
            Location::S3(object) => Ok(self.write(task, Content::Bytes(bytes), object, attributes.clone()).await?),
            Location::Local(path) => {
                let root = self.root.clone();
                on_disk(path.clone(), move |path| local_write::write(&root, path, &bytes, modified))
                    .await
                    .map(|()| None)
            }
            Location::Stream => {
                let mut stdout = tokio::io::stdout();
                let written = async {
                    stdout.write_all(&bytes).await?;
                    stdout.flush().await
                };
                written.await.map_err(|error| io_failure("stdout", error)).map(|()| None)
            }
        }
    }
}

/// Reader of the source opened by [`Copier::open_source`].
enum OpenSource {
    Download(Box<Download>),
    File { path: PathBuf, file: File, state: FileState },
}

impl OpenSource {
    fn state(&self, head: &Head) -> SourceVersion {
        match self {
            Self::Download(_) => SourceVersion::Object(head.etag.clone()),
            Self::File { state, .. } => SourceVersion::File(*state),
        }
    }

    /// Returns the bytes to probe.
    async fn first_bytes(&mut self) -> Result<Bytes, CopyError> {
        match self {
            Self::Download(download) => Ok(Bytes::copy_from_slice(download.peek(PROBE_BYTES).await?)),
            Self::File { path, file, .. } => {
                let mut file = file.try_clone().map_err(|error| io_failure(&path, error))?;
                let read = move |_: &Path| {
                    file.rewind()?;
                    local::first_bytes(&mut file, PROBE_BYTES).map(Bytes::from)
                };
                on_disk(path.clone(), read).await
            }
        }
    }

    async fn read_all(self) -> Result<Bytes, CopyError> {
        match self {
            Self::Download(download) => Ok(download.read_all().await?),
            Self::File { path, mut file, state } => {
                let read = move |_: &Path| {
                    let mut bytes = Vec::new();
                    file.rewind()?;
                    file.read_to_end(&mut bytes)?;
                    state.check_unchanged(&file.metadata()?)?;
                    Ok(bytes.into())
                };
                on_disk(path, read).await
            }
        }
    }
}

async fn write_stream(
    mut into: impl AsyncWrite + Unpin,
    chunks: impl Stream<Item = Result<Bytes, S3Error>>,
    name: impl AsRef<Path>,
) -> Result<(), CopyError> {
    let failure = |error| io_failure(name.as_ref(), error);
    let mut chunks = pin!(chunks);
    while let Some(chunk) = chunks.try_next().await? {
        into.write_all(&chunk).await.map_err(failure)?;
    }
    into.flush().await.map_err(failure)
}

/// Adds what the engine says of the body.
fn with_body(mut done: TransferRow, body: &Body, format: Option<Format>) -> TransferRow {
    done.row.action = if body.bytes().is_some() { Action::Optimized } else { Action::Copied };
    let Report { source, destination, reason, bytes_in, bytes_out, method, warnings, .. } = done.row.report;
    let report = Report::of_body(body, bytes_in.unwrap_or_default(), format);
    done.row.report = Report {
        reason: report.reason.clone().or(reason),
        method: method.or(report.method),
        source,
        destination,
        bytes_in,
        bytes_out,
        warnings,
        ..report
    };
    done
}

fn io_failure(path: impl AsRef<Path>, error: io::Error) -> CopyError {
    CopyError::Io { path: path.as_ref().into(), error }
}
