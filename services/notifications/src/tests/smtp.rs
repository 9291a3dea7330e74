//! E-mail over SMTP, against a server that really speaks it.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use common::{clock::from_millis, ids::MessageId, subscriber::Subscriber};
use tokio_util::sync::CancellationToken;

use super::{
    kit::{Lab, NOW, at, confirmation, confirmed, event, eventually},
    sink::{Mood, Sink},
};
use crate::{
    channels::{Content, MailError, Mailer, Parcel, mime::FromAddress as From, smtp::Smtp},
    domain::message::Channel,
    workers::sender::{Round, Sender},
};

fn smtp(sink: &Sink) -> Smtp {
    Smtp::new(
        &sink.url(),
        From::new("Organise Event <no-reply@example.org>").unwrap(),
    )
    .unwrap()
}

fn parcel(address: &str) -> Parcel {
    Parcel {
        id: MessageId::new(),
        created_at: from_millis(NOW),
        address: address.to_owned(),
        name: Some("Zoë\r\nBcc: victim@example.com".into()),
        host: None,
        attachments: Vec::new(),
        content: Content::Email {
            subject: "Hello\r\nBcc: victim@example.com".into(),
            text: "One line.\n.\nA dot before this line.\n".into(),
            html: "<p>One line.</p>".into(),
            unsubscribe: None,
        },
    }
}

#[tokio::test]
async fn a_message_arrives_whole() {
    let sink = Sink::start().await;
    let parcel = parcel("asha@example.com");
    let id = parcel.id;
    assert_eq!(smtp(&sink).send(parcel, 1).await.unwrap(), "queued as 1A2B3C");
    let mail = sink.mails().remove(0);
    assert_eq!(mail.from, "MAIL FROM:<no-reply@example.org>");
    assert_eq!(mail.to, ["RCPT TO:<asha@example.com>"]);
    assert!(
        mail.data
            .contains(&format!("Message-ID: <{id}@organise-event>\r\n")),
        "{}",
        mail.data
    );
    assert!(
        mail.data.contains("One line.\r\n..\r\nA dot"),
        "dots are stuffed: {}",
        mail.data
    );
    assert!(
        !mail.data.lines().any(|line| line.starts_with("Bcc")),
        "{}",
        mail.data
    );
}

#[tokio::test]
async fn connections_are_kept_and_let_go() {
    let sink = Sink::start().await;
    let smtp = smtp(&sink);
    for _ in 0..3 {
        smtp.send(parcel("asha@example.com"), 1).await.unwrap();
    }
    assert_eq!(sink.connections(), 1);
    smtp.tidy(Duration::from_secs(30)).await;
    smtp.send(parcel("asha@example.com"), 1).await.unwrap();
    assert_eq!(sink.connections(), 1);
    smtp.tidy(Duration::ZERO).await;
    smtp.send(parcel("asha@example.com"), 1).await.unwrap();
    assert_eq!(sink.connections(), 2);
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let sink = Sink::start().await;
    let smtp = smtp(&sink);
    sink.next(&[Mood::Later, Mood::Never, Mood::HangUp]);
    assert!(
        matches!(smtp.send(parcel("a@example.com"), 1).await, Err(MailError::Temporary(why)) if why.contains("451"))
    );
    assert!(
        matches!(smtp.send(parcel("a@example.com"), 1).await, Err(MailError::Permanent(why)) if why.contains("550"))
    );
    assert!(matches!(
        smtp.send(parcel("a@example.com"), 1).await,
        Err(MailError::Temporary(_))
    ));
    assert!(matches!(
        smtp.send(parcel("no address"), 1).await,
        Err(MailError::Permanent(_))
    ));
    smtp.send(parcel("a@example.com"), 1).await.unwrap();
    let text = Parcel {
        content: Content::Sms {
            text: "x".into(),
            template: "ticket",
            variables: Vec::new(),
        },
        ..parcel("a@example.com")
    };
    assert!(matches!(smtp.send(text, 1).await, Err(MailError::Permanent(_))));
}

#[tokio::test]
async fn a_domain_of_another_script_needs_nothing_of_the_server() {
    let sink = Sink::start().await;
    let smtp = smtp(&sink);
    for address in [
        "asha@münchen.de",
        "asha@mu\u{308}nchen.de",
        "asha@xn--mnchen-3ya.de",
    ] {
        smtp.send(parcel(address), 1).await.unwrap();
        let mail = sink.mails().pop().unwrap();
        assert_eq!(mail.to, ["RCPT TO:<asha@xn--mnchen-3ya.de>"], "{address}");
        assert!(
            mail.data.contains("<asha@xn--mnchen-3ya.de>\r\n"),
            "{}",
            mail.data
        );
        assert!(mail.data.is_ascii(), "{}", mail.data);
        assert!(!mail.from.contains("SMTPUTF8"), "{}", mail.from);
    }
    assert_eq!(sink.connections(), 1);
}

