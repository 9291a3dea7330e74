//! WebSocket upgrades on their way through.

use axum::{body::Body, extract::Request, http::StatusCode, response::Response};
use common::{
    context,
    http::{Upstream, client::UpstreamError},
};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio_util::sync::CancellationToken;

use crate::headers;

/// Passes an upgrade on. In this process the service takes over the client's connection itself, because hyper's
/// handle on it travels with the request. Over a socket there are two connections, and we carry bytes between them
/// until either side ends or `stop`.
///
/// # Errors
/// When no answer came.
pub async fn pass(
    upstream: &Upstream,
    mut request: Request,
    stop: CancellationToken,
) -> Result<Response, UpstreamError> {
    let client = if upstream.is_local() {
        None
    } else {
        request.extensions_mut().remove::<OnUpgrade>()
    };
    let mut response = upstream.call(request.map(|_| Body::empty())).await?;
    headers::clean_answer(response.headers_mut());
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(response);
    }
    headers::mark_websocket(response.headers_mut());
    if upstream.is_local() {
        return Ok(response);
    }
    let server = response.extensions_mut().remove::<OnUpgrade>();
    let (Some(client), Some(server)) = (client, server) else {
        return Err(UpstreamError::Broken(
            "an upgrade without a connection".to_owned(),
        ));
    };
    context::spawn(async move {
        tokio::select! {
            () = carry(client, server) => {}
            () = stop.cancelled() => {}
        }
    });
    Ok(response)
}

/// A WebSocket may be quiet for long; the pings of its two ends find out when one of them is gone.
async fn carry(client: OnUpgrade, server: OnUpgrade) {
    let (Ok(client), Ok(server)) = (client.await, server.await) else {
        return;
    };
    let (mut client, mut server) = (TokioIo::new(client), TokioIo::new(server));
    if let Err(error) = tokio::io::copy_bidirectional(&mut client, &mut server).await {
        tracing::trace!(%error, "a WebSocket ended");
    }
}
