//! What a mail in the mailbox is made of: its header lines, and its parts in order. It reads what we write, and gives up nothing
//! of what it does not understand: that is a part of its own.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use percent_encoding::percent_decode_str;

/// How deep parts are looked for within parts, and how many are listed.
const DEPTH: usize = 8;
const PARTS: usize = 100;

/// A part that holds no others.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// Its type in small letters, such as `text/plain`.
    pub kind: String,
    /// The name of the file, of an attachment.
    pub name: Option<String>,
    /// Whether it is to be shown within the text, as images are.
    pub inline: bool,
    /// What the text calls it by, behind `cid:`.
    pub content_id: Option<String>,
    /// The bytes as they were before they were encoded.
    pub body: Vec<u8>,
}

/// A mail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mail {
    head: Vec<(String, String)>,
    /// Its parts, those of the text included, in order.
    pub parts: Vec<Part>,
}

impl Part {
    /// Whether it is an image that is shown within the text.
    pub fn is_picture(&self) -> bool {
        self.inline && matches!(self.kind.as_str(), "image/png" | "image/jpeg" | "image/gif")
    }
}

impl Mail {
    /// Reads a mail.
    pub fn read(bytes: &[u8]) -> Self {
        let (head, body) = entity(bytes);
        let mut parts = Vec::new();
        leaves(&head, body, DEPTH, &mut parts);
        Self { head, parts }
    }

    /// The first line of this name, as it stands there.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    /// Its HTML as a browser can show it by itself: the pictures that came along are in it.
    pub fn html(&self) -> Option<String> {
        let mut html = self.text("text/html")?;
        for part in self.parts.iter().filter(|part| part.is_picture()) {
            if let Some(id) = &part.content_id {
                let data = format!("data:{};base64,{}", part.kind, BASE64_STANDARD.encode(&part.body));
                html = html.replace(&format!("\"cid:{id}\""), &format!("\"{data}\""));
            }
        }
        Some(html)
    }

    /// The first part of this type that is no attachment, as text with plain ends of lines.
    pub fn text(&self, kind: &str) -> Option<String> {
        let mut parts = self.parts.iter();
        let part = parts.find(|part| part.kind == kind && part.name.is_none())?;
        Some(String::from_utf8_lossy(&part.body).replace("\r\n", "\n"))
    }
}

fn header<'a>(head: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut lines = head.iter();
    let line = lines.find(|(of, _)| of.eq_ignore_ascii_case(name));
    line.map(|(_, value)| value.as_str())
}

/// Header lines, unfolded, and what comes after the empty line.
fn entity(bytes: &[u8]) -> (Vec<(String, String)>, &[u8]) {
    let (head, body) = match find(bytes, b"\r\n\r\n") {
        Some(at) => (&bytes[..at], &bytes[at + 4..]),
        // An empty head.
        None if bytes.starts_with(b"\r\n") => (&bytes[..0], &bytes[2..]),
        None => (bytes, &bytes[bytes.len()..]),
    };
    let mut lines: Vec<(String, String)> = Vec::new();
    for line in String::from_utf8_lossy(head).split("\r\n") {
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = lines.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            lines.push((name.trim().to_owned(), value.trim().to_owned()));
        }
    }
    (lines, body)
}

fn leaves(head: &[(String, String)], body: &[u8], depth: usize, found: &mut Vec<Part>) {
    let (kind, parameters) = value(header(head, "content-type").unwrap_or("text/plain"));
    let boundary = parameters
        .get("boundary")
        .filter(|_| kind.starts_with("multipart/") && depth > 0);
    if let Some(boundary) = boundary {
        for part in split(body, boundary) {
            let (head, body) = entity(part);
            leaves(&head, body, depth - 1, found);
        }
    } else if found.len() < PARTS {
        let (disposition, more) = value(header(head, "content-disposition").unwrap_or_default());
        let encoding = header(head, "content-transfer-encoding").unwrap_or_default();
        let name = parameter(&more, "filename").or_else(|| parameter(&parameters, "name"));
        found.push(Part {
            kind,
            name,
            inline: disposition != "attachment",
            content_id: header(head, "content-id").map(|id| id.trim_matches(['<', '>']).to_owned()),
            body: decoded(encoding, body),
        });
    }
}

