//! Coefficients decoded to rows of colours, one row of blocks at a time: bit for bit what libjpeg-turbo does by default
//! with a file of them, so that a file can be judged before it is written.
//!
//! Islow IDCT (jidctint.c), triangle chroma upsampling (jdsample.c), JFIF's conversion (jdcolor.c). Loops run by index
//! over slices of one length, which the compiler makes vectors of.
#![allow(clippy::needless_range_loop, clippy::inline_always)]

use std::num::Wrapping;

use archmage::autoversion;

use super::coefficients::{BLOCK, Block, ColorModel, Component, Layout};
use crate::optimize::picture::Row;

/// Rows of samples that a component keeps: what a row of MCUs has at the most, and as many before it.
const RING: usize = 2 * 4 * BLOCK;

/// An image whose rows are decoded one after the other.
pub struct Rows<'a, F> {
    layout: &'a Layout,
    /// Fills a component's row of blocks.
    fill: F,
    planes: Vec<Plane>,
    /// The next row of pixels.
    next: usize,
    /// A row of each component at full size.
    full: Vec<Vec<u8>>,
    /// A row of red, green, blue.
    colors: [Vec<u8>; 3],
}

/// A component's last rows of samples.
struct Plane {
    upsampling: Upsampling,
    /// Samples across and down, without what fills the last blocks.
    width: usize,
    height: usize,
    stride: usize,
    steps: [i32; 64],
    /// Row `y` at `y % RING`.
    samples: Vec<u8>,
    /// Rows decoded.
    decoded: usize,
    blocks: Vec<Block>,
    /// A row on its way to twice the width.
    wide: Vec<u16>,
}

impl<'a, F: FnMut(usize, usize, &mut [Block])> Rows<'a, F> {
    /// `fill` is asked for each row of a component's blocks once, from the top. `None` where the picture has no colours
    /// that can be judged, or sampling factors that libjpeg refuses.
    #[must_use]
    pub fn new(layout: &'a Layout, fill: F) -> Option<Self> {
        let known = matches!((layout.model, layout.components.len()), (ColorModel::Gray, 1) | (ColorModel::YCbCr, 3));
        let planes = layout.components.iter().map(|c| Plane::new(layout, c)).collect::<Option<Vec<_>>>()?;
        let at_full_size = vec![vec![0; layout.width + BLOCK]; planes.len()];
        let colors = std::array::from_fn(|_| vec![0; layout.width]);
        known.then(|| Self { layout, fill, planes, next: 0, full: at_full_size, colors })
    }

    /// The next row's red, green and blue.
    pub fn read(&mut self) -> Row<'_> {
        let y = self.next;
        self.next += 1;
        for (index, (plane, full)) in self.planes.iter_mut().zip(&mut self.full).enumerate() {
            plane.decode_for(y, |row, blocks| (self.fill)(index, row, blocks));
            plane.upsample(y, &mut full[..=self.layout.width]);
        }
        match &self.full[..] {
            [luma, cb, cr] => {
                to_rgb(luma, cb, cr, &mut self.colors);
                self.colors.each_ref().map(Vec::as_slice)
            }
            // Gray, of which there is but one.
            components => [0; 3].map(|luma| &components[luma][..self.layout.width]),
        }
    }
}

/// How a component comes to the size of the picture (`jinit_upsampler`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Upsampling {
    /// Each sample as often as this, across and down.
    Repeated(usize, usize),
    /// Twice across by a triangle filter.
    Across,
    /// Twice down.
    Down,
    Both,
}

impl Upsampling {
    fn of(layout: &Layout, component: &Component, width: usize) -> Option<Self> {
        let (max_h, max_v) = layout.max_factors();
        let (h, v) = (component.h.max(1), component.v.max(1));
        if !max_h.is_multiple_of(h) || !max_v.is_multiple_of(v) {
            return None;
        }
        Some(match (max_h / h, max_v / v) {
            (2, 1) if width > 2 => Self::Across,
            (1, 2) => Self::Down,
            (2, 2) if width > 2 => Self::Both,
            (across, down) => Self::Repeated(across, down),
        })
    }

    /// Rows of pixels per row of samples.
    fn down(self) -> usize {
        match self {
            Self::Repeated(_, down) => down,
            Self::Across => 1,
            Self::Down | Self::Both => 2,
        }
    }
}

