//! Graphics: libwebp's coding without loss of what was rounded where it is not flat. Lossy WebP leaves hardly a flat area
//! flat.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use rgb::{ColorComponentMap, RGBA8};

use super::libwebp::{Source, Way, decode, encode};
use super::lossy::Lossy;
use crate::optimize::Budget;
use crate::optimize::color::ToSrgb;
use crate::optimize::picture::Pixels;
use crate::optimize::quality::backgrounds::Views;
use crate::optimize::quality::census::{self, Census, ColorMap};
use crate::optimize::quality::score::{ROUNDING, Score};

/// Of so many colours or fewer libwebp makes a palette, and rounds nothing itself.
const PALETTE: usize = 256;
/// The lower bits of a sample that are rounded away, the most first: five are the most that libwebp can, and nearly always
/// hold the usual targets.
const BITS: [u8; 5] = [5, 4, 3, 2, 1];
/// Differences that libwebp takes for none, and so does this.
const SMOOTH: u8 = 2;
/// Solid colours may be off by so many levels of 255.
const NEAR_SOLID: u8 = 4;
/// libwebp's fastest level that tells what others come to.
const QUICK_LEVEL: u8 = 1;
/// What better levels leave of its bytes at the least, and what rounding does: of the graphics of the corpus .73 to .99,
/// and .32 to .75.
const EXACT_SHARE: f64 = 0.7;
const ROUNDED_SHARE: f64 = 0.3;

/// What is searched for.
#[derive(Debug, Clone, Copy)]
pub struct Aim {
    /// SSIMULACRA2 score to reach.
    pub target: f64,
    /// EXIF's.
    pub orientation: u8,
    /// libwebp's `-z`.
    pub level: u8,
    /// No more files are tried, nearly.
    pub trials: usize,
    /// Bytes from which a file is not worth having.
    pub most: usize,
}

/// Which ways may end below so many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promise {
    pub exact: bool,
    pub rounded: bool,
}

impl Promise {
    /// Told by a quick file of its own.
    ///
    /// # Errors
    /// libwebp's own words.
    pub fn of(pixels: &Pixels, most: usize) -> Result<Self, String> {
        let quick = encode(&Source::Pixels(pixels), Way::Lossless { level: QUICK_LEVEL })?;
        Ok(Self::told(quick.len(), most))
    }

    /// Told by the bytes of a lossless file that was made with some effort at the most.
    #[must_use]
    pub fn told(bytes: usize, most: usize) -> Self {
        let is_below = |share: f64| (bytes as f64) * share < most as f64;
        Self { exact: is_below(EXACT_SHARE), rounded: is_below(ROUNDED_SHARE) }
    }
}

/// Searches for the coarsest rounding that holds; every file that counts was scored whole.
///
/// # Errors
/// libwebp's own words.
pub fn to_target(pixels: &Pixels, to_srgb: Option<Arc<ToSrgb>>, aim: Aim, budget: Budget) -> Result<Lossy, String> {
    let mut lossy = Lossy { found: None, budget_cut: false };
    let views = Views::new(pixels, aim.orientation).shown_by(to_srgb);
    let of_pixels;
    let census = if let Some(census) = views.census() {
        census
    } else {
        of_pixels = Census::of(pixels, true);
        &of_pixels
    };
    // libwebp rounds alpha as well, which is exact here.
    let is_soft = pixels.rgba.iter().any(|pixel| !matches!(pixel.a, 0 | u8::MAX));
    let rounds = if is_soft || has_palette(pixels) { &Rounding::BOTH[..1] } else { &Rounding::BOTH };
    for bits in BITS.into_iter().take(aim.trials.div_ceil(Rounding::BOTH.len())) {
        let begun = Instant::now();
        let (mut least, mut is_to_go_on) = (usize::MAX, false);
        for rounding in rounds {
            let file = rounding.encode(pixels, census, bits, aim.level)?;
            least = least.min(file.len());
            let best = lossy.found.as_ref().map_or(aim.most, |(best, _)| best.len());
            if file.len() >= best {
                continue;
            }
            let decoded = decode(&file, pixels.width, pixels.height)?;
            let exact = decoded.rgba.iter().map(|pixel| pixel.a).eq(pixels.rgba.iter().map(|pixel| pixel.a));
            let score =
                views.score(|y, row| row.copy_from_slice(decoded.row(y))).filter(|_| exact).unwrap_or(Score::REFUSED);
            let holds = score.effective(aim.target + ROUNDING) >= aim.target + ROUNDING;
            let keeps_solid = keeps_solid(pixels, &decoded, census);
            // Rounded less it may keep them, and still be the smaller one.
            is_to_go_on |= holds && !keeps_solid;
            if holds && keeps_solid {
                lossy.found = Some((file, score));
            }
        }
        // What is rounded less is larger still.
        if lossy.found.is_some() && !is_to_go_on || least >= aim.most {
            break;
        }
        if !budget.allows(begun.elapsed()) {
            lossy.budget_cut = true;
            break;
        }
    }
    Ok(lossy)
}

