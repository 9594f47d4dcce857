//! Peaks of memory of the built program: many large images at once stay within the budget, and a large file that is no image
//! that Karui rewrites is never held.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use karui::dev::server::{ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY};

use crate::support::{DESTINATION, TestS3};

const MIB: u64 = 1 << 20;
const WIDTH: u32 = 5_477;
const HEIGHT: u32 = 3_651;

/// A PNG of 20 megapixels that compresses to about a megabyte: a gradient under coarse noise.
fn large_png(seed: u32) -> Vec<u8> {
    let mut pixels = Vec::with_capacity((WIDTH * HEIGHT * 3) as usize);
    for y in 0..HEIGHT {
        for x in 0..WIDTH {
            let noise = ((x / 8 + seed).wrapping_mul(2_654_435_761) ^ (y / 8).wrapping_mul(2_246_822_519)) >> 13;
            let gray = (x * 120 / WIDTH + y * 120 / HEIGHT + noise % 6) as u8;
            pixels.extend([gray, gray / 2, 255 - gray]);
        }
    }
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, WIDTH, HEIGHT);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    file
}

/// Runs the program; returns its peak of resident memory, in bytes.
fn peak(s3: &TestS3, folder: &Path, line: &str) -> u64 {
    let child = Command::new(env!("CARGO_BIN_EXE_karui"))
        .args(line.split(' '))
        .current_dir(folder)
        .envs([("AWS_ENDPOINT_URL", s3.server.endpoint()), ("AWS_REGION", REGION)])
        .envs([("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID), ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    watch(child.unwrap(), line)
}

/// Reads the high-water mark of a process until it ends. It only rises, so that the last reading is the peak but for the
/// last few milliseconds.
fn watch(mut child: Child, line: &str) -> u64 {
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    loop {
        peak = high_water_mark(&status).unwrap_or(peak);
        if let Some(ended) = child.try_wait().unwrap() {
            assert!(ended.success(), "karui {line}: {ended}");
            assert!(peak > MIB, "karui {line}: no reading");
            return peak;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn high_water_mark(status: &str) -> Option<u64> {
    let text = std::fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? << 10)
}

#[tokio::test(flavor = "multi_thread")]
async fn six_large_png_at_once_stay_within_the_budget() {
    let s3 = TestS3::start().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("large")).unwrap();
    for seed in 0..6 {
        std::fs::write(folder.path().join(format!("large/{seed}.png")), large_png(seed)).unwrap();
    }
    for line in ["optimize large --threads 6 --out out", &format!("sync large s3://{DESTINATION} --optimize --jobs 16")]
    {
        let peak = peak(&s3, folder.path(), line);
        // The budget is 2 GiB; the rest is what the program needs besides images.
        assert!(peak <= 2_150 * MIB, "karui {line}: {} MiB", peak / MIB);
        assert!(peak >= 200 * MIB, "karui {line}: {} MiB, which is less than two of these images need", peak / MIB);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn file_that_is_not_rewritten_is_never_held() {
    let s3 = TestS3::start().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("small.tif"), b"II*\0").unwrap();
    let large = std::fs::File::create(folder.path().join("large.tif")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&large, b"II*\0", 0).unwrap();
    large.set_len(300 * MIB).unwrap();
    for line in ["optimize FILE --out out", &format!("cp FILE s3://{DESTINATION}/ --optimize")] {
        let [small, large] =
            ["small.tif", "large.tif"].map(|file| peak(&s3, folder.path(), &line.replace("FILE", file)));
        assert!(large <= small + 48 * MIB, "karui {line}: {} MiB over {} MiB", (large - small) / MIB, small / MIB);
    }
}
