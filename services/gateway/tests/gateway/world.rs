//! A gateway with services that are not real: they tell what reached them, or misbehave on request.

use std::{collections::BTreeMap, convert::Infallible, net::SocketAddr, time::Duration};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Path, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{any, get, post},
};
use common::{
    auth::Auth,
    clock::{self, Clock},
    extract::ClientIp,
    health::{HealthReport, HealthStatus},
    http::{
        Pipeline, Upstream,
        serve::{self, Limits},
    },
    metrics::Metrics,
    settings::Settings,
    wire::service,
};
use hyper_util::rt::TokioIo;
use runtime::{peers::Peers, process::Context};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::DropGuard;

/// Where the services are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Topology {
    OneProcess,
    Sockets,
}

pub const BOTH: [Topology; 2] = [Topology::OneProcess, Topology::Sockets];

/// How long the handlers of real services may take, and those of services without patience.
const PATIENCE: Duration = Duration::from_secs(30);
pub const NO_PATIENCE: Duration = Duration::from_secs(2);

pub struct World {
    pub pipeline: Pipeline,
    pub context: Context,
    _dir: TempDir,
    _stop: DropGuard,
}

impl World {
    /// A gateway in front of four services that all are well.
    pub async fn new(topology: Topology) -> Self {
        Self::with(topology, &[], fake).await
    }

    /// With settings, and services made by `make`.
    pub async fn with(
        topology: Topology,
        settings: &[(&str, &str)],
        make: impl Fn(&'static str, Auth) -> Router,
    ) -> Self {
        Self::made(topology, settings, PATIENCE, make).await
    }

    /// With services that give up soon.
    pub async fn without_patience(topology: Topology) -> Self {
        Self::made(topology, &[], NO_PATIENCE, fake).await
    }

    async fn made(
        topology: Topology,
        settings: &[(&str, &str)],
        patience: Duration,
        make: impl Fn(&'static str, Auth) -> Router,
    ) -> Self {
        let (context, dir) = context(settings);
        let names = [
            service::USERS,
            service::EVENTS,
            service::NOTIFICATIONS,
            service::PAYMENTS,
        ];
        let mut upstreams = Vec::new();
        for name in names {
            let pipeline = Pipeline::new(
                name,
                make(name, context.auth(name)),
                Metrics::new(name, Vec::new()),
            )
            .patience(patience);
            upstreams.push(match topology {
                Topology::OneProcess => {
                    let (upstream, slot) = Upstream::local();
                    assert!(slot.set(pipeline).is_ok());
                    upstream
                }
                Topology::Sockets => {
                    let address = serve_on_any_port(&context, pipeline, Limits::default()).await;
                    Upstream::remote(&format!("http://{address}")).unwrap()
                }
            });
        }
        Self::of(context, dir, &Peers::new(upstreams.try_into().ok().unwrap()))
    }

    /// A gateway whose every request goes to one upstream.
    pub fn before(upstream: &Upstream) -> Self {
        let (context, dir) = context(&[]);
        let peers = Peers::new(std::array::from_fn(|_| upstream.clone()));
        Self::of(context, dir, &peers)
    }

    fn of(context: Context, dir: TempDir, peers: &Peers) -> Self {
        let pipeline = gateway::build(&context, peers).unwrap();
        let stop = context.workers.stop_token().drop_guard();
        Self {
            pipeline,
            context,
            _dir: dir,
            _stop: stop,
        }
    }

    /// Listens; gives the address.
    pub async fn listen(&self) -> SocketAddr {
        self.listen_within(Limits::default()).await
    }

    pub async fn listen_within(&self, limits: Limits) -> SocketAddr {
        serve_on_any_port(&self.context, self.pipeline.clone(), limits).await
    }

    /// Sends a request directly.
    pub async fn send(&self, request: Request) -> Answer {
        Answer::read(self.pipeline.handle(request).await).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(request(Method::GET, path, &[])).await
    }
}

pub fn request(method: Method, path: &str, headers: &[(&str, &str)]) -> Request {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::empty()).unwrap()
}

/// A service that no process runs.
pub async fn nobody() -> Upstream {
    let port = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    Upstream::remote(&format!("http://127.0.0.1:{port}")).unwrap()
}

fn context(settings: &[(&str, &str)]) -> (Context, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_str().unwrap().to_owned();
    let settings = Settings::read(|name| match name {
        "DATA_DIR" => Some(data.clone()),
        name => settings
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| (*value).to_owned()),
    });
    (
        Context::new(
            settings.unwrap(),
            Clock::fixed(clock::from_millis(1_800_000_000_000)),
        )
        .unwrap(),
        dir,
    )
}

