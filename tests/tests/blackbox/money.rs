//! Money when people, Razorpay and time do not behave: in one process on SQLite, and in five on MongoDB and Redis.

use std::process::Command;

use serde_json::{Value, json};
use tests::{Options, PATIENCE, Person, Razorpay, System, Topology, eventually, process};

macro_rules! on_both_stores {
    ($($story:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $story() {
                super::$story(tests::Topology::One).await;
            })+
        }
        mod mongodb {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $story() {
                super::$story(tests::Topology::Production).await;
            })+
        }
    };
}

on_both_stores!(
    a_webhook_that_is_not_understood_is_parked,
    an_intermittent_error_does_not_reach_the_payer,
    money_of_a_lost_hold_finds_the_new_registration,
);

/// A system whose simulator can be made to misbehave.
async fn start(topology: Topology, options: Options) -> (System, Razorpay) {
    let system = System::start(topology, options.with("SIMULATOR_CONTROLS", "on")).await;
    let razorpay = Razorpay::of(&system);
    (system, razorpay)
}

async fn event(system: &System, capacity: u32) -> String {
    let organizer = system.stranger(common::auth::Role::Organizer);
    organizer.create_event(json!(capacity), json!(500)).await
}

/// Runs an operator's command beside the running system.
fn operator(system: &System, command: &[&str]) -> (bool, String) {
    let program = match system.topology {
        Topology::One => "organise-event",
        _ => "payments",
    };
    let output = Command::new(process::binary(program))
        .args(command)
        .current_dir(system.dir())
        .env_clear()
        .envs(system.settings())
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

async fn metric(system: &System, name: &str) -> f64 {
    let url = format!("{}/metrics", system.service_url("PAYMENTS_PORT"));
    let text = tests::people::http_client()
        .get(url)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let line = text.lines().find(|line| line.starts_with(&format!("{name}{{")));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok())
        .unwrap_or_else(|| panic!("no {name} in {text}"))
}

async fn a_webhook_that_is_not_understood_is_parked(topology: Topology) {
    let (system, razorpay) = start(topology, Options::default()).await;
    let bodies: [(&str, &[u8]); 5] = [
        ("evt_broken", b"{\"event\":\"payment.captured\""),
        ("evt_empty", b"{\"event\":\"payment.captured\"}"),
        ("evt_odd", br#"{"event":"payment.captured","payload":{"payment":{"entity":{"id":"pay_1","amount":"much"}}}}"#),
        ("evt_bytes", &[0xff, 0xfe]),
        ("evt_list", b"[]"),
    ];
    for _ in 0..2 {
        for (id, body) in bodies {
            // Not 200 would make Razorpay switch the webhook off in a day.
            assert_eq!(razorpay.webhook(id, body).await.status(), 200, "{id}");
        }
    }
    // What is about something else is not kept.
    let other = br#"{"event":"payment.downtime.started","payload":{}}"#;
    assert_eq!(razorpay.webhook("evt_other", other).await.status(), 200);
    assert!((metric(&system, "webhooks_parked").await - 5.0).abs() < 0.1);
    let (fine, listed) = operator(&system, &["webhooks", "list"]);
    assert!(fine && listed.contains("5 parked webhooks"), "{listed}");
    for (id, _) in bodies {
        assert!(listed.contains(id), "{listed}");
    }
    let (fine, replayed) = operator(&system, &["webhooks", "replay"]);
    assert!(
        !fine && replayed.contains("5 of 5 are still not understood"),
        "{replayed}"
    );
    // Nobody else's bytes are kept.
    let person = system.anyone();
    let forged = person.post("/api/payment/webhook", json!({"event": "x"})).await;
    forged.problem(400, "signature_invalid");
    assert!((metric(&system, "webhooks_parked").await - 5.0).abs() < 0.1);
}

async fn an_intermittent_error_does_not_reach_the_payer(topology: Topology) {
    let (system, razorpay) = start(topology, Options::default()).await;
    let event = event(&system, 5).await;
    for fault in [
        json!({"kind": "status", "status": 500, "method": "GET", "path": "/v1/payments/"}),
        json!({"kind": "html", "status": 502, "method": "GET", "path": "/v1/payments/", "times": 2}),
        json!({"kind": "drop", "method": "GET", "path": "/v1/payments/"}),
        json!({"kind": "drop", "method": "POST", "path": "/v1/payments/pay_"}),
    ] {
        razorpay.fault(fault.clone()).await;
        let person = system.stranger(common::auth::Role::User);
        let paid = person.pay(&event, json!(500)).await;
        assert_eq!(paid.status, 200, "{fault}: {}", paid.text);
        confirmed(&person, &event).await;
        let set = razorpay.call("/sim/control", None).await;
        assert_eq!(set["faults"], json!([]), "it has happened");
    }
}

/// The bank's page of a payment: the payer has a step to take there. Gives Razorpay's order and payment.
async fn at_the_bank(razorpay: &Razorpay, person: &Person, event: &str) -> (String, String) {
    let mut body = person.payment(event, json!(500));
    body["payment_method"] = json!("netbanking");
    let waiting = person
        .post("/api/payment/process_payment", body)
        .await
        .expect(202);
    let order = waiting["checkout"]["order_id"].as_str().unwrap().to_owned();
    let payments = razorpay.call(&format!("/v1/orders/{order}/payments"), None).await;
    let payment = payments["items"][0]["id"].as_str().unwrap().to_owned();
    (order, payment)
}

async fn hold_is_over(person: &Person, event: &str) {
    eventually("the hold has run out", PATIENCE, async || {
        (person.status(event).await == "expired").then_some(())
    })
    .await;
}

async fn money_of_a_lost_hold_finds_the_new_registration(topology: Topology) {
    let options = Options::default()
        .with("SIMULATOR_AUTO_COMPLETE", "off")
        .with("HOLD_SECONDS", "3");
    let (system, razorpay) = start(topology, options).await;
    let event = event(&system, 5).await;
    let person = system.stranger(common::auth::Role::User);
    let (_, payment) = at_the_bank(&razorpay, &person, &event).await;
    hold_is_over(&person, &event).await;
    person.register(&event).await.expect(201);
    razorpay
        .control(&format!("/payments/{payment}/authorize"), json!({}))
        .await;
    confirmed(&person, &event).await;
    let payments = person.get("/api/payment/payments").await.expect(200);
    assert_eq!(payments[0]["status"], "captured", "{payments}");
    assert_eq!(payments[0]["refund"], Value::Null, "{payments}");
    // It goes back when the registration that it paid ends.
    let registrations = person.get("/api/reg/get_registrevent").await.expect(200);
    let id = registrations[0]["registration_id"].as_str().unwrap();
    let cancel = format!("/api/reg/registrations/{id}");
    person
        .send(reqwest::Method::DELETE, &cancel, None, &[])
        .await
        .unwrap()
        .expect(200);
    eventually("the money is back", PATIENCE, async || {
        let payments = person.get("/api/payment/payments").await.expect(200);
        (payments[0]["status"] == "refunded").then_some(())
    })
    .await;
}

async fn confirmed(person: &Person, event: &str) {
    eventually("the registration is confirmed", PATIENCE, async || {
        (person.status(event).await == "confirmed").then_some(())
    })
    .await;
    let payments: Value = person.get("/api/payment/payments").await.expect(200);
    assert_eq!(payments.as_array().map(Vec::len), Some(1), "{payments}");
}
