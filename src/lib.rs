//! Karui (軽い, "light in weight") makes images smaller.
//!
//! The library is its engine, [`optimize`]: it takes the bytes of an image and returns smaller ones of a promised
//! perceptual quality, or says why the image is best left as it is. It is pure: no network, no files, no environment.
//! Depend on it with `default-features = false`; it then pulls in no runtime and no crate that opens a connection.
//!
//! ```
//! use karui::optimize::{Budget, Options, Outcome, optimize};
//!
//! # let source = include_bytes!("../tests/fixtures/photo-444.jpg");
//! match optimize(source, &Options::default(), Budget::UNLIMITED)? {
//!     Outcome::Optimized(file) => println!("{} -> {} bytes by {}", source.len(), file.bytes.len(), file.method),
//!     Outcome::Unchanged(why) => println!("left as it is: {}", why.reason),
//! }
//! # Ok::<(), karui::optimize::ImageError>(())
//! ```
//!
//! The other modules belong to the programs `optimizer` (an AWS Lambda function) and `karui` (a command line). They are
//! hidden here, since they may change at any time. Imports point one way,
//! `bin → {lambda, cli, dev} → config → pipeline → {local, report, optimize, s3, memory}`:
//!
//! - `local`: files as a side: reads them and notices changes, writes them atomically, walks folders.
//! - `memory`: one budget for all images that are optimized at once.
//! - `report`: what became of one object, typed, and its only serialization.
//! - `s3`: the only caller of S3; knows nothing of images.
//! - `pipeline`: moves one object from any side to any side, and reports it.
//! - `config`: tables of environment variables, parsed and validated at cold start.
//! - `lambda`: the function: parses an envelope, answers with the reports of its records.
//! - `cli`: the `karui` program for files, folders and transfers.
//! - `dev`: an S3 over a folder, and the function behind cargo-lambda, on loopback.

#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
#[cfg(feature = "lambda")]
#[doc(hidden)]
pub mod config;
#[cfg(feature = "dev")]
#[doc(hidden)]
pub mod dev;
#[cfg(feature = "lambda")]
#[doc(hidden)]
pub mod lambda;
#[cfg(any(feature = "cli", feature = "lambda"))]
#[doc(hidden)]
pub mod local;
#[cfg(any(feature = "cli", feature = "lambda"))]
#[doc(hidden)]
pub mod memory;
pub mod optimize;
#[cfg(feature = "lambda")]
#[doc(hidden)]
pub mod pipeline;
#[cfg(any(feature = "cli", feature = "lambda"))]
#[doc(hidden)]
pub mod report;
#[cfg(feature = "lambda")]
#[doc(hidden)]
pub mod s3;
