//! Values of an environment, and all that is wrong with them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;

/// Values by name, without empty ones: an empty value counts as unset, as an empty template parameter means.
pub(super) type Given = BTreeMap<String, String>;

/// Drops empty values.
pub(super) fn given(environment: impl IntoIterator<Item = (String, String)>) -> Given {
    environment.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

/// Converts an environment to text. A value that is not UTF-8 stays present, as an invalid value.
pub fn readable(environment: impl IntoIterator<Item = (OsString, OsString)>) -> impl Iterator<Item = (String, String)> {
    let named = environment.into_iter().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    named.map(|(name, value)| (name, value.to_string_lossy().into_owned()))
}

/// All faults of the environment, in one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(pub Vec<String>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, plural) = (self.0.len(), if self.0.len() == 1 { "" } else { "s" });
        write!(f, "Karui's configuration has {count} fault{plural}:")?;
        self.0.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl std::error::Error for Faults {}

/// Rejects unknown names: a misspelt variable would silently leave the default.
pub(super) fn unknown_names(given: &Given, known: &[&str]) -> Vec<String> {
    let unknown = given.keys().filter(|name| name.starts_with("KARUI_") && !known.contains(&name.as_str()));
    unknown.map(|name| format!("{name}: unknown{}", suggestion(name, known))).collect()
}

fn suggestion(name: &str, known: &[&str]) -> String {
    let nearest = known.iter().map(|known| (distance(name, known), known)).min();
    match nearest {
        Some((edits, known)) if edits <= 4 => format!(", did you mean {known}?"),
        _ => String::new(),
    }
}

/// Levenshtein distance, in bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
