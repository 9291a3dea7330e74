//! Lines as RFC 5545 wants them: values escaped, and folded after 75 octets.

use common::text::{breaks_a_line, turns_the_direction};

use crate::Person;

/// Octets of a line without its break (section 3.1).
const LINE: usize = 75;

/// The lines of a calendar.
#[derive(Default)]
pub(crate) struct Lines(String);

impl Lines {
    /// A line whose value needs no escaping. What could end it is left out.
    pub fn add(&mut self, name: &str, value: &str) {
        let value: String = value.chars().filter(|c| !c.is_control()).collect();
        self.fold(&format!("{name}:{value}"));
    }

    /// A line of text.
    pub fn text(&mut self, name: &str, value: &str) {
        self.fold(&format!("{name}:{}", escaped(value)));
    }

    /// A line about a person.
    pub fn person(&mut self, name: &str, person: &Person) {
        let named = person
            .name
            .as_deref()
            .map(parameter)
            .filter(|name| !name.is_empty());
        let parameter = named.map(|name| format!(";CN=\"{name}\"")).unwrap_or_default();
        self.add(&format!("{name}{parameter}"), &format!("mailto:{}", person.email));
    }

    fn fold(&mut self, line: &str) {
        let mut octets = 0;
        for c in line.chars() {
            if octets + c.len_utf8() > LINE {
                self.0.push_str("\r\n ");
                octets = 1;
            }
            self.0.push(c);
            octets += c.len_utf8();
        }
        self.0.push_str("\r\n");
    }

    /// The calendar.
    pub fn finish(self) -> String {
        self.0
    }
}

/// Text (section 3.3.11). Lines stay lines; other control characters and what turns the reading direction go.
fn escaped(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | ';' | ',' => escaped.extend(['\\', c]),
            '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => escaped.push_str("\\n"),
            '\t' => escaped.push(' '),
            c if c.is_control() || turns_the_direction(c) => {}
            c => escaped.push(c),
        }
    }
    escaped
}

/// The value of a parameter: it has no way to escape a quote (section 3.2).
fn parameter(text: &str) -> String {
    let kept = |c: char| !c.is_control() && !breaks_a_line(c) && !turns_the_direction(c);
    text.chars()
        .filter(|c| kept(*c))
        .map(|c| if c == '"' { '\'' } else { c })
        .collect::<String>()
        .trim()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_is_escaped() {
        for (text, expected) in [
            ("a,b;c\\d", "a\\,b\\;c\\\\d"),
            ("one\r\ntwo\u{2028}three", "one\\ntwo\\nthree"),
            ("\u{202e}left\u{7}", "left"),
            ("मेला: २", "मेला: २"),
        ] {
            assert_eq!(escaped(text), expected);
        }
        assert_eq!(parameter("Asha \"A\" Rao\r\nX:y"), "Asha 'A' RaoX:y");
    }

    proptest! {
        /// Unfolded, a line says what was put in, and no line is longer than it may be.
        #[test]
        fn lines_are_folded(text in "\\PC{0,300}") {
            let mut lines = Lines::default();
            lines.text("SUMMARY", &text);
            let written = lines.finish();
            for line in written.split("\r\n") {
                prop_assert!(line.len() <= LINE && !line.contains(['\r', '\n']));
            }
            prop_assert_eq!(written.replace("\r\n ", ""), format!("SUMMARY:{}\r\n", escaped(&text)));
        }
    }
}
