//! What survives: an orderly stop, and `kill -9` of the program.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use axum::http::StatusCode;
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::kit::{KEY_ID, KEY_SECRET, Receiver, Sim, card, eventually, ok, payment, settings, text, upi};

#[tokio::test]
async fn a_restart_keeps_the_state_and_what_is_pending() {
    let receiver = Receiver::start().await;
    receiver.answer(StatusCode::SERVICE_UNAVAILABLE);
    let mut settings = settings();
    settings.webhook_url = Some(receiver.url.clone());
    settings.auto_complete = Some(Duration::from_millis(400));
    let sim = Sim::durable(settings).await;
    let order = sim
        .order(json!({ "receipt": "kept", "unique_receipt": true }))
        .await;
    let pending = sim.pay(&order, card("4100280000001007")).await;
    let captured = sim.captured().await;
    let before = sim.get(&format!("/v1/payments/{captured}")).await;
    let heard = receiver.has(1).await[0].clone();

    let sim = sim.restart().await;
    assert_eq!(sim.get(&format!("/v1/payments/{captured}")).await, before);
    assert_eq!(
        sim.order(json!({ "receipt": "kept", "unique_receipt": true }))
            .await["id"],
        order["id"]
    );
    sim.reaches(&pending, "captured").await;
    receiver.answer(StatusCode::OK);
    // Those of the first payment that were refused, and those of the second.
    eventually("everything to be delivered", async || {
        (sim.get("/sim/control").await["deliveries_waiting"] == 0).then_some(())
    })
    .await;
    let again: Vec<_> = receiver
        .hooks()
        .into_iter()
        .filter(|hook| hook.id == heard.id)
        .collect();
    assert!(again.len() >= 2);
    assert!(
        again
            .iter()
            .all(|hook| hook.bytes == heard.bytes && hook.signature == heard.signature)
    );
    let account = text(&heard.body["account_id"]);
    assert!(
        receiver
            .hooks()
            .iter()
            .all(|hook| hook.body["account_id"] == json!(account))
    );
}

/// The program, on a port of its own.
struct Program {
    child: Child,
    base: String,
    client: Client,
}

impl Program {
    fn start(dir: &Path, webhook_url: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_razorpay-simulator"))
            .env_clear()
            .env("RAZORPAY_SIMULATOR_PORT", "0")
            .env("RAZORPAY_KEY_ID", KEY_ID)
            .env("RAZORPAY_KEY_SECRET", KEY_SECRET)
            .env("RAZORPAY_WEBHOOK_URL", webhook_url)
            .env("DATA_DIR", dir)
            .env("SIMULATOR_AUTO_COMPLETE", "1500")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let base = line
            .split([' ', ','])
            .find(|word| word.starts_with("http://"))
            .unwrap()
            .to_owned();
        Self {
            child,
            base,
            client: Client::builder().no_proxy().build().unwrap(),
        }
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client
            .request(method, format!("{}{path}", self.base))
            .basic_auth(KEY_ID, Some(KEY_SECRET))
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        ok(self.request(Method::POST, path).json(&body)).await
    }

    async fn get(&self, path: &str) -> Value {
        ok(self.request(Method::GET, path)).await
    }
}

