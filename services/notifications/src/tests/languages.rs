//! What holds for messages in every language.

use common::{
    mailed_tokens::MailedTokens,
    money::Paise,
    wire::{EventFormat, RefundReason},
};

use super::templates::{auth, email, is_about_account, links, message, sms, writer};
use crate::{
    channels::Content,
    domain::{
        language::Language,
        message::{Channel, Kind, Message},
        sms::Length,
    },
    templates::Links,
};

/// A message to a reader of that language.
fn written(kind: Kind, channel: Channel, language: Language) -> Message {
    let mut message = message(kind, channel);
    message.details.locale = Some(language.tag().to_owned());
    message
}

/// Every kind in every language.
fn all() -> impl Iterator<Item = (Kind, Language)> {
    let languages = |kind: &'static Kind| Language::ALL.into_iter().map(|language| (*kind, language));
    Kind::ALL.iter().flat_map(languages)
}

/// Every reason with which a message can come, and none.
fn reasons() -> impl Iterator<Item = Option<RefundReason>> {
    [
        None,
        Some(RefundReason::NoSeat),
        Some(RefundReason::Attendee),
        Some(RefundReason::EventCancelled),
        Some(RefundReason::Duplicate),
        Some(RefundReason::WrongAmount),
        Some(RefundReason::Organizer),
    ]
    .into_iter()
}

/// What the message may come as: with every reason, with and without money, and with all that is optional.
fn variants(message: &Message) -> Vec<Message> {
    let mut variants = Vec::new();
    let refund = message.kind == Kind::PaymentRefunded;
    for reason in reasons().filter(|reason| reason.is_some() || !refund) {
        let amounts: &[Option<Paise>] = match message.kind {
            Kind::EventCancelled | Kind::RegistrationCancelled | Kind::Ticket => {
                &[None, Some(Paise(0)), Some(Paise(120_000))]
            }
            _ => &[message.details.amount],
        };
        for amount in amounts {
            let mut variant = message.clone();
            (variant.details.reason, variant.details.amount) = (reason, *amount);
            variant.details.open = variant.details.open.map(|_| reason.is_none());
            if let Some(token) = &mut variant.details.token {
                token.restored = reason.is_none();
                if reason == Some(RefundReason::Attendee) {
                    variant.address = token.new_email.clone().unwrap_or(variant.address);
                }
            }
            if let Some(facts) = variant.facts.as_mut().filter(|_| reason.is_some()) {
                facts.ends_at = Some(facts.starts_at + chrono::TimeDelta::hours(6));
                variant.details.timezone = Some("Europe/London".into());
                facts.format = EventFormat::Hybrid;
                facts.join_url = Some("https://meet.example.org/r?a=1&b=2".into());
            }
            variants.push(variant);
        }
    }
    variants
}

/// How wide a terminal shows it, as far as our languages go: Devanagari's signs above, below and around a letter take no
/// room of their own.
fn width(line: &str) -> usize {
    let sign = |c: &char| matches!(c, '\u{900}'..='\u{903}' | '\u{93a}'..='\u{93c}' | '\u{93e}'..='\u{94f}' | '\u{951}'..='\u{957}' | '\u{962}'..='\u{963}');
    line.chars().filter(|c| !sign(c)).count()
}

/// The subject and the text message are an organizer's own words.
fn is_quoted(kind: Kind) -> bool {
    kind == Kind::Announcement
}

fn is_devanagari(text: &str) -> bool {
    text.chars().any(|c| ('\u{900}'..='\u{97f}').contains(&c))
}

#[test]
fn every_message_can_be_written_over_every_channel() {
    for (kind, language) in all() {
        let (hello, lang) = match language {
            Language::English => ("Hello Asha,", "<html lang=\"en\">"),
            Language::Hindi => ("नमस्ते Asha जी,", "<html lang=\"hi\">"),
        };
        let about_event = !is_about_account(kind);
        let names_event = about_event || kind == Kind::TeamInvitation;
        for message in variants(&written(kind, Channel::Email, language)) {
            let (subject, text, html) = email(&message);
            assert_eq!(subject.contains("Rust & Friends"), names_event, "{subject}");
            assert!(
                text.starts_with(&format!("{hello}\n\n")) && text.ends_with("\n\nOrganise Event\n"),
                "{text}"
            );
            for line in text.lines() {
                assert!(width(line) <= 80 && line == line.trim_end(), "{line:?} of {text}");
            }
            assert!(!text.contains("\n\n\n"), "{text}");
            assert!(
                html.starts_with("<!doctype html>") && html.contains(hello) && html.contains(lang),
                "{html}"
            );
            assert!(!html.contains("Rust & Friends"), "{html}");
            assert_eq!(html.contains("Rust &amp; Friends"), names_event, "{html}");
            let hindi = language == Language::Hindi;
            assert_eq!(
                [
                    is_devanagari(&subject),
                    is_devanagari(&text),
                    is_devanagari(&html)
                ],
                [hindi && !is_quoted(kind), hindi, hindi]
            );
        }
        for message in variants(&written(kind, Channel::Sms, language)) {
            if about_event {
                let sms = sms(&message);
                assert!(sms.contains("Rust & Friends"), "{sms}");
                let hindi = language == Language::Hindi && !is_quoted(kind);
                assert_eq!(is_devanagari(&sms), hindi, "{sms}");
            }
        }
    }
}

