//! Reactions: an emoji each, counted and forgotten.

/// The most code points of one emoji: a family of four with skin tones has eleven.
const LONGEST: usize = 16;

/// Whether a text is one emoji. Ranges of Unicode 16, emoji-data.txt, where a few symbols that are no emoji among them do no harm;
/// letters and digits, of which words could be made, are none.
pub fn is_emoji(text: &str) -> bool {
    if text.chars().count() > LONGEST {
        return false;
    }
    let (mut bases, mut flags) = (0, 0);
    // After a base, or what belongs to it; not after a joiner.
    let mut is_whole = false;
    for c in text.chars() {
        match c {
            // A joiner makes one emoji of two.
            '\u{200D}' if is_whole => is_whole = false,
            // Presentation and skin tones belong to the emoji before.
            '\u{FE0F}' | '\u{1F3FB}'..='\u{1F3FF}' if is_whole => {}
            // The tags of England's, Scotland's and Wales's flags.
            '\u{E0020}'..='\u{E007F}' if is_whole && text.starts_with('🏴') => {}
            '\u{1F1E6}'..='\u{1F1FF}' => {
                flags += 1;
                bases += usize::from(flags == 1);
                is_whole = true;
            }
            _ if is_base(c) => {
                bases += usize::from(bases == 0 || is_whole);
                is_whole = true;
            }
            _ => return false,
        }
    }
    bases == 1 && is_whole && (flags == 0 || flags == 2)
}

fn is_base(c: char) -> bool {
    matches!(c,
        '\u{1F300}'..='\u{1FAFF}' | '\u{1F000}'..='\u{1F0FF}' | '\u{1F170}' | '\u{1F171}' | '\u{1F17E}' | '\u{1F17F}' | '\u{1F18E}'
        | '\u{1F191}'..='\u{1F19A}' | '\u{1F200}'..='\u{1F2FF}' | '\u{2600}'..='\u{27BF}' | '\u{2190}'..='\u{21FF}'
        | '\u{2300}'..='\u{23FF}' | '\u{25A0}'..='\u{25FF}' | '\u{2900}'..='\u{297F}' | '\u{2B00}'..='\u{2BFF}'
        | '\u{203C}' | '\u{2049}' | '\u{2122}' | '\u{2139}' | '\u{3030}' | '\u{303D}' | '\u{3297}' | '\u{3299}' | '©' | '®')
        && !matches!(c, '\u{1F3FB}'..='\u{1F3FF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_emoji_is_one() {
        for text in [
            "👏",
            "❤️",
            "❤",
            "👍🏽",
            "😀",
            "🎉",
            "🔥",
            "👩‍💻",
            "👨‍👩‍👧‍👦",
            "🏳️‍🌈",
            "🇮🇳",
            "☕",
            "✅",
            "🏴󠁧󠁢󠁳󠁣󠁴󠁿",
            "🫶🏿",
            "‼️",
        ] {
            assert!(is_emoji(text), "{text:?}");
        }
        for text in [
            "",
            " ",
            "a",
            "1",
            "👏👏",
            "👏 ",
            "🇮",
            "🇮🇳🇮🇳",
            "\u{200D}",
            "\u{FE0F}",
            "👩\u{200D}",
            "<b>",
            "अ",
            "好",
            "👏a",
            "\u{1F3FB}",
            "\u{202E}👏",
            "1\u{FE0F}\u{20E3}",
            "👏\u{E0061}",
            "👏\u{200D}\u{FE0F}",
            "🄰",
        ] {
            assert!(!is_emoji(text), "{text:?}");
        }
        assert!(!is_emoji(&"👩‍".repeat(40)));
    }
}
