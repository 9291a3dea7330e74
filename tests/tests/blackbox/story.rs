//! The documented story, from signing up to a paid ticket, as its example requests tell it.

use serde_json::{Value, json};
use tests::{Options, PATIENCE, System, Topology, eventually};

use crate::everywhere;

everywhere!(the_documented_story, every_way_to_pay, browsing_and_changing);

async fn the_documented_story(topology: Topology) {
    let system = System::start(topology, Options::default()).await;
    let anyone = system.anyone();

    let sign_up = json!({"email": "Asha@Example.org ", "password": "password", "role": "Organiser"});
    let made = anyone
        .post("/api/users/register", sign_up.clone())
        .await
        .expect(201);
    assert_eq!(
        (&made["message"], &made["role"]),
        (&json!("User registered successfully."), &json!("organizer"))
    );
    let again = anyone
        .post("/api/users/register", sign_up)
        .await
        .problem(409, "email_taken");
    assert_eq!(again["message"], "Error registering user.");
    let wrong = json!({"email": "asha@example.org", "password": "wrong one"});
    let wrong = anyone
        .post("/api/users/login", wrong)
        .await
        .problem(401, "invalid_credentials");
    assert_eq!(wrong["message"], "Invalid credentials.");
    let login = json!({"email": "asha@example.org", "password": "password"});
    let login = anyone.post("/api/users/login", login).await.expect(200);
    assert_eq!(
        (&login["user_id"], &login["role"]),
        (&made["user_id"], &made["role"])
    );
    let mut asha = anyone.clone();
    asha.token = login["token"].as_str().map(str::to_owned);
    assert_eq!(
        asha.get("/api/users/me").await.expect(200)["email"],
        "asha@example.org"
    );

    let none = asha.get("/api/organiser/events").await.problem(404, "");
    assert_eq!(none["message"], "No events found.");
    let documented = json!({"e_name": "Tech Conference", "e_details": "A day about technology",
        "event_time": "2024-11-22T18:44:06.000", "event_add": "Bangalore", "capacity": 100, "fees": 500});
    let event = asha
        .post("/api/organiser/create_event", documented.clone())
        .await
        .expect(201);
    assert_eq!(event["message"], "Event created successfully.");
    for name in ["e_name", "e_details", "event_add", "capacity", "fees"] {
        assert_eq!(event[name], documented[name], "{name}");
    }
    assert_eq!(
        event["event_time"], "2024-11-22T18:44:06.000+05:30",
        "what was sent is a prefix of what is answered"
    );
    let list = asha.get("/api/organiser/events").await.expect(200);
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(list[0]["event_id"], event["event_id"]);

    let ravi = system.person("user").await;
    let id = event["event_id"].as_str().unwrap();
    let refused = ravi
        .post("/api/organiser/create_event", documented)
        .await
        .problem(403, "organizer_only");
    assert_eq!(refused["message"], "Error creating event.");
    let none = ravi.get("/api/reg/get_registrevent").await.problem(404, "");
    assert_eq!(none["message"], "No events found for this user.");
    assert_eq!(
        ravi.get("/api/reg/get_registrevent?status=cancelled")
            .await
            .expect(200),
        json!([])
    );
    let held = ravi.register(id).await.expect(201);
    assert_eq!(held["message"], "User registered for the event successfully.");
    assert_eq!(
        (&held["status"], &held["amount_due"]),
        (&json!("pending_payment"), &json!(500))
    );
    let again = ravi.register(id).await.problem(409, "already_registered");
    assert_eq!(again["message"], "Error registering for event.");
    assert_eq!(again["registration_id"], held["registration_id"]);
    assert_eq!(
        (&again["registration_status"], &again["amount_due"]),
        (&json!("pending_payment"), &json!(500))
    );

    let wrong = ravi.pay(id, json!(499)).await.problem(409, "amount_mismatch");
    assert_eq!(
        (&wrong["message"], &wrong["amount_due"]),
        (&json!("Error processing payment."), &json!(500))
    );
    let paid = ravi.pay(id, json!("500.00")).await.expect(200);
    assert_eq!(paid["message"], "Payment processed successfully.");
    assert_eq!(
        (&paid["status"], &paid["amount"], &paid["payment_method"]),
        (&json!("captured"), &json!(500), &json!("upi"))
    );
    // The answer waited until the events service had heard of it: for a second, which a slow database may exceed.
    if matches!(topology, Topology::Production | Topology::Replicas) {
        ravi.is_confirmed(id).await;
    }
    let mine = ravi.get("/api/reg/get_registrevent").await.expect(200);
    assert_eq!(
        (&mine[0]["event_id"], &mine[0]["event_name"]),
        (&event["event_id"], &event["e_name"])
    );
    assert_eq!(
        (&mine[0]["event_time"], &mine[0]["event_address"]),
        (&event["event_time"], &event["event_add"])
    );
    assert_eq!(
        (&mine[0]["status"], &mine[0]["payment_id"]),
        (&json!("confirmed"), &paid["payment_id"])
    );
    assert!(mine[0]["ticket"]["code"].is_string());
    let again = ravi.pay(id, json!(500)).await.problem(409, "already_paid");
    assert_eq!(again["payment_id"], paid["payment_id"]);
    let payments = ravi.get("/api/payment/payments").await.expect(200);
    assert_eq!(payments.as_array().unwrap().len(), 1);
    let one = format!("/api/payment/payments/{}", paid["payment_id"].as_str().unwrap());
    assert_eq!(ravi.get(&one).await.expect(200)["status"], "captured");
    asha.get(&one).await.problem(404, "payment_not_found");

    eventually("the ticket is sent", PATIENCE, async || {
        let sent: Vec<_> = ravi
            .messages()
            .await
            .into_iter()
            .filter(|(_, _, status)| status == "sent")
            .collect();
        (sent.len() == 1).then_some(())
    })
    .await;
    let mailbox = anyone.get("/dev/mailbox").await;
    assert_eq!(mailbox.status, 200);
    assert!(mailbox.text.contains("Tech Conference"), "{}", mailbox.text);
}

