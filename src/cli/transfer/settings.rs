//! The settings of transfers.

use crate::config::{self, TransferSettings};

/// Reads the transfer settings from the environment.
pub fn settings() -> Result<TransferSettings, String> {
    TransferSettings::parse(config::readable(std::env::vars_os())).map_err(|faults| faults.to_string())
}
