//! The end of an account, and all that is held of its user.

use reqwest::Method;
use serde_json::{Value, json};
use tests::{Options, PATIENCE, Person, System, Topology, eventually, smtp::MailServer};

mod one_process {
    #[tokio::test(flavor = "multi_thread")]
    async fn an_account_ends_with_all_it_has() {
        super::an_account_ends_with_all_it_has(tests::Topology::One).await;
    }
}

mod replicas {
    #[tokio::test(flavor = "multi_thread")]
    async fn an_account_ends_with_all_it_has() {
        super::an_account_ends_with_all_it_has(tests::Topology::Replicas).await;
    }
}

async fn delete(who: &Person) -> tests::Answer {
    let body = json!({"password": "a good one"});
    who.send(Method::DELETE, "/api/users/me", Some(body), &[])
        .await
        .unwrap()
}

fn letters_to(server: &MailServer, who: &Person) -> usize {
    server.mails().iter().filter(|mail| mail.to == who.email).count()
}

async fn an_account_ends_with_all_it_has(topology: Topology) {
    let server = MailServer::start().await;
    let options = Options::default().with("SMTP_URL", server.url());
    let mut system = System::start(topology, options).await;
    let organizer = system.person("organizer").await;
    let user = system.person_with("user", &[("name", "Asha Rao")]).await;
    let witness = system.person("user").await;
    let paid = organizer.create_event(json!(1), json!(100)).await;
    let free = organizer.create_event(json!(null), json!(0)).await;
    user.register(&free).await.expect(201);
    witness.register(&free).await.expect(201);
    user.register(&paid).await.expect(201);
    user.pay(&paid, json!(100)).await.expect(200);
    user.is_confirmed(&paid).await;
    // Confirmations of both, so that no letter of before comes after.
    eventually("the letters", PATIENCE, async || {
        (letters_to(&server, &user) == 2).then_some(())
    })
    .await;

    let export = user.get("/api/users/me/export").await.expect(200);
    assert_eq!(export["account"]["email"], user.email.as_str());
    let count = |section: &str| export[section].as_array().unwrap().len();
    assert_eq!(
        ["sessions", "registrations", "payments", "events"].map(count),
        [1, 2, 1, 0]
    );
    assert!(count("notifications") >= 2);
    let has_registered = |entry: &Value| entry["action"] == "POST /api/reg/register_event";
    eventually("what was done is written down", PATIENCE, async || {
        let export = user.get("/api/users/me/export").await.expect(200);
        let done = export["activity"].as_array().unwrap().clone();
        (done.iter().filter(|entry| has_registered(entry)).count() == 2).then_some(())
    })
    .await;
    let own = organizer.get("/api/users/me/export").await.expect(200);
    assert_eq!(own["events"].as_array().unwrap().len(), 2);

    delete(&organizer).await.problem(409, "events_open");
    delete(&user).await.expect(200);
    // Whatever is under way is taken up again.
    system.kill_all();
    system.start_again().await;
    eventually("the seat is free and the money goes back", PATIENCE, async || {
        let event = organizer.get(&format!("/api/events/{paid}")).await.json();
        let payments = organizer
            .get(&format!("/api/organiser/events/{paid}/payments"))
            .await
            .json();
        (event["seats_left"] == 1 && payments[0]["status"] == "refunded").then_some(())
    })
    .await;
    user.get("/api/users/me").await.expect(401);
    user.get("/api/reg/get_registrevent")
        .await
        .problem(401, "session_ended");
    let login = json!({"email": user.email, "password": "a good one"});
    system
        .anyone()
        .post("/api/users/login", login)
        .await
        .problem(401, "invalid_credentials");
    // Nothing more is written to them, and the address is free.
    let body = json!({"email": user.email, "password": "another one", "role": "user"});
    system
        .anyone()
        .post("/api/users/register", body)
        .await
        .expect(201);
    for event in [&paid, &free] {
        let path = format!("/api/organiser/events/{event}/cancel");
        organizer.post(&path, json!({})).await.expect(200);
    }
    // Theirs would have come before this one.
    eventually("the letter to somebody else", PATIENCE, async || {
        (letters_to(&server, &witness) == 2).then_some(())
    })
    .await;
    assert_eq!(letters_to(&server, &user), 2, "no further letter");
    delete(&organizer).await.expect(200);
    eventually("the organizer is nobody any more", PATIENCE, async || {
        (organizer.get("/api/organiser/events").await.status == 401).then_some(())
    })
    .await;
    let event = system
        .anyone()
        .get(&format!("/api/events/{free}"))
        .await
        .expect(200);
    assert_eq!(event["status"], "cancelled");
}
