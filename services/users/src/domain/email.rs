//! E-mail addresses.

use std::fmt;

/// The longest address that fits into an SMTP path (RFC 5321, 4.5.3.1.3).
const MAX_BYTES: usize = 254;
/// The longest part before the `@` (RFC 5321, 4.5.3.1.1).
const MAX_LOCAL_BYTES: usize = 64;
/// The longest part of a domain between two dots (RFC 1035, 2.3.4).
const MAX_LABEL_BYTES: usize = 63;

/// An e-mail address in its one canonical form: trimmed and in lower case, so that the ways of writing one
/// address are one account.
///
/// At most 254 bytes; before the one `@` 1 to 64 characters of the dot-atom of RFC 5321 (so no quotes,
/// brackets, spaces or line breaks, which could break out of a mail header); after it a domain with a dot, or
/// `localhost`. Labels are letters, digits and inner hyphens; letters of other scripts are kept as typed, in
/// lower case.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Email(String);

impl Email {
    /// Reads an address.
    ///
    /// # Errors
    /// The rest of the sentence "`email` ...".
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const FORM: &str = "must be an e-mail address such as asha@example.org";
        let text = text.trim().to_lowercase();
        if text.len() > MAX_BYTES {
            return Err("must be at most 254 bytes");
        }
        match text.split_once('@') {
            Some((local, domain)) if is_local(local) && is_domain(domain) => Ok(Self(text)),
            _ => Err(FORM),
        }
    }

    /// An address that [`Email::parse`] has accepted before, as a store keeps it.
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

fn is_local(local: &str) -> bool {
    let atom = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
    local.len() <= MAX_LOCAL_BYTES
        && local
            .split('.')
            .all(|part| !part.is_empty() && part.chars().all(atom))
}

fn is_domain(domain: &str) -> bool {
    (domain == "localhost" || domain.contains('.')) && domain.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    let fits = (1..=MAX_LABEL_BYTES).contains(&label.len());
    fits && !label.starts_with('-') && !label.ends_with('-') && label.chars().all(is_domain_char)
}

fn is_domain_char(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || c == '-';
    }
    // Invisible characters and those that turn the reading direction make one address look like another. The
    // joiners U+200C and U+200D stay: Indian and Persian names are spelled with them (RFC 5892, A.1 and A.2).
    let deceptive = matches!(c,
        '\u{ad}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff0}'..='\u{ffff}' | '\u{e0000}'..='\u{e0fff}');
    !(c.is_control() || c.is_whitespace() || deceptive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_canonical_form() {
        for text in ["asha@example.org", "  Asha@Example.ORG\n", "ASHA@EXAMPLE.ORG"] {
            assert_eq!(Email::parse(text).unwrap().as_str(), "asha@example.org");
        }
        assert_eq!(Email::parse("a@MÜNCHEN.de").unwrap().as_str(), "a@münchen.de");
    }

    #[test]
    fn accepts() {
        let longest = format!(
            "a@{}.{}.{}.{}.org",
            "b".repeat(63),
            "c".repeat(63),
            "d".repeat(61),
            "e".repeat(58)
        );
        assert_eq!(longest.len(), 254);
        for text in [
            "a@b.c",
            "root@localhost",
            "first.last+tag@sub.example.co.in",
            "o'hara!#$%&*/=?^_`{|}~-@example.org",
            "a@क्षेत्र.भारत",
            "a@xn--mnchen-3ya.de",
            &longest,
            &format!("{}@example.org", "a".repeat(64)),
        ] {
            assert!(Email::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn refuses() {
        for text in [
            "",
            "@",
            "asha",
            "asha@",
            "@example.org",
            "a@b",
            "a@b@c.org",
            "a@.org",
            "a@org.",
            "a@b..org",
            ".a@b.org",
            "a.@b.org",
            "a..b@c.org",
            "a b@c.org",
            "a@b c.org",
            "a@b.org\r\nBcc: x@y.org",
            "a\r\n@b.org",
            "a\0@b.org",
            "\"a b\"@c.org",
            "<a@b.org>",
            "a@b.org,c@d.org",
            "a@[127.0.0.1]",
            "a@-b.org",
            "a@b-.org",
            "a@b_c.org",
            "आशा@example.org",
            "a@exa\u{202e}mple.org",
            "a@exa\u{200b}mple.org",
            &format!("{}@example.org", "a".repeat(65)),
            &format!("a@{}.org", "b".repeat(64)),
            &format!("a@{}org", "b.".repeat(126)),
        ] {
            assert!(Email::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn is_not_shown_in_logs() {
        assert!(!format!("{:?}", Email::parse("asha@example.org")).contains("asha"));
    }
}
