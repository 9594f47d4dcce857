//! S3 over a folder: `s3s-fs`, with features of S3 that it lacks and the function relies on. Knows nothing of HTTP.
//!
//! Added here: keys that no file system can store (see [`names`](super::names)), `NoSuchBucket`, `NoSuchUpload`,
//! If-Match on GET, conditions on the destination of `CopyObject`, `ETag`s in listings, `ListMultipartUploads`,
//! checksums of multipart uploads, and notifications of created objects.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::SeekFrom;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::BytesMut;
use futures_util::stream;
use hyper::HeaderMap;
#[allow(clippy::wildcard_imports, reason = "an operation's types are named by the operation, and there are forty")]
use s3s::dto::*;
use s3s::{S3, S3Error, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::sync::{RwLock, mpsc};

use super::names::{file_name, file_prefix, key_of};
use super::uploads::open_uploads;

/// A newly created object, as an S3 event notification describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// `ObjectCreated:Put`, `ObjectCreated:Copy` or `ObjectCreated:CompleteMultipartUpload`.
    pub event: &'static str,
    pub bucket: String,
    /// Not form-encoded, unlike in a notification.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// Without quotes, as in a notification.
    pub etag: String,
    /// Hexadecimal, of constant length, increasing from event to event.
    pub sequencer: String,
}

/// Subscribers to created objects, and the number of the next event.
#[derive(Debug)]
pub struct Listeners {
    senders: Mutex<Vec<mpsc::UnboundedSender<Created>>>,
    sequence: AtomicU64,
}

impl Listeners {
    pub fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        // Starts with the time, so that it increases across restarts.
        Self { senders: Mutex::default(), sequence: AtomicU64::new(u64::try_from(now).unwrap_or(0)) }
    }

    pub fn subscribe(&self) -> mpsc::UnboundedReceiver<Created> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.senders.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        receiver
    }

    fn notify(&self, created: &Created) {
        let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        senders.retain(|sender| sender.send(created.clone()).is_ok());
    }
}

/// The S3 operations over a folder: one directory per bucket.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    files: FileSystem,
    listeners: Arc<Listeners>,
    /// Locks by an object's hash: an object and its stored checksum become visible together.
    locks: [RwLock<()>; LOCKS],
}

const LOCKS: usize = 64;

impl Folder {
    pub fn new(root: &Path, listeners: Arc<Listeners>) -> std::io::Result<Self> {
        let files = FileSystem::new(root).map_err(|e| std::io::Error::other(format!("{}: {e:?}", root.display())))?;
        let locks = std::array::from_fn(|_| RwLock::default());
        Ok(Self { root: root.canonicalize()?, files, listeners, locks })
    }

    fn lock_of(&self, bucket: &str, name: &str) -> &RwLock<()> {
        let mut hasher = DefaultHasher::new();
        (bucket, name).hash(&mut hasher);
        &self.locks[hasher.finish() as usize % LOCKS]
    }

    fn bucket_must_exist(&self, bucket: &str) -> S3Result<()> {
        if self.root.join(bucket).is_dir() { Ok(()) } else { Err(s3_error!(NoSuchBucket)) }
    }

    /// A directory that holds longer keys is no object.
    fn object_must_exist(&self, bucket: &str, name: &str) -> S3Result<()> {
        self.bucket_must_exist(bucket)?;
        if self.root.join(bucket).join(name).is_file() { Ok(()) } else { Err(s3_error!(NoSuchKey)) }
    }

    /// `s3s-fs` answers `AccessDenied` for a missing upload.
    fn upload_must_exist(&self, upload_id: &str) -> S3Result<()> {
        let known = upload_id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
            && self.root.join(format!(".upload-{upload_id}.json")).exists();
        if known { Ok(()) } else { Err(s3_error!(NoSuchUpload)) }
    }

    async fn head(&self, bucket: &str, name: &str) -> S3Result<Option<HeadObjectOutput>> {
        if !self.root.join(bucket).join(name).is_file() {
            return Ok(None);
        }
        let input = HeadObjectInput { bucket: bucket.to_owned(), key: name.to_owned(), ..Default::default() };
        Ok(Some(self.files.head_object(request(input)).await?.output))
    }

    /// Adds `ETag`s to a page of a listing, whose keys are still file names.
    async fn add_etags(&self, bucket: &str, objects: Option<&mut Vec<Object>>) -> S3Result<()> {
        for object in objects.into_iter().flatten() {
            if let Some(name) = &object.key {
                object.e_tag = self.head(bucket, name).await?.and_then(|head| head.e_tag);
            }
        }
        Ok(())
    }

