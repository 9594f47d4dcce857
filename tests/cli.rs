//! The `karui` program as its users meet it: the real binary on real files.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A folder to work in, with the program at hand.
struct Bench {
    root: TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    /// Puts a sample image here under a name of its own.
    fn with(self, fixture: &str, name: &str) -> Self {
        self.with_bytes(&sample(fixture), name)
    }

    fn with_bytes(self, bytes: &[u8], name: &str) -> Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn karui(&self, args: &[&str]) -> Output {
        self.karui_fed(args, b"")
    }

    fn karui_fed(&self, args: &[&str], stdin: &[u8]) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_karui"))
            .arg("optimize")
            .args(args)
            .current_dir(self.root.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pipe = child.stdin.take().unwrap();
        std::thread::scope(|scope| {
            // A program that refuses its arguments never reads.
            scope.spawn(move || drop(pipe.write_all(stdin)));
            child.wait_with_output().unwrap()
        })
    }

    /// All files below a folder, relative, sorted.
    fn files(&self, folder: &str) -> Vec<String> {
        let root = self.path(folder);
        let walk = walkdir::WalkDir::new(&root).sort_by_file_name().into_iter().map(Result::unwrap);
        let files = walk.filter(|entry| entry.file_type().is_file());
        files.map(|entry| entry.path().strip_prefix(&root).unwrap().to_string_lossy().into_owned()).collect()
    }
}

fn sample(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)).unwrap()
}

