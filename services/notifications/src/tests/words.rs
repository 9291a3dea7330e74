//! What messages say.

use chrono::TimeDelta;
use chrono_tz::Tz;
use common::{
    clock::from_millis,
    ids::{EventId, MessageId, PaymentId, RegistrationId, TicketId, UserId},
    money::Paise,
    wire::{EventFacts, RefundReason},
};

use super::kit::{NOW, event};
use crate::{
    channels::Words,
    domain::message::{Channel, Details, Kind, Message, Status},
    words::Writer,
};

fn message(kind: Kind, channel: Channel) -> Message {
    let facts = EventFacts {
        name: "Rust & Friends".into(),
        address: "Hall 3, Pune".into(),
        starts_at: from_millis(1_732_281_246_000),
        ..event(TimeDelta::zero())
    };
    let mut details = Details::default();
    match kind {
        Kind::RegistrationConfirmed => details.amount = Some(Paise(49_950)),
        Kind::Ticket => {
            details.ticket_id = Some(TicketId::new());
            details.ticket_code = Some("7KQM-2XRT-9FHB".into());
        }
        Kind::Reminder24h => details.hours = Some(24),
        Kind::Reminder3h => details.hours = Some(1),
        Kind::EventUpdated => {
            details.before = Some(EventFacts {
                starts_at: facts.starts_at - TimeDelta::hours(1),
                ..facts.clone()
            });
        }
        Kind::EventCancelled | Kind::RegistrationCancelled => {}
        Kind::PaymentRefunded => {
            details.amount = Some(Paise(49_950));
            details.payment_id = Some(PaymentId::new());
            details.reason = Some(RefundReason::NoSeat);
            details.event_name = Some(facts.name.clone());
        }
    }
    Message {
        id: MessageId::new(),
        user_id: UserId::new(),
        event_id: EventId::new(),
        occurrence: RegistrationId::new().0,
        kind,
        channel,
        address: "asha@example.com".into(),
        name: Some("Asha".into()),
        details,
        facts: (kind != Kind::PaymentRefunded).then_some(facts),
        status: Status::Queued,
        created_at: from_millis(NOW),
        sent_at: None,
    }
}

fn email(message: &Message) -> (String, String, String) {
    match Writer::new().unwrap().write(message).unwrap().words {
        Words::Email { subject, text, html } => (subject, text, html),
        Words::Sms { .. } => panic!("not an e-mail"),
    }
}

fn sms(message: &Message) -> String {
    match Writer::new().unwrap().write(message).unwrap().words {
        Words::Sms { text } => text,
        Words::Email { .. } => panic!("not a text message"),
    }
}

#[test]
fn every_message_can_be_written_over_every_channel() {
    for kind in Kind::ALL {
        let (subject, text, html) = email(&message(*kind, Channel::Email));
        assert!(subject.contains("Rust & Friends"), "{subject}");
        assert!(
            text.starts_with("Hello Asha,\n\n") && text.ends_with("Organise Event\n"),
            "{text}"
        );
        assert!(
            text.lines()
                .all(|line| line.chars().count() <= 80 && line == line.trim_end()),
            "{text}"
        );
        assert!(!text.contains("\n\n\n"), "{text}");
        assert!(
            html.starts_with("<!doctype html>") && html.contains("Hello Asha,"),
            "{html}"
        );
        assert!(
            html.contains("Rust &amp; Friends") && !html.contains("Rust & Friends"),
            "{html}"
        );
        let sms = sms(&message(*kind, Channel::Sms));
        assert!(
            sms.contains("Rust & Friends") && sms.chars().count() <= 200,
            "{sms}"
        );
    }
}

#[test]
fn a_confirmation_says_when_where_and_what_was_paid() {
    let mut message = message(Kind::RegistrationConfirmed, Channel::Email);
    let (subject, text, html) = email(&message);
    assert_eq!(subject, "You're registered: Rust & Friends");
    for words in [
        "Friday, 22 November 2024, 18:44 IST (Asia/Kolkata)",
        "Hall 3, Pune",
        "INR 499.50",
    ] {
        assert!(
            text.contains(words) && html.contains(&words.replace('/', "&#x2f;")),
            "{words}: {text} {html}"
        );
    }
    message.details.amount = None;
    assert!(!email(&message).1.contains("Paid:"));
}

#[test]
fn a_ticket_shows_its_code() {
    let message = message(Kind::Ticket, Channel::Email);
    let (_, text, html) = email(&message);
    let registration = message.occurrence.to_string();
    assert!(
        text.contains("7KQM-2XRT-9FHB") && text.contains(&registration),
        "{text}"
    );
    assert!(html.contains(&registration), "{html}");
    // The code may break between its groups only.
    for group in ["7KQM-", "2XRT-", "9FHB"] {
        assert!(html.contains(&format!("nowrap\">{group}</span><wbr>")), "{html}");
    }
    assert!(
        sms(&Message {
            channel: Channel::Sms,
            ..message
        })
        .contains("7KQM-2XRT-9FHB")
    );
}

