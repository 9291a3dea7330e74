//! A service's part of the OpenAPI document: what its handlers document, and what all calls have in common.
//!
//! A handler names the failures that are its own, as the very [`ApiError`]s it answers with ([`crate::problems!`]). What
//! follows from a call's form is added here: a call with a body may be sent one that is no JSON, a call that needs a
//! token may come without one, and any call may come too often.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::{Method, StatusCode};
use serde_json::{Map, Value, json};
use utoipa::{
    PartialSchema,
    openapi::{Content, OpenApi, RefOr, Response, example::Example, header::Header},
};

use super::page;
use crate::{
    api_keys::Scope,
    documented, extract, fields, idempotency,
    problem::{self, ApiError, FieldError, PROBLEM_JSON, Problem},
    routes::{Call, Policy},
};

/// `problems!(Name: error, ...)` makes a type that stands for these failures among the `responses` of a handler.
#[macro_export]
macro_rules! problems {
    ($name:ident: $($error:expr),+ $(,)?) => {
        /// The call's own failures, for the API document.
        pub struct $name;

        impl ::utoipa::IntoResponses for $name {
            fn responses() -> ::std::collections::BTreeMap<
                String,
                ::utoipa::openapi::RefOr<::utoipa::openapi::Response>,
            > {
                $crate::http::document::responses([$($error),+])
            }
        }
    };
}

/// What [`crate::problems!`] documents: an example for each code, by status. [`finish`] adds the rest.
pub fn responses(errors: impl IntoIterator<Item = ApiError>) -> BTreeMap<String, RefOr<Response>> {
    let mut by_status: BTreeMap<String, Response> = BTreeMap::new();
    for error in errors {
        let response = by_status.entry(error.status().as_str().to_owned()).or_default();
        for name in error.header_names() {
            response
                .headers
                .insert(name.to_owned(), RefOr::T(Header::default()));
        }
        let mut example = Example::new();
        example.value = Some(error.example());
        let content = response
            .content
            .entry(PROBLEM_JSON.to_owned())
            .or_insert_with(|| RefOr::T(Content::default()));
        if let RefOr::T(content) = content {
            content
                .examples
                .insert(error.code().to_owned(), RefOr::T(example));
        }
    }
    by_status
        .into_iter()
        .map(|(status, response)| (status, RefOr::T(response)))
        .collect()
}

/// The document as it is served.
pub fn finish(document: &OpenApi) -> Value {
    // What utoipa builds are maps with names for keys: this cannot fail.
    finished(serde_json::to_value(document).unwrap_or_default())
}

fn finished(mut document: Value) -> Value {
    let mut shared = Map::new();
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    for (path, item) in paths.into_iter().flatten() {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            if let (Ok(method), Some(operation)) = (
                Method::from_bytes(method.to_ascii_uppercase().as_bytes()),
                operation.as_object_mut(),
            ) {
                if let Policy::Call(Call {
                    scope: Some(scope), ..
                }) = Policy::find(path, &method)
                {
                    name_scope(operation, *scope);
                }
                complete(operation, documented::failure_message(&method, path), &mut shared);
            }
        }
    }
    let components = &mut document["components"];
    components["responses"] = Value::Object(shared);
    components["schemas"]["Problem"] = json!(Problem::schema());
    components["schemas"]["FieldError"] = json!(FieldError::schema());
    components["securitySchemes"]["bearer"] = json!({
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The `token` that `POST /api/users/login` gives.",
    });
    components["securitySchemes"]["api_key"] = json!({
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "oe_...",
        "description": "An `api_key` that `POST /api/users/api_keys` gives, with the scope that the call names.",
    });
    document
}

/// Says that an API key with this scope will do.
fn name_scope(operation: &mut Map<String, Value>, scope: Scope) {
    if let Some(Value::Array(ways)) = operation.get_mut("security") {
        ways.push(json!({"api_key": [scope.name()]}));
    }
    let told = operation
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let told = format!("{told}\n\nAPI keys need the scope `{}`.", scope.name());
    operation.insert("description".to_owned(), json!(told.trim()));
}

