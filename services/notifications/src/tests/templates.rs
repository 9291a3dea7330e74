//! The text of messages, mostly in English; `languages.rs` beside this has what holds in every language.

use std::sync::LazyLock;

use std::sync::Arc;

use chrono::TimeDelta;
use chrono_tz::Tz;
use common::{
    auth::Auth,
    clock::{Clock, from_millis},
    ids::{AnnouncementId, EventId, MessageId, PaymentId, RegistrationId, TicketId, UserId, new_id},
    mailed_tokens::{CODE_LIFE, MailedTokens},
    money::Paise,
    wire::{EventFacts, EventFormat, RefundReason, TeamRole, service},
};
use secrecy::SecretString;

use super::kit::{NOW, event};
use crate::{
    channels::Content,
    domain::{
        broadcast::Words,
        message::{Channel, Details, Kind, Message, Status, Token},
        unsubscribe::Unsubscribing,
    },
    templates::{Links, Writer},
};

pub(super) fn message(kind: Kind, channel: Channel) -> Message {
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
        Kind::HOURS_BEFORE => details.hours = Some(1),
        Kind::Reminder(lead) => details.hours = Some(lead.hours().into()),
        Kind::EventUpdated => {
            details.before = Some(EventFacts {
                starts_at: facts.starts_at - TimeDelta::hours(1),
                ..facts.clone()
            });
        }
        Kind::Announcement => {
            details.announcement = Some(AnnouncementId::new());
            details.words = Some(Arc::new(Words {
                subject: "Doors open at six".into(),
                text: "Come early.\nSeats are free.\n\nSee you!".into(),
            }));
        }
        Kind::EventCancelled | Kind::RegistrationCancelled => {}
        Kind::HoldExpired => {
            details.amount = Some(Paise(49_950));
            details.held_until = Some(from_millis(1_732_200_000_000));
            details.open = Some(true);
        }
        Kind::WaitlistOffer => details.held_until = Some(from_millis(NOW) + TimeDelta::hours(4)),
        Kind::PaymentFailed => {
            details.amount = Some(Paise(49_950));
            details.payment_id = Some(PaymentId::new());
            details.decline = Some("Your bank has declined it.".into());
            details.event_name = Some(facts.name.clone());
        }
        Kind::VerifyEmail | Kind::EmailChanged | Kind::PasswordReset | Kind::PasswordChanged => {
            details.token = Some(Token {
                id: new_id(),
                expires_at: from_millis(NOW) + TimeDelta::days(1),
                code_until: from_millis(NOW) + CODE_LIFE,
                new_email: Some("asha@example.net".into()),
                restored: false,
            });
        }
        Kind::TeamInvitation => {
            details.event_name = Some(facts.name.clone());
            details.role = Some(TeamRole::Scanner);
            details.inviter = Some("Meera".into());
            details.token = Some(Token {
                id: new_id(),
                expires_at: from_millis(NOW) + TimeDelta::days(7),
                code_until: from_millis(NOW) + TimeDelta::days(7),
                new_email: None,
                restored: false,
            });
        }
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
        event_id: (!is_about_account(kind)).then(EventId::new),
        occurrence: RegistrationId::new().0,
        kind,
        channel,
        address: "asha@example.com".into(),
        name: Some("Asha".into()),
        details,
        facts: (!matches!(kind, Kind::PaymentRefunded | Kind::PaymentFailed) && !is_about_account(kind))
            .then_some(facts),
        status: Status::Queued,
        created_at: from_millis(NOW),
        sent_at: None,
    }
}

/// These are about no event, and e-mails only.
pub(super) fn is_about_account(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::VerifyEmail
            | Kind::EmailChanged
            | Kind::PasswordReset
            | Kind::PasswordChanged
            | Kind::TeamInvitation
    )
}

/// Read once: there are many templates, and the tests write many messages.
static WITHOUT_LINKS: LazyLock<Writer> = LazyLock::new(|| writer(Links::default()));

pub(super) fn writer(links: Links) -> Writer {
    Writer::new(links, MailedTokens::new(&auth()), Unsubscribing::new(&auth())).unwrap()
}

