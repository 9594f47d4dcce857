//! `karui cp`, `sync`, `uploads` and `policy` as a person meets them: the real binary, against an S3 in this process.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant, SystemTime};

use crate::support::faults::{Fault, INTERNAL_ERROR};
use crate::support::{DESTINATION, MIB, SOURCE, TestS3, attributes, destination, eventually, noise, source};
use karui::dev::server::{ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY};
use karui::s3::{Attributes, Client, ObjectRef, Operation, Pair, TransferConfig};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

const DENIED: Fault = Fault::ErrorSaying(403, "AccessDenied", "Access Denied");

/// Two buckets and a folder, with the program at hand.
struct World {
    s3: TestS3,
    here: TempDir,
}

/// Exit status and output of the program.
struct Said {
    code: Option<i32>,
    rows: Vec<Value>,
    stdout: Vec<u8>,
    stderr: String,
}

impl Said {
    /// The rows of one action, as the last segments of their sources or destinations.
    fn names(&self, action: &str) -> Vec<String> {
        let rows = self.rows.iter().filter(|row| row["action"] == action);
        let name = |row: &Value| row["source"].as_str().or(row["destination"].as_str()).unwrap().to_owned();
        let mut names: Vec<_> = rows.map(|row| name(row).rsplit('/').next().unwrap().to_owned()).collect();
        names.sort();
        names
    }

    fn summary(&self, field: &str) -> i64 {
        let summary = self.rows.iter().find_map(|row| row.get("summary")).expect("a summary");
        summary[field].as_i64().unwrap_or_else(|| panic!("{field}: {summary}"))
    }

    fn well(self) -> Self {
        assert_eq!(self.code, Some(0), "{}\n{:?}", self.stderr, self.rows);
        self
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let lines = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect::<Vec<_>>();
        Self {
            code: output.status.code(),
            rows: lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            stdout: output.stdout,
        }
    }
}