/// Who rounds.
#[derive(Debug, Clone, Copy)]
enum Rounding {
    /// This module, each pixel by itself: flat areas stay as they are, and few colours may be left.
    Pixels,
    /// libwebp, what it predicts: shorter where there is a photograph; beside edges it may change flat areas as well.
    Residuals,
}

impl Rounding {
    const BOTH: [Self; 2] = [Self::Pixels, Self::Residuals];

    fn encode(self, pixels: &Pixels, census: &Census, bits: u8, level: u8) -> Result<Vec<u8>, String> {
        match self {
            Self::Pixels => {
                encode(&Source::Pixels(&rounded(pixels, census, bits)), Way::NearLossless { level, bits: 0 })
            }
            Self::Residuals => encode(&Source::Pixels(pixels), Way::NearLossless { level, bits }),
        }
    }
}

/// The pixels with samples of colour rounded to multiples of 2^`bits`, or of the largest smaller power that their neighbours
/// differ by; pixels that differ from no neighbour by more than [`SMOOTH`] stay, solid colours of lines and text as well, and so do 0
/// and 255.
fn rounded(pixels: &Pixels, census: &Census, bits: u8) -> Pixels {
    let Pixels { width, height, .. } = *pixels;
    let is_solid = |pixel: RGBA8| is_solid(census, pixel);
    let samples = |pixel: RGBA8| [pixel.r, pixel.g, pixel.b, pixel.a];
    let difference =
        |a: RGBA8, b: RGBA8| samples(a).into_iter().zip(samples(b)).map(|(a, b)| a.abs_diff(b)).max().unwrap_or(0);
    let round = |(at, pixel): (usize, &RGBA8)| {
        let (x, y) = (at % width, at / width);
        let neighbours = [
            (x > 0, at.wrapping_sub(1)),
            (x + 1 < width, at + 1),
            (y > 0, at.wrapping_sub(width)),
            (y + 1 < height, at + width),
        ];
        let most = neighbours
            .into_iter()
            .filter(|(is_inside, _)| *is_inside)
            .map(|(_, at)| difference(*pixel, pixels.rgba[at]));
        let most = most.max().unwrap_or(0);
        if most <= SMOOTH || is_solid(*pixel) {
            return *pixel;
        }
        // The largest power of two below the difference, of 2^bits at the most.
        let step = 1 << u32::from(bits).min((most - 1).ilog2());
        pixel.map_colors(|sample| nearest(sample, step))
    };
    Pixels { width, height, rgba: pixels.rgba.iter().enumerate().map(round).collect() }
}

/// The multiple of `step` that is nearest to a sample, or 255.
fn nearest(sample: u8, step: u16) -> u8 {
    ((u16::from(sample) + step / 2) / step * step).min(255) as u8
}

/// Whether a colour is one of lines, text, dots or areas: what tells things apart.
fn is_solid(census: &Census, pixel: RGBA8) -> bool {
    census.uses.get(&census::key(pixel)).is_some_and(|used| used.is_mark() || used.is_ground())
}

/// Whether every solid colour stays about what it was in most of its pixels.
fn keeps_solid(pixels: &Pixels, result: &Pixels, census: &Census) -> bool {
    let mut shifted: ColorMap<u32> = ColorMap::default();
    for (pixel, shown) in pixels.rgba.iter().zip(&result.rgba) {
        if census::distance(census::key(*pixel), census::key(*shown)) > NEAR_SOLID && is_solid(census, *pixel) {
            *shifted.entry(census::key(*pixel)).or_default() += 1;
        }
    }
    shifted.iter().all(|(key, shifted)| census.uses.get(key).is_some_and(|used| 2 * shifted <= used.count))
}

