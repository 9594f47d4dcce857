//! Limits the memory of files processed in parallel. Estimates from headers; the engine's own limits check each image.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes of memory per pixel while an image is searched and scored: the most, for a PNG with colour reduction.
const BYTES_PER_PIXEL: u64 = 48;

/// Bytes of pixels per byte of file, if the pixel count is unknown: that of a dense PNG.
const BYTES_PER_FILE_BYTE: u64 = 20;

/// Estimates the bytes of memory that this file needs, source included. Rewinds the reader.
///
/// # Errors
/// Those of the reader.
pub fn estimate(file: &mut (impl Read + Seek), length: u64) -> io::Result<u64> {
    let pixels = match pixels(file) {
        Ok(pixels) => pixels,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
        Err(error) => return Err(error),
    };
    file.seek(SeekFrom::Start(0))?;
    let working = match pixels {
        Some(pixels) => pixels.saturating_mul(BYTES_PER_PIXEL),
        None => length.saturating_mul(BYTES_PER_FILE_BYTE),
    };
    Ok(working.saturating_add(length.saturating_mul(2)))
}

/// Reads width × height from the header of a PNG, JPEG, GIF or WebP.
fn pixels(file: &mut (impl Read + Seek)) -> io::Result<Option<u64>> {
    file.seek(SeekFrom::Start(0))?;
    let mut magic = [0; 2];
    file.read_exact(&mut magic)?;
    match magic {
        [0x89, b'P'] => {
            // PNG (third edition), 11.2.1: IHDR comes first; width and height stand at byte 16.
            file.seek(SeekFrom::Start(16))?;
            let (mut width, mut height) = ([0; 4], [0; 4]);
            file.read_exact(&mut width)?;
            file.read_exact(&mut height)?;
            Ok(Some(u64::from(u32::from_be_bytes(width)) * u64::from(u32::from_be_bytes(height))))
        }
        [0xff, 0xd8] => jpeg_pixels(file),
        [b'G', b'I'] => {
            // GIF89a, 18: the logical screen descriptor follows the signature.
            file.seek(SeekFrom::Start(6))?;
            let mut screen = [0; 4];
            file.read_exact(&mut screen)?;
            let [w0, w1, h0, h1] = screen;
            Ok(Some(u64::from(u16::from_le_bytes([w0, w1])) * u64::from(u16::from_le_bytes([h0, h1]))))
        }
        [b'R', b'I'] => {
            let mut header = [0; 30];
            file.seek(SeekFrom::Start(0))?;
            file.read_exact(&mut header)?;
            Ok(webp_pixels(&header))
        }
        _ => Ok(None),
    }
}

/// Reads the size from the first chunk, of any kind (RFC 9649, 2.5 to 2.7).
fn webp_pixels(header: &[u8; 30]) -> Option<u64> {
    let number = |at: usize, bytes: usize| {
        header[at..at + bytes].iter().rev().fold(0, |number, byte| (number << 8) | u64::from(*byte))
    };
    match &header[12..16] {
        b"VP8X" => Some((number(24, 3) + 1) * (number(27, 3) + 1)),
        // 14 bits for each size.
        b"VP8L" => Some(((number(21, 2) & 0x3FFF) + 1) * (((number(21, 4) >> 14) & 0x3FFF) + 1)),
        b"VP8 " => Some((number(26, 2) & 0x3FFF) * (number(28, 2) & 0x3FFF)),
        _ => None,
    }
}

/// Follows the marker segments (ITU-T T.81, B.1.1.4) to the frame header (B.2.2).
fn jpeg_pixels(file: &mut (impl Read + Seek)) -> io::Result<Option<u64>> {
    loop {
        let mut segment = [0; 4];
        file.read_exact(&mut segment)?;
        let [0xff, marker, high, low] = segment else { return Ok(None) };
        match marker {
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                let mut frame = [0; 5];
                file.read_exact(&mut frame)?;
                let [_, h1, h0, w1, w0] = frame;
                return Ok(Some(u64::from(u16::from_be_bytes([h1, h0])) * u64::from(u16::from_be_bytes([w1, w0]))));
            }
            0xda => return Ok(None),
            _ => file.seek_relative(i64::from(u16::from_be_bytes([high, low])) - 2)?,
        }
    }
}

