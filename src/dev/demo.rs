//! `karui dev --demo`: sends sample images through the function, and checks the results independently of its reports.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::SystemTime;

use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::primitives::ByteStream;
use serde_json::Value;

use super::{DESTINATION, DevError, DevServer, SOURCE, event};
use crate::cli::Table;
use crate::optimize::{self, Quality};

/// File that marks a folder that a demo may empty.
const MARK: &str = ".karui-demo";

/// Sample files and their keys: of every format, and as awkward as users' keys.
const SAMPLES: &[(&str, &str)] = &[
    ("photo-420.jpg", "photos/coffee.jpg"),
    ("photo-444.jpg", "photos/Chelsea, the cat (444).jpg"),
    ("photo-progressive.jpg", "photos/lift off+flames & smoke.jpg"),
    ("photo-rotated.jpg", "電話/回転した写真.jpg"),
    ("photo-p3-gps.jpg", "photos/wide gamut, from 京都.jpg"),
    ("gray.jpg", "photos/gray.jpg"),
    ("cmyk.jpg", "print/cmyk.jpg"),
    ("photo.png", "photos/portrait.png"),
    ("screenshot.png", "screens/inbox 100%.png"),
    ("icon.png", "icons/leaf~256.png"),
    ("sixteen-bit.png", "science/sixteen-bit.png"),
    ("animated.png", "icons/round and round.png"),
    ("animated.gif", "icons/round and round.gif"),
    ("truncated.jpg", "broken/cut short.jpg"),
    ("text-named.jpg", "broken/no image.jpg"),
    ("notes.txt", "notes (1).txt"),
];

/// Empties `folder` if an earlier demo created it; any other folder with files is refused.
pub fn claim(folder: &Path) -> Result<(), DevError> {
    let io = |error| DevError::Io { what: folder.display().to_string(), error };
    let is_ours = folder.join(MARK).exists();
    if folder.exists() && !is_ours && fs::read_dir(folder).map_err(io)?.next().is_some() {
        return Err(DevError::NotOurs(folder.into()));
    }
    if is_ours {
        fs::remove_dir_all(folder).map_err(io)?;
    }
    fs::create_dir_all(folder).map_err(io)?;
    fs::write(folder.join(MARK), "").map_err(io)
}

/// A sample, its result, and the function's report about it.
struct Sample {
    key: String,
    source: Vec<u8>,
    /// `None` if the destination has nothing.
    result: Option<Vec<u8>>,
    report: Value,
}

/// Sends all samples of `folder` through the function, and prints the results.
///
/// # Errors
/// If something cannot be run; [`DevError::Broken`] if a promise is broken.
pub async fn run(server: &mut DevServer, samples: &Path, out: &Path) -> Result<(), DevError> {
    let quality = target()?;
    let mut sent = Vec::new();
    for (file, key) in SAMPLES {
        sent.push(send(server, &samples.join(file), key).await?);
    }
    let checks: Vec<Check> = sent.iter().map(|sample| Check::of(sample, quality)).collect();
    println!("\n{}", table(&sent, &checks));
    let (before, after) = sent.iter().fold((0, 0), |(before, after), sample| {
        (before + sample.source.len(), after + sample.result.as_ref().map_or(0, Vec::len))
    });
    println!("{} objects, {before} bytes before, {after} after: {} saved", sent.len(), percent_saved(before, after));
    println!("sources in {}, results in {}", out.join(SOURCE).display(), out.join(DESTINATION).display());
    let broken = faults(&sent, &checks);
    if broken.is_empty() { Ok(()) } else { Err(DevError::Broken(broken)) }
}

/// Returns the target score that the function was configured with.
fn target() -> Result<f64, DevError> {
    let quality = std::env::var("KARUI_QUALITY").ok().filter(|text| !text.is_empty());
    let quality = quality.map_or(Ok(Quality::DEFAULT), |text| Quality::from_str(&text).map_err(DevError::Quality))?;
    Ok(match quality {
        Quality::Lossless => 100.0,
        Quality::Target(score) => score,
    })
}

