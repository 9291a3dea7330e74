//! The service's part of the OpenAPI document: what its operations have in common.

use common::problem::Problem;
use utoipa::{
    Modify, OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};

/// The document, to which the routes add their operations.
#[derive(OpenApi)]
#[openapi(
    info(title = "Organise Event: notifications", description = "Confirmations, tickets and reminders."),
    tags((name = "notifications", description = "Messages to the caller")),
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
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}