/// A memory budget: admits work while the sum of what runs is within `capacity`. Work over the capacity runs alone.
#[derive(Debug)]
pub struct MemoryBudget {
    capacity: u64,
    free: Mutex<u64>,
    freed: Condvar,
}

impl MemoryBudget {
    pub fn new(capacity: u64) -> Self {
        Self { capacity, free: Mutex::new(capacity), freed: Condvar::new() }
    }

    /// Waits until `need` bytes are free, and holds them until the permit is dropped.
    pub fn acquire(&self, need: u64) -> Permit<'_> {
        let held = need.min(self.capacity);
        let free = self.freed.wait_while(self.lock(), |free| *free < held);
        *free.unwrap_or_else(PoisonError::into_inner) -= held;
        Permit { memory_budget: self, held }
    }

    /// A poisoned lock is harmless: a number cannot be half-written.
    fn lock(&self) -> MutexGuard<'_, u64> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
pub struct Permit<'a> {
    memory_budget: &'a MemoryBudget,
    held: u64,
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        *self.memory_budget.lock() += self.held;
        self.memory_budget.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    fn fixture(name: &str) -> Vec<u8> {
        std::fs::read(format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    }

    #[test]
    fn pixels_are_read_from_headers() {
        for (name, expected) in [
            ("photo-420.jpg", Some(600 * 400)),
            ("photo-rotated.jpg", Some(512 * 400)),
            ("photo-progressive.jpg", Some(640 * 427)),
            ("icon.png", Some(256 * 256)),
            ("animated.gif", Some(160 * 160)),
        ] {
            assert_eq!(pixels(&mut Cursor::new(fixture(name))).unwrap(), expected, "{name}");
        }
    }

    #[test]
    fn pixels_are_read_from_every_webp_chunk() {
        let of = |chunk: &[u8]| {
            let mut header = b"RIFF\0\0\0\0WEBP".to_vec();
            header.extend(chunk);
            header.resize(30, 0);
            pixels(&mut Cursor::new(header)).unwrap()
        };
        assert_eq!(of(b"VP8X\x0A\0\0\0\0\0\0\0\x08\0\0\x04\0\0"), Some(9 * 5));
        assert_eq!(of(b"VP8L\x05\0\0\0\x2F\x08\0\x01\0"), Some(9 * 5));
        assert_eq!(of(b"VP8 \x0A\0\0\0\x10\0\0\x9D\x01\x2A\x09\0\x05\0"), Some(9 * 5));
        assert_eq!(of(b"JUNK"), None);
    }

    #[test]
    fn estimate_of_truncated_header_is_a_number() {
        let bytes = fixture("photo-rotated.jpg");
        for end in 0..200 {
            let mut file = Cursor::new(&bytes[..end]);
            assert!(estimate(&mut file, end as u64).unwrap() >= end as u64);
            assert_eq!(file.position(), 0);
        }
    }

    #[test]
    fn acquire_keeps_the_sum_under_the_capacity() {
        let memory_budget = MemoryBudget::new(100);
        let (running, most) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for need in [60, 60, 30, 1000, 40, 10] {
                let (memory_budget, running, most) = (&memory_budget, &running, &most);
                scope.spawn(move || {
                    let permit = memory_budget.acquire(need);
                    let now = running.fetch_add(need.min(100), Ordering::SeqCst) + need.min(100);
                    most.fetch_max(now, Ordering::SeqCst);
                    std::thread::sleep(std::time::Duration::from_millis(5));
                    running.fetch_sub(need.min(100), Ordering::SeqCst);
                    drop(permit);
                });
            }
        });
        assert_eq!(most.load(Ordering::SeqCst), 100);
        assert_eq!(*memory_budget.lock(), 100);
    }
}
