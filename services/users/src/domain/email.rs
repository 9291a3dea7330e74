//! E-mail addresses.

use std::fmt;

use common::text::{nfkc, trimmed};
use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

/// The longest address that fits into an SMTP path (RFC 5321, 4.5.3.1.3).
const MAX_BYTES: usize = 254;
/// The longest part before the `@` (RFC 5321, 4.5.3.1.1).
const MAX_LOCAL_BYTES: usize = 64;

/// An e-mail address in its one canonical form, so that the ways of writing one address are one account: trimmed, NFKC,
/// in lower case, and the domain as UTS 46 maps it, in letters of its own script (`münchen.de` for `xn--mnchen-3ya.de`).
///
/// At most 254 bytes as it goes through SMTP; before the one `@` 1 to 64 characters of the dot-atom of RFC 5321 (so no
/// quotes, brackets, spaces or line breaks, which could break out of a mail header); after it a domain with a dot, or
/// `localhost`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Email(String);

impl Email {
    /// Reads an address.
    ///
    /// # Errors
    /// The rest of the sentence "`email` ...".
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const FORM: &str = "must be an e-mail address such as asha@example.org";
        let text = nfkc(trimmed(text));
        let (local, domain) = text.split_once('@').ok_or(FORM)?;
        let local = local.to_lowercase();
        let domain = ascii(domain).ok_or(FORM)?;
        if !is_local(&local) || !(domain == "localhost" || domain.contains('.')) {
            return Err(FORM);
        }
        if local.len() + 1 + domain.len() > MAX_BYTES {
            return Err("must be at most 254 bytes");
        }
        Ok(Self(format!("{local}@{}", shown(&domain))))
    }

    /// The address as earlier releases kept what is typed so, when that is another text: trimmed and in lower case.
    pub fn as_typed(text: &str) -> Option<Self> {
        let typed = Self(text.trim().to_lowercase());
        Self::parse(text)
            .is_ok_and(|email| email != typed)
            .then_some(typed)
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

/// A domain as DNS knows it, in lower case. UTS 46 drops what is not seen, maps full-width forms, and refuses what turns
/// the reading direction.
fn ascii(domain: &str) -> Option<String> {
    Uts46::new()
        .to_ascii(
            domain.as_bytes(),
            AsciiDenyList::STD3,
            Hyphens::CheckFirstLast,
            DnsLength::Verify,
        )
        .ok()
        .map(|domain| domain.into_owned())
}

/// The domain in letters of its own script, where it can be read back.
fn shown(domain: &str) -> String {
    let (shown, result) =
        Uts46::new().to_unicode(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast);
    if result.is_ok() && ascii(&shown).as_deref() == Some(domain) {
        shown.into_owned()
    } else {
        domain.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_canonical_form() {
        for text in ["asha@example.org", "  Asha@Example.ORG\n", "ASHA@EXAMPLE.ORG"] {
            assert_eq!(Email::parse(text).unwrap().as_str(), "asha@example.org");
        }
        for text in [
            "a@münchen.de",
            "a@MÜNCHEN.de",
            "a@mu\u{308}nchen.de",
            "a@xn--mnchen-3ya.de",
            "A@XN--MNCHEN-3YA.DE",
            "ａ＠ｍünchen．ｄｅ",
            "a@münchen。de",
            "\u{feff}a@mün\u{ad}chen.de\u{200b}",
        ] {
            assert_eq!(
                Email::parse(text).map(|email| email.0).as_deref(),
                Ok("a@münchen.de"),
                "{text:?}"
            );
        }
    }

    #[test]
    fn what_earlier_releases_kept() {
        let typed = |text| Email::as_typed(text).map(|email| email.0);
        assert_eq!(
            typed(" A@xn--mnchen-3ya.de").as_deref(),
            Some("a@xn--mnchen-3ya.de")
        );
        assert_eq!(typed("Asha@example.org"), None);
        assert_eq!(typed("a@münchen.de"), None);
        assert_eq!(typed("nonsense"), None);
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
            "a@faß.de",
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
            "a@xn--zzzzzzzzzz\u{e9}.org",
            "a@xn--a.org",
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
