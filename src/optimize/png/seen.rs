//! Colours that are seen, though nothing solid is drawn in them: those of antialiased lines and text above all. Each must have
//! a palette entry that looks like it, whatever little weight it has among all pixels.

use std::cmp::Reverse;
use std::collections::HashMap;

use rgb::RGBA8;

use super::lab::Shown;
use crate::optimize::picture::Pixels;
use crate::optimize::quality::census::{self, Census, ColorMap};

/// Colours are seen that have so many pixels, and clusters of near colours that have as many together.
const LEAST_PIXELS: u32 = 12;
/// How near to an entry such a colour is at a target of 75, in CIELAB, and how much nearer for each point above.
const NEAR_AT_75: f64 = 7.0;
const NEAR_PER_POINT: f64 = 0.15;
const NEAR: [f64; 2] = [3.0, 9.0];
/// So many times as far where that takes too many entries.
const LAX: [f32; 5] = [1.14, 1.3, 1.5, 1.75, 2.0];
/// Entries that half a byte names, and a byte.
const FEW_COLORS: usize = 16;
const MOST_COLORS: usize = 256;

/// And where grain hides what dithering does.
const GRAINY: f32 = 2.0;
/// Colours of pictures with grain are told apart by their upper bits.
const GROUP: u32 = 0xF8F8_F8F8;

/// Colours that are seen.
pub struct Seen {
    /// The most frequent first, then one of each cluster.
    colors: Vec<(u32, Shown)>,
    /// How near to an entry each must be.
    near: f32,
    is_graphic: bool,
}

impl Seen {
    #[must_use]
    pub fn of(pixels: &Pixels, census: &Census, target: f64) -> Self {
        let near = (NEAR_AT_75 - (target - 75.0) * NEAR_PER_POINT).clamp(NEAR[0], NEAR[1]) as f32;
        if census.is_of_graphic() && census.is_complete {
            Self { colors: of_graphic(census, near), near, is_graphic: true }
        } else {
            Self { colors: of_groups(pixels), near: near * GRAINY, is_graphic: false }
        }
    }

    /// The colour that stands for this one.
    #[must_use]
    pub fn group(&self, key: u32) -> u32 {
        if self.is_graphic { key } else { group(key) }
    }

    /// Adds the entries that a palette lacks.
    pub fn complete(&self, palette: &mut Vec<RGBA8>) {
        let entries: Vec<Shown> = palette.iter().map(|color| Shown::of(census::key(*color))).collect();
        let mut missing = self.missing(&entries, self.near);
        if entries.len() + missing.len() > FEW_COLORS {
            let fits = |lax: f32, most| {
                let fewer = self.missing(&entries, self.near * lax);
                (entries.len() + fewer.len() <= most).then_some(fewer)
            };
            let fewer = if entries.len() + missing.len() > MOST_COLORS {
                LAX.into_iter().find_map(|lax| fits(lax, MOST_COLORS))
            } else {
                fits(LAX[0], FEW_COLORS)
            };
            missing = fewer.unwrap_or(missing);
        }
        missing.truncate(MOST_COLORS.saturating_sub(entries.len()));
        palette.extend(missing.into_iter().map(census::color));
    }

    /// Whether an entry so far away looks like the colour.
    #[must_use]
    pub fn is_near(&self, distance: f32) -> bool {
        distance <= self.near
    }

    /// Colours that need entries until each has one that is near.
    fn missing(&self, entries: &[Shown], near: f32) -> Vec<u32> {
        let mut entries = entries.to_vec();
        let mut missing = Vec::new();
        for (key, color) in &self.colors {
            if entries.len() <= MOST_COLORS && entries.iter().all(|entry| entry.distance(color) > near) {
                entries.push(*color);
                missing.push(*key);
            }
        }
        missing
    }
}

/// Colours of many pixels, then one for each cluster of those of few.
fn of_graphic(census: &Census, near: f32) -> Vec<(u32, Shown)> {
    let mut colors = Vec::new();
    let mut clusters: HashMap<[i16; 6], (u32, u32, Shown)> = HashMap::new();
    for (key, used) in census.by_count() {
        let color = Shown::of(key);
        if used.count >= LEAST_PIXELS {
            colors.push((key, color));
        } else if !used.is_step() {
            clusters.entry(color.cell(near)).or_insert((0, key, color)).0 += used.count;
        }
    }
    let clusters = clusters.into_values().map(|(count, key, color)| (count, (key, color)));
    colors.extend(frequent(clusters.collect()));
    colors
}

