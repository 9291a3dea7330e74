//! The JavaScript client of the live room, in Node and on the page for developers.

use std::process::Command;

use serde_json::json;
use tests::{Options, System, Topology, process::root};

use crate::mailbox::in_a_browser;

async fn in_node(topology: Topology) {
    // So that a token runs out while it is watched. There are more messages than a user may send.
    let options = Options::default()
        .with("TOKEN_LIFETIME_SECONDS", 61)
        .with("RATE_LIMITS", "off");
    let system = System::start(topology, options).await;
    let (organizer, asha) = (system.person("organizer").await, system.person("user").await);
    let event = organizer.create_event(json!(10), json!(0)).await;
    asha.register(&event).await.expect(201);
    let node = std::env::var_os("ORGANISE_NODE").expect("run the tests by ./test, which brings Node");
    let output = Command::new(node)
        // Node has WebSocket by itself from 22 on.
        .args(["--experimental-websocket", "--no-warnings"])
        .arg(root().join("tests/tools/live_client.mjs"))
        .args([&system.url(), &event, organizer.token.as_deref().unwrap()])
        .args([&asha.email, "a good one"])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn node_in_one_process() {
    in_node(Topology::One).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node_with_replicas() {
    in_node(Topology::Replicas).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_follows_an_event() {
    let system = System::start(Topology::One, Options::default()).await;
    let organizer = system.person_with("organizer", &[("name", "Ola")]).await;
    let event = organizer.create_event(json!(10), json!(0)).await;
    let asha = system.person_with("user", &[("name", "Asha Rao")]).await;
    asha.register(&event).await.expect(201);
    let other = system.person_with("user", &[("name", "Ben")]).await;
    let token = |person: &tests::Person| person.token.clone().unwrap();
    let mut arguments = vec![system.url(), event, token(&organizer), asha.email.clone()];
    arguments.extend(["a good one".to_owned(), token(&other)]);
    // For looking at.
    arguments.extend(std::env::var("ORGANISE_PICTURES").ok());
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    in_a_browser("live_page.mjs", &arguments);
}

/// A program in TypeScript as a user would write it.
#[test]
fn its_types_say_what_comes() {
    const PROGRAM: &str = r#"
        import { LiveClient, LiveError, Publication } from './live.js';
        const live = new LiveClient('http://localhost:3003', { token: async ({ renew }) => (renew ? 'new' : null) });
        const show = (publication: Publication): string => {
          switch (publication.type) {
            case 'chat.message': return publication.data.user.name ?? publication.data.text;
            case 'seats.changed': return String(publication.data.seats_left);
            case 'poll.closed': return publication.data.results.map(({ text, votes }) => `${text}: ${votes}`).join();
            default: return `${publication.offset}`;
          }
        };
        const end: () => void = live.subscribe('event:1:chat', {
          onJoined: ({ state }) => console.log(state?.mode === 'slow', state?.slow_seconds),
          onPublication: (publication) => console.log(show(publication)),
          onError: ({ code, retryAfter }: LiveError) => console.log(code, retryAfter),
        });
        live.publish('event:1:chat', { text: 'hello' }).then(({ id, offset }) => console.log(id, offset + 1)).finally(end);
    "#;
    let variable =
        |name: &str| std::env::var_os(name).expect("run the tests by ./test, which brings the tools");
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("program.ts"), PROGRAM).unwrap();
    for file in ["live.js", "live.d.ts"] {
        let from = root().join("clients/js").join(file);
        std::fs::copy(from, dir.path().join(file)).unwrap();
    }
    let checked = Command::new(variable("ORGANISE_NODE"))
        .arg(std::path::Path::new(&variable("ORGANISE_NODE_MODULES")).join("typescript/bin/tsc"))
        .args(["--strict", "--noEmit", "--target", "es2022", "--module", "es2022"])
        .args(["--moduleResolution", "bundler", "program.ts"])
        .current_dir(&dir)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.success(), "{said}");
}
