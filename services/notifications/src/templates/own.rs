//! The words that an event has of its own, filled in for one reader.

use minijinja::Value;

use crate::{
    channels::mime::one_line,
    domain::{broadcast::Words, message::Message, sms, wording},
};

/// A subject or a text whose variables have grown beyond this is not what its organizer has seen.
const FILLED: usize = 20_000;
const SUBJECT: usize = 400;

/// The subject and the opening of an e-mail; `None`: the standard ones.
///
/// # Errors
/// Why the event's own words cannot be used; the standard ones can.
pub(super) fn words(message: &Message, values: &Value) -> Result<Option<Words>, &'static str> {
    let details = &message.details;
    let Some(own) = &details.own else {
        return gone(message);
    };
    let subject = one_line(&filled(message, &own.subject, values)?);
    let text = filled(message, &own.text, values)?;
    if subject.is_empty() || text.trim().is_empty() {
        return Err("nothing is left of them");
    }
    if subject.chars().count() > SUBJECT || text.chars().count() > FILLED {
        return Err("they are too long");
    }
    Ok(Some(Words { subject, text }))
}

/// The text message; `None`: the standard one.
///
/// # Errors
/// As [`words`].
pub(super) fn text_message(message: &Message, values: &Value) -> Result<Option<String>, &'static str> {
    let details = &message.details;
    let Some(own) = &details.own else {
        return gone(message).map(|_| None);
    };
    let Some(text) = &own.sms else {
        return Ok(None);
    };
    let text = sms::fitted(&one_line(&filled(message, text, values)?));
    if text.is_empty() {
        return Err("nothing is left of them");
    }
    let code = details.ticket_code.as_deref();
    if code.is_some_and(|code| !text.contains(code)) {
        return Err("the ticket's code does not fit");
    }
    Ok(Some(text))
}

fn gone(message: &Message) -> Result<Option<Words>, &'static str> {
    match message.details.wording {
        Some(_) => Err("they are gone"),
        None => Ok(None),
    }
}

fn filled(message: &Message, text: &str, values: &Value) -> Result<String, &'static str> {
    let known = wording::variables(message.kind.template()).unwrap_or_default();
    let value = |name: &str| known.contains(name).then(|| value(values, name)).flatten();
    wording::filled(text, value).ok_or("they ask for what the letter does not have")
}

/// The value of a name with dots. What this letter has not, such as a payment of who did not pay, is nothing.
fn value(values: &Value, name: &str) -> Option<String> {
    let mut value = values.clone();
    for part in name.split('.') {
        value = value.get_attr(part).ok()?;
        if value.is_none() {
            return Some(String::new());
        }
    }
    (!value.is_undefined()).then(|| value.to_string())
}
