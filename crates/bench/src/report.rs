//! The table, and what went wrong.

use std::fmt::Write;

use crate::{load::Failures, machine::Machine, stats};

/// The columns.
const HEADS: [&str; 6] = ["path", "result", "bare", "ratio", "target", "met"];

/// One line of the table.
#[derive(Debug, Default, Clone)]
pub struct Row {
    /// What was measured.
    pub path: String,
    /// What came of it.
    pub result: String,
    /// What it is compared with did.
    pub bare: String,
    /// The system's part of that.
    pub ratio: String,
    /// What was aimed at.
    pub target: String,
    /// Whether the target was met; `None` where there is none.
    pub met: Option<bool>,
}

impl Row {
    fn cells(&self) -> [String; 6] {
        let met = match self.met {
            None => "",
            Some(true) => "yes",
            Some(false) => "NO",
        };
        [
            &self.path,
            &self.result,
            &self.bare,
            &self.ratio,
            &self.target,
            met,
        ]
        .map(|cell| match cell {
            "" => "-".to_owned(),
            text => text.to_owned(),
        })
    }
}

/// Everything to be reported at the end.
#[derive(Debug, Default)]
pub struct Report {
    rows: Vec<Row>,
    notes: Vec<String>,
    errors: Vec<String>,
}

impl Report {
    /// Adds a line to the table.
    pub fn row(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Adds a sentence below the table.
    pub fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// Adds something that must not happen; the exit code will be 1.
    pub fn error(&mut self, text: impl Into<String>) {
        self.errors.push(text.into());
    }

    /// Adds the failures of a run under the name of what was run.
    pub fn failures(&mut self, phase: &str, failures: &Failures) {
        for (kind, count) in failures.iter() {
            self.error(format!("{phase}: {} x {kind}", stats::thousands(count)));
        }
    }

    /// Whether nothing happened that must not.
    pub fn clean(&self) -> bool {
        self.errors.is_empty()
    }

    /// The whole report.
    pub fn print(&self, machine: &Machine, markdown: bool) {
        let mut out = String::new();
        if markdown {
            let _ = writeln!(out, "{machine}");
        }
        let cells: Vec<_> = self.rows.iter().map(Row::cells).collect();
        let heads = HEADS.map(str::to_owned);
        let width = |column: usize| {
            cells
                .iter()
                .chain([&heads])
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or_default()
        };
        let widths: [usize; 6] = std::array::from_fn(width);
        let line = |row: &[String; 6]| {
            let padded: Vec<String> = row
                .iter()
                .zip(widths)
                .map(|(cell, width)| format!("{cell:width$}"))
                .collect();
            if markdown {
                format!("| {} |", padded.join(" | "))
            } else {
                padded.join("  ").trim_end().to_owned()
            }
        };
        let rule = widths.map(|width| "-".repeat(width));
        for row in [&heads, &rule].into_iter().chain(&cells) {
            let _ = writeln!(out, "{}", line(row));
        }
        for (title, texts) in [("Notes", &self.notes), ("WRONG", &self.errors)] {
            if !texts.is_empty() {
                let _ = writeln!(out, "\n{title}:\n");
            }
            for text in texts {
                let _ = writeln!(out, "- {text}");
            }
        }
        if !markdown {
            let _ = write!(out, "\nMachine:\n\n{machine}");
        }
        println!("{out}");
    }
}
