//! The programs run as `docker-compose.yml` has docker run them, and the README's story passes there.

use std::os::unix::fs::PermissionsExt;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tests::{PATIENCE, containers::Containers, eventually, people::http_client, smtp::MailServer};

use crate::readme::tell;

const REPLICAS: (&str, &str) = ("COMPOSE_PROFILES", "replicas");

#[tokio::test(flavor = "multi_thread")]
async fn the_story_passes_in_containers() {
    let mail = MailServer::start().await;
    let containers = Containers::up(&[], &mail).await;
    assert_eq!(containers.ours().count(), 6, "the simulator and one of each");
    nothing_can_be_written(&containers);
    without_privileges(&containers);
    told_with_mail(&containers, &mail).await;
    let count = ["redis-cli", "-p", &containers.port("redis").to_string(), "dbsize"].map(str::to_owned);
    let kept = containers.run("redis", &count).stdout;
    assert!(kept != b"0\n" && kept.ends_with(b"\n"), "they use Redis");
    let secret = std::fs::metadata(containers.data().join("jwt_secret")).unwrap();
    assert_eq!(secret.permissions().mode() & 0o777, 0o600);
    // A health check that cannot fail says nothing.
    let missing = ["health", "1"].map(str::to_owned);
    assert!(!containers.run("gateway", &missing).status.success());
    let other = format!("health {} /health/live 404", containers.port("gateway"));
    let other: Vec<String> = other.split(' ').map(str::to_owned).collect();
    assert!(!containers.run("gateway", &other).status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_passes_with_two_of_each() {
    let mail = MailServer::start().await;
    let mut containers = Containers::up(&[REPLICAS], &mail).await;
    assert_eq!(
        containers.ours().count(),
        10,
        "the simulator, the gateway and two of each"
    );
    without_privileges(&containers);
    told_with_mail(&containers, &mail).await;
    let ask = async |containers: &Containers, path: &str| -> StatusCode {
        let url = format!("{}{path}", containers.url("gateway"));
        http_client().get(url).send().await.unwrap().status()
    };
    for (service, path) in [
        ("users", "/api/users/me"),
        ("events", "/api/events"),
        ("notifications", "/api/notifications"),
        ("payments", "/api/payment/payments"),
    ] {
        let both = [service.to_owned(), format!("{service}-2")];
        let before = [
            answered(&containers, &both[0]).await,
            answered(&containers, &both[1]).await,
        ];
        for _ in 0..8 {
            ask(&containers, path).await;
        }
        for (name, before) in both.iter().zip(before) {
            let now = answered(&containers, name).await;
            assert!(now >= before + 3, "{name} was asked: {before}, then {now}");
        }
    }
    containers.kill("events");
    containers.kill("redis");
    for _ in 0..8 {
        let status = ask(&containers, "/api/events").await;
        assert_eq!(status, 200, "one of two is enough, and Redis can be missed");
    }
    for name in ["users", "events-2", "gateway"] {
        let health = containers.health(name);
        assert!(
            health.status.success(),
            "{name} is of use, so docker leaves it alone"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_reaches_one_of_two() {
    let mail = MailServer::start().await;
    // Until a payment is anybody's to look after, much time passes: only the webhook can finish it.
    let variables = [
        REPLICAS,
        ("SIMULATOR_AUTO_COMPLETE", "off"),
        ("LEASE_SECONDS", "600"),
    ];
    let containers = Containers::up(&variables, &mail).await;
    let organizer = containers.person("organizer").await;
    let event = organizer.create_event(json!(5), json!(500)).await;
    let payer = containers.person("user").await;
    let mut payment = payer.payment(&event, json!(500));
    payment["payment_method"] = json!("card");
    let waiting = payer
        .post("/api/payment/process_payment", payment)
        .await
        .expect(202);
    let secret = std::fs::read_to_string(containers.data().join("razorpay_key_secret")).unwrap();
    let step = async |steps: &Value, action: &str, body: Value| -> Value {
        let steps = steps.as_array().unwrap();
        let step = steps.iter().find(|step| step["action"] == action).unwrap();
        // The containers' name for it; this machine is none of them.
        let url = step["url"]
            .as_str()
            .unwrap()
            .replace("razorpay-simulator", "127.0.0.1");
        let request = http_client()
            .post(url)
            .basic_auth("rzp_test_simulator", Some(secret.trim()));
        let text = request.json(&body).send().await.unwrap().text().await.unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let generated = step(&waiting["next"], "otp_generate", json!({})).await;
    step(&generated["next"], "otp_submit", json!({"otp": "1234"})).await;
    eventually("the webhook confirms it", PATIENCE, async || {
        (payer.status(&event).await == "confirmed").then_some(())
    })
    .await;
}

/// How many requests a container has answered.
async fn answered(containers: &Containers, name: &str) -> u64 {
    let url = format!("{}/metrics", containers.url(name));
    let text = http_client().get(url).send().await.unwrap().text().await.unwrap();
    let counts = text
        .lines()
        .filter(|line| line.starts_with("http_requests_total{"));
    counts
        .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
        .sum()
}

/// Tells the story twice, and waits for the mail that Ravi gets in it.
async fn told_with_mail(containers: &Containers, mail: &MailServer) {
    for round in ["new", "used"] {
        let text = tell(round, &containers.url("gateway"));
        let ravi = text
            .split('"')
            .find(|word| word.starts_with("ravi-") && word.ends_with("@example.org"))
            .unwrap()
            .to_owned();
        eventually("Ravi has his ticket by mail", PATIENCE, async || {
            let mails = mail.mails().into_iter().filter(|mail| mail.to == ravi);
            let mut subjects = mails.map(|mail| mail.header("Subject"));
            subjects
                .any(|subject| subject.to_lowercase().contains("ticket"))
                .then_some(())
        })
        .await;
    }
}

/// What a container is for: a program that was taken over can change nothing but its data.
fn nothing_can_be_written(containers: &Containers) {
    let script = "for dir in / /usr /usr/local/bin /usr/lib /etc /dev /tmp /data; do \
                  (: >$dir/written) && echo $dir && rm $dir/written; done 2>&1; id -u";
    let probe = containers.run("users", &["sh", "-c", script].map(str::to_owned));
    let text = String::from_utf8_lossy(&probe.stdout);
    let (refused, written): (Vec<&str>, Vec<&str>) = text
        .lines()
        .partition(|line| line.ends_with("Read-only file system"));
    assert_eq!(refused.len(), 6, "{text}");
    assert_eq!(written, ["/tmp", "/data", "10001"], "{text}");
}

fn without_privileges(containers: &Containers) {
    for (name, process) in containers.ours() {
        let users = process.status("Uid");
        assert!(users.split_whitespace().all(|id| id != "0"), "{name}: {users}");
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert_eq!(process.status(set), "0000000000000000", "{name}: {set}");
        }
        assert_eq!(process.status("NoNewPrivs"), "1", "{name}");
    }
}
