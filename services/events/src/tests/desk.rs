//! The desk and the door of an event.

use axum::http::{Method, header};
use chrono::TimeDelta;
use common::ids::{EventId, RegistrationId, TicketId};
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::kit::{Answer, Call, Person, Service};

struct Desk {
    service: Service,
    organizer: Person,
    event: String,
}

struct Guest {
    person: Person,
    registration: String,
    ticket: Value,
}

impl Desk {
    async fn open(fees: u32) -> Self {
        let service = Service::start();
        let organizer = service.organizer();
        let event = service.event(&organizer, None, fees).await;
        Self {
            service,
            organizer,
            event,
        }
    }

    fn path(&self, rest: &str) -> String {
        format!("/api/organiser/events/{}/{rest}", self.event)
    }

    async fn guest(&self) -> Guest {
        let person = self.service.user();
        let registered = self.service.register(&person, &self.event).await.is(201);
        Guest {
            registration: registered.text("registration_id").to_owned(),
            ticket: registered.body["ticket"].clone(),
            person,
        }
    }

    async fn scan(&self, body: Value) -> Answer {
        self.service
            .post(&self.organizer, &self.path("check_in"), &body)
            .await
    }

    async fn stats(&self) -> Value {
        let answer = self.service.get(&self.organizer, &self.path("stats")).await;
        answer.is(200).body
    }
}

#[tokio::test]
async fn a_door_admits_each_ticket_once() {
    let desk = Desk::open(0).await;
    let guest = desk.guest().await;
    let (code, qr) = (guest.ticket["code"].as_str().unwrap(), &guest.ticket["qr"]);
    let typed = code.replace('-', " ").to_lowercase();
    let admitted = desk
        .scan(json!({"code": typed, "nonce": "1", "gate": "North"}))
        .await
        .is(200);
    assert_eq!(admitted.body["result"], "admitted");
    assert_eq!(admitted.body["ticket"]["ticket_id"], guest.ticket["ticket_id"]);
    assert_eq!(admitted.body["gate"], "North");
    // The users service is away here: the door opens all the same.
    assert_eq!(admitted.body["name"], Value::Null);
    desk.service.after(TimeDelta::seconds(3));
    let again = desk.scan(json!({"code": qr, "nonce": "1"})).await.is(200);
    assert_eq!(again.body, admitted.body);
    let refused = desk.scan(json!({"code": qr, "nonce": "2"})).await;
    let refused = refused.fails_with(409, "already_checked_in", &["checked_in_at", "gate"]);
    assert_eq!(refused.body["checked_in_at"], admitted.body["checked_in_at"]);
    assert_eq!(refused.body["gate"], "North");
    assert_eq!(desk.stats().await["checked_in"], 1);
    let undo = format!("check_ins/{}", guest.ticket["ticket_id"].as_str().unwrap());
    let undo = desk.path(&undo);
    let undo = async || {
        let call = Call::new(Method::DELETE, &undo, &Value::Null).by(&desk.organizer);
        desk.service.send(call).await
    };
    undo().await.is(200);
    undo().await.fails(404, "check_in_not_found");
    assert_eq!(desk.stats().await["checked_in"], 0);
    desk.scan(json!({"code": qr})).await.is(200);
    let list = desk
        .service
        .get(&desk.organizer, &desk.path("stats?bucket=hour"))
        .await;
    assert_eq!(list.is(200).body["series"][0]["checked_in"], 1);
}

#[tokio::test]
async fn each_ticket_that_is_refused_says_why() {
    let desk = Desk::open(0).await;
    let guest = desk.guest().await;
    let elsewhere = desk.service.event(&desk.organizer, None, 0).await;
    let other = desk.service.register(&guest.person, &elsewhere).await.is(201);
    for code in ["code", "qr"] {
        let answer = desk.scan(json!({"code": other.body["ticket"][code]})).await;
        answer.fails(409, "wrong_event");
    }
    let path = format!("/api/reg/registrations/{}", guest.registration);
    let call = Call::new(Method::DELETE, &path, &Value::Null).by(&guest.person);
    desk.service.send(call).await.is(200);
    for code in ["code", "qr"] {
        let answer = desk.scan(json!({"code": guest.ticket[code]})).await;
        answer.fails(409, "ticket_cancelled");
    }
    let mut forged = guest.ticket["qr"].as_str().unwrap().to_owned();
    forged.replace_range(6..7, if &forged[6..7] == "A" { "B" } else { "A" });
    for code in [
        "x",
        "0000-0000-0000-0000",
        &forged,
        "OE1.",
        "OE1.e30.AAAA",
        "टिकट",
        &"9".repeat(1_000),
    ] {
        desk.scan(json!({"code": code}))
            .await
            .fails(422, "ticket_invalid");
    }
    for body in [
        json!({}),
        json!({"code": ""}),
        json!({"code": 7}),
        json!({"code": "x", "nonce": "y".repeat(101)}),
        json!({"code": "x", "gate": "a\nb"}),
        json!({"code": "9".repeat(1_001)}),
    ] {
        desk.scan(body).await.fails(422, "validation_failed");
    }
}

