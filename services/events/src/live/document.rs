//! `GET /asyncapi.json`: the protocol as an AsyncAPI 3 document.

use serde_json::Value;

const DOCUMENT: &str = include_str!("asyncapi.json");

/// The document, with the address under which the world reaches the gateway.
pub fn document(public_url: Option<&str>) -> String {
    let Some((scheme, host)) = public_url.and_then(|url| url.trim_end_matches('/').split_once("://")) else {
        return DOCUMENT.to_owned();
    };
    let Ok(mut document) = serde_json::from_str::<Value>(DOCUMENT) else {
        return DOCUMENT.to_owned();
    };
    let gateway = &mut document["servers"]["gateway"];
    let (host, path) = host.split_once('/').unwrap_or((host, ""));
    gateway["host"] = host.into();
    gateway["protocol"] = if scheme == "https" { "wss" } else { "ws" }.into();
    if !path.is_empty() {
        gateway["pathname"] = format!("/{path}").into();
    }
    document.to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Everything that a document refers to.
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn it_is_whole() {
        let document: Value = serde_json::from_str(&document(None)).unwrap();
        assert_eq!(document["asyncapi"], "3.0.0");
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 50);
        for reference in found {
            let target = document.pointer(reference.trim_start_matches('#'));
            assert!(target.is_some(), "{reference}");
        }
        let types: BTreeSet<&str> = document["components"]["messages"]
            .as_object()
            .unwrap()
            .values()
            .filter_map(|message| message.pointer("/payload/properties/type/const")?.as_str())
            .collect();
        // The client's types are the same.
        let client = include_str!("../../../../clients/js/live.d.ts");
        let (_, publications) = client.split_once("export interface Publications {").unwrap();
        let (publications, _) = publications.split_once("\n}").unwrap();
        let of_client: BTreeSet<&str> = publications
            .lines()
            .filter_map(|line| line.trim().strip_prefix('\'')?.split('\'').next())
            .collect();
        assert_eq!(types, of_client);
        // And so is what the code writes.
        let code = [
            include_str!("../views/posts.rs"),
            include_str!("../domain/change.rs"),
            include_str!("../../../../crates/common/src/wire.rs"),
            include_str!("counters.rs"),
            include_str!("posts.rs"),
            include_str!("reactions.rs"),
            include_str!("stage.rs"),
        ]
        .concat();
        for kind in &types {
            let written = format!("\"{kind}\"");
            assert!(code.contains(&written), "{kind} is published nowhere");
        }
        // Nor is anything else published of what people say.
        let is_kind = |text: &&str| {
            let parts = text.split_once('.');
            parts.is_some_and(|(of, what)| (of.to_owned() + what).bytes().all(|c| c.is_ascii_lowercase()))
        };
        let texts = include_str!("../views/posts.rs").split('"').skip(1).step_by(2);
        let of_posts: Vec<&str> = texts.filter(is_kind).collect();
        assert!(of_posts.len() > 10, "{of_posts:?}");
        for kind in of_posts {
            assert!(types.contains(kind), "{kind} is not in the document");
        }
    }

    #[test]
    fn it_names_the_gateway() {
        let named = |url| {
            let document: Value = serde_json::from_str(&document(Some(url))).unwrap();
            let gateway = &document["servers"]["gateway"];
            ["protocol", "host", "pathname"].map(|name| gateway[name].as_str().unwrap_or("").to_owned())
        };
        assert_eq!(
            named("https://events.example.org"),
            ["wss", "events.example.org", ""]
        );
        assert_eq!(
            named("http://localhost:8080/api/"),
            ["ws", "localhost:8080", "/api"]
        );
        assert_eq!(named("nonsense"), ["ws", "localhost:3003", ""]);
    }
}
