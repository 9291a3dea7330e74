//! Made-up messages, to show what the templates make of them.

use std::sync::Arc;

use chrono::TimeDelta;
use chrono_tz::Tz;
use common::{
    clock::{Timestamp, from_millis},
    ids::{EventId, MessageId, PaymentId, TicketId, UserId},
    leads::{Lead, Leads},
    mailed_tokens::CODE_LIFE,
    money::Paise,
    wire::{EventFacts, EventFormat, RefundReason, TeamRole},
};
use uuid::Uuid;

use crate::domain::{
    broadcast::Words,
    language::Language,
    message::{Channel, Details, Kind, Message, Status, Token},
};

/// One kind for each template.
pub const KINDS: [Kind; 16] = [
    Kind::Ticket,
    Kind::RegistrationConfirmed,
    Kind::Reminder(Lead::DAY),
    Kind::EventUpdated,
    Kind::Announcement,
    Kind::EventCancelled,
    Kind::RegistrationCancelled,
    Kind::HoldExpired,
    Kind::WaitlistOffer,
    Kind::PaymentFailed,
    Kind::PaymentRefunded,
    Kind::VerifyEmail,
    Kind::EmailChanged,
    Kind::PasswordReset,
    Kind::PasswordChanged,
    Kind::TeamInvitation,
];

/// 31 January 2030, 18:30 in India.
const STARTS_AT: i64 = 1_896_094_800_000;

/// Whether there is a text message of the kind. What brings a token is mailed only: it proves that an address is read.
pub fn is_texted(kind: Kind) -> bool {
    !matches!(
        kind,
        Kind::VerifyEmail
            | Kind::EmailChanged
            | Kind::PasswordReset
            | Kind::PasswordChanged
            | Kind::TeamInvitation
    )
}

/// A message of that kind, the same every time.
pub fn sample(kind: Kind, channel: Channel, language: Language) -> Message {
    let facts = facts();
    let now = facts.starts_at - TimeDelta::hours(24);
    Message {
        id: MessageId(id(1)),
        user_id: UserId(id(2)),
        event_id: is_texted(kind).then_some(facts.event_id),
        occurrence: id(4),
        kind,
        channel,
        address: match channel {
            Channel::Email => "asha@example.org".to_owned(),
            Channel::Sms => "+919876543210".to_owned(),
        },
        name: Some("Asha Rao".to_owned()),
        details: Details {
            locale: Some(language.tag().to_owned()),
            ..details(kind, &facts, now)
        },
        facts: is_texted(kind).then_some(facts),
        status: Status::Queued,
        created_at: now,
        sent_at: None,
    }
}

fn facts() -> EventFacts {
    EventFacts {
        event_id: EventId(id(3)),
        name: "Rust for organisers".to_owned(),
        address: "Hall 3, Pune".to_owned(),
        starts_at: from_millis(STARTS_AT),
        zone: Tz::Asia__Kolkata,
        version: 2,
        schedule_version: 2,
        cancelled: false,
        format: EventFormat::Hybrid,
        ends_at: Some(from_millis(STARTS_AT) + TimeDelta::hours(2)),
        join_url: Some("https://meet.example.org/rust".to_owned()),
        reminders: Leads::default(),
        organizer: None,
    }
}

fn details(kind: Kind, facts: &EventFacts, now: Timestamp) -> Details {
    let money = Details {
        amount: Some(Paise(49_950)),
        payment_id: Some(PaymentId(id(5))),
        ..Details::default()
    };
    match kind {
        Kind::Ticket => Details {
            ticket_id: Some(TicketId(id(6))),
            ticket_code: Some("7KQM-2XRT-9FHB-4WZN".to_owned()),
            ..money
        },
        Kind::RegistrationConfirmed | Kind::EventCancelled | Kind::RegistrationCancelled => money,
        Kind::Announcement => Details {
            words: Some(Arc::new(Words {
                subject: "Doors open at six".to_owned(),
                text: "Come early: seats are free.\n\nSee you!".to_owned(),
            })),
            ..Details::default()
        },
        Kind::Reminder(lead) => Details {
            hours: Some(lead.hours().into()),
            ..Details::default()
        },
        Kind::EventUpdated => Details {
            before: Some(EventFacts {
                starts_at: facts.starts_at - TimeDelta::hours(1),
                address: "Hall 1, Pune".to_owned(),
                ..facts.clone()
            }),
            ..Details::default()
        },
        Kind::HoldExpired => Details {
            held_until: Some(now),
            open: Some(true),
            ..money
        },
        Kind::WaitlistOffer => Details {
            held_until: Some(now + TimeDelta::hours(4)),
            ..Details::default()
        },
        Kind::PaymentFailed => Details {
            decline: Some("Your bank has declined it.".to_owned()),
            ..money
        },
        Kind::PaymentRefunded => Details {
            reason: Some(RefundReason::NoSeat),
            ..money
        },
        Kind::TeamInvitation => Details {
            event_name: Some(facts.name.clone()),
            role: Some(TeamRole::Scanner),
            inviter: Some("Meera Joshi".to_owned()),
            timezone: Some(facts.zone.name().to_owned()),
            token: Some(Token {
                id: id(7),
                expires_at: now + TimeDelta::days(7),
                code_until: now + TimeDelta::days(7),
                new_email: None,
                restored: false,
            }),
            ..Details::default()
        },
        Kind::VerifyEmail | Kind::EmailChanged | Kind::PasswordReset | Kind::PasswordChanged => Details {
            timezone: Some(facts.zone.name().to_owned()),
            token: Some(Token {
                // Nobody has a token of this id, so what is shown opens nothing.
                id: id(7),
                expires_at: now + TimeDelta::days(1),
                code_until: now + CODE_LIFE,
                new_email: Some("asha.rao@example.net".to_owned()),
                restored: false,
            }),
            ..Details::default()
        },
    }
}

/// `019309a2-0000-7000-8000-` and the number.
fn id(number: u128) -> Uuid {
    Uuid::from_u128(0x0193_09a2_0000_7000_8000_0000_0000_0000 + number)
}
