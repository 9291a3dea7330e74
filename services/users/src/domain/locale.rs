//! Languages and regions.

/// The longest tag kept; RFC 5646 (4.4.1) asks for room for 35 characters.
const MAX_BYTES: usize = 35;

/// A language tag of the form of BCP 47 (`en`, `en-IN`, `zh-Hant-TW`), in the case that RFC 5646 (2.1.1)
/// recommends. Whether the language exists is not checked: readers fall back when they do not know it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Locale(String);

impl Locale {
    /// Reads a tag; `_` counts as `-`.
    ///
    /// # Errors
    /// The rest of the sentence "`locale` ...".
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const FORM: &str = "must be a language tag such as en-IN";
        let text = common::text::trimmed(text);
        if text.len() > MAX_BYTES {
            return Err(FORM);
        }
        let mut tag = String::with_capacity(text.len());
        // A part of one character begins an extension, and `x` what is for private use: all in lower case from there on.
        // Something must follow it.
        let (mut extension, mut private, mut open) = (false, false, false);
        for (index, part) in text.split(['-', '_']).enumerate() {
            let alphabetic = part.bytes().all(|b| b.is_ascii_alphabetic());
            let well_formed = match index {
                0 => alphabetic && (2..=8).contains(&part.len()),
                _ => part.bytes().all(|b| b.is_ascii_alphanumeric()) && (1..=8).contains(&part.len()),
            };
            if !well_formed {
                return Err(FORM);
            }
            let mut part = part.to_ascii_lowercase();
            let begins = index > 0 && part.len() == 1 && !private;
            if begins && open {
                return Err(FORM);
            }
            open = begins;
            private |= begins && part == "x";
            extension |= begins;
            match part.len() {
                2 if index > 0 && alphabetic && !extension => part.make_ascii_uppercase(),
                4 if index > 0 && alphabetic && !extension => part[..1].make_ascii_uppercase(),
                _ => {}
            }
            if index > 0 {
                tag.push('-');
            }
            tag.push_str(&part);
        }
        if open { Err(FORM) } else { Ok(Self(tag)) }
    }

    /// A tag that [`Locale::parse`] has accepted before, as a store keeps it. Earlier releases gave extensions the case
    /// of regions.
    pub fn stored(text: String) -> Self {
        Self::parse(&text).unwrap_or(Self(text))
    }

    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_form() {
        for (text, tag) in [
            ("en", "en"),
            ("EN-in", "en-IN"),
            ("hi_IN", "hi-IN"),
            ("ZH-hANT-tw", "zh-Hant-TW"),
            ("es-419", "es-419"),
            ("de-CH-1996", "de-CH-1996"),
            ("en-US-u-ca-gregory", "en-US-u-ca-gregory"),
            ("EN-us-U-CA-GREGORY", "en-US-u-ca-gregory"),
            ("en_us_posix", "en-US-posix"),
            ("ta-Taml-in-u-nu-tamldec", "ta-Taml-IN-u-nu-tamldec"),
            ("zh-cmn-hans-cn", "zh-cmn-Hans-CN"),
            ("sl-rozaj-biske-1994", "sl-rozaj-biske-1994"),
            ("en-x-AB-Cdef", "en-x-ab-cdef"),
            ("de-t-EN-us", "de-t-en-us"),
            ("EN-x-A-B-IN-Latn", "en-x-a-b-in-latn"),
            ("en-IN-U-nu-DEVA-X-Mine", "en-IN-u-nu-deva-x-mine"),
            ("hi-0-AB-u-NU-latn", "hi-0-ab-u-nu-latn"),
            ("\u{feff}en-in\n", "en-IN"),
        ] {
            assert_eq!(Locale::parse(text).unwrap().as_str(), tag);
        }
    }

    #[test]
    fn refuses() {
        for text in [
            "",
            "e",
            "-",
            "en-",
            "-IN",
            "en--IN",
            "en-u",
            "en-IN-x",
            "en-1",
            "en-u-x-private",
            "en-a-b-cc",
            "e1",
            "english-ininininin",
            "en IN",
            "हि",
            &"en-a".repeat(9),
        ] {
            assert!(Locale::parse(text).is_err(), "{text}");
        }
    }
}
