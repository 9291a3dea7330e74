//! The listener. `axum::serve` sets no deadlines of its own: a client that sends nothing holds its connection for
//! ever. Here slow headers, slow bodies and idle connections are cut, and stopping is orderly.

use std::{
    convert::Infallible,
    future::Future,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{body::Body, extract::ConnectInfo, http::header};
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, sync::Semaphore, time::Sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Pipeline,
    socket::{Answer, Socket, Turn},
};
use crate::{problem, routes};

/// The largest request head, in bytes. hyper reads more than a buffer's size when it comes at once, so both are set.
const MAX_HEAD: usize = 64 * 1024;

/// Deadlines and bounds of a listener.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From the first byte of a connection, or the end of the answer before, to the end of the request's head. So it
    /// is also how long a connection may be idle.
    pub head: Duration,
    /// From the end of the head to the end of the body; `None`: as the registry of routes says.
    pub body: Option<Duration>,
    /// Connections at once; more wait in the kernel's queue.
    pub connections: usize,
    /// How long requests in flight may go on after the stop signal.
    pub drain: Duration,
    /// Whether a client may close its side as soon as it has sent its request. Otherwise one that does has left, and its request is
    /// dropped.
    pub half_close: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            body: None,
            connections: 16_000,
            drain: Duration::from_secs(8),
            half_close: false,
        }
    }
}

/// Binds an address. Port 0 takes any free one.
///
/// # Errors
/// One sentence for the person who started the program.
pub async fn bind(name: &str, address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "{name} cannot listen on {address}: the port is in use. Stop the other program or choose another port."
        ),
        _ => format!("{name} cannot listen on {address}: {error}."),
    })
}

/// Serves until `stop`; then takes no more connections, finishes what is in flight, and returns.
pub async fn serve(listener: TcpListener, pipeline: Pipeline, limits: Limits, stop: CancellationToken) {
    let connections = TaskTracker::new();
    let places = Arc::new(Semaphore::new(limits.connections));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .half_close(limits.half_close)
        .max_header_size(MAX_HEAD)
        .max_buf_size(MAX_HEAD);
    loop {
        let place = tokio::select! {
            // The semaphore is never closed.
            place = places.clone().acquire_owned() => match place { Ok(place) => place, Err(_) => break },
            () = stop.cancelled() => break,
        };
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, most likely: wait for some to come back instead of spinning.
                    tracing::warn!(%error, service = pipeline.service(), "could not accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
            () = stop.cancelled() => break,
        };
        let _ = stream.set_nodelay(true);
        let turn = Arc::new(Turn::default());
        let socket = Socket::new(stream, turn.clone(), place);
        let connection = connection(
            http.clone(),
            socket,
            turn,
            peer,
            pipeline.clone(),
            limits.body,
            stop.clone(),
        );
        connections.spawn(async move {
            // Errors here are the client's: it went away, was too slow, or does not speak HTTP.
            if let Err(error) = connection.await {
                tracing::trace!(%error, %peer, "a connection ended early");
            }
        });
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(limits.drain, connections.wait())
        .await
        .is_err()
    {
        tracing::warn!(
            service = pipeline.service(),
            "some requests did not end in time and were cut off"
        );
    }
}

async fn connection(
    http: http1::Builder,
    socket: Socket,
    turn: Arc<Turn>,
    peer: SocketAddr,
    pipeline: Pipeline,
    body_time: Option<Duration>,
    stop: CancellationToken,
) -> hyper::Result<()> {
    let service = service_fn(move |request: http::Request<Incoming>| {
        let (pipeline, turn) = (pipeline.clone(), turn.clone());
        turn.begin();
        async move {
            let body_time = body_time.unwrap_or_else(|| {
                let route = routes::find(request.uri().path());
                route.map_or(routes::BODY_TIME, |route| route.body_time)
            });
            let mut request = request.map(|body| deadline(body, body_time, &turn));
            request.extensions_mut().insert(ConnectInfo(peer));
            let response = if has_one_host(&request) {
                pipeline.handle(request).await
            } else {
                pipeline.refuse(request, problem::not_one_host())
            };
            Ok::<http::Response<Answer>, Infallible>(turn.answer(response))
        }
    });
    let mut connection = pin!(
        http.serve_connection(TokioIo::new(socket), service)
            .with_upgrades()
    );
    tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    }
}

/// RFC 9112, 3.2: one `Host`, which HTTP/1.0 may leave out. Two are how a request means one thing to a proxy and another
/// to us.
fn has_one_host<B>(request: &http::Request<B>) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => host
            .as_bytes()
            .iter()
            .all(|b| b.is_ascii_graphic() && !b",/?#@".contains(b)),
        (None, _) => request.version() == http::Version::HTTP_10,
        (Some(_), Some(_)) => false,
    }
}

fn deadline(body: Incoming, time: Duration, turn: &Arc<Turn>) -> Body {
    if body.is_end_stream() {
        return Body::empty();
    }
    Body::new(Deadline {
        body,
        over: Box::pin(tokio::time::sleep(time)),
        ended: false,
        turn: turn.clone(),
    })
}

/// A request body that fails when it does not end in time, and notifies the socket when it was not read to its end.
struct Deadline {
    body: Incoming,
    over: Pin<Box<Sleep>>,
    ended: bool,
    turn: Arc<Turn>,
}

impl Drop for Deadline {
    fn drop(&mut self) {
        if !self.ended && !self.body.is_end_stream() {
            self.turn.left_unread();
        }
    }
}

impl HttpBody for Deadline {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(frame) => {
                self.ended = frame.is_none();
                Poll::Ready(frame.map(|frame| frame.map_err(io::Error::other)))
            }
            Poll::Pending => self
                .over
                .as_mut()
                .poll(cx)
                .map(|()| Some(Err(io::Error::from(io::ErrorKind::TimedOut)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
