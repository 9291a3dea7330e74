//! Messages rendered by the templates in `templates/`. The first line of an e-mail's text is its subject.

use chrono_tz::Tz;
use common::{
    mailed_tokens::MailedTokens,
    money::Paise,
    settings::Settings,
    text::is_visible,
    time::EventTime,
    wire::{EventFacts, EventFormat, RefundReason},
};
use minijinja::{Environment, UndefinedBehavior, Value, context};

use crate::{
    channels::{Content, Parcel, mime::one_line},
    domain::{
        broadcast::Words,
        message::{Channel, Details, Kind, Message, Token},
        name::holds_link,
        preferences::is_optional,
        reminder::in_words,
        sms,
        unsubscribe::Unsubscribing,
    },
};

/// A link longer than this is left out of a text message: a part of one leads nowhere.
const SMS_LINK: usize = 160;
/// Names longer than this are cut where they could push out what matters.
const NAME_CHARACTERS: usize = 100;
/// The same for a bank's reason.
const DECLINE_CHARACTERS: usize = 200;

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
    "registration_confirmed.vars",
    "ticket.txt",
    "ticket.html",
    "ticket.sms",
    "ticket.vars",
    "reminder.txt",
    "reminder.html",
    "reminder.sms",
    "reminder.vars",
    "event_updated.txt",
    "event_updated.html",
    "event_updated.sms",
    "event_updated.vars",
    "announcement.txt",
    "announcement.html",
    "announcement.sms",
    "announcement.vars",
    "event_cancelled.txt",
    "event_cancelled.html",
    "event_cancelled.sms",
    "event_cancelled.vars",
    "registration_cancelled.txt",
    "registration_cancelled.html",
    "registration_cancelled.sms",
    "registration_cancelled.vars",
    "hold_expired.txt",
    "hold_expired.html",
    "hold_expired.sms",
    "hold_expired.vars",
    "payment_failed.txt",
    "payment_failed.html",
    "payment_failed.sms",
    "payment_failed.vars",
    "payment_refunded.txt",
    "payment_refunded.html",
    "payment_refunded.sms",
    "payment_refunded.vars",
    "token.txt",
    "token.html",
    "verify_email.txt",
    "verify_email.html",
    "email_changed.txt",
    "email_changed.html",
    "password_reset.txt",
    "password_reset.html",
    "password_changed.txt",
    "password_changed.html",
];

/// Where links in letters lead.
#[derive(Clone, Default, Debug)]
pub struct Links {
    /// Before the id of an event; `None`: there is no link to it.
    event: Option<String>,
    /// Before the id of a payment.
    payment: Option<String>,
    /// Before the names of the pages that take tokens.
    account: Option<String>,
    /// Before the id of an event that is watched.
    watch: Option<String>,
    /// Before the token that ends a kind of e-mail: the gateway, whatever the frontend is.
    unsubscribe: Option<String>,
}

/// The pages that take tokens: the frontend's, or the users service's own.
const VERIFY_PAGE: &str = "verify-email?token=";
const RESET_PAGE: &str = "reset-password?token=";

impl Links {
    /// To the frontend. Without one to the event as the API shows it; a payment is shown there to its payer only, so there
    /// is no link to it. When the gateway's port is not known before it listens there is none at all.
    ///
    /// The page to watch on is the gateway's own with `WATCH_PAGE=on`; else the frontend's; else, in development, the
    /// gateway's.
    pub fn new(settings: &Settings) -> Self {
        let known = settings.public_url.is_some() || settings.gateway_port != 0;
        let public = known.then(|| settings.public_url(settings.gateway_port));
        let watch = |site: &String| format!("{site}/watch/");
        let unsubscribe = public
            .as_ref()
            .map(|public| format!("{public}/api/notifications/unsubscribe?t="));
        let own_watch = public.as_ref().map(watch);
        if let Some(frontend) = &settings.frontend_url {
            return Self {
                unsubscribe,
                watch: if settings.watch_page {
                    own_watch
                } else {
                    Some(watch(frontend))
                },
                event: Some(format!("{frontend}/events/")),
                payment: Some(format!("{frontend}/payments/")),
                account: Some(format!("{frontend}/")),
            };
        }
        Self {
            unsubscribe,
            watch: own_watch.filter(|_| settings.watch_page || !settings.is_production()),
            event: public.as_ref().map(|public| format!("{public}/api/events/")),
            payment: None,
            account: public.map(|public| format!("{public}/")),
        }
    }

