//! Solid colours of a palette: lines, text, legends, icons and grounds, and the steps of soft shadows. What tells things
//! apart must not be merged, whatever little weight it has among all pixels.

use crate::optimize::quality::census::{Census, ColorMap, Use, distance};

/// How far apart two colours are over any background.
fn shown_distance(a: u32, b: u32) -> u8 {
    let shown = |key: u32| {
        let [r, g, b, a] = key.to_be_bytes();
        let over_black = |v: u8| (u32::from(v) * u32::from(a) / 255) as u8;
        u32::from_be_bytes([over_black(r), over_black(g), over_black(b), a])
    };
    distance(shown(a), shown(b))
}

/// The colours that a palette must have.
#[derive(Clone, Default)]
pub struct Solid {
    /// Entries of their own.
    pub fixed: Vec<u32>,
    /// For each colour that must have its entry, which one that is.
    pub entries: ColorMap<u16>,
}

/// Entries that colours may claim: the rest of a palette is for what is left.
const MOST_FIXED: usize = 192;
/// And steps of soft shadows.
const MOST_SHADOWS: usize = 96;
/// And steps of wide gradients: where there are more, dithering looks better than steps that are missing.
const MOST_STEPS: usize = 64;
/// Colours of lines and text may share an entry that is so near.
const NEAR: u8 = 4;
/// And steps of soft shadows, the nearest first that takes few enough: what is further apart shows as rings.
const NEAR_SOFT: std::ops::RangeInclusive<u8> = 1..=4;
/// And of wide gradients: what is flat may be off by no more.
const NEAR_STEPS: std::ops::RangeInclusive<u8> = 0..=2;

impl Solid {
    #[must_use]
    pub fn of(census: &Census) -> Self {
        let colors = census.by_count();
        let of = |is: &dyn Fn(u32, &Use) -> bool| -> Vec<u32> {
            colors.iter().filter(|(key, used)| is(*key, used)).map(|(key, _)| *key).collect()
        };
        let is_ground = |used: &Use| used.is_area() && used.is_ground();
        let is_mark = |used: &Use| !is_ground(used) && used.is_mark();
        let is_shadow = |key: u32, used: &Use| !is_ground(used) && used.is_step() && !matches!(key & 255, 0 | 255);
        let mut solid = Self::default();
        solid.claim(&of(&|_, used| is_ground(used)), 0, MOST_FIXED, distance);
        solid.claim(&of(&|_, used| is_mark(used)), NEAR, MOST_FIXED, distance);
        let shadows = of(&|key, used| is_shadow(key, used));
        let most = MOST_FIXED.min(solid.fixed.len() + MOST_SHADOWS);
        for near in NEAR_SOFT {
            if solid.claim_all(&shadows, near, most, shown_distance) {
                // Between entries so near dithering is not seen; rings are.
                for key in &shadows {
                    solid.entries.remove(key);
                }
                break;
            }
        }
        let is_step =
            |key: u32, used: &Use| used.is_area() && used.is_step() && !is_ground(used) && !is_shadow(key, used);
        let most = MOST_FIXED.min(solid.fixed.len() + MOST_STEPS);
        let steps = of(&|key, used| is_step(key, used));
        NEAR_STEPS.into_iter().any(|near| solid.claim_all(&steps, near, most, distance));
        solid
    }

    /// Gives colours entries if there are enough for all.
    fn claim_all(&mut self, colors: &[u32], near: u8, most: usize, distance: fn(u32, u32) -> u8) -> bool {
        let mut claimed = self.clone();
        let are_all = claimed.claim(colors, near, most, distance);
        if are_all {
            *self = claimed;
        }
        are_all
    }

    /// Gives each colour the entry that is near enough, or one of its own; whether there were enough.
    fn claim(&mut self, colors: &[u32], near: u8, most: usize, distance: fn(u32, u32) -> u8) -> bool {
        for key in colors {
            let nearest = self.fixed.iter().enumerate().map(|(i, other)| (distance(*other, *key), i)).min();
            let entry = match nearest {
                Some((distance, entry)) if distance <= near => entry,
                _ if self.fixed.len() < most => {
                    self.fixed.push(*key);
                    self.fixed.len() - 1
                }
                _ => return false,
            };
            self.entries.insert(*key, entry as u16);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use rgb::RGBA8;

    use super::*;
    use crate::optimize::picture::Pixels;
    use crate::optimize::quality::census::color;

    const WHITE: [u8; 3] = [255; 3];

    fn picture(pixel: impl Fn(usize, usize) -> [u8; 3]) -> Pixels {
        let at = |i: usize| {
            let [r, g, b] = pixel(i % 64, i / 64);
            RGBA8::new(r, g, b, 255)
        };
        Pixels { width: 64, height: 64, rgba: (0..64 * 64).map(at).collect() }
    }

    fn fixed(pixels: &Pixels) -> Vec<[u8; 3]> {
        Solid::of(&Census::of(pixels, true)).fixed.iter().map(|key| color(*key)).map(|c| [c.r, c.g, c.b]).collect()
    }

    #[test]
    fn solid_of_thin_lines_and_dots_keeps_near_colours_apart() {
        let (red, brick, dot) = ([200, 30, 30], [190, 40, 40], [225, 29, 72]);
        let fixed = fixed(&picture(|x, y| match (x, y) {
            (_, 9) => red,
            (x, y) if x == y && x > 12 => brick,
            (50..54, 20..24) => dot,
            _ => [238; 3],
        }));
        assert_eq!(fixed, [[238; 3], red, brick, dot]);
    }

    #[test]
    fn solid_of_antialiased_rims_leaves_them_out() {
        let rim = |x: usize| [255 - 51 * x as u8; 3];
        let fixed = fixed(&picture(|x, y| match (x + y / 2) % 32 {
            0..12 => WHITE,
            x @ 12..16 => rim(x - 11),
            _ => [0; 3],
        }));
        assert_eq!(fixed, [[0; 3], WHITE]);
    }

    #[test]
    fn solid_of_a_gradient_claims_none_but_its_areas() {
        assert!(fixed(&picture(|x, y| [(2 * x + y) as u8, 90, 200 - x as u8])).is_empty());
        let bands = fixed(&picture(|_, y| [100 + (y / 8) as u8; 3]));
        assert!((3..=8).contains(&bands.len()), "{bands:?}");
    }

    #[test]
    fn solid_of_a_soft_shadow_holds_its_steps() {
        let alpha = |i: usize| (i / 64 * 3 + i % 64) as u8;
        let rgba = (0..64 * 64).map(|i| RGBA8::new(0, 0, 0, alpha(i))).collect();
        let solid = Solid::of(&Census::of(&Pixels { width: 64, height: 64, rgba }, true));
        assert!((40..120).contains(&solid.fixed.len()), "{}", solid.fixed.len());
        for (key, entry) in &solid.entries {
            assert!(color(*key).a.abs_diff(color(solid.fixed[usize::from(*entry)]).a) <= *NEAR_SOFT.start());
        }
    }
}
