//! `Idempotency-Key`: an unsafe request sent again has one effect and one answer.

use common::auth::Role;
use reqwest::Method;
use serde_json::json;
use tests::{Options, Person, System, Topology};
use tokio::task::JoinSet;

use crate::everywhere;

everywhere!(a_repeat_gets_the_first_answer, fifty_at_once);

async fn a_repeat_gets_the_first_answer(topology: Topology) {
    let mut system = System::start(topology, Options::default()).await;
    let organizer = system.stranger(Role::Organizer);
    let user = system.stranger(Role::User);
    let body = json!({"e_name": "Once", "e_details": "Only", "event_time": "2031-01-01T10:00:00", "event_add": "Here",
                      "capacity": 5, "fees": 500});
    let create = "/api/organiser/create_event";
    let first = organizer.post_keyed(create, "k-1", body.clone()).await;
    first.expect(201);
    assert!(!first.headers.contains_key("idempotency-replayed"));
    let event = first.json()["event_id"].as_str().unwrap().to_owned();
    let pay = "/api/payment/process_payment";
    let paid = user
        .post_keyed(pay, "k-1", user.payment(&event, json!(500)))
        .await;
    paid.expect(200);

    system.terminate();
    system.start_again().await; // keys live in the store, not in a process
    let mut reordered = json!({"fees": 500, "capacity": 5});
    reordered
        .as_object_mut()
        .unwrap()
        .extend(body.as_object().unwrap().clone());
    let again = organizer.post_keyed(create, "k-1", reordered).await;
    assert_eq!(
        (again.status, &again.text),
        (first.status, &first.text),
        "byte for byte"
    );
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(
        organizer
            .get("/api/organiser/events")
            .await
            .expect(200)
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let again = user
        .post_keyed(pay, "k-1", user.payment(&event, json!(500)))
        .await;
    assert_eq!(
        (again.status, &again.text),
        (paid.status, &paid.text),
        "byte for byte"
    );

    let mut other = body.clone();
    other["e_name"] = json!("Twice");
    let refused = organizer
        .post_keyed(create, "k-1", other.clone())
        .await
        .problem(422, "idempotency_key_reused");
    assert_eq!(refused["message"], "Error creating event.");
    organizer.post_keyed(create, "k-2", other).await.expect(201);
    // The key is the caller's own, and belongs to one route.
    system
        .stranger(Role::Organizer)
        .post_keyed(create, "k-1", body.clone())
        .await
        .expect(201);
    let registered = organizer
        .post_keyed("/api/reg/register_event", "k-1", json!({"event_id": event}))
        .await;
    registered.expect(201);
    // A refusal is not kept: what was wrong may be put right.
    let wrong = json!({"event_id": event, "amount": 1, "user_id": organizer.id, "payment_method": "upi"});
    organizer
        .post_keyed(pay, "k-3", wrong)
        .await
        .problem(409, "amount_mismatch");
    let right = organizer.payment(&event, json!(500));
    organizer.post_keyed(pay, "k-3", right).await.expect(200);
    // Calls without a body take a key too.
    let path = format!(
        "/api/reg/registrations/{}",
        registered.json()["registration_id"].as_str().unwrap()
    );
    let delete = || organizer.send(Method::DELETE, &path, None, &[("idempotency-key", "k-4")]);
    assert_eq!(
        delete().await.unwrap().expect(200),
        delete().await.unwrap().expect(200)
    );
    let long = "k".repeat(256);
    organizer
        .post_keyed(create, &long, body)
        .await
        .problem(422, "validation_failed");
}

async fn fifty_at_once(topology: Topology) {
    let system = System::start(topology, Options::default()).await;
    let organizer = system.stranger(Role::Organizer);
    let event = organizer.create_event(json!(100), json!(500)).await;
    let user = system.stranger(Role::User);
    let mut tasks = JoinSet::new();
    for index in 0..50 {
        let (user, event): (Person, String) = (user.clone(), event.clone());
        tasks.spawn(async move {
            let (path, body) = match index % 2 {
                0 => ("/api/reg/register_event", json!({"event_id": event})),
                _ => ("/api/payment/process_payment", user.payment(&event, json!(500))),
            };
            (path, user.post_keyed(path, "the key", body).await)
        });
    }
    let answers = tasks.join_all().await;
    for path in ["/api/reg/register_event", "/api/payment/process_payment"] {
        let mut bodies = std::collections::BTreeSet::new();
        for (_, answer) in answers.iter().filter(|(of, _)| *of == path) {
            match answer.status.as_u16() {
                200 | 201 => drop(bodies.insert(answer.text.clone())),
                409 => drop(answer.problem(409, "")),
                other => panic!("{other}: {}", answer.text),
            }
        }
        assert!(bodies.len() <= 1, "{path} gave different answers: {bodies:?}");
    }
    let registered = system
        .anyone()
        .get(&format!("/api/events/{event}"))
        .await
        .expect(200)["registered"]
        .clone();
    assert_eq!(registered, 1);
    let payments = user.get("/api/payment/payments").await.expect(200);
    assert!(payments.as_array().unwrap().len() <= 1, "{payments}");
}