fn complete(operation: &mut Map<String, Value>, message: Option<&str>, shared: &mut Map<String, Value>) {
    let form = Form::of(operation);
    operation.entry("security").or_insert_with(|| json!([]));
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        // utoipa takes an `Option` for something that may be null; a parameter is there or not.
        if let Some(Value::Array(types)) = parameter.pointer_mut("/schema/type") {
            types.retain(|name| name != "null");
            if let [only] = types.as_slice() {
                parameter["schema"]["type"] = only.clone();
            }
        }
    }
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else {
        return;
    };
    if form.list
        && let Some(page) = responses.get_mut("200")
    {
        page["headers"]["Link"] = json!({
            "description": "The address of the next page, with `rel=\"next\"` (RFC 8288); absent on the last one.",
            "schema": {"type": "string"},
        });
    }
    for (status, response) in responses.iter_mut() {
        let status = status.parse::<StatusCode>().unwrap_or_default();
        if let Some(mut failures) = Failures::of(response) {
            for (_, error) in form.errors().filter(|(_, error)| error.status() == status) {
                failures.add(&error);
            }
            *response = failures.response(status, message);
        }
    }
    let mut in_common: BTreeMap<StatusCode, (String, Failures)> = BTreeMap::new();
    for (reason, error) in form.errors() {
        let status = error.status();
        if responses.contains_key(status.as_str()) {
            continue;
        }
        let (name, failures) = in_common.entry(status).or_insert_with(|| {
            let name = status.canonical_reason().unwrap_or("Error").replace(' ', "");
            (name, Failures::default())
        });
        if !name.ends_with(reason) {
            name.push_str(reason);
        }
        failures.add(&error);
    }
    for (status, (name, failures)) in in_common {
        let reference = json!({"$ref": format!("#/components/responses/{name}")});
        responses.insert(status.as_str().to_owned(), reference);
        shared
            .entry(name)
            .or_insert_with(|| failures.response(status, None));
    }
}

/// What of a call's form decides how it can fail.
#[derive(Clone, Copy)]
struct Form {
    token: bool,
    body: bool,
    key: bool,
    list: bool,
    id: bool,
}

impl Form {
    fn of(operation: &Map<String, Value>) -> Self {
        let parameters = operation.get("parameters").and_then(Value::as_array);
        let has = |name| parameters.is_some_and(|all| all.iter().any(|parameter| parameter["name"] == name));
        Self {
            token: operation
                .get("security")
                .and_then(Value::as_array)
                .is_some_and(|schemes| !schemes.is_empty()),
            body: operation.contains_key("requestBody"),
            key: has("Idempotency-Key"),
            list: has("cursor"),
            id: parameters.is_some_and(|all| all.iter().any(|parameter| parameter["in"] == "path")),
        }
    }

