//! One object through this machine: read here, made light if that is asked for, and written, in the memory of a few parts where
//! it stays as it is.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::carry::{Carrier, Failure, Load, on_disk, row};
use super::compare::Carried;
use super::local;
use super::location::Location;
use super::report::{Action, Row};
use super::source::{Source, State, Unchanging, chunks};
use crate::optimize::format::SNIFF_BYTES;
use crate::optimize::{Budget, Format, Options};
use crate::pipeline::inspect::{BodyOutcome, CopyReason};
use crate::pipeline::run::optimize_blocking;
use crate::s3::{Attributes, Condition, Download, Head, ObjectRef, Progress, S3Error, UnorderedReadError};

impl Carrier {
    /// Read here, made light if that is asked for, and written.
    pub async fn through_here(&self, load: &Load) -> Result<Row, Failure> {
        match &self.options {
            Some(options) => self.lighten(load, options).await,
            None => self.as_it_is(load, None).await,
        }
    }

    /// Unchanged, in the memory of a few parts; `marked` are the headers that it arrives with, where they are not its own.
    async fn as_it_is(&self, load: &Load, marked: Option<Attributes>) -> Result<Row, Failure> {
        let size = load.entry.as_ref().map_or(0, |entry| entry.size);
        let _permit = self.memory.acquire(size.min(self.whole)).await;
        match (&load.from, &load.to) {
            (Location::S3(from), Location::S3(to)) => self.pass_on(load, from, to, marked).await,
            (_, Location::S3(to)) => self.send(load, to, marked).await,
            (Location::S3(from), _) => self.bring(load, from).await,
            // `CommonArgs::resolve` refuses it.
            (..) => Err(io_failure("stdin", io::ErrorKind::Unsupported.into())),
        }
    }

    /// Made light, if it is an image that can be: its first bytes tell, and what is none is never held whole.
    async fn lighten(&self, load: &Load, options: &Options) -> Result<Row, Failure> {
        let (head, format, arrival) = self.begin(load).await?;
        load.meter.expect(head.size);
        if let Some(reason) = CopyReason::from_first_bytes(&head, format, &options.limits) {
            let carried = arrival.state(&head);
            drop(arrival);
            let outcome = BodyOutcome::unread(reason);
            let marked = load.to.is_s3().then(|| outcome.attributes(&head, format, &self.options_hash, None));
            let mut done = with_body_outcome(self.as_it_is(load, marked).await?, &outcome);
            // It is read again: where it is another one by then, its headers and marker are not its own.
            done.carried = done.carried.map(|_| carried);
            return Ok(done);
        }
        // What the store ends meanwhile is asked for again from there.
        let _permit = self.memory.acquire_for_image(head.size).await;
        let carried = arrival.state(&head);
        let bytes = arrival.read_all().await?;
        let outcome = optimize_blocking(bytes.clone(), options.clone(), Budget::UNLIMITED.on(self.threads)).await;
        let mut warning = None;
        let mut attributes = outcome.attributes(&head, format, &self.options_hash, None);
        if let (Location::S3(from), Location::S3(_)) = (&load.from, &load.to) {
            (attributes.tags, warning) = self.tags(from, &head).await?;
        }
        let mut done = with_body_outcome(row(load, Action::Copied), &outcome);
        done.carried = Some(carried).filter(|_| load.to.is_s3());
        let result = outcome.into_bytes().unwrap_or(bytes);
        let done = Row { bytes_in: Some(head.size), bytes_out: Some(result.len() as u64), ..done };
        let dropped = self.deliver(load, result, &attributes, head.modified).await?;
        Ok(warning.into_iter().chain(dropped).fold(done, Row::warning))
    }

    /// What it is, and the way to the rest of it.
    async fn begin(&self, load: &Load) -> Result<(Head, Option<Format>, Arriving), Failure> {
        match &load.from {
            Location::S3(object) => {
                let mut download = self.store.get(object, None).await?;
                let format = Format::sniff(download.peek(SNIFF_BYTES).await?);
                Ok((download.head.clone(), format, Arriving::Download(Box::new(download))))
            }
            Location::Local(path) => {
                let opened = on_disk(path.clone(), |path| {
                    let mut file = File::open(path)?;
                    let state = State::of(&file.metadata()?);
                    let beginning = local::beginning(&mut file, SNIFF_BYTES)?;
                    let etag = local::etag_of(&mut file)?;
                    Ok((file, state, beginning, etag))
                });
                let (file, state, beginning, etag) = opened.await?;
                let content_type = Some(local::content_type(path, &beginning));
                let attributes = Attributes { content_type, ..Attributes::default() };
                let size = state.length.unwrap_or(0);
                let head = Head { etag, size, attributes, tag_count: 0, checksum: None, modified: None };
                Ok((head, Format::sniff(&beginning), Arriving::File { path: path.clone(), file, state }))
            }
            // Made light it could not be before its end, however far that is: `CommonArgs::resolve` refuses it.
            Location::Stream => Err(io_failure("stdin", io::ErrorKind::Unsupported.into())),
        }
    }

