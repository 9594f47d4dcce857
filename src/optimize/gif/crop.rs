//! Frames as they are drawn, one after the other, and what of each one changes the canvas.
//!
//! Disposal stays as it is, so every frame meets the canvas that it met before.

use std::collections::HashMap;

use super::blocks::{File, Image};
use super::canvas::{Canvas, Disposal, Pixel, Rect, TRANSPARENT, Table, table};
use super::lzw;
use crate::optimize::Budget;
use crate::optimize::error::ImageError;

/// A pixel that leaves the canvas as it is. Others hold an index of [`Cropped::colours`].
pub const CLEAR: u16 = 0x200;
pub use lzw::FREE;
/// A free pixel that the source leaves out.
pub const OMITTED: u16 = 0x400;

/// Colours of a frame that leaves pixels out: one index is for these.
const MOST_COLOURS: usize = 255;

/// A frame that is about to be drawn.
pub struct Frame<'w> {
    pub number: usize,
    pub image: &'w Image<'w>,
    pub table: &'w Table,
    /// Row by row, also where they are stored interlaced.
    indices: &'w [u8],
    canvas: &'w Canvas,
}

/// What is done with pixels that the canvas shows already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// All are drawn again.
    Drawn,
    /// Those are drawn again that the source draws.
    AsBefore,
    /// All are left out.
    LeftOut,
    /// Whichever makes the longer match.
    Either,
}

impl Mode {
    /// Whether a pixel is left out.
    pub fn leaves_out(self, pixel: u16) -> bool {
        let is_free = pixel & FREE != 0;
        let omitted = match self {
            Self::Drawn | Self::Either => false,
            Self::AsBefore => pixel & OMITTED != 0,
            Self::LeftOut => is_free,
        };
        pixel == CLEAR || (is_free && omitted)
    }
}

/// What is left of a frame.
pub struct Cropped {
    pub rect: Rect,
    /// [`CLEAR`], or an index; [`FREE`] is set where the canvas shows its colour already.
    pub pixels: Vec<u16>,
    /// Each one once.
    pub colours: Vec<Pixel>,
}

/// Shows every frame to `visit`. `false` where it stopped: there is no time left, or a frame is ambiguous.
///
/// # Errors
/// [`ImageError::Malformed`] where pixels cannot be decoded.
pub fn each_frame(file: &File<'_>, budget: Budget, mut visit: impl FnMut(&Frame<'_>)) -> Result<bool, ImageError> {
    let mut canvas = Canvas::new(file.screen.width.into(), file.screen.height.into());
    let (mut data, mut indices, mut stored) = (Vec::new(), Vec::new(), Vec::new());
    for (number, image) in file.images().enumerate() {
        let Some(palette) = image.local.or(file.global) else { return Ok(false) };
        if !budget.allows(std::time::Duration::ZERO) {
            return Ok(false);
        }
        join(image.data, &mut data);
        indices.resize(image.rect.area(), 0);
        let clear_cut = lzw::decode(&data, image.code_size, &mut indices)?;
        let known = palette.len() / 3;
        if !clear_cut || indices.iter().any(|index| usize::from(*index) >= known) {
            return Ok(false);
        }
        if image.interlaced {
            stored.clone_from(&indices);
            deinterlace(&stored, &mut indices, image.rect);
        }
        let table = table(palette, image.transparent());
        canvas.dispose();
        visit(&Frame { number, image, table: &table, indices: &indices, canvas: &canvas });
        canvas.draw(image.rect, image.disposal(), &indices, &table);
    }
    Ok(true)
}

