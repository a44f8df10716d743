//! The table of permissions for people.

use crate::table::{self, Actor};

/// The table as a page of Markdown: its prose and headings, and a table under each heading.
pub(crate) fn document(table: &str) -> String {
    let mut page = String::from(
        "<!-- Made from chat-core/tests/matrix/permissions.txt: change that, and run the tests with UPDATE_DOCS=1. -->\n",
    );
    for line in table.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            let columns = "---|".repeat(Actor::NAMES.len() + 1);
            page += &format!("\n## {heading}\n\n| | {} |\n|{columns}\n", Actor::NAMES.join(" | "));
        } else if line.starts_with('#') && !line.starts_with("# Who") {
            page += line.trim_start_matches('#').trim_start_matches(' ');
            page.push('\n');
        } else if line.starts_with('#') {
            page += &format!("{line}\n");
        } else if !line.trim().is_empty() {
            page += &row(line);
        }
    }
    while page.ends_with("\n\n") {
        page.pop();
    }
    page.replace("\n\n\n", "\n\n")
}

fn row(line: &str) -> String {
    let row = &table::rows(line)[0];
    let case = if row.case.is_empty() { String::new() } else { format!(", {}", row.case) };
    let cells = row.cells.iter().map(|[public, private]| match public == private {
        true => (*public).to_owned(),
        false => format!("{public} / {private}"),
    });
    format!("| `{}`{case} | {} |\n", row.command, cells.collect::<Vec<_>>().join(" | "))
}