impl Plane {
    fn new(layout: &Layout, component: &Component) -> Option<Self> {
        let (width, height) = layout.samples(component);
        let stride = component.columns * BLOCK;
        Some(Self {
            upsampling: Upsampling::of(layout, component, width)?,
            width,
            height,
            stride,
            steps: component.table.map(i32::from),
            samples: vec![0; stride * RING],
            decoded: 0,
            blocks: vec![[0; 64]; component.columns],
            wide: vec![0; width],
        })
    }

    /// Decodes as far as a row of pixels, and the samples around it, ask for.
    fn decode_for(&mut self, y: usize, mut fill: impl FnMut(usize, &mut [Block])) {
        let needed = (y / self.upsampling.down() + 1).min(self.height - 1);
        while self.decoded <= needed {
            fill(self.decoded / BLOCK, &mut self.blocks);
            let at = self.decoded % RING * self.stride;
            inverse_row(&self.blocks, &self.steps, &mut self.samples[at..at + BLOCK * self.stride], self.stride);
            self.decoded += BLOCK;
        }
    }

    fn upsample(&mut self, y: usize, out: &mut [u8]) {
        let row = |y: usize| {
            let at = y.min(self.height - 1) % RING * self.stride;
            &self.samples[at..at + self.width]
        };
        // Of two rows of pixels the upper one leans on the samples above, the lower one on those below.
        let (near, upper) = (y / 2, y.is_multiple_of(2));
        let far = if upper { near.saturating_sub(1) } else { near + 1 };
        match self.upsampling {
            Upsampling::Repeated(1, down) => {
                let row = row(y / down);
                out[..row.len()].copy_from_slice(row);
            }
            Upsampling::Repeated(across, down) => {
                let row = row(y / down);
                out.chunks_mut(across).zip(row).for_each(|(out, sample)| out.fill(*sample));
            }
            Upsampling::Across => {
                widen_samples(row(y), &mut self.wide);
                doubled(&self.wide, &TRIANGLE_ACROSS, out);
            }
            Upsampling::Down => triangle_down(row(near), row(far), if upper { 1 } else { 2 }, out),
            Upsampling::Both => {
                weighed(row(near), row(far), &mut self.wide);
                doubled(&self.wide, &TRIANGLE, out);
            }
        }
    }
}

#[autoversion(v3, neon)]
fn widen_samples(row: &[u8], wide: &mut [u16]) {
    let n = wide.len();
    let row = &row[..n];
    for i in 0..n {
        wide[i] = row[i].into();
    }
}

/// `h1v2_fancy_upsample`.
#[autoversion(v3, neon)]
fn triangle_down(near: &[u8], far: &[u8], bias: u16, out: &mut [u8]) {
    let n = near.len();
    let (far, out) = (&far[..n], &mut out[..n]);
    for i in 0..n {
        out[i] = ((u16::from(near[i]) * 3 + u16::from(far[i]) + bias) >> 2) as u8;
    }
}

/// Three quarters of one row, and one of the next, times four.
#[autoversion(v3, neon)]
fn weighed(near: &[u8], far: &[u8], sums: &mut [u16]) {
    let n = sums.len();
    let (near, far) = (&near[..n], &far[..n]);
    for i in 0..n {
        sums[i] = u16::from(near[i]) * 3 + u16::from(far[i]);
    }
}

/// How a triangle filter rounds on the left and on the right of a sample, and the bits it then drops.
struct Rounding {
    left: u16,
    right: u16,
    shift: u32,
}

/// `h2v1_fancy_upsample`.
const TRIANGLE_ACROSS: Rounding = Rounding { left: 1, right: 2, shift: 2 };
/// `h2v2_fancy_upsample`.
const TRIANGLE: Rounding = Rounding { left: 8, right: 7, shift: 4 };

/// Two samples of each: three quarters of it, and one of its neighbour on either side, or of itself at the edges. The
/// last one is left out where `out` is too short for it.
fn doubled(row: &[u16], rounding: &Rounding, out: &mut [u8]) {
    let last = row.len() - 1;
    let &Rounding { left, right, shift } = rounding;
    let edges = [0, last].map(|i| row[i] * 4);
    if last > 0 {
        between(row, rounding, &mut out[1..=2 * last]);
    }
    out[0] = ((edges[0] + left) >> shift) as u8;
    if let Some(out) = out.get_mut(2 * last + 1) {
        *out = ((edges[1] + right) >> shift) as u8;
    }
}

/// What lies between each sample and the next.
#[autoversion(v3, neon)]
fn between(row: &[u16], rounding: &Rounding, out: &mut [u8]) {
    let pairs = row.len() - 1;
    let (near, far, out) = (&row[..pairs], &row[1..=pairs], &mut out[..2 * pairs]);
    let &Rounding { left, right, shift } = rounding;
    for i in 0..pairs {
        out[2 * i] = ((near[i] * 3 + far[i] + right) >> shift) as u8;
        out[2 * i + 1] = ((far[i] * 3 + near[i] + left) >> shift) as u8;
    }
}

