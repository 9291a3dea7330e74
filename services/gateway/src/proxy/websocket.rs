//! WebSocket upgrades on their way through.

use axum::{body::Body, extract::Request, http::StatusCode, response::Response};
use common::http::{Upstream, client::UpstreamError};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use crate::headers;

/// Passes an upgrade on. In this process the service takes over the client's connection itself, because hyper's
/// handle on it travels with the request. Over a socket there are two connections, and we carry bytes between them.
pub async fn pass(upstream: &Upstream, mut request: Request) -> Result<Response, UpstreamError> {
    if upstream.is_local() {
        return upstream.call(request).await;
    }
    let client = request.extensions_mut().remove::<OnUpgrade>();
    let mut response = upstream.call(request.map(|_| Body::empty())).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        headers::strip_hop_by_hop(response.headers_mut());
        return Ok(response);
    }
    let server = response.extensions_mut().remove::<OnUpgrade>();
    let (Some(client), Some(server)) = (client, server) else {
        return Err(UpstreamError::Broken("an upgrade without a connection".to_owned()));
    };
    tokio::spawn(async move {
        let (Ok(client), Ok(server)) = (client.await, server.await) else { return };
        let (mut client, mut server) = (TokioIo::new(client), TokioIo::new(server));
        // Either side's end is the end. A socket may be quiet for long; pings between the two ends find dead ones.
        if let Err(error) = tokio::io::copy_bidirectional(&mut client, &mut server).await {
            tracing::trace!(%error, "a WebSocket ended");
        }
    });
    headers::strip_hop_by_hop(response.headers_mut());
    headers::mark_websocket(response.headers_mut());
    Ok(response)
}
