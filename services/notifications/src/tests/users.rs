//! A users service for the tests.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use common::{
    http::{Pipeline, Upstream},
    ids::UserId,
    metrics::Metrics,
    wire::{FoundUsers, LookupUsers, UserCard, service},
};
use parking_lot::Mutex;
use runtime::{peers::Peers, process::Context};

use super::live_room::LiveRoom;

/// A users service that answers look-ups and nothing else.
#[derive(Clone, Default)]
pub struct Users(Arc<UsersInner>);

#[derive(Default)]
struct UsersInner {
    cards: Mutex<HashMap<UserId, UserCard>>,
    calls: AtomicUsize,
    down: AtomicBool,
    live_room: LiveRoom,
}

impl Users {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn add(&self, name: Option<&str>, email: &str, phone: Option<&str>) -> UserId {
        let user_id = UserId::new();
        let card = UserCard {
            user_id,
            email: email.to_owned(),
            name: name.map(str::to_owned),
            phone: phone.map(str::to_owned),
            timezone: None,
            locale: None,
            email_verified: false,
        };
        self.0.cards.lock().insert(user_id, card);
        user_id
    }

    /// The user reads this language.
    pub fn reads(&self, user: UserId, locale: &str) {
        self.0.cards.lock().get_mut(&user).unwrap().locale = Some(locale.to_owned());
    }

    /// The user has proved to read what is sent to their address.
    pub fn verify(&self, user: UserId) {
        self.0.cards.lock().get_mut(&user).unwrap().email_verified = true;
    }

    pub fn remove(&self, user: UserId) {
        self.0.cards.lock().remove(&user);
    }

    pub fn calls(&self) -> usize {
        self.0.calls.load(Ordering::Relaxed)
    }

    pub fn set_down(&self, down: bool) {
        self.0.down.store(down, Ordering::Relaxed);
    }

    /// The live room beside it.
    pub fn live_room(&self) -> &LiveRoom {
        &self.0.live_room
    }

    /// The users service and the live room, and nothing else.
    pub fn peers(&self, context: &Context) -> Peers {
        let (upstream, nothing) = (self.upstream(context), || Upstream::local().0);
        Peers::new([upstream, self.live_room().upstream(), nothing(), nothing()])
    }

    pub fn upstream(&self, context: &Context) -> Upstream {
        let (upstream, slot) = Upstream::local();
        let auth = context.auth(service::USERS);
        let lookup = async move |State(users): State<Self>,
                                 headers: header::HeaderMap,
                                 Json(asked): Json<LookupUsers>| {
            users.0.calls.fetch_add(1, Ordering::Relaxed);
            let token = headers[header::AUTHORIZATION]
                .to_str()
                .unwrap()
                .strip_prefix("Bearer ")
                .unwrap();
            assert_eq!(auth.verify_service(token).unwrap(), service::NOTIFICATIONS);
            assert!(asked.user_ids.len() <= 500);
            users.answer(&asked.user_ids)
        };
        let router = Router::new()
            .route("/internal/users/lookup", post(lookup))
            .with_state(self.clone());
        let pipeline = Pipeline::new(service::USERS, router, Metrics::new(service::USERS, Vec::new()));
        assert!(slot.set(pipeline).is_ok());
        upstream
    }

    fn answer(&self, ids: &[UserId]) -> Response {
        if self.0.down.load(Ordering::Relaxed) {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        let cards = self.0.cards.lock();
        Json(FoundUsers {
            users: ids.iter().filter_map(|id| cards.get(id).cloned()).collect(),
        })
        .into_response()
    }
}
