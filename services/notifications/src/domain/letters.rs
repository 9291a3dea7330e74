//! Which letters a fact asks for. Their text is in `templates/`.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use common::{
    clock::Timestamp,
    ids::{EventId, MessageId, PaymentId, RegistrationId, UserId},
    mailed_tokens::CODE_LIFE,
    money::Paise,
    wire::{
        AccountLetter, EndReason, EventFacts, HoldExpired, PaymentFailed, PaymentRefunded, RefundReason,
        RegistrationConfirmed, RegistrationEnded, TeamInvited, TokenIssued, UserCard, WaitlistClosed,
        WaitlistOffered,
    },
};
use uuid::Uuid;

use super::{
    broadcast::{self, Broadcast},
    message::{Channel, Details, Kind, Letter, Message, Token},
    reminder,
};

/// How long after a decline its letter is sent.
const DECLINE_TOLD_AFTER: TimeDelta = TimeDelta::seconds(60);
/// In this time one decline of a registration's payments is notified, the last one by then.
const ONE_DECLINE_IN: TimeDelta = TimeDelta::minutes(15);

/// Which kinds of messages go as text messages too.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Texted {
    /// None: there is no provider.
    None,
    /// All that have a text.
    All,
    /// Those whose texts are registered, by the names of their templates.
    These(BTreeSet<String>),
}

impl Texted {
    fn has(&self, kind: Kind) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::These(kinds) => kinds.contains(kind.template()),
        }
    }
}

/// Which channels there are. E-mail always is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reach {
    /// What goes as text messages.
    pub sms: Texted,
}

/// What all letters about one thing have in common.
struct About<'a> {
    card: &'a UserCard,
    event_id: EventId,
    occurrence: Uuid,
    schedule_version: i64,
    not_before: Option<Timestamp>,
    not_after: Option<Timestamp>,
}

impl Reach {
    /// The confirmation, with the ticket.
    pub fn confirmed(&self, fact: &RegistrationConfirmed, card: &UserCard) -> Vec<Letter> {
        let about = About::registration(card, fact.event.event_id, fact.registration_id);
        let details = Details {
            amount: Some(fact.paid),
            payment_id: fact.payment_id,
            ticket_id: Some(fact.ticket_id),
            ticket_code: Some(fact.ticket_code.clone()),
            ..Details::default()
        };
        self.write(&about, Kind::Ticket, details)
    }

    /// The hold ran out unpaid.
    pub fn hold_expired(&self, fact: &HoldExpired, card: &UserCard) -> Vec<Letter> {
        let about = About::registration(card, fact.event.event_id, fact.registration_id);
        let details = Details {
            amount: Some(fact.amount),
            held_until: Some(fact.held_until),
            open: Some(fact.open),
            ..Details::default()
        };
        self.write(&about, Kind::HoldExpired, details)
    }

    /// A seat is held for who waited for one. Of no use once the offer has ended.
    pub fn offered(&self, fact: &WaitlistOffered, card: &UserCard) -> Vec<Letter> {
        let about = About {
            not_after: Some(fact.until),
            ..About::of(card, fact.event.event_id, fact.waitlist_id.0)
        };
        let details = Details {
            held_until: Some(fact.until),
            ..Details::default()
        };
        self.write(&about, Kind::WaitlistOffer, details)
    }

    /// The event that somebody waited for is cancelled. They have paid nothing.
    pub fn line_closed(&self, fact: &WaitlistClosed, card: &UserCard) -> Vec<Letter> {
        let about = About::of(card, fact.event.event_id, fact.waitlist_id.0);
        let details = Details {
            amount: Some(Paise(0)),
            ..Details::default()
        };
        self.write(&about, Kind::EventCancelled, details)
    }

    /// The payment failed. A payer may retry at once, so the letter waits a minute, and there is one in a quarter of an
    /// hour.
    pub fn payment_failed(&self, fact: &PaymentFailed, card: &UserCard) -> Vec<Letter> {
        let about = About {
            schedule_version: fact
                .failed_at
                .timestamp()
                .div_euclid(ONE_DECLINE_IN.num_seconds()),
            not_before: Some(fact.failed_at + DECLINE_TOLD_AFTER),
            ..About::registration(card, fact.event_id, fact.registration_id)
        };
        let details = Details {
            amount: Some(fact.amount),
            payment_id: Some(fact.payment_id),
            decline: Some(fact.description.clone()).filter(|words| !words.trim().is_empty()),
            reason: fact.released,
            event_name: Some(fact.event_name.clone()),
            ..Details::default()
        };
        self.write(&about, Kind::PaymentFailed, details)
    }

