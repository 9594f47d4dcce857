//! JPEG.

mod mpf;
pub mod segments;
pub mod splice;
