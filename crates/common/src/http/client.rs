//! Calls between the parts: over a socket when they are separate processes, directly when they are one.
//!
//! Which of the two is decided once, where the process is composed. No handler knows.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderValue, Method, StatusCode, Uri, header, uri},
    response::Response,
};
use http_body_util::{BodyExt, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::SetOnce;

use super::Pipeline;
use crate::{auth::Auth, context, routes::ANSWER_TIME};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(2);
/// How long the first of several replicas may take to answer what changes nothing, before another is asked. Longer than
/// one operation of a store may take.
const READ: Duration = Duration::from_secs(12);
/// How long an internal request may take in all.
const ANSWER: Duration = Duration::from_secs(10);
/// Idle connections are dropped by us before the other side does ([`super::serve::Limits::head`]), so that a request
/// does not meet a closing connection.
const POOL_IDLE: Duration = Duration::from_secs(5);
/// Failures in a row after which a replica is left alone for [`REST`].
const STRIKES: u64 = 3;
const REST: Duration = Duration::from_secs(1);
/// How long a repeat waits for the first try to end. Longer than the default of `LEASE_SECONDS`, shorter than [`ANSWER_TIME`].
const IN_FLIGHT: Duration = Duration::from_secs(25);
/// The largest body that is kept for a repeat, in bytes. Bodies of the API are a few kilobytes.
const MAX_REPEATED: usize = 64 * 1024;
/// The largest answer to an internal request, in bytes.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// Why an upstream gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// No connection could be made. The request has had no effect.
    #[error("no connection to {0}")]
    Unreachable(String),
    /// The connection broke before the answer came. The request may have had its effect.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// No answer in time. The request may have had its effect.
    #[error("no answer in time")]
    Timeout,
}

/// How a request is passed on, in its extensions.
#[derive(Clone, Copy, Debug)]
pub struct ForwardPolicy {
    /// How long the head of the answer may take.
    pub answer_time: Duration,
    /// Whether it may be sent again after a broken connection although it changes something.
    pub repeat: bool,
}

impl Default for ForwardPolicy {
    fn default() -> Self {
        Self {
            answer_time: ANSWER_TIME,
            repeat: false,
        }
    }
}

/// Another part of the system. Cheap to clone.
#[derive(Clone)]
pub struct Upstream(Kind);

#[derive(Clone)]
enum Kind {
    /// In this process. Parts refer to each other in circles, so the pipeline is put in after all are built; calls
    /// before that wait.
    Local(Arc<SetOnce<Pipeline>>),
    /// Likewise, for a part that the other one refers to already: a circle would keep both for ever.
    Back(Weak<SetOnce<Pipeline>>),
    Remote(Arc<Remote>),
}

struct Remote {
    client: Client<HttpConnector, Body>,
    replicas: Vec<Replica>,
    turn: AtomicUsize,
    born: Instant,
}

/// One process of a service, and its circuit breaker.
struct Replica {
    authority: uri::Authority,
    strikes: AtomicU64,
    /// Milliseconds after `born` until which it is not called.
    rests_until: AtomicU64,
}

impl Upstream {
    /// A part in this process. Its pipeline is set once it exists.
    pub fn local() -> (Self, Arc<SetOnce<Pipeline>>) {
        let slot = Arc::new(SetOnce::new());
        (Self(Kind::Local(slot.clone())), slot)
    }

    /// A part in other processes: one or more base URLs (`http://host:port`), separated by commas.
    ///
    /// # Errors
    /// Names the URL that is not valid.
    pub fn remote(urls: &str) -> Result<Self, String> {
        let replicas = urls
            .split(',')
            .map(|url| Replica::parse(url.trim()))
            .collect::<Result<Vec<_>, _>>()?;
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(POOL_IDLE)
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(256)
            .build(connector);
        Ok(Self(Kind::Remote(Arc::new(Remote {
            client,
            replicas,
            turn: AtomicUsize::new(0),
            born: Instant::now(),
        }))))
    }

    /// Whether it is in this process.
    pub fn is_local(&self) -> bool {
        matches!(self.0, Kind::Local(_) | Kind::Back(_))
    }

    /// The way back to a part that calls this one itself: in one process it lasts as long as somebody else refers to it.
    #[must_use]
    pub fn back(&self) -> Self {
        match &self.0 {
            Kind::Local(slot) => Self(Kind::Back(Arc::downgrade(slot))),
            other => Self(other.clone()),
        }
    }

    /// Sends a request on. Only its path and query count. Any with a small body is tried at another replica when
    /// nothing listens at the first; one that changes nothing, and one that may be repeated ([`ForwardPolicy`]), also when the
    /// connection breaks.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn call(&self, request: Request) -> Result<Response, UpstreamError> {
        match &self.0 {
            Kind::Local(slot) => Ok(slot.wait().await.handle(request).await),
            Kind::Back(slot) => match slot.upgrade() {
                Some(slot) => Ok(slot.wait().await.handle(request).await),
                None => Err(UpstreamError::Unreachable(
                    "a part of this process that has stopped".to_owned(),
                )),
            },
            Kind::Remote(remote) => remote.call(request).await,
        }
    }
}