    /// The registration ended. Nothing when a hold that was never paid is given up by its holder.
    pub fn ended(&self, fact: &RegistrationEnded, card: &UserCard) -> Vec<Letter> {
        let Some(kind) = notice_of_end(fact) else {
            return Vec::new();
        };
        let about = About::registration(card, fact.event.event_id, fact.registration_id);
        let by_organizer = fact.reason == EndReason::Organizer;
        let details = Details {
            amount: fact.refund.or(fact.paid),
            reason: (fact.reason == EndReason::Refunded).then_some(RefundReason::Organizer),
            cancelled_with: by_organizer.then(|| fact.words.clone().unwrap_or_default()),
            ..Details::default()
        };
        self.write(&about, kind, details)
    }

    /// A refund is on its way.
    pub fn refunded(&self, fact: &PaymentRefunded, card: &UserCard) -> Vec<Letter> {
        let about = About {
            schedule_version: fact.number,
            ..About::payment(card, fact.event_id, fact.payment_id)
        };
        let details = Details {
            amount: Some(fact.amount),
            payment_id: Some(fact.payment_id),
            reason: Some(fact.reason),
            event_name: Some(fact.event_name.clone()),
            ..Details::default()
        };
        self.write(&about, Kind::PaymentRefunded, details)
    }

    /// The event starts soon.
    pub fn reminder(
        &self,
        kind: Kind,
        registration: RegistrationId,
        facts: &EventFacts,
        card: &UserCard,
        now: Timestamp,
        not_after: Timestamp,
    ) -> Vec<Letter> {
        let about = About {
            schedule_version: facts.schedule_version,
            not_after: Some(not_after),
            ..About::registration(card, facts.event_id, registration)
        };
        let details = Details {
            hours: Some(reminder::hours_left(facts, now)),
            ..Details::default()
        };
        self.write(&about, kind, details)
    }

    /// The event is different from what the attendee was last notified of. Each version is notified once.
    pub fn updated(
        &self,
        registration: RegistrationId,
        facts: &EventFacts,
        known: &EventFacts,
        card: &UserCard,
    ) -> Vec<Letter> {
        let about = About {
            schedule_version: facts.version,
            ..About::registration(card, facts.event_id, registration)
        };
        let details = Details {
            before: Some(known.clone()),
            ..Details::default()
        };
        self.write(&about, Kind::EventUpdated, details)
    }

    /// The event's organizer writes, in the ways of the announcement. Each is brought once.
    pub fn announced(
        &self,
        broadcast: &Broadcast,
        registration: RegistrationId,
        card: &UserCard,
    ) -> Vec<Letter> {
        let about = About {
            schedule_version: broadcast::mark(broadcast.id),
            ..About::registration(card, broadcast.event_id, registration)
        };
        let by_sms_only = !broadcast.channels.has(Channel::Email);
        let details = Details {
            announcement: Some(broadcast.id),
            instead: by_sms_only.then(|| card.email.clone()),
            ..Details::default()
        };
        let mut letters = self.write(&about, Kind::Announcement, details);
        letters.retain(|letter| broadcast.channels.has(letter.channel));
        letters
    }

    fn write(&self, about: &About<'_>, kind: Kind, details: Details) -> Vec<Letter> {
        let card = about.card;
        let details = Details {
            timezone: card.timezone.clone(),
            locale: card.locale.clone(),
            ..details
        };
        let letter = |channel, address: &str, details| Letter {
            id: MessageId::new(),
            user_id: card.user_id,
            event_id: Some(about.event_id),
            occurrence: about.occurrence,
            kind,
            channel,
            schedule_version: about.schedule_version,
            address: address.to_owned(),
            name: card.name.clone(),
            details,
            not_before: about.not_before,
            not_after: about.not_after,
        };
        match card.phone.as_deref().filter(|_| self.sms.has(kind)) {
            Some(phone) => vec![
                letter(Channel::Email, &card.email, details.clone()),
                letter(Channel::Sms, phone, details),
            ],
            None => vec![letter(Channel::Email, &card.email, details)],
        }
    }
}

impl<'a> About<'a> {
    fn of(card: &'a UserCard, event_id: EventId, occurrence: Uuid) -> Self {
        Self {
            card,
            event_id,
            occurrence,
            schedule_version: 0,
            not_before: None,
            not_after: None,
        }
    }