#[test]
fn what_lists_show_after_the_subject_is_a_short_line_of_its_own() {
    for (kind, language) in all() {
        let (_, _, html) = email(&written(kind, Channel::Email, language));
        let (_, preview) = html.split_once("mso-hide:all\">").unwrap();
        let (preview, _) = preview.split_once("&#847;").unwrap();
        let characters = preview.chars().count();
        assert!((20..=110).contains(&characters), "{kind:?}: {preview}");
        assert!(!html.replacen(preview, "", 1).contains("{{"), "{html}");
    }
}

#[test]
fn every_letter_says_why_one_gets_it_and_is_fit_for_the_dark() {
    for (kind, language) in all() {
        let (_, _, html) = email(&written(kind, Channel::Email, language));
        let why = match language {
            Language::English => "You get this message because",
            Language::Hindi => "यह संदेश आपको",
        };
        let (_, foot) = html.split_once("class=\"foot soft\"").unwrap();
        assert!(foot.contains(why) && foot.contains("Organise Event"), "{foot}");
        assert!(html.contains("prefers-color-scheme: dark") && html.contains("color-scheme: light dark"));
        // Each colour that is set for the light has a class that sets it for the dark.
        let (_, body) = html.split_once("<body").unwrap();
        for tag in body
            .split('<')
            .filter(|tag| tag.contains("color:#") || tag.contains("background:#"))
        {
            assert!(tag.contains("class=\""), "{tag}");
        }
    }
}

#[test]
fn a_text_message_in_hindi_takes_two_parts_with_usual_values() {
    for kind in Kind::ALL.iter().filter(|kind| !is_about_account(**kind)) {
        for message in variants(&written(*kind, Channel::Sms, Language::Hindi)) {
            let text = sms(&message);
            let length = Length::of(&text);
            assert!(
                length.gsm == is_quoted(*kind) && length.parts() <= 2,
                "{} units: {text}",
                length.units
            );
        }
    }
}

#[test]
fn long_names_do_not_push_the_code_out_of_a_text_message() {
    for language in Language::ALL {
        let mut message = written(Kind::Ticket, Channel::Sms, language);
        let facts = message.facts.as_mut().unwrap();
        facts.name = "न".repeat(5000);
        facts.address = "म".repeat(5000);
        let text = sms(&message);
        assert!(
            Length::of(&text).parts() <= 3 && text.contains("7KQM-2XRT-9FHB"),
            "{text}"
        );
    }
}

#[test]
fn nothing_that_people_write_becomes_markup_or_lines() {
    let evil = "<b>x</b>\r\nBcc: v@example.com\n\n{{ ticket_code }}\u{2028}y";
    for (kind, language) in all() {
        let mut message = written(kind, Channel::Email, language);
        message.name = Some("Asha\nSecond line".into());
        message.details.event_name = Some(evil.into());
        message.details.decline = Some(evil.into());
        if let Some(facts) = &mut message.facts {
            facts.name = evil.into();
            facts.address = evil.into();
        }
        let (subject, text, html) = email(&message);
        assert!(!subject.contains(['\r', '\n', '\u{2028}']), "{subject}");
        let hello = match language {
            Language::English => "Hello Asha Second line,",
            Language::Hindi => "नमस्ते Asha Second line जी,",
        };
        assert!(text.starts_with(hello), "{text}");
        assert!(!text.lines().any(|line| line.starts_with("Bcc")), "{text}");
        assert!(!html.contains("<b>"), "{html}");
        if is_about_account(kind) {
            continue;
        }
        message.channel = Channel::Sms;
        assert!(!sms(&message).contains(['\r', '\n', '\u{2028}']));
    }
}

#[test]
fn names_are_kept_in_any_script() {
    for name in ["आशा राव", "علي", "愛子", "Zoë", "ஆஷா"] {
        for (kind, language) in all() {
            let mut message = written(kind, Channel::Email, language);
            message.name = Some(name.into());
            message.details.event_name = message.details.event_name.map(|_| name.into());
            if let Some(facts) = &mut message.facts {
                facts.name = name.into();
            }
            let (subject, text, html) = email(&message);
            let names_event = !is_about_account(kind) || kind == Kind::TeamInvitation;
            assert_eq!(subject.contains(name), names_event, "{subject}");
            assert!(text.contains(name) && html.contains(name), "{text}");
        }
    }
}

#[test]
fn who_has_set_no_language_of_ours_reads_english() {
    for locale in [None, Some("en-IN"), Some("de"), Some("")] {
        let mut message = message(Kind::Ticket, Channel::Email);
        message.details.locale = locale.map(str::to_owned);
        assert_eq!(email(&message).0, "Your ticket: Rust & Friends");
    }
    for locale in ["hi", "hi-IN", "HI"] {
        let mut message = message(Kind::Ticket, Channel::Email);
        message.details.locale = Some(locale.to_owned());
        let (subject, text, _) = email(&message);
        assert_eq!(subject, "आपका टिकट: Rust & Friends");
        assert!(
            text.contains("कब: शुक्रवार, 22 नवंबर 2024, 18:44 IST (Asia/Kolkata)\n"),
            "{text}"
        );
    }
}

