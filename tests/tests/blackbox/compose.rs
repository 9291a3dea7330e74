//! What `docker-compose.yml`, the Dockerfile and `.env.example` say. Whether it runs is in `containers.rs`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use serde_json::{Value, json};
use tests::{
    compose::{Compose, Service},
    process::root,
};

/// Settings that belong to the containers and are the same everywhere.
const FIXED: [&str; 6] = [
    "BIND_ADDR",
    "DATA_DIR",
    "USERS_PORT",
    "EVENTS_PORT",
    "NOTIFICATIONS_PORT",
    "PAYMENTS_PORT",
];
/// Settings that follow from `COMPOSE_PROFILES`.
const ADDRESSES: [&str; 4] = ["USERS_URL", "EVENTS_URL", "NOTIFICATIONS_URL", "PAYMENTS_URL"];
/// Settings that say where this machine shows a port.
const PUBLISHED: [&str; 4] = [
    "GATEWAY_PORT",
    "INGEST_PORT",
    "RTMP_PORT",
    "RAZORPAY_SIMULATOR_PORT",
];
const SERVICES: [&str; 4] = ["users", "events", "notifications", "payments"];

fn text(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn with(variables: &[(&str, &str)]) -> BTreeMap<String, Service> {
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Compose::ours().services(&variables.collect())
}

fn with_replicas() -> BTreeMap<String, Service> {
    with(&[("COMPOSE_PROFILES", "replicas")])
}

#[test]
fn it_fits_the_schema_and_mistakes_do_not() {
    let file = text("docker-compose.yml");
    let dir = tempfile::tempdir().unwrap();
    let read = |file: &str| {
        let path = dir.path().join("docker-compose.yml");
        fs::write(&path, file).unwrap();
        Compose::read(&path).map(drop)
    };
    assert_eq!(read(&file), Ok(()));
    for (right, wrong, said) in [
        ("cap_drop:", "cap_dorp:", "cap_dorp"),
        ("service_healthy", "service_helthy", "condition"),
        ("  redis:\n", "  redis:\n    ports: 6379\n", "ports"),
        ("\nvolumes:\n", "\nvolume:\n", "volume"),
        ("*often", "*oft", "alias"),
    ] {
        assert!(file.contains(right), "nothing to spoil: {right}");
        let error = read(&file.replace(right, wrong)).expect_err(wrong);
        assert!(error.contains(said), "{wrong}: {error}");
    }
}

#[test]
fn docker_compose_takes_it() {
    let compose = |arguments: &[&str]| {
        let mut docker = Command::new("docker");
        docker.arg("compose").args(arguments).current_dir(root());
        docker.env_remove("COMPOSE_PROFILES").env_remove("COMPOSE_FILE");
        docker.output()
    };
    if !compose(&["version"]).is_ok_and(|output| output.status.success()) {
        println!("skipped: there is no docker with its compose plugin here");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for env in ["", "COMPOSE_PROFILES=replicas\n"] {
        let path = dir.path().join("env");
        fs::write(&path, env).unwrap();
        let file = ["--env-file", path.to_str().unwrap(), "config", "--format", "json"];
        let output = compose(&file).unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && error.is_empty(), "{error}");
        let theirs: Value = serde_json::from_slice(&output.stdout).unwrap();
        let ours = if env.is_empty() {
            with(&[])
        } else {
            with_replicas()
        };
        let names: Vec<&String> = theirs["services"].as_object().unwrap().keys().collect();
        assert_eq!(names, ours.keys().collect::<Vec<_>>());
        for (name, service) in ours {
            let environment = &theirs["services"][&name]["environment"];
            let environment = if environment.is_null() {
                json!({})
            } else {
                environment.clone()
            };
            assert_eq!(
                environment,
                json!(service.environment()),
                "{name}: we read it as compose does"
            );
        }
    }
}

#[test]
fn five_ports_are_published() {
    let published = |services: BTreeMap<String, Service>| -> Vec<String> {
        services.values().flat_map(Service::published).collect()
    };
    let five = [
        "3105:3105",
        "1935:1935",
        "3003:3003",
        "127.0.0.1:8025:8025",
        "127.0.0.1:3199:3199",
    ];
    assert_eq!(published(with(&[])), five);
    assert_eq!(published(with_replicas()), five);
    let moved = with(&[
        ("GATEWAY_PORT", "4000"),
        ("RAZORPAY_SIMULATOR_PORT", "4001"),
        ("INGEST_PORT", "4002"),
        ("RTMP_PORT", "4003"),
    ]);
    assert_eq!(
        moved["gateway"].environment()["PUBLIC_URL"],
        "http://localhost:4000"
    );
    let events = moved["events"].environment();
    assert_eq!(
        (&events["INGEST_URL"], &events["RTMP_URL"]),
        (&"http://localhost:4002".into(), &"rtmp://localhost:4003".into())
    );
    assert_eq!(
        published(moved),
        [
            "4002:3105",
            "4003:1935",
            "4000:3003",
            "127.0.0.1:8025:8025",
            "127.0.0.1:4001:3199"
        ]
    );
}

#[test]
fn ours_have_no_privileges() {
    for (name, service) in with_replicas() {
        let body = &service.body;
        if service.is_ours() {
            // container.sh makes exactly this, so what runs in containers.rs is what is written here.
            assert_eq!(body["read_only"], true, "{name}");
            assert_eq!(body["user"], "10001:10001", "{name}");
            assert_eq!(body["cap_drop"], json!(["ALL"]), "{name}");
            assert_eq!(body["security_opt"], json!(["no-new-privileges:true"]), "{name}");
            assert_eq!(body["tmpfs"], json!(["/tmp"]), "{name}");
            assert_eq!(body["volumes"], json!(["data:/data"]), "{name}");
        }
        for more in ["privileged", "cap_add", "network_mode", "pid", "devices"] {
            assert!(body[more].is_null(), "{name}: {more}");
        }
    }
}

#[test]
fn everybody_is_asked_for_health_and_waited_for() {
    let all = with_replicas();
    for (name, service) in &all {
        assert!(!service.health().is_empty(), "{name} has no health check");
        for (needed, condition, may_be_absent) in service.needs() {
            assert!(
                all.contains_key(&needed),
                "{name} needs {needed}, which is nowhere"
            );
            assert_eq!(condition, "service_healthy", "{name} needs {needed}");
            assert_eq!(
                may_be_absent,
                needed.ends_with("-2"),
                "only what is in a profile may be absent: {name} needs {needed}"
            );
        }
    }
    let needs = |name: &str| -> BTreeSet<String> {
        let needs = all[name].needs().into_iter();
        needs.map(|(needed, ..)| needed).collect()
    };
    for service in SERVICES {
        for store in ["mongodb", "redis"] {
            assert!(needs(service).contains(store), "{service} starts without {store}");
        }
        assert!(needs("gateway").contains(service));
        assert!(needs("gateway").contains(&format!("{service}-2")));
    }
}

#[test]
fn every_setting_is_passed_on() {
    let known: BTreeSet<&str> = common::settings::SETTINGS
        .iter()
        .map(|setting| setting.name)
        .collect();
    let asked = Compose::ours().variables();
    let plain = with(&[]);
    let environment: BTreeSet<String> = plain["gateway"].environment().into_keys().collect();
    for name in &known {
        let is_passed = environment.contains(*name) && asked.contains(*name);
        let is_fixed = FIXED.contains(name) || ADDRESSES.contains(name);
        let is_published = PUBLISHED.contains(name) && asked.contains(*name);
        assert!(
            is_passed || is_fixed || is_published,
            "{name} does not reach the containers"
        );
    }
    for (name, service) in with_replicas() {
        let environment: BTreeSet<String> = service.environment().into_keys().collect();
        if name == "razorpay-simulator" {
            // Its own settings are those in the table at the head of its library.
            let table = text("crates/razorpay-simulator/src/lib.rs");
            for setting in environment {
                assert!(
                    table.contains(&format!("//! | `{setting}` |")),
                    "{name} has no {setting}"
                );
            }
        } else if service.is_ours() {
            for setting in &environment {
                assert!(known.contains(setting.as_str()), "{name} has no {setting}");
            }
            assert_eq!(
                environment,
                plain["gateway"].environment().into_keys().collect(),
                "{name}"
            );
        }
    }
}

#[test]
fn the_example_file_drives_it() {
    let example = text(".env.example");
    for name in Compose::ours().variables() {
        assert!(
            example.contains(&format!("\n# {name}=")),
            ".env.example does not name {name}"
        );
    }
    // What is set there arrives.
    let set: Vec<(String, String)> = Compose::ours()
        .variables()
        .into_iter()
        .filter(|name| !PUBLISHED.contains(&name.as_str()) && name != "COMPOSE_PROFILES")
        .map(|name| (name.clone(), format!("set {name}")))
        .collect();
    let pairs: Vec<(&str, &str)> = set
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let environment = with(&pairs)["payments"].environment();
    for (name, value) in &set {
        assert_eq!(environment.get(name), Some(value));
    }
}

#[test]
fn the_replicas_profile_has_two_of_each() {
    let (plain, replicas) = (with(&[]), with_replicas());
    let more: Vec<&String> = replicas
        .keys()
        .filter(|name| !plain.contains_key(*name))
        .collect();
    assert_eq!(more, ["events-2", "notifications-2", "payments-2", "users-2"]);
    for service in SERVICES {
        let (one, two) = (&replicas[service], &replicas[&format!("{service}-2")]);
        for part in [
            "image",
            "command",
            "environment",
            "healthcheck",
            "depends_on",
            "volumes",
        ] {
            assert_eq!(one.body[part], two.body[part], "{service}: {part}");
        }
        let setting = format!("{}_URL", service.to_uppercase());
        for user in replicas.values().filter(|user| !user.needs().is_empty()) {
            let urls = &user.environment()[&setting];
            let port = one.health()[2].clone();
            assert_eq!(
                *urls,
                format!("http://{service}:{port},http://{service}-2:{port}"),
                "{} of {}",
                setting,
                user.name
            );
        }
        let alone = &plain["gateway"].environment()[&setting];
        assert!(!alone.contains(','), "an address that nobody has: {alone}");
    }
}

#[test]
fn the_streaming_profile_has_a_media_server_that_asks_us() {
    let secret = "0123456789abcdef0123456789abcdef";
    let all = with(&[("COMPOSE_PROFILES", "streaming"), ("MEDIAMTX_SECRET", secret)]);
    let mediamtx = &all["mediamtx"];
    let image = mediamtx.body["image"].as_str().unwrap();
    let (_, tag) = image.split_once(':').unwrap();
    assert_eq!(tag.split('.').count(), 3, "not pinned: {image}");
    let environment = mediamtx.environment();
    let (before, behind) = common::routes::MEDIAMTX.rsplit_once('/').unwrap();
    let port = all["events"].health()[2].clone();
    assert_eq!(
        (
            environment["MTX_AUTHMETHOD"].as_str(),
            &environment["MTX_AUTHHTTPADDRESS"]
        ),
        ("http", &format!("http://events:{port}{before}/{secret}/{behind}"))
    );
    assert!(mediamtx.published().iter().all(|port| !port.contains("9997")));
    assert_eq!(mediamtx.body["cap_drop"], json!(["ALL"]));
    // What docs/docker.md says to set is what it has.
    let page = text("docs/docker.md");
    let block = page
        .lines()
        .filter_map(|line| line.trim().strip_prefix("MEDIAMTX_"));
    let settings: BTreeMap<String, String> = block
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| {
            let value = value.split('#').next().unwrap().trim();
            let value = if value.is_empty() { secret } else { value };
            (format!("MEDIAMTX_{name}"), value.to_owned())
        })
        .collect();
    let read = common::settings::Settings::read(|name| settings.get(name).cloned()).unwrap();
    let read = read.mediamtx.unwrap();
    let published = mediamtx.published();
    for url in [
        &read.url,
        read.playback_url.as_ref().unwrap(),
        &read.webrtc_url,
        &read.rtmp_url,
        &read.srt_url,
    ] {
        let port = url.rsplit_once(':').unwrap().1;
        let shown = published
            .iter()
            .any(|shown| shown.split(':').next() == Some(port));
        assert!(shown, "{url} is not published");
    }
    assert_eq!(
        read.api_url,
        format!("http://mediamtx{}", environment["MTX_APIADDRESS"])
    );
}

