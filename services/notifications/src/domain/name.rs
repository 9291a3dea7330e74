//! Names fit to be addressed by.

use common::text::nfkc;

/// The top-level domains of IANA's root zone, one per line (from the npm package `tlds` 1.261.0, MIT).
const TOP_LEVEL_DOMAINS: &str = include_str!("tlds.txt");
/// Ways to begin a link that mail programs make clickable.
const SCHEMES: [&str; 7] = [
    "http:",
    "https:",
    "ftp:",
    "mailto:",
    "tel:",
    "sms:",
    "javascript:",
];

/// Whether mail programs would make a link of something in the text. Anybody can sign up with anybody's address, so a
/// name must not be a way to send people links. Initials and saints (`A.P.J. Abdul Kalam`, `St.John`) are none: a link
/// has a scheme, begins with `www.`, is an address, or is a host under a real top-level domain with something after it.
pub fn holds_link(text: &str) -> bool {
    let text = nfkc(text).replace(['\u{3002}', '\u{ff61}'], ".").to_lowercase();
    text.contains("://")
        || text.contains(['@', '<', '>', '\\'])
        || text
            .split(|c: char| c.is_whitespace() || "()[]{}\"',;".contains(c))
            .any(is_link)
}

fn is_link(word: &str) -> bool {
    if SCHEMES.iter().any(|scheme| word.contains(scheme)) || word.contains("www.") {
        return true;
    }
    let Some((host, _)) = word.split_once(['/', '?', '#', ':']) else {
        return false;
    };
    host.rsplit_once('.')
        .is_some_and(|(before, last)| !before.is_empty() && (last.starts_with("xn--") || is_top_level(last)))
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
            "<a href",
        ] {
            assert!(holds_link(name), "{name}");
        }
    }
}
