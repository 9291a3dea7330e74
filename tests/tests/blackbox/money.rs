//! Money when people, Razorpay and time do not behave: in one process on SQLite, and in five on MongoDB and Redis.

use std::{
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tests::{Answer, Options, PATIENCE, Person, Razorpay, System, Topology, eventually, process};
use tokio::task::JoinSet;

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

mod amounts;
mod parts;
mod refunds;
mod seats;

on_both_stores!(
    a_webhook_that_is_not_understood_is_parked,
    an_intermittent_error_does_not_reach_the_payer,
    an_open_payment_is_no_dead_end,
    payments_are_found_by_payer_and_organizer,
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

/// Waits until payments, events and Razorpay agree about every rupee.
async fn books_agree(system: &System) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (fine, told) = run(system, "organise-event", &["ledger", "check"]);
        if fine && told.contains(" 0 payments have a message on their way") {
            return;
        }
        assert!(Instant::now() < deadline, "{told}");
    }
}

/// Runs an operator's command beside the running system.
fn operator(system: &System, command: &[&str]) -> (bool, String) {
    let program = match system.topology {
        Topology::One => "organise-event",
        _ => "payments",
    };
    run(system, program, command)
}

pub fn run(system: &System, program: &str, command: &[&str]) -> (bool, String) {
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
    let waiting = eventually("nobody else works on the order", PATIENCE, async || {
        let answer = person.post("/api/payment/process_payment", body.clone()).await;
        match answer.status.as_u16() {
            // The reconciler may be at it: ask again, as the answer says.
            409 => {
                answer.problem(409, "payment_in_progress");
                None
            }
            _ => Some(answer.expect(202)),
        }
    })
    .await;
    let order = waiting["checkout"]["order_id"].as_str().unwrap().to_owned();
    let payments = razorpay.call(&format!("/v1/orders/{order}/payments"), None).await;
    let open = payments["items"].as_array().unwrap().iter();
    let open = open.clone().find(|payment| payment["status"] == "created");
    let payment = open.unwrap()["id"].as_str().unwrap().to_owned();
    (order, payment)
}

async fn payments(person: &Person) -> Vec<Value> {
    let payments = person.get("/api/payment/payments").await.expect(200);
    payments.as_array().unwrap().clone()
}

async fn cancel_registration(person: &Person, event: &str) {
    let id = eventually("there is a hold", PATIENCE, async || {
        let all = person
            .get("/api/reg/get_registrevent?status=all")
            .await
            .expect(200);
        let found = all.as_array()?.iter().find(|one| one["event_id"] == event)?;
        Some(found["registration_id"].as_str()?.to_owned())
    })
    .await;
    let path = format!("/api/reg/registrations/{id}");
    let ended = person.send(reqwest::Method::DELETE, &path, None, &[]).await;
    ended.unwrap().expect(200);
}

/// A payer with a ticket; gives the payment at Razorpay.
async fn paid(system: &System, event: &str) -> (Person, String) {
    let person = system.person("user").await;
    person.pay(event, json!(500)).await.expect(200);
    person.is_confirmed(event).await;
    let payment = payments(&person).await[0]["razorpay_payment_id"].clone();
    (person, payment.as_str().unwrap().to_owned())
}

async fn an_open_payment_is_no_dead_end(topology: Topology) {
    let options = Options::default().with("SIMULATOR_AUTO_COMPLETE", "off");
    let (system, razorpay) = start(topology, options).await;
    let event = event(&system, 5).await;
    let person = system.stranger(common::auth::Role::User);
    let pay = async |method: &str| {
        let mut body = person.payment(&event, json!(500));
        body["payment_method"] = json!(method);
        let waiting = person
            .post("/api/payment/process_payment", body)
            .await
            .expect(202);
        let next = waiting["next"].as_array().unwrap().clone();
        let step = next
            .iter()
            .find(|step| step["action"] == "redirect")
            .expect("a way on");
        let page = tests::people::http_client().get(step["url"].as_str().unwrap());
        let page = page.send().await.unwrap().text().await.unwrap();
        assert!(page.contains("Rust evening") && page.contains("₹500"), "{page}");
        waiting
    };
    let first = pay("netbanking").await;
    let again = pay("netbanking").await;
    for field in ["payment_id", "next", "checkout"] {
        assert_eq!(first[field], again[field], "the same payment, and the way on");
    }
    // Another way is open at once, UPI too.
    let upi = pay("upi").await;
    assert_ne!(upi["payment_id"], first["payment_id"]);
    assert_eq!(pay("upi").await["payment_id"], upi["payment_id"]);
    assert_eq!(pay("netbanking").await["payment_id"], first["payment_id"]);
    let known = payments(&person).await;
    assert_eq!(known.len(), 2, "{known:?}");
    let of_upi = known.iter().find(|one| one["payment_method"] == "upi").unwrap();
    let id = of_upi["razorpay_payment_id"].as_str().unwrap();
    // The payer presses the button; the page has what Checkout would hand over.
    let steps = upi["next"].as_array().unwrap().iter();
    let page = steps.clone().find(|step| step["action"] == "redirect").unwrap();
    let button = format!("{}/success", page["url"].as_str().unwrap());
    let done = tests::people::http_client().post(button).send().await.unwrap();
    let done = done.text().await.unwrap();
    let order = first["checkout"]["order_id"].as_str().unwrap();
    let signature = razorpay.callback(order, id)["razorpay_signature"].clone();
    assert!(done.contains(signature.as_str().unwrap()), "{done}");
    person.is_confirmed(&event).await;
    books_agree(&system).await;
}

