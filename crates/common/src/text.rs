//! Text as people type it: what of it can be seen, and forms in which the ways of writing one thing are equal.

use unicode_normalization::UnicodeNormalization;
pub use unicode_normalization::char::is_combining_mark;

/// NFKC: composed and decomposed letters, full-width and half-width forms are one.
pub fn nfkc(text: &str) -> String {
    text.nfkc().collect()
}

/// Whether the character shows nothing: blanks, controls, what Unicode calls default ignorable, annotation marks,
/// the empty Braille cell and Hangul's fillers.
pub fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether there is anything to see: a mark that needs a letter to stand on is not enough.
pub fn is_visible(text: &str) -> bool {
    text.chars().any(|c| !is_invisible(c) && !is_combining_mark(c))
}

/// Whether the character ends a line or turns the reading direction of what follows, so that one line does not read
/// as it is stored. The joiners and the marks U+200E and U+200F stay: names are spelled with them.
pub fn breaks_a_line(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') || turns_the_direction(c)
}

/// Whether the character embeds, overrides or isolates the reading direction of what follows.
pub fn turns_the_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Without blanks and invisible marks at both ends. What belongs to the character before it stays at the end: joiners,
/// the variation selector of an emoji, the tags of a flag. Controls and marks that turn the reading direction are not
/// trimmed, but for others to refuse.
pub fn trimmed(text: &str) -> &str {
    let goes = |c: char| {
        c.is_whitespace()
            || matches!(c,
                '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2060}'..='\u{2064}'
                | '\u{206a}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}')
    };
    let follows =
        |c: char| matches!(c, '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e0fff}');
    text.trim_matches(goes)
        .trim_start_matches(|c| goes(c) || follows(c))
}

/// The form in which texts are compared for search: without case, without accents, without marks that are not seen.
/// `İstanbul`, `ISTANBUL` and `istanbul` are equal, `Café` and `cafe`, `ΟΔΟΣ` and `οδος`, `Straße` and `STRASSE`. The
/// vowel signs of Indian scripts are letters, not accents, and stay.
pub fn folded(text: &str) -> String {
    let lower: String = text.nfkd().flat_map(char::to_lowercase).collect();
    let mut folded = String::with_capacity(lower.len());
    for c in lower.nfkd() {
        match c {
            'ς' => folded.push('σ'),
            'ß' => folded.push_str("ss"),
            'ı' => folded.push('i'),
            'ø' => folded.push('o'),
            'ł' => folded.push('l'),
            'đ' | 'ð' => folded.push('d'),
            'þ' => folded.push_str("th"),
            'æ' => folded.push_str("ae"),
            'œ' => folded.push_str("oe"),
            'ħ' => folded.push('h'),
            'ŧ' => folded.push('t'),
            c if is_accent(c) || (is_invisible(c) && !c.is_whitespace() && !c.is_control()) => {}
            c => folded.push(c),
        }
    }
    folded.nfc().collect()
}

/// Marks that readers leave out when they type: accents of Latin, Greek and Cyrillic letters, and the optional vowels of
/// Hebrew and Arabic with Arabic's stretching stroke.
fn is_accent(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{487}' | '\u{591}'..='\u{5bd}' | '\u{5bf}' | '\u{5c1}' | '\u{5c2}'
        | '\u{5c4}' | '\u{5c5}' | '\u{5c7}' | '\u{610}'..='\u{61a}' | '\u{640}' | '\u{64b}'..='\u{65f}' | '\u{670}'
        | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

/// Whether the character is part of a word: letters, digits, and the marks on them.
pub fn is_of_a_word(c: char) -> bool {
    c.is_alphanumeric() || is_combining_mark(c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn folding() {
        for (one, other) in [
            ("istanbul", "İstanbul"),
            ("ISTANBUL", "ıstanbul"),
            ("müsli", "mu\u{308}sli"),
            ("οδος", "ΟΔΟΣ"),
            ("cafe", "Café"),
            ("strasse", "Straße"),
            ("STRASSE", "STRAẞE"),
            ("ｗｉｄｅ", "wide"),
            ("Łódź", "lodz"),
            ("Йод", "иод"),
            ("soft\u{ad}ware", "software"),
            ("क\u{200d}", "क"),
            ("مُحَمَّد", "محمد"),
            ("ﬁn", "fin"),
        ] {
            assert_eq!(folded(one), folded(other), "{one} {other}");
        }
        assert_ne!(folded("कि"), folded("की"));
        assert_ne!(folded("が"), folded("か"));
    }

    #[test]
    fn what_can_be_seen() {
        for text in [
            "",
            " ",
            "\u{200b}",
            "\u{3164}",
            "\u{2800}",
            "\u{ad}",
            "\u{301}",
            "\u{a0}\u{2060}",
        ] {
            assert!(!is_visible(text), "{text:?}");
        }
        for text in ["a", ".", "क्षेत्र", "👩\u{200d}💻", "❤\u{fe0f}", "می\u{200c}خواهم"]
        {
            assert!(is_visible(text) && trimmed(text) == text, "{text:?}");
        }
        for text in [
            "\u{feff} \u{200b}Asha\u{a0}\u{200e}\n",
            "\u{200d}Asha\u{3164}\u{2800}",
            "\u{3000}\u{fe0f}Asha\u{2064} \u{61c}",
        ] {
            assert_eq!(trimmed(text), "Asha", "{text:?}");
        }
        // An eyelash form, an emoji's selector, the flag of Scotland.
        let flag = "\u{1f3f4}\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}";
        for text in ["र\u{94d}\u{200d}", "❤\u{fe0f}", flag] {
            assert_eq!(trimmed(&format!(" {text} ")), text);
        }
    }

    proptest! {
        #[test]
        fn folding_twice_is_folding_once(text in "\\PC{0,40}") {
            let once = folded(&text);
            prop_assert_eq!(folded(&once), once);
        }
    }
}