async fn every_way_to_pay(topology: Topology) {
    let system = System::start(topology, Options::default()).await;
    let organizer = system.person("organizer").await;
    let event = organizer.create_event(json!(50), json!(499.99)).await;
    let payer = |method: &'static str, details: Value| {
        let (system, event) = (&system, event.clone());
        async move {
            let person = system.person("user").await;
            let mut body = person.payment(&event, json!(499.99));
            body["payment_method"] = json!(method);
            if !details.is_null() {
                body["payment_details"] = details;
            }
            let answer = person.post("/api/payment/process_payment", body).await;
            (person, answer)
        }
    };
    for method in ["upi", "card", "CREDIT_card", "debit_card", "netbanking", "wallet"] {
        let (person, answer) = payer(method, Value::Null).await;
        let paid = answer.expect(200);
        assert_eq!(paid["amount"], json!(499.99), "{method}");
        person.is_confirmed(&event).await; // the hold was taken first
    }
    let (person, answer) = payer("upi", json!({"vpa": "failure@razorpay"})).await;
    let declined = answer.problem(402, "");
    assert_eq!(declined["message"], "Error processing payment.");
    assert_eq!(person.status(&event).await, "pending_payment", "the hold is kept");
    person.pay(&event, json!(499.99)).await.expect(200);
    assert_eq!(
        person
            .get("/api/payment/payments")
            .await
            .expect(200)
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let (_, answer) = payer("card", json!({"test_card": "4100280000080001"})).await;
    answer.problem(402, "insufficient_fund");
    let (_, answer) = payer("card", json!({"test_card": "4111111111111112"})).await;
    let wrong = answer.problem(402, "");
    assert!(
        !wrong.to_string().contains("4111111111111112"),
        "no card number in an answer"
    );
    let (_, answer) = payer("cash", Value::Null).await;
    let listed = answer.problem(422, "validation_failed")["errors"][0]["message"]
        .as_str()
        .unwrap()
        .to_owned();
    for method in ["upi", "card", "netbanking", "wallet"] {
        assert!(listed.contains(method), "{listed}");
    }
    let person = system.person("user").await;
    let mut body = person.payment(&event, json!(499.99));
    body["user_id"] = json!(organizer.id);
    person
        .post("/api/payment/process_payment", body)
        .await
        .problem(403, "not_your_payment");
    let free = organizer.create_event(Value::Null, json!(0)).await;
    person.pay(&free, json!(0)).await.problem(409, "nothing_due");
    person
        .pay("nonsense", json!(1))
        .await
        .problem(404, "event_not_found");
    system
        .anyone()
        .pay(&event, json!(499.99))
        .await
        .problem(401, "missing_token");
}

