//! Small pictures of every kind, as JPEG and PNG files.

use std::f64::consts::PI;

use super::random::Random;
use super::targets::jpeg_file::{Block, Jpeg, Table, jfif};
use super::targets::png_file::Png;

/// Red, green, blue, row by row.
pub struct Picture {
    pub kind: &'static str,
    pub width: usize,
    pub height: usize,
    pub pixels: Vec<[u8; 3]>,
}

type Draw = fn(&mut Random, usize, usize) -> [u8; 3];

impl Picture {
    /// Of 16 to 95 pixels each way.
    pub fn random(random: &mut Random) -> Self {
        let kinds: [(&str, Draw); 4] =
            [("noise", |r, _, _| [0; 3].map(|_| r.below(256) as u8)), ("grain", grain), ("text", text), ("flat", flat)];
        let (width, height) = (16 + random.below(80), 16 + random.below(80));
        let (kind, draw) = random.one_of(&kinds);
        // Where a pattern begins.
        let (left, top) = (random.below(50), random.below(50));
        let place = |i: usize| (left + i % width, top + i / width);
        let pixels = (0..width * height).map(place).map(|(x, y)| draw(random, x, y)).collect();
        Self { kind, width, height, pixels }
    }

    /// 8-bit gray, or red, green, blue, with transparency or without.
    pub fn png(&self, random: &mut Random) -> Vec<u8> {
        let color = random.one_of(&[0, 2, 6]);
        let mut file = Png::blank(self.width, self.height, (color, 8));
        file.samples.clear();
        for (y, row) in self.pixels.chunks_exact(self.width).enumerate() {
            file.samples.push(0);
            for &[r, g, b] in row {
                match color {
                    0 => file.samples.push(g),
                    2 => file.samples.extend([r, g, b]),
                    _ => file.samples.extend([r, g, b, 255 - (y * 2) as u8]),
                }
            }
        }
        file.write()
    }

    /// Of any usual sampling, gray as well, finely quantized.
    pub fn jpeg(&self, random: &mut Random) -> Vec<u8> {
        let luma = random.one_of(&[(1, 1), (2, 1), (2, 2), (1, 2)]);
        let factors = if random.below(5) == 0 { vec![(1, 1)] } else { vec![luma, (1, 1), (1, 1)] };
        let step = random.below(12) as u16 + 1;
        let table: Table = std::array::from_fn(|k| step + step * (k / 8 + k % 8) as u16 / 4);
        let mut file = Jpeg::blank(self.width, self.height, &factors, table);
        file.metadata.push(jfif());
        file.progressive = random.below(2) == 1;
        for index in 0..factors.len() {
            let (columns, _) = file.blocks(index);
            // Pixels per sample.
            let (across, down) = if index == 0 { (1, 1) } else { luma };
            for (number, block) in file.components[index].blocks.iter_mut().enumerate() {
                let (left, top) = (number % columns * 8, number / columns * 8);
                let sample = |x, y| self.mean((left + x) * across, (top + y) * down, across, down, index) - 128.0;
                *block = quantized(&std::array::from_fn(|i| sample(i % 8, i / 8)), &table);
            }
        }
        file.write()
    }

    /// A component's mean over some pixels, those at the edges again beyond them.
    fn mean(&self, left: usize, top: usize, across: usize, down: usize, component: usize) -> f64 {
        let pixel = |i: usize| {
            let (column, row) = ((left + i % across).min(self.width - 1), (top + i / across).min(self.height - 1));
            let [r, g, b] = self.pixels[row * self.width + column].map(f64::from);
            // JFIF (ITU-T T.871, 7).
            match component {
                0 => 0.299 * r + 0.587 * g + 0.114 * b,
                1 => -0.1687 * r - 0.3313 * g + 0.5 * b + 128.0,
                _ => 0.5 * r - 0.4187 * g - 0.0813 * b + 128.0,
            }
        };
        (0..across * down).map(pixel).sum::<f64>() / (across * down) as f64
    }
}

fn grain(random: &mut Random, x: usize, y: usize) -> [u8; 3] {
    [2 * x, x + y, 2 * y].map(|v| (v + random.below(6)).min(255) as u8)
}

/// Bars of one pixel and of three, dark on light.
fn text(_: &mut Random, x: usize, y: usize) -> [u8; 3] {
    let ink = y % 12 < 8 && (x % 7 == 1 || x % 7 == 4 && y.is_multiple_of(3) || y % 12 == 4 && x % 7 < 4);
    if ink { [20, 20, 60] } else { [250, 248, 240] }
}

fn flat(_: &mut Random, x: usize, _: usize) -> [u8; 3] {
    if x < 60 { [30, 120, 200] } else { [200, 60, 40] }
}

/// A block's forward DCT (T.81, A.3.3), quantized.
fn quantized(samples: &[f64; 64], table: &Table) -> Block {
    let basis = |u: usize, x: usize| {
        let scale = if u == 0 { 0.5_f64.sqrt() } else { 1.0 };
        scale / 2.0 * ((2 * x + 1) as f64 * u as f64 * PI / 16.0).cos()
    };
    let rows: [f64; 64] = std::array::from_fn(|i| (0..8).map(|x| samples[i / 8 * 8 + x] * basis(i % 8, x)).sum());
    std::array::from_fn(|k| {
        let sum: f64 = (0..8).map(|y| rows[y * 8 + k % 8] * basis(k / 8, y)).sum();
        (sum / f64::from(table[k])).round().clamp(-1023.0, 1023.0) as i16
    })
}