pub(super) fn auth() -> Auth {
    Auth::new(
        service::USERS,
        &SecretString::from("s".repeat(40)),
        Clock::system(),
    )
}

pub(super) fn email(message: &Message) -> (String, String, String) {
    match WITHOUT_LINKS.write(message).unwrap().content {
        Content::Email {
            subject, text, html, ..
        } => (subject, text, html),
        Content::Sms { .. } => panic!("not an e-mail"),
    }
}

pub(super) fn sms(message: &Message) -> String {
    match WITHOUT_LINKS.write(message).unwrap().content {
        Content::Sms { text, .. } => text,
        Content::Email { .. } => panic!("not a text message"),
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
        "₹499.50",
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
        assert!(html.contains(&format!("nowrap\">{group}</span>")), "{html}");
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
        email(&message(Kind::DAY_BEFORE, Channel::Email)).0,
        "In 24 hours: Rust & Friends"
    );
    assert_eq!(
        email(&message(Kind::HOURS_BEFORE, Channel::Email)).0,
        "In 1 hour: Rust & Friends"
    );
    let mut early = message(Kind::parse("reminder_72h").unwrap(), Channel::Email);
    let (subject, text, _) = email(&early);
    assert_eq!(subject, "In 3 days: Rust & Friends");
    assert!(text.contains("starts in 3 days."), "{text}");
    early.details.hours = Some(70);
    assert_eq!(email(&early).0, "In 70 hours: Rust & Friends");
}

#[test]
fn an_announcement_has_its_organizers_words_and_says_of_which_event() {
    let mut message = message(Kind::Announcement, Channel::Email);
    let (subject, text, html) = email(&message);
    assert_eq!(subject, "Rust & Friends: Doors open at six");
    assert!(
        text.contains("Come early.\nSeats are free.\n\nSee you!"),
        "{text}"
    );
    assert!(text.contains("the organiser of Rust & Friends writes"), "{text}");
    assert!(
        html.contains("Come early.<br>Seats are free.</p>") && html.contains("See you!</p>"),
        "{html}"
    );
    // Whatever the organizer writes is text.
    message.details.words = Some(Arc::new(Words {
        subject: "<b>Now</b>".into(),
        text: "<script>x</script> {{ name }}\r\n\r\n\r\n<i>y</i>\u{2029}z".into(),
    }));
    let (subject, text, html) = email(&message);
    assert_eq!(subject, "Rust & Friends: <b>Now</b>");
    assert!(text.contains("<script>x</script> {{ name }}"), "{text}");
    assert!(
        !html.contains("<script") && !html.contains("<i>") && !html.contains("<b>"),
        "{html}"
    );
    assert_eq!(html.matches("&lt;i&gt;y&lt;").count(), 1, "{html}");
    // A text message has what fits, and the link before it.
    message.channel = Channel::Sms;
    message.details.words = Some(Arc::new(Words {
        subject: "Doors".into(),
        text: "long ".repeat(1000),
    }));
    let short = sms(&message);
    assert!(short.chars().count() <= 480, "{short}");
    assert!(short.starts_with("Rust & Friends: Doors."), "{short}");
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
        RefundReason::WrongAmount,
        RefundReason::Organizer,
    ] {
        let mut message = message(Kind::PaymentRefunded, Channel::Email);
        message.details.reason = Some(reason);
        let (subject, text, _) = email(&message);
        assert_eq!(subject, "Your refund of ₹499.50: Rust & Friends");
        assert!(
            text.contains("because ") && text.contains(&message.details.payment_id.unwrap().to_string()),
            "{text}"
        );
    }
}

#[test]
fn times_are_in_the_zone_of_the_event() {
    let mut message = message(Kind::DAY_BEFORE, Channel::Email);
    message.facts.as_mut().unwrap().zone = Tz::America__New_York;
    assert!(
        email(&message)
            .1
            .contains("Friday, 22 November 2024, 08:14 EST (America/New_York)")
    );
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
            writer(Links::default()).write(&message).unwrap().name.is_some(),
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
    message.kind = Kind::DAY_BEFORE;
    message.details.hours = Some(24);
    assert_eq!(sms(&message).chars().count(), 459);
}

