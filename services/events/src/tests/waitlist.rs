//! The waitlist over HTTP, with its worker.

use axum::http::Method;
use chrono::TimeDelta;
use common::{
    ids::{EventId, new_id},
    outbox::CloudEvent,
    time::utc,
    wire::{AccountDeleted, WaitlistOffered, kind},
};
use serde_json::{Value, json};

use super::{
    failing_store::Trouble,
    kit::{Answer, CREATE, Call, Person, Service, eventually},
};

/// The default of `OFFER_SECONDS`.
const OFFER: TimeDelta = TimeDelta::hours(4);
const LIST: &str = "/api/reg/waitlist";

impl Service {
    async fn wait_for(&self, who: &Person, event: &str) -> Answer {
        self.post(who, &format!("{LIST}/{event}"), &Value::Null).await
    }

    async fn give_up(&self, who: &Person, event: &str) -> Answer {
        let path = format!("{LIST}/{event}");
        self.send(Call::new(Method::DELETE, &path, &Value::Null).by(who))
            .await
    }

    async fn place(&self, who: &Person) -> Value {
        self.get(who, LIST).await.is(200).body[0].clone()
    }

    async fn is(&self, who: &Person, status: &str) -> Value {
        eventually(async || {
            let place = self.place(who).await;
            (place["status"] == status).then_some(place)
        })
        .await
    }

    async fn cancels(&self, who: &Person, registered: &Answer) {
        let path = format!("/api/reg/registrations/{}", registered.text("registration_id"));
        let cancel = Call::new(Method::DELETE, &path, &Value::Null).by(who);
        self.send(cancel).await.is(200);
    }

    /// The offers of which notifications is told.
    async fn offers(&self) -> Vec<WaitlistOffered> {
        let waiting = self
            .app
            .store
            .outbox()
            .due("notifications", self.now(), 1_000)
            .await;
        let offers = waiting.unwrap().into_iter().map(|message| message.event);
        let offers = offers.filter(|event| event.kind == kind::WAITLIST_OFFERED);
        offers.map(|event| event.data().unwrap()).collect()
    }
}

#[tokio::test]
async fn a_freed_seat_is_held_for_the_first_and_then_for_the_next() {
    let service = Service::start();
    service.work();
    let (organizer, asha, ravi, mina) = (
        service.organizer(),
        service.user(),
        service.user(),
        service.user(),
    );
    let event = service.event(&organizer, Some(1), 0).await;
    let registered = service.register(&asha, &event).await.is(201);
    let joined = service.wait_for(&ravi, &event).await.is(201);
    assert_eq!(joined.body["message"], "You are on the waitlist.");
    assert_eq!(
        (&joined.body["status"], &joined.body["position"]),
        (&json!("waiting"), &json!(1))
    );
    assert_eq!(joined.body["event_name"], "Rust evening");
    let second = service.wait_for(&mina, &event).await.is(201);
    assert_eq!(second.body["position"], 2);
    assert_eq!(service.seats(&event).await, (1.into(), 0.into()));

    service.cancels(&asha, &registered).await;
    service.register(&asha, &event).await.fails(409, "event_full");
    let offered = service.is(&ravi, "offered").await;
    assert_eq!(offered["offer_expires_at"], utc(service.now() + OFFER));
    assert_eq!(offered["position"], Value::Null);
    assert_eq!(service.place(&mina).await["position"], 1);
    // Offers are no registrations, and no free seats either.
    assert_eq!(service.seats(&event).await, (0.into(), 0.into()));
    assert_eq!(service.offers().await.len(), 1);

    service.after(OFFER);
    assert_eq!(service.place(&ravi).await["status"], "expired");
    service.is(&mina, "offered").await;
    service.register(&ravi, &event).await.fails(409, "event_full");
    let taken = service.register(&mina, &event).await.is(201);
    assert_eq!(taken.body["status"], "confirmed");
    assert_eq!(service.place(&mina).await["status"], "registered");
    assert_eq!(service.seats(&event).await, (1.into(), 0.into()));
    let told: Vec<_> = service.offers().await.iter().map(|offer| offer.user_id).collect();
    assert_eq!(told, [ravi.id, mina.id]);
}

#[tokio::test]
async fn a_paid_seat_that_was_offered_is_held_for_its_payment() {
    let service = Service::start();
    service.work();
    let (organizer, asha, ravi) = (service.organizer(), service.user(), service.user());
    let event = service.event(&organizer, Some(1), 500).await;
    service.register(&asha, &event).await.is(201);
    service.wait_for(&ravi, &event).await.is(201);
    // Asha's hold runs out unpaid.
    service.after(TimeDelta::seconds(900));
    service.is(&ravi, "offered").await;
    let held = service.register(&ravi, &event).await.is(201);
    assert_eq!(held.body["status"], "pending_payment");
    assert_eq!(
        held.body["hold_expires_at"],
        utc(service.now() + TimeDelta::seconds(900))
    );
    service
        .wait_for(&ravi, &event)
        .await
        .fails_with(409, "already_registered", &MORE);
}

const MORE: [&str; 3] = ["amount_due", "registration_id", "registration_status"];

