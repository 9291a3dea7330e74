//! What the tests are built from.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, to_bytes},
    http::{Request, StatusCode, header},
};
use chrono::TimeDelta;
use chrono_tz::Tz;
use common::{
    auth::Role,
    clock::{Clock, Timestamp, from_millis},
    http::{InternalClient, Pipeline},
    ids::{EventId, RegistrationId, TicketId, UserId, new_id},
    mailed_tokens::MailedTokens,
    money::Paise,
    outbox::{self, CloudEvent, Receipt, ReceiptStatus},
    settings::Settings,
    wire::{EndReason, EventFacts, RegistrationConfirmed, RegistrationEnded, kind, service},
};
use runtime::{process::Context, user_directory::UserDirectory};
use serde::Serialize;
use serde_json::Value;
use shared_state::Shared;
use tempfile::TempDir;
use uuid::Uuid;

use super::users::Users;
use crate::{
    app::Parts,
    channels::{Channels, Mailer},
    domain::{
        letters::{Reach, Texted},
        message::Channel,
        unsubscribe::Unsubscribing,
    },
    store::{
        Store,
        sqlite::{MIGRATIONS, SqliteStore},
    },
    templates::{Links, Writer},
};

pub const NOW: i64 = 1_900_000_000_000;

pub fn at(offset: TimeDelta) -> Timestamp {
    from_millis(NOW) + offset
}

/// A data directory with a clock of its own, in which services are built.
pub struct Lab {
    pub dir: TempDir,
    pub clock: Clock,
    pub users: Users,
}

impl Lab {
    pub fn new() -> Self {
        Self {
            dir: TempDir::new().unwrap(),
            clock: Clock::fixed(from_millis(NOW)),
            users: Users::new(),
        }
    }

    /// What one process is built from; several of them share the directory.
    pub fn context(&self, settings: &[(&str, &str)]) -> Context {
        let settings = Settings::read(|name| {
            let set = settings
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, value)| (*value).to_owned());
            set.or_else(|| (name == "DATA_DIR").then(|| self.dir.path().to_string_lossy().into_owned()))
        });
        Context::new(settings.unwrap(), self.clock.clone()).unwrap()
    }

    /// The whole service, as it is by default.
    pub fn service(&self) -> Service {
        self.service_with(&[])
    }

    /// The whole service.
    pub fn service_with(&self, settings: &[(&str, &str)]) -> Service {
        let context = self.context(settings);
        let channels = Channels::new(&context).unwrap();
        self.assemble(context, &channels)
    }

    fn assemble(&self, context: Context, channels: &Channels) -> Service {
        let pipeline =
            crate::assemble(&context, store(&context), &self.users.peers(&context), channels).unwrap();
        Service { pipeline, context }
    }

    /// The whole service, sending through `mailer` only.
    pub fn service_sending(&self, mailer: Arc<dyn Mailer>) -> Service {
        let context = self.context(&[]);
        let channels = Channels::from_iter([(Channel::Email, mailer)]);
        self.assemble(context, &channels)
    }

    /// What workers work with, and no worker.
    pub fn parts(&self) -> Arc<Parts> {
        let context = self.context(&[]);
        let store = store(&context);
        let client = InternalClient::new(
            self.users.upstream(&context),
            context.auth(service::NOTIFICATIONS),
            service::USERS,
        );
        let (directory, writer) = (
            UserDirectory::new(client, Shared::in_process(), self.clock.clone()),
            Writer::new(
                Links::default(),
                MailedTokens::new(&context.auth(service::NOTIFICATIONS)),
                Unsubscribing::new(&context.auth(service::NOTIFICATIONS)),
            )
            .unwrap(),
        );
        Arc::new(Parts::new(
            store,
            directory,
            self.clock.clone(),
            Reach { sms: Texted::All },
            writer,
        ))
    }
}

/// A running service.
pub struct Service {
    pub pipeline: Pipeline,
    pub context: Context,
}

impl Service {
    pub async fn call(&self, request: Request<Body>) -> Answer {
        let response = self.pipeline.handle(request).await;
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub async fn get_as(&self, user: UserId, path: &str) -> Answer {
        self.get_in_role(user, Role::User, path).await
    }

    pub async fn get_in_role(&self, user: UserId, role: Role, path: &str) -> Answer {
        let life = Duration::from_secs(60);
        let token = self
            .context
            .auth(service::USERS)
            .user_token(user, role, life)
            .unwrap();
        let request = Request::get(path).header(header::AUTHORIZATION, format!("Bearer {token}"));
        self.call(request.body(Body::empty()).unwrap()).await
    }

    pub async fn post_as(&self, user: UserId, path: &str) -> Answer {
        let life = Duration::from_secs(60);
        let token = self
            .context
            .auth(service::USERS)
            .user_token(user, Role::User, life)
            .unwrap();
        let request = Request::post(path).header(header::AUTHORIZATION, format!("Bearer {token}"));
        self.call(request.body(Body::empty()).unwrap()).await
    }

    pub async fn put_as(&self, user: UserId, path: &str, body: &Value) -> Answer {
        let life = Duration::from_secs(60);
        let token = self
            .context
            .auth(service::USERS)
            .user_token(user, Role::User, life)
            .unwrap();
        let request = Request::put(path)
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::CONTENT_TYPE, "application/json");
        self.call(request.body(Body::from(body.to_string())).unwrap())
            .await
    }

