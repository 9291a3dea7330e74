//! The service's part of the OpenAPI document.

use utoipa::OpenApi;

/// The document, to which the routes add their operations.
#[derive(OpenApi)]
#[openapi(
    info(title = "Organise Event: notifications", description = "Confirmations, tickets and reminders."),
    tags((name = "notifications", description = "Messages to the caller")),
)]
pub struct Document;
