//! Redis away, slow, frozen or forgetful, in the middle of everything: requests go on, limits hold, no ended session gets
//! in, no changed address is used, and readiness says what is the matter.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::{Options, PATIENCE, Person, System, Topology, eventually, smtp::MailServer};

use crate::sessions::refused_everywhere;

/// What happens to Redis.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    Killed,
    Frozen,
    /// It answers nothing else for half a second, again and again.
    Slow,
    Flushed,
}

/// Everything that is promised, from the moment of the fault on.
async fn goes_on(fault: Fault) {
    let mail = MailServer::start().await;
    let options = Options::default()
        .with("SMTP_URL", mail.url())
        .with("RATE_LIMITS", "on");
    let mut system = System::start(Topology::Production, options).await;
    let organizer = system.person("organizer").await;
    let person = system.person_with("user", &[("name", "Old Name")]).await;
    let event = organizer.create_event(json!(null), json!(500)).await;
    person.pay(&event, json!(500)).await.expect(200); // now the look-up is cached
    eventually("the first mails are there", PATIENCE, async || {
        (mail.counts().len() == 1).then_some(())
    })
    .await;
    assert_eq!(readiness(&system).await["status"], "up");

    match fault {
        Fault::Killed => system.redis().kill(),
        Fault::Frozen => system.redis().freeze(),
        Fault::Flushed => drop(system.redis().command(&["FLUSHALL"])),
        Fault::Slow => {}
    }
    let sleeper = (fault == Fault::Slow).then(|| {
        let url = system.redis().url();
        tokio::task::spawn_blocking(move || test_kit::redis::keep_busy(&url, Duration::from_secs(12)))
    });
    // A session ends and a name changes while nobody can be told.
    let leaves = system.person("user").await;
    leaves.get("/api/payment/payments").await.expect(200);
    leaves.post("/api/users/logout", json!({})).await.expect(200);
    let change = Some(json!({"name": "New Name"}));
    let changed = person
        .send(reqwest::Method::PATCH, "/api/users/me", change, &[])
        .await;
    changed.unwrap().expect(200);
    let since = Instant::now();
    if matches!(fault, Fault::Killed | Fault::Frozen) {
        eventually("readiness says so", PATIENCE, async || {
            (readiness(&system).await["status"] == "degraded").then_some(())
        })
        .await;
    }
    // The whole story, again and again.
    for _ in 0..3 {
        let somebody = system.person("user").await;
        let event = organizer.create_event(json!(1), json!(500)).await;
        somebody.pay(&event, json!(500)).await.expect(200);
        somebody.get("/api/reg/get_registrevent").await.expect(200);
    }
    refused_everywhere(&leaves).await;
    assert!(since.elapsed() < Duration::from_secs(60), "{:?}", since.elapsed());
    limits_hold(&system).await;

    match fault {
        Fault::Killed => system.redis().start_again(),
        Fault::Frozen => system.redis().thaw(),
        Fault::Slow | Fault::Flushed => {}
    }
    if let Some(sleeper) = sleeper {
        sleeper.await.unwrap();
    }
    eventually("all is well again", PATIENCE, async || {
        (readiness(&system).await["status"] == "up").then_some(())
    })
    .await;
    refused_everywhere(&leaves).await;
    new_name_within_a_minute(&organizer, &person, &mail, since).await;
}

async fn readiness(system: &System) -> Value {
    system.anyone().get("/health/ready").await.json()
}

/// Ten wrong guesses, and no more, whatever Redis says.
async fn limits_hold(system: &System) {
    let victim = system.person("user").await;
    let guess = json!({"email": victim.email, "password": "not this one"});
    for _ in 0..10 {
        system
            .anyone()
            .post("/api/users/login", guess.clone())
            .await
            .expect(401);
    }
    let refused = system.anyone().post("/api/users/login", guess).await;
    refused.problem(429, "rate_limited");
}

async fn new_name_within_a_minute(organizer: &Person, person: &Person, mail: &MailServer, since: Instant) {
    let mut asked = 0;
    loop {
        let event = organizer.create_event(json!(null), json!(0)).await;
        let started = Instant::now();
        person.register(&event).await.expect(201);
        asked += 1;
        let text = eventually("the confirmation is there", PATIENCE, async || {
            let mut mails = mail.mails().into_iter().filter(|mail| mail.to == person.email);
            mails.nth(asked).map(|mail| mail.text)
        })
        .await;
        if text.contains("Hello New Name") {
            return;
        }
        let stale = started - since;
        assert!(stale < Duration::from_secs(60), "an old name after {stale:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed() {
    goes_on(Fault::Killed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frozen() {
    goes_on(Fault::Frozen).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow() {
    goes_on(Fault::Slow).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn flushed() {
    goes_on(Fault::Flushed).await;
}
