//! E-mail addresses: the one form in which they are kept and compared, and the one in which they travel.

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

use crate::text::{nfkc, trimmed};

/// The longest address that fits into an SMTP path (RFC 5321, 4.5.3.1.3).
const MAX_BYTES: usize = 254;
/// The longest part before the `@` (RFC 5321, 4.5.3.1.1).
const MAX_LOCAL_BYTES: usize = 64;

/// The one canonical form of an address, so that the ways of writing it are one mailbox: trimmed, NFKC, in lower case, and
/// the domain as UTS 46 maps it, in letters of its own script (`a@münchen.de` for `A@xn--mnchen-3ya.de`).
///
/// At most 254 bytes as it goes through SMTP; before the one `@` 1 to 64 characters of the dot-atom of RFC 5321 (so no
/// quotes, brackets, spaces or line breaks, which could break out of a mail header); after it a domain with a dot, or
/// `localhost`.
///
/// # Errors
/// The rest of the sentence "`email` ...".
pub fn canonical(text: &str) -> Result<String, &'static str> {
    const FORM: &str = "must be an e-mail address such as asha@example.org";
    let text = nfkc(trimmed(text));
    let (local, domain) = text.split_once('@').ok_or(FORM)?;
    let local = local.to_lowercase();
    let domain = dns_name(domain).ok_or(FORM)?;
    if !is_local(&local) || !(domain == "localhost" || domain.contains('.')) {
        return Err(FORM);
    }
    if local.len() + 1 + domain.len() > MAX_BYTES {
        return Err("must be at most 254 bytes");
    }
    Ok(format!("{local}@{}", own_script(&domain)))
}

/// A domain as it goes through SMTP and DNS, in A-labels (`xn--mnchen-3ya.de` for `münchen.de`), which every server
/// takes; one in ASCII stays as it is. `None`: DNS can know no such name.
pub fn domain_in_ascii(domain: &str) -> Option<String> {
    if domain.is_ascii() {
        return Some(domain.to_owned());
    }
    dns_name(domain)
}

/// Whether earlier releases, which knew no UTS 46, may have taken `text` as an address; they kept it as it is.
pub fn may_have_been_taken(text: &str) -> bool {
    let is_label = |label: &str| {
        let fits = (1..=63).contains(&label.len());
        fits && !label.starts_with('-') && !label.ends_with('-') && label.chars().all(is_domain_char)
    };
    text.len() <= MAX_BYTES
        && text.split_once('@').is_some_and(|(local, domain)| {
            is_local(local)
                && (domain == "localhost" || domain.contains('.'))
                && domain.split('.').all(is_label)
        })
}

fn is_domain_char(c: char) -> bool {
    if c.is_ascii() {
        c.is_ascii_alphanumeric() || c == '-'
    } else {
        !(c.is_control() || c.is_whitespace())
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
fn dns_name(domain: &str) -> Option<String> {
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
fn own_script(domain: &str) -> String {
    let (shown, result) =
        Uts46::new().to_unicode(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast);
    if result.is_ok() && dns_name(&shown).as_deref() == Some(domain) {
        shown.into_owned()
    } else {
        domain.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_canonical_form() {
        for text in ["asha@example.org", "  Asha@Example.ORG\n", "ASHA@EXAMPLE.ORG"] {
            assert_eq!(canonical(text).as_deref(), Ok("asha@example.org"), "{text:?}");
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
            assert_eq!(canonical(text).as_deref(), Ok("a@münchen.de"), "{text:?}");
        }
        // Joiners are part of names in Persian and Sinhala, and sharp s is not ss (UTS 46, nontransitional).
        let joined = Ok("a@نامه\u{200c}ای.com");
        assert_eq!(canonical("a@xn--mgba3gch31f060k.com").as_deref(), joined);
        assert_eq!(canonical("a@نامه\u{200c}ای.com").as_deref(), joined);
        assert_ne!(canonical("a@faß.de"), canonical("a@fass.de"));
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
            assert!(canonical(text).is_ok(), "{text}");
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
            assert!(canonical(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn domains_travel_in_ascii() {
        for (domain, ascii) in [
            ("münchen.de", Some("xn--mnchen-3ya.de")),
            ("mu\u{308}nchen.de", Some("xn--mnchen-3ya.de")),
            ("भारत", Some("xn--h2brj9c")),
            ("localhost", Some("localhost")),
            ("[127.0.0.1]", Some("[127.0.0.1]")),
            ("\u{202e}x.org", None),
        ] {
            assert_eq!(domain_in_ascii(domain).as_deref(), ascii, "{domain}");
        }
    }

    #[test]
    fn what_earlier_releases_took() {
        for text in ["a@b.c", "a@xn--a.org", "a@mu\u{308}nchen.de", "a@א1a.org"] {
            assert!(may_have_been_taken(text), "{text}");
        }
        for text in [
            "",
            "a",
            "' or 1=1 --",
            "a@b",
            "a@b..org",
            "a b@c.org",
            "a@b\n.org",
        ] {
            assert!(!may_have_been_taken(text), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn the_canonical_form_is_its_own(local in "[a-zA-Z0-9.+]{1,8}", domain in "\\PC{1,12}") {
            if let Ok(once) = canonical(&format!("{local}@{domain}.org")) {
                prop_assert_eq!(canonical(&once), Ok(once.clone()));
                let domain = once.split_once('@').unwrap().1;
                prop_assert!(domain_in_ascii(domain).is_some_and(|ascii| ascii.is_ascii()));
                prop_assert!(may_have_been_taken(&once) || once.len() > 254 || domain.split('.').any(|l| l.len() > 63));
            }
        }
    }
}
