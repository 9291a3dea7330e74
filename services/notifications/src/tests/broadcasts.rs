//! Announcements of organizers: the calls, and the worker one round at a time.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json, Router,
    body::Body,
    extract::State,
    http::{Method, Request, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use chrono::TimeDelta;
use common::{
    auth::Role,
    http::{InternalClient, Pipeline, Upstream},
    ids::{EventId, RegistrationId, UserId},
    metrics::Metrics,
    problem::ApiError,
    wire::{
        Announce, Announced, AskAttendees, AskOrganizer, AttendeeFound, Attendees, EventFacts,
        EventOrganizer, Recipients, service,
    },
};
use parking_lot::Mutex;
use runtime::{peers::Peers, process::Context};
use serde_json::{Value, json};

use super::kit::{Answer, Lab, Service, at, event};
use crate::{
    app::Parts,
    channels::{Channels, MailError},
    domain::{
        broadcast::{Broadcast, Channels as Ways},
        message::{Channel, Status},
    },
    workers::{broadcasts::Broadcasts, sender::Sender},
};

/// An events service that answers these three questions and nothing else.
#[derive(Clone)]
pub(super) struct Events(Arc<EventsInner>);

struct EventsInner {
    organizer: UserId,
    facts: Mutex<EventFacts>,
    attendees: Mutex<BTreeMap<UserId, (RegistrationId, bool)>>,
    down: Mutex<bool>,
    /// What was asked to be published live, and what is answered to it.
    announced: Mutex<Vec<Announce>>,
    announcing: Mutex<StatusCode>,
}

impl Events {
    fn new() -> Self {
        Self(Arc::new(EventsInner {
            organizer: UserId::new(),
            facts: Mutex::new(event(TimeDelta::hours(48))),
            attendees: Mutex::default(),
            down: Mutex::new(false),
            announced: Mutex::default(),
            announcing: Mutex::new(StatusCode::OK),
        }))
    }

    pub(super) fn organizer(&self) -> UserId {
        self.0.organizer
    }

    pub(super) fn facts(&self) -> EventFacts {
        self.0.facts.lock().clone()
    }

    fn id(&self) -> EventId {
        self.0.facts.lock().event_id
    }

    fn add(&self, user: UserId, confirmed: bool) {
        let registration = (RegistrationId::new(), confirmed);
        self.0.attendees.lock().insert(user, registration);
    }

    fn upstream(&self) -> Upstream {
        let (upstream, slot) = Upstream::local();
        let router = Router::new()
            .route("/internal/events/organizer", post(organizer))
            .route("/internal/events/attendees", post(attendees))
            .route("/internal/events/announce", post(announce))
            .with_state(self.clone());
        let pipeline = Pipeline::new(service::EVENTS, router, Metrics::new(service::EVENTS, Vec::new()));
        assert!(slot.set(pipeline).is_ok());
        upstream
    }

    fn refusal(&self, id: EventId) -> Option<Response> {
        if *self.0.down.lock() {
            return Some(StatusCode::SERVICE_UNAVAILABLE.into_response());
        }
        let unknown = || ApiError::not_found("event_not_found", "There is no such event.").into_response();
        (id != self.id()).then(unknown)
    }
}

async fn organizer(State(events): State<Events>, Json(asked): Json<AskOrganizer>) -> Response {
    if let Some(problem) = events.refusal(asked.event_id) {
        return problem;
    }
    Json(EventOrganizer {
        organizer: events.0.organizer,
        cancelled: events.0.facts.lock().cancelled,
        team: Vec::new(),
    })
    .into_response()
}

async fn attendees(State(events): State<Events>, Json(asked): Json<AskAttendees>) -> Response {
    if let Some(problem) = events.refusal(asked.event_id) {
        return problem;
    }
    assert!(asked.limit <= AskAttendees::AT_ONCE);
    let attendees = events.0.attendees.lock();
    let page = attendees
        .iter()
        .filter(|(user, _)| asked.after.is_none_or(|after| **user > after))
        .filter(|(_, (_, confirmed))| match asked.to {
            Recipients::Confirmed => *confirmed,
            Recipients::Pending => !confirmed,
            Recipients::Waitlist => false,
            Recipients::All => true,
        })
        .take(asked.limit)
        .map(|(user_id, (registration_id, _))| AttendeeFound {
            user_id: *user_id,
            registration_id: *registration_id,
        });
    Json(Attendees {
        event: events.0.facts.lock().clone(),
        attendees: page.collect(),
    })
    .into_response()
}

async fn announce(State(events): State<Events>, Json(asked): Json<Announce>) -> Response {
    match *events.0.announcing.lock() {
        StatusCode::OK => {}
        StatusCode::FORBIDDEN => return ApiError::forbidden("organizer_only", "No.").into_response(),
        other => return other.into_response(),
    }
    let mut announced = events.0.announced.lock();
    let is_new = !announced.contains(&asked);
    announced.push(asked);
    Json(Announced { is_new }).into_response()
}

/// The service beside an events service that knows one event.
pub(super) struct Desk {
    pub(super) lab: Lab,
    pub(super) events: Events,
    pub(super) service: Service,
}

impl Desk {
    pub(super) fn new() -> Self {
        let (lab, events) = (Lab::new(), Events::new());
        let context = lab.context(&[]);
        let channels = Channels::new(&context).unwrap();
        let (users, nothing) = (lab.users.upstream(&context), || Upstream::local().0);
        let peers = Peers::new([users, events.upstream(), nothing(), nothing()]);
        let pipeline = crate::assemble(&context, super::kit::store(&context), &peers, &channels).unwrap();
        Self {
            lab,
            events,
            service: Service { pipeline, context },
        }
    }

    fn path(&self) -> String {
        format!("/api/organiser/events/{}/announcements", self.events.id())
    }

    pub(super) async fn send(&self, who: UserId, method: Method, path: &str, body: Option<Value>) -> Answer {
        let auth = self.service.context.auth(service::USERS);
        let life = std::time::Duration::from_secs(60);
        let token = auth.user_token(who, Role::Organizer, life).unwrap();
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {token}"));
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        self.service.call(request.body(body).unwrap()).await
    }

    async fn announce(&self, body: Value) -> Answer {
        let who = self.events.0.organizer;
        self.send(who, Method::POST, &self.path(), Some(body)).await
    }

    async fn shown(&self, id: &str) -> Value {
        let path = format!("{}/{id}", self.path());
        let answer = self.send(self.events.0.organizer, Method::GET, &path, None).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        answer.json()
    }

    /// Once no letter waits any more.
    async fn sent(&self, id: &str) -> Value {
        super::kit::eventually(async || {
            let shown = self.shown(id).await;
            (shown["status"] == "sent").then_some(shown)
        })
        .await
    }
}

fn words() -> Value {
    json!({"subject": "Doors open at six", "text": "Come early.\n\nSee you!"})
}

#[tokio::test]
async fn an_announcement_reaches_who_it_is_for() {
    let desk = Desk::new();
    let asha = desk
        .lab
        .users
        .add(Some("Asha"), "asha@example.com", Some("+911234567890"));
    let ravi = desk.lab.users.add(None, "ravi@example.com", None);
    let holds = desk.lab.users.add(None, "holds@example.com", None);
    for (user, confirmed) in [(asha, true), (ravi, true), (holds, false), (UserId::new(), true)] {
        desk.events.add(user, confirmed);
    }
    let mut body = words();
    body["channels"] = json!(["sms", "email"]);
    let made = desk.announce(body).await;
    assert_eq!(made.status, StatusCode::ACCEPTED, "{}", made.text);
    let made = made.json();
    assert_eq!(
        (&made["to"], &made["channels"]),
        (&json!("confirmed"), &json!(["email", "sms"]))
    );
    let id = made["announcement_id"].as_str().unwrap();
    let sent = desk.sent(id).await;
    let counts = ["recipients", "skipped", "queued", "sent", "failed"].map(|name| sent[name].as_u64());
    assert_eq!(counts, [2, 1, 0, 3, 0].map(Some), "{sent}");
    let mail = desk.service.mailbox(3).await;
    let to: Vec<_> = mail.iter().map(|mail| mail["to"].as_str().unwrap()).collect();
    assert!(!to.contains(&"holds@example.com"), "{to:?}");
    assert!(mail.iter().all(|mail| mail["kind"] == "announcement"));

    let mut body = words();
    body["to"] = json!("pending");
    let made = desk.announce(body).await.json();
    desk.sent(made["announcement_id"].as_str().unwrap()).await;
    let mail = desk.service.mailbox(4).await;
    assert_eq!(mail[0]["to"], "holds@example.com");
    let list = desk
        .send(
            desk.events.0.organizer,
            Method::GET,
            &format!("{}?limit=1", desk.path()),
            None,
        )
        .await;
    assert_eq!(list.json()[0]["announcement_id"], made["announcement_id"]);
    assert!(list.headers.contains_key(header::LINK));
}

#[tokio::test]
async fn an_announcement_is_planned_and_withdrawn() {
    let desk = Desk::new();
    let organizer = desk.events.0.organizer;
    let mut body = words();
    body["send_at"] = json!(common::time::utc(at(TimeDelta::hours(1))));
    let made = desk.announce(body).await.json();
    let id = made["announcement_id"].as_str().unwrap();
    assert_eq!(desk.shown(id).await["status"], "scheduled");
    let path = format!("{}/{id}", desk.path());
    let stranger = desk.send(UserId::new(), Method::DELETE, &path, None).await;
    assert_eq!(
        (stranger.status, &stranger.json()["code"]),
        (StatusCode::NOT_FOUND, &json!("event_not_found"))
    );
    let unknown = format!("{}/{}", desk.path(), EventId::new());
    let unknown = desk.send(organizer, Method::DELETE, &unknown, None).await;
    assert_eq!(unknown.json()["code"], "announcement_not_found");
    let gone = desk.send(organizer, Method::DELETE, &path, None).await;
    assert_eq!(gone.json()["status"], "cancelled", "{}", gone.text);
    let again = desk.send(organizer, Method::DELETE, &path, None).await;
    assert_eq!(
        (again.status, &again.json()["code"]),
        (StatusCode::CONFLICT, &json!("announcement_under_way"))
    );
}

#[tokio::test]
async fn what_is_refused() {
    let desk = Desk::new();
    for (field, wrong) in [
        ("subject", json!(null)),
        ("subject", json!("two\nlines")),
        ("subject", json!("x".repeat(201))),
        ("text", json!("")),
        ("text", json!("x".repeat(5001))),
        ("to", json!("strangers")),
        ("channels", json!([])),
        ("channels", json!("email")),
        ("channels", json!(["fax"])),
        ("channels", json!(["sms", "sms"])),
        ("send_at", json!("soon")),
        ("send_at", json!(common::time::utc(at(TimeDelta::zero())))),
        ("send_at", json!(common::time::utc(at(TimeDelta::days(366))))),
    ] {
        let mut body = words();
        body[field] = wrong;
        let problem = desk.announce(body.clone()).await;
        assert_eq!(problem.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        assert_eq!(problem.json()["errors"][0]["field"], field, "{body}");
    }
    let stranger = desk
        .send(UserId::new(), Method::POST, &desk.path(), Some(words()))
        .await;
    assert_eq!(stranger.json()["code"], "event_not_found");
    let nowhere = format!("/api/organiser/events/{}/announcements", EventId::new());
    let nowhere = desk
        .send(desk.events.0.organizer, Method::GET, &nowhere, None)
        .await;
    assert_eq!(nowhere.json()["code"], "event_not_found");
    for _ in 0..20 {
        assert_eq!(desk.announce(words()).await.status, StatusCode::ACCEPTED);
    }
    let limited = desk.announce(words()).await;
    assert_eq!(limited.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(limited.headers[header::RETRY_AFTER], "86401");
    *desk.events.0.down.lock() = true;
    assert_eq!(
        desk.announce(words()).await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );
    *desk.events.0.down.lock() = false;
    desk.events.0.facts.lock().cancelled = true;
    assert_eq!(desk.announce(words()).await.json()["code"], "event_cancelled");
}

/// The worker alone, over a store that others share.
fn worker(lab: &Lab, events: &Events) -> (Arc<Parts>, Broadcasts) {
    let context: Context = lab.context(&[]);
    let parts = lab.parts();
    let events = InternalClient::new(
        events.upstream(),
        context.auth(service::NOTIFICATIONS),
        service::EVENTS,
    );
    let broadcasts = Broadcasts {
        parts: Arc::clone(&parts),
        events,
    };
    (parts, broadcasts)
}

async fn planned(parts: &Parts, events: &Events) -> Broadcast {
    planned_by(parts, events, Recipients::All, Ways::default()).await
}

async fn planned_by(parts: &Parts, events: &Events, to: Recipients, channels: Ways) -> Broadcast {
    use crate::domain::broadcast::{State, Words};
    let broadcast = Broadcast {
        id: common::ids::AnnouncementId::new(),
        event_id: events.id(),
        organizer: events.0.organizer,
        words: Words {
            subject: "Doors".into(),
            text: "Open.".into(),
        },
        to,
        channels,
        state: State::Scheduled,
        send_at: parts.clock.now(),
        created_at: parts.clock.now(),
        recipients: 0,
        skipped: 0,
    };
    let answer = |_: &Broadcast| common::idempotency::Answer::json(StatusCode::ACCEPTED, &"");
    let keyed = common::idempotency::Keyed::none(answer);
    parts
        .store
        .create_broadcast(broadcast.clone(), keyed)
        .await
        .unwrap();
    broadcast
}

#[tokio::test]
async fn a_large_audience_is_reached_in_steps_by_whoever_lives() {
    let (lab, events) = (Lab::new(), Events::new());
    for n in 0..1_100 {
        let user = lab.users.add(None, &format!("u{n}@example.com"), None);
        events.add(user, n % 2 == 0);
    }
    let ((parts, one), (_, two)) = (worker(&lab, &events), worker(&lab, &events));
    let broadcast = planned(&parts, &events).await;
    // The first dies after a step, the second takes over while the first, back, looks at the same.
    assert!(one.round().await.unwrap());
    drop(one);
    let (_, one) = worker(&lab, &events);
    loop {
        let (one, two) = tokio::join!(one.round(), two.round());
        if !(one.unwrap() | two.unwrap()) {
            break;
        }
    }
    let found = parts.store.broadcast(broadcast.id, events.id()).await.unwrap();
    let (stored, counts) = found.unwrap();
    assert_eq!(
        (stored.recipients, stored.skipped, counts.queued),
        (1_100, 0, 1_100)
    );
    assert_eq!(parts.store.stats(parts.clock.now()).await.unwrap().queued, 1_100);
}

#[tokio::test]
async fn who_follows_live_hears_of_it_too() {
    let (lab, events) = (Lab::new(), Events::new());
    for n in 0..600 {
        let user = lab.users.add(None, &format!("u{n}@example.com"), None);
        events.add(user, n % 2 == 0);
    }
    let (parts, worker) = worker(&lab, &events);
    let queued = async || parts.store.stats(parts.clock.now()).await.unwrap().queued;
    // Before the first letter; while that does not work, it waits.
    let broadcast = planned(&parts, &events).await;
    *events.0.announcing.lock() = StatusCode::SERVICE_UNAVAILABLE;
    assert!(worker.round().await.is_err());
    assert!(!worker.round().await.unwrap(), "not at once");
    assert_eq!(queued().await, 0);
    *events.0.announcing.lock() = StatusCode::OK;
    lab.clock.set(at(TimeDelta::seconds(10)));
    while worker.round().await.unwrap() {}
    assert_eq!(queued().await, 600);
    let announce = Announce {
        announcement_id: broadcast.id,
        event_id: events.id(),
        user_id: events.organizer(),
        text: "Doors\n\nOpen.".into(),
    };
    assert_eq!(*events.0.announced.lock(), [announce], "with the first step only");
    // Nobody who waits for a seat, or for their money to come, is on the live channel.
    for to in [Recipients::Pending, Recipients::Waitlist] {
        planned_by(&parts, &events, to, Ways::default()).await;
        while worker.round().await.unwrap() {}
    }
    assert_eq!(events.0.announced.lock().len(), 1);
    // Where it is refused letters go out all the same.
    let before = queued().await;
    *events.0.announcing.lock() = StatusCode::FORBIDDEN;
    planned(&parts, &events).await;
    while worker.round().await.unwrap() {}
    assert_eq!(queued().await, before + 600);
}

#[tokio::test]
async fn a_cancelled_event_stops_it_and_a_service_that_is_away_delays_it() {
    let (lab, events) = (Lab::new(), Events::new());
    let user = lab.users.add(None, "asha@example.com", None);
    events.add(user, true);
    let (parts, worker) = worker(&lab, &events);
    let broadcast = planned(&parts, &events).await;
    *events.0.down.lock() = true;
    assert!(worker.round().await.is_err());
    *events.0.down.lock() = false;
    assert!(!worker.round().await.unwrap(), "not at once");
    lab.clock.set(at(TimeDelta::seconds(10)));
    lab.users.set_down(true);
    assert!(worker.round().await.is_err());
    lab.users.set_down(false);
    events.0.facts.lock().cancelled = true;
    assert!(worker.round().await.unwrap());
    assert!(!worker.round().await.unwrap());
    let found = parts.store.broadcast(broadcast.id, events.id()).await.unwrap();
    let (stored, counts) = found.unwrap();
    assert_eq!((stored.state.name(), counts.queued), ("cancelled", 0));
}

#[tokio::test]
async fn an_announcement_by_sms_goes_by_e_mail_where_it_does_not_arrive() {
    let (lab, events) = (Lab::new(), Events::new());
    let users = ["asha", "ravi"].map(|name| {
        let email = format!("{name}@example.com");
        lab.users.add(None, &email, Some("+919876543210"))
    });
    for user in users {
        events.add(user, true);
    }
    let (parts, worker) = worker(&lab, &events);
    let by_sms = Ways {
        email: false,
        sms: true,
    };
    let broadcast = planned_by(&parts, &events, Recipients::All, by_sms).await;
    assert!(worker.round().await.unwrap());
    let (mailer, _received) = super::recorder::Recorder::new();
    let refused = MailError::Permanent("not a mobile number".to_owned());
    mailer.answers.lock().push(Err(refused));
    let lease = std::time::Duration::from_secs(20);
    let sender = Sender::new(parts.clone(), Channel::Sms, mailer, lease);
    let stop = tokio_util::sync::CancellationToken::new();
    sender.round(&stop).await.unwrap();
    let mut ways = Vec::new();
    for user in users {
        let page = common::http::Page {
            limit: 10,
            after: None,
        };
        let found = parts
            .store
            .of_user(user, crate::store::Only::All, page)
            .await
            .unwrap();
        let mut found: Vec<_> = found.iter().map(|entry| (entry.channel, entry.status)).collect();
        found.sort();
        ways.push(found);
    }
    ways.sort();
    assert_eq!(
        ways,
        [
            vec![(Channel::Email, Status::Queued), (Channel::Sms, Status::Failed)],
            vec![(Channel::Sms, Status::Sent)],
        ]
    );
    let found = parts.store.broadcast(broadcast.id, events.id()).await.unwrap();
    let counts = found.unwrap().1;
    assert_eq!((counts.queued, counts.sent, counts.failed), (1, 1, 1));
}
