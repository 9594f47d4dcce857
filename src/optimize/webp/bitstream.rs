//! What the coded image itself says: size, alpha, and how coarse a lossy one is.

use crate::optimize::error::ImageError;
use crate::optimize::format::Format;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// A VP8 key frame (RFC 6386).
    Lossy,
    /// VP8L (RFC 9649, 3).
    Lossless,
}

/// What a lossless image of ours ends with where its source was not the same to the bit: it has lost what it may. Decoders
/// stop before it. No file of another encoder is known to end so, and one that does would only be coded without loss.
pub const MARK: &[u8] = b"\0Krui\0";

/// The header of a coded image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bitstream {
    pub coding: Coding,
    /// Pixels.
    pub width: u32,
    pub height: u32,
    /// Whether the image itself has alpha, as only a lossless one can.
    pub has_alpha: bool,
    /// Whether it ends with [`MARK`].
    pub is_marked: bool,
    /// Settings of a lossy image; `None` if it is lossless.
    pub settings: Option<Settings>,
}

/// What a lossy image was coded with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// The finest quantizer index of its segments, 0 (fine) to 127.
    pub finest: u8,
    /// Sharpness of the loop filter, 0 to 7.
    pub sharpness: u8,
}

impl Bitstream {
    const NONE: Self =
        Self { coding: Coding::Lossy, width: 0, height: 0, has_alpha: false, is_marked: false, settings: None };

    /// Reads the header.
    ///
    /// # Errors
    /// [`ImageError::Malformed`] where it is none, or of no size.
    pub fn parse(coding: Coding, data: &[u8]) -> Result<Self, ImageError> {
        let this = match coding {
            Coding::Lossy => lossy(data),
            Coding::Lossless => lossless(data),
        };
        this.filter(|this| this.width > 0 && this.height > 0).ok_or_else(|| malformed("no header of an image"))
    }
}

fn lossy(data: &[u8]) -> Option<Bitstream> {
    // RFC 6386, 9.1: a bit of the frame tag is 0 for key frames, and 14 bits are for each size, 2 for scaling.
    let (&[tag, t1, t2, 0x9D, 0x01, 0x2A, w0, w1, h0, h1], _) = data.split_first_chunk()? else { return None };
    let size = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3FFF);
    let first_partition = (u32::from_le_bytes([tag, t1, t2, 0]) >> 5) as usize;
    let header = data[10..].get(..first_partition)?;
    let settings = Some(Settings::read(&mut Bits::new(header)));
    let bitstream =
        Bitstream { coding: Coding::Lossy, width: size(w0, w1), height: size(h0, h1), settings, ..Bitstream::NONE };
    (tag & 1 == 0).then_some(bitstream)
}

fn lossless(data: &[u8]) -> Option<Bitstream> {
    // RFC 9649, 3.4: signature, 14 bits for each size less 1, alpha, and a version of 0.
    let (&[0x2F, b0, b1, b2, b3], _) = data.split_first_chunk()? else { return None };
    let bits = u32::from_le_bytes([b0, b1, b2, b3]);
    let bitstream = Bitstream {
        coding: Coding::Lossless,
        width: (bits & 0x3FFF) + 1,
        height: ((bits >> 14) & 0x3FFF) + 1,
        has_alpha: (bits >> 28) & 1 == 1,
        is_marked: data.ends_with(MARK),
        settings: None,
    };
    (bits >> 29 == 0).then_some(bitstream)
}

impl Settings {
    /// The frame header of a key frame, up to its quantizer (RFC 6386, 19.2).
    fn read(bits: &mut Bits<'_>) -> Self {
        let _color_space_and_clamping = bits.literal(2);
        let mut segments = None;
        if bits.flag() {
            let map = bits.flag();
            if bits.flag() {
                let absolute = bits.flag();
                segments = Some((absolute, [0; 4].map(|_| bits.optional_signed(7))));
                bits.skip_signed(4, 6);
            }
            if map {
                for _ in 0..3 {
                    let _probability = bits.flag().then(|| bits.literal(8));
                }
            }
        }
        let _filter_type_and_level = bits.literal(1 + 6);
        let sharpness = bits.literal(3) as u8;
        if bits.flag() && bits.flag() {
            bits.skip_signed(8, 6);
        }
        let _partitions = bits.literal(2);
        let base = bits.literal(7) as i32;
        let of_segment = |(absolute, values): (bool, [i32; 4])| {
            values.into_iter().map(move |value| if absolute { value } else { base + value }).min()
        };
        let finest = segments.and_then(of_segment).unwrap_or(base).clamp(0, 127) as u8;
        Self { finest, sharpness }
    }
}