    /// Where an attendee joins the event: where its organizer says, or else on the watch page. `None`: people go there.
    fn join(&self, facts: &EventFacts) -> Option<String> {
        let own = facts.join_url.clone();
        let site = self.watch.as_ref().filter(|_| !facts.format.is_in_person());
        own.or_else(|| Some(format!("{}{}", site?, facts.event_id)))
    }
}

/// Writes messages. Values in HTML are escaped.
pub struct Writer {
    environment: Environment<'static>,
    links: Links,
    tokens: MailedTokens,
    unsubscribing: Unsubscribing,
}

impl Writer {
    /// Reads the templates, which are part of the program.
    ///
    /// # Errors
    /// Never, unless a template is wrong.
    pub fn new(
        links: Links,
        tokens: MailedTokens,
        unsubscribing: Unsubscribing,
    ) -> Result<Self, minijinja::Error> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        for (name, source) in TEMPLATES {
            environment.add_template(name, source)?;
        }
        Ok(Self {
            environment,
            links,
            tokens,
            unsubscribing,
        })
    }

    /// Renders the message.
    ///
    /// # Errors
    /// When its template asks for what the message does not have.
    pub fn write(&self, message: &Message) -> Result<Parcel, minijinja::Error> {
        let values = self.values(message);
        let name = message.kind.template();
        let render = |form: &str| {
            self.environment
                .get_template(&format!("{name}.{form}"))?
                .render(values.clone())
        };
        let content = match message.channel {
            Channel::Email => {
                let whole = render("txt")?;
                let (subject, text) = whole.split_once('\n').unwrap_or((&whole, ""));
                let text = format!("{}\n", text.trim());
                Content::Email {
                    subject: one_line(subject),
                    text,
                    html: render("html")?,
                    unsubscribe: self.unsubscribe(message),
                }
            }
            Channel::Sms => Content::Sms {
                text: sms::fitted(&one_line(&render("sms")?)),
                template: name,
                variables: render("vars")?.lines().map(one_line).collect(),
            },
        };
        Ok(Parcel {
            id: message.id,
            created_at: message.created_at,
            address: message.address.clone(),
            name: message.name.as_deref().and_then(presentable),
            content,
        })
    }

    /// Where its reader ends this kind of e-mail; `None` for what always comes.
    fn unsubscribe(&self, message: &Message) -> Option<String> {
        let kind = message.kind.template();
        let site = self.links.unsubscribe.as_ref().filter(|_| is_optional(kind))?;
        Some(format!(
            "{site}{}",
            self.unsubscribing.token(message.user_id, kind)
        ))
    }

    /// What a list shows of the message: the subject, or the text of a text message.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub fn title(&self, message: &Message) -> Result<String, minijinja::Error> {
        Ok(match self.write(message)?.content {
            Content::Email { subject, .. } => subject,
            Content::Sms { text, .. } => text,
        })
    }
}

impl Writer {
    fn values(&self, message: &Message) -> Value {
        let links = &self.links;
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
            event => message.facts.as_ref().map_or(Value::from(()), |facts| event(facts, details, links)),
            before => match (&details.before, &message.facts) {
                (Some(before), Some(now)) => changes(before, now, links),
                _ => Value::from(()),
            },
            registration_id => message.occurrence.to_string(),
            ticket_id => details.ticket_id.map(|id| id.to_string()),
            ticket_code => details.ticket_code.clone(),
            // A code that does not fit on a line is broken between its groups.
            ticket_groups => details.ticket_code.as_deref().map(groups),
            amount => details.amount.map(rupees),
            // Not there: the letter does not know.
            paid => details.amount.map(|amount| amount.0 > 0),
            decline => details.decline.as_deref().map(|words| cut(&one_line(words), DECLINE_CHARACTERS)),
            held_until => message.facts.as_ref().zip(details.held_until).map(|(facts, at)| {
                let until = EventTime { at, zone: facts.zone };
                until.in_words()
            }),
            open => details.open,
            event_link => links.event.as_ref().zip(message.event_id).map(|(before, id)| format!("{before}{id}")),
            payment_link => links.payment.as_ref().zip(details.payment_id).map(|(before, id)| format!("{before}{id}")),
            payment_id => details.payment_id.map(|id| id.to_string()),
            reason => details.reason.map(why),
            hours => details.hours,
            unsubscribe_link => self.unsubscribe(message),
            starts_in => details.hours.map(in_words),
            words => details.words.as_deref().map(words),
            token => details.token.as_ref().map(|token| self.token(token, message)),
        }
    }

    fn token(&self, token: &Token, message: &Message) -> Value {
        let page = match message.kind {
            Kind::PasswordReset | Kind::PasswordChanged => RESET_PAGE,
            _ => VERIFY_PAGE,
        };
        let zone = message
            .details
            .timezone
            .as_deref()
            .and_then(|zone| zone.parse().ok());
        let in_words = |at| {
            EventTime {
                at,
                zone: zone.unwrap_or(Tz::UTC),
            }
            .in_words()
        };
        context! {
            link => self.links.account.as_ref().map(|site| format!("{site}{page}{}", self.tokens.token(token.id))),
            code => self.tokens.code(token.id),
            until => in_words(token.expires_at),
            code_until => in_words(token.code_until),
            new_email => token.new_email.clone(),
                restored => token.restored,
            is_new => token.new_email.as_ref() == Some(&message.address),
        }
    }
}

