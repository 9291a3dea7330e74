//! Messages rendered by the templates in `templates/`, in the language of their reader. The first line of an e-mail's text
//! is its subject.
//!
//! A new kind needs its files in the folder of each language, and one more language a folder with them all: what is missing
//! does not compile. The `.vars` are the values for text messages whose text is registered with a provider. There is one
//! such text for all readers, so they are in English.

mod own;
mod phrases;
pub mod samples;

use std::collections::BTreeSet;

use chrono_tz::Tz;
use common::{
    mailed_tokens::MailedTokens,
    money::Paise,
    settings::Settings,
    text::is_visible,
    time::EventTime,
    wire::{EventFacts, EventFormat, TeamRole},
};
use minijinja::{Environment, UndefinedBehavior, Value, context};

use crate::{
    channels::{Content, Parcel, mime::one_line},
    domain::{
        broadcast::Words,
        language::Language,
        message::{Channel, Details, Kind, Message, Token},
        name::holds_link,
        preferences::is_optional,
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
    (shared: $($shared:literal)+; in_each_language: $($name:literal)+;) => {
        &[
            $(($shared, include_str!(concat!("templates/", $shared))),)+
            $(
                (concat!("en/", $name), include_str!(concat!("templates/en/", $name))),
                (concat!("hi/", $name), include_str!(concat!("templates/hi/", $name))),
            )+
        ]
    };
}

const TEMPLATES: &[(&str, &str)] = templates![
    shared:
    "layout.html"
    "fact.html"
    "registration_confirmed.vars"
    "ticket.vars"
    "reminder.vars"
    "event_updated.vars"
    "event_cancelled.vars"
    "announcement.vars"
    "registration_cancelled.vars"
    "hold_expired.vars"
    "waitlist_offer.vars"
    "payment_failed.vars"
    "payment_refunded.vars";
    in_each_language:
    "letter.html"
    "greeting.txt"
    "facts.html"
    "registration_confirmed.txt"
    "registration_confirmed.html"
    "registration_confirmed.sms"
    "ticket.txt"
    "ticket.html"
    "ticket.sms"
    "reminder.txt"
    "reminder.html"
    "reminder.sms"
    "event_updated.txt"
    "event_updated.html"
    "event_updated.sms"
    "announcement.txt"
    "announcement.html"
    "announcement.sms"
    "event_cancelled.txt"
    "event_cancelled.html"
    "event_cancelled.sms"
    "registration_cancelled.txt"
    "registration_cancelled.html"
    "registration_cancelled.sms"
    "hold_expired.txt"
    "hold_expired.html"
    "hold_expired.sms"
    "waitlist_offer.txt"
    "waitlist_offer.html"
    "waitlist_offer.sms"
    "payment_failed.txt"
    "payment_failed.html"
    "payment_failed.sms"
    "payment_refunded.txt"
    "payment_refunded.html"
    "payment_refunded.sms"
    "token.txt"
    "token.html"
    "verify_email.txt"
    "verify_email.html"
    "email_changed.txt"
    "email_changed.html"
    "password_reset.txt"
    "password_reset.html"
    "password_changed.txt"
    "password_changed.html"
    "team_invitation.txt"
    "team_invitation.html";
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
/// That of the frontend, or the events service's own.
const TEAM_PAGE: &str = "team/accept?token=";

impl Links {
    /// To the frontend. Without one to the event as the API shows it; a payment is shown there to its payer only, so there
    /// is no link to it. When the gateway's port is not known before it listens there is none at all.
    pub fn new(settings: &Settings) -> Self {
        let known = settings.public_url.is_some() || settings.gateway_port != 0;
        let public = known.then(|| settings.public_url(settings.gateway_port));
        let unsubscribe = public
            .as_ref()
            .map(|public| format!("{public}/api/notifications/unsubscribe?t="));
        let watch = settings.watch_site();
        if let Some(frontend) = &settings.frontend_url {
            return Self {
                unsubscribe,
                watch,
                event: Some(format!("{frontend}/events/")),
                payment: Some(format!("{frontend}/payments/")),
                account: Some(format!("{frontend}/")),
            };
        }
        Self {
            unsubscribe,
            watch,
            event: public.as_ref().map(|public| format!("{public}/api/events/")),
            payment: None,
            account: public.map(|public| format!("{public}/")),
        }
    }

    /// Where an attendee joins the event: where its organizer says, or else on the watch page. `None`: people go there.
    fn join(&self, facts: &EventFacts) -> Option<String> {
        facts.join(self.watch.as_deref())
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
        if let Some(why) = self.fault_of_own_words(message) {
            let (message_id, wording) = (message.id, message.details.wording);
            tracing::warn!(%message_id, ?wording, why, "an event's own words are left out of its letter");
        }
        let content = match message.channel {
            Channel::Email => {
                let (subject, text) = self.letter(message)?;
                Content::Email {
                    subject,
                    text,
                    html: self.rendered(message, "html")?,
                    unsubscribe: self.unsubscribe(message),
                }
            }
            Channel::Sms => Content::Sms {
                text: self.text_message(message)?,
                template: message.kind.template(),
                variables: self.variables_of(message)?,
            },
        };
        Ok(Parcel {
            id: message.id,
            created_at: message.created_at,
            address: message.address.clone(),
            name: message.name.as_deref().and_then(presentable),
            host: message.details.host.clone(),
            attachments: Vec::new(),
            content,
        })
    }

    /// What the message says to its reader: a subject, where it is an e-mail, and plain text.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub fn plain(&self, message: &Message) -> Result<(Option<String>, String), minijinja::Error> {
        Ok(match message.channel {
            Channel::Email => {
                let (subject, text) = self.letter(message)?;
                (Some(subject), text)
            }
            Channel::Sms => (None, self.text_message(message)?),
        })
    }

    fn rendered(&self, message: &Message, form: &str) -> Result<String, minijinja::Error> {
        let language = language_of(message);
        let values = self.values(message, language);
        let own = own::words(message, &values).ok().flatten();
        self.environment
            .get_template(&format!("{}/{}.{form}", language.tag(), message.kind.template()))?
            .render(context! { own => own.as_ref().map(words), ..values })
    }

    /// Why the event's own words cannot be used for the message.
    fn fault_of_own_words(&self, message: &Message) -> Option<&'static str> {
        let values = self.values(message, language_of(message));
        match message.channel {
            Channel::Email => own::words(message, &values).err(),
            Channel::Sms => own::text_message(message, &values).err(),
        }
    }

    /// An e-mail's subject and its plain text.
    fn letter(&self, message: &Message) -> Result<(String, String), minijinja::Error> {
        let whole = self.rendered(message, "txt")?;
        let (subject, text) = whole.split_once('\n').unwrap_or((&whole, ""));
        Ok((one_line(subject), format!("{}\n", text.trim())))
    }

    fn text_message(&self, message: &Message) -> Result<String, minijinja::Error> {
        let values = self.values(message, language_of(message));
        if let Ok(Some(own)) = own::text_message(message, &values) {
            return Ok(own);
        }
        Ok(sms::fitted(&one_line(&self.rendered(message, "sms")?)))
    }

    /// The values for a text that is registered with a provider.
    fn variables_of(&self, message: &Message) -> Result<Vec<String>, minijinja::Error> {
        let template = format!("{}.vars", message.kind.template());
        let values = self
            .environment
            .get_template(&template)?
            .render(self.values(message, Language::English))?;
        Ok(values.lines().map(one_line).collect())
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

    /// What the message can say, by the names that its template has for it, in their order.
    ///
    /// # Errors
    /// When there is no such template.
    pub fn variables(&self, kind: Kind) -> Result<BTreeSet<String>, minijinja::Error> {
        let folder = Language::English.tag();
        let of = |name: &str| {
            let template = self.environment.get_template(&format!("{folder}/{name}"))?;
            Ok::<_, minijinja::Error>(template.undeclared_variables(true))
        };
        let mut variables = BTreeSet::new();
        let mut files = vec![format!("{}.txt", kind.template()), "greeting.txt".to_owned()];
        if samples::is_texted(kind) {
            files.push(format!("{}.sms", kind.template()));
        } else if kind != Kind::TeamInvitation {
            files.push("token.txt".to_owned());
        }
        for file in files {
            variables.extend(of(&file)?);
        }
        // What an event has of its own is made of the others.
        variables.retain(|name| !name.starts_with("own"));
        Ok(variables)
    }

    /// Where an attendee joins the event.
    pub fn join(&self, facts: &EventFacts) -> Option<String> {
        self.links.join(facts)
    }

    /// A name fit to be printed.
    pub fn presentable(&self, name: &str) -> Option<String> {
        presentable(name)
    }

    /// What a list shows of the message: the subject, or the text of a text message.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub fn title(&self, message: &Message) -> Result<String, minijinja::Error> {
        let (subject, text) = self.plain(message)?;
        Ok(subject.unwrap_or(text))
    }
}

