//! Coefficients decoded to rows of colours, one row of blocks at a time: bit for bit what libjpeg-turbo does by default
//! with a file of them, so that a file can be judged before it is written.
//!
//! Islow IDCT (jidctint.c), triangle chroma upsampling (jdsample.c), JFIF's conversion (jdcolor.c).

use std::num::Wrapping;

use archmage::autoversion;

use super::coefficients::{BLOCK, Block, ColorModel, Component, Layout};

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
}

impl<'a, F: FnMut(usize, usize, &mut [Block])> Rows<'a, F> {
    /// `fill` is asked for each row of a component's blocks once, from the top. `None` where the picture has no colours
    /// that can be judged, or sampling factors that libjpeg refuses.
    #[must_use]
    pub fn new(layout: &'a Layout, fill: F) -> Option<Self> {
        let known = matches!((layout.model, layout.components.len()), (ColorModel::Gray, 1) | (ColorModel::YCbCr, 3));
        let planes = layout.components.iter().map(|c| Plane::new(layout, c)).collect::<Option<Vec<_>>>()?;
        let full = vec![vec![0; layout.width + BLOCK]; planes.len()];
        known.then(|| Self { layout, fill, planes, next: 0, full })
    }

    /// Writes the next row's red, green, blue to `out`, which is as long as the picture is wide, times three.
    pub fn read(&mut self, out: &mut [u8]) {
        let y = self.next;
        self.next += 1;
        for (index, (plane, full)) in self.planes.iter_mut().zip(&mut self.full).enumerate() {
            plane.decode_for(y, |row, blocks| (self.fill)(index, row, blocks));
            plane.upsample(y, &mut full[..self.layout.width + 1]);
        }
        match &self.full[..] {
            [gray] => out.chunks_exact_mut(3).zip(gray).for_each(|(pixel, v)| pixel.fill(*v)),
            [luma, cb, cr, ..] => to_rgb(luma, cb, cr, out),
            _ => {}
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

    fn row(&self, y: usize) -> &[u8] {
        let at = y.min(self.height - 1) % RING * self.stride;
        &self.samples[at..at + self.width]
    }

    fn upsample(&self, y: usize, out: &mut [u8]) {
        // Of two rows of pixels the upper one leans on the samples above, the lower one on those below.
        let (near, upper) = (y / 2, y.is_multiple_of(2));
        let far = if upper { near.saturating_sub(1) } else { near + 1 };
        match self.upsampling {
            Upsampling::Repeated(1, down) => {
                let row = self.row(y / down);
                out[..row.len()].copy_from_slice(row);
            }
            Upsampling::Repeated(across, down) => {
                let row = self.row(y / down);
                out.chunks_mut(across).zip(row).for_each(|(out, sample)| out.fill(*sample));
            }
            Upsampling::Across => triangle_across(self.row(y), out),
            Upsampling::Down => triangle_down(self.row(near), self.row(far), if upper { 1 } else { 2 }, out),
            Upsampling::Both => triangle(self.row(near), self.row(far), out),
        }
    }
}

/// `h2v1_fancy_upsample`.
#[autoversion(v3, neon)]
fn triangle_across(row: &[u8], out: &mut [u8]) {
    let last = row.len() - 1;
    let wide = |v: u8| u16::from(v);
    out[0] = row[0];
    out[1] = ((wide(row[0]) * 3 + wide(row[1]) + 2) >> 2) as u8;
    for (around, out) in row.windows(3).zip(out[2..].chunks_exact_mut(2)) {
        let near = u16::from(around[1]) * 3;
        out[0] = ((near + u16::from(around[0]) + 1) >> 2) as u8;
        out[1] = ((near + u16::from(around[2]) + 2) >> 2) as u8;
    }
    out[2 * last] = ((wide(row[last]) * 3 + wide(row[last - 1]) + 1) >> 2) as u8;
    if let Some(out) = out.get_mut(2 * last + 1) {
        *out = row[last];
    }
}

/// `h1v2_fancy_upsample`.
#[autoversion(v3, neon)]
fn triangle_down(near: &[u8], far: &[u8], bias: u16, out: &mut [u8]) {
    for ((near, far), out) in near.iter().zip(far).zip(out) {
        *out = ((u16::from(*near) * 3 + u16::from(*far) + bias) >> 2) as u8;
    }
}

/// `h2v2_fancy_upsample`.
#[autoversion(v3, neon)]
fn triangle(near: &[u8], far: &[u8], out: &mut [u8]) {
    let last = near.len() - 1;
    let sum = |i: usize| u16::from(near[i]) * 3 + u16::from(far[i]);
    out[0] = ((sum(0) * 4 + 8) >> 4) as u8;
    out[1] = ((sum(0) * 3 + sum(1) + 7) >> 4) as u8;
    for ((near, far), out) in near.windows(3).zip(far.windows(3)).zip(out[2..].chunks_exact_mut(2)) {
        let before = u16::from(near[0]) * 3 + u16::from(far[0]);
        let here = u16::from(near[1]) * 3 + u16::from(far[1]);
        let after = u16::from(near[2]) * 3 + u16::from(far[2]);
        out[0] = ((here * 3 + before + 8) >> 4) as u8;
        out[1] = ((here * 3 + after + 7) >> 4) as u8;
    }
    out[2 * last] = ((sum(last) * 3 + sum(last - 1) + 8) >> 4) as u8;
    if let Some(out) = out.get_mut(2 * last + 1) {
        *out = ((sum(last) * 4 + 7) >> 4) as u8;
    }
}

/// JFIF's conversion with the factors of jdcolor.c, in 1/65,536.
#[autoversion(v3, neon)]
fn to_rgb(luma: &[u8], cb: &[u8], cr: &[u8], out: &mut [u8]) {
    const RED_OF_CR: i32 = 91_881;
    const BLUE_OF_CB: i32 = 116_130;
    const GREEN_OF_CR: i32 = -46_802;
    const GREEN_OF_CB: i32 = -22_554;
    const HALF: i32 = 1 << 15;
    for (((luma, cb), cr), out) in luma.iter().zip(cb).zip(cr).zip(out.chunks_exact_mut(3)) {
        let (luma, cb, cr) = (i32::from(*luma), i32::from(*cb) - 128, i32::from(*cr) - 128);
        out[0] = (luma + ((RED_OF_CR * cr + HALF) >> 16)).clamp(0, 255) as u8;
        out[1] = (luma + ((GREEN_OF_CB * cb + GREEN_OF_CR * cr + HALF) >> 16)).clamp(0, 255) as u8;
        out[2] = (luma + ((BLUE_OF_CB * cb + HALF) >> 16)).clamp(0, 255) as u8;
    }
}

/// The inverse DCT of a row of blocks, each dequantized by `steps`, to eight rows of samples.
#[autoversion(v3, neon)]
fn inverse_row(blocks: &[Block], steps: &[i32; 64], out: &mut [u8], stride: usize) {
    for (column, block) in blocks.iter().enumerate() {
        let left = column * BLOCK;
        if block[1..].iter().all(|c| *c == 0) {
            // Both passes come to this where there is but a mean.
            let mean = i32::from(block[0]).wrapping_mul(steps[0]).clamp(-OUT_OF_RANGE, OUT_OF_RANGE);
            let sample = (((mean << PASS1_BITS) + (1 << (PASS1_BITS + 2))) >> (PASS1_BITS + 3)) + CENTER;
            let sample = sample.clamp(0, 255) as u8;
            (0..BLOCK).for_each(|y| out[y * stride + left..][..BLOCK].fill(sample));
            continue;
        }
        let mut rows = [[Wrapping(0_i32); BLOCK]; BLOCK];
        for (y, row) in rows.iter_mut().enumerate() {
            for (x, value) in row.iter_mut().enumerate() {
                *value = Wrapping(i32::from(block[y * BLOCK + x]).wrapping_mul(steps[y * BLOCK + x]));
            }
        }
        let columns = transposed(&inverse_pass(&rows, CONST_BITS - PASS1_BITS));
        let samples = transposed(&inverse_pass(&columns, CONST_BITS + PASS1_BITS + 3));
        for (y, row) in samples.iter().enumerate() {
            let out = &mut out[y * stride + left..][..BLOCK];
            for (out, value) in out.iter_mut().zip(row) {
                *out = (value.0.clamp(-OUT_OF_RANGE, OUT_OF_RANGE) + CENTER).clamp(0, 255) as u8;
            }
        }
    }
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
    std::array::from_fn(|y| std::array::from_fn(|x| square[x][y]))
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
    use crate::optimize::jpeg::coefficients::Blocks;
    use crate::optimize::jpeg::libjpeg::tests::picture;
    use crate::optimize::jpeg::libjpeg::{Coded, decode_rgb, encode};

    fn decoded(file: &[u8]) -> Vec<u8> {
        let source = Coded::read(file, 100).unwrap();
        let layout = source.layout();
        let mut rows = Rows::new(layout, |component, row, out: &mut [Block]| {
            out.copy_from_slice(source.row(component, row));
        })
        .unwrap();
        let mut samples = vec![0; layout.width * layout.height * 3];
        samples.chunks_exact_mut(layout.width * 3).for_each(|row| rows.read(row));
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