fn has_palette(pixels: &Pixels) -> bool {
    let mut colors = HashSet::new();
    let mut last = None;
    for pixel in &pixels.rgba {
        if last != Some(*pixel) && colors.insert(*pixel) && colors.len() > PALETTE {
            return false;
        }
        last = Some(*pixel);
    }
    true
}

#[cfg(test)]
pub mod tests {
    use std::time::Duration;

    use super::*;
    use crate::optimize::webp::libwebp::tests::waves;

    const AIM: Aim = Aim { target: 75.0, orientation: 1, level: 6, trials: 5, most: usize::MAX };

    /// Soft discs of many colours on a plain ground.
    pub fn discs(alpha: u8) -> Pixels {
        let pixel = |at: usize| {
            let (x, y) = (at % 240, at / 240);
            let (column, row) = (x / 40, y / 40);
            let (dx, dy) = ((x % 40) as f64 - 19.5, (y % 40) as f64 - 19.5);
            let cover = (12.0 - dx.hypot(dy)).clamp(0.0, 3.0) / 3.0;
            let mix = |ground: f64, ink: usize| (ground + (ink as f64 - ground) * cover) as u8;
            let ink = [column * 40, 200 - row * 37, (column * row * 9) % 255];
            RGBA8::new(mix(246.0, ink[0]), mix(247.0, ink[1]), mix(249.0, ink[2]), if x < 120 { 255 } else { alpha })
        };
        Pixels { width: 240, height: 200, rgba: (0..240 * 200).map(pixel).collect() }
    }

    #[test]
    fn flat_pixels_stay_exact_and_bytes_go() {
        for alpha in [255, 90] {
            let pixels = discs(alpha);
            let lossless = encode(&Source::Pixels(&pixels), Way::Lossless { level: 6 }).unwrap();
            let file = Rounding::Pixels.encode(&pixels, &Census::of(&pixels, true), 5, 6).unwrap();
            assert!(file.len() * 10 < lossless.len() * 9, "{} of {}", file.len(), lossless.len());
            let decoded = decode(&file, 240, 200).unwrap();
            let is_flat = |at: &usize| {
                let neighbours = [at - 240, at - 1, at + 1, at + 240];
                neighbours.iter().all(|neighbour| pixels.rgba[*neighbour] == pixels.rgba[*at])
            };
            let flat: Vec<_> = (241..240 * 199 - 1).filter(is_flat).collect();
            assert!(flat.len() > 20_000 && flat.iter().all(|at| pixels.rgba[*at] == decoded.rgba[*at]));
            assert!(pixels.rgba.iter().zip(&decoded.rgba).all(|(a, b)| a.r.abs_diff(b.r) <= 16 && a.a == b.a));
            let (file, score) = to_target(&pixels, None, AIM, Budget::UNLIMITED).unwrap().found.unwrap();
            let shown = decode(&file, 240, 200).unwrap();
            assert!(score.effective(75.0) >= 75.0);
            assert_eq!(Views::new(&pixels, 1).score(|y, row| row.copy_from_slice(shown.row(y))), Some(score));
        }
    }

    #[test]
    fn samples_are_rounded_as_far_as_neighbours_differ() {
        assert_eq!(
            [0, 15, 16, 47, 48, 239, 240, 255].map(|sample| nearest(sample, 32)),
            [0, 0, 32, 32, 64, 224, 255, 255]
        );
        let row = |samples: [u8; 6]| {
            let rgba = samples.map(|sample| RGBA8::new(sample, sample, sample, 255)).to_vec();
            let pixels = Pixels { width: 6, height: 1, rgba };
            let rounded = rounded(&pixels, &Census::of(&pixels, true), 5);
            rounded.rgba.iter().map(|pixel| pixel.r).collect::<Vec<_>>()
        };
        assert_eq!(row([9, 9, 11, 13, 13, 13]), [9, 9, 11, 13, 13, 13]);
        assert_eq!(row([9, 9, 9, 14, 19, 19]), [9, 9, 8, 16, 20, 19]);
        assert_eq!(row([9, 9, 209, 209, 209, 9]), [9, 0, 224, 209, 224, 0]);
    }

