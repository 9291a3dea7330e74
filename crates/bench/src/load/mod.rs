//! The load generator: prepared requests over keep-alive connections, one task each, nothing measured
//! but what a client would see.

pub mod connection;
pub mod paced;
pub mod run;
pub mod socket;
pub mod template;
pub mod work;

use std::collections::BTreeMap;

/// What went wrong, by kind, with one example each.
#[derive(Debug, Default)]
pub struct Failures {
    kinds: BTreeMap<String, u64>,
}

impl Failures {
    /// Counts one.
    pub fn count(&mut self, kind: String) {
        *self.kinds.entry(kind).or_default() += 1;
    }

    /// Adds those of another.
    pub fn merge(&mut self, other: Self) {
        for (kind, count) in other.kinds {
            *self.kinds.entry(kind).or_default() += count;
        }
    }

    /// All kinds with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.kinds.iter().map(|(kind, count)| (kind.as_str(), *count))
    }
}
