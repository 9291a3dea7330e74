//! Messages put into words by the templates in `templates/`. The first line of an e-mail's text is its subject.

use common::{
    money::Paise,
    text::is_visible,
    wire::{EventFacts, RefundReason},
};
use minijinja::{Environment, UndefinedBehavior, Value, context};

use crate::{
    channels::{Parcel, Words, mime::one_line},
    domain::{
        message::{Channel, Kind, Message},
        name::holds_link,
    },
};

/// The most characters of a text message: three parts of 160. More is cut by carriers as they please.
const SMS_CHARACTERS: usize = 480;
/// Names longer than this are cut where they could push out what matters.
const NAME_CHARACTERS: usize = 100;

macro_rules! templates {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("templates/", $name)))),+]
    };
}

const TEMPLATES: &[(&str, &str)] = templates![
    "layout.html",
    "fact.html",
    "registration_confirmed.txt",
    "registration_confirmed.html",
    "registration_confirmed.sms",
    "ticket.txt",
    "ticket.html",
    "ticket.sms",
    "reminder.txt",
    "reminder.html",
    "reminder.sms",
    "event_updated.txt",
    "event_updated.html",
    "event_updated.sms",
    "event_cancelled.txt",
    "event_cancelled.html",
    "event_cancelled.sms",
    "registration_cancelled.txt",
    "registration_cancelled.html",
    "registration_cancelled.sms",
    "payment_refunded.txt",
    "payment_refunded.html",
    "payment_refunded.sms",
];

/// Writes messages. Values in HTML are escaped.
pub struct Writer(Environment<'static>);

impl Writer {
    /// Reads the templates, which are part of the program.
    ///
    /// # Errors
    /// Never, unless a template is wrong.
    pub fn new() -> Result<Self, minijinja::Error> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_debug(false);
        for (name, source) in TEMPLATES {
            environment.add_template(name, source)?;
        }
        Ok(Self(environment))
    }

    /// The message in words.
    ///
    /// # Errors
    /// When its template asks for what the message does not have.
    pub fn write(&self, message: &Message) -> Result<Parcel, minijinja::Error> {
        let values = values(message);
        let name = template(message.kind);
        let render = |form: &str| {
            self.0
                .get_template(&format!("{name}.{form}"))?
                .render(values.clone())
        };
        let words = match message.channel {
            Channel::Email => {
                let whole = render("txt")?;
                let (subject, text) = whole.split_once('\n').unwrap_or((&whole, ""));
                let text = format!("{}\n", text.trim());
                Words::Email {
                    subject: one_line(subject),
                    text,
                    html: render("html")?,
                }
            }
            Channel::Sms => Words::Sms {
                text: cut(&one_line(&render("sms")?), SMS_CHARACTERS),
            },
        };
        Ok(Parcel {
            id: message.id,
            created_at: message.created_at,
            address: message.address.clone(),
            name: message.name.as_deref().and_then(presentable),
            words,
        })
    }

    /// What a list shows of the message: the subject, or the text of a text message.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub fn title(&self, message: &Message) -> Result<String, minijinja::Error> {
        Ok(match self.write(message)?.words {
            Words::Email { subject, .. } => subject,
            Words::Sms { text } => text,
        })
    }
}

fn template(kind: Kind) -> &'static str {
    match kind {
        Kind::Reminder24h | Kind::Reminder3h => "reminder",
        other => other.name(),
    }
}

fn values(message: &Message) -> Value {
    let details = &message.details;
    let event_name = message
        .facts
        .as_ref()
        .map(|facts| &facts.name)
        .or(details.event_name.as_ref());
    let rupees = |amount: Paise| amount.to_string();
    context! {
        name => message.name.as_deref().and_then(presentable),
        event_name => cut(&one_line(event_name.map_or("your event", String::as_str)), NAME_CHARACTERS),
        event => message.facts.as_ref().map_or(Value::from(()), event),
        before => match (&details.before, &message.facts) {
            (Some(before), Some(now)) => changes(before, now),
            _ => Value::from(()),
        },
        registration_id => message.occurrence.to_string(),
        ticket_id => details.ticket_id.map(|id| id.to_string()),
        ticket_code => details.ticket_code.clone(),
        // A code that does not fit on a line is broken between its groups.
        ticket_groups => details.ticket_code.as_deref().map(groups),
        amount => details.amount.map(rupees),
        payment_id => details.payment_id.map(|id| id.to_string()),
        reason => details.reason.map(why),
        hours => details.hours,
    }
}

fn groups(code: &str) -> Vec<String> {
    code.split_inclusive('-').map(str::to_owned).collect()
}

fn event(facts: &EventFacts) -> Value {
    context! {
        when => when(facts),
        short => facts.starts_at.with_timezone(&facts.zone).format("%a %-d %b %Y, %H:%M %Z").to_string(),
        place => one_line(&facts.address),
    }
}

/// Of the event as it was, what is different now.
fn changes(before: &EventFacts, now: &EventFacts) -> Value {
    let differs = |old: String, new: String| (old != new).then_some(old);
    context! {
        name => differs(one_line(&before.name), one_line(&now.name)),
        when => (before.time().rfc3339() != now.time().rfc3339()).then(|| when(before)),
        place => differs(one_line(&before.address), one_line(&now.address)),
    }
}

/// `Friday, 22 November 2024, 18:44 IST (Asia/Kolkata)`.
fn when(facts: &EventFacts) -> String {
    format!("{} ({})", facts.time().in_words(), facts.zone.name())
}

fn why(reason: RefundReason) -> &'static str {
    match reason {
        RefundReason::NoSeat => "your time to pay had run out and the last seat was gone",
        RefundReason::Attendee => "you cancelled your registration",
        RefundReason::EventCancelled => "the event was cancelled",
        RefundReason::Duplicate => "this registration had been paid for already",
    }
}

/// A name fit to be addressed by: one that holds a link, or nothing to see, is left out.
fn presentable(name: &str) -> Option<String> {
    let name = one_line(name);
    (!holds_link(&name) && is_visible(&name) && name.chars().count() <= NAME_CHARACTERS).then_some(name)
}

fn cut(text: &str, characters: usize) -> String {
    if text.chars().count() <= characters {
        return text.to_owned();
    }
    let kept: String = text.chars().take(characters - 3).collect();
    format!("{}...", kept.trim_end())
}
