//! How far apart colours look: distances in CIELAB (ISO/CIE 11664-4), of sRGB over black and over white.

use rgb::RGBA8;

use crate::optimize::quality::census;

/// A colour as it is shown over black and over white: lightness, and how red and how yellow it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shown {
    over_black: [f32; 3],
    over_white: [f32; 3],
}

/// D65, of which sRGB's white is.
const WHITE_POINT: [f32; 3] = [0.9505, 1.0, 1.089];
/// sRGB to XYZ (IEC 61966-2-1).
const XYZ: [[f32; 3]; 3] = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]];

impl Shown {
    #[must_use]
    pub fn of(key: u32) -> Self {
        let RGBA8 { r, g, b, a } = census::color(key);
        let alpha = f32::from(a) / 255.0;
        let over = |ground: f32| lab([r, g, b].map(|v| f32::from(v) / 255.0 * alpha + ground * (1.0 - alpha)));
        let over_black = over(0.0);
        Self { over_black, over_white: if a == 255 { over_black } else { over(1.0) } }
    }

    /// Just seen from 2, another colour from 10; the larger over both.
    #[must_use]
    pub fn distance(&self, other: &Self) -> f32 {
        let square = |a: [f32; 3], b: [f32; 3]| (0..3).map(|i| (a[i] - b[i]).powi(2)).sum::<f32>();
        square(self.over_black, other.over_black).max(square(self.over_white, other.over_white)).sqrt()
    }

    /// The cube of sides of `size` that it lies in.
    #[must_use]
    pub fn cell(&self, size: f32) -> [i16; 6] {
        let mut cell = [0; 6];
        let values = self.over_black.iter().chain(&self.over_white);
        cell.iter_mut().zip(values).for_each(|(cell, value)| *cell = (value / size).floor() as i16);
        cell
    }
}

/// The nearest of some entries, and how far away it is.
#[must_use]
pub fn nearest(entries: &[Shown], color: &Shown) -> (usize, f32) {
    let distances = entries.iter().map(|entry| entry.distance(color)).enumerate();
    distances.min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((0, f32::INFINITY))
}

/// CIELAB of samples of sRGB from 0 to 1.
fn lab(rgb: [f32; 3]) -> [f32; 3] {
    let light = rgb.map(|v| if v > 0.04045 { ((v + 0.055) / 1.055).powf(2.4) } else { v / 12.92 });
    let cube_root = |v: f32| if v > 0.008_856 { v.cbrt() } else { 7.787 * v + 16.0 / 116.0 };
    let of = |i: usize| cube_root(XYZ[i].iter().zip(light).map(|(a, b)| a * b).sum::<f32>() / WHITE_POINT[i]);
    let [x, y, z] = [of(0), of(1), of(2)];
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distance(a: u32, b: u32) -> f32 {
        Shown::of(a).distance(&Shown::of(b))
    }

    #[test]
    fn distance_is_that_of_cielab() {
        for (a, b, known) in [(0xFF, 0xFFFF_FFFF, 100.0), (0xAC46_ACFF, 0xDF44_76FF, 43.1), (0xFF, 0x565F_70FF, 41.6)] {
            assert!((distance(a, b) - known).abs() < 0.5, "{a:x} {b:x} {}", distance(a, b));
        }
    }

    #[test]
    fn distance_of_alpha_is_seen_over_either_ground() {
        assert!(distance(0x0000_0080, 0x0000_00FF) > 40.0 && distance(0xFFFF_FF80, 0xFFFF_FFFF) > 40.0);
        assert!(distance(0x1020_3000, 0x1020_3000) < f32::EPSILON);
    }
}
