//! A text table for terminals: text is left-aligned, numbers are right-aligned, widths are display widths.

use std::fmt;

use unicode_width::UnicodeWidthStr;

/// Rows of text under a heading.
#[derive(Debug, Clone)]
pub struct Table {
    rows: Vec<Vec<String>>,
    /// Whether each column is right-aligned, as numbers are.
    right: Vec<bool>,
}

impl Table {
    /// Creates a table with these columns; a name that begins with `>` is right-aligned.
    #[must_use]
    pub fn new(columns: &[&str]) -> Self {
        let names = columns.iter().map(|name| name.trim_start_matches('>').to_owned());
        Self { rows: vec![names.collect()], right: columns.iter().map(|name| name.starts_with('>')).collect() }
    }

    /// Adds a row. Escapes control characters, so that a file name cannot control the terminal.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| visible(&cell)).collect());
    }
}

/// Escapes control characters.
pub(super) fn visible(text: &str) -> String {
    let escape = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escape).collect()
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(|c| c.width()).max();
        let widths: Vec<usize> = (0..self.right.len()).map(|column| width(column).unwrap_or(0)).collect();
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, width), right) in row.iter().zip(&widths).zip(&self.right) {
                let padding = " ".repeat(width - cell.width());
                let (before, after) = if *right { (padding.as_str(), "") } else { ("", padding.as_str()) };
                line.extend([before, cell, after, "  "]);
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_pads_columns_by_display_width() {
        let mut table = Table::new(&["name", ">bytes"]);
        table.row(["写真".into(), "7".into()]);
        table.row(["a\nb".into(), "1234".into()]);
        assert_eq!(table.to_string(), "name  bytes\n写真      7\na\\nb   1234\n");
    }
}
