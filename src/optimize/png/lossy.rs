//! The ways that change pixels, and which of them is tried: a palette, or rounded residuals.

use std::time::{Duration, Instant};

use super::near_lossless::{self, Rounded};
use super::pack::{self, Known};
use super::pixels::Channels;
use super::quantize::{self, Indexed};
use super::traits::Kind;
use crate::optimize::search::Verdict;
use crate::optimize::views::Views;
use crate::optimize::{Budget, Effort, Method};

/// What is asked of a picture.
#[derive(Debug, Clone, Copy)]
pub struct Aim {
    /// SSIMULACRA2 score to reach.
    pub target: f64,
    /// EXIF's.
    pub orientation: u8,
    /// What the profile that stays is of.
    pub profile: Profile,
    pub effort: Effort,
    /// No more palettes, or roundings, are tried.
    pub trials: usize,
}

/// The colour space that an ICC profile binds a file to (PNG, 11.3.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    None,
    Gray,
    Rgb,
}

/// A file that holds the target, without the metadata of its source.
pub struct Coded {
    pub bytes: Vec<u8>,
    pub method: Method,
    pub score: f64,
}

/// The answer, and whether time ended the search for it early.
pub struct Lossy {
    pub coded: Option<Coded>,
    pub budget_cut: bool,
}

/// Where no way is of use.
pub const NOTHING: Lossy = Lossy { coded: None, budget_cut: false };

/// Of a picture this small both ways are tried: neither costs much.
const SMALL_PIXELS: usize = 1 << 16;

/// The smallest file found that reaches the target.
///
/// # Errors
/// oxipng's own words.
pub fn to_target(known: Known<'_>, aim: Aim, budget: Budget) -> Result<Lossy, String> {
    let Known { pixels, traits } = known;
    if traits.is_rounded {
        return Ok(NOTHING);
    }
    let views = Views::new(pixels, aim.orientation);
    let mut clock = Clock::new(budget);
    let mut files = Vec::new();
    let both = pixels.rgba.len() <= SMALL_PIXELS;
    if (both || traits.kind == Kind::Sharp) && aim.profile != Profile::Gray {
        let goes_on = || clock.verdict(PACK_INDEXED);
        if let Some(indexed) = quantize::to_target(pixels, &views, aim.target, aim.trials, goes_on) {
            files.push(indexed_file(&indexed, clock.effort(aim.effort, PACK_INDEXED))?);
        }
    }
    if (both || files.is_empty()) && !clock.cut {
        let channels = match aim.profile {
            Profile::Rgb => Channels::new(false, pixels.is_transparent()),
            Profile::None | Profile::Gray => traits.channels,
        };
        let goes_on = || clock.verdict(PACK_ROUNDED);
        if let Some(rounded) = near_lossless::to_target(pixels, channels, &views, aim.target, aim.trials, goes_on) {
            files.push(rounded_file(rounded, traits.is_graphic, clock.effort(aim.effort, PACK_ROUNDED))?);
        }
    }
    let coded = files.into_iter().min_by_key(|file| file.bytes.len());
    Ok(Lossy { coded, budget_cut: clock.cut })
}

fn indexed_file(indexed: &Indexed, effort: Effort) -> Result<Coded, String> {
    let bytes = pack::indexed(indexed, effort)?;
    Ok(Coded { bytes, method: Method::PngQuantized, score: indexed.score })
}

fn rounded_file(rounded: Rounded, is_graphic: bool, effort: Effort) -> Result<Coded, String> {
    let score = rounded.score;
    Ok(Coded { bytes: pack::rounded(rounded, is_graphic, effort)?, method: Method::PngNearLossless, score })
}

/// Watches the budget: what was found must still be packed in it.
struct Clock {
    budget: Budget,
    /// Since the last trial.
    lap: Instant,
    /// What that took.
    trial: Duration,
    cut: bool,
}

/// Trials that packing takes as long as, measured.
const PACK_INDEXED: u32 = 1;
const PACK_ROUNDED: u32 = 8;

impl Clock {
    fn new(budget: Budget) -> Self {
        Self { budget, lap: Instant::now(), trial: Duration::ZERO, cut: false }
    }

    /// After a trial: whether another fits, and packing after it.
    fn verdict(&mut self, pack: u32) -> Verdict {
        self.trial = self.lap.elapsed();
        self.lap = Instant::now();
        self.cut |= !self.budget.allows(self.trial * (1 + pack));
        if self.cut { Verdict::Stop } else { Verdict::Continue }
    }

    /// What packing may cost.
    fn effort(&mut self, wanted: Effort, pack: u32) -> Effort {
        let fits = self.budget.allows(self.trial * pack);
        self.cut |= !fits;
        if fits { wanted } else { Effort::Fast }
    }
}