/// What lies between the lines of a boundary.
fn split<'a>(body: &'a [u8], boundary: &str) -> Vec<&'a [u8]> {
    let line = format!("--{boundary}");
    let mut parts = Vec::new();
    let mut from = None;
    let mut at = 0;
    while let Some(next) = find(&body[at..], line.as_bytes()).map(|found| at + found) {
        at = next + line.len();
        let begins_a_line = next == 0 || body[..next].ends_with(b"\n");
        if !begins_a_line {
            continue;
        }
        if let Some(from) = from {
            let part = body.get(from..next).unwrap_or_default();
            parts.push(part.strip_suffix(b"\r\n").unwrap_or(part));
        }
        if body[at..].starts_with(b"--") {
            break;
        }
        from = find(&body[at..], b"\r\n").map(|end| at + end + 2);
    }
    parts
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// A value and its parameters: `attachment; filename="ticket.pdf"`.
fn value(line: &str) -> (String, BTreeMap<String, String>) {
    let mut pieces = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for c in line.chars() {
        let last = pieces.len() - 1;
        match c {
            _ if escaped => {
                pieces[last].push(c);
                escaped = false;
            }
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ';' if !quoted => pieces.push(String::new()),
            _ => pieces[last].push(c),
        }
    }
    let kind = pieces.remove(0).trim().to_ascii_lowercase();
    let parameters = pieces.iter().filter_map(|piece| {
        let (name, value) = piece.split_once('=')?;
        Some((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
    });
    (kind, parameters.collect())
}

/// A parameter, also one that is encoded and goes on in several pieces (RFC 2231).
fn parameter(of: &BTreeMap<String, String>, name: &str) -> Option<String> {
    if let Some(plain) = of.get(name) {
        return Some(plain.clone());
    }
    let mut whole = String::new();
    let single = of.get(&format!("{name}*")).map(|value| (value, true));
    let piece = |n: usize| {
        let encoded = of.get(&format!("{name}*{n}*")).map(|value| (value, true));
        encoded.or_else(|| of.get(&format!("{name}*{n}")).map(|value| (value, false)))
    };
    let pieces = single.into_iter().chain((0..PARTS).map_while(piece));
    for (at, (value, encoded)) in pieces.enumerate() {
        // The first says in which set of characters the name is: ours are all in UTF-8.
        let value = match value.splitn(3, '\'').nth(2) {
            Some(rest) if encoded && at == 0 => rest,
            _ => value,
        };
        if encoded {
            whole.push_str(&percent_decode_str(value).decode_utf8_lossy());
        } else {
            whole.push_str(value);
        }
    }
    (!whole.is_empty()).then_some(whole)
}

/// A word of a header line (RFC 2047): in base64 (`b`), or with `=` before what is encoded (`q`).
pub fn word(how: &str, text: &str) -> Option<String> {
    let bytes = match how {
        "b" | "B" => BASE64_STANDARD.decode(text).ok()?,
        "q" | "Q" => from_quoted_printable(text.replace('_', " ").as_bytes()),
        _ => return None,
    };
    String::from_utf8(bytes).ok()
}

fn decoded(encoding: &str, body: &[u8]) -> Vec<u8> {
    match encoding.to_ascii_lowercase().as_str() {
        "base64" => {
            let text: Vec<u8> = body
                .iter()
                .copied()
                .filter(|b| !b.is_ascii_whitespace())
                .collect();
            BASE64_STANDARD.decode(text).unwrap_or_else(|_| body.to_vec())
        }
        "quoted-printable" => from_quoted_printable(body),
        _ => body.to_vec(),
    }
}

fn from_quoted_printable(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'=' {
            bytes.push(*first);
        } else if let Some(after) = rest.strip_prefix(b"\r\n") {
            rest = after;
        } else {
            let hex = rest.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
            match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
                Some(byte) => {
                    bytes.push(byte);
                    rest = &rest[2..];
                }
                None => bytes.push(b'='),
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use lettre::message::{Attachment, Message, MultiPart, SinglePart, header::ContentType};
    use proptest::prelude::*;

    use super::*;

    const HTML: &str = "<p>नमस्ते</p><img src=\"cid:qr\"><img src=\"cid:other\">";

    fn mail() -> Vec<u8> {
        let text = MultiPart::alternative()
            .singlepart(SinglePart::plain("नमस्ते,\nहैलो = a\n".to_owned()))
            .singlepart(SinglePart::html(HTML.to_owned()));
        let image = Attachment::new_inline("qr".to_owned());
        let pdf = Attachment::new("टिकट \"1\" of a rather long name that goes on.pdf".to_owned());
        let body =
            MultiPart::mixed()
                .multipart(MultiPart::related().multipart(text).singlepart(
                    image.body(vec![0_u8, 255, 13, 10], ContentType::parse("image/png").unwrap()),
                ))
                .singlepart(pdf.body(vec![b'%'; 500], ContentType::parse("application/pdf").unwrap()))
                .singlepart(Attachment::new("event.ics".to_owned()).body(
                    "BEGIN:VCALENDAR".to_owned(),
                    ContentType::parse("text/calendar").unwrap(),
                ));
        Message::builder()
            .from("Meera <no-reply@localhost>".parse().unwrap())
            .to("asha@example.org".parse().unwrap())
            .subject("Hello")
            .multipart(body)
            .unwrap()
            .formatted()
    }

    #[test]
    fn parts_are_listed_in_order() {
        let mail = Mail::read(&mail());
        assert_eq!(mail.header("From"), Some("Meera <no-reply@localhost>"));
        assert_eq!(mail.header("subject"), Some("Hello"));
        let seen: Vec<_> = mail
            .parts
            .iter()
            .map(|part| {
                (
                    part.kind.as_str(),
                    part.name.as_deref(),
                    part.inline,
                    part.body.len(),
                )
            })
            .collect();
        let pdf = "टिकट \"1\" of a rather long name that goes on.pdf";
        assert_eq!(
            seen,
            [
                ("text/plain", None, true, "नमस्ते,\r\nहैलो = a\r\n".len()),
                ("text/html", None, true, HTML.len()),
                ("image/png", None, true, 4),
                ("application/pdf", Some(pdf), false, 500),
                ("text/calendar", Some("event.ics"), false, 15),
            ]
        );
        assert_eq!(mail.parts[2].body, [0, 255, 13, 10]);
        assert_eq!(mail.text("text/plain").as_deref(), Some("नमस्ते,\nहैलो = a\n"));
        assert_eq!(mail.text("text/html").as_deref(), Some(HTML));
        assert_eq!(
            mail.html().as_deref(),
            Some("<p>नमस्ते</p><img src=\"data:image/png;base64,AP8NCg==\"><img src=\"cid:other\">")
        );
        assert_eq!(mail.text("text/calendar"), None, "an attachment");
    }

    #[test]
    fn a_mail_in_one_part_is_one() {
        let mail = Mail::read(b"Subject: x\r\n folded\r\n\r\nHello\r\n");
        assert_eq!(mail.header("Subject"), Some("x folded"));
        assert_eq!(mail.text("text/plain").as_deref(), Some("Hello\n"));
        assert_eq!(Mail::read(b"").parts.len(), 1);
    }

    proptest! {
        #[test]
        fn nothing_is_too_odd_to_be_read(cut in 0usize..3000, noise in proptest::collection::vec(any::<u8>(), 0..60)) {
            let mut bytes = mail();
            bytes.truncate(cut);
            bytes.extend(noise);
            prop_assert!(Mail::read(&bytes).parts.len() <= PARTS);
        }
    }
}
