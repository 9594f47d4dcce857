//! Deletes objects. Only CLI commands use it, never the function.

use super::classify::failed;
use super::client::Client;
use super::error::{S3Error, S3ErrorKind};
use super::object::ObjectRef;
use super::operation::Operation;

impl Client {
    /// Deletes an object. A versioned bucket adds a delete marker. A missing object is no error.
    ///
    /// # Errors
    /// [`S3Error`] of any kind but [`S3ErrorKind::NotFound`].
    pub async fn delete(&self, object: &ObjectRef) -> Result<(), S3Error> {
        let owner = self.buckets.owner.as_ref();
        let request = self.sdk.delete_object().bucket(&object.bucket).key(&object.key);
        match request.set_expected_bucket_owner(owner.cloned()).send().await {
            Ok(_) => Ok(()),
            Err(error) => match failed(Operation::DeleteObject, object, error) {
                S3Error { kind: S3ErrorKind::NotFound, .. } => Ok(()),
                error => Err(error.with_expected_owner(owner)),
            },
        }
    }
}