impl World {
    async fn new() -> Self {
        Self { s3: TestS3::start().await, here: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.here.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The program with nothing in its environment but a way to this S3.
    fn command(&self, line: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_karui"));
        command
            .args(line)
            .current_dir(self.here.path())
            .env_clear()
            .envs([
                ("AWS_ENDPOINT_URL", self.s3.server.endpoint()),
                ("AWS_REGION", REGION),
                ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID),
                ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY),
                ("AWS_EC2_METADATA_DISABLED", "true"),
                ("HOME", "/nonexistent"),
            ])
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    async fn karui(&self, line: &str) -> Said {
        let words: Vec<_> = line.split_whitespace().collect();
        self.karui_words(&words).await
    }

    async fn karui_words(&self, words: &[&str]) -> Said {
        self.s3.faults.forget_seen();
        self.command(words).output().await.unwrap().into()
    }

    /// The program on its way, with its ends at hand.
    fn start(&self, words: &[&str]) -> Child {
        let mut command = self.command(words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    async fn put(&self, key: &str, bytes: &[u8]) {
        self.s3.put(&source(key), &bytes.to_vec().into()).await;
    }

    /// How many times each operation was asked for by the last command.
    fn asked(&self) -> BTreeMap<Operation, usize> {
        let mut asked = BTreeMap::new();
        for seen in self.s3.faults.all_seen() {
            *asked.entry(seen.operation.expect("an operation that Karui uses")).or_default() += 1;
        }
        asked
    }

    /// Makes what lies there as old as this, in seconds.
    fn age(path: &Path, seconds: u64) {
        let time = SystemTime::now() - Duration::from_secs(seconds);
        fs::File::options().append(true).open(path).unwrap().set_modified(time).unwrap();
    }
}

fn fixture(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)).unwrap()
}

/// Keys that S3 and file systems both have.
const ODD: [&str; 6] = ["a b+c/100%.txt", "日本/é.txt", "x?y#z&=.txt", "..hidden/a..b", "'\"(1)!.txt", "plain"];

#[tokio::test(flavor = "multi_thread")]
async fn cp_of_one_object_keeps_its_attributes() {
    let world = World::new().await;
    let (from, to) = (source("in/a b+日.jpg"), destination("out/x.jpg"));
    world.s3.store(1).destination.put(&from, noise(100), &attributes(), &karui::s3::Condition::None).await.unwrap();
    let said =
        world.karui_words(&["cp", "--json", "s3://source/in/a b+日.jpg", "s3://destination/out/x.jpg"]).await.well();
    assert_eq!(said.rows[0]["action"], "copied");
    let asked = [(Operation::HeadObject, 3), (Operation::CopyObject, 1)].into();
    assert_eq!(world.asked(), asked, "inside S3: the source is looked at before and after, and what has arrived");
    assert_eq!(world.s3.body(&to).await, noise(100));
    let head = world.s3.store(1).destination.head(&to).await.unwrap().unwrap();
    assert_eq!(head.attributes, attributes());

    world.karui_words(&["cp", "s3://source/in/a b+日.jpg", "down/"]).await.well();
    assert_eq!(world.read("down/a b+日.jpg"), noise(100));
    let written = fs::metadata(world.path("down/a b+日.jpg")).unwrap().modified().unwrap();
    let written = written.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() as i64;
    assert_eq!(Some(written), world.s3.store(1).destination.head(&from).await.unwrap().unwrap().modified);
    world.karui_words(&["cp", "down/a b+日.jpg", "s3://destination/up/"]).await.well();
    assert_eq!(world.s3.body(&destination("up/a b+日.jpg")).await, noise(100));
    let output = world.karui_words(&["cp", "s3://source/in/a b+日.jpg", "-"]).await.well();
    assert_eq!(output.stdout, noise(100));
    assert_eq!(output.stderr, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_of_folders_keeps_odd_keys() {
    let world = World::new().await;
    for key in ODD {
        world.write(&format!("up/{key}"), key.as_bytes());
    }
    let up = world.karui("sync --json up s3://source/p").await.well();
    assert_eq!((up.summary("copied"), up.summary("objects")), (6, 6));
    let across = world.karui("sync --json s3://source/p s3://destination/q/").await.well();
    assert_eq!(across.summary("copied"), 6);
    assert_eq!(world.asked()[&Operation::CopyObject], 6);
    let down = world.karui("sync --json s3://destination/q down").await.well();
    assert_eq!(down.summary("copied"), 6);
    for key in ODD {
        assert_eq!(world.read(&format!("down/{key}")), key.as_bytes(), "{key}");
    }
    let typed = world.s3.store(1).destination.head(&source("p/日本/é.txt")).await.unwrap().unwrap();
    assert_eq!(typed.attributes.content_type.as_deref(), Some("text/plain"));

    for line in [
        "sync --json up s3://source/p",
        "sync --json s3://source/p s3://destination/q",
        "sync --json s3://destination/q down",
    ] {
        for exact in ["", " --exact"] {
            let again = world.karui(&format!("{line}{exact}")).await.well();
            assert_eq!((again.summary("same"), again.summary("copied")), (6, 0), "{line}{exact}: {:?}", again.rows);
            assert!(
                world.asked().keys().all(|operation| *operation == Operation::ListObjectsV2),
                "{:?}",
                world.asked()
            );
        }
    }
    let all = world.karui("cp -r --json up s3://source/p").await.well();
    assert_eq!(all.summary("copied"), 6, "cp does not look");
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_compares_time_and_size_and_exact_content() {
    let world = World::new().await;
    for name in ["same", "newer", "longer"] {
        world.write(&format!("up/{name}"), b"1234");
        World::age(&world.path(&format!("up/{name}")), 1000);
    }
    world.karui("sync up s3://source").await.well();
    world.write("up/longer", b"12345");
    World::age(&world.path("up/longer"), 1000);
    fs::File::options()
        .append(true)
        .open(world.path("up/newer"))
        .unwrap()
        .set_modified(SystemTime::now() + Duration::from_secs(100))
        .unwrap();
    let said = world.karui("sync --json up s3://source").await.well();
    assert_eq!(said.names("copied"), ["longer", "newer"]);
    let why = |name: &str| {
        said.rows.iter().find(|row| row["source"].as_str().is_some_and(|s| s.ends_with(name))).unwrap()["reason"]
            .clone()
    };
    assert_eq!((why("longer"), why("newer")), ("of another size".into(), "newer".into()));

    // Same size, and older: only the bytes differ.
    world.write("up/same", b"4321");
    World::age(&world.path("up/same"), 2000);
    assert_eq!(world.karui("sync --json --exclude newer up s3://source").await.well().summary("copied"), 0);
    assert_eq!(world.karui("sync --json --exact up s3://source").await.well().names("copied"), ["same"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn cp_refuses_keys_that_are_no_paths() {
    let world = World::new().await;
    for key in ["p/../../up", "p//x", "p/good", "p/file/x"] {
        world.put(key, b"bytes").await;
    }
    world.put("p/folder/", b"").await;
    world.write("down/file", b"stands in the way");
    let said = world.karui("sync --json s3://source/p down").await;
    assert_eq!(said.code, Some(1));
    assert_eq!(said.names("copied"), ["good"]);
    assert_eq!(said.names("skipped"), [""], "the folder marker");
    let failed: Vec<_> = said.rows.iter().filter(|row| row["action"] == "failed").collect();
    assert_eq!(failed.len(), 3, "{:?}", said.rows);
    let reason = |key: &str| {
        let row = failed.iter().find(|row| row["source"] == format!("s3://source/{key}")).expect(key);
        row["reason"].as_str().unwrap().to_owned()
    };
    assert!(reason("p/../../up").contains("contains . or ..") && reason("p//x").contains("or contains //"));
    assert!(reason("p/file/x").contains("a file in place of a folder"));
    let mut left: Vec<_> =
        walkdir::WalkDir::new(world.here.path()).min_depth(1).into_iter().map(|e| e.unwrap().into_path()).collect();
    left.sort();
    assert_eq!(left, ["down", "down/file", "down/good"].map(|name| world.path(name)), "nothing beside it");
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_applies_filters_delete_and_dry_run() {
    let world = World::new().await;
    for key in ["a.jpg", "b.png", "raw/c.jpg"] {
        world.put(key, b"bytes").await;
    }
    for key in ["gone.jpg", "gone.png"] {
        world.s3.put(&destination(key), &b"old".to_vec().into()).await;
    }
    let line = "sync --json --delete --exclude * --include *.jpg --exclude raw/* s3://source s3://destination";
    let dry = world.karui(&format!("{line} --dry-run")).await.well();
    assert_eq!((dry.names("copied"), dry.names("deleted")), (vec!["a.jpg".into()], vec!["gone.jpg".into()]));
    assert!(dry.rows[0]["dry_run"] == true && dry.summary("copied") == 1);
    assert_eq!(world.asked().into_keys().collect::<Vec<_>>(), [Operation::ListObjectsV2]);

    let said = world.karui(line).await.well();
    assert_eq!((said.names("copied"), said.names("deleted")), (vec!["a.jpg".into()], vec!["gone.jpg".into()]));
    let there = |key: &str| world.s3.file(&destination(key)).is_file();
    assert!(there("a.jpg") && there("gone.png") && !there("gone.jpg") && !there("b.png"));

    let kept = world.karui("sync --json s3://source s3://destination").await.well();
    assert_eq!((kept.summary("deleted"), kept.summary("copied")), (0, 2), "nothing is deleted unasked");
    assert!(there("gone.png"));

    let typo = world.karui("sync --json --delete s3://source/no-such-prefix s3://destination").await;
    assert!(typo.code == Some(1) && typo.stderr.contains("check its name"), "{}", typo.stderr);
    assert!(there("gone.png"));
    for (line, words) in [
        ("sync s3://source s3://source/copies", "is inside"),
        ("sync --delete s3://source/a s3://source", "would delete the source"),
        ("cp s3://source/a.jpg s3://source/a.jpg", "onto itself"),
        ("cp --optimize s3://source/a.jpg s3://source", "onto itself"),
        ("cp s3://source/raw/ down", "--recursive"),
        ("sync no-such-folder s3://source", "not a folder"),
    ] {
        let said = world.karui(line).await;
        assert!(said.code == Some(2) && said.stderr.contains(words), "{line}: {}", said.stderr);
    }
    let said = world.karui("cp --json --optimize s3://source/none.jpg s3://destination").await;
    assert_eq!((said.code, said.names("failed")), (Some(1), vec!["none.jpg".into()]), "named explicitly");
}

/// While one object is held on its way, others come to the source that its listing did not have.
#[tokio::test(flavor = "multi_thread")]
async fn delete_keeps_key_that_the_source_got_meanwhile() {
    for (from, to, first) in [
        ("s3://source", "down", Operation::GetObject),
        ("s3://source", "s3://destination", Operation::CopyObject),
        ("up", "s3://destination", Operation::PutObject),
    ] {
        let world = World::new().await;
        world.put("a", b"bytes").await;
        world.write("up/a", b"bytes");
        for name in ["b", "c"] {
            world.s3.put(&destination(name), &b"old".to_vec().into()).await;
            world.write(&format!("down/{name}"), b"old");
        }
        world.s3.faults.forget_seen();
        world.s3.faults.on(first, 1, Fault::Hold);
        let child = world.start(&["sync", "--json", "--delete", "--jobs", "1", from, to]);
        eventually("a is on its way", || world.s3.faults.calls(first) > 0).await;
        world.put("b", b"new").await;
        world.write("up/b", b"new");
        world.s3.faults.release();
        let said = Said::from(child.wait_with_output().await.unwrap()).well();
        let names = ["copied", "skipped", "deleted"].map(|action| said.names(action).join(" "));
        assert_eq!(names, ["a", "b", "c"], "{from} {to}");
        let there = |name: &str| [world.path("down").join(name), world.s3.file(&destination(name))].map(|f| f.exists());
        assert!(there("b") == [true; 2] && there("c") != [true; 2], "{from} {to}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn delete_keeps_key_if_the_source_is_unreadable() {
    let world = World::new().await;
    world.put("p/a", b"bytes").await;
    world.write("down/gone", b"old");
    // The first one lists.
    world.s3.faults.on(Operation::ListObjectsV2, 2, DENIED);
    let said = world.karui("sync --json --delete s3://source/p down").await;
    assert_eq!((said.code, said.names("failed"), said.names("deleted")), (Some(1), vec!["gone".into()], vec![]));
    let row = said.rows.iter().find(|row| row["action"] == "failed").unwrap();
    assert!(row["reason"].as_str().unwrap().contains("grant s3:ListBucket"), "{row}");
    assert_eq!(world.read("down/gone"), b"old");
    // A policy that is bound to a prefix lets no HEAD tell missing from forbidden.
    world.s3.faults.clear();
    world.s3.faults.always(Operation::HeadObject, DENIED);
    assert_eq!(world.karui("sync --json --delete s3://source/p down").await.well().names("deleted"), ["gone"]);
}

#[tokio::test(flavor = "multi_thread")]
#[cfg(unix)]
async fn delete_keeps_keys_below_a_link() {
    use std::os::unix::fs::symlink;
    let world = World::new().await;
    world.write("up/file", b"bytes");
    world.write("elsewhere/x", b"bytes");
    symlink("../elsewhere", world.path("up/linked")).unwrap();
    symlink("../elsewhere/x", world.path("up/link.txt")).unwrap();
    let behind = ["link.txt", "linked/x", "linked/y/z"];
    for key in behind.into_iter().chain(["gone", "linked.old", "linkedin"]) {
        world.s3.put(&destination(key), &b"old".to_vec().into()).await;
    }
    let left = || behind.iter().all(|key| world.s3.file(&destination(key)).is_file());
    let said = world.karui("sync --json up s3://destination").await.well();
    assert_eq!(
        (said.names("copied"), said.names("skipped")),
        (vec!["file".into()], vec!["link.txt".into(), "linked".into()])
    );
    let row = said.rows.iter().find(|row| row["action"] == "skipped").unwrap();
    assert_eq!(row["reason"], "a link, which is not followed");
    let told = world.karui("sync --delete --dry-run --exclude link* up s3://destination").await.well();
    assert!(
        !told.stderr.contains("skipped:") && told.stderr.contains("would delete s3://destination/gone"),
        "{}",
        told.stderr
    );

    let said = world.karui("sync --json --delete up s3://destination").await.well();
    assert_eq!(said.names("deleted"), ["gone", "linked.old", "linkedin"]);
    assert_eq!((said.summary("skipped"), said.summary("same"), left()), (2, 1, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_skips_temporary_files() {
    let world = World::new().await;
    for name in ["up/.karui-x", "up/deep/.karui-y", "up/.karui/kept", "up/kept.karui-z"] {
        world.write(name, b"bytes");
    }
    for line in ["sync --json --delete up s3://destination", "cp -r --json up s3://destination/again"] {
        let said = world.karui(line).await.well();
        assert_eq!(
            (said.names("copied"), said.names("skipped")),
            (vec!["kept".into(), "kept.karui-z".into()], vec![".karui-x".into(), ".karui-y".into()])
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_delete_replaces_folder_by_object() {
    let world = World::new().await;
    world.put("p/a/b/c", b"deep").await;
    world.put("p/kept", b"bytes").await;
    world.karui("sync s3://source/p down").await.well();
    fs::remove_dir_all(world.s3.file(&source("p/a"))).unwrap();
    world.put("p/a", b"flat").await;
    // The object's turn comes before that of what lies in the folder.
    let said = world.karui("sync --json --delete --jobs 1 s3://source/p down").await;
    assert_eq!((said.code, said.names("failed"), said.names("deleted")), (Some(1), vec!["a".into()], vec!["c".into()]));
    let said = world.karui("sync --json --delete s3://source/p down").await.well();
    assert_eq!((said.names("copied"), said.summary("same")), (vec!["a".into()], 1));
    assert_eq!(world.read("down/a"), b"flat");
    fs::remove_file(world.s3.file(&source("p/a"))).unwrap();
    fs::remove_file(world.s3.file(&source("p/kept"))).unwrap();
    world.put("p/other", b"bytes").await;
    world.karui("sync --delete --exclude other s3://source/p down").await.well();
    assert_eq!(fs::read_dir(world.path("down")).unwrap().count(), 0, "the root stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_with_unreadable_folder_deletes_nothing() {
    use std::os::unix::ffi::OsStrExt;
    let world = World::new().await;
    world.write("up/z", b"z");
    world.karui("sync up s3://destination").await.well();
    world.s3.put(&destination("zz"), &b"old".to_vec().into()).await;
    fs::write(world.path("up").join(std::ffi::OsStr::from_bytes(b"a\xff")), "").unwrap();
    let said = world.karui("sync --json --delete up s3://destination").await;
    assert_eq!((said.code, said.summary("failed"), said.summary("deleted")), (Some(1), 1, 0));
    assert!(world.s3.file(&destination("zz")).is_file());
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_optimizes_images_in_every_direction_once() {
    let world = World::new().await;
    for name in ["photo-420.jpg", "icon.png", "notes.txt"] {
        world.put(&format!("in/{name}"), &fixture(name)).await;
        world.write(&format!("up/{name}"), &fixture(name));
    }
    let smaller = |bytes: &[u8]| bytes.len() < fixture("photo-420.jpg").len();
    for line in ["s3://source/in s3://destination/a", "up s3://destination/b", "s3://source/in down"] {
        let said = world.karui(&format!("sync --json --optimize {line}")).await.well();
        assert_eq!(
            (said.names("optimized"), said.names("copied")),
            (vec!["icon.png".into(), "photo-420.jpg".into()], vec!["notes.txt".into()]),
            "{line}"
        );
        assert!(said.summary("bytes_out") < said.summary("bytes_in"));
        for exact in ["", " --exact"] {
            let again = world.karui(&format!("sync --json --optimize{exact} {line}")).await.well();
            assert_eq!(
                (again.summary("same"), again.summary("optimized"), again.summary("copied")),
                (3, 0, 0),
                "{line}{exact}"
            );
            let writes = [Operation::PutObject, Operation::CopyObject, Operation::CreateMultipartUpload];
            assert!(writes.iter().all(|write| !world.asked().contains_key(write)), "{:?}", world.asked());
        }
    }
    assert!(smaller(&world.read("down/photo-420.jpg")));
    assert_eq!(world.read("down/notes.txt"), fixture("notes.txt"));
    for prefix in ["a", "b"] {
        let photo = destination(&format!("{prefix}/photo-420.jpg"));
        assert!(smaller(&world.s3.body(&photo).await));
        let head = world.s3.store(1).destination.head(&photo).await.unwrap().unwrap();
        assert_eq!(head.attributes.content_type.as_deref(), Some("image/jpeg"));
        assert_eq!(head.attributes.metadata["karui-method"], "jpeg-coefficients");
    }
    let other =
        world.karui("sync --json --optimize --quality 90 --exact s3://source/in s3://destination/a").await.well();
    assert_eq!(other.names("optimized"), ["icon.png", "photo-420.jpg"], "other options, other bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_of_10000_unchanged_objects_sends_only_lists() {
    let world = World::new().await;
    // Both sides as a first run leaves them, without its hour of work.
    for bucket in [SOURCE, DESTINATION] {
        for n in 0..10_000 {
            fs::write(world.s3.folder.path().join(bucket).join(format!("{n:05}.txt")), "small").unwrap();
        }
    }
    let said = world.karui("sync --json --optimize s3://source s3://destination").await.well();
    assert_eq!((said.summary("objects"), said.summary("same")), (10_000, 10_000));
    let asked = world.asked();
    assert_eq!(asked.keys().collect::<Vec<_>>(), [&Operation::ListObjectsV2]);
    assert!(asked[&Operation::ListObjectsV2] <= 20 + 10, "{asked:?}");
}

/// By the program's own client: what S3 asks to slow down slows down, and arrives.
#[tokio::test(flavor = "multi_thread")]
async fn sync_survives_a_storm_of_faults() {
    let world = World::new().await;
    for n in 0..16 {
        world.write(&format!("up/{n}"), b"some bytes");
    }
    let mut requests_per_second = Vec::new();
    for percent in [0, 30] {
        world.s3.faults.storm(percent);
        let begin = Instant::now();
        let said = world.karui(&format!("cp -r --json up s3://destination/{percent}/")).await.well();
        assert_eq!(said.summary("copied"), 16);
        let requests = world.s3.faults.all_seen().len();
        println!("{percent} %: {requests} requests in {:?}", begin.elapsed());
        assert!((16..=40).contains(&requests), "{requests} requests for 16 objects");
        requests_per_second.push(requests as f64 / begin.elapsed().as_secs_f64());
    }
    assert!(requests_per_second[1] < requests_per_second[0], "{requests_per_second:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_permission_is_named() {
    let world = World::new().await;
    world.put("a", b"bytes").await;
    world.s3.faults.always(Operation::ListObjectsV2, DENIED);
    let said = world.karui("sync s3://source down").await;
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.contains("grant s3:ListBucket on arn:aws:s3:::source"), "{}", said.stderr);
    // GetObject alone is enough for cp: nothing else is asked for.
    world.karui("cp s3://source/a down/").await.well();
    assert_eq!(world.asked().into_keys().collect::<Vec<_>>(), [Operation::GetObject]);

    world.s3.faults.always(Operation::GetObject, DENIED);
    let said = world.karui("cp s3://source/a down/").await;
    assert!(
        said.code == Some(1) && said.stderr.contains("grant s3:GetObject on arn:aws:s3:::source/*"),
        "{}",
        said.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_side_uses_its_own_credentials_and_store() {
    let (here, there) = (World::new().await, World::new().await);
    here.put("a.txt", b"bytes").await;
    let profiles = format!(
        "[profile there]\nregion = {REGION}\nendpoint_url = {}\naws_access_key_id = {ACCESS_KEY_ID}\n\
         aws_secret_access_key = {SECRET_ACCESS_KEY}\n\n[profile wrong]\nregion = {REGION}\n\
         aws_access_key_id = nobody\naws_secret_access_key = nothing\n",
        there.s3.server.endpoint(),
    );
    here.write("config", profiles.as_bytes());
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let run = async |line: &str| -> Said {
        let words = words(line);
        let mut command = here.command(&words.iter().map(String::as_str).collect::<Vec<_>>());
        command.env("AWS_CONFIG_FILE", here.path("config")).output().await.unwrap().into()
    };
    let endpoint = there.s3.server.endpoint();
    run(&format!("cp s3://source/a.txt s3://destination/b.txt --destination-endpoint {endpoint}")).await.well();
    assert_eq!(there.s3.body(&destination("b.txt")).await, b"bytes"[..]);
    assert!(!here.s3.file(&destination("b.txt")).exists());

    // The same bucket of another store is another bucket, and one store may go by two names.
    let other = format!("--destination-endpoint {endpoint}");
    run(&format!("cp s3://source/a.txt s3://source/a.txt {other}")).await.well();
    run(&format!("sync s3://source s3://source/copies {other}")).await.well();
    assert_eq!(there.s3.body(&source("copies/a.txt")).await, b"bytes"[..]);
    let same = format!("--source-endpoint {}", here.s3.server.endpoint());
    for (line, words) in [
        ("sync s3://source s3://source/copies", "is inside"),
        ("sync --delete s3://source/a s3://source", "would delete the source"),
        ("cp s3://source/a.txt s3://source/", "onto itself"),
    ] {
        let said = run(&format!("{line} {same}")).await;
        assert!(said.code == Some(2) && said.stderr.contains(words), "{line}: {}", said.stderr);
    }
    let said = run("cp s3://source/a.txt down/ --source-profile wrong").await;
    assert!(
        said.code == Some(1) && said.stderr.contains("not signed up"),
        "a profile goes before the environment: {}",
        said.stderr
    );
}

/// Files that go up in parts, slowly enough to be caught at it.
async fn caught_in_the_middle(world: &World) -> (tokio::process::Child, u32) {
    for name in ["a", "b"] {
        world.write(&format!("up/{name}"), &noise(40 * MIB));
    }
    world.s3.faults.always(Operation::UploadPart, Fault::Hang);
    let child = world.start(&["sync", "--json", "up", "s3://destination"]);
    let id = child.id().unwrap();
    eventually("both uploads are open", || world.s3.open_uploads().len() == 2).await;
    (child, id)
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_leaves_no_open_upload() {
    let world = World::new().await;
    let (child, id) = caught_in_the_middle(&world).await;
    let killed = Command::new("kill").args(["-INT", &id.to_string()]).status().await.unwrap();
    assert!(killed.success());
    let said = Said::from(child.wait_with_output().await.unwrap());
    assert_eq!(said.code, Some(130), "{}", said.stderr);
    assert_eq!(world.s3.open_uploads(), [""; 0]);
    let summary = said.rows.iter().find_map(|row| row.get("summary")).unwrap();
    assert_eq!(summary["interrupted"], true);
    assert!(!world.s3.file(&destination("a")).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_leaves_no_temporary_file() {
    let world = World::new().await;
    for n in 0..16 {
        world.put(&n.to_string(), &noise(30 * MIB)).await;
    }
    fs::create_dir(world.path("down")).unwrap();
    let names =
        || fs::read_dir(world.path("down")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let child = world.start(&["sync", "--json", "--jobs", "4", "s3://source", "down"]);
    eventually("a file is being written", || names().any(|name| name.starts_with(".karui-"))).await;
    let killed = Command::new("kill").args(["-INT", &child.id().unwrap().to_string()]).status().await.unwrap();
    assert!(killed.success());
    let begin = Instant::now();
    let said = Said::from(child.wait_with_output().await.unwrap());
    println!("{} files, {:?} after Ctrl-C", names().count(), begin.elapsed());
    assert_eq!(said.code, Some(130), "{}", said.stderr);
    assert!(names().all(|name| !name.starts_with(".karui-")), "{:?}", names().collect::<Vec<_>>());
    assert!(names().all(|name| world.read(&format!("down/{name}")) == noise(30 * MIB)), "all that arrived is whole");
}

/// A read of stdin, which is not ended from here, keeps nobody.
#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_does_not_wait_for_stdin() {
    let world = World::new().await;
    let mut child = world.start(&["cp", "-", "s3://destination/large"]);
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&noise(10 * MIB)).await.unwrap();
    eventually("a part is sent", || world.s3.faults.calls(Operation::UploadPart) > 0).await;
    let begin = Instant::now();
    Command::new("kill").args(["-INT", &child.id().unwrap().to_string()]).status().await.unwrap();
    let said = Said::from(child.wait_with_output().await.unwrap());
    drop(stdin);
    assert_eq!((said.code, world.s3.open_uploads()), (Some(130), vec![]), "{}", said.stderr);
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_aborts_only_old_ones() {
    let world = World::new().await;
    let client = world.s3.client(1);
    let begin = async |bucket: &str, key: &str| {
        let output = client.create_multipart_upload().bucket(bucket).key(key).send().await.unwrap();
        output.upload_id.unwrap()
    };
    let old = begin(SOURCE, "p/old+ a").await;
    let young = begin(SOURCE, "p/young").await;
    let (elsewhere, other) = (begin(SOURCE, "q/old").await, begin(DESTINATION, "p/old").await);
    for id in [&old, &elsewhere, &other] {
        World::age(&world.s3.folder.path().join(format!(".upload-{id}.json")), 25 * 3600);
    }
    let listed = world.karui("uploads --json s3://source").await.well();
    let ids =
        |said: &Said| said.rows.iter().map(|row| row["upload_id"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(ids(&listed), [old.clone(), young.clone(), elsewhere.clone()]);
    assert!(listed.rows.iter().all(|row| row["state"] == "open"));
    let dry = world.karui("uploads --json --abort-older-than 24h --dry-run s3://source/p/").await.well();
    assert_eq!(
        dry.rows.iter().map(|row| row["state"].as_str().unwrap()).collect::<Vec<_>>(),
        ["would be ended", "open"]
    );
    assert_eq!(world.s3.open_uploads().len(), 4);

    let said = world.karui("uploads --json --abort-older-than 24h s3://source/p/").await.well();
    assert_eq!(
        (said.rows[0]["state"].clone(), said.rows[0]["object"].clone()),
        ("ended".into(), "s3://source/p/old+ a".into())
    );
    let mut open = world.s3.open_uploads();
    open.sort();
    let mut left = [young, elsewhere, other].map(|id| format!(".upload-{id}.json"));
    left.sort();
    assert_eq!(open, left);
    let denied = world.karui("uploads s3://no-such-bucket").await;
    assert!(denied.code == Some(1) && denied.stderr.contains("there is no bucket"), "{}", denied.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn policy_prints_json() {
    let world = World::new().await;
    let said = world
        .karui("policy --source s3://a-photos --destination s3://b-light --principal 222222222222 --for cp")
        .await
        .well();
    let printed: Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(printed["source"]["policy"]["Statement"][0]["Action"], serde_json::json!(["s3:GetObject"]));
    assert!(world.asked().is_empty(), "nothing is sent");
    let wrong = world.karui("policy --source a --destination s3://b --principal 222222222222").await;
    assert!(wrong.code == Some(2) && wrong.stderr.contains("want s3://bucket"), "{}", wrong.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn cp_of_file_that_changes_stores_nothing() {
    let world = World::new().await;
    // More parts than are in flight: most of it is still to be read when the first is held.
    for size in [100, 64 * MIB] {
        world.write("file", &noise(size));
        let (held, key) = if size == 100 { (Operation::PutObject, "small") } else { (Operation::UploadPart, "large") };
        world.s3.faults.clear();
        world.s3.faults.on(held, 1, Fault::Hold);
        let child = world.start(&["cp", "file", &format!("s3://destination/{key}")]);
        eventually("it is on its way", || world.s3.faults.calls(held) > 0).await;
        world.write("file", &noise(size + 1)[1..]);
        world.s3.faults.release();
        let said = Said::from(child.wait_with_output().await.unwrap());
        // A file that was read in one piece has one state: it is stored, and then its successor.
        let (code, stored) = if size == 100 { (0, true) } else { (1, false) };
        assert_eq!(said.code, Some(code), "{}", said.stderr);
        assert_eq!(world.s3.file(&destination(key)).exists(), stored);
        assert!(!stored || world.s3.body(&destination(key)).await == noise(size + 1)[1..]);
        assert!(stored || said.stderr.contains("changed while it was read"), "{}", said.stderr);
        assert_eq!(world.s3.open_uploads(), [""; 0]);
    }
}

/// The copy is newer than the change by then, and no listing would show the difference.
#[tokio::test(flavor = "multi_thread")]
async fn source_replaced_during_copy_is_copied_again() {
    let world = World::new().await;
    let (old, new) = (fixture("photo-420.jpg"), fixture("icon.png"));
    let sync = "sync --json --optimize";
    for (line, held) in [
        (format!("{sync} up s3://destination/a"), Operation::PutObject),
        (format!("{sync} s3://source/in s3://destination/b"), Operation::PutObject),
        ("sync --json s3://source/in s3://destination/c".into(), Operation::CopyObject),
    ] {
        world.write("up/x", &old);
        world.put("in/x", &old).await;
        world.s3.faults.clear();
        world.s3.faults.on(held, 1, Fault::Hold);
        let words: Vec<_> = line.split(' ').collect();
        let child = world.start(&words);
        eventually("it is on its way", || world.s3.faults.calls(held) > 0).await;
        fs::write(world.path("up/x"), &new).unwrap();
        world.put("in/x", &new).await;
        world.s3.faults.release();
        let said = Said::from(child.wait_with_output().await.unwrap());
        let copies = held == Operation::CopyObject;
        assert_eq!(said.well().names(if copies { "copied" } else { "optimized" }), ["x"], "{line}");
        let key = format!("{}/x", &line[line.len() - 1..]);
        let arrived = world.s3.body(&destination(&key)).await;
        assert_eq!(arrived[..4], new[..4], "{line}");
    }
}

/// Two requests read what is no image between two stores: its headers are of the first.
#[tokio::test(flavor = "multi_thread")]
async fn source_replaced_during_copy_keeps_its_own_headers() {
    let (here, there) = (World::new().await, World::new().await);
    here.put("x", b"no image").await;
    here.s3.faults.on(Operation::GetObject, 2, Fault::Hold);
    let endpoint = there.s3.server.endpoint();
    let words =
        ["cp", "--json", "--optimize", "s3://source/x", "s3://destination/x", "--destination-endpoint", endpoint];
    let child = here.start(&words);
    eventually("it is read again", || here.s3.faults.calls(Operation::GetObject) > 1).await;
    here.put("x", &fixture("icon.png")).await;
    here.s3.faults.release();
    let said = Said::from(child.wait_with_output().await.unwrap()).well();
    assert_eq!(said.names("optimized"), ["x"]);
    let head = there.s3.store(1).destination.head(&destination("x")).await.unwrap().unwrap();
    assert_eq!(head.attributes.content_type.as_deref(), Some("image/png"));
    assert_eq!(head.attributes.metadata["karui-original-size"], fixture("icon.png").len().to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn source_that_keeps_changing_is_a_failure() {
    let world = World::new().await;
    world.put("x", b"bytes").await;
    world.write("x", b"bytes");
    // S3 copies nothing but what it was asked for; a file is sent before it can be seen to be another.
    for (from, held, arrives) in [("s3://source/x", Operation::CopyObject, false), ("x", Operation::PutObject, true)] {
        world.s3.faults.clear();
        for nth in 1..=3 {
            world.s3.faults.on(held, nth, Fault::Hold);
        }
        let words = ["cp", "--json", from, "s3://destination/x"];
        let child = world.start(&words);
        for nth in 1..=3 {
            eventually("it is on its way", || world.s3.faults.calls(held) == nth).await;
            if arrives {
                world.write("x", &noise(nth));
            } else {
                world.put("x", &noise(nth)).await;
            }
            world.s3.faults.release();
        }
        let said = Said::from(child.wait_with_output().await.unwrap());
        let reason = said.rows[0]["reason"].to_string();
        assert!(said.code == Some(1) && reason.contains("run again when it is stable"), "{reason}");
        assert_eq!(reason.contains("an older version was copied"), arrives);
        assert_eq!(world.s3.file(&destination("x")).exists(), arrives);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn exact_without_head_compares_dates_and_sizes() {
    let world = World::new().await;
    world.put("x", b"bytes").await;
    world.s3.put(&destination("x"), &b"setyb".to_vec().into()).await;
    let policy =
        world.karui("policy --source s3://source --destination s3://destination --principal 111111111111").await;
    let printed: Value = serde_json::from_slice(&policy.well().stdout).unwrap();
    assert!(!printed["destination"].to_string().contains("s3:GetObject"), "the HEAD of a destination is not in it");
    // HEAD of the source, of the destination, and then of the copy.
    world.s3.faults.clear();
    world.s3.faults.on(Operation::HeadObject, 2, Fault::Error(403, "AccessDenied"));
    world.s3.faults.on(Operation::HeadObject, 1, Fault::Error(403, "AccessDenied"));
    let said = world.karui("sync --json --exact s3://source s3://destination").await.well();
    assert_eq!(said.names("copied"), ["x"]);
    assert_eq!(world.s3.body(&destination("x")).await, b"bytes"[..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn same_bytes_with_new_attributes_are_copied() {
    let world = World::new().await;
    let line = "sync --json --optimize s3://source s3://destination";
    world.put("x.jpg", &fixture("photo-420.jpg")).await;
    world.karui(line).await.well();
    World::age(&world.s3.file(&destination("x.jpg")), 10);
    let (body, newer) = (
        fixture("photo-420.jpg").into(),
        Attributes { cache_control: Some("no-store".into()), ..Attributes::default() },
    );
    world.s3.store(1).destination.put(&source("x.jpg"), body, &newer, &karui::s3::Condition::None).await.unwrap();
    for (optimized, same) in [(1, 0), (0, 1)] {
        let said = world.karui(line).await.well();
        assert_eq!((said.summary("optimized"), said.summary("same")), (optimized, same), "{:?}", said.rows);
        let lists_only = world.asked().into_keys().all(|operation| operation == Operation::ListObjectsV2);
        assert_eq!(lists_only, same == 1, "{:?}", world.asked());
        let head = world.s3.store(1).destination.head(&destination("x.jpg")).await.unwrap().unwrap();
        assert_eq!(head.attributes.cache_control, newer.cache_control);
    }
}

/// An `ETag` of parts is no digest; the checksum is.
#[tokio::test(flavor = "multi_thread")]
async fn exact_compares_checksums_of_multipart_objects() {
    let world = World::new().await;
    let (here, there) = (source("x"), destination("x"));
    world.write("up/x", &noise(17 * MIB));
    for (to, multipart_threshold) in [(&here, u64::MAX), (&there, 0)] {
        let transfer = TransferConfig { multipart_threshold, ..TransferConfig::default() };
        let store = Pair::within(Client::new(world.s3.client(1), transfer));
        store.destination.put(to, noise(17 * MIB), &attributes(), &karui::s3::Condition::None).await.unwrap();
    }
    let etag = async |object| world.s3.store(1).destination.head(object).await.unwrap().unwrap().etag;
    assert_ne!(etag(&here).await, etag(&there).await);
    let lines = ["up s3://destination", "s3://source up", "s3://source s3://destination"];
    for line in lines {
        for dry_run in ["--dry-run", ""] {
            let said = world.karui(&format!("sync --json --exact {dry_run} {line}")).await.well();
            assert_eq!((said.summary("same"), said.summary("copied")), (1, 0), "{dry_run} {line}: {:?}", said.rows);
            assert!(!world.asked().contains_key(&Operation::GetObject), "{:?}", world.asked());
        }
    }
    // Same length, and older.
    let other: bytes::Bytes = noise(17 * MIB + 1)[1..].to_vec().into();
    world.write("up/x", &other);
    World::age(&world.path("up/x"), 1000);
    for (dry_run, copied) in [("--dry-run", true), ("", true), ("", false)] {
        let said = world.karui(&format!("sync --json --exact {dry_run} {}", lines[0])).await.well();
        assert_eq!(said.summary("copied") == 1, copied, "{dry_run}: {:?}", said.rows);
    }
    assert!(world.s3.body(&there).await == other);
}

/// More of them than the SDK's quota, of five hundred tokens at ten each, has for all objects together.
#[tokio::test(flavor = "multi_thread")]
async fn retries_are_not_exhausted_across_objects() {
    const OBJECTS: usize = 64;
    let world = World::new().await;
    for n in 0..OBJECTS {
        world.put(&format!("{n}"), b"bytes").await;
    }
    world.s3.faults.forget_seen();
    for nth in 1..=2 * OBJECTS {
        world.s3.faults.on(Operation::HeadObject, nth, INTERNAL_ERROR);
    }
    let words = ["cp", "-r", "--json", "--jobs", "64", "s3://source", "s3://destination"];
    let said = Said::from(world.command(&words).output().await.unwrap()).well();
    assert_eq!(said.summary("copied"), OBJECTS as i64);
}

#[tokio::test(flavor = "multi_thread")]
async fn unreadable_tags_are_dropped_with_a_warning() {
    let (here, there) = (World::new().await, World::new().await);
    here.put("a.txt", b"bytes").await;
    here.s3.faults.always(Operation::GetObjectTagging, DENIED);
    let endpoint = there.s3.server.endpoint();
    let line = format!("cp --json s3://source/a.txt s3://destination/a.txt --destination-endpoint {endpoint}");
    let said = here.karui(&line).await.well();
    let warnings = said.rows[0]["warnings"].to_string();
    assert!(
        warnings.contains("tags dropped, if there were any") && warnings.contains("s3:GetObjectTagging"),
        "{warnings}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_a_write_to_a_pipe_without_reader() {
    let world = World::new().await;
    world.put("large", &noise(33 * MIB)).await;
    assert!(std::process::Command::new("mkfifo").arg(world.path("pipe")).status().unwrap().success());
    let mut child = world.command(&["cp", "s3://source/large", "pipe"]).spawn().unwrap();
    eventually("it is asked for", || world.s3.faults.calls(Operation::GetObject) > 0).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let pid = child.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let ended = tokio::time::timeout(Duration::from_secs(15), child.wait()).await.expect("it ends");
    assert_eq!(ended.unwrap().code(), Some(130));
}

#[tokio::test(flavor = "multi_thread")]
async fn cp_to_device_keeps_the_device() {
    let world = World::new().await;
    world.put("a", b"bytes").await;
    let made = std::process::Command::new("mkfifo").arg(world.path("pipe")).status().unwrap();
    assert!(made.success());
    let reader = tokio::task::spawn_blocking({
        let pipe = world.path("pipe");
        move || fs::read(pipe).unwrap()
    });
    world.karui("cp s3://source/a pipe").await.well();
    assert_eq!(reader.await.unwrap(), b"bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn cp_between_stores_relays_with_a_warning() {
    let (here, there) = (World::new().await, World::new().await);
    let endpoint = there.s3.server.endpoint();
    for size in [10, 33 * MIB] {
        here.put("a.bin", &noise(size)).await;
        let line = format!("cp --json s3://source/a.bin s3://destination/a.bin --destination-endpoint {endpoint}");
        let said = here.karui(&line).await.well();
        let warnings = said.rows[0]["warnings"].to_string();
        assert!(warnings.contains("via this machine: the sides are different stores"), "{warnings}");
        assert_eq!(said.rows[0]["method"], "relay");
        assert!(there.s3.body(&destination("a.bin")).await == noise(size));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn optimize_streams_files_that_are_no_images() {
    let world = World::new().await;
    world.put("a.bin", &noise(33 * MIB)).await;
    world.write("up/a.bin", &noise(33 * MIB));
    for line in ["s3://source/a.bin down/", "up/a.bin s3://destination/"] {
        let said = world.karui(&format!("cp --json --optimize {line}")).await.well();
        assert_eq!(
            (said.rows[0]["action"].as_str(), said.rows[0]["reason"].as_str()),
            (Some("copied"), Some("not-an-image"))
        );
        let parts =
            [Operation::GetObject, Operation::UploadPart].map(|part| world.asked().get(&part).copied().unwrap_or(0));
        assert!(parts.iter().sum::<usize>() >= 5, "in parts: {parts:?}");
    }
    assert!(world.read("down/a.bin") == noise(33 * MIB));
    let head = world.s3.store(1).destination.head(&destination("a.bin")).await.unwrap().unwrap();
    assert_eq!(head.attributes.metadata["karui-method"], "copy", "marked, so that it is known again");
}

#[tokio::test(flavor = "multi_thread")]
async fn cp_from_stdin_stores_an_object() {
    let world = World::new().await;
    for (size, key) in [(0, "empty"), (100, "small.txt"), (20 * MIB + 7, "large")] {
        let mut child = world.start(&["cp", "-", &format!("s3://destination/{key}")]);
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(&noise(size)).await.unwrap();
        drop(stdin);
        Said::from(child.wait_with_output().await.unwrap()).well();
        assert_eq!(world.s3.body(&ObjectRef::new(DESTINATION, key)).await, noise(size), "{key}");
    }
    let head = world.s3.store(1).destination.head(&destination("small.txt")).await.unwrap().unwrap();
    assert_eq!(head.attributes.content_type.as_deref(), Some("text/plain"));
    assert_eq!(world.s3.open_uploads(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn cp_from_stdin_uploads_before_its_end() {
    let world = World::new().await;
    let mut child = world.start(&["cp", "-", "s3://destination/large"]);
    let mut stdin = child.stdin.take().unwrap();
    let bytes = noise(40 * MIB);
    stdin.write_all(&bytes[..10 * MIB]).await.unwrap();
    crate::support::eventually("a part is sent", || world.s3.faults.calls(Operation::UploadPart) > 0).await;
    stdin.write_all(&bytes[10 * MIB..]).await.unwrap();
    drop(stdin);
    Said::from(child.wait_with_output().await.unwrap()).well();
    assert!(world.s3.body(&destination("large")).await == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn cp_downloads_large_object_in_ranges() {
    let world = World::new().await;
    let bytes = noise(33 * MIB + 5);
    world.put("large", &bytes).await;
    // The first request is the one that tells its size.
    world.s3.faults.on(Operation::GetObject, 3, Fault::Cut(1000));
    world.karui("cp s3://source/large down/").await.well();
    assert!(world.read("down/large") == bytes);
    assert_eq!(world.asked(), [(Operation::GetObject, 1 + 5 + 1)].into(), "one of five pieces came twice");
    let out = world.karui("cp s3://source/large -").await.well();
    assert!(out.stdout == bytes);

    world.s3.faults.always(Operation::GetObject, Fault::Cut(1000));
    let said = world.karui("cp s3://source/large down/new").await;
    assert_eq!(said.code, Some(1), "{}", said.stderr);
    assert_eq!(fs::read_dir(world.path("down")).unwrap().count(), 1, "no half file, and no temporary one");
}

#[tokio::test(flavor = "multi_thread")]
async fn delete_after_broken_listing_deletes_nothing() {
    let world = World::new().await;
    for n in 0..1001 {
        fs::write(world.s3.folder.path().join(SOURCE).join(format!("{n:04}")), "small").unwrap();
    }
    world.write("down/0000.old", b"surely gone");
    world.write("down/zz", b"perhaps on the next page");
    // Before the second page comes the look at what is to be deleted.
    world.s3.faults.on(Operation::ListObjectsV2, 3, DENIED);
    let said = world.karui("sync --json --delete s3://source down").await;
    assert_eq!((said.code, said.summary("copied"), said.names("deleted")), (Some(1), 1000, vec!["0000.old".into()]));
    assert_eq!(world.read("down/zz"), b"perhaps on the next page");
    // A request that fails once is retried.
    world.s3.faults.clear();
    world.s3.faults.on(Operation::ListObjectsV2, 1, crate::support::faults::SLOW_DOWN);
    let said = world.karui("sync --json --delete s3://source down").await.well();
    assert_eq!((said.names("copied"), said.names("deleted")), (vec!["1000".into()], vec!["zz".into()]));
}
