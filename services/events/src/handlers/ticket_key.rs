//! `GET /api/events/ticket_key`

use axum::{Json, extract::State};
use serde::Serialize;
use tickets::keys::PublicKey;
use utoipa::ToSchema;

use crate::app::App;

/// The keys that tickets are signed with.
#[derive(Serialize, ToSchema)]
pub struct TicketKeysView {
    /// The one that signs now.
    #[serde(flatten)]
    current: PublicKey,
    /// All whose tickets are valid, as in a JWK set (RFC 7517): that one, and while it replaces another one, that too.
    keys: Vec<PublicKey>,
}

/// The public keys of tickets (Ed25519, JWK). A ticket's QR code holds `OE1.` + base64url(JSON) + `.` + base64url(signature over the
/// text before the last dot); the JSON has `ticket_id`, `event_id` and `kid`, the key's name.
#[utoipa::path(
    get,
    path = "/api/events/ticket_key",
    operation_id = "getTicketKey",
    tag = "events",
    responses((status = 200, description = "The keys", body = TicketKeysView))
)]
pub async fn ticket_key(State(app): State<App>) -> Json<TicketKeysView> {
    let keys = app.tickets.keys().public();
    let current = app.tickets.keys().current();
    Json(TicketKeysView { current, keys })
}
