//! Checks the documentation: its tables, its links, and every command in it.
//!
//! A `sh` block is run, line by line, unless it says `# needs AWS`. `karui` commands run in a folder with sample images,
//! against an S3 on loopback. Of `make` only the target is checked, and of `cargo test` only what it selects: both would
//! run this test again. `make test` says where cargo-lambda is, by `KARUI_TEST_CARGO_LAMBDA`.

mod commands;
mod links;

use std::path::{Path, PathBuf};

/// Most words of the README, so that it stays a summary.
const README_WORDS: usize = 1_300;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every page: those in the project's folder, and those in docs.
fn pages() -> Vec<PathBuf> {
    let folders = [root().to_owned(), root().join("docs")];
    let entries = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let mut pages: Vec<_> = entries.map(|entry| entry.unwrap().path()).filter(|path| is_page(path)).collect();
    pages.sort();
    assert!(pages.len() > 10, "{pages:?}");
    pages
}

fn is_page(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "md")
}

#[test]
fn configuration_page_has_the_table_of_variables() {
    let page = read(&root().join("docs/configuration.md"));
    let (_, rest) = page.split_once("<!-- config -->\n").expect("the page has the marker <!-- config -->");
    let (table, _) = rest.split_once("<!-- /config -->").expect("the page has the marker <!-- /config -->");
    let want = karui::config::markdown();
    assert!(table.trim() == want.trim(), "put this between the markers of docs/configuration.md:\n\n{want}");
}

#[test]
fn readme_stays_a_summary() {
    let words = read(&root().join("README.md")).split_whitespace().count();
    assert!(words <= README_WORDS, "README.md has {words} words, want at most {README_WORDS}: move some to docs");
}

#[test]
fn readme_lists_every_page_of_docs() {
    let readme = read(&root().join("README.md"));
    let names = pages().into_iter().filter_map(|page| Some(page.strip_prefix(root()).ok()?.to_str()?.to_owned()));
    let missing: Vec<_> = names.filter(|name| name != "README.md" && !readme.contains(&format!("]({name})"))).collect();
    assert!(missing.is_empty(), "README.md does not link to {missing:?}");
}