async fn send(server: &mut DevServer, file: &Path, key: &str) -> Result<Sample, DevError> {
    let source = fs::read(file).map_err(|error| DevError::Io { what: file.display().to_string(), error })?;
    let content_type = file.extension().and_then(OsStr::to_str).map_or("application/octet-stream", content_type);
    let body = ByteStream::from(source.clone());
    let put = server.client.put_object().bucket(SOURCE).key(key).content_type(content_type).body(body);
    put.send().await.map_err(|error| DevError::S3(format!("PutObject {key}: {}", chain(&error))))?;
    let created = server.next_created().await?;
    let report = server.function.invoke(&event::notification(&[created], SystemTime::now())).await?;
    Ok(Sample { key: key.to_owned(), source, result: fetch(server, key).await?, report })
}

fn content_type(extension: &str) -> &'static str {
    match extension {
        "jpg" => "image/jpeg",
        "png" => "image/png",
        "gif" => "image/gif",
        _ => "text/plain",
    }
}

async fn fetch(server: &DevServer, key: &str) -> Result<Option<Vec<u8>>, DevError> {
    let failed = |error: String| DevError::S3(format!("GetObject {key}: {error}"));
    match server.client.get_object().bucket(DESTINATION).key(key).send().await {
        Ok(object) => {
            let body = object.body.collect().await.map_err(|error| failed(chain(&error)))?;
            Ok(Some(body.to_vec()))
        }
        Err(error) if error.as_service_error().is_some_and(GetObjectError::is_no_such_key) => Ok(None),
        Err(error) => Err(failed(chain(&error))),
    }
}

/// Formats an error with all its causes.
pub fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// What the result's bytes show.
#[derive(Debug, Clone, PartialEq)]
enum Check {
    Missing,
    /// Identical to the source.
    Same,
    Scored(f64),
    Larger,
    Below {
        score: f64,
        target: f64,
    },
    /// Changed, but cannot be compared with its source.
    Unreadable(String),
}

impl Check {
    fn of(sample: &Sample, target: f64) -> Self {
        let Some(result) = &sample.result else { return Self::Missing };
        if *result == sample.source {
            return Self::Same;
        }
        if result.len() > sample.source.len() {
            return Self::Larger;
        }
        match optimize::score(&sample.source, result) {
            Ok(score) if score.effective(target) < target => {
                Self::Below { score: score.whole.min(score.lowest()), target }
            }
            Ok(score) => Self::Scored(score.whole),
            Err(error) => Self::Unreadable(error.to_string()),
        }
    }

    fn fault(&self) -> Option<String> {
        match self {
            Self::Same | Self::Scored(_) => None,
            Self::Missing => Some("is not at the destination".into()),
            Self::Larger => Some("became larger".into()),
            Self::Below { score, target } => Some(format!("scores {score:.2}, below the target of {target}")),
            Self::Unreadable(why) => Some(format!("was changed and cannot be compared: {why}")),
        }
    }

    fn score(&self) -> String {
        match self {
            Self::Same => "same".into(),
            Self::Scored(score) | Self::Below { score, .. } => format!("{score:.1}"),
            Self::Missing | Self::Larger | Self::Unreadable(_) => "-".into(),
        }
    }
}

/// Returns every broken promise; a function that only copies breaks the last one.
fn faults(sent: &[Sample], checks: &[Check]) -> Vec<String> {
    let each = sent.iter().zip(checks);
    let mut faults: Vec<_> = each.filter_map(|(a, v)| Some(format!("{} {}", a.key, v.fault()?))).collect();
    let smaller = |a: &&Sample| a.result.as_ref().is_some_and(|result| result.len() < a.source.len());
    if sent.iter().filter(smaller).count() == 0 {
        faults.push("nothing was saved".into());
    }
    faults
}