    /// Checks If-Match and If-None-Match where `s3s-fs` ignores them.
    async fn check_conditions(&self, headers: &HeaderMap, bucket: &str, name: &str) -> S3Result<()> {
        let (wanted, unwanted) = (headers.get("if-match"), headers.get("if-none-match"));
        if wanted.is_none() && unwanted.is_none() {
            return Ok(());
        }
        let etag = self.head(bucket, name).await?.and_then(|head| head.e_tag);
        let matches = |condition: &hyper::header::HeaderValue| match condition.as_bytes() {
            b"*" => etag.is_some(),
            value => etag.as_ref().is_some_and(|etag| names(value, etag)),
        };
        if wanted.is_some_and(|w| !matches(w)) || unwanted.is_some_and(matches) {
            return Err(s3_error!(PreconditionFailed));
        }
        Ok(())
    }

    /// Stores the checksums in the file in which `s3s-fs` keeps those of single uploads; it would leave those of the
    /// previous object.
    async fn keep_checksums<const N: usize>(
        &self,
        bucket: &str,
        name: &str,
        checksums: [(&str, Option<String>); N],
    ) -> std::io::Result<()> {
        let encode = |text: &str| {
            let standard = aws_smithy_types::base64::encode(text);
            standard.trim_end_matches('=').replace('+', "-").replace('/', "_")
        };
        let file = self.root.join(format!(".bucket-{}.object-{}.internal.json", encode(bucket), encode(name)));
        let mut kept: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(&tokio::fs::read(&file).await?)?;
        kept.retain(|field, _| !field.starts_with("checksum_"));
        kept.extend(checksums.into_iter().filter_map(|(field, value)| Some((field.to_owned(), value?.into()))));
        tokio::fs::write(&file, serde_json::to_vec(&kept)?).await
    }

    async fn notify(&self, event: &'static str, bucket: &str, name: &str, key: &str) -> S3Result<()> {
        let Some(head) = self.head(bucket, name).await? else { return Ok(()) };
        self.listeners.notify(&Created {
            event,
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            size: head.content_length.and_then(|n| u64::try_from(n).ok()).unwrap_or(0),
            etag: head.e_tag.map(|etag| etag.value().to_owned()).unwrap_or_default(),
            sequencer: format!("{:016X}", self.listeners.sequence.fetch_add(1, Ordering::Relaxed)),
        });
        Ok(())
    }
}

/// Whether a condition names this `ETag`, with or without quotes.
fn names(condition: &[u8], etag: &ETag) -> bool {
    let bare = condition.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(condition);
    bare == etag.value().as_bytes()
}

fn request<T>(input: T) -> S3Request<T> {
    S3Request {
        input,
        method: hyper::Method::GET,
        uri: hyper::Uri::default(),
        headers: HeaderMap::default(),
        extensions: hyper::http::Extensions::default(),
        credentials: None,
        region: None,
        service: None,
        trailing_headers: None,
    }
}

/// Operations that `s3s-fs` implements as S3 does.
macro_rules! delegate {
    ($($operation:ident($input:ty) -> $output:ty;)*) => { $(
        fn $operation<'a, 'b>(
            &'a self,
            req: S3Request<$input>,
        ) -> std::pin::Pin<Box<dyn Future<Output = S3Result<S3Response<$output>>> + Send + 'b>>
        where
            'a: 'b,
            Self: 'b,
        {
            self.files.$operation(req)
        }
    )* };
}

#[async_trait]
impl S3 for Folder {
    delegate! {
        create_bucket(CreateBucketInput) -> CreateBucketOutput;
        delete_bucket(DeleteBucketInput) -> DeleteBucketOutput;
        get_bucket_location(GetBucketLocationInput) -> GetBucketLocationOutput;
        head_bucket(HeadBucketInput) -> HeadBucketOutput;
        list_buckets(ListBucketsInput) -> ListBucketsOutput;
    }

    async fn get_object(&self, mut req: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let input = &mut req.input;
        input.key = file_name(&input.bucket, &input.key);
        self.object_must_exist(&input.bucket, &input.key)?;
        let _seen = self.lock_of(&input.bucket, &input.key).read().await;
        self.check_conditions(&req.headers, &input.bucket, &input.key).await?;
        self.files.get_object(req).await
    }

    async fn head_object(&self, mut req: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = &mut req.input;
        input.key = file_name(&input.bucket, &input.key);
        self.object_must_exist(&input.bucket, &input.key)?;
        let _seen = self.lock_of(&input.bucket, &input.key).read().await;
        self.files.head_object(req).await
    }

