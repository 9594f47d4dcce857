//! Karui (軽い, "light in weight") makes images in S3 smaller.
//!
//! One module per line; imports point one way, `bin → {lambda, cli, dev} → pipeline → {optimize, s3}`:
//!
//! - [`optimize`]: the engine. Pure: takes bytes, returns smaller bytes of the promised quality.
//! - `s3`: the only caller of S3; knows nothing of images.
//! - `pipeline`: turns an event into jobs, and a job into an object at the destination and a report.
//! - `config`: one table of environment variables, parsed and validated at cold start.
//! - `lambda`: the function: parses an envelope, answers with the reports of its records.
//! - `cli`: the `karui` program for files, folders and transfers.
//! - `dev`: an S3 over a folder, and the function behind cargo-lambda, on loopback.

#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "lambda")]
pub mod config;
#[cfg(feature = "dev")]
pub mod dev;
#[cfg(feature = "lambda")]
pub mod lambda;
pub mod optimize;
#[cfg(feature = "lambda")]
pub mod pipeline;
#[cfg(feature = "lambda")]
pub mod s3;
