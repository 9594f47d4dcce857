//! A JPEG file: what reads, filters and writes markers, and what stands behind the image.

pub mod filter;
pub mod jpeg_file;
pub mod lists;
pub mod markers;
pub mod motion;
pub mod mpf;
mod packet_filter;
pub mod packets;
pub mod segments;
pub mod splice;
#[cfg(test)]
mod states;
pub mod stereo;
pub mod trailing;
