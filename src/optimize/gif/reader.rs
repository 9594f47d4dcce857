//! Reads bytes and data sub-blocks of a GIF file in order.

use crate::optimize::error::ImageError;
use crate::optimize::format::Format;

/// Data sub-blocks (15), up to and with their terminator (16).
pub fn sub_blocks<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], ImageError> {
    let start = *rest;
    loop {
        let &[length] = take_array(rest)?;
        take(rest, length.into())?;
        if length == 0 {
            return Ok(&start[..start.len() - rest.len()]);
        }
    }
}

/// The next `length` bytes.
pub fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], ImageError> {
    let (taken, after) = rest.split_at_checked(length).ok_or_else(truncated)?;
    *rest = after;
    Ok(taken)
}

/// The next `N` bytes.
pub fn take_array<'a, const N: usize>(rest: &mut &'a [u8]) -> Result<&'a [u8; N], ImageError> {
    let (taken, after) = rest.split_first_chunk().ok_or_else(truncated)?;
    *rest = after;
    Ok(taken)
}

/// The error of a file that ends within a block.
pub fn truncated() -> ImageError {
    ImageError::truncated(Format::Gif, "cut short")
}

/// The error of a damaged file.
pub fn malformed(detail: impl Into<String>) -> ImageError {
    ImageError::malformed(Format::Gif, detail)
}
