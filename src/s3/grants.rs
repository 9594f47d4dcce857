//! What each request needs to be allowed to do: told in error messages, and held against template.yaml by a test.
//! Pure.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html>

use super::error::Operation;

/// A permission of IAM that a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// Such as `s3:GetObject`.
    pub action: &'static str,
    pub side: Side,
    pub scope: Scope,
    /// Needed only where tags arrive with the object.
    pub for_tags: bool,
}

/// The bucket that a permission is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The one that is read from.
    Source,
    /// The one that is written to.
    Destination,
}

/// What in a bucket a permission is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Bucket,
    Objects,
}

const fn on(side: Side, scope: Scope, action: &'static str) -> Grant {
    Grant { action, side, scope, for_tags: false }
}

const fn for_tags(side: Side, action: &'static str) -> Grant {
    Grant { action, side, scope: Scope::Objects, for_tags: true }
}

const GET: Grant = on(Side::Source, Scope::Objects, "s3:GetObject");
const GET_TAGS: Grant = for_tags(Side::Source, "s3:GetObjectTagging");
const PUT: Grant = on(Side::Destination, Scope::Objects, "s3:PutObject");
const PUT_TAGS: Grant = for_tags(Side::Destination, "s3:PutObjectTagging");
const LIST: Grant = on(Side::Source, Scope::Bucket, "s3:ListBucket");
const LIST_UPLOADS: Grant = on(Side::Destination, Scope::Bucket, "s3:ListBucketMultipartUploads");
const DELETE: Grant = on(Side::Destination, Scope::Objects, "s3:DeleteObject");
const ABORT: Grant = on(Side::Destination, Scope::Objects, "s3:AbortMultipartUpload");

/// HEAD looks at either side. Without s3:ListBucket a missing key answers 403, as if it were forbidden.
const LOOK: [Grant; 4] = [
    on(Side::Destination, Scope::Objects, "s3:GetObject"),
    on(Side::Destination, Scope::Bucket, "s3:ListBucket"),
    GET,
    LIST,
];

impl Operation {
    /// Every request that the function sends. People's commands send more: they list, and delete where they are asked to.
    pub const OF_FUNCTION: [Self; 10] = [
        Self::HeadObject,
        Self::GetObject,
        Self::GetObjectTagging,
        Self::PutObject,
        Self::CopyObject,
        Self::CreateMultipartUpload,
        Self::UploadPart,
        Self::UploadPartCopy,
        Self::CompleteMultipartUpload,
        Self::AbortMultipartUpload,
    ];

    /// What it needs to be allowed to do.
    #[must_use]
    pub const fn grants(self) -> &'static [Grant] {
        match self {
            Self::HeadObject => &LOOK,
            Self::GetObject => &[GET],
            Self::GetObjectTagging => &[GET_TAGS],
            Self::PutObject | Self::CreateMultipartUpload => &[PUT, PUT_TAGS],
            Self::UploadPart | Self::CompleteMultipartUpload => &[PUT],
            Self::CopyObject => &[GET, GET_TAGS, PUT, PUT_TAGS],
            Self::UploadPartCopy => &[GET, PUT],
            Self::AbortMultipartUpload => &[ABORT],
            Self::ListObjectsV2 => &[LIST],
            Self::ListMultipartUploads => &[LIST_UPLOADS],
            Self::DeleteObject => &[DELETE],
        }
    }
}

/// Such as `s3:PutObject (and, for tags, s3:PutObjectTagging) on arn:aws:s3:::photos/*`.
pub(super) fn in_words(operation: Operation, source: &str, destination: &str) -> String {
    let mut clauses: Vec<String> = Vec::new();
    let grants = operation.grants();
    for grant in grants.iter().filter(|grant| !grant.for_tags) {
        let tags = grants.iter().find(|other| other.for_tags && other.side == grant.side);
        let bucket = match grant.side {
            Side::Source => source,
            Side::Destination => destination,
        };
        let clause = clause(grant, tags, bucket);
        // Of HEAD, both sides are the one object that was looked at.
        if !clauses.contains(&clause) {
            clauses.push(clause);
        }
    }
    if clauses.is_empty() {
        clauses.extend(grants.iter().map(|grant| clause(grant, None, source)));
    }
    clauses.join(" and ")
}

fn clause(grant: &Grant, tags: Option<&Grant>, bucket: &str) -> String {
    let tags = tags.map(|tags| format!(" (and, for tags, {})", tags.action)).unwrap_or_default();
    let objects = match grant.scope {
        Scope::Bucket => "",
        Scope::Objects => "/*",
    };
    format!("{}{tags} on arn:aws:s3:::{bucket}{objects}", grant.action)
}
