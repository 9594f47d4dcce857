//! The same animation in fewer bytes: frames cropped, tables trimmed and shared, pixels coded anew.
//!
//! Every frame is coded in several ways, and the shortest is kept. The proof that nothing changed is for `proof`.

use super::blocks::{Block, File, IMAGE, INTERLACED, Image, TRAILER, can_be_interlaced};
use super::canvas::{Disposal, Rect, TRANSPARENT, table};
use super::crop::{CLEAR, Cropped, FREE, Frame, Mode, OMITTED, each_frame};
use super::extension::{CONTROL, EXTENSION};
use super::lzw::{Clearing, Encoder};
use super::palette::{Gathering, Labels, Shared, Used, announced};
use crate::optimize::Budget;
use crate::optimize::error::ImageError;
use crate::optimize::options::Effort;

/// How long a full dictionary stays: no way is the shortest for every picture.
const CLEARINGS: &[Clearing] =
    &[Clearing::Deferred { window: 1024 }, Clearing::Deferred { window: 128 }, Clearing::AtOnce];

/// A frame, coded.
struct Coded {
    rect: Rect,
    interlaced: bool,
    labels: Labels,
    data: Vec<u8>,
}

impl Coded {
    fn cost(&self) -> usize {
        self.data.len() + self.labels.local.as_ref().map_or(0, Vec::len)
    }
}

/// What the screen descriptor announces.
struct Global {
    /// The table that frames share.
    shared: Option<Shared>,
    /// The background's index in it.
    background: u8,
}

/// The file with its frames coded anew; `None` where that cannot be without risk, or not in time.
///
/// # Errors
/// [`ImageError::Malformed`] where pixels cannot be decoded.
pub fn smaller(file: &File<'_>, effort: Effort, budget: Budget) -> Result<Option<Vec<u8>>, ImageError> {
    let Some(global) = share(file, budget)? else { return Ok(None) };
    let mut encoder = Encoder::new();
    let mut coded = Vec::new();
    let shared = global.shared.as_ref();
    let done = each_frame(file, budget, |frame| coded.push(code(frame, shared, &mut encoder, effort)))?;
    let coded: Option<Vec<Coded>> = coded.into_iter().collect();
    Ok(coded.filter(|_| done).map(|coded| write(file, &coded, &global)))
}

/// Looks for the colours that frames share; `None` as for [`smaller`].
fn share(file: &File<'_>, budget: Budget) -> Result<Option<Global>, ImageError> {
    let mut frames = Vec::new();
    let mut opaque = true;
    let done = each_frame(file, budget, |frame| {
        opaque &= stays_opaque(frame, file.screen.rect());
        frames.push(Used::of(&frame.crop(), Mode::LeftOut).colours());
    })?;
    if !done {
        return Ok(None);
    }
    // Where the canvas shows through, some fill it with the background colour, if there is a table that has one, some
    // with the table's first.
    let index = file.screen.background;
    let mut gathering = Gathering::default();
    let (background, first) = match file.global {
        _ if opaque => (None, None),
        None => return Ok(Some(Global { shared: None, background: index })),
        Some(palette) => {
            let table = table(palette, None);
            match table[usize::from(index)] {
                TRANSPARENT => return Ok(None),
                colour => (Some(colour), Some(table[0])),
            }
        }
    };
    gathering.add(&background.into_iter().chain(first).collect());
    for colours in &frames {
        gathering.add(colours);
    }
    let shared = gathering.shared(first, !opaque || frames.len() > 1);
    let background = background.and_then(|colour| shared.label(colour)).unwrap_or(0);
    Ok(Some(Global { shared: Some(shared), background }))
}

/// Whether no canvas shows through after this frame, if none did before.
fn stays_opaque(frame: &Frame<'_>, screen: Rect) -> bool {
    match frame.image.disposal() {
        Disposal::Background => false,
        _ if frame.number > 0 => true,
        Disposal::Previous => false,
        Disposal::Keep => frame.image.rect == screen && frame.crop().pixels.iter().all(|pixel| pixel & CLEAR == 0),
    }
}

/// Codes a frame in every way that its effort allows, and keeps the shortest.
fn code(frame: &Frame<'_>, shared: Option<&Shared>, encoder: &mut Encoder, effort: Effort) -> Option<Coded> {
    let cropped = frame.crop();
    let modes = modes(&cropped, effort);
    let mut best = None;
    let mut attempt = |cropped: &Cropped, interlaced| {
        for mode in modes {
            for (labels, pixels) in labelled(cropped, frame, *mode, shared) {
                let most = best.as_ref().map_or(usize::MAX, Coded::cost);
                let most = most.saturating_sub(labels.local.as_ref().map_or(0, Vec::len));
                if let Some(data) = shortest(encoder, &pixels, &labels, effort, most) {
                    best = Some(Coded { rect: cropped.rect, interlaced, labels, data });
                }
            }
        }
    };
    // Which order is shorter depends on the picture; none is interlaced that was not.
    if frame.image.interlaced && can_be_interlaced(cropped.rect) {
        attempt(&cropped.interlaced(), true);
    }
    attempt(&cropped, false);
    best
}

