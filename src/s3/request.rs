//! Headers that several kinds of requests share.

/// Sets [`Attributes`] on a request. A macro, since `PutObject`, `CopyObject` and `CreateMultipartUpload` share no
/// trait.
macro_rules! with_attributes {
    ($request:expr, $attributes:expr) => {{
        let attributes: &$crate::s3::object::Attributes = &$attributes;
        let metadata = attributes.metadata.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        $request
            .set_content_type(attributes.content_type.clone())
            .set_cache_control(attributes.cache_control.clone())
            .set_content_disposition(attributes.content_disposition.clone())
            .set_content_language(attributes.content_language.clone())
            .set_content_encoding(attributes.content_encoding.clone())
            .set_website_redirect_location(attributes.website_redirect.clone())
            .set_storage_class(attributes.storage_class.as_deref().map(aws_sdk_s3::types::StorageClass::from))
            .set_metadata(Some(metadata))
    }};
}

/// Sets Expires to the stored text. The SDK's setter accepts only dates; S3 accepts any text.
macro_rules! with_expires {
    ($request:expr, $attributes:expr) => {{
        let expires = $attributes.expires.clone();
        $request.customize().mutate_request(move |request| {
            // A value that is not a valid header cannot have come from one.
            let _ = expires.clone().map(|expires| request.headers_mut().try_insert("expires", expires));
        })
    }};
}

/// Sets encryption and ACL where they are configured.
macro_rules! with_protection {
    ($request:expr, $buckets:expr) => {{
        let buckets: &$crate::s3::client::BucketConfig = &$buckets;
        let (algorithm, key) = $crate::s3::client::Encryption::headers(buckets.encryption.as_ref());
        $request
            .set_server_side_encryption(algorithm)
            .set_ssekms_key_id(key)
            .set_acl(buckets.acl.as_deref().map(aws_sdk_s3::types::ObjectCannedAcl::from))
    }};
}

/// Sets a checksum on a request or a completed part. A macro, since `PutObject`, `UploadPart` and the part list share
/// no trait.
macro_rules! with_checksum {
    ($request:expr, $checksum:expr) => {{
        let checksum: Option<&$crate::s3::checksum::StoredChecksum> = $checksum;
        let value = |algorithm| checksum.and_then(|checksum| checksum.value_for(&algorithm));
        $request
            .set_checksum_crc64_nvme(value(aws_sdk_s3::types::ChecksumAlgorithm::Crc64Nvme))
            .set_checksum_crc32_c(value(aws_sdk_s3::types::ChecksumAlgorithm::Crc32C))
            .set_checksum_sha256(value(aws_sdk_s3::types::ChecksumAlgorithm::Sha256))
    }};
}

pub(super) use {with_attributes, with_checksum, with_expires, with_protection};
