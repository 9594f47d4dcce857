//! What S3 would say of a local file: its Content-Type and its `ETag`.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use md5::{Digest, Md5};

use crate::optimize::Format;
use crate::s3::ETag;

/// Content-Type of a file: by its bytes for an image, else by its name.
pub fn content_type(path: &Path, bytes: &[u8]) -> String {
    let image = Format::sniff(bytes).map(Format::mime);
    let mime = image.or_else(|| mime_guess::from_path(path).first_raw());
    mime.unwrap_or("application/octet-stream").to_owned()
}

/// Computes the `ETag` that S3 gives a file uploaded in one request without a KMS key.
///
/// # Errors
/// Those of the file.
pub fn etag_of_file(path: &Path) -> io::Result<ETag> {
    etag_of(&mut File::open(path)?)
}

/// Computes the same `ETag` of an open file, from its beginning.
///
/// # Errors
/// Those of the file.
pub fn etag_of(file: &mut File) -> io::Result<ETag> {
    let mut digest = Md5::new();
    file.rewind()?;
    io::copy(file, &mut DigestWriter(&mut digest))?;
    Ok(ETag::new(&hex(&digest.finalize())))
}

/// Returns the first `n` bytes of a newly opened file, or fewer if it is smaller.
///
/// # Errors
/// Those of the file.
pub fn first_bytes(file: &mut File, n: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(n);
    file.take(n as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

struct DigestWriter<'a>(&'a mut Md5);

impl Write for DigestWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_type_of_image_follows_bytes() {
        let of = |name: &str, bytes: &[u8]| content_type(Path::new(name), bytes);
        assert_eq!(of("a.txt", b"\xff\xd8\xff\xe0"), "image/jpeg");
        assert_eq!(of("a.css", b"body {}"), "text/css");
        assert_eq!(of("a.unheard-of", b"?"), "application/octet-stream");
    }

    #[test]
    fn etag_of_file_is_its_md5() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "abc").unwrap();
        assert_eq!(etag_of_file(file.path()).unwrap(), ETag::new("900150983cd24fb0d6963f7d28e17f72"));
    }
}
