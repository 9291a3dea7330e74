//! Messages that were given up, as operators see them.

use serde_json::json;
use tests::{Options, PATIENCE, System, Topology, eventually};

use crate::{money::run, unreadable::change};

const KIND: &str = "registration.confirmed";

fn command(system: &System, arguments: &[&str]) -> (bool, String) {
    run(system, "organise-event", &[&["dead-letters"], arguments].concat())
}

/// The ids of the dead letters, once there are as many.
async fn listed(system: &System, wanted: usize) -> Vec<String> {
    eventually("the dead letters", PATIENCE, async || {
        let (fine, text) = command(system, &["list"]);
        assert!(fine, "{text}");
        let letters = text.lines().filter(|line| line.contains(" to notifications  "));
        let ids: Vec<_> = letters
            .map(|line| line.split("  ").nth(1).unwrap().to_owned())
            .collect();
        (ids.len() == wanted && text.contains(&format!("Dead letters: {wanted}."))).then_some(ids)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_tomorrow_waits_is_given_up_and_redriven() {
    let mut system = System::start(Topology::Five, Options::default()).await;
    let organizer = system.person("organizer").await;
    let event = organizer.create_event(json!(null), json!(0)).await;
    // A newer release of the events service tells what this release of notifications does not know.
    system.kill("notifications");
    let mut people = Vec::new();
    for _ in 0..3 {
        let person = system.person("user").await;
        person.register(&event).await.expect(201);
        people.push(person);
    }
    system.kill_all();
    let confirmed = format!("destination = 'notifications' AND kind = '{KIND}'");
    let first = format!("(SELECT min(seq) FROM outbox WHERE {confirmed})");
    let others =
        format!("UPDATE outbox SET kind = 'registration.of_tomorrow' WHERE {confirmed} AND seq > {first}");
    change(&system, "events", &others);
    system.start_again().await;
    // What is understood goes on, the rest waits.
    eventually("the letter that can be sent", PATIENCE, async || {
        (!people[0].messages().await.is_empty()).then_some(())
    })
    .await;
    assert_eq!(
        command(&system, &["list"]),
        (true, "Dead letters: 0.\n".to_owned())
    );
    eventually("the log of what waits", PATIENCE, async || {
        let waits = "this release does not know messages of the kind registration.of_tomorrow";
        system.log().contains(waits).then_some(())
    })
    .await;
    // Two days later it is given up.
    system.kill_all();
    change(&system, "events", "UPDATE outbox SET attempts = 24, retry_at = 0");
    system.start_again().await;
    let dead = listed(&system, 2).await;
    // Notifications is replaced by a release that knows them; as this one does, the messages have to change.
    system.kill_all();
    change(
        &system,
        "events",
        &format!("UPDATE dead_letters SET kind = '{KIND}'"),
    );
    system.start_again().await;
    let (fine, text) = command(&system, &["redrive", &dead[0], &dead[0]]);
    assert!(fine && text.contains("Redriven: 1."), "{text}");
    eventually("the redriven letter", PATIENCE, async || {
        (!people[1].messages().await.is_empty()).then_some(())
    })
    .await;
    assert_eq!(listed(&system, 1).await, dead[1..]);
    let (fine, text) = command(&system, &["drop", &dead[0], &dead[1]]);
    assert!(!fine && text.contains("Dropped: 1."), "{text}");
    assert!(text.contains("no dead letters: 1 of those named."), "{text}");
    listed(&system, 0).await;
    assert!(people[2].messages().await.is_empty());
    for wrong in [
        &["redrive"][..],
        &["drop", "everything"],
        &["bury"],
        &["redrive", "--all", &dead[0]],
    ] {
        let (fine, text) = command(&system, wrong);
        assert!(!fine && text.starts_with("error: "), "{wrong:?} {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn they_are_read_from_mongodb_too() {
    let system = System::start(Topology::Production, Options::default()).await;
    assert_eq!(
        command(&system, &["list"]),
        (true, "Dead letters: 0.\n".to_owned())
    );
    let (fine, text) = command(&system, &["redrive", "--all"]);
    assert!(fine && text.contains("Redriven: 0."), "{text}");
}