/// JFIF's conversion with the factors of jdcolor.c, in 1/65,536.
#[autoversion(v3, neon)]
fn to_rgb(luma: &[u8], cb: &[u8], cr: &[u8], out: &mut [Vec<u8>; 3]) {
    const RED_OF_CR: i32 = 91_881;
    const BLUE_OF_CB: i32 = 116_130;
    const GREEN_OF_CR: i32 = -46_802;
    const GREEN_OF_CB: i32 = -22_554;
    const HALF: i32 = 1 << 15;
    let n = out[0].len();
    let [red, green, blue] = out;
    let (red, green, blue) = (&mut red[..n], &mut green[..n], &mut blue[..n]);
    let (luma, cb, cr) = (&luma[..n], &cb[..n], &cr[..n]);
    for i in 0..n {
        let (luma, cb, cr) = (i32::from(luma[i]), i32::from(cb[i]) - 128, i32::from(cr[i]) - 128);
        red[i] = (luma + ((RED_OF_CR * cr + HALF) >> 16)).clamp(0, 255) as u8;
        green[i] = (luma + ((GREEN_OF_CB * cb + GREEN_OF_CR * cr + HALF) >> 16)).clamp(0, 255) as u8;
        blue[i] = (luma + ((BLUE_OF_CB * cb + HALF) >> 16)).clamp(0, 255) as u8;
    }
}

/// The inverse DCT of a row of blocks, each dequantized by `steps`, to eight rows of samples.
#[autoversion(v3, neon)]
fn inverse_row(blocks: &[Block], steps: &[i32; 64], out: &mut [u8], stride: usize) {
    for column in 0..blocks.len() {
        let (block, left) = (&blocks[column], column * BLOCK);
        if is_flat(block) {
            // Both passes come to this where there is but a mean.
            let mean = i32::from(block[0]).wrapping_mul(steps[0]).clamp(-OUT_OF_RANGE, OUT_OF_RANGE);
            let sample = (((mean << PASS1_BITS) + (1 << (PASS1_BITS + 2))) >> (PASS1_BITS + 3)) + CENTER;
            let row = [sample.clamp(0, 255) as u8; BLOCK];
            for y in 0..BLOCK {
                out[y * stride + left..][..BLOCK].copy_from_slice(&row);
            }
            continue;
        }
        let mut rows = [[Wrapping(0_i32); BLOCK]; BLOCK];
        for y in 0..BLOCK {
            for x in 0..BLOCK {
                rows[y][x] = Wrapping(i32::from(block[y * BLOCK + x]).wrapping_mul(steps[y * BLOCK + x]));
            }
        }
        let columns = transposed(&inverse_pass(&rows, CONST_BITS - PASS1_BITS));
        let samples = transposed(&inverse_pass(&columns, CONST_BITS + PASS1_BITS + 3));
        for y in 0..BLOCK {
            let mut row = [0; BLOCK];
            for x in 0..BLOCK {
                row[x] = (samples[y][x].0.clamp(-OUT_OF_RANGE, OUT_OF_RANGE) + CENTER).clamp(0, 255) as u8;
            }
            out[y * stride + left..][..BLOCK].copy_from_slice(&row);
        }
    }
}

/// Whether a block holds nothing but its mean.
#[inline(always)]
fn is_flat(block: &Block) -> bool {
    let mut any = 0;
    for k in 1..64 {
        any |= block[k];
    }
    any == 0
}

/// jidctint.c: bits of the constants' fractions, and those that the first pass leaves for the second.
const CONST_BITS: usize = 13;
const PASS1_BITS: usize = 2;
/// What is added since samples are centred on 0.
const CENTER: i32 = 128;
/// Far beyond any sample, and far from overflow.
const OUT_OF_RANGE: i32 = 1 << 20;

type Square = [[Wrapping<i32>; BLOCK]; BLOCK];

#[inline(always)]
fn transposed(square: &Square) -> Square {
    let mut out = [[Wrapping(0); BLOCK]; BLOCK];
    for y in 0..BLOCK {
        for x in 0..BLOCK {
            out[y][x] = square[x][y];
        }
    }
    out
}

