//! The formats Karui recognizes, by magic bytes: one row each.

use std::fmt;

/// An image format, told by its bytes and never by a name or a header of the transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// Rewritten.
    Jpeg,
    /// Rewritten; APNG, too.
    Png,
    /// Rewritten without loss.
    Gif,
    /// Rewritten, if it is a still picture.
    WebP,
    /// Recognized only.
    Avif,
    /// Recognized only.
    Heic,
    /// Recognized only.
    JpegXl,
    /// Recognized only.
    Jpeg2000,
    /// Recognized only.
    Tiff,
    /// Recognized only.
    Bmp,
    /// Recognized only.
    Ico,
    /// Recognized only.
    Svg,
}

struct Row {
    format: Format,
    name: &'static str,
    mime: &'static str,
    /// Lower case, without the dot.
    extensions: &'static [&'static str],
    recognizes: fn(&[u8]) -> bool,
}

/// Bytes that suffice to tell every format.
pub const SNIFF_BYTES: usize = 1024;

#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row { format: Format::Jpeg, name: "jpeg", mime: "image/jpeg", extensions: &["jpg", "jpeg", "jpe", "jfif", "mpo"], recognizes: |b| b.starts_with(b"\xff\xd8\xff") },
    Row { format: Format::Png, name: "png", mime: "image/png", extensions: &["png", "apng"], recognizes: |b| b.starts_with(b"\x89PNG\r\n\x1a\n") },
    Row { format: Format::Gif, name: "gif", mime: "image/gif", extensions: &["gif"], recognizes: |b| b.starts_with(b"GIF87a") || b.starts_with(b"GIF89a") },
    Row { format: Format::WebP, name: "webp", mime: "image/webp", extensions: &["webp"], recognizes: |b| b.starts_with(b"RIFF") && b.get(8..12) == Some(b"WEBP") },
    Row { format: Format::Avif, name: "avif", mime: "image/avif", extensions: &["avif", "avifs"], recognizes: |b| has_brand(b, &[b"avif", b"avis"]) },
    Row { format: Format::Heic, name: "heic", mime: "image/heic", extensions: &["heic", "heif", "hif"], recognizes: |b| has_brand(b, &[b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"]) },
    Row { format: Format::JpegXl, name: "jxl", mime: "image/jxl", extensions: &["jxl"], recognizes: |b| b.starts_with(b"\xff\x0a") || b.starts_with(b"\0\0\0\x0cJXL \r\n\x87\n") },
    Row { format: Format::Jpeg2000, name: "jp2", mime: "image/jp2", extensions: &["jp2", "j2k", "jpx"], recognizes: |b| b.starts_with(b"\0\0\0\x0cjP  \r\n\x87\n") || b.starts_with(b"\xff\x4f\xff\x51") },
    Row { format: Format::Tiff, name: "tiff", mime: "image/tiff", extensions: &["tif", "tiff", "dng"], recognizes: |b| b.starts_with(b"II*\0") || b.starts_with(b"MM\0*") || b.starts_with(b"II+\0") || b.starts_with(b"MM\0+") },
    Row { format: Format::Bmp, name: "bmp", mime: "image/bmp", extensions: &["bmp", "dib"], recognizes: is_bmp },
    Row { format: Format::Ico, name: "ico", mime: "image/vnd.microsoft.icon", extensions: &["ico"], recognizes: |b| b.starts_with(b"\0\0\x01\0") && b.len() > 5 && (b[4], b[5]) != (0, 0) },
    Row { format: Format::Svg, name: "svg", mime: "image/svg+xml", extensions: &["svg"], recognizes: is_svg },
];

impl Format {
    /// The format of a file from its first [`SNIFF_BYTES`] bytes; `None` where it is no image we know.
    #[must_use]
    pub fn sniff(bytes: &[u8]) -> Option<Self> {
        let head = &bytes[..bytes.len().min(SNIFF_BYTES)];
        ROWS.iter().find(|row| (row.recognizes)(head)).map(|row| row.format)
    }

    /// Whether the engine rewrites images of this format. Others are copied unread.
    #[must_use]
    pub fn is_rewritten(self) -> bool {
        match self {
            Self::Jpeg | Self::Png | Self::Gif | Self::WebP => true,
            Self::Avif
            | Self::Heic
            | Self::JpegXl
            | Self::Jpeg2000
            | Self::Tiff
            | Self::Bmp
            | Self::Ico
            | Self::Svg => false,
        }
    }

    /// Short lower-case name, as the report writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The media type that a browser expects.
    #[must_use]
    pub fn mime(self) -> &'static str {
        self.row().mime
    }

    /// Whether a file name's extension (any case, no dot) is one of an image format.
    #[must_use]
    pub fn is_image_extension(extension: &str) -> bool {
        let extension = extension.to_ascii_lowercase();
        ROWS.iter().any(|row| row.extensions.contains(&extension.as_str()))
    }

    fn row(self) -> &'static Row {
        let index = ROWS.iter().position(|row| row.format == self);
        &ROWS[index.expect("every format has its row, which a test proves")]
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// ISO base media file format: a `ftyp` box whose major brand, or else one of the compatible ones, is in the list
/// (ISO/IEC 14496-12, 4.3).
fn has_brand(bytes: &[u8], brands: &[&[u8; 4]]) -> bool {
    if bytes.get(4..8) != Some(b"ftyp") {
        return false;
    }
    let length = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
    let end = length.min(bytes.len());
    let compatible = bytes.get(16..end).unwrap_or_default();
    let major = bytes.get(8..12).unwrap_or_default();
    brands.iter().any(|brand| major == brand.as_slice())
        || (matches!(major, b"mif1" | b"msf1" | b"miaf")
            && compatible.chunks_exact(4).any(|b| brands.iter().any(|brand| b == brand.as_slice())))
}

/// "BM" alone begins many texts: the header's size, one of those in use, decides.
fn is_bmp(bytes: &[u8]) -> bool {
    bytes.starts_with(b"BM")
        && bytes.get(14..18).is_some_and(|size| {
            matches!(u32::from_le_bytes([size[0], size[1], size[2], size[3]]), 12 | 16 | 40 | 52 | 56 | 64 | 108 | 124)
        })
}

/// An `<svg` element near the start, after nothing but XML declarations, comments and a doctype.
fn is_svg(bytes: &[u8]) -> bool {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    let begins_xml = text.starts_with(b"<svg")
        || text.starts_with(b"<?xml")
        || text.starts_with(b"<!--")
        || text.starts_with(b"<!DOCTYPE svg");
    begins_xml && text.windows(4).any(|w| w == b"<svg")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_again() {
        for row in ROWS {
            assert_eq!(row.format.name(), row.name);
            assert!(row.mime.starts_with("image/"));
            assert!(Format::is_image_extension(&row.extensions[0].to_uppercase()));
        }
    }

    #[test]
    fn magic_bytes_decide() {
        let cases: [(&[u8], Option<Format>); 14] = [
            (b"\xff\xd8\xff\xe0", Some(Format::Jpeg)),
            (b"\x89PNG\r\n\x1a\n", Some(Format::Png)),
            (b"GIF89a", Some(Format::Gif)),
            (b"RIFF\x10\0\0\0WEBPVP8 ", Some(Format::WebP)),
            (b"\0\0\0\x14ftypavif\0\0\0\0mif1", Some(Format::Avif)),
            (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", Some(Format::Avif)),
            (b"\0\0\0\x14ftypheic\0\0\0\0mif1", Some(Format::Heic)),
            (b"\xff\x0a", Some(Format::JpegXl)),
            (b"II*\0", Some(Format::Tiff)),
            (b"<?xml version=\"1.0\"?>\n<svg xmlns=\"\">", Some(Format::Svg)),
            (b"BMI is a body mass index, and no bitmap", None),
            (b"RIFF\x10\0\0\0WAVE", None),
            (b"%PDF-1.7", None),
            (b"", None),
        ];
        for (bytes, format) in cases {
            assert_eq!(Format::sniff(bytes), format, "{:?}", String::from_utf8_lossy(bytes));
        }
    }
}
