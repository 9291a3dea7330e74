//! The API document in the hands of its users: linters, generators, a fuzzer, and people at `/docs`.

use std::{
    ffi::OsString,
    path::Path,
    process::{Command, Output},
};

use serde_json::{Value, json};
use tests::{Options, Person, System, Topology, people::http_client, process::root};

fn tool(name: &str) -> OsString {
    std::env::var_os(name)
        .unwrap_or_else(|| panic!("{name} is not set: run the tests by ./test, which brings the tools"))
}

/// A program of the Node packages.
fn node(program: &str) -> Command {
    let mut command = Command::new(tool("ORGANISE_NODE"));
    command.arg(Path::new(&tool("ORGANISE_NODE_MODULES")).join(program));
    command
}

/// A program of what `tests/tools/openapi.txt` names.
fn python(program: &str) -> Command {
    let tools = tool("ORGANISE_OPENAPI_TOOLS");
    let hooks = root().join("tests/tools/schemathesis");
    let mut command = Command::new(tool("PYTHON"));
    command
        .arg(Path::new(&tools).join("bin").join(program))
        .env("PYTHONPATH", std::env::join_paths([tools.into(), hooks]).unwrap());
    command
}

fn succeeds(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

#[tokio::test(flavor = "multi_thread")]
async fn linters_and_generators_find_nothing() {
    // A linter warns of a document whose server is localhost.
    let options = Options::default().with("PUBLIC_URL", "https://api.organise-event.test");
    let system = System::start(Topology::One, options).await;
    let document = system.anyone().get("/openapi.json").await.expect(200);
    assert_eq!(document["servers"][0]["url"], "https://api.organise-event.test");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("openapi.json");
    std::fs::write(&file, document.to_string()).unwrap();

    let lint = succeeds(
        node("@redocly/cli/bin/cli.js")
            .args(["lint", "--format", "json", "--extends", "recommended"])
            // Sign-in with Google answers with a redirect.
            .args(["--skip-rule", "operation-2xx-response"])
            .arg(&file)
            .env("REDOCLY_TELEMETRY", "off")
            .env("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true")
            .current_dir(&dir),
    );
    let found: Value = serde_json::from_slice(&lint.stdout).unwrap();
    assert_eq!(
        found["totals"],
        json!({"errors": 0, "warnings": 0, "ignored": 0}),
        "{found:#}"
    );

    succeeds(python("openapi-spec-validator").arg(&file));

    succeeds(
        node("openapi-typescript/bin/cli.js")
            .arg(&file)
            .arg("--output")
            .arg(dir.path().join("api.d.ts"))
            .current_dir(&dir),
    );
    std::fs::copy(root().join("tests/tools/client.ts"), dir.path().join("client.ts")).unwrap();
    succeeds(
        node("typescript/bin/tsc")
            .args([
                "--strict",
                "--noEmit",
                "--target",
                "es2022",
                "client.ts",
                "api.d.ts",
            ])
            .current_dir(&dir),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fuzzer_finds_nothing() {
    let system = System::start(Topology::One, Options::default()).await;
    let dir = tempfile::tempdir().unwrap();
    // What may end the session of the token is tried for itself, each with a token of its own.
    const ENDING: [&str; 3] = ["logout", "logoutAll", "endSession"];
    // A stream of events has no end, and a socket begins with a handshake.
    const LIVE: [&str; 2] = ["liveEvents", "liveSocket"];
    let others: Vec<_> = ENDING
        .iter()
        .chain(&LIVE)
        .map(|operation| ["--exclude-operation-id", operation])
        .collect();
    let mut runs = vec![others.as_flattened()];
    let ending = ENDING.map(|operation| ["--include-operation-id", operation]);
    runs.extend(ending.iter().map(<[&str; 2]>::as_slice));
    for choice in runs {
        let organizer = system.person("organizer").await;
        organizer.create_event(json!(5), json!(0)).await;
        succeeds(
            python("schemathesis")
                .arg("--config-file")
                .arg(root().join("tests/tools/schemathesis/schemathesis.toml"))
                .args(["--no-color", "run"])
                .arg(format!("{}/openapi.json", system.url()))
                .args(["--url", &system.url()])
                .args(choice)
                .args(["--checks", "all", "--max-examples", "100", "--seed"])
                // Other seeds look elsewhere.
                .arg(std::env::var("ORGANISE_FUZZ_SEED").unwrap_or_else(|_| "1".to_owned()))
                .args([
                    "--header",
                    &format!("Authorization: Bearer {}", organizer.token.as_deref().unwrap()),
                ])
                .env("SCHEMATHESIS_HOOKS", "hooks")
                .current_dir(&dir),
        );
    }
}

/// What the document shows is sent as it is; only ids, which nobody can know before, are filled in.
#[tokio::test(flavor = "multi_thread")]
async fn its_examples_work() {
    let system = System::start(Topology::One, Options::default()).await;
    let anyone = system.anyone();
    let document = anyone.get("/openapi.json").await.expect(200);
    let operations = || {
        let paths = document["paths"].as_object().unwrap().iter();
        paths.flat_map(|(path, item)| {
            item.as_object()
                .unwrap()
                .values()
                .map(move |operation| (path, operation))
        })
    };
    let example = |id: &str| {
        let (path, operation) = operations()
            .find(|(_, operation)| operation["operationId"] == id)
            .unwrap();
        (
            path.as_str(),
            operation["requestBody"]["content"]["application/json"]["example"].clone(),
        )
    };
    for (path, operation) in operations() {
        let id = &operation["operationId"];
        assert_eq!(
            operation
                .pointer("/requestBody/content/application~1json")
                .is_some(),
            operation
                .pointer("/requestBody/content/application~1json/example")
                .is_some(),
            "{id}"
        );
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(
                parameter["in"] != "path" || parameter["example"].is_string(),
                "{id} {path}"
            );
        }
        let responses = operation["responses"].as_object().unwrap();
        let succeeds = responses.keys().any(|status| status.starts_with('2'));
        assert!(succeeds || id == "signInWithGoogle" || id == "liveSocket", "{id}");
        for (status, response) in operation["responses"].as_object().unwrap() {
            let response = match response["$ref"].as_str() {
                Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
                None => response,
            };
            let Some(content) = response["content"].get("application/problem+json") else {
                assert!(status.starts_with(['1', '2', '3']), "{id} {status}");
                continue;
            };
            for (code, shown) in content["examples"].as_object().unwrap() {
                assert_eq!(&shown["value"]["code"], code, "{id}");
                assert_eq!(shown["value"]["status"].to_string(), *status, "{id} {code}");
            }
        }
    }

    let (path, account) = example("registerUser");
    anyone.post(path, account).await.expect(201);
    let (path, login) = example("login");
    let organizer = anyone.post(path, login).await.expect(200);
    let text = |name: &str| organizer[name].as_str().unwrap().to_owned();
    let organizer = Person::new(
        http_client(),
        system.url(),
        Some((text("user_id"), text("token"))),
    );
    let (path, event) = example("createEvent");
    let event = organizer.post(path, event).await.expect(201)["event_id"].clone();
    let (path, change) = example("updateEvent");
    let path = path.replace("{id}", event.as_str().unwrap());
    organizer
        .send(reqwest::Method::PATCH, &path, Some(change), &[])
        .await
        .unwrap()
        .expect(200);
    let (path, change) = example("updateMe");
    organizer
        .send(reqwest::Method::PATCH, path, Some(change), &[])
        .await
        .unwrap()
        .expect(200);

    let attendee = system.person("user").await;
    let (path, mut registration) = example("registerForEvent");
    registration["event_id"] = event.clone();
    attendee.post(path, registration).await.expect(201);
    let (path, mut payment) = example("processPayment");
    payment["event_id"] = event;
    payment["user_id"] = json!(attendee.id);
    attendee.post(path, payment).await.expect(200);
    let (path, checkout) = example("verifyPayment");
    attendee
        .post(path, checkout)
        .await
        .problem(404, "order_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn docs_keep_who_is_signed_in() {
    let system = System::start(Topology::One, Options::default()).await;
    let person = system.person("user").await;
    let scratch = tempfile::tempdir().unwrap();
    succeeds(
        Command::new(tool("ORGANISE_NODE"))
            .arg(root().join("tests/tools/docs.mjs"))
            .args([&system.url(), person.token.as_deref().unwrap(), &person.email])
            .env("NODE_PATH", tool("ORGANISE_NODE_MODULES"))
            .env("TMPDIR", scratch.path()),
    );
}
