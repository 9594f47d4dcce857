//! The lossy ways: requantize with chroma halved or with every grid kept, or, where there is no recipe for that, encode
//! decoded planes.

use std::panic::resume_unwind;

use super::coefficients::{Blocks, Coefficients};
use super::libjpeg::{Coded, Fault};
use super::mosaic;
use super::pixels::Pixels;
use super::recompress::{Chroma, Recompressor, SLOPE, STEPS};
use super::target::{Aim, Answer, Found, search};
use super::upright::UPRIGHT;
use crate::optimize::candidate::Candidate;
use crate::optimize::outcome::Check;
use crate::optimize::score::{Judge, Score};
use crate::optimize::{Budget, Method};

/// What is known of a source beside its coefficients.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    pub file: &'a [u8],
    pub max_scans: u32,
    /// Bytes that the coded image takes, without metadata.
    pub bytes: usize,
    /// EXIF's.
    pub orientation: u8,
}

impl About<'_> {
    fn bits_per_pixel(&self, source: &dyn Blocks) -> f64 {
        let layout = source.layout();
        8.0 * self.bytes as f64 / (layout.width * layout.height).max(1) as f64
    }
}

/// What came of a lossy way.
pub struct Lossy {
    /// A file within the promise, without metadata; `None` where there is none.
    pub candidate: Option<Candidate>,
    /// Whether time ended the search before it was done.
    pub budget_cut: bool,
}

impl Lossy {
    pub const NOTHING: Self = Self { candidate: None, budget_cut: false };

    fn unmeasured(bytes: Vec<u8>, method: Method) -> Self {
        Self { candidate: Some(Candidate { bytes, method, score: None, check: Check::None }), budget_cut: false }
    }

    fn measured(bytes: Vec<u8>, method: Method, found: Found, budget_cut: bool) -> Self {
        let Found { score, check, .. } = found;
        Self { candidate: Some(Candidate { bytes, method, score: Some(score), check }), budget_cut }
    }
}

/// One encoding at the first guess; no score is measured.
///
/// # Errors
/// [`Fault`] of the codec.
pub fn once(source: Coded<'_>, about: About<'_>, target: f64) -> Result<Lossy, Fault> {
    // A first guess misses by some points: the margin keeps most files above the target all the same.
    const MARGIN: f64 = 4.0;
    let bits_per_pixel = about.bits_per_pixel(&source);
    let chroma = [Chroma::Halved, Chroma::Kept].into_iter().find_map(|chroma| {
        let step = Recompressor::new(&source, chroma, bits_per_pixel)?.first_step(target + MARGIN);
        Some((chroma, step))
    });
    if let Some((chroma, step)) = chroma {
        let written = write(source, chroma, step, bits_per_pixel)?;
        return Ok(written.map_or(Lossy::NOTHING, |bytes| Lossy::unmeasured(bytes, Method::JpegCoefficients)));
    }
    let pixels = Pixels::decode(about.file, about.max_scans, about.orientation)?;
    Ok(Lossy::unmeasured(pixels.encode(Pixels::first_step(target + MARGIN))?, Method::JpegPixels))
}

/// The lightest encoding found that reaches the target.
///
/// # Errors
/// [`Fault`] of the codec.
pub fn to_target(source: Coded<'_>, about: About<'_>, target: f64, budget: Budget) -> Result<Lossy, Fault> {
    if Judge::new(source.layout().width, source.layout().height).is_none() {
        return Ok(Lossy::NOTHING);
    }
    let bits_per_pixel = about.bits_per_pixel(&source);
    if Recompressor::new(&source, Chroma::Kept, bits_per_pixel).is_none() {
        return in_pixels(about, target, budget);
    }
    let tiles = mosaic::of(&source);
    let orientation = about.orientation;
    let ways = Ways { source: &source, tiles: tiles.as_ref(), bits_per_pixel, target, orientation, budget };
    let (chroma, Answer { found, budget_cut }) = ways.best()?;
    let written = match found {
        Some(found) => write(source, chroma, found.step, bits_per_pixel)?.zip(Some(found)),
        None => None,
    };
    Ok(match written {
        Some((bytes, found)) => Lossy::measured(bytes, Method::JpegCoefficients, found, budget_cut),
        None => Lossy { budget_cut, ..Lossy::NOTHING },
    })
}

/// The file of a step; `None` where nothing would be lost at it, so that a transcode does as well.
fn write(source: Coded<'_>, chroma: Chroma, step: i32, bits_per_pixel: f64) -> Result<Option<Vec<u8>>, Fault> {
    let Some(recompressor) = Recompressor::new(&source, chroma, bits_per_pixel) else { return Ok(None) };
    if recompressor.is_lossless_at(step) {
        return Ok(None);
    }
    let written = if let Some(in_place) = recompressor.in_place(step) {
        drop(recompressor);
        in_place.write(source)?
    } else {
        let written = recompressor.encode(step)?;
        drop(recompressor);
        drop(source);
        written
    };
    Ok(Some(written.proven()?))
}

