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
    process::{binary, root},
    system::free_port,
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

    async fn is(&self, status: &str) {
        eventually("the system is as it should be", PATIENCE, async || {
            let answer = http_client()
                .get(format!("{}/health/ready", self.url))
                .send()
                .await
                .ok()?;
            let report: serde_json::Value = answer.json().await.ok()?;
            (report["status"] == status).then_some(())
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
    disk.is("up").await;
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
        disk.tell("fill");
        disk.is("degraded").await;
        disk.tell(end);
        disk.tell("fill");
        disk.tell("start");
        disk.is("degraded").await;
        disk.tell("fill");
        let listed = anyone.get("/api/events").await.expect(200);
        assert_eq!(listed[0]["event_id"], json!(event), "{end}");
        let organizer = signed_in().await;
        let body = json!({"name": "Asha"});
        let refused = organizer
            .send(reqwest::Method::PATCH, "/api/users/me", Some(body.clone()), &[])
            .await
            .unwrap();
        refused.problem(503, "unavailable");
        // With room again everything goes on.
        disk.tell("free");
        disk.is("up").await;
        organizer
            .send(reqwest::Method::PATCH, "/api/users/me", Some(body), &[])
            .await
            .unwrap()
            .expect(200);
    }
}
