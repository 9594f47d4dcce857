//! Segments that say how the views of both eyes lie in one picture: JPS, and CIPA's Stereo Still Image (DC-006).

use std::borrow::Cow;

use crate::optimize::metadata::Tiff;

const JPS_ID: &[u8] = b"_JPSJPS_";
const STIM_ID: &[u8] = b"Stim\0";
/// Where the TIFF header stands, behind a fill byte.
const STIM_HEADER_AT: usize = 6;
/// The tag of what a program notes for itself.
const APPLICATION_DATA: u16 = 1;

pub fn is_layout(payload: &[u8]) -> bool {
    payload.starts_with(JPS_ID) || payload.starts_with(STIM_ID)
}

/// The segment's payload without a comment or a program's own data; `None` where it cannot be read.
///
/// Source: `ExifTool`, `Image::ExifTool::JPEG::JPS` and `Image::ExifTool::Stim`. JPS is an identifier, the length of a
/// block, the block, the length of a comment, the comment.
pub fn filtered(payload: &[u8]) -> Option<Cow<'_, [u8]>> {
    if payload.starts_with(STIM_ID) {
        return without_application_data(payload);
    }
    let length = payload.get(JPS_ID.len()..)?.first_chunk()?;
    let end = JPS_ID.len() + 2 + usize::from(u16::from_be_bytes(*length));
    let (header, comment) = payload.split_at_checked(end)?;
    Some(if matches!(comment, [] | [0, 0]) { payload.into() } else { [header, &[0, 0]].concat().into() })
}

/// What else is there keeps its place: entries name it by offset.
fn without_application_data(payload: &[u8]) -> Option<Cow<'_, [u8]>> {
    let tiff = Tiff::parse(payload.get(STIM_HEADER_AT..)?)?;
    let directory = tiff.first_directory()?;
    let mut out = Cow::Borrowed(payload);
    for entry in directory.entries.iter().filter(|entry| entry.tag == APPLICATION_DATA) {
        let range = STIM_HEADER_AT + entry.value_at..STIM_HEADER_AT + entry.value_at + entry.value.len();
        if entry.value.iter().any(|byte| *byte != 0) {
            out.to_mut().get_mut(range)?.fill(0);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_comment_of_jps_goes() {
        let header = b"_JPSJPS_\0\x04\x01\x02\0\x01";
        let of = |comment: &[u8]| [&header[..], comment].concat();
        assert_eq!(filtered(&of(b"\0\x05place")).as_deref(), Some(&of(&[0, 0])[..]));
        for kept in [of(&[0, 0]), of(&[])] {
            assert!(matches!(filtered(&kept), Some(Cow::Borrowed(same)) if same == kept));
        }
        for cut in 8..header.len() - 1 {
            assert_eq!(filtered(&header[..cut]), None);
        }
    }

    #[test]
    fn the_application_data_of_stim_go() {
        let of = |data: &[u8; 8]| {
            let mut out =
                b"Stim\0\0MM\0*\0\0\0\x08\0\x02\0\x01\0\x07\0\0\0\x08\0\0\0\x26\0\x02\0\x03\0\0\0\x01\0\x01\0\0"
                    .to_vec();
            out.extend([0; 4]);
            out.extend(data);
            out
        };
        assert_eq!(filtered(&of(b"a secret")).as_deref(), Some(&of(&[0; 8])[..]));
        assert!(matches!(filtered(&of(&[0; 8])), Some(Cow::Borrowed(_))));
        for length in 0..of(b"a secret").len() {
            let _ = filtered(&of(b"a secret")[..length]);
        }
    }
}