    /// Down from S3 as it is: a large object a piece at a time.
    async fn bring(&self, load: &Load, from: &ObjectRef) -> Result<Row, Failure> {
        let download = self.store.get(from, None).await?;
        let head = download.head.clone();
        load.meter.expect(head.size);
        if head.size <= self.whole {
            self.deliver(load, download.read_all().await?, &head.attributes, head.modified).await?;
        } else {
            drop(download);
            self.pour(load, from, &head).await?;
        }
        Ok(row(load, Action::Copied).whole(head.size))
    }

    /// Up to S3 as it is: the first part as soon as it is full, in the memory of a few, however many there will be.
    async fn send(&self, load: &Load, to: &ObjectRef, marked: Option<Attributes>) -> Result<Row, Failure> {
        let Location::Local(path) = &load.from else {
            let name = load.to.name().unwrap_or_default();
            return self.send_all(load, tokio::io::stdin(), name.as_ref(), None, to, marked).await;
        };
        let failure = |error| Failure::Io { path: path.clone(), error };
        let file = tokio::fs::File::open(path).await.map_err(failure)?;
        let state = State::of(&file.metadata().await.map_err(failure)?);
        load.meter.expect(state.length.unwrap_or(0));
        let length = state.length;
        let row = self.send_all(load, Unchanging { file, state }, path, length, to, marked).await?;
        Ok(row.of(Carried::File(state)))
    }

