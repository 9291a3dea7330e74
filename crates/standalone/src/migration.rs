//! `migrate-to-mongodb`: what the operator sees of a migration.

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use common::{clock::Clock, settings::Settings};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use parking_lot::Mutex;
use store_migration::{Compared, Outcome, Progress, SERVICES};

/// Without a terminal, a line after so much time, so that a log shows that it goes on and stays short.
const LINES: Duration = Duration::from_secs(5);

/// Copies what `DATA_DIR` holds into the databases of `MONGODB_URI`, and reports how it ended.
///
/// # Errors
/// One sentence for the person who started it.
pub async fn run(settings: Settings) -> Result<(), String> {
    let Some(uri) = &settings.mongodb_uri else {
        return Err("MONGODB_URI must name the MongoDB to migrate to; docs/mongodb.md tells how.".to_owned());
    };
    if !settings.data_dir.is_dir() {
        return Err(format!(
            "DATA_DIR, {}, is not there.",
            settings.data_dir.display()
        ));
    }
    let shown = Shown::new();
    let outcome = store_migration::run(SERVICES, &settings.data_dir, uri, &Clock::system(), &shown).await;
    shown.bar.finish_and_clear();
    match outcome? {
        Outcome::MovedBefore => {
            println!(
                "All of it was migrated before, and the SQLite files have not changed since. Nothing to do."
            );
            Ok(())
        }
        Outcome::Compared(tables) => {
            print!("{}", report(&tables));
            let different: Vec<&str> = tables
                .iter()
                .filter(|table| !table.is_same())
                .map(|table| table.table.as_str())
                .collect();
            if !different.is_empty() {
                return Err(format!(
                    "{} differ in MongoDB from what SQLite holds. The system will not start on this. Make sure that \
                     nothing else uses these databases and run the migration again: it begins anew.",
                    different.join(", ")
                ));
            }
            println!(
                "\nAll that is in {} is now in MongoDB too. The SQLite files are as they were. Start the system with \
                 MONGODB_URI set, the same DATA_DIR and the same secrets.",
                settings.data_dir.display()
            );
            Ok(())
        }
    }
}

/// The tables with their counts and the first digits of their checksums; whole where they differ.
fn report(tables: &[Compared]) -> String {
    let row = |table: &str, sqlite: &str, mongodb: &str, checksum: &str| {
        format!("{table:<32}{sqlite:>12}{mongodb:>12}  {checksum}\n")
    };
    let mut text = row("table", "SQLite", "MongoDB", "SHA-256");
    for table in tables {
        let (sqlite, mongodb) = (table.sqlite.to_string(), table.mongodb.to_string());
        let checksum = match table.is_same() {
            true => format!("{} same", sqlite.get(..16).unwrap_or_default()),
            false => format!("DIFFERENT\n  SQLite  {sqlite}\n  MongoDB {mongodb}"),
        };
        let (rows, documents) = (table.sqlite.count(), table.mongodb.count());
        text.push_str(&row(
            &table.table,
            &rows.to_string(),
            &documents.to_string(),
            &checksum,
        ));
    }
    text
}

/// A bar on a terminal; elsewhere a line now and then.
struct Shown {
    bar: ProgressBar,
    lines: Option<Mutex<Line>>,
}

/// The last line.
struct Line {
    at: Instant,
    doing: String,
}

impl Shown {
    fn new() -> Self {
        let terminal = std::io::stdout().is_terminal();
        let target = match terminal {
            true => ProgressDrawTarget::stdout(),
            false => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        if let Ok(style) =
            ProgressStyle::with_template("{msg:<36} [{bar:30.cyan/blue}] {percent:>3} %, {eta} left")
        {
            bar.set_style(style.progress_chars("=> "));
        }
        Self {
            bar,
            lines: (!terminal).then(|| {
                Mutex::new(Line {
                    at: Instant::now(),
                    doing: String::new(),
                })
            }),
        }
    }

    /// Prints a line when there is another thing to do, not merely another table, or the last line is old.
    fn line(&self) {
        let Some(last) = &self.lines else { return };
        let (mut last, now) = (last.lock(), self.bar.message());
        let doing = now.split(' ').next().unwrap_or_default();
        if last.at.elapsed() < LINES && last.doing == doing {
            return;
        }
        *last = Line {
            at: Instant::now(),
            doing: doing.to_owned(),
        };
        let (done, all) = (self.bar.position(), self.bar.length().unwrap_or_default());
        println!("{:>3} % {now}", (done * 100).checked_div(all).unwrap_or(100));
    }
}

impl Progress for Shown {
    fn length(&self, steps: u64) {
        self.bar.set_length(steps);
    }

    fn doing(&self, what: &str) {
        self.bar.set_message(what.to_owned());
        self.line();
    }

    fn advance(&self, steps: u64) {
        self.bar.inc(steps);
        self.line();
    }
}
