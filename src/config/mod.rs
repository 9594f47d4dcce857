//! Settings: parses the environment by tables of variables into typed, validated values.
//!
//! Two tables: [`function`], and [`transfer`], which `karui cp` and `karui sync` share with the function. To add a
//! variable, add a row to its table. Owns names, defaults and their rules. Pure: receives names and values, never reads
//! `std::env`.

mod environment;
pub mod function;
pub mod transfer;
mod values;
mod var;

pub use environment::{Faults, readable};
pub use function::Settings;
pub use transfer::TransferSettings;
pub use var::Var;

/// Renders the documentation's table of all variables.
#[must_use]
pub fn markdown() -> String {
    let head = "| Variable | Value | Default | Meaning |\n| --- | --- | --- | --- |\n";
    [head, &var::rows(function::VARS), &var::rows(transfer::VARS)].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_has_a_row_per_variable() {
        let table = markdown();
        assert_eq!(table.lines().count(), function::VARS.len() + transfer::VARS.len() + 2);
        assert!(table.contains("| `KARUI_PART_SIZE` | a size from 5MiB to 5GiB | `8MiB` |"), "{table}");
        assert!(table.contains("| `KARUI_DESTINATION_BUCKET` |"), "{table}");
    }
}
