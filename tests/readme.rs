//! The README says what the code does.
#![cfg(feature = "lambda")]

const README: &str = include_str!("../README.md");

#[test]
fn the_table_of_variables_is_the_codes() {
    let (_, rest) = README.split_once("<!-- config -->\n").expect("README.md has the marker <!-- config -->");
    let (table, _) = rest.split_once("<!-- /config -->").expect("README.md has the marker <!-- /config -->");
    let want = karui::config::markdown();
    assert!(table.trim() == want.trim(), "put this between README.md's markers:\n\n{want}");
}