    async fn send_all(
        &self,
        load: &Load,
        source: impl Source,
        name: &Path,
        length: Option<u64>,
        to: &ObjectRef,
        marked: Option<Attributes>,
    ) -> Result<Row, Failure> {
        let sent = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&sent);
        let mut chunks = Box::pin(chunks(source).inspect_ok(move |chunk| {
            count.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        }));
        let first = chunks.try_next().await.map_err(|error| Failure::Io { path: name.into(), error })?;
        let first = first.unwrap_or_default();
        let content_type = Some(local::content_type(name, &first));
        let attributes = marked.unwrap_or(Attributes { content_type, ..Attributes::default() });
        let body = stream::iter([Ok(first)]).chain(chunks);
        let store = self.store.clone().with_progress(load.meter.progress());
        store.put_stream(to, body, length, &attributes, &Condition::None).await?;
        Ok(row(load, Action::Copied).whole(sent.load(Ordering::Relaxed)))
    }

    /// From one store to another, which S3 does not copy between, or between two of which S3 may not.
    async fn pass_on(
        &self,
        load: &Load,
        from: &ObjectRef,
        to: &ObjectRef,
        marked: Option<Attributes>,
    ) -> Result<Row, Failure> {
        let download = self.store.get(from, None).await?;
        let head = download.head.clone();
        load.meter.expect(head.size);
        let (tags, warning) = self.tags(from, &head).await?;
        let attributes = self.of_the_store(Attributes { tags, ..marked.unwrap_or(head.attributes.clone()) });
        let content = if head.size <= self.whole {
            Content::Bytes(download.read_all().await?)
        } else {
            drop(download);
            Content::Object { from, head: &head, progress: load.meter.progress() }
        };
        let dropped = self.write(&content, to, attributes).await?;
        let done = row(load, Action::Copied).whole(head.size).of(Carried::Object(head.etag.clone()));
        Ok(warning.into_iter().chain(dropped).fold(done, Row::warning))
    }

    /// Storage classes are names of one store.
    fn of_the_store(&self, attributes: Attributes) -> Attributes {
        if self.store.is_cross_store() { Attributes { storage_class: None, ..attributes } } else { attributes }
    }

    /// With its tags, or where they may not be written, or the store has none, without them and with a warning.
    async fn write(
        &self,
        content: &Content<'_>,
        to: &ObjectRef,
        mut attributes: Attributes,
    ) -> Result<Option<String>, S3Error> {
        match self.write_all(content, to, &attributes).await {
            Err(error) if error.may_be_about_tags() && !attributes.tags.is_empty() => {
                attributes.tags.clear();
                self.write_all(content, to, &attributes).await?;
                Ok(Some(format!("tags dropped: {error}")))
            }
            written => written.map(|()| None),
        }
    }

    async fn write_all(&self, content: &Content<'_>, to: &ObjectRef, attributes: &Attributes) -> Result<(), S3Error> {
        match content {
            Content::Bytes(bytes) => self.store.put(to, bytes.clone(), attributes, &Condition::None).await,
            Content::Object { from, head, progress } => {
                let store = self.store.clone().with_progress(progress.clone());
                store.relay(from, head, to, attributes, &Condition::None).await
            }
        }
    }

    /// Into a file, which is there when all has come, each byte at its place; to stdout, or a pipe, as it comes.
    async fn pour(&self, load: &Load, from: &ObjectRef, head: &Head) -> Result<(), Failure> {
        let store = self.store.clone().with_progress(load.meter.progress());
        let Location::Local(path) = &load.to else {
            return pour_into(tokio::io::stdout(), store.read_ordered(from, head), "stdout").await;
        };
        let root = self.root.clone();
        let mut arrival = on_disk(path.clone(), move |path| local::Arrival::begin(&root, path)).await?;
        if let Some(places) = arrival.places().filter(|_| head.can_read_unordered()) {
            let scattered = store.read_unordered(from, head, move |at| places.from(at)).await;
            scattered.map_err(|error| match error {
                UnorderedReadError::S3(error) => Failure::S3(error),
                UnorderedReadError::Place(error) => Failure::Io { path: path.clone(), error },
            })?;
        } else {
            let open = move |_: &Path| Ok((arrival.open()?, arrival));
            let file;
            (file, arrival) = on_disk(path.clone(), open).await?;
            pour_into(tokio::fs::File::from_std(file), store.read_ordered(from, head), path).await?;
        }
        let modified = head.modified;
        on_disk(path.clone(), move |_| arrival.settle(modified)).await
    }

    async fn deliver(
        &self,
        load: &Load,
        bytes: Bytes,
        attributes: &Attributes,
        modified: Option<i64>,
    ) -> Result<Option<String>, Failure> {
        match &load.to {
            Location::S3(object) => {
                let attributes = self.of_the_store(attributes.clone());
                Ok(self.write(&Content::Bytes(bytes), object, attributes).await?)
            }
            Location::Local(path) => {
                let root = self.root.clone();
                on_disk(path.clone(), move |path| local::write(&root, path, &bytes, modified)).await.map(|()| None)
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

/// What is written to S3: bytes that are here, or an object's, which come part by part.
enum Content<'a> {
    Bytes(Bytes),
    Object { from: &'a ObjectRef, head: &'a Head, progress: Progress },
}

/// The rest of what [`Carrier::begin`] began.
enum Arriving {
    Download(Box<Download>),
    File { path: PathBuf, file: File, state: State },
}

impl Arriving {
    fn state(&self, head: &Head) -> Carried {
        match self {
            Self::Download(_) => Carried::Object(head.etag.clone()),
            Self::File { state, .. } => Carried::File(*state),
        }
    }

    async fn read_all(self) -> Result<Bytes, Failure> {
        match self {
            Self::Download(download) => Ok(download.read_all().await?),
            Self::File { path, mut file, state } => {
                let read = move |_: &Path| {
                    let mut bytes = Vec::new();
                    file.rewind()?;
                    file.read_to_end(&mut bytes)?;
                    state.holds(&file.metadata()?)?;
                    Ok(bytes.into())
                };
                on_disk(path, read).await
            }
        }
    }
}

async fn pour_into(
    mut into: impl AsyncWrite + Unpin,
    pieces: impl Stream<Item = Result<Bytes, S3Error>>,
    name: impl AsRef<Path>,
) -> Result<(), Failure> {
    let failure = |error| io_failure(name.as_ref(), error);
    let mut pieces = pin!(pieces);
    while let Some(piece) = pieces.try_next().await? {
        into.write_all(&piece).await.map_err(failure)?;
    }
    into.flush().await.map_err(failure)
}

fn with_body_outcome(row: Row, outcome: &BodyOutcome) -> Row {
    let row =
        Row { score: outcome.score(), worst: outcome.worst(), metadata: Some(outcome.metadata().to_string()), ..row };
    match outcome {
        BodyOutcome::Optimized(encoded) => {
            Row { action: Action::Optimized, method: Some(encoded.method.to_string()), ..row }
        }
        BodyOutcome::Copied { reason, .. } => Row { action: Action::Copied, ..row }.because(reason.to_string()),
    }
}

fn io_failure(path: impl AsRef<Path>, error: io::Error) -> Failure {
    Failure::Io { path: path.as_ref().into(), error }
}