impl Writer {
    fn values(&self, message: &Message, language: Language) -> Value {
        let links = &self.links;
        let details = &message.details;
        let event_name = message
            .facts
            .as_ref()
            .map(|facts| &facts.name)
            .or(details.event_name.as_ref())
            // Whom somebody invites has asked for nothing: their letter carries no link of a stranger's.
            .filter(|name| message.kind != Kind::TeamInvitation || !holds_link(name));
        let rupees = |amount: Paise| amount.to_string();
        context! {
            lang => language.tag(),
            name => message.name.as_deref().and_then(presentable),
            role => details.role.map(TeamRole::name),
            inviter => details.inviter.as_deref().and_then(presentable),
            event_name => cut(&one_line(event_name.map_or(language.your_event(), String::as_str)), NAME_CHARACTERS),
            event => message.facts.as_ref().map_or(Value::from(()), |facts| event(facts, details, links, language)),
            before => match (&details.before, &message.facts) {
                (Some(before), Some(now)) => changes(before, now, links, language),
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
                language.moment(EventTime { at, zone: facts.zone })
            }),
            open => details.open,
            event_link => links.event.as_ref().zip(message.event_id).map(|(before, id)| format!("{before}{id}")),
            payment_link => links.payment.as_ref().zip(details.payment_id).map(|(before, id)| format!("{before}{id}")),
            payment_id => details.payment_id.map(|id| id.to_string()),
            reason => details.reason.map(|reason| language.why(reason)),
            by_organizer => details.cancelled_with.is_some(),
            note => details.cancelled_with.as_deref().map(one_line).filter(|note| !note.is_empty()),
            pictured => details.pictured,
            hours => details.hours,
            unsubscribe_link => self.unsubscribe(message),
            starts_in => details.hours.map(|hours| language.starts_in(hours)),
            words => details.words.as_deref().map(words),
            answered => details.host.as_ref().is_some_and(|host| host.reply_to.is_some()),
            token => details.token.as_ref().map(|token| self.token(token, message, language)),
        }
    }

    fn token(&self, token: &Token, message: &Message, language: Language) -> Value {
        let secret = match message.kind {
            Kind::TeamInvitation => self.tokens.invitation(token.id),
            _ => self.tokens.token(token.id),
        };
        let page = match message.kind {
            Kind::PasswordReset | Kind::PasswordChanged => RESET_PAGE,
            Kind::TeamInvitation => TEAM_PAGE,
            _ => VERIFY_PAGE,
        };
        let zone = message
            .details
            .timezone
            .as_deref()
            .and_then(|zone| zone.parse().ok());
        let in_words = |at| {
            language.moment(EventTime {
                at,
                zone: zone.unwrap_or(Tz::UTC),
            })
        };
        context! {
            link => self.links.account.as_ref().map(|site| format!("{site}{page}{secret}")),
            code => match message.kind {
                // There is nothing shorter to type.
                Kind::TeamInvitation => secret,
                _ => self.tokens.code(token.id),
            },
            until => in_words(token.expires_at),
            code_until => in_words(token.code_until),
            new_email => token.new_email.clone(),
            restored => token.restored,
            is_new => token.new_email.as_ref() == Some(&message.address),
        }
    }
}