async fn serve_on_any_port(context: &Context, pipeline: Pipeline, limits: Limits) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve::serve(
        listener,
        pipeline,
        limits,
        context.workers.stop_token(),
    ));
    address
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub async fn read(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Self {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
        }
    }

    /// Reads what came over a socket until it was closed.
    pub fn parse(raw: &[u8]) -> Self {
        let end = raw.windows(4).position(|window| window == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("not an answer: {:?}", String::from_utf8_lossy(raw)));
        let head = std::str::from_utf8(&raw[..end]).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap()))
            .fold(
                HeaderMap::new(),
                |mut headers, (name, value): (header::HeaderName, _)| {
                    headers.append(name, value);
                    headers
                },
            );
        Self {
            status,
            headers,
            body: Bytes::copy_from_slice(&raw[end + 4..]),
        }
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Checks the one error shape. Gives the document.
    pub fn problem(&self, status: u16, code: &str) -> Value {
        let body = self.json();
        let told = format!("{} {body}", self.status);
        assert_eq!(self.status, status, "{told}");
        assert_eq!(self.header("content-type"), "application/problem+json", "{told}");
        assert_eq!(body["status"], status, "{told}");
        assert_eq!(body["code"], code, "{told}");
        assert_eq!(
            body["type"],
            format!("urn:organise-event:problem:{code}"),
            "{told}"
        );
        for name in ["title", "detail", "message"] {
            assert!(
                body[name].as_str().is_some_and(|text| !text.is_empty()),
                "{name}: {told}"
            );
        }
        assert!(body["errors"].is_array(), "{told}");
        assert!(!self.header("x-request-id").is_empty(), "{told}");
        assert_eq!(body["request_id"], self.header("x-request-id"), "{told}");
        assert_eq!(self.header("x-content-type-options"), "nosniff", "{told}");
        assert_eq!(self.header("cache-control"), "no-store", "{told}");
        for (named, with) in [(405, "allow"), (503, "retry-after"), (401, "www-authenticate")] {
            assert_eq!(
                self.status == named,
                !self.header(with).is_empty(),
                "{with}: {told}"
            );
        }
        let text = told.to_lowercase();
        for leak in [
            "panick",
            "secret",
            "sql",
            "hyper",
            "tokio",
            "refused",
            "127.0.0.1",
            "src/",
            ".rs",
        ] {
            assert!(!text.contains(leak), "{leak}: {told}");
        }
        body
    }
}

/// Writes bytes to a new connection and reads all that comes back until it is closed.
pub async fn exchange(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The other side may have said enough before it has heard all.
    let _ = stream.write_all(bytes).await;
    let mut raw = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut raw)).await;
    read.expect("the connection is closed").unwrap();
    raw
}

/// Reads from a connection until `end` has come.
pub async fn read_until(stream: &mut TcpStream, end: &[u8]) -> Vec<u8> {
    let mut raw = Vec::new();
    let read = async {
        while !raw.windows(end.len()).any(|window| window == end) {
            let mut byte = [0];
            stream.read_exact(&mut byte).await.unwrap();
            raw.push(byte[0]);
        }
    };
    let read = tokio::time::timeout(Duration::from_secs(10), read).await;
    assert!(
        read.is_ok(),
        "{:?} did not come, only {:?}",
        String::from_utf8_lossy(end),
        String::from_utf8_lossy(&raw)
    );
    raw
}

