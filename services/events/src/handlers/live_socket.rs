//! `GET /api/live/ws`

use axum::{
    extract::{Request, State},
    response::Response,
};
use common::{extract::scope_missing, problem::ApiError};

use crate::{
    app::App,
    live::{
        who::{origin_refused, ticket_refused},
        ws::{self, subprotocol_required, upgrade_required},
    },
};

common::problems!(
    Problems: upgrade_required(), subprotocol_required(), origin_refused(), ticket_refused(), scope_missing()
);

/// Opens a WebSocket with the subprotocol `evt.v1`. docs/live.md describes what is said over it.
#[utoipa::path(
    get,
    path = "/api/live/ws",
    operation_id = "liveSocket",
    tag = "live",
    params(("ticket" = Option<String>, Query, description = "A ticket of `POST /api/live/ticket`.")),
    responses(
        (status = 101, description = "The connection is a WebSocket from here on."),
        Problems,
    ),
)]
pub async fn live_socket(State(app): State<App>, request: Request) -> Result<Response, ApiError> {
    let (parts, _) = request.into_parts();
    ws::open(app.live, parts).await
}