    /// The failures that follow, each with a word for its reason; failures of the same status and reasons are alike for
    /// all calls.
    fn errors(self) -> impl Iterator<Item = (&'static str, ApiError)> {
        let any = [
            problem::not_one_host(),
            problem::by_status(StatusCode::URI_TOO_LONG),
            problem::by_status(StatusCode::TOO_MANY_REQUESTS),
            problem::by_status(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
            problem::by_status(StatusCode::INTERNAL_SERVER_ERROR),
            problem::by_status(StatusCode::BAD_GATEWAY),
            problem::by_status(StatusCode::SERVICE_UNAVAILABLE),
            problem::timeout(),
        ];
        let token = extract::token_problems();
        let body = [
            problem::not_json(),
            problem::body_incomplete(),
            problem::request_timeout(),
            problem::body_too_large(),
            problem::unsupported_media_type(),
            problem::unsupported_content_encoding(),
            fields::not_an_object(),
        ];
        let key = [
            extract::bad_key(),
            idempotency::key_reused(),
            idempotency::key_in_flight(),
        ];
        // An id that is no part of an address, such as one with a slash in it.
        let id = [problem::by_status(StatusCode::NOT_FOUND)];
        let list = [ApiError::invalid_field("limit", page::bad_limit())];
        let group = |on: bool, reason, errors: Vec<ApiError>| {
            errors
                .into_iter()
                .filter(move |_| on)
                .map(move |error| (reason, error))
        };
        group(true, "", any.into())
            .chain(group(self.token, "", token.into()))
            .chain(group(self.body, "OfBody", body.into()))
            .chain(group(self.key, "OfKey", key.into()))
            .chain(group(self.list, "OfQuery", list.into()))
            .chain(group(self.id, "", id.into()))
    }
}

/// How a call fails with one status: an example for each code, and the headers that come with them.
#[derive(Default)]
struct Failures {
    examples: BTreeMap<String, Value>,
    headers: BTreeSet<String>,
}

impl Failures {
    /// What [`responses`] wrote; `None` for a success.
    fn of(response: &Value) -> Option<Self> {
        let examples = response.get("content")?.get(PROBLEM_JSON)?.get("examples")?;
        let headers = response.get("headers").and_then(Value::as_object);
        Some(Self {
            examples: examples
                .as_object()?
                .iter()
                .map(|(code, example)| (code.clone(), example["value"].clone()))
                .collect(),
            headers: headers
                .into_iter()
                .flatten()
                .map(|(name, _)| name.clone())
                .collect(),
        })
    }

    fn add(&mut self, error: &ApiError) {
        // A handler's own example of a code says more than the common one.
        self.examples
            .entry(error.code().to_owned())
            .or_insert_with(|| error.example());
        self.headers.extend(error.header_names().map(str::to_owned));
    }

    fn response(&self, status: StatusCode, message: Option<&str>) -> Value {
        let examples: Map<String, Value> = self
            .examples
            .iter()
            .map(|(code, body)| {
                let mut body = body.clone();
                if let Some(message) = message {
                    body["message"] = json!(message);
                }
                (code.clone(), json!({"value": body}))
            })
            .collect();
        let lines: Vec<String> = self
            .examples
            .iter()
            .map(|(code, body)| format!("`{code}`: {}", body["detail"].as_str().unwrap_or_default()))
            .collect();
        let mut response = json!({
            "description": lines.join("\n\n"),
            "content": {PROBLEM_JSON: {"schema": self.schema(status), "examples": examples}},
        });
        for name in &self.headers {
            response["headers"][name] = match name.as_str() {
                "retry-after" => json!({
                    "description": "Seconds after which to try again.",
                    "schema": {"type": "integer", "minimum": 1},
                }),
                "www-authenticate" => json!({
                    "description": "How to sign in (RFC 6750, section 3).",
                    "schema": {"type": "string"},
                }),
                _ => json!({"schema": {"type": "string"}}),
            };
        }
        response
    }

    /// A problem with one of these codes. Codes that bring members of their own have a schema of their own.
    fn schema(&self, status: StatusCode) -> Value {
        let mut plain = Vec::new();
        let mut schemas = Vec::new();
        for (code, body) in &self.examples {
            let members: Map<String, Value> = body
                .as_object()
                .into_iter()
                .flatten()
                .filter(|(name, _)| !problem::MEMBERS.contains(&name.as_str()))
                .map(|(name, value)| (name.clone(), member(name, value)))
                .collect();
            if members.is_empty() {
                plain.push(json!(code));
            } else {
                schemas.push(variant(status, vec![json!(code)], members));
            }
        }
        if !plain.is_empty() {
            schemas.insert(0, variant(status, plain, Map::new()));
        }
        match schemas.len() {
            1 => schemas.remove(0),
            _ => json!({"oneOf": schemas}),
        }
    }
}

fn variant(status: StatusCode, codes: Vec<Value>, members: Map<String, Value>) -> Value {
    let mut properties = members;
    let mut required: Vec<Value> = properties.keys().map(|name| json!(name)).collect();
    properties.insert("status".to_owned(), json!({"const": status.as_u16()}));
    if status == StatusCode::PAYMENT_REQUIRED {
        // The code is the bank's reason, of which there may be a new one any day; a card that was refused out of hand has
        // made no payment.
        required.clear();
    } else {
        properties.insert("code".to_owned(), json!({"enum": codes}));
    }
    let mut own = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        own["required"] = json!(required);
    }
    json!({"allOf": [{"$ref": "#/components/schemas/Problem"}, own]})
}

