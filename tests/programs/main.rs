//! Tests the built programs as their users meet them: `karui`, the function behind cargo-lambda's Runtime API, and what the
//! documentation says to type.

#[path = "../support/mod.rs"]
mod support;

mod cli;
mod demo;
mod docs;
mod e2e;
mod kills;
mod memory;
mod transfer;