/// Runs the health check's script in Node, with what mongosh has around it.
fn mongosh(script: &str, is_set_up: bool, is_primary: bool) -> String {
    let around = format!(
        "let said = []; const quit = (code) => said.push('quit ' + code);
         const rs = {{ status: () => {{ if (!{is_set_up}) throw new Error('no replset config'); }},
                       initiate: (config) => said.push('initiate ' + JSON.stringify(config)) }};
         const db = {{ hello: () => ({{ isWritablePrimary: {is_primary} }}) }};
         {script}
         console.log(said.join('; '));"
    );
    let node = std::env::var_os("ORGANISE_NODE").expect("ORGANISE_NODE, as ./test sets it");
    let output = Command::new(node).args(["-e", &around]).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn mongodb_becomes_a_replica_set_by_its_health_check() {
    let services = with(&[]);
    let mongodb = &services["mongodb"];
    let line = &mongodb.health()[1];
    let script = line.split('\'').nth(1).expect("a script in quotes");
    assert_eq!(*line, format!("mongosh --quiet --eval '{script}'"));
    let initiated = mongosh(script, false, false);
    let config = r#"initiate {"_id":"rs0","members":[{"_id":0,"host":"mongodb:27017"}]}"#;
    assert_eq!(
        initiated,
        format!("{config}; quit 1"),
        "the first time it is not healthy yet"
    );
    assert_eq!(
        mongosh(script, true, false),
        "quit 1",
        "while it is being elected"
    );
    assert_eq!(mongosh(script, true, true), "", "and then never touched again");
    let named = mongodb
        .command()
        .windows(2)
        .any(|two| two == ["--replSet", "rs0"]);
    assert!(named, "{:?}", mongodb.command());
    assert!(services["users"].environment()["MONGODB_URI"].contains("replicaSet=rs0"));
}

#[test]
fn the_image_has_every_program_and_nobody_is_root_in_it() {
    let file = text("Dockerfile");
    let lines: Vec<&str> = file.lines().collect();
    let starting = |word: &str| -> Vec<Vec<&str>> {
        lines
            .iter()
            .filter(|line| line.starts_with(word))
            .map(|line| line.split_whitespace().skip(1).collect())
            .collect()
    };
    let stages = starting("FROM ");
    assert!(stages.len() > 1, "what builds is not in what runs");
    for stage in &stages {
        assert!(is_pinned(stage[0]), "{stage:?}");
    }
    assert_eq!(starting("USER ").concat(), ["10001:10001"]);
    for copy in starting("COPY ") {
        let sources = &copy[..copy.len() - 1];
        if sources[0].starts_with("--from=") {
            continue;
        }
        for source in sources {
            assert!(root().join(source).exists(), "COPY {source}");
        }
    }
    let copied: BTreeSet<&str> = lines
        .iter()
        .find_map(|line| line.trim().strip_prefix("&& cp "))
        .and_then(|line| line.split(" /out/").next())
        .unwrap()
        .split_whitespace()
        .collect();
    assert_eq!(copied, programs().iter().map(String::as_str).collect());
    for (name, service) in with_replicas() {
        if service.is_ours() {
            assert!(copied.contains(service.command()[0].as_str()), "{name}");
        } else {
            assert!(is_pinned(service.body["image"].as_str().unwrap()), "{name}");
        }
    }
    let ignored = text(".dockerignore");
    for secret in ["/.env", "/data"] {
        assert!(
            ignored.lines().any(|line| line == secret),
            "{secret} goes into the image"
        );
    }
}

/// Whether an image's tag names a version.
fn is_pinned(image: &str) -> bool {
    let tag = image.rsplit_once(':').map(|(_, tag)| tag.trim_start_matches('v'));
    tag.is_some_and(|tag| tag.starts_with(|char: char| char.is_ascii_digit()) || tag.starts_with("bookworm"))
}

/// The programs of the workspace, without the benchmark, which nobody runs in a container.
fn programs() -> BTreeSet<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let metadata = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(Path::new(&root()))
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let mut programs = BTreeSet::new();
    for package in metadata["packages"].as_array().unwrap() {
        for target in package["targets"].as_array().unwrap() {
            if package["name"] != "bench" && target["kind"] == json!(["bin"]) {
                programs.insert(target["name"].as_str().unwrap().to_owned());
            }
        }
    }
    programs
}
