//! Maps keys to files inside a bucket's directory. Pure.

use sha2::{Digest, Sha256};

/// Returns the file name of a key: a plain key is its own file name. A segment that cannot be a file name (empty, `.`,
/// `..`), or that begins with `%`, gets a `%` in front. A key too long for the file names that `s3s-fs` derives from it
/// is stored, and listed, under its hash.
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

/// Returns the prefix of the file names of all keys with this prefix. A prefix ends within a segment: only whole
/// segments are special.
pub(super) fn file_prefix(prefix: &str) -> String {
    let (whole, last) = prefix.rsplit_once('/').map_or((None, prefix), |(whole, last)| (Some(whole), last));
    let last = if last.starts_with('%') { format!("%{last}") } else { last.to_owned() };
    let whole = whole.map(|whole| whole.split('/').map(file_segment).collect::<Vec<_>>().join("/") + "/");
    whole.unwrap_or_default() + &last
}

/// Returns the key, or common prefix, of a name from [`file_name`].
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
    fn file_name_of_plain_key_is_the_key() {
        for key in ["a.jpg", "photos/2026/日本.png", "a b+(1)%.jpg", ".hidden", "...", "a/..b"] {
            assert_eq!(file_name("bucket", key), key);
            assert_eq!(key_of(key), key);
        }
    }

    #[test]
    fn key_of_special_file_name_is_restored() {
        for key in ["..", "../up", "a//b", "/lead", "folder/", "%", "a/./b", "%%x/", "//"] {
            let name = file_name("bucket", key);
            assert!(name.split('/').all(|segment| !matches!(segment, "" | "." | "..")), "{name}");
            assert_eq!(key_of(&name), key);
        }
    }

    #[test]
    fn file_name_of_long_key_is_its_hash() {
        let name = file_name("bucket", &"k".repeat(1024));
        assert!(name.starts_with("%long/") && name.len() < 80, "{name}");
        assert_ne!(name, file_name("bucket", &"k".repeat(1023)));
    }

    #[test]
    fn file_prefix_matches_file_names_of_its_keys() {
        for (prefix, key) in [("a/", "a//b"), ("", "../x"), ("../", "../x"), ("a/.", "a/.b"), ("%", "%x")] {
            assert!(file_name("bucket", key).starts_with(&file_prefix(prefix)), "{prefix} {key}");
        }
    }
}
