//! Seats and money: a hold that is over, a second tab, a registration that ends during the capture, many payers for few seats.

use super::*;

on_both_stores!(
    money_of_a_lost_hold_finds_the_new_registration,
    a_second_tab_is_told_and_its_money_released,
    no_money_is_taken_without_a_seat,
    the_answer_tells_that_the_money_goes_back,
    no_fee_is_paid_for_seats_that_are_gone,
    a_key_does_not_repeat_what_is_not_true,
);

mod replicas {
    // The relay that hears what became of the money may run in another process than the request that waits for it.
    #[tokio::test(flavor = "multi_thread")]
    async fn the_answer_tells_that_the_money_goes_back() {
        super::the_answer_tells_that_the_money_goes_back(tests::Topology::Replicas).await;
    }
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

/// The answer to a payment, or to asking again: between processes on a busy machine the decision may take longer than the
/// second for which the answer waits.
async fn told(topology: Topology, razorpay: &Razorpay, person: &Person, paid: Answer) -> Answer {
    if paid.status != 200 || topology == Topology::One {
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
    let pay = async |key: &str| {
        let path = "/api/payment/process_payment";
        person.post_keyed(path, key, body.clone()).await
    };
    let cancel = async || {
        capture_is_under_way(&razorpay).await;
        cancel_registration(&person, &event).await;
    };
    let (paid, ()) = tokio::join!(pay("once"), cancel());
    let answered = paid.status;
    let refused = told(topology, &razorpay, &person, paid).await;
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
    // The key is free again: what was kept with the capture was not true. Where the decision came after the answer, that
    // answer is the key's for good.
    let key = if answered == 200 { "anew" } else { "once" };
    pay(key).await.expect(200);
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
    let refused = told(topology, &razorpay, &other, paid).await;
    let refused = refused.problem(409, "event_cancelled");
    assert_eq!(refused["refund"]["reason"], "event_cancelled", "{refused}");
    books_agree(&system).await;
}

/// The process that captured may die before it hears that the money bought nothing. Its answer was kept with the capture.
async fn a_key_does_not_repeat_what_is_not_true(topology: Topology) {
    let (system, _) = start(topology, Options::default()).await;
    let event = event(&system, 5).await;
    let person = system.stranger(common::auth::Role::User);
    let body = person.payment(&event, json!(500));
    let pay = async || {
        let path = "/api/payment/process_payment";
        person.post_keyed(path, "once", body.clone()).await
    };
    let paid = pay().await;
    assert_eq!(pay().await.text, paid.text, "a repeat has the same answer");
    let paid = paid.expect(200);
    let facts = json!({"event_id": event, "name": "Rust evening", "address": "Hall 7", "zone": "Asia/Kolkata",
                       "starts_at": common::clock::Clock::system().now(), "version": 1, "schedule_version": 1,
                       "cancelled": false});
    let refused = json!({"payment_id": paid["payment_id"], "registration_id": paid["registration_id"],
                         "event": facts, "reason": "no_seat"});
    system
        .deliver_to_payments("payment.refused", &paid["payment_id"], &refused)
        .await;
    let told = pay().await.problem(409, "no_seat");
    assert_eq!(told["payment_id"], paid["payment_id"], "{told}");
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
