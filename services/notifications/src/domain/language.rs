//! The languages of messages.

use utoipa::ToSchema;

/// A language that every message is written in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ToSchema)]
pub enum Language {
    /// For everybody who has asked for no other.
    #[schema(rename = "en")]
    English,
    /// In Devanagari.
    #[schema(rename = "hi")]
    Hindi,
}

impl Language {
    /// Every language.
    pub const ALL: [Self; 2] = [Self::English, Self::Hindi];

    /// Its tag, which is also the name of its folder of templates.
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Hindi => "hi",
        }
    }

    /// The language for a reader with this BCP 47 tag: of whatever region, and English where we have no better.
    pub fn of(locale: Option<&str>) -> Self {
        let mut parts = locale.unwrap_or_default().split(['-', '_']);
        let language = parts.next().unwrap_or_default();
        // Who reads Hindi in Latin letters need not read Devanagari. After a part of one letter come extensions, where
        // the same word means digits.
        let in_latin = parts
            .take_while(|part| part.len() > 1)
            .any(|part| part.eq_ignore_ascii_case("Latn"));
        if language.eq_ignore_ascii_case("hi") && !in_latin {
            Self::Hindi
        } else {
            Self::English
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locales_pick_a_language() {
        for hindi in ["hi", "HI", "hi-IN", "hi_IN", "hi-Deva-IN", "hi-u-nu-latn"] {
            assert_eq!(Language::of(Some(hindi)), Language::Hindi, "{hindi}");
        }
        for other in [
            "",
            "en",
            "en-IN",
            "hil",
            "h",
            "mr-IN",
            "en-hi",
            "hi-Latn",
            "HI-LATN-in",
            "-hi",
        ] {
            assert_eq!(Language::of(Some(other)), Language::English, "{other}");
        }
        assert_eq!(Language::of(None), Language::English);
        for language in Language::ALL {
            assert_eq!(Language::of(Some(language.tag())), language);
        }
    }
}