#[test]
fn a_reminder_counts_the_hours() {
    assert_eq!(
        email(&message(Kind::Reminder24h, Channel::Email)).0,
        "In 24 hours: Rust & Friends"
    );
    assert_eq!(
        email(&message(Kind::Reminder3h, Channel::Email)).0,
        "In 1 hour: Rust & Friends"
    );
}

#[test]
fn a_change_says_what_was_before_and_only_of_what_is_different() {
    let (_, text, html) = email(&message(Kind::EventUpdated, Channel::Email));
    assert!(
        text.contains("18:44 IST (Asia/Kolkata)\n          (before: Friday, 22 November 2024, 17:44 IST"),
        "{text}"
    );
    assert_eq!(text.matches("(before:").count(), 1, "{text}");
    assert_eq!(html.matches("<s ").count(), 1, "{html}");
    let mut message = message(Kind::EventUpdated, Channel::Email);
    message.details.before = None;
    assert!(!email(&message).1.contains("(before:"));
}

#[test]
fn a_refund_says_why() {
    for reason in [
        RefundReason::NoSeat,
        RefundReason::Attendee,
        RefundReason::EventCancelled,
        RefundReason::Duplicate,
    ] {
        let mut message = message(Kind::PaymentRefunded, Channel::Email);
        message.details.reason = Some(reason);
        let (subject, text, _) = email(&message);
        assert_eq!(subject, "Your refund of INR 499.50: Rust & Friends");
        assert!(
            text.contains("because ") && text.contains(&message.details.payment_id.unwrap().to_string()),
            "{text}"
        );
    }
}

#[test]
fn times_are_in_the_zone_of_the_event() {
    let mut message = message(Kind::Reminder24h, Channel::Email);
    message.facts.as_mut().unwrap().zone = Tz::America__New_York;
    assert!(
        email(&message)
            .1
            .contains("Friday, 22 November 2024, 08:14 EST (America/New_York)")
    );
}

#[test]
fn nothing_that_people_write_becomes_markup_or_lines() {
    let evil = "<b>x</b>\r\nBcc: v@example.com\n\n{{ ticket_code }}\u{2028}y";
    for kind in Kind::ALL {
        let mut message = message(*kind, Channel::Email);
        message.name = Some("Asha\nSecond line".into());
        message.details.event_name = Some(evil.into());
        if let Some(facts) = &mut message.facts {
            facts.name = evil.into();
            facts.address = evil.into();
        }
        let (subject, text, html) = email(&message);
        assert!(!subject.contains(['\r', '\n', '\u{2028}']), "{subject}");
        assert!(text.starts_with("Hello Asha Second line,"), "{text}");
        assert!(!text.lines().any(|line| line.starts_with("Bcc")), "{text}");
        assert!(!html.contains("<b>"), "{html}");
        message.channel = Channel::Sms;
        assert!(!sms(&message).contains(['\r', '\n', '\u{2028}']));
    }
}

#[test]
fn a_name_that_looks_like_a_link_is_left_out() {
    for (name, kept) in [
        ("Asha Rao", true),
        ("J. R. Smith Jr.", true),
        ("Zoë O'Neil-Çelik", true),
        ("A.P.J. Abdul Kalam", true),
        ("K.V. Rao", true),
        ("St.John", true),
        ("Dr.Rao", true),
        ("Anna-Lena.Müller", true),
        ("Patel: Ravi", true),
        ("Visit evil.com/now", false),
        ("https://evil", false),
        ("www.evil.example/win", false),
        ("you@evil", false),
        ("<a>", false),
        ("evil\u{3002}com/x", false),
        ("\u{200b}", false),
        ("\u{3164}\u{2800}", false),
        ("", false),
        (&"x".repeat(101), false),
    ] {
        let mut message = message(Kind::Ticket, Channel::Email);
        message.name = Some(name.into());
        let (_, text, _) = email(&message);
        assert_eq!(text.starts_with(&format!("Hello {name},")), kept, "{name}");
        assert_eq!(text.starts_with("Hello,\n"), !kept, "{name}");
        assert_eq!(
            Writer::new().unwrap().write(&message).unwrap().name.is_some(),
            kept,
            "{name}"
        );
    }
}

#[test]
fn long_names_do_not_push_out_what_matters() {
    let mut message = message(Kind::Ticket, Channel::Sms);
    let facts = message.facts.as_mut().unwrap();
    facts.name = "é".repeat(5000);
    facts.address = "ü".repeat(5000);
    let text = sms(&message);
    assert!(
        text.chars().count() <= 480 && text.contains("7KQM-2XRT-9FHB"),
        "{text}"
    );
    message.kind = Kind::Reminder24h;
    message.details.hours = Some(24);
    assert_eq!(sms(&message).chars().count(), 480);
}
