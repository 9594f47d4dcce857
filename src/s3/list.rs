//! What lies under a prefix, page by page, and how it is deleted: for a person's commands, never for the function.

use std::collections::VecDeque;
use std::fmt;

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{EncodingType, Object};
use percent_encoding::percent_decode_str;

use super::classify::failed;
use super::error::{Kind, Operation, S3Error};
use super::grants::Side;
use super::object::{ETag, ObjectRef};
use super::{Buckets, Store};

/// An object as a listing tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub key: String,
    /// Bytes.
    pub size: u64,
    pub etag: ETag,
    /// When it was written, in whole seconds since 1970, as S3 counts them.
    pub modified: i64,
}

/// The objects under a prefix, in the order of their keys' bytes: a page of up to 1,000 at a time, asked for when the
/// one before is used up.
pub struct Listing {
    client: Client,
    /// Bucket and prefix.
    what: ObjectRef,
    owner: Option<String>,
    page: VecDeque<Listed>,
    next: Next,
    last: Option<String>,
}

enum Next {
    First,
    After(String),
    None,
}

impl fmt::Debug for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Listing({})", self.what)
    }
}

impl Store {
    /// Lists the bucket's objects whose keys begin with the prefix, `prefix.key`. Sends nothing yet.
    #[must_use]
    pub fn list(&self, prefix: &ObjectRef, side: Side) -> Listing {
        let owner = self.buckets.owner(side).cloned();
        let what = prefix.clone();
        let client = match side {
            Side::Source => self.source.clone(),
            Side::Destination => self.client.clone(),
        };
        Listing { client, what, owner, page: VecDeque::new(), next: Next::First, last: None }
    }

    /// Deletes an object at the destination; in a bucket with versions it gets a delete marker. One that is gone already
    /// is no error.
    ///
    /// # Errors
    /// [`S3Error`] of any kind but [`Kind::NotFound`].
    pub async fn delete(&self, object: &ObjectRef) -> Result<(), S3Error> {
        let owner = self.buckets.destination_owner.as_ref();
        let request = self.client.delete_object().bucket(&object.bucket).key(&object.key);
        match request.set_expected_bucket_owner(owner.cloned()).send().await {
            Ok(_) => Ok(()),
            Err(error) => match failed(Operation::DeleteObject, object, error) {
                S3Error { kind: Kind::NotFound, .. } => Ok(()),
                error => Err(error.expecting(owner)),
            },
        }
    }
}

impl Listing {
    /// The next object; `None` after the last.
    ///
    /// # Errors
    /// [`S3Error`]: of kind [`Kind::NotSupported`] where keys do not come in order (S3 Express directory buckets), since
    /// two listings could then not be compared.
    pub async fn next(&mut self) -> Result<Option<Listed>, S3Error> {
        while self.page.is_empty() {
            if !self.turn_page().await? {
                return Ok(None);
            }
        }
        let listed = self.page.pop_front();
        if let (Some(last), Some(Listed { key, .. })) = (&self.last, &listed)
            && key <= last
        {
            let words = format!("its keys come in no order: {key:?} after {last:?}");
            return Err(S3Error::new(Operation::ListObjectsV2, &self.what, Kind::NotSupported).saying(words));
        }
        self.last = listed.as_ref().map(|listed| listed.key.clone());
        Ok(listed)
    }

    /// Whether there was one more.
    async fn turn_page(&mut self) -> Result<bool, S3Error> {
        let token = match std::mem::replace(&mut self.next, Next::None) {
            Next::First => None,
            Next::After(token) => Some(token),
            Next::None => return Ok(false),
        };
        let prefix = Some(&self.what.key).filter(|prefix| !prefix.is_empty());
        let request = self.client.list_objects_v2().bucket(&self.what.bucket).set_prefix(prefix.cloned());
        let sent = request
            .set_continuation_token(token)
            .set_expected_bucket_owner(self.owner.clone())
            // XML has no way to write some characters that a key may have.
            .encoding_type(EncodingType::Url)
            .send()
            .await;
        let operation = Operation::ListObjectsV2;
        let output = sent.map_err(|error| failed(operation, &self.what, error).expecting(self.owner.as_ref()))?;
        let encoded = output.encoding_type == Some(EncodingType::Url);
        for object in output.contents.into_iter().flatten() {
            let listed = listed(object, encoded);
            let nonsense = || S3Error::new(operation, &self.what, Kind::Unavailable).saying("an entry without a key");
            self.page.push_back(listed.ok_or_else(nonsense)?);
        }
        if output.is_truncated == Some(true) {
            let lost = || S3Error::new(operation, &self.what, Kind::Unavailable).saying("more, without a token for it");
            self.next = Next::After(output.next_continuation_token.ok_or_else(lost)?);
        }
        Ok(true)
    }
}

impl Buckets {
    pub(super) fn owner(&self, side: Side) -> Option<&String> {
        match side {
            Side::Source => self.source_owner.as_ref(),
            Side::Destination => self.destination_owner.as_ref(),
        }
    }
}

fn listed(object: Object, encoded: bool) -> Option<Listed> {
    Some(Listed {
        key: decoded(object.key?, encoded)?,
        size: object.size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
        etag: ETag::new(object.e_tag.as_deref().unwrap_or_default()),
        modified: object.last_modified.map_or(0, |time| time.secs()),
    })
}

/// A name in a listing as it is: S3 encodes it as a form does.
pub(super) fn decoded(name: String, encoded: bool) -> Option<String> {
    if !encoded {
        return Some(name);
    }
    let spaced = name.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_in_listings_are_form_encoded() {
        assert_eq!(decoded("a+b%2Bc/%E6%97%A5%01".into(), true).as_deref(), Some("a b+c/日\u{1}"));
        assert_eq!(decoded("a+b%2B".into(), false).as_deref(), Some("a+b%2B"));
        assert_eq!(decoded("%FF".into(), true), None);
    }
}
