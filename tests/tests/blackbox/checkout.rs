//! Payments in which the payer has a step to take: Razorpay Checkout, its callback, and the webhook that comes anyway.

use std::process::Command;

use common::auth::Role;
use serde_json::{Value, json};
use tests::{Options, PATIENCE, Person, System, Topology, eventually, process::root};

use crate::everywhere;

/// As in production: the product has keys, so that Checkout makes the payments, and only its address is the simulator's.
#[tokio::test(flavor = "multi_thread")]
async fn checkout_is_rehearsed_in_a_browser() {
    let keys = Options::default()
        .with("RAZORPAY_KEY_ID", "rzp_test_rehearsal")
        .with("RAZORPAY_KEY_SECRET", "rehearsal-secret-of-a-test")
        .with("RAZORPAY_WEBHOOK_SECRET", "rehearsal-webhook-secret");
    in_a_browser(System::start(Topology::Five, keys).await, "keys").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn checkout_works_without_keys() {
    in_a_browser(System::start(Topology::One, by_hand()).await, "none").await;
}

async fn in_a_browser(system: System, flow: &str) {
    let variable = |name: &str| {
        std::env::var_os(name)
            .unwrap_or_else(|| panic!("{name} is not set: run the tests by ./test, which brings the browser"))
    };
    let organizer = system.stranger(Role::Organizer);
    let person = system.stranger(Role::User);
    let mut events = Vec::new();
    for _ in 0..10 {
        events.push(organizer.create_event(json!(5), json!(500)).await);
    }
    let scratch = tempfile::tempdir().unwrap();
    let output = Command::new(variable("ORGANISE_NODE"))
        .arg(root().join("tests/tools/checkout.mjs"))
        .args([system.url(), system.service_url("RAZORPAY_SIMULATOR_PORT")])
        .arg(json!({"token": person.token, "id": person.id}).to_string())
        .arg(flow)
        .args(&events)
        .env("NODE_PATH", variable("ORGANISE_NODE_MODULES"))
        .env("TMPDIR", scratch.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    for event in &events[..2] {
        person.is_confirmed(event).await;
    }
}

everywhere!(the_callback_finishes_it, the_webhook_finishes_it);

/// Starts a card payment that waits for the payer; gives the payer, the event and the answer.
async fn waiting(system: &System) -> (Person, String, Value) {
    let event = system
        .stranger(Role::Organizer)
        .create_event(json!(5), json!(500))
        .await;
    let person = system.stranger(Role::User);
    let mut body = person.payment(&event, json!(500));
    body["payment_method"] = json!("card");
    let answer = person
        .post_keyed("/api/payment/process_payment", "k", body.clone())
        .await;
    let answer_body = answer.expect(202);
    assert_eq!(answer_body["status"], "created");
    assert_eq!(answer_body["checkout"]["amount"], 50_000, "Checkout wants paise");
    assert_eq!(person.status(&event).await, "pending_payment");
    let again = person.post_keyed("/api/payment/process_payment", "k", body).await;
    assert_eq!(again.text, answer.text);
    (person, event, answer_body)
}

/// Does the payer's step at the simulator: asks for a code and enters it.
async fn step(system: &System, waiting: &Value) -> Value {
    let secret = std::fs::read_to_string(system.data().join("razorpay_key_secret")).unwrap();
    let http = tests::people::http_client();
    let post = async |url: &str, body: Value| -> Value {
        let request = http
            .post(url)
            .basic_auth("rzp_test_simulator", Some(secret.trim()))
            .json(&body);
        let text = request.send().await.unwrap().text().await.unwrap();
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{url}: {text}"))
    };
    let url = |steps: &Value, action: &str| -> String {
        let found = steps
            .as_array()
            .unwrap()
            .iter()
            .find(|step| step["action"] == action);
        found.unwrap_or_else(|| panic!("no {action} in {steps}"))["url"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let generated = post(&url(&waiting["next"], "otp_generate"), json!({})).await;
    post(&url(&generated["next"], "otp_submit"), json!({"otp": "1234"})).await
}

fn by_hand() -> Options {
    Options::default().with("SIMULATOR_AUTO_COMPLETE", "off")
}

async fn the_callback_finishes_it(topology: Topology) {
    // As five processes the webhook goes nowhere, so that only the callback can finish it.
    let system = System::start(
        topology,
        by_hand().with("RAZORPAY_WEBHOOK_URL", "http://127.0.0.1:9/"),
    )
    .await;
    let (person, event, waiting) = waiting(&system).await;
    let verify = "/api/payment/verify";
    let order = waiting["checkout"]["order_id"].clone();
    let forged = json!({"razorpay_order_id": order, "razorpay_payment_id": "pay_x", "razorpay_signature": "0".repeat(64)});
    person
        .post(verify, forged.clone())
        .await
        .problem(422, "signature_invalid");
    system
        .stranger(Role::User)
        .post(verify, forged)
        .await
        .problem(404, "order_not_found");
    person
        .post(verify, json!({}))
        .await
        .problem(422, "validation_failed");
    let callback = step(&system, &waiting).await;
    let paid = person.post(verify, callback.clone()).await.expect(200);
    assert_eq!(
        (&paid["status"], &paid["amount"]),
        (&json!("captured"), &json!(500))
    );
    person.is_confirmed(&event).await;
    assert_eq!(
        person.post(verify, callback).await.expect(200)["payment_id"],
        paid["payment_id"],
        "once is enough"
    );
    assert_eq!(
        person
            .get("/api/payment/payments")
            .await
            .expect(200)
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

async fn the_webhook_finishes_it(topology: Topology) {
    let system = System::start(topology, by_hand()).await;
    let (person, event, waiting) = waiting(&system).await;
    step(&system, &waiting).await; // and the browser is closed
    eventually(
        "the webhook or the reconciler confirms it",
        PATIENCE,
        async || (person.status(&event).await == "confirmed").then_some(()),
    )
    .await;
    let payments = person.get("/api/payment/payments").await.expect(200);
    assert_eq!(
        (payments.as_array().unwrap().len(), &payments[0]["status"]),
        (1, &json!("captured"))
    );
}
