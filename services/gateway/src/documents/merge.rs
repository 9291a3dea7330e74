//! Putting documents together, without one service's names standing for another's things.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

const SCHEMAS: &str = "#/components/schemas/";

/// What the services said so far.
#[derive(Default)]
pub struct Merged {
    paths: Map<String, Value>,
    schemas: Map<String, Value>,
    tags: Vec<Value>,
    operation_ids: HashSet<String>,
}

impl Merged {
    /// Adds a service's document. A schema whose name another service uses for something else, or an operation whose
    /// id is taken, gets the service's name in front.
    pub fn add(&mut self, service: &str, mut document: Value) {
        let schemas = take(&mut document, "/components/schemas");
        let taken: Vec<String> = schemas
            .iter()
            .filter(|(name, schema)| self.schemas.get(*name).is_some_and(|other| other != *schema))
            .map(|(name, _)| name.clone())
            .collect();
        let rename = |name: &str| match taken.iter().any(|taken| taken == name) {
            true => format!("{service}.{name}"),
            false => name.to_owned(),
        };
        for (name, mut schema) in schemas {
            rename_references(&mut schema, &rename);
            self.schemas.insert(rename(&name), schema);
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
            "components": {
                "schemas": self.schemas,
                "securitySchemes": {"bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "The `token` that POST /api/users/login gives.",
                }},
            },
        })
    }
}

fn take(document: &mut Value, pointer: &str) -> Map<String, Value> {
    match document.pointer_mut(pointer).map(Value::take) {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

fn rename_references(value: &mut Value, rename: &impl Fn(&str) -> String) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::String(target) if key == "$ref" => {
                        if let Some(name) = target.strip_prefix(SCHEMAS) {
                            *target = format!("{SCHEMAS}{}", rename(name));
                        }
                    }
                    value => rename_references(value, rename),
                }
            }
        }
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
            "components": {"schemas": {
                "Item": {"type": kind, "items": {"$ref": "#/components/schemas/Same"}},
                "Same": {"type": "string"},
            }},
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
            3,
            "what is the same is there once: {schemas}"
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
