//! GIF: stripped, or coded anew without loss; the smaller wins. Every displayed frame stays as it is.
//!
//! Timing, loops, disposal and the number of frames are kept. What decoders show in different ways is at most stripped.

mod blocks;
mod canvas;
mod crop;
mod extension;
mod lzw;
mod palette;
mod reader;
mod rewrite;
mod verify;

use std::time::Duration;

use blocks::File;
use reader::malformed;

use super::candidate::{Candidate, Context, choose};
use super::outcome::left_alone;
use super::padding::{is_anchored, without_padding};
use super::probe::Cost;
use super::{Budget, Effort, Format, ImageError, ImageInfo, Limit, Limits, Method, Options, Outcome, Reason};

/// All frames together may have so many times the pixels of one picture: small files can hold minutes of them.
const DRAWN_FACTOR: u64 = 2;
/// Frames of more pixels than this together are coded in one way only: others would cost seconds for 1 %.
const ONE_WAY_PIXELS: u64 = 64_000_000;

/// Optimizes a GIF file.
///
/// # Errors
/// [`ImageError`] where it is damaged or over a limit.
pub fn optimize(source: &[u8], options: &Options, budget: Budget) -> Result<Outcome, ImageError> {
    let mut file = File::parse(source)?;
    let info = ImageInfo { format: Format::Gif, width: file.screen.width.into(), height: file.screen.height.into() };
    if file.signed {
        return Ok(left_alone(Reason::Signed, Some(info)));
    }
    // Some writers end with more than one trailer, or pad.
    let tail = without_padding(file.trailing, &[blocks::TRAILER]);
    if is_anchored(tail) {
        return Ok(left_alone(Reason::TrailingData, Some(info)));
    }
    check(&file, source.len(), &options.limits)?;

    let stripped = file.strip(options.metadata);
    let mut candidates = Vec::new();
    let mut budget_cut = false;
    if !file.ambiguous {
        candidates.extend(lossless(source, &file, options, budget)?);
        budget_cut = candidates.is_empty() && !budget.allows(Duration::ZERO);
    }
    if stripped || !file.trailing.is_empty() {
        candidates.push(Candidate::lossless(file.splice(), Method::GifStrip));
    }
    let context = Context { bytes: source.len(), info, stripped, tail, budget_cut };
    Ok(choose(context, candidates, options))
}

/// Whether two files show the same frames for the same time, as often.
///
/// # Errors
/// [`ImageError`] where either is damaged or over a limit.
pub fn are_same(a: &[u8], b: &[u8], limits: &Limits) -> Result<bool, ImageError> {
    for file in [a, b] {
        check(&File::parse(file)?, file.len(), limits)?;
    }
    verify::are_same(a, b, Budget::UNLIMITED).map_err(|error| malformed(error.to_string()))
}

/// None where the proof fails that it shows the same, or where there is no time for it.
fn lossless(
    source: &[u8],
    file: &File<'_>,
    options: &Options,
    budget: Budget,
) -> Result<Option<Candidate>, ImageError> {
    let effort = if file.drawn_pixels() > ONE_WAY_PIXELS { Effort::Fast } else { options.effort };
    let Some(bytes) = rewrite::smaller(file, effort, budget)? else { return Ok(None) };
    if bytes.len() >= source.len() {
        return Ok(None);
    }
    let same = verify::are_same(source, &bytes, budget).unwrap_or(false);
    Ok(same.then(|| Candidate::lossless(bytes, Method::GifLossless)))
}