#[test]
fn only_who_has_paid_reads_of_the_money() {
    for kind in [Kind::EventCancelled, Kind::RegistrationCancelled] {
        for (amount, said, unsaid) in [
            (None, "If you have paid", "₹"),
            (Some(Paise(0)), "", "paid"),
            (Some(Paise(120_000)), "The ₹1,200 you paid", "If you"),
        ] {
            let mut message = message(kind, Channel::Email);
            message.details.amount = amount;
            let (_, text, html) = email(&message);
            for words in [text, html] {
                assert!(words.contains(said) && !words.contains(unsaid), "{words}");
            }
            message.channel = Channel::Sms;
            assert!(!sms(&message).contains(unsaid));
        }
    }
    let mut ticket = message(Kind::Ticket, Channel::Email);
    ticket.details.amount = Some(Paise(0));
    assert!(!email(&ticket).1.contains("Paid:"));
    ticket.details.amount = Some(Paise(10_000_000));
    assert!(email(&ticket).1.contains("Paid:          ₹1,00,000\n"));
}

#[test]
fn the_readers_own_time_is_there_when_it_differs() {
    for (zone, shown) in [
        (None, None),
        (Some("Asia/Kolkata"), None),
        // The same time and offset by another name; Colombo has had India's time since 2006.
        (Some("Asia/Colombo"), None),
        (Some("Nowhere/Land"), None),
        (
            Some("Europe/London"),
            Some("Friday, 22 November 2024, 13:14 GMT (Europe/London)"),
        ),
        (
            Some("Asia/Kathmandu"),
            Some("Friday, 22 November 2024, 18:59 +0545 (Asia/Kathmandu)"),
        ),
    ] {
        for kind in [Kind::Ticket, Kind::DAY_BEFORE, Kind::EventUpdated] {
            let mut message = message(kind, Channel::Email);
            message.details.timezone = zone.map(str::to_owned);
            let (_, text, html) = email(&message);
            match shown {
                Some(shown) => assert!(
                    text.contains(shown) && html.contains(&shown.replace('/', "&#x2f;")),
                    "{text}"
                ),
                None => assert!(!text.contains("Your time:") && !text.contains("Yours:"), "{text}"),
            }
        }
    }
}

pub(super) fn links(settings: &[(&str, &str)]) -> Links {
    let given = |name: &str| settings.iter().find(|(known, _)| *known == name);
    let read = |name: &str| given(name).map(|(_, value)| (*value).to_owned());
    Links::new(&common::settings::Settings::read(read).unwrap())
}