/// A service of no use but to tests.
pub fn fake(name: &'static str, auth: Auth) -> Router {
    let report = HealthReport {
        status: HealthStatus::Up,
        service: name.to_owned(),
        checks: BTreeMap::new(),
    };
    let document = json!({
        "openapi": "3.1.0",
        "paths": {format!("/api/{name}/tell"): {"get": {"operationId": "tell"}}},
        "components": {"schemas": {}},
    });
    Router::new()
        .route("/health/ready", get(move || async move { Json(report) }))
        .route("/openapi.json", get(move || async move { Json(document) }))
        .route("/metrics", get(|| async { "secret figures" }))
        .route("/internal/tell", any(|| async { "an inner secret" }))
        .route("/api/events/panic", get(panics))
        .route("/api/events/json", post(|_: Json<Value>| async { "fine" }))
        .route("/api/events/{id}/number", get(|_: Path<u32>| async { "fine" }))
        .route("/api/events/status/{status}", get(status))
        .route(
            "/api/events/long",
            get(|| async { Json(vec!["so it goes"; 200]) }),
        )
        .route("/api/events/ticks", get(ticks))
        .route("/api/events/never", get(std::future::pending::<()>))
        .route("/api/events/unread", post(|| async { "not needed" }))
        .route("/api/events/hop", get(hop))
        .route("/api/live/echo", get(echo))
        .fallback(move |State(auth): State<Auth>, request: Request| tell(name, auth, request))
        .with_state(auth)
}

/// Tells what reached the service.
async fn tell(name: &'static str, auth: Auth, request: Request) -> Response {
    use axum::extract::FromRequestParts;
    let (mut parts, body) = request.into_parts();
    let Ok(ClientIp(client)) = ClientIp::from_request_parts(&mut parts, &auth).await;
    let body = match common::extract::body_bytes(body, common::routes::MAX_BODY).await {
        Ok(body) => body,
        Err(error) => return error.into_response(),
    };
    let headers: BTreeMap<String, String> = parts
        .headers
        .iter()
        .map(|(name, value)| {
            (
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .collect();
    Json(json!({
        "service": name,
        "method": parts.method.as_str(),
        "uri": parts.uri.path_and_query().map(ToString::to_string),
        "headers": headers,
        "client": client,
        "body": String::from_utf8_lossy(&body),
        "bytes": body.len(),
    }))
    .into_response()
}

async fn panics() -> StatusCode {
    panic!("a secret in src/main.rs")
}

async fn status(Path(status): Path<u16>) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    (
        status,
        [(header::CONTENT_TYPE, "text/html")],
        "<h1>SQL: secret in src/main.rs</h1>",
    )
        .into_response()
}

/// A live stream that never ends.
async fn ticks() -> Response {
    let stream = futures_util::stream::unfold(0, |tick| async move {
        if tick > 0 {
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        Some((
            Ok::<_, Infallible>(Bytes::from(format!("data: {tick}\n\n"))),
            tick + 1,
        ))
    });
    (
        [(header::CONTENT_TYPE, "text/event-stream")],
        Body::from_stream(stream),
    )
        .into_response()
}

async fn hop() -> Response {
    let headers = [
        ("x-of-hop", "1"),
        ("proxy-authenticate", "Basic"),
        ("keep-alive", "timeout=9"),
        ("x-kept", "1"),
    ];
    let mut response = (headers, "fine").into_response();
    response
        .headers_mut()
        .insert(header::CONNECTION, HeaderValue::from_static("x-of-hop"));
    response
}

/// Takes over the connection and sends back what comes.
async fn echo(mut request: Request) -> Response {
    let wanted = request
        .headers()
        .get(header::UPGRADE)
        .is_some_and(|value| value == "websocket")
        && request
            .headers()
            .get(header::CONNECTION)
            .is_some_and(|value| value == "upgrade");
    if !wanted {
        return StatusCode::UPGRADE_REQUIRED.into_response();
    }
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        let (mut from, mut to) = tokio::io::split(TokioIo::new(upgraded));
        let _ = tokio::io::copy(&mut from, &mut to).await;
        let _ = to.shutdown().await;
    });
    let headers = [
        (header::CONNECTION, "upgrade"),
        (header::UPGRADE, "websocket"),
        (header::SEC_WEBSOCKET_ACCEPT, "x"),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}
