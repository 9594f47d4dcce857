//! Everything of S3 and Lambda that a developer needs, on loopback.

mod folder;
mod names;
pub mod server;
