//! Checksums of S3: computed for uploads by part and as a whole, and verified against stored ones. Pure.
//!
//! The SDK's own checksums are switched off, since they would be computed twice: it supports no checksum of a whole
//! multipart upload, and none across several range requests. The arithmetic comes from the SDK's crates, so that
//! nothing more is linked.

use std::io::{self, Read};

use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType};
use aws_smithy_checksums::ChecksumAlgorithm as Arithmetic;
use aws_smithy_types::base64;
use bytes::Bytes;
use crc_fast::CrcAlgorithm;
use md5::{Digest as _, Md5};

/// Bytes read from a file at a time.
const READ_BUFFER: usize = 256 << 10;

/// Checksum that is sent with uploads, so that S3 can verify the bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UploadChecksum {
    /// S3's default. Covers the whole object, also for multipart uploads.
    #[default]
    Crc64Nvme,
    /// CRC-32C of the whole object, for stores that have no CRC64NVME.
    Crc32c,
    /// SHA-256. For a multipart upload, S3 keeps the checksum of the parts' checksums.
    Sha256,
    /// Content-MD5, which S3 verifies but does not keep: for stores that support nothing else.
    Md5,
}

/// Checksum of some bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Checksum {
    algorithm: UploadChecksum,
    /// Most significant byte first.
    bytes: Bytes,
    /// Number of bytes that it covers.
    length: u64,
}

impl UploadChecksum {
    pub(super) fn of(self, data: &[u8]) -> Checksum {
        let bytes = match self {
            Self::Crc64Nvme => compute(Arithmetic::Crc64Nvme, data),
            Self::Crc32c => compute(Arithmetic::Crc32c, data),
            Self::Sha256 => compute(Arithmetic::Sha256, data),
            Self::Md5 => Bytes::copy_from_slice(&Md5::digest(data)),
        };
        Checksum { algorithm: self, bytes, length: data.len() as u64 }
    }

    /// Checksum that S3 keeps of an object uploaded in these parts, in order; `None` if it keeps none.
    pub(super) fn of_parts(self, parts: &[Checksum]) -> Option<StoredChecksum> {
        let crc = |algorithm| parts.iter().map(|part| (number(&part.bytes), part.length)).reduce(combine(algorithm));
        let value = match self {
            Self::Crc64Nvme => base64::encode(crc(CrcAlgorithm::Crc64Nvme)?.0.to_be_bytes()),
            Self::Crc32c => base64::encode(u32::try_from(crc(CrcAlgorithm::Crc32Iscsi)?.0).ok()?.to_be_bytes()),
            Self::Sha256 => {
                let all = parts.iter().flat_map(|part| part.bytes.iter().copied()).collect::<Vec<_>>();
                format!("{}-{}", base64::encode(compute(Arithmetic::Sha256, &all)), parts.len())
            }
            Self::Md5 => return None,
        };
        Some(StoredChecksum { algorithm: self.algorithm()?, value })
    }

    /// Algorithm as requests name it; `None` for MD5, which S3 does not keep.
    pub(super) fn algorithm(self) -> Option<ChecksumAlgorithm> {
        match self {
            Self::Crc64Nvme => Some(ChecksumAlgorithm::Crc64Nvme),
            Self::Crc32c => Some(ChecksumAlgorithm::Crc32C),
            Self::Sha256 => Some(ChecksumAlgorithm::Sha256),
            Self::Md5 => None,
        }
    }

    /// Checksum type that a multipart upload requests.
    pub(super) fn checksum_type(self) -> Option<ChecksumType> {
        match self {
            Self::Crc64Nvme | Self::Crc32c => Some(ChecksumType::FullObject),
            Self::Sha256 => Some(ChecksumType::Composite),
            Self::Md5 => None,
        }
    }
}

impl Checksum {
    /// Value of Content-MD5, if this is an MD5.
    pub(super) fn md5(&self) -> Option<String> {
        (self.algorithm == UploadChecksum::Md5).then(|| base64::encode(&self.bytes))
    }

    /// Checksum that S3 keeps of a part, or of an object stored by one request.
    pub(super) fn stored(&self) -> Option<StoredChecksum> {
        Some(StoredChecksum { algorithm: self.algorithm.algorithm()?, value: base64::encode(&self.bytes) })
    }
}

/// Combines the checksums of two adjacent byte ranges without reading a byte again.
fn combine(algorithm: CrcAlgorithm) -> impl Fn((u64, u64), (u64, u64)) -> (u64, u64) {
    move |(first, length), (second, more)| (crc_fast::checksum_combine(algorithm, first, second, more), length + more)
}

/// The checksum that S3 keeps of an object, in base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredChecksum {
    algorithm: ChecksumAlgorithm,
    value: String,
}

