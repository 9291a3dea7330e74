//! The mailbox pages in a browser.

use std::process::Command;

use serde_json::json;
use tests::{Options, PATIENCE, System, Topology, eventually, process::root};

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_fit_a_phone_and_leave_the_filter_alone() {
    let system = System::start(Topology::One, Options::default()).await;
    let organizer = system.person("organizer").await;
    let first = system.person_with("user", &[("phone", "+91 98765 43210")]).await;
    let second = system.person("user").await;
    let event = json!({
        "e_name": "The Great Bengaluru Conference on Technology, Design and Everything Else",
        "e_details": "A day",
        "event_time": "2034-11-22T18:44:06.000",
        "event_add": "Palace Grounds, Jayamahal Main Road, Vasanth Nagar, Bengaluru 560006",
        "capacity": 10,
        "fees": 0,
    });
    let event = organizer
        .post("/api/organiser/create_event", event)
        .await
        .expect(201);
    let event = event["event_id"].as_str().unwrap();
    first.register(event).await.expect(201);
    eventually("the ticket is sent", PATIENCE, async || {
        let told = first.messages().await;
        let sent = told
            .iter()
            .filter(|(kind, _, status)| kind == "ticket" && status == "sent");
        (sent.count() == 2).then_some(())
    })
    .await;
    let token = second.token.as_deref().unwrap();
    in_a_browser("mailbox.mjs", &[&system.url(), token, event, &second.email]);
}

/// Runs a script of `tests/tools` that drives a browser; gives what it has printed.
pub fn in_a_browser(script: &str, arguments: &[&str]) -> String {
    let variable = |name: &str| {
        std::env::var_os(name)
            .unwrap_or_else(|| panic!("{name} is not set: run the tests by ./test, which brings the browser"))
    };
    let scratch = tempfile::tempdir().unwrap();
    let output = Command::new(variable("ORGANISE_NODE"))
        .arg(root().join("tests/tools").join(script))
        .args(arguments)
        .env("NODE_PATH", variable("ORGANISE_NODE_MODULES"))
        .env("TMPDIR", scratch.path())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
