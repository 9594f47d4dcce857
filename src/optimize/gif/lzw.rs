//! GIF's variable-length LZW (GIF89a, appendix F).
//!
//! Pixels that may show either of two indices are matched both ways, and the dictionary is cleared when it stops paying,
//! not when it is full ("deferred clear code"), which every decoder must understand.

use weezl::decode::Configuration;
use weezl::{BitOrder, LzwStatus};

use super::reader::malformed;
use crate::optimize::error::ImageError;

/// Marks a pixel that may show the alternative index instead.
pub const FREE: u16 = 0x100;

/// Codes are of 12 bits at most.
const MAX_CODES: u16 = 1 << 12;
/// Matches followed at once where pixels are free.
const BRANCHES: usize = 8;

/// What becomes of a full dictionary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clearing {
    AtOnce,
    /// It stays until so many codes in a row cover fewer pixels each than all since it was begun.
    Deferred {
        window: usize,
    },
}

/// Decodes as many indices as `out` takes. `false` where there are more, or something else that decoders disagree about.
///
/// # Errors
/// [`ImageError::Malformed`] where the data is damaged or too short.
pub fn decode(data: &[u8], code_size: u8, out: &mut [u8]) -> Result<bool, ImageError> {
    let mut decoder = Configuration::new(BitOrder::Lsb, code_size).with_yield_on_full_buffer(true).build();
    let clear = 1_u16 << code_size;
    let begins_clear = data.first_chunk().is_some_and(|first| u16::from_le_bytes(*first) & (clear * 2 - 1) == clear);
    let (mut read, mut written) = (0, 0);
    while written < out.len() {
        let step = decoder.decode_bytes(&data[read..], &mut out[written..]);
        read += step.consumed_in;
        written += step.consumed_out;
        let status = step.status.map_err(|error| malformed(error.to_string()))?;
        let progress = step.consumed_in + step.consumed_out > 0;
        if written < out.len() && (!progress || matches!(status, LzwStatus::Done)) {
            return Err(malformed("too few pixels"));
        }
    }
    let more = decoder.decode_bytes(&data[read..], &mut [0]);
    Ok(begins_clear && more.consumed_out == 0 && more.status.is_ok())
}

/// A dictionary as a tree, kept from one image to the next.
pub struct Encoder {
    /// The code of a string and one more index; 0 where there is none.
    children: Vec<u16>,
    /// Places in `children` that are taken.
    taken: Vec<usize>,
    /// The next code to be given to a string.
    next: u16,
    bits: Bits,
    /// Whether the last image filled it: only then it matters how it is cleared.
    pub was_full: bool,
}

/// A match: its code, and how many pixels it covers.
#[derive(Debug, Clone, Copy)]
struct Match {
    code: u16,
    length: usize,
}

impl Encoder {
    pub fn new() -> Self {
        Self {
            children: vec![0; usize::from(MAX_CODES) << 8],
            taken: Vec::with_capacity(MAX_CODES.into()),
            next: 0,
            bits: Bits::default(),
            was_full: false,
        }
    }

    /// Codes pixels whose low byte is an index below 2^`code_size`; `None` where that takes `most` bytes or more.
    pub fn encode(
        &mut self,
        pixels: &[u16],
        alternative: u8,
        code_size: u8,
        clearing: Clearing,
        most: usize,
    ) -> Option<Vec<u8>> {
        let clear = 1 << code_size;
        self.bits = Bits { width: u32::from(code_size) + 1, ..Bits::default() };
        self.bits.push(clear);
        self.forget(clear);
        self.was_full = false;
        let mut previous = None;
        let mut payoff = Payoff::default();
        let mut at = 0;
        while at < pixels.len() {
            if self.bits.out.len() >= most {
                return None;
            }
            let found = self.step(&pixels[at..], alternative, previous);
            self.bits.push(found.code);
            self.bits.widen(self.next);
            previous = Some(found.code);
            at += found.length;
            let is_full = self.next == MAX_CODES;
            self.was_full |= is_full;
            let is_over = match clearing {
                Clearing::AtOnce => is_full,
                Clearing::Deferred { window } => is_full && payoff.has_fallen(at, window),
            };
            if is_over && at < pixels.len() {
                self.bits.push(clear);
                self.bits.width = u32::from(code_size) + 1;
                self.forget(clear);
                previous = None;
                payoff = Payoff::begun(at);
            }
            payoff.codes += 1;
        }
        self.bits.push(clear + 1);
        Some(self.bits.finish()).filter(|data| data.len() < most)
    }

