//! Where an object lies inside its bucket's directory. Pure.

use sha2::{Digest, Sha256};

/// The file of a key: plain keys under their own names. A segment that no file can be called (empty, `.`, `..`), or that
/// begins with `%`, gets a `%` in front. A key that is too long for the file names that `s3s-fs` derives from it lies,
/// and is listed, under its hash.
pub(super) fn file_name(bucket: &str, key: &str) -> String {
    const LONGEST_NAME: usize = 255;
    const UUID_LENGTH: usize = 36;
    let base64 = |text: &str| (text.len() * 4).div_ceil(3);
    let sidecar = ".bucket-.object-.upload-.metadata.json".len() + UUID_LENGTH + base64(bucket);
    let name = key.split('/').map(file_segment).collect::<Vec<_>>().join("/");
    if sidecar + base64(&name) > LONGEST_NAME {
        return format!("%long/{:x}", Sha256::digest(key));
    }
    name
}

fn file_segment(segment: &str) -> String {
    match segment {
        "" | "." | ".." => format!("%{segment}"),
        _ if segment.starts_with('%') => format!("%{segment}"),
        _ => segment.to_owned(),
    }
}

/// What the files of all keys with this prefix begin with. A prefix ends amid a segment: only whole ones are special.
pub(super) fn file_prefix(prefix: &str) -> String {
    let (whole, last) = prefix.rsplit_once('/').map_or((None, prefix), |(whole, last)| (Some(whole), last));
    let last = if last.starts_with('%') { format!("%{last}") } else { last.to_owned() };
    let whole = whole.map(|whole| whole.split('/').map(file_segment).collect::<Vec<_>>().join("/") + "/");
    whole.unwrap_or_default() + &last
}

/// The key, or common prefix, of a name that [`file_name`] made.
pub(super) fn key_of(name: &str) -> String {
    let segment = |segment: &str| match segment.strip_prefix('%') {
        Some(rest) if matches!(rest, "" | "." | "..") || rest.starts_with('%') => rest.to_owned(),
        _ => segment.to_owned(),
    };
    name.split('/').map(segment).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_keys_keep_their_names() {
        for key in ["a.jpg", "photos/2026/日本.png", "a b+(1)%.jpg", ".hidden", "...", "a/..b"] {
            assert_eq!(file_name("bucket", key), key);
            assert_eq!(key_of(key), key);
        }
    }

    #[test]
    fn keys_that_no_file_can_have_come_back() {
        for key in ["..", "../up", "a//b", "/lead", "folder/", "%", "a/./b", "%%x/", "//"] {
            let name = file_name("bucket", key);
            assert!(name.split('/').all(|segment| !matches!(segment, "" | "." | "..")), "{name}");
            assert_eq!(key_of(&name), key);
        }
    }

    #[test]
    fn long_keys_lie_under_their_hash() {
        let name = file_name("bucket", &"k".repeat(1024));
        assert!(name.starts_with("%long/") && name.len() < 80, "{name}");
        assert_ne!(name, file_name("bucket", &"k".repeat(1023)));
    }

    #[test]
    fn prefixes_select_what_their_keys_became() {
        for (prefix, key) in [("a/", "a//b"), ("", "../x"), ("../", "../x"), ("a/.", "a/.b"), ("%", "%x")] {
            assert!(file_name("bucket", key).starts_with(&file_prefix(prefix)), "{prefix} {key}");
        }
    }
}
