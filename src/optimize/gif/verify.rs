//! The proof that two files show the same: both are read by the `gif` crate, which shares no code with what wrote them
//! but the LZW decoder.

use std::io::Cursor;
use std::num::NonZeroU64;
use std::time::Duration;

use gif::{DecodeOptions, Decoder, DecodingError, DisposalMethod, Frame, MemoryLimit};

use super::canvas::{Canvas, Disposal, Rect, table};
use super::crop::deinterlace;
use crate::optimize::Budget;

/// Whether two files show the same frames for the same time, as often; `false` as well where there is no time to tell.
/// Both are read in step, so that memory holds two canvases, however many the frames.
///
/// # Errors
/// Where either cannot be read.
pub fn are_same(source: &[u8], result: &[u8], budget: Budget) -> Result<bool, DecodingError> {
    let (mut a, mut b) = (Player::new(source)?, Player::new(result)?);
    if a.screen() != b.screen() || a.decoder.repeat() != b.decoder.repeat() {
        return Ok(false);
    }
    while budget.allows(Duration::ZERO) {
        match (a.next()?, b.next()?) {
            (None, None) => return Ok(true),
            (Some(one), Some(other)) if one.shown == other.shown => {
                // Equal before, they can differ in what was touched since only.
                let touched = [one.touched, other.touched].into_iter().flatten().flatten();
                let mut rows = touched.flat_map(|rect| rect.rows(a.canvas.width));
                if rows.any(|row| a.canvas.pixels[row.clone()] != b.canvas.pixels[row]) {
                    return Ok(false);
                }
            }
            _ => return Ok(false),
        }
    }
    Ok(false)
}

/// A file as it plays.
struct Player<'a> {
    decoder: Decoder<Cursor<&'a [u8]>>,
    canvas: Canvas,
    indices: Vec<u8>,
    stored: Vec<u8>,
}

/// One step of it.
struct Step {
    /// Hundredths of a second, how it is disposed of, whether input is waited for.
    shown: (u16, DisposalMethod, bool),
    /// Where the canvas may have changed.
    touched: [Option<Rect>; 2],
}

impl<'a> Player<'a> {
    fn new(file: &'a [u8]) -> Result<Self, DecodingError> {
        let mut options = DecodeOptions::new();
        options.check_frame_consistency(true);
        options.allow_unknown_blocks(true);
        // No frame is larger than the canvas, which a limit has passed.
        options.set_memory_limit(NonZeroU64::new(1 << 33).map_or(MemoryLimit::Unlimited, MemoryLimit::Bytes));
        let decoder = options.read_info(Cursor::new(file))?;
        let canvas = Canvas::new(decoder.width().into(), decoder.height().into());
        Ok(Self { decoder, canvas, indices: Vec::new(), stored: Vec::new() })
    }

    fn screen(&self) -> (u16, u16) {
        (self.decoder.width(), self.decoder.height())
    }

    fn next(&mut self) -> Result<Option<Step>, DecodingError> {
        let Some(frame) = self.decoder.next_frame_info()? else { return Ok(None) };
        let (rect, transparent, interlaced) = (rect(frame), frame.transparent, frame.interlaced);
        let shown = (frame.delay, frame.dispose, frame.needs_user_input);
        let disposal = match frame.dispose {
            DisposalMethod::Any | DisposalMethod::Keep => Disposal::Keep,
            DisposalMethod::Background => Disposal::Background,
            DisposalMethod::Previous => Disposal::Previous,
        };
        self.indices.resize(rect.area(), 0);
        // All at once: gif 0.14 fails on short rows of sound interlaced frames (image-gif, pull request 232).
        if !self.decoder.fill_buffer(&mut self.indices)? {
            return Err(DecodingError::UnexpectedEof);
        }
        if interlaced {
            self.stored.clone_from(&self.indices);
            deinterlace(&self.stored, &mut self.indices, rect);
        }
        let disposed = self.canvas.dispose();
        self.canvas.draw(rect, disposal, &self.indices, &table(self.decoder.palette()?, transparent));
        Ok(Some(Step { shown, touched: [disposed, Some(rect)] }))
    }
}

fn rect(frame: &Frame<'_>) -> Rect {
    let [left, top, width, height] = [frame.left, frame.top, frame.width, frame.height].map(usize::from);
    Rect { left, top, width, height }
}
