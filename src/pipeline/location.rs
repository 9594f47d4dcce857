//! The two ends of a transfer, and the location of a relative key under them. Pure except for [`Location::one`].

use std::ffi::OsStr;
use std::fmt;
use std::path::{Component, Path, PathBuf};

use crate::s3::ObjectRef;

/// A location to read from or write to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A bucket, and a key or prefix.
    S3(ObjectRef),
    Local(PathBuf),
    /// stdin or stdout.
    Stream,
}

impl Location {
    /// # Errors
    /// Describes what is wrong with an `s3://` address.
    pub fn parse(text: &OsStr) -> Result<Self, String> {
        if text == "-" {
            return Ok(Self::Stream);
        }
        let Some(address) = text.to_str().and_then(|text| text.strip_prefix("s3://")) else {
            return Ok(Self::Local(text.into()));
        };
        let (bucket, key) = address.split_once('/').unwrap_or((address, ""));
        if bucket.is_empty() {
            return Err(format!("{}: no bucket name, want s3://bucket/key", text.display()));
        }
        if bucket.starts_with("arn:") {
            let alias = "use the access point's alias, as in s3://name-s3alias/key";
            return Err(format!("{}: an ARN is no bucket; {alias}", text.display()));
        }
        Ok(Self::S3(ObjectRef::new(bucket, key)))
    }

    #[must_use]
    pub fn is_s3(&self) -> bool {
        matches!(self, Self::S3(_))
    }

    /// Returns the root for many keys: an S3 prefix that is empty or ends with `/`.
    #[must_use]
    pub fn root(mut self) -> Self {
        if let Self::S3(ObjectRef { key, .. }) = &mut self
            && !key.is_empty()
            && !key.ends_with('/')
        {
            key.push('/');
        }
        self
    }

    /// Returns the location of a relative key under this root.
    ///
    /// # Errors
    /// Describes why the key is no path here.
    pub fn join(&self, key: &str) -> Result<Self, String> {
        Ok(match self {
            Self::S3(root) => Self::S3(ObjectRef::new(&root.bucket, format!("{}{key}", root.key))),
            Self::Local(root) => Self::Local(root.join(relative_path(key)?)),
            Self::Stream => Self::Stream,
        })
    }

    /// Returns where one object or file of this name is written: inside a folder under that name, else at this
    /// location.
    ///
    /// # Errors
    /// Describes why the name is no path here.
    pub fn one(&self, name: Option<&str>) -> Result<Self, String> {
        let is_folder = match self {
            Self::S3(object) => object.key.is_empty() || object.key.ends_with('/'),
            Self::Local(path) => path.as_os_str().as_encoded_bytes().ends_with(b"/") || path.is_dir(),
            Self::Stream => false,
        };
        if !is_folder {
            return Ok(self.clone());
        }
        let name = name.filter(|name| !name.is_empty());
        self.join(name.ok_or("the source has no usable name: give the full destination")?)
    }

    /// Returns the last segment of a key or path.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::S3(object) => object.key.rsplit('/').next(),
            Self::Local(path) => path.file_name().and_then(OsStr::to_str),
            Self::Stream => None,
        }
    }

    /// Whether `other` is this location or is below it. Both are roots.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::S3(outer), Self::S3(inner)) => outer.bucket == inner.bucket && inner.key.starts_with(&outer.key),
            (..) => false,
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3(object) => object.fmt(f),
            Self::Local(path) => path.display().fmt(f),
            Self::Stream => f.write_str("-"),
        }
    }
}

/// Converts a key to a path inside its folder. Refuses any other key: writing it under another name would merge two
/// keys, or leave the folder.
fn relative_path(key: &str) -> Result<PathBuf, String> {
    let refuse =
        |why| Err(format!("the key {key:?} is not a valid path: {why}; copy it by itself to a name of your choice"));
    for segment in key.split('/') {
        match segment {
            "" => return refuse("it begins or ends with /, or contains //"),
            "." | ".." => return refuse("it contains . or .."),
            _ if segment.contains('\0') => return refuse("it contains a NUL"),
            _ if cfg!(windows) && segment.contains(['\\', ':', '<', '>', '"', '|', '?', '*']) => {
                return refuse("it contains a character that Windows does not allow in names");
            }
            _ if cfg!(windows) && segment.ends_with(['.', ' ']) => {
                return refuse("a name in it ends with a dot or space, which Windows drops");
            }
            _ => {}
        }
    }
    let path = Path::new(key);
    if path.components().all(|component| matches!(component, Component::Normal(_))) {
        Ok(path.to_owned())
    } else {
        refuse("it leads out of the folder")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Location {
        Location::parse(OsStr::new(text)).unwrap()
    }

    fn s3(bucket: &str, key: &str) -> Location {
        Location::S3(ObjectRef::new(bucket, key))
    }

    #[test]
    fn parse_tells_addresses_from_paths() {
        assert_eq!(parse("s3://b"), s3("b", ""));
        assert_eq!(parse("s3://b/a b+/日.jpg"), s3("b", "a b+/日.jpg"));
        assert_eq!(parse("s3://b//k"), s3("b", "/k"));
        assert_eq!(parse("./s3://b"), Location::Local("./s3://b".into()));
        assert_eq!(parse("-"), Location::Stream);
        assert!(Location::parse(OsStr::new("s3://")).is_err());
        let point = "s3://arn:aws:s3:eu-west-1:111111111111:accesspoint/name/key";
        assert!(Location::parse(OsStr::new(point)).unwrap_err().contains("access point's alias"));
    }

    #[test]
    fn root_of_prefix_ends_with_slash() {
        assert_eq!(parse("s3://b/p").root(), s3("b", "p/"));
        assert_eq!(parse("s3://b/p/").root(), s3("b", "p/"));
        assert_eq!(parse("s3://b").root(), s3("b", ""));
    }

    #[test]
    fn one_appends_name_to_a_folder() {
        let one = |to: &str| parse(to).one(Some("x.jpg")).unwrap();
        assert_eq!(one("s3://b"), s3("b", "x.jpg"));
        assert_eq!(one("s3://b/p/"), s3("b", "p/x.jpg"));
        assert_eq!(one("s3://b/p"), s3("b", "p"));
        assert_eq!(one("no-such-folder/"), Location::Local("no-such-folder/x.jpg".into()));
        assert_eq!(one("no-such-file"), Location::Local("no-such-file".into()));
        assert!(parse("s3://b/p/").one(None).is_err());
        assert!(parse("folder/").one(Some("..")).is_err());
    }

    #[test]
    fn join_of_key_that_is_no_path_is_an_error() {
        for key in ["../a", "a/../b", "/a", "a/", "a//b", ".", "a/./b", "a\0b", ""] {
            let error = parse("root").join(key).unwrap_err();
            assert!(error.contains(&format!("{key:?}")), "{error}");
            assert!(parse("s3://b/root").join(key).is_ok(), "S3 takes any");
        }
        for key in ["a b+.jpg", "日/本", "...", "a/..b", ".hidden", "%"] {
            assert_eq!(parse("root").join(key), Ok(Location::Local(Path::new("root").join(key))));
        }
    }
}
