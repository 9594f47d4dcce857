//! `karui score`: compares two pictures. Reads the two files and prints; the engine compares.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;

use super::FAILED;
use crate::optimize::{Butteraugli, CompareError, Fault, ImageError, Limits, Pair, Score, Side};

/// Print the SSIMULACRA2 scores of B against A: of the whole picture and of its worst window
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_long_help = "100 is identical, 90 visually lossless, 70 high quality, 50 medium, 30 low; very different \
pictures score below 0. Windows are 128 × 128 pixels, one every 64 pixels; flat ones do not count. Each file is oriented by \
its EXIF orientation and converted to sRGB by its colour profile. Transparency is composited over black and over white, and \
the lower score counts. CMYK, look-up table profiles, more than 8 bits per sample, PQ, HLG, gAMA far from sRGB's and \
animations have no score unless both files decode to the same. --butteraugli takes 2.3 GB of memory at 16 \
megapixels.\n\nButteraugli distances are for a display of 80 nits; 0 is identical; below 1 hardly anyone sees a difference, \
above 2 most people do.\n\nExit status: 0, 1 if the files cannot be compared, 2 for wrong \
usage."
)]
pub struct ScoreArgs {
    /// Also print Butteraugli's distances as a second opinion: the largest, and the 3-norm over all pixels
    #[arg(long)]
    butteraugli: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// The original picture, JPEG or PNG
    #[arg(value_name = "A")]
    reference: PathBuf,
    /// The picture to score, JPEG or PNG, of the same width and height
    #[arg(value_name = "B")]
    distorted: PathBuf,
}

/// Output of `--json`. Fields that were not requested are null.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct ScoreReport {
    /// Paths as given; bytes that are not UTF-8 appear as U+FFFD.
    reference: String,
    distorted: String,
    score: f64,
    worst: Option<f64>,
    butteraugli_max: Option<f64>,
    butteraugli_3norm: Option<f64>,
}

/// Runs `karui score`. Returns 0, or 1 if the files cannot be compared.
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

/// `Err` names the faulty file, the fault and the remedy.
fn compare(args: &ScoreArgs) -> Result<ScoreReport, String> {
    let explained = |error| explain(&error, &args.reference, &args.distorted);
    let pair = Pair::decode(&read(&args.reference)?, &read(&args.distorted)?).map_err(explained)?;
    let unsure = |error| format!("{}; leave out --butteraugli", explained(error));
    let distance = args.butteraugli.then(|| pair.butteraugli().map_err(unsure)).transpose()?;
    let Score { whole, worst, .. } = pair.ssimulacra2().map_err(explained)?;
    Ok(ScoreReport {
        reference: args.reference.to_string_lossy().into_owned(),
        distorted: args.distorted.to_string_lossy().into_owned(),
        score: whole,
        worst,
        butteraugli_max: distance.map(|Butteraugli { max, .. }| max),
        butteraugli_3norm: distance.map(|Butteraugli { norm3, .. }| norm3),
    })
}

/// Reads a file; one byte over the limit makes the engine refuse.
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
            "{a} is {width}x{height} pixels, {b} {other_width}x{other_height}, both after orientation: scale one to the size of the other"
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

impl ScoreReport {
    fn json(&self) -> Result<String, String> {
        serde_json::to_string(self).map_err(|error| format!("--json: {error}"))
    }

    /// Puts the score alone on the first line, for scripts.
    fn text(&self) -> String {
        let worst = self.worst.map_or_else(|| "-".to_owned(), |worst| format!("{worst:.4}"));
        let score = format!("{:.4}\nworst window: {worst}", self.score);
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

    fn report() -> ScoreReport {
        let (reference, distorted) = ("a.png".into(), "b.jpg".into());
        ScoreReport {
            reference,
            distorted,
            score: 84.5,
            worst: Some(71.25),
            butteraugli_max: None,
            butteraugli_3norm: None,
        }
    }

    #[test]
    fn text_has_score_on_the_first_line() {
        assert_eq!(report().text(), "84.5000\nworst window: 71.2500");
        assert_eq!(ScoreReport { worst: None, ..report() }.text(), "84.5000\nworst window: -");
        let both = ScoreReport { butteraugli_max: Some(1.25), butteraugli_3norm: Some(0.5), ..report() };
        assert_eq!(both.text(), "84.5000\nworst window: 71.2500\nbutteraugli: 1.2500 max, 0.5000 3-norm");
    }

    #[test]
    fn json_has_all_fields() {
        let expected = r#"{"reference":"a.png","distorted":"b.jpg","score":84.5,"worst":71.25,"butteraugli_max":null,"butteraugli_3norm":null}"#;
        assert_eq!(report().json().unwrap(), expected);
    }

    #[test]
    fn error_names_the_faulty_file() {
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
