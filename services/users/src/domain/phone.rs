//! Telephone numbers.

use std::fmt;

use common::text::{is_invisible, nfkc};

/// A telephone number in E.164: `+`, then 8 to 15 digits that begin with a country code.
#[derive(Clone, PartialEq, Eq)]
pub struct Phone(String);

impl Phone {
    /// Reads a number as people write and paste it: blanks, marks that are not seen, and separators are dropped, a
    /// leading `00` is a `+`, and digits may be of any script. `(0)` is the trunk prefix, dropped in calls from abroad.
    ///
    /// # Errors
    /// The rest of the sentence "`phone` ...".
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let is_separator = |c: char| {
            is_invisible(c)
                || matches!(
                    c,
                    '-' | '.' | '(' | ')' | '/' | '\u{2010}'..='\u{2015}' | '\u{2212}'
                )
        };
        let mut number: String = nfkc(text)
            .replace("(0)", "")
            .chars()
            .filter(|c| !is_separator(*c))
            .map(ascii_digit)
            .collect();
        if number.starts_with("00") {
            number.replace_range(..2, "+");
        }
        let digits = number.strip_prefix('+').unwrap_or_default();
        // No country code begins with 0.
        let well_formed = (8..=15).contains(&digits.len())
            && digits.bytes().all(|b| b.is_ascii_digit())
            && !digits.starts_with('0');
        if well_formed {
            Ok(Self(number))
        } else {
            Err("must be a number with country code such as +919876543210")
        }
    }

    /// A number that [`Phone::parse`] has accepted before, as a store keeps it.
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    /// The number as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A decimal digit of the scripts in use where phones are, as ASCII; anything else as it is.
fn ascii_digit(c: char) -> char {
    const ZEROS: [u32; 22] = [
        0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50,
        0xed0, 0xf20, 0x1040, 0x17e0, 0x1810, 0x1c50, 0xa9d0, 0xabf0,
    ];
    let value = ZEROS
        .iter()
        .find_map(|zero| (c as u32).checked_sub(*zero).filter(|n| *n < 10));
    value.and_then(|value| char::from_digit(value, 10)).unwrap_or(c)
}

/// Numbers are personal and logs are read by many, so `{:?}` does not show it.
impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Phone(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_form() {
        for text in [
            "+919876543210",
            "+91 98765-43210",
            " +91-9876543210 ",
            "+91 (98765) 43210",
            "+91.98765.43210",
            "+91\u{a0}98765\u{2011}43210",
            "0091 98765 43210",
            "+919876543210\n",
            "+91\n9876543210",
            "\u{202a}+91 98765 43210\u{202c}",
            "+91 98765/43210",
            "+91 (0) 98765 43210",
            "+९१९८७६५४३२१०",
            "+৯১ ৯৮৭৬৫ ৪৩২১০",
            "+᱙᱑ ᱙᱘᱗᱖᱕ ᱔᱓᱒᱑᱐",
            "००९१ ९८७६५-४३२१०",
            "+٩١\u{200f} ٩٨٧٦٥ ٤٣٢١٠",
            "+91\u{2009}98765\u{2013}43210\u{feff}",
            "(+91) 98765\u{2010}43210",
            "(00) 91 98765 43210",
            "+91\t98765\r\n43210\r\n",
            "＋９１９８７６５４３２１０",
        ] {
            assert_eq!(
                Phone::parse(text).map(|phone| phone.0).as_deref(),
                Ok("+919876543210"),
                "{text:?}"
            );
        }
        assert!(Phone::parse("+12345678").is_ok());
        assert!(Phone::parse("+123456789012345").is_ok());
    }

    #[test]
    fn refuses() {
        for text in [
            "",
            "+",
            "9876543210",
            "+1234567",
            "+1234567890123456",
            "+0123456789",
            "+91 98765 4321x",
            "++9198765432",
            "0",
            "00",
            "000919876543210",
            "+91 98765 43210 x12",
            "+91 98765 43210 ext. 12",
            "+91 98765 43210;ext=12",
            "+91 98765 43210 #12",
            "tel:+919876543210",
            "+1 800 FLOWERS",
            "+91 98765 43210, +91 98765 43211",
            "+91 98765+43210",
        ] {
            assert!(Phone::parse(text).is_err(), "{text:?}");
        }
    }
}