fn check(file: &File<'_>, bytes: usize, limits: &Limits) -> Result<(), ImageError> {
    let cost = Cost::gif(file.screen.width, file.screen.height, bytes as u64);
    Limits::check(Limit::Pixels, cost.pixels, limits.pixels)?;
    Limits::check(Limit::Pixels, file.drawn_pixels(), limits.pixels.saturating_mul(DRAWN_FACTOR))?;
    Limits::check(Limit::Frames, file.images().count() as u64, limits.frames.into())?;
    Limits::check(Limit::Memory, cost.required, limits.memory)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::optimize::{Encoded, MetadataPolicy, MetadataState, Unchanged};

    /// Black, red, green, blue.
    pub const FOUR: [[u8; 3]; 4] = [[0; 3], [255, 0, 0], [0, 255, 0], [0, 0, 255]];

    /// A frame as a test describes it: the whole canvas, opaque, kept, unless it says otherwise.
    #[derive(Debug, Clone, Default)]
    pub struct Shot {
        pub left: u16,
        pub top: u16,
        pub width: u16,
        pub indices: Vec<u8>,
        pub disposal: u8,
        pub delay: u16,
        pub transparent: Option<u8>,
        pub local: Vec<[u8; 3]>,
        pub interlaced: bool,
        /// What stands before it.
        pub before: Vec<u8>,
    }

    /// An animation as a test describes it.
    #[derive(Debug, Clone, Default)]
    pub struct Animation {
        pub width: u16,
        pub height: u16,
        pub global: Vec<[u8; 3]>,
        pub background: u8,
        pub loops: Option<u16>,
        pub shots: Vec<Shot>,
    }

    impl Animation {
        /// Shots of the whole canvas, in [`FOUR`] colours.
        pub fn of(width: u16, shots: &[&[u8]]) -> Self {
            let height = (shots[0].len() / usize::from(width)) as u16;
            let shot = |indices: &&[u8]| Shot { width, indices: indices.to_vec(), delay: 7, ..Shot::default() };
            let shots = shots.iter().map(shot).collect();
            Self { width, height, global: FOUR.to_vec(), shots, ..Self::default() }
        }

        pub fn file(&self) -> Vec<u8> {
            let mut out = b"GIF89a".to_vec();
            out.extend([self.width.to_le_bytes(), self.height.to_le_bytes()].concat());
            out.extend([table_bits(&self.global), self.background, 0]);
            out.extend(table_bytes(&self.global));
            if let Some(loops) = self.loops {
                out.extend(b"\x21\xFF\x0BNETSCAPE2.0\x03\x01");
                out.extend(loops.to_le_bytes());
                out.push(0);
            }
            self.shots.iter().for_each(|shot| shot.write(&mut out));
            out.push(blocks::TRAILER);
            out
        }
    }

    impl Shot {
        fn write(&self, out: &mut Vec<u8>) {
            out.extend_from_slice(&self.before);
            let height = self.indices.len() / usize::from(self.width.max(1));
            let [delay_low, delay_high] = self.delay.to_le_bytes();
            let packed = (self.disposal << 2) | u8::from(self.transparent.is_some());
            out.extend([0x21, 0xF9, 4, packed, delay_low, delay_high, self.transparent.unwrap_or(0), 0, 0x2C]);
            out.extend([self.left, self.top, self.width, height as u16].map(u16::to_le_bytes).concat());
            out.push(table_bits(&self.local) | if self.interlaced { blocks::INTERLACED } else { 0 });
            out.extend(table_bytes(&self.local));
            let rows = |first, step| (first..height).step_by(step);
            let order: Vec<usize> = if self.interlaced {
                rows(0, 8).chain(rows(4, 8)).chain(rows(2, 4)).chain(rows(1, 2)).collect()
            } else {
                rows(0, 1).collect()
            };
            let row = |row: &usize| &self.indices[row * usize::from(self.width)..][..usize::from(self.width)];
            let pixels: Vec<u8> = order.iter().flat_map(row).copied().collect();
            out.push(8);
            let data = weezl::encode::Encoder::new(weezl::BitOrder::Lsb, 8).encode(&pixels).unwrap();
            for block in data.chunks(255) {
                out.push(block.len() as u8);
                out.extend_from_slice(block);
            }
            out.push(0);
        }
    }

    fn table_bits(colours: &[[u8; 3]]) -> u8 {
        if colours.is_empty() { 0 } else { 0x80 | (colours.len().max(2).next_power_of_two().ilog2() - 1) as u8 }
    }

    fn table_bytes(colours: &[[u8; 3]]) -> Vec<u8> {
        let entries = if colours.is_empty() { 0 } else { colours.len().max(2).next_power_of_two() };
        let mut bytes = colours.concat();
        bytes.resize(entries * 3, 0);
        bytes
    }

    /// What a viewer shows: every canvas with its time, and the loops; the plainest way, on purpose.
    pub fn shown(file: &[u8]) -> (gif::Repeat, Vec<(Vec<u32>, u16, gif::DisposalMethod)>) {
        let mut options = gif::DecodeOptions::new();
        options.allow_unknown_blocks(true);
        let mut decoder = options.read_info(Cursor::new(file)).unwrap();
        let (width, height) = (usize::from(decoder.width()), usize::from(decoder.height()));
        let global = decoder.global_palette().map(<[u8]>::to_vec);
        let mut canvas = vec![0_u32; width * height];
        let mut shown = Vec::new();
        while let Some(frame) = decoder.next_frame_info().unwrap().cloned() {
            let mut stored = vec![0; usize::from(frame.width) * usize::from(frame.height)];
            assert!(decoder.fill_buffer(&mut stored).unwrap());
            let height = usize::from(frame.height);
            let rows: Vec<usize> = if frame.interlaced {
                let pass = |start: usize, step: usize| (0..height).filter(move |row| row % step == start);
                pass(0, 8).chain(pass(4, 8)).chain(pass(2, 4)).chain(pass(1, 2)).collect()
            } else {
                (0..height).collect()
            };
            let before = canvas.clone();
            let palette = frame.palette.as_ref().or(global.as_ref()).unwrap();
            let places = || {
                let (left, top, columns) = (usize::from(frame.left), usize::from(frame.top), usize::from(frame.width));
                rows.iter().flat_map(move |row| (0..columns).map(move |at| (top + row) * width + left + at))
            };
            for (place, index) in places().zip(&stored) {
                if frame.transparent != Some(*index) {
                    let colour = &palette[usize::from(*index) * 3..][..3];
                    canvas[place] = u32::from_be_bytes([255, colour[0], colour[1], colour[2]]);
                }
            }
            shown.push((canvas.clone(), frame.delay, frame.dispose));
            match frame.dispose {
                gif::DisposalMethod::Background => places().for_each(|place| canvas[place] = 0),
                gif::DisposalMethod::Previous => canvas = before,
                gif::DisposalMethod::Any | gif::DisposalMethod::Keep => {}
            }
        }
        (decoder.repeat(), shown)
    }

    /// Numbers that look random, the same in every run (xorshift32, Marsaglia 2003).
    pub struct Dice(pub u32);

    impl Dice {
        pub fn below(&mut self, end: u32) -> u32 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 17;
            self.0 ^= self.0 << 5;
            self.0 % end
        }

        fn colours(&mut self, most: u32) -> Vec<[u8; 3]> {
            (0..2 + self.below(most)).map(|_| [0; 3].map(|_| (self.below(3) * 100) as u8)).collect()
        }

        /// Any animation whose look is beyond doubt.
        fn animation(&mut self) -> Animation {
            let (width, height) = (1 + self.below(24) as u16, 1 + self.below(24) as u16);
            let global = if self.below(4) == 0 { vec![] } else { self.colours(30) };
            let loops = (self.below(2) == 0).then(|| self.below(5) as u16);
            let background = if global.is_empty() { 9 } else { self.below(global.len() as u32) as u8 };
            let shots = (0..=self.below(8)).map(|_| self.shot(width, height, global.len())).collect();
            Animation { width, height, global, background, loops, shots }
        }

        fn shot(&mut self, width: u16, height: u16, global: usize) -> Shot {
            let whole = self.below(2) == 0;
            let (left, top) = if whole { (0, 0) } else { (self.below(width.into()), self.below(height.into())) };
            let mut rest = |whole_size: u16, from: u32| {
                let rest = u32::from(whole_size) - from;
                if whole { rest } else { 1 + self.below(rest) }
            };
            let (own_width, own_height) = (rest(width, left), rest(height, top));
            let local = if global == 0 || self.below(3) == 0 { self.colours(200) } else { vec![] };
            let colours = if local.is_empty() { global } else { local.len() } as u32;
            // Runs, so that frames agree in places.
            let few = 1 + self.below(colours.min(5));
            let mut index = 0;
            let indices = (0..own_width * own_height)
                .map(|_| {
                    if self.below(4) == 0 {
                        index = self.below(few) as u8;
                    }
                    index
                })
                .collect();
            Shot {
                left: left as u16,
                top: top as u16,
                width: own_width as u16,
                indices,
                disposal: self.below(4) as u8,
                delay: self.below(300) as u16,
                transparent: (self.below(2) == 0).then(|| self.below(few) as u8),
                local,
                interlaced: own_height >= 8 && own_height.is_multiple_of(2) && self.below(4) == 0,
                before: vec![],
            }
        }
    }

    fn optimized(file: &[u8], options: &Options) -> Encoded {
        match optimize(file, options, Budget::UNLIMITED).unwrap() {
            Outcome::Optimized(encoded) => encoded,
            Outcome::Unchanged(unchanged) => panic!("{unchanged:?}"),
        }
    }

    fn reason(file: &[u8]) -> Reason {
        match optimize(file, &Options::default(), Budget::UNLIMITED).unwrap() {
            Outcome::Unchanged(Unchanged { reason, .. }) => reason,
            Outcome::Optimized(encoded) => panic!("{}", encoded.method),
        }
    }

    /// A square that moves over a ground of many pixels.
    fn moving() -> Animation {
        let frame = |at: usize| -> Vec<u8> {
            let is_in = |place: &usize| (at..at + 4).contains(&(place % 32)) && (8..12).contains(&(place / 32));
            (0..32 * 24).map(|place| if is_in(&place) { 1 } else { (place % 7 % 3) as u8 + 1 }).collect()
        };
        let frames: Vec<_> = (0..6).map(|at| frame(at * 4)).collect();
        let mut animation = Animation::of(32, &frames.iter().map(Vec::as_slice).collect::<Vec<_>>());
        animation.loops = Some(3);
        animation
    }

    #[test]
    fn any_animation_looks_as_before() {
        let mut dice = Dice(0x9E37_79B9);
        let (mut rounds, mut saved) = (0, 0);
        for round in 0..1000 {
            let file = dice.animation().file();
            let parsed = File::parse(&file).unwrap();
            if parsed.ambiguous {
                continue;
            }
            rounds += 1;
            let effort = if round % 4 == 0 { Effort::Fast } else { Effort::Default };
            let smaller = rewrite::smaller(&parsed, effort, Budget::UNLIMITED).unwrap().unwrap();
            assert!(shown(&file) == shown(&smaller), "round {round}");
            assert!(verify::are_same(&file, &smaller, Budget::UNLIMITED).unwrap(), "round {round}");
            saved += usize::from(smaller.len() < file.len());
        }
        assert!(rounds > 500 && saved * 60 > rounds * 59, "{saved} of {rounds}");
    }

    #[test]
    fn damaged_bytes_cost_no_panic_and_no_look() {
        let mut dice = Dice(77);
        let whole = moving().file();
        let mut outcomes = [0; 3];
        for _ in 0..2000 {
            let mut file = whole.clone();
            for _ in 0..=dice.below(3) {
                let at = dice.below(file.len() as u32) as usize;
                file[at] = dice.below(256) as u8;
            }
            match optimize(&file, &Options::default(), Budget::UNLIMITED) {
                Ok(Outcome::Optimized(encoded)) => {
                    outcomes[0] += 1;
                    if encoded.method == Method::GifLossless {
                        assert!(shown(&file) == shown(&encoded.bytes));
                    }
                }
                Ok(Outcome::Unchanged(_)) => outcomes[1] += 1,
                Err(error) => {
                    outcomes[2] += 1;
                    assert!(matches!(
                        error,
                        ImageError::Malformed { format: Format::Gif, .. } | ImageError::LimitExceeded { .. }
                    ));
                }
            }
        }
        assert!(outcomes.iter().all(|count| *count > 0), "{outcomes:?}");
    }

    #[test]
    fn frames_shrink_and_time_and_loops_stay() {
        let mut animation = moving();
        animation.shots[2].delay = 300;
        let file = animation.file();
        let encoded = optimized(&file, &Options::default());
        assert_eq!((encoded.method, encoded.score), (Method::GifLossless, Some(100.0)));
        assert_eq!((encoded.info.width, encoded.info.height), (32, 24));
        assert!(encoded.bytes.len() * 5 < file.len() * 2, "{} of {}", encoded.bytes.len(), file.len());
        let (repeat, frames) = shown(&encoded.bytes);
        assert_eq!(repeat, gif::Repeat::Finite(3));
        assert_eq!(frames.iter().map(|frame| frame.1).collect::<Vec<_>>(), [7, 7, 300, 7, 7, 7]);
        let fast = optimized(&file, &Options { effort: Effort::Fast, ..Options::default() });
        assert!(shown(&fast.bytes) == shown(&file));
        assert!(verify::are_same(&file, &encoded.bytes, Budget::UNLIMITED).unwrap());
    }

    #[test]
    fn what_decoders_disagree_about_is_stripped_at_most() {
        let comment = b"\x21\xFE\x02hi\0".to_vec();
        let odd: [fn(&mut Animation); 8] = [
            |animation| animation.shots[1].left = 1,
            |animation| animation.shots[1].disposal = 4,
            |animation| animation.shots[1].interlaced = true,
            |animation| animation.global.clear(),
            |animation| (animation.height, animation.shots[0].local) = (10, FOUR.to_vec()),
            |animation| (animation.shots[1].disposal, animation.shots[1].transparent) = (2, Some(3)),
            |animation| animation.shots[0].before = b"\x21\xF9\x04\0\0\0\0\0".to_vec(),
            |animation| animation.shots[1].before = b"\x21\x01\x0C0123456789ab\0".to_vec(),
        ];
        for make_odd in odd {
            let rows = vec![1; 32 * 9];
            let mut animation = Animation::of(32, &[&rows, &rows]);
            make_odd(&mut animation);
            assert!(File::parse(&animation.file()).unwrap().ambiguous, "{animation:?}");
            assert_eq!(reason(&animation.file()), Reason::NoGain);
            let plain = animation.file();
            animation.shots[0].before.splice(0..0, comment.clone());
            let stripped = optimized(&animation.file(), &Options::default());
            assert_eq!((stripped.method, stripped.bytes), (Method::GifStrip, plain));
        }
    }

    #[test]
    fn colours_that_the_bare_canvas_may_get_stay() {
        let mut animation = Animation::of(32, &[&[2; 32 * 8], &[3; 32 * 8]]);
        (animation.height, animation.background) = (20, 1);
        let encoded = optimized(&animation.file(), &Options::default());
        let file = File::parse(&encoded.bytes).unwrap();
        let colour = |index: u8| &file.global.unwrap()[usize::from(index) * 3..][..3];
        assert_eq!((colour(0), colour(file.screen.background)), (&FOUR[0][..], &FOUR[1][..]));
    }

    #[test]
    fn an_index_without_colour_stays() {
        assert_eq!(reason(&Animation::of(20, &[&[9; 400]]).file()), Reason::NoGain);
    }

    #[test]
    fn what_follows_stays_unless_it_is_padding() {
        let file = moving().file();
        let plain = optimized(&file, &Options::default());
        for padding in [&b"\n"[..], b"\r\n;;", &[0; 40], &[0xFF; 9]] {
            let padded = optimized(&[&file[..], padding].concat(), &Options::default());
            assert_eq!((padded.bytes, padded.metadata), (plain.bytes.clone(), MetadataState::Clean));
        }
        let tail = b"\na maker's own";
        let followed = optimized(&[&file[..], tail].concat(), &Options::default());
        assert_eq!((followed.bytes, followed.metadata), ([&plain.bytes[..], tail].concat(), MetadataState::Kept));
        let archive = [b"PK\x05\x06", &[0; 12][..], &[0, 9, 0, 0], &[0; 2]].concat();
        assert_eq!(reason(&[&file[..], &archive].concat()), Reason::TrailingData);
    }

    #[test]
    fn a_signed_file_stays() {
        let mut animation = moving();
        animation.shots[0].before = b"\x21\xFF\x0BC2PA_GIF\x01\0\0\x02jp\0".to_vec();
        assert_eq!(reason(&animation.file()), Reason::Signed);
    }

    #[test]
    fn metadata_goes_by_policy_from_the_smaller_file_as_well() {
        let mut animation = moving();
        animation.shots[3].before = b"\x21\xFE\x05Paris\0".to_vec();
        let file = animation.file();
        let holds = |bytes: &[u8]| bytes.windows(5).any(|window| window == b"Paris");
        for (metadata, state, kept) in [
            (MetadataPolicy::Safe, MetadataState::Stripped, false),
            (MetadataPolicy::None, MetadataState::Stripped, false),
            (MetadataPolicy::All, MetadataState::Kept, true),
        ] {
            let encoded = optimized(&file, &Options { metadata, ..Options::default() });
            assert_eq!((encoded.metadata, holds(&encoded.bytes)), (state, kept), "{metadata}");
            assert!(shown(&encoded.bytes) == shown(&file));
        }
    }

    /// A condition: what it is, the file, a part that may be missed, and what the report has to say.
    type Row<'a> = (&'a str, Vec<u8>, &'a [u8], [MetadataState; 3]);

    #[test]
    fn the_metadata_state_is_true_for_each_policy() {
        use MetadataPolicy::{All, None as Nothing, Safe};
        use MetadataState::{Clean, Kept as Stays, Stripped};
        let with = |extension: &[u8]| {
            let mut animation = moving();
            animation.shots[1].before = extension.to_vec();
            animation.file()
        };
        let ambiguous = |extension: &[u8]| {
            let mut animation = moving();
            (animation.shots[1].before, animation.shots[2].disposal) = (extension.to_vec(), 4);
            animation.file()
        };
        let followed = |rest: &[u8]| [&moving().file()[..], rest].concat();
        let comment = b"\x21\xFE\x05Paris\0";
        let maker = b"\x21\xFF\x0BSOMEMAKER12\x01p\0";
        let archive = [b"PK\x05\x06", &[0; 12][..], &[0, 9, 0, 0], &[0; 2]].concat();
        // States under safe, all and none.
        let table: [Row<'_>; 11] = [
            ("loops", with(b""), b"NETSCAPE2.0", [Clean, Stays, Clean]),
            ("a comment", with(comment), b"Paris", [Stripped, Stays, Stripped]),
            ("a maker's extension", with(maker), b"SOMEMAKER12", [Stripped, Stays, Stripped]),
            ("a profile", with(b"\x21\xFF\x0BICCRGBG1012\x01p\0"), b"ICCRGBG1012", [Clean, Stays, Clean]),
            ("a signature", with(b"\x21\xFF\x0BC2PA_GIF\x01\0\0\x02jp\0"), b"C2PA_GIF", [Stays; 3]),
            ("padding", followed(b"\n;\n"), b"NETSCAPE2.0", [Clean, Stays, Clean]),
            ("unknown data", followed(b";\na maker's"), b";\na maker's", [Stays; 3]),
            ("an archive", followed(&archive), &archive, [Stays; 3]),
            ("frames that stay", ambiguous(b""), b"NETSCAPE2.0", [Clean, Stays, Clean]),
            ("and a comment", ambiguous(comment), b"Paris", [Stripped, Stays, Stripped]),
            ("and a maker's extension", ambiguous(maker), b"SOMEMAKER12", [Stripped, Stays, Stripped]),
        ];
        for (what, source, part, states) in &table {
            for (metadata, state) in [Safe, All, Nothing].into_iter().zip(states) {
                let options = Options { metadata, ..Options::default() };
                let (bytes, found) = match optimize(source, &options, Budget::UNLIMITED).unwrap() {
                    Outcome::Optimized(encoded) => (encoded.bytes, encoded.metadata),
                    Outcome::Unchanged(Unchanged { metadata, .. }) => (source.clone(), metadata),
                };
                let holds = bytes.windows(part.len()).any(|window| window == *part);
                assert_eq!((found, holds), (*state, *state != Stripped), "{what}, {metadata}");
            }
        }
    }

    #[test]
    fn headers_over_a_limit_are_refused() {
        // Six frames of one picture's pixels each.
        let limits = Limits { pixels: 32 * 24 * 3, frames: 6, ..Limits::default() };
        let with = |limits| optimize(&moving().file(), &Options { limits, ..Options::default() }, Budget::UNLIMITED);
        assert!(with(limits.clone()).is_ok());
        for (limits, expected) in [
            (Limits { pixels: 32 * 24 * 3 - 1, ..limits.clone() }, Limit::Pixels),
            (Limits { pixels: 32 * 24 - 1, ..limits.clone() }, Limit::Pixels),
            (Limits { frames: 5, ..limits.clone() }, Limit::Frames),
            (Limits { memory: 1 << 20, ..limits }, Limit::Memory),
        ] {
            let error = with(limits).unwrap_err();
            assert!(matches!(error, ImageError::LimitExceeded { limit, .. } if limit == expected), "{error}");
        }
        let mut bomb = moving().file();
        bomb[6..10].fill(0xFF);
        let error = optimize(&bomb, &Options::default(), Budget::UNLIMITED).unwrap_err();
        assert!(matches!(error, ImageError::LimitExceeded { limit: Limit::Pixels, .. }), "{error}");
    }

    #[test]
    fn without_time_only_what_is_quick_is_done() {
        let mut animation = moving();
        animation.shots[0].before = b"\x21\xFE\x05Paris\0".to_vec();
        let outcome = optimize(&animation.file(), &Options::default(), Budget::lasting(Duration::ZERO)).unwrap();
        assert!(matches!(outcome, Outcome::Optimized(Encoded { method: Method::GifStrip, .. })), "{outcome:?}");
    }
}