impl Remote {
    /// Sends a request, and again to another replica when that can do no harm: nothing listened at the first, or the
    /// connection broke and the request may be repeated.
    async fn call(&self, request: Request) -> Result<Response, UpstreamError> {
        let policy: ForwardPolicy = request.extensions().get().copied().unwrap_or_default();
        let safe = request.method().is_safe();
        let repeatable = match safe {
            true => http_body::Body::is_end_stream(request.body()),
            false => policy.repeat,
        };
        let longest = policy.answer_time;
        if !is_small(request.body()) {
            return self.once(request, longest).await;
        }
        let (parts, body) = request.into_parts();
        let body = match Limited::new(body, MAX_REPEATED).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) => return Err(UpstreamError::Broken(format!("the request's own body: {error}"))),
        };
        let started = Instant::now();
        let (mut tries, mut broke) = (0, false);
        loop {
            let request = Request::from_parts(parts.clone(), Body::from(body.clone()));
            tries += 1;
            let others = tries <= self.replicas.len();
            // A replica that is frozen, or lost with its machine, breaks no connection.
            let patience = if safe && repeatable && tries < self.replicas.len() {
                READ.min(longest)
            } else {
                longest
            };
            let answer = match self.once(request, patience).await {
                Ok(answer) if repeatable => whole(answer).await,
                answer => answer,
            };
            let again = match &answer {
                // The first try may still be at work, in a process that died even until its lease runs out.
                Ok(answer) => broke && is_in_flight(answer) && started.elapsed() < IN_FLIGHT,
                Err(UpstreamError::Unreachable(_)) => others,
                Err(UpstreamError::Broken(_)) => repeatable && others,
                Err(UpstreamError::Timeout) => patience < longest,
            };
            if !again {
                return answer;
            }
            broke |= matches!(answer, Err(UpstreamError::Broken(_)));
            if answer.is_ok() {
                tokio::time::sleep(REST / 2).await;
            }
        }
    }

    async fn once(&self, mut request: Request, patience: Duration) -> Result<Response, UpstreamError> {
        let replica = self.pick();
        let mut target = std::mem::take(request.uri_mut()).into_parts();
        target.scheme = Some(uri::Scheme::HTTP);
        target.authority = Some(replica.authority.clone());
        target
            .path_and_query
            .get_or_insert_with(|| uri::PathAndQuery::from_static("/"));
        *request.uri_mut() =
            Uri::from_parts(target).map_err(|error| UpstreamError::Broken(error.to_string()))?;
        match tokio::time::timeout(patience, self.client.request(request)).await {
            Ok(Ok(response)) => {
                replica.strikes.store(0, Ordering::Relaxed);
                Ok(response.map(Body::new))
            }
            Ok(Err(error)) => {
                if error.is_connect() {
                    // Connection refused: the next requests need not find that out again.
                    self.rest(replica);
                    Err(UpstreamError::Unreachable(replica.authority.to_string()))
                } else {
                    if !is_of_request(&error) {
                        self.strike(replica);
                    }
                    let source = std::error::Error::source(&error).map(ToString::to_string);
                    Err(UpstreamError::Broken(source.unwrap_or_else(|| error.to_string())))
                }
            }
            Err(_) => {
                self.strike(replica);
                Err(UpstreamError::Timeout)
            }
        }
    }

    /// The next replica in turn that is not resting; when all are, the one that has rested longest, because asking it
    /// costs no more than a refused connection.
    fn pick(&self) -> &Replica {
        let now = self.now();
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let rest = |replica: &Replica| replica.rests_until.load(Ordering::Relaxed).saturating_sub(now);
        let mut best = &self.replicas[first % self.replicas.len()];
        for offset in 1..self.replicas.len() {
            let other = &self.replicas[(first + offset) % self.replicas.len()];
            if rest(other) < rest(best) {
                best = other;
            }
        }
        best
    }

    fn strike(&self, replica: &Replica) {
        if replica.strikes.fetch_add(1, Ordering::Relaxed) + 1 >= STRIKES {
            self.rest(replica);
        }
    }

    fn rest(&self, replica: &Replica) {
        let until = self.now() + REST.as_millis() as u64;
        replica.rests_until.store(until, Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        self.born.elapsed().as_millis() as u64
    }
}

fn is_small(body: &Body) -> bool {
    let upper = http_body::Body::size_hint(body).upper();
    upper.is_some_and(|size| size <= MAX_REPEATED as u64)
}

