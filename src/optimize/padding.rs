//! What stands behind the end of an image in its file: padding that means nothing, or data of unknown meaning.

/// An end-of-central-directory record of a ZIP archive begins so (APPNOTE.TXT, 4.3.16).
const ZIP_END: &[u8; 4] = b"PK\x05\x06";
/// Its length without its comment, which has 65,535 bytes at most.
const ZIP_END_BYTES: usize = 22;

/// The data of unknown meaning behind an image: all of `rest`, or nothing where `rest` is white space, zeros, 0xFF bytes
/// and repetitions of the format's own end marker, as writers append them.
#[must_use]
pub fn without_padding<'a>(rest: &'a [u8], end_marker: &[u8]) -> &'a [u8] {
    let mut left = rest;
    while let Some((first, after)) = left.split_first() {
        left = match left.strip_prefix(end_marker).filter(|_| !end_marker.is_empty()) {
            Some(after) => after,
            None if is_filler(*first) => after,
            None => return rest,
        };
    }
    &[]
}

fn is_filler(byte: u8) -> bool {
    // Vertical tabs are white space as well (C, isspace), and no `is_ascii_whitespace`.
    byte.is_ascii_whitespace() || matches!(byte, 0 | 0x0B | 0xFF)
}

/// Whether data behind an image is addressed from the beginning of the file, so that it must not move: a ZIP archive whose
/// end record places the directory behind that record, counted from where the data begins.
#[must_use]
pub fn is_anchored(tail: &[u8]) -> bool {
    let searched = tail.len().saturating_sub(ZIP_END_BYTES + usize::from(u16::MAX));
    let Some(found) = tail[searched..].windows(ZIP_END.len()).rposition(|window| window == ZIP_END) else {
        return false;
    };
    let at = searched + found;
    let number = |offset: usize| {
        let bytes = tail.get(at + offset..)?.first_chunk()?;
        usize::try_from(u32::from_le_bytes(*bytes)).ok()
    };
    // Size of the central directory, and its offset: it ends before the end record.
    let (Some(size), Some(offset)) = (number(12), number(16)) else { return false };
    // In ZIP64 archives these numbers are the largest there are, and the true ones stand elsewhere.
    offset.checked_add(size).is_none_or(|end| end > at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fillers_and_end_markers_are_padding() {
        for rest in [&b""[..], b"\n", b"\r\n\t \x0B\x0C", &[0; 64], &[0xFF; 64], b"\n\0\xFFEND\0ENDEND\n"] {
            assert_eq!(without_padding(rest, b"END"), b"", "{rest:?}");
        }
        for rest in [&b"zip"[..], b"\n\0x", b"EN", b"ENDEN", b"\0END\0\x01"] {
            assert_eq!(without_padding(rest, b"END"), rest);
        }
        assert_eq!(without_padding(b"\0 \n", b""), b"");
        assert_eq!(without_padding(b"a", b""), b"a");
    }

    fn archive(offset: u32, comment: &[u8]) -> Vec<u8> {
        let end = [&ZIP_END[..], &[0; 8], &9_u32.to_le_bytes(), &offset.to_le_bytes(), &[0; 2], comment].concat();
        [b"member", &b"directory"[..], &end].concat()
    }

    #[test]
    fn an_archive_may_move_unless_its_offsets_are_the_files() {
        for comment in [vec![], vec![b'x'; 65_535]] {
            assert!(!is_anchored(&archive(6, &comment)));
            assert!(!is_anchored(&[b"\n0123", &archive(6, &comment)[..]].concat()));
            assert!(is_anchored(&archive(6 + 5_000, &comment)));
            assert!(is_anchored(&archive(u32::MAX, &comment)));
        }
        for tail in [&b""[..], b"PK\x05\x06", b"a maker's own data", &vec![b'P'; 100_000]] {
            assert!(!is_anchored(tail));
        }
    }
}
