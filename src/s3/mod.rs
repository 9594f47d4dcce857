//! The only caller of S3. Reads objects, writes each one whole or not at all, and copies inside S3. Knows nothing of
//! images. Sends an ACL only if one is configured, since buckets own their objects by default.
//!
//! A [`Client`] is one side and sends all requests that concern one bucket. A [`Pair`] of them copies from one to the
//! other. Each kind of request is in a file of its own, as methods of either.

mod checksum;
mod classify;
mod client;
mod copy;
mod delete;
mod download;
mod error;
mod get;
mod head;
mod list;
mod lost_response;
mod multipart;
mod object;
mod open_uploads;
mod operation;
mod pair;
mod parts;
mod permissions;
mod presign;
mod progress;
mod put;
mod put_stream;
mod read_ordered;
mod read_unordered;
mod relay;
mod request;
mod upload_tracker;

pub use checksum::{StoredChecksum, UploadChecksum};
pub use client::{BucketConfig, Client, ClientConfig, Encryption, RateLimits, TransferConfig, sdk_client};
pub use copy::CopyTags;
pub use download::Download;
pub use error::{S3Error, S3ErrorKind};
pub use head::Existing;
pub use list::{Listed, Listing};
pub use object::{Attributes, Condition, ETag, Head, ObjectRef};
pub use open_uploads::OpenUpload;
pub use operation::Operation;
pub use pair::Pair;
pub use permissions::{Caller, IamAction, Scope, Side};
pub use presign::Presigned;
pub use progress::Progress;
pub use read_unordered::UnorderedReadError;
pub use upload_tracker::UploadTracker;
