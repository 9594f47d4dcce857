//! Lists objects. Only CLI commands use it, never the function.

use std::collections::VecDeque;
use std::fmt;

use aws_sdk_s3::types::{EncodingType, Object};
use percent_encoding::percent_decode_str;

use super::classify::failed;
use super::client::Client;
use super::error::{S3Error, S3ErrorKind};
use super::object::{ETag, ObjectRef};
use super::operation::Operation;

/// An object in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub key: String,
    /// Bytes.
    pub size: u64,
    pub etag: ETag,
    /// Last-Modified in seconds since 1970.
    pub modified: i64,
}

/// The objects under a prefix in the byte order of their keys. Requests pages of up to 1,000 as they are needed.
pub struct Listing {
    client: Client,
    /// Bucket and prefix.
    what: ObjectRef,
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

impl Client {
    /// Lists objects whose keys begin with `prefix.key`. Sends no request yet.
    #[must_use]
    pub fn list(&self, prefix: &ObjectRef) -> Listing {
        let (client, what) = (self.clone(), prefix.clone());
        Listing { client, what, page: VecDeque::new(), next: Next::First, last: None }
    }
}

impl Listing {
    /// Returns the next object; `None` after the last.
    ///
    /// # Errors
    /// [`S3Error`]: kind [`S3ErrorKind::NotSupported`] if keys are not in order (S3 Express directory buckets), since
    /// two such listings cannot be compared.
    pub async fn next(&mut self) -> Result<Option<Listed>, S3Error> {
        while self.page.is_empty() {
            if !self.request_page().await? {
                return Ok(None);
            }
        }
        let listed = self.page.pop_front();
        if let (Some(last), Some(Listed { key, .. })) = (&self.last, &listed)
            && key <= last
        {
            let words = format!("keys are not in order: {key:?} after {last:?}");
            return Err(
                S3Error::new(Operation::ListObjectsV2, &self.what, S3ErrorKind::NotSupported).with_message(words)
            );
        }
        self.last = listed.as_ref().map(|listed| listed.key.clone());
        Ok(listed)
    }

    /// Requests the next page. Returns whether there was one.
    async fn request_page(&mut self) -> Result<bool, S3Error> {
        let token = match std::mem::replace(&mut self.next, Next::None) {
            Next::First => None,
            Next::After(token) => Some(token),
            Next::None => return Ok(false),
        };
        let prefix = Some(&self.what.key).filter(|prefix| !prefix.is_empty());
        let owner = self.client.buckets.owner.as_ref();
        let request = self.client.sdk.list_objects_v2().bucket(&self.what.bucket).set_prefix(prefix.cloned());
        let sent = request
            .set_continuation_token(token)
            .set_expected_bucket_owner(owner.cloned())
            // XML cannot represent some characters that a key may contain.
            .encoding_type(EncodingType::Url)
            .send()
            .await;
        let operation = Operation::ListObjectsV2;
        let output = sent.map_err(|error| failed(operation, &self.what, error).with_expected_owner(owner))?;
        let encoded = output.encoding_type == Some(EncodingType::Url);
        for object in output.contents.into_iter().flatten() {
            let listed = listed(object, encoded);
            let nonsense = || {
                S3Error::new(operation, &self.what, S3ErrorKind::Unavailable).with_message("a list entry without a key")
            };
            self.page.push_back(listed.ok_or_else(nonsense)?);
        }
        if output.is_truncated == Some(true) {
            let lost = || {
                S3Error::new(operation, &self.what, S3ErrorKind::Unavailable)
                    .with_message("a truncated list without a continuation token")
            };
            self.next = Next::After(output.next_continuation_token.ok_or_else(lost)?);
        }
        Ok(true)
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

/// Decodes a key of a listing, which S3 form-encodes.
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
    fn listed_key_is_form_decoded() {
        assert_eq!(decoded("a+b%2Bc/%E6%97%A5%01".into(), true).as_deref(), Some("a b+c/日\u{1}"));
        assert_eq!(decoded("a+b%2B".into(), false).as_deref(), Some("a+b%2B"));
        assert_eq!(decoded("%FF".into(), true), None);
    }
}
