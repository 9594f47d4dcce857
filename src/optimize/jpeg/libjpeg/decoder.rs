//! libjpeg's decompressor: created, its header read, destroyed.

use std::marker::PhantomData;
use std::panic::resume_unwind;

use super::errors::error_manager;
use super::{Fault, TRUE, sys};
use sys::{c_ulong, jpeg_common_struct, jpeg_decompress_struct, jpeg_error_mgr, jpeg_progress_mgr};

pub struct Decoder<'a> {
    pub info: Box<jpeg_decompress_struct>,
    _errors: Box<jpeg_error_mgr>,
    scans: Box<ScanCounter>,
    _source: PhantomData<&'a [u8]>,
}

/// libjpeg holds a pointer to `manager`, its first field, and hands it back to [`count_scans`].
#[repr(C)]
struct ScanCounter {
    manager: jpeg_progress_mgr,
    max: u32,
}

impl<'a> Decoder<'a> {
    /// Reads the header.
    pub fn open(source: &'a [u8], max_scans: u32) -> Self {
        let mut errors = error_manager();
        let scans = Box::new(ScanCounter {
            manager: jpeg_progress_mgr {
                progress_monitor: Some(count_scans),
                pass_counter: 0,
                pass_limit: 0,
                completed_passes: 0,
                total_passes: 0,
            },
            max: max_scans,
        });
        // SAFETY: an all-zero struct with an error manager is what jpeg_CreateDecompress asks for, and what
        // jpeg_destroy accepts at any later time. The boxes keep their addresses when moved into the guard.
        let mut info: Box<jpeg_decompress_struct> = unsafe { Box::new(std::mem::zeroed()) };
        info.common.err = &raw mut *errors;
        let mut decoder = Self { info, _errors: errors, scans, _source: PhantomData };
        unsafe {
            sys::jpeg_create_decompress(&raw mut *decoder.info);
            decoder.info.common.progress = (&raw mut *decoder.scans).cast();
            sys::jpeg_mem_src(&mut decoder.info, source.as_ptr(), source.len() as c_ulong);
            sys::jpeg_read_header(&mut decoder.info, TRUE);
        }
        decoder
    }

    pub fn components(&self) -> &[sys::jpeg_component_info] {
        // SAFETY: after jpeg_read_header `comp_info` holds `num_components` entries.
        unsafe { std::slice::from_raw_parts(self.info.comp_info, self.info.num_components as usize) }
    }
}

impl Drop for Decoder<'_> {
    fn drop(&mut self) {
        // SAFETY: see `open`: sound in whatever state an unwinding left the struct.
        unsafe { sys::jpeg_destroy_decompress(&mut self.info) };
    }
}

unsafe extern "C-unwind" fn count_scans(info: &mut jpeg_common_struct) {
    // SAFETY: only decoders are given this monitor, and their `progress` is a ScanCounter's first field.
    let (scans, max) = unsafe {
        let decoder = (&raw mut *info).cast::<jpeg_decompress_struct>();
        ((*decoder).input_scan_number, (*info.progress.cast::<ScanCounter>()).max)
    };
    if u32::try_from(scans).is_ok_and(|scans| scans > max) {
        resume_unwind(Box::new(Fault::Scans));
    }
}