    /// The longest match at the beginning of `pixels`; the string before it and its first index become a new one.
    fn step(&mut self, pixels: &[u16], alternative: u8, previous: Option<u16>) -> Match {
        let mut best: Option<(Match, u8)> = None;
        for &first in choices(pixels[0], alternative).as_slice() {
            // The new string may match already, as it is known to decoders with this very code.
            let added = previous.and_then(|previous| self.add(previous, first));
            let found = self.longest(pixels, alternative, first);
            if let Some(place) = added {
                self.children[place] = 0;
            }
            if best.is_none_or(|(best, _)| found.length > best.length) {
                best = Some((found, first));
            }
        }
        let (found, first) = best.unwrap_or((Match { code: pixels[0] & 0xFF, length: 1 }, pixels[0] as u8));
        if let Some(previous) = previous
            && self.next < MAX_CODES
        {
            let place = self.add(previous, first);
            self.taken.extend(place);
            // Where the string was known, its new code is never used.
            self.next += 1;
        }
        found
    }

    /// The place of a string that was not known.
    fn add(&mut self, previous: u16, index: u8) -> Option<usize> {
        let place = (usize::from(previous) << 8) | usize::from(index);
        let is_new = self.next < MAX_CODES && self.children[place] == 0;
        is_new.then(|| {
            self.children[place] = self.next;
            place
        })
    }

    fn longest(&self, pixels: &[u16], alternative: u8, first: u8) -> Match {
        let mut ends = [0; BRANCHES];
        let mut count = 1;
        ends[0] = u16::from(first);
        for (length, &pixel) in pixels.iter().enumerate().skip(1) {
            let mut longer = [0; BRANCHES];
            let mut longer_count = 0;
            for end in &ends[..count] {
                for &index in choices(pixel, alternative).as_slice() {
                    let child = self.children[(usize::from(*end) << 8) | usize::from(index)];
                    if child != 0 && longer_count < BRANCHES {
                        longer[longer_count] = child;
                        longer_count += 1;
                    }
                }
            }
            if longer_count == 0 {
                return Match { code: ends[0], length };
            }
            (ends, count) = (longer, longer_count);
        }
        Match { code: ends[0], length: pixels.len() }
    }

    fn forget(&mut self, clear: u16) {
        for place in self.taken.drain(..) {
            self.children[place] = 0;
        }
        self.next = clear + 2;
    }
}

/// The indices that a pixel may show, the one first that recurs more: of equal matches the first is taken.
struct Choices {
    indices: [u8; 2],
    count: usize,
}

impl Choices {
    fn as_slice(&self) -> &[u8] {
        &self.indices[..self.count]
    }
}

fn choices(pixel: u16, alternative: u8) -> Choices {
    let own = pixel as u8;
    if pixel & FREE == 0 {
        Choices { indices: [own, own], count: 1 }
    } else {
        Choices { indices: [alternative, own], count: 2 }
    }
}

/// How many pixels a code covers, since the dictionary was begun and of late.
#[derive(Debug, Default)]
struct Payoff {
    begin: usize,
    codes: usize,
    window: Option<(usize, usize)>,
}

impl Payoff {
    fn begun(at: usize) -> Self {
        Self { begin: at, ..Self::default() }
    }

    /// Asked with every code that a full dictionary gives.
    fn has_fallen(&mut self, at: usize, window: usize) -> bool {
        let (codes, begin) = *self.window.get_or_insert((self.codes, at));
        if self.codes - codes < window {
            return false;
        }
        self.window = Some((self.codes, at));
        // Pixels per code: (at − begin) / window < (at − self.begin) / self.codes.
        (at - begin) * self.codes < (at - self.begin) * (self.codes - codes)
    }
}

/// Codes packed into bytes, the least significant bit first.
#[derive(Debug, Default)]
struct Bits {
    out: Vec<u8>,
    width: u32,
    buffer: u32,
    filled: u32,
}

impl Bits {
    fn push(&mut self, code: u16) {
        self.buffer |= u32::from(code) << self.filled;
        self.filled += self.width;
        while self.filled >= 8 {
            self.out.push(self.buffer as u8);
            self.buffer >>= 8;
            self.filled -= 8;
        }
    }