/// An answer with all of its body, when that is small, so that one that breaks off can be asked for again.
async fn whole(answer: Response) -> Result<Response, UpstreamError> {
    if !is_small(answer.body()) {
        return Ok(answer);
    }
    let (parts, body) = answer.into_parts();
    match tokio::time::timeout(ANSWER_TIME, body.collect()).await {
        Ok(Ok(body)) => Ok(Response::from_parts(parts, Body::from(body.to_bytes()))),
        Ok(Err(error)) => Err(UpstreamError::Broken(error.to_string())),
        Err(_) => Err(UpstreamError::Timeout),
    }
}

/// Whether a service answers that the first request with this key is still being worked on.
fn is_in_flight(answer: &Response) -> bool {
    answer.status() == StatusCode::CONFLICT && answer.headers().contains_key(header::RETRY_AFTER)
}

/// Whether the request's own body failed, because the client went away or sent too much. That says nothing about the
/// replica; counting it would let any client with a slow upload take a service out of the rotation.
fn is_of_request(error: &hyper_util::client::legacy::Error) -> bool {
    std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<hyper::Error>())
        .is_some_and(hyper::Error::is_user)
}

impl Replica {
    fn parse(url: &str) -> Result<Self, String> {
        let wrong = || format!("{url} is not a base URL such as http://127.0.0.1:3101");
        let parsed: Uri = url.trim_end_matches('/').parse().map_err(|_| wrong())?;
        let authority = parsed.authority().cloned().ok_or_else(wrong)?;
        if parsed.scheme() != Some(&uri::Scheme::HTTP)
            || parsed.path().len() > 1
            || authority.port_u16().is_none()
        {
            return Err(wrong());
        }
        Ok(Self {
            authority,
            strikes: AtomicU64::new(0),
            rests_until: AtomicU64::new(0),
        })
    }
}

/// Why an internal request failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CallError {
    /// The service gave one of our problem documents.
    #[error("{service} answered {status} {code}: {detail}")]
    Problem {
        /// The service called.
        service: &'static str,
        /// The HTTP status.
        status: StatusCode,
        /// The stable code.
        code: String,
        /// The sentence.
        detail: String,
        /// The whole document.
        body: serde_json::Value,
    },
    /// There was no answer, or no valid one.
    #[error("{service} could not be asked: {why}")]
    Unavailable {
        /// The service called.
        service: &'static str,
        /// Why.
        why: String,
    },
}

/// Sends requests to one service in another's name. Cheap to clone.
#[derive(Clone)]
pub struct InternalClient {
    upstream: Upstream,
    auth: Auth,
    audience: &'static str,
}

impl InternalClient {
    /// Calls `audience` (a name of [`crate::wire::service`]) as the service that `auth` belongs to.
    pub fn new(upstream: Upstream, auth: Auth, audience: &'static str) -> Self {
        Self {
            upstream,
            auth,
            audience,
        }
    }

    /// Whether the service is in this process.
    pub fn is_local(&self) -> bool {
        self.upstream.is_local()
    }

    /// The service that is called.
    pub fn audience(&self) -> &'static str {
        self.audience
    }

    /// Posts a request to an internal path and reads the answer.
    ///
    /// # Errors
    /// When the service refuses, is away, or takes too long.
    pub async fn post<I: Serialize + ?Sized, O: DeserializeOwned>(
        &self,
        path: &str,
        body: &I,
    ) -> Result<O, CallError> {
        let service = self.audience;
        let unavailable = |why: String| CallError::Unavailable { service, why };
        let token = self
            .auth
            .service_token(service)
            .map_err(|error| unavailable(error.to_string()))?;
        let body = serde_json::to_vec(body).map_err(|error| unavailable(error.to_string()))?;
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .body(Body::from(body))
            .map_err(|error| unavailable(error.to_string()))?;
        // Internal requests are idempotent: queries, claims of a seat that is there once, messages that are consumed
        // once.
        request.extensions_mut().insert(ForwardPolicy {
            repeat: true,
            ..ForwardPolicy::default()
        });
        context::mark(request.headers_mut());
        let ask = async {
            let response = self
                .upstream
                .call(request)
                .await
                .map_err(|error| unavailable(error.to_string()))?;
            let status = response.status();
            let bytes = Limited::new(response.into_body(), MAX_ANSWER)
                .collect()
                .await
                .map_err(|error| unavailable(error.to_string()))?
                .to_bytes();
            if status.is_success() {
                return serde_json::from_slice(&bytes).map_err(|error| unavailable(error.to_string()));
            }
            let body: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
            let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
            Err(CallError::Problem {
                service,
                status,
                code: text("code"),
                detail: text("detail"),
                body,
            })
        };
        tokio::time::timeout(ANSWER, ask)
            .await
            .unwrap_or_else(|_| Err(unavailable("no answer in time".to_owned())))
    }
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
