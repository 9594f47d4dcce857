//! Checksums as S3 knows them: of what is written, part by part and whole, and of what is kept beside an object. Pure.
//!
//! The SDK's own are switched off, for they would be computed a second time: it knows no checksum of a whole upload, and
//! none of bytes that come by several requests. The arithmetic is its crates', so that nothing more is linked.

use std::io::{self, Read};

use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType};
use aws_smithy_checksums::ChecksumAlgorithm as Arithmetic;
use aws_smithy_types::base64;
use bytes::Bytes;
use crc_fast::CrcAlgorithm;
use md5::{Digest as _, Md5};

/// Bytes of a file that are read at a time.
const READ_AT_ONCE: usize = 256 << 10;

/// Proves to S3 that the bytes it received are those that were sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Checksum {
    /// S3's own choice, of the whole object also where it is written in parts.
    #[default]
    Crc64Nvme,
    /// The same in 32 bits, for clients that know no other.
    Crc32c,
    /// Of an object in parts S3 keeps the checksum of their checksums.
    Sha256,
    /// As Content-MD5, which S3 compares and does not keep: for stores that know nothing else.
    Md5,
}

/// The checksum of some bytes, as they are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sum {
    algorithm: Checksum,
    /// Most significant byte first.
    bytes: Bytes,
    /// How many bytes it is the checksum of.
    length: u64,
}

impl Checksum {
    pub(super) fn of(self, data: &[u8]) -> Sum {
        let bytes = match self {
            Self::Crc64Nvme => compute(Arithmetic::Crc64Nvme, data),
            Self::Crc32c => compute(Arithmetic::Crc32c, data),
            Self::Sha256 => compute(Arithmetic::Sha256, data),
            Self::Md5 => Bytes::copy_from_slice(&Md5::digest(data)),
        };
        Sum { algorithm: self, bytes, length: data.len() as u64 }
    }

    /// What S3 keeps of an object that was written in these parts, in order; `None` where it keeps nothing.
    pub(super) fn of_parts(self, parts: &[Sum]) -> Option<Stored> {
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
        Some(Stored { algorithm: self.named()?, value })
    }

    /// As requests name it; MD5 is none of the checksums that S3 keeps.
    pub(super) fn named(self) -> Option<ChecksumAlgorithm> {
        match self {
            Self::Crc64Nvme => Some(ChecksumAlgorithm::Crc64Nvme),
            Self::Crc32c => Some(ChecksumAlgorithm::Crc32C),
            Self::Sha256 => Some(ChecksumAlgorithm::Sha256),
            Self::Md5 => None,
        }
    }

    /// What an upload in parts is to have of it.
    pub(super) fn kept(self) -> Option<ChecksumType> {
        match self {
            Self::Crc64Nvme | Self::Crc32c => Some(ChecksumType::FullObject),
            Self::Sha256 => Some(ChecksumType::Composite),
            Self::Md5 => None,
        }
    }
}

impl Sum {
    /// The value of Content-MD5, where that is what it is.
    pub(super) fn md5(&self) -> Option<String> {
        (self.algorithm == Checksum::Md5).then(|| base64::encode(&self.bytes))
    }

    /// As S3 keeps it of a part, or of an object that was written at once.
    pub(super) fn stored(&self) -> Option<Stored> {
        Some(Stored { algorithm: self.algorithm.named()?, value: base64::encode(&self.bytes) })
    }
}

/// The checksum of two stretches in a row, from theirs: no byte is looked at twice.
fn combine(algorithm: CrcAlgorithm) -> impl Fn((u64, u64), (u64, u64)) -> (u64, u64) {
    move |(first, length), (second, more)| (crc_fast::checksum_combine(algorithm, first, second, more), length + more)
}

/// The checksum that S3 keeps of an object, in base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    algorithm: ChecksumAlgorithm,
    value: String,
}

