//! The Postman collection: run by newman as a newcomer would run it, then held against what the system says of itself.

use std::{path::Path, process::Command};

use tests::{Options, System, Topology, process::root};

use crate::everywhere;

everywhere!(the_collection_passes);

async fn the_collection_passes(topology: Topology) {
    let variable = |name: &str| {
        std::env::var_os(name)
            .unwrap_or_else(|| panic!("{name} is not set: run the tests by ./test, which brings newman"))
    };
    let (node, modules) = (variable("ORGANISE_NODE"), variable("ORGANISE_NODE_MODULES"));
    let system = System::start(topology, Options::default()).await;
    let mut newcomer = Command::new(&node);
    newcomer
        .arg(Path::new(&modules).join("newman/bin/newman.js"))
        .args(["run", "postman/Organise_Event.postman_collection.json"])
        .args(["-e", "postman/local.postman_environment.json"])
        .args(["--env-var", &format!("base_url={}", system.url())])
        .args(["--color", "off", "--timeout-request", "30000"]);
    passes("a fresh system", newcomer);
    // With Razorpay's secrets: every operation is there, and every saved example is like its answer.
    let mut examples = Command::new(&node);
    examples
        .args(["tests/tools/postman.mjs", &system.url()])
        .arg(system.data())
        .env("NODE_PATH", modules);
    passes("a used system", examples);
}

fn passes(what: &str, mut command: Command) {
    let output = command.current_dir(root()).output().unwrap();
    assert!(
        output.status.success(),
        "{what}:\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
