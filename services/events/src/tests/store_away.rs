//! Every public call when the store is overloaded, unavailable, read-only or corrupt.

use axum::{extract::Request, http::Method};
use common::store::StoreError;
use serde_json::{Value, json};

use super::{
    failing_store::Trouble,
    kit::{CREATE, Call, Person, REGISTER, Service},
};

/// A public call that works when the store does.
pub struct Public {
    pub name: &'static str,
    pub changes: bool,
    who: Option<Person>,
    method: Method,
    path: String,
    body: Value,
}

impl Public {
    pub fn request(&self, key: Option<&str>) -> Request {
        let mut call = Call::new(self.method.clone(), &self.path, &self.body);
        if let Some(key) = key {
            call = call.key(key);
        }
        match &self.who {
            Some(who) => call.by(who),
            None => call.anybody(),
        }
    }
}

/// Every public call, with the rows that it needs. Each succeeds once.
pub async fn every_public_call(service: &Service) -> Vec<Public> {
    let (organizer, asha, ravi) = (service.organizer(), service.user(), service.user());
    let event = service.event(&organizer, Some(3), 500).await;
    let called_off = service.event(&organizer, None, 0).await;
    let free = service.event(&organizer, Some(3), 0).await;
    let unpublished = {
        let mut body = service.draft(None, 0);
        body["draft"] = json!(true);
        let created = service.post(&organizer, CREATE, &body).await.is(201);
        created.text("event_id").to_owned()
    };
    let registered = service.register(&asha, &free).await.is(201);
    let registration = format!("/api/reg/registrations/{}", registered.text("registration_id"));
    let full = service.event(&organizer, Some(1), 0).await;
    service.register(&service.user(), &full).await.is(201);
    let line = format!("/api/reg/waitlist/{full}");
    service.post(&asha, &line, &Value::Null).await.is(201);
    let own = |id: &str| format!("/api/organiser/events/{id}");
    let reads = |name, who: Option<&Person>, path: &str| Public {
        name,
        changes: false,
        who: who.cloned(),
        method: Method::GET,
        path: path.to_owned(),
        body: Value::Null,
    };
    let changes = |name, who: &Person, method, path: &str, body| Public {
        name,
        changes: true,
        who: Some(who.clone()),
        method,
        path: path.to_owned(),
        body,
    };
    let cancel = format!("{}/cancel", own(&called_off));
    vec![
        reads("browse", None, "/api/events"),
        reads("search", None, "/api/events?q=rust"),
        reads("event", None, &format!("/api/events/{event}")),
        reads("own events", Some(&organizer), "/api/organiser/events"),
        reads("registrations", Some(&asha), "/api/reg/get_registrevent"),
        reads("registration", Some(&asha), &registration),
        reads("waitlist", Some(&asha), "/api/reg/waitlist"),
        changes(
            "create",
            &organizer,
            Method::POST,
            CREATE,
            service.draft(Some(9), 0),
        ),
        changes(
            "update",
            &organizer,
            Method::PATCH,
            &own(&event),
            json!({"event_add": "Hall 8"}),
        ),
        changes(
            "publish",
            &organizer,
            Method::POST,
            &format!("{}/publish", own(&unpublished)),
            Value::Null,
        ),
        changes(
            "duplicate",
            &organizer,
            Method::POST,
            &format!("{}/duplicate", own(&event)),
            json!({"event_time": "2031-01-01T10:00"}),
        ),
        changes("call off", &organizer, Method::POST, &cancel, Value::Null),
        changes(
            "register, free",
            &ravi,
            Method::POST,
            REGISTER,
            json!({"event_id": free}),
        ),
        changes(
            "register, paid",
            &ravi,
            Method::POST,
            REGISTER,
            json!({"event_id": event}),
        ),
        changes(
            "cancel a registration",
            &asha,
            Method::DELETE,
            &registration,
            Value::Null,
        ),
        changes("join the waitlist", &ravi, Method::POST, &line, Value::Null),
        changes("leave the waitlist", &asha, Method::DELETE, &line, Value::Null),
    ]
}

fn inside() -> String {
    "something about the inside".to_owned()
}

