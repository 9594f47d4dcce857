//! Checks that the README has the generated table, and links only to existing files.
#![cfg(feature = "lambda")]

const README: &str = include_str!("../README.md");

#[test]
fn readme_has_the_table_of_variables() {
    let (_, rest) = README.split_once("<!-- config -->\n").expect("README.md has the marker <!-- config -->");
    let (table, _) = rest.split_once("<!-- /config -->").expect("README.md has the marker <!-- /config -->");
    let want = karui::config::markdown();
    assert!(table.trim() == want.trim(), "put this between README.md's markers:\n\n{want}");
}

#[test]
fn readme_links_only_to_existing_files() {
    let targets = README.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    let files = targets.filter(|target| !target.contains("://") && !target.starts_with('#'));
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let missing: Vec<_> = files.filter(|file| !root.join(file.split('#').next().unwrap_or(file)).is_file()).collect();
    assert!(missing.is_empty(), "README.md links to what is not there: {missing:?}");
}