fn table(sent: &[Sample], checks: &[Check]) -> Table {
    let mut table = Table::new(&["key", "outcome", ">before", ">after", ">saved", ">score", "why"]);
    for (sample, check) in sent.iter().zip(checks) {
        let report = &sample.report["records"][0];
        let word = |name: &str| report[name].as_str().unwrap_or_default().to_owned();
        let after = sample.result.as_ref().map(Vec::len);
        let why = [word("method"), word("reason"), check.fault().map(|f| f.to_uppercase()).unwrap_or_default()];
        table.row([
            sample.key.clone(),
            word("outcome"),
            sample.source.len().to_string(),
            after.map_or_else(|| "-".into(), |bytes| bytes.to_string()),
            after.map_or_else(|| "-".into(), |bytes| percent_saved(sample.source.len(), bytes)),
            check.score(),
            why.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(", "),
        ]);
    }
    table
}

fn percent_saved(before: usize, after: usize) -> String {
    if before == 0 {
        return "0.0%".into();
    }
    format!("{:.1}%", 100.0 * (before as f64 - after as f64) / before as f64)
}

/// Checks that the samples exist.
pub fn check_samples(folder: &Path) -> Result<(), DevError> {
    let missing = SAMPLES.iter().map(|(file, _)| folder.join(file)).find(|path| !path.is_file());
    missing.map_or(Ok(()), |path: PathBuf| Err(DevError::NoSample(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(name: &str) -> Vec<u8> {
        fs::read(format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    }

    fn sent_sample(source: &str, result: Option<Vec<u8>>) -> Sample {
        Sample { key: "k".into(), source: sample(source), result, report: Value::Null }
    }

    fn broken_promises(sent: &[Sample]) -> Vec<String> {
        let checks: Vec<_> = sent.iter().map(|a| Check::of(a, 75.0)).collect();
        faults(sent, &checks)
    }

    #[test]
    fn faults_of_function_that_only_copies_are_found() {
        let copied = ["photo-420.jpg", "notes.txt"].map(|name| sent_sample(name, Some(sample(name))));
        assert_eq!(broken_promises(&copied), ["nothing was saved"]);
    }

    #[test]
    fn faults_of_missing_larger_or_other_result_are_found() {
        let larger = [sample("photo-420.jpg"), vec![0]].concat();
        for (result, expected) in [
            (None, "k is not at the destination"),
            (Some(larger), "k became larger"),
            (Some(sample("photo-444.jpg")), "k was changed and cannot be compared"),
            (Some(sample("photo-420.jpg")[..9000].to_vec()), "k was changed and cannot be compared"),
        ] {
            let faults = broken_promises(&[sent_sample("photo-420.jpg", result)]);
            assert!(faults[0].starts_with(expected), "{faults:?}");
        }
        let faults = broken_promises(&[sent_sample("notes.txt", Some(b"No".to_vec()))]);
        assert!(faults[0].starts_with("k was changed and cannot be compared"), "{faults:?}");
    }

    #[test]
    fn sample_keys_have_special_characters() {
        let keys: Vec<_> = SAMPLES.iter().map(|(_, key)| *key).collect();
        for odd in [" ", "+", "(", ")", "写真"] {
            assert!(keys.iter().any(|key| key.contains(odd)), "{odd}");
        }
        check_samples(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")).unwrap();
    }

    #[test]
    fn claim_empties_only_folders_of_a_demo() {
        let root = tempfile::tempdir().unwrap();
        let (ours, theirs) = (root.path().join("demo"), root.path().join("photos"));
        claim(&ours).unwrap();
        fs::write(ours.join("old"), "").unwrap();
        claim(&ours).unwrap();
        assert!(!ours.join("old").exists());
        fs::create_dir(&theirs).unwrap();
        fs::write(theirs.join("mine.jpg"), "").unwrap();
        assert!(matches!(claim(&theirs), Err(DevError::NotOurs(_))));
        assert!(theirs.join("mine.jpg").exists());
    }
}