    /// Delivers messages as the relay of `events` does.
    pub async fn deliver(&self, batch: &[CloudEvent]) -> Vec<Receipt> {
        let token = self
            .context
            .auth(service::EVENTS)
            .service_token(service::NOTIFICATIONS)
            .unwrap();
        let request = Request::post(outbox::PATH)
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .body(Body::from(serde_json::to_vec(batch).unwrap()))
            .unwrap();
        let answer = self.call(request).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        serde_json::from_str(&answer.text).unwrap()
    }

    /// Delivers messages, all of which are taken.
    pub async fn accepts(&self, batch: &[CloudEvent]) {
        let receipts = self.deliver(batch).await;
        assert_eq!(receipts.len(), batch.len());
        assert!(
            receipts
                .iter()
                .all(|receipt| receipt.status == ReceiptStatus::Accepted),
            "{receipts:?}"
        );
    }

    /// What lies in the mailbox, once it holds `count` messages.
    pub async fn mailbox(&self, count: usize) -> Vec<Value> {
        eventually(async || {
            let list = self.get("/dev/mailbox.json?limit=100").await.json();
            let list = list.as_array().unwrap().clone();
            assert!(list.len() <= count, "{list:#?}");
            (list.len() == count).then_some(list)
        })
        .await
    }
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: header::HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }
}

/// Polls until there is an answer, for at most ten seconds.
pub async fn eventually<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let patience = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(tokio::time::Instant::now() < patience, "nothing came of it");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub fn event(starts_in: TimeDelta) -> EventFacts {
    EventFacts {
        event_id: EventId::new(),
        name: "Rust evening".into(),
        address: "Online, link follows".into(),
        starts_at: at(starts_in),
        zone: Tz::Asia__Kolkata,
        version: 1,
        schedule_version: 1,
        cancelled: false,
        format: common::wire::EventFormat::InPerson,
        ends_at: None,
        join_url: None,
        reminders: common::leads::Leads::default(),
        organizer: None,
    }
}

pub fn cloud_event(kind: &str, subject: Uuid, data: &impl Serialize) -> CloudEvent {
    let data = serde_json::to_string(data).unwrap();
    CloudEvent::new(
        service::EVENTS,
        new_id(),
        kind.to_owned(),
        subject,
        from_millis(NOW),
        data,
    )
    .unwrap()
}

/// The same message, as it comes when it is delivered again.
pub fn again(event: &CloudEvent) -> CloudEvent {
    serde_json::from_value(serde_json::to_value(event).unwrap()).unwrap()
}

pub fn confirmed(user: UserId, event: &EventFacts) -> RegistrationConfirmed {
    RegistrationConfirmed {
        registration_id: RegistrationId::new(),
        user_id: user,
        event: event.clone(),
        ticket_id: TicketId::new(),
        ticket_code: "7KQM-2XRT-9FHB".into(),
        paid: Paise(49_950),
        payment_id: None,
    }
}

pub fn confirmation(fact: &RegistrationConfirmed) -> CloudEvent {
    cloud_event(kind::REGISTRATION_CONFIRMED, fact.registration_id.0, fact)
}

pub fn end(fact: &RegistrationConfirmed, reason: EndReason) -> CloudEvent {
    let ended = RegistrationEnded {
        registration_id: fact.registration_id,
        user_id: fact.user_id,
        event: fact.event.clone(),
        was_confirmed: true,
        paid: None,
        payment_id: None,
        reason,
        refund: None,
        words: None,
    };
    cloud_event(kind::REGISTRATION_ENDED, fact.registration_id.0, &ended)
}

pub fn change(facts: &EventFacts) -> CloudEvent {
    cloud_event(kind::EVENT_CHANGED, facts.event_id.0, facts)
}

pub fn store(context: &Context) -> Arc<dyn Store> {
    Arc::new(SqliteStore::new(
        sqlite_store::open(&context.settings, service::NOTIFICATIONS, MIGRATIONS).unwrap(),
    ))
}
