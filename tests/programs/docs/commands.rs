//! Every command of the documentation does what it says, or needs AWS and says so.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use karui::dev::server::{ACCESS_KEY_ID, LocalS3, REGION, SECRET_ACCESS_KEY};
use karui::optimize::{Budget, Options, Outcome, optimize};
use tempfile::TempDir;

use super::{pages, read, root};

/// Says in a block that its commands are not run.
const NEEDS_AWS: &str = "# needs AWS";

/// Blocks of shell commands of a text, with continued lines joined, and without comments and what needs AWS.
fn blocks(text: &str) -> Vec<Vec<String>> {
    let fenced = text.split("```sh\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0));
    let runnable = fenced.filter(|block| !block.contains(NEEDS_AWS));
    runnable.map(|block| block.replace("\\\n", " ").lines().map(command).filter(|c| !c.is_empty()).collect()).collect()
}

/// A line without its comment.
fn command(line: &str) -> String {
    let line = line.trim_start_matches("//!").trim();
    let comment = if line.starts_with('#') { Some(0) } else { line.find(" #") };
    line[..comment.unwrap_or(line.len())].trim().to_owned()
}

fn commands(page: &Path) -> Vec<String> {
    blocks(&read(page)).concat()
}

/// Commands of all pages that begin with `start`.
fn commands_starting(start: &str) -> Vec<String> {
    let commands = pages().into_iter().flat_map(|page| commands(&page));
    commands.filter(|line| line.starts_with(start)).collect()
}

/// Runs a command as it is typed.
fn run(line: &str, folder: &Path, environment: &[(&str, OsString)]) -> String {
    let mut shell = Command::new("bash");
    shell.args(["-euo", "pipefail", "-c", line]).current_dir(folder).stdin(Stdio::null());
    // What cargo tells a test of its package would make a cargo inside of it build dependencies anew.
    let of_test =
        |name: &str| ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"].iter().any(|start| name.starts_with(start));
    std::env::vars_os().map(|(name, _)| name).filter(|name| name.to_str().is_some_and(of_test)).for_each(|name| {
        shell.env_remove(name);
    });
    let output = shell.envs(environment.iter().cloned()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{line}: {}\n{}{}", output.status, text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// `PATH` with this folder in front.
fn path_with(folder: &Path) -> OsString {
    let before = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(std::iter::once(folder.to_owned()).chain(std::env::split_paths(&before))).unwrap()
}

#[test]
fn commands_of_docs_have_a_test_each() {
    let tested = ["karui ", "make ", "cargo test ", "cargo lambda invoke ", "export PATH="];
    for page in pages() {
        for line in commands(&page) {
            assert!(tested.iter().any(|start| line.starts_with(start)), "{}: nothing runs {line:?}", page.display());
        }
    }
}

#[test]
fn make_targets_of_docs_exist() {
    for line in commands_starting("make ") {
        run(&line.replacen("make ", "make --dry-run ", 1), root(), &[]);
    }
}

#[test]
fn cargo_test_commands_of_docs_select_something() {
    for line in commands_starting("cargo test ") {
        let words: Vec<_> = line.split(' ').skip(2).collect();
        let binary = words.iter().position(|word| *word == "--test").map(|at| format!("tests/{}", words[at + 1]));
        assert!(binary.iter().all(|binary| root().join(binary).join("main.rs").is_file()), "{line}");
        for module in words.iter().filter(|word| word.contains("::")) {
            let folder = binary.as_deref().unwrap_or("src");
            let module = format!("{folder}/{}", module.trim_end_matches("::").replace("::", "/"));
            assert!(root().join(&module).is_dir() || root().join(format!("{module}.rs")).is_file(), "{line}");
        }
    }
}

/// A folder with what the commands name, and the buckets that they name, in an S3 on loopback.
struct World {
    folder: TempDir,
    s3: LocalS3,
}

impl World {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let photo = read_sample("photo-420.jpg");
        let Ok(Outcome::Optimized(smaller)) = optimize(&photo, &Options::default(), Budget::UNLIMITED) else {
            panic!("the sample is not optimized");
        };
        let place = |path: &str, bytes: &[u8]| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        };
        // Bytes decide, not names: `karui score` compares these two.
        place("here/photo.png", &photo);
        place("here/photo.jpg", &smaller.bytes);
        for file in ["here/in.jpg", "here/photos/a.jpg", "s3/photos/2024/a.jpg", "s3/photos/in/b.jpg", "s3/small/c.jpg"]
        {
            place(file, &photo);
        }
        run("tar cf s3/small/a.tar here", folder.path(), &[]);
        let s3 = LocalS3::start(&folder.path().join("s3"), None).await.unwrap();
        Self { folder, s3 }
    }

    fn environment(&self, program: &Path) -> Vec<(&'static str, OsString)> {
        vec![
            ("PATH", path_with(program.parent().unwrap())),
            ("AWS_ENDPOINT_URL", self.s3.endpoint().into()),
            ("AWS_REGION", REGION.into()),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID.into()),
            ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY.into()),
        ]
    }

    async fn run(&self, line: String, folder: PathBuf, program: &Path) -> String {
        let environment = self.environment(program);
        tokio::task::spawn_blocking(move || run(&line, &folder, &environment)).await.unwrap()
    }
}

