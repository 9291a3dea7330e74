//! Sign-in with Google, at an OpenID provider over sockets.

use tests::{Options, System, Topology, ports::free_port};

use crate::mailbox::in_a_browser;

async fn people_sign_in(topology: Topology, more: &[&str]) {
    let port = free_port().to_string();
    let options = Options::default()
        .with("GOOGLE_CLIENT_ID", "client-of-tests")
        .with("GOOGLE_CLIENT_SECRET", "secret-of-tests")
        .with("GOOGLE_ISSUER", format!("http://127.0.0.1:{port}"));
    let system = System::start(topology, options).await;
    let url = system.url();
    let arguments: Vec<&str> = [url.as_str(), &port]
        .into_iter()
        .chain(more.iter().copied())
        .collect();
    let seen = in_a_browser("google.mjs", &arguments);
    // Nothing of a sign-in is in the log: no state, no code, no cookie, no token.
    assert!(seen.lines().count() > 10, "{seen}");
    for secret in seen.lines().chain(["id_token", "secret-of-tests", "eyJ"]) {
        assert!(!system.log().contains(secret), "{secret}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_one_process_and_a_browser() {
    people_sign_in(Topology::One, &["browser"]).await;
}

/// What is kept between two requests is in Redis, because the second may come to another replica.
#[tokio::test(flavor = "multi_thread")]
async fn with_replicas() {
    people_sign_in(Topology::Replicas, &[]).await;
}
