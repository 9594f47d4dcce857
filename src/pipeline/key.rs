//! Where a result lies: its key, made of its source's. Pure.

use std::fmt;
use std::str::FromStr;

/// How a result's key is made: `small/{dir}{stem}-light{ext}` makes `small/a/b-light.jpg` of `a/b.jpg`. The three are the
/// whole of the source's key, so that no two sources have one result; the default is that key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyTemplate {
    before_dir: String,
    before_stem: String,
    before_ext: String,
}

/// Of all that is put into a key, in bytes.
const MAX_BYTES: usize = 512;

impl KeyTemplate {
    /// The source's key behind this.
    pub fn under(prefix: impl Into<String>) -> Self {
        Self { before_dir: prefix.into(), ..Self::default() }
    }

    /// The result's key.
    #[must_use]
    pub fn render(&self, source: &str) -> String {
        let Self { before_dir, before_stem, before_ext } = self;
        let (dir, name) = source.split_at(source.rfind('/').map_or(0, |slash| slash + 1));
        // A name that begins with its only dot is all stem.
        let (stem, ext) = name.split_at(name.rfind('.').filter(|dot| *dot > 0).unwrap_or(name.len()));
        format!("{before_dir}{dir}{before_stem}{stem}{before_ext}{ext}")
    }

    /// Whether it is the key of a result, of whatever source.
    #[must_use]
    pub fn makes(&self, key: &str) -> bool {
        let Some(rest) = key.strip_prefix(&self.before_dir) else { return false };
        // The last dot begins the extension, unless the source had none, and the dot is the template's.
        let ends = [rest.rfind('.').unwrap_or(rest.len()), rest.len()];
        ends.into_iter().any(|end| self.source_of(rest, end).is_some_and(|source| self.render(&source) == key))
    }

    /// Whether results of sources that begin with `prefix` may begin with it as well.
    #[must_use]
    pub fn may_stay_under(&self, prefix: &str) -> bool {
        let (dir, name) = prefix.split_at(prefix.rfind('/').map_or(0, |slash| slash + 1));
        let Self { before_dir, before_stem, .. } = self;
        // What the prefix ends with is the beginning of a name, or of a folder's.
        format!("{before_dir}{prefix}").starts_with(prefix)
            || format!("{before_dir}{dir}{before_stem}{name}").starts_with(prefix)
    }

    /// The key that this was made of, where its extension begins at `end` of what is behind the prefix.
    fn source_of(&self, rest: &str, end: usize) -> Option<String> {
        let (body, ext) = rest.split_at(end);
        let body = body.strip_suffix(&self.before_ext)?;
        let after_slash = |text: &str| text.rfind('/').map_or(0, |slash| slash + 1);
        // The stem has no slash: the last one is that of `dir`, or of what the template puts behind it.
        let (dir, name) = body.split_at_checked(after_slash(body).checked_sub(after_slash(&self.before_stem))?)?;
        Some(format!("{dir}{}{ext}", name.strip_prefix(&self.before_stem)?))
    }
}

/// Not `{dir}`, `{stem}` and `{ext}`, each once and in this order, with nothing behind them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoTemplate;

impl FromStr for KeyTemplate {
    type Err = NoTemplate;

    fn from_str(text: &str) -> Result<Self, NoTemplate> {
        let (before_dir, rest) = text.split_once("{dir}").ok_or(NoTemplate)?;
        let (before_stem, rest) = rest.split_once("{stem}").ok_or(NoTemplate)?;
        let before_ext = rest.strip_suffix("{ext}").ok_or(NoTemplate)?;
        let literals = [before_dir, before_stem, before_ext];
        if literals.iter().any(|literal| literal.contains(['{', '}'])) || literals.concat().len() > MAX_BYTES {
            return Err(NoTemplate);
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
    fn a_result_keeps_folder_and_extension() {
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
    fn results_are_known_by_their_keys() {
        for text in TEMPLATES {
            let template = template(text);
            assert_eq!(template.to_string(), text);
            for key in KEYS {
                assert!(template.makes(&template.render(key)), "{text} of {key}");
            }
        }
        for (text, key) in [
            ("small/{dir}{stem}{ext}", "smaller/a.jpg"),
            ("{dir}{stem}-light{ext}", "a.jpg"),
            ("{dir}{stem}-light{ext}", "a-light/b.jpg"),
            ("{dir}small/{stem}{ext}", "small/a/b.jpg"),
            ("{dir}{stem}.min{ext}", "a.jpg"),
        ] {
            assert!(!template(text).makes(key), "{text}: {key}");
        }
    }

    #[test]
    fn results_that_may_come_back_are_foreseen() {
        for (text, prefix, may) in [
            ("{dir}{stem}{ext}", "", true),
            ("{dir}{stem}-light{ext}", "photos/", true),
            ("small/{dir}{stem}{ext}", "photos/", false),
            ("photos/{dir}{stem}{ext}", "photos/", true),
            ("{dir}small/{stem}{ext}", "photos/", true),
            ("a{dir}b{stem}{ext}", "ab", true),
        ] {
            assert_eq!(template(text).may_stay_under(prefix), may, "{text} under {prefix}");
        }
    }

    #[test]
    fn what_could_lose_an_object_is_no_template() {
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
            assert_eq!(text.parse::<KeyTemplate>(), Err(NoTemplate), "{text}");
        }
    }
}
