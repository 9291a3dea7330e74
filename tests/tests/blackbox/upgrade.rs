//! What an earlier release wrote is taken over: `tests/data/` has its files and what it answered, made by
//! `tests/tools/release_data.py`.

use std::{path::PathBuf, process::Command};

use reqwest::Method;
use serde_json::{Value, json};
use tests::{
    Options, PATIENCE, Person, System, Topology, eventually, people::http_client, system::fresh_database,
};

/// The archives, one for each release.
fn releases() -> Vec<PathBuf> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data");
    let found = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut releases: Vec<_> = found
        .filter(|path| path.extension().is_some_and(|ending| ending == "xz"))
        .collect();
    releases.sort();
    assert!(!releases.is_empty());
    releases
}

/// Puts a release's files in the place of the system's own.
fn unpack(system: &System, release: &PathBuf) -> Value {
    std::fs::remove_dir_all(system.data()).unwrap();
    std::fs::create_dir(system.data()).unwrap();
    let script = "import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2])";
    let python = std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
    let done = Command::new(python)
        .args(["-c", script])
        .arg(release)
        .arg(system.data())
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&std::fs::read(system.data().join("answers.json")).unwrap()).unwrap()
}

async fn login(system: &System, told: &Value, name: &str) -> Person {
    let login = json!({"email": format!("{name}@example.com"), "password": told["password"]});
    let answer = system.anyone().post("/api/users/login", login).await.expect(200);
    let id = answer["user_id"].as_str().unwrap().to_owned();
    assert_eq!(told["users"][name], json!(id));
    let signed_in = (id, answer["token"].as_str().unwrap().to_owned());
    Person::new(http_client(), system.url(), Some(signed_in))
}

/// Everything is answered as it was; a later release may say more.
async fn answers_as_it_did(system: &System, told: &Value) {
    for asked in told["answers"].as_array().unwrap() {
        let (name, path) = (asked["who"].as_str().unwrap(), asked["path"].as_str().unwrap());
        let person = match name {
            "" => system.anyone(),
            name => login(system, told, name).await,
        };
        let mut answer = person.get(path).await.expect(200);
        if let Some(list) = answer.as_array_mut() {
            list.retain(|one| one["event_id"] != told["events"]["held"]);
        }
        // What is called `skipped` was called `dropped`.
        let before = asked["answer"]
            .to_string()
            .replace(r#""status":"dropped""#, r#""status":"skipped""#);
        let before: Value = serde_json::from_str(&before).unwrap();
        assert!(says(&before, &answer), "{name} {path}\n{before}\n{answer}");
    }
}

/// A machine of that time goes on, if there were any.
async fn machines_go_on(system: &System, told: &Value) {
    if let Some(key) = told["api_key"].as_str() {
        let machine = system.anyone().with_token(key);
        let events = machine.get("/api/organiser/events").await.expect(200);
        assert_eq!(events.as_array().unwrap().len(), 4);
        machine.get("/api/users/me").await.problem(403, "scope_missing");
    }
}

/// Whether `now` says all that was said `then`.
fn says(then: &Value, now: &Value) -> bool {
    match (then, now) {
        (Value::Object(then), Value::Object(now)) => then
            .iter()
            .all(|(name, value)| now.get(name).is_some_and(|now| says(value, now))),
        (Value::Array(then), Value::Array(now)) => {
            then.len() == now.len() && then.iter().zip(now).all(|(then, now)| says(then, now))
        }
        _ => then == now,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_release_is_taken_over() {
    for release in releases() {
        let mut system = System::start(Topology::One, Options::default()).await;
        system.kill_all();
        let told = unpack(&system, &release);
        system.start_again().await;
        answers_as_it_did(&system, &told).await;
        machines_go_on(&system, &told).await;
        // And on MongoDB.
        system.terminate();
        let mongodb = fresh_database();
        crate::migration::migrate_to(&system, &mongodb).await;
        let more = Options::default().with("MONGODB_URI", &mongodb);
        system.start_again_as(Topology::Production, more).await;
        answers_as_it_did(&system, &told).await;
        machines_go_on(&system, &told).await;
        // Money of that time goes back, and what was held is held anew and paid.
        let asha = login(&system, &told, "asha").await;
        let mine = asha.get("/api/reg/get_registrevent").await.expect(200);
        let mut mine = mine.as_array().unwrap().iter();
        let paid = mine
            .find(|one| one["event_id"] == told["events"]["paid"])
            .unwrap();
        let path = format!(
            "/api/reg/registrations/{}",
            paid["registration_id"].as_str().unwrap()
        );
        asha.send(Method::DELETE, &path, None, &[])
            .await
            .unwrap()
            .expect(200);
        eventually("the refund", PATIENCE, async || {
            let payment = format!("/api/payment/payments/{}", paid["payment_id"].as_str().unwrap());
            let payment = asha.get(&payment).await.expect(200);
            (payment["status"] == "refunded").then_some(())
        })
        .await;
        let devi = login(&system, &told, "devi").await;
        let held = told["events"]["held"].as_str().unwrap();
        eventually("the old hold is gone", PATIENCE, async || {
            (devi.register(held).await.status == 201).then_some(())
        })
        .await;
        devi.pay(held, json!(250)).await.expect(200);
    }
}
