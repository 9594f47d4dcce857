//! Reads ICC profiles (ICC.1:2022) as far as tone curves and a matrix go.
//!
//! Accepts and ignores what Chromium does (skcms, `skcms_Parse`), since most pictures are looked at there. Allocates a
//! few kilobytes, whatever lengths a profile claims.

/// What a profile says.
#[derive(Debug, Clone, PartialEq)]
pub enum Icc {
    /// It is malformed, or of inks: browsers show the picture as sRGB.
    Ignored,
    /// Look-up tables of colours, PQ, HLG, or gray measured in Lab: valid, and not read here.
    Tables,
    Gray(Box<Curve>),
    Rgb {
        curves: Box<[Curve; 3]>,
        /// From linear red, green and blue, the columns, to XYZ, the rows.
        to_xyz: Matrix,
    },
}

/// Linear light of each 8-bit sample.
pub type Curve = [f32; 256];
/// Rows of columns.
pub type Matrix = [[f32; 3]; 3];

const HEADER: usize = 128;
/// Signature, offset, size (ICC.1, 7.3).
const TAG_ENTRY: usize = 12;
/// The profile connection space's white (ICC.1, 7.2.16), and how far skcms lets a profile be off.
const D50: [f32; 3] = [0.9642, 1.0, 0.8249];
const D50_TOLERANCE: f32 = 0.01;
const NEWEST_VERSION: u8 = 4;
/// Transfer characteristics of the `cicp` tag that browsers show brighter than white (ITU-T H.273, table 3): PQ, HLG.
const HDR_TRANSFERS: [u8; 2] = [16, 18];
/// Bounds of linear light: beyond it, whatever a curve says is black or white.
const MOST_LIGHT: f32 = 16.0;

impl Icc {
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        Tags::parse(bytes).and_then(|tags| tags.read()).unwrap_or(Self::Ignored)
    }
}

/// A profile whose header and tag table are sound.
struct Tags<'a> {
    profile: &'a [u8],
    table: &'a [[u8; TAG_ENTRY]],
}

impl<'a> Tags<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let size = long(bytes, 0)? as usize;
        let profile = bytes.get(..size)?;
        let count = long(profile, HEADER)? as usize;
        let is_d50 = |i: usize| fixed(profile, 68 + 4 * i).is_some_and(|v| (v - D50[i]).abs() <= D50_TOLERANCE);
        let is_sound = profile.get(36..40)? == b"acsp" && profile[8] <= NEWEST_VERSION && (0..3).all(is_d50);
        if !is_sound || ![b"XYZ ", b"Lab "].iter().any(|space| profile.get(20..24) == Some(&space[..])) {
            return None;
        }
        let (table, _) = profile.get(HEADER + 4..)?.as_chunks::<TAG_ENTRY>();
        let tags = Self { profile, table: table.get(..count)? };
        tags.table.iter().all(|entry| tags.data(entry).is_some_and(|data| data.len() >= 4)).then_some(tags)
    }

    fn data(&self, entry: &[u8; TAG_ENTRY]) -> Option<&'a [u8]> {
        let (offset, size) = (long(entry, 4)? as usize, long(entry, 8)? as usize);
        self.profile.get(offset..offset.checked_add(size)?)
    }

    fn find(&self, signature: [u8; 4]) -> Option<&'a [u8]> {
        self.data(self.table.iter().find(|entry| entry.starts_with(&signature))?)
    }

    /// `None` where browsers ignore the profile.
    fn read(&self) -> Option<Icc> {
        let (space, is_xyz) = (&self.profile[16..20], &self.profile[20..24] == b"XYZ ");
        let is_gray = match space {
            b"GRAY" => true,
            b"RGB " => false,
            _ => return None,
        };
        // Tables go before curves, as in browsers.
        let has_tables = self.find(*b"A2B0").or_else(|| self.find(*b"A2B1")).is_some();
        let is_hdr = self.find(*b"cicp").and_then(|tag| tag.get(9)).is_some_and(|code| HDR_TRANSFERS.contains(code));
        if has_tables || is_hdr {
            return Some(Icc::Tables);
        }
        if is_gray {
            let gray = curve(self.find(*b"kTRC")?)?;
            return Some(if is_xyz { Icc::Gray(Box::new(gray)) } else { Icc::Tables });
        }
        let [r, g, b] = [b"rTRC", b"gTRC", b"bTRC"].map(|signature| self.find(*signature).and_then(curve));
        let [rx, gx, bx] = [b"rXYZ", b"gXYZ", b"bXYZ"].map(|signature| self.find(*signature).and_then(xyz));
        let (rx, gx, bx) = (rx?, gx?, bx?);
        let to_xyz = std::array::from_fn(|row| [rx[row], gx[row], bx[row]]);
        Some(Icc::Rgb { curves: Box::new([r?, g?, b?]), to_xyz })
    }
}

