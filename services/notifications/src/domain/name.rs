//! Names fit to be addressed by.

use common::text::{is_invisible, nfkc};

/// The top-level domains of IANA's root zone, one per line (from the npm package `tlds` 1.261.0, MIT).
const TOP_LEVEL_DOMAINS: &str = include_str!("tlds.txt");
/// Ways to begin a link that mail programs make clickable; with something after it.
const SCHEMES: [&str; 10] = [
    "http:",
    "https:",
    "ftp:",
    "mailto:",
    "tel:",
    "sms:",
    "javascript:",
    "data:",
    "upi:",
    "whatsapp:",
];

/// Whether mail programs would make a link of something in the text. Any address can be signed up with, unverified, so
/// a name must not be a way to send its owner links. Initials and saints (`A.P.J. Abdul Kalam`, `St.John`) are none: a
/// link has a scheme, begins with `www.`, is an address, or is a host under a real top-level domain with something
/// after it. Invisible characters do not hide one.
pub fn holds_link(text: &str) -> bool {
    let seen = |c: &char| c.is_whitespace() || !is_invisible(*c);
    let text: String = nfkc(text).chars().filter(seen).collect();
    let text = text.replace(['\u{3002}', '\u{ff61}'], ".").to_lowercase();
    text.contains("://")
        || text.contains(['@', '<', '>', '\\'])
        || text
            .split(|c: char| c.is_whitespace() || "()[]{}\"',;".contains(c))
            .any(is_link)
}

fn is_link(word: &str) -> bool {
    if SCHEMES.iter().any(|scheme| begins_one(word, scheme)) || begins_one(word, "www.") {
        return true;
    }
    let Some(end) = word.find(['/', '?', '#', ':']) else {
        return false;
    };
    let (host, rest) = word.split_at(end);
    // A colon is for a port; names have it too (`Dr.Me: Rao`).
    let goes_on = !rest.starts_with(':') || rest[1..].starts_with(|c: char| c.is_ascii_digit());
    goes_on
        && host
            .trim_end_matches('.')
            .rsplit_once('.')
            .is_some_and(|(before, last)| {
                !before.is_empty() && (last.starts_with("xn--") || is_top_level(last))
            })
}

/// Whether `start` begins a word within the word, and goes on: `-www.x` does, `Patel:x` is not `tel:`.
fn begins_one(word: &str, start: &str) -> bool {
    word.match_indices(start).any(|(at, _)| {
        let goes_on = word.len() > at + start.len();
        goes_on && !word[..at].ends_with(char::is_alphanumeric)
    })
}

fn is_top_level(label: &str) -> bool {
    TOP_LEVEL_DOMAINS.lines().any(|domain| domain == label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_links() {
        for name in [
            "A.P.J. Abdul Kalam",
            "K.V. Rao",
            "K.V.Rao",
            "St.John",
            "Dr.Rao",
            "Anna-Lena.Müller",
            "Ramesh S/o Suresh",
            "Asha c/o Rao",
            "M.Sc. Ravi, Ph.D.",
            "Rao: Asha",
            "J.R.R. Tolkien",
            "आशा रा. राव",
            "Node.js",
            "O'Neil.in",
            "Patel: Ravi",
            "Hotel:Taj",
            "Dr.Me: Rao",
            "Mr./Mrs. Rao",
            "K.V./Rao",
            "Anna.Maria/Rosa",
            "Data: the android",
            "10:30 Rao",
        ] {
            assert!(!holds_link(name), "{name}");
        }
    }

    #[test]
    fn links_are() {
        for name in [
            "https://evil.example/x",
            "Win at evil.com/login",
            "evil.co.in/pay",
            "evil.com?x=1",
            "evil.com:8080",
            "www.evil.com",
            "WWW.EVIL.COM",
            "evil．com／login",
            "evil。com/login",
            "javascript:alert(1)",
            "mailto:x",
            "me@evil.com",
            "evil.भारत/x",
            "evil.xn--h2brj9c/x",
            "(evil.zip/x)",
            "hxxp://evil",
            "tel:+911234567890",
            "(tel:1234)",
            "upi:pay",
            "evil.com./x",
            "ev\u{ad}il.c\u{200b}om/x",
            "www\u{2060}.evil.com",
            "Asha,evil.com/x",
            "Rao/www.evil.com",
            "-mailto:x",
            "<a href",
        ] {
            assert!(holds_link(name), "{name}");
        }
    }
}