    async fn put_object(&self, mut req: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let (bucket, key) = (req.input.bucket.clone(), req.input.key.clone());
        self.bucket_must_exist(&bucket)?;
        let name = file_name(&bucket, &key);
        req.input.key.clone_from(&name);
        let response = self.files.put_object(req).await?;
        self.notify("ObjectCreated:Put", &bucket, &name, &key).await?;
        Ok(response)
    }

    async fn copy_object(&self, mut req: S3Request<CopyObjectInput>) -> S3Result<S3Response<CopyObjectOutput>> {
        let (bucket, key) = (req.input.bucket.clone(), req.input.key.clone());
        self.bucket_must_exist(&bucket)?;
        let name = file_name(&bucket, &key);
        req.input.key.clone_from(&name);
        self.place_source(&mut req.input.copy_source)?;
        let made = self.lock_of(&bucket, &name).write().await;
        self.check_conditions(&req.headers, &bucket, &name).await?;
        let response = self.files.copy_object(req).await?;
        drop(made);
        self.notify("ObjectCreated:Copy", &bucket, &name, &key).await?;
        Ok(response)
    }

    async fn delete_object(&self, mut req: S3Request<DeleteObjectInput>) -> S3Result<S3Response<DeleteObjectOutput>> {
        req.input.key = file_name(&req.input.bucket, &req.input.key);
        self.files.delete_object(req).await
    }

    async fn delete_objects(
        &self,
        mut req: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        self.bucket_must_exist(&req.input.bucket)?;
        for object in &mut req.input.delete.objects {
            object.key = file_name(&req.input.bucket, &object.key);
        }
        let mut response = self.files.delete_objects(req).await?;
        for key in response.output.deleted.iter_mut().flatten().filter_map(|deleted| deleted.key.as_mut()) {
            *key = key_of(key);
        }
        Ok(response)
    }

    async fn list_objects(&self, mut req: S3Request<ListObjectsInput>) -> S3Result<S3Response<ListObjectsOutput>> {
        let prefix = req.input.prefix.clone();
        req.input.prefix = prefix.as_deref().map(file_prefix);
        let bucket = req.input.bucket.clone();
        let mut response = self.files.list_objects(req).await?;
        self.add_etags(&bucket, response.output.contents.as_mut()).await?;
        restore_keys(response.output.contents.as_mut(), response.output.common_prefixes.as_mut());
        // `s3s-fs` promises encoded keys and sends them as they are: a client would take `+` for a space.
        response.output.encoding_type = None;
        response.output.prefix = prefix;
        Ok(response)
    }

    async fn list_objects_v2(
        &self,
        mut req: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let prefix = req.input.prefix.clone();
        req.input.prefix = prefix.as_deref().map(file_prefix);
        let bucket = req.input.bucket.clone();
        let mut response = self.files.list_objects_v2(req).await?;
        self.add_etags(&bucket, response.output.contents.as_mut()).await?;
        restore_keys(response.output.contents.as_mut(), response.output.common_prefixes.as_mut());
        // `s3s-fs` promises encoded keys and sends them as they are: a client would take `+` for a space.
        response.output.encoding_type = None;
        response.output.prefix = prefix;
        Ok(response)
    }

    async fn create_multipart_upload(
        &self,
        mut req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        self.bucket_must_exist(&req.input.bucket)?;
        let key = req.input.key.clone();
        req.input.key = file_name(&req.input.bucket, &key);
        let mut response = self.files.create_multipart_upload(req).await?;
        response.output.key = Some(key);
        Ok(response)
    }

    async fn upload_part(&self, req: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        self.upload_must_exist(&req.input.upload_id)?;
        self.files.upload_part(req).await
    }

    async fn upload_part_copy(
        &self,
        mut req: S3Request<UploadPartCopyInput>,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        self.upload_must_exist(&req.input.upload_id)?;
        let (bucket, name) = self.place_source(&mut req.input.copy_source)?;
        if let Some(ETagCondition::ETag(wanted)) = &req.input.copy_source_if_match {
            let etag = self.head(&bucket, &name).await?.and_then(|head| head.e_tag);
            if etag.as_ref() != Some(wanted) {
                return Err(s3_error!(PreconditionFailed));
            }
        }
        let file = self.root.join(bucket).join(name);
        let Some(range) = read_range(&file, req.input.copy_source_range.as_deref()).await? else {
            return self.files.upload_part_copy(req).await;
        };
        let part = req.map_input(|UploadPartCopyInput { bucket, key, upload_id, part_number, .. }| UploadPartInput {
            body: Some(range),
            bucket,
            key,
            upload_id,
            part_number,
            ..Default::default()
        });
        let e_tag = self.files.upload_part(part).await?.output.e_tag;
        let copy_part_result = Some(CopyPartResult { e_tag, ..Default::default() });
        Ok(S3Response::new(UploadPartCopyOutput { copy_part_result, ..Default::default() }))
    }