impl StoredChecksum {
    /// Returns the first checksum that a response has.
    pub(super) fn first<const N: usize>(answer: [(ChecksumAlgorithm, Option<&str>); N]) -> Option<Self> {
        let stored = |(algorithm, value): (_, Option<&str>)| Some(Self { algorithm, value: value?.to_owned() });
        answer.into_iter().find_map(stored)
    }

    /// Whether `data` matches; `None` if this is a checksum of the parts' checksums, which cannot tell.
    pub(super) fn verify_bytes(&self, data: &[u8]) -> Option<bool> {
        let mut verifier = self.verifier()?;
        verifier.update(data);
        Some(verifier.verify())
    }

    /// Whether all bytes of a reader match; `None` if this is a checksum of the parts' checksums, which cannot tell.
    ///
    /// # Errors
    /// The reader's.
    pub fn verify_reader(&self, mut data: impl Read) -> io::Result<Option<bool>> {
        let Some(mut verifier) = self.verifier() else { return Ok(None) };
        let mut chunk = vec![0; READ_BUFFER];
        loop {
            match data.read(&mut chunk) {
                Ok(0) => return Ok(Some(verifier.verify())),
                Ok(read) => verifier.update(&chunk[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns a verifier for bytes that come in order.
    pub(super) fn verifier(&self) -> Option<Verifier> {
        let arithmetic = self.arithmetic()?;
        self.is_full_object().then(|| Verifier { sum: arithmetic.into_impl(), value: self.value.clone() })
    }

    /// Returns a verifier for parts that come in any order; only CRCs can be combined.
    pub(super) fn parts_verifier(&self) -> Option<PartsVerifier> {
        let crc = match self.algorithm {
            ChecksumAlgorithm::Crc64Nvme => CrcAlgorithm::Crc64Nvme,
            ChecksumAlgorithm::Crc32C => CrcAlgorithm::Crc32Iscsi,
            ChecksumAlgorithm::Crc32 => CrcAlgorithm::Crc32IsoHdlc,
            _ => return None,
        };
        let arithmetic = self.arithmetic()?;
        self.is_full_object().then(|| PartsVerifier { arithmetic, crc, value: self.value.clone() })
    }

    fn arithmetic(&self) -> Option<Arithmetic> {
        Some(match self.algorithm {
            ChecksumAlgorithm::Crc64Nvme => Arithmetic::Crc64Nvme,
            ChecksumAlgorithm::Crc32C => Arithmetic::Crc32c,
            ChecksumAlgorithm::Crc32 => Arithmetic::Crc32,
            ChecksumAlgorithm::Sha1 => Arithmetic::Sha1,
            ChecksumAlgorithm::Sha256 => Arithmetic::Sha256,
            _ => return None,
        })
    }

    /// Whether an unordered download can be verified as well as an ordered one.
    pub(super) fn supports_unordered(&self) -> bool {
        self.verifier().is_none() || self.parts_verifier().is_some()
    }

    /// Whether two objects have the same bytes; `None` if these checksums are not comparable.
    pub(super) fn matches(&self, other: &Self) -> Option<bool> {
        let comparable = self.algorithm == other.algorithm && self.is_full_object() == other.is_full_object();
        comparable.then(|| self.value == other.value)
    }

    /// Whether it covers the whole object. S3 appends `-` and the number of parts to a checksum of checksums.
    pub(super) fn is_full_object(&self) -> bool {
        !self.value.contains('-')
    }

    /// Returns its value, if it is of this algorithm.
    pub(super) fn value_for(&self, algorithm: &ChecksumAlgorithm) -> Option<String> {
        (self.algorithm == *algorithm).then(|| self.value.clone())
    }

    /// Whether a multipart copy of the object has the same checksum.
    pub(super) fn survives_multipart_copy(&self, checksum: UploadChecksum) -> bool {
        let same = checksum.algorithm().as_ref() == Some(&self.algorithm);
        same && checksum.checksum_type() == Some(ChecksumType::FullObject) && self.is_full_object()
    }
}

/// Compares bytes with a checksum as they arrive.
pub(super) struct Verifier {
    sum: Box<dyn aws_smithy_checksums::http::HttpChecksum>,
    value: String,
}

impl Verifier {
    pub(super) fn update(&mut self, data: &[u8]) {
        self.sum.update(data);
    }

    pub(super) fn verify(self) -> bool {
        base64::encode(self.sum.finalize()) == self.value
    }
}

/// Compares parts with a CRC of the whole object, each part by itself.
#[derive(Debug)]
pub(super) struct PartsVerifier {
    arithmetic: Arithmetic,
    crc: CrcAlgorithm,
    value: String,
}

/// CRC of one part, updated as it arrives.
pub(super) struct PartDigest {
    sum: Box<dyn aws_smithy_checksums::http::HttpChecksum>,
    length: u64,
}

impl PartsVerifier {
    pub(super) fn begin(&self) -> PartDigest {
        PartDigest { sum: self.arithmetic.into_impl(), length: 0 }
    }

    /// Whether the parts, in order, match the object's CRC.
    pub(super) fn verify(self, parts: impl Iterator<Item = PartDigest>) -> bool {
        let parts = parts.map(|part| (part.sum.finalize(), part.length));
        let width = if self.crc == CrcAlgorithm::Crc64Nvme { 8 } else { 4 };
        let whole = parts.map(|(bytes, length)| (number(&bytes), length)).reduce(combine(self.crc));
        let (crc, _) = whole.unwrap_or_else(|| (number(&compute(self.arithmetic, b"")), 0));
        base64::encode(&crc.to_be_bytes()[8 - width..]) == self.value
    }
}

impl PartDigest {
    pub(super) fn update(&mut self, data: &[u8]) {
        self.sum.update(data);
        self.length += data.len() as u64;
    }
}

/// Most significant byte first.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn compute(arithmetic: Arithmetic, data: &[u8]) -> Bytes {
    let mut state = arithmetic.into_impl();
    state.update(data);
    state.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATA: &[u8] = b"123456789";

    fn value(stored: Option<StoredChecksum>) -> String {
        stored.unwrap().value
    }

    /// Check values of the CRC catalogue, of RFC 1321 and of FIPS 180's tools.
    #[test]
    fn checksums_match_published_check_values() {
        let base64 = |bytes: &[u8]| Some(base64::encode(bytes));
        let of = |algorithm: UploadChecksum| algorithm.of(DATA).stored().map(|stored| stored.value);
        assert_eq!(of(UploadChecksum::Crc64Nvme), base64(&0xae8b_1486_0a79_9888_u64.to_be_bytes()));
        assert_eq!(of(UploadChecksum::Crc32c), base64(&0xe306_9283_u32.to_be_bytes()));
        assert_eq!(UploadChecksum::Md5.of(DATA).md5().as_deref(), Some("JfnnlDI7RTiF9RgfG2JNCw=="));
        assert_eq!(of(UploadChecksum::Md5), None);
        assert_eq!(of(UploadChecksum::Sha256).as_deref(), Some("FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="));
    }

    #[test]
    fn crcs_of_parts_combine_to_crc_of_whole() {
        for algorithm in [UploadChecksum::Crc64Nvme, UploadChecksum::Crc32c] {
            for cut in 1..DATA.len() {
                let parts = [&DATA[..cut], &DATA[cut..], b""].map(|part| algorithm.of(part));
                assert_eq!(algorithm.of_parts(&parts), algorithm.of(DATA).stored(), "{algorithm:?} at {cut}");
            }
        }
        assert_eq!(UploadChecksum::Crc64Nvme.of_parts(&[]), None);
        assert_eq!(UploadChecksum::Md5.of_parts(&[UploadChecksum::Md5.of(DATA)]), None);
    }

    #[test]
    fn sha256_of_parts_is_composite() {
        let whole = UploadChecksum::Sha256
            .of_parts(&[UploadChecksum::Sha256.of(b"1234"), UploadChecksum::Sha256.of(b"56789")])
            .unwrap();
        assert!(whole.value.ends_with("=-2"), "{whole:?}");
        assert_eq!(whole.verify_bytes(DATA), None);
        assert_eq!(whole.matches(&UploadChecksum::Sha256.of(DATA).stored().unwrap()), None);
        assert_eq!(whole.matches(&whole), Some(true));
    }

    #[test]
    fn stored_checksum_verifies_bytes() {
        for algorithm in [UploadChecksum::Crc64Nvme, UploadChecksum::Crc32c, UploadChecksum::Sha256] {
            let stored = algorithm.of(DATA).stored().unwrap();
            assert_eq!(
                (stored.verify_bytes(DATA), stored.verify_bytes(b"12345678")),
                (Some(true), Some(false)),
                "{algorithm:?}"
            );
        }
        let crc32 = StoredChecksum::first([
            (ChecksumAlgorithm::Sha1, None),
            (ChecksumAlgorithm::Crc32, Some("y/Q5Jg==")),
            (ChecksumAlgorithm::Crc32, Some("no such")),
        ]);
        assert_eq!(crc32.as_ref().and_then(|stored| stored.verify_bytes(DATA)), Some(true));
        assert_eq!(value(crc32), "y/Q5Jg==");
    }
}