#[tokio::test]
async fn it_says_so_and_leaves_everything_as_it_was() {
    for (trouble, reads_go_on) in [
        (Trouble::All(StoreError::Overloaded), false),
        (Trouble::All(StoreError::Unavailable(inside())), false),
        (Trouble::Changes(StoreError::ReadOnly(inside())), true),
    ] {
        let service = Service::start();
        let calls = every_public_call(&service).await;
        let before = service.everything().await;
        service.store.fails(trouble.clone());
        for call in &calls {
            let answer = service.send(call.request(Some(call.name))).await;
            if reads_go_on && !call.changes {
                answer.is(200);
                continue;
            }
            let answer = answer.unavailable();
            let only_read = answer.text("detail").contains("only read");
            assert_eq!(only_read, reads_go_on, "{}: {trouble:?}", call.name);
            assert_eq!(service.everything().await, before, "{}: {trouble:?}", call.name);
        }
        // The key is still free.
        service.store.works();
        for call in &calls {
            let answer = service.send(call.request(Some(call.name))).await;
            assert!(
                answer.status.is_success() && !answer.is_replayed(),
                "{}: {answer:?}",
                call.name
            );
        }
    }
}

#[tokio::test]
async fn what_nobody_can_read_is_our_failure_and_is_not_shown() {
    let service = Service::start();
    let calls = every_public_call(&service).await;
    service.store.fails(Trouble::All(StoreError::Corrupt(inside())));
    for call in calls {
        let answer = service.send(call.request(None)).await;
        let answer = answer.fails(500, "internal_error");
        assert!(!answer.body.to_string().contains("inside"), "{}", call.name);
    }
}

#[tokio::test]
async fn a_change_whose_answer_was_lost_gives_it_again_under_its_key() {
    let service = Service::start();
    for call in every_public_call(&service).await {
        if !call.changes {
            continue;
        }
        service.store.fails(Trouble::AnswersOfChanges);
        let lost = service.send(call.request(Some(call.name))).await;
        lost.unavailable();
        service.store.works();
        let changed = service.everything().await;
        let again = service.send(call.request(Some(call.name))).await;
        assert!(
            again.status.is_success() && again.is_replayed(),
            "{}: {again:?}",
            call.name
        );
        assert_eq!(service.everything().await, changed, "{}", call.name);
    }
}

#[tokio::test]
async fn without_a_key_who_asks_again_hears_what_is_there() {
    let service = Service::start();
    let (organizer, asha) = (service.organizer(), service.user());
    let event = service.event(&organizer, Some(2), 500).await;
    service.store.fails(Trouble::AnswersOfChanges);
    service.register(&asha, &event).await.unavailable();
    service.store.works();
    let more = ["amount_due", "registration_id", "registration_status"];
    let again = service.register(&asha, &event).await;
    let again = again.fails_with(409, "already_registered", &more);
    assert_eq!(again.body["registration_status"], "pending_payment");
    assert_eq!(again.body["amount_due"], 500.0);
    assert_eq!(service.seats(&event).await, (1.into(), 1.into()));
}

#[tokio::test]
async fn other_services_hear_it_too() {
    let service = Service::start();
    let (organizer, asha) = (service.organizer(), service.user());
    let event = service.event(&organizer, Some(2), 500).await;
    let held = service.register(&asha, &event).await.is(201);
    let (registration, until) = (held.text("registration_id"), held.text("hold_expires_at"));
    let hold = json!({"registration_id": registration, "before": until, "until": until});
    let secure = json!({"registration_id": registration, "payment_id": registration, "amount": 50_000});
    let announce = json!({"announcement_id": registration, "event_id": event, "user_id": organizer.id, "text": "Doors open."});
    let calls = [
        (
            "/internal/registrations/claim",
            json!({"event_id": event, "user_id": asha.id}),
        ),
        ("/internal/registrations/secure", secure),
        ("/internal/registrations/release", hold),
        ("/internal/events/organizer", json!({"event_id": event})),
        ("/internal/events/announce", announce),
    ];
    let before = service.everything().await;
    for error in [StoreError::Overloaded, StoreError::Unavailable(inside())] {
        service.store.fails(Trouble::All(error));
        for (path, body) in &calls {
            service.ask(path, body).await.unavailable();
        }
    }
    service.store.works();
    assert_eq!(service.everything().await, before);
    for (path, body) in &calls {
        service.ask(path, body).await.is(200);
    }
}

#[tokio::test]
async fn readiness_tells_them_apart() {
    for (trouble, status, health) in [
        (Trouble::All(StoreError::Unavailable(inside())), 503, "down"),
        (Trouble::Changes(StoreError::ReadOnly(inside())), 200, "degraded"),
    ] {
        let service = Service::start();
        service.store.fails(trouble);
        let answer = service.send(Call::get("/health/ready").anybody()).await;
        assert_eq!(answer.status.as_u16(), status, "{health}");
        assert_eq!(answer.body["checks"]["store"], health, "{}", answer.body);
    }
}
