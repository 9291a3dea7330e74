//! Starting and stopping, well and badly.

use std::{collections::BTreeMap, net::TcpListener, os::unix::fs::PermissionsExt, time::Duration};

use serde_json::json;
use tests::{
    Options, PATIENCE, System, Topology, eventually,
    process::{Process, binary, root},
};

use crate::everywhere;

everywhere!(a_second_start_finds_the_data, requests_in_flight_are_finished);

async fn a_second_start_finds_the_data(topology: Topology) {
    let mut system = System::start(topology, Options::default()).await;
    let organizer = system.person("organizer").await;
    let event = organizer.create_event(json!(5), json!(500)).await;
    let person = system.person("user").await;
    person.pay(&event, json!(500)).await.expect(200);
    for ended in system.terminate() {
        assert!(ended.success(), "{ended}");
    }
    system.start_again().await;
    person.is_confirmed(&event).await;
    let login = json!({"email": person.email, "password": "a good one"});
    system.anyone().post("/api/users/login", login).await.expect(200);
    assert_eq!(
        person.get("/api/payment/payments").await.expect(200)[0]["status"],
        "captured"
    );
    let log = system.log();
    for secret in [
        "a good one",
        person.token.as_deref().unwrap(),
        "a secret of the tests",
    ] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

async fn requests_in_flight_are_finished(topology: Topology) {
    let mut system = System::start(topology, Options::default()).await;
    let event = system
        .person("organizer")
        .await
        .create_event(json!(null), json!(0))
        .await;
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (person, event) = (system.stranger(common::auth::Role::User), event.clone());
        asked.spawn(async move {
            let body = json!({"event_id": event});
            let answer = person
                .send(reqwest::Method::POST, "/api/reg/register_event", Some(body), &[])
                .await;
            (person, answer.ok().map(|answer| answer.status.as_u16()))
        });
    }
    let ended = tokio::task::spawn_blocking(move || (system.terminate(), system))
        .await
        .unwrap();
    assert!(
        ended.0.iter().all(std::process::ExitStatus::success),
        "{:?}",
        ended.0
    );
    let mut system = ended.1;
    system.start_again().await;
    for (person, status) in asked.join_all().await {
        if status == Some(201) {
            assert_eq!(
                person.status(&event).await,
                "confirmed",
                "what was answered is kept"
            );
        }
    }
}

fn settings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let mut settings: BTreeMap<String, String> = [
        "GATEWAY",
        "USERS",
        "EVENTS",
        "NOTIFICATIONS",
        "PAYMENTS",
        "RAZORPAY_SIMULATOR",
        "INGEST",
        "RTMP",
    ]
    .map(|name| (format!("{name}_PORT"), "0".to_owned()))
    .into();
    settings.extend(
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    );
    settings
}

/// Starts the program, which must end by itself with one clear message.
async fn fails(pairs: &[(&str, &str)]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let mut process = Process::start("organise-event", "organise-event", &settings(pairs), dir.path());
    let status = eventually("it gives up", PATIENCE, async || process.ended()).await;
    assert_eq!(status.code(), Some(1));
    let log = process.log();
    assert!(
        !log.contains("panicked") && !log.contains("RUST_BACKTRACE"),
        "{log}"
    );
    log
}

#[tokio::test]
async fn what_is_wrong_is_said_in_one_message() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let log = fails(&[("GATEWAY_PORT", &port)]).await;
    assert!(log.contains(&port) && log.contains("in use"), "{log}");
    let file = tempfile::NamedTempFile::new().unwrap();
    let log = fails(&[("DATA_DIR", file.path().to_str().unwrap())]).await;
    assert!(log.contains("data directory"), "{log}");
    let log = fails(&[
        ("USERS_PORT", "x"),
        ("JWT_SECRET", "short"),
        ("DEFAULT_TIMEZONE", "Mars"),
    ])
    .await;
    for name in ["USERS_PORT", "JWT_SECRET", "DEFAULT_TIMEZONE"] {
        assert!(log.contains(name), "{log}");
    }
    let log = fails(&[("APP_ENV", "production")]).await;
    for name in [
        "RAZORPAY_KEY_ID",
        "SMTP_URL",
        "JWT_SECRET",
        "TICKET_KEY",
        "PUBLIC_URL",
    ] {
        assert!(log.contains(name), "{log}");
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("events.db"),
        "this is no database, but long enough to look at it twice".repeat(50),
    )
    .unwrap();
    let log = fails(&[("DATA_DIR", dir.path().to_str().unwrap())]).await;
    assert!(log.contains("events.db"), "{log}");
}

#[tokio::test]
async fn a_free_port_is_taken_and_printed() {
    let dir = tempfile::tempdir().unwrap();
    let mut process = Process::start("organise-event", "organise-event", &settings(&[]), dir.path());
    let url = eventually("the banner is printed", PATIENCE, async || {
        let log = process.log();
        log.split_whitespace()
            .find(|word| word.starts_with("http://localhost:"))
            .map(str::to_owned)
    })
    .await;
    let http = tests::people::http_client();
    let welcome = http
        .get(format!("{url}/health/live").replace("localhost", "127.0.0.1"))
        .send()
        .await
        .unwrap();
    assert!(welcome.status().is_success());
    let secret = std::fs::metadata(dir.path().join("data/jwt_secret")).unwrap();
    assert_eq!(secret.permissions().mode() & 0o777, 0o600);
    assert!(process.terminate(Duration::from_secs(10)).success());
}

#[test]
fn help_the_example_file_and_the_documents_name_every_setting() {
    let help = std::process::Command::new(binary("organise-event"))
        .arg("--help")
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let example = std::fs::read_to_string(root().join(".env.example")).unwrap();
    let mut listed: Vec<&str> = example
        .lines()
        .filter_map(|line| {
            line.trim_start_matches("# ")
                .split_once('=')
                .map(|(name, _)| name)
        })
        .filter(|name| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|b| b.is_ascii_uppercase() || b == b'_' || b.is_ascii_digit())
        })
        // What docker compose itself reads is no setting of ours.
        .filter(|name| !name.starts_with("COMPOSE_"))
        .collect();
    let mut known: Vec<&str> = common::settings::SETTINGS
        .iter()
        .map(|setting| setting.name)
        .collect();
    for name in &known {
        assert!(help.contains(name), "--help does not name {name}");
    }
    listed.sort_unstable();
    known.sort_unstable();
    assert_eq!(listed, known, ".env.example and the settings differ");
    let page = std::fs::read_to_string(root().join("docs/settings.md")).unwrap();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    let said: Vec<String> = common::settings::SETTINGS
        .iter()
        .map(|setting| {
            let default = match setting.default {
                "" => String::new(),
                default => format!("`{default}`"),
            };
            format!("| `{}` | {default} | {} |", setting.name, setting.help)
        })
        .collect();
    assert_eq!(rows, said, "docs/settings.md and the settings differ");
}
