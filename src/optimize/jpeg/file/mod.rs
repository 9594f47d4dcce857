//! A JPEG file: what reads, filters and writes markers, and what stands behind the image.

pub mod filter;
pub mod lists;
pub mod motion;
pub mod mpf;
pub mod packets;
pub mod segments;
pub mod splice;
#[cfg(test)]
mod states;
pub mod stereo;
pub mod trailing;
