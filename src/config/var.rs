//! A table of environment variables: error messages, defaults and the documentation are generated from it.

use std::fmt::Write;

use super::environment::Given;

/// One environment variable of settings `S`.
pub struct Var<S: 'static> {
    pub name: &'static str,
    /// Completes "want …" in error messages, and fills the documentation's column.
    pub format: &'static str,
    /// Default value, parsed like the environment's; `None` if the variable is required.
    pub default: Option<&'static str>,
    /// Description for the documentation.
    pub doc: &'static str,
    /// Parses a value into its setting; `None` if it does not have the format.
    pub(super) read: fn(&mut S, &str) -> Option<()>,
}

/// Sets every variable of a table, to its value or its default. Returns all faults.
pub(super) fn apply<S>(vars: &[Var<S>], given: &Given, settings: &mut S) -> Vec<String> {
    let faults = vars.iter().filter_map(|var| var.apply(settings, given.get(var.name).map(String::as_str)).err());
    faults.collect()
}

impl<S> Var<S> {
    /// Parses the value, or the default.
    fn apply(&self, settings: &mut S, value: Option<&str>) -> Result<(), String> {
        let Self { name, format, .. } = self;
        let Some(text) = value.or(self.default) else { return Err(format!("{name}: missing, want {format}")) };
        (self.read)(settings, text).ok_or_else(|| format!("{name}: got {text:?}, want {format}"))
    }
}

/// Renders a table's rows in Markdown.
pub(super) fn rows<S>(vars: &[Var<S>]) -> String {
    let mut rows = String::new();
    for Var { name, format, default, doc, .. } in vars {
        let default = match default {
            None => "*required*".into(),
            Some("") => String::new(),
            Some(value) => format!("`{value}`"),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(rows, "| `{name}` | {format} | {default} | {doc} |");
    }
    rows
}

pub(super) fn put<T>(place: &mut T, value: Option<T>) -> Option<()> {
    *place = value?;
    Some(())
}

/// Like [`put`], for an optional setting; empty text means `None`.
pub(super) fn put_optional<T>(place: &mut Option<T>, text: &str, read: impl Fn(&str) -> Option<T>) -> Option<()> {
    *place = if text.is_empty() { None } else { Some(read(text)?) };
    Some(())
}