    fn registration(card: &'a UserCard, event_id: EventId, registration: RegistrationId) -> Self {
        Self::of(card, event_id, registration.0)
    }

    fn payment(card: &'a UserCard, event_id: EventId, payment: PaymentId) -> Self {
        Self::of(card, event_id, payment.0)
    }
}

/// The e-mail that goes in place of a text message that has not arrived and will not: about the same, so that there is one at most.
/// `None`: an e-mail went beside it or was not wanted there, or its time is over.
pub fn in_place_of(
    lost: &Message,
    schedule_version: i64,
    not_after: Option<Timestamp>,
    now: Timestamp,
) -> Option<Letter> {
    let in_time = not_after.is_none_or(|end| end > now);
    let address = lost.details.instead.as_ref().filter(|_| in_time)?;
    Some(Letter {
        id: MessageId::new(),
        user_id: lost.user_id,
        event_id: lost.event_id,
        occurrence: lost.occurrence,
        kind: lost.kind,
        channel: Channel::Email,
        schedule_version,
        address: address.clone(),
        name: lost.name.clone(),
        details: Details {
            instead: None,
            ..lost.details.clone()
        },
        not_after,
        not_before: None,
    })
}

/// The letter that brings a token. By e-mail only: it proves that the address is read.
pub fn with_token(fact: &TokenIssued) -> Option<Letter> {
    let kind = match fact.letter {
        AccountLetter::VerifyEmail | AccountLetter::ChangeEmail => Kind::VerifyEmail,
        AccountLetter::EmailChanged => Kind::EmailChanged,
        AccountLetter::PasswordReset | AccountLetter::AccountRestored => Kind::PasswordReset,
        AccountLetter::Nothing => return None,
        AccountLetter::PasswordChanged => Kind::PasswordChanged,
    };
    let token = Token {
        id: fact.token_id,
        expires_at: fact.expires_at,
        code_until: fact.issued_at + CODE_LIFE,
        new_email: fact.new_email.clone(),
        restored: fact.letter == AccountLetter::AccountRestored,
    };
    Some(Letter {
        id: MessageId::new(),
        user_id: fact.user_id,
        event_id: None,
        occurrence: fact.token_id,
        kind,
        channel: Channel::Email,
        schedule_version: 0,
        address: fact.email.clone(),
        name: fact.name.clone(),
        details: Details {
            timezone: fact.timezone.clone(),
            locale: fact.locale.clone(),
            token: Some(token),
            ..Details::default()
        },
        not_before: None,
        // A letter about what has happened is of use without its token, too.
        not_after: match fact.letter {
            AccountLetter::PasswordChanged => None,
            _ => Some(fact.expires_at),
        },
    })
}

/// The letter that brings an invitation to a team. By e-mail only, to an address that need not have an account; in the language and
/// zone of who invites, since no others are known.
pub fn with_invitation(fact: &TeamInvited, inviter: &UserCard) -> Letter {
    let token = Token {
        id: fact.invitation_id,
        expires_at: fact.expires_at,
        code_until: fact.expires_at,
        new_email: None,
        restored: false,
    };
    Letter {
        id: MessageId::new(),
        // Nobody's: it is in no account's list, least of all in that of who invites.
        user_id: UserId(fact.invitation_id),
        event_id: None,
        occurrence: fact.invitation_id,
        kind: Kind::TeamInvitation,
        channel: Channel::Email,
        schedule_version: 0,
        address: fact.email.clone(),
        name: None,
        details: Details {
            timezone: inviter.timezone.clone(),
            locale: inviter.locale.clone(),
            event_name: Some(fact.event_name.clone()),
            role: Some(fact.role),
            inviter: inviter.name.clone(),
            token: Some(token),
            ..Details::default()
        },
        not_before: None,
        not_after: Some(fact.expires_at),
    }
}

/// The letter that the end of a registration asks for.
pub fn notice_of_end(fact: &RegistrationEnded) -> Option<Kind> {
    match fact.reason {
        EndReason::EventCancelled => Some(Kind::EventCancelled),
        EndReason::Attendee if fact.was_confirmed => Some(Kind::RegistrationCancelled),
        EndReason::Attendee => None,
        EndReason::Refunded | EndReason::Organizer => Some(Kind::RegistrationCancelled),
    }
}