#[tokio::test]
async fn a_name_of_another_script_needs_smtputf8() {
    let sink = Sink::start().await;
    let old = smtp(&sink);
    for _ in 0..2 {
        let why = old.send(parcel("आशा@example.com"), 1).await.err().unwrap();
        assert!(
            matches!(&why, MailError::Permanent(why) if why.contains("SMTPUTF8")),
            "{why:?}"
        );
    }
    old.send(parcel("asha@example.com"), 1).await.unwrap();
    assert_eq!(
        sink.connections(),
        1,
        "nothing was said on it that could disturb the next"
    );

    let sink = Sink::international().await;
    smtp(&sink).send(parcel("आशा@मेल.भारत"), 1).await.unwrap();
    let mail = sink.mails().pop().unwrap();
    assert!(mail.from.contains(" SMTPUTF8"), "{}", mail.from);
    assert_eq!(mail.to, ["RCPT TO:<आशा@xn--r2bi6d.xn--h2brj9c>"]);
    assert!(
        mail.data.contains("<आशा@xn--r2bi6d.xn--h2brj9c>\r\n"),
        "{}",
        mail.data
    );
}

#[tokio::test]
async fn what_the_server_cannot_carry_fails_at_once() {
    let lab = Lab::new();
    let parts = lab.parts();
    let user = lab.users.add(Some("Asha"), "आशा@example.com", None);
    parts
        .receive(vec![confirmation(&confirmed(user, &event(TimeDelta::hours(-1))))])
        .await;
    let sink = Sink::start().await;
    let worker = Sender::new(
        parts.clone(),
        Channel::Email,
        Arc::new(smtp(&sink)),
        Duration::from_secs(20),
    );
    while worker.round(&CancellationToken::new()).await.unwrap() != Round::Idle {}
    let stats = parts.store.stats(parts.clock.now()).await.unwrap();
    assert_eq!((stats.queued, stats.failed), (0, 1));
    assert!(sink.mails().is_empty());
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let sink = Sink::start().await;
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("smtp://{}", free.local_addr().unwrap());
    drop(free);
    let away = Smtp::new(&url, From::new("no-reply@example.org").unwrap()).unwrap();
    assert!(matches!(
        away.send(parcel("a@example.com"), 1).await,
        Err(MailError::Unreachable(_))
    ));
    drop(sink);
}

#[tokio::test]
async fn a_connection_whose_use_was_cut_short_is_not_used_again() {
    let sink = Sink::start().await;
    let smtp = smtp(&sink);
    smtp.send(parcel("first@example.com"), 1).await.unwrap();
    sink.next(&[Mood::Silent]);
    let cut = tokio::time::timeout(
        Duration::from_millis(200),
        smtp.send(parcel("second@example.com"), 1),
    )
    .await;
    assert!(cut.is_err());
    smtp.send(parcel("third@example.com"), 1).await.unwrap();
    assert_eq!(sink.connections(), 2);
    assert_eq!(sink.mails().last().unwrap().to, ["RCPT TO:<third@example.com>"]);
}

#[tokio::test]
async fn the_worker_tries_again_until_it_is_taken() {
    let lab = Lab::new();
    let parts = lab.parts();
    for name in ["asha", "ravi"] {
        let user = lab.users.add(None, &format!("{name}@example.com"), None);
        parts
            .receive(vec![confirmation(&confirmed(user, &event(TimeDelta::hours(-1))))])
            .await;
    }
    let sink = Sink::start().await;
    sink.next(&[Mood::Later, Mood::Later, Mood::HangUp]);
    let worker = Sender::new(
        parts.clone(),
        Channel::Email,
        Arc::new(smtp(&sink)),
        Duration::from_secs(20),
    );
    let stop = CancellationToken::new();
    for seconds in [0, 10, 40, 200, 1000] {
        lab.clock.set(at(TimeDelta::seconds(seconds)));
        while worker.round(&stop).await.unwrap() != Round::Idle {}
    }
    let stats = parts.store.stats(parts.clock.now()).await.unwrap();
    assert_eq!((stats.queued, stats.failed), (0, 0));
    let mut ids: Vec<_> = sink
        .mails()
        .iter()
        .map(|mail| {
            mail.data
                .lines()
                .find(|line| line.starts_with("Message-ID"))
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(ids.len(), 3, "the one whose answer was lost went out again");
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 2);
}

#[tokio::test]
async fn the_service_sends_through_smtp_when_it_is_set() {
    let lab = Lab::new();
    let sink = Sink::start().await;
    let service = lab.service_with(&[
        ("SMTP_URL", &sink.url()),
        ("MAIL_FROM", "Events <events@example.org>"),
    ]);
    let user = lab
        .users
        .add(Some("Asha"), "asha@example.com", Some("+911234567890"));
    service
        .accepts(&[confirmation(&confirmed(user, &event(TimeDelta::hours(48))))])
        .await;
    let mails = eventually(async || Some(sink.mails()).filter(|mails| mails.len() == 1)).await;
    assert!(
        mails
            .iter()
            .all(|mail| mail.from == "MAIL FROM:<events@example.org>")
    );
    // Text messages have their mailbox, e-mail does not lie there too.
    let list = service.mailbox(1).await;
    assert!(list.iter().all(|item| item["channel"] == "sms"));
}
