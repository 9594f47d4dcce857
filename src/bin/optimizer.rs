//! The Lambda function's program.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    karui::lambda::main().await
}
