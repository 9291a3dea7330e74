//! Every password, token and key that the tests use, and the proof that no log of any process has one of them.

use std::{
    collections::BTreeSet,
    sync::{LazyLock, Mutex},
};

use serde_json::Value;

/// Fields of requests and answers that hold secrets.
const FIELDS: [&str; 12] = [
    "api_key",
    "code",
    "current_password",
    "link_token",
    "otpauth_url",
    "password",
    "recovery_codes",
    "refresh_token",
    "secret",
    "token",
    "totp",
    "totp_token",
];
/// Shorter ones, and codes of digits alone, are in any log by chance.
const SHORTEST: usize = 8;

static USED: LazyLock<Mutex<Used>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct Used {
    /// Of the characters that tokens are made of.
    words: BTreeSet<String>,
    /// Such as passwords with blanks.
    phrases: BTreeSet<String>,
}

fn is_of_a_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

/// Notes a secret.
pub fn note(secret: &str) {
    // `password` is a password that a test tries.
    if secret.len() < SHORTEST || secret.bytes().all(|b| b.is_ascii_digit()) || FIELDS.contains(&secret) {
        return;
    }
    let mut used = USED.lock().unwrap();
    let kind = if secret.chars().all(is_of_a_word) {
        &mut used.words
    } else {
        &mut used.phrases
    };
    if !kind.contains(secret) {
        kind.insert(secret.to_owned());
    }
}

/// Notes the secrets of a body.
pub fn note_body(body: &Value) {
    match body {
        Value::Array(elements) => elements.iter().for_each(note_body),
        Value::Object(fields) => {
            // `code` of a problem is none.
            let is_problem = fields.contains_key("detail");
            for (name, value) in fields {
                match value {
                    Value::String(secret) if FIELDS.contains(&name.as_str()) && !is_problem => note(secret),
                    Value::Array(secrets) if FIELDS.contains(&name.as_str()) => {
                        secrets.iter().filter_map(Value::as_str).for_each(note);
                    }
                    other => note_body(other),
                }
            }
        }
        _ => {}
    }
}

/// Fails when a log has one of them.
pub fn assert_absent(name: &str, log: &str) {
    let used = USED.lock().unwrap();
    let word = log
        .split(|c| !is_of_a_word(c))
        .find(|word| word.len() >= SHORTEST && used.words.contains(*word));
    let phrase = used.phrases.iter().find(|phrase| log.contains(phrase.as_str()));
    let found = word.or(phrase.map(String::as_str)).map(str::to_owned);
    drop(used);
    if let Some(secret) = found {
        let line = log.lines().find(|line| line.contains(&secret));
        panic!("the log of {name} has the secret {secret:?}: {line:?}");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_in_a_log_is_found() {
        note_body(
            &json!({"password": "correct horse", "nested": [{"token": "abc.def-ghi_jkl"}], "recovery_codes": ["aaaa-bbbb-cccc"]}),
        );
        note_body(&json!({"code": "event_not_found", "detail": "x"}));
        assert_absent("none", "INFO user event_not_found 12345678");
        for log in [
            "x password=correct horse y",
            "token=\"abc.def-ghi_jkl\"",
            "?code=aaaa-bbbb-cccc&x",
        ] {
            assert!(
                std::panic::catch_unwind(|| assert_absent("one", log)).is_err(),
                "{log}"
            );
        }
    }
}
