//! Razorpay's own SDKs, for Node and Python, against the simulator: what talks to it will talk to Razorpay.

use std::{path::Path, process::Command};

use tests::{Options, System, Topology, process::root};

fn tool(name: &str) -> std::ffi::OsString {
    std::env::var_os(name)
        .unwrap_or_else(|| panic!("{name} is not set: run the tests by ./test, which brings the tools"))
}

async fn run(auto_complete: bool, mut command: Command) {
    let auto = if auto_complete { "on" } else { "off" };
    let options = Options::default()
        .with("SIMULATOR_CONTROLS", "on")
        .with("SIMULATOR_AUTO_COMPLETE", auto);
    let system = System::start(Topology::One, options).await;
    let secret = |name: &str| {
        let secret = std::fs::read_to_string(system.data().join(name)).unwrap();
        secret.trim().to_owned()
    };
    let output = command
        .arg(system.service_url("RAZORPAY_SIMULATOR_PORT"))
        .arg("rzp_test_simulator")
        .arg(secret("razorpay_key_secret"))
        .arg(secret("razorpay_webhook_secret"))
        .arg(if auto_complete { "auto" } else { "hand" })
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && said.contains("all is well"), "{said}");
}

fn node() -> Command {
    let mut command = Command::new(tool("ORGANISE_NODE"));
    command
        .arg(root().join("tests/tools/razorpay_sdk.cjs"))
        .env("NODE_PATH", Path::new(&tool("ORGANISE_NODE_MODULES")));
    command
}

fn python() -> Command {
    let mut command = Command::new(tool("PYTHON"));
    command
        .arg(root().join("tests/tools/razorpay_sdk.py"))
        .env("PYTHONPATH", tool("ORGANISE_RAZORPAY_SDK"));
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn for_node_when_the_simulator_takes_the_step() {
    run(true, node()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn for_node_when_it_is_taken_by_hand() {
    run(false, node()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn for_python_when_the_simulator_takes_the_step() {
    run(true, python()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn for_python_when_it_is_taken_by_hand() {
    run(false, python()).await;
}
