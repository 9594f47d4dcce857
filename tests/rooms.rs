//! Checks which module may import which. `make check` checks the same for crates.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file of a module, a folder or one file, without its unit tests and comments.
fn sources(room: &str) -> Vec<(PathBuf, String)> {
    let (folder, file) = (root().join("src").join(room), root().join(format!("src/{room}.rs")));
    let walk = walkdir::WalkDir::new(if folder.is_dir() { folder } else { file }).into_iter().map(Result::unwrap);
    let rust = walk.filter(|entry| entry.path().extension().is_some_and(|e| e == "rs"));
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        (path.clone(), lines.collect::<Vec<_>>().join("\n"))
    };
    rust.map(|entry| read(entry.into_path())).collect()
}

/// The modules that a piece of code names with `crate::`.
fn modules_named(code: &str) -> Vec<&str> {
    let word = |rest: &str| rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    code.split("crate::").skip(1).map(|rest| &rest[..word(rest)]).collect()
}

#[test]
fn imports_point_one_way() {
    let allowed: [(&str, &[&str]); 2] = [("optimize", &["optimize"]), ("s3", &["s3"])];
    for (room, targets) in allowed {
        let sources = sources(room);
        assert!(!sources.is_empty(), "{room} is empty");
        for (path, code) in sources {
            for named in modules_named(&code) {
                assert!(targets.contains(&named), "{} imports crate::{named}", path.display());
            }
        }
    }
}

#[test]
fn engine_has_no_side_effects() {
    for (path, code) in sources("optimize") {
        for forbidden in ["std::fs", "std::env", "std::net", "std::process", "tokio::", "aws_", "println!"] {
            assert!(!code.contains(forbidden), "{} uses {forbidden}", path.display());
        }
    }
}

#[test]
fn programs_have_at_most_40_lines() {
    for (path, code) in sources("bin") {
        assert!(code.lines().count() <= 40, "{} is longer than 40 lines", path.display());
    }
}
