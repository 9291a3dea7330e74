//! How long a text message is, as carriers count (3GPP TS 23.038 and 23.040): in the small GSM alphabet, or, as soon as
//! one character is not in that, in UTF-16.

/// The characters of the GSM alphabet that count once. Escape is none that can be sent.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
/// Those that count twice, because an escape goes before them.
const EXTENDED: &str = "^{}\\[~]|€\u{c}";

/// The most parts of a message that we send: each is paid for.
pub const MAX_PARTS: usize = 3;

/// A text's length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Length {
    /// Whether all of it is in the GSM alphabet.
    pub gsm: bool,
    /// Septets of the GSM alphabet, or UTF-16 units.
    pub units: usize,
}

impl Length {
    /// The length of a text.
    pub fn of(text: &str) -> Self {
        let gsm: Option<usize> = text.chars().map(septets).sum();
        match gsm {
            Some(units) => Self { gsm: true, units },
            None => Self {
                gsm: false,
                units: text.encode_utf16().count(),
            },
        }
    }

    /// The parts it is sent in. Several have a header each, which leaves less room.
    pub fn parts(self) -> usize {
        let (one, each) = if self.gsm { (160, 153) } else { (70, 67) };
        if self.units <= one {
            1
        } else {
            self.units.div_ceil(each)
        }
    }
}

fn septets(c: char) -> Option<usize> {
    if BASIC.contains(c) {
        Some(1)
    } else if EXTENDED.contains(c) {
        Some(2)
    } else {
        None
    }
}

/// The text, cut with three dots where it would take more than [`MAX_PARTS`]. What only looks nicer than a GSM character is
/// written as one, since a single long dash would make the message twice as dear, and a price in rupees in letters where its sign
/// would be all that is not in the GSM alphabet.
pub fn fitted(text: &str) -> String {
    let text = cheap(text);
    let fits = |text: &str| Length::of(text).parts() <= MAX_PARTS;
    if fits(&text) {
        return text;
    }
    let mut kept: Vec<char> = text.chars().collect();
    loop {
        // What is cut off may be all that was not in the GSM alphabet, so this is asked anew each time.
        kept.pop();
        let cut = format!("{}...", kept.iter().collect::<String>().trim_end());
        if fits(&cut) || kept.is_empty() {
            return cut;
        }
    }
}

fn cheap(text: &str) -> String {
    let text: String = text.chars().map(plain).collect();
    let in_letters = text.replace("₹ ", "Rs ").replace('₹', "Rs ");
    if Length::of(&in_letters).gsm {
        in_letters
    } else {
        text
    }
}

fn plain(c: char) -> char {
    match c {
        '\u{2018}' | '\u{2019}' | '\u{201b}' => '\'',
        '\u{201c}' | '\u{201d}' | '\u{201f}' => '"',
        '\u{2010}'..='\u{2015}' => '-',
        '\u{a0}' | '\u{2002}'..='\u{200a}' | '\u{202f}' => ' ',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn carriers_count_so() {
        for (text, gsm, units, parts) in [
            ("", true, 0, 1),
            (&"a".repeat(160), true, 160, 1),
            (&"a".repeat(161), true, 161, 2),
            (&"a".repeat(306), true, 306, 2),
            (&"a".repeat(307), true, 307, 3),
            (&"€".repeat(80), true, 160, 1),
            (&"€".repeat(81), true, 162, 2),
            (&"न".repeat(70), false, 70, 1),
            (&"न".repeat(71), false, 71, 2),
            (&"न".repeat(135), false, 135, 3),
            ("ç", false, 1, 1),
            ("😀", false, 2, 1),
        ] {
            let length = Length::of(text);
            assert_eq!((length, length.parts()), (Length { gsm, units }, parts), "{text}");
        }
    }

    #[test]
    fn a_dash_does_not_double_the_price() {
        assert_eq!(fitted("“Rust” – it’s on"), "\"Rust\" - it's on");
        assert!(Length::of(&fitted("Join\u{a0}us")).gsm);
    }

    #[test]
    fn rupees_do_not_double_the_price() {
        for (text, fitted_text) in [
            ("Your ₹499.50 come back.", "Your Rs 499.50 come back."),
            ("₹ 500, or ₹\u{a0}50", "Rs 500, or Rs 50"),
            // It is dear already, and the sign is what its reader knows.
            ("आपके ₹500 लौटेंगे", "आपके ₹500 लौटेंगे"),
            ("₹500 😀", "₹500 😀"),
        ] {
            assert_eq!(fitted(text), fitted_text);
        }
        let long = format!("{} ₹500", "x".repeat(150));
        assert_eq!(Length::of(&fitted(&long)).parts(), 1);
    }

    proptest! {
        #[test]
        fn what_is_fitted_fits_and_is_the_beginning(text in "(\\PC|₹){0,900}") {
            let fitted = fitted(&text);
            prop_assert!(Length::of(&fitted).parts() <= MAX_PARTS);
            let plain = cheap(&text);
            match fitted.strip_suffix("...") {
                Some(start) if fitted != plain => prop_assert!(plain.starts_with(start)),
                _ => prop_assert_eq!(fitted, plain),
            }
        }
    }
}
