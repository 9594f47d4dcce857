//! IAM permissions of each request. Error messages name them; a test compares them with template.yaml. Pure.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html>

use super::operation::Operation;

/// An IAM action that a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IamAction {
    /// Such as `s3:GetObject`.
    pub action: &'static str,
    pub side: Side,
    pub scope: Scope,
    /// Needed only if tags are copied with the object.
    pub for_tags: bool,
}

/// The bucket that an action applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The bucket that is read from.
    Source,
    /// The bucket that is written to.
    Destination,
}

/// Whether an action applies to the bucket itself or to its objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Bucket,
    Objects,
}

/// A program that sends requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// The Lambda function.
    Function,
    /// `karui cp`, `sync` and `uploads`, which also list, and delete if asked to.
    Cli,
}

const fn action(side: Side, scope: Scope, action: &'static str) -> IamAction {
    IamAction { action, side, scope, for_tags: false }
}

const fn for_tags(side: Side, action: &'static str) -> IamAction {
    IamAction { action, side, scope: Scope::Objects, for_tags: true }
}

const GET: IamAction = action(Side::Source, Scope::Objects, "s3:GetObject");
const GET_TAGS: IamAction = for_tags(Side::Source, "s3:GetObjectTagging");
const PUT: IamAction = action(Side::Destination, Scope::Objects, "s3:PutObject");
const PUT_TAGS: IamAction = for_tags(Side::Destination, "s3:PutObjectTagging");
const LIST: IamAction = action(Side::Source, Scope::Bucket, "s3:ListBucket");
const LIST_UPLOADS: IamAction = action(Side::Destination, Scope::Bucket, "s3:ListBucketMultipartUploads");
const DELETE: IamAction = action(Side::Destination, Scope::Objects, "s3:DeleteObject");
const ABORT: IamAction = action(Side::Destination, Scope::Objects, "s3:AbortMultipartUpload");

/// HEAD is sent to both sides. Without s3:ListBucket a missing key answers 403, like a forbidden one.
const HEAD: [IamAction; 4] = [
    action(Side::Destination, Scope::Objects, "s3:GetObject"),
    action(Side::Destination, Scope::Bucket, "s3:ListBucket"),
    GET,
    LIST,
];

impl Operation {
    /// Every request.
    pub const ALL: [Self; 13] = [
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
        Self::ListObjectsV2,
        Self::ListMultipartUploads,
        Self::DeleteObject,
    ];

    /// Programs that send the request.
    #[must_use]
    pub const fn callers(self) -> &'static [Caller] {
        match self {
            Self::HeadObject
            | Self::GetObject
            | Self::GetObjectTagging
            | Self::PutObject
            | Self::CopyObject
            | Self::CreateMultipartUpload
            | Self::UploadPart
            | Self::UploadPartCopy
            | Self::CompleteMultipartUpload
            | Self::AbortMultipartUpload => &[Caller::Function, Caller::Cli],
            Self::ListObjectsV2 | Self::ListMultipartUploads | Self::DeleteObject => &[Caller::Cli],
        }
    }

    /// Every request that a program sends.
    pub fn sent_by(caller: Caller) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |operation| operation.callers().contains(&caller))
    }

    /// IAM actions that the request needs.
    #[must_use]
    pub const fn iam_actions(self) -> &'static [IamAction] {
        match self {
            Self::HeadObject => &HEAD,
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

/// Describes the needed actions, such as `s3:PutObject (and, for tags, s3:PutObjectTagging) on arn:aws:s3:::photos/*`.
pub(super) fn describe(operation: Operation, source: &str, destination: &str) -> String {
    let mut clauses: Vec<String> = Vec::new();
    let actions = operation.iam_actions();
    for needed in actions.iter().filter(|needed| !needed.for_tags) {
        let tags = actions.iter().find(|other| other.for_tags && other.side == needed.side);
        let bucket = match needed.side {
            Side::Source => source,
            Side::Destination => destination,
        };
        let clause = clause(needed, tags, bucket);
        // HEAD names one object, so both sides yield the same clause.
        if !clauses.contains(&clause) {
            clauses.push(clause);
        }
    }
    if clauses.is_empty() {
        clauses.extend(actions.iter().map(|needed| clause(needed, None, source)));
    }
    clauses.join(" and ")
}

fn clause(needed: &IamAction, tags: Option<&IamAction>, bucket: &str) -> String {
    let tags = tags.map(|tags| format!(" (and, for tags, {})", tags.action)).unwrap_or_default();
    let objects = match needed.scope {
        Scope::Bucket => "",
        Scope::Objects => "/*",
    };
    format!("{}{tags} on arn:aws:s3:::{bucket}{objects}", needed.action)
}
