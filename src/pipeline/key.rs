//! Derives a result's key from its source's key. Pure.

use std::fmt;
use std::str::FromStr;

/// Template of a result's key: `small/{dir}{stem}-light{ext}` turns `a/b.jpg` into `small/a/b-light.jpg`. The three
/// placeholders cover the whole source key, so that no two sources share a result. The default is the source's key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyTemplate {
    before_dir: String,
    before_stem: String,
    before_ext: String,
}

/// Most bytes of literal text in a template.
const MAX_BYTES: usize = 512;

impl KeyTemplate {
    /// Template that puts `prefix` before the source's key.
    pub fn under(prefix: impl Into<String>) -> Self {
        Self { before_dir: prefix.into(), ..Self::default() }
    }

    /// Returns the result's key.
    #[must_use]
    pub fn render(&self, source: &str) -> String {
        let Self { before_dir, before_stem, before_ext } = self;
        let (dir, name) = source.split_at(source.rfind('/').map_or(0, |slash| slash + 1));
        // A name whose only dot is its first character has no extension.
        let (stem, ext) = name.split_at(name.rfind('.').filter(|dot| *dot > 0).unwrap_or(name.len()));
        format!("{before_dir}{dir}{before_stem}{stem}{before_ext}{ext}")
    }

    /// Whether `key` is the key of a result of some source.
    #[must_use]
    pub fn is_result(&self, key: &str) -> bool {
        let Some(rest) = key.strip_prefix(&self.before_dir) else { return false };
        // The last dot starts the extension, unless the source had none and the dot belongs to the template.
        let ends = [rest.rfind('.').unwrap_or(rest.len()), rest.len()];
        ends.into_iter().any(|end| self.source_of(rest, end).is_some_and(|source| self.render(&source) == key))
    }

    /// Whether a source whose key begins with `prefix` may have a result whose key begins with it too.
    #[must_use]
    pub fn may_write_under(&self, prefix: &str) -> bool {
        let (dir, name) = prefix.split_at(prefix.rfind('/').map_or(0, |slash| slash + 1));
        let Self { before_dir, before_stem, .. } = self;
        // The prefix may end within a file or folder name.
        format!("{before_dir}{prefix}").starts_with(prefix)
            || format!("{before_dir}{dir}{before_stem}{name}").starts_with(prefix)
    }

    /// Returns the source key, if its extension starts at `end` of the text after the template's prefix.
    fn source_of(&self, rest: &str, end: usize) -> Option<String> {
        let (body, ext) = rest.split_at(end);
        let body = body.strip_suffix(&self.before_ext)?;
        let after_slash = |text: &str| text.rfind('/').map_or(0, |slash| slash + 1);
        // The stem has no slash: the last slash belongs to `dir`, or to the template's text after it.
        let (dir, name) = body.split_at_checked(after_slash(body).checked_sub(after_slash(&self.before_stem))?)?;
        Some(format!("{dir}{}{ext}", name.strip_prefix(&self.before_stem)?))
    }
}

/// The text does not have `{dir}`, `{stem}` and `{ext}`, each once, in this order, with nothing after them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidTemplate;

impl FromStr for KeyTemplate {
    type Err = InvalidTemplate;

    fn from_str(text: &str) -> Result<Self, InvalidTemplate> {
        let (before_dir, rest) = text.split_once("{dir}").ok_or(InvalidTemplate)?;
        let (before_stem, rest) = rest.split_once("{stem}").ok_or(InvalidTemplate)?;
        let before_ext = rest.strip_suffix("{ext}").ok_or(InvalidTemplate)?;
        let literals = [before_dir, before_stem, before_ext];
        if literals.iter().any(|literal| literal.contains(['{', '}'])) || literals.concat().len() > MAX_BYTES {
            return Err(InvalidTemplate);
        }
        let [before_dir, before_stem, before_ext] = literals.map(str::to_owned);
        Ok(Self { before_dir, before_stem, before_ext })
    }
}