/// The content of data sub-blocks.
fn join(mut blocks: &[u8], data: &mut Vec<u8>) {
    data.clear();
    while let Some((length, rest)) = blocks.split_first() {
        let (block, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        data.extend_from_slice(block);
        blocks = rest;
    }
}

/// The rows of the four passes (GIF89a, appendix E).
fn interlaced_rows(height: usize) -> impl Iterator<Item = usize> {
    [(0, 8), (4, 8), (2, 4), (1, 2)].into_iter().flat_map(move |(first, step)| (first..height).step_by(step))
}

/// Puts rows into the order that they are shown in.
pub fn deinterlace(stored: &[u8], indices: &mut [u8], rect: Rect) {
    for (row, stored) in interlaced_rows(rect.height).zip(stored.chunks_exact(rect.width)) {
        indices[row * rect.width..][..rect.width].copy_from_slice(stored);
    }
}

impl Frame<'_> {
    /// Whether the frame may be smaller, and leave pixels out. The first one is what still viewers show, and what it
    /// leaves out, some fill with the background colour, as some do where a frame without transparency is disposed of.
    fn may_shrink(&self) -> bool {
        let opaque_hole = self.image.disposal() == Disposal::Background && self.image.transparent().is_none();
        self.number > 0 && !opaque_hole
    }

    /// Crops to what changes the canvas now, or by disposal.
    pub fn crop(&self) -> Cropped {
        let rect = if self.may_shrink() { self.changed() } else { self.image.rect };
        let mut known = self.colours_in(rect);
        let mut pixels = Vec::with_capacity(rect.area());
        for y in rect.top..rect.top + rect.height {
            for (index, base) in self.row(y, rect.left, rect.width) {
                let colour = self.table[usize::from(index)];
                let is_free = self.may_shrink() && base != TRANSPARENT && (colour == TRANSPARENT || colour == base);
                pixels.push(if is_free {
                    let omitted = if colour == TRANSPARENT { OMITTED } else { 0 };
                    known.index_of(base).map_or(CLEAR, |index| index | FREE | omitted)
                } else if colour == TRANSPARENT {
                    CLEAR
                } else {
                    known.index_of(colour).unwrap_or(CLEAR)
                });
            }
        }
        Cropped { rect, pixels, colours: known.colours }
    }

    /// The colours that it draws. They come first, so that there is an index for each of them.
    fn colours_in(&self, rect: Rect) -> Known {
        let mut drawn = [false; 256];
        for y in rect.top..rect.top + rect.height {
            self.row(y, rect.left, rect.width).for_each(|(index, _)| drawn[usize::from(index)] = true);
        }
        let mut known = Known::default();
        for (colour, _) in self.table.iter().zip(drawn).filter(|(colour, drawn)| *drawn && **colour != TRANSPARENT) {
            known.learn(*colour);
        }
        known
    }

    /// A row of its indices from `left` on, with what is on the canvas there.
    fn row(
        &self,
        y: usize,
        left: usize,
        width: usize,
    ) -> impl DoubleEndedIterator<Item = (u8, Pixel)> + ExactSizeIterator {
        let Rect { left: own_left, top, width: own_width, .. } = self.image.rect;
        let indices = &self.indices[(y - top) * own_width + left - own_left..][..width];
        let canvas = &self.canvas.pixels[y * self.canvas.width + left..][..width];
        indices.iter().copied().zip(canvas.iter().copied())
    }

    fn changed(&self) -> Rect {
        let whole = self.image.rect;
        let clears = self.image.disposal() == Disposal::Background;
        let counts = |&(index, base): &(u8, Pixel)| {
            let colour = self.table[usize::from(index)];
            // What is cleared afterwards has to stay inside.
            (colour != TRANSPARENT && colour != base) || (clears && (colour != TRANSPARENT || base != TRANSPARENT))
        };
        let (mut rows, mut columns) = (None, None);
        for y in whole.top..whole.top + whole.height {
            let row = || self.row(y, whole.left, whole.width);
            let (Some(first), Some(last)) = (row().position(|p| counts(&p)), row().rposition(|p| counts(&p))) else {
                continue;
            };
            rows = Some((rows.map_or(y, |(top, _)| top), y));
            let (left, right) = columns.unwrap_or((first, last));
            columns = Some((left.min(first), right.max(last)));
        }
        // A frame that changes nothing still takes its time.
        let ((top, bottom), (left, right)) = (rows.unwrap_or((whole.top, whole.top)), columns.unwrap_or((0, 0)));
        Rect { left: whole.left + left, top, width: right - left + 1, height: bottom - top + 1 }
    }
}

impl Cropped {
    /// Its rows in the order of interlacing.
    pub fn interlaced(&self) -> Self {
        let width = self.rect.width;
        let rows = interlaced_rows(self.rect.height).flat_map(|row| &self.pixels[row * width..][..width]);
        Self { rect: self.rect, pixels: rows.copied().collect(), colours: self.colours.clone() }
    }
}

/// Colours by index.
#[derive(Default)]
struct Known {
    colours: Vec<Pixel>,
    indices: HashMap<Pixel, u16>,
    last: Option<(Pixel, Option<u16>)>,
}

impl Known {
    fn learn(&mut self, colour: Pixel) -> u16 {
        let index = self.colours.len() as u16;
        *self.indices.entry(colour).or_insert_with(|| {
            self.colours.push(colour);
            index
        })
    }

    /// `None` for a new one where there is no room.
    fn index_of(&mut self, colour: Pixel) -> Option<u16> {
        if let Some((last, index)) = self.last
            && last == colour
        {
            return index;
        }
        let has_room = self.colours.len() < MOST_COLOURS;
        let index = if has_room { Some(self.learn(colour)) } else { self.indices.get(&colour).copied() };
        self.last = Some((colour, index));
        index
    }
}
