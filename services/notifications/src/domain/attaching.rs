//! What an e-mail brings along: the ticket to print, and the entry for the reader's calendar, which later letters change or take out.

use calendar::{Entry, Method, Person};
use common::ids::RegistrationId;

use super::message::{Kind, Message};

/// Whether a letter brings the ticket itself.
pub fn brings_ticket(kind: Kind) -> bool {
    kind == Kind::Ticket
}

/// What the reader's calendar is to do.
pub fn calendar_method(kind: Kind) -> Option<Method> {
    match kind {
        Kind::Ticket | Kind::EventUpdated => Some(Method::Request),
        Kind::EventCancelled | Kind::RegistrationCancelled => Some(Method::Cancel),
        _ => None,
    }
}

/// The media type of the entry, which mail programs read the method from.
pub fn calendar_kind(method: Method) -> &'static str {
    match method {
        Method::Publish => "text/calendar; charset=utf-8; method=PUBLISH",
        Method::Request => "text/calendar; charset=utf-8; method=REQUEST",
        Method::Cancel => "text/calendar; charset=utf-8; method=CANCEL",
    }
}

/// The entry of a letter about a registration; `None`: the letter has none. `organizer` is whom it comes from; `join`, where the
/// event is joined.
pub fn entry(message: &Message, organizer: Person, join: Option<String>) -> Option<(Method, Entry)> {
    let method = calendar_method(message.kind)?;
    let facts = message.facts.as_ref()?;
    let id = RegistrationId(message.occurrence);
    let code = message.details.ticket_code.as_deref();
    let entry = Entry::of(facts, id, code, join, message.created_at);
    let is_over = method == Method::Cancel;
    // The end of a registration is no change of its event: it comes after whatever the calendar has.
    let sequence = entry.sequence + i64::from(message.kind == Kind::RegistrationCancelled);
    Some((
        method,
        Entry {
            sequence,
            url: entry.url.filter(|_| !is_over),
            cancelled: is_over,
            organizer: Some(organizer),
            attendee: Some(Person {
                name: message.name.clone(),
                email: message.address.clone(),
            }),
            ..entry
        },
    ))
}