fn modes(cropped: &Cropped, effort: Effort) -> &'static [Mode] {
    if effort == Effort::Fast {
        return &[Mode::LeftOut];
    }
    let free = || cropped.pixels.iter().filter(|pixel| *pixel & FREE != 0);
    let (mut omitted, mut drawn) = (false, false);
    free().for_each(|pixel| if pixel & OMITTED != 0 { omitted = true } else { drawn = true });
    match (omitted, drawn) {
        (true, true) => &[Mode::AsBefore, Mode::LeftOut, Mode::Either, Mode::Drawn],
        // As before is all or nothing.
        (true, false) => &[Mode::AsBefore, Mode::Either, Mode::Drawn],
        (false, true) => &[Mode::AsBefore, Mode::LeftOut, Mode::Either],
        (false, false) => &[Mode::AsBefore],
    }
}

/// The pixels in the terms of the global table and of one of the frame's own, where that makes a difference.
fn labelled(cropped: &Cropped, frame: &Frame<'_>, mode: Mode, shared: Option<&Shared>) -> Vec<(Labels, Vec<u16>)> {
    let used = Used::of(cropped, mode);
    // A frame that was transparent stays so: some fill the canvas otherwise where it is disposed of.
    let clear = used.leaves_out || frame.image.transparent().is_some();
    let global = shared.and_then(|shared| used.global(shared, clear));
    let local = used.local(clear);
    let local = local.filter(|local| global.as_ref().is_none_or(|global| local.code_size < global.code_size));
    let in_terms = |labels: Labels| {
        let pixels = cropped.pixels.iter().map(|pixel| label(*pixel, mode, &labels)).collect();
        (labels, pixels)
    };
    global.into_iter().chain(local).map(in_terms).collect()
}

fn label(pixel: u16, mode: Mode, labels: &Labels) -> u16 {
    let clear = labels.clear.map_or(0, u16::from);
    let free = pixel & FREE;
    if mode.leaves_out(pixel) {
        return clear;
    }
    let own = labels.of_index[usize::from(pixel & 0xFF)].map(u16::from);
    own.map_or(clear, |own| if mode == Mode::Either { own | free } else { own })
}

/// The shortest coding below `most` bytes.
fn shortest(
    encoder: &mut Encoder,
    pixels: &[u16],
    labels: &Labels,
    effort: Effort,
    mut most: usize,
) -> Option<Vec<u8>> {
    let mut best = None;
    for clearing in CLEARINGS {
        if let Some(data) = encoder.encode(pixels, labels.clear.unwrap_or(0), labels.code_size, *clearing, most) {
            most = data.len();
            best = Some(data);
        }
        if effort == Effort::Fast || !encoder.was_full {
            break;
        }
    }
    best
}

fn write(file: &File<'_>, coded: &[Coded], global: &Global) -> Vec<u8> {
    // A file that begins as GIF87a may now hold what only GIF89a knows.
    let mut out = b"GIF89a".to_vec();
    let screen = file.screen;
    out.extend(screen.width.to_le_bytes());
    out.extend(screen.height.to_le_bytes());
    let table = global.shared.as_ref().map(Shared::bytes);
    // Colour resolution stays; the table is not sorted.
    out.push((screen.packed & 0x70) | table.as_deref().map_or(0, announced));
    out.extend([global.background, screen.aspect]);
    out.extend(table.unwrap_or_default());
    let mut frames = coded.iter();
    for block in &file.blocks {
        match block {
            Block::Extension(extension) if extension.label == CONTROL => {}
            Block::Extension(extension) => out.extend_from_slice(&extension.bytes),
            Block::Image(image) => {
                if let Some(frame) = frames.next() {
                    write_frame(&mut out, image, frame);
                }
            }
        }
    }
    out.push(TRAILER);
    out
}

fn write_frame(out: &mut Vec<u8>, image: &Image<'_>, frame: &Coded) {
    let clear = frame.labels.clear;
    if image.control.is_some() || clear.is_some() {
        let (packed, delay) = image.control.map_or((0, [0, 0]), |control| (control.packed, control.delay));
        let packed = (packed & !1) | u8::from(clear.is_some());
        out.extend([EXTENSION, CONTROL, 4, packed, delay[0], delay[1], clear.unwrap_or(0), 0]);
    }
    out.push(IMAGE);
    let Rect { left, top, width, height } = frame.rect;
    for size in [left, top, width, height] {
        // Inside of a canvas of 16 bits.
        out.extend((size as u16).to_le_bytes());
    }
    let local = frame.labels.local.as_deref();
    out.push(local.map_or(0, announced) | if frame.interlaced { INTERLACED } else { 0 });
    out.extend_from_slice(local.unwrap_or_default());
    out.push(frame.labels.code_size);
    for block in frame.data.chunks(255) {
        out.push(block.len() as u8);
        out.extend_from_slice(block);
    }
    out.push(0);
}
