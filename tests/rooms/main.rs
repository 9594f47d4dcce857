//! Checks which module may use which, and that no files use each other in a circle. `make check` checks the same for
//! crates.

mod circles;
mod imports;
mod tokens;

use std::fs;
use std::path::Path;

use circles::circles;
use imports::House;

fn src() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// What each room may use beside itself.
const ARROWS: [(&str, &[&str]); 11] = [
    ("bin", &["lambda", "cli", "dev"]),
    // `karui dev` prints as the other commands do.
    ("dev", &["cli", "config", "pipeline", "local", "report", "optimize", "s3", "memory"]),
    ("lambda", &["config", "pipeline", "local", "report", "optimize", "s3", "memory"]),
    ("cli", &["config", "pipeline", "local", "report", "optimize", "s3", "memory"]),
    ("config", &["pipeline", "local", "optimize", "s3"]),
    ("pipeline", &["local", "report", "optimize", "s3", "memory"]),
    ("report", &["optimize"]),
    ("local", &[]),
    ("memory", &[]),
    ("optimize", &[]),
    ("s3", &[]),
];

fn room(file: &str) -> &str {
    file.split('/').next().unwrap().trim_end_matches(".rs")
}

#[test]
fn house_has_every_file() {
    let files = House::read(&src()).files();
    assert!(files.len() > 100, "{files:?}");
    for file in ["lib.rs", "bin/karui.rs", "lambda/envelope/mod.rs", "optimize/jpeg/libjpeg/read.rs", "s3/error.rs"] {
        assert!(files.contains(file), "{file}");
    }
}

#[test]
fn uses_point_one_way() {
    for used in House::read(&src()).uses() {
        let (from, to) = (room(&used.from), room(&used.to));
        let allowed = ARROWS.iter().find(|(room, _)| *room == from).map_or(&[][..], |(_, rooms)| rooms);
        assert!(from == to || allowed.contains(&to), "{} uses {}", used.from, used.to);
    }
}

#[test]
fn no_files_use_each_other() {
    let found = circles(&House::read(&src()).uses());
    assert!(found.is_empty(), "these files use each other: {found:#?}");
}

#[test]
fn engine_has_no_side_effects() {
    for file in House::read(&src()).files().iter().filter(|file| room(file) == "optimize") {
        let code = tokens::tokens(&fs::read_to_string(src().join(file)).unwrap()).concat();
        for forbidden in ["std::fs", "std::env", "std::net", "std::process", "tokio::", "aws_", "println!"] {
            assert!(!code.contains(forbidden), "{file} uses {forbidden}");
        }
    }
}

#[test]
fn programs_have_at_most_40_lines() {
    for file in House::read(&src()).files().iter().filter(|file| room(file) == "bin") {
        let lines = fs::read_to_string(src().join(file)).unwrap().lines().count();
        assert!(lines <= 40, "{file} has {lines} lines");
    }
}

#[test]
fn uses_follow_names_that_are_passed_on() {
    let folder = tempfile::tempdir().unwrap();
    for (file, code) in [
        ("lib.rs", "pub mod a; pub mod b;"),
        ("a/mod.rs", "mod x; mod y; pub use x::{X, Z as W}; /* use crate::b::C; */"),
        ("a/x.rs", "pub struct X; pub struct Z; fn f() -> &'static str { \"crate::b::C\" }"),
        ("a/y.rs", "use super::X; fn g() { super::super::b::h(); }\n#[cfg(test)]\nmod tests { use crate::b::C; }"),
        ("b.rs", "pub fn h() { crate::a::W; }"),
        ("bin/p.rs", "fn main() { karui::b::h() }"),
    ] {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, code).unwrap();
    }
    let uses = House::read(folder.path()).uses();
    let uses: Vec<_> = uses.iter().map(|used| format!("{} {}", used.from, used.to)).collect();
    assert_eq!(uses, ["a/y.rs a/x.rs", "a/y.rs b.rs", "b.rs a/x.rs", "bin/p.rs b.rs"]);
}
