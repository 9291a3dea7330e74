//! The Postman collection, run by newman against the system as a newcomer would run it.

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
    let newman = Path::new(&modules).join("newman/bin/newman.js");
    let system = System::start(topology, Options::default()).await;
    for round in ["fresh", "used"] {
        let output = Command::new(&node)
            .arg(&newman)
            .args([
                "run",
                "postman/Organise_Event.postman_collection.json",
                "-e",
                "postman/local.postman_environment.json",
            ])
            .args([
                "--env-var",
                &format!("base_url={}", system.url()),
                "--color",
                "off",
                "--timeout-request",
                "30000",
            ])
            .current_dir(root())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "a {round} system:\n{text}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