    async fn list_multipart_uploads(
        &self,
        req: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let ListMultipartUploadsInput { bucket, prefix, .. } = req.input;
        self.bucket_must_exist(&bucket)?;
        let found = open_uploads(&self.root, &bucket, prefix.as_deref().unwrap_or_default());
        let uploads = Some(found.map_err(S3Error::internal_error)?);
        let output = ListMultipartUploadsOutput {
            bucket: Some(bucket),
            prefix,
            uploads,
            is_truncated: Some(false),
            ..Default::default()
        };
        Ok(S3Response::new(output))
    }

    async fn list_parts(&self, req: S3Request<ListPartsInput>) -> S3Result<S3Response<ListPartsOutput>> {
        self.upload_must_exist(&req.input.upload_id)?;
        self.files.list_parts(req).await
    }

    async fn complete_multipart_upload(
        &self,
        mut req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        self.upload_must_exist(&req.input.upload_id)?;
        let (bucket, key) = (req.input.bucket.clone(), req.input.key.clone());
        let name = file_name(&bucket, &key);
        req.input.key.clone_from(&name);
        let checksums = [
            ("checksum_crc64nvme", req.input.checksum_crc64nvme.clone()),
            ("checksum_crc32c", req.input.checksum_crc32c.clone()),
            ("checksum_crc32", req.input.checksum_crc32.clone()),
        ];
        let made = self.lock_of(&bucket, &name).write().await;
        let mut response = self.files.complete_multipart_upload(req).await?;
        // The response is a future, with which a slow store keeps the connection alive; the folder is already done.
        if let Some(output) = response.output.future.take() {
            response.output = output.await?;
        }
        self.keep_checksums(&bucket, &name, checksums).await.map_err(S3Error::internal_error)?;
        drop(made);
        response.output.key = Some(key.clone());
        self.notify("ObjectCreated:CompleteMultipartUpload", &bucket, &name, &key).await?;
        Ok(response)
    }

    async fn abort_multipart_upload(
        &self,
        mut req: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        self.upload_must_exist(&req.input.upload_id)?;
        req.input.key = file_name(&req.input.bucket, &req.input.key);
        self.files.abort_multipart_upload(req).await
    }
}

impl Folder {
    fn place_source(&self, source: &mut CopySource) -> S3Result<(String, String)> {
        let CopySource::Bucket { bucket, key, .. } = source else {
            return Err(S3Error::new(s3s::S3ErrorCode::NotImplemented));
        };
        let name = file_name(bucket, key);
        self.object_must_exist(bucket, &name)?;
        *key = name.as_str().into();
        Ok((bucket.to_string(), name))
    }
}

/// Reads the bytes of a file that `bytes=FIRST-LAST` names, 1 MiB at a time, since the 4 KiB of `s3s-fs` cost a thread
/// switch each; `None` if the range is not of this form, or not within the file.
async fn read_range(file: &Path, range: Option<&str>) -> S3Result<Option<StreamingBlob>> {
    let bounds = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
    let bounds = bounds.and_then(|(first, last)| Some((first.parse::<u64>().ok()?, last.parse::<u64>().ok()?)));
    let mut file = File::open(file).await.map_err(S3Error::internal_error)?;
    let size = file.metadata().await.map_err(S3Error::internal_error)?.len();
    let Some((first, last)) = bounds.filter(|(first, last)| first <= last && *last < size) else { return Ok(None) };
    file.seek(SeekFrom::Start(first)).await.map_err(S3Error::internal_error)?;
    let chunks = stream::try_unfold(file.take(last - first + 1), |mut range| async move {
        let mut chunk = BytesMut::with_capacity(1 << 20);
        let read = range.read_buf(&mut chunk).await?;
        std::io::Result::Ok((read > 0).then(|| (chunk.freeze(), range)))
    });
    Ok(Some(StreamingBlob::wrap(chunks)))
}

fn restore_keys(objects: Option<&mut Vec<Object>>, prefixes: Option<&mut Vec<CommonPrefix>>) {
    for key in objects.into_iter().flatten().filter_map(|object| object.key.as_mut()) {
        *key = key_of(key);
    }
    for prefix in prefixes.into_iter().flatten().filter_map(|prefix| prefix.prefix.as_mut()) {
        *prefix = key_of(prefix);
    }
}
