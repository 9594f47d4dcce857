//! The `karui` program as its users meet it: the real binary on real files.

mod pictures;

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
        self.run("optimize", args, stdin)
    }

    fn score(&self, args: &[&str]) -> Output {
        self.run("score", args, b"")
    }

    /// The one object that `karui score --json` prints.
    fn score_json(&self, args: &[&str]) -> Value {
        let output = self.score(&[args, &["--json"]].concat());
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", stderr(&output));
        let mut rows = rows(&output);
        assert_eq!(rows.len(), 1, "{rows:?}");
        rows.remove(0)
    }

    fn run(&self, command: &str, args: &[&str], stdin: &[u8]) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_karui"))
            .arg(command)
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
fn optimize_mirrors_a_folder() {
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
            assert!(karui::optimize::score(&source, &result).unwrap().effective(75.0) >= 75.0, "{row}");
        }
    }
}

#[test]
fn optimize_writes_a_file_under_its_name() {
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
        "worst",
        "check",
        "budget_cut",
        "metadata",
        "millis",
    ];
    expected.sort_unstable();
    assert_eq!(keys, expected);
    assert_eq!((&row["format"], &row["width"], &row["height"]), (&"jpeg".into(), &451.into(), &300.into()));
}

#[test]
#[cfg(unix)]
fn in_place_through_link_keeps_link_and_permissions() {
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
fn optimize_stdin_writes_stdout() {
    let bench = Bench::new();
    let photo = sample("photo-420.jpg");
    let output = bench.karui_fed(&["-", "--json"], &photo);
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout.len() < photo.len());
    assert!(karui::optimize::score(&photo, &output.stdout).unwrap().effective(75.0) >= 75.0);
    let row: Value = serde_json::from_str(stderr(&output).trim()).unwrap();
    assert_eq!((&row["path"], &row["bytes_out"]), (&"-".into(), &output.stdout.len().into()));
}

#[test]
fn optimize_stdin_of_other_file_passes_it_through() {
    for name in ["notes.txt", "truncated.jpg", "text-named.jpg"] {
        let output = Bench::new().karui_fed(&["-"], &sample(name));
        assert_eq!(output.status.code(), Some(0), "{name}");
        assert_eq!(output.stdout, sample(name), "{name}");
    }
}

