//! Passwords, plain and hashed.

use std::fmt;

use common::text::nfkc;
use secrecy::{ExposeSecret, SecretString};

/// Fewest and most characters of a password. The least is that of NIST SP 800-63B (2020, 5.1.1.2), the most
/// bounds the work.
const MIN_CHARS: usize = 8;
const MAX_CHARS: usize = 256;

/// The passwords that lists of leaked ones have at their top, 8 characters or longer, in lower case, one per
/// line. Most are the first ones of the list that comes with Django (BSD licence), which Royce Williams made.
const COMMON: &str = include_str!("common_passwords.txt");

/// A password. Never trimmed, never shown, overwritten in memory when dropped.
///
/// Keyboards differ in how they write `ü`, so it is brought into one form: NFKC, one of the two that NIST SP 800-63B
/// allows. Lengths are counted in that form, so that they do not depend on the keyboard either.
pub struct Password {
    normal: SecretString,
    /// As typed, where that differs.
    typed: Option<SecretString>,
}

impl Password {
    /// A password for a new account.
    ///
    /// # Errors
    /// The rest of the sentence "`password` ...".
    pub fn chosen(text: String) -> Result<Self, &'static str> {
        let password = Self::claimed(text);
        if (MIN_CHARS..=MAX_CHARS).contains(&password.expose().chars().count()) {
            Ok(password)
        } else {
            Err("must be 8 to 256 characters long")
        }
    }

    /// A password that is claimed to be an account's. One that no account can have is merely wrong.
    pub fn claimed(text: String) -> Self {
        // Both are overwritten when dropped, the one that is not kept too.
        let typed = SecretString::from(text);
        let normal = SecretString::from(nfkc(typed.expose_secret()));
        let differs = normal.expose_secret() != typed.expose_secret();
        Self {
            normal,
            typed: differs.then_some(typed),
        }
    }

    /// The password as earlier releases hashed it, where that differs: without a common form.
    pub fn as_typed(&self) -> Option<Self> {
        Some(Self {
            normal: self.typed.clone()?,
            typed: None,
        })
    }

    /// Whether it is on the list of common passwords, in any case.
    pub fn is_common(&self) -> bool {
        COMMON
            .lines()
            .any(|common| common.eq_ignore_ascii_case(self.expose()))
    }

    /// The text, for hashing.
    pub fn expose(&self) -> &str {
        self.normal.expose_secret()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// A hashed password as a PHC string, which carries its own algorithm, cost and salt.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// A PHC string.
    pub fn new(phc: String) -> Self {
        Self(phc)
    }

    /// What a store keeps: an empty text for no password.
    pub fn stored(phc: String) -> Option<Self> {
        (!phc.is_empty()).then_some(Self(phc))
    }

    /// The text that a store keeps.
    pub fn to_stored(hash: Option<&Self>) -> &str {
        hash.map_or("", Self::as_str)
    }

    /// The PHC string.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Hashes must not leak into logs, so `{:?}` does not show it.
impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn length_is_in_characters_and_spaces_count() {
        for text in [
            "        ",
            "पासवर्ड१",
            &"a".repeat(256),
            &"é".repeat(256),
            "tab\there",
        ] {
            assert_eq!(Password::chosen(text.to_owned()).unwrap().expose(), text);
        }
        for text in ["", "1234567", "é234567", &"a".repeat(257)] {
            assert!(Password::chosen(text.to_owned()).is_err(), "{text}");
        }
    }

    #[test]
    fn one_password_however_it_is_typed() {
        let composed = Password::claimed("Gr\u{fc}\u{df}e-caf\u{e9}-1".to_owned());
        let decomposed = Password::claimed("Gru\u{308}\u{df}e-cafe\u{301}-1".to_owned());
        assert_eq!(composed.expose(), decomposed.expose());
        assert!(composed.as_typed().is_none());
        let typed = decomposed.as_typed().unwrap();
        assert_eq!(typed.expose(), "Gru\u{308}\u{df}e-cafe\u{301}-1");
        assert!(
            Password::chosen("e\u{301}".repeat(7)).is_err(),
            "seven characters"
        );
        assert!(Password::chosen("e\u{301}".repeat(256)).is_ok(), "256 characters");
        for (one, other) in [
            ("ｐａｓｓ１２３４５", "pass12345"),
            ("of\u{fb01}ce-1234", "office-1234"),
            (
                "\u{1112}\u{1161}\u{11ab}\u{1100}\u{116e}\u{11a8}\u{110b}\u{1165}-1234-xy",
                "한국어-1234-xy",
            ),
            ("a\u{a0}b\u{3000}c-1234", "a b c-1234"),
        ] {
            let [one, other] = [one, other].map(|text| Password::claimed(text.to_owned()));
            assert_eq!(one.expose(), other.expose());
        }
    }

    #[test]
    fn the_list_holds_what_could_be_chosen() {
        let list: Vec<&str> = COMMON.lines().collect();
        assert!(list.len() >= 3000, "{}", list.len());
        assert_eq!(
            list.iter().collect::<HashSet<_>>().len(),
            list.len(),
            "no line twice"
        );
        for line in list {
            assert!(Password::chosen(line.to_owned()).is_ok(), "{line}");
            assert_eq!(line, line.trim().to_lowercase());
        }
    }

    #[test]
    fn common_ones_in_any_case() {
        for text in [
            "password",
            "PassWord",
            "ｐａｓｓｗｏｒｄ",
            "12345678",
            "qwertyuiop",
            "Iloveyou1",
        ] {
            assert!(Password::claimed(text.to_owned()).is_common(), "{text}");
        }
        assert!(!Password::claimed("correct horse battery staple".to_owned()).is_common());
    }

    #[test]
    fn nothing_is_shown() {
        let password = Password::claimed("hunter22".to_owned());
        let hash = PasswordHash::new("$argon2id$hunter22".to_owned());
        assert!(!format!("{password:?} {hash:?}").contains("hunter22"));
    }
}