fn language_of(message: &Message) -> Language {
    Language::of(message.details.locale.as_deref())
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

fn event(facts: &EventFacts, details: &Details, links: &Links, language: Language) -> Value {
    context! {
        when => when(facts, language),
        ends => facts.ends_at.map(|_| ends(facts, language)),
        yours => details.timezone.as_deref().and_then(|zone| yours(facts, zone, language)),
        short => language.short_moment(facts.time()),
        place => place(facts, links, language),
        join => links.join(facts),
        join_short => links.join(facts).filter(|link| link.len() <= SMS_LINK),
    }
}

/// Where it is. An online event is where it is joined.
fn place(facts: &EventFacts, links: &Links, language: Language) -> String {
    let address = one_line(&facts.address);
    if facts.format == EventFormat::Online && (address.is_empty() || links.join(facts).is_some()) {
        return language.online().to_owned();
    }
    address
}

/// The end: the time alone on the day of the start, else the day as well.
fn ends(facts: &EventFacts, language: Language) -> String {
    let Some(at) = facts.ends_at else {
        return String::new();
    };
    let (from, to) = (
        facts.starts_at.with_timezone(&facts.zone),
        at.with_timezone(&facts.zone),
    );
    if from.date_naive() == to.date_naive() {
        to.format("%H:%M %Z").to_string()
    } else {
        language.moment(EventTime { at, zone: facts.zone })
    }
}

/// The start in the reader's zone, when the clock there shows another time or is as far from UTC as another one's.
fn yours(facts: &EventFacts, zone: &str, language: Language) -> Option<String> {
    let there = EventTime {
        at: facts.starts_at,
        zone: zone.parse().ok()?,
    };
    let differs = there.rfc3339() != facts.time().rfc3339();
    differs.then(|| in_zone(there, language))
}

/// Of the event as it was, what is different now.
fn changes(before: &EventFacts, now: &EventFacts, links: &Links, language: Language) -> Value {
    let differs = |old: String, new: String| (old != new).then_some(old);
    context! {
        name => differs(one_line(&before.name), one_line(&now.name)),
        when => (before.time().rfc3339() != now.time().rfc3339()).then(|| when(before, language)),
        ends => before.ends_at.and_then(|_| differs(ends(before, language), ends(now, language))),
        place => differs(place(before, links, language), place(now, links, language)),
        join => links.join(before).and_then(|old| differs(old, links.join(now).unwrap_or_default())),
    }
}

fn when(facts: &EventFacts, language: Language) -> String {
    in_zone(facts.time(), language)
}

/// `Friday, 22 November 2024, 18:44 IST (Asia/Kolkata)`.
fn in_zone(time: EventTime, language: Language) -> String {
    format!("{} ({})", language.moment(time), time.zone.name())
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
