//! A picture with transparency, and how it looks over a background: what candidates are scored against.

use std::borrow::Cow;
use std::sync::Arc;

use rgb::RGBA8;

use super::census::Census;
use super::gates::Watch;
use super::insets::{Inset, InsetFinder};
use super::score::{Judge, Score, insets};
use super::ssimulacra2::Windows;
use crate::optimize::color::ToSrgb;
use crate::optimize::picture::{BLACK, Pixels, WHITE, planes};

/// How a picture looks, and how much candidates look like it: its pixels over black and, where any is transparent, over
/// white.
pub struct Views<'a> {
    pixels: &'a Pixels,
    /// EXIF's.
    orientation: u8,
    backgrounds: &'static [u8],
    /// Over each background, as shown; in the colours stored.
    insets: Vec<Vec<Inset>>,
    /// How colours are shown, where it is not as sRGB.
    to_srgb: Option<Arc<ToSrgb>>,
    /// Of graphics.
    census: Option<Census>,
    /// Whether flat areas must stay flat.
    is_flat: bool,
}

/// Of photographs that are lossy WebP the few colours that are flat most often cover an eighth of the pixels at the most,
/// unless a sky is black; of graphics a seventh and more.
const LOSSY_GROUNDS: usize = 4;
const LOSSY_GROUND: f64 = 0.14;

/// Mean difference of a channel, of 255, from which fewer colours are seen as other colours: dithering keeps below it.
const MAX_DRIFT: f64 = 3.0;

impl<'a> Views<'a> {
    #[must_use]
    pub fn new(pixels: &'a Pixels, orientation: u8) -> Self {
        let views = Self::without_insets(pixels, orientation);
        let insets = views.backgrounds.iter().map(|background| insets_over(pixels, *background, orientation)).collect();
        Self { insets, ..views }
    }

    fn without_insets(pixels: &'a Pixels, orientation: u8) -> Self {
        let backgrounds: &[u8] = if pixels.is_transparent() { &[BLACK, WHITE] } else { &[BLACK] };
        let census = pixels.is_graphic().then(|| Census::of(pixels, true));
        let insets = vec![Vec::new(); backgrounds.len()];
        let is_flat = census.as_ref().is_some_and(|census| census.is_drawn(pixels.rgba.len()));
        Self { pixels, orientation, backgrounds, insets, to_srgb: None, census, is_flat }
    }

    /// Scores colours as this conversion shows them.
    #[must_use]
    pub fn shown_by(self, to_srgb: Option<Arc<ToSrgb>>) -> Self {
        Self { to_srgb, ..self }
    }

