//! The audit trail, as operators read it.

use reqwest::Method;
use serde_json::{Value, json};
use tests::{Options, PATIENCE, Person, System, Topology, eventually};

use crate::money::run;

mod one_process {
    #[tokio::test(flavor = "multi_thread")]
    async fn who_did_what_is_read_back() {
        super::who_did_what_is_read_back(tests::Topology::One).await;
    }
}

mod production {
    #[tokio::test(flavor = "multi_thread")]
    async fn who_did_what_is_read_back() {
        super::who_did_what_is_read_back(tests::Topology::Production).await;
    }
}

/// What a program's command says, one entry each.
fn entries(system: &System, program: &str, arguments: &[&str]) -> Vec<Value> {
    let (fine, text) = run(system, program, &[&["audit", "--json"], arguments].concat());
    assert!(fine, "{text}");
    // Beside them there is the log.
    let lines = text.lines().filter(|line| line.starts_with('{'));
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What happened to whom, as `action status code`.
fn told(entries: &[Value]) -> Vec<String> {
    let line = |entry: &Value| {
        let code = entry["code"].as_str().unwrap_or("ok");
        format!("{} {} {code}", entry["action"].as_str().unwrap(), entry["status"])
    };
    entries.iter().map(line).collect()
}

async fn who_did_what_is_read_back(topology: Topology) {
    let mut system = System::start(topology, Options::default()).await;
    let organizer = system.person("organizer").await;
    let other = system.person("organizer").await;
    let nobody = system.anyone();
    let event = organizer.create_event(json!(null), json!(0)).await;
    let path = format!("/api/organiser/events/{event}");
    let change = async |who: &Person, body| who.send(Method::PATCH, &path, Some(body), &[]).await.unwrap();
    change(&organizer, json!({"e_details": "Else."}))
        .await
        .expect(200);
    change(&organizer, json!({"capacity": "many"})).await.expect(422);
    change(&other, json!({"e_details": "Mine."})).await.expect(404);
    let guess = json!({"email": organizer.email, "password": "a wrong one"});
    nobody.post("/api/users/login", guess).await.expect(401);
    let body = json!({"name": "Door", "scopes": ["events:read"]});
    let key = organizer.post("/api/users/api_keys", body).await.expect(201);
    let machine = organizer.with_token(key["api_key"].as_str().unwrap());
    machine.get("/api/organiser/events").await.expect(200);
    machine.get("/api/users/me").await.expect(403);
    let forged = nobody.with_token("eyJhbGciOiJub25lIn0.e30.");
    for _ in 0..3 {
        forged.get("/api/users/me").await.expect(401);
    }

    let all = match topology {
        Topology::One => vec!["organise-event"],
        _ => vec!["organise-event", "users", "events"],
    };
    let of_organizer = [
        "POST /api/users/register 201 ok",
        "POST /api/users/login 200 ok",
        "POST /api/organiser/create_event 201 ok",
        "PATCH /api/organiser/events/{id} 200 ok",
        "POST /api/users/login 401 invalid_credentials",
        "POST /api/users/api_keys 201 ok",
        "GET /api/organiser/events 200 ok",
        "GET /api/users/me 403 scope_missing",
    ];
    let found = eventually("the entries", PATIENCE, async || {
        let found = entries(
            &system,
            "organise-event",
            &["--user", &organizer.email.to_uppercase()],
        );
        (found.len() >= of_organizer.len()).then_some(found)
    })
    .await;
    assert_eq!(told(&found), of_organizer);
    for entry in &found {
        assert_eq!(entry["user"], organizer.id.as_str(), "{entry}");
        assert_eq!(entry["network"], "127.0.0.0/24", "{entry}");
        assert!(
            entry["request_id"].as_str().is_some_and(|id| id.len() == 32),
            "{entry}"
        );
    }
    assert_eq!(found[2]["subject"], event.as_str());
    assert_eq!(found[3]["subject"], event.as_str());
    assert!(found[1]["session"].is_string() && found[4]["session"].is_null());
    assert_eq!(found[5]["subject"], key["api_key_id"]);
    for used in [6, 7] {
        assert_eq!(found[used]["api_key"], key["api_key_id"]);
        assert!(found[used]["session"].is_null());
    }
    let of_other = entries(&system, "organise-event", &["--user", &other.id]);
    assert_eq!(
        told(&of_other).last().unwrap(),
        "PATCH /api/organiser/events/{id} 404 event_not_found"
    );
    // Nobody in particular, who knocks.
    eventually("who knocks is one entry", 2 * PATIENCE, async || {
        let all = entries(&system, "organise-event", &[]);
        let knocks = all.iter().find(|entry| entry["code"] == "invalid_token")?;
        assert_eq!((&knocks["times"], &knocks["user"]), (&json!(3), &json!(null)));
        Some(())
    })
    .await;
    // Each program reads its own part, and all of them together nothing twice.
    let total = entries(&system, "organise-event", &["--user", &organizer.id]).len();
    if all.len() > 1 {
        let parts = ["users", "events", "notifications", "payments"]
            .map(|program| entries(&system, program, &["--user", &organizer.id]).len());
        assert_eq!(parts.iter().sum::<usize>(), total, "{parts:?}");
        assert_eq!(parts[1], 3, "{parts:?}");
    }
    let text = run(&system, "organise-event", &["audit", "--user", &organizer.id]).1;
    assert!(text.contains(&format!("Entries: {total}.\n")), "{text}");
    assert!(
        text.contains("401  invalid_credentials  POST /api/users/login  user="),
        "{text}"
    );
    assert_eq!(
        entries(&system, "organise-event", &["--since", "2999-01-01"]),
        [] as [Value; 0]
    );
    assert!(entries(&system, "organise-event", &["--since", "2020-01-01T00:00:00Z"]).len() > total);
    for wrong in [
        ["--user", "x"],
        ["--user", "nobody@example.org"],
        ["--since", "soon"],
    ] {
        let (fine, text) = run(&system, "organise-event", &[&["audit"], &wrong[..]].concat());
        assert!(!fine, "{wrong:?}: {text}");
    }
    // A stop writes down what it has.
    nobody
        .post(
            "/api/users/login",
            json!({"email": other.email, "password": "a wrong one"}),
        )
        .await
        .expect(401);
    system.terminate();
    system.start_again().await;
    let of_other = entries(&system, "organise-event", &["--user", &other.id]);
    assert_eq!(
        told(&of_other).last().unwrap(),
        "POST /api/users/login 401 invalid_credentials"
    );
}
