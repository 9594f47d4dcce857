//! What a policy keeps of a PNG file, put together again: with its own coded pixels, or with others.

use std::borrow::Cow;

use super::chunks::{Chunk, Chunks, Color, Header, write};
use super::samples::Storage;
use crate::optimize::error::ImageError;
use crate::optimize::options::MetadataPolicy;

/// Part of how the pixels are coded, or an index of it (Apple's `iDOT`): a new encoding has its own.
#[rustfmt::skip]
const CODING: &[&[u8; 4]] = &[
    b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"hIST", b"acTL", b"fcTL", b"fdAT", b"iDOT",
];
/// What a policy keeps of a file.
#[derive(Debug)]
pub struct Kept<'a> {
    /// Whether the policy removed anything.
    pub stripped: bool,
    /// Whether a chunk stays whose meaning depends on the pixels in a way that nobody knows: then these, and how they are
    /// stored, have to stay.
    pub pinned: bool,
    pub(super) header: Header,
    pub(super) chunks: Vec<Chunk<'a>>,
}

impl<'a> Chunks<'a> {
    /// What the policy keeps.
    #[must_use]
    pub fn filter(&self, policy: MetadataPolicy) -> Kept<'a> {
        let keeps_all = policy == MetadataPolicy::All;
        let pinned = keeps_all && self.parts.iter().any(|chunk| chunk.is_bound_to_pixels(self.header));
        let chunks = Vec::with_capacity(self.parts.len());
        let mut kept = Kept { stripped: false, pinned, header: self.header, chunks };
        for chunk in &self.parts {
            let filtered = if keeps_all { Some(chunk.clone()) } else { chunk.filter(policy, self.header) };
            kept.stripped |= filtered.as_ref() != Some(chunk);
            kept.chunks.extend(filtered);
        }
        kept
    }
}

impl Kept<'_> {
    /// Whether `bKGD` asks for a colour that no gray picture can name.
    #[must_use]
    pub fn has_colored_background(&self) -> bool {
        let background = self.chunks.iter().find(|chunk| chunk.kind == *b"bKGD");
        background.is_some_and(|chunk| storage(self.header, &self.chunks).has_color(&chunk.data))
    }

    /// The file of the kept chunks, the coded image byte for byte.
    #[must_use]
    pub fn splice(&self) -> Vec<u8> {
        write(&self.chunks)
    }

    /// A freshly encoded file with what was kept of its source: each chunk that holds for the picture however its
    /// pixels are coded, and that the encoder did not write itself; background and significant bits in the terms of the
    /// new colour type.
    ///
    /// # Errors
    /// [`ImageError::Malformed`] where `encoded` is no PNG file.
    pub fn assemble(&self, encoded: &[u8]) -> Result<Vec<u8>, ImageError> {
        let Chunks { header, parts: mut own, .. } = Chunks::parse(encoded)?;
        let (mut first, mut colored, mut last) = (Vec::new(), Vec::new(), Vec::new());
        let mut is_behind_pixels = false;
        for chunk in &self.chunks {
            is_behind_pixels |= chunk.kind == *b"IDAT";
            if CODING.contains(&&chunk.kind) || own.iter().any(|own| own.kind == chunk.kind) {
                continue;
            }
            let chunk = self.translate(chunk, header, &mut own);
            // bKGD stands behind PLTE; all others may stand right after IHDR, and some must (PNG, table 7).
            match chunk.as_ref().map(|chunk| &chunk.kind) {
                Some(b"bKGD") => colored.extend(chunk),
                _ if is_behind_pixels => last.extend(chunk),
                _ => first.extend(chunk),
            }
        }
        let place = |kind: &[u8; 4]| own.iter().position(|chunk| chunk.kind == *kind).unwrap_or(own.len());
        let (before, pixels) = own.split_at(place(b"IDAT"));
        let (pixels, end) = pixels.split_at(pixels.len().saturating_sub(1));
        let (header, before) = before.split_at(1);
        let parts = [header, &first, before, &colored, pixels, &last, end];
        Ok(write(parts.into_iter().flatten()))
    }

    /// The file of the kept chunks, each in its place, with the coded pixels of another file; `None` where that stores them
    /// otherwise, so that they would mean something else.
    ///
    /// # Errors
    /// [`ImageError::Malformed`] where `encoded` is no PNG file.
    pub fn with_pixels_of(&self, encoded: &[u8]) -> Result<Option<Vec<u8>>, ImageError> {
        let own = Chunks::parse(encoded)?;
        let is_stored_alike = self.header == own.header
            && (self.header.color != Color::Indexed
                || storage(self.header, &self.chunks).palette == storage(own.header, &own.parts).palette);
        let has = |kind: &[u8; 4]| self.chunks.iter().any(|chunk| chunk.kind == *kind);
        if !is_stored_alike || has(b"acTL") {
            return Ok(None);
        }
        let is_pixels = |chunk: &&Chunk<'_>| chunk.kind == *b"IDAT";
        let first = self.chunks.iter().position(|chunk| is_pixels(&chunk)).unwrap_or(0);
        let (before, rest) = self.chunks.split_at(first);
        let before = before.iter().filter(|chunk| chunk.kind != *b"iDOT");
        let after = rest.iter().filter(|chunk| !is_pixels(chunk));
        Ok(Some(write(before.chain(own.parts.iter().filter(is_pixels)).chain(after))))
    }

    /// The chunk as it stands in a file of another header; `None` where it makes no sense there. A background that the
    /// palette lacks is added to it.
    fn translate<'c>(&self, chunk: &'c Chunk<'_>, header: Header, own: &mut [Chunk<'_>]) -> Option<Chunk<'c>> {
        // Only for those: to find a palette costs a pass over all chunks.
        let storages = || (storage(self.header, &self.chunks), storage(header, own));
        let data = match &chunk.kind {
            b"bKGD" => {
                let (source, target) = storages();
                let background = target.background(&source, &chunk.data)?;
                if let Some(color) = background.added {
                    let palette = own.iter_mut().find(|chunk| chunk.kind == *b"PLTE")?;
                    palette.data.to_mut().extend(color);
                }
                background.data.into()
            }
            b"sBIT" => {
                let (source, target) = storages();
                target.significant_bits(&source, &chunk.data)?.into()
            }
            _ => Cow::Borrowed(&*chunk.data),
        };
        Some(Chunk { kind: chunk.kind, data })
    }
}

fn storage<'c>(header: Header, chunks: &'c [Chunk<'_>]) -> Storage<'c> {
    let palette = chunks.iter().find(|chunk| chunk.kind == *b"PLTE").map_or(&[][..], |chunk| &*chunk.data);
    Storage { header, palette }
}
