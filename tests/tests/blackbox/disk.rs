//! A system on a full disk: what it has can be read, also by one that starts there; nothing is lost.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
};

use serde_json::json;
use tests::{
    PATIENCE, Person, eventually,
    people::http_client,
    ports::free_port,
    process::{binary, root},
};

/// What `full_disk.sh` runs, and the way to tell it.
struct Disk {
    child: Child,
    words: ChildStdin,
    answers: std::io::Lines<BufReader<std::fs::File>>,
    url: String,
}

impl Disk {
    fn new(folder: &Path) -> Self {
        let pipe = folder.with_extension("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let port = free_port();
        let log = std::fs::File::create(folder.with_extension("log")).unwrap();
        let mut command = Command::new("bash");
        command
            .arg("-c")
            .arg("exec 3>\"$1\"; exec bash \"$2\" \"$3\" \"$4\"")
            .arg("full_disk")
            .arg(&pipe)
            .arg(root().join("tests/tools/full_disk.sh"))
            .arg(folder)
            .arg(binary("organise-event"))
            .env("GATEWAY_PORT", port.to_string())
            .env("LOG", "info")
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        for port in [
            "USERS",
            "EVENTS",
            "NOTIFICATIONS",
            "PAYMENTS",
            "RAZORPAY_SIMULATOR",
            "INGEST",
            "RTMP",
        ] {
            command.env(format!("{port}_PORT"), free_port().to_string());
        }
        let mut child = command.spawn().unwrap();
        let words = child.stdin.take().unwrap();
        // Blocks until the script has opened its end.
        let answers = BufReader::new(std::fs::File::open(&pipe).unwrap()).lines();
        Self {
            child,
            words,
            answers,
            url: format!("http://127.0.0.1:{port}"),
        }
    }

    fn tell(&mut self, word: &str) {
        writeln!(self.words, "{word}").unwrap();
        let answer = self.answers.next().and_then(Result::ok);
        assert_eq!(answer.as_deref(), Some("done"), "{word}");
    }

    async fn status(&self) -> Option<String> {
        let answer = http_client()
            .get(format!("{}/health/ready", self.url))
            .send()
            .await
            .ok()?;
        let report: serde_json::Value = answer.json().await.ok()?;
        Some(report["status"].as_str()?.to_owned())
    }

    async fn is_up(&self) {
        eventually("the system is up", PATIENCE, async || {
            (self.status().await? == "up").then_some(())
        })
        .await;
    }

    /// Fills the disk until the system notices. Once is not enough: a store that is closed, as when the system stops or
    /// tries whether it can write again, folds its log into its file and so makes room.
    async fn is_degraded_when_full(&mut self) {
        eventually("the system is degraded", PATIENCE, async || {
            self.tell("fill");
            (self.status().await? == "degraded").then_some(())
        })
        .await;
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_on_a_full_disk_can_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("disk");
    std::fs::create_dir(&folder).unwrap();
    let mut disk = Disk::new(&folder);
    disk.tell("start");
    disk.is_up().await;
    let anyone = Person::new(http_client(), disk.url.clone(), None);
    let account = json!({"email": "o@example.org", "password": "a good one", "role": "organizer"});
    anyone
        .post("/api/users/register", account.clone())
        .await
        .expect(201);
    let signed_in = async || {
        let login = anyone.post("/api/users/login", account.clone()).await.expect(200);
        let text = |name: &str| login[name].as_str().unwrap().to_owned();
        Person::new(
            http_client(),
            anyone.url().to_owned(),
            Some((text("user_id"), text("token"))),
        )
    };
    let organizer = signed_in().await;
    let event = organizer.create_event(json!(null), json!(0)).await;
    // It fills up while it runs, and is killed; or it is stopped first. The next start finds no byte.
    for end in ["kill", "stop"] {
        disk.is_degraded_when_full().await;
        disk.tell(end);
        disk.tell("fill");
        disk.tell("start");
        disk.is_degraded_when_full().await;
        let listed = anyone.get("/api/events").await.expect(200);
        assert_eq!(listed[0]["event_id"], json!(event), "{end}");
        // Who is signed in goes on.
        organizer.get("/api/organiser/events").await.expect(200);
        let body = json!({"name": "Asha"});
        let rename = async || {
            organizer
                .send(reqwest::Method::PATCH, "/api/users/me", Some(body.clone()), &[])
                .await
                .unwrap()
        };
        // One of the stores is degraded; the one that is written here may still find a few bytes.
        let refused = eventually("a change is refused", PATIENCE, async || {
            disk.tell("fill");
            let answer = rename().await;
            (answer.status != 200).then_some(answer)
        })
        .await;
        refused.problem(503, "unavailable");
        // A sign-in begins a session, which is stored.
        let refused = eventually("a sign-in is refused", PATIENCE, async || {
            disk.tell("fill");
            let answer = anyone.post("/api/users/login", account.clone()).await;
            (answer.status != 200).then_some(answer)
        })
        .await;
        refused.problem(503, "unavailable");
        let listed = anyone.get("/api/events").await.expect(200);
        assert_eq!(listed[0]["event_id"], json!(event), "{end}");
        // With room again everything goes on.
        disk.tell("free");
        disk.is_up().await;
        rename().await.expect(200);
        signed_in().await.get("/api/organiser/events").await.expect(200);
    }
}
