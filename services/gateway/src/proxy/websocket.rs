//! WebSocket upgrades on their way through.

use std::{pin::pin, time::Duration};

use axum::{body::Body, extract::Request, http::StatusCode, response::Response};
use common::{
    context,
    http::{Upstream, client::UpstreamError},
};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::headers;

/// How long sockets are carried on after the stop: the service at their other end tells its clients to come back, if it
/// stops too.
const CARRIED_ON: Duration = Duration::from_secs(8);

/// How long a client may take to end its side of a socket that the service has ended.
const LEAVE: Duration = Duration::from_secs(5);
/// Bytes carried at a time. A socket costs this while it is quiet.
const FROM_CLIENT: usize = 1024;
/// Likewise.
const FROM_SERVER: usize = 4 * 1024;

/// The sockets that are carried. Cheap to clone.
#[derive(Clone)]
pub struct Sockets {
    running: TaskTracker,
    stop: CancellationToken,
}

impl Sockets {
    /// None yet; they are carried until a while after `stop`.
    pub fn new(stop: CancellationToken) -> Self {
        Self {
            running: TaskTracker::new(),
            stop,
        }
    }

    /// Ends when all have ended after the stop, so that the process does not end before them.
    pub async fn ended(self) {
        self.stop.cancelled().await;
        self.running.close();
        self.running.wait().await;
    }
}

/// Passes an upgrade on. In this process the service takes over the client's connection itself, because hyper's
/// handle on it travels with the request. Over a socket there are two connections, and we carry bytes between them
/// until either side ends, or for a while after the stop.
///
/// # Errors
/// When no answer came.
pub async fn pass(
    upstream: &Upstream,
    mut request: Request,
    sockets: &Sockets,
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
    let (running, stop) = (sockets.running.token(), sockets.stop.clone());
    context::spawn(async move {
        let _running = running;
        let stopped = async {
            stop.cancelled().await;
            tokio::time::sleep(CARRIED_ON).await;
        };
        tokio::select! {
            () = carry(client, server) => {}
            () = stopped => {}
        }
    });
    Ok(response)
}

/// A WebSocket may be quiet for long; the service finds out by its pings when the client is gone. Once the service has ended its
/// side, the client has a moment to end its own.
async fn carry(client: OnUpgrade, server: OnUpgrade) {
    let (Ok(client), Ok(server)) = (client.await, server.await) else {
        return;
    };
    let (from_client, mut to_client) = tokio::io::split(TokioIo::new(client));
    let (from_server, mut to_server) = tokio::io::split(TokioIo::new(server));
    let (mut from_client, mut from_server) = (
        BufReader::with_capacity(FROM_CLIENT, from_client),
        BufReader::with_capacity(FROM_SERVER, from_server),
    );
    let mut upwards = pin!(async {
        let _ = tokio::io::copy_buf(&mut from_client, &mut to_server).await;
        let _ = to_server.shutdown().await;
    });
    let downwards = async {
        let _ = tokio::io::copy_buf(&mut from_server, &mut to_client).await;
        let _ = to_client.shutdown().await;
    };
    let mut downwards = pin!(downwards);
    tokio::select! {
        () = &mut downwards => {
            let _ = tokio::time::timeout(LEAVE, upwards).await;
        }
        () = &mut upwards => {
            let _ = tokio::time::timeout(CARRIED_ON, downwards).await;
        }
    }
}
