//! What libjpeg calls when it gives up or warns.

use std::panic::resume_unwind;

use super::{Fault, sys};
use sys::{c_int, jpeg_common_struct, jpeg_error_mgr};

/// `JMSG_LENGTH_MAX` of jpeglib.h.
const MESSAGE_BYTES: usize = 200;

pub fn error_manager() -> Box<jpeg_error_mgr> {
    // SAFETY: jpeg_std_error fills every field of the struct it is handed.
    let mut errors: Box<jpeg_error_mgr> = unsafe { Box::new(std::mem::zeroed()) };
    unsafe { sys::jpeg_std_error(&mut errors) };
    errors.error_exit = Some(give_up);
    errors.emit_message = Some(refuse_warnings);
    errors
}

unsafe extern "C-unwind" fn give_up(info: &mut jpeg_common_struct) {
    let mut text = [0_u8; MESSAGE_BYTES];
    // SAFETY: `err` is the manager that every codec is created with. The binding says 80 bytes where jpeglib.h says
    // JMSG_LENGTH_MAX, 200, which is what libjpeg is given here.
    unsafe {
        if let Some(format) = (*info.err).format_message {
            format(info, &*text.as_mut_ptr().cast::<[u8; 80]>());
        }
    }
    let length = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    // Unlike panic!, this does not run the panic hook: a damaged file is no bug to print.
    resume_unwind(Box::new(Fault::Codec(String::from_utf8_lossy(&text[..length]).into_owned())));
}

/// Level −1 is a warning of damaged data; 0 and above are traces (jerror.c).
unsafe extern "C-unwind" fn refuse_warnings(info: &mut jpeg_common_struct, level: c_int) {
    if level < 0 {
        unsafe { give_up(info) };
    }
}
