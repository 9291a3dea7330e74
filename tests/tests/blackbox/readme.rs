//! The README's story works as it is printed, on a system that is new and on one that is not.

use std::process::Command;

use tests::{Options, System, Topology, process::root};

use crate::everywhere;

everywhere!(the_story_in_curl);

async fn the_story_in_curl(topology: Topology) {
    let system = System::start(topology, Options::default()).await;
    for round in ["new", "used"] {
        tell(round, &system.url());
    }
}

/// Tells the README's story to a gateway; gives what it printed.
pub(crate) fn tell(round: &str, url: &str) -> String {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let story = readme
        .split("```sh story\n")
        .nth(1)
        .expect("a block marked sh story")
        .split("```")
        .next()
        .unwrap();
    let told = Command::new("sh")
        .args(["-euc", story])
        .env("BASE", url)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(
        told.status.success(),
        "{round}: {text}\n{}",
        String::from_utf8_lossy(&told.stderr)
    );
    assert!(text.contains("\"status\":\"confirmed\""), "{round}: {text}");
    text
}
