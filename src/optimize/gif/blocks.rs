//! A GIF file taken apart into blocks, and put together again with those that the policy keeps.
//!
//! Verifies structure (GIF89a, appendix B); never decodes pixels. What stands inside of extensions is for `extension`.
//! Numbers in brackets are sections of the GIF89a specification.

use super::canvas::{Disposal, Rect};
use super::extension::{CONTROL, EXTENSION, Extension, PLAIN_TEXT};
use super::reader::{malformed, sub_blocks, take, take_array, truncated};
use crate::optimize::error::ImageError;
use crate::optimize::options::MetadataPolicy;

/// A file of more blocks than this is no picture: each costs memory here.
const MAX_BLOCKS: usize = 1 << 20;

pub const IMAGE: u8 = 0x2C;
pub const TRAILER: u8 = 0x3B;

/// In an image's packed field (20).
pub const INTERLACED: u8 = 0x40;

/// A GIF file, its blocks borrowed from the source.
#[derive(Debug)]
pub struct File<'a> {
    pub screen: Screen,
    /// The global colour table, three bytes each.
    pub global: Option<&'a [u8]>,
    pub blocks: Vec<Block<'a>>,
    /// Whether it carries a C2PA manifest, whose signature any change would break.
    pub signed: bool,
    /// What follows the trailer.
    pub trailing: &'a [u8],
    /// Whether it holds a construction that decoders show in different ways: its frames are best left as they are.
    pub ambiguous: bool,
    /// Header, screen descriptor and global colour table.
    beginning: &'a [u8],
}

/// The logical screen descriptor (18).
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    pub width: u16,
    pub height: u16,
    pub packed: u8,
    pub background: u8,
    pub aspect: u8,
}

#[derive(Debug, Clone)]
pub enum Block<'a> {
    Extension(Extension<'a>),
    Image(Image<'a>),
}

/// An image (20 to 22) with the graphic control extension (23) before it.
#[derive(Debug, Clone)]
pub struct Image<'a> {
    pub control: Option<Control>,
    pub rect: Rect,
    pub interlaced: bool,
    /// Its own colour table, three bytes each.
    pub local: Option<&'a [u8]>,
    pub code_size: u8,
    /// The sub-blocks of its pixels, terminator included.
    pub data: &'a [u8],
    /// From its separator on.
    bytes: &'a [u8],
}

/// A graphic control extension (23).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Control {
    pub packed: u8,
    pub delay: [u8; 2],
    transparent: u8,
}

impl Control {
    fn parse(extension: &[u8]) -> Option<Self> {
        let &[EXTENSION, CONTROL, 4, packed, low, high, transparent, 0] = extension else { return None };
        Some(Self { packed, delay: [low, high], transparent })
    }

    /// `None` for those that the specification leaves to be defined.
    fn disposal(self) -> Option<Disposal> {
        Disposal::of_code((self.packed >> 2) & 7)
    }

    fn transparent(self) -> Option<u8> {
        (self.packed & 1 == 1).then_some(self.transparent)
    }
}

impl<'a> Image<'a> {
    /// Frames with disposals of no meaning make the whole file [`ambiguous`](File::ambiguous).
    pub fn disposal(&self) -> Disposal {
        self.control.and_then(Control::disposal).unwrap_or(Disposal::Keep)
    }

    pub fn transparent(&self) -> Option<u8> {
        self.control.and_then(Control::transparent)
    }

    fn parse(rest: &mut &'a [u8], control: Option<Control>) -> Result<Self, ImageError> {
        let start = *rest;
        let &[_, l0, l1, t0, t1, w0, w1, h0, h1, packed] = take_array(rest)?;
        let size = |low, high| usize::from(u16::from_le_bytes([low, high]));
        let place = Rect { left: size(l0, l1), top: size(t0, t1), width: size(w0, w1), height: size(h0, h1) };
        let local = table(rest, packed)?;
        let &[code_size] = take_array(rest)?;
        let data = sub_blocks(rest)?;
        let bytes = &start[..start.len() - rest.len()];
        Ok(Self { control, rect: place, interlaced: packed & INTERLACED != 0, local, code_size, data, bytes })
    }

    /// Whether decoders show it in different ways.
    fn is_ambiguous(&self, screen: Rect, global: Option<&[u8]>) -> bool {
        !screen.contains(self.rect)
            || self.rect.is_empty()
            || (self.interlaced && !can_be_interlaced(self.rect))
            || self.local.or(global).is_none()
            || !(2..=8).contains(&self.code_size)
            || self.control.is_some_and(|control| control.disposal().is_none())
    }
}

