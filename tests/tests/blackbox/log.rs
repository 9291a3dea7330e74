//! The log: one payment is followed through all processes by one id, a decline says why, and nothing names people.

use reqwest::Method;
use serde_json::json;
use tests::{Options, PATIENCE, System, Topology, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn one_process_by_one_id() {
    by_one_id(Topology::One, "text").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_processes_by_one_id() {
    by_one_id(Topology::Five, "json").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_processes_on_mongodb_by_one_id() {
    by_one_id(Topology::Production, "text").await;
}

async fn by_one_id(topology: Topology, format: &str) {
    let system = System::start(topology, Options::default().with("LOG_FORMAT", format)).await;
    let organizer = system.person("organizer").await;
    let person = system.person("user").await;
    let event = organizer.create_event(json!(10), json!(500)).await;
    person.register(&event).await.expect(201);
    let pay = async |id: &str, trace: &str, body| {
        let mut headers = vec![("traceparent", trace)];
        if !id.is_empty() {
            headers.push(("x-request-id", id));
        }
        let path = "/api/payment/process_payment";
        person
            .send(Method::POST, path, Some(body), &headers)
            .await
            .unwrap()
    };

    let declined = json!({"event_id": event, "amount": 500, "user_id": person.id, "payment_method": "upi",
                          "payment_details": {"vpa": "failure@razorpay"}});
    let none = "none";
    pay("the-declined-one", none, declined).await.expect(402);
    // A trace that the caller began is the request's id.
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    let trace = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let paid = pay("", &trace, person.payment(&event, json!(500))).await;
    assert_eq!(paid.headers["x-request-id"], TRACE);
    let paid = paid.expect(200);
    person.is_confirmed(&event).await;

    let lines = |id: &str| -> Vec<String> {
        let log = system.log();
        let of = log.lines().filter(|line| line.contains(id));
        of.map(str::to_owned).collect()
    };
    let has = |lines: &[String], words: &[&str]| {
        lines
            .iter()
            .any(|line| words.iter().all(|word| line.contains(word)))
    };
    eventually("the log tells of the payment", PATIENCE, async || {
        let told = lines(TRACE);
        let payment = paid["payment_id"].as_str().unwrap();
        // The gateway's line, the payment's, and the messages' in events and notifications.
        let all = has(&told, &["/api/payment/process_payment", "200", &person.id])
            && has(&told, &["payment captured", payment])
            && has(&told, &["message consumed", "payment.captured", "confirmed"])
            && has(&told, &["message consumed", "registration.confirmed"]);
        all.then_some(())
    })
    .await;
    // How long the messages took is in the figures of the services that have them.
    for (port, figure) in [
        ("EVENTS_PORT", "outbox_lag_seconds_count{service=\"events\"}"),
        ("PAYMENTS_PORT", "outbox_lag_seconds_count{service=\"payments\"}"),
        (
            "NOTIFICATIONS_PORT",
            "message_lag_seconds_count{service=\"notifications\"}",
        ),
    ] {
        eventually("the lag is measured", PATIENCE, async || {
            let figures = person.at(&system.service_url(port)).get("/metrics").await.text;
            let count = figures.lines().find_map(|line| line.strip_prefix(figure));
            count.is_some_and(|count| count.trim() != "0").then_some(())
        })
        .await;
    }
    let told = lines("the-declined-one");
    assert!(has(&told, &["payment failed"]), "{told:#?}");
    assert!(
        has(&told, &["/api/payment/process_payment", "402", &person.id]),
        "{told:#?}"
    );
    let reason = told.iter().find(|line| line.contains("payment failed")).unwrap();
    assert!(reason.contains("reason"), "{reason}");

    let log = system.log();
    for secret in [
        person.email.as_str(),
        person.token.as_deref().unwrap(),
        "a good one",
    ] {
        assert!(!log.contains(secret), "{secret}");
    }
}