/// The schema of a member, by an example of it.
fn member(name: &str, example: &Value) -> Value {
    match example {
        Value::String(_) if name.ends_with("_id") => json!({"type": "string", "format": "uuid"}),
        Value::String(_) => json!({"type": "string"}),
        Value::Number(number) if number.is_u64() && !name.starts_with("amount") => {
            json!({"type": "integer", "minimum": 0})
        }
        Value::Number(_) => json!({"type": "number", "minimum": 0}),
        _ => json!({}),
    }
}

#[cfg(test)]
mod tests {
    use utoipa::IntoResponses;

    use super::*;

    crate::problems!(
        Refusals:
        ApiError::conflict("full", "It is full."),
        ApiError::conflict("taken", "It is taken.").with("owner_id", "019309a2-0000-7000-8000-000000000001"),
        ApiError::new(StatusCode::PAYMENT_REQUIRED, "no_money", "There is no money."),
    );

    fn with(mut operation: Value) -> Value {
        operation["responses"] = json!(Refusals::responses());
        operation["responses"]["200"] = json!({"description": "It is done."});
        let document = json!({
            "openapi": "3.1.0",
            "info": {"title": "", "version": ""},
            "paths": {"/api/reg/register_event": {"post": operation}},
        });
        finished(document)
    }

    #[test]
    fn a_calls_form_says_how_it_can_fail() {
        let statuses = |operation| {
            let document = with(operation);
            let responses = document["paths"]["/api/reg/register_event"]["post"]["responses"].clone();
            let own = responses.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
            own.join(" ")
        };
        assert_eq!(statuses(json!({})), "200 400 402 409 414 429 431 500 502 503 504");
        let key = json!({"name": "Idempotency-Key", "in": "header"});
        let all = json!({
            "security": [{"bearer": []}],
            "parameters": [key],
            "requestBody": {"content": {"application/json": {}}},
        });
        assert_eq!(
            statuses(all),
            "200 400 401 402 403 408 409 413 414 415 422 429 431 500 502 503 504"
        );
    }

    #[test]
    fn each_code_has_its_members() {
        let document = with(json!({"parameters": [{"name": "Idempotency-Key", "in": "header"}]}));
        let operation = &document["paths"]["/api/reg/register_event"]["post"];
        assert_eq!(operation["security"], json!([]));
        let response = &operation["responses"]["409"];
        let content = &response["content"][PROBLEM_JSON];
        let [plain, taken] = content["schema"]["oneOf"].as_array().unwrap().as_slice() else {
            panic!("{content}");
        };
        assert_eq!(
            plain["allOf"][1]["properties"]["code"]["enum"],
            json!(["full", "idempotency_key_in_flight"])
        );
        assert_eq!(taken["allOf"][1]["required"], json!(["owner_id"]));
        assert_eq!(taken["allOf"][1]["properties"]["owner_id"]["format"], "uuid");
        assert!(response["headers"]["retry-after"].is_object(), "{response}");
        let shown = &content["examples"]["full"]["value"];
        assert_eq!(shown["message"], "Error registering for event.");
        let declined = &operation["responses"]["402"]["content"][PROBLEM_JSON]["schema"];
        assert_eq!(
            declined["allOf"][1]["properties"]["code"],
            Value::Null,
            "any code may come"
        );
    }
}
