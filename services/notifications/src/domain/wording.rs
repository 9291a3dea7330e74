//! An event's own words: what its organizer has letters of a kind say in place of the standard subject and opening. The
//! facts, the ticket's code, what becomes of money, and the links follow as in every letter.
//!
//! Variables are `{{ name }}` and nothing else: there is no language in which a text could loop or reach for more.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use common::{
    clock::Timestamp,
    ids::{EventId, UserId, WordingId},
};

use super::message::Kind;

/// The longest subject, in characters.
pub const SUBJECT: usize = 200;
/// The longest text.
pub const TEXT: usize = 5_000;
/// The longest text message, before its variables are filled in.
pub const SMS: usize = 300;

/// The most unknown variables that are named for one text.
const NAMED: usize = 20;

/// What all kinds know.
const ALWAYS: [&str; 7] = [
    "event.ends",
    "event.place",
    "event.short",
    "event.when",
    "event_link",
    "event_name",
    "name",
];

/// The kinds whose words an event may have of its own, by the names of their templates, with what each knows beyond
/// [`ALWAYS`]. What is about an account, a payment or a refund says the same to everybody, and an announcement is the organizer's
/// already. Where to join is known only to who is in.
const KINDS: [(&str, &[&str]); 7] = [
    ("event_cancelled", &["amount"]),
    (
        "event_updated",
        &["before.name", "before.place", "before.when", "event.join"],
    ),
    ("hold_expired", &["amount", "held_until"]),
    ("registration_cancelled", &["amount"]),
    ("reminder", &["event.join", "starts_in"]),
    ("ticket", &["amount", "event.join", "ticket_code"]),
    ("waitlist_offer", &["held_until"]),
];

/// What a text message of a kind must hold, or it is of no use.
const NEEDED_IN_SMS: [(&str, &str); 1] = [("ticket", "ticket_code")];

/// The kinds that an event may have words of its own for, by the names of their templates.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|(kind, _)| *kind)
}

/// Whether an event may have its own words for a kind.
pub fn may_differ(kind: Kind) -> bool {
    kinds().any(|name| name == kind.template())
}

/// What texts of a kind may hold, in the order of their names; `None`: its words are the same for all events.
pub fn variables(kind: &str) -> Option<BTreeSet<&'static str>> {
    let (_, more) = KINDS.iter().find(|(name, _)| *name == kind)?;
    Some(ALWAYS.iter().chain(more.iter()).copied().collect())
}

/// The words of an event for a kind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OwnWords {
    /// One line: the subject, and the heading.
    pub subject: String,
    /// The opening. Lines stay lines, and empty ones part paragraphs.
    pub text: String,
    /// The text message; `None`: the standard one.
    pub sms: Option<String>,
}

/// Words with what they are for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wording {
    /// Letters name the words that they were written with, so that every try says the same.
    pub id: WordingId,
    /// The event.
    pub event_id: EventId,
    /// One of [`kinds`].
    pub kind: &'static str,
    /// Who has written them.
    pub organizer: UserId,
    /// The words.
    pub words: OwnWords,
    /// Since when they are in force.
    pub created_at: Timestamp,
}

/// The name of a kind that an event may have its own words for, as it lasts as long as the program.
pub fn kind_of(name: &str) -> Option<&'static str> {
    kinds().find(|kind| *kind == name)
}

/// What is wrong with a text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// It has variables that letters of the kind do not know.
    Unknown(BTreeSet<String>),
    /// A `{{` has no `}}` after it.
    Open,
    /// It must hold this variable.
    Lacks(&'static str),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(names) => {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                write!(f, "has unknown variables: {}", names.join(", "))
            }
            Self::Open => write!(f, "has a {{{{ without }}}}"),
            Self::Lacks(name) => write!(f, "must hold {{{{ {name} }}}}"),
        }
    }
}

/// Checks words for a kind; gives the faults by the names of the fields. A kind that knows no words of its own knows no
/// variable either.
pub fn check(kind: &str, words: &OwnWords) -> BTreeMap<&'static str, Fault> {
    let known = variables(kind).unwrap_or_default();
    let fields = [
        ("subject", Some(&words.subject)),
        ("text", Some(&words.text)),
        ("sms", words.sms.as_ref()),
    ];
    let mut faults = BTreeMap::new();
    for (field, text) in fields {
        let Some(text) = text else { continue };
        let needed = NEEDED_IN_SMS.iter().find(|(of, _)| field == "sms" && *of == kind);
        let fault = match pieces(text) {
            None => Some(Fault::Open),
            Some(pieces) => {
                let names: BTreeSet<&str> = pieces.iter().filter_map(Piece::variable).collect();
                let unknown: BTreeSet<String> = names
                    .iter()
                    .filter(|name| !known.contains(*name))
                    .take(NAMED)
                    .map(|name| shortened(name))
                    .collect();
                if unknown.is_empty() {
                    let lacking = needed.filter(|(_, name)| !names.contains(name));
                    lacking.map(|(_, name)| Fault::Lacks(name))
                } else {
                    Some(Fault::Unknown(unknown))
                }
            }
        };
        faults.extend(fault.map(|fault| (field, fault)));
    }
    faults
}

