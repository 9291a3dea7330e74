//! A stand-in for the whole system, in memory: enough of its contract to run the load generator against,
//! and faults on demand, to see that the generator finds them. What it measures means nothing.

use std::{
    collections::HashMap,
    env,
    error::Error,
    fs,
    path::PathBuf,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bench::token::{Checker, Claims, Minter, new_id};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::{claims, serve};

/// Messages per second that the outbox gets rid of.
const RELAYED_PER_SECOND: f64 = 50_000.0;

/// What the stand-in does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Nothing.
    Faultless,
    /// Sells one seat too many per event.
    Oversell,
    /// Answers every hundredth registration with 500.
    Lose,
    /// Never gets rid of its messages.
    SlowOutbox,
}

struct StandIn {
    checker: Checker,
    minter: Minter,
    fault: Fault,
    mailbox: PathBuf,
    hashing: mpsc::Sender<oneshot::Sender<()>>,
    data: Mutex<Data>,
}

#[derive(Default)]
struct Data {
    /// Ids, roles and passwords by address.
    users: HashMap<String, (String, String, String)>,
    /// Addresses by id.
    emails: HashMap<String, String>,
    events: Vec<Event>,
    /// Status by event and user.
    registrations: HashMap<(String, String), &'static str>,
    requests: u64,
    messages: u64,
    first_message: Option<Instant>,
}

struct Event {
    id: String,
    organizer: String,
    fields: Value,
    capacity: u64,
    taken: u64,
}

/// Serves the stand-in on the system's ports until SIGTERM.
pub async fn run(checker: Checker, secret: &str, fault: &str) -> Result<(), Box<dyn Error>> {
    let fault = match fault {
        "faultless" => Fault::Faultless,
        "oversell" => Fault::Oversell,
        "lose" => Fault::Lose,
        "slow-outbox" => Fault::SlowOutbox,
        other => return Err(format!("no such fault: {other}").into()),
    };
    let port = |name: &str| -> Result<u16, Box<dyn Error>> { Ok(env::var(name)?.parse()?) };
    let mailbox = PathBuf::from(env::var("DATA_DIR")?).join("mailbox");
    fs::create_dir_all(&mailbox)?;
    let cores = std::thread::available_parallelism()?.get();
    let state = Arc::new(StandIn {
        checker,
        minter: Minter::new(secret),
        fault,
        mailbox,
        hashing: hashers(cores),
        data: Mutex::default(),
    });
    let router = Router::new()
        .route("/health/ready", get(|| async { "ready" }))
        .route("/metrics", get(metrics))
        .route("/api/users/register", post(sign_up))
        .route("/api/users/login", post(login))
        .route("/api/organiser/create_event", post(create_event))
        .route("/api/organiser/events", get(events))
        .route("/api/events/{id}", get(event))
        .route("/api/reg/register_event", post(register))
        .route("/api/reg/get_registrevent", get(registrations))
        .route("/api/payment/process_payment", post(pay))
        .with_state(state);
    tokio::try_join!(
        serve(port("GATEWAY_PORT")?, router.clone()),
        serve(port("EVENTS_PORT")?, router.clone()),
        serve(port("PAYMENTS_PORT")?, router),
    )?;
    Ok(())
}

/// A failure, as its status and its code.
struct Refused(StatusCode, &'static str);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "code": self.1 }))).into_response()
    }
}

/// What a handler gives.
type Answered = Result<Response, Refused>;

fn text(body: &Value, field: &str) -> String {
    body[field].as_str().unwrap_or_default().to_owned()
}

impl StandIn {
    fn caller(&self, headers: &HeaderMap) -> Result<Claims, Refused> {
        claims(&self.checker, headers).ok_or(Refused(StatusCode::UNAUTHORIZED, "unauthorized"))
    }

    /// Burns what hashing a password burns.
    async fn hash(&self) -> Result<(), Refused> {
        let gone = |_| Refused(StatusCode::INTERNAL_SERVER_ERROR, "internal");
        let (done, hashed) = oneshot::channel();
        self.hashing.send(done).map_err(|_| gone(()))?;
        hashed.await.map_err(|_| gone(()))
    }
}

/// One thread per core that hashes and does nothing else. Each takes the next job the moment it is done
/// with the last, and keeps its memory: jobs handed over through the runtime, in memory made anew, lost 15 to
/// 20 % of the rate to waiting and page faults on two cores.
fn hashers(threads: usize) -> mpsc::Sender<oneshot::Sender<()>> {
    let (sender, jobs) = mpsc::channel::<oneshot::Sender<()>>();
    let jobs = Arc::new(Mutex::new(jobs));
    for _ in 0..threads {
        let jobs = Arc::clone(&jobs);
        thread::spawn(move || {
            let params = Params::default();
            let mut memory = vec![Block::default(); params.block_count()];
            let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
            loop {
                let job = jobs.lock().recv();
                let Ok(done) = job else { return };
                let mut output = [0; 32];
                let (password, salt) = (b"password", b"sixteen bytes...");
                if argon2
                    .hash_password_into_with_memory(password, salt, &mut output, &mut memory)
                    .is_ok()
                {
                    // The client may have disconnected.
                    let _ = done.send(());
                }
            }
        });
    }
    sender
}

impl Data {
    fn pending(&self, fault: Fault) -> u64 {
        let since = self.first_message.map_or(Duration::ZERO, |first| first.elapsed());
        let relayed = if fault == Fault::SlowOutbox {
            0.0
        } else {
            since.as_secs_f64() * RELAYED_PER_SECOND
        };
        self.messages.saturating_sub(relayed as u64)
    }