    /// Scores a sample of the picture, upright, in the same colours: tiles side by side, whose edges are no insets.
    #[must_use]
    pub fn of_sample<'b>(&self, sample: &'b Pixels) -> Views<'b> {
        let views = Views::without_insets(sample, 1).shown_by(self.to_srgb.clone());
        Views { is_flat: self.is_flat && views.census.is_some(), ..views }
    }

    /// Judges a picture that was lossy before: only a few grounds are flat, all else is by chance.
    #[must_use]
    pub fn with_flat_grounds(self) -> Self {
        let least = self.pixels.rgba.len() as f64 * LOSSY_GROUND;
        let is_flat = self.census().is_some_and(|census| census.flat_of(LOSSY_GROUNDS) as f64 >= least);
        Self { is_flat, ..self }
    }

    /// Whether flat areas must stay flat.
    #[must_use]
    pub fn is_flat(&self) -> bool {
        self.is_flat
    }

    /// The colours of a graphic; `None` of other pictures.
    #[must_use]
    pub fn census(&self) -> Option<&Census> {
        self.census.as_ref()
    }

    /// The lower scores of both backgrounds, at most 0 where colours drift; `None` where the picture is too small
    /// for a score. `fill` writes one row of the candidate, from the first to the last.
    #[must_use]
    pub fn score(&self, fill: impl FnMut(usize, &mut [RGBA8])) -> Option<Score> {
        Some(self.score_with_windows(fill)?.0)
    }

    /// The score, and those of all windows over each background, of a picture that is not turned.
    pub fn score_with_windows(&self, mut fill: impl FnMut(usize, &mut [RGBA8])) -> Option<(Score, Vec<Windows>)> {
        let mut watch = Watch::new(self.pixels.width, self.is_flat, self.backgrounds.len() > 1);
        let watched = |y: usize, row: &mut [RGBA8]| {
            fill(y, row);
            watch.push(self.pixels.row(y), row);
        };
        let (score, windows) = self.score_shown(watched, self.to_srgb.as_deref())?;
        let score = score.gated(watch.finish());
        let score = match &self.to_srgb {
            // Programs that ignore profiles show, and score, samples as they are stored.
            Some(to_srgb) if to_srgb.is_far() => score.with(self.score_shown(fill, None)?.0),
            _ => score,
        };
        Some((score, windows))
    }

    fn score_shown(
        &self,
        fill: impl FnMut(usize, &mut [RGBA8]),
        to_srgb: Option<&ToSrgb>,
    ) -> Option<(Score, Vec<Windows>)> {
        if self.orientation == 1 {
            self.score_rows(fill, to_srgb)
        } else {
            Some((self.score_upright(fill, to_srgb)?, Vec::new()))
        }
    }

    fn score_rows(
        &self,
        mut fill: impl FnMut(usize, &mut [RGBA8]),
        to_srgb: Option<&ToSrgb>,
    ) -> Option<(Score, Vec<Windows>)> {
        let Pixels { width, height, .. } = *self.pixels;
        let new_judge = |(background, insets): (&u8, &Vec<Inset>)| {
            Some((*background, Judge::new(width, height)?.with_insets(insets.iter().cloned())))
        };
        let mut judges = self.backgrounds.iter().zip(&self.insets).map(new_judge).collect::<Option<Vec<_>>>()?;
        let mut candidate = vec![RGBA8::default(); width];
        for y in 0..height {
            fill(y, &mut candidate);
            let mut reference = Cow::Borrowed(self.pixels.row(y));
            if let Some(to_srgb) = to_srgb {
                to_srgb.pixels(reference.to_mut());
                to_srgb.pixels(&mut candidate);
            }
            for (background, judge) in &mut judges {
                let [reference, candidate] = [&*reference, &candidate].map(|row| planes(row, *background));
                judge.push(reference.each_ref().map(Vec::as_slice), candidate.each_ref().map(Vec::as_slice));
            }
        }
        let (scores, windows): (Vec<_>, Vec<_>) =
            judges.into_iter().map(|(_, judge)| judge.finish_with_windows(MAX_DRIFT)).unzip();
        Some((scores.into_iter().reduce(Score::min)?, windows))
    }

    /// The same for what viewers turn: whole pictures are needed for that.
    fn score_upright(&self, mut fill: impl FnMut(usize, &mut [RGBA8]), to_srgb: Option<&ToSrgb>) -> Option<Score> {
        let Pixels { width, height, .. } = *self.pixels;
        let mut rgba = vec![RGBA8::default(); width * height];
        rgba.chunks_exact_mut(width).enumerate().for_each(|(y, row)| fill(y, row));
        let candidate = Pixels { width, height, rgba };
        let (reference, candidate) = match to_srgb {
            None => (Cow::Borrowed(self.pixels), candidate),
            Some(to_srgb) => (Cow::Owned(to_srgb.convert(self.pixels.clone())), to_srgb.convert(candidate)),
        };
        let score = |(background, insets): (&u8, &Vec<Inset>)| {
            let [reference, candidate] =
                [&*reference, &candidate].map(|pixels| pixels.over(*background).upright(self.orientation));
            let mut judge = Judge::new(reference.width, reference.height)?.with_insets(insets.iter().cloned());
            judge.push_all(&reference, &candidate);
            Some(judge.finish(MAX_DRIFT))
        };
        let scores: Option<Vec<_>> = self.backgrounds.iter().zip(&self.insets).map(score).collect();
        scores?.into_iter().reduce(Score::min)
    }
}

