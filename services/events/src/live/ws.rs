//! `GET /api/live/ws`

use axum::{
    extract::{FromRequestParts, WebSocketUpgrade, ws::rejection::WebSocketUpgradeRejection},
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::Response,
};
use common::{
    extract::{ClientIp, Params},
    problem::ApiError,
};

use super::{
    Live,
    closing::Closing,
    connection::{self, Connection},
    limits::MAX_MESSAGE,
    protocol::SUBPROTOCOL,
    who,
};

/// Bytes read at a time: what a socket costs while nothing comes is mostly this.
const READ_BUFFER: usize = 4 * 1024;
/// Bytes collected before they are written: a batch of small pushes is one write.
const WRITE_BUFFER: usize = 16 * 1024;
/// The most that is collected when the client does not read: what is missed on joining is one message of up to 512 KiB.
const MAX_WRITE_BUFFER: usize = 2 * 1024 * 1024;

/// 426: a plain request.
pub fn upgrade_required() -> ApiError {
    ApiError::new(
        StatusCode::UPGRADE_REQUIRED,
        "upgrade_required",
        "This address speaks WebSocket (RFC 6455). Server-sent events are at /api/live/sse.",
    )
    .header(header::UPGRADE, HeaderValue::from_static("websocket"))
    .header(header::CONNECTION, HeaderValue::from_static("upgrade"))
}

/// 400: the client speaks another protocol over its socket.
pub fn subprotocol_required() -> ApiError {
    ApiError::new(
        StatusCode::BAD_REQUEST,
        "subprotocol_required",
        "Please ask for the subprotocol evt.v1 (Sec-WebSocket-Protocol).",
    )
}

/// Upgrades a request to a WebSocket.
///
/// # Errors
/// When it is no handshake of a client that may connect.
pub async fn open(live: Live, mut parts: Parts) -> Result<Response, ApiError> {
    who::check_origin(&live, &parts.headers)?;
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, live.auth()).await;
    let upgrade = upgrade.map_err(|why| match why {
        WebSocketUpgradeRejection::InvalidWebSocketVersionHeader(_)
        | WebSocketUpgradeRejection::WebSocketKeyHeaderMissing(_) => ApiError::new(
            StatusCode::BAD_REQUEST,
            "malformed_request",
            "This is no WebSocket handshake of version 13.",
        ),
        _ => upgrade_required(),
    })?;
    let upgrade = upgrade
        .protocols([SUBPROTOCOL])
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_write_buffer_size(MAX_WRITE_BUFFER)
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE);
    if upgrade.selected_protocol().is_none() {
        return Err(subprotocol_required());
    }
    let Ok(ClientIp(address)) = ClientIp::from_request_parts(&mut parts, live.auth()).await;
    let mut query = Params::from_request_parts(&mut parts, live.auth()).await?;
    let ticket = query.get("ticket", |text| Ok(text.to_owned()));
    query.finish()?;
    let identity = who::said(&live, &parts.headers, ticket.as_deref()).await?;
    let registered = live.connections().enter(address);
    let running = live.connections().running().token();
    Ok(upgrade.on_upgrade(move |socket| async move {
        let _running = running;
        match registered {
            Some(registered) => Box::pin(Connection::new(live, socket, registered, identity).run()).await,
            None => connection::close(socket, Closing::TooManyConnections).await,
        }
    }))
}
