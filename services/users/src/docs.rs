//! The service's part of the OpenAPI document: what its operations have in common.

use std::collections::BTreeMap;

use common::problem::{PROBLEM_JSON, Problem};
use utoipa::{
    IntoResponses, Modify, OpenApi,
    openapi::{
        Content, Object, Ref, RefOr, Response, ResponseBuilder, Type,
        header::Header,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

/// The document, to which the routes add their operations.
#[derive(OpenApi)]
#[openapi(
    info(title = "Organise Event: users", description = "Accounts, sign-up, login and the caller's own details."),
    tags((name = "users", description = "Accounts, sign-up and login")),
    components(schemas(Problem)),
    modifiers(&Bearer),
)]
pub struct Document;

/// Adds the security scheme `bearer`.
struct Bearer;

impl Modify for Bearer {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .description(Some("The `token` that POST /api/users/login gives."))
            .build();
        openapi
            .components
            .get_or_insert_default()
            .add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

/// How a request with a body fails when the body is not as it should be.
pub struct BodyProblems;

impl IntoResponses for BodyProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        BTreeMap::from([
            problem("400", "The body is not JSON."),
            problem("413", "The body is larger than 128 KiB."),
            problem("415", "The body is not sent as `application/json`."),
            problem(
                "422",
                "Fields are missing or not valid; `errors` lists all of them.",
            ),
        ])
    }
}

/// How a request fails when too much is going on.
pub struct BusyProblems;

impl IntoResponses for BusyProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        BTreeMap::from([
            retry("429", "Too many attempts; `Retry-After` says when to try again."),
            retry(
                "503",
                "The service is busy; `Retry-After` says when to try again.",
            ),
        ])
    }
}

/// How a request fails when the store does not answer.
pub struct Unavailable;

impl IntoResponses for Unavailable {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        BTreeMap::from([retry(
            "503",
            "The service is busy; `Retry-After` says when to try again.",
        )])
    }
}

fn problem(status: &str, description: &str) -> (String, RefOr<Response>) {
    (status.to_owned(), RefOr::T(described(description).build()))
}

fn retry(status: &str, description: &str) -> (String, RefOr<Response>) {
    let mut seconds = Header::new(Object::with_type(Type::Integer));
    seconds.description = Some("Seconds to wait.".to_owned());
    (
        status.to_owned(),
        RefOr::T(described(description).header("Retry-After", seconds).build()),
    )
}

fn described(description: &str) -> ResponseBuilder {
    let schema = Ref::from_schema_name("Problem");
    ResponseBuilder::new()
        .description(description)
        .content(PROBLEM_JSON, Content::new(Some(schema)))
}
