//! What is mailed to prove an address: verification, a lost password, another address and the way back.

use serde_json::{Value, json};
use tests::{Options, PATIENCE, Person, System, Topology, eventually};

use crate::{everywhere, mailbox::in_a_browser, sessions::refused_everywhere};

everywhere!(an_account_is_recovered_by_mail);

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_was_promised_comes_after_a_kill_with_sqlite() {
    a_letter_that_was_promised_comes_after_a_kill(Topology::One).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_was_promised_comes_after_a_kill_with_mongodb() {
    a_letter_that_was_promised_comes_after_a_kill(Topology::Production).await;
}

/// Two services ask a third, which is told by the bus that the address is verified.
#[tokio::test(flavor = "multi_thread")]
async fn only_verified_addresses_create_events_and_pay_with_replicas() {
    only_verified_addresses_create_events_and_pay(Topology::Replicas).await;
}

const NEW: &str = "another good one";

/// What a letter brings.
struct Brought {
    token: String,
    code: String,
}

/// The `number`th letter of a kind to an address, as its reader sees it.
async fn letter(system: &System, email: &str, kind: &str, number: usize) -> Brought {
    let anyone = system.anyone();
    let id = eventually("the letter is there", PATIENCE, async || {
        let sent = anyone
            .get(&format!("/dev/mailbox.json?to={email}&limit=100"))
            .await
            .expect(200);
        let mut ids: Vec<Value> = sent
            .as_array()?
            .iter()
            .filter(|letter| letter["kind"] == kind)
            .map(|letter| letter["id"].clone())
            .collect();
        ids.reverse();
        ids.get(number)?.as_str().map(str::to_owned)
    })
    .await;
    let text = anyone.get(&format!("/dev/mailbox/{id}?text=1")).await.text;
    let token = text
        .split("?token=")
        .nth(1)
        .unwrap()
        .lines()
        .next()
        .unwrap()
        .to_owned();
    let code = text
        .lines()
        .find(|line| line.len() == 8 && line.bytes().all(|b| b.is_ascii_digit()))
        .unwrap_or_else(|| panic!("{text}"))
        .to_owned();
    Brought { token, code }
}

async fn login(system: &System, email: &str, password: &str) -> tests::people::Answer {
    let body = json!({"email": email, "password": password});
    system.anyone().post("/api/users/login", body).await
}

async fn an_account_is_recovered_by_mail(topology: Topology) {
    let system = System::start(topology, Options::default()).await;
    let anyone = system.anyone();
    let person = system.person("user").await;
    let me = async |person: &Person| {
        let me = person.get("/api/users/me").await.expect(200);
        (
            me["email"].as_str().unwrap().to_owned(),
            me["email_verified"] == true,
        )
    };
    let email = person.email.clone();
    // Sign-up works at once; the address is verified by the code in the letter.
    assert_eq!(me(&person).await, (email.clone(), false));
    let signed_up = letter(&system, &email, "verify_email", 0).await;
    let by_code = json!({"email": email, "token": signed_up.code});
    anyone.post("/api/users/email/verify", by_code).await.expect(200);
    assert_eq!(me(&person).await, (email.clone(), true));
    // A lost password: another one, and everybody is signed out.
    let forgot = json!({"email": email});
    let told = anyone
        .post("/api/users/password/forgot", forgot)
        .await
        .expect(202);
    let unknown = json!({"email": "nobody@example.org"});
    assert_eq!(
        told,
        anyone
            .post("/api/users/password/forgot", unknown)
            .await
            .expect(202)
    );
    let lost = letter(&system, &email, "password_reset", 0).await;
    // The token proves that the mail is read, so a session does not see it.
    let inbox = person.get("/api/notifications").await;
    let listed = inbox.expect(200);
    let reset = listed
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["kind"] == "password_reset");
    assert!(
        reset.unwrap()["subject"].is_string() && reset.unwrap()["text"].is_null(),
        "{listed}"
    );
    for secret in [&lost.token, &lost.code] {
        assert!(!inbox.text.contains(secret.as_str()));
    }
    let reset = json!({"token": lost.token, "password": NEW});
    let answer = anyone
        .post("/api/users/password/reset", reset.clone())
        .await
        .expect(200);
    assert_eq!(answer["ended"], 1);
    refused_everywhere(&person).await;
    anyone
        .post("/api/users/password/reset", reset)
        .await
        .problem(403, "token_invalid");
    login(&system, &email, "a good one")
        .await
        .problem(401, "invalid_credentials");
    let again = login(&system, &email, NEW).await.expect(200);
    letter(&system, &email, "password_changed", 0).await;
    // Another address: it counts once it is verified there, and letters follow it.
    let mut person = person.clone();
    person.token = again["token"].as_str().map(str::to_owned);
    let other = format!("new-{email}");
    let change = json!({"email": other, "password": NEW});
    person.post("/api/users/email/change", change).await.expect(202);
    assert_eq!(me(&person).await.0, email);
    let there = letter(&system, &other, "verify_email", 0).await;
    let by_link = json!({"token": there.token});
    anyone.post("/api/users/email/verify", by_link).await.expect(200);
    assert_eq!(me(&person).await, (other.clone(), true));
    let organizer = system.person("organizer").await;
    let event = organizer.create_event(json!(null), json!(0)).await;
    person.register(&event).await.expect(201);
    eventually(
        "the ticket goes to the address that the account has now",
        PATIENCE,
        async || {
            let sent = anyone
                .get(&format!("/dev/mailbox.json?to={other}"))
                .await
                .expect(200);
            sent.as_array()?
                .iter()
                .any(|letter| letter["kind"] == "ticket")
                .then_some(())
        },
    )
    .await;
    // The earlier one has a way back, which signs everybody out.
    let back = letter(&system, &email, "email_changed", 0).await;
    let by_code = json!({"email": email, "token": back.code});
    let answer = anyone.post("/api/users/email/verify", by_code).await.expect(200);
    assert_eq!(answer["email"], email);
    refused_everywhere(&person).await;
    login(&system, &other, NEW)
        .await
        .problem(401, "invalid_credentials");
    login(&system, &email, NEW).await.expect(200);
}

