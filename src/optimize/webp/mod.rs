//! WebP: stripped, or a still picture coded anew by libwebp, with or without loss; the smallest that holds wins.

mod bitstream;
mod chunks;
mod graphics;
mod libwebp;
mod lossy;
mod yuv;

use std::time::Duration;

use bitstream::{Bitstream, Coding, malformed};
use chunks::{Alpha, Chunks, Kept, marked};
use graphics::Promise;
use libwebp::{Source, Way};
use lossy::{Aim, Lossy};

use super::candidate::{Candidate, Context, choose, unstripped};
use super::color::ColorSpace;
use super::outcome::left_alone;
use super::padding::is_anchored;
use super::picture::Pixels;
use super::picture::{Fault, Picture};
use super::probe::Cost;
use super::quality::score as metric;
use super::{
    Budget, Check, Effort, Format, ImageError, ImageInfo, Limit, Limits, MetadataState, Method, Options, Outcome,
    Quality, Reason, Unchanged,
};

/// Trials on a picture of so many pixels, and of more: each costs 0.1 s a megapixel.
const MANY_TRIALS: (u64, usize) = (2_000_000, 6);
const SOME_TRIALS: (u64, usize) = (8_000_000, 4);
const FEW_TRIALS: usize = 2;
/// Share of the coded image that a second loss must save to be worth it.
const LOSSY_SAVINGS: f64 = 0.10;
/// Pixels per byte from which an image is as good as empty: seconds of work on 38 bytes gain nothing.
const EMPTY_PIXELS_PER_BYTE: u64 = 1_000;
/// Of a lossless image of more pixels than these, a lossy file below this share is enough: coding it without loss as
/// well would cost seconds more, and seldom halves it.
const BOTH_PIXELS: u64 = 2_000_000;
const LOSSLESS_FROM: f64 = 0.5;

/// Optimizes a WebP file.
///
/// # Errors
/// [`ImageError`] where it is damaged or over a limit.
pub fn optimize(source: &[u8], options: &Options, budget: Budget) -> Result<Outcome, ImageError> {
    let chunks = Chunks::parse(source)?;
    let info = ImageInfo { format: Format::WebP, width: chunks.width, height: chunks.height };
    if chunks.signed {
        return Ok(left_alone(Reason::Signed, Some(info)));
    }
    if is_anchored(chunks.tail) {
        return Ok(left_alone(Reason::TrailingData, Some(info)));
    }
    let cost = cost(&chunks, source.len());
    Limits::check(Limit::Pixels, cost.pixels, options.limits.pixels)?;
    Limits::check(Limit::Memory, cost.required, options.limits.memory)?;

    let mut kept = chunks.filter(options.metadata);
    let tail = chunks.tail_under(options.metadata);
    kept.stripped |= tail != chunks.tail;
    let mut candidates = Vec::new();
    let mut budget_cut = false;
    let is_stripped = kept.stripped || chunks.padded;
    match chunks.still {
        Some(still) => {
            let image = chunks.image();
            let job = Job { image: &image, chunks: &chunks, still, kept: &kept, cost, options, budget };
            (candidates, budget_cut) = job.recode()?;
        }
        None if !is_stripped => {
            let metadata = if tail.is_empty() { unstripped(options.metadata) } else { MetadataState::Kept };
            let left = Unchanged { reason: Reason::CodingNotRewritten, info: Some(info), metadata, budget_cut };
            return Ok(Outcome::Unchanged(left));
        }
        None => {}
    }
    if is_stripped {
        candidates.push(Candidate::lossless(kept.splice(), Method::WebpStrip));
    }
    let context = Context { bytes: source.len(), info, stripped: kept.stripped, tail: &tail, budget_cut };
    Ok(choose(context, candidates, options))
}

/// The picture as viewers show it.
///
/// # Errors
/// [`Fault`] where it is damaged, over a limit or animated.
pub fn picture(file: &[u8], limits: &Limits) -> Result<Picture, Fault> {
    let chunks = Chunks::parse(file)?;
    Limits::check(Limit::Pixels, cost(&chunks, file.len()).pixels, limits.pixels)?;
    let still = chunks.still.ok_or(Fault::Unscorable("is an animated WebP"))?;
    let pixels = decode_as_announced(file, still, chunks.alpha)?;
    let pixels = match color_space(&chunks) {
        ColorSpace::Srgb => pixels,
        ColorSpace::Converted(to_srgb) => to_srgb.convert(pixels),
        ColorSpace::Unknown => return Err(Fault::Unscorable("has a colour profile that is not converted")),
    };
    Ok(pixels.shown(chunks.orientation()))
}

