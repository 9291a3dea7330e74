//! Migration: a system on SQLite becomes one on MongoDB, and nobody notices but by its being there.

use std::{
    fs::File,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use common::{auth::Role, clock::Clock, time::utc};
use reqwest::Method;
use serde_json::{Value, json};
use tests::{
    Answer, Options, PATIENCE, Person, System, Topology, eventually,
    process::{Process, binary},
    system::fresh_database,
};

/// One run of the command in a system's folder.
struct Migration {
    child: Child,
    log: PathBuf,
}

impl Migration {
    fn start(system: &System, mongodb: &str) -> Self {
        let log = system.dir().join("move.log");
        let file = File::create(&log).unwrap();
        let child = Command::new(binary("organise-event"))
            .arg("migrate-to-mongodb")
            .env_clear()
            .envs(system.settings())
            .env("MONGODB_URI", mongodb)
            .current_dir(system.dir())
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        Self { child, log }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    async fn ended(&mut self, patience: Duration) -> ExitStatus {
        eventually("the move ends", patience, async || self.child.try_wait().unwrap()).await
    }

    /// Requires that it moves everything.
    async fn succeeds(system: &System, mongodb: &str) -> String {
        let mut migration = Self::start(system, mongodb);
        let ended = migration.ended(PATIENCE * 4).await;
        assert!(ended.success(), "{}", migration.log());
        migration.log()
    }

    /// Requires that it refuses, within moments and in one sentence.
    async fn refuses(system: &System, mongodb: &str) -> String {
        let mut migration = Self::start(system, mongodb);
        let ended = migration.ended(PATIENCE).await;
        let log = migration.log();
        assert_eq!(ended.code(), Some(1), "{log}");
        assert!(!log.contains("panicked"), "{log}");
        log
    }
}

/// Moves all that a stopped system has.
pub async fn migrate_to(system: &System, mongodb: &str) {
    Migration::succeeds(system, mongodb).await;
}

impl Drop for Migration {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn delete(person: &Person, event: &str) {
    let mine = person.get("/api/reg/get_registrevent").await.expect(200);
    let mine = mine
        .as_array()
        .unwrap()
        .iter()
        .find(|item| item["event_id"] == event);
    let id = mine.unwrap()["registration_id"].as_str().unwrap();
    let path = format!("/api/reg/registrations/{id}");
    person
        .send(Method::DELETE, &path, None, &[])
        .await
        .unwrap()
        .expect(200);
}

/// Waits until a person has so many messages, all of them sent.
async fn told(person: &Person, count: usize) {
    eventually(&format!("{count} messages are sent"), PATIENCE * 4, async || {
        let messages = person.messages().await;
        let sent = messages.iter().filter(|(.., status)| status == "sent").count();
        assert!(messages.len() <= count, "{messages:?}");
        (sent == count).then_some(())
    })
    .await;
}

/// Everything that a person sees.
async fn seen_by(person: &Person) -> Vec<(String, String)> {
    let mut seen = Vec::new();
    for path in [
        "/api/users/me",
        "/api/organiser/events",
        "/api/events?q=lasting+ev",
        "/api/events?price=paid",
        "/api/reg/get_registrevent?status=all",
        "/api/payment/payments",
        "/api/notifications?limit=100",
    ] {
        let answer = person.get(path).await;
        // A failure has a new request id each time.
        let text = match answer.status.is_success() {
            true => answer.text,
            false => answer.status.to_string(),
        };
        seen.push((format!("{} {path}", person.email), text));
    }
    seen
}

fn replayed(first: &Answer, again: &Answer) {
    assert_eq!(
        (again.status, &again.text),
        (first.status, &first.text),
        "byte for byte"
    );
    assert_eq!(again.headers["idempotency-replayed"], "true");
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_finds_everything_again() {
    let mut system = System::start(Topology::One, Options::default()).await;
    let organizer = system
        .person_with("organizer", &[("name", "Asha Ö. \"A\"")])
        .await;
    let more = [
        ("phone", "+919876543210"),
        ("timezone", "Europe/Berlin"),
        ("locale", "de-DE"),
    ];
    let ravi = system.person_with("user", &more).await;
    let (pending, gone, back) = (
        system.person("user").await,
        system.person("user").await,
        system.person("user").await,
    );
    let signed_out = system.person("user").await;
    signed_out.post("/api/users/logout", json!({})).await.expect(200);
    let everybody = [&organizer, &ravi, &pending, &gone, &back];

    let create = json!({"e_name": "A lasting evening", "e_details": "Things that stay: ß, 東京, 🦀.", "event_add": "Hall 7",
                        "event_time": "2031-01-01T10:00:00", "capacity": null, "fees": 0, "category": "music",
                        "tags": ["東京", "Café"], "image_url": "https://img.example.org/a.jpg",
                        "registration_opens_at": "2026-01-01T10:00:00"});
    let created = organizer
        .post_keyed("/api/organiser/create_event", "one", create.clone())
        .await;
    let free = created.expect(201)["event_id"].as_str().unwrap().to_owned();
    let copy = json!({"event_time": "2032-01-01T10:00:00"});
    let copy = organizer
        .post(&format!("/api/organiser/events/{free}/duplicate"), copy)
        .await;
    let copy = copy.expect(201)["event_id"].clone();
    let full = organizer.create_event(json!(1), json!(0)).await;
    let paid = organizer.create_event(json!(3), json!("499.50")).await;
    // Its 24 h reminder falls due after the move.
    let soon = utc(Clock::system().now() + Duration::from_secs(24 * 3600 + 75));
    let soon = organizer.create_event_at(&soon, json!(null), json!(0)).await;

    let register = json!({"event_id": free});
    let registered = ravi
        .post_keyed("/api/reg/register_event", "one", register.clone())
        .await;
    registered.expect(201);
    ravi.register(&full).await.expect(201);
    ravi.register(&soon).await.expect(201);
    let payment = ravi.payment(&paid, json!(499.5));
    let pay = "/api/payment/process_payment";
    let bought = ravi.post_keyed(pay, "one", payment.clone()).await;
    bought.expect(200);
    pending.register(&paid).await.expect(201);
    gone.register(&free).await.expect(201);
    delete(&gone, &free).await;
    back.pay(&paid, json!(499.5)).await.expect(200);
    delete(&back, &paid).await;
    // Four tickets by two channels; the others by e-mail only.
    told(&ravi, 8).await;
    told(&gone, 2).await;
    told(&back, 3).await;
    eventually("the money is back", PATIENCE, async || {
        let payments = back.get("/api/payment/payments").await.expect(200);
        (payments[0]["refund"]["status"] == "processed").then_some(())
    })
    .await;
    let mut before = Vec::new();
    for person in everybody {
        before.extend(seen_by(person).await);
    }
    let login = json!({"email": back.email, "password": "a good one"});
    let session = system.anyone().post("/api/users/login", login).await.expect(200);
    for ended in system.terminate() {
        assert!(ended.success(), "{ended}");
    }

    let mongodb = fresh_database();
    let log = Migration::succeeds(&system, &mongodb).await;
    assert!(
        log.contains("payments.refunds") && !log.contains("DIFFERENT"),
        "{log}"
    );
    let more = Options::default().with("MONGODB_URI", &mongodb);
    system.start_again_as(Topology::Production, more).await;
    let refresh = json!({"refresh_token": session["refresh_token"]});
    system
        .anyone()
        .post("/api/users/refresh", refresh)
        .await
        .expect(200);

    let mut after = Vec::new();
    for person in everybody {
        after.extend(seen_by(person).await);
        let login = json!({"email": person.email, "password": "a good one"});
        system.anyone().post("/api/users/login", login).await.expect(200);
    }
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before, after);
    }
    let tagged = system.anyone().get("/api/events?tag=cafe&category=music").await;
    let tagged = tagged.expect(200);
    assert_eq!(
        (tagged.as_array().unwrap().len(), &tagged[0]["event_id"]),
        (1, &json!(free))
    );
    let own = organizer.get("/api/organiser/events").await.expect(200);
    let draft = own
        .as_array()
        .unwrap()
        .iter()
        .find(|event| event["event_id"] == copy);
    assert_eq!(draft.unwrap()["status"], "draft");
    signed_out.get("/api/users/me").await.problem(401, "");
    let of = |name: &str| after.iter().filter(|(at, _)| at.contains(name)).count();
    assert_eq!(of("/api/payment/payments"), 5);

    let again = organizer
        .post_keyed("/api/organiser/create_event", "one", create)
        .await;
    replayed(&created, &again);
    replayed(
        &registered,
        &ravi.post_keyed("/api/reg/register_event", "one", register).await,
    );
    replayed(&bought, &ravi.post_keyed(pay, "one", payment).await);
    pending.register(&full).await.problem(409, "event_full");
    ravi.register(&free).await.problem(409, "already_registered");
    ravi.pay(&paid, json!(499.5)).await.problem(409, "already_paid");

    // What was under way goes on.
    pending.pay(&paid, json!(499.5)).await.expect(200);
    pending.is_confirmed(&paid).await;
    told(&pending, 1).await;
    gone.register(&free).await.expect(201);
    told(&ravi, 10).await; // the reminder, by two channels
    // Three seats, and the one that was given back is the last.
    gone.pay(&paid, json!(499.5)).await.expect(200);
    let late = system.person("user").await;
    late.register(&paid).await.problem(409, "event_full");
    let path = format!("/api/organiser/events/{paid}/cancel");
    organizer.post(&path, json!({})).await.expect(200);
    eventually("money from before the move goes back", PATIENCE, async || {
        let payments = ravi.get("/api/payment/payments").await.expect(200);
        (payments[0]["refund"]["status"] == "processed").then_some(())
    })
    .await;
    let statement = ravi.get("/api/payment/payments").await.expect(200);
    assert_eq!(statement[0]["refund"]["reason"], "event_cancelled");
    assert_eq!(statement.as_array().map(Vec::len), Some(1));
}

/// How many people are registered for an event.
async fn registered(system: &System, event: &str) -> Value {
    let shown = system.anyone().get(&format!("/api/events/{event}")).await;
    shown.expect(200)["registered"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_move_goes_on_until_all_is_there() {
    const CROWD: usize = 400;
    let mut system = System::start(Topology::One, Options::default()).await;
    let organizer = system.person("organizer").await;
    let event = organizer.create_event(json!(null), json!(0)).await;
    let mut crowd = Vec::new();
    for chunk in 0..CROWD / 50 {
        let mut asked = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let (person, event) = (system.stranger(Role::User), event.clone());
            asked.spawn(async move {
                person.register(&event).await.expect(201);
                person
            });
        }
        crowd.extend(asked.join_all().await);
        assert_eq!(crowd.len(), (chunk + 1) * 50);
    }
    system.terminate();

    let mongodb = fresh_database();
    let (mut kills, mut in_the_middle) = (0, 0);
    // Each time a little later, until it is through before it is killed.
    for run in 1.. {
        let mut migration = Migration::start(&system, &mongodb);
        tokio::time::sleep(Duration::from_millis(40 * run)).await;
        if let Some(ended) = migration.child.try_wait().unwrap() {
            assert!(ended.success(), "{}", migration.log());
            break;
        }
        migration.child.kill().unwrap();
        migration.child.wait().unwrap();
        kills += 1;
        let log = migration.log();
        if log.contains("copying") && !log.contains("comparing") {
            in_the_middle += 1;
            let services = ["users", "events", "notifications", "payments"];
            half_moved_is_refused(&system, &mongodb, services[run as usize % 4]).await;
        }
        if in_the_middle > 0 && crowd.len() == CROWD {
            // Back to SQLite for a while: what happens there is moved too.
            system.start_again().await;
            let person = system.stranger(Role::User);
            person.register(&event).await.expect(201);
            crowd.push(person);
            system.terminate();
        }
    }
    assert!(
        kills > 2 && in_the_middle > 0,
        "{kills} kills, {in_the_middle} of them while it copied"
    );
    let log = Migration::succeeds(&system, &mongodb).await;
    assert!(log.contains("Nothing to do"), "{log}");

    let more = Options::default().with("MONGODB_URI", &mongodb);
    system.start_again_as(Topology::Production, more).await;
    assert_eq!(registered(&system, &event).await, crowd.len());
    for person in crowd.iter().step_by(29).chain(crowd.last()) {
        let mine = person.get("/api/reg/get_registrevent").await.expect(200);
        assert_eq!(mine.as_array().map(Vec::len), Some(1));
        assert!(mine[0]["ticket"]["code"].is_string(), "{mine}");
    }
}

/// A service does not start on a part of its data.
async fn half_moved_is_refused(system: &System, mongodb: &str, service: &str) {
    let mut settings = system.settings().clone();
    settings.insert("MONGODB_URI".to_owned(), mongodb.to_owned());
    let mut process = Process::start("refused", service, &settings, system.dir());
    let ended = eventually("the service gives up", PATIENCE, async || process.ended()).await;
    let log = process.log();
    assert_eq!(ended.code(), Some(1), "{log}");
    assert!(log.contains("migrate-to-mongodb"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_refuses_what_would_go_wrong() {
    let mut system = System::start(Topology::Five, Options::default()).await;
    let mongodb = fresh_database();
    system.person("user").await;
    let log = Migration::refuses(&system, "").await;
    assert!(log.contains("MONGODB_URI"), "{log}");
    // One process that is idle is enough.
    let log = Migration::refuses(&system, &mongodb).await;
    assert!(log.contains("users.db is in use"), "{log}");
    system.kill("users");
    let log = Migration::refuses(&system, &mongodb).await;
    assert!(log.contains("events.db is in use"), "{log}");
    system.kill_all();
    let hidden = system.data().join("hidden");
    std::fs::rename(system.data().join("payments.db"), &hidden).unwrap();
    let log = Migration::refuses(&system, &mongodb).await;
    assert!(log.contains("payments.db is not there"), "{log}");
    std::fs::rename(hidden, system.data().join("payments.db")).unwrap();

    // Somebody else's system lives there.
    let mut other = System::start(Topology::Production, Options::default()).await;
    let theirs = other.person("user").await;
    other.terminate();
    let taken = other.settings()["MONGODB_URI"].clone();
    let log = Migration::refuses(&system, &taken).await;
    assert!(
        log.contains("already holds data") && log.contains("_users."),
        "{log}"
    );
    other.start_again().await;
    theirs.get("/api/users/me").await.expect(200);

    // And here all is well; then the way back is open, but not a second move of what has changed.
    Migration::succeeds(&system, &mongodb).await;
    system.start_again().await;
    system.person("user").await;
    system.terminate();
    let log = Migration::refuses(&system, &mongodb).await;
    assert!(log.contains("users.db was migrated"), "{log}");
}
