//! Reads the beginning of a file, which tells what it is.

use std::fs::File;
use std::io::{self, Read, Seek};

/// Returns the first `n` bytes of a file, or all of a smaller one, and rewinds it.
///
/// # Errors
/// Those of the file.
pub fn first_bytes(file: &mut File, n: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(n);
    file.rewind()?;
    file.take(n as u64).read_to_end(&mut bytes)?;
    file.rewind()?;
    Ok(bytes)
}