impl fmt::Display for KeyTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { before_dir, before_stem, before_ext } = self;
        write!(f, "{before_dir}{{dir}}{before_stem}{{stem}}{before_ext}{{ext}}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATES: [&str; 7] = [
        "{dir}{stem}{ext}",
        "small/{dir}{stem}{ext}",
        "{dir}{stem}-light{ext}",
        "small/{dir}{stem}-light{ext}",
        "{dir}small/{stem}{ext}",
        "x{dir}thumbs/t-{stem}.min{ext}",
        "{dir}{stem}/light{ext}",
    ];
    const KEYS: [&str; 12] = [
        "a.jpg",
        "a/b.c/d",
        "a/b.jpg",
        ".hidden",
        "a/.hidden",
        "a.",
        "a.b.jpg",
        "",
        "a/",
        "//",
        "日本/写真.jpg",
        "small/x",
    ];

    fn template(text: &str) -> KeyTemplate {
        text.parse().unwrap()
    }

    #[test]
    fn render_keeps_folder_and_extension() {
        let table = [
            ("small/{dir}{stem}-light{ext}", "a/b.jpg", "small/a/b-light.jpg"),
            ("small/{dir}{stem}-light{ext}", "b", "small/b-light"),
            ("{dir}thumbs/{stem}{ext}", "a/b.tar.gz", "a/thumbs/b.tar.gz"),
            ("{dir}{stem}-light{ext}", "a.d/.hidden", "a.d/.hidden-light"),
            ("small/{dir}{stem}{ext}", "a/", "small/a/"),
        ];
        for (text, source, result) in table {
            assert_eq!(template(text).render(source), result, "{text} of {source}");
        }
        assert!(KEYS.iter().all(|key| KeyTemplate::default().render(key) == *key));
        assert_eq!(KeyTemplate::under("small/"), template("small/{dir}{stem}{ext}"));
    }

    #[test]
    fn is_result_recognizes_rendered_keys() {
        for text in TEMPLATES {
            let template = template(text);
            assert_eq!(template.to_string(), text);
            for key in KEYS {
                assert!(template.is_result(&template.render(key)), "{text} of {key}");
            }
        }
        for (text, key) in [
            ("small/{dir}{stem}{ext}", "smaller/a.jpg"),
            ("{dir}{stem}-light{ext}", "a.jpg"),
            ("{dir}{stem}-light{ext}", "a-light/b.jpg"),
            ("{dir}small/{stem}{ext}", "small/a/b.jpg"),
            ("{dir}{stem}.min{ext}", "a.jpg"),
        ] {
            assert!(!template(text).is_result(key), "{text}: {key}");
        }
    }

    #[test]
    fn may_write_under_detects_a_loop() {
        for (text, prefix, may) in [
            ("{dir}{stem}{ext}", "", true),
            ("{dir}{stem}-light{ext}", "photos/", true),
            ("small/{dir}{stem}{ext}", "photos/", false),
            ("photos/{dir}{stem}{ext}", "photos/", true),
            ("{dir}small/{stem}{ext}", "photos/", true),
            ("a{dir}b{stem}{ext}", "ab", true),
        ] {
            assert_eq!(template(text).may_write_under(prefix), may, "{text} under {prefix}");
        }
    }

    #[test]
    fn parse_of_lossy_template_is_an_error() {
        let long = format!("{}{{dir}}{{stem}}{{ext}}", "x".repeat(513));
        for text in [
            "",
            "a",
            "{stem}{ext}",
            "{dir}{stem}",
            "{dir}{stem}{ext}x",
            "{dir}{dir}{stem}{ext}",
            "{ext}{dir}{stem}",
            &long,
        ] {
            assert_eq!(text.parse::<KeyTemplate>(), Err(InvalidTemplate), "{text}");
        }
    }
}