/// Killed right after the answer: the letter is in the store with what it is about.
async fn a_letter_that_was_promised_comes_after_a_kill(topology: Topology) {
    let mut system = System::start(topology, Options::default()).await;
    let person = system.person("user").await;
    letter(&system, &person.email, "verify_email", 0).await;
    for number in 0..3 {
        let forgot = json!({"email": person.email});
        let anyone = system.anyone();
        anyone
            .post("/api/users/password/forgot", forgot)
            .await
            .expect(202);
        system.kill_all();
        system.start_again().await;
        letter(&system, &person.email, "password_reset", number).await;
    }
    let last = letter(&system, &person.email, "password_reset", 2).await;
    let reset = json!({"token": last.token, "password": NEW});
    system
        .anyone()
        .post("/api/users/password/reset", reset)
        .await
        .expect(200);
}

/// Where the operator wants verified addresses, they are needed to create events and to pay, and to do nothing else.
async fn only_verified_addresses_create_events_and_pay(topology: Topology) {
    let options = Options::default().with("REQUIRE_VERIFIED_EMAIL", "on");
    let system = System::start(topology, options).await;
    let (organizer, person) = (system.person("organizer").await, system.person("user").await);
    let create = async || {
        let body = json!({
            "e_name": "A talk", "e_details": "About it", "event_time": "2034-01-01T10:00:00Z", "event_add": "Hall 1",
            "capacity": 5, "fees": 100,
        });
        organizer.post("/api/organiser/create_event", body).await
    };
    create().await.problem(403, "email_not_verified");
    verify(&system, &organizer).await;
    let event = eventually(
        "an organizer with an address creates an event",
        PATIENCE,
        async || {
            let answer = create().await;
            (answer.status == 201).then(|| answer.json()["event_id"].as_str().unwrap().to_owned())
        },
    )
    .await;
    person.register(&event).await.expect(201);
    person
        .pay(&event, json!(100))
        .await
        .problem(403, "email_not_verified");
    verify(&system, &person).await;
    eventually("a payer with an address pays", PATIENCE, async || {
        (person.pay(&event, json!(100)).await.status == 200).then_some(())
    })
    .await;
}

async fn verify(system: &System, person: &Person) {
    let Brought { code, .. } = letter(system, &person.email, "verify_email", 0).await;
    let body = json!({"email": person.email, "token": code});
    system
        .anyone()
        .post("/api/users/email/verify", body)
        .await
        .expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_do_what_the_letters_say() {
    let system = System::start(Topology::One, Options::default()).await;
    in_a_browser("account.mjs", &[&system.url()]);
}
