//! The words an event is found by.

use std::collections::BTreeSet;

/// Longer words are cut: nobody types more.
const LENGTH: usize = 32;
/// Words kept of one event.
const COUNT: usize = 500;
/// Words of one search that count.
const SEARCHED: usize = 8;

/// The words of some texts, lower-case and once each.
pub fn of(texts: &[&str]) -> BTreeSet<String> {
    texts.iter().flat_map(|text| split(text)).take(COUNT).collect()
}

/// The words of a search. An event is found when each begins one of its own.
pub fn searched(text: &str) -> Vec<String> {
    split(text).take(SEARCHED).collect()
}

fn split(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| word.chars().take(LENGTH).flat_map(char::to_lowercase).collect())
}