/// Whether two still files decode to the same pixels, of the same profile, and are turned alike.
///
/// # Errors
/// [`ImageError::Malformed`] where either cannot be decoded.
pub fn are_same(a: &[u8], b: &[u8]) -> Result<bool, ImageError> {
    let (a_chunks, b_chunks) = (Chunks::parse(a)?, Chunks::parse(b)?);
    let (Some(a_still), Some(b_still)) = (a_chunks.still, b_chunks.still) else { return Ok(false) };
    let about = |chunks: &Chunks<'_>| (chunks.width, chunks.height, chunks.orientation());
    let alike = about(&a_chunks) == about(&b_chunks) && a_chunks.icc_profile() == b_chunks.icc_profile();
    let a = decode_as_announced(a, a_still, a_chunks.alpha)?;
    let b = decode_as_announced(b, b_still, b_chunks.alpha)?;
    Ok(alike && a.rgba == b.rgba)
}

fn color_space(chunks: &Chunks<'_>) -> ColorSpace {
    ColorSpace::of_profile(chunks.icc_profile(), false)
}

/// A still picture to be coded anew.
struct Job<'a> {
    /// A file of the image alone.
    image: &'a [u8],
    chunks: &'a Chunks<'a>,
    still: Bitstream,
    kept: &'a Kept<'a>,
    cost: Cost,
    options: &'a Options,
    budget: Budget,
}