/// An `XYZType` (ICC.1, 10.31).
fn xyz(tag: &[u8]) -> Option<[f32; 3]> {
    let numbers = tag.strip_prefix(b"XYZ ")?;
    Some([fixed(numbers, 4)?, fixed(numbers, 8)?, fixed(numbers, 12)?])
}

/// A `curveType` or `parametricCurveType` (ICC.1, 10.6 and 10.18).
fn curve(tag: &[u8]) -> Option<Curve> {
    let (kind, data) = tag.split_first_chunk::<4>()?;
    match kind {
        b"curv" => sampled(data),
        b"para" => Parametric::read(data)?.curve(),
        _ => None,
    }
}

fn sampled(data: &[u8]) -> Option<Curve> {
    let count = long(data, 4)? as usize;
    let (values, _) = data.get(8..)?.as_chunks::<2>();
    let values = values.get(..count)?;
    match values {
        [] => Parametric { g: 1.0, ..Parametric::LINEAR }.curve(),
        [gamma] => Parametric { g: f32::from(u16::from_be_bytes(*gamma)) / 256.0, ..Parametric::LINEAR }.curve(),
        _ => Some(std::array::from_fn(|sample| {
            let place = sample as f32 / 255.0 * (values.len() - 1) as f32;
            let at = |i: usize| f32::from(u16::from_be_bytes(values[i.min(values.len() - 1)])) / 65_535.0;
            let below = place as usize;
            at(below) + (at(below + 1) - at(below)) * (place - below as f32)
        })),
    }
}

/// (ax + b)ᵍ + e from d on, cx + f below (ICC.1, table 68).
#[derive(Debug, Clone, Copy)]
struct Parametric {
    g: f32,
    a: f32,
    b: f32,
    c: f32,
    d: f32,
    e: f32,
    f: f32,
}

impl Parametric {
    const LINEAR: Self = Self { g: 1.0, a: 1.0, b: 0.0, c: 0.0, d: 0.0, e: 0.0, f: 0.0 };

    fn read(data: &[u8]) -> Option<Self> {
        let function = u16::from_be_bytes(*data.get(4..)?.first_chunk()?);
        let number = |i: usize| fixed(data, 8 + 4 * i);
        let g = number(0)?;
        if function == 0 {
            return Some(Self { g, ..Self::LINEAR });
        }
        let (a, b) = (number(1)?, number(2)?);
        let curve = Self { g, a, b, ..Self::LINEAR };
        let offset = |e| (a != 0.0).then_some(Self { d: -b / a, e, f: e, ..curve });
        match function {
            1 => offset(0.0),
            2 => offset(number(3)?),
            3 => Some(Self { c: number(3)?, d: number(4)?, ..curve }),
            4 => Some(Self { c: number(3)?, d: number(4)?, e: number(5)?, f: number(6)?, ..curve }),
            _ => None,
        }
    }

    /// `None` where skcms refuses the curve: one that falls, or whose power is of a negative number.
    fn curve(self) -> Option<Curve> {
        let Self { g, a, b, c, d, e, f } = self;
        let is_sane = [g, a, c, d].iter().all(|v| *v >= 0.0) && a * d + b >= 0.0;
        is_sane.then(|| {
            std::array::from_fn(|sample| {
                let x = sample as f32 / 255.0;
                let light = if x < d { c * x + f } else { (a * x + b).powf(g) + e };
                light.clamp(-MOST_LIGHT, MOST_LIGHT)
            })
        })
    }
}

fn long(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// An `s15Fixed16Number` (ICC.1, 4.6).
fn fixed(bytes: &[u8], at: usize) -> Option<f32> {
    Some(long(bytes, at)? as i32 as f32 / 65_536.0)
}
