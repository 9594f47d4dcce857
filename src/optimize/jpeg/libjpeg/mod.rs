//! The only caller of mozjpeg's C library. Beside `webp::libwebp`, the only `unsafe` code of the crate.
//!
//! libjpeg reports errors by a callback that must not return. Ours unwinds with a [`Fault`] through the C frames (the
//! `unwinding` feature of mozjpeg-sys compiles them for that) into [`guarded`], while drop guards free what libjpeg
//! allocated. A warning means damaged data that libjpeg would fill with gray: it is a fault as well.
//!
//! One file per verb, and one for each of libjpeg's structs.

#![allow(unsafe_code, reason = "libjpeg is a C library; every block states why it is sound")]

mod decoder;
mod encoder;
mod errors;
mod planes;
mod read;
mod rgb;
mod write;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use mozjpeg_sys as sys;
use sys::{J_COLOR_SPACE, boolean};

use crate::optimize::jpeg::dct::coefficients::ColorModel;

pub use planes::{COARSEST_SCALE, FINEST_SCALE, Planes, decode_planes, encode};
pub use read::{Coded, Written};
pub use rgb::decode_rgb;
pub use write::{Script, write_coefficients};

const TRUE: boolean = 1;
const FALSE: boolean = 0;

/// Why libjpeg gave up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// libjpeg's own words: the data is damaged, or uses what libjpeg cannot do.
    #[error("{0}")]
    Codec(String),
    /// More scans than allowed; the rest was not read.
    #[error("too many scans")]
    Scans,
}

fn model_of(space: J_COLOR_SPACE) -> ColorModel {
    match space {
        J_COLOR_SPACE::JCS_GRAYSCALE => ColorModel::Gray,
        J_COLOR_SPACE::JCS_YCbCr => ColorModel::YCbCr,
        J_COLOR_SPACE::JCS_RGB => ColorModel::Rgb,
        J_COLOR_SPACE::JCS_CMYK => ColorModel::Cmyk,
        J_COLOR_SPACE::JCS_YCCK => ColorModel::Ycck,
        _ => ColorModel::Unknown,
    }
}

fn space_of(model: ColorModel) -> J_COLOR_SPACE {
    match model {
        ColorModel::Gray => J_COLOR_SPACE::JCS_GRAYSCALE,
        ColorModel::YCbCr => J_COLOR_SPACE::JCS_YCbCr,
        ColorModel::Rgb => J_COLOR_SPACE::JCS_RGB,
        ColorModel::Cmyk => J_COLOR_SPACE::JCS_CMYK,
        ColorModel::Ycck => J_COLOR_SPACE::JCS_YCCK,
        ColorModel::Unknown => J_COLOR_SPACE::JCS_UNKNOWN,
    }
}

/// Runs libjpeg and turns its unwinding into a value. Any other panic goes on to the engine's own door.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| match payload.downcast::<Fault>() {
        Ok(fault) => *fault,
        Err(other) => resume_unwind(other),
    })
}

#[cfg(test)]
pub mod tests;
