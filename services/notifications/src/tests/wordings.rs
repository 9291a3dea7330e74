//! An event's own words: the calls, and what letters make of them.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{Method, Request, StatusCode, header},
};
use chrono::TimeDelta;
use common::{
    auth::Role,
    ids::{UserId, WordingId},
    wire::service,
};
use serde_json::{Value, json};

use super::{
    broadcasts::Desk,
    kit::{Answer, at, confirmation, confirmed},
    templates::{message, writer},
};
use crate::{
    channels::Content,
    domain::{
        message::{Channel, Kind, Message},
        wording::OwnWords,
    },
    templates::Links,
};

impl Desk {
    fn templates(&self) -> String {
        format!("/api/organiser/events/{}/templates", self.events.facts().event_id)
    }

    async fn ask(&self, method: Method, kind: &str, body: Option<Value>) -> Answer {
        let path = format!("{}{kind}", self.templates());
        self.send(self.events.organizer(), method, &path, body).await
    }

    async fn say(&self, kind: &str, body: Value) -> Answer {
        self.ask(Method::PUT, &format!("/{kind}"), Some(body)).await
    }
}

fn own() -> Value {
    json!({
        "subject": "Welcome to {{ event_name }}",
        "text": "Dear {{ name }},\nbring a laptop & <b>snacks</b>.\n\nThe doors open at six.",
        "sms": "{{ event_name }} awaits you, {{ ticket_code }}",
    })
}

#[tokio::test]
async fn an_organizer_reads_sets_and_drops_an_event_s_words() {
    let desk = Desk::new();
    let list = desk.ask(Method::GET, "", None).await;
    assert_eq!(list.status, StatusCode::OK, "{}", list.text);
    let list = list.json();
    let kinds: Vec<&str> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["kind"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "event_cancelled",
            "event_updated",
            "hold_expired",
            "registration_cancelled",
            "reminder",
            "ticket",
            "waitlist_offer"
        ]
    );
    let none = json!(null);
    for item in list.as_array().unwrap() {
        assert_eq!((&item["subject"], &item["changed_at"]), (&none, &none));
    }
    assert!(
        list[5]["variables"]
            .as_array()
            .unwrap()
            .contains(&json!("ticket_code"))
    );

    let set = desk.say("ticket", own()).await;
    assert_eq!(set.status, StatusCode::OK, "{}", set.text);
    let set = set.json();
    assert_eq!(set["message"], "Letters say so from now on.");
    let shown = desk.ask(Method::GET, "", None).await.json();
    for field in ["kind", "subject", "text", "sms", "changed_at", "variables"] {
        assert_eq!(shown[5][field], set[field], "{field}");
    }
    assert_eq!(shown[5]["text"], own()["text"]);
    assert_eq!(shown[4]["subject"], none, "of one kind only");

    // Without words for text messages those are the standard ones.
    let mut without = own();
    without["sms"] = json!(null);
    assert_eq!(desk.say("ticket", without).await.json()["sms"], none);
    for _ in 0..2 {
        let dropped = desk.ask(Method::DELETE, "/ticket", None).await;
        assert_eq!(dropped.status, StatusCode::OK, "{}", dropped.text);
    }
    let shown = desk.ask(Method::GET, "", None).await.json();
    assert_eq!(shown[5]["subject"], none);
}