fn insets_over(pixels: &Pixels, background: u8, orientation: u8) -> Vec<Inset> {
    if orientation != 1 {
        return insets(&pixels.over(background).upright(orientation));
    }
    let mut finder = InsetFinder::new(pixels.width, pixels.height);
    let rows = (0..pixels.height).map(|y| planes(pixels.row(y), background));
    rows.for_each(|row| finder.push(row.each_ref().map(Vec::as_slice)));
    finder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(source: &Pixels, orientation: u8, other: &[RGBA8]) -> f64 {
        let fill = |y: usize, row: &mut [RGBA8]| row.copy_from_slice(&other[y * source.width..][..source.width]);
        Views::new(source, orientation).score(fill).unwrap().whole
    }

    #[test]
    fn what_shows_only_on_white_counts() {
        let opaque_white = vec![RGBA8::new(255, 255, 255, 255); 256];
        let mut hole = opaque_white.clone();
        hole[100].a = 0;
        let source = Pixels { width: 16, height: 16, rgba: hole.clone() };
        assert!(score(&source, 1, &hole) > 99.9);
        // Filling the hole with white is invisible on white, and plain on black.
        assert!(score(&source, 1, &opaque_white) < 90.0);
    }

    #[test]
    fn views_of_lossy_sources_hold_grounds_and_no_chance() {
        let graphic = |is_ground: bool| {
            let level = |i: usize| if is_ground && i % 256 < 64 { 250 } else { (i / 256 / 4 * 3) as u8 };
            let rgba = (0..256 * 256).map(|i| RGBA8::new(level(i), 90, 255 - level(i) / 2, 255)).collect();
            Pixels { width: 256, height: 256, rgba }
        };
        for (is_ground, is_flat) in [(true, true), (false, false)] {
            let pixels = graphic(is_ground);
            let views = Views::new(&pixels, 1);
            assert!(views.is_flat());
            assert_eq!(views.with_flat_grounds().is_flat(), is_flat);
        }
    }

    #[test]
    fn insets_are_those_of_the_picture_as_shown() {
        let grain = |i: usize| (90 + ((i * 2_654_435_761) >> 9 & 63)) as u8;
        let is_inside = |i: usize| (40..120).contains(&(i % 300)) && (100..180).contains(&(i / 300));
        let level = |i: usize| if is_inside(i) { grain(i) } else { 250 };
        let rgba = (0..300 * 400).map(|i| RGBA8::new(level(i), level(i), level(i), 255)).collect();
        let picture = Pixels { width: 300, height: 400, rgba };
        let inset = |across, down| vec![vec![Inset { across, down }]];
        let views = Views::new(&picture, 1);
        assert_eq!(views.insets, inset(40..120, 100..180));
        assert_eq!(Views::new(&picture, 6).insets, inset(220..300, 40..120));
        assert_eq!(views.of_sample(&picture).insets, [[]]);
    }

    #[test]
    fn a_turned_picture_is_scored_as_it_is_shown() {
        let pixel = |i: usize| RGBA8::new((i * 37) as u8, (i % 33 * 7) as u8, 90, 255);
        let source = Pixels { width: 33, height: 20, rgba: (0..33 * 20).map(pixel).collect() };
        let other: Vec<_> = source.rgba.iter().map(|p| RGBA8::new(p.r, p.g, p.b / 2, 255)).collect();
        assert!(score(&source, 6, &source.rgba) > 99.9);
        // Turned twice, rows are in reverse order: another picture to the metric, and nearly the same score.
        let [stored, turned] = [1, 3].map(|orientation| score(&source, orientation, &other));
        assert!((stored - turned).abs() < 3.0, "{stored} {turned}");
    }
}