impl Drop for Program {
    /// SIGKILL, whatever happened before.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn kill_9_loses_nothing_that_was_answered() {
    let dir = tempfile::tempdir().unwrap();
    let receiver = Receiver::start().await;
    receiver.answer(StatusCode::SERVICE_UNAVAILABLE);
    // The TLS provider that the clients want is installed by whoever first opens a simulator.
    drop(Sim::start().await);
    let mut refunds = Vec::new();
    let mut pending = Vec::new();
    for round in 0..3 {
        let program = Program::start(dir.path(), &receiver.url);
        for (key, body, refund) in &refunds {
            let refunded: &Value = refund;
            let again = program
                .request(Method::POST, "/v1/refunds")
                .header("X-Refund-Idempotency", key);
            assert_eq!(ok(again.json(body)).await["id"], refunded["id"]);
        }
        let order = program
            .post("/v1/orders", json!({ "amount": 50000, "currency": "INR" }))
            .await;
        let paid = program
            .post(
                "/v1/payments/create/json",
                payment(&order, upi("success@razorpay")),
            )
            .await;
        let body = json!({ "payment_id": paid["razorpay_payment_id"], "amount": 10000 });
        let key = format!("refund-of-round-{round}");
        let refund = program
            .request(Method::POST, "/v1/refunds")
            .header("X-Refund-Idempotency", &key);
        let refund = ok(refund.json(&body)).await;
        refunds.push((key, body, refund));
        let order = program
            .post("/v1/orders", json!({ "amount": 70000, "currency": "INR" }))
            .await;
        let started = program
            .post(
                "/v1/payments/create/json",
                payment(&order, card("4100280000001007")),
            )
            .await;
        pending.push(text(&started["razorpay_payment_id"]));
        receiver.has(1 + round).await;
        drop(program);
    }
    receiver.answer(StatusCode::OK);
    let program = Program::start(dir.path(), &receiver.url);
    for id in &pending {
        eventually("a pending payment to be captured", async || {
            (program.get(&format!("/v1/payments/{id}")).await["status"] == "captured").then_some(())
        })
        .await;
    }
    for (.., refund) in &refunds {
        let payment = program
            .get(&format!("/v1/payments/{}", text(&refund["payment_id"])))
            .await;
        assert_eq!(payment["amount_refunded"], 10000);
    }
    // Five events of each refunded payment and three of each pending one, each with one id however often it came.
    let ids = eventually("all events to arrive", async || {
        let mut ids: Vec<_> = receiver
            .hooks()
            .into_iter()
            .map(|hook| (hook.id, hook.bytes))
            .collect();
        ids.sort();
        ids.dedup();
        (ids.len() >= 24).then_some(ids)
    })
    .await;
    assert_eq!(ids.len(), 24);
}

#[test]
fn what_is_wrong_at_the_start_is_one_message() {
    let dir = tempfile::tempdir().unwrap();
    let run = |more: &[(&str, &str)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_razorpay-simulator"));
        command
            .env_clear()
            .env("RAZORPAY_SIMULATOR_PORT", "0")
            .env("DATA_DIR", dir.path())
            .envs(more.iter().copied());
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, message) = run(&[("RAZORPAY_SIMULATOR_PORT", &port)]);
    assert_eq!(code, Some(1));
    assert!(message.contains("the port is in use"), "{message}");
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let inside = file.join("data");
    let inside = inside.to_str().unwrap();
    let (code, message) = run(&[
        ("DATA_DIR", inside),
        ("RAZORPAY_KEY_SECRET", "a"),
        ("RAZORPAY_WEBHOOK_SECRET", "b"),
    ]);
    assert_eq!(code, Some(1));
    assert!(
        message.contains("The data directory") && message.contains(inside),
        "{message}"
    );
    let (code, message) = run(&[
        ("RAZORPAY_SIMULATOR_PORT", "x"),
        ("SIMULATOR_UPI_DELAY_MS", "5000"),
        ("SIMULATOR_CONTROLS", "yes"),
    ]);
    assert_eq!(code, Some(1));
    for name in [
        "RAZORPAY_SIMULATOR_PORT",
        "SIMULATOR_UPI_DELAY_MS",
        "SIMULATOR_CONTROLS",
    ] {
        assert!(message.contains(name), "{message}");
    }
    let (code, message) = run(&[("RAZORPAY_WEBHOOK_URL", "nowhere")]);
    assert_eq!(code, Some(1));
    assert!(message.contains("nowhere"), "{message}");
    assert!(!message.contains("panicked"), "{message}");
}

#[cfg(unix)]
#[test]
fn sigterm_ends_it_cleanly() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_razorpay-simulator"))
        .env_clear()
        .env("RAZORPAY_SIMULATOR_PORT", "0")
        .env("DATA_DIR", dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert!(line.contains("rzp_test_simulator"), "{line}");
    let killed = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(
        std::fs::read_to_string(dir.path().join("razorpay_key_secret"))
            .unwrap()
            .len(),
        64
    );
}