/// An organizer's words. Lines stay lines, and empty ones part paragraphs.
fn words(words: &Words) -> Value {
    let text = words
        .text
        .replace("\r\n", "\n")
        .replace(['\r', '\u{2028}'], "\n")
        .replace('\u{2029}', "\n\n");
    let mut paragraphs: Vec<Vec<String>> = vec![Vec::new()];
    for line in text.lines().map(str::trim_end) {
        match paragraphs.last_mut() {
            Some(paragraph) if !line.is_empty() => paragraph.push(line.to_owned()),
            _ => paragraphs.push(Vec::new()),
        }
    }
    paragraphs.retain(|paragraph| !paragraph.is_empty());
    context! {
        subject => one_line(&words.subject),
        text => text,
        paragraphs => paragraphs,
    }
}

fn groups(code: &str) -> Vec<String> {
    code.split_inclusive('-').map(str::to_owned).collect()
}

fn event(facts: &EventFacts, details: &Details, links: &Links) -> Value {
    context! {
        when => when(facts),
        ends => facts.ends_at.map(|_| ends(facts)),
        yours => details.timezone.as_deref().and_then(|zone| yours(facts, zone)),
        short => facts.starts_at.with_timezone(&facts.zone).format("%a %-d %b %Y, %H:%M %Z").to_string(),
        place => place(facts, links),
        join => links.join(facts),
        join_short => links.join(facts).filter(|link| link.len() <= SMS_LINK),
    }
}

/// Where it is. An online event is where it is joined.
fn place(facts: &EventFacts, links: &Links) -> String {
    let address = one_line(&facts.address);
    if facts.format == EventFormat::Online && (address.is_empty() || links.join(facts).is_some()) {
        return "Online".to_owned();
    }
    address
}

/// The end: the time alone on the day of the start, else the day as well.
fn ends(facts: &EventFacts) -> String {
    let Some(at) = facts.ends_at else {
        return String::new();
    };
    let end = EventTime { at, zone: facts.zone };
    let (from, to) = (
        facts.starts_at.with_timezone(&facts.zone),
        at.with_timezone(&facts.zone),
    );
    if from.date_naive() == to.date_naive() {
        to.format("%H:%M %Z").to_string()
    } else {
        end.in_words()
    }
}

/// The start in the reader's zone, when the clock there shows another time or is as far from UTC as another one's.
fn yours(facts: &EventFacts, zone: &str) -> Option<String> {
    let there = EventTime {
        at: facts.starts_at,
        zone: zone.parse().ok()?,
    };
    let differs = there.rfc3339() != facts.time().rfc3339();
    differs.then(|| format!("{} ({})", there.in_words(), there.zone.name()))
}

/// Of the event as it was, what is different now.
fn changes(before: &EventFacts, now: &EventFacts, links: &Links) -> Value {
    let differs = |old: String, new: String| (old != new).then_some(old);
    context! {
        name => differs(one_line(&before.name), one_line(&now.name)),
        when => (before.time().rfc3339() != now.time().rfc3339()).then(|| when(before)),
        ends => before.ends_at.and_then(|_| differs(ends(before), ends(now))),
        place => differs(place(before, links), place(now, links)),
        join => links.join(before).and_then(|old| differs(old, links.join(now).unwrap_or_default())),
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
        RefundReason::WrongAmount => "it was not the amount that was due",
        RefundReason::Organizer => "the organizer has sent it back",
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
