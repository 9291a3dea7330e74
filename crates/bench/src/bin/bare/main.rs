//! The bare axum program: sends the bytes that the system sent, after the same check of the token, and
//! does nothing else. What the system is compared with.
//!
//! Settings: `BARE_PORT`, `BARE_ANSWERS` (a file with [`Answers`]), `JWT_SECRET`. With `BARE_STAND_IN` it is
//! a stand-in for the whole system instead, for the load generator to be tested against.

mod room;
mod segment;
mod stand_in;

use std::{env, error::Error, net::Ipv4Addr, sync::Arc};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
    serve::ListenerExt,
};
use bench::{
    answers::{Answers, Captured},
    token::{Checker, Claims},
};
use serde::Deserialize;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

// The system's allocator, so that the two differ in nothing but their work.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let secret = env::var("JWT_SECRET").map_err(|_| "JWT_SECRET is not set")?;
    let checker = Checker::new(&secret);
    if let Ok(fault) = env::var("BARE_STAND_IN") {
        return stand_in::run(checker, &secret, &fault).await;
    }
    let file = env::var("BARE_ANSWERS").map_err(|_| "BARE_ANSWERS is not set")?;
    let answers: Answers = serde_json::from_str(&std::fs::read_to_string(file)?)?;
    let program = Program {
        checker,
        list: Prepared::new(answers.list)?,
        register: Prepared::new(answers.register)?,
    };
    let router = Router::new()
        .route("/health/ready", get(|| async { "ready" }))
        .route("/api/organiser/events", get(list))
        .route("/api/reg/register_event", post(register))
        .with_state(Arc::new(program))
        .merge(room::routes())
        .merge(segment::routes());
    serve(env::var("BARE_PORT")?.parse()?, router).await
}

struct Program {
    checker: Checker,
    list: Prepared,
    register: Prepared,
}

/// A captured answer, ready to be sent.
struct Prepared {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Prepared {
    fn new(captured: Captured) -> Result<Self, Box<dyn Error>> {
        let mut headers = HeaderMap::new();
        for (name, value) in captured.headers {
            headers.append(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
        }
        Ok(Self {
            status: StatusCode::from_u16(captured.status)?,
            headers,
            body: captured.body.into(),
        })
    }

    fn response(&self) -> Response {
        let mut response = Response::new(Body::from(self.body.clone()));
        *response.status_mut() = self.status;
        response.headers_mut().clone_from(&self.headers);
        response
    }
}

async fn list(State(program): State<Arc<Program>>, headers: HeaderMap) -> Response {
    match claims(&program.checker, &headers) {
        Some(claims) if claims.role == "organizer" => program.list.response(),
        Some(_) => StatusCode::FORBIDDEN.into_response(),
        None => StatusCode::UNAUTHORIZED.into_response(),
    }
}

/// The one field of a registration.
#[derive(Deserialize)]
struct Registration {
    event_id: String,
}

async fn register(
    State(program): State<Arc<Program>>,
    headers: HeaderMap,
    Json(registration): Json<Registration>,
) -> Response {
    if claims(&program.checker, &headers).is_none() {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    if registration.event_id.is_empty() {
        return StatusCode::UNPROCESSABLE_ENTITY.into_response();
    }
    program.register.response()
}

/// The caller, when the token is good.
fn claims(checker: &Checker, headers: &HeaderMap) -> Option<Claims> {
    checker.check(headers.get(header::AUTHORIZATION)?.to_str().ok()?)
}

/// Serves on a local port until SIGTERM.
async fn serve(port: u16, router: Router) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await?
        .tap_io(|stream| {
            // Without it small answers would wait for acknowledgements; a socket that refuses is slow, not wrong.
            let _ = stream.set_nodelay(true);
        });
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        result = axum::serve(listener, router) => result?,
        _ = terminate.recv() => {}
    }
    Ok(())
}
