//! `docs/attributes.md` says what the tests check.

use std::fmt::Write;

use super::rows::{Image, LEFT_BEHIND, Proof, Row, Server, Way, rows};

const DOCS: &str = include_str!("../../../docs/attributes.md");

#[test]
fn docs_have_the_table_of_attributes() {
    compare("attributes", &arriving());
}

#[test]
fn docs_have_the_table_of_dropped_attributes() {
    compare("left behind", &staying());
}

fn compare(name: &str, want: &str) {
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let between = DOCS.split_once(&begin).and_then(|(_, rest)| rest.split_once(&end));
    let (table, _) = between.unwrap_or_else(|| panic!("docs/attributes.md has no {begin}{end}"));
    assert!(table.trim() == want.trim(), "put this between {begin}{end} of docs/attributes.md:\n\n{want}");
}

fn arriving() -> String {
    let mut table = "| attribute |".to_owned();
    for way in Way::ALL {
        let _ = write!(table, " {} |", way.name());
    }
    let _ = writeln!(table, " tested against | note |\n|{}", " --- |".repeat(Way::ALL.len() + 3));
    for row in rows() {
        let cells = Way::ALL.map(|way| cell(&row, way)).join(" | ");
        let _ = writeln!(table, "| {} | {cells} | {} | {} |", row.attribute, servers(&row), row.note);
    }
    table
}

fn cell(row: &Row, way: Way) -> &'static str {
    match row.image {
        Image::TrueType if way.is_of_images() => "true type",
        Image::Copied if way.is_of_images() => "copied",
        Image::Usual | Image::TrueType | Image::Copied => "yes",
    }
}

fn servers(row: &Row) -> String {
    let name = |server: &Server| match server {
        Server::MiniStack => "MiniStack",
        Server::Folder => "s3s-fs",
    };
    let mut servers = row.servers.iter().map(name).collect::<Vec<_>>().join(", ");
    if !row.tags.is_empty() {
        servers += "; tags in parts: the request";
    }
    servers
}

fn staying() -> String {
    let mut table = "| at the source | why it stays there | tested |\n| --- | --- | --- |\n".to_owned();
    for left in LEFT_BEHIND {
        let proof = match left.proof {
            Proof::NeverSent(headers) => {
                let headers: Vec<String> = headers.iter().map(|header| format!("`{header}…`")).collect();
                format!("no request has {}, nor the destination", headers.join(", "))
            }
            Proof::Absent(_) => "the destination has none".to_owned(),
            Proof::S3Own => "no; it is S3's own".to_owned(),
        };
        let _ = writeln!(table, "| {} | {} | {proof} |", left.what, left.why);
    }
    table
}
