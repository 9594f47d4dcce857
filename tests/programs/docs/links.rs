//! Links lead to files and headings that exist.

use std::path::Path;

use super::{is_page, pages, read};

#[test]
fn links_lead_to_files_and_headings_that_exist() {
    let broken: Vec<_> = pages().iter().flat_map(|page| broken_links(page)).collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

fn broken_links(page: &Path) -> Vec<String> {
    let text = read(page);
    let targets = text.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0));
    let local = targets.filter(|target| !target.contains("://"));
    local.filter(|target| !exists(page, target)).map(|target| format!("{}: {target}", page.display())).collect()
}

fn exists(page: &Path, target: &str) -> bool {
    let (file, heading) = target.split_once('#').unwrap_or((target, ""));
    let file = if file.is_empty() { page.to_owned() } else { page.with_file_name("").join(file) };
    if heading.is_empty() || !is_page(&file) {
        return file.exists();
    }
    file.is_file() && read(&file).lines().filter_map(anchor).any(|anchor| anchor == heading)
}

/// The anchor that GitHub gives a heading.
fn anchor(line: &str) -> Option<String> {
    let heading = line.strip_prefix('#')?.trim_start_matches('#').strip_prefix(' ')?;
    let kept = heading.to_lowercase().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect::<String>();
    Some(kept.replace(' ', "-"))
}
