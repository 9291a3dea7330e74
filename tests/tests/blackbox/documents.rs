//! The API documents say what there is.

use std::collections::BTreeSet;

use serde_json::Value;
use tests::{Options, System, Topology};

use crate::everywhere;

everywhere!(the_documents_are_whole);

const DOCUMENTED: [(&str, &str); 17] = [
    ("/api/users/register", "post"),
    ("/api/users/login", "post"),
    ("/api/users/me", "get"),
    ("/api/organiser/create_event", "post"),
    ("/api/organiser/events", "get"),
    ("/api/organiser/events/{id}", "patch"),
    ("/api/organiser/events/{id}/cancel", "post"),
    ("/api/events", "get"),
    ("/api/events/{id}", "get"),
    ("/api/reg/register_event", "post"),
    ("/api/reg/get_registrevent", "get"),
    ("/api/reg/registrations/{id}", "delete"),
    ("/api/payment/process_payment", "post"),
    ("/api/payment/verify", "post"),
    ("/api/payment/webhook", "post"),
    ("/api/payment/payments", "get"),
    ("/api/payment/payments/{id}", "get"),
];

async fn the_documents_are_whole(topology: Topology) {
    let system = System::start(topology, Options::default()).await;
    let anyone = system.anyone();
    let document = anyone.get("/openapi.json").await.expect(200);
    assert!(
        document["openapi"].as_str().unwrap().starts_with("3.1"),
        "{}",
        document["openapi"]
    );
    for (path, method) in DOCUMENTED {
        assert!(
            document["paths"][path][method].is_object(),
            "{method} {path} is not documented"
        );
    }
    let mut dangling = BTreeSet::new();
    references(&document, &mut |reference| {
        let pointer = reference.trim_start_matches('#');
        if document.pointer(pointer).is_none() {
            dangling.insert(reference.to_owned());
        }
    });
    assert!(dangling.is_empty(), "{dangling:?}");
    // Whatever the document names and protects is protected: no route can be forgotten.
    for (path, methods) in document["paths"].as_object().unwrap() {
        assert!(!path.contains("internal"), "{path}");
        for (method, operation) in methods.as_object().unwrap() {
            if operation["security"]
                .as_array()
                .is_some_and(|security| !security.is_empty())
            {
                let method = reqwest::Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
                let concrete = path.replace("{id}", "0190b0e6-0000-7000-8000-000000000000");
                let answer = anyone.send(method, &concrete, None, &[]).await.unwrap();
                answer.problem(401, "missing_token");
            }
        }
    }
    let docs = anyone
        .send(reqwest::Method::GET, "/docs/", None, &[])
        .await
        .unwrap();
    assert_eq!(docs.status, 200);
    for outside in ["https://", "http://", "//cdn"] {
        assert!(
            !docs.text.contains(&format!("src=\"{outside}"))
                && !docs.text.contains(&format!("href=\"{outside}"))
        );
    }
}

fn references(value: &Value, found: &mut impl FnMut(&str)) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                match value.as_str() {
                    Some(reference) if name == "$ref" => found(reference),
                    _ => references(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}
