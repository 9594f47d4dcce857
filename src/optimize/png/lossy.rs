//! The ways that change pixels, and which of them is tried: a palette, merged colours, or rounded residuals.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::classify::Kind;
use super::indexed::Indexed;
use super::merge::{self, Merged};
use super::near_lossless;
use super::pack::{self, Known};
use super::pixels::Channels;
use super::quantize::{self, Found};
use super::residuals::{Kept, Rounded};
use crate::optimize::color::ToSrgb;
use crate::optimize::quality::backgrounds::Views;
use crate::optimize::quality::census::Census;
use crate::optimize::quality::higher_targets::{higher_targets, is_too_high};
use crate::optimize::quality::score::Score;
use crate::optimize::quality::search::Verdict;
use crate::optimize::{Budget, Effort, Method};

/// What is asked of a picture.
#[derive(Debug, Clone, Copy)]
pub struct Aim<'a> {
    /// SSIMULACRA2 score to reach.
    pub target: f64,
    /// Orientation by EXIF, 1 to 8.
    pub orientation: u8,
    /// How colours are shown, where it is not as sRGB.
    pub to_srgb: Option<&'a Arc<ToSrgb>>,
    /// Colour model of the profile that stays.
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
    pub score: Score,
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
pub fn to_target(known: Known<'_>, aim: Aim<'_>, budget: Budget) -> Result<Lossy, String> {
    let mut best = search(known, aim, budget)?;
    let is_too_high = |coded: &Coded| is_too_high(coded.score, aim.target);
    for target in higher_targets(aim.target) {
        if best.budget_cut || !best.coded.as_ref().is_some_and(is_too_high) {
            break;
        }
        let finer = search(known, Aim { target, ..aim }, budget)?;
        let coded = best.coded.into_iter().chain(finer.coded).min_by_key(|coded| coded.bytes.len());
        best = Lossy { coded, budget_cut: finer.budget_cut };
    }
    Ok(best)
}

/// One search, by every way that may win.
///
/// # Errors
/// oxipng's own words.
fn search(known: Known<'_>, aim: Aim<'_>, budget: Budget) -> Result<Lossy, String> {
    let Known { pixels, traits } = known;
    if traits.is_rounded && !traits.is_graphic {
        return Ok(NOTHING);
    }
    if !budget.allows(Duration::ZERO) {
        return Ok(Lossy { budget_cut: true, ..NOTHING });
    }
    let views = Views::new(pixels, aim.orientation).shown_by(aim.to_srgb.cloned());
    let of_repeats;
    let census = if let Some(census) = views.census() {
        census
    } else {
        of_repeats = Census::of(pixels, false);
        &of_repeats
    };
    if traits.is_graphic && merge::is_merged(census) {
        return Ok(NOTHING);
    }
    let channels = match aim.profile {
        Profile::Rgb => Channels::new(false, pixels.is_transparent()),
        Profile::None | Profile::Gray => traits.channels,
    };
    let clock = Clock::new(budget);
    let mut ways = Ways { known, aim, census, views: &views, channels, clock, files: Vec::new() };
    let both = pixels.rgba.len() <= SMALL_PIXELS;
    if (both || traits.kind == Kind::Sharp) && aim.profile != Profile::Gray && ways.add_palette()? {
        return Ok(Lossy { budget_cut: ways.clock.cut, ..NOTHING });
    }
    ways.add_merged()?;
    let is_stepped = ways.add_stepped()?;
    if both || is_stepped || ways.files.is_empty() {
        ways.add_rounded()?;
    }
    let coded = ways.files.into_iter().min_by_key(|file| file.bytes.len());
    Ok(Lossy { coded, budget_cut: ways.clock.cut })
}

/// The ways to fewer bytes, and the files that hold the target.
struct Ways<'a> {
    known: Known<'a>,
    aim: Aim<'a>,
    census: &'a Census,
    views: &'a Views<'a>,
    channels: Channels,
    clock: Clock,
    files: Vec<Coded>,
}