#[test]
fn online_events_are_joined_by_a_link() {
    const OWN: &str = "https://meet.example.org/r?a=1&b=2";
    let site = [("PUBLIC_URL", "https://events.example.org")];
    let on = [
        ("WATCH_PAGE", "on"),
        ("FRONTEND_URL", "https://app.example.org"),
        site[0],
    ];
    for kind in [
        Kind::Ticket,
        Kind::HOURS_BEFORE,
        Kind::EventUpdated,
        Kind::RegistrationConfirmed,
    ] {
        let written = |links: &Links, format: EventFormat, join_url: Option<&str>| {
            let mut message = message(kind, Channel::Email);
            let facts = message.facts.as_mut().unwrap();
            (facts.format, facts.join_url) = (format, join_url.map(str::to_owned));
            let watch = format!("/watch/{}", facts.event_id);
            let text = match writer(links.clone()).write(&message).unwrap().content {
                Content::Email { text, html, .. } => {
                    let link = text.lines().find_map(|line| line.trim().strip_prefix("Join:"));
                    let shown = link.map(|link| {
                        let link = link.trim().replace('&', "&amp;").replace('/', "&#x2f;");
                        html.contains(&format!("<a href=\"{link}\""))
                    });
                    assert_ne!(shown, Some(false), "{link:?} {html}");
                    assert_eq!(shown.is_some(), html.contains("Join online"), "{html}");
                    text
                }
                Content::Sms { .. } => panic!("not an e-mail"),
            };
            message.channel = Channel::Sms;
            let sms = match writer(links.clone()).write(&message).unwrap().content {
                Content::Sms { text, .. } => text,
                Content::Email { .. } => panic!("not a text message"),
            };
            (text, sms, watch)
        };
        let (text, sms, _) = written(&links(&site), EventFormat::Online, Some(OWN));
        let place = text
            .lines()
            .find_map(|line| line.trim().strip_prefix("Where:"))
            .unwrap();
        assert!(text.contains(OWN) && place.trim() == "Online", "{text}");
        if matches!(kind, Kind::HOURS_BEFORE | Kind::EventUpdated) {
            assert!(sms.ends_with(&format!(" Join: {OWN}")), "{sms}");
        }
        // A part of a link leads nowhere.
        let long = format!("{OWN}&c={}", "x".repeat(400));
        let (text, sms, _) = written(&links(&site), EventFormat::Online, Some(&long));
        assert!(text.contains(&long) && !sms.contains("meet.example"), "{sms}");
        let (text, _, _) = written(&links(&site), EventFormat::Hybrid, Some(OWN));
        assert!(text.contains(OWN) && text.contains("Hall 3, Pune"), "{text}");
        let (text, _, watch) = written(&links(&site), EventFormat::Online, None);
        assert!(
            text.contains(&format!("https://events.example.org{watch}\n")),
            "{text}"
        );
        let (text, _, watch) = written(&links(&on[1..]), EventFormat::Online, None);
        assert!(
            text.contains(&format!("https://app.example.org{watch}\n")),
            "{text}"
        );
        let (text, _, watch) = written(&links(&on), EventFormat::Online, None);
        assert!(
            text.contains(&format!("https://events.example.org{watch}\n")),
            "{text}"
        );
        let (text, _, _) = written(&Links::default(), EventFormat::Online, None);
        assert!(!text.contains("Join:") && text.contains("Hall 3"), "{text}");
        let (text, _, _) = written(&links(&site), EventFormat::InPerson, None);
        assert!(!text.contains("Join:"), "{text}");
    }
}

#[test]
fn the_end_is_told_with_its_day_where_that_is_another() {
    let mut message = message(Kind::Ticket, Channel::Email);
    let mut until = |hours| {
        let facts = message.facts.as_mut().unwrap();
        facts.ends_at = Some(facts.starts_at + TimeDelta::hours(hours));
        email(&message).1
    };
    assert!(
        until(2)
            .lines()
            .any(|line| line.trim() == "Until:         20:44 IST")
    );
    assert!(until(6).contains("Until:         Saturday, 23 November 2024, 00:44 IST"));
}

#[test]
fn letters_link_to_the_event_and_the_payment() {
    let written =
        |links: &Links, message: &Message| match writer(links.clone()).write(message).unwrap().content {
            Content::Email { text, html, .. } => (text, html),
            Content::Sms { .. } => panic!("not an e-mail"),
        };
    let mut ticket = message(Kind::Ticket, Channel::Email);
    ticket.details.amount = Some(Paise(120_000));
    let payment = PaymentId::new();
    ticket.details.payment_id = Some(payment);
    let event = ticket.event_id.unwrap();
    let frontend = links(&[("FRONTEND_URL", "https://app.example.org/")]);
    let (text, html) = written(&frontend, &ticket);
    for link in [
        format!("https://app.example.org/events/{event}"),
        format!("https://app.example.org/payments/{payment}"),
    ] {
        assert!(text.contains(&link), "{text}");
        assert!(html.contains(&link.replace('/', "&#x2f;")), "{html}");
    }
    let api = links(&[("PUBLIC_URL", "https://events.example.org")]);
    let (text, _) = written(&api, &ticket);
    assert!(text.contains(&format!("https://events.example.org/api/events/{event}\n")));
    assert!(!text.contains("payments/"), "{text}");
    let (text, _) = written(&links(&[("GATEWAY_PORT", "0")]), &ticket);
    assert!(!text.contains("http"), "{text}");
    for kind in Kind::ALL {
        let mut message = message(*kind, Channel::Email);
        message.details.payment_id = Some(payment);
        let (text, _) = written(&frontend, &message);
        assert!(text.contains("https://app.example.org/"), "{text}");
    }
}

