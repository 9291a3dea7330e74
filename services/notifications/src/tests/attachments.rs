//! What letters bring along.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use axum::{Json, Router, extract::State, http::StatusCode, response::IntoResponse, routing::post};
use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::TimeDelta;
use common::{
    http::{InternalClient, Pipeline, Upstream},
    metrics::Metrics,
    money::Paise,
    problem::ApiError,
    subscriber::Subscriber,
    wire::{AskTicket, EndReason, RegistrationEnded, TicketPage, kind, service},
};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;

use super::{
    kit::{Lab, change, cloud_event, confirmation, confirmed, end, event},
    recorder::Recorder,
};
use crate::{
    channels::{Content, Parcel, mime::FromAddress},
    domain::message::Channel,
    workers::{
        announcements::Announcements,
        attaching::Attaching,
        sender::{Round, Sender},
    },
};

/// An events service that prints tickets, gives this status, or with 0 no answer.
#[derive(Clone)]
struct Printer(Arc<AtomicU16>);

const SILENT: u16 = 0;

impl Printer {
    fn upstream(&self) -> Upstream {
        let (upstream, slot) = Upstream::local();
        let print = async |State(printer): State<Self>, Json(asked): Json<AskTicket>| {
            let status = match printer.0.load(Ordering::Relaxed) {
                SILENT => std::future::pending().await,
                status => StatusCode::from_u16(status).unwrap(),
            };
            if status != StatusCode::OK {
                return ApiError::new(status, "x", "x").into_response();
            }
            let page = format!("%PDF for {}", asked.holder.unwrap_or_default());
            Json(TicketPage {
                pdf: BASE64_STANDARD.encode(page),
                png: BASE64_STANDARD.encode("a picture"),
            })
            .into_response()
        };
        let router = Router::new()
            .route("/internal/registrations/ticket", post(print))
            .with_state(self.clone());
        let pipeline = Pipeline::new(service::EVENTS, router, Metrics::new(service::EVENTS, Vec::new()));
        assert!(slot.set(pipeline).is_ok());
        upstream
    }

    fn answers(&self, status: u16) {
        self.0.store(status, Ordering::Relaxed);
    }
}

struct Post {
    lab: Lab,
    printer: Printer,
    parts: Arc<crate::app::Parts>,
    sender: Sender,
    received: UnboundedReceiver<Parcel>,
}

impl Post {
    fn new() -> Self {
        Self::with_lease(Duration::from_secs(20))
    }

    fn with_lease(lease: Duration) -> Self {
        let lab = Lab::new();
        let (printer, parts) = (Printer(Arc::new(AtomicU16::new(200))), lab.parts());
        let auth = lab.context(&[]).auth(service::NOTIFICATIONS);
        let attaching = Attaching {
            events: InternalClient::new(printer.upstream(), auth, service::EVENTS),
            sender: FromAddress::new("Organise Event <no-reply@localhost>").unwrap(),
        };
        let (mailer, received) = Recorder::new();
        let sender = Sender::new(parts.clone(), Channel::Email, mailer, lease);
        Self {
            lab,
            printer,
            parts,
            sender: sender.attaching(attaching),
            received,
        }
    }

    async fn round(&mut self) -> Vec<Parcel> {
        let round = self.sender.round(&CancellationToken::new()).await.unwrap();
        assert_ne!(round, Round::Unreachable);
        let mut parcels = Vec::new();
        while let Ok(parcel) = self.received.try_recv() {
            parcels.push(parcel);
        }
        parcels
    }

    async fn one(&mut self) -> Parcel {
        let mut parcels = self.round().await;
        assert_eq!(parcels.len(), 1, "{parcels:?}");
        parcels.remove(0)
    }
}

fn calendar(parcel: &Parcel) -> String {
    let entry = parcel
        .attachments
        .iter()
        .find(|one| one.name == "event.ics")
        .unwrap();
    // Folded lines are put together again.
    String::from_utf8(entry.bytes.to_vec())
        .unwrap()
        .replace("\r\n ", "")
}

fn html(parcel: &Parcel) -> &str {
    let Content::Email { html, .. } = &parcel.content else {
        panic!("{parcel:?}")
    };
    html
}

