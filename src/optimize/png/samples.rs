//! Chunks whose form depends on how pixels are stored: `bKGD` and `sBIT`, written anew for another colour type.

use super::chunks::{Color, Header};

/// Bytes of a palette entry.
const ENTRY: usize = 3;
/// The largest 16-bit sample.
const MOST: u32 = 65_535;

/// How a file stores its pixels.
#[derive(Debug, Clone, Copy)]
pub struct Storage<'a> {
    pub header: Header,
    /// The data of `PLTE`; empty where there is none.
    pub palette: &'a [u8],
}

/// A background colour in the form of another file.
#[derive(Debug, PartialEq, Eq)]
pub struct Background {
    /// The data of `bKGD`.
    pub data: Vec<u8>,
    /// The colour that the palette has to be extended by, so that the index names it.
    pub added: Option<[u8; ENTRY]>,
}

impl Storage<'_> {
    /// Whether `bKGD` (PNG, 11.3.4.1) names a colour that is no gray; false where it makes no sense.
    #[must_use]
    pub fn has_color(&self, background: &[u8]) -> bool {
        self.color(background).is_some_and(|[r, g, b]| r != g || g != b)
    }

    /// The colour that `bKGD` names, of 16 bits a sample.
    fn color(&self, background: &[u8]) -> Option<[u32; 3]> {
        // Samples are as deep as the picture's (PNG, 11.3.4.1).
        let scaled = |high, low| {
            let most = (1_u32 << self.header.depth) - 1;
            let sample = u32::from(u16::from_be_bytes([high, low]));
            (sample <= most).then(|| sample * MOST / most)
        };
        match (self.header.color, background) {
            (Color::Gray | Color::GrayAlpha, &[high, low]) => Some([scaled(high, low)?; 3]),
            (Color::Rgb | Color::Rgba, &[r1, r0, g1, g0, b1, b0]) => {
                Some([scaled(r1, r0)?, scaled(g1, g0)?, scaled(b1, b0)?])
            }
            (Color::Indexed, &[index]) => {
                let entry: &[u8; ENTRY] = self.palette.get(usize::from(index) * ENTRY..)?.first_chunk()?;
                Some(entry.map(|sample| u32::from(sample) * MOST / 255))
            }
            _ => None,
        }
    }

    /// The background of a picture that is stored like `source`, for the same picture stored like this; the nearest
    /// colour where this one has no such colour, and no place for it. `None` where `background` makes no sense.
    #[must_use]
    pub fn background(&self, source: &Storage<'_>, background: &[u8]) -> Option<Background> {
        let color = source.color(background)?;
        let bytes = |samples: &[u32]| samples.iter().flat_map(|sample| (*sample as u16).to_be_bytes()).collect();
        let scaled = |sample: u32| {
            let most = (1_u32 << self.header.depth) - 1;
            (sample * most + MOST / 2) / MOST
        };
        let data = match self.header.color {
            Color::Gray | Color::GrayAlpha => bytes(&[scaled(luma(color))]),
            Color::Rgb | Color::Rgba => bytes(&color.map(scaled)),
            Color::Indexed => return self.index(color),
        };
        Some(Background { data, added: None })
    }

    fn index(&self, color: [u32; 3]) -> Option<Background> {
        let wanted = color.map(|sample| ((sample * 255 + MOST / 2) / MOST) as u8);
        let (entries, _) = self.palette.as_chunks::<ENTRY>();
        let distance = |entry: &[u8; ENTRY]| -> u32 {
            entry.iter().zip(wanted).map(|(a, b)| u32::from(a.abs_diff(b)).pow(2)).sum()
        };
        let (nearest, off) = entries.iter().map(distance).enumerate().min_by_key(|(_, distance)| *distance)?;
        let (index, added) = if off > 0 && entries.len() < 1 << self.header.depth {
            (entries.len(), Some(wanted))
        } else {
            (nearest, None)
        };
        Some(Background { data: vec![u8::try_from(index).ok()?], added })
    }

    /// `sBIT` (PNG, 11.3.2.6) of a picture that is stored like `source`, for the same picture stored like this. `None`
    /// where it makes no sense.
    #[must_use]
    pub fn significant_bits(&self, source: &Storage<'_>, bits: &[u8]) -> Option<Vec<u8>> {
        let depth = |header: Header| if header.color == Color::Indexed { 8 } else { header.depth };
        let own = depth(self.header);
        if bits.iter().any(|bits| !(1..=depth(source.header)).contains(bits)) {
            return None;
        }
        let (color, alpha) = match (source.header.color, bits) {
            (Color::Gray, &[gray]) => ([gray; 3], own),
            (Color::GrayAlpha, &[gray, alpha]) => ([gray; 3], alpha),
            (Color::Rgb | Color::Indexed, &[r, g, b]) => ([r, g, b], own),
            (Color::Rgba, &[r, g, b, alpha]) => ([r, g, b], alpha),
            _ => return None,
        };
        let [r, g, b] = color.map(|bits| bits.min(own));
        let (gray, alpha) = (r.max(g).max(b), alpha.min(own));
        Some(match self.header.color {
            Color::Gray => vec![gray],
            Color::GrayAlpha => vec![gray, alpha],
            Color::Rgb | Color::Indexed => vec![r, g, b],
            Color::Rgba => vec![r, g, b, alpha],
        })
    }
}

