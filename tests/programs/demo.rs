//! `make demo`'s program, and that it can fail: where the function only copies, the demo says so and ends with 1.
//! `make test` says where cargo-lambda is, by `KARUI_TEST_CARGO_LAMBDA`.

use std::path::Path;
use std::process::{Command, Output};

fn demo(out: &Path, settings: &[(&str, &str)]) -> Output {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    Command::new(env!("CARGO_BIN_EXE_karui"))
        .args(["dev", "--demo"])
        .arg(samples)
        .arg("--out")
        .arg(out)
        .envs(settings.iter().copied())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn demo_optimizes_samples_into_the_named_folder() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("demo");
    let output = demo(&out, &[]);
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    let said = text(&output.stdout);
    for key in ["photos/coffee.jpg", "電話/回転した写真.jpg", "photos/lift off+flames & smoke.jpg", "notes (1).txt"]
    {
        assert!(said.contains(key), "{key} is not in the table:\n{said}");
        assert!(out.join("source").join(key).is_file() && out.join("destination").join(key).is_file(), "{key}");
    }
    assert!(out.join("destination/photos/coffee.jpg").metadata().unwrap().len() < 79_975);
}

#[test]
fn demo_of_function_that_only_copies_fails() {
    let root = tempfile::tempdir().unwrap();
    // With these the function has no reason left to store anything but the original.
    let output = demo(root.path(), &[("KARUI_METADATA", "all"), ("KARUI_MIN_SAVINGS", "99.9")]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    assert!(text(&output.stderr).contains("nothing was saved"), "{}", text(&output.stderr));
}

#[test]
fn demo_with_invalid_settings_prints_their_faults() {
    let root = tempfile::tempdir().unwrap();
    let output = demo(root.path(), &[("KARUI_MIN_SAVINGS", "a lot")]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("KARUI_MIN_SAVINGS: got \"a lot\""), "{}", text(&output.stderr));
}
