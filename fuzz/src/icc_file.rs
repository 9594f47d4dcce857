//! ICC profiles, written by the book (ICC.1:2022).

/// XYZ of the primaries as profiles hold them, adapted to D50: red, green, blue.
pub const SRGB: [[f64; 3]; 3] = [[0.4361, 0.2225, 0.0139], [0.3851, 0.7169, 0.0971], [0.1431, 0.0606, 0.7141]];
pub const DISPLAY_P3: [[f64; 3]; 3] = [[0.5151, 0.2412, -0.0011], [0.2920, 0.6922, 0.0419], [0.1571, 0.0666, 0.7841]];
pub const ADOBE_RGB: [[f64; 3]; 3] = [[0.6097, 0.3111, 0.0195], [0.2053, 0.6257, 0.0609], [0.1492, 0.0632, 0.7446]];
pub const PRO_PHOTO: [[f64; 3]; 3] = [[0.7977, 0.2880, 0.0], [0.1352, 0.7119, 0.0], [0.0313, 0.0001, 0.8249]];

/// A profile of these tags.
pub fn profile(space: [u8; 4], tags: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let (mut table, mut data) = (Vec::new(), Vec::new());
    for (signature, tag) in tags {
        let at = HEADER + 4 + 12 * tags.len() + data.len();
        table.extend([**signature, (at as u32).to_be_bytes(), (tag.len() as u32).to_be_bytes()].concat());
        data.extend_from_slice(tag);
    }
    let size = HEADER + 4 + table.len() + data.len();
    let mut header = [0; HEADER];
    header[..4].copy_from_slice(&(size as u32).to_be_bytes());
    header[8] = 4;
    header[12..24].copy_from_slice(&[*b"mntr", space, *b"XYZ "].concat());
    header[36..40].copy_from_slice(b"acsp");
    header[68..80].copy_from_slice(&numbers(&[0.9642, 1.0, 0.8249]));
    [&header[..], &(tags.len() as u32).to_be_bytes(), &table, &data].concat()
}

const HEADER: usize = 128;

fn numbers(values: &[f64]) -> Vec<u8> {
    values.iter().flat_map(|value| ((value * 65_536.0).round() as i32).to_be_bytes()).collect()
}

pub fn parametric(function: u8, values: &[f64]) -> Vec<u8> {
    [b"para\0\0\0\0\0", &[function, 0, 0][..], &numbers(values)].concat()
}

pub fn srgb_curve() -> Vec<u8> {
    parametric(3, &[2.4, 1.0 / 1.055, 0.055 / 1.055, 1.0 / 12.92, 0.040_45])
}

/// `None` is linear.
pub fn gamma(gamma: Option<f64>) -> Vec<u8> {
    match gamma {
        None => b"curv\0\0\0\0\0\0\0\0".to_vec(),
        Some(gamma) => [b"curv\0\0\0\0\0\0\0\x01", &((gamma * 256.0).round() as u16).to_be_bytes()[..]].concat(),
    }
}

/// Light sampled at so many places.
pub fn table(entries: usize, light: impl Fn(f64) -> f64) -> Vec<u8> {
    let value = |i: usize| (light(i as f64 / (entries - 1) as f64) * 65_535.0).round() as u16;
    let values = (0..entries).flat_map(|i| value(i).to_be_bytes());
    [&b"curv\0\0\0\0"[..], &(entries as u32).to_be_bytes()].concat().into_iter().chain(values).collect()
}

pub fn rgb(primaries: &[[f64; 3]; 3], curve: &[u8]) -> Vec<u8> {
    let xyz = |i: usize| [b"XYZ \0\0\0\0", &numbers(&primaries[i])[..]].concat();
    let (red, green, blue) = ((b"rXYZ", xyz(0)), (b"gXYZ", xyz(1)), (b"bXYZ", xyz(2)));
    let curves = [b"rTRC", b"gTRC", b"bTRC"].map(|signature| (signature, curve.to_vec()));
    profile(*b"RGB ", &[&[red, green, blue][..], &curves].concat())
}

pub fn gray(curve: &[u8]) -> Vec<u8> {
    profile(*b"GRAY", &[(b"kTRC", curve.to_vec())])
}

pub fn linear() -> Vec<u8> {
    rgb(&SRGB, &gamma(None))
}

/// An RGB profile with a look-up table as well.
pub fn tables() -> Vec<u8> {
    profile(*b"RGB ", &[(b"A2B0", b"mft1\0\0\0\0".to_vec())])
}