impl Job<'_> {
    /// The candidates, and whether time ended the search for them early.
    fn recode(&self) -> Result<(Vec<Candidate>, bool), ImageError> {
        let is_lossless = self.still.coding == Coding::Lossless;
        let target = self.target();
        let is_empty = self.cost.pixels / EMPTY_PIXELS_PER_BYTE > self.chunks.coded_bytes() as u64;
        if is_empty {
            return Ok((Vec::new(), false));
        }
        if target.is_none() && !is_lossless {
            if self.kept.stripped {
                // Proves that the image is whole without what goes.
                self.decoded()?;
            }
            return Ok((Vec::new(), false));
        }
        let picture = self.decoded()?;
        if self.chunks.alpha == Alpha::Disputed && picture.alpha.is_some() {
            return Ok((Vec::new(), false));
        }
        let lossy = match target {
            Some(target) => self.lossy(&picture, target)?,
            None => Lossy { found: None, budget_cut: false },
        };
        let mut budget_cut = lossy.budget_cut;
        let mut candidates = Vec::new();
        let coded_bytes = self.chunks.coded_bytes() as f64;
        let is_small = |(file, _): &(Vec<u8>, metric::Score)| (file.len() as f64) < coded_bytes * LOSSLESS_FROM;
        let is_enough = self.cost.pixels > BOTH_PIXELS && lossy.found.as_ref().is_some_and(is_small);
        if !is_enough && self.cost.optional <= self.options.limits.memory {
            let most = lossy.found.as_ref().map_or(usize::MAX, |(file, _)| file.len()).min(self.most());
            let is_cut = self.without_loss(&picture, most, &mut candidates)?;
            budget_cut |= is_cut;
        }
        if let Some((file, score)) = lossy.found {
            let (bytes, method) = (self.kept.assemble(&file)?, Method::WebpLossy);
            candidates.push(Candidate { bytes, method, score: Some(score), check: Check::Whole });
        }
        Ok((candidates, budget_cut))
    }

    fn decoded(&self) -> Result<lossy::Picture, ImageError> {
        let pixels = decode_as_announced(self.image, self.still, self.chunks.alpha)?;
        let yuv = match self.still.coding {
            Coding::Lossy => Some(libwebp::decode_yuv(self.image, pixels.width, pixels.height).map_err(malformed)?),
            Coding::Lossless => None,
        };
        let alpha = pixels.is_transparent().then(|| pixels.rgba.iter().map(|pixel| pixel.a).collect());
        let to_srgb = match color_space(self.chunks) {
            ColorSpace::Converted(to_srgb) => Some(to_srgb),
            ColorSpace::Srgb | ColorSpace::Unknown => None,
        };
        Ok(lossy::Picture { pixels, yuv, alpha, to_srgb })
    }

    /// The score to reach with loss; `None` where there must be none, or none more.
    fn target(&self) -> Option<f64> {
        match self.options.quality {
            Quality::Target(target) if !self.is_own_output() && !self.is_in_unknown_colors() => Some(target),
            Quality::Target(_) | Quality::Lossless => None,
        }
    }

    fn is_in_unknown_colors(&self) -> bool {
        matches!(color_space(self.chunks), ColorSpace::Unknown)
    }

    fn lossy(&self, picture: &lossy::Picture, target: f64) -> Result<Lossy, ImageError> {
        let of_source = self.still.settings.map(|settings| lossy::quality_of(settings.finest));
        let aim = Aim {
            target,
            finest: of_source.unwrap_or(lossy::FINEST).min(lossy::FINEST),
            first: first_quality(target, self.options.effort),
            trials: self.trials(),
            most: self.most(),
        };
        lossy::to_target(picture, self.chunks.orientation(), aim, self.budget).map_err(malformed)
    }

    /// Bytes from which a file that loses anything is not worth having.
    fn most(&self) -> usize {
        // Of a lossless image nothing was lost yet.
        let savings = if self.still.coding == Coding::Lossy { LOSSY_SAVINGS } else { 0.0 };
        (self.chunks.coded_bytes() as f64 * (1.0 - savings)) as usize
    }

    /// Whether it went through this before: it would only lose once more.
    fn is_own_output(&self) -> bool {
        self.still.is_marked || self.still.settings.is_some_and(lossy::is_own_output)
    }

    /// How many qualities may be tried.
    fn trials(&self) -> usize {
        let of_size = [MANY_TRIALS, SOME_TRIALS].into_iter().find(|(most, _)| self.cost.pixels <= *most);
        match self.options.effort {
            Effort::Fast => 1,
            Effort::Default => of_size.map_or(FEW_TRIALS, |(_, trials)| trials),
        }
    }

    /// Adds what libwebp makes without loss: of a lossless image, and of a graphic, which is rounded as well where a score
    /// is to be reached in less than `most` bytes. Answers whether time ended that early.
    fn without_loss(
        &self,
        picture: &lossy::Picture,
        most: usize,
        candidates: &mut Vec<Candidate>,
    ) -> Result<bool, ImageError> {
        let pixels = &picture.pixels;
        let is_lossless = self.still.coding == Coding::Lossless;
        let target = self.target().filter(|_| pixels.is_graphic());
        if !is_lossless && target.is_none() {
            return Ok(false);
        }
        if !self.budget.allows(Duration::ZERO) {
            return Ok(true);
        }
        // Of a lossy image most are larger than that is.
        let promise = if is_lossless {
            Promise { exact: true, ..Promise::told(self.chunks.coded_bytes(), most) }
        } else {
            Promise::of(pixels, most).map_err(malformed)?
        };
        if promise.exact {
            candidates.extend(self.lossless(pixels)?);
        }
        match target.filter(|_| promise.rounded) {
            Some(_) if !self.budget.allows(Duration::ZERO) => Ok(true),
            Some(target) => self.near_lossless(picture, target, most, candidates),
            None => Ok(false),
        }
    }

    fn near_lossless(
        &self,
        picture: &lossy::Picture,
        target: f64,
        most: usize,
        candidates: &mut Vec<Candidate>,
    ) -> Result<bool, ImageError> {
        let (orientation, level, trials) = (self.chunks.orientation(), self.level(), self.trials());
        let aim = graphics::Aim { target, orientation, level, trials, most };
        let Lossy { found, budget_cut } =
            graphics::to_target(&picture.pixels, picture.to_srgb.clone(), aim, self.budget).map_err(malformed)?;
        if let Some((file, score)) = found {
            let (bytes, method) = (self.kept.assemble(&marked(&file)?)?, Method::WebpNearLossless);
            candidates.push(Candidate { bytes, method, score: Some(score), check: Check::Whole });
        }
        Ok(budget_cut)
    }

    /// libwebp's level of coding without loss.
    fn level(&self) -> u8 {
        match self.options.effort {
            Effort::Fast => 1,
            Effort::Default => 6,
        }
    }

    /// The same pixels in fewer bytes; none where the proof fails that they are the same.
    fn lossless(&self, pixels: &Pixels) -> Result<Option<Candidate>, ImageError> {
        let way = Way::Lossless { level: self.level() };
        let file = libwebp::encode(&Source::Pixels(pixels), way).map_err(malformed)?;
        let same = decode(&file, self.still)?.rgba == pixels.rgba;
        // What was lost before stays lost: the next run must know.
        let is_lost = self.still.is_marked || self.still.coding == Coding::Lossy;
        let bytes = self.kept.assemble(&if is_lost { marked(&file)? } else { file })?;
        Ok(same.then(|| Candidate::lossless(bytes, Method::WebpLossless)))
    }
}

