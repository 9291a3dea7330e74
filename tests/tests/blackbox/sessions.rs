//! Signing out, and changing one's details: what one service knows reaches all.

use serde_json::{Value, json};
use tests::{Options, PATIENCE, Person, System, Topology, eventually, smtp::MailServer};

use crate::everywhere;

everywhere!(
    a_session_ends_everywhere,
    a_session_goes_on_until_its_token_is_used_twice,
    a_new_name_is_used_at_once
);

/// A call of each service that needs a token.
const CALLS: [&str; 4] = [
    "/api/users/me",
    "/api/reg/get_registrevent?status=all",
    "/api/payment/payments",
    "/api/notifications",
];

/// Waits until every process refuses the token. With replicas the gateway asks them in turn, so each call is made often.
pub async fn refused_everywhere(person: &Person) {
    for path in CALLS {
        eventually("an ended session is refused", PATIENCE, async || {
            for _ in 0..4 {
                let answer = person.get(path).await;
                if answer.status != 401 {
                    return None;
                }
                answer.problem(401, "session_ended");
            }
            Some(())
        })
        .await;
    }
}

async fn a_session_ends_everywhere(topology: Topology) {
    let mut system = System::start(topology, Options::default()).await;
    let person = system.person("user").await;
    let login = json!({"email": person.email, "password": "a good one"});
    let again = system.anyone().post("/api/users/login", login).await.expect(200);
    let mut other = person.clone();
    other.token = again["token"].as_str().map(str::to_owned);
    for path in CALLS {
        person.get(path).await.expect(200);
    }
    person.post("/api/users/logout", json!({})).await.expect(200);
    refused_everywhere(&person).await;
    for path in CALLS {
        other.get(path).await.expect(200);
    }
    // Whoever starts later knows of it too.
    system.kill_all();
    system.start_again().await;
    refused_everywhere(&person).await;
    other.get("/api/users/me").await.expect(200);
}

async fn a_session_goes_on_until_its_token_is_used_twice(topology: Topology) {
    let mut system = System::start(topology, Options::default()).await;
    let mut person = system.person("user").await;
    let login = json!({"email": person.email, "password": "a good one"});
    let begun = system.anyone().post("/api/users/login", login).await.expect(200);
    let refresh = async |system: &System, token: &Value| {
        let body = json!({"refresh_token": token});
        system.anyone().post("/api/users/refresh", body).await
    };
    // Two tabs, which the gateway sends to two replicas where there are two.
    let first = &begun["refresh_token"];
    let (one, two) = tokio::join!(refresh(&system, first), refresh(&system, first));
    let (one, two) = (one.expect(200), two.expect(200));
    assert_eq!(one["refresh_token"], two["refresh_token"]);
    // It is in the store, and a kill costs nothing.
    system.kill_all();
    system.start_again().await;
    let next = refresh(&system, &one["refresh_token"]).await.expect(200);
    person.token = next["token"].as_str().map(str::to_owned);
    for path in CALLS {
        person.get(path).await.expect(200);
    }
    let listed = person.get("/api/users/sessions").await.expect(200);
    let current = listed
        .as_array()
        .unwrap()
        .iter()
        .filter(|session| session["current"] == true);
    assert_eq!(
        (listed.as_array().unwrap().len(), current.count()),
        (2, 1),
        "{listed}"
    );
    // A thief comes with the first one.
    refresh(&system, first).await.problem(401, "refresh_token_reused");
    refused_everywhere(&person).await;
    refresh(&system, &next["refresh_token"])
        .await
        .problem(401, "refresh_token_invalid");
}

async fn a_new_name_is_used_at_once(topology: Topology) {
    let server = MailServer::start().await;
    let system = System::start(topology, Options::default().with("SMTP_URL", server.url())).await;
    let organizer = system.person("organizer").await;
    let person = system.person_with("user", &[("name", "Old Name")]).await;
    for (name, events) in [("Old Name", 1), ("New Name", 2)] {
        let change = json!({"name": name});
        let path = "/api/users/me";
        let changed = person.send(reqwest::Method::PATCH, path, Some(change), &[]).await;
        changed.unwrap().expect(200);
        let event = organizer.create_event(json!(null), json!(0)).await;
        person.register(&event).await.expect(201);
        eventually("the mails are there", PATIENCE, async || {
            (server.counts().len() == events).then_some(())
        })
        .await;
        let mails = server.mails();
        let newest = mails.last().unwrap();
        // Where nothing is shared, a look-up lives for up to five seconds.
        if events == 1 || topology != Topology::Five {
            assert!(newest.text.contains(&format!("Hello {name}")), "{}", newest.text);
        }
    }
}

/// Five processes that start together: whoever says it is ready refuses what has ended. Those whose users service stays
/// away serve all the same, after a while, and say that they are degraded.
#[tokio::test(flavor = "multi_thread")]
async fn ready_means_that_ended_sessions_are_known() {
    let mut system = System::start(Topology::Five, Options::default()).await;
    let person = system.person("user").await;
    person.post("/api/users/logout", json!({})).await.expect(200);
    system.kill_all();
    system.start_without("users");
    let events = system.anyone().at(&system.service_url("EVENTS_PORT"));
    let checks = async |wanted: &str, status: u16| {
        eventually("a check changes", PATIENCE, async || {
            let url = format!("{}/health/ready", events.url());
            let answer = tests::people::http_client().get(url).send().await.ok()?;
            let is = answer.status().as_u16();
            let report: serde_json::Value = answer.json().await.ok()?;
            (report["checks"]["ended_sessions"] == wanted && is == status).then_some(())
        })
        .await;
    };
    checks("down", 503).await;
    checks("degraded", 200).await;
    // It cannot know, so it accepts the token; and says so.
    person.get(CALLS[1]).await.expect(200);
    assert!(system.log().contains("ended sessions could not be asked for"));
    system.start_again().await;
    checks("up", 200).await;
    refused_everywhere(&person).await;
    // All at once, and asked as soon as they are ready.
    for _ in 0..3 {
        system.kill_all();
        system.start_again().await;
        for path in CALLS {
            person.get(path).await.problem(401, "session_ended");
        }
    }
}

/// A new `JWT_SECRET` and the one before, then the new one alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_replaced_and_nobody_is_signed_out() {
    const NEW: &str = "another secret of the tests, as long as the first";
    let mut system = System::start(Topology::Five, Options::default()).await;
    let person = system.person("user").await;
    let login = async |system: &System| {
        let login = json!({"email": person.email, "password": "a good one"});
        let answer = system.anyone().post("/api/users/login", login).await.expect(200);
        let mut again = person.clone();
        again.token = answer["token"].as_str().map(str::to_owned);
        (again, answer["refresh_token"].clone())
    };
    let (_, old_refresh) = login(&system).await;
    system.kill_all();
    let old = system.settings()["JWT_SECRET"].clone();
    let both = Options::default()
        .with("JWT_SECRET", NEW)
        .with("JWT_SECRET_OLD", &old);
    system.start_again_as(Topology::Five, both).await;
    let (newer, _) = login(&system).await;
    for path in CALLS {
        person.get(path).await.expect(200);
        newer.get(path).await.expect(200);
    }
    system.kill_all();
    let alone = Options::default().with("JWT_SECRET_OLD", "");
    system.start_again_as(Topology::Five, alone).await;
    for path in CALLS {
        person.get(path).await.problem(401, "invalid_token");
        newer.get(path).await.expect(200);
    }
    let refresh = json!({"refresh_token": old_refresh});
    system
        .anyone()
        .post("/api/users/refresh", refresh)
        .await
        .expect(200);
}
