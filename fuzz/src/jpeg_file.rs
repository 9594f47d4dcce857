//! JPEG files of given coefficients, written after ITU-T T.81 alone: no code is shared with what reads them.

use super::bytes::Bytes;

const BLOCK: usize = 8;

/// A block's coefficients, or a table's steps, in natural order.
pub type Block = [i16; 64];
pub type Table = [u16; 64];

/// T.81, figure A.6: where the coefficients of the zigzag sequence stand in natural order.
#[rustfmt::skip]
const ZIGZAG: [usize; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55,
    62, 63,
];

/// A picture to write.
#[derive(Debug, Clone)]
pub struct Jpeg {
    /// Pixels.
    pub width: usize,
    pub height: usize,
    pub components: Vec<Component>,
    /// All components in one scan, where T.81 allows it (B.2.3: ten blocks in an MCU).
    pub interleaved: bool,
    pub progressive: bool,
    /// MCUs between two restart markers; 0 for none.
    pub restart: u16,
    /// Segments before the tables: marker and payload.
    pub metadata: Vec<(u8, Vec<u8>)>,
}

#[derive(Debug, Clone)]
pub struct Component {
    /// Sampling factors.
    pub h: usize,
    pub v: usize,
    pub table: Table,
    /// Row by row, as many as [`Jpeg::blocks`] says.
    pub blocks: Vec<Block>,
}

/// Adobe's marker (APP14) with its transform: 0 for RGB and CMYK, 1 for YCbCr, 2 for YCCK.
#[must_use]
pub fn adobe(transform: u8) -> (u8, Vec<u8>) {
    (0xEE, [&b"Adobe\0\x64\0\0\0\0"[..], &[transform]].concat())
}

