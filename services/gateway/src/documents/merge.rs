//! Putting documents together, without one service's names standing for another's things.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Map, Value, json};

const COMPONENTS: &str = "#/components/";

/// The services' documents so far.
#[derive(Default)]
pub struct Merged {
    paths: Map<String, Value>,
    /// By kind (`schemas`, `responses`, ...) and name.
    components: BTreeMap<String, Map<String, Value>>,
    tags: Vec<Value>,
    operation_ids: HashSet<String>,
}

impl Merged {
    /// Adds a service's document. A component whose name another service uses for something else, or an operation whose
    /// id is taken, gets the service's name in front.
    pub fn add(&mut self, service: &str, mut document: Value) {
        let mut components = take(&mut document, "/components");
        let mut taken = HashSet::new();
        // Until no more are found: what refers to something that gets another name is another thing, too.
        loop {
            let before = taken.len();
            for (kind, named) in &components {
                let known = self.components.get(kind);
                for (name, component) in named.as_object().into_iter().flatten() {
                    if let Some(other) = known.and_then(|known| known.get(name))
                        && (other != component || refers_to(component, &taken))
                    {
                        taken.insert(format!("{COMPONENTS}{kind}/{name}"));
                    }
                }
            }
            if taken.len() == before {
                break;
            }
        }
        let rename = |reference: &str| {
            let (place, name) = reference.rsplit_once('/')?;
            taken
                .contains(reference)
                .then(|| format!("{place}/{service}.{name}"))
        };
        for (kind, named) in components.iter_mut() {
            for (name, mut component) in take(named, "") {
                rename_references(&mut component, &rename);
                let name = match taken.contains(&format!("{COMPONENTS}{kind}/{name}")) {
                    true => format!("{service}.{name}"),
                    false => name,
                };
                self.components
                    .entry(kind.clone())
                    .or_default()
                    .insert(name, component);
            }
        }
        for (path, mut item) in take(&mut document, "/paths") {
            rename_references(&mut item, &rename);
            for operation in item.as_object_mut().into_iter().flat_map(Map::values_mut) {
                if let Some(Value::String(id)) = operation.get_mut("operationId")
                    && !self.operation_ids.insert(id.clone())
                {
                    *id = format!("{service}.{id}");
                    self.operation_ids.insert(id.clone());
                }
            }
            self.paths.insert(path, item);
        }
        if let Some(Value::Array(tags)) = document.get_mut("tags").map(Value::take) {
            for tag in tags {
                if !self.tags.iter().any(|known| known["name"] == tag["name"]) {
                    self.tags.push(tag);
                }
            }
        }
    }

    /// The whole.
    pub fn into_document(self, info: Value) -> Value {
        json!({
            "openapi": "3.1.0",
            "info": info,
            "tags": self.tags,
            "paths": self.paths,
            "components": self.components,
        })
    }
}

fn take(document: &mut Value, pointer: &str) -> Map<String, Value> {
    match document.pointer_mut(pointer).map(Value::take) {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

fn refers_to(value: &Value, names: &HashSet<String>) -> bool {
    match value {
        Value::String(text) => names.contains(text),
        Value::Object(map) => map.values().any(|value| refers_to(value, names)),
        Value::Array(values) => values.iter().any(|value| refers_to(value, names)),
        _ => false,
    }
}

/// Renames what `$ref` and a discriminator's `mapping` refer to. Whatever else a string says, it does not begin like one.
fn rename_references(value: &mut Value, rename: &impl Fn(&str) -> Option<String>) {
    match value {
        Value::String(text) if text.starts_with(COMPONENTS) => {
            if let Some(renamed) = rename(text) {
                *text = renamed;
            }
        }
        Value::Object(map) => map
            .values_mut()
            .for_each(|value| rename_references(value, rename)),
        Value::Array(values) => values
            .iter_mut()
            .for_each(|value| rename_references(value, rename)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(path: &str, kind: &str) -> Value {
        json!({
            "paths": {path: {"get": {"operationId": "list", "responses": {"200": {"$ref": "#/components/schemas/Item"}}}}},
            "components": {
                "schemas": {
                    "Item": {"type": kind, "items": {"$ref": "#/components/schemas/Same"}},
                    "Same": {"type": "string"},
                    "Either": {"discriminator": {"propertyName": "is", "mapping": {"item": "#/components/schemas/Item"}}},
                },
                "responses": {"Conflict": {"description": kind, "is": "#/components/schemas/Item"}},
            },
            "tags": [{"name": "lists"}],
        })
    }

    #[test]
    fn names_that_two_services_use_stay_apart() {
        let mut merged = Merged::default();
        merged.add("users", document("/api/users", "object"));
        merged.add("events", document("/api/events", "array"));
        let document = merged.into_document(json!({}));
        let schemas = &document["components"]["schemas"];
        assert_eq!(schemas["Item"]["type"], "object");
        assert_eq!(schemas["events.Item"]["type"], "array");
        assert_eq!(
            schemas.as_object().unwrap().len(),
            5,
            "what is the same is there once: {schemas}"
        );
        // `Either` differs because what it refers to does.
        let mapped = |name: &str| schemas[name]["discriminator"]["mapping"]["item"].clone();
        assert_eq!(mapped("Either"), "#/components/schemas/Item");
        assert_eq!(mapped("events.Either"), "#/components/schemas/events.Item");
        let responses = &document["components"]["responses"];
        assert_eq!(responses["Conflict"]["description"], "object");
        assert_eq!(responses["events.Conflict"]["description"], "array");
        assert_eq!(
            responses["events.Conflict"]["is"],
            "#/components/schemas/events.Item"
        );
        let of = |path: &str| document["paths"][path]["get"].clone();
        assert_eq!(
            of("/api/users")["responses"]["200"]["$ref"],
            "#/components/schemas/Item"
        );
        assert_eq!(
            of("/api/events")["responses"]["200"]["$ref"],
            "#/components/schemas/events.Item"
        );
        assert_eq!(of("/api/users")["operationId"], "list");
        assert_eq!(of("/api/events")["operationId"], "events.list");
        assert_eq!(document["tags"], json!([{"name": "lists"}]));
    }
}