/// One dimension of the inverse DCT (jidctint.c, `jpeg_idct_islow`), of eight columns side by side: the vertical one.
#[inline(always)]
fn inverse_pass(rows: &Square, descale: usize) -> Square {
    const FIX_0_298631336: Wrapping<i32> = Wrapping(2446);
    const FIX_0_390180644: Wrapping<i32> = Wrapping(3196);
    const FIX_0_541196100: Wrapping<i32> = Wrapping(4433);
    const FIX_0_765366865: Wrapping<i32> = Wrapping(6270);
    const FIX_0_899976223: Wrapping<i32> = Wrapping(7373);
    const FIX_1_175875602: Wrapping<i32> = Wrapping(9633);
    const FIX_1_501321110: Wrapping<i32> = Wrapping(12299);
    const FIX_1_847759065: Wrapping<i32> = Wrapping(15137);
    const FIX_1_961570560: Wrapping<i32> = Wrapping(16069);
    const FIX_2_053119869: Wrapping<i32> = Wrapping(16819);
    const FIX_2_562915447: Wrapping<i32> = Wrapping(20995);
    const FIX_3_072711026: Wrapping<i32> = Wrapping(25172);
    let mut out = [[Wrapping(0); BLOCK]; BLOCK];
    let half = Wrapping(1 << (descale - 1));
    for i in 0..BLOCK {
        // Even part.
        let z1 = (rows[2][i] + rows[6][i]) * FIX_0_541196100;
        let even2 = z1 - rows[6][i] * FIX_1_847759065;
        let even3 = z1 + rows[2][i] * FIX_0_765366865;
        let even0 = (rows[0][i] + rows[4][i]) << CONST_BITS;
        let even1 = (rows[0][i] - rows[4][i]) << CONST_BITS;
        let (t10, t13) = (even0 + even3, even0 - even3);
        let (t11, t12) = (even1 + even2, even1 - even2);
        // Odd part.
        let (o0, o1, o2, o3) = (rows[7][i], rows[5][i], rows[3][i], rows[1][i]);
        let z5 = (o0 + o2 + o1 + o3) * FIX_1_175875602;
        let z1 = -(o0 + o3) * FIX_0_899976223;
        let z2 = -(o1 + o2) * FIX_2_562915447;
        let z3 = z5 - (o0 + o2) * FIX_1_961570560;
        let z4 = z5 - (o1 + o3) * FIX_0_390180644;
        let o0 = o0 * FIX_0_298631336 + z1 + z3;
        let o1 = o1 * FIX_2_053119869 + z2 + z4;
        let o2 = o2 * FIX_3_072711026 + z2 + z3;
        let o3 = o3 * FIX_1_501321110 + z1 + z4;
        out[0][i] = (t10 + o3 + half) >> descale;
        out[7][i] = (t10 - o3 + half) >> descale;
        out[1][i] = (t11 + o2 + half) >> descale;
        out[6][i] = (t11 - o2 + half) >> descale;
        out[2][i] = (t12 + o1 + half) >> descale;
        out[5][i] = (t12 - o1 + half) >> descale;
        out[3][i] = (t13 + o0 + half) >> descale;
        out[4][i] = (t13 - o0 + half) >> descale;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimize::jpeg::dct::coefficients::Blocks;
    use crate::optimize::jpeg::libjpeg::tests::picture;
    use crate::optimize::jpeg::libjpeg::{Coded, decode_rgb, encode};

    fn decoded(file: &[u8]) -> Vec<u8> {
        let source = Coded::read(file, 100).unwrap();
        let layout = source.layout();
        let mut rows = Rows::new(layout, |component, row, out: &mut [Block]| {
            out.copy_from_slice(source.row(component, row));
        })
        .unwrap();
        let mut samples = Vec::new();
        for _ in 0..layout.height {
            let [red, green, blue] = rows.read();
            (0..layout.width).for_each(|x| samples.extend([red[x], green[x], blue[x]]));
        }
        samples
    }

    #[test]
    fn every_sample_is_libjpegs() {
        let sizes = [(97, 45), (64, 64), (33, 18), (16, 16), (5, 3), (3, 200), (200, 3), (1, 1), (2, 2), (6, 9)];
        for (width, height) in sizes {
            for (h, v) in [(1, 1), (2, 1), (2, 2), (1, 2), (4, 1), (4, 2), (1, 4)] {
                for scale in [4, 60, 300] {
                    let file = encode(&picture(width, height, h, v), scale).unwrap();
                    let theirs = decode_rgb(&file, 100).unwrap();
                    assert_eq!(decoded(&file), theirs.samples, "{width} × {height}, {h}x{v}, scale {scale}");
                }
            }
        }
    }
}