    fn message(&mut self) {
        self.messages += 1;
        self.first_message.get_or_insert_with(Instant::now);
    }
}

async fn metrics(State(state): State<Arc<StandIn>>) -> String {
    let pending = state.data.lock().pending(state.fault);
    format!("outbox_pending{{service=\"events\"}} {pending}\noutbox_pending{{service=\"payments\"}} 0\n")
}

async fn sign_up(State(state): State<Arc<StandIn>>, Json(body): Json<Value>) -> Answered {
    state.hash().await?;
    let (id, email, role) = (new_id(), text(&body, "email"), text(&body, "role"));
    let mut data = state.data.lock();
    data.users
        .insert(email.clone(), (id.clone(), role.clone(), text(&body, "password")));
    data.emails.insert(id.clone(), email);
    Ok((StatusCode::CREATED, Json(json!({ "user_id": id, "role": role }))).into_response())
}

async fn login(State(state): State<Arc<StandIn>>, Json(body): Json<Value>) -> Answered {
    let user = state.data.lock().users.get(&text(&body, "email")).cloned();
    state.hash().await?;
    match user {
        Some((id, role, password)) if password == text(&body, "password") => {
            let token = state.minter.mint(&id, &role);
            let token = token.map_err(|_| Refused(StatusCode::INTERNAL_SERVER_ERROR, "internal"))?;
            Ok(Json(json!({ "token": token, "user_id": id, "role": role })).into_response())
        }
        _ => Err(Refused(StatusCode::UNAUTHORIZED, "invalid_credentials")),
    }
}

async fn create_event(
    State(state): State<Arc<StandIn>>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Answered {
    let caller = state.caller(&headers)?;
    let id = new_id();
    let capacity = body["capacity"].as_u64().unwrap_or(u64::MAX);
    state.data.lock().events.push(Event {
        id: id.clone(),
        organizer: caller.sub,
        fields: body,
        capacity,
        taken: 0,
    });
    Ok((StatusCode::CREATED, Json(json!({ "event_id": id }))).into_response())
}

impl Event {
    fn shown(&self) -> Value {
        let mut shown = self.fields.clone();
        shown["event_id"] = json!(self.id);
        shown["seats_left"] = json!(self.capacity.cast_signed() - self.taken.cast_signed());
        shown
    }
}

async fn events(State(state): State<Arc<StandIn>>, headers: HeaderMap) -> Answered {
    let caller = state.caller(&headers)?;
    let data = state.data.lock();
    let own: Vec<Value> = data
        .events
        .iter()
        .filter(|event| event.organizer == caller.sub)
        .map(Event::shown)
        .collect();
    Ok(Json(own).into_response())
}

async fn event(State(state): State<Arc<StandIn>>, Path(id): Path<String>) -> Answered {
    match state.data.lock().events.iter().find(|event| event.id == id) {
        Some(event) => Ok(Json(event.shown()).into_response()),
        None => Err(Refused(StatusCode::NOT_FOUND, "not_found")),
    }
}

async fn register(
    State(state): State<Arc<StandIn>>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Answered {
    let caller = state.caller(&headers)?;
    let mut guard = state.data.lock();
    let data = &mut *guard;
    data.requests += 1;
    if state.fault == Fault::Lose && data.requests.is_multiple_of(100) {
        return Err(Refused(StatusCode::INTERNAL_SERVER_ERROR, "internal"));
    }
    let event_id = text(&body, "event_id");
    let Some(event) = data.events.iter_mut().find(|event| event.id == event_id) else {
        return Err(Refused(StatusCode::NOT_FOUND, "not_found"));
    };
    let seats = event.capacity + u64::from(state.fault == Fault::Oversell);
    if event.taken >= seats {
        return Err(Refused(StatusCode::CONFLICT, "event_full"));
    }
    event.taken += 1;
    let status = if event.fields["fees"] == json!(0) {
        "confirmed"
    } else {
        "pending_payment"
    };
    data.registrations.insert((event_id, caller.sub.clone()), status);
    data.message();
    let email = data.emails.get(&caller.sub).cloned();
    drop(guard);
    if let Some(email) = email {
        let mail = format!("To: <{email}>\r\nSubject: Ticket\r\n\r\n");
        if fs::write(state.mailbox.join(format!("{}.eml", new_id())), mail).is_err() {
            return Err(Refused(StatusCode::INTERNAL_SERVER_ERROR, "internal"));
        }
    }
    Ok((
        StatusCode::CREATED,
        Json(json!({ "registration_id": new_id(), "status": status })),
    )
        .into_response())
}

async fn registrations(State(state): State<Arc<StandIn>>, headers: HeaderMap) -> Answered {
    let caller = state.caller(&headers)?;
    let data = state.data.lock();
    let own: Vec<Value> = data
        .registrations
        .iter()
        .filter(|((_, user), _)| *user == caller.sub)
        .map(|((event, _), status)| json!({ "event_id": event, "status": status }))
        .collect();
    Ok(Json(own).into_response())
}

async fn pay(State(state): State<Arc<StandIn>>, headers: HeaderMap, Json(body): Json<Value>) -> Answered {
    let caller = state.caller(&headers)?;
    let mut data = state.data.lock();
    match data.registrations.get_mut(&(text(&body, "event_id"), caller.sub)) {
        Some(status) if *status == "pending_payment" => {
            *status = "confirmed";
            data.message();
            Ok(Json(json!({ "status": "captured" })).into_response())
        }
        Some(_) => Err(Refused(StatusCode::CONFLICT, "already_paid")),
        None => Err(Refused(StatusCode::NOT_FOUND, "not_found")),
    }
}