    /// Lines of one pixel in two near colours over discs and grain.
    fn lines() -> Pixels {
        let mut pixels = discs(255);
        for (at, pixel) in pixels.rgba.iter_mut().enumerate() {
            let (x, y) = (at % 240, at / 240);
            let grain = (at as u32).wrapping_mul(2_654_435_761).to_be_bytes()[0] / 2;
            match (x, y) {
                (20..220, 60) => *pixel = RGBA8::new(0, 100, 180, 255),
                (20..220, 100) => *pixel = RGBA8::new(0, 110, 190, 255),
                (160..240, 120..) => *pixel = RGBA8::new(60 + grain, 90 + grain / 2, 150 - grain / 2, 255),
                _ => {}
            }
        }
        pixels
    }

    #[test]
    fn near_lossless_webp_keeps_thin_lines_apart() {
        let pixels = lines();
        for target in [40.0, 75.0, 85.0] {
            let aim = Aim { target, ..AIM };
            let (file, _) = to_target(&pixels, None, aim, Budget::UNLIMITED).unwrap().found.unwrap();
            let shown = decode(&file, 240, 200).unwrap();
            for y in [60, 100] {
                let off = (20..220).filter(|x| {
                    let at = y * 240 + x;
                    census::distance(census::key(shown.rgba[at]), census::key(pixels.rgba[at])) > NEAR_SOLID
                });
                assert!(off.count() <= 100, "row {y} at {target}");
            }
        }
    }

    #[test]
    fn solid_colours_that_residuals_shift_are_refused() {
        let pixels = lines();
        let census = Census::of(&pixels, true);
        let kept = |rounding: Rounding| {
            let file = rounding.encode(&pixels, &census, 5, 6).unwrap();
            keeps_solid(&pixels, &decode(&file, 240, 200).unwrap(), &census)
        };
        assert!(kept(Rounding::Pixels) && !kept(Rounding::Residuals));
    }

    #[test]
    fn a_higher_target_is_rounded_less() {
        let sizes = [50.0, 93.0].map(|target| {
            let found = to_target(&discs(255), None, Aim { target, ..AIM }, Budget::UNLIMITED).unwrap().found.unwrap();
            assert!(found.1.effective(target) >= target);
            found.0.len()
        });
        assert!(sizes[0] < sizes[1], "{sizes:?}");
        assert!(to_target(&discs(255), None, Aim { target: 99.9, ..AIM }, Budget::UNLIMITED).unwrap().found.is_none());
    }

    #[test]
    fn what_is_too_large_is_not_found_and_foretold() {
        let pixels = discs(255);
        assert!(to_target(&pixels, None, Aim { most: 500, ..AIM }, Budget::UNLIMITED).unwrap().found.is_none());
        assert_eq!(Promise::of(&pixels, 100_000).unwrap(), Promise { exact: true, rounded: true });
        assert_eq!(Promise::of(&pixels, 100).unwrap(), Promise { exact: false, rounded: false });
    }

    #[test]
    fn a_palette_is_rounded_as_well() {
        let mut few = discs(255);
        few.rgba.iter_mut().for_each(|pixel| *pixel = RGBA8::new(pixel.r & 0xF8, pixel.r & 0xF8, 0, 255));
        assert!(has_palette(&few) && !has_palette(&discs(255)));
        let (file, _) = to_target(&few, None, AIM, Budget::UNLIMITED).unwrap().found.unwrap();
        let lossless = encode(&Source::Pixels(&few), Way::Lossless { level: 6 }).unwrap();
        assert!(file.len() < lossless.len(), "{} of {}", file.len(), lossless.len());
    }

    #[test]
    fn time_ends_the_search() {
        let cut = to_target(&discs(255), None, Aim { target: 99.9, ..AIM }, Budget::lasting(Duration::ZERO)).unwrap();
        assert!(cut.budget_cut && cut.found.is_none());
    }

    #[test]
    fn flat_areas_make_a_graphic() {
        assert!(discs(255).is_graphic() && !waves(160, 96, 255).is_graphic());
        let line = Pixels { width: 9, height: 1, rgba: vec![RGBA8::new(0, 0, 0, 255); 9] };
        assert!(!line.is_graphic());
    }
}
