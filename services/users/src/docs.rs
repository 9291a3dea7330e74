//! The service's part of the OpenAPI document.

use utoipa::OpenApi;

/// The document, to which the routes add their operations.
#[derive(OpenApi)]
#[openapi(
    info(title = "Organise Event: users", description = "Accounts, sign-up, login and the caller's own details."),
    tags((name = "users", description = "Accounts, sign-up and login")),
)]
pub struct Document;