/// The boolean decoder (RFC 6386, 7.3) with even odds, which all of this header has. Zeros follow the end.
struct Bits<'a> {
    rest: &'a [u8],
    value: u32,
    range: u32,
    /// Bits shifted out of the lower byte of `value`.
    shifted: u32,
}

impl<'a> Bits<'a> {
    fn new(data: &'a [u8]) -> Self {
        let mut this = Self { rest: data, value: 0, range: 255, shifted: 0 };
        this.value = (this.byte() << 8) | this.byte();
        this
    }

    fn byte(&mut self) -> u32 {
        let (first, rest) = self.rest.split_first().unwrap_or((&0, &[]));
        self.rest = rest;
        u32::from(*first)
    }

    fn flag(&mut self) -> bool {
        let split = 1 + (((self.range - 1) * 128) >> 8);
        let is_set = self.value >= split << 8;
        if is_set {
            self.range -= split;
            self.value -= split << 8;
        } else {
            self.range = split;
        }
        while self.range < 128 {
            self.value <<= 1;
            self.range <<= 1;
            self.shifted += 1;
            if self.shifted == 8 {
                self.shifted = 0;
                self.value |= self.byte();
            }
        }
        is_set
    }

    /// The most significant bit first.
    fn literal(&mut self, bits: u32) -> u32 {
        (0..bits).fold(0, |value, _| (value << 1) | u32::from(self.flag()))
    }

    /// A flag, a magnitude and a sign; 0 where the flag is not set.
    fn optional_signed(&mut self, bits: u32) -> i32 {
        if !self.flag() {
            return 0;
        }
        let magnitude = self.literal(bits) as i32;
        if self.flag() { -magnitude } else { magnitude }
    }

    fn skip_signed(&mut self, count: usize, bits: u32) {
        for _ in 0..count {
            self.optional_signed(bits);
        }
    }
}

/// The error of a damaged file.
pub fn malformed(detail: impl Into<String>) -> ImageError {
    ImageError::malformed(Format::WebP, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimize::webp::chunks::Chunks;
    use crate::optimize::webp::libwebp::{Source, Way, encode, tests::waves};

    fn coded(way: Way, alpha: u8) -> Bitstream {
        let file = encode(&Source::Pixels(&waves(70, 41, alpha)), way).unwrap();
        let still = Chunks::parse(&file).unwrap().still.unwrap();
        assert_eq!((still.width, still.height), (70, 41));
        still
    }

    #[test]
    fn a_lossy_header_tells_its_settings() {
        let mut before = 128;
        for quality in [5, 40, 75, 90, 100] {
            let sharpness = quality % 8;
            let settings = coded(Way::Lossy { quality, sharpness }, 255).settings.unwrap();
            assert_eq!(settings.sharpness, sharpness);
            assert!(u16::from(settings.finest) < before, "{quality}: {settings:?}");
            before = settings.finest.into();
        }
        assert_eq!(before, 0, "the finest of all");
    }

    #[test]
    fn a_lossless_header_tells_its_alpha() {
        for (alpha, has_alpha) in [(255, false), (9, true)] {
            let still = coded(Way::Lossless { level: 6 }, alpha);
            assert_eq!((still.coding, still.has_alpha, still.settings), (Coding::Lossless, has_alpha, None));
        }
    }

    #[test]
    fn what_is_no_header_is_an_error() {
        let key_frame = [0x10, 0, 0, 0x9D, 0x01, 0x2A, 9, 0, 9, 0];
        assert!(Bitstream::parse(Coding::Lossy, &key_frame).is_ok());
        for (at, value) in [(0, 0x11), (3, 0), (6, 0), (8, 0), (1, 0xFF)] {
            let mut data = key_frame;
            data[at] = value;
            assert!(Bitstream::parse(Coding::Lossy, &data).is_err(), "{at}");
        }
        assert!(Bitstream::parse(Coding::Lossy, &key_frame[..9]).is_err());
        assert!(Bitstream::parse(Coding::Lossless, &[0x2F, 0, 0, 0, 0]).is_ok());
        assert!(Bitstream::parse(Coding::Lossless, &[0x2F, 0, 0, 0, 0x20]).is_err(), "another version");
        assert!(Bitstream::parse(Coding::Lossless, &[0x2E, 0, 0, 0, 0]).is_err());
    }
}