#[tokio::test]
async fn of_many_scanners_one_admits() {
    let desk = Desk::open(0).await;
    let guest = desk.guest().await;
    let scans =
        (0..20).map(|nonce| desk.scan(json!({"code": guest.ticket["code"], "nonce": nonce.to_string()})));
    let statuses: Vec<u16> = join_all(scans)
        .await
        .iter()
        .map(|answer| answer.status.as_u16())
        .collect();
    assert_eq!(
        statuses.iter().filter(|status| **status == 200).count(),
        1,
        "{statuses:?}"
    );
    assert_eq!(
        statuses.iter().filter(|status| **status == 409).count(),
        19,
        "{statuses:?}"
    );
    assert_eq!(desk.stats().await["checked_in"], 1);
}

#[tokio::test]
async fn a_desk_is_its_organizers() {
    let desk = Desk::open(0).await;
    let guest = desk.guest().await;
    let (other, nobody) = (desk.service.organizer(), EventId::new());
    let cancel = format!("registrations/{}/cancel", guest.registration);
    let undo = format!("check_ins/{}", TicketId::new());
    for (method, rest) in [
        (Method::POST, "check_in"),
        (Method::DELETE, undo.as_str()),
        (Method::GET, "registrations"),
        (Method::GET, "registrations.csv"),
        (Method::POST, cancel.as_str()),
        (Method::GET, "stats"),
    ] {
        let body = json!({"code": guest.ticket["code"]});
        let call = |path: &str| {
            let body = if method == Method::POST {
                &body
            } else {
                &Value::Null
            };
            Call::new(method.clone(), path, body)
        };
        let path = desk.path(rest);
        desk.service
            .send(call(&path).by(&other))
            .await
            .fails(404, "event_not_found");
        let by_guest = desk.service.send(call(&path).by(&guest.person)).await;
        by_guest.fails(403, "organizer_only");
        desk.service.send(call(&path).anybody()).await.is(401);
        let unknown = format!("/api/organiser/events/{nobody}/{rest}");
        let answer = desk.service.send(call(&unknown).by(&desk.organizer)).await;
        answer.fails(404, "event_not_found");
    }
    assert_eq!(desk.stats().await["confirmed"], 1);
}

#[tokio::test]
async fn a_registration_is_cancelled_for_its_attendee() {
    let desk = Desk::open(0).await;
    let (first, second) = (desk.guest().await, desk.guest().await);
    let cancel = |registration: &str| desk.path(&format!("registrations/{registration}/cancel"));
    let post = async |registration: &str, body: Value| {
        desk.service
            .post(&desk.organizer, &cancel(registration), &body)
            .await
    };
    for body in [
        json!({"refund": "half"}),
        json!({"refund": -1}),
        json!({"refund": "1.001"}),
        json!({"reason": "x".repeat(501)}),
    ] {
        post(&first.registration, body)
            .await
            .fails(422, "validation_failed");
    }
    let nobody = RegistrationId::new().to_string();
    post(&nobody, json!({}))
        .await
        .fails(404, "registration_not_found");
    let more = post(&first.registration, json!({"refund": 1})).await;
    more.fails_with(409, "refund_exceeds_payment", &["amount_paid"]);
    let cancelled = post(&first.registration, json!({"refund": "none", "reason": "Sorry"}))
        .await
        .is(200);
    assert_eq!(cancelled.text("status"), "cancelled");
    let again = post(&first.registration, json!({})).await;
    again.fails_with(409, "registration_ended", &["registration_status"]);
    // After the start too, which attendees cannot.
    desk.service.after(TimeDelta::days(2));
    let path = format!("/api/reg/registrations/{}", second.registration);
    let call = Call::new(Method::DELETE, &path, &Value::Null).by(&second.person);
    desk.service.send(call).await.fails(409, "event_started");
    post(&second.registration, Value::Null).await.is(200);
    let stats = desk.stats().await;
    assert_eq!((&stats["confirmed"], &stats["cancelled"]), (&json!(0), &json!(2)));
    assert_eq!(
        desk.service
            .messages("notifications")
            .await
            .iter()
            .filter(|kind| *kind == "registration.ended")
            .count(),
        2
    );
}

#[tokio::test]
async fn lists_need_the_names() {
    // The users service is away here.
    let desk = Desk::open(0).await;
    for rest in ["registrations", "registrations.csv"] {
        let empty = desk.service.get(&desk.organizer, &desk.path(rest)).await.is(200);
        assert!(empty.headers.contains_key(header::CONTENT_TYPE));
    }
    desk.guest().await;
    for rest in ["registrations", "registrations.csv", "registrations?q=asha"] {
        desk.service
            .get(&desk.organizer, &desk.path(rest))
            .await
            .unavailable();
    }
    for wrong in [
        "status=x",
        "checked_in=maybe",
        "limit=0",
        "cursor=x",
        "status=confirmed&status=expired",
    ] {
        let path = desk.path(&format!("registrations?{wrong}"));
        desk.service
            .get(&desk.organizer, &path)
            .await
            .fails(422, "validation_failed");
    }
    let wrong = desk.path("stats?bucket=week");
    desk.service
        .get(&desk.organizer, &wrong)
        .await
        .fails(422, "validation_failed");
}