impl<'a> File<'a> {
    /// Takes a file apart.
    ///
    /// # Errors
    /// [`ImageError::Malformed`] where a block is cut short or unknown, or the file shows nothing.
    pub fn parse(source: &'a [u8]) -> Result<Self, ImageError> {
        let mut rest = source;
        let &[b'G', b'I', b'F', b'8', b'7' | b'9', b'a'] = take_array(&mut rest)? else {
            return Err(malformed("no signature"));
        };
        let &[w0, w1, h0, h1, packed, background, aspect] = take_array(&mut rest)?;
        let (width, height) = (u16::from_le_bytes([w0, w1]), u16::from_le_bytes([h0, h1]));
        if width == 0 || height == 0 {
            return Err(malformed(format!("no picture of {width} × {height}")));
        }
        let screen = Screen { width, height, packed, background, aspect };
        let global = table(&mut rest, packed)?;
        let beginning = &source[..source.len() - rest.len()];
        let mut this =
            Self { screen, global, blocks: vec![], signed: false, trailing: &[], ambiguous: false, beginning };
        this.read_blocks(&mut rest)?;
        this.trailing = rest;
        if this.images().next().is_none() {
            return Err(malformed("no image"));
        }
        let ambiguous = this.images().any(|image| image.is_ambiguous(screen.rect(), global));
        this.ambiguous |= ambiguous || this.images().next().is_some_and(|first| this.fills_differ(first));
        Ok(this)
    }

    /// Whether some fill the canvas with a colour that has no meaning. If the first frame is opaque, those without alpha
    /// fill what it does not cover with its table's first colour, and what is cleared later with the one that stands
    /// where pixels are transparent.
    fn fills_differ(&self, first: &Image<'_>) -> bool {
        let clears = |image: &Image<'_>| image.disposal() == Disposal::Background && image.transparent().is_some();
        let is_bare = first.rect != self.screen.rect() && first.local.is_some();
        first.transparent().is_none() && (is_bare || self.images().any(clears))
    }

    fn read_blocks(&mut self, rest: &mut &'a [u8]) -> Result<(), ImageError> {
        let mut control = None;
        loop {
            match rest.first() {
                Some(&EXTENSION) => {
                    let extension = Extension::parse(rest)?;
                    if extension.label == CONTROL {
                        // One that nothing follows, or another, or that is of another size.
                        self.ambiguous |= control.is_some();
                        control = Control::parse(&extension.bytes);
                        self.ambiguous |= control.is_none();
                    }
                    // It is for this text then, and for the next image to those who show no texts.
                    self.ambiguous |= extension.label == PLAIN_TEXT;
                    self.signed |= extension.is_manifest();
                    self.blocks.push(Block::Extension(extension));
                }
                Some(&IMAGE) => self.blocks.push(Block::Image(Image::parse(rest, control.take())?)),
                Some(&TRAILER) => {
                    *rest = &rest[1..];
                    self.ambiguous |= control.is_some();
                    return Ok(());
                }
                Some(other) => return Err(malformed(format!("unknown block {other:#04x}"))),
                None => return Err(truncated()),
            }
            if self.blocks.len() > MAX_BLOCKS {
                return Err(malformed("too many blocks"));
            }
        }
    }

    pub fn images(&self) -> impl Iterator<Item = &Image<'a>> {
        self.blocks.iter().filter_map(|block| match block {
            Block::Image(image) => Some(image),
            Block::Extension(_) => None,
        })
    }

    /// Pixels of all frames together.
    pub fn drawn_pixels(&self) -> u64 {
        self.images().map(|image| image.rect.area() as u64).sum()
    }

    /// Takes out what the policy does not keep; whether there was any.
    pub fn strip(&mut self, policy: MetadataPolicy) -> bool {
        let mut stripped = false;
        let before = std::mem::take(&mut self.blocks);
        self.blocks.extend(before.into_iter().filter_map(|block| {
            let Block::Extension(extension) = &block else { return Some(block) };
            let filtered = extension.filter(policy);
            stripped |= filtered.as_ref() != Some(extension);
            filtered.map(Block::Extension)
        }));
        stripped
    }

    /// The file of its blocks, the coded images byte for byte; nothing after the trailer.
    #[must_use]
    pub fn splice(&self) -> Vec<u8> {
        let mut out = self.beginning.to_vec();
        for block in &self.blocks {
            out.extend_from_slice(match block {
                Block::Extension(extension) => &extension.bytes,
                Block::Image(image) => image.bytes,
            });
        }
        out.push(TRAILER);
        out
    }
}

impl Screen {
    pub fn rect(self) -> Rect {
        Rect { left: 0, top: 0, width: self.width.into(), height: self.height.into() }
    }
}

/// Whether no pass is empty, and none ends before another of its kind: decoders have been wrong about these.
pub fn can_be_interlaced(rect: Rect) -> bool {
    rect.height >= 8 && rect.height.is_multiple_of(2)
}

/// A colour table (19, 21) where the packed field announces one.
fn table<'a>(rest: &mut &'a [u8], packed: u8) -> Result<Option<&'a [u8]>, ImageError> {
    (packed & 0x80 != 0).then(|| take(rest, 3 << ((packed & 7) + 1))).transpose()
}