/// A name as an answer repeats it.
fn shortened(name: &str) -> String {
    const MOST: usize = 40;
    if name.is_empty() {
        return "(none)".to_owned();
    }
    if name.chars().count() <= MOST {
        return name.to_owned();
    }
    let kept: String = name.chars().take(MOST).collect();
    format!("{kept}...")
}

/// The text with its variables filled in. What is filled in is not looked at again. `None`: `value` does not know one of
/// them, or the text is damaged.
pub fn filled(text: &str, value: impl Fn(&str) -> Option<String>) -> Option<String> {
    let filled = pieces(text)?.into_iter().map(|piece| match piece {
        Piece::Text(text) => Some(text.to_owned()),
        Piece::Variable(name) => value(name),
    });
    filled.collect()
}

/// A part of a text.
enum Piece<'a> {
    Text(&'a str),
    Variable(&'a str),
}

impl<'a> Piece<'a> {
    fn variable(&self) -> Option<&'a str> {
        match self {
            Self::Text(_) => None,
            Self::Variable(name) => Some(name),
        }
    }
}

/// The parts of a text, in order; `None`: a `{{` is not closed.
fn pieces(text: &str) -> Option<Vec<Piece<'_>>> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, next) = after.split_once("}}")?;
        pieces.push(Piece::Text(before));
        pieces.push(Piece::Variable(name.trim()));
        rest = next;
    }
    pieces.push(Piece::Text(rest));
    Some(pieces)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(subject: &str, text: &str, sms: Option<&str>) -> OwnWords {
        OwnWords {
            subject: subject.to_owned(),
            text: text.to_owned(),
            sms: sms.map(str::to_owned),
        }
    }

    fn faults(kind: &str, words: &OwnWords) -> Vec<(&'static str, String)> {
        let faults = check(kind, words).into_iter();
        faults.map(|(field, fault)| (field, fault.to_string())).collect()
    }

    #[test]
    fn what_a_kind_does_not_know_is_named() {
        let fine = words(
            "{{ event_name }}: {{ticket_code}}",
            "Dear {{  name }},\n\n{% raw %} {# stays #} }} {",
            Some("{{ ticket_code }}"),
        );
        assert_eq!(faults("ticket", &fine), []);
        let wrong = words(
            "{{ evnt_name }} {{ name }} {{ token.code }}",
            "{{ name | upper }} {{ }} {{ 1 + 1 }}",
            Some("{{ name }"),
        );
        assert_eq!(
            faults("ticket", &wrong),
            [
                ("sms", "has a {{ without }}".to_owned()),
                (
                    "subject",
                    "has unknown variables: evnt_name, token.code".to_owned()
                ),
                (
                    "text",
                    "has unknown variables: (none), 1 + 1, name | upper".to_owned()
                ),
            ]
        );
        let without_code = words("x", "x", Some("See you at {{ event_name }}"));
        assert_eq!(
            faults("ticket", &without_code),
            [("sms", "must hold {{ ticket_code }}".to_owned())]
        );
        assert_eq!(faults("reminder", &without_code), []);
        let join = words("x", "{{ event.join }}", None);
        for (kind, knows) in [
            ("ticket", true),
            ("reminder", true),
            ("event_updated", true),
            ("hold_expired", false),
            ("registration_cancelled", false),
            ("event_cancelled", false),
        ] {
            assert_eq!(check(kind, &join).is_empty(), knows, "{kind}");
        }
        let long = words(&format!("{{{{ {} }}}}", "x".repeat(150)), "x", None);
        assert!(faults("ticket", &long)[0].1.len() < 80);
    }

    #[test]
    fn only_what_is_about_an_event_differs() {
        for kind in Kind::ALL {
            let differs = may_differ(*kind);
            assert_eq!(differs, variables(kind.template()).is_some());
            let is_standard = matches!(
                kind,
                Kind::RegistrationConfirmed
                    | Kind::PaymentFailed
                    | Kind::PaymentRefunded
                    | Kind::Announcement
                    | Kind::VerifyEmail
                    | Kind::EmailChanged
                    | Kind::PasswordReset
                    | Kind::PasswordChanged
                    | Kind::TeamInvitation
            );
            assert_eq!(differs, !is_standard, "{kind:?}");
        }
    }

    #[test]
    fn what_is_filled_in_is_not_looked_at_again() {
        let value = |name: &str| (name == "name").then(|| "{{ ticket_code }}".to_owned());
        assert_eq!(
            filled("Hello {{ name }}!", value).as_deref(),
            Some("Hello {{ ticket_code }}!")
        );
        assert_eq!(filled("Hello {{ nobody }}!", value), None);
        assert_eq!(filled("Hello {{ name", value), None);
    }

    proptest! {
        #[test]
        fn what_is_checked_can_be_filled(text in "(\\{\\{ ?(name|event_name|x|a b)? ?\\}\\}|\\PC|\\{|\\}){0,20}") {
            let own = words(&text, "x", None);
            let known = variables("reminder").unwrap();
            let filled = filled(&text, |name| known.contains(name).then(|| "v".to_owned()));
            prop_assert_eq!(check("reminder", &own).is_empty(), filled.is_some());
        }

        #[test]
        fn text_without_variables_stays(text in "[^{}]{0,80}") {
            prop_assert_eq!(filled(&text, |_| None), Some(text));
        }
    }
}
