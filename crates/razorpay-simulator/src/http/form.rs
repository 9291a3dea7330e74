//! `application/x-www-form-urlencoded`, as query strings and as bodies, with PHP's brackets: `notes[key]=value`.

use percent_encoding::percent_decode;
use serde_json::{Map, Value};

/// Names nested deeper than this are not: nobody sends them, and a hostile one must not exhaust the stack.
const DEPTH: usize = 4;

/// The decoded pairs, in order. What is not UTF-8 is replaced, never refused.
pub(super) fn pairs(text: &[u8]) -> Vec<(String, String)> {
    text.split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let at = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
            let value = pair.get(at + 1..).unwrap_or_default();
            (decode(&pair[..at]), decode(value))
        })
        .collect()
}

fn decode(text: &[u8]) -> String {
    let spaced: Vec<u8> = text
        .iter()
        .map(|byte| if *byte == b'+' { b' ' } else { *byte })
        .collect();
    percent_decode(&spaced).decode_utf8_lossy().into_owned()
}

/// The object that a form describes; all values are strings.
pub(super) fn object(text: &[u8]) -> Map<String, Value> {
    let mut object = Map::new();
    for (name, value) in pairs(text) {
        let (head, rest) = name.split_once('[').unwrap_or((&name, ""));
        let path: Vec<&str> = rest
            .split('[')
            .map(|key| key.trim_end_matches(']'))
            .take(DEPTH)
            .collect();
        let path = if rest.is_empty() { &[][..] } else { &path };
        insert(&mut object, head, path, value);
    }
    object
}

fn insert(object: &mut Map<String, Value>, head: &str, path: &[&str], value: String) {
    let Some((next, rest)) = path.split_first() else {
        object.insert(head.to_owned(), Value::String(value));
        return;
    };
    let inner = object.entry(head).or_insert_with(|| Value::Object(Map::new()));
    if !inner.is_object() {
        *inner = Value::Object(Map::new());
    }
    if let Value::Object(inner) = inner {
        // `list[]=a&list[]=b`: keys that count up.
        let key = if next.is_empty() {
            inner.len().to_string()
        } else {
            (*next).to_owned()
        };
        insert(inner, &key, rest, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn brackets_become_objects() {
        let form = object(
            b"amount=100&notes%5Bseat+no%5D=A%201&card[number]=41&events[]=a&events[]=b&bare&x=1&x[y]=2",
        );
        let expected = json!({
            "amount": "100", "notes": { "seat no": "A 1" }, "card": { "number": "41" },
            "events": { "0": "a", "1": "b" }, "bare": "", "x": { "y": "2" }
        });
        assert_eq!(Value::Object(form), expected);
    }
}