impl Ways<'_> {
    /// Adds a palette. Returns whether an exact one of all colours is best, which is lossless.
    fn add_palette(&mut self) -> Result<bool, String> {
        let goes_on = || self.clock.verdict(PACK_INDEXED);
        let Aim { target, trials, .. } = self.aim;
        match quantize::to_target(self.known.pixels, self.census, self.views, target, trials, goes_on) {
            Found::Exact => return Ok(true),
            Found::Indexed(indexed) => {
                let effort = self.clock.effort(self.aim.effort, PACK_INDEXED);
                self.files.push(indexed_file(&indexed, effort)?);
            }
            Found::None => {}
        }
        Ok(false)
    }

    /// Merges near colours of graphics for which no palette does.
    fn add_merged(&mut self) -> Result<(), String> {
        let Known { pixels, traits } = self.known;
        if !self.files.is_empty() || !traits.is_graphic || traits.kind != Kind::Sharp || self.clock.cut {
            return Ok(());
        }
        let goes_on = || self.clock.verdict(PACK_ROUNDED);
        let Aim { target, trials, .. } = self.aim;
        match merge::to_target(pixels, self.census, self.views, target, trials, goes_on) {
            Some(merged) => self.add_merged_file(&merged),
            None => Ok(()),
        }
    }

    /// Stores gradients in steps. Returns whether the picture has any.
    fn add_stepped(&mut self) -> Result<bool, String> {
        if !self.files.is_empty() || !merge::may_step(self.census, self.views) || self.clock.cut {
            return Ok(false);
        }
        let stepped = merge::stepped(self.known.pixels, self.census, self.views, self.aim.target);
        self.clock.verdict(PACK_ROUNDED);
        if let Some(stepped) = stepped {
            self.add_merged_file(&stepped)?;
        }
        Ok(true)
    }

    fn add_merged_file(&mut self, merged: &Merged) -> Result<(), String> {
        let effort = self.clock.effort(self.aim.effort, PACK_ROUNDED);
        self.files.push(merged_file(merged, self.channels, effort)?);
        Ok(())
    }

    /// Rounds residuals.
    fn add_rounded(&mut self) -> Result<(), String> {
        let Known { pixels, traits } = self.known;
        if traits.is_rounded || self.clock.cut {
            return Ok(());
        }
        let goes_on = || self.clock.verdict(PACK_ROUNDED);
        let (kept, Aim { target, trials, .. }) = (Kept::new(self.census, traits.is_graphic), self.aim);
        let rounded = near_lossless::to_target(pixels, kept, self.channels, self.views, target, trials, goes_on);
        if let Some(rounded) = rounded {
            let effort = self.clock.effort(self.aim.effort, PACK_ROUNDED);
            self.files.push(rounded_file(rounded, traits.is_graphic, effort)?);
        }
        Ok(())
    }
}

fn indexed_file(indexed: &Indexed, effort: Effort) -> Result<Coded, String> {
    let bytes = pack::indexed(indexed, effort)?;
    Ok(Coded { bytes, method: Method::PngQuantized, score: indexed.score })
}

