//! The canvas that frames are drawn on.
//!
//! Follows the disposal methods of the GIF89a specification (23.c.iv), "background" being transparent, as everywhere.

use std::ops::Range;

/// A colour as 0xFFRRGGBB, or transparent.
pub type Pixel = u32;
pub const TRANSPARENT: Pixel = 0;

/// What each index shows; 0 where it leaves the canvas as it is.
pub type Table = [Pixel; 256];

/// The table of a palette of three bytes each. Indices beyond it show nothing.
pub fn table(palette: &[u8], transparent: Option<u8>) -> Table {
    let mut table = [TRANSPARENT; 256];
    for (entry, colour) in table.iter_mut().zip(palette.chunks_exact(3)) {
        *entry = u32::from_be_bytes([0xFF, colour[0], colour[1], colour[2]]);
    }
    if let Some(index) = transparent {
        table[usize::from(index)] = TRANSPARENT;
    }
    table
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rect {
    pub left: usize,
    pub top: usize,
    pub width: usize,
    pub height: usize,
}

impl Rect {
    pub fn is_empty(self) -> bool {
        self.width == 0 || self.height == 0
    }

    pub fn area(self) -> usize {
        self.width * self.height
    }

    pub fn contains(self, other: Self) -> bool {
        self.left <= other.left
            && self.top <= other.top
            && other.left + other.width <= self.left + self.width
            && other.top + other.height <= self.top + self.height
    }

    /// Where its rows stand in a picture of this width.
    pub fn rows(self, width: usize) -> impl Iterator<Item = Range<usize>> {
        (self.top..self.top + self.height).map(move |y| {
            let start = y * width + self.left;
            start..start + self.width
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposal {
    Keep,
    Background,
    Previous,
}

impl Disposal {
    /// 0 says nothing, which every decoder takes for "do not dispose"; from 4 on they differ.
    pub fn of_code(code: u8) -> Option<Self> {
        match code {
            0 | 1 => Some(Self::Keep),
            2 => Some(Self::Background),
            3 => Some(Self::Previous),
            _ => None,
        }
    }
}

/// What is on display.
#[derive(Debug)]
pub struct Canvas {
    pub width: usize,
    pub pixels: Vec<Pixel>,
    /// What is to be done before the next frame.
    pending: Option<(Rect, Disposal)>,
    /// What stood in that place before.
    saved: Vec<Pixel>,
}

impl Canvas {
    pub fn new(width: usize, height: usize) -> Self {
        Self { width, pixels: vec![TRANSPARENT; width * height], pending: None, saved: Vec::new() }
    }

    /// Disposes of the last frame; where it stood.
    pub fn dispose(&mut self) -> Option<Rect> {
        let (rect, disposal) = self.pending.take()?;
        for (at, row) in rect.rows(self.width).enumerate() {
            match disposal {
                Disposal::Keep => break,
                Disposal::Background => self.pixels[row].fill(TRANSPARENT),
                Disposal::Previous => {
                    self.pixels[row].copy_from_slice(&self.saved[at * rect.width..][..rect.width]);
                }
            }
        }
        Some(rect)
    }

    /// Draws the next frame, which lies inside.
    pub fn draw(&mut self, rect: Rect, disposal: Disposal, indices: &[u8], table: &Table) {
        self.saved.clear();
        for (row, indices) in rect.rows(self.width).zip(indices.chunks_exact(rect.width.max(1))) {
            let row = &mut self.pixels[row];
            if disposal == Disposal::Previous {
                self.saved.extend_from_slice(row);
            }
            for (pixel, index) in row.iter_mut().zip(indices) {
                let colour = table[usize::from(*index)];
                if colour != TRANSPARENT {
                    *pixel = colour;
                }
            }
        }
        self.pending = Some((rect, disposal));
    }
}
