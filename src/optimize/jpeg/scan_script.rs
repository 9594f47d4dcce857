//! The scan scripts that recompressed files are written with. Knows the order of scans, never coefficients.
//!
//! Fixed, since mozjpeg's search for the best script costs 37 % of its time for 0.5 % of bytes. Luma's last bit comes in
//! a scan of its own; mozjpeg's recommended script holds back two, so that no other encoder's files look like these.

use crate::optimize::jpeg::file::segments::Segments;

/// One scan of a progressive file (T.81, G.1.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scan {
    /// Indices into the frame's components.
    pub components: &'static [u8],
    /// First and last coefficient, in zigzag order.
    pub spectrum: (u8, u8),
    /// Point transforms: of the scan before it, or 0, and of this one.
    pub bits: (u8, u8),
}

const fn scan(components: &'static [u8], spectrum: (u8, u8), bits: (u8, u8)) -> Scan {
    Scan { components, spectrum, bits }
}

/// One component.
pub const GRAY: [Scan; 4] =
    [scan(&[0], (0, 0), (0, 0)), scan(&[0], (1, 8), (0, 1)), scan(&[0], (9, 63), (0, 1)), scan(&[0], (1, 63), (1, 0))];

/// Luma and two of chroma.
pub const COLOR: [Scan; 8] = [
    scan(&[0, 1, 2], (0, 0), (0, 0)),
    scan(&[0], (1, 8), (0, 1)),
    scan(&[0], (9, 63), (0, 1)),
    scan(&[0], (1, 63), (1, 0)),
    scan(&[1], (1, 8), (0, 0)),
    scan(&[1], (9, 63), (0, 0)),
    scan(&[2], (1, 8), (0, 0)),
    scan(&[2], (9, 63), (0, 0)),
];

/// The script for an image of so many components; `None` where there is none.
#[must_use]
pub fn script(components: usize) -> Option<&'static [Scan]> {
    match components {
        1 => Some(&GRAY),
        3 => Some(&COLOR),
        _ => None,
    }
}

/// Whether a file's scans are those of its script.
#[must_use]
pub fn follows_script(file: &Segments<'_>) -> bool {
    let Some(script) = script(file.frame.components.len()) else { return false };
    let headers: Vec<_> = file.scan_headers().collect();
    headers.len() == script.len()
        && headers.iter().zip(script).all(|(header, scan)| begins(header, scan, |i| file.frame.components[i].id))
}

/// Whether a scan header (T.81, B.2.3) is that of a scan, whatever its Huffman tables.
fn begins(header: &[u8], scan: &Scan, id: impl Fn(usize) -> u8) -> bool {
    let Some((&count, rest)) = header.split_first() else { return false };
    let Some((components, parameters)) = rest.split_at_checked(2 * usize::from(count)) else { return false };
    let ids = components.chunks_exact(2).map(|selector| selector[0]);
    ids.eq(scan.components.iter().map(|&index| id(usize::from(index))))
        && parameters == [scan.spectrum.0, scan.spectrum.1, scan.bits.0 << 4 | scan.bits.1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_told_from_others() {
        let id = |index: usize| index as u8 + 1;
        assert!(begins(&[1, 1, 0x00, 1, 63, 0x10], &COLOR[3], id));
        assert!(begins(&[3, 1, 0, 2, 0x11, 3, 0x11, 0, 0, 0], &COLOR[0], id));
        for other in [&[1, 1, 0, 1, 63, 0x21][..], &[1, 2, 0, 1, 63, 0x10], &[1, 1, 0, 1, 63], &[1], &[]] {
            assert!(!begins(other, &COLOR[3], id), "{other:?}");
        }
    }

    #[test]
    fn scripts_send_every_coefficient_to_its_last_bit() {
        for (script, components) in [(&GRAY[..], 1), (&COLOR, 3)] {
            for component in 0..components {
                for k in 0..64 {
                    let mut scans = script.iter().filter(|scan| {
                        scan.components.contains(&component) && (scan.spectrum.0..=scan.spectrum.1).contains(&k)
                    });
                    assert_eq!(scans.next_back().map(|scan| scan.bits.1), Some(0), "component {component}, {k}");
                }
            }
        }
    }
}