/// JFIF's header of version 1.1, without density.
#[must_use]
pub fn jfif() -> (u8, Vec<u8>) {
    (0xE0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0".to_vec())
}

impl Jpeg {
    /// A baseline picture without metadata, every coefficient zero, of the components' sampling factors.
    #[must_use]
    pub fn blank(width: usize, height: usize, factors: &[(usize, usize)], table: Table) -> Self {
        let components = factors.iter().map(|&(h, v)| Component { h, v, table, blocks: Vec::new() }).collect();
        let mut image =
            Self { width, height, components, interleaved: true, progressive: false, restart: 0, metadata: Vec::new() };
        for index in 0..factors.len() {
            let (columns, rows) = image.blocks(index);
            image.components[index].blocks = vec![[0; 64]; columns * rows];
        }
        image
    }

    /// Up to 64 pixels each way, of any colour model and sampling.
    pub fn of(bytes: &mut Bytes<'_>) -> Self {
        let (width, height) = (bytes.below(64) + 1, bytes.below(64) + 1);
        let (count, marker) = bytes.one_of(&[
            (3, Some(jfif as fn() -> _)),
            (3, None),
            (3, Some(|| adobe(0))),
            (1, Some(jfif)),
            (1, None),
            (4, Some(|| adobe(0))),
            (4, Some(|| adobe(2))),
            (4, None),
            (2, None),
        ]);
        let usual = [(2, 2), (1, 1), (2, 1), (1, 2), (4, 1), (1, 4)];
        let factors: Vec<_> = match bytes.below(8) {
            0 => (0..count).map(|_| (bytes.below(4) + 1, bytes.below(4) + 1)).collect(),
            _ => std::iter::once(bytes.one_of(&usual)).chain([(1, 1); 3]).take(count).collect(),
        };
        let mut image = Self::blank(width, height, &factors, [1; 64]);
        image.metadata.extend(marker.map(|marker| marker()));
        image.interleaved = !bytes.flag();
        image.progressive = bytes.flag();
        image.restart = if bytes.flag() { bytes.byte().into() } else { 0 };
        for component in &mut image.components {
            component.table = table_of(bytes);
            component.blocks.iter_mut().for_each(|block| *block = block_of(bytes));
        }
        image
    }

    fn max_factors(&self) -> (usize, usize) {
        let largest = |of: fn(&Component) -> usize| self.components.iter().map(of).max().unwrap_or(1);
        (largest(|c| c.h), largest(|c| c.v))
    }

    /// Columns and rows of a component's blocks that show the picture (T.81, A.1.1).
    #[must_use]
    pub fn blocks(&self, component: usize) -> (usize, usize) {
        let Component { h, v, .. } = self.components[component];
        let (max_h, max_v) = self.max_factors();
        let of = |pixels: usize, factor: usize, max: usize| (pixels * factor).div_ceil(max).div_ceil(BLOCK);
        (of(self.width, h, max_h), of(self.height, v, max_v))
    }

    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let mut out = vec![0xFF, 0xD8];
        for (marker, payload) in &self.metadata {
            segment(&mut out, *marker, payload);
        }
        for (index, component) in self.components.iter().enumerate() {
            let steps = ZIGZAG.iter().flat_map(|&k| component.table[k].to_be_bytes());
            segment(&mut out, 0xDB, &std::iter::once(0x10 | index as u8).chain(steps).collect::<Vec<_>>());
        }
        // Tables of 16 bits are beyond baseline: extended sequential.
        segment(&mut out, if self.progressive { 0xC2 } else { 0xC1 }, &self.frame());
        segment(&mut out, 0xC4, &huffman_table(0, &DC_SYMBOLS));
        segment(&mut out, 0xC4, &huffman_table(0x10, &ac_symbols()));
        if self.restart > 0 {
            segment(&mut out, 0xDD, &self.restart.to_be_bytes());
        }
        let spectra: &[(usize, usize)] = if self.progressive { &[(0, 0), (1, 5), (6, 63)] } else { &[(0, 63)] };
        for &spectrum in spectra {
            for scan in self.scans(spectrum) {
                self.write_scan(&mut out, &scan, spectrum);
            }
        }
        out.extend([0xFF, 0xD9]);
        out
    }

    fn frame(&self) -> Vec<u8> {
        let mut frame = vec![8];
        frame.extend((self.height as u16).to_be_bytes());
        frame.extend((self.width as u16).to_be_bytes());
        frame.push(self.components.len() as u8);
        for (index, component) in self.components.iter().enumerate() {
            frame.extend([index as u8 + 1, (component.h << 4 | component.v) as u8, index as u8]);
        }
        frame
    }

    /// The components of each scan of these frequencies.
    fn scans(&self, spectrum: (usize, usize)) -> Vec<Vec<usize>> {
        let all: Vec<_> = (0..self.components.len()).collect();
        let in_mcu: usize = self.components.iter().map(|c| c.h * c.v).sum();
        // Scans without the mean are of one component (T.81, G.1.1.1.1).
        if self.interleaved && in_mcu <= 10 && spectrum.0 == 0 {
            vec![all]
        } else {
            all.into_iter().map(|component| vec![component]).collect()
        }
    }

    fn write_scan(&self, out: &mut Vec<u8>, scan: &[usize], (first, last): (usize, usize)) {
        let mut header = vec![scan.len() as u8];
        header.extend(scan.iter().flat_map(|&component| [component as u8 + 1, 0]));
        header.extend([first as u8, last as u8, 0]);
        segment(out, 0xDA, &header);
        let mut coder = Coder { out, pending: 0, bits: 0, means: [0; 4] };
        for (number, mcu) in self.mcus(scan).into_iter().enumerate() {
            if self.restart > 0 && number > 0 && number % usize::from(self.restart) == 0 {
                coder.restart((number / usize::from(self.restart) - 1) as u8 & 7);
            }
            for (component, block) in mcu {
                coder.block(component, block, (first, last));
            }
        }
        coder.flush();
    }

    /// The blocks of each MCU, with their components; what pads the last ones is blank.
    fn mcus(&self, scan: &[usize]) -> Vec<Vec<(usize, &Block)>> {
        const BLANK: &Block = &[0; 64];
        if let &[component] = scan {
            return self.components[component].blocks.iter().map(|block| vec![(component, block)]).collect();
        }
        let (max_h, max_v) = self.max_factors();
        let (across, down) = (self.width.div_ceil(BLOCK * max_h), self.height.div_ceil(BLOCK * max_v));
        let mcu = |row: usize, column: usize| {
            let of_component = |&index: &usize| {
                let Component { h, v, ref blocks, .. } = self.components[index];
                let (columns, rows) = self.blocks(index);
                (0..h * v).map(move |i| {
                    let (x, y) = (column * h + i % h, row * v + i / h);
                    (index, if x < columns && y < rows { &blocks[y * columns + x] } else { BLANK })
                })
            };
            scan.iter().flat_map(of_component).collect()
        };
        (0..down).flat_map(|row| (0..across).map(move |column| (row, column))).map(|(r, c)| mcu(r, c)).collect()
    }
}