fn in_pixels(about: About<'_>, target: f64, budget: Budget) -> Result<Lossy, Fault> {
    let pixels = Pixels::decode(about.file, about.max_scans, about.orientation)?;
    let Answer { found, budget_cut } = search(&pixels.aim(target), |step| pixels.score(step), None, budget);
    let Some(found) = found else { return Ok(Lossy { budget_cut, ..Lossy::NOTHING }) };
    Ok(Lossy::measured(pixels.encode(found.step)?, Method::JpegPixels, found, budget_cut))
}

/// A source whose coefficients can be requantized, and what is asked of it.
struct Ways<'a> {
    source: &'a dyn Blocks,
    tiles: Option<&'a Coefficients>,
    bits_per_pixel: f64,
    target: f64,
    orientation: u8,
    budget: Budget,
}

impl Ways<'_> {
    /// What reaches the target with chroma halved or kept: what makes the smaller file.
    fn best(&self) -> Result<(Chroma, Answer), Fault> {
        if self.on(self.smallest(), Chroma::Halved).is_none() {
            return Ok((Chroma::Kept, self.search(Chroma::Kept)));
        }
        let mut ways = [Chroma::Halved, Chroma::Kept];
        let [halved, kept] = self.each(ways);
        let (halved, kept) = (halved?, kept?);
        if kept.is_some_and(|kept| halved.is_none_or(|halved| kept < halved)) {
            ways.reverse();
        }
        let first = self.search(ways[0]);
        // What promised more on the sample may not hold on the whole.
        Ok(if first.found.is_some() { (ways[0], first) } else { (ways[1], self.search(ways[1])) })
    }

    /// What [`Self::bytes_at_target`] answers, side by side where there are two threads.
    fn each(&self, ways: [Chroma; 2]) -> [Result<Option<usize>, Fault>; 2] {
        if self.budget.threads() < 2 {
            return ways.map(|way| self.bytes_at_target(way, 1));
        }
        let threads = self.budget.threads() / 2;
        std::thread::scope(|scope| {
            let first = scope.spawn(|| self.bytes_at_target(ways[0], threads));
            let second = self.bytes_at_target(ways[1], threads);
            [first.join().unwrap_or_else(|panic| resume_unwind(panic)), second]
        })
    }

    /// The sample, or else the whole.
    fn smallest(&self) -> &dyn Blocks {
        self.tiles.map_or(self.source, |tiles| tiles)
    }

    fn on<'b>(&self, source: &'b dyn Blocks, chroma: Chroma) -> Option<Recompressor<'b>> {
        Recompressor::new(source, chroma, self.bits_per_pixel)
    }

    /// Bytes of the sample, or else of the whole, at the coarsest step that reaches the target there.
    fn bytes_at_target(&self, chroma: Chroma, threads: usize) -> Result<Option<usize>, Fault> {
        let Some(recompressor) = self.on(self.smallest(), chroma) else { return Ok(None) };
        let score = |step| recompressor.score(step, UPRIGHT, threads).unwrap_or(Score::REFUSED);
        let answer = search(&self.aim(&recompressor), score, None, self.budget);
        answer.found.map(|found| Ok(recompressor.encode(found.step)?.len())).transpose()
    }

    fn search(&self, chroma: Chroma) -> Answer {
        let Some(whole) = self.on(self.source, chroma) else { return Answer { found: None, budget_cut: false } };
        let sample = self.tiles.and_then(|tiles| self.on(tiles, chroma));
        let threads = self.budget.threads();
        let mut on_sample =
            |step| sample.as_ref().and_then(|sample| sample.score(step, UPRIGHT, threads)).map_or(0.0, |s| s.whole);
        let pixels = self.tiles.map(|tiles| tiles.layout.width * tiles.layout.height);
        let sample = pixels.map(|pixels| (pixels, &mut on_sample as &mut dyn FnMut(i32) -> f64));
        let on_whole = |step| whole.score(step, self.orientation, threads).unwrap_or(Score::REFUSED);
        search(&self.aim(&whole), on_whole, sample, self.budget)
    }

    fn aim(&self, recompressor: &Recompressor<'_>) -> Aim {
        Aim {
            target: self.target,
            steps: STEPS,
            slope: SLOPE,
            first: recompressor.first_step(self.target),
            pixels: self.source.layout().width * self.source.layout().height,
        }
    }
}