/// One colour for each group.
fn of_groups(pixels: &Pixels) -> Vec<(u32, Shown)> {
    let mut groups: ColorMap<(u32, u32)> = ColorMap::default();
    for run in pixels.rgba.chunk_by(|a, b| a == b) {
        let key = census::key(run[0]);
        groups.entry(group(key)).or_insert((0, key)).0 += run.len() as u32;
    }
    frequent(groups.into_values().map(|(count, key)| (count, (key, Shown::of(key)))).collect())
}

/// Clusters of many pixels, the most frequent first.
fn frequent(mut clusters: Vec<(u32, (u32, Shown))>) -> Vec<(u32, Shown)> {
    clusters.retain(|(count, _)| *count >= LEAST_PIXELS);
    clusters.sort_unstable_by_key(|(count, (key, _))| (Reverse(*count), *key));
    clusters.into_iter().map(|(_, color)| color).collect()
}

/// The group of a colour, as a colour near all of it; what is opaque or not seen stays so.
fn group(key: u32) -> u32 {
    let middle = key & GROUP | 0x0404_0404;
    if matches!(key & 255, 0 | 255) { middle & !255 | key & 255 } else { middle }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimize::png::quantize::{Found, to_target};
    use crate::optimize::quality::backgrounds::Views;
    use crate::optimize::quality::search::Verdict;

    const WIDTH: usize = 256;
    const HEIGHT: usize = 192;

    /// What is drawn over a page: how much of each pixel, and in which colour.
    type Layer<'a> = ([u8; 3], &'a dyn Fn(f64, f64) -> f64);

    fn drawing(page: [u8; 3], layers: &[Layer<'_>]) -> Pixels {
        let pixel = |i: usize| {
            let (x, y) = ((i % WIDTH) as f64, (i / WIDTH) as f64);
            let mut rgb = page.map(f64::from);
            for (color, cover) in layers {
                let cover = cover(x, y).clamp(0.0, 1.0);
                rgb = [0, 1, 2].map(|c| rgb[c] + (f64::from(color[c]) - rgb[c]) * cover);
            }
            let rgb = rgb.map(|v| v.round() as u8);
            RGBA8::new(rgb[0], rgb[1], rgb[2], 255)
        };
        Pixels { width: WIDTH, height: HEIGHT, rgba: (0..WIDTH * HEIGHT).map(pixel).collect() }
    }

    /// How much of a pixel a line covers that is so wide, and from which it is so far away.
    fn line(width: f64, away: f64) -> f64 {
        width / 2.0 + 0.5 - away.abs()
    }

    /// How far the colours of many pixels move on the average in a palette, the worst of them; and the share of pixels that
    /// show another colour.
    fn shifts(pixels: &Pixels, target: f64) -> (f32, f64) {
        let census = Census::of(pixels, pixels.is_graphic());
        let found = to_target(pixels, &census, &Views::new(pixels, 1), target, 4, || Verdict::Continue);
        let Found::Indexed(found) = found else { panic!("no palette at {target}") };
        let mut shifts: HashMap<u32, Vec<f32>> = HashMap::new();
        for (pixel, index) in pixels.rgba.iter().zip(&found.indices) {
            let [key, shown] = [*pixel, found.palette[usize::from(*index)]].map(census::key);
            shifts.entry(key).or_default().push(Shown::of(key).distance(&Shown::of(shown)));
        }
        let others = shifts.values().flatten().filter(|shift| **shift > 16.0).count();
        let of_many = shifts.values().filter(|shifts| shifts.len() >= LEAST_PIXELS as usize);
        let worst = of_many.map(|shifts| shifts.iter().sum::<f32>() / shifts.len() as f32).fold(0.0, f32::max);
        (worst, others as f64 / pixels.rgba.len() as f64)
    }

    fn assert_kept(pixels: &Pixels) {
        for (target, most) in [(60.0, 9.5), (75.0, 8.0), (85.0, 6.5)] {
            let (worst, others) = shifts(pixels, target);
            assert!(worst <= most && others < 0.002, "{worst} {others} at {target}");
        }
    }

    #[test]
    fn seen_hues_of_antialiased_chart_lines_stay_apart() {
        let wave = |x: f64, at: f64| 96.0 + 60.0 * ((x + at) / 25.0).sin() + (x * x + at).sin() * 9.0;
        let series = |at: f64| move |x: f64, y: f64| line(1.0, (y - wave(x, at)) * 0.7);
        let colors = [[31, 119, 180], [148, 103, 189], [140, 86, 75], [227, 119, 194], [188, 189, 34]];
        let lines = [0.0, 31.0, 67.0, 90.0, 121.0].map(series);
        let layers: Vec<Layer<'_>> = colors.into_iter().zip(&lines).map(|(color, line)| (color, line as _)).collect();
        assert_kept(&drawing([255; 3], &layers));
    }

    #[test]
    fn seen_casings_of_map_roads_keep_their_colours() {
        let road = |x: f64, y: f64| (y - x * 0.6 - 20.0) * 0.85;
        let rail = |x: f64, y: f64| (x - y * 0.3 - 90.0) * 0.95;
        let park = |x: f64, y: f64| 60.5 - (x - 210.0).hypot(y - 40.0);
        assert_kept(&drawing(
            [242, 239, 233],
            &[
                ([200, 250, 204], &park),
                ([170, 211, 223], &|x, y| y + (x / 20.0).sin() * 9.0 - 150.0),
                ([206, 161, 82], &|x, y| line(7.0, road(x, y))),
                ([252, 214, 164], &|x, y| line(5.0, road(x, y))),
                ([172, 70, 172], &|x, y| line(1.0, rail(x, y))),
                ([0, 0, 0], &|x, y| {
                    if y > 100.0 && y < 108.0 && x > 20.0 && x < 60.0 { ((x * y).sin() * 1.5).abs() } else { 0.0 }
                }),
            ],
        ));
    }

    #[test]
    fn seen_rims_of_red_text_stay_red() {
        let text = |x: f64, y: f64, at: usize| {
            if (y as usize / 16) % 3 == at && y % 16.0 > 3.0 { (x * 0.7).sin() + (x * y / 40.0).cos() } else { 0.0 }
        };
        assert_kept(&drawing(
            [255; 3],
            &[
                ([220, 20, 20], &|x, y| text(x, y, 0)),
                ([255, 120, 0], &|x, y| text(x, y, 1)),
                ([60, 60, 60], &|x, y| text(x, y, 2)),
            ],
        ));
    }

    #[test]
    fn seen_labels_on_shaded_ground_keep_their_hue() {
        let shade = |x: f64, y: f64| 0.25 + ((x / 17.0).sin() * (y / 13.0).cos() + (x * y).sin()) * 0.08;
        let is_label = |x: f64, y: f64| y > 80.0 && y < 92.0 && x > 40.0 && x < 90.0;
        let label = |x: f64, y: f64| if is_label(x, y) { (x * 1.3).sin() + (y * 0.9).cos() } else { 0.0 };
        let pixels = drawing(
            [222, 232, 200],
            &[([180, 40, 60], &|x, y| line(9.0, y - x * 0.4)), ([60, 60, 60], &shade), ([130, 30, 140], &label)],
        );
        assert!(!pixels.is_graphic());
        let census = Census::of(&pixels, false);
        let found = to_target(&pixels, &census, &Views::new(&pixels, 1), 60.0, 4, || Verdict::Continue);
        let Found::Indexed(found) = found else { panic!("no palette") };
        let is_seen = |i: &usize| label((i % WIDTH) as f64, (i / WIDTH) as f64) >= 1.0;
        let distance = |i: usize| {
            let shown = found.palette[usize::from(found.indices[i])];
            Shown::of(census::key(pixels.rgba[i])).distance(&Shown::of(census::key(shown)))
        };
        let distances: Vec<f32> = (0..WIDTH * HEIGHT).filter(is_seen).map(distance).collect();
        assert!(distances.len() > 100 && distances.iter().all(|distance| *distance <= 20.0), "{distances:?}");
    }
}