fn read_sample(name: &str) -> Vec<u8> {
    std::fs::read(root().join("tests/fixtures").join(name)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn karui_commands_of_docs_succeed() {
    let karui = Path::new(env!("CARGO_BIN_EXE_karui"));
    let mut count = 0;
    for page in pages() {
        let lines: Vec<_> = commands(&page).into_iter().filter(|line| line.starts_with("karui ")).collect();
        if lines.is_empty() {
            continue;
        }
        let world = World::start().await;
        for line in lines {
            world.run(line, world.folder.path().join("here"), karui).await;
            count += 1;
        }
    }
    assert!(count > 15, "{count}");
}

#[tokio::test(flavor = "multi_thread")]
async fn examples_optimize_a_folder_and_a_bucket() {
    let world = World::start().await;
    std::fs::create_dir(world.folder.path().join("s3/destination")).unwrap();
    let cargo = Path::new(env!("CARGO"));
    let out = world.folder.path().join("out");

    let line = example("optimize_folder").replace("small", out.to_str().unwrap());
    // With the features of this test, since another set of them is another build.
    let said = world.run(line.replace(" --no-default-features", ""), root().to_owned(), cargo).await;
    assert!(said.contains("photo-420.jpg: 79975 -> "), "{said}");
    assert!(out.join("photo-420.jpg").metadata().unwrap().len() < 79_975);
    assert_eq!(std::fs::read(out.join("notes.txt")).unwrap(), read_sample("notes.txt"));

    let line = example("bucket_to_bucket").replace("-- source", "-- photos");
    world.run(line, root().to_owned(), cargo).await;
    let stored = world.folder.path().join("s3/destination/2024/a.jpg");
    assert!(stored.metadata().unwrap().len() < 79_975);
}

/// The command in the documentation of an example.
fn example(name: &str) -> String {
    let lines = commands(&root().join(format!("examples/{name}.rs")));
    let line = lines.into_iter().find(|line| line.contains(name)).unwrap();
    line.replace("cargo run", "cargo run --quiet --locked")
}

#[test]
fn sample_event_is_answered_as_the_readme_says() {
    let lines = commands(&root().join("README.md"));
    let invoke = lines.iter().find(|line| line.starts_with("cargo lambda invoke ")).unwrap();
    let dev = DevServer::start();
    let cargo_lambda = std::env::var_os("KARUI_TEST_CARGO_LAMBDA").map(PathBuf::from);
    let path = cargo_lambda.as_deref().and_then(Path::parent).map(path_with);
    let environment: Vec<_> = path.map(|path| ("PATH", path)).into_iter().collect();

    let line = format!("{invoke} --invoke-port {}", dev.port);
    let answer = run(&line, root(), &environment);
    assert!(answer.contains(r#""outcome":"optimized""#), "{answer}");
    assert!(dev.folder.path().join("destination/photo.jpg").metadata().unwrap().len() < 79_975);
    let answer = run(&line, root(), &environment);
    assert!(answer.contains(r#""reason":"already-stored""#), "{answer}");
}

/// `karui dev` over a folder that has the sample, as `make dev` prepares it.
struct DevServer {
    folder: TempDir,
    port: u16,
    process: std::process::Child,
}

impl DevServer {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("source")).unwrap();
        std::fs::write(folder.path().join("source/photo.jpg"), read_sample("photo-420.jpg")).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut karui = Command::new(env!("CARGO_BIN_EXE_karui"));
        karui.args(["dev", "--invoke-port", &port.to_string(), "--dir"]).arg(folder.path());
        let mut process = karui.stdout(Stdio::piped()).spawn().unwrap();
        let mut greeting = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        let command = greeting.find(|line| line.starts_with("cargo lambda invoke")).expect("karui dev says how");
        assert!(command.ends_with("examples/event.json"), "{command}");
        // Read on, so that the program can go on writing.
        std::thread::spawn(move || greeting.for_each(drop));
        Self { folder, port, process }
    }
}

impl Drop for DevServer {
    /// Ends the program as Ctrl-C does, so that it ends the function as well.
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-INT", &self.process.id().to_string()]).status();
        let _ = self.process.wait();
    }
}
