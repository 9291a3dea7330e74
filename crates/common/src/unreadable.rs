//! Rows that no code of ours writes: a damaged file, a hand that slipped, a release that was never shipped. One of them
//! must not stop all others. A list leaves it out; a queue sets it aside, so that what waits behind it goes on. Each is
//! named in the log with its table and key, and counted in `unreadable_rows_total`.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Display,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::store::StoreError;

/// A row that a list leaves out is named in the log once in this time, however often the list is asked for.
const NAMED_AGAIN: Duration = Duration::from_secs(600);
/// Rows whose last mention is remembered; more than these are forgotten together.
const REMEMBERED: usize = 1_000;

/// By table, which begins with its service's name and a dot.
static COUNTS: Mutex<BTreeMap<&'static str, u64>> = Mutex::new(BTreeMap::new());
static NAMED: Mutex<Option<HashMap<String, Instant>>> = Mutex::new(None);

/// Rows, as far as they can be read.
pub struct Sifted<T, Key> {
    /// Those that can.
    pub rows: Vec<T>,
    /// The keys of those that cannot, and why.
    pub unreadable: Vec<(Key, String)>,
}

impl<T, Key> Default for Sifted<T, Key> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            unreadable: Vec::new(),
        }
    }
}

impl<T, Key: Display> Sifted<T, Key> {
    /// Adds a row.
    ///
    /// # Errors
    /// What is no matter of the row.
    pub fn add(&mut self, row: Result<T, StoreError>, key: impl FnOnce() -> Key) -> Result<(), StoreError> {
        match row {
            Ok(row) => self.rows.push(row),
            Err(StoreError::Corrupt(why)) => self.unreadable.push((key(), why)),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// How many rows there are, readable or not.
    pub fn found(&self) -> usize {
        self.rows.len() + self.unreadable.len()
    }

    /// The rows of a queue of `table`; `take_out` takes each of the others out of it, by its key and with the reason.
    ///
    /// # Errors
    /// What `take_out` returns.
    pub fn set_aside(
        self,
        table: &'static str,
        mut take_out: impl FnMut(&Key, &str) -> Result<(), StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        for (key, why) in &self.unreadable {
            take_out(key, why)?;
            set_aside(table, key, why);
        }
        Ok(self.rows)
    }

    /// How many rows to ask for instead of `asked`, when unreadable ones took the places of `wanted` readable ones and
    /// there may be more; `None`: this is what there is.
    pub fn ask_again(&self, wanted: usize, asked: usize) -> Option<usize> {
        (self.found() >= asked && self.rows.len() < wanted).then(|| asked + self.unreadable.len())
    }

    /// The rows of a list of `table`; the others are left out of it.
    pub fn left_out(self, table: &'static str) -> Vec<T> {
        for (key, why) in &self.unreadable {
            left_out(table, key, why);
        }
        self.rows
    }
}

/// Counts and logs that a list leaves out a row.
pub fn left_out(table: &'static str, key: &dyn Display, why: &str) {
    count(table);
    if not_named_lately(format!("{table} {key}")) {
        tracing::error!(table, row = %key, why, "an unreadable row was left out");
    }
}

/// Counts and logs that a row was taken out of its queue.
pub fn set_aside(table: &'static str, key: &dyn Display, why: &str) {
    count(table);
    tracing::error!(table, row = %key, why, "an unreadable row was set aside");
}

/// How often rows of each table of a service could not be read.
pub fn counts(service: &str) -> Vec<(&'static str, u64)> {
    let of_service = |table: &str| {
        table
            .strip_prefix(service)
            .is_some_and(|rest| rest.starts_with('.'))
    };
    let counts = COUNTS.lock();
    counts
        .iter()
        .filter(|(table, _)| of_service(table))
        .map(|(table, count)| (*table, *count))
        .collect()
}

/// What is wrong with text that is not the JSON that is written here, without quoting the text.
pub fn not_json(what: &str, error: &serde_json::Error) -> StoreError {
    let (line, column) = (error.line(), error.column());
    let why = match error.classify() {
        serde_json::error::Category::Data => "has not the form that is written here",
        _ => "is not JSON",
    };
    StoreError::Corrupt(format!("{what} {why} (line {line}, column {column})"))
}

fn count(table: &'static str) {
    *COUNTS.lock().entry(table).or_default() += 1;
}

fn not_named_lately(row: String) -> bool {
    let mut named = NAMED.lock();
    let named = named.get_or_insert_default();
    if named.get(&row).is_some_and(|at| at.elapsed() < NAMED_AGAIN) {
        return false;
    }
    if named.len() >= REMEMBERED {
        named.clear();
    }
    named.insert(row, Instant::now());
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sifted(readable: usize, unreadable: usize) -> Sifted<usize, usize> {
        let mut sifted = Sifted::default();
        for row in 0..readable {
            sifted.add(Ok(row), || row).unwrap();
        }
        for row in 0..unreadable {
            sifted
                .add(Err(StoreError::Corrupt("odd".to_owned())), || row)
                .unwrap();
        }
        sifted
    }

    #[test]
    fn only_what_is_a_matter_of_the_row_is_sifted() {
        let mut sifted = sifted(2, 1);
        assert!(sifted.add(Err(StoreError::Overloaded), || 0).is_err());
        assert_eq!(sifted.left_out("tests.sifted"), [0, 1]);
        assert_eq!(counts("tests"), [("tests.sifted", 1)]);
        assert!(counts("test").is_empty());
    }

    #[test]
    fn a_page_is_filled_up() {
        // Three wanted and asked for.
        assert_eq!(sifted(3, 0).ask_again(3, 3), None);
        assert_eq!(sifted(1, 2).ask_again(3, 3), Some(5));
        // Five asked for: either the page is full, there are no more, or two are lacking again.
        assert_eq!(sifted(3, 2).ask_again(3, 5), None);
        assert_eq!(sifted(2, 2).ask_again(3, 5), None);
        assert_eq!(sifted(1, 4).ask_again(3, 5), Some(9));
    }

    #[test]
    fn a_row_is_named_once_in_a_while() {
        assert!(not_named_lately("t 1".to_owned()));
        assert!(!not_named_lately("t 1".to_owned()));
        assert!(not_named_lately("t 2".to_owned()));
    }

    #[test]
    fn no_word_of_what_is_stored_is_told() {
        for text in [r#"{"secret": "#, r#"{"a": "secret"}"#, "secret"] {
            let error = serde_json::from_str::<BTreeMap<String, u32>>(text).unwrap_err();
            let told = not_json("data", &error).to_string();
            assert!(!told.contains("secret"), "{told}");
        }
    }
}
