//! What an account has here: asked for, and ended with it.

use common::ids::new_id;
use common::{
    outbox::CloudEvent,
    wire::{AccountDeleted, kind},
};

use super::kit::*;
use chrono::TimeDelta;
use serde_json::{Value, json};

impl Service {
    async fn open(&self, who: &Person) -> Value {
        let body = json!({"user_id": who.id});
        self.ask("/internal/events/open", &body).await.is(200).body["open"].clone()
    }

    async fn export(&self, who: &Person, section: &str) -> Vec<Value> {
        let (mut items, mut after) = (Vec::new(), Value::Null);
        loop {
            let body = json!({"user_id": who.id, "section": section, "after": after});
            let page = self.ask("/internal/export", &body).await.is(200).body;
            items.extend(page["items"].as_array().unwrap().clone());
            after = page["next"].clone();
            if after.is_null() {
                return items;
            }
        }
    }

    async fn account_deleted(&self, who: &Person) -> Value {
        let data = serde_json::value::to_raw_value(&AccountDeleted { user_id: who.id }).unwrap();
        let message = json!({"specversion": "1.0", "id": new_id(), "source": "/users", "type": kind::ACCOUNT_DELETED,
            "subject": who.id, "time": self.now(), "datacontenttype": "application/json", "data": data});
        let _: CloudEvent = serde_json::from_value(message.clone()).unwrap();
        let receipts = self
            .ask("/internal/messages", &json!([message]))
            .await
            .is(200)
            .body;
        receipts[0]["status"].clone()
    }
}

#[tokio::test]
async fn open_events_are_those_that_people_can_still_come_to() {
    let service = Service::start();
    let (organizer, other) = (service.organizer(), service.organizer());
    assert_eq!(service.open(&organizer).await, 0);
    service.event(&organizer, None, 0).await;
    let called_off = service.event(&organizer, None, 0).await;
    service.event(&other, None, 0).await;
    let cancel = format!("/api/organiser/events/{called_off}/cancel");
    service.post(&organizer, &cancel, &json!({})).await.is(200);
    assert_eq!(service.open(&organizer).await, 1);
    service.after(TimeDelta::days(2));
    assert_eq!(service.open(&organizer).await, 0, "it has begun");
}

#[tokio::test]
async fn a_draft_keeps_no_account_and_goes_with_it() {
    let service = Service::start();
    let organizer = service.organizer();
    let mut body = service.draft(None, 0);
    body["draft"] = json!(true);
    service.post(&organizer, CREATE, &body).await.is(201);
    assert_eq!(service.open(&organizer).await, 0);
    // Its time has come and gone.
    service.after(TimeDelta::days(2));
    assert_eq!(service.account_deleted(&organizer).await, "accepted");
    let held = service.export(&organizer, "events").await;
    assert_eq!((held.len(), &held[0]["status"]), (1, &json!("cancelled")));
}

#[tokio::test]
async fn a_deleted_account_ends_what_it_has_for_events_to_come() {
    let service = Service::start();
    let (organizer, user, other) = (service.organizer(), service.user(), service.user());
    let past = service.event(&organizer, None, 0).await;
    service.register(&user, &past).await.is(201);
    service.after(TimeDelta::days(2));
    let mut events = Vec::new();
    // More than are looked at together.
    for fees in (0..102).map(|n| u32::from(n == 0) * 500) {
        let event = service.event(&organizer, Some(1), fees).await;
        service.register(&user, &event).await.is(201);
        events.push(event);
    }
    let theirs = service.event(&organizer, None, 0).await;
    service.register(&other, &theirs).await.is(201);
    // The organizer made one more in the moment in which the account went.
    service.event(&user_as_organizer(&service, &user), None, 0).await;
    assert_eq!(service.open(&user).await, 1);
    for _ in 0..2 {
        assert_eq!(service.account_deleted(&user).await, "accepted");
    }
    assert_eq!(service.open(&user).await, 0);
    for event in &events {
        assert_eq!(service.seats(event).await.1, 1, "the seat is free");
    }
    let registrations = service.export(&user, "registrations").await;
    assert_eq!(registrations.len(), 103);
    let live: Vec<&Value> = registrations
        .iter()
        .filter(|one| one["status"] == "confirmed")
        .collect();
    assert!(
        live.len() == 1 && live[0]["event_id"] == past.as_str(),
        "the past stays"
    );
    assert_eq!(service.export(&other, "registrations").await.len(), 1);
    assert_eq!(service.export(&organizer, "events").await.len(), 104);
    assert_eq!(service.export(&other, "events").await, [] as [Value; 0]);
    let wrong = json!({"user_id": user.id, "section": "secrets"});
    service.ask("/internal/export", &wrong).await.is(404);
}

fn user_as_organizer(service: &Service, user: &Person) -> Person {
    let auth = service.context.auth("users");
    let life = std::time::Duration::from_secs(30 * 24 * 3600);
    let token = auth
        .user_token(user.id, common::auth::Role::Organizer, life)
        .unwrap();
    Person { id: user.id, token }
}

#[tokio::test]
async fn a_store_that_is_away_ends_the_account_later() {
    let service = Service::start();
    let (organizer, user) = (service.organizer(), service.user());
    let event = service.event(&organizer, Some(1), 0).await;
    service.register(&user, &event).await.is(201);
    service.store.fails(super::failing_store::Trouble::Changes(
        common::store::StoreError::Unavailable("away".to_owned()),
    ));
    assert_eq!(service.account_deleted(&user).await, "retry");
    service.store.works();
    assert_eq!(service.seats(&event).await.1, 0);
    assert_eq!(service.account_deleted(&user).await, "accepted");
    assert_eq!(service.seats(&event).await.1, 1);
}

#[tokio::test]
async fn what_was_said_goes_with_the_account() {
    let service = Service::start();
    let organizer = service.organizer();
    let event = service.event(&organizer, None, 0).await;
    let user = service.user();
    service.register(&user, &event).await.is(201);
    let chat = format!("/api/live/events/{event}/chat");
    service
        .post(&user, &chat, &json!({"text": "It was me."}))
        .await
        .is(201);
    let questions = format!("/api/live/events/{event}/questions");
    let asked = service
        .post(&organizer, &questions, &json!({"text": "Who?"}))
        .await
        .is(201);
    let vote = format!("{questions}/{}/vote", asked.text("question_id"));
    service.post(&user, &vote, &json!(null)).await.is(200);
    let voted = service.export(&user, "votes").await;
    assert_eq!(voted[0]["post_id"], asked.body["question_id"]);
    let exported = service.export(&user, "posts").await;
    assert_eq!(
        (&exported[0]["text"], &exported[0]["kind"]),
        (&json!("It was me."), &json!("chat"))
    );
    assert_eq!(service.account_deleted(&user).await, "accepted");
    assert_eq!(service.get(&organizer, &chat).await.is(200).body, json!([]));
    assert_eq!(service.export(&user, "posts").await, [Value::Null; 0]);
}
