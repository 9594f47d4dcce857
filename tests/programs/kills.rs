//! `kill -9` in the middle: whatever `karui cp` was doing, what lies at the destination is all old or all new.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::{MIB, TestS3, destination, noise};
use bytes::Bytes;
use karui::dev::server::{ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY};

const TRANSFERS: usize = 200;
/// Three parts of the program's own size, and a rest.
const SIZE: usize = 25 * MIB;

fn copy(s3: &TestS3, from: &str, to: &str) -> Child {
    karui(s3, ["cp", from, to])
}

fn karui(s3: &TestS3, words: [&str; 3]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_karui"))
        .args(words)
        .envs([("AWS_ENDPOINT_URL", s3.server.endpoint()), ("AWS_REGION", REGION)])
        .envs([("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID), ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// The n-th version of an object: no two share a byte range.
fn version(n: usize) -> Bytes {
    noise(SIZE + n).slice(n..)
}

/// Kills a copy after so long; whether it had ended by itself.
fn ends_by_itself(mut copy: Child, after: Duration) -> bool {
    std::thread::sleep(after);
    // It fails where there is nothing left to kill.
    let _ = copy.kill();
    copy.wait().unwrap().success()
}

/// Which of two versions lies there.
fn is_new(found: &[u8], old: &[u8], new: &[u8]) -> bool {
    assert!(found == old || found == new, "{} bytes that are neither the old object nor the new one", found.len());
    found == new
}

/// Spread over a little more than the usual time, the same ones each run.
fn moment(n: usize, usual: Duration) -> Duration {
    usual.mul_f64(1.2 * ((n * 37) % 101) as f64 / 101.0)
}

fn usual_time(run: impl FnOnce() -> Child) -> Duration {
    let begin = std::time::Instant::now();
    assert!(run().wait().unwrap().success());
    begin.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_upload_leaves_old_or_new_object() {
    let s3 = TestS3::start().await;
    let (object, folder) = (destination("object"), tempfile::tempdir().unwrap());
    let (url, file) = (object.to_string(), folder.path().join("source"));
    let write = |n| std::fs::write(&file, version(n)).unwrap();
    write(0);
    let usual = usual_time(|| copy(&s3, file.to_str().unwrap(), &url));
    let (mut now, mut killed) = (version(0), 0);
    for n in 1..=TRANSFERS / 2 {
        write(n);
        let ended = ends_by_itself(copy(&s3, file.to_str().unwrap(), &url), moment(n, usual));
        let arrived = is_new(&s3.body(&object).await, &now, &version(n));
        assert!(arrived || !ended, "version {n} was said to have arrived");
        killed += usize::from(!ended);
        if arrived {
            now = version(n);
        }
        assert!(s3.open_uploads().len() <= killed, "more uploads are open than copies were killed");
    }
    assert!((TRANSFERS / 10..TRANSFERS / 2).contains(&killed), "{killed} killed");
    // The next one is not disturbed by what they have left.
    write(0);
    usual_time(|| copy(&s3, file.to_str().unwrap(), &url));
    assert!(s3.body(&object).await == version(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_download_leaves_old_or_new_file() {
    let s3 = TestS3::start().await;
    let (object, folder) = (destination("object"), tempfile::tempdir().unwrap());
    let (url, file) = (object.to_string(), folder.path().join("arrived"));
    s3.put(&object, &version(0)).await;
    let usual = usual_time(|| copy(&s3, &url, file.to_str().unwrap()));
    let (mut now, mut killed) = (version(0), 0);
    for n in 1..=TRANSFERS / 2 {
        s3.put(&object, &version(n)).await;
        let ended = ends_by_itself(copy(&s3, &url, file.to_str().unwrap()), moment(n, usual));
        let arrived = is_new(&read(&file), &now, &version(n));
        assert!(arrived || !ended, "version {n} was said to have arrived");
        killed += usize::from(!ended);
        if arrived {
            now = version(n);
        }
    }
    assert!((TRANSFERS / 10..TRANSFERS / 2).contains(&killed), "{killed} killed");
    // Temporary files of killed runs are ignored.
    let up = destination("up/");
    assert!(karui(&s3, ["sync", folder.path().to_str().unwrap(), &up.to_string()]).wait().unwrap().success());
    let names = std::fs::read_dir(s3.file(&up)).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.collect::<Vec<_>>(), ["arrived"]);
}

fn read(file: &Path) -> Vec<u8> {
    std::fs::read(file).unwrap()
}