#[test]
fn who_took_an_account_back_is_asked_for_another_password() {
    let mut message = message(Kind::PasswordReset, Channel::Email);
    assert!(email(&message).1.contains("Somebody asked to set a new password"));
    message.details.token.as_mut().unwrap().restored = true;
    let (_, text, html) = email(&message);
    for words in [text, html] {
        assert!(
            words.contains("took your account") && !words.contains("Somebody asked"),
            "{words}"
        );
    }
}

#[test]
fn who_is_asked_about_an_address_learns_why() {
    let mut message = message(Kind::VerifyEmail, Channel::Email);
    assert!(email(&message).1.contains("used to sign up"));
    message.address = "asha@example.net".into();
    assert!(
        email(&message)
            .1
            .contains("is to have this e-mail address, asha@example.net")
    );
}

#[test]
fn a_hold_that_has_expired_says_until_when_and_what_can_be_done() {
    let mut message = message(Kind::HoldExpired, Channel::Email);
    let (subject, text, _) = email(&message);
    assert_eq!(subject, "Your seat is no longer held: Rust & Friends");
    assert!(text.contains("Thursday, 21 November 2024, 20:10 IST"), "{text}");
    assert!(text.contains("Register again while there are seats."), "{text}");
    message.details.open = Some(false);
    let (_, text, _) = email(&message);
    assert!(
        text.contains("has closed") && !text.contains("Register again"),
        "{text}"
    );
}

#[test]
fn a_decline_gives_the_reason_when_there_is_one() {
    let mut message = message(Kind::PaymentFailed, Channel::Email);
    let (subject, text, _) = email(&message);
    assert_eq!(subject, "Your payment did not go through: Rust & Friends");
    assert!(
        text.contains("What we were told: Your bank has declined it."),
        "{text}"
    );
    message.details.decline = None;
    assert!(!email(&message).1.contains("told"));
}

#[test]
fn money_that_was_not_taken_is_no_decline() {
    let mut message = message(Kind::PaymentFailed, Channel::Email);
    message.details.reason = Some(RefundReason::NoSeat);
    let (_, text, html) = email(&message);
    let why = "because your time to pay had run out and the last seat was gone";
    for words in [text, html] {
        assert!(
            words.contains("We did not take your payment") && words.contains(why),
            "{words}"
        );
        assert!(!words.contains("pay again") && !words.contains("told"), "{words}");
    }
}

#[test]
fn only_what_need_not_come_can_be_ended() {
    let site = links(&[
        ("PUBLIC_URL", "https://events.example.org"),
        ("FRONTEND_URL", "https://app.example.org"),
    ]);
    for kind in Kind::ALL {
        let message = message(*kind, Channel::Email);
        let Content::Email {
            text,
            html,
            unsubscribe,
            ..
        } = writer(site.clone()).write(&message).unwrap().content
        else {
            panic!("not an e-mail");
        };
        let optional = matches!(
            kind.template(),
            "reminder"
                | "event_updated"
                | "hold_expired"
                | "waitlist_offer"
                | "payment_failed"
                | "announcement"
        );
        assert_eq!(unsubscribe.is_some(), optional, "{kind:?}");
        assert_eq!(html.contains("Unsubscribe"), optional, "{html}");
        let Some(link) = unsubscribe else { continue };
        let token = link
            .strip_prefix("https://events.example.org/api/notifications/unsubscribe?t=")
            .unwrap();
        let read = Unsubscribing::new(&auth()).read(token);
        assert_eq!(read, Some((message.user_id, kind.template())));
        assert!(text.contains(&link), "{text}");
        let nowhere = writer(Links::default()).write(&message).unwrap().content;
        assert!(matches!(
            nowhere,
            Content::Email {
                unsubscribe: None,
                ..
            }
        ));
    }
}
