//! Addresses as people look for them.

use common::{
    address::canonical,
    text::{nfkc, trimmed},
};

/// The form in which an e-mail address or telephone number is kept, from the input of a search field or a URL. No
/// address or number has a blank in it: one that stands there was a `+` that a URL did not escape, or one that people
/// write between digits.
pub fn sought(text: &str) -> String {
    let text = nfkc(text);
    let text = trimmed(&text);
    match text.contains('@') {
        true => {
            let text = text.replace(' ', "+");
            // What has no such form is no user's address.
            canonical(&text).unwrap_or_else(|_| text.to_lowercase())
        }
        false => {
            let digits: String = text.chars().filter(char::is_ascii_digit).collect();
            let digits = digits.strip_prefix("00").unwrap_or(&digits);
            if digits.is_empty() {
                return text.to_lowercase();
            }
            format!("+{digits}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_it() {
        for (text, kept) in [
            ("ravi+test@example.org", "ravi+test@example.org"),
            ("ravi test@example.org", "ravi+test@example.org"),
            (" Ravi+Test@EXAMPLE.org\n", "ravi+test@example.org"),
            ("a b c@example.org", "a+b+c@example.org"),
            ("a@xn--mnchen-3ya.de", "a@münchen.de"),
            ("a@MÜNCHEN.de", "a@münchen.de"),
            ("a@mu\u{308}nchen.de", "a@münchen.de"),
            ("ａ＠ｍünchen．ｄｅ", "a@münchen.de"),
            ("+919876543210", "+919876543210"),
            (" 919876543210", "+919876543210"),
            ("919876543210", "+919876543210"),
            ("0091 98765-43210", "+919876543210"),
            ("+91 (98765) 43210", "+919876543210"),
            (" Ravi ", "ravi"),
        ] {
            assert_eq!(sought(text), kept, "{text:?}");
        }
    }
}