#[tokio::test]
async fn who_cannot_wait_learns_why() {
    let service = Service::start();
    let (organizer, asha, ravi) = (service.organizer(), service.user(), service.user());
    let (open, full) = (
        service.event(&organizer, Some(1), 0).await,
        service.event(&organizer, Some(1), 0).await,
    );
    service.register(&asha, &full).await.is(201);
    for (event, status, code) in [
        (&open, 409, "seats_available"),
        (&service.event(&organizer, None, 0).await, 409, "seats_available"),
        (&EventId::new().to_string(), 404, "event_not_found"),
        (&"no-id".to_owned(), 404, "event_not_found"),
    ] {
        service.wait_for(&ravi, event).await.fails(status, code);
    }
    service
        .wait_for(&asha, &full)
        .await
        .fails_with(409, "already_registered", &MORE);
    service.give_up(&ravi, &full).await.fails(404, "not_waiting");
    service
        .give_up(&ravi, &EventId::new().to_string())
        .await
        .fails(404, "event_not_found");
    service.wait_for(&ravi, &full).await.is(201);
    let again = service.wait_for(&ravi, &full).await;
    let again = again.fails_with(
        409,
        "already_waiting",
        &["waitlist_status", "position", "offer_expires_at"],
    );
    assert_eq!(
        (&again.body["waitlist_status"], &again.body["position"]),
        (&json!("waiting"), &json!(1))
    );
    let left = service.give_up(&ravi, &full).await.is(200);
    assert_eq!(left.body["status"], "left");
    service.give_up(&ravi, &full).await.fails(404, "not_waiting");
    service.after(TimeDelta::days(1));
    service
        .wait_for(&ravi, &full)
        .await
        .fails(409, "registration_closed");
    let mut draft = service.draft(Some(1), 0);
    draft["e_name"] = json!("Off");
    let off = service.post(&organizer, CREATE, &draft).await.is(201);
    let off = off.text("event_id");
    service.register(&asha, off).await.is(201);
    service.wait_for(&ravi, off).await.is(201);
    let cancel = format!("/api/organiser/events/{off}/cancel");
    service.post(&organizer, &cancel, &Value::Null).await.is(200);
    assert_eq!(service.place(&ravi).await["status"], "closed");
    let mina = service.user();
    service.wait_for(&mina, off).await.fails(409, "event_cancelled");
    assert_eq!(service.get(&mina, LIST).await.is(200).body, json!([]));
}

#[tokio::test]
async fn a_line_that_fails_holds_up_no_other() {
    let service = Service::start();
    let (organizer, ravi, mina) = (service.organizer(), service.user(), service.user());
    let mut events = Vec::new();
    for who in [&ravi, &mina] {
        let asha = service.user();
        let event = service.event(&organizer, Some(1), 0).await;
        let registered = service.register(&asha, &event).await.is(201);
        service.wait_for(who, &event).await.is(201);
        service.cancels(&asha, &registered).await;
        events.push(event);
    }
    let bad = events[0].replace('-', "");
    service
        .sql(format!(
            "UPDATE events SET zone = 'Asia/Atlantis' WHERE id = x'{bad}'"
        ))
        .await;
    service.work();
    service.is(&mina, "offered").await;
    assert_eq!(service.offers().await.len(), 1);
}

#[tokio::test]
async fn a_store_that_comes_back_has_lost_no_offer() {
    let service = Service::start();
    let (organizer, asha, ravi) = (service.organizer(), service.user(), service.user());
    let event = service.event(&organizer, Some(1), 0).await;
    let registered = service.register(&asha, &event).await.is(201);
    service.wait_for(&ravi, &event).await.is(201);
    service.cancels(&asha, &registered).await;
    // The answer to the worker is lost, and it does the same again.
    service.store.fails(Trouble::AnswersOfChanges);
    service.work();
    service.is(&ravi, "offered").await;
    service.store.works();
    service.register(&ravi, &event).await.is(201);
    assert_eq!(service.offers().await.len(), 1);
}

#[tokio::test]
async fn a_place_goes_with_its_account() {
    let service = Service::start();
    let (organizer, asha, ravi, mina) = (
        service.organizer(),
        service.user(),
        service.user(),
        service.user(),
    );
    let event = service.event(&organizer, Some(1), 0).await;
    service.register(&asha, &event).await.is(201);
    service.wait_for(&ravi, &event).await.is(201);
    service.wait_for(&mina, &event).await.is(201);
    let export = async |who: &Person| {
        let question = json!({"user_id": who.id, "section": "waitlist", "after": null});
        service.ask("/internal/export", &question).await.is(200).body["items"].clone()
    };
    assert_eq!(export(&ravi).await[0]["event_id"], event);
    let data = serde_json::value::to_raw_value(&AccountDeleted { user_id: ravi.id }).unwrap();
    let message = json!({"specversion": "1.0", "id": new_id(), "source": "/users", "type": kind::ACCOUNT_DELETED,
        "subject": ravi.id, "time": service.now(), "datacontenttype": "application/json", "data": data});
    let _: CloudEvent = serde_json::from_value(message.clone()).unwrap();
    service.ask("/internal/messages", &json!([message])).await.is(200);
    assert_eq!(export(&ravi).await, json!([]));
    assert_eq!(service.place(&mina).await["position"], 1);
    let attendees = json!({"event_id": event, "to": "waitlist", "after": null, "limit": 10});
    let waiting = service
        .ask("/internal/events/attendees", &attendees)
        .await
        .is(200);
    let waiting = waiting.body["attendees"].as_array().unwrap().clone();
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0]["user_id"], json!(mina.id));
}
