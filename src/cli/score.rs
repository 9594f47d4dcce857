//! `karui score`: what one file's picture has lost against another's. Reads the two files and prints; the engine compares.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;

use super::FAILED;
use crate::optimize::{Butteraugli, CompareError, Fault, ImageError, Limits, Pair, Score, Side};

/// Tell how much a picture has lost: the SSIMULACRA2 scores of B against A, of the whole and of its worst window
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_long_help = "100 is identical, 90 visually lossless, 70 high quality, 50 medium, 30 low; very different \
pictures fall below 0. A window has 128 pixels each way, one begins every 64; flat ones do not count. Each file is turned upright by its own EXIF orientation; transparency is laid over black and \
over white, and the worse counts; each file is converted to sRGB by its own colour profile. CMYK, profiles of look-up \
tables, more than 8 bits per sample, PQ, HLG, gAMA far from sRGB's and animations have no score unless both files decode \
to the same. At 16 megapixels --butteraugli takes \
2.3 GB of memory.\n\nButteraugli's distances, for a display of 80 nits, are 0 where nothing differs; below 1 \
hardly anyone sees a difference, above 2 most do.\n\nExit status: 0, 1 if the files cannot be compared, 2 for wrong \
usage."
)]
pub struct ScoreArgs {
    /// Also print Butteraugli's distances as a second opinion: the largest, and the 3-norm over all pixels
    #[arg(long)]
    butteraugli: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// The picture as it was, JPEG or PNG
    #[arg(value_name = "A")]
    reference: PathBuf,
    /// The picture that is judged, JPEG or PNG, of the same width and height
    #[arg(value_name = "B")]
    distorted: PathBuf,
}

/// What `--json` prints; `null` stands for what was not asked for.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Report {
    /// As they were named; bytes that are no UTF-8 appear as U+FFFD.
    reference: String,
    distorted: String,
    score: f64,
    worst: f64,
    butteraugli_max: Option<f64>,
    butteraugli_3norm: Option<f64>,
}

/// Runs `karui score` and says how it went: 0, or 1 where the files cannot be compared.
#[must_use]
pub fn score(args: &ScoreArgs) -> ExitCode {
    let printed = compare(args).and_then(|report| {
        let text = if args.json { report.json()? } else { report.text() };
        writeln!(io::stdout(), "{text}").map_err(|error| format!("stdout: {error}"))
    });
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::from(FAILED)
        }
    }
}

/// `Err` says which file is at fault, what is wrong with it, and what to do.
fn compare(args: &ScoreArgs) -> Result<Report, String> {
    let explained = |error| explain(&error, &args.reference, &args.distorted);
    let pair = Pair::decode(&read(&args.reference)?, &read(&args.distorted)?).map_err(explained)?;
    let unsure = |error| format!("{}; leave out --butteraugli", explained(error));
    let distance = args.butteraugli.then(|| pair.butteraugli().map_err(unsure)).transpose()?;
    let Score { whole, worst, .. } = pair.ssimulacra2().map_err(explained)?;
    Ok(Report {
        reference: args.reference.to_string_lossy().into_owned(),
        distorted: args.distorted.to_string_lossy().into_owned(),
        score: whole,
        worst,
        butteraugli_max: distance.map(|Butteraugli { max, .. }| max),
        butteraugli_3norm: distance.map(|Butteraugli { norm3, .. }| norm3),
    })
}

/// A file's bytes; one byte over the limit is enough for the engine to refuse.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let most = Limits::default().bytes.saturating_add(1);
    let mut bytes = Vec::new();
    let outcome = File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes));
    outcome.map_err(|error| format!("{}: {error}: give a JPEG or PNG file that can be read", path.display()))?;
    Ok(bytes)
}

fn explain(error: &CompareError, reference: &Path, distorted: &Path) -> String {
    let (a, b) = (reference.display(), distorted.display());
    match error {
        CompareError::File { side: Side::Reference, fault } => format!("{a} {fault}: {}", remedy(fault)),
        CompareError::File { side: Side::Distorted, fault } => format!("{b} {fault}: {}", remedy(fault)),
        CompareError::Sizes { reference: (width, height), distorted: (other_width, other_height) } => format!(
            "{a} is {width}x{height} pixels, {b} {other_width}x{other_height}, both upright: scale one to the size of the other"
        ),
        CompareError::Metric(why) => format!("{a} and {b} cannot be compared: {why}"),
    }
}

fn remedy(fault: &Fault) -> &'static str {
    match fault {
        Fault::NotAnImage => "give a JPEG or PNG file",
        Fault::OtherFormat(_) => "convert it to PNG",
        Fault::Unscorable(_) => "convert both files to still pictures in sRGB of 8 bits per sample",
        Fault::Image(ImageError::Malformed { .. }) => "the file is damaged, take a whole copy",
        Fault::Image(ImageError::LimitExceeded { .. }) => "compare smaller pictures",
        Fault::Image(ImageError::CodecPanic(_)) => "this is a fault of Karui, please report it",
    }
}

impl Report {
    fn json(&self) -> Result<String, String> {
        serde_json::to_string(self).map_err(|error| format!("--json: {error}"))
    }

    /// The score alone on the first line, for scripts.
    fn text(&self) -> String {
        let score = format!("{:.4}\nworst window: {:.4}", self.score, self.worst);
        match (self.butteraugli_max, self.butteraugli_3norm) {
            (Some(max), Some(norm)) => format!("{score}\nbutteraugli: {max:.4} max, {norm:.4} 3-norm"),
            _ => score,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimize::Format;

    fn report() -> Report {
        let (reference, distorted) = ("a.png".into(), "b.jpg".into());
        Report { reference, distorted, score: 84.5, worst: 71.25, butteraugli_max: None, butteraugli_3norm: None }
    }

    #[test]
    fn a_score_is_one_line_for_scripts_and_distances_another() {
        assert_eq!(report().text(), "84.5000\nworst window: 71.2500");
        let both = Report { butteraugli_max: Some(1.25), butteraugli_3norm: Some(0.5), ..report() };
        assert_eq!(both.text(), "84.5000\nworst window: 71.2500\nbutteraugli: 1.2500 max, 0.5000 3-norm");
    }

    #[test]
    fn json_says_all_there_is() {
        let expected = r#"{"reference":"a.png","distorted":"b.jpg","score":84.5,"worst":71.25,"butteraugli_max":null,"butteraugli_3norm":null}"#;
        assert_eq!(report().json().unwrap(), expected);
    }

    #[test]
    fn errors_name_the_file_that_is_at_fault() {
        let (a, b) = (Path::new("a.gif"), Path::new("b.jpg"));
        let fault = Fault::OtherFormat(Format::Gif);
        let error = CompareError::File { side: Side::Reference, fault };
        assert_eq!(explain(&error, a, b), "a.gif is a gif file, which is not decoded: convert it to PNG");
        let fault = Fault::Image(ImageError::malformed(Format::Jpeg, "cut short"));
        let error = CompareError::File { side: Side::Distorted, fault };
        let expected = "b.jpg cannot be decoded: malformed jpeg: cut short: the file is damaged, take a whole copy";
        assert_eq!(explain(&error, a, b), expected);
    }
}
