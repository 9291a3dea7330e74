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

on_both_stores!(
    a_webhook_that_is_not_understood_is_parked,
    an_intermittent_error_does_not_reach_the_payer,
    money_of_a_lost_hold_finds_the_new_registration,
    a_second_tab_is_told_and_its_money_released,
    no_money_is_taken_without_a_seat,
    the_answer_tells_that_the_money_goes_back,
    offers_and_fees_confirm_and_less_goes_back,
    refunds_made_at_razorpay_have_their_effect,
    money_comes_back_until_it_stays,
    an_open_payment_is_no_dead_end,
    payments_are_found_by_payer_and_organizer,
    no_fee_is_paid_for_seats_that_are_gone,
);

mod replicas {
    // The relay that hears what became of the money may run in another process than the request that waits for it.
    #[tokio::test(flavor = "multi_thread")]
    async fn the_answer_tells_that_the_money_goes_back() {
        super::the_answer_tells_that_the_money_goes_back(tests::Topology::Replicas).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_of_which_no_webhook_told_is_found_by_the_sweep() {
    let dir = tempfile::tempdir().unwrap();
    let library = crate::clock::library(dir.path());
    let options = Options::default()
        .with("LD_PRELOAD", library.display())
        .with("CLOCK_SHIFT", 0)
        .with("RAZORPAY_WEBHOOK_URL", "http://127.0.0.1:9/");
    let (mut system, razorpay) = start(Topology::Five, options).await;
    let event = event(&system, 5).await;
    let (_, payment) = paid(&system, &event).await;
    books_agree(&system).await;
    let refund = format!("/v1/payments/{payment}/refund");
    razorpay.call(&refund, Some(json!({"amount": 10_000}))).await;
    let (fine, told) = run(&system, "organise-event", &["ledger", "check"]);
    assert!(!fine && told.contains("goes back here"), "{told}");
    // An hour later.
    system.kill_all();
    system.set("CLOCK_SHIFT", Some("3700"));
    system.start_again().await;
    books_agree(&system).await;
}

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

fn run(system: &System, program: &str, command: &[&str]) -> (bool, String) {
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

async fn hold_is_over(person: &Person, event: &str) {
    eventually("the hold has run out", PATIENCE, async || {
        (person.status(event).await == "expired").then_some(())
    })
    .await;
}

async fn money_of_a_lost_hold_finds_the_new_registration(topology: Topology) {
    let options = Options::default()
        .with("SIMULATOR_AUTO_COMPLETE", "off")
        .with("HOLD_SECONDS", "10");
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
    cancel_registration(&person, &event).await;
    eventually("the money is back", PATIENCE, async || {
        let payments = person.get("/api/payment/payments").await.expect(200);
        (payments[0]["status"] == "refunded").then_some(())
    })
    .await;
    books_agree(&system).await;
}

async fn payments(person: &Person) -> Vec<Value> {
    let payments = person.get("/api/payment/payments").await.expect(200);
    payments.as_array().unwrap().clone()
}

/// Waits until the bank has freed the money of a payment that was let go.
async fn freed(razorpay: &Razorpay, person: &Person, payment: &str) {
    let path = format!("/payments/{payment}/expire");
    razorpay.control(&path, json!({})).await;
    eventually("the bank has freed the money", PATIENCE, async || {
        let known = payments(person).await;
        let found = known.iter().find(|one| one["razorpay_payment_id"] == payment)?;
        assert_eq!(found["status"], "released", "{found}");
        found["released_at"].is_string().then_some(())
    })
    .await;
}

async fn a_second_tab_is_told_and_its_money_released(topology: Topology) {
    let options = Options::default().with("SIMULATOR_AUTO_COMPLETE", "off");
    let (system, razorpay) = start(topology, options).await;
    let event = event(&system, 5).await;
    let person = system.stranger(common::auth::Role::User);
    let (order, first) = at_the_bank(&razorpay, &person, &event).await;
    let second = json!({"amount": 50_000, "currency": "INR", "order_id": order, "email": "a@example.com",
                        "contact": "+919876543210", "method": "netbanking", "bank": "HDFC"});
    let second = razorpay.call("/v1/payments/create/json", Some(second)).await;
    let second = second["razorpay_payment_id"].as_str().unwrap().to_owned();
    // Both are held back from the webhook, so that it is the tabs that tell.
    razorpay.control("/webhooks", json!({"hold": true})).await;
    for payment in [&first, &second] {
        let path = format!("/payments/{payment}/authorize");
        razorpay.control(&path, json!({})).await;
    }
    let verify = async |payment: &str| {
        let callback = razorpay.callback(&order, payment);
        person.post("/api/payment/verify", callback).await
    };
    let paid = verify(&first).await.expect(200);
    for _ in 0..2 {
        let refused = verify(&second).await.problem(409, "already_paid");
        assert_eq!(refused["payment_id"], paid["payment_id"], "{refused}");
    }
    let known = payments(&person).await;
    assert_eq!(known.len(), 2, "{known:?}");
    assert_eq!(known[0]["failure"]["code"], "duplicate", "{known:?}");
    let there = razorpay.call(&format!("/v1/payments/{second}"), None).await;
    assert_eq!(there["status"], "authorized", "nobody took it: {there}");
    razorpay.control("/webhooks", json!({"hold": false})).await;
    freed(&razorpay, &person, &second).await;
    assert_eq!(person.status(&event).await, "confirmed");
    books_agree(&system).await;
}

async fn no_money_is_taken_without_a_seat(topology: Topology) {
    let options = Options::default()
        .with("SIMULATOR_AUTO_COMPLETE", "off")
        .with("HOLD_SECONDS", "10");
    let (system, razorpay) = start(topology, options).await;
    let (full, gone, free) = (
        event(&system, 1).await,
        event(&system, 1).await,
        event(&system, 1).await,
    );
    let person = system.stranger(common::auth::Role::User);
    let (_, cancelled) = at_the_bank(&razorpay, &person, &gone).await;
    cancel_registration(&person, &gone).await;
    let (order, late) = at_the_bank(&razorpay, &person, &full).await;
    let (_, fine) = at_the_bank(&razorpay, &person, &free).await;
    hold_is_over(&person, &full).await;
    let other = system.stranger(common::auth::Role::User);
    let (_, others) = at_the_bank(&razorpay, &other, &full).await;
    let authorize = format!("/payments/{others}/authorize");
    razorpay.control(&authorize, json!({})).await;
    other.is_confirmed(&full).await;
    for payment in [&late, &cancelled, &fine] {
        let path = format!("/payments/{payment}/authorize");
        razorpay.control(&path, json!({})).await;
    }
    let callback = razorpay.callback(&order, &late);
    let refused = person.post("/api/payment/verify", callback).await;
    let refused = refused.problem(409, "no_seat");
    assert!(
        refused["detail"].as_str().unwrap().contains("not taken"),
        "{refused}"
    );
    // Its hold was over too, and its seat was free: it is taken again.
    person.is_confirmed(&free).await;
    let of = async |payment: &str| {
        eventually("the payment is decided on", PATIENCE, async || {
            let known = payments(&person).await;
            let found = known
                .into_iter()
                .find(|one| one["razorpay_payment_id"] == payment)?;
            (found["status"] != "authorized" && found["status"] != "created").then_some(found)
        })
        .await
    };
    assert_eq!(of(&late).await["failure"]["code"], "no_seat");
    assert_eq!(of(&cancelled).await["failure"]["code"], "attendee");
    assert_eq!(of(&fine).await["status"], "captured");
    for payment in [&late, &cancelled] {
        let there = razorpay.call(&format!("/v1/payments/{payment}"), None).await;
        assert_eq!(there["captured"], false, "{there}");
        freed(&razorpay, &person, payment).await;
    }
    let refunds = razorpay.call("/v1/refunds", None).await;
    let fees = refunds["items"].as_array().unwrap();
    assert!(
        fees.iter().all(|refund| refund["payment_id"] != fine.as_str()),
        "{refunds}"
    );
    books_agree(&system).await;
}

/// The next capture takes its time, in which something else happens.
async fn slow_capture(razorpay: &Razorpay) {
    razorpay
        .fault(json!({"kind": "delay", "delay_ms": 4_000, "after_commit": false, "method": "POST", "path": "/v1/payments/pay_"}))
        .await;
}

/// Waits until the slow capture is under way.
async fn capture_is_under_way(razorpay: &Razorpay) {
    eventually("the capture is under way", PATIENCE, async || {
        let set = razorpay.call("/sim/control", None).await;
        (set["faults"] == json!([])).then_some(())
    })
    .await;
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

/// The answer to a payment, or to asking again: on a busy machine the decision may take longer than the second for which
/// the answer waits.
async fn told(razorpay: &Razorpay, person: &Person, paid: Answer) -> Answer {
    if paid.status != 200 {
        return paid;
    }
    let paid = paid.json();
    let of = |name: &str| paid[name].as_str().unwrap().to_owned();
    let callback = razorpay.callback(&of("razorpay_order_id"), &of("razorpay_payment_id"));
    eventually("the decision is known", PATIENCE, async || {
        let asked = person.post("/api/payment/verify", callback.clone()).await;
        (asked.status != 200).then_some(asked)
    })
    .await
}

async fn the_answer_tells_that_the_money_goes_back(topology: Topology) {
    let (system, razorpay) = start(topology, Options::default()).await;
    let organizer = system.stranger(common::auth::Role::Organizer);
    let event = organizer.create_event(json!(5), json!(500)).await;
    let person = system.stranger(common::auth::Role::User);
    slow_capture(&razorpay).await;
    let body = person.payment(&event, json!(500));
    let pay = async || {
        person
            .post_keyed("/api/payment/process_payment", "once", body.clone())
            .await
    };
    let cancel = async || {
        capture_is_under_way(&razorpay).await;
        cancel_registration(&person, &event).await;
    };
    let (paid, ()) = tokio::join!(pay(), cancel());
    let refused = told(&razorpay, &person, paid).await;
    let refused = refused.problem(409, "registration_cancelled");
    assert_eq!(refused["refund"]["reason"], "attendee", "{refused}");
    assert!(
        refused["detail"].as_str().unwrap().contains("goes back"),
        "{refused}"
    );
    eventually("it is on its way back", PATIENCE, async || {
        let known = payments(&person).await;
        assert_eq!(known[0]["payment_id"], refused["payment_id"]);
        (known[0]["refund"]["reason"] == "attendee").then_some(())
    })
    .await;
    // The key is free again: what was kept with the capture was not true.
    pay().await.expect(200);
    person.is_confirmed(&event).await;
    // Who comes from Checkout is told the same, as often as they ask.
    let (order, payment) = {
        let known = payments(&person).await;
        let of = |name: &str| known[1][name].as_str().unwrap().to_owned();
        (of("razorpay_order_id"), of("razorpay_payment_id"))
    };
    for _ in 0..2 {
        let callback = razorpay.callback(&order, &payment);
        let refused = person.post("/api/payment/verify", callback).await;
        let refused = refused.problem(409, "registration_cancelled");
        assert_eq!(refused["refund"]["reason"], "attendee", "{refused}");
    }
    // The event is called off.
    let other = system.stranger(common::auth::Role::User);
    slow_capture(&razorpay).await;
    let cancel = async || {
        capture_is_under_way(&razorpay).await;
        let path = format!("/api/organiser/events/{event}/cancel");
        organizer.post(&path, json!({})).await.expect(200);
    };
    let (paid, ()) = tokio::join!(other.pay(&event, json!(500)), cancel());
    let refused = told(&razorpay, &other, paid).await;
    let refused = refused.problem(409, "event_cancelled");
    assert_eq!(refused["refund"]["reason"], "event_cancelled", "{refused}");
    books_agree(&system).await;
}

async fn offers_and_fees_confirm_and_less_goes_back(topology: Topology) {
    let options = Options::default().with("SIMULATOR_AUTO_COMPLETE", "off");
    let (system, razorpay) = start(topology, options).await;
    let event = event(&system, 5).await;
    let authorize = async |payment: &str| {
        let path = format!("/payments/{payment}/authorize");
        razorpay.control(&path, json!({})).await;
    };
    // Whoever tells first: the payer's browser, or the webhook alone.
    for (paise, discount, surcharge, by_webhook) in [
        (45_000, 50.0, 0.0, false),
        (51_180, 0.0, 11.8, false),
        (45_000, 50.0, 0.0, true),
    ] {
        let person = system.stranger(common::auth::Role::User);
        let (order, payment) = at_the_bank(&razorpay, &person, &event).await;
        let adjust = format!("/payments/{payment}/adjust");
        razorpay.control(&adjust, json!({"amount": paise})).await;
        authorize(&payment).await;
        if !by_webhook {
            let callback = razorpay.callback(&order, &payment);
            person.post("/api/payment/verify", callback).await.expect(200);
        }
        confirmed(&person, &event).await;
        let known = &payments(&person).await[0];
        let rupees = |name: &str| known[name].as_f64();
        assert_eq!(rupees("amount"), Some(f64::from(paise) / 100.0), "{known}");
        assert_eq!(rupees("discount"), Some(discount), "{known}");
        assert_eq!(rupees("surcharge"), Some(surcharge), "{known}");
        assert_eq!(known["refund"], Value::Null, "{known}");
    }
    // Less than what was due never confirms, whoever says so, and another try may.
    let person = system.stranger(common::auth::Role::User);
    let (order, payment) = at_the_bank(&razorpay, &person, &event).await;
    let adjust = format!("/payments/{payment}/adjust");
    let less = json!({"amount": 100, "settles": 0});
    razorpay.control(&adjust, less).await;
    razorpay.control("/refunds", json!({"hold": true})).await;
    authorize(&payment).await;
    let callback = razorpay.callback(&order, &payment);
    let refused = person.post("/api/payment/verify", callback).await;
    let refused = refused.problem(409, "wrong_amount");
    assert_eq!(refused["refund"]["reason"], "wrong_amount", "{refused}");
    // Another try need not wait until that is back.
    let short = payment;
    let (order, payment) = at_the_bank(&razorpay, &person, &event).await;
    let of_short = format!("/v1/payments/{short}/refunds");
    let pending = eventually("it is on its way back", PATIENCE, async || {
        let known = razorpay.call(&of_short, None).await;
        Some(known["items"][0]["id"].as_str()?.to_owned())
    })
    .await;
    let process = format!("/refunds/{pending}/process");
    razorpay.control(&process, json!({})).await;
    eventually("what came is back", PATIENCE, async || {
        let known = payments(&person).await;
        let known = known.iter().find(|one| one["razorpay_payment_id"] == short)?;
        assert_eq!((&known["amount"], &known["discount"]), (&json!(1), &json!(0)));
        (known["status"] == "refunded").then_some(())
    })
    .await;
    assert_eq!(person.status(&event).await, "pending_payment");
    // A webhook that says less than Razorpay itself: Razorpay itself counts.
    let odd =
        json!({"id": payment, "order_id": order, "amount": 100, "currency": "INR", "status": "captured"});
    razorpay
        .report("evt_odd", "payment.captured", &[("payment", &odd)])
        .await;
    authorize(&payment).await;
    person.is_confirmed(&event).await;
    assert_eq!(payments(&person).await[0]["amount"], 500);
    books_agree(&system).await;
}

/// A payer with a ticket; gives the payment at Razorpay.
async fn paid(system: &System, event: &str) -> (Person, String) {
    let person = system.person("user").await;
    person.pay(event, json!(500)).await.expect(200);
    person.is_confirmed(event).await;
    let payment = payments(&person).await[0]["razorpay_payment_id"].clone();
    (person, payment.as_str().unwrap().to_owned())
}

/// Waits until so much of the newest payment is back; gives the payment.
async fn back(person: &Person, rupees: i64) -> Value {
    eventually("the money is back", PATIENCE, async || {
        let newest = payments(person).await.swap_remove(0);
        (newest["amount_refunded"] == rupees).then_some(newest)
    })
    .await
}

async fn letters(person: &Person, kind: &str, number: usize) {
    eventually(&format!("{number} letters of {kind}"), PATIENCE, async || {
        let sent = person.messages().await;
        let of_kind = |(of, channel, _): &&(String, String, String)| of == kind && channel == "email";
        (sent.iter().filter(of_kind).count() == number).then_some(())
    })
    .await;
}

async fn refunds_made_at_razorpay_have_their_effect(topology: Topology) {
    let (system, razorpay) = start(topology, Options::default()).await;
    let event = event(&system, 5).await;
    // A part, and then the attendee cancels: what is left goes back, and no more.
    let (person, payment) = paid(&system, &event).await;
    books_agree(&system).await;
    let refund = format!("/v1/payments/{payment}/refund");
    // Nobody has told us yet: the books do not agree.
    razorpay.control("/webhooks", json!({"hold": true})).await;
    razorpay.call(&refund, Some(json!({"amount": 10_000}))).await;
    let (fine, told) = run(&system, "organise-event", &["ledger", "check"]);
    let words = "₹0 goes back here, ₹100 at Razorpay";
    assert!(
        !fine && told.contains(words) && told.contains("1 differences"),
        "{told}"
    );
    razorpay.control("/webhooks", json!({"hold": false})).await;
    let newest = back(&person, 100).await;
    assert_eq!(
        (&newest["status"], &newest["refund"]),
        (&json!("captured"), &Value::Null)
    );
    letters(&person, "payment_refunded", 1).await;
    assert_eq!(person.status(&event).await, "confirmed");
    cancel_registration(&person, &event).await;
    let newest = back(&person, 500).await;
    assert_eq!(newest["status"], "refunded", "{newest}");
    assert_eq!(newest["refund"]["status"], "processed", "{newest}");
    assert_eq!(newest["refund"]["reason"], "attendee", "{newest}");
    letters(&person, "payment_refunded", 2).await;
    let path = format!("/api/payment/payments/{}", newest["payment_id"].as_str().unwrap());
    let whole = person.get(&path).await.expect(200);
    assert_eq!(
        (&whole["fee"], &whole["tax"]),
        (&json!(11.8), &json!(1.8)),
        "{whole}"
    );
    assert_eq!(whole["method_detail"]["vpa"], "su***@razorpay", "{whole}");
    let mut parts: Vec<_> = whole["refunds"].as_array().unwrap().iter().collect();
    parts.sort_by_key(|part| part["amount"].as_i64()); // both may be of one second
    let of = |at: usize| {
        (
            parts[at]["amount"].as_i64().unwrap(),
            &parts[at]["made_at_razorpay"],
            &parts[at]["status"],
        )
    };
    assert_eq!(of(0), (100, &json!(true), &json!("processed")), "{whole}");
    assert_eq!(of(1), (400, &json!(false), &json!("processed")), "{whole}");
    let way: Vec<_> = whole["timeline"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["status"].clone())
        .collect();
    assert_eq!(
        (&way[0], &way[1]),
        (&json!("authorized"), &json!("captured")),
        "{whole}"
    );
    assert_eq!(
        way.iter().filter(|status| *status == "refund_processed").count(),
        2,
        "{whole}"
    );
    let there = razorpay.call(&format!("/v1/payments/{payment}"), None).await;
    assert_eq!(there["amount_refunded"], 50_000, "{there}");
    // All of it: what it paid for ends.
    let (person, payment) = paid(&system, &event).await;
    let refund = format!("/v1/payments/{payment}/refund");
    razorpay.call(&refund, Some(json!({"amount": 50_000}))).await;
    let newest = back(&person, 500).await;
    assert_eq!(newest["refund"]["reason"], "organizer", "{newest}");
    eventually("the registration has ended", PATIENCE, async || {
        (person.status(&event).await == "cancelled").then_some(())
    })
    .await;
    letters(&person, "registration_cancelled", 1).await;
    letters(&person, "payment_refunded", 1).await;
    let there = razorpay
        .call(&format!("/v1/payments/{payment}/refunds"), None)
        .await;
    assert_eq!(there["count"], 1, "nothing more was sent back: {there}");
    // The seat is free, and may be paid for anew.
    person.pay(&event, json!(500)).await.expect(200);
    person.is_confirmed(&event).await;
    books_agree(&system).await;
}

async fn money_comes_back_until_it_stays(topology: Topology) {
    let (system, razorpay) = start(topology, Options::default()).await;
    let event = event(&system, 5).await;
    let (person, payment) = paid(&system, &event).await;
    // Razorpay says no: that can be seen.
    razorpay
        .fault(json!({"kind": "status", "status": 400, "method": "POST", "path": format!("/v1/payments/{payment}/refund")}))
        .await;
    cancel_registration(&person, &event).await;
    eventually("the refusal can be seen", PATIENCE, async || {
        let newest = payments(&person).await.swap_remove(0);
        (newest["refund"]["status"] == "refused").then_some(newest["refund"]["problem"].as_str()?.to_owned())
    })
    .await;
    back(&person, 500).await;
    letters(&person, "payment_refunded", 1).await;
    // The payer's bank sends it back: it is owed again, and made anew.
    let path = format!("/v1/payments/{payment}/refunds");
    let there = razorpay.call(&path, None).await;
    let first = there["items"][0]["id"].as_str().unwrap().to_owned();
    razorpay
        .control(&format!("/refunds/{first}/fail"), json!({}))
        .await;
    back(&person, 0).await;
    let newest = payments(&person).await.swap_remove(0);
    assert_eq!(
        (&newest["status"], &newest["refund"]["status"]),
        (&json!("captured"), &json!("pending"))
    );
    let newest = back(&person, 500).await;
    assert_eq!(newest["status"], "refunded", "{newest}");
    letters(&person, "payment_refunded", 2).await;
    let there = razorpay.call(&path, None).await;
    assert_eq!(there["count"], 2, "{there}");
    books_agree(&system).await;
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

/// Takes a hold as soon as there is one to be had, and has the bank set the money aside a while later, often too late for
/// the hold. Gives whether there was one.
async fn hesitant(razorpay: Arc<Razorpay>, person: Person, event: String, think: Duration) -> bool {
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        let mut body = person.payment(&event, json!(500));
        body["payment_method"] = json!("netbanking");
        let answer = person.post("/api/payment/process_payment", body).await;
        if answer.status == 202 {
            let waiting = answer.json();
            let steps = waiting["next"].as_array().unwrap().iter();
            let page = steps.clone().find(|step| step["action"] == "redirect").unwrap();
            let payment = page["url"]
                .as_str()
                .unwrap()
                .rsplit('/')
                .next()
                .unwrap()
                .to_owned();
            tokio::time::sleep(think).await; // the payer looks for the password
            let path = format!("/payments/{payment}/authorize");
            razorpay.control(&path, json!({})).await;
            return true;
        }
        answer.problem(409, "event_full");
        tokio::time::sleep(Duration::from_millis(100)).await; // they press the button again
    }
    false
}

async fn no_fee_is_paid_for_seats_that_are_gone(topology: Topology) {
    const SEATS: usize = 8;
    let options = Options::default()
        .with("SIMULATOR_AUTO_COMPLETE", "off")
        .with("HOLD_SECONDS", "2");
    let (system, razorpay) = start(topology, options).await;
    let razorpay = Arc::new(razorpay);
    let event = event(&system, 8).await;
    let mut crowd = JoinSet::new();
    for at in 0..40_u64 {
        let think = Duration::from_millis(at * 733 % 4_000);
        let person = system.stranger(common::auth::Role::User);
        crowd.spawn(hesitant(razorpay.clone(), person, event.clone(), think));
    }
    let tried = crowd.join_all().await.into_iter().filter(|tried| *tried).count();
    let of = async |status: &str| {
        let all = razorpay.call("/v1/payments?count=100", None).await;
        let all = all["items"].as_array().unwrap().iter();
        all.filter(|payment| payment["status"] == status).count()
    };
    eventually("every seat is paid", PATIENCE, async || {
        (of("captured").await == SEATS).then_some(())
    })
    .await;
    books_agree(&system).await;
    let shown = system
        .anyone()
        .get(&format!("/api/events/{event}"))
        .await
        .expect(200);
    let (captured, refunded, let_go) = (of("captured").await, of("refunded").await, of("authorized").await);
    println!("{tried} payments: {captured} captured, {refunded} of them sent back, {let_go} let go");
    assert_eq!(
        (captured, refunded),
        (SEATS, 0),
        "each capture is a ticket: {shown}"
    );
    assert_eq!(shown["seats_left"], 0, "{shown}");
    assert_eq!(let_go + captured, tried);
}

async fn confirmed(person: &Person, event: &str) {
    eventually("the registration is confirmed", PATIENCE, async || {
        (person.status(event).await == "confirmed").then_some(())
    })
    .await;
    let payments: Value = person.get("/api/payment/payments").await.expect(200);
    assert_eq!(payments.as_array().map(Vec::len), Some(1), "{payments}");
}
