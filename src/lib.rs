//! Karui (軽い, "light in weight") makes the images in S3 lighter.
//!
//! One room per line; arrows point one way, `bin → {lambda, cli, dev} → pipeline → {optimize, s3}`:
//!
//! - [`optimize`]: the engine, pure: bytes in, lighter bytes out, never worse than the promised quality.
//! - `s3`: the only caller of S3; knows nothing of images.
//! - `pipeline`: an event becomes jobs, a job becomes an object at the destination and a report.
//! - `config`: one table of environment variables, parsed and validated at cold start.
//! - `lambda`: the function: an envelope in, the verdict of its records out.
//! - `cli`: the `karui` program for files and folders.
//! - `dev`: an S3 over a folder and the function behind cargo-lambda, all on loopback.

#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "lambda")]
pub mod config;
#[cfg(feature = "dev")]
pub mod dev;
#[cfg(feature = "lambda")]
pub mod error;
#[cfg(feature = "lambda")]
pub mod lambda;
pub mod optimize;
#[cfg(feature = "lambda")]
pub mod pipeline;
#[cfg(feature = "lambda")]
pub mod s3;
