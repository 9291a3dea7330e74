//! Tickets as files: what they hold, whose they are, and until when.

use axum::http::{Method, header};
use common::ids::{EventId, RegistrationId, TicketId};
use serde_json::Value;
use tickets::{SignedTicket, TicketKeys};

use super::kit::{Call, Person, Service};

struct Sold {
    service: Service,
    asha: Person,
    event: String,
    registration: String,
    ticket: Value,
}

async fn sold() -> Sold {
    let service = Service::start();
    let asha = service.user();
    let event = service.event(&service.organizer(), None, 0).await;
    let registered = service.register(&asha, &event).await.is(201);
    Sold {
        registration: registered.text("registration_id").to_owned(),
        ticket: registered.body["ticket"].clone(),
        service,
        asha,
        event,
    }
}

impl Sold {
    async fn file(&self, of: &Person, extension: &str) -> super::kit::Answer {
        let path = format!("/api/reg/registrations/{}/ticket.{extension}", self.registration);
        self.service.get(of, &path).await
    }

    async fn by_code(&self, code: &str) -> super::kit::Answer {
        let path = format!("/api/reg/tickets/{code}");
        self.service.send(Call::get(&path).anybody()).await
    }
}

#[tokio::test]
async fn a_ticket_is_a_page_a_picture_and_an_entry() {
    let sold = sold().await;
    for (extension, kind, begin) in [
        ("pdf", "application/pdf", b"%PDF-".as_slice()),
        ("svg", "image/svg+xml", b"<?xml"),
        ("png", "image/png", b"\x89PNG"),
        ("ics", "text/calendar; charset=utf-8", b"BEGIN:VCALENDAR\r\n"),
    ] {
        let answer = sold.file(&sold.asha, extension).await.is(200);
        assert_eq!(answer.headers[header::CONTENT_TYPE], kind);
        assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
        assert!(answer.bytes.starts_with(begin), "{extension}");
        let name = answer.headers[header::CONTENT_DISPOSITION].to_str().unwrap();
        let code = sold.ticket["code"].as_str().unwrap();
        assert!(
            name.ends_with(&format!("filename=\"ticket-{code}.{extension}\"")),
            "{name}"
        );
    }
    let entry = sold.file(&sold.asha, "ics").await.is(200);
    let entry = String::from_utf8(entry.bytes.to_vec()).unwrap();
    assert!(
        entry.contains(&format!("UID:{}@organise-event", sold.registration)),
        "{entry}"
    );
    assert!(
        entry.contains("METHOD:PUBLISH") && entry.contains("DTSTART;TZID=Asia/Kolkata:"),
        "{entry}"
    );
}

#[tokio::test]
async fn the_signed_ticket_says_what_it_admits_to() {
    let sold = sold().await;
    let shown = sold
        .service
        .get(
            &sold.asha,
            &format!("/api/reg/registrations/{}", sold.registration),
        )
        .await
        .is(200);
    assert_eq!(shown.body["ticket"], sold.ticket);
    let signed = sold.ticket["qr"].as_str().unwrap();
    let read = sold.service.app.tickets.keys().read(signed).unwrap();
    let expected = SignedTicket {
        ticket_id: TicketId::lenient(sold.ticket["ticket_id"].as_str().unwrap()),
        event_id: EventId::lenient(&sold.event),
    };
    assert_eq!(read, expected);
    let key = sold
        .service
        .send(Call::get("/api/events/ticket_key").anybody())
        .await
        .is(200);
    assert_eq!(key.body["crv"], "Ed25519");
    assert_eq!(key.body["keys"].as_array().unwrap().len(), 1);
    assert_eq!(key.body["keys"][0]["kid"], key.body["kid"]);
    let other = TicketKeys::new(&"x".repeat(32).into(), None).unwrap();
    assert!(other.read(signed).is_err());
}

#[tokio::test]
async fn a_ticket_is_its_holders() {
    let sold = sold().await;
    let other = sold.service.user();
    for extension in ["pdf", "svg", "png", "ics"] {
        sold.file(&other, extension)
            .await
            .fails(404, "registration_not_found");
        let nobody = format!(
            "/api/reg/registrations/{}/ticket.{extension}",
            RegistrationId::new()
        );
        let answer = sold.service.get(&sold.asha, &nobody).await;
        answer.fails(404, "registration_not_found");
        sold.service.send(Call::get(&nobody).anybody()).await.is(401);
    }
}

#[tokio::test]
async fn a_code_alone_gives_the_page() {
    let sold = sold().await;
    let code = sold.ticket["code"].as_str().unwrap();
    let typed = code.replace('-', "").to_lowercase();
    for name in [format!("{code}.pdf"), format!("{typed}.pdf")] {
        let answer = sold.by_code(&name).await.is(200);
        assert!(answer.bytes.starts_with(b"%PDF-"));
    }
    for name in [
        code.to_owned(),
        "x.pdf".to_owned(),
        "0000-0000-0000-0000.pdf".to_owned(),
    ] {
        sold.by_code(&name).await.fails(404, "ticket_not_found");
    }
}

#[tokio::test]
async fn a_cancelled_registration_has_no_ticket() {
    let sold = sold().await;
    let path = format!("/api/reg/registrations/{}", sold.registration);
    let call = Call::new(Method::DELETE, &path, &Value::Null).by(&sold.asha);
    sold.service.send(call).await.is(200);
    for extension in ["pdf", "svg", "png", "ics"] {
        let answer =
            sold.file(&sold.asha, extension)
                .await
                .fails_with(409, "no_ticket", &["registration_status"]);
        assert_eq!(answer.body["registration_status"], "cancelled");
    }
    let code = format!("{}.pdf", sold.ticket["code"].as_str().unwrap());
    sold.by_code(&code).await.fails(404, "ticket_not_found");
}

#[tokio::test]
async fn a_held_seat_has_no_ticket() {
    let service = Service::start();
    let asha = service.user();
    let event = service.event(&service.organizer(), None, 500).await;
    let held = service.register(&asha, &event).await.is(201);
    assert_eq!(held.body["ticket"], Value::Null);
    let path = format!(
        "/api/reg/registrations/{}/ticket.pdf",
        held.text("registration_id")
    );
    let answer = service
        .get(&asha, &path)
        .await
        .fails_with(409, "no_ticket", &["registration_status"]);
    assert_eq!(answer.body["registration_status"], "pending_payment");
}
