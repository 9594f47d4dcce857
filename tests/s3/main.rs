//! Tests the S3 module, the pipeline and the function's handler in this process, against real servers: an S3 over a folder,
//! with faults where a test wants them, and `MiniStack`.

#[path = "../support/mod.rs"]
mod support;

mod attributes;
mod clients;
mod contract;
mod faults;
mod ministack;
mod pipeline;
mod store;
mod two_accounts;
