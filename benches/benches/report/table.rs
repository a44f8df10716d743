//! The report itself.

use std::time::Duration;

use serde_json::{Value, json};

/// One thing that was measured.
pub(crate) struct Row {
    pub(crate) what: String,
    /// What it should be; a dash where nothing was promised.
    pub(crate) target: String,
    pub(crate) measured: String,
    /// The same for machines, and more.
    pub(crate) figures: Value,
}

/// Everything that was measured.
#[derive(Default)]
pub(crate) struct Table(Vec<Row>);

impl Table {
    pub(crate) fn add(&mut self, row: Row) {
        self.0.push(row);
    }

    /// As columns, which are Markdown, too.
    pub(crate) fn print(&self) {
        let head = Row {
            what: "what".into(),
            target: "target".into(),
            measured: "measured".into(),
            figures: Value::Null,
        };
        let rows: Vec<_> = std::iter::once(&head).chain(&self.0).collect();
        let width = |column: fn(&Row) -> &str| rows.iter().map(|row| column(row).len()).max().unwrap_or(0);
        let (what, target) = (width(|row| &row.what), width(|row| &row.target));
        println!("{} cores", cores());
        for (number, row) in rows.iter().enumerate() {
            println!("| {:what$} | {:target$} | {} |", row.what, row.target, row.measured);
            if number == 0 {
                println!("|{}|{}|---|", "-".repeat(what + 2), "-".repeat(target + 2));
            }
        }
    }

    /// As one JSON object.
    pub(crate) fn print_json(&self) {
        let rows: Vec<_> = (self.0.iter())
            .map(|row| {
                json!({
                    "what": row.what, "target": row.target, "measured": row.measured, "figures": row.figures,
                })
            })
            .collect();
        println!("{:#}", json!({ "cores": cores(), "rows": rows }));
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The wait that `percent` of all waits do not exceed. They are sorted.
pub(crate) fn percentile(waits: &[Duration], percent: usize) -> Duration {
    let rank = (waits.len() * percent).div_ceil(100);
    waits.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// In milliseconds.
pub(crate) fn millis(wait: Duration) -> String {
    format!("{:.2} ms", wait.as_secs_f64() * 1e3)
}

/// With a comma at every third place.
pub(crate) fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
