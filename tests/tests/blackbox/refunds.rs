//! Money that must go back goes back, once, and its payer hears of it.

use serde_json::json;
use tests::{Options, PATIENCE, Person, System, Topology, eventually};

use crate::everywhere;

everywhere!(
    cancelling_gives_the_money_back,
    a_cancelled_event_gives_all_money_back
);

async fn refunded(person: &Person, reason: &str) {
    eventually("the money is back", PATIENCE, async || {
        let payments = person.get("/api/payment/payments").await.expect(200);
        (payments[0]["status"] == "refunded" && payments[0]["refund"]["status"] == "processed").then(|| {
            assert_eq!(payments[0]["refund"]["reason"], reason);
            assert_eq!(payments.as_array().unwrap().len(), 1);
        })
    })
    .await;
    eventually("the payer is told", PATIENCE, async || {
        let told = person.messages().await;
        told.iter()
            .any(|(kind, channel, _)| kind == "payment_refunded" && channel == "email")
            .then_some(())
    })
    .await;
}

async fn cancelling_gives_the_money_back(topology: Topology) {
    let system = System::start(topology, Options::default()).await;
    let event = system
        .person("organizer")
        .await
        .create_event(json!(1), json!(500))
        .await;
    let person = system.person("user").await;
    person.pay(&event, json!(500)).await.expect(200);
    let mine = person.get("/api/reg/get_registrevent").await.expect(200);
    let path = format!(
        "/api/reg/registrations/{}",
        mine[0]["registration_id"].as_str().unwrap()
    );
    let cancelled = person.send(reqwest::Method::DELETE, &path, None, &[]).await;
    let cancelled = cancelled.unwrap().expect(200);
    refunded(&person, "attendee").await;
    // What was paid, by what and for which ticket stays known.
    for ended in [cancelled, person.get(&path).await.expect(200)] {
        assert_eq!(
            (&ended["status"], &ended["amount_paid"]),
            (&json!("cancelled"), &json!(500))
        );
        assert_eq!(ended["payment_id"], mine[0]["payment_id"]);
        assert_eq!(ended["ticket_id"], mine[0]["ticket"]["ticket_id"]);
        assert!(
            ended["ticket_id"].is_string() && ended["ticket"].is_null(),
            "{ended}"
        );
    }
    // The seat is free again, for the same person too, who pays anew.
    person.pay(&event, json!(500)).await.expect(200);
    person.is_confirmed(&event).await;
}

async fn a_cancelled_event_gives_all_money_back(topology: Topology) {
    let system = System::start(topology, Options::default()).await;
    let organizer = system.person("organizer").await;
    let event = organizer.create_event(json!(10), json!(500)).await;
    let mut people = Vec::new();
    for _ in 0..3 {
        let person = system.person("user").await;
        person.pay(&event, json!(500)).await.expect(200);
        people.push(person);
    }
    let held = system.person("user").await;
    held.register(&event).await.expect(201);
    let path = format!("/api/organiser/events/{event}/cancel");
    let cancelled = organizer
        .send(reqwest::Method::POST, &path, None, &[])
        .await
        .unwrap()
        .expect(200);
    assert_eq!(cancelled["status"], "cancelled");
    assert_eq!(held.status(&event).await, "cancelled");
    held.pay(&event, json!(500)).await.problem(409, "event_cancelled");
    held.register(&event).await.problem(409, "event_cancelled");
    for person in &people {
        refunded(person, "event_cancelled").await;
        assert_eq!(person.status(&event).await, "cancelled");
    }
}
