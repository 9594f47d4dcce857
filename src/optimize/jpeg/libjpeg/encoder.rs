//! libjpeg's compressor: created, its output collected, destroyed.

use std::ptr;

use super::errors::error_manager;
use super::{FALSE, TRUE, sys};
use sys::{JBOOLEAN_OPTIMIZE_SCANS, boolean, jpeg_compress_struct, jpeg_destination_mgr, jpeg_error_mgr};

/// libjpeg holds a pointer to `manager`, its first field, and hands it back to the three functions below.
#[repr(C)]
struct Destination {
    manager: jpeg_destination_mgr,
    bytes: Vec<u8>,
}

const FIRST_BUFFER: usize = 64 << 10;

pub struct Encoder {
    pub info: Box<jpeg_compress_struct>,
    _errors: Box<jpeg_error_mgr>,
    destination: Box<Destination>,
}

impl Encoder {
    pub fn new() -> Self {
        let mut errors = error_manager();
        let destination = Box::new(Destination {
            manager: jpeg_destination_mgr {
                next_output_byte: ptr::null_mut(),
                free_in_buffer: 0,
                init_destination: Some(begin_output),
                empty_output_buffer: Some(grow_output),
                term_destination: Some(end_output),
            },
            bytes: Vec::new(),
        });
        // SAFETY: as in `Decoder::open`.
        let mut info: Box<jpeg_compress_struct> = unsafe { Box::new(std::mem::zeroed()) };
        info.common.err = &raw mut *errors;
        let mut encoder = Self { info, _errors: errors, destination };
        unsafe { sys::jpeg_create_compress(&raw mut *encoder.info) };
        encoder.info.dest = (&raw mut *encoder.destination).cast();
        encoder
    }

    pub fn finish(mut self) -> Vec<u8> {
        // SAFETY: every row, or every coefficient array, was handed over.
        unsafe { sys::jpeg_finish_compress(&mut self.info) };
        std::mem::take(&mut self.destination.bytes)
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: as for `Decoder`.
        unsafe { sys::jpeg_destroy_compress(&mut self.info) };
    }
}

/// # Safety
/// `info.dest` must point to the `manager` of a [`Destination`], as [`Encoder::new`] sets it.
unsafe fn destination(info: &mut jpeg_compress_struct) -> &mut Destination {
    unsafe { &mut *info.dest.cast::<Destination>() }
}

unsafe extern "C-unwind" fn begin_output(info: &mut jpeg_compress_struct) {
    let destination = unsafe { destination(info) };
    destination.bytes = vec![0; FIRST_BUFFER];
    destination.manager.next_output_byte = destination.bytes.as_mut_ptr();
    destination.manager.free_in_buffer = destination.bytes.len();
}

/// libjpeg calls this with the buffer full, whatever `free_in_buffer` says (jpeglib.h).
unsafe extern "C-unwind" fn grow_output(info: &mut jpeg_compress_struct) -> boolean {
    let destination = unsafe { destination(info) };
    let full = destination.bytes.len();
    destination.bytes.resize(full * 2, 0);
    destination.manager.next_output_byte = destination.bytes[full..].as_mut_ptr();
    destination.manager.free_in_buffer = full;
    TRUE
}

unsafe extern "C-unwind" fn end_output(info: &mut jpeg_compress_struct) {
    let destination = unsafe { destination(info) };
    let used = destination.bytes.len() - destination.manager.free_in_buffer;
    destination.bytes.truncate(used);
    destination.bytes.shrink_to_fit();
}

/// mozjpeg's search over scan scripts costs 37 % of its time for 0.5 % of bytes: its fixed script instead.
pub fn fixed_progression(info: &mut jpeg_compress_struct) {
    // SAFETY: called on a compressor whose parameters are being set.
    unsafe {
        sys::jpeg_c_set_bool_param(info, JBOOLEAN_OPTIMIZE_SCANS, FALSE);
        sys::jpeg_simple_progression(info);
    }
}