#[tokio::test]
async fn words_that_no_letter_could_say_are_refused() {
    let desk = Desk::new();
    let wrong = json!({
        "subject": "{{ evnt_name }}",
        "text": "{{ ticket_code }} {{ token.code }} {{ name }}",
        "sms": "See you, {{ nobody }}",
    });
    let refused = desk.say("ticket", wrong).await;
    assert_eq!(
        refused.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "{}",
        refused.text
    );
    let refused = refused.json();
    assert_eq!(refused["code"], "validation_failed");
    assert_eq!(
        refused["unknown_variables"],
        json!(["evnt_name", "nobody", "token.code"])
    );
    let fields: Vec<&str> = refused["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["field"].as_str().unwrap())
        .collect();
    assert_eq!(fields, ["sms", "subject", "text"]);

    for (kind, changed, field) in [
        ("ticket", json!({"subject": ""}), "subject"),
        ("ticket", json!({"subject": "two\nlines"}), "subject"),
        ("ticket", json!({"subject": "x".repeat(201)}), "subject"),
        ("ticket", json!({"text": "x".repeat(5_001)}), "text"),
        ("ticket", json!({"text": null}), "text"),
        ("ticket", json!({"sms": "x".repeat(301)}), "sms"),
        ("ticket", json!({"sms": "without the code"}), "sms"),
        (
            "reminder",
            json!({"text": "{{ ticket_code }}", "sms": null}),
            "text",
        ),
        (
            "hold_expired",
            json!({"text": "{{ event.join }}", "sms": null}),
            "text",
        ),
    ] {
        let mut body = own();
        for (name, value) in changed.as_object().unwrap() {
            body[name] = value.clone();
        }
        let refused = desk.say(kind, body).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{changed}");
        assert_eq!(refused.json()["errors"][0]["field"], field, "{changed}");
    }
    for (kind, status, code) in [
        ("payment_refunded", 409, "template_fixed"),
        ("payment_failed", 409, "template_fixed"),
        ("password_reset", 409, "template_fixed"),
        ("announcement", 409, "template_fixed"),
        ("registration_confirmed", 409, "template_fixed"),
        ("reminder_24h", 404, "template_not_found"),
        ("nothing", 404, "template_not_found"),
    ] {
        for method in [Method::PUT, Method::DELETE] {
            let body = (method == Method::PUT).then(own);
            let refused = desk.ask(method, &format!("/{kind}"), body).await;
            assert_eq!(refused.status.as_u16(), status, "{kind}");
            assert_eq!(refused.json()["code"], code, "{kind}");
        }
    }
}

#[tokio::test]
async fn another_s_event_is_none() {
    let desk = Desk::new();
    let ticket = format!("{}/ticket", desk.templates());
    let preview = format!(
        "/api/notifications/templates/ticket/preview?event_id={}",
        desk.events.facts().event_id
    );
    for (method, path, body) in [
        (Method::GET, desk.templates(), None),
        (Method::PUT, ticket.clone(), Some(own())),
        (Method::DELETE, ticket, None),
        (Method::GET, preview, None),
    ] {
        let answer = desk.send(UserId::new(), method.clone(), &path, body).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}");
        assert_eq!(answer.json()["code"], "event_not_found");
    }
    let user = desk.service.get_as(UserId::new(), &desk.templates()).await;
    assert_eq!(user.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_key_sets_words_once() {
    let desk = Desk::new();
    let auth = desk.service.context.auth(service::USERS);
    let life = std::time::Duration::from_secs(60);
    let token = auth
        .user_token(desk.events.organizer(), Role::Organizer, life)
        .unwrap();
    let mut answers = Vec::new();
    for _ in 0..2 {
        let request = Request::put(format!("{}/ticket", desk.templates()))
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::CONTENT_TYPE, "application/json")
            .header("idempotency-key", "1")
            .body(Body::from(own().to_string()))
            .unwrap();
        answers.push(desk.service.call(request).await);
        desk.lab.clock.set(at(TimeDelta::seconds(1)));
    }
    assert_eq!(answers[0].text, answers[1].text);
    assert_eq!(answers[1].headers["idempotency-replayed"], "true");
}

#[tokio::test]
async fn letters_say_what_was_in_force_when_they_were_written() {
    let desk = Desk::new();
    let user = desk
        .lab
        .users
        .add(Some("Asha & Rao"), "asha@example.com", Some("+911234567890"));
    let fact = confirmed(user, &desk.events.facts());
    assert_eq!(desk.say("ticket", own()).await.status, StatusCode::OK);
    desk.service.accepts(&[confirmation(&fact)]).await;
    let other = json!({"subject": "Other", "text": "Other."});
    assert_eq!(desk.say("ticket", other).await.status, StatusCode::OK);

    let mail = desk.service.mailbox(2).await;
    let of = |channel: &str| {
        let item = mail.iter().find(|item| item["channel"] == channel).unwrap();
        item["id"].as_str().unwrap().to_owned()
    };
    let (email, sms) = (of("email"), of("sms"));
    let text = desk
        .service
        .get(&format!("/dev/mailbox/{email}?text=1"))
        .await
        .text;
    assert!(
        text.contains(
            "Dear Asha & Rao,\nbring a laptop & <b>snacks</b>.\n\nThe doors open at six.\n\n  7KQM-2XRT-9FHB"
        ),
        "{text}"
    );
    assert!(
        !text.contains("Show this code"),
        "the standard opening has gone: {text}"
    );
    assert!(
        text.contains("Where:") && text.contains("Registration:"),
        "{text}"
    );
    let raw = desk
        .service
        .get(&format!("/dev/mailbox/{email}?raw=1"))
        .await
        .text;
    assert!(raw.contains("Subject: Welcome to Rust evening\r\n"), "{raw}");
    let sms = desk.service.get(&format!("/dev/mailbox/{sms}?text=1")).await.text;
    assert_eq!(sms, "Rust evening awaits you, 7KQM-2XRT-9FHB");
    let listed = desk.service.get_as(user, "/api/notifications").await.json();
    assert!(
        listed
            .as_array()
            .unwrap()
            .iter()
            .any(|item| item["subject"] == "Welcome to Rust evening"),
        "{listed}"
    );

    // Of the next one the other words are.
    let second = confirmed(user, &desk.events.facts());
    desk.service.accepts(&[confirmation(&second)]).await;
    let mail = desk.service.mailbox(4).await;
    assert!(mail.iter().any(|item| item["subject"] == "Other"), "{mail:?}");
}

#[tokio::test]
async fn own_words_are_previewed() {
    let desk = Desk::new();
    desk.say("ticket", own()).await;
    let event = desk.events.facts().event_id;
    let preview = async |kind: &str, query: &str| {
        let path = format!("/api/notifications/templates/{kind}/preview?{query}");
        let answer = desk.send(desk.events.organizer(), Method::GET, &path, None).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        answer.text
    };
    for locale in ["en", "hi"] {
        let html = preview("ticket", &format!("event_id={event}&locale={locale}")).await;
        assert!(
            html.contains("<p style=\"margin:0 0 16px\">Dear Asha Rao,<br>bring a laptop &amp; &lt;b&gt;snacks&lt;&#x2f;b&gt;.</p>"),
            "{html}"
        );
        assert!(html.contains("Welcome to Rust for organisers</h1>"), "{html}");
        assert!(
            html.contains("7KQM-2XRT-9FHB") || html.contains("7KQM-"),
            "{html}"
        );
    }
    let text = preview("ticket", &format!("event_id={event}&format=text")).await;
    assert!(
        text.starts_with("Welcome to Rust for organisers\n\nHello Asha Rao,\n\nDear Asha Rao,\n"),
        "{text}"
    );
    let sms = preview("ticket", &format!("event_id={event}&format=sms")).await;
    assert!(sms.starts_with("Rust for organisers awaits you, "), "{sms}");
    let standard = preview("ticket", "format=text").await;
    assert!(standard.starts_with("Your ticket: "), "{standard}");
    let other = preview("reminder", &format!("event_id={event}&format=text")).await;
    assert!(other.starts_with("In 24 hours: "), "{other}");
}

fn with_own(kind: Kind, channel: Channel, subject: &str, text: &str, sms: Option<&str>) -> Message {
    let mut message = message(kind, channel);
    message.details.wording = Some(WordingId::new());
    message.details.own = Some(Arc::new(OwnWords {
        subject: subject.to_owned(),
        text: text.to_owned(),
        sms: sms.map(str::to_owned),
    }));
    message
}

#[test]
fn words_that_render_no_longer_stop_no_letter() {
    let writer = writer(Links::default());
    let standard = |kind, channel| writer.plain(&message(kind, channel)).unwrap().1;
    for kind in [
        Kind::Ticket,
        Kind::HOURS_BEFORE,
        Kind::EventUpdated,
        Kind::HoldExpired,
    ] {
        for (subject, text) in [
            ("{{ gone }}", "x"),
            ("x", "{{ token.code }}"),
            ("x", "{{ open"),
            ("{{ event.ends }}", "x"),
        ] {
            let broken = with_own(kind, Channel::Email, subject, text, None);
            let Content::Email { subject, .. } = writer.write(&broken).unwrap().content else {
                panic!("an e-mail");
            };
            assert_eq!(
                subject,
                writer.plain(&message(kind, Channel::Email)).unwrap().0.unwrap()
            );
        }
    }
    // Words that were deleted with their organizer.
    let mut gone = message(Kind::HOURS_BEFORE, Channel::Email);
    gone.details.wording = Some(WordingId::new());
    let gone = writer.plain(&gone).unwrap();
    assert!(gone.1.contains("A short reminder"), "{}", gone.1);
    // A code that would be cut off.
    let long = with_own(
        Kind::Ticket,
        Channel::Sms,
        "x",
        "x",
        Some(&format!("{} {{{{ ticket_code }}}}", "न".repeat(280))),
    );
    assert_eq!(
        writer.plain(&long).unwrap().1,
        standard(Kind::Ticket, Channel::Sms)
    );
    let none = with_own(Kind::HOURS_BEFORE, Channel::Sms, "x", "x", None);
    assert_eq!(
        writer.plain(&none).unwrap().1,
        standard(Kind::HOURS_BEFORE, Channel::Sms)
    );
}

#[test]
fn own_words_are_in_every_form_of_each_kind_and_what_matters_stays() {
    let writer = writer(Links::default());
    for (kind, stays) in [
        (Kind::Ticket, "7KQM-2XRT-9FHB"),
        (Kind::HOURS_BEFORE, "Hall 3, Pune"),
        (Kind::EventUpdated, "(before: "),
        (Kind::EventCancelled, "the whole amount goes back"),
        (Kind::RegistrationCancelled, "your money comes back"),
        (Kind::HoldExpired, "else your money back"),
    ] {
        for locale in ["en", "hi"] {
            let mut own = with_own(
                kind,
                Channel::Email,
                "Of {{ event_name }}",
                "First.\n\n{{ event.when }}, {{ name }}",
                Some("{{ event_name }} at {{ event.place }}"),
            );
            own.details.locale = Some(locale.to_owned());
            let Content::Email {
                subject, text, html, ..
            } = writer.write(&own).unwrap().content
            else {
                panic!("an e-mail");
            };
            assert_eq!(subject, "Of Rust & Friends");
            assert!(
                text.contains("\n\nFirst.\n\n") && !text.contains("\n\n\n"),
                "{kind:?} {text}"
            );
            assert!(
                html.contains("<p style=\"margin:0 0 16px\">First.</p>"),
                "{kind:?} {html}"
            );
            assert!(html.contains("Of Rust &amp; Friends</h1>"), "{kind:?} {html}");
            if locale == "en" {
                let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
                assert!(flat.contains(stays), "{kind:?} {text}");
            }
            own.channel = Channel::Sms;
            own.details.ticket_code = None;
            assert_eq!(writer.plain(&own).unwrap().1, "Rust & Friends at Hall 3, Pune");
        }
    }
}
