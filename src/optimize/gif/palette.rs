//! Which colours frames share, and which labels they get.

use std::collections::{BTreeMap, BTreeSet};

use super::canvas::Pixel;
use super::crop::{Cropped, FREE, Mode};

/// Entries of the largest table.
pub const MOST: usize = 256;

/// Collects the colours of frames for a table that as many as possible share.
#[derive(Default)]
pub struct Gathering {
    /// In how many frames a colour is.
    colours: BTreeMap<Pixel, usize>,
}

impl Gathering {
    /// Adds the colours of a frame, if there is room for all of them.
    pub fn add(&mut self, colours: &BTreeSet<Pixel>) {
        let new = colours.iter().filter(|colour| !self.colours.contains_key(colour)).count();
        if self.colours.len() + new <= MOST {
            for colour in colours {
                *self.colours.entry(*colour).or_default() += 1;
            }
        }
    }

    /// The colours: `first`, then those of the most frames, so that frames of few colours get by with short codes.
    /// `clear` asks for one entry more, for pixels that are left out.
    pub fn shared(self, first: Option<Pixel>, clear: bool) -> Shared {
        let mut colours: Vec<_> = self.colours.into_iter().collect();
        colours.sort_by_key(|(colour, frames)| (Some(*colour) != first, std::cmp::Reverse(*frames)));
        let colours: Vec<Pixel> = colours.into_iter().map(|(colour, _)| colour).collect();
        let spare = usize::from(clear && colours.len() < MOST);
        Shared { entries: table_size(colours.len() + spare), colours }
    }
}

/// The global colour table.
pub struct Shared {
    pub colours: Vec<Pixel>,
    /// A power of two.
    entries: usize,
}

impl Shared {
    pub fn label(&self, colour: Pixel) -> Option<u8> {
        self.colours.iter().position(|own| *own == colour).map(|label| label as u8)
    }

    pub fn bytes(&self) -> Vec<u8> {
        bytes(&self.colours, self.entries)
    }
}

/// The colours that a frame needs.
pub struct Used<'c> {
    colours: &'c [Pixel],
    /// Colours of pixels that must be drawn.
    needed: [bool; MOST],
    /// Colours of pixels that may also be left transparent.
    wanted: [bool; MOST],
    /// Whether pixels are left out, or may be.
    pub leaves_out: bool,
}

/// A frame's indices in the terms of one table.
pub struct Labels {
    /// `None` where pixels of this colour are left out.
    pub of_index: [Option<u8>; MOST],
    /// The one that leaves the canvas as it is.
    pub clear: Option<u8>,
    pub code_size: u8,
    /// Its own table; `None` where it uses the global one.
    pub local: Option<Vec<u8>>,
}

impl<'c> Used<'c> {
    pub fn of(cropped: &'c Cropped, mode: Mode) -> Self {
        let (mut needed, mut wanted, mut leaves_out) = ([false; MOST], [false; MOST], false);
        for pixel in &cropped.pixels {
            let index = usize::from(*pixel & 0xFF);
            let is_free = mode == Mode::Either && pixel & FREE != 0;
            let omitted = mode.leaves_out(*pixel);
            leaves_out |= is_free || omitted;
            wanted[index] |= is_free;
            needed[index] |= !is_free && !omitted;
        }
        Self { colours: &cropped.colours, needed, wanted, leaves_out }
    }

    /// The colours that it cannot do without.
    pub fn colours(&self) -> BTreeSet<Pixel> {
        self.colours.iter().zip(self.needed).filter(|(_, needed)| *needed).map(|(colour, _)| *colour).collect()
    }

    /// Labels of a table of its own, with one that leaves the canvas as it is where `clear` asks for it.
    pub fn local(&self, clear: bool) -> Option<Labels> {
        let mut colours = Vec::new();
        let mut of_index = [None; MOST];
        for (index, colour) in self.colours.iter().enumerate() {
            if self.needed[index] || self.wanted[index] {
                of_index[index] = Some(colours.len() as u8);
                colours.push(*colour);
            }
        }
        let entries = colours.len() + usize::from(clear);
        let clear = clear.then_some(colours.len() as u8);
        let local = bytes(&colours, table_size(entries));
        (entries <= MOST).then(|| self.labels(&of_index, clear, Some(local)))
    }

    /// Labels of the global table, if it has what is needed.
    pub fn global(&self, shared: &Shared, clear: bool) -> Option<Labels> {
        let mut of_index = [None; MOST];
        for (index, colour) in self.colours.iter().enumerate() {
            if self.needed[index] || self.wanted[index] {
                of_index[index] = shared.label(*colour);
            }
        }
        if of_index.iter().zip(self.needed).any(|(label, needed)| needed && label.is_none()) {
            return None;
        }
        let unused = || (0..=(shared.entries - 1) as u8).find(|label| !of_index.contains(&Some(*label)));
        let clear = if clear { Some(unused()?) } else { None };
        Some(self.labels(&of_index, clear, None))
    }

    fn labels(&self, of_index: &[Option<u8>; MOST], clear: Option<u8>, local: Option<Vec<u8>>) -> Labels {
        let used = of_index.iter().copied().flatten().chain(clear.filter(|_| self.leaves_out));
        let highest = used.max().unwrap_or(0);
        // At least 2, also for two colours (GIF89a, appendix F).
        let code_size = (u8::BITS - highest.leading_zeros()).max(2) as u8;
        Labels { of_index: *of_index, clear, code_size, local }
    }
}

/// Tables hold 2 to 256 entries, by powers of two.
fn table_size(entries: usize) -> usize {
    entries.max(2).next_power_of_two()
}

fn bytes(colours: &[Pixel], entries: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = colours.iter().flat_map(|colour| colour.to_be_bytes().into_iter().skip(1)).collect();
    bytes.resize(entries * 3, 0);
    bytes
}

/// The packed field's announcement of a table (18, 20).
pub fn announced(table: &[u8]) -> u8 {
    0x80 | ((table.len() / 3).trailing_zeros() as u8).saturating_sub(1)
}
