//! Apple's maker note, of which a gain map needs two entries: how far the display may go beyond white.
//!
//! Sources: `ExifTool`, `Image::ExifTool::Apple` (entries 33 and 48, places counted from the note's beginning); "Applying
//! Apple HDR effect to your photos" (developer.apple.com) for the formula.

/// What a note begins with; a directory in the byte order named last follows.
const HEADER: &[u8] = b"Apple iOS\0\0\x01MM";
/// `HDRHeadroom` and `HDRGain`.
const WANTED: [u16; 2] = [33, 48];
/// Both are signed fractions (TIFF 6.0, section 2).
const SIGNED_RATIONAL: u16 = 10;
const ENTRY_BYTES: usize = 12;

/// The note with nothing but the headroom in it; `None` where it is none of Apple's or has no headroom.
pub(super) fn headroom(note: &[u8]) -> Option<Vec<u8>> {
    let (count, entries) = note.strip_prefix(HEADER)?.split_first_chunk()?;
    let entries = entries.chunks_exact(ENTRY_BYTES).take(usize::from(u16::from_be_bytes(*count)));
    let mut found: Vec<(u16, &[u8])> = Vec::new();
    for entry in entries {
        let tag = u16::from_be_bytes([entry[0], entry[1]]);
        let is_fraction = entry[2..8] == [0, SIGNED_RATIONAL.to_be_bytes()[1], 0, 0, 0, 1];
        let at = usize::try_from(u32::from_be_bytes([entry[8], entry[9], entry[10], entry[11]])).ok()?;
        if let Some(value) = note.get(at..at.saturating_add(8))
            && is_fraction
            && WANTED.contains(&tag)
            && !found.iter().any(|(seen, _)| *seen == tag)
        {
            found.push((tag, value));
        }
    }
    found.sort_by_key(|(tag, _)| *tag);
    let count = u16::try_from(found.len()).ok().filter(|count| *count > 0)?;
    let mut out = [HEADER, &count.to_be_bytes()].concat();
    // The number of the next directory, none, follows the entries.
    let mut at = u32::try_from(out.len() + ENTRY_BYTES * found.len() + 4).ok()?;
    for (tag, _) in &found {
        out.extend(
            [&tag.to_be_bytes()[..], &SIGNED_RATIONAL.to_be_bytes(), &1_u32.to_be_bytes(), &at.to_be_bytes()].concat(),
        );
        at += 8;
    }
    out.extend([0; 4]);
    out.extend(found.iter().flat_map(|(_, value)| *value));
    Some(out)
}

#[cfg(test)]
pub(in crate::optimize) mod tests {
    use super::*;

    /// A note of version, headroom, a secret and gain.
    pub(in crate::optimize) fn note() -> Vec<u8> {
        let mut out = [HEADER, &[0, 4]].concat();
        out.extend(b"\0\x01\0\x09\0\0\0\x01\0\0\0\x0e");
        out.extend(b"\0\x21\0\x0a\0\0\0\x01\0\0\0\x44");
        out.extend(b"\0\x2b\0\x02\0\0\0\x06\0\0\0\x54");
        out.extend(b"\0\x30\0\x0a\0\0\0\x01\0\0\0\x4c");
        out.extend([0; 4]);
        out.extend(b"\0\0\0\x65\0\0\0\x64\0\0\0\x09\0\0\x03\xe8secret");
        out
    }

    #[test]
    fn headroom_and_gain_alone_stay() {
        let kept = headroom(&note()).unwrap();
        let expected = [
            HEADER,
            b"\0\x02\0\x21\0\x0a\0\0\0\x01\0\0\0\x2c\0\x30\0\x0a\0\0\0\x01\0\0\0\x34\0\0\0\0",
            b"\0\0\0\x65\0\0\0\x64\0\0\0\x09\0\0\x03\xe8",
        ];
        assert_eq!(kept, expected.concat());
        assert_eq!(headroom(&kept), Some(kept.clone()));
    }

    #[test]
    fn a_note_without_headroom_is_none() {
        assert_eq!(headroom(b"Nikon\0\x02\x10\0\0MM\0*"), None);
        assert_eq!(headroom(HEADER), None);
        assert_eq!(headroom(&[HEADER, &[0xFF, 0xFF]].concat()), None);
        for length in 0..note().len() {
            let _ = headroom(&note()[..length]);
        }
    }
}
