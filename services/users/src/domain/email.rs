//! E-mail addresses.

use std::fmt;

use common::address;

/// An e-mail address in its one canonical form (see [`address::canonical`]), so that the ways of writing it are one
/// account.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Email(String);

impl Email {
    /// Reads an address.
    ///
    /// # Errors
    /// The rest of the sentence "`email` ...".
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        address::canonical(text).map(Self)
    }

    /// The form in which earlier releases kept this input, when it differs: trimmed and in lower case. They also took
    /// some that [`Email::parse`] refuses.
    pub fn as_typed(text: &str) -> Option<Self> {
        let typed = text.trim().to_lowercase();
        let is_another = address::canonical(text).as_deref() != Ok(&typed);
        (is_another && address::may_have_been_taken(&typed)).then_some(Self(typed))
    }

    /// An address as a store keeps it.
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Addresses are personal and logs are read by many, so `{:?}` does not show it.
impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_earlier_releases_kept() {
        let typed = |text| Email::as_typed(text).map(|email| email.0);
        for (text, kept) in [
            (" A@xn--mnchen-3ya.de", Some("a@xn--mnchen-3ya.de")),
            ("a@Mu\u{308}nchen.de", Some("a@mu\u{308}nchen.de")),
            // Refused today.
            ("a@xn--a.org", Some("a@xn--a.org")),
            ("Asha@example.org", None),
            ("a@münchen.de", None),
            // Never taken.
            ("ａ＠example.org", None),
            ("nonsense", None),
        ] {
            assert_eq!(typed(text).as_deref(), kept, "{text}");
        }
    }

    #[test]
    fn is_not_shown_in_logs() {
        assert!(!format!("{:?}", Email::parse("asha@example.org")).contains("asha"));
    }
}