async fn payments_are_found_by_payer_and_organizer(topology: Topology) {
    let (system, razorpay) = start(topology, Options::default()).await;
    let organizer = system.stranger(common::auth::Role::Organizer);
    let (one, other) = (
        organizer.create_event(json!(5), json!(500)).await,
        organizer.create_event(json!(5), json!(500)).await,
    );
    let (person, payment) = paid(&system, &one).await;
    person.pay(&other, json!(500)).await.expect(200);
    let (second, _) = paid(&system, &one).await;
    let refund = format!("/v1/payments/{payment}/refund");
    razorpay.call(&refund, Some(json!({"amount": 50_000}))).await;
    eventually("it is back", PATIENCE, async || {
        let all = payments(&person).await;
        (all.iter().any(|one| one["status"] == "refunded")).then_some(())
    })
    .await;
    let count = async |who: &Person, path: &str| {
        let found = who.get(path).await.expect(200);
        found.as_array().unwrap().len()
    };
    let mine = "/api/payment/payments";
    for (query, expected) in [
        (String::new(), 2),
        ("?status=captured".to_owned(), 1),
        ("?status=refunded".to_owned(), 1),
        ("?status=failed".to_owned(), 0),
        (format!("?event={one}"), 1),
        (format!("?event={one}&status=captured"), 0),
        ("?event=nothing".to_owned(), 0),
        ("?from=2020-01-01".to_owned(), 2),
        ("?to=2020-01-01".to_owned(), 0),
    ] {
        assert_eq!(
            count(&person, &format!("{mine}{query}")).await,
            expected,
            "{query}"
        );
    }
    person
        .get(&format!("{mine}?status=lost"))
        .await
        .problem(422, "validation_failed");
    person
        .get(&format!("{mine}?from=soon"))
        .await
        .problem(422, "validation_failed");
    // The organizer reads those of the event, and nobody else does.
    let path = format!("/api/organiser/events/{one}/payments");
    let all = organizer.get(&path).await.expect(200);
    let all = all.as_array().unwrap();
    let payers: Vec<_> = all.iter().map(|one| one["user_id"].as_str().unwrap()).collect();
    assert_eq!(payers, [second.id.as_str(), person.id.as_str()], "newest first");
    assert_eq!(
        (&all[0]["fee"], &all[0]["net"]),
        (&json!(11.8), &json!(488.2)),
        "{all:?}"
    );
    assert_eq!(all[1]["net"], json!(-11.8), "Razorpay keeps its fee: {all:?}");
    let first = organizer.get(&format!("{path}?limit=1")).await;
    assert!(first.headers.contains_key("link"), "there is another page");
    assert_eq!(count(&organizer, &format!("{path}?status=refunded")).await, 1);
    person.get(&path).await.problem(403, "organizer_only");
    let stranger = system.stranger(common::auth::Role::Organizer);
    stranger.get(&path).await.problem(404, "event_not_found");
    let nothing = "/api/organiser/events/nothing/payments";
    organizer.get(nothing).await.problem(404, "event_not_found");
    system.anyone().get(&path).await.problem(401, "missing_token");
}

async fn confirmed(person: &Person, event: &str) {
    eventually("the registration is confirmed", PATIENCE, async || {
        (person.status(event).await == "confirmed").then_some(())
    })
    .await;
    let payments: Value = person.get("/api/payment/payments").await.expect(200);
    assert_eq!(payments.as_array().map(Vec::len), Some(1), "{payments}");
}
