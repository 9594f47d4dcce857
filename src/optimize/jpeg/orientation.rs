//! A picture as viewers turn it, band by band, so that a photograph taken upright needs no more memory than any other.

use std::ops::Range;

use crate::optimize::jpeg::dct::coefficients::{BLOCK, Block, Layout};
use crate::optimize::jpeg::dct::reconstruct::Rows;
use crate::optimize::picture::Rgb;

/// Rows of a band.
const BAND: usize = 128;

/// EXIF's value for a picture that is not turned, and the first of those that exchange width and height (Exif 2.32, 4.6.4).
pub const UPRIGHT: u8 = 1;
const TRANSPOSED: u8 = 5;
const ORIENTATIONS: Range<u8> = 1..9;

/// Width and height of the upright picture, in pixels.
#[must_use]
pub fn size(layout: &Layout, orientation: u8) -> (usize, usize) {
    if is_transposed(orientation) { (layout.height, layout.width) } else { (layout.width, layout.height) }
}

/// Where the upright picture shows the pixel that is stored at `x`, `y`: the inverse of [`Rgb::upright`].
#[must_use]
pub fn shown_at(layout: &Layout, orientation: u8, x: usize, y: usize) -> (usize, usize) {
    let (right, bottom) = (layout.width - 1 - x, layout.height - 1 - y);
    match orientation {
        2 => (right, y),
        3 => (right, bottom),
        4 => (x, bottom),
        5 => (y, x),
        6 => (bottom, x),
        7 => (bottom, right),
        8 => (y, right),
        _ => (x, y),
    }
}

fn is_transposed(orientation: u8) -> bool {
    ORIENTATIONS.contains(&orientation) && orientation >= TRANSPOSED
}

/// Part of a stored picture, in pixels.
pub struct Area {
    across: Range<usize>,
    down: Range<usize>,
}

/// The bands of a part of the upright picture, from its top, each as the pixels it has in the stored one.
pub fn bands_of(
    layout: &Layout,
    orientation: u8,
    across: Range<usize>,
    down: Range<usize>,
) -> impl Iterator<Item = Area> {
    down.clone()
        .step_by(BAND)
        .map(move |first| stored(layout, orientation, &across, &(first..(first + BAND).min(down.end))))
}

/// Where a part of the upright picture is stored.
fn stored(layout: &Layout, orientation: u8, across: &Range<usize>, down: &Range<usize>) -> Area {
    let back = |range: &Range<usize>, length: usize| length - range.end..length - range.start;
    let (width, height) = (layout.width, layout.height);
    let (x, y) = (across.clone(), down.clone());
    let (across, down) = match orientation {
        2 => (back(&x, width), y),
        3 => (back(&x, width), back(&y, height)),
        4 => (x, back(&y, height)),
        5 => (y, x),
        6 => (y, back(&x, height)),
        7 => (back(&y, width), back(&x, height)),
        8 => (back(&y, width), x),
        _ => (x, y),
    };
    Area { across, down }
}

/// A part of a picture, upright. `fill` receives a component, a row of its blocks and where in the row the wanted ones
/// begin. `None` as of [`Rows`].
pub fn decoded(
    layout: &Layout,
    area: &Area,
    orientation: u8,
    mut fill: impl FnMut(usize, usize, usize, &mut [Block]),
) -> Option<Rgb> {
    let (max_h, max_v) = layout.max_factors();
    let (across, down) = (Span::around(&area.across, max_h * BLOCK), Span::around(&area.down, max_v * BLOCK));
    let mut part = layout.clone();
    part.width = across.end.min(layout.width) - across.start;
    part.height = down.end.min(layout.height) - down.start;
    // Of each component the blocks to the left and above.
    let mut before = Vec::new();
    for component in &mut part.components {
        let (left, right) = (across.mcus.start * component.h, across.mcus.end * component.h);
        let (top, bottom) = (down.mcus.start * component.v, down.mcus.end * component.v);
        component.columns = right.min(component.columns) - left;
        component.rows = bottom.min(component.rows) - top;
        before.push((left, top));
    }
    let mut rows = Rows::new(&part, |component, row, out: &mut [Block]| {
        let (left, top) = before[component];
        fill(component, top + row, left, out);
    })?;
    let (width, height) = (area.across.len(), area.down.len());
    let mut samples = Vec::with_capacity(width * height * 3);
    for y in down.start..area.down.end {
        let [red, green, blue] = rows.read();
        if y >= area.down.start {
            let left = area.across.start - across.start;
            (left..left + width).for_each(|x| samples.extend([red[x], green[x], blue[x]]));
        }
    }
    Some(Rgb { width, height, samples }.upright(orientation))
}

/// What has to be decoded for a range of pixels: whole MCUs, and one more on either side, since upsampled chroma leans on
/// its neighbours.
struct Span {
    mcus: Range<usize>,
    start: usize,
    end: usize,
}

impl Span {
    fn around(pixels: &Range<usize>, mcu: usize) -> Self {
        let mcus = (pixels.start / mcu).saturating_sub(1)..pixels.end.div_ceil(mcu) + 1;
        Self { start: mcus.start * mcu, end: mcus.end * mcu, mcus }
    }
}
