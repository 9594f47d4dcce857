//! PNG.

pub mod chunks;
mod text;
