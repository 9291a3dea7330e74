//! The search terms of events.

use std::collections::BTreeSet;

use common::text::{folded, is_combining_mark, is_of_a_word};

use super::listing::{Category, Tag, Tags};

/// To be incremented when [`of_event`] returns other words for the same texts. Events indexed by an earlier version are
/// indexed again after the start.
pub const VERSION: i64 = 3;
/// Longer words are cut, here and in searches alike.
const LENGTH: usize = 64;
/// Text in scripts without blanks between words is found by any part of it; so many characters of the part are
/// compared.
const UNSPACED_LENGTH: usize = 8;
/// The most words in one search.
const SEARCHED: usize = 32;

/// The distinct folded words of some texts.
pub fn of(texts: &[&str]) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for text in texts {
        for (word, unspaced) in split(&folded(text)) {
            if unspaced {
                let starts = word
                    .char_indices()
                    .filter(|(at, c)| *at == 0 || !is_combining_mark(*c));
                words.extend(starts.map(|(at, _)| cut(&word[at..], UNSPACED_LENGTH)));
            } else {
                words.insert(cut(word, LENGTH));
            }
        }
    }
    words
}

/// What an event is found by: the words of its name, address and details, of its category and its tags; and each tag as a whole.
pub fn of_event(texts: [&str; 3], category: Category, tags: &Tags) -> BTreeSet<String> {
    let mut all: Vec<&str> = texts.to_vec();
    // Nobody looks for what is none of the others.
    if category != Category::Other {
        all.push(category.name());
    }
    all.extend(tags.iter().map(Tag::text));
    let mut words = of(&all);
    words.extend(tags.iter().map(whole));
    words
}

/// A tag as a whole, which no searched word is the beginning of.
pub fn whole(tag: &Tag) -> String {
    format!("#{}", tag.key())
}

/// The words of a search. An event matches when each is a prefix of one of its own words. Empty: there is nothing to
/// search for.
///
/// # Errors
/// When there are too many words: the rest of the sentence "`q` ...".
pub fn searched(text: &str) -> Result<Vec<String>, String> {
    let folded = folded(text);
    let words: BTreeSet<String> = split(&folded)
        .map(|(word, unspaced)| cut(word, if unspaced { UNSPACED_LENGTH } else { LENGTH }))
        .collect();
    if words.len() > SEARCHED {
        return Err(format!("must be at most {SEARCHED} words"));
    }
    Ok(words.into_iter().collect())
}

fn cut(word: &str, length: usize) -> String {
    word.chars().take(length).collect()
}

/// The runs of letters and digits in a text, each with whether its script has no blanks between words.
fn split(text: &str) -> impl Iterator<Item = (&str, bool)> {
    text.split(|c: char| !is_of_a_word(c)).flat_map(|run| {
        let mut runs = Vec::new();
        let mut rest = run;
        while let Some(first) = rest.chars().next() {
            let unspaced = is_unspaced(first);
            // A combining mark belongs to the character before it, whatever its script.
            let end = rest
                .find(|c: char| !is_combining_mark(c) && is_unspaced(c) != unspaced)
                .unwrap_or(rest.len());
            runs.push((&rest[..end], unspaced));
            rest = &rest[end..];
        }
        runs
    })
}

/// Thai, Lao, Burmese, Khmer, kana and Han.
fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3005}'..='\u{3007}'
        | '\u{3040}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn finds(query: &str, text: &str) -> bool {
        let words = of(&[text]);
        let searched = searched(query).unwrap();
        !searched.is_empty()
            && searched
                .iter()
                .all(|word| words.iter().any(|own| own.starts_with(word.as_str())))
    }

    #[test]
    fn what_is_found() {
        for (query, text) in [
            ("istanbul", "Yazılım Buluşması, İstanbul"),
            ("müsli", "Mu\u{308}sli am Morgen"),
            ("οδος", "ΟΔΟΣ ΑΘΗΝΑΣ"),
            ("cafe", "Café Lumière"),
            ("CAFÉ", "cafe"),
            ("strasse", "Lange Straße 7"),
            ("क्षे", "क्षेत्र सभा"),
            ("国際", "東京国際フォーラム"),
            ("フォーラム", "東京国際フォーラム"),
            ("ดนตรี", "เทศกาลดนตรี"),
            ("東京国際フォーラムのホール", "会場は東京国際フォーラムのホール"),
            ("o'reilly", "Conference by O’Reilly"),
            ("wide", "ＷＩＤＥ open"),
            ("\u{17b6}", "\u{17b6}"), // a vowel sign without its letter
        ] {
            assert!(finds(query, text), "{query} in {text}");
        }
        for (query, text) in [
            ("ust", "Rust"),
            ("!!!", "!!!"),
            ("की", "कि"),
            ("京東", "東京"),
            ("\u{301}", "é"),
        ] {
            assert!(!finds(query, text), "{query} in {text}");
        }
    }

    #[test]
    fn an_event_is_found_by_category_and_tags() {
        let tags =
            |texts: &[&str]| Tags::new(texts.iter().map(|text| Tag::new(text).unwrap()).collect()).unwrap();
        let words = of_event(
            ["Fair", "Pune", ""],
            Category::FoodDrink,
            &tags(&["Open Air", "Café"]),
        );
        let expected = [
            "#cafe",
            "#open air",
            "air",
            "cafe",
            "drink",
            "fair",
            "food",
            "open",
            "pune",
        ];
        assert_eq!(words.iter().map(String::as_str).collect::<Vec<_>>(), expected);
        assert_eq!(
            of_event(["", "", ""], Category::Other, &tags(&[])),
            BTreeSet::new()
        );
        // A tag is found whole, and by no search for words.
        assert_eq!(searched("#open air").unwrap(), ["air", "open"]);
    }

    #[test]
    fn no_word_of_long_details_is_left_out() {
        let words: Vec<String> = (0..1500).map(|n| format!("w{n}")).collect();
        let text = format!("{} {}", "and ".repeat(500), words.join(" "));
        assert!(finds("w1499 and w0", &text));
    }

    #[test]
    fn a_search_of_too_many_words_is_refused() {
        let words = |n: usize| (0..n).map(|n| format!("w{n} ")).collect::<String>();
        assert_eq!(searched(&words(32)).map(|words| words.len()), Ok(32));
        assert!(searched(&words(33)).is_err());
        assert_eq!(searched(&"again ".repeat(99)).map(|words| words.len()), Ok(1));
    }

    proptest! {
        #[test]
        fn any_word_of_a_text_finds_it(text in "\\PC{1,60}") {
            for word in text.split_whitespace() {
                if !searched(word).unwrap().is_empty() {
                    prop_assert!(finds(word, &text), "{word:?} in {text:?}");
                }
            }
        }
    }
}