/// The quality that is tried first: that which reaches the target on most pictures.
fn first_quality(target: f64, effort: Effort) -> u8 {
    // The one trial of the fast way should do.
    let margin = if effort == Effort::Fast { 6.0 } else { 0.0 };
    (78.0 + (target - 75.0) + margin).clamp(0.0, 100.0) as u8
}

fn decode(file: &[u8], still: Bitstream) -> Result<Pixels, ImageError> {
    libwebp::decode(file, still.width as usize, still.height as usize).map_err(malformed)
}

/// The pixels with the alpha that the headers announce.
fn decode_as_announced(file: &[u8], still: Bitstream, alpha: Alpha) -> Result<Pixels, ImageError> {
    let mut pixels = decode(file, still)?;
    if alpha == Alpha::None {
        pixels.rgba.iter_mut().for_each(|pixel| pixel.a = u8::MAX);
    }
    Ok(pixels)
}

/// Cost of a file of `bytes`.
fn cost(chunks: &Chunks<'_>, bytes: usize) -> Cost {
    Cost::webp(chunks.width, chunks.height, chunks.still.is_some(), bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::chunks::tests::file;
    use super::libwebp::tests::waves;
    use super::*;
    use crate::optimize::color::tests::icc_file;
    use crate::optimize::{Encoded, MetadataPolicy, MetadataState, score};

    const LOSSLESS: Options = Options {
        quality: Quality::Lossless,
        metadata: MetadataPolicy::Safe,
        effort: Effort::Default,
        min_savings: Options::DEFAULT_MIN_SAVINGS,
        limits: Limits { bytes: 1 << 30, pixels: 1 << 30, scans: 1, frames: 1, memory: 1 << 30 },
    };

    fn lossy(quality: u8, alpha: u8) -> Vec<u8> {
        libwebp::encode(&Source::Pixels(&waves(160, 96, alpha)), Way::Lossy { quality, sharpness: 0 }).unwrap()
    }

    fn lossless(alpha: u8) -> Vec<u8> {
        libwebp::encode(&Source::Pixels(&waves(160, 96, alpha)), Way::Lossless { level: 0 }).unwrap()
    }

    /// An extended file with this image and EXIF that says where it was.
    fn with_place(image: &[u8]) -> Vec<u8> {
        let source = Chunks::parse(image).unwrap();
        assert!(source.still.is_some_and(|still| !still.has_alpha));
        let exif = crate::optimize::metadata::exif::tests::camera_block(crate::optimize::metadata::ByteOrder::Big);
        let kind = if source.still.is_some_and(|still| still.coding == Coding::Lossy) { b"VP8 " } else { b"VP8L" };
        // The image of a simple file follows the headers of file and chunk.
        file(&[(b"VP8X", &[0x08, 0, 0, 0, 159, 0, 0, 95, 0, 0]), (kind, &image[20..]), (b"EXIF", &exif)])
    }

    /// An extended file with this image of 160 × 96 pixels and a profile.
    fn with_profile(image: &[u8], icc: &[u8]) -> Vec<u8> {
        let kind = if &image[12..16] == b"VP8L" { b"VP8L" } else { b"VP8 " };
        file(&[(b"VP8X", &[0x20, 0, 0, 0, 159, 0, 0, 95, 0, 0]), (b"ICCP", icc), (kind, &image[20..])])
    }

    #[test]
    fn a_linear_profile_scores_as_shown() {
        let image = lossy(98, 255);
        let source = with_profile(&image, &icc_file::linear());
        let [plain, encoded] = [&image, &source].map(|file| optimized(file, &Options::default()));
        assert_eq!((plain.method, encoded.method), (Method::WebpLossy, Method::WebpLossy));
        let shown = score(&source, &encoded.bytes).unwrap();
        assert!(shown.effective(75.0) >= 75.0 && encoded.score == Some(shown.whole));
        // Darkness is shown lighter, and scores otherwise.
        let as_srgb = score(&source, &with_profile(&plain.bytes, &icc_file::linear())).unwrap();
        assert!(
            plain.worst.is_some_and(|plain| (plain - as_srgb.lowest()).abs() > 0.5),
            "{:?} {as_srgb:?}",
            plain.worst
        );
    }

    #[test]
    fn a_profile_of_tables_stays_lossless_and_compares_only_as_a_whole() {
        let source = with_profile(&lossless(255), &icc_file::tables());
        let lossy_ones = [lossy(98, 255), lossy(97, 255)].map(|image| with_profile(&image, &icc_file::tables()));
        assert_eq!(reason(&lossy_ones[0], &Options::default()), Reason::NoGain);
        if let Outcome::Optimized(encoded) = run(&source, &Options::default()) {
            assert_eq!(encoded.method, Method::WebpLossless);
            assert_eq!(score(&source, &encoded.bytes), Ok(metric::Score::IDENTICAL));
        }
        assert!(score(&lossy_ones[0], &lossy_ones[1]).is_err());
        assert!(score(&source, &lossless(255)).is_err());
    }

    fn run(source: &[u8], options: &Options) -> Outcome {
        optimize(source, options, Budget::UNLIMITED).unwrap()
    }

    fn optimized(source: &[u8], options: &Options) -> Encoded {
        match run(source, options) {
            Outcome::Optimized(encoded) => encoded,
            Outcome::Unchanged(unchanged) => panic!("{unchanged:?}"),
        }
    }

    fn reason(source: &[u8], options: &Options) -> Reason {
        match run(source, options) {
            Outcome::Unchanged(unchanged) => unchanged.reason,
            Outcome::Optimized(encoded) => panic!("{}", encoded.method),
        }
    }

    #[test]
    fn a_fine_lossy_file_gets_lighter_once() {
        for alpha in [255, 80] {
            let source = lossy(98, alpha);
            let encoded = optimized(&source, &Options::default());
            assert_eq!((encoded.method, encoded.check), (Method::WebpLossy, Check::Whole));
            assert!(encoded.bytes.len() * 10 <= source.len() * 9);
            let score = score(&source, &encoded.bytes).unwrap();
            assert!(score.effective(75.0) >= 75.0);
            assert_eq!((Some(score.whole), score.worst), (encoded.score, encoded.worst));
            let [a, b] = [&source, &encoded.bytes].map(|file| libwebp::decode(file, 160, 96).unwrap());
            assert!(a.rgba.iter().zip(&b.rgba).all(|(a, b)| a.a == b.a), "alpha is exact");
            for target in [75.0, 40.0] {
                let again = Options { quality: Quality::Target(target), ..Options::default() };
                assert_eq!(reason(&encoded.bytes, &again), Reason::NoGain);
            }
        }
    }

    #[test]
    fn an_image_that_ends_in_another_chunk_is_damaged() {
        for (image, kind) in [(lossy(98, 255), b"VP8 "), (lossless(255), b"VP8L")] {
            let coded = &image[20..];
            // Its last bytes stand where a chunk that goes begins, which libwebp does not mind.
            let (cut, rest) = coded.split_at((coded.len() - 100) & !1);
            let mut source = file(&[(kind, cut)]);
            source.extend([&rest[..4], &(rest.len() as u32 - 8).to_le_bytes(), &rest[8..]].concat());
            source.resize(source.len().next_multiple_of(2), 0);
            let size = source.len() as u32 - 8;
            source[4..8].copy_from_slice(&size.to_le_bytes());
            for options in [Options::default(), LOSSLESS] {
                let result = optimize(&source, &options, Budget::UNLIMITED);
                assert!(matches!(result, Err(ImageError::Malformed { .. })), "{result:?}");
            }
        }
    }

    #[test]
    fn a_coarse_lossy_file_stays() {
        assert_eq!(reason(&lossy(50, 255), &Options::default()), Reason::NoGain);
        assert_eq!(reason(&lossy(98, 255), &LOSSLESS), Reason::NoGain);
    }

    #[test]
    fn a_lossless_file_loses_nothing_where_that_is_asked_for() {
        for alpha in [255, 80, 0] {
            let source = lossless(alpha);
            let encoded = optimized(&source, &LOSSLESS);
            assert_eq!(
                (encoded.method, encoded.check, encoded.score),
                (Method::WebpLossless, Check::Lossless, Some(100.0))
            );
            assert_eq!(libwebp::decode(&encoded.bytes, 160, 96).unwrap().rgba, waves(160, 96, alpha).rgba);
        }
    }

    #[test]
    fn a_lossless_file_becomes_lossy_where_that_is_smaller_and_holds() {
        let source = lossless(255);
        let encoded = optimized(&source, &Options::default());
        assert!(encoded.score.is_some_and(|score| score >= 75.0));
        assert!(encoded.bytes.len() <= optimized(&source, &LOSSLESS).bytes.len());
        let fast = optimized(&source, &Options { effort: Effort::Fast, ..Options::default() });
        assert!(fast.score.is_some_and(|score| score >= 75.0));
    }

    #[test]
    fn a_graphic_keeps_flat_areas_and_is_optimized_once() {
        // Letters, nearly, which lossy WebP codes at length.
        let ink = |at: usize| ((at / 720 * 80 + at % 240 / 3) as u32).wrapping_mul(2_654_435_761) >> 28;
        let letter = |at: usize| if at / 240 % 20 < 12 && ink(at) < 8 { 0 } else { 255 };
        let letters = (0..240 * 200).map(|at| rgb::RGBA8::new(letter(at), letter(at), letter(at), 255)).collect();
        let letters = Pixels { width: 240, height: 200, rgba: letters };
        for (pixels, way) in [
            (graphics::tests::discs(255), Way::Lossless { level: 0 }),
            (letters, Way::Lossy { quality: 100, sharpness: 0 }),
        ] {
            let source = libwebp::encode(&Source::Pixels(&pixels), way).unwrap();
            let chunks = Chunks::parse(&source).unwrap();
            let kept = chunks.filter(MetadataPolicy::Safe);
            let job = Job {
                image: &source,
                chunks: &chunks,
                still: chunks.still.unwrap(),
                kept: &kept,
                cost: cost(&chunks, source.len()),
                options: &Options::default(),
                budget: Budget::UNLIMITED,
            };
            let picture = job.decoded().unwrap();
            let mut candidates = Vec::new();
            assert!(!job.without_loss(&picture, job.most(), &mut candidates).unwrap());
            let found = candidates.iter().find(|candidate| candidate.method == Method::WebpNearLossless).unwrap();
            assert!(found.bytes.len() * 10 < source.len() * 9, "{} of {}", found.bytes.len(), source.len());
            // Comparing two files has no gates.
            let shown = |score: metric::Score| (score.whole, score.worst);
            assert_eq!(score(&source, &found.bytes).ok().map(shown), found.score.map(shown));
            for quality in [Quality::DEFAULT, Quality::Target(40.0), Quality::Lossless] {
                assert_eq!(reason(&found.bytes, &Options { quality, ..Options::default() }), Reason::NoGain);
            }
        }
    }

    #[test]
    fn metadata_goes_by_policy_whatever_becomes_of_the_image() {
        let holds_place = |bytes: &[u8]| bytes.windows(8).any(|window| window == b"latitude");
        for image in [lossy(98, 255), lossy(50, 255), lossless(255)] {
            let source = with_place(&image);
            assert!(holds_place(&source));
            for quality in [Quality::Lossless, Quality::DEFAULT] {
                let encoded = optimized(&source, &Options { quality, ..Options::default() });
                assert_eq!(encoded.metadata, MetadataState::Stripped);
                assert!(!holds_place(&encoded.bytes), "{}", encoded.method);
                let (before, after) = (Chunks::parse(&source).unwrap(), Chunks::parse(&encoded.bytes).unwrap());
                assert_eq!(before.orientation(), after.orientation());
            }
        }
        let all = Options { metadata: MetadataPolicy::All, ..Options::default() };
        let encoded = optimized(&with_place(&lossy(98, 255)), &all);
        assert_eq!((encoded.method, encoded.metadata), (Method::WebpLossy, MetadataState::Kept));
        assert!(holds_place(&encoded.bytes));
    }

    /// A condition: what it is, the file, a part that may be missed, and what the report has to say.
    type Row<'a> = (&'a str, Vec<u8>, &'a [u8], [MetadataState; 3]);

    #[test]
    fn the_metadata_state_is_true_for_each_policy() {
        use MetadataPolicy::{All, None as Nothing, Safe};
        use MetadataState::{Clean, Kept as Stays, Stripped};
        let exif = crate::optimize::metadata::exif::tests::camera_block(crate::optimize::metadata::ByteOrder::Big);
        let rights = crate::optimize::metadata::xmp::tests::packet("<rdf:Description dc:rights='Anna'/>");
        let archive = [b"PK\x05\x06", &[0; 12][..], &[0, 9, 0, 0], &[0; 2]].concat();
        let coded = lossy(98, 255);
        let still = |flags: u8, chunks: &[(&[u8; 4], &[u8])]| {
            let header = [flags, 0, 0, 0, 159, 0, 0, 95, 0, 0];
            file(&[&[(b"VP8X", &header[..]), (b"VP8 ", &coded[20..])], chunks].concat())
        };
        let animation = |flags: u8, chunks: &[(&[u8; 4], &[u8])]| {
            let header = [flags | 2, 0, 0, 0, 8, 0, 0, 8, 0, 0];
            file(&[&[(b"VP8X", &header[..]), (b"ANIM", &[0; 6]), (b"ANMF", b"a frame ")], chunks].concat())
        };
        let behind = |file: Vec<u8>, rest: &[u8]| [&file[..], rest].concat();
        // States under safe, all and none.
        let table: [Row<'_>; 15] = [
            ("nothing", coded.clone(), b"VP8 ", [Clean, Stays, Clean]),
            ("a place", still(8, &[(b"EXIF", &exif)]), b"latitude", [Stripped, Stays, Stripped]),
            ("rights", still(4, &[(b"XMP ", &rights)]), b"Anna", [Clean, Stays, Stripped]),
            ("no rights", still(4, &[(b"XMP ", b"<x/>")]), b"<x/>", [Stripped, Stays, Stripped]),
            ("a profile", still(0x20, &[(b"ICCP", b"profile")]), b"profile", [Clean, Stays, Clean]),
            ("a maker's chunk", still(0, &[(b"MAKR", b"own ")]), b"MAKR", [Stripped, Stays, Stripped]),
            ("what is not announced", still(0, &[(b"EXIF", &exif)]), b"latitude", [Stripped, Stays, Stripped]),
            ("a signature", still(0, &[(b"C2PA", b"jumb")]), b"C2PA", [Stays; 3]),
            ("padding", behind(coded.clone(), b"\n"), b"VP8 ", [Clean, Stays, Clean]),
            ("unknown data", behind(coded.clone(), b"\na maker's"), b"a maker's", [Stays; 3]),
            ("an archive", behind(coded.clone(), &archive), &archive, [Stays; 3]),
            ("an animation", animation(0, &[]), b"ANMF", [Clean, Stays, Clean]),
            ("one with XMP", animation(4, &[(b"XMP ", b"<x/>")]), b"<x/>", [Stripped, Stays, Stripped]),
            ("one with padding", behind(animation(0, &[]), &[0; 99]), b"ANMF", [Clean, Stays, Clean]),
            ("one with unknown data", behind(animation(0, &[]), b"a maker's"), b"a maker's", [Stays; 3]),
        ];
        for (what, source, part, states) in &table {
            for (metadata, state) in [Safe, All, Nothing].into_iter().zip(states) {
                for quality in [Quality::DEFAULT, Quality::Lossless] {
                    let (bytes, found) = match run(source, &Options { quality, metadata, ..Options::default() }) {
                        Outcome::Optimized(encoded) => (encoded.bytes, encoded.metadata),
                        Outcome::Unchanged(Unchanged { metadata, .. }) => (source.clone(), metadata),
                    };
                    let holds = bytes.windows(part.len()).any(|window| window == *part);
                    assert_eq!((found, holds), (*state, *state != Stripped), "{what}, {metadata}, {quality}");
                }
            }
        }
    }

    #[test]
    fn an_animation_is_stripped_at_most() {
        let frames: [(&[u8; 4], &[u8]); 2] = [(b"ANIM", &[0; 6]), (b"ANMF", b"a frame ")];
        let plain = file(&[&[(b"VP8X", &[2, 0, 0, 0, 8, 0, 0, 8, 0, 0][..])], &frames[..]].concat());
        assert_eq!(reason(&plain, &Options::default()), Reason::CodingNotRewritten);
        let parts = [&[(b"VP8X", &[6, 0, 0, 0, 8, 0, 0, 8, 0, 0][..])], &frames[..], &[(b"XMP ", b"<x/>")]].concat();
        let stripped = optimized(&file(&parts), &Options::default());
        assert_eq!((stripped.method, stripped.bytes), (Method::WebpStrip, plain));
    }

    #[test]
    fn what_follows_stays_unless_it_is_padding() {
        for source in [lossy(98, 255), lossless(255), with_place(&lossy(50, 255))] {
            let plain = optimized(&source, &Options::default());
            for padding in [&b"\n"[..], &[0; 9], &[0xFF; 9]] {
                let padded = optimized(&[&source[..], padding].concat(), &Options::default());
                assert_eq!((padded.bytes, padded.metadata), (plain.bytes.clone(), plain.metadata));
            }
            let followed = optimized(&[&source[..], b"\na maker's own"].concat(), &Options::default());
            assert_eq!(followed.bytes, [&plain.bytes[..], b"\na maker's own"].concat());
            assert_eq!((followed.method, followed.metadata), (plain.method, MetadataState::Kept));
        }
    }

    #[test]
    fn alpha_bits_that_no_header_announces_are_not_seen() {
        // A black line across the picture.
        let mut pixels = waves(160, 96, 255);
        pixels.rgba[160 * 40..160 * 43].fill(rgb::RGBA8::new(0, 0, 0, 0));
        let mut source = libwebp::encode(&Source::Pixels(&pixels), Way::Lossless { level: 0 }).unwrap();
        // The bit that says whether alpha is used (RFC 9649, 3.4).
        source[24] &= !0x10;
        let extended = |flags: u8| file(&[(b"VP8X", &[flags, 0, 0, 0, 159, 0, 0, 95, 0, 0]), (b"VP8L", &source[20..])]);
        for source in [source.clone(), extended(0)] {
            for options in [LOSSLESS, Options::default()] {
                let encoded = optimized(&source, &options);
                let shown = libwebp::decode(&encoded.bytes, 160, 96).unwrap();
                assert!(shown.rgba.iter().all(|pixel| pixel.a == 255));
                let line = shown.rgba[160 * 41 + 80];
                assert!([line.r, line.g, line.b].iter().all(|sample| *sample < 40), "{line}");
                assert_eq!(score(&source, &encoded.bytes).ok().map(|score| score.whole), encoded.score);
            }
        }
        // Browsers show it with alpha, others without.
        assert_eq!(reason(&extended(0x10), &LOSSLESS), Reason::NoGain);
        assert_eq!(reason(&extended(0x10), &Options::default()), Reason::NoGain);
    }

    #[test]
    fn signed_and_followed_files_stay() {
        let source = lossy(98, 255);
        let signed =
            file(&[(b"VP8X", &[0, 0, 0, 0, 159, 0, 0, 95, 0, 0]), (b"VP8 ", &source[20..]), (b"C2PA", b"jumb")]);
        assert_eq!(reason(&signed, &Options::default()), Reason::Signed);
        let archive = [b"PK\x05\x06", &[0; 12][..], &[0, 9, 0, 0], &[0; 2]].concat();
        assert_eq!(reason(&[&source[..], &archive].concat(), &Options::default()), Reason::TrailingData);
    }

    #[test]
    fn headers_over_a_limit_are_refused_before_any_pixel() {
        // 16,384 pixels each way, in 38 bytes or less.
        let bomb = file(&[(b"VP8L", &[0x2F, 0xFF, 0xFF, 0xFF, 0x0F, 0x07, 0x10, 0x11])]);
        let error = optimize(&bomb, &Options::default(), Budget::UNLIMITED).unwrap_err();
        assert!(matches!(error, ImageError::LimitExceeded { limit: Limit::Pixels, .. }), "{error}");
        // As many as are allowed, in as few bytes.
        let flat = file(&[(b"VP8L", &[0x2F, 0x87, 0x13, 0xE2, 0x04, 0x07, 0x10, 0x11])]);
        assert_eq!(reason(&flat, &Options::default()), Reason::NoGain);
        let limits = Limits { memory: 100_000, ..Limits::default() };
        let error =
            optimize(&lossy(98, 255), &Options { limits, ..Options::default() }, Budget::UNLIMITED).unwrap_err();
        assert!(matches!(error, ImageError::LimitExceeded { limit: Limit::Memory, .. }), "{error}");
    }

    #[test]
    fn damaged_bytes_cost_no_panic() {
        let limits = Limits { pixels: 40 * 30 * 2, ..Limits::default() };
        let options = Options { limits, ..LOSSLESS };
        let ways = [Way::Lossy { quality: 90, sharpness: 0 }, Way::Lossless { level: 0 }];
        for source in ways.map(|way| libwebp::encode(&Source::Pixels(&waves(40, 30, 80)), way).unwrap()) {
            let mut at = 12;
            while at < source.len() {
                for value in [0, 0x55, 0xFF] {
                    let mut damaged = source.clone();
                    damaged[at] = value;
                    if let Ok(Outcome::Optimized(encoded)) = optimize(&damaged, &options, Budget::UNLIMITED) {
                        assert_eq!(score(&damaged, &encoded.bytes), Ok(metric::Score::IDENTICAL));
                    }
                }
                at += if at < 60 { 1 } else { 29 };
            }
            for length in (0..source.len()).step_by(31) {
                assert!(optimize(&source[..length], &options, Budget::UNLIMITED).is_err());
            }
        }
    }

    #[test]
    fn animations_have_no_score() {
        let animation = file(&[(b"VP8X", &[2, 0, 0, 0, 8, 0, 0, 8, 0, 0]), (b"ANMF", b"a frame ")]);
        assert!(matches!(picture(&animation, &Limits::default()), Err(Fault::Unscorable(_))));
        assert_eq!(score(&lossless(80), &lossless(80)), Ok(metric::Score::IDENTICAL));
    }
}