fn merged_file(merged: &Merged, channels: Channels, effort: Effort) -> Result<Coded, String> {
    let bytes = pack::merged(&merged.pixels, channels, effort)?;
    Ok(Coded { bytes, method: Method::PngNearLossless, score: merged.score })
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
    /// How long the last trial took.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimize::picture::Pixels;
    use crate::optimize::png::classify::Classification;
    use crate::optimize::png::pixels::decode;
    use rgb::RGBA8;

    const SIZE: usize = 300;

    fn picture(pixel: impl Fn(usize, usize) -> [u8; 3]) -> Pixels {
        let at = |i: usize| {
            let [r, g, b] = pixel(i % SIZE, i / SIZE);
            RGBA8::new(r, g, b, 255)
        };
        Pixels { width: SIZE, height: SIZE, rgba: (0..SIZE * SIZE).map(at).collect() }
    }

    fn grain(x: usize, y: usize) -> u8 {
        (((x * 31 + y * 977) as u32).wrapping_mul(2_654_435_761) >> 28) as u8
    }

    fn photograph() -> Pixels {
        let wave = |x: usize, y: usize| (110.0 + 90.0 * (x as f64 / 31.0).sin() * (y as f64 / 23.0).cos()) as u8;
        picture(|x, y| [wave(x, y) + grain(x, y), wave(y, x) + grain(x, y), 220 - wave(x, y) + grain(y, x)])
    }

    fn gray() -> Pixels {
        let mut pixels = photograph();
        pixels.rgba.iter_mut().for_each(|pixel| (pixel.r, pixel.b) = (pixel.g, pixel.g));
        pixels
    }

    /// Boxes with hatched edges, of a few hundred colours.
    fn graphic() -> Pixels {
        picture(|x, y| {
            let tone = (x / 40 * 29 + y / 40 * 53) as u8;
            let edge = x % 40 < 4 && grain(x, y) > 6;
            if edge { [grain(x, y) * 15, tone, 255 - tone] } else { [tone, 255 - tone, tone / 2 + 60] }
        })
    }

    const AIM: Aim<'static> =
        Aim { target: 75.0, orientation: 1, to_srgb: None, profile: Profile::None, effort: Effort::Default, trials: 4 };

    fn coded(pixels: &Pixels, aim: Aim<'_>, budget: Budget) -> Lossy {
        to_target(Known { pixels, traits: Classification::of(pixels) }, aim, budget).unwrap()
    }

    fn best(pixels: &Pixels, aim: Aim<'_>) -> Coded {
        coded(pixels, aim, Budget::UNLIMITED).coded.unwrap()
    }

    /// PNG's colour type (PNG, 11.2.1): 0 gray, 2 red, green, blue, 3 indexed.
    fn color_type(file: &[u8]) -> u8 {
        file[25]
    }

    #[test]
    fn a_photograph_is_rounded_and_a_graphic_gets_a_palette() {
        for (pixels, method, color) in
            [(photograph(), Method::PngNearLossless, 2), (graphic(), Method::PngQuantized, 3)]
        {
            let coded = best(&pixels, AIM);
            assert_eq!((coded.method, color_type(&coded.bytes)), (method, color));
            assert!(coded.score.effective(75.0) >= AIM.target);
        }
    }

    #[test]
    fn the_file_shows_what_was_scored() {
        for pixels in [photograph(), gray()] {
            let coded = best(&pixels, AIM);
            let shown = decode(&coded.bytes).unwrap().unwrap();
            let score = Views::new(&pixels, 1).score(|y, row| row.copy_from_slice(shown.row(y)));
            assert_eq!(score, Some(coded.score));
        }
    }

    #[test]
    fn what_was_rounded_is_not_rounded_again() {
        let shown = decode(&best(&photograph(), AIM).bytes).unwrap().unwrap();
        assert!(coded(&shown, AIM, Budget::UNLIMITED).coded.is_none());
    }

    #[test]
    fn gray_is_stored_as_gray_unless_the_profile_has_colour() {
        for (profile, color) in [(Profile::None, 0), (Profile::Gray, 0), (Profile::Rgb, 2)] {
            assert_eq!(color_type(&best(&gray(), Aim { profile, ..AIM }).bytes), color);
        }
    }

    #[test]
    fn a_lower_target_makes_no_larger_file() {
        for pixels in [graphic(), photograph()] {
            let sizes = [50.0, 60.0, 75.0].map(|target| best(&pixels, Aim { target, ..AIM }).bytes.len());
            assert!(sizes.is_sorted(), "{sizes:?}");
        }
    }

    #[test]
    fn the_answer_is_the_same_each_time() {
        assert_eq!(best(&photograph(), AIM).bytes, best(&photograph(), AIM).bytes);
    }

    #[test]
    fn without_time_nothing_is_begun() {
        let lossy = coded(&photograph(), AIM, Budget::lasting(Duration::ZERO));
        assert!(lossy.coded.is_none() && lossy.budget_cut);
    }

    #[test]
    fn where_time_is_short_what_holds_is_packed_quickly() {
        let mut clock = Clock::new(Budget::lasting(Duration::from_millis(200)));
        assert_eq!(clock.effort(Effort::Default, PACK_ROUNDED), Effort::Default);
        clock.trial = Duration::from_secs(1);
        assert_eq!(clock.effort(Effort::Default, PACK_ROUNDED), Effort::Fast);
        assert!(clock.cut);
        clock.lap -= Duration::from_secs(1);
        assert_eq!(clock.verdict(PACK_ROUNDED), Verdict::Stop);
    }
}