#[tokio::test]
async fn a_ticket_brings_its_page_its_picture_and_an_entry_which_later_letters_change() {
    let mut mail = Post::new();
    let asha = mail.lab.users.add(Some("Asha"), "asha@example.com", None);
    let facts = event(TimeDelta::days(3));
    let fact = confirmed(asha, &facts);
    mail.parts.receive(vec![confirmation(&fact)]).await;
    let ticket = mail.one().await;
    let names: Vec<_> = ticket.attachments.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["ticket-qr", "ticket-7KQM-2XRT-9FHB.pdf", "event.ics"]);
    assert_eq!(&*ticket.attachments[1].bytes, b"%PDF for Asha");
    assert!(html(&ticket).contains("src=\"cid:ticket-qr\""));
    let entry = calendar(&ticket);
    let uid = format!("UID:{}@organise-event\r\n", fact.registration_id);
    for line in [
        uid.as_str(),
        "METHOD:REQUEST\r\n",
        "ORGANIZER;CN=\"Organise Event\":mailto:no-reply@localhost\r\n",
        ":mailto:asha@example.com\r\n",
        "Ticket: 7KQM-2XRT-9FHB",
    ] {
        assert!(entry.contains(line), "{line} is missing in {entry}");
    }
    assert!(
        entry.contains(&format!("SEQUENCE:{}\r\n", facts.version)),
        "{entry}"
    );
    let moved = common::wire::EventFacts {
        starts_at: facts.starts_at + TimeDelta::days(1),
        version: facts.version + 1,
        schedule_version: facts.schedule_version + 1,
        ..facts.clone()
    };
    mail.parts.receive(vec![change(&moved)]).await;
    let changes = Announcements {
        parts: mail.parts.clone(),
    };
    while changes.round().await.unwrap() {}
    let told = mail.one().await;
    let entry = calendar(&told);
    assert!(
        entry.contains(&uid) && entry.contains("METHOD:REQUEST"),
        "{entry}"
    );
    assert!(
        entry.contains(&format!("SEQUENCE:{}\r\n", moved.version)),
        "{entry}"
    );
    assert_eq!(told.attachments.len(), 1);
    assert!(!html(&told).contains("cid:"));
    let ended = common::wire::RegistrationConfirmed {
        event: moved.clone(),
        ..fact
    };
    mail.parts.receive(vec![end(&ended, EndReason::Attendee)]).await;
    let entry = calendar(&mail.one().await);
    for line in [uid.as_str(), "METHOD:CANCEL\r\n", "STATUS:CANCELLED\r\n"] {
        assert!(entry.contains(line), "{line} is missing in {entry}");
    }
    assert!(
        entry.contains(&format!("SEQUENCE:{}\r\n", moved.version + 1)),
        "{entry}"
    );
}

#[tokio::test]
async fn a_ticket_waits_for_its_page_and_then_goes_without() {
    let mut mail = Post::new();
    let asha = mail.lab.users.add(Some("Asha"), "asha@example.com", None);
    let fact = confirmed(asha, &event(TimeDelta::days(3)));
    mail.parts.receive(vec![confirmation(&fact)]).await;
    mail.printer.answers(503);
    for _ in 0..3 {
        assert_eq!(mail.round().await, []);
        mail.lab.clock.set(mail.lab.clock.now() + TimeDelta::hours(3));
    }
    let ticket = mail.one().await;
    assert_eq!(ticket.attachments.len(), 1, "{:?}", ticket.attachments);
    assert!(!html(&ticket).contains("cid:"));
}

#[tokio::test]
async fn a_try_with_a_printer_that_is_silent_ends_within_its_lease() {
    let lease = Duration::from_secs(1);
    let mut mail = Post::with_lease(lease);
    let asha = mail.lab.users.add(Some("Asha"), "asha@example.com", None);
    let fact = confirmed(asha, &event(TimeDelta::days(3)));
    mail.parts.receive(vec![confirmation(&fact)]).await;
    mail.printer.answers(SILENT);
    for _ in 0..3 {
        let round = tokio::time::timeout(lease, mail.round()).await;
        assert_eq!(round.expect("the lease ran out"), []);
        mail.lab.clock.set(mail.lab.clock.now() + TimeDelta::hours(3));
    }
    let ticket = tokio::time::timeout(lease, mail.one()).await;
    let ticket = ticket.expect("the lease ran out");
    assert_eq!(ticket.attachments.len(), 1, "{:?}", ticket.attachments);
}

#[tokio::test]
async fn what_ended_meanwhile_has_no_page_and_does_not_wait() {
    for status in [404, 409] {
        let mut mail = Post::new();
        let asha = mail.lab.users.add(Some("Asha"), "asha@example.com", None);
        let fact = confirmed(asha, &event(TimeDelta::days(3)));
        mail.parts.receive(vec![confirmation(&fact)]).await;
        mail.printer.answers(status);
        let ticket = mail.one().await;
        assert_eq!(ticket.attachments.len(), 1, "{:?}", ticket.attachments);
    }
}

#[tokio::test]
async fn a_cancellation_by_the_organizer_says_what_they_say() {
    let mut mail = Post::new();
    for (locale, cancelled, back) in [
        (
            "en",
            "The organizer has cancelled your registration",
            "₹200 of what you paid come back",
        ),
        ("hi", "आयोजक ने", "₹200 लौटा दिए जाएँगे"),
    ] {
        let asha = mail.lab.users.add(Some("Asha"), "asha@example.com", None);
        mail.lab.users.reads(asha, locale);
        let fact = confirmed(asha, &event(TimeDelta::days(3)));
        mail.parts.receive(vec![confirmation(&fact)]).await;
        mail.round().await;
        let ended = RegistrationEnded {
            refund: Some(Paise(20_000)),
            words: Some("<b>See you</b> in June".to_owned()),
            ..end(&fact, EndReason::Organizer).data().unwrap()
        };
        let ended = cloud_event(kind::REGISTRATION_ENDED, fact.registration_id.0, &ended);
        mail.parts.receive(vec![ended]).await;
        let letter = mail.one().await;
        let Content::Email { text, html, .. } = &letter.content else {
            panic!("{letter:?}")
        };
        for words in [cancelled, back, "<b>See you</b> in June"] {
            assert!(text.contains(words), "{words} is missing in {text}");
        }
        assert!(html.contains("&lt;b&gt;See you&lt;&#x2f;b&gt; in June"), "{html}");
        assert!(!text.contains("Should you change your mind"));
    }
}