#[test]
fn a_registered_text_has_the_same_values_whoever_reads_it() {
    for kind in Kind::ALL.iter().filter(|kind| !is_about_account(**kind)) {
        let mut message = message(*kind, Channel::Sms);
        let mut variables = |locale: &str| {
            message.details.locale = Some(locale.to_owned());
            match writer(Links::default()).write(&message).unwrap().content {
                Content::Sms { variables, .. } => variables,
                Content::Email { .. } => panic!("not a text message"),
            }
        };
        assert_eq!(variables("hi"), variables("en"));
    }
}

#[test]
fn a_change_says_what_was_before_in_every_language() {
    let mut message = written(Kind::EventUpdated, Channel::Email, Language::Hindi);
    let (_, text, html) = email(&message);
    assert!(
        text.contains("18:44 IST (Asia/Kolkata)\n    (पहले: शुक्रवार, 22 नवंबर 2024, 17:44 IST"),
        "{text}"
    );
    assert_eq!(
        (text.matches("(पहले:").count(), html.matches("<s ").count()),
        (1, 1)
    );
    message.details.before = None;
    assert!(!email(&message).1.contains("(पहले:"));
}

#[test]
fn an_online_event_is_joined_by_a_link_in_every_language() {
    for (kind, language) in all().filter(|(kind, _)| *kind == Kind::Ticket) {
        let mut message = written(kind, Channel::Email, language);
        let facts = message.facts.as_mut().unwrap();
        facts.format = EventFormat::Online;
        facts.join_url = Some("https://meet.example.org/r".into());
        let (place, join) = match language {
            Language::English => ("Where:         Online\n", "Join online"),
            Language::Hindi => ("स्थान: ऑनलाइन\n", "ऑनलाइन जुड़ें"),
        };
        let (_, text, html) = email(&message);
        assert!(
            text.contains(place) && text.contains("https://meet.example.org/r\n"),
            "{text}"
        );
        assert!(html.contains(join), "{html}");
    }
}

#[test]
fn an_invitation_brings_a_token_of_its_own_and_no_strangers_link() {
    let links = links(&[("PUBLIC_URL", "https://events.example.org")]);
    let tokens = MailedTokens::new(&auth());
    for language in Language::ALL {
        let mut message = written(Kind::TeamInvitation, Channel::Email, language);
        let id = message.details.token.as_ref().unwrap().id;
        let token = tokens.invitation(id);
        let written = |message: &Message| match writer(links.clone()).write(message).unwrap().content {
            Content::Email { text, html, .. } => (text, html),
            Content::Sms { .. } => panic!("not an e-mail"),
        };
        let (text, html) = written(&message);
        let link = format!("https://events.example.org/team/accept?token={token}");
        assert!(text.lines().any(|line| line == link), "{text}");
        assert!(text.contains("Meera") && html.contains(&token), "{text}");
        assert!(!text.contains(&tokens.token(id)), "{text}");
        // Where the gateway's own address is not known, the token is all there is.
        let (_, text, html) = email(&message);
        assert!(
            text.lines().any(|line| line == token) && html.contains(&token),
            "{text}"
        );
        // It comes to somebody who has asked for nothing.
        message.details.inviter = Some("See https://evil.example.com".into());
        message.details.event_name = Some("Win at https://evil.example.com".into());
        let (text, html) = written(&message);
        assert!(!text.contains("evil") && !html.contains("evil"), "{text}");
    }
}

#[test]
fn a_letter_about_an_account_brings_a_token_and_a_code() {
    let links = links(&[("PUBLIC_URL", "https://events.example.org")]);
    let tokens = MailedTokens::new(&auth());
    for (kind, page) in [
        (Kind::VerifyEmail, "verify-email"),
        (Kind::EmailChanged, "verify-email"),
        (Kind::PasswordReset, "reset-password"),
        (Kind::PasswordChanged, "reset-password"),
    ] {
        for language in Language::ALL {
            let mut message = written(kind, Channel::Email, language);
            message.details.timezone = Some("Asia/Kolkata".into());
            let id = message.details.token.as_ref().unwrap().id;
            let Content::Email { text, html, .. } = writer(links.clone()).write(&message).unwrap().content
            else {
                panic!("not an e-mail");
            };
            let link = format!("https://events.example.org/{page}?token={}", tokens.token(id));
            let code = tokens.code(id);
            assert!(text.lines().any(|line| line == link), "{text}");
            assert!(text.lines().any(|line| line == code), "{text}");
            assert!(text.contains("IST"), "{text}");
            assert!(
                html.contains(&link.replace('/', "&#x2f;")) && html.contains(&code),
                "{html}"
            );
            // Where the gateway's own address is not known, the code is all there is.
            let (_, text, html) = email(&message);
            assert!(!text.contains("http") && text.contains(&code), "{text}");
            assert!(!html.contains("href"), "{html}");
        }
    }
}
