//! What comes out of a run: a table, or JSON.

use serde_json::{Value, json};

use crate::{
    Failure, machine,
    options::{Mode, Options},
    tally::{Checks, Times},
};

/// What a figure should be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    /// Nothing was promised.
    None,
    /// No more than this.
    Most(f64),
    /// No less than this.
    Least(f64),
}

/// One figure.
#[derive(Debug)]
struct Row {
    name: String,
    value: f64,
    unit: &'static str,
    goal: Goal,
}

/// All figures of a run.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
    histograms: serde_json::Map<String, Value>,
    /// Messages that came.
    pub(crate) delivered: u64,
    /// What was wrong.
    pub(crate) checks: Checks,
    /// Requests that were not answered as they should be, and answers that give away what they must not.
    pub(crate) failed: u64,
}

impl Report {
    /// Adds a figure.
    pub(crate) fn add(&mut self, name: &str, value: f64, unit: &'static str) {
        self.add_with_goal(name, value, unit, Goal::None);
    }

    /// Adds a figure that was promised.
    pub(crate) fn add_with_goal(&mut self, name: &str, value: f64, unit: &'static str, goal: Goal) {
        self.rows.push(Row { name: name.to_owned(), value, unit, goal });
    }

    /// Adds the median of several rounds, and how far they lie apart.
    pub(crate) fn add_rounds(&mut self, name: &str, rounds: &[f64], unit: &'static str, goal: Goal) {
        let mut sorted = rounds.to_vec();
        sorted.sort_by(f64::total_cmp);
        let Some((least, most)) = sorted.first().zip(sorted.last()) else { return };
        self.add_with_goal(name, median(rounds), unit, goal);
        if sorted.len() > 1 {
            self.add(&format!("{name}, least"), *least, unit);
            self.add(&format!("{name}, most"), *most, unit);
        }
    }

    /// Adds percentiles, in microseconds.
    pub(crate) fn add_times(&mut self, name: &str, times: &Times, percents: &[f64]) {
        for percent in percents {
            self.add(&format!("{name}, p{percent}"), times.percentile(*percent), "us");
        }
        self.add(&format!("{name}, max"), times.max(), "us");
        let each: serde_json::Map<_, _> = [50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99, 100.0]
            .map(|percent| (format!("p{percent}"), json!(times.percentile(percent))))
            .into_iter()
            .collect();
        self.histograms.insert(name.to_owned(), json!({ "count": times.count(), "us": each }));
    }

    /// Prints everything.
    ///
    /// # Errors
    /// When the options can't be told as JSON.
    pub(crate) fn print(&self, options: &Options) -> Result<(), Failure> {
        if options.json { self.print_json(options) } else { self.print_table(options) }
    }

    fn print_json(&self, options: &Options) -> Result<(), Failure> {
        let (cores, kernel) = machine::description();
        let results: Vec<_> = self.rows.iter().map(Row::json).collect();
        let Checks { lost, repeated, disordered } = self.checks;
        let report = json!({
            "mode": options.mode,
            "options": serde_json::to_value(options)?,
            "machine": { "cores": cores, "kernel": kernel },
            "results": results,
            "histograms": self.histograms,
            "checks": {
                "delivered": self.delivered, "lost": lost, "repeated": repeated, "disordered": disordered,
                "failed": self.failed,
            },
        });
        println!("{report:#}");
        Ok(())
    }

    fn print_table(&self, options: &Options) -> Result<(), Failure> {
        let (cores, kernel) = machine::description();
        let mode = serde_json::to_value(options.mode)?;
        println!("{}, {cores} cores, Linux {kernel}", mode.as_str().unwrap_or_default());
        let lines: Vec<_> = std::iter::once(["what".to_owned(), "measured".into(), "target".into()])
            .chain(self.rows.iter().map(Row::line))
            .collect();
        let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or(0);
        let widths = [width(0), width(1), width(2)];
        for (number, [what, measured, target]) in lines.iter().enumerate() {
            let [first, second, third] = widths;
            println!("| {what:first$} | {measured:>second$} | {target:third$} |");
            if number == 0 {
                println!("|{}|{}:|{}|", "-".repeat(first + 2), "-".repeat(second + 1), "-".repeat(third + 2));
            }
        }
        let Checks { lost, repeated, disordered } = self.checks;
        let Self { delivered, failed, .. } = self;
        match options.mode {
            Mode::Http | Mode::Timing => println!("{failed} failed"),
            _ => {
                println!("{delivered} delivered, {lost} lost, {repeated} repeated, {disordered} out of order")
            }
        }
        Ok(())
    }
}

impl Row {
    fn json(&self) -> Value {
        let mut row = json!({ "name": self.name, "value": self.value, "unit": self.unit });
        match self.goal {
            Goal::None => {}
            Goal::Most(goal) => {
                row["target"] = json!({ "most": goal });
                row["met"] = json!(self.value <= goal);
            }
            Goal::Least(goal) => {
                row["target"] = json!({ "least": goal });
                row["met"] = json!(self.value >= goal);
            }
        }
        row
    }

    fn line(&self) -> [String; 3] {
        let verdict = |met: bool| if met { "" } else { " (missed)" };
        let target = match self.goal {
            Goal::None => String::new(),
            Goal::Most(goal) => format!("<= {}{}", digits(goal), verdict(self.value <= goal)),
            Goal::Least(goal) => format!(">= {}{}", digits(goal), verdict(self.value >= goal)),
        };
        [self.name.clone(), format!("{} {}", digits(self.value), self.unit), target]
    }
}

/// Three digits that count, or all before the point.
fn digits(value: f64) -> String {
    let places = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        _ => 3,
    };
    let text = format!("{value:.places$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// The figure in the middle.
pub(crate) fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() % 2 {
        0 if sorted.is_empty() => 0.0,
        0 => f64::midpoint(sorted[middle - 1], sorted[middle]),
        _ => sorted[middle],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_the_digits_that_count() {
        let told: Vec<_> = [0.1234, 1.0, 1.239, 12.34, 123.4, 12_345.6].map(digits).into();
        assert_eq!(told, ["0.123", "1", "1.24", "12.3", "123", "12346"]);
        assert_eq!((median(&[3.0, 1.0, 2.0]), median(&[4.0, 1.0]), median(&[])), (2.0, 2.5, 0.0));
    }
}
