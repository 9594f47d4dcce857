//! Rust code as words and signs, without comments, literals and tests.

/// Returns the tokens of a file: words, `::`, and any other sign by itself.
pub fn tokens(code: &str) -> Vec<String> {
    let mut rest = code;
    let mut found = Vec::new();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            c if c.is_alphabetic() || c == '_' => word(rest),
            _ if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            _ if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            _ if rest.starts_with("::") => 2,
            '"' => text(rest),
            '\'' => quoted(rest),
            c => c.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        rest = after;
        let raw =
            matches!(token, "r" | "br") && (rest.starts_with('"') || rest.starts_with("#\"") || rest.starts_with("##"));
        if raw {
            rest = after_raw_text(rest);
        } else if is_word(token) || token == "::" || (token.len() == 1 && !first.is_whitespace() && first != '"') {
            found.push(token.to_owned());
        }
    }
    without_tests(&found)
}

pub fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn word(rest: &str) -> usize {
    rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
}

/// Length of a text in quotes.
fn text(rest: &str) -> usize {
    let mut escaped = false;
    let end = rest[1..].find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    end.map_or(rest.len(), |end| end + 2)
}

/// Length of a character in quotes, or of the quote of a lifetime.
fn quoted(rest: &str) -> usize {
    if rest.starts_with("'\\") {
        return rest[3..].find('\'').map_or(rest.len(), |end| end + 4);
    }
    let character = rest[1..].chars().next().map_or(0, char::len_utf8);
    if rest[1 + character..].starts_with('\'') { character + 2 } else { 1 }
}

fn after_raw_text(rest: &str) -> &str {
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    let end = format!("\"{}", "#".repeat(hashes));
    rest[hashes + 1..].split_once(&end).map_or("", |(_, after)| after)
}

/// Drops every item behind `#[cfg(test)]`.
fn without_tests(tokens: &[String]) -> Vec<String> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::new();
    let mut rest = tokens;
    while let Some(first) = rest.first() {
        if rest.iter().zip(MARK).filter(|(token, mark)| token == mark).count() == MARK.len() {
            rest = after_item(&rest[MARK.len()..]);
        } else {
            kept.push(first.clone());
            rest = &rest[1..];
        }
    }
    kept
}

/// What follows an item: it ends with its `;`, or with its last brace.
fn after_item(tokens: &[String]) -> &[String] {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        match token.as_str() {
            "{" => depth += 1,
            "}" if depth <= 1 => return &tokens[at + 1..],
            "}" => depth -= 1,
            ";" if depth == 0 => return &tokens[at + 1..],
            _ => {}
        }
    }
    &[]
}