fn rows(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))).collect()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_folder_is_mirrored_lighter_and_whole() {
    let bench = Bench::new()
        .with("photo-420.jpg", "in/a photo+1.jpg")
        .with("screenshot.png", "in/deep/写真.png")
        .with("icon.png", "in/.hidden.png")
        .with("notes.txt", "in/deep/notes.txt");
    let output = bench.karui(&["--out", "out", "--json", "in"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(bench.files("out"), bench.files("in"));
    assert_eq!(bench.read("out/deep/notes.txt"), sample("notes.txt"));
    let rows = rows(&output);
    assert_eq!(rows.len(), 4);
    for row in rows {
        let path = row["path"].as_str().unwrap();
        let source = bench.read(path);
        let result = bench.read(&path.replacen("in/", "out/", 1));
        assert_eq!(row["bytes_in"], source.len(), "{row}");
        assert_eq!(row["bytes_out"], result.len(), "{row}");
        if path.ends_with("notes.txt") {
            assert_eq!((&row["outcome"], &row["reason"]), (&"unchanged".into(), &"not-an-image".into()));
        } else {
            assert_eq!(row["outcome"], "optimized", "{row}");
            assert!(result.len() < source.len(), "{row}");
            assert!(karui::optimize::score(&source, &result).unwrap() >= 75.0, "{row}");
        }
    }
}

#[test]
fn a_single_file_lands_under_its_own_name() {
    let bench = Bench::new().with("photo-444.jpg", "deep/in/a.jpg");
    let output = bench.karui(&["--out", "out", "--json", "deep/in/a.jpg"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(bench.files("out"), ["a.jpg"]);
    let row = &rows(&output)[0];
    let keys: Vec<_> = row.as_object().unwrap().keys().map(String::as_str).collect();
    let mut expected = [
        "path",
        "outcome",
        "reason",
        "format",
        "width",
        "height",
        "bytes_in",
        "bytes_out",
        "method",
        "score",
        "metadata",
        "millis",
    ];
    expected.sort_unstable();
    assert_eq!(keys, expected);
    assert_eq!((&row["format"], &row["width"], &row["height"]), (&"jpeg".into(), &451.into(), &300.into()));
}

#[test]
#[cfg(unix)]
fn in_place_replaces_the_file_a_link_leads_to_and_keeps_its_permissions() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new().with("photo-420.jpg", "real.jpg").with("notes.txt", "notes.txt");
    fs::set_permissions(bench.path("real.jpg"), fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink("real.jpg", bench.path("link.jpg")).unwrap();
    let output = bench.karui(&["--in-place", "link.jpg", "notes.txt"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(output.stdout.is_empty());
    assert!(bench.path("link.jpg").symlink_metadata().unwrap().is_symlink());
    assert!(bench.read("real.jpg").len() < sample("photo-420.jpg").len());
    assert_eq!(bench.path("real.jpg").metadata().unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(bench.read("notes.txt"), sample("notes.txt"));
    assert_eq!(bench.files(""), ["notes.txt", "real.jpg"]);
}

#[test]
fn stdin_becomes_stdout() {
    let bench = Bench::new();
    let photo = sample("photo-420.jpg");
    let output = bench.karui_fed(&["-", "--json"], &photo);
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout.len() < photo.len());
    assert!(karui::optimize::score(&photo, &output.stdout).unwrap() >= 75.0);
    let row: Value = serde_json::from_str(stderr(&output).trim()).unwrap();
    assert_eq!((&row["path"], &row["bytes_out"]), (&"-".into(), &output.stdout.len().into()));
}

#[test]
fn what_is_no_image_comes_out_of_stdout_as_it_went_in() {
    for name in ["notes.txt", "truncated.jpg", "text-named.jpg"] {
        let output = Bench::new().karui_fed(&["-"], &sample(name));
        assert_eq!(output.status.code(), Some(0), "{name}");
        assert_eq!(output.stdout, sample(name), "{name}");
    }
}

#[test]
fn broken_images_are_copied_and_are_no_failure() {
    let bench = Bench::new().with("truncated.jpg", "in/truncated.jpg").with("text-named.jpg", "in/text.jpg");
    let output = bench.karui(&["--out", "out", "--json", "in"]);
    assert_eq!(output.status.code(), Some(0));
    for row in rows(&output) {
        assert_eq!(row["outcome"], "unchanged", "{row}");
        assert!(row["reason"].is_string(), "{row}");
    }
    assert_eq!(bench.read("out/truncated.jpg"), sample("truncated.jpg"));
    assert_eq!(bench.read("out/text.jpg"), sample("text-named.jpg"));
}

#[test]
fn an_unchanged_copy_keeps_its_time() {
    let bench = Bench::new().with("notes.txt", "notes.txt");
    let long_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    let file = fs::File::options().write(true).open(bench.path("notes.txt")).unwrap();
    file.set_modified(long_ago).unwrap();
    bench.karui(&["--out", "out", "notes.txt"]);
    assert_eq!(bench.path("out/notes.txt").metadata().unwrap().modified().unwrap(), long_ago);
}

#[test]
fn a_dry_run_writes_nothing() {
    let bench = Bench::new().with("photo-420.jpg", "a.jpg");
    let output = bench.karui(&["--dry-run", "--json", "--out", "out", "a.jpg"]);
    assert_eq!(rows(&output)[0]["outcome"], "optimized");
    assert_eq!(bench.files(""), ["a.jpg"]);
    assert_eq!(bench.read("a.jpg"), sample("photo-420.jpg"));
}

#[test]
fn wrong_usage_ends_with_2_and_says_what_to_do() {
    let bench = Bench::new().with("icon.png", "a/x.png").with("icon.png", "b/x.png");
    for (args, remedy) in [
        (vec!["a/x.png"], "--out DIR, --in-place"),
        (vec!["--out", "out", "a/x.png", "b/x.png"], "would both become"),
        (vec!["--out", "a", "a"], "choose another folder"),
        (vec!["--out", "out", "-"], "leave out --out"),
        (vec!["--quality", "high!", "--dry-run", "a"], "want a score from 30 to 100"),
        (vec!["--out", "out"], "PATH"),
    ] {
        let output = bench.karui(&args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(stderr(&output).contains(remedy), "{args:?}: {}", stderr(&output));
        assert!(output.stdout.is_empty(), "{args:?}");
    }
    assert_eq!(bench.files(""), ["a/x.png", "b/x.png"]);
}

#[test]
fn one_missing_file_fails_with_1_and_the_others_arrive() {
    let bench = Bench::new().with("icon.png", "x.png");
    let output = bench.karui(&["--out", "out", "--json", "no.png", "x.png"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(bench.files("out"), ["x.png"]);
    let rows = rows(&output);
    let failed = rows.iter().find(|row| row["path"] == "no.png").unwrap();
    assert_eq!(failed["outcome"], "failed");
    assert!(failed["reason"].as_str().unwrap().contains("No such file"), "{failed}");
}

#[test]
#[cfg(unix)]
fn names_that_are_no_text_work_and_keep_json_whole() {
    use std::os::unix::ffi::OsStrExt;
    let bench = Bench::new();
    fs::create_dir(bench.path("in")).unwrap();
    let name = std::ffi::OsStr::from_bytes(b"a\nb\xff\".png");
    fs::write(bench.path("in").join(name), sample("icon.png")).unwrap();
    let output = bench.karui(&["--out", "out", "--json", "in"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(rows(&output)[0]["path"], "in/a\nb\u{fffd}\".png");
    assert!(bench.path("out").join(name).is_file());
}

#[test]
fn people_get_a_table_on_stderr() {
    let bench = Bench::new().with("photo-420.jpg", "a.jpg").with("notes.txt", "notes.txt");
    let output = bench.karui(&["--out", "out", "--threads", "1", "a.jpg", "notes.txt"]);
    assert!(output.stdout.is_empty());
    let text = stderr(&output);
    assert!(text.contains("a.jpg") && !text.contains("notes.txt"), "{text}");
    assert!(text.contains("files: 2, 1 optimized, 1 unchanged (1 no images), 0 failed"), "{text}");
}