#[test]
fn optimize_malformed_image_copies_it() {
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
fn optimize_unchanged_copy_keeps_its_time() {
    let bench = Bench::new().with("notes.txt", "notes.txt");
    let long_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    let file = fs::File::options().write(true).open(bench.path("notes.txt")).unwrap();
    file.set_modified(long_ago).unwrap();
    bench.karui(&["--out", "out", "notes.txt"]);
    assert_eq!(bench.path("out/notes.txt").metadata().unwrap().modified().unwrap(), long_ago);
}

#[test]
fn optimize_dry_run_writes_nothing() {
    let bench = Bench::new().with("photo-420.jpg", "a.jpg");
    let output = bench.karui(&["--dry-run", "--json", "--out", "out", "a.jpg"]);
    assert_eq!(rows(&output)[0]["outcome"], "optimized");
    assert_eq!(bench.files(""), ["a.jpg"]);
    assert_eq!(bench.read("a.jpg"), sample("photo-420.jpg"));
}

#[test]
fn wrong_usage_exits_with_2_and_the_remedy() {
    let bench = Bench::new().with("icon.png", "a/x.png").with("icon.png", "b/x.png");
    for (args, remedy) in [
        (vec!["a/x.png"], "--out DIR or --in-place"),
        (vec!["--out", "out", "a/x.png", "b/x.png"], "would both be written to"),
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
fn missing_file_exits_with_1_and_keeps_the_others() {
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
fn file_name_not_utf8_keeps_json_valid() {
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
fn optimize_prints_a_table_on_stderr() {
    let bench = Bench::new().with("photo-420.jpg", "a.jpg").with("notes.txt", "notes.txt");
    let output = bench.karui(&["--out", "out", "--threads", "1", "a.jpg", "notes.txt"]);
    assert!(output.stdout.is_empty());
    let text = stderr(&output);
    assert!(text.contains("a.jpg") && !text.contains("notes.txt"), "{text}");
    assert!(text.contains("files: 2, 1 optimized, 1 unchanged (1 no images), 0 failed"), "{text}");
}

/// A level of gray for each place, without pattern.
fn gray(x: usize, y: usize) -> u8 {
    (40 + (x * 2_654_435_761 + y * y * 40_503) % 160) as u8
}

/// Coarser than a level, so that a difference is seen.
fn coarse(level: u8) -> u8 {
    level / 24 * 24
}

/// An opaque pixel of the gray that the block of 8 × 8 pixels at x, y has.
fn block(x: usize, y: usize, level: impl Fn(usize, usize) -> u8) -> [u8; 4] {
    let level = level(x / 8, y / 8);
    [level, level, level, 255]
}

#[test]
fn score_of_identical_files_is_100() {
    for name in
        ["photo.png", "photo-420.jpg", "photo-rotated.jpg", "icon.png", "cmyk.jpg", "sixteen-bit.png", "animated.png"]
    {
        let bench = Bench::new().with(name, "a").with(name, "b");
        let output = bench.score(&["a", "b"]);
        assert_eq!(output.status.code(), Some(0), "{name}: {}", stderr(&output));
        assert_eq!(std::str::from_utf8(&output.stdout), Ok("100.0000\nworst window: 100.0000\n"), "{name}");
        assert_eq!(bench.score_json(&["a", "b"])["score"], 100.0, "{name}");
    }
}

#[test]
fn score_of_jpeg_against_png_is_printed() {
    let bench = Bench::new()
        .with_bytes(&pictures::png(96, 64, None, |x, y| block(x, y, gray)), "source.png")
        .with_bytes(&pictures::jpeg(12, 8, None, gray), "exact.jpg")
        .with_bytes(&pictures::jpeg(12, 8, None, |x, y| coarse(gray(x, y))), "coarse.jpg")
        .with_bytes(&pictures::png(96, 64, None, |x, y| block(x, y, |x, y| coarse(gray(x, y)))), "coarse.png");
    let score = |a, b| bench.score_json(&[a, b])["score"].clone();
    assert_eq!(score("source.png", "exact.jpg"), 100.0);
    assert_eq!(score("exact.jpg", "source.png"), 100.0);
    let lossy = score("source.png", "coarse.jpg");
    assert!((0.0..95.0).contains(&lossy.as_f64().unwrap()), "{lossy}");
    assert_eq!(lossy, score("source.png", "coarse.png"), "the format does not matter, the picture does");
}

#[test]
fn score_applies_each_files_orientation() {
    // Orientation 6 is shown turned clockwise: what is stored at x, y comes out of a column on the right.
    let stored = |x: usize, y: usize| gray(11 - y, x);
    let bench = Bench::new()
        .with_bytes(&pictures::png(96, 64, None, |x, y| block(x, y, gray)), "upright.png")
        .with_bytes(&pictures::jpeg(8, 12, Some(6), stored), "turned.jpg")
        .with_bytes(&pictures::png(64, 96, Some(6), |x, y| block(x, y, stored)), "turned.png")
        .with_bytes(&pictures::jpeg(8, 12, None, stored), "lying.jpg")
        .with_bytes(&pictures::jpeg(8, 12, Some(8), stored), "upside-down.jpg");
    for (a, b) in [("upright.png", "turned.jpg"), ("turned.png", "turned.jpg"), ("turned.jpg", "upright.png")] {
        assert_eq!(bench.score_json(&[a, b])["score"], 100.0, "{a} {b}");
    }
    assert!(bench.score_json(&["turned.jpg", "upside-down.jpg"])["score"].as_f64().unwrap() < 50.0);
    let output = bench.score(&["upright.png", "lying.jpg"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("upright.png is 96x64 pixels, lying.jpg 64x96"), "{}", stderr(&output));
}

#[test]
fn score_takes_the_worse_background() {
    let dot = |x: usize, y: usize| (8..24).contains(&x) && (8..24).contains(&y);
    let dotted =
        |inside: [u8; 4]| pictures::png(64, 64, None, |x, y| if dot(x, y) { inside } else { [90, 120, 150, 255] });
    let bench = Bench::new()
        .with_bytes(&dotted([0, 0, 0, 255]), "black.png")
        .with_bytes(&dotted([255, 255, 255, 255]), "white.png")
        .with_bytes(&dotted([0, 0, 0, 0]), "hole.png")
        .with_bytes(&dotted([255, 255, 255, 0]), "other-hole.png");
    let score = |a, b| bench.score_json(&["--butteraugli", a, b]);
    // Filling the hole with black is invisible on black, with white on white.
    for (a, b) in
        [("hole.png", "black.png"), ("black.png", "hole.png"), ("hole.png", "white.png"), ("white.png", "hole.png")]
    {
        let report = score(a, b);
        assert!(report["score"].as_f64().unwrap() < 80.0, "{report}");
        assert!(report["butteraugli_max"].as_f64().unwrap() > 2.0, "{report}");
    }
    // The colour of a transparent pixel is never visible.
    let report = score("hole.png", "other-hole.png");
    assert_eq!((&report["score"], &report["butteraugli_max"]), (&100.0.into(), &0.0.into()));
}

#[test]
fn score_prints_butteraugli_if_asked() {
    let bench = Bench::new()
        .with_bytes(&pictures::jpeg(12, 8, None, gray), "a.jpg")
        .with_bytes(&pictures::jpeg(12, 8, None, |x, y| coarse(gray(x, y))), "b.jpg");
    let report = bench.score_json(&["a.jpg", "b.jpg", "--butteraugli"]);
    let keys: Vec<_> = report.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["butteraugli_3norm", "butteraugli_max", "distorted", "reference", "score", "worst"]);
    assert_eq!((&report["reference"], &report["distorted"]), (&"a.jpg".into(), &"b.jpg".into()));
    let number = |key: &str| report[key].as_f64().unwrap();
    assert!(number("butteraugli_max") > number("butteraugli_3norm") && number("butteraugli_3norm") > 0.5, "{report}");
    let output = bench.score(&["a.jpg", "b.jpg", "--butteraugli"]);
    let expected = format!(
        "{:.4}\nworst window: {:.4}\nbutteraugli: {:.4} max, {:.4} 3-norm\n",
        number("score"),
        number("worst"),
        number("butteraugli_max"),
        number("butteraugli_3norm")
    );
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    let alone = bench.score_json(&["a.jpg", "b.jpg"]);
    assert_eq!((&alone["score"], &alone["butteraugli_max"]), (&report["score"], &Value::Null));
}

#[test]
fn score_of_incomparable_files_exits_with_1() {
    let bench = Bench::new()
        .with("photo-420.jpg", "a.jpg")
        .with("truncated.jpg", "cut.jpg")
        .with_bytes(&sample("icon.png")[..2000], "cut.png")
        .with("animated.gif", "b.gif")
        .with_bytes(b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0", "c.bmp")
        .with("notes.txt", "notes.txt")
        .with("cmyk.jpg", "cmyk.jpg")
        .with("sixteen-bit.png", "deep.png")
        .with("animated.png", "moving.png")
        .with("gray.jpg", "gray.jpg")
        .with_bytes(&pictures::png(4, 4, None, |_, _| [1, 2, 3, 255]), "small.png")
        .with_bytes(&pictures::png(4, 4, None, |_, _| [9, 2, 3, 255]), "tiny.png")
        .with_bytes(b"", "empty");
    for (args, said) in [
        (["a.jpg", "no.jpg"], ["no.jpg: No such file", "give a JPEG or PNG"]),
        (["cut.jpg", "a.jpg"], ["cut.jpg cannot be decoded: malformed jpeg: Premature end", "take a whole copy"]),
        (["a.jpg", "cut.png"], ["cut.png cannot be decoded: malformed png", "take a whole copy"]),
        (["a.jpg", "b.gif"], ["b.gif is a GIF", "still pictures"]),
        (["a.jpg", "c.bmp"], ["c.bmp is a bmp file", "convert it to PNG"]),
        (["notes.txt", "a.jpg"], ["notes.txt is not an image", "give a JPEG or PNG"]),
        (["a.jpg", "empty"], ["empty is not an image", "give a JPEG or PNG"]),
        (["a.jpg", "cmyk.jpg"], ["cmyk.jpg is a CMYK JPEG", "convert both"]),
        (["deep.png", "a.jpg"], ["deep.png has more than 8 bits", "convert both"]),
        (["a.jpg", "moving.png"], ["moving.png is an animated PNG", "still pictures"]),
        (["a.jpg", "gray.jpg"], ["a.jpg is 600x400 pixels, gray.jpg 384x384", "scale one"]),
        (
            ["small.png", "tiny.png"],
            ["small.png and tiny.png cannot be compared: Butteraugli", "leave out --butteraugli"],
        ),
    ] {
        let output = bench.score(&[args.as_slice(), &["--json", "--butteraugli"]].concat());
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(output.stdout.is_empty(), "{args:?}");
        let text = stderr(&output);
        assert!(text.starts_with("error: ") && said.iter().all(|said| text.contains(said)), "{args:?}: {text}");
    }
    assert_eq!(bench.score(&["a.jpg"]).status.code(), Some(2));
}