fn table_of(bytes: &mut Bytes<'_>) -> Table {
    match bytes.below(4) {
        0 => std::array::from_fn(|_| bytes.word()),
        1 => std::array::from_fn(|_| bytes.byte().into()),
        // As encoders write them: coarser towards high frequencies.
        _ => {
            let (first, slope) = (u16::from(bytes.byte()) / 4 + 1, u16::from(bytes.byte()) / 16);
            std::array::from_fn(|k| first + slope * (k / 8 + k % 8) as u16)
        }
    }
}

fn block_of(bytes: &mut Bytes<'_>) -> Block {
    let mut block = [0; 64];
    if bytes.is_empty() {
        return block;
    }
    block[0] = (bytes.word() as i16) >> 5;
    let (count, shift) = (bytes.byte(), bytes.byte() % 4);
    for &k in ZIGZAG.iter().skip(1).take(usize::from(count % 64)) {
        block[k] = (i16::from(bytes.byte() as i8) << shift).clamp(-1023, 1023);
    }
    block
}

pub fn segment(out: &mut Vec<u8>, marker: u8, payload: &[u8]) {
    out.extend([0xFF, marker]);
    out.extend((payload.len() as u16 + 2).to_be_bytes());
    out.extend_from_slice(payload);
}

/// T.81, F.1.2.1: categories of differences between means.
const DC_SYMBOLS: [u8; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];

/// T.81, F.1.2.2: runs of zeros before a category, the end of a block, sixteen zeros.
fn ac_symbols() -> Vec<u8> {
    let pairs = (0..16).flat_map(|run| (1..=10).map(move |size| run << 4 | size));
    [0x00, 0xF0].into_iter().chain(pairs).collect()
}

/// Every symbol has a code of eight bits, its own number.
fn huffman_table(class_and_slot: u8, symbols: &[u8]) -> Vec<u8> {
    let mut table = vec![class_and_slot];
    table.extend((1..=16).map(|length| if length == 8 { symbols.len() as u8 } else { 0 }));
    table.extend(symbols);
    table
}

/// Entropy-coded data.
struct Coder<'a> {
    out: &'a mut Vec<u8>,
    pending: u32,
    bits: u32,
    /// The last mean of each component.
    means: [i16; 4],
}

impl Coder<'_> {
    fn put(&mut self, value: u32, bits: u32) {
        self.pending = self.pending << bits | value;
        self.bits += bits;
        while self.bits >= 8 {
            self.bits -= 8;
            let byte = (self.pending >> self.bits) as u8;
            self.out.push(byte);
            if byte == 0xFF {
                self.out.push(0);
            }
        }
        self.pending &= (1 << self.bits) - 1;
    }

    fn flush(&mut self) {
        if self.bits > 0 {
            self.put(0x7F >> (self.bits - 1), 8 - self.bits);
        }
    }

    fn restart(&mut self, number: u8) {
        self.flush();
        self.out.extend([0xFF, 0xD0 + number]);
        self.means = [0; 4];
    }

    /// A magnitude's bits (T.81, table F.1): negative ones less one.
    fn put_value(&mut self, value: i16, size: u32) {
        let bits = if value < 0 { value - 1 } else { value };
        self.put(u32::from(bits as u16) & ((1 << size) - 1), size);
    }

    fn block(&mut self, component: usize, block: &Block, (first, last): (usize, usize)) {
        if first == 0 {
            let difference = block[0] - self.means[component];
            self.means[component] = block[0];
            let size = size_of(difference);
            self.put(size, 8);
            self.put_value(difference, size);
        }
        let mut run = 0;
        for &k in &ZIGZAG[first.max(1)..=last] {
            if block[k] == 0 {
                run += 1;
                continue;
            }
            while run > 15 {
                self.put(1, 8);
                run -= 16;
            }
            let size = size_of(block[k]);
            // The place of this pair in `ac_symbols`.
            self.put(2 + run * 10 + size - 1, 8);
            self.put_value(block[k], size);
            run = 0;
        }
        if run > 0 {
            self.put(0, 8);
        }
    }
}

fn size_of(value: i16) -> u32 {
    16 - value.unsigned_abs().leading_zeros()
}