    /// Codes grow a bit wider when the next one would not fit.
    fn widen(&mut self, next: u16) {
        if next == 1 << self.width && next < MAX_CODES {
            self.width += 1;
        }
    }

    fn finish(&mut self) -> Vec<u8> {
        if self.filled > 0 {
            self.out.push(self.buffer as u8);
        }
        std::mem::take(&mut self.out)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Dice;
    use super::*;

    const CLEARINGS: [Clearing; 3] =
        [Clearing::AtOnce, Clearing::Deferred { window: 16 }, Clearing::Deferred { window: 4096 }];

    /// Pixels of `colours` indices, in runs and at random, enough to fill dictionaries.
    fn pixels(colours: u32, count: usize) -> Vec<u16> {
        let mut dice = Dice(colours + 1);
        let mut index = 0;
        let mut next = |at: usize| {
            if at % 5000 > 2500 || dice.below(9) == 0 {
                index = dice.below(colours) as u16;
            }
            index
        };
        (0..count).map(&mut next).collect()
    }

    fn code(pixels: &[u16], code_size: u8, clearing: Clearing) -> Vec<u8> {
        Encoder::new().encode(pixels, 0, code_size, clearing, usize::MAX).unwrap()
    }

    #[test]
    fn what_is_coded_decodes_to_the_same() {
        for code_size in 2..=8 {
            for clearing in CLEARINGS {
                for count in [1, 2, 3, 100, 60_000] {
                    let pixels = pixels(1 << code_size, count);
                    let data = code(&pixels, code_size, clearing);
                    let mut out = vec![0; count];
                    assert_eq!(decode(&data, code_size, &mut out), Ok(true), "{code_size} {clearing:?} {count}");
                    assert!(out.iter().zip(&pixels).all(|(out, pixel)| u16::from(*out) == *pixel));
                }
            }
        }
    }

    #[test]
    fn a_dictionary_that_still_pays_is_kept() {
        let pixels: Vec<u16> = (0..400_000_u32).map(|at| (at % 640 * 7 % 64) as u16 ^ (at / 640 % 4) as u16).collect();
        let [at_once, deferred, _] = CLEARINGS.map(|clearing| code(&pixels, 6, clearing).len());
        assert!(deferred < at_once, "{deferred} {at_once}");
    }

    #[test]
    fn free_pixels_show_either_index_and_make_longer_matches() {
        let pattern = pixels(4, 3000);
        let free: Vec<u16> =
            pattern.iter().enumerate().map(|(at, p)| if at % 3 == 0 { p | FREE } else { *p }).collect();
        let data = Encoder::new().encode(&free, 7, 3, CLEARINGS[0], usize::MAX).unwrap();
        let mut out = vec![0; free.len()];
        assert_eq!(decode(&data, 3, &mut out), Ok(true));
        for ((out, pixel), at) in out.iter().zip(&pattern).zip(0..) {
            assert!(u16::from(*out) == *pixel || (at % 3 == 0 && *out == 7), "{at}");
        }
        let noise: Vec<u16> = pixels(4, 3000).iter().map(|pixel| pixel | FREE).collect();
        let data = Encoder::new().encode(&noise, 7, 3, CLEARINGS[0], usize::MAX).unwrap();
        assert!(data.len() * 4 < code(&pattern, 3, CLEARINGS[0]).len(), "{}", data.len());
    }

    #[test]
    fn what_is_too_long_is_given_up() {
        let pixels = pixels(16, 5000);
        let data = code(&pixels, 4, CLEARINGS[0]);
        let within = |most| Encoder::new().encode(&pixels, 0, 4, CLEARINGS[0], most);
        assert_eq!(within(data.len()), None);
        assert_eq!(within(data.len() + 1), Some(data));
    }

    #[test]
    fn damage_and_ambiguity_are_told_apart() {
        let pixels = pixels(16, 1000);
        let data = code(&pixels, 4, CLEARINGS[0]);
        let mut out = vec![0; 1000];
        assert!(decode(&data[..data.len() / 2], 4, &mut out).is_err());
        assert!(decode(&data, 4, &mut vec![0; 1001]).is_err());
        assert!(decode(b"", 4, &mut out).is_err());
        assert_eq!(decode(&data, 4, &mut out[..999]), Ok(false), "more pixels than the frame has");
        // 4, 5 (end) without a clear code before.
        assert_eq!(decode(&[0b00_101_001, 0], 2, &mut [0; 1]), Ok(false));
    }
}