/// The gray that looks as light, nearly (ITU-R BT.601, 2.5.1); a gray stays itself.
fn luma([r, g, b]: [u32; 3]) -> u32 {
    (r * 299 + g * 587 + b * 114) / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(color: Color, depth: u8, palette: &[u8]) -> Storage<'_> {
        Storage { header: Header { width: 1, height: 1, depth, color, interlaced: false }, palette }
    }

    const RGBA: Color = Color::Rgba;

    fn data(target: Storage<'_>, source: Storage<'_>, background: &[u8]) -> Option<(Vec<u8>, Option<[u8; 3]>)> {
        target.background(&source, background).map(|background| (background.data, background.added))
    }

    #[test]
    fn a_background_is_translated_to_every_color_type() {
        let (rgba, wide) = (stored(RGBA, 8, &[]), stored(Color::Rgb, 16, &[]));
        let orange = [0, 10, 0, 200, 0, 30];
        assert_eq!(data(rgba, rgba, &orange), Some((orange.to_vec(), None)));
        assert_eq!(data(wide, rgba, &orange), Some((vec![10, 10, 200, 200, 30, 30], None)));
        assert_eq!(data(rgba, wide, &[10, 10, 200, 200, 30, 30]), Some((orange.to_vec(), None)));
        let palette = [1, 2, 3, 10, 200, 30, 10, 200, 31];
        assert_eq!(data(stored(Color::Indexed, 2, &palette), rgba, &orange), Some((vec![1], None)));
        assert_eq!(data(rgba, stored(Color::Indexed, 2, &palette), &[1]), Some((orange.to_vec(), None)));
        let gray = stored(Color::Gray, 1, &[]);
        assert_eq!(data(gray, rgba, &[0, 255, 0, 255, 0, 255]), Some((vec![0, 1], None)));
        assert_eq!(data(stored(Color::GrayAlpha, 8, &[]), gray, &[0, 1]), Some((vec![0, 255], None)));
    }

    #[test]
    fn a_background_beyond_the_palette_is_added_or_nearest() {
        let rgba = stored(RGBA, 8, &[]);
        let palette = [0, 0, 0, 250, 0, 0, 0, 250, 0];
        let red = [0, 255, 0, 0, 0, 0];
        assert_eq!(data(stored(Color::Indexed, 2, &palette), rgba, &red), Some((vec![3], Some([255, 0, 0]))));
        assert_eq!(data(stored(Color::Indexed, 1, &palette[..6]), rgba, &red), Some((vec![1], None)));
        assert_eq!(data(stored(Color::Indexed, 1, &[]), rgba, &red), None);
    }

    #[test]
    fn what_makes_no_sense_is_no_background() {
        let rgba = stored(RGBA, 8, &[]);
        for (source, background) in [
            (rgba, &[0, 1][..]),
            (rgba, &[1, 0, 0, 0, 0, 0]),
            (stored(Color::Gray, 4, &[]), &[0, 16]),
            (stored(Color::Indexed, 8, &[1, 2, 3]), &[1]),
            (stored(Color::Indexed, 8, &[1, 2, 3]), &[]),
        ] {
            assert_eq!(data(rgba, source, background), None, "{background:?}");
            assert!(!source.has_color(background));
        }
        assert!(rgba.has_color(&[0, 1, 0, 2, 0, 2]) && !rgba.has_color(&[0, 2, 0, 2, 0, 2]));
    }

    #[test]
    fn significant_bits_follow_the_samples() {
        let bits = |target: Storage<'_>, source: Storage<'_>, bits: &[u8]| target.significant_bits(&source, bits);
        let [gray, gray_alpha, rgb, rgba] =
            [Color::Gray, Color::GrayAlpha, Color::Rgb, RGBA].map(|color| stored(color, 8, &[]));
        let indexed = stored(Color::Indexed, 4, &[0; 48]);
        assert_eq!(bits(indexed, rgba, &[5, 6, 5, 8]), Some(vec![5, 6, 5]));
        assert_eq!(bits(rgba, rgb, &[5, 6, 5]), Some(vec![5, 6, 5, 8]));
        assert_eq!(bits(gray, rgb, &[5, 6, 5]), Some(vec![6]));
        assert_eq!(bits(gray_alpha, rgba, &[5, 6, 5, 1]), Some(vec![6, 1]));
        assert_eq!(bits(rgb, stored(Color::Rgb, 16, &[]), &[12, 3, 16]), Some(vec![8, 3, 8]));
        assert_eq!(bits(stored(Color::Gray, 1, &[]), indexed, &[8, 8, 8]), Some(vec![1]));
        for (source, wrong) in [(rgb, &[8, 8][..]), (rgb, &[8, 0, 8]), (rgb, &[9, 8, 8]), (gray, &[])] {
            assert_eq!(bits(rgb, source, wrong), None);
        }
    }
}