async fn browsing_and_changing(topology: Topology) {
    let system = System::start(topology, Options::default()).await;
    let (organizer, other, anyone) = (
        system.person("organizer").await,
        system.person("organizer").await,
        system.anyone(),
    );
    let event = organizer.create_event(json!(2), json!(0)).await;
    let path = format!("/api/organiser/events/{event}");
    assert_eq!(
        anyone
            .get("/api/events?q=rust%20ev&when=upcoming")
            .await
            .expect(200)[0]["event_id"],
        json!(event)
    );
    assert_eq!(anyone.get("/api/events?q=cooking").await.expect(200), json!([]));
    anyone
        .get("/api/events?limit=0&from=x&when=now")
        .await
        .problem(422, "validation_failed");
    anyone
        .get("/api/events/unknown")
        .await
        .problem(404, "event_not_found");
    let patch = |body| organizer.send(reqwest::Method::PATCH, &path, Some(body), &[]);
    let refused = other
        .send(
            reqwest::Method::PATCH,
            &path,
            Some(json!({"e_name": "Mine"})),
            &[],
        )
        .await
        .unwrap();
    refused.problem(404, "event_not_found");
    let changed = patch(json!({"e_name": "Rust night", "timezone": "Europe/Berlin", "user_id": "x"}))
        .await
        .unwrap();
    assert_eq!(changed.expect(200)["e_name"], "Rust night");
    patch(json!({"capacity": 0, "fees": 0.5, "e_name": null}))
        .await
        .unwrap()
        .problem(422, "validation_failed");
    patch(json!({})).await.unwrap().problem(422, "validation_failed");
    let (one, two) = (system.person("user").await, system.person("user").await);
    let registered = one.register(&event).await.expect(201);
    assert_eq!(registered["status"], "confirmed", "a free event confirms at once");
    two.register(&event).await.expect(201);
    organizer.register(&event).await.problem(409, "event_full");
    patch(json!({"capacity": 1}))
        .await
        .unwrap()
        .problem(409, "capacity_below_registrations");
    let registration = format!(
        "/api/reg/registrations/{}",
        registered["registration_id"].as_str().unwrap()
    );
    two.send(reqwest::Method::DELETE, &registration, None, &[])
        .await
        .unwrap()
        .problem(404, "registration_not_found");
    let cancelled = one
        .send(reqwest::Method::DELETE, &registration, None, &[])
        .await
        .unwrap()
        .expect(200);
    assert_eq!(cancelled["status"], "cancelled");
    one.send(reqwest::Method::DELETE, &registration, None, &[])
        .await
        .unwrap()
        .problem(409, "registration_ended");
    organizer.register(&event).await.expect(201); // an organizer may take part too
    let listed = organizer.get("/api/organiser/events?limit=1").await;
    assert_eq!(listed.expect(200)[0]["seats_left"], 0);
    organizer.create_event(json!(1), json!(0)).await;
    let first = organizer.get("/api/organiser/events?limit=1").await;
    let link = first.headers["link"].to_str().unwrap().to_owned();
    let next = link.trim_start_matches('<').split('>').next().unwrap();
    let second = organizer.get(next).await;
    assert_ne!(
        first.expect(200)[0]["event_id"],
        second.expect(200)[0]["event_id"]
    );
    assert!(!second.headers.contains_key("link"));
    organizer
        .get("/api/organiser/events?cursor=AAAA")
        .await
        .problem(422, "validation_failed");
}