impl Stored {
    /// The first of these that an answer has.
    pub(super) fn first<const N: usize>(answer: [(ChecksumAlgorithm, Option<&str>); N]) -> Option<Self> {
        let stored = |(algorithm, value): (_, Option<&str>)| Some(Self { algorithm, value: value?.to_owned() });
        answer.into_iter().find_map(stored)
    }

    /// Whether these are the object's bytes; `None` where it cannot tell, being made of the checksums of parts.
    pub(super) fn proves(&self, data: &[u8]) -> Option<bool> {
        let mut proof = self.proof()?;
        proof.update(data);
        Some(proof.holds())
    }

    /// The same of all that is read.
    ///
    /// # Errors
    /// The reader's.
    pub fn proves_all(&self, mut data: impl Read) -> io::Result<Option<bool>> {
        let Some(mut proof) = self.proof() else { return Ok(None) };
        let mut chunk = vec![0; READ_AT_ONCE];
        loop {
            match data.read(&mut chunk) {
                Ok(0) => return Ok(Some(proof.holds())),
                Ok(read) => proof.update(&chunk[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The same of bytes that come one after the other.
    pub(super) fn proof(&self) -> Option<Proof> {
        let arithmetic = self.arithmetic()?;
        self.is_of_the_whole().then(|| Proof { sum: arithmetic.into_impl(), value: self.value.clone() })
    }

    /// The same of parts that come in any order, where two CRCs make a third.
    pub(super) fn proof_by_parts(&self) -> Option<PartProof> {
        let crc = match self.algorithm {
            ChecksumAlgorithm::Crc64Nvme => CrcAlgorithm::Crc64Nvme,
            ChecksumAlgorithm::Crc32C => CrcAlgorithm::Crc32Iscsi,
            ChecksumAlgorithm::Crc32 => CrcAlgorithm::Crc32IsoHdlc,
            _ => return None,
        };
        let arithmetic = self.arithmetic()?;
        self.is_of_the_whole().then(|| PartProof { arithmetic, crc, value: self.value.clone() })
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

    /// Whether it takes an object's bytes in any order, if it takes them at all.
    pub(super) fn takes_any_order(&self) -> bool {
        self.proof().is_none() || self.proof_by_parts().is_some()
    }

    /// Whether two objects have the same bytes; `None` where these two cannot tell.
    pub(super) fn agrees(&self, other: &Self) -> Option<bool> {
        let comparable = self.algorithm == other.algorithm && self.is_of_the_whole() == other.is_of_the_whole();
        comparable.then(|| self.value == other.value)
    }

    /// S3 writes the number of parts behind a checksum of their checksums.
    pub(super) fn is_of_the_whole(&self) -> bool {
        !self.value.contains('-')
    }

    /// Its value, where it is of this algorithm.
    pub(super) fn as_a(&self, algorithm: &ChecksumAlgorithm) -> Option<String> {
        (self.algorithm == *algorithm).then(|| self.value.clone())
    }

    /// Of a source: whether a copy of it in parts has the same.
    pub(super) fn is_of_a_copy(&self, checksum: Checksum) -> bool {
        let same = checksum.named().as_ref() == Some(&self.algorithm);
        same && checksum.kept() == Some(ChecksumType::FullObject) && self.is_of_the_whole()
    }
}

/// Whether an object's bytes are those of its checksum, found out as they come.
pub(super) struct Proof {
    sum: Box<dyn aws_smithy_checksums::http::HttpChecksum>,
    value: String,
}

impl Proof {
    pub(super) fn update(&mut self, data: &[u8]) {
        self.sum.update(data);
    }

    pub(super) fn holds(self) -> bool {
        base64::encode(self.sum.finalize()) == self.value
    }
}

/// The same of parts, each by itself.
#[derive(Debug)]
pub(super) struct PartProof {
    arithmetic: Arithmetic,
    crc: CrcAlgorithm,
    value: String,
}

/// The CRC of one part, as it comes.
pub(super) struct PartSum {
    sum: Box<dyn aws_smithy_checksums::http::HttpChecksum>,
    length: u64,
}

impl PartProof {
    pub(super) fn begin(&self) -> PartSum {
        PartSum { sum: self.arithmetic.into_impl(), length: 0 }
    }

    /// Whether the parts, in order, are the object.
    pub(super) fn holds(self, parts: impl Iterator<Item = PartSum>) -> bool {
        let parts = parts.map(|part| (part.sum.finalize(), part.length));
        let width = if self.crc == CrcAlgorithm::Crc64Nvme { 8 } else { 4 };
        let whole = parts.map(|(bytes, length)| (number(&bytes), length)).reduce(combine(self.crc));
        let (crc, _) = whole.unwrap_or_else(|| (number(&compute(self.arithmetic, b"")), 0));
        base64::encode(&crc.to_be_bytes()[8 - width..]) == self.value
    }
}

impl PartSum {
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

    fn value(stored: Option<Stored>) -> String {
        stored.unwrap().value
    }

    /// The check values of the CRC catalogue, and of RFC 1321 and FIPS 180's tools.
    #[test]
    fn checksums_are_the_ones_of_the_book() {
        let base64 = |bytes: &[u8]| Some(base64::encode(bytes));
        let of = |algorithm: Checksum| algorithm.of(DATA).stored().map(|stored| stored.value);
        assert_eq!(of(Checksum::Crc64Nvme), base64(&0xae8b_1486_0a79_9888_u64.to_be_bytes()));
        assert_eq!(of(Checksum::Crc32c), base64(&0xe306_9283_u32.to_be_bytes()));
        assert_eq!(Checksum::Md5.of(DATA).md5().as_deref(), Some("JfnnlDI7RTiF9RgfG2JNCw=="));
        assert_eq!(of(Checksum::Md5), None);
        assert_eq!(of(Checksum::Sha256).as_deref(), Some("FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="));
    }

    #[test]
    fn parts_make_the_checksum_of_the_whole() {
        for algorithm in [Checksum::Crc64Nvme, Checksum::Crc32c] {
            for cut in 1..DATA.len() {
                let parts = [&DATA[..cut], &DATA[cut..], b""].map(|part| algorithm.of(part));
                assert_eq!(algorithm.of_parts(&parts), algorithm.of(DATA).stored(), "{algorithm:?} at {cut}");
            }
        }
        assert_eq!(Checksum::Crc64Nvme.of_parts(&[]), None);
        assert_eq!(Checksum::Md5.of_parts(&[Checksum::Md5.of(DATA)]), None);
    }

    #[test]
    fn sha256_of_parts_is_one_of_their_checksums() {
        let whole = Checksum::Sha256.of_parts(&[Checksum::Sha256.of(b"1234"), Checksum::Sha256.of(b"56789")]).unwrap();
        assert!(whole.value.ends_with("=-2"), "{whole:?}");
        assert_eq!(whole.proves(DATA), None);
        assert_eq!(whole.agrees(&Checksum::Sha256.of(DATA).stored().unwrap()), None);
        assert_eq!(whole.agrees(&whole), Some(true));
    }

    #[test]
    fn what_is_kept_proves_the_bytes() {
        for algorithm in [Checksum::Crc64Nvme, Checksum::Crc32c, Checksum::Sha256] {
            let stored = algorithm.of(DATA).stored().unwrap();
            assert_eq!((stored.proves(DATA), stored.proves(b"12345678")), (Some(true), Some(false)), "{algorithm:?}");
        }
        let crc32 = Stored::first([
            (ChecksumAlgorithm::Sha1, None),
            (ChecksumAlgorithm::Crc32, Some("y/Q5Jg==")),
            (ChecksumAlgorithm::Crc32, Some("no such")),
        ]);
        assert_eq!(crc32.as_ref().and_then(|stored| stored.proves(DATA)), Some(true));
        assert_eq!(value(crc32), "y/Q5Jg==");
    }
}
